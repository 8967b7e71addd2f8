//! Who else is asked and told about peers: what the core has to say, to a feature that passes it on.

use core::fmt;
use core::time::Duration;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::server::Server;
use crate::server::connection::Connection;
use crate::server::port::Protocol;
use crate::session::connect::Introduction;
use crate::wire::name::StreamRequest;
use crate::wire::vhost::{self, VhostName};

/// Passes on what peers want and do.
pub trait Hooks: fmt::Debug + Send + Sync {
    /// Whether anybody is asked or told anything.
    fn is_used(&self, server: &Server) -> bool;

    /// Whether a peer may. Waits for the answer; `has_left` is asked now and then whether anybody still
    /// waits for it.
    ///
    /// # Errors
    ///
    /// It may not.
    fn ask(
        &self,
        server: &Arc<Server>,
        may: May,
        visitor: &Visitor,
        has_left: &dyn Fn() -> bool,
    ) -> Result<(), No>;

    /// Tells what has happened; does not wait.
    fn tell(&self, server: &Arc<Server>, event: &Event, visitor: &Visitor);
}

/// A no.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct No {
    /// For the peer to hear.
    pub why: String,
    /// Somebody has said yes, or may have: it must hear that this is over.
    pub ends: bool,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum May {
    /// To connect. Only RTMP knows that.
    Connect,
    /// To publish.
    Publish,
    /// To play.
    Play,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A peer that was let in is gone; bytes that were sent and received.
    Close(u64, u64),
    /// One that might publish does not, or not any longer.
    Unpublish,
    /// One that might play does not, or not any longer.
    Stop,
    /// What it publishes has another segment of HLS.
    Hls(Segment),
}

/// A segment that players can get.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// How long it lasts.
    pub duration: Duration,
    /// Where it is.
    pub file: PathBuf,
    /// Its URL, from the server's root on, or as `hls_entry_prefix` makes it.
    pub url: String,
    /// Where the playlist is.
    pub playlist: PathBuf,
    /// Its URL, from the server's root on.
    pub playlist_url: String,
    /// Its number in it.
    pub number: u64,
}

/// A peer, as it is introduced. Its `Debug` shows no query: it may be a secret.
#[derive(Clone)]
pub struct Visitor {
    /// The connection's number.
    pub id: u64,
    /// Its address.
    pub ip: IpAddr,
    /// `tcUrl`, as it came.
    pub tc_url: String,
    /// `pageUrl` as it came, or `Referer`.
    pub page_url: String,
    /// The vhost; `None`: the default one.
    pub vhost: Option<VhostName>,
    /// The application, without its query string.
    pub app: String,
    /// The stream; empty before one is named.
    pub stream: String,
    /// Query strings, of stream and application, without `?`.
    pub param: String,
}

impl Visitor {
    /// The vhost's name, if it is not the default one.
    pub fn vhost(&self) -> Option<&str> {
        self.vhost.as_ref().map(VhostName::as_str)
    }

    /// Who connects, and has named no stream so far.
    fn of_connect(connection: &Connection, from: &Introduction) -> Self {
        let (app, param) = from.app.split_once('?').unwrap_or((&from.app, ""));
        let host = || VhostName::of_url(&from.tc_url);
        let vhost = vhost::named_in(&[param]).map_or_else(host, VhostName::parse);
        Self {
            id: connection.id,
            ip: connection.peer.ip(),
            tc_url: from.tc_url.clone(),
            page_url: from.page_url.clone(),
            vhost,
            app: app.trim_matches('/').to_owned(),
            stream: String::new(),
            param: param.to_owned(),
        }
    }

    /// Who wants to do something with a stream.
    fn of_request(connection: &Connection, from: &Introduction, request: &StreamRequest) -> Self {
        let params = request.queries().into_iter();
        let params: Vec<_> = params.filter(|query| !query.is_empty()).collect();
        Self {
            vhost: request.path.vhost.clone(),
            app: request.path.app.to_string(),
            stream: request.path.name.to_string(),
            param: params.join("&"),
            ..Self::of_connect(connection, from)
        }
    }
}

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitor")
            .field("id", &self.id)
            .field("ip", &self.ip)
            .finish_non_exhaustive()
    }
}

/// A visitor, and whom to tell.
#[derive(Clone, Debug)]
pub struct Visit {
    server: Arc<Server>,
    visitor: Arc<Visitor>,
}

impl Visit {
    /// The name of the vhost that is visited, if it is not the default one.
    pub fn vhost(&self) -> Option<&str> {
        self.visitor.vhost()
    }

    /// Says what the visitor did.
    pub fn tell(&self, event: &Event) {
        if let Some(hooks) = &self.server.features.hooks {
            hooks.tell(&self.server, event, &self.visitor);
        }
    }
}

/// A yes. Dropped, what it was for is over, and that is told.
#[derive(Debug)]
pub struct Grant {
    visit: Visit,
    may: May,
    connection: Arc<Connection>,
}

impl Grant {
    /// Whose it is.
    pub const fn visit(&self) -> &Visit {
        &self.visit
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        let traffic = &self.connection.traffic;
        self.visit.tell(&match self.may {
            May::Connect => Event::Close(traffic.sent(), traffic.received()),
            May::Publish => Event::Unpublish,
            May::Play => Event::Stop,
        });
    }
}

/// Asks whether a peer may do this, with the stream that it names if it has; `None`: nobody is to
/// be asked or told. Siblings are not visitors: they have asked about their own.
///
/// # Errors
///
/// Why not, for the peer to hear.
pub fn ask(
    server: &Arc<Server>,
    connection: &Arc<Connection>,
    may: May,
    (from, request): (&Introduction, Option<&StreamRequest>),
) -> Result<Option<Grant>, String> {
    let hooks = server.features.hooks.as_ref();
    let is_visitor = connection.protocol != Protocol::Sibling;
    let Some(hooks) = hooks.filter(|hooks| is_visitor && hooks.is_used(server)) else {
        return Ok(None);
    };
    let mut visitor = match request {
        Some(request) => Visitor::of_request(connection, from, request),
        None => Visitor::of_connect(connection, from),
    };
    visitor.vhost = server.known(visitor.vhost.take());
    let has_left = || server.is_stopping() || connection.is_closed_by_peer();
    let answer = hooks.ask(server, may, &visitor, &has_left);
    let grant = || Grant {
        visit: Visit {
            server: Arc::clone(server),
            visitor: Arc::new(visitor),
        },
        may,
        connection: Arc::clone(connection),
    };
    match answer {
        Ok(()) => Ok(Some(grant())),
        Err(No { why, ends }) => {
            // Made, and over at once.
            drop(ends.then(grant));
            Err(why)
        }
    }
}
