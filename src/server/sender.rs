//! One stream's writer: once per merge time it gives every player what waits for it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::hub::frame::Frame;
use crate::hub::queue::FrameReceiver;
use crate::hub::registry::Registry;
use crate::hub::stream::{Bell, Stream};
use crate::hub::tally::Traffic;
use crate::limits;
use crate::server::connection::{Connection, deadline};
use crate::server::format::Format;
use crate::server::rhythm::{Beat, Rhythm, ThreadBell};

/// A player's writing end. Dropped unfinished, it shuts the connection.
#[derive(Debug)]
pub struct Writer {
    connection: Arc<Connection>,
    frames: FrameReceiver,
    unsent: Unsent,
    /// Whether more can come out of the queue.
    open: bool,
    /// Until when the player may take the rest, once it has left or its stream is over.
    end: Option<Instant>,
    /// Since when the socket has taken nothing although something waits.
    stalled: Option<Instant>,
    finished: bool,
    players: Arc<AtomicUsize>,
}

/// Frames on their way into a socket.
#[derive(Debug, Default)]
pub struct Unsent {
    format: Format,
    frames: VecDeque<Arc<Frame>>,
    /// Bytes of the first frame that are gone already.
    offset: usize,
}

/// What a `sendmsg` came to.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// The socket took something, …
    something: bool,
    /// … or all that it was offered.
    all: bool,
    /// What the frames that are now complete counted.
    complete: usize,
}

/// What a round left of a player.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Rest {
    /// Nothing waits.
    Nothing,
    /// The socket is full; again next round.
    Tail,
    /// Everything is sent and nothing more will come.
    Finished,
    /// It is gone, or takes nothing any more.
    Lost,
}

impl Unsent {
    /// Nothing yet, for a peer that takes this format.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            ..Self::default()
        }
    }

    /// Puts `frames` at the end.
    pub fn extend(&mut self, frames: impl IntoIterator<Item = Arc<Frame>>) {
        self.frames.extend(frames);
    }

    /// Puts `frame` at the end.
    pub fn push(&mut self, frame: Arc<Frame>) {
        self.frames.push_back(frame);
    }

    /// Sends everything.
    ///
    /// # Errors
    ///
    /// The peer did not take it until `deadline`, or is gone.
    pub fn send_all(&mut self, connection: &Connection, deadline: Instant) -> io::Result<()> {
        // At first what fits without waiting: often that is all.
        let mut until = None;
        while !self.frames.is_empty() {
            self.send(connection, until)?;
            until = Some(deadline);
        }
        Ok(())
    }

    /// One `sendmsg` of everything, or of the first [`limits::MAX_SLICES`] frames.
    fn send(&mut self, connection: &Connection, deadline: Option<Instant>) -> io::Result<Sent> {
        let mut slices = [IoSlice::new(&[]); limits::MAX_SLICES];
        let mut skip = self.offset;
        for (slice, frame) in slices.iter_mut().zip(&self.frames) {
            let bytes = self.format.bytes(frame);
            *slice = IoSlice::new(bytes.get(skip..).unwrap_or_default());
            skip = 0;
        }
        let filled = slices.get(..self.frames.len()).unwrap_or(&slices);
        let offered: usize = filled.iter().map(|slice| slice.len()).sum();
        let sent = connection.send(filled, deadline)?;
        let mut left = sent.saturating_add(self.offset);
        let mut complete = 0_usize;
        while let Some(frame) = self.frames.front() {
            let length = self.format.bytes(frame).len();
            if left < length {
                break;
            }
            left = left.saturating_sub(length);
            complete = complete.saturating_add(frame.length());
            self.frames.pop_front();
        }
        self.offset = left;
        Ok(Sent {
            something: sent > 0,
            all: sent == offered,
            complete,
        })
    }
}

impl Writer {
    /// Writes `opening` and then belongs to the stream's sender.
    ///
    /// # Errors
    ///
    /// The player did not take the opening in [`limits::OPENING_DEADLINE`], or is gone.
    pub fn open(
        connection: Arc<Connection>,
        frames: FrameReceiver,
        mut opening: Unsent,
        players: &Arc<AtomicUsize>,
    ) -> io::Result<Self> {
        opening.send_all(&connection, deadline(limits::OPENING_DEADLINE))?;
        connection.set_playing();
        players.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            connection,
            frames,
            unsent: Unsent::new(opening.format),
            open: true,
            end: None,
            stalled: None,
            finished: false,
            players: Arc::clone(players),
        })
    }

    /// One player's part of a round. `room` holds what waits for it while it is being sent, so that
    /// a player that takes everything needs none of its own.
    fn round(&mut self, now: Instant, room: &mut VecDeque<Arc<Frame>>, traffic: &Traffic) -> Rest {
        if self.unsent.frames.is_empty() {
            core::mem::swap(&mut self.unsent.frames, room);
        }
        let before = self.connection.traffic.sent();
        let rest = self.send(now);
        self.connection.count_for(traffic, before);
        if self.unsent.frames.is_empty() {
            *room = core::mem::take(&mut self.unsent.frames);
        }
        rest
    }

    /// Sends what waits, with one `sendmsg`; with more only if that is much, or if something has come
    /// meanwhile.
    fn send(&mut self, now: Instant) -> Rest {
        // Not only when the queue is empty: one that takes a trickle would never come to that.
        if self.end.is_none() && (self.connection.has_left() || self.frames.gauge.is_over()) {
            self.end = now.checked_add(limits::OPENING_DEADLINE);
        }
        loop {
            if self.open && self.unsent.frames.is_empty() {
                self.open = self.frames.drain(&mut self.unsent.frames);
                if !self.open {
                    let farewell = self.unsent.format.farewell();
                    if let Some(farewell) = farewell.filter(|_| self.frames.gauge.is_over()) {
                        self.unsent.push(Arc::new(Frame::control(farewell)));
                    }
                }
            }
            if self.unsent.frames.is_empty() {
                return if self.open {
                    Rest::Nothing
                } else {
                    Rest::Finished
                };
            }
            let Ok(sent) = self.unsent.send(&self.connection, None) else {
                return Rest::Lost;
            };
            self.frames.gauge.sent(sent.complete);
            if sent.something {
                self.stalled = None;
            }
            if !sent.all {
                return self.tail(now);
            }
            let more = !self.unsent.frames.is_empty();
            if !more && self.open && self.frames.frames.is_empty() {
                return Rest::Nothing;
            }
        }
    }

    /// The socket is full: since when?
    fn tail(&mut self, now: Instant) -> Rest {
        let since = *self.stalled.get_or_insert(now);
        let stalled = now.saturating_duration_since(since) >= limits::PLAYER_STALL_DEADLINE;
        if !stalled && self.end.is_none_or(|end| now < end) {
            return Rest::Tail;
        }
        self.connection.reset("it did not take what it was sent");
        Rest::Lost
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.players.fetch_sub(1, Ordering::Relaxed);
        if !self.finished {
            self.connection.shut();
        }
    }
}

/// The thread that writes one stream.
#[derive(Debug)]
pub struct Sender {
    registry: Arc<Registry<Writer>>,
    stream: Arc<Stream<Writer>>,
    rhythm: Rhythm,
    beat: Arc<Beat>,
    players: Vec<Writer>,
    /// See [`Writer::round`].
    room: VecDeque<Arc<Frame>>,
    /// Finished players whose peers have yet to close, and until when they may take.
    closing: Vec<(Arc<Connection>, Instant)>,
    /// It runs, and has not retired: to drop it then is to fail.
    running: bool,
}

impl Sender {
    /// A sender for `stream`; its thread calls [`Sender::run`].
    pub fn new(
        registry: Arc<Registry<Writer>>,
        stream: Arc<Stream<Writer>>,
        rhythm: Rhythm,
    ) -> Self {
        Self {
            registry,
            stream,
            rhythm,
            beat: Arc::new(Beat::new()),
            players: Vec::new(),
            room: VecDeque::new(),
            closing: Vec::new(),
            running: false,
        }
    }

    /// The bell that wakes this sender, once it runs on `thread`.
    pub fn bell(beat: Arc<Beat>, thread: &Thread) -> Arc<dyn Bell> {
        let thread = thread.clone();
        Arc::new(ThreadBell { beat, thread })
    }

    /// What [`Sender::bell`] needs.
    pub fn beat(&self) -> Arc<Beat> {
        Arc::clone(&self.beat)
    }

    /// Goes its rounds until the last player has left.
    pub fn run(mut self) {
        self.running = true;
        loop {
            let begun = Instant::now();
            let merge_time = self.rhythm.merge_time(&self.stream.path);
            let due = begun.checked_add(merge_time).unwrap_or(begun);
            // Before the queues are looked at: what comes later is for another round.
            self.beat.begin(due);
            let tails = self.round(begun);
            if self.players.is_empty() && self.closing.is_empty() && self.stream.retire_sender() {
                self.running = false;
                self.registry.tidy(&self.stream);
                return;
            }
            self.wait(due, tails);
        }
    }

    /// Gives every player what waits for it; whether some could not take it all.
    fn round(&mut self, now: Instant) -> bool {
        self.stream.take_over(&mut self.players);
        #[cfg(test)]
        crate::server::fault::maybe_panic(crate::server::fault::Place::Sender, &self.stream.path);
        let mut tails = false;
        let (closing, room) = (&mut self.closing, &mut self.room);
        let before = self.players.len();
        let traffic = &self.stream.traffic;
        self.players
            .retain_mut(|player| match player.round(now, room, traffic) {
                Rest::Nothing => true,
                Rest::Tail => {
                    tails = true;
                    true
                }
                Rest::Finished => {
                    player.finished = true;
                    player.connection.shut_output();
                    let until = deadline(limits::LINGER_DEADLINE);
                    closing.push((Arc::clone(&player.connection), until));
                    false
                }
                Rest::Lost => false,
            });
        let parted = before.saturating_sub(self.players.len());
        if parted > 0 {
            self.stream.parted(parted);
        }
        self.closing.retain(|(connection, until)| {
            let open = !connection.has_left() && now < *until;
            if !open {
                connection.shut();
            }
            open
        });
        tails
    }

    /// Waits until the next round is `due`, and until there is something to do.
    fn wait(&self, due: Instant, tails: bool) {
        let mut until = self
            .stream
            .expire(
                self.rhythm.publisher_wait(&self.stream.path),
                Instant::now(),
            )
            .map(deadline);
        if tails || !self.closing.is_empty() {
            let again = due.max(deadline(limits::RETRY_ROUND));
            until = Some(until.map_or(again, |until| until.min(again)));
        }
        while !self.beat.rung.load(Ordering::Acquire) {
            match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => break,
                Some(rest) => thread::park_timeout(rest),
                None => thread::park(),
            }
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // If its thread could not be started, it is dropped under the stream's lock.
        if self.running {
            // A panic: the players are lost, but the stream can have another sender.
            self.stream.sender_failed();
            self.registry.tidy(&self.stream);
            for (connection, _) in &self.closing {
                connection.shut();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use bytes::Bytes;

    use super::*;
    use crate::hub::frame::Kind;
    use crate::hub::registry::Publisher;
    use crate::hub::stream::Start;
    use crate::server::port::Protocol;

    /// A publisher, its player's writing end, and the player.
    fn player() -> (Publisher<Writer>, Writer, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let player = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, peer) = listener.accept().unwrap();
        let connection = Arc::new(Connection::new(
            1,
            socket.into(),
            peer,
            Protocol::Rtmp,
            Arc::default(),
            None,
        ));
        let publisher = Arc::new(Registry::new(|_| 0))
            .publish("a/b", false)
            .unwrap();
        let frames = publisher.stream.join(Start::Anything).frames;
        let writer = Writer::open(connection, frames, Unsent::default(), &Arc::default());
        (publisher, writer.unwrap(), player)
    }

    fn deliver(publisher: &Publisher<Writer>, count: usize, length: usize) {
        let payload = Bytes::from(vec![7; length]);
        let frame = |_| Frame::new(Kind::Audio, 0, 8, 0, payload.clone());
        let frames = (0..count).map(frame);
        publisher.deliver_all(frames, Instant::now()).unwrap();
    }

    #[test]
    fn a_round_empties_a_full_queue() {
        let (publisher, mut writer, mut player) = player();
        let mut room = VecDeque::new();
        for _ in 0..3 {
            deliver(&publisher, limits::PLAYER_QUEUE_FRAMES, 10);
            assert_eq!(
                writer.round(Instant::now(), &mut room, &Traffic::default()),
                Rest::Nothing
            );
            let mut sent = vec![0; limits::PLAYER_QUEUE_FRAMES * (12 + 10)];
            player.read_exact(&mut sent).unwrap();
        }
    }

    #[test]
    fn what_the_socket_does_not_take_is_the_players_and_the_room_is_free() {
        let (publisher, mut writer, mut player) = player();
        let mut room = VecDeque::new();
        deliver(&publisher, 100, 100_000);
        assert_eq!(
            writer.round(Instant::now(), &mut room, &Traffic::default()),
            Rest::Tail
        );
        assert!(room.is_empty() && !writer.unsent.frames.is_empty());
        let mut left = 100 * (12 + 100_000 + 1);
        let mut buffer = vec![0; 1 << 20];
        while left > 0 {
            left -= player.read(&mut buffer).unwrap();
            writer.round(Instant::now(), &mut room, &Traffic::default());
        }
        assert_eq!(
            writer.round(Instant::now(), &mut room, &Traffic::default()),
            Rest::Nothing
        );
        assert_eq!(
            writer.unsent.frames.capacity(),
            0,
            "it needs none of its own"
        );
    }
}
