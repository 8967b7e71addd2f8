//! A connection that publishes: where its messages go, and how long it may be silent.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::config::{Access, Republish};
use crate::hub::frame::{Frame, Kind};
use crate::hub::registry::{Busy, Publisher};
use crate::hub::stream::{Over, Stream};
use crate::limits;
use crate::server::Server;
use crate::server::connection::{Connection, deadline};
use crate::server::edge::forward::Forwarder;
use crate::server::error::NO_MEMORY;
use crate::server::hls::Recording;
use crate::server::hook::{self, Grant, May, Visit};
use crate::server::pace::Pace;
use crate::server::sender::Writer;
use crate::server::siblings::{Claim, Hold, Siblings, Unclaimed};
use crate::session::media::{Media, MediaKind};
use crate::session::server::ServerSession;
use crate::wire::flv::TagKind;
use crate::wire::name::{StreamPath, StreamRequest};

/// A granted `publish`. Dropped, it ends: the name is free again.
#[derive(Debug)]
pub struct Publication {
    sink: Sink,
    firstpkt_timeout: Duration,
    normal_timeout: Duration,
    /// When the last message came; `None` before the first.
    last: Option<Instant>,
    begun: Instant,
    /// Messages that are not handed on yet.
    frames: Vec<Frame>,
    pace: Pace,
    /// Ends last: the name is free when the hooks hear of it.
    _grant: Option<Grant>,
}

/// Where the messages go.
#[derive(Debug)]
enum Sink {
    /// To our players, and to disk: we are the origin.
    Hub {
        /// Ends first: it is a player of the stream.
        _recording: Option<Recording>,
        publisher: Publisher<Writer>,
        /// Ends last: a sibling may publish the stream then.
        _claim: Option<Claim>,
    },
    /// To an origin: players pull from there, also ours.
    Origin(Forwarder),
}

/// Why a peer may not publish, or not any longer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// For `onStatus`.
    pub code: &'static str,
    /// For the peer and the log.
    pub why: String,
}

impl Refusal {
    /// The name cannot be published.
    pub fn bad_name(why: impl Into<String>) -> Self {
        Self {
            code: "NetStream.Publish.BadName",
            why: why.into(),
        }
    }
}

/// Begins to feed a stream of our own.
fn hub(
    server: &Arc<Server>,
    (path, visit): (&StreamPath, Option<&Visit>),
    takeover: bool,
) -> Result<Sink, Refusal> {
    let name = path.to_string();
    let busy = |_| Refusal::bad_name("somebody else publishes this stream");
    let siblings = server.siblings.as_ref();
    let claim = siblings.map(|siblings| claim(server, siblings, &name, takeover));
    let claim = claim.transpose()?;
    if !takeover && server.registry.is_published(&name) {
        return Err(busy(Busy));
    }
    let config = server.config();
    let disk = match &config.vhost(path.vhost()).hls {
        Some(settings) => Some((settings, server.hls.claim(settings, path, takeover)?)),
        None => None,
    };
    let publish = || server.registry.publish(&name, takeover).map_err(busy);
    let publisher = match &claim {
        // A sibling may have taken over while the disk was waited for.
        Some(claim) => claim
            .if_ours(publish)
            .unwrap_or_else(|| Err(Over::TakenOver.into())),
        None => publish(),
    }?;
    let stream = &publisher.stream;
    let record = |disk| server.hls.record(server, (path, visit), stream, disk);
    Ok(Sink::Hub {
        _recording: disk.and_then(record),
        publisher,
        _claim: claim,
    })
}

/// Holds the stream among siblings; with `takeover`, has the one that holds it give it up.
fn claim(
    server: &Server,
    siblings: &Arc<Siblings>,
    name: &str,
    takeover: bool,
) -> Result<Claim, Refusal> {
    let until = deadline(if takeover {
        limits::SIBLING_TAKEOVER_DEADLINE
    } else {
        limits::SIBLING_CLAIM_DEADLINE
    });
    loop {
        // Who gives the stream up at the last moment has not done so for nothing.
        let is_last = Instant::now() >= until;
        let holder = match siblings.claim(Hold::Publish, name) {
            Ok(claim) => return Ok(claim),
            Err(Unclaimed::Failed(error)) => {
                return Err(Refusal::bad_name(format!("run_dir: {error}")));
            }
            Err(Unclaimed::Held(holder)) => holder,
        };
        let mut why = "somebody else publishes this stream".to_owned();
        if let Some(holder) = &holder {
            why = format!("{why}, through {holder}");
            if takeover && let Err(error) = siblings.demand(holder, name, server.next_id(), until) {
                why = format!("{why}, which does not give it up ({error}): stop that process");
            }
        }
        if is_last {
            return Err(Refusal::bad_name(why));
        }
        thread::sleep(limits::HLS_CLAIM_POLL);
    }
}

impl From<Over> for Refusal {
    fn from(over: Over) -> Self {
        match over {
            Over::TakenOver => Self::bad_name("another publisher has taken over"),
            Over::Closed => Self {
                code: "NetStream.Failed",
                why: "the server stops".to_owned(),
            },
        }
    }
}

impl Publication {
    /// Asks for the stream's name: here, or on an edge at an origin.
    ///
    /// # Errors
    ///
    /// Why not, for the peer to hear.
    pub fn begin(
        server: &Arc<Server>,
        connection: &Arc<Connection>,
        session: &ServerSession,
        request: &StreamRequest,
    ) -> Result<Self, Refusal> {
        server
            .permit(
                Access::Publish,
                connection,
                &request.path,
                request.queries(),
            )
            .map_err(|denial| Refusal::bad_name(denial.to_string()))?;
        let from = (session.introduction(), Some(request));
        let grant = hook::ask(server, connection, May::Publish, from).map_err(Refusal::bad_name)?;
        let config = server.config();
        let config = &config.vhost(request.path.vhost()).publish;
        let sink = if server.is_edge(&request.path.to_string()) {
            let forwarder = server
                .edge
                .forward(server, connection, request, session.via())?;
            Sink::Origin(forwarder)
        } else {
            let takeover = config.republish == Republish::Takeover;
            hub(
                server,
                (&request.path, grant.as_ref().map(Grant::visit)),
                takeover,
            )?
        };
        Ok(Self {
            sink,
            firstpkt_timeout: config.firstpkt_timeout,
            normal_timeout: config.normal_timeout,
            last: None,
            begun: Instant::now(),
            frames: Vec::new(),
            pace: Pace::new(config.normal_timeout.min(config.firstpkt_timeout)),
            _grant: grant,
        })
    }

    /// Sets the socket's timeout for [`Self::read`].
    ///
    /// # Errors
    ///
    /// The connection is gone.
    pub fn prepare(&self, connection: &Connection) -> io::Result<()> {
        connection.set_read_timeout(Some(self.firstpkt_timeout))
    }

    /// Reads on.
    ///
    /// # Errors
    ///
    /// `TimedOut`: the publisher was silent for too long, or sends anything but media.
    pub fn read(&self, connection: &Connection, buffer: &mut [u8]) -> io::Result<usize> {
        let (since, timeout) = match self.last {
            Some(last) => (last, self.normal_timeout),
            None => (self.begun, self.firstpkt_timeout),
        };
        if since.elapsed() > timeout {
            return Err(ErrorKind::TimedOut.into());
        }
        connection.read_again(buffer)
    }

    /// Takes in a message, for [`Self::hand_on`]; whether these are so many that it is time for that.
    ///
    /// # Errors
    ///
    /// There is no memory left for it; for the peer to hear.
    pub fn take(
        &mut self,
        server: &Server,
        connection: &Connection,
        media: Media,
    ) -> Result<bool, Refusal> {
        if self.last.replace(Instant::now()).is_none() {
            // Fails only if the connection is gone: the next read says so.
            let _ = connection.set_read_timeout(Some(self.normal_timeout));
        }
        let frame = frame(server, media).ok_or_else(|| Refusal {
            code: "NetStream.Failed",
            why: NO_MEMORY.to_owned(),
        })?;
        self.frames.push(frame);
        Ok(self.frames.len() >= limits::MAX_BATCH_FRAMES)
    }

    /// Passes on what was taken in.
    ///
    /// # Errors
    ///
    /// The publication is over; why, for the peer to hear.
    pub fn hand_on(&mut self) -> Result<(), Refusal> {
        if self.frames.is_empty() {
            return Ok(());
        }
        #[cfg(test)]
        crate::server::fault::maybe_panic(
            crate::server::fault::Place::Publisher,
            &self.stream().path,
        );
        let (frames, now) = (self.frames.drain(..), Instant::now());
        match &self.sink {
            Sink::Hub { publisher, .. } => {
                let delivered = publisher.deliver_all(frames, now);
                delivered.map_err(Refusal::from)
            }
            Sink::Origin(forwarder) => forwarder.deliver_all(frames, now),
        }
    }

    /// Waits before the next read, after one of so many bytes; there may be more. What goes to
    /// an origin does not wait: the origin sends it to its players in rounds of its own.
    pub fn pause(&mut self, server: &Server, connection: &Connection, read: (usize, bool)) {
        if let Sink::Hub { publisher, .. } = &self.sink {
            let stream = &publisher.stream;
            self.pace.wait(connection, read, stream, &server.rhythm);
        }
    }

    /// Why the stream cannot go on although the publisher could, if that is so.
    pub fn lost(&self) -> Option<Refusal> {
        match &self.sink {
            Sink::Hub { .. } => None,
            Sink::Origin(forwarder) => forwarder.lost(),
        }
    }

    /// What is published; on an edge, a stream that nobody can play.
    pub fn stream(&self) -> &Arc<Stream<Writer>> {
        match &self.sink {
            Sink::Hub { publisher, .. } => &publisher.stream,
            Sink::Origin(forwarder) => forwarder.stream(),
        }
    }
}

/// A message of a stream, as the hub knows it. `None`: there is no memory left for it.
pub fn frame(server: &Server, media: Media) -> Option<Frame> {
    let charge = server.charge(media.payload.len())?;
    let kind = match media.kind {
        MediaKind::Metadata => Kind::Metadata,
        MediaKind::Data => Kind::Data,
        MediaKind::Tag(TagKind::AudioHeader) => Kind::AudioHeader,
        MediaKind::Tag(TagKind::VideoHeader) => Kind::VideoHeader,
        MediaKind::Tag(TagKind::RandomAccess) => Kind::RandomAccess,
        MediaKind::Tag(TagKind::Dependent) => Kind::Dependent,
        MediaKind::Tag(TagKind::Audio) => Kind::Audio,
    };
    let Media {
        slot,
        type_id,
        timestamp,
        payload,
        ..
    } = media;
    Some(Frame::new(kind, slot, type_id, timestamp, payload).charged(charge))
}
