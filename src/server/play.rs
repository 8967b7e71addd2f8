//! A connection that plays: waits for its stream, takes its opening, and then only reads. Finding
//! the stream and taking a place are the same for HTTP-FLV.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use log::{Level, info};

use crate::config::Access;
use crate::hub::frame::Frame;
use crate::hub::queue::{Gauge, Switch, count_in};
use crate::hub::registry::Attached;
use crate::hub::stream::{Joined, Start, Stream};
use crate::limits;
use crate::server::Server;
use crate::server::activity::{Activity, How};
use crate::server::connection::{Connection, deadline};
use crate::server::edge::wanted::client_request;
use crate::server::error::ConnectionError;
use crate::server::hook::{self, Grant, May};
use crate::server::log::escape;
use crate::server::port::Protocol;
use crate::server::rtmp::{Done, Peer};
use crate::server::sender::{Sender, Unsent, Writer};
use crate::server::thread::Role;
use crate::session::action::{Action, Filter};
use crate::session::client::Purpose;
use crate::session::connect::Introduction;
use crate::session::server::Via;
use crate::wire::name::StreamRequest;

/// Lets the player in: when this returns, its stream's sender writes to it.
///
/// # Errors
///
/// The player broke the protocol, or did not take its opening.
pub fn begin(peer: &mut Peer, request: &StreamRequest) -> Result<Done, ConnectionError> {
    let via = peer.session.via();
    let (server, connection) = (Arc::clone(&peer.server), Arc::clone(&peer.connection));
    let is_ours = via.coworker || connection.protocol == Protocol::Sibling;
    let from = peer.session.introduction().clone();
    let visited = peer.visit(Some(request)).map_err(Denied::Forbidden);
    let found = visited.and_then(|()| {
        let has_left = || peer.has_left();
        find(&server, &connection, (&from, request), via, has_left)
    });
    let found = match found {
        Ok(found) => found,
        Err(denied) => {
            let why = denied.why();
            // Such a one asks for whatever somebody wants there, again and again.
            log::log!(
                if is_ours { Level::Debug } else { Level::Info },
                "{connection}: may not play {}: {}",
                request.path,
                escape(why)
            );
            peer.refuse("NetStream.Play.StreamNotFound", why)?;
            return Ok(Done::Ended("refused".into()));
        }
    };
    let mut actions = Vec::new();
    peer.session.play_granted(&mut actions);
    let mut opening = Unsent::default();
    opening.push(Arc::new(Frame::control(peer.take_outbox())));
    for action in actions {
        if let Action::Send(bytes) = action {
            opening.push(Arc::new(Frame::control(bytes)));
        }
    }
    info!("{}: plays {}", peer.connection, request.path);
    let stream = &found.attached.stream;
    let joined = if is_ours {
        stream.join_relay()
    } else {
        stream.join(Start::Group)
    };
    let who = (&connection, How::Rtmp);
    let seat = take_seat(&server, who, (found, joined), |_| opening)?;
    Ok(Done::Plays(seat))
}

/// Why there is nothing to play, for the peer and the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Denied {
    /// The peer may not play.
    Forbidden(String),
    /// There is no such stream.
    Missing(String),
    /// We cannot look for it now.
    Unavailable(String),
}

impl Denied {
    /// In words.
    pub fn why(&self) -> &str {
        match self {
            Self::Forbidden(why) | Self::Missing(why) | Self::Unavailable(why) => why,
        }
    }
}

/// A stream that may be played.
#[derive(Debug)]
pub struct Found {
    /// The stream.
    pub attached: Attached<Writer>,
    /// Ends last: the hooks hear of it.
    grant: Option<Grant>,
}

/// The stream, live. `has_left` is asked now and then whether the player still waits.
///
/// # Errors
///
/// Why there is none, at the latest after the configured `play_wait`.
pub fn find(
    server: &Arc<Server>,
    connection: &Arc<Connection>,
    (from, request): (&Introduction, &StreamRequest),
    via: Via,
    has_left: impl FnMut() -> bool,
) -> Result<Found, Denied> {
    if connection.protocol == Protocol::Sibling {
        return find_here(server, request, via, has_left).map(|attached| Found {
            attached,
            grant: None,
        });
    }
    server
        .permit(Access::Play, connection, &request.path, request.queries())
        .map_err(|denial| Denied::Forbidden(denial.to_string()))?;
    let grant = hook::ask(server, connection, May::Play, (from, Some(request)));
    let grant = grant.map_err(Denied::Forbidden)?;
    let attached = find_somewhere(server, request, via, has_left)?;
    Ok(Found { attached, grant })
}

/// The same for who may play it.
fn find_somewhere(
    server: &Arc<Server>,
    request: &StreamRequest,
    via: Via,
    mut has_left: impl FnMut() -> bool,
) -> Result<Attached<Writer>, Denied> {
    let path = request.path.to_string();
    if via.coworker && !server.has_publisher(&path) {
        // At once: it has others to ask. What we fetch ourselves may come from there.
        return Err(Denied::Missing("it is not published here".to_owned()));
    }
    let attached = attach(server, &path)?;
    let wait = server.config().vhost(request.path.vhost()).play.play_wait;
    let deadline = deadline(wait);
    let mut is_done = || has_left() || Instant::now() >= deadline;
    let edge = &server.edge;
    edge.want(server, &attached, (request, via), &mut is_done)?;
    while Instant::now() < deadline && !server.is_stopping() {
        let look = Instant::now()
            .checked_add(limits::PLAYER_LOOK)
            .unwrap_or(deadline);
        if attached.stream.wait_live(look.min(deadline)) {
            return Ok(attached);
        }
        if has_left() {
            return Err(Denied::Missing("it left".to_owned()));
        }
    }
    if attached.stream.wait_live(deadline) {
        return Ok(attached);
    }
    let seconds = wait.as_secs_f64();
    Err(Denied::Missing(format!(
        "there is no such stream, and none came within {seconds} s"
    )))
}

/// The same for a sibling, which has asked its own player for the right, and knows that we have the
/// stream: nothing is looked for elsewhere, or we could send each other round.
fn find_here(
    server: &Arc<Server>,
    request: &StreamRequest,
    via: Via,
    mut has_left: impl FnMut() -> bool,
) -> Result<Attached<Writer>, Denied> {
    let path = request.path.to_string();
    let attached = attach(server, &path)?;
    // One edge, however many processes it is.
    let hops = via.hops.saturating_sub(1);
    let asked = client_request(Purpose::Play, request, Via { hops, ..via });
    server.edge.renew(&path, asked);
    let holds = || {
        let siblings = server.siblings.as_ref();
        siblings.is_some_and(|siblings| siblings.holds(&path))
    };
    let until = deadline(limits::ORIGIN_PATIENCE);
    while holds() && Instant::now() < until && !server.is_stopping() && !has_left() {
        if attached.stream.wait_live(deadline(limits::POLL)) {
            return Ok(attached);
        }
    }
    let why = "this process does not have the stream, or not any more";
    Err(Denied::Missing(why.to_owned()))
}

fn attach(server: &Server, path: &str) -> Result<Attached<Writer>, Denied> {
    let stopping = |_| Denied::Unavailable("the server stops".to_owned());
    server.registry.attach(path).map_err(stopping)
}

/// Takes up a place in the stream's fan-out: writes what `begin` makes of the opening, and the opening
/// itself, and gives the writing to the stream's sender.
///
/// # Errors
///
/// The player did not take its opening, or nothing can write for it.
pub fn take_seat(
    server: &Arc<Server>,
    (connection, how): (&Arc<Connection>, How),
    (found, joined): (Found, Joined),
    begin: impl FnOnce(&[Arc<Frame>]) -> Unsent,
) -> Result<Seat, ConnectionError> {
    let seat = Seat {
        attached: found.attached,
        _grant: found.grant,
        player: joined.player,
        gauge: Arc::clone(&joined.frames.gauge),
    };
    let mut opening = begin(&joined.opening);
    opening.extend(joined.opening);
    let players = &server.rhythm.players;
    let before = connection.traffic.sent();
    let writer = Writer::open(Arc::clone(connection), joined.frames, opening, players)?;
    connection.count_for(&seat.stream().traffic, before);
    connection.set_activity(Some(Activity::Plays {
        how,
        path: Arc::clone(&seat.stream().path),
        gauge: Some(Arc::clone(&seat.gauge)),
    }));
    server.totals.played.more();
    hand_over(server, &seat.attached.stream, writer)?;
    Ok(seat)
}

/// Gives the player to the stream's sender, and starts that if it is the first.
fn hand_over(
    server: &Arc<Server>,
    stream: &Arc<Stream<Writer>>,
    writer: Writer,
) -> Result<(), ConnectionError> {
    let start = || {
        let registry = Arc::clone(&server.registry);
        let sender = Sender::new(registry, Arc::clone(stream), server.rhythm.clone());
        let beat = sender.beat();
        #[cfg(test)]
        if crate::server::fault::fires(crate::server::fault::Place::Start, &stream.path) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let thread = server
            .threads
            .spawn(Role::Send, server.next_id(), move || sender.run())?;
        Ok(Sender::bell(beat, thread.thread()))
    };
    stream.hand_over(writer, start).map_err(ConnectionError::Io)
}

/// Reads what a player says; if it stays, in a thread that has touched little memory so far, and needs
/// little: there are many.
pub fn settle(mut peer: Box<Peer>, seat: Seat) {
    let settled = deadline(limits::PLAYER_SETTLES);
    if let Some(result) = listen(&mut peer, &seat, Some(settled)).transpose() {
        return leave(peer, seat, &result);
    }
    let (server, connection) = (Arc::clone(&peer.server), Arc::clone(&peer.connection));
    if !server.threads.has_room(Role::Play) {
        // It plays all the same.
        if let Some(result) = listen(&mut peer, &seat, None).transpose() {
            leave(peer, seat, &result);
        }
        return;
    }
    peer.shrink();
    let spawned = server.threads.run(Role::Play, connection.id, move || {
        if let Some(result) = listen(&mut peer, &seat, None).transpose() {
            leave(peer, seat, &result);
        }
    });
    if let Err(error) = spawned {
        info!("{connection}: no thread to play in: {error}");
        connection.shut();
    }
}

/// Ends a player.
fn leave(peer: Box<Peer>, seat: Seat, result: &Result<Cow<'static, str>, ConnectionError>) {
    drop(seat);
    if result.is_ok() {
        // The sender sends what is queued and ends our output; see `Connection::linger`.
        peer.connection.drain_input();
    }
    peer.end(result);
}

/// Reads what a player says (pings, acknowledgements, pauses) to its end, or until it still plays at
/// `until`. Why it ended; `None`: it plays.
///
/// # Errors
///
/// The player broke the protocol.
fn listen(
    peer: &mut Peer,
    seat: &Seat,
    until: Option<Instant>,
) -> Result<Option<Cow<'static, str>>, ConnectionError> {
    let mut buffer = [0; limits::PLAYER_READ_BYTES];
    loop {
        // First what it said while it waited.
        while let Some(actions) = peer.actions()? {
            for action in actions {
                match action {
                    Action::Send(bytes) => peer.reply(&bytes),
                    Action::Filter(filter, off) => seat.switch(filter, off),
                    Action::Close(_) => return Ok(Some("done".into())),
                    Action::Connect
                    | Action::Publish(_)
                    | Action::Play(_)
                    | Action::Deliver(_)
                    | Action::Unpublish => {}
                }
            }
        }
        peer.ask_to_reconnect();
        let replies = peer.take_outbox();
        if !replies.is_empty() && !seat.reply(replies) {
            return Ok(Some("takes no replies".into()));
        }
        // Who can be asked to connect anew is, also if it says nothing.
        let reconnects = peer.session.reconnects();
        let look = until.or_else(|| reconnects.then(|| deadline(limits::PLAYER_LOOK)));
        let length = match peer.connection.read_until(&mut buffer, look) {
            Err(error) if look.is_some() && error.kind() == ErrorKind::TimedOut => match until {
                Some(_) => return Ok(None),
                None => continue,
            },
            read => read?,
        };
        if length == 0 {
            return Ok(Some(seat.why(&peer.connection).into()));
        }
        peer.received(buffer.get(..length).unwrap_or_default());
    }
}

/// A place in the fan-out, given up on drop.
#[derive(Debug)]
pub struct Seat {
    attached: Attached<Writer>,
    player: u64,
    gauge: Arc<Gauge>,
    _grant: Option<Grant>,
}

impl Seat {
    /// The stream that is played.
    pub fn stream(&self) -> &Stream<Writer> {
        &self.attached.stream
    }

    /// Why there is nothing more to read.
    pub fn why(&self, connection: &Connection) -> &'static str {
        if let Some(reason) = connection.reset_reason() {
            reason
        } else if self.gauge.is_over() {
            "the stream is over"
        } else if self.stream().control(self.player).is_none() {
            "too slow, a sequence header found no room"
        } else {
            "closed by peer"
        }
    }

    fn switch(&self, filter: Filter, off: bool) {
        let switch = match filter {
            Filter::All => Switch::All,
            Filter::Audio => Switch::Audio,
            Filter::Video => Switch::Video,
        };
        self.gauge.switch(switch, off);
    }

    /// Queues a reply behind the media; whether it found a place in time. What comes too late for
    /// a stream that is over counts as sent.
    fn reply(&self, bytes: Bytes) -> bool {
        let Some((frames, gauge, bell)) = self.stream().control(self.player) else {
            return true;
        };
        let frame = Arc::new(Frame::control(bytes));
        count_in(&gauge, &frame);
        let sent = frames.send_timeout(frame, limits::CONTROL_DEADLINE).is_ok();
        // Before the bell: while it lives, the sender does not see that the queue has ended.
        drop(frames);
        if let Some(bell) = bell {
            bell.ring();
        }
        sent
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.stream().leave(self.player);
    }
}
