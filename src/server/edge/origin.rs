//! A connection to an origin: resolve, connect, handshake, ask; each phase under a deadline.

use core::fmt;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use socket2::SockRef;

use crate::hub::budget::{Charge, Share};
use crate::limits;
use crate::server::Server;
use crate::server::connection::{Connection, deadline, set_options};
use crate::server::edge::{Edge, Origin};
use crate::server::error::ConnectionError;
use crate::server::handshake::{self, Until};
use crate::server::port::Protocol;
use crate::session::acknowledgement::Acknowledger;
use crate::session::action::chunks;
use crate::session::assembler::Assembler;
use crate::session::client::{ClientRequest, ClientSession, Event};
use crate::session::error::SessionError;

/// What was being done when it failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Looking up the name.
    Resolve,
    /// TCP.
    Connect,
    /// RTMP handshake.
    Handshake,
    /// `connect` … `publish` or `play`.
    Answer,
    /// It said yes to `play`; the first audio or video.
    FirstMedia,
    /// Relaying.
    Media,
}

/// An attempt at an origin that failed.
#[derive(Debug)]
pub struct OriginError {
    /// `host:port`, as configured.
    pub origin: String,
    /// What was being done.
    pub phase: Phase,
    /// Why it failed.
    pub cause: Cause,
}

impl OriginError {
    /// Whether the origin gave our stream's name to another publisher. To come back would take it
    /// away from that one in turn.
    pub fn is_final(&self) -> bool {
        let taken = matches!(&self.cause, Cause::Refused(code, _) if code.ends_with("BadName"));
        self.phase == Phase::Media && taken
    }
}

/// Why an attempt failed. Shown raw: what goes to the log is escaped there.
#[derive(Debug)]
pub enum Cause {
    /// The socket, a deadline, or the protocol.
    Failed(ConnectionError),
    /// The origin closed the connection.
    Closed,
    /// The origin says no: code and description.
    Refused(String, String),
    /// It does not take what is published as fast as that comes.
    TooSlow,
    /// The origin is ourselves, or a sibling on our port.
    Loop(SocketAddr),
}

impl Cause {
    /// Nobody goes where the origin says.
    pub fn redirected() -> Self {
        Self::Refused("302".to_owned(), "the stream is elsewhere".to_owned())
    }
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.phase {
            Phase::Resolve => "resolving",
            Phase::Connect => "connecting",
            Phase::Handshake => "handshake",
            Phase::Answer => "waiting for its answer",
            Phase::FirstMedia => "waiting for media",
            Phase::Media => "relaying",
        };
        write!(f, "origin {}: {phase}: ", self.origin)?;
        match &self.cause {
            Cause::Failed(ConnectionError::Io(error)) if error.kind() == ErrorKind::TimedOut => {
                f.write_str("it took too long")
            }
            Cause::Failed(error) => error.fmt(f),
            Cause::Closed => f.write_str("it closed the connection"),
            Cause::Refused(code, why) => write!(f, "{code} ({why})"),
            Cause::TooSlow => f.write_str("it is too slow"),
            Cause::Loop(address) => write!(
                f,
                "{address} is this server's own port: cluster.origin must name another server"
            ),
        }
    }
}

/// A connection to an origin that has been asked for a stream.
#[derive(Debug)]
pub struct Upstream {
    /// The socket.
    pub connection: Connection,
    /// `host:port`, as configured.
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
    /// Connects to `origin`, does the handshake, asks, and waits for a yes; the message stream id
    /// comes with it.
    ///
    /// # Errors
    ///
    /// Which phase failed, and why.
    pub fn open(
        server: &Server,
        edge: &Edge,
        (origin, patience): (&Origin, Duration),
        request: &ClientRequest,
    ) -> Result<(Self, u32), OriginError> {
        let address = &origin.address;
        let host = if address.host.contains(':') {
            format!("[{}]:{}", address.host, address.port)
        } else {
            format!("{}:{}", address.host, address.port)
        };
        let end = deadline(patience);
        let fail = |phase| {
            let origin = host.clone();
            move |cause| OriginError {
                origin,
                phase,
                cause,
            }
        };
        let io = |phase| {
            let fail = fail(phase);
            move |error: io::Error| fail(Cause::Failed(error.into()))
        };
        let within = |limit| deadline(limit).min(end);
        let id = server.next_id();
        let addresses = edge
            .resolver
            .resolve(
                &server.threads,
                id,
                address,
                within(limits::RESOLVE_DEADLINE),
            )
            .map_err(io(Phase::Resolve))?;
        let socket = connect(&addresses, end).map_err(io(Phase::Connect))?;
        if let Some(address) = edge.is_loop(&socket) {
            return Err(fail(Phase::Connect)(Cause::Loop(address)));
        }
        let peer = socket.peer_addr().map_err(io(Phase::Connect))?;
        set_options(&SockRef::from(&socket)).map_err(io(Phase::Connect))?;
        let connection = Connection::new(id, socket, peer, Protocol::Rtmp, None);
        let mut until = Until(&connection, within(limits::ORIGIN_HANDSHAKE_DEADLINE));
        handshake::ask(&mut until, id).map_err(io(Phase::Handshake))?;
        let mut upstream = Self::ask(server, connection, host.clone(), request);
        let answer = upstream.await_yes(within(limits::ORIGIN_ANSWER_DEADLINE));
        match answer {
            Ok(id) => Ok((upstream, id)),
            Err(cause) => Err(fail(Phase::Answer)(cause)),
        }
    }

    /// Begins to ask for a stream.
    fn ask(server: &Server, connection: Connection, host: String, request: &ClientRequest) -> Self {
        let mut events = Vec::new();
        let request = ClientRequest {
            host: host.clone(),
            ..request.clone()
        };
        let mut assembler = Assembler::default();
        assembler.trust();
        Self {
            connection,
            origin: host,
            session: ClientSession::new(request, &mut events),
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
        let failed = |error: io::Error| Cause::Failed(error.into());
        let first = core::mem::take(&mut self.events);
        self.take(first).map_err(Cause::Failed)?;
        let mut buffer = vec![0; limits::READ_BYTES];
        loop {
            match self.event() {
                Some(Event::Granted(id)) => return Ok(id),
                Some(Event::Refused(code, why)) => return Err(Cause::Refused(code, why)),
                Some(Event::Redirect(_)) => return Err(Cause::redirected()),
                Some(_) => {}
                None => {
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
fn connect(addresses: &[SocketAddr], end: Instant) -> io::Result<TcpStream> {
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
