//! One RTMP connection: read → assemble → handle → act.

use std::borrow::Cow;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use log::{debug, info};

use crate::limits;
use crate::server::Server;
use crate::server::connection::{Connection, deadline};
use crate::server::error::ConnectionError;
use crate::server::log::escape;
use crate::server::play;
use crate::server::publish::{Publication, Refusal};
use crate::session::acknowledgement::Acknowledger;
use crate::session::action::{Action, Ending, chunks};
use crate::session::assembler::Assembler;
use crate::session::error::SessionError;
use crate::session::server::ServerSession;
use crate::wire::handshake;
use crate::wire::name::StreamRequest;

/// Serves one connection to its end. The body of its thread.
pub fn serve(server: &Arc<Server>, connection: &Arc<Connection>) {
    debug!("{connection}: connected");
    let begun = Instant::now();
    let mut peer = Peer::new(Arc::clone(server), Arc::clone(connection));
    let result = peer.handshake().and_then(|()| peer.receive());
    connection.set_left();
    let what = peer.what;
    drop(peer.publication.take());
    let seconds = begun.elapsed().as_secs_f64();
    match &result {
        Ok(why) => info!(
            "{connection}: {what} ended after {seconds:.1} s: {}",
            escape(why)
        ),
        Err(error) => info!("{connection}: {what} ended after {seconds:.1} s: {error}"),
    }
    match result {
        // The peer must still get what we sent last; a sender sees to that for a player.
        Ok(_) if !connection.is_playing() => connection.linger(),
        Ok(_) => {}
        // It is gone or takes nothing: what the kernel still holds for it is given up.
        Err(ConnectionError::Io(_)) => connection.reset("it failed"),
        Err(ConnectionError::Session(_)) => connection.shut(),
    }
}

/// What the thread of a connection knows.
#[derive(Debug)]
pub struct Peer {
    /// The process.
    pub server: Arc<Server>,
    /// The socket.
    pub connection: Arc<Connection>,
    /// The protocol.
    pub session: ServerSession,
    assembler: Assembler,
    acknowledger: Acknowledger,
    input: BytesMut,
    /// Replies that are not written yet.
    outbox: BytesMut,
    publication: Option<Publication>,
    /// Until when a peer that neither publishes nor plays must do so.
    commands: Instant,
    /// For the log: what the connection was for.
    what: &'static str,
}

/// What the thread does after a batch of actions.
enum Next {
    Read,
    Play(StreamRequest),
    End(Cow<'static, str>),
}

impl Peer {
    fn new(server: Arc<Server>, connection: Arc<Connection>) -> Self {
        Self {
            server,
            connection,
            session: ServerSession::default(),
            assembler: Assembler::default(),
            acknowledger: Acknowledger::default(),
            input: BytesMut::new(),
            outbox: BytesMut::new(),
            publication: None,
            commands: Instant::now(),
            what: "connection",
        }
    }

    /// [RTMP §5.2]
    fn handshake(&self) -> Result<(), ConnectionError> {
        let deadline = deadline(limits::HANDSHAKE_DEADLINE);
        let mut version = [0];
        self.connection.read_exact(&mut version, deadline)?;
        if version != [handshake::VERSION] {
            let [version] = version;
            return Err(SessionError::Version(version).into());
        }
        let mut c1 = [0; handshake::PACKET_LENGTH];
        self.connection.read_exact(&mut c1, deadline)?;
        let reply = handshake::s0_s1_s2(&c1, self.connection.id);
        self.connection.write(&reply, deadline)?;
        // C2 is not checked: ffmpeg and others do not echo S1.
        self.connection.read_exact(&mut c1, deadline)?;
        Ok(())
    }

    /// Reads until the peer is done; why.
    fn receive(&mut self) -> Result<Cow<'static, str>, ConnectionError> {
        let mut buffer = vec![0; limits::READ_BYTES_EARLY];
        self.commands = deadline(limits::COMMAND_DEADLINE);
        loop {
            let length = match &mut self.publication {
                Some(publication) => publication.read(&self.connection, &mut buffer)?,
                None => self.connection.read(&mut buffer, self.commands)?,
            };
            if length == 0 {
                if let Some(lost) = self.publication.as_ref().and_then(Publication::lost) {
                    return self.lose(lost);
                }
                return Ok(self.end_of_input().into());
            }
            self.received(buffer.get(..length).unwrap_or_default());
            let next = self.messages();
            // What came before an error or an end still arrives.
            if let Some(lost) = self.hand_on() {
                return self.lose(lost);
            }
            match next? {
                Next::Read => {}
                Next::End(why) => return Ok(why),
                Next::Play(request) => {
                    drop(buffer);
                    self.what = "player";
                    return play::serve(self, &request);
                }
            }
            self.flush()?;
            if let Some(publication) = &mut self.publication {
                let read = (length, length == buffer.len());
                publication.pause(&self.server, &self.connection, read);
                buffer.resize(limits::READ_BYTES, 0);
            }
        }
    }

    /// Acts upon all messages that have arrived, or until one of them ends that.
    fn messages(&mut self) -> Result<Next, ConnectionError> {
        loop {
            match self.next()? {
                Some(Next::Read) => {}
                Some(next) => return Ok(next),
                None => return Ok(Next::Read),
            }
        }
    }

    /// Passes on what was published; why that is over, if it is.
    fn hand_on(&mut self) -> Option<Refusal> {
        self.publication.as_mut()?.hand_on().err()
    }

    /// Takes in bytes, and counts them.
    pub fn received(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        if let Some(message) = self.acknowledger.received(bytes.len()) {
            self.reply(&chunks(&message));
        }
    }

    /// The actions of the next message that has arrived; `None` if there is none.
    ///
    /// # Errors
    ///
    /// The peer broke the protocol.
    pub fn actions(&mut self) -> Result<Option<Vec<Action>>, SessionError> {
        let Some(message) = self.assembler.next_message(&mut self.input)? else {
            return Ok(None);
        };
        self.acknowledger.heed(&message);
        let mut actions = Vec::new();
        let result = self.session.handle(message, &mut actions);
        result.map(|()| Some(actions))
    }

    /// Takes in what a player says while it waits for its stream; whether it has left.
    pub fn has_left(&mut self) -> bool {
        let mut buffer = [0; limits::PLAYER_READ_BYTES];
        while self.input.len() < limits::MAX_MESSAGE_LENGTH_EARLY {
            match self.connection.read_waiting(&mut buffer) {
                Ok(0) => return true,
                Ok(length) => self.received(buffer.get(..length).unwrap_or_default()),
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
        }
        false
    }

    /// The replies that wait to be written.
    pub fn take_outbox(&mut self) -> Bytes {
        self.outbox.split().freeze()
    }

    fn next(&mut self) -> Result<Option<Next>, ConnectionError> {
        let Some(actions) = self.actions()? else {
            return Ok(None);
        };
        let mut next = Next::Read;
        for action in actions {
            match action {
                Action::Send(bytes) => self.reply(&bytes),
                Action::Deliver(media) => {
                    if let Some(publication) = &mut self.publication {
                        publication.take(&self.connection, media);
                    }
                }
                Action::Publish(request) => next = self.publish(&request)?,
                Action::Play(request) => next = Next::Play(request),
                Action::Unpublish => {
                    if let Some(lost) = self.hand_on() {
                        return Ok(Some(Next::End(self.lose(lost)?)));
                    }
                    drop(self.publication.take());
                    info!("{}: unpublishes", self.connection);
                    self.commands = deadline(limits::COMMAND_DEADLINE);
                }
                Action::Filter(..) => {}
                Action::Close(Ending::Refused) => {
                    self.flush()?;
                    next = Next::End("refused".into());
                }
                Action::Close(Ending::Done) => next = Next::End("done".into()),
            }
        }
        Ok(Some(next))
    }

    fn publish(&mut self, request: &StreamRequest) -> Result<Next, ConnectionError> {
        // What a slow origin makes us wait for must not hold back earlier replies.
        self.flush()?;
        match Publication::begin(&self.server, &self.connection, &self.session, request) {
            Ok(publication) => {
                info!("{}: publishes {}", self.connection, request.path);
                self.what = "publisher";
                self.assembler.trust();
                let mut actions = Vec::new();
                self.session.publish_granted(&mut actions);
                self.send_all(actions);
                self.flush()?;
                publication.prepare(&self.connection)?;
                self.publication = Some(publication);
                Ok(Next::Read)
            }
            Err(refusal) => {
                let why = &refusal.why;
                info!(
                    "{}: may not publish {}: {}",
                    self.connection,
                    request.path,
                    escape(why)
                );
                self.refuse(refusal.code, why)?;
                Ok(Next::End("refused".into()))
            }
        }
    }

    /// Tells the peer that what it published is over; why.
    fn lose(&mut self, lost: Refusal) -> Result<Cow<'static, str>, ConnectionError> {
        self.refuse(lost.code, &lost.why)?;
        Ok(lost.why.into())
    }

    /// Tells the peer no, and why.
    ///
    /// # Errors
    ///
    /// It does not take even that.
    pub fn refuse(&mut self, code: &str, why: &str) -> Result<(), ConnectionError> {
        let mut actions = Vec::new();
        self.session.refuse(code, why, &mut actions);
        self.send_all(actions);
        let bytes = self.take_outbox();
        let deadline = deadline(limits::REPLY_DEADLINE);
        Ok(self.connection.write(&bytes, deadline)?)
    }

    fn send_all(&mut self, actions: Vec<Action>) {
        for action in actions {
            if let Action::Send(bytes) = action {
                self.outbox.extend_from_slice(&bytes);
            }
        }
    }

    /// Queues a reply. A publisher that does not read its replies (OBS does not) loses them.
    pub fn reply(&mut self, bytes: &[u8]) {
        let full = self.outbox.len() >= limits::OUTBOX_BYTES;
        if self.publication.is_none() || !full {
            self.outbox.extend_from_slice(bytes);
        }
    }

    /// Writes the replies: all of them before the peer publishes, what fits without waiting then.
    fn flush(&mut self) -> Result<(), ConnectionError> {
        if self.outbox.is_empty() {
            return Ok(());
        }
        if self.publication.is_none() {
            let bytes = self.take_outbox();
            let deadline = deadline(limits::REPLY_DEADLINE);
            return Ok(self.connection.write(&bytes, deadline)?);
        }
        let slices = [io::IoSlice::new(&self.outbox)];
        let sent = self.connection.send(&slices, None)?;
        let _ = self.outbox.split_to(sent.min(self.outbox.len()));
        Ok(())
    }

    fn end_of_input(&self) -> &'static str {
        if self.server.is_stopping() {
            "the server stops"
        } else {
            "closed by peer"
        }
    }
}
