//! One RTMP connection: read → assemble → handle → act.

use std::borrow::Cow;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use log::{debug, info};

use crate::hub::budget::{Charge, Share};
use crate::limits;
use crate::server::Server;
use crate::server::activity::{Activity, losses};
use crate::server::connection::{Connection, deadline};
use crate::server::error::ConnectionError;
use crate::server::handshake::{self, Until};
use crate::server::hook::{self, Grant, May};
use crate::server::log::escape;
use crate::server::play::{self, Seat};
use crate::server::port::Protocol;
use crate::server::publish::{Publication, Refusal};
use crate::session::acknowledgement::Acknowledger;
use crate::session::action::{Action, Ending, chunks};
use crate::session::assembler::Assembler;
use crate::session::media::Media;
use crate::session::server::ServerSession;
use crate::wire::name::StreamRequest;

/// Serves one connection until it ends or plays. The body of its thread.
pub fn serve(server: &Arc<Server>, connection: &Arc<Connection>) {
    debug!("{connection}: connected");
    // Not on the stack, of which a connection keeps what it has touched.
    let mut peer = Box::new(Peer::new(Arc::clone(server), Arc::clone(connection)));
    match peer.handshake().and_then(|()| peer.receive()) {
        Ok(Done::Plays(seat)) => play::settle(peer, seat),
        Ok(Done::Ended(why)) => peer.end(&Ok(why)),
        Err(error) => peer.end(&Err(error)),
    }
}

/// How a connection's first thread ends.
#[derive(Debug)]
pub enum Done {
    /// So does the connection; why.
    Ended(Cow<'static, str>),
    /// It plays.
    Plays(Seat),
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
    /// What it has sent of messages that are not whole.
    charge: Charge,
    /// Replies that are not written yet.
    outbox: BytesMut,
    publication: Option<Publication>,
    /// Those of the vhosts that let it in. They end after that.
    visits: Vec<Grant>,
    /// Until when a peer that neither publishes nor plays must do so.
    commands: Instant,
    /// For the log: what the connection was for, and since when.
    what: &'static str,
    begun: Instant,
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
            charge: server.budget.open(),
            server,
            connection,
            session: ServerSession::default(),
            assembler: Assembler::default(),
            acknowledger: Acknowledger::default(),
            input: BytesMut::new(),
            outbox: BytesMut::new(),
            publication: None,
            visits: Vec::new(),
            commands: Instant::now(),
            what: "connection",
            begun: Instant::now(),
        }
    }

    fn handshake(&self) -> Result<(), ConnectionError> {
        let deadline = deadline(limits::HANDSHAKE_DEADLINE);
        let mut peer = Until(&self.connection, deadline);
        handshake::accept(&mut peer, self.connection.id)
    }

    /// Reads until the peer is done; why.
    fn receive(&mut self) -> Result<Done, ConnectionError> {
        let mut buffer = vec![0; limits::READ_BYTES_EARLY];
        self.commands = deadline(limits::COMMAND_DEADLINE);
        loop {
            let length = match &mut self.publication {
                Some(publication) => publication.read(&self.connection, &mut buffer)?,
                None => self.connection.read(&mut buffer, self.commands)?,
            };
            if length == 0 {
                if let Some(lost) = self.publication.as_ref().and_then(Publication::lost) {
                    return self.lose(lost).map(Done::Ended);
                }
                return Ok(Done::Ended(self.end_of_input().into()));
            }
            self.received(buffer.get(..length).unwrap_or_default());
            if let Some(publication) = &self.publication {
                publication.stream().traffic.receive(length);
            }
            let next = self.messages();
            // What came before an error or an end still arrives.
            if let Some(lost) = self.hand_on() {
                return self.lose(lost).map(Done::Ended);
            }
            match next? {
                Next::Read => {}
                Next::End(why) => return Ok(Done::Ended(why)),
                Next::Play(request) => {
                    self.what = "player";
                    return play::begin(self, &request);
                }
            }
            self.ask_to_reconnect();
            self.flush()?;
            if let Some(publication) = &mut self.publication {
                // Also in the middle of a message: its rest is on its way.
                let in_message = self.assembler.is_in_message(&self.input);
                let read = (length, length == buffer.len() || in_message);
                publication.pause(&self.server, &self.connection, read);
                buffer.resize(limits::READ_BYTES, 0);
            }
        }
    }

    /// Makes its buffers as large as what is left in them: it plays, and says little.
    pub fn shrink(&mut self) {
        self.input = BytesMut::from(&*self.input);
        self.outbox = BytesMut::from(&*self.outbox);
    }

    /// Ends the connection, and says why it ends.
    pub fn end(mut self: Box<Self>, result: &Result<Cow<'static, str>, ConnectionError>) {
        let (connection, what) = (&self.connection, self.what);
        connection.set_left();
        drop(self.publication.take());
        let seconds = self.begun.elapsed().as_secs_f64();
        let losses = losses(connection, self.session.dropped());
        let why = match result {
            Ok(why) => escape(why).to_string(),
            Err(error) => error.to_string(),
        };
        info!("{connection}: {what} ended after {seconds:.1} s: {why}{losses}");
        match result {
            // The peer must still get what we sent last; a sender sees to that for a player.
            Ok(_) if !connection.is_playing() => connection.linger(),
            Ok(_) => {}
            // It is gone or takes nothing: what the kernel still holds for it is given up.
            Err(ConnectionError::Io(_)) => connection.reset("it failed"),
            Err(ConnectionError::Session(_) | ConnectionError::Memory) => connection.shut(),
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

    /// Takes in what was published, and passes it on if that is much; why that is over, if it is.
    fn deliver(&mut self, media: Media) -> Option<Refusal> {
        let publication = self.publication.as_mut()?;
        match publication.take(&self.server, &self.connection, media) {
            Ok(true) => self.hand_on(),
            Ok(false) => None,
            // What came before still arrives.
            Err(no_memory) => Some(self.hand_on().unwrap_or(no_memory)),
        }
    }

    /// Passes on what was published; why that is over, if it is.
    fn hand_on(&mut self) -> Option<Refusal> {
        self.publication.as_mut()?.hand_on().err()
    }

    /// Takes in bytes, and counts them.
    pub fn received(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        for part in bytes.chunks(limits::ACK_STEP) {
            if let Some(message) = self.acknowledger.received(part.len()) {
                self.reply(&chunks(&message));
            }
        }
    }

    /// The actions of the next message that has arrived; `None` if there is none.
    ///
    /// # Errors
    ///
    /// The peer broke the protocol, or sent more than there is memory for.
    pub fn actions(&mut self) -> Result<Option<Vec<Action>>, ConnectionError> {
        let Some(message) = self.assembler.next_message(&mut self.input)? else {
            self.count_memory()?;
            return Ok(None);
        };
        self.acknowledger.heed(&message);
        let mut actions = Vec::new();
        self.session.handle(message, &mut actions)?;
        Ok(Some(actions))
    }

    fn count_memory(&mut self) -> Result<(), ConnectionError> {
        let held = self.assembler.held_with(&self.input);
        let (bytes, share) = if self.publication.is_some() {
            (held.saturating_add(limits::READ_BYTES), Share::Stream)
        } else {
            (held.saturating_sub(limits::EARLY_BYTES), Share::Early)
        };
        let fits = self.charge.resize(bytes, share);
        fits.then_some(()).ok_or(ConnectionError::Memory)
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
                    if let Some(lost) = self.deliver(media) {
                        return Ok(Some(Next::End(self.lose(lost)?)));
                    }
                }
                Action::Connect => {
                    if let Some(end) = self.connect()? {
                        return Ok(Some(end));
                    }
                }
                Action::Publish(request) => {
                    let request = self.server.select(&self.connection, request);
                    next = self.publish(&request)?;
                }
                Action::Play(request) => {
                    next = Next::Play(self.server.select(&self.connection, request));
                }
                Action::Unpublish => {
                    if let Some(lost) = self.hand_on() {
                        return Ok(Some(Next::End(self.lose(lost)?)));
                    }
                    drop(self.publication.take());
                    self.connection.set_activity(None);
                    info!("{}: unpublishes", self.connection);
                    self.commands = deadline(limits::COMMAND_DEADLINE);
                }
                Action::Filter(..) => {}
                Action::Close(Ending::Refused(why)) => {
                    self.flush()?;
                    next = Next::End(format!("refused: {why}").into());
                }
                Action::Close(Ending::Done) => next = Next::End("done".into()),
            }
        }
        Ok(Some(next))
    }

    /// Lets the peer in, or ends the connection.
    fn connect(&mut self) -> Result<Option<Next>, ConnectionError> {
        let from = self.session.introduction();
        // It is said once.
        let _ = self.connection.introduction.set(from.clone());
        let Err(why) = self.visit(None) else {
            return Ok(None);
        };
        let mut actions = Vec::new();
        self.session.refuse_connect(&why, &mut actions);
        self.send_all(actions);
        self.flush()?;
        Ok(Some(Next::End(format!("refused: {why}").into())))
    }

    /// Asks whether the peer may come to the vhost of its `connect`, or of the stream that it names
    /// after that, unless it is there already.
    ///
    /// # Errors
    ///
    /// Why not, for the peer to hear.
    pub fn visit(&mut self, request: Option<&StreamRequest>) -> Result<(), String> {
        let is_there = |request: &StreamRequest| {
            let mut visits = self.visits.iter();
            visits.any(|grant| grant.visit().vhost() == request.path.vhost())
        };
        if !request.is_some_and(is_there) {
            let from = (self.session.introduction(), request);
            let grant = hook::ask(&self.server, &self.connection, May::Connect, from)?;
            self.visits.extend(grant);
        }
        Ok(())
    }

    fn publish(&mut self, request: &StreamRequest) -> Result<Next, ConnectionError> {
        // What a slow origin makes us wait for must not hold back earlier replies.
        self.flush()?;
        let visited = self.visit(Some(request)).map_err(Refusal::bad_name);
        let begin = |()| Publication::begin(&self.server, &self.connection, &self.session, request);
        match visited.and_then(begin) {
            Ok(publication) => {
                info!("{}: publishes {}", self.connection, request.path);
                self.what = "publisher";
                self.assembler.trust();
                let mut actions = Vec::new();
                self.session.publish_granted(&mut actions);
                self.send_all(actions);
                self.flush()?;
                publication.prepare(&self.connection)?;
                let activity = Activity::Publishes(Arc::downgrade(publication.stream()));
                self.connection.set_activity(Some(activity));
                self.server.totals.published.more();
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

    /// Queues, once the process drains, that the peer should connect anew, if it can be asked. A sibling
    /// would come back to us: it wants what is here.
    pub fn ask_to_reconnect(&mut self) {
        let is_sibling = self.connection.protocol == Protocol::Sibling;
        if self.server.is_draining() && self.session.reconnects() && !is_sibling {
            let mut actions = Vec::new();
            self.session.ask_to_reconnect(&mut actions);
            self.send_all(actions);
            info!("{}: asked to connect anew", self.connection);
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
        if let Some(why) = self.connection.reset_reason() {
            why
        } else if self.server.is_stopping() {
            "the server stops"
        } else {
            "closed by peer"
        }
    }
}
