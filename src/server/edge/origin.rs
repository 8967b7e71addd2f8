//! A connection to an origin: resolve, connect, handshake, ask; each phase under a deadline.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use socket2::SockRef;

use crate::config::OriginAddress;
use crate::hub::budget::{Charge, Share};
use crate::limits;
use crate::server::Server;
use crate::server::connection::{Connection, deadline, set_options};
use crate::server::edge::error::{Cause, OriginError, Phase};
use crate::server::edge::{Edge, Origin, Source};
use crate::server::error::ConnectionError;
use crate::server::handshake::{self, Until};
use crate::server::port::Protocol;
use crate::server::siblings::Siblings;
use crate::session::acknowledgement::Acknowledger;
use crate::session::action::chunks;
use crate::session::assembler::Assembler;
use crate::session::client::{ClientRequest, ClientSession, Event};
use crate::session::error::SessionError;
use crate::session::media::MediaKind;
use crate::wire::url::Url;

/// A connection to an origin that has been asked for a stream.
#[derive(Debug)]
pub struct Upstream {
    /// The socket.
    pub connection: Connection,
    /// As in [`OriginError`].
    pub origin: String,
    session: ClientSession,
    assembler: Assembler,
    acknowledger: Acknowledger,
    input: BytesMut,
    /// What it has sent of messages that are not whole.
    charge: Charge,
    events: VecDeque<Event>,
}

impl Upstream {
    /// Connects to `source`, does the handshake, asks, and waits for a yes; the message stream id
    /// comes with it.
    ///
    /// # Errors
    ///
    /// Which phase failed, and why.
    pub fn open(
        server: &Server,
        edge: &Edge,
        (source, patience): (Source<'_>, Duration),
        request: &ClientRequest,
    ) -> Result<(Self, u32), OriginError> {
        let end = deadline(patience);
        match source {
            Source::Origin(address) => Self::at(server, edge, address, end, request),
            Source::Sibling(holder) => {
                let visit = |siblings: &Arc<Siblings>| siblings.visit(holder, server.next_id());
                let gone = || Err(ErrorKind::NotFound.into());
                let connection = server.siblings.as_ref().map_or_else(gone, visit);
                let connection = connection.map_err(|error| OriginError {
                    origin: holder.to_string(),
                    phase: Phase::Connect,
                    cause: Cause::Failed(error.into()),
                })?;
                Self::over(server, connection, holder.to_string(), end, request)
            }
        }
    }

    fn at(
        server: &Server,
        edge: &Edge,
        address: &OriginAddress,
        end: Instant,
        request: &ClientRequest,
    ) -> Result<(Self, u32), OriginError> {
        let fail = |phase, cause| OriginError {
            origin: format!("origin {address}"),
            phase,
            cause,
        };
        let io = |phase| move |error: io::Error| fail(phase, Cause::Failed(error.into()));
        let id = server.next_id();
        let until = deadline(limits::RESOLVE_DEADLINE).min(end);
        let addresses = edge.resolver.resolve(&server.threads, id, address, until);
        let addresses = addresses.map_err(io(Phase::Resolve))?;
        let socket = connect(&addresses, end).map_err(io(Phase::Connect))?;
        if let Some(address) = edge.is_loop(&socket) {
            return Err(fail(Phase::Connect, Cause::Loop(address)));
        }
        let peer = socket.peer_addr().map_err(io(Phase::Connect))?;
        set_options(&SockRef::from(&socket)).map_err(io(Phase::Connect))?;
        let total = Arc::clone(&server.totals.upstream);
        let socket = socket.into();
        let connection = Connection::new(id, socket, peer, Protocol::Rtmp, total, None);
        let config = server.config();
        let vhost = request.vhost.as_deref();
        let request = ClientRequest {
            host: address.to_string(),
            vhost: config.vhost(vhost).cluster.vhost_at_origin(vhost),
            ..request.clone()
        };
        Self::over(
            server,
            connection,
            format!("origin {address}"),
            end,
            &request,
        )
    }

    /// Asks over a connection that is there.
    fn over(
        server: &Server,
        connection: Connection,
        origin: String,
        end: Instant,
        request: &ClientRequest,
    ) -> Result<(Self, u32), OriginError> {
        let within = |limit| deadline(limit).min(end);
        let mut until = Until(&connection, within(limits::ORIGIN_HANDSHAKE_DEADLINE));
        if let Err(error) = handshake::ask(&mut until, connection.id) {
            return Err(OriginError {
                origin,
                phase: Phase::Handshake,
                cause: Cause::Failed(error.into()),
            });
        }
        let mut upstream = Self::ask(server, connection, origin, request);
        match upstream.await_yes(within(limits::ORIGIN_ANSWER_DEADLINE)) {
            Ok(id) => Ok((upstream, id)),
            Err(cause) => Err(upstream.failed(Phase::Answer, cause)),
        }
    }

    /// Begins to ask for a stream.
    fn ask(
        server: &Server,
        connection: Connection,
        origin: String,
        request: &ClientRequest,
    ) -> Self {
        let mut events = Vec::new();
        let mut assembler = Assembler::default();
        assembler.trust();
        Self {
            connection,
            origin,
            session: ClientSession::new(request.clone(), &mut events),
            assembler,
            acknowledger: Acknowledger::default(),
            input: BytesMut::new(),
            charge: server.budget.open(),
            events: VecDeque::from(events),
        }
    }

    /// The next thing the origin said, of what has been read.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Takes in what was read; answers what must be answered.
    ///
    /// # Errors
    ///
    /// The origin broke the protocol, or does not take our answer.
    pub fn received(&mut self, bytes: &[u8]) -> Result<(), ConnectionError> {
        let mut events = Vec::new();
        self.input.extend_from_slice(bytes);
        for part in bytes.chunks(limits::ACK_STEP) {
            let message = self.acknowledger.received(part.len());
            events.extend(message.map(|message| Event::Send(chunks(&message))));
        }
        let result = self.messages(&mut events);
        // What came before an error counts.
        self.take(events)?;
        result?;
        let held = self.assembler.held_with(&self.input);
        let bytes = held.saturating_add(limits::READ_BYTES);
        let fits = self.charge.resize(bytes, Share::Stream);
        fits.then_some(()).ok_or(ConnectionError::Memory)
    }

    fn messages(&mut self, events: &mut Vec<Event>) -> Result<(), SessionError> {
        while let Some(message) = self.assembler.next_message(&mut self.input)? {
            self.acknowledger.heed(&message);
            self.session.handle(message, events)?;
        }
        Ok(())
    }

    /// Whether a message has not come to its end.
    pub fn is_in_message(&self) -> bool {
        self.assembler.is_in_message(&self.input)
    }

    /// Says that our stream is over, and ends the connection so that this arrives.
    pub fn finish(mut self) {
        let mut events = Vec::new();
        self.session.unpublish(&mut events);
        // If it cannot be said any more, the end of the connection says it.
        let _ = self.take(events);
        self.connection.linger();
    }

    /// What failed after the yes.
    pub fn failed(&self, phase: Phase, cause: Cause) -> OriginError {
        OriginError {
            origin: self.origin.clone(),
            phase,
            cause,
        }
    }

    /// Writes what is to be sent, and keeps the rest for [`Self::event`].
    fn take(&mut self, events: impl IntoIterator<Item = Event>) -> Result<(), ConnectionError> {
        let mut out = BytesMut::new();
        for event in events {
            match event {
                Event::Send(ref bytes) => out.extend_from_slice(bytes),
                Event::Granted(_)
                | Event::Refused(..)
                | Event::Redirect(_)
                | Event::Reconnect
                | Event::Deliver(_)
                | Event::Ended => self.events.push_back(event),
            }
        }
        let deadline = deadline(limits::REPLY_DEADLINE);
        Ok(self.connection.write(&out, deadline)?)
    }

    fn await_yes(&mut self, deadline: Instant) -> Result<u32, Cause> {
        let first = core::mem::take(&mut self.events);
        self.take(first).map_err(Cause::Failed)?;
        let mut reconnect = None;
        loop {
            match self.await_event(deadline)? {
                Event::Granted(id) => {
                    // For who relays.
                    self.events.extend(reconnect);
                    return Ok(id);
                }
                event @ Event::Reconnect => reconnect = Some(event),
                Event::Send(_)
                | Event::Refused(..)
                | Event::Redirect(_)
                | Event::Deliver(_)
                | Event::Ended => {}
            }
        }
    }

    /// Waits for the first audio, video or `onMetaData`. SRS says yes before it asks its `on_play` hook, or
    /// sends us elsewhere: only what comes then is its answer.
    ///
    /// # Errors
    ///
    /// It says no after all, or nothing for [`limits::ORIGIN_PATIENCE`].
    pub fn await_media(&mut self) -> Result<(), OriginError> {
        let until = deadline(limits::ORIGIN_PATIENCE);
        loop {
            match self.await_event(until) {
                Ok(Event::Deliver(media)) if media.kind != MediaKind::Data => return Ok(()),
                Ok(_) => {}
                Err(cause) => return Err(self.failed(Phase::FirstMedia, cause)),
            }
        }
    }

    /// The next thing that the origin says, if it is not a no.
    fn await_event(&mut self, deadline: Instant) -> Result<Event, Cause> {
        let failed = |error: io::Error| Cause::Failed(error.into());
        let mut buffer = Vec::new();
        loop {
            match self.event() {
                Some(Event::Refused(code, why)) => return Err(Cause::Refused(code, why)),
                Some(Event::Redirect(url)) => return Err(Cause::Redirect(Url::parse(&url))),
                Some(event) => return Ok(event),
                None => {
                    buffer.resize(limits::READ_BYTES, 0);
                    let length = self.connection.read(&mut buffer, deadline);
                    let length = length.map_err(failed)?;
                    if length == 0 {
                        return Err(Cause::Closed);
                    }
                    let bytes = buffer.get(..length).unwrap_or_default();
                    self.received(bytes).map_err(Cause::Failed)?;
                }
            }
        }
    }
}

impl Edge {
    /// Makes an attempt at an origin of a vhost, and where it sends us.
    ///
    /// # Errors
    ///
    /// Of the last attempt.
    pub fn follow<T>(
        &self,
        (vhost, origin): (Option<&str>, &Origin),
        mut attempt: impl FnMut(&OriginAddress) -> Result<T, OriginError>,
    ) -> Result<T, OriginError> {
        let mut result = attempt(&origin.address);
        for _ in 0..limits::MAX_REDIRECTS {
            let redirect = result.as_ref().err().and_then(OriginError::redirect);
            let Some(address) = redirect.and_then(|url| self.allows(vhost, url)) else {
                break;
            };
            result = attempt(&address);
        }
        result
    }

    /// Where a redirection leads, if we may go there. Stream and application stay ours.
    fn allows(&self, vhost: Option<&str>, url: &Url) -> Option<OriginAddress> {
        let upstreams = self.upstreams(vhost);
        let origins = upstreams.origins.iter().map(|origin| &origin.address);
        let mut allowed = origins.chain(&upstreams.redirects);
        let is_it = |known: &&OriginAddress| {
            known.port == url.port && known.host.eq_ignore_ascii_case(&url.host)
        };
        allowed.find(is_it).cloned()
    }

    /// Our address, if the connection has come out at one of our own listeners' addresses.
    fn is_loop(&self, socket: &TcpStream) -> Option<SocketAddr> {
        let (peer, local) = (socket.peer_addr().ok()?, socket.local_addr().ok()?);
        let ip = peer.ip().to_canonical();
        let ours = |address: &&SocketAddr| {
            let listener = address.ip().to_canonical();
            address.port() == peer.port() && (listener.is_unspecified() || listener == ip)
        };
        let here = local.ip().to_canonical() == ip;
        (here && self.listening.iter().any(|address| ours(&address))).then_some(peer)
    }
}

/// The first of `addresses` that answers.
///
/// # Errors
///
/// None does until `end`; why not the last.
pub fn connect(addresses: &[SocketAddr], end: Instant) -> io::Result<TcpStream> {
    let mut last = ErrorKind::TimedOut.into();
    for (tried, address) in addresses.iter().enumerate() {
        let rest = end.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            break;
        }
        // One that does not answer must leave time for the others.
        let left = addresses.len().saturating_sub(tried).max(1);
        let share = rest
            .checked_div(u32::try_from(left).unwrap_or(1))
            .unwrap_or(rest);
        match TcpStream::connect_timeout(address, share.min(limits::CONNECT_DEADLINE)) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use socket2::{Domain, Socket, Type};

    use super::*;

    /// A listener whose queue is full answers nobody.
    #[test]
    fn an_address_that_does_not_answer_leaves_time_for_the_next() {
        let silent = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        silent.bind(&any.into()).unwrap();
        silent.listen(0).unwrap();
        let full = silent.local_addr().unwrap().as_socket().unwrap();
        let wait = Duration::from_millis(100);
        let mut waiting = Vec::new();
        while let Ok(socket) = TcpStream::connect_timeout(&full, wait) {
            waiting.push(socket);
            assert!(waiting.len() < 10, "its queue is endless");
        }
        let listener = TcpListener::bind(any).unwrap();
        let good = listener.local_addr().unwrap();
        let socket = connect(&[full, good], deadline(Duration::from_secs(2))).unwrap();
        assert_eq!(socket.peer_addr().unwrap(), good);
    }
}
