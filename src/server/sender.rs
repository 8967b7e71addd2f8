//! One stream's writer: once per merge time it gives every player what waits for it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::config::MergeTime;
use crate::hub::frame::Frame;
use crate::hub::queue::FrameReceiver;
use crate::hub::registry::Registry;
use crate::hub::stream::{Bell, Stream};
use crate::limits;
use crate::server::connection::{Connection, deadline};
use crate::server::format::Format;

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

    /// One `sendmsg` of everything, or as much as one takes: how many bytes went, and what the
    /// frames that are now complete counted.
    fn send(
        &mut self,
        connection: &Connection,
        deadline: Option<Instant>,
    ) -> io::Result<(usize, usize)> {
        let mut slices = [IoSlice::new(&[]); limits::MAX_SLICES];
        let mut skip = self.offset;
        for (slice, frame) in slices.iter_mut().zip(&self.frames) {
            let bytes = self.format.bytes(frame);
            *slice = IoSlice::new(bytes.get(skip..).unwrap_or_default());
            skip = 0;
        }
        let filled = slices.get(..self.frames.len()).unwrap_or(&slices);
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
        Ok((sent, complete))
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
    fn round(&mut self, now: Instant, room: &mut VecDeque<Arc<Frame>>) -> Rest {
        if self.unsent.frames.is_empty() {
            core::mem::swap(&mut self.unsent.frames, room);
        }
        let rest = self.send(now);
        if self.unsent.frames.is_empty() {
            core::mem::swap(&mut self.unsent.frames, room);
        }
        rest
    }

    /// Sends what waits, with one `sendmsg`; with more only if something has come meanwhile.
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
            let Ok((sent, complete)) = self.unsent.send(&self.connection, None) else {
                return Rest::Lost;
            };
            self.frames.gauge.sent(complete);
            if sent > 0 {
                self.stalled = None;
            }
            if !self.unsent.frames.is_empty() {
                return self.tail(now);
            }
            if self.open && self.frames.frames.is_empty() {
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

/// Rings through to one sender's thread.
#[derive(Debug)]
struct ThreadBell {
    beat: Arc<Beat>,
    thread: Thread,
}

/// What a sender's thread and those who ring for it share.
#[derive(Debug)]
pub struct Beat {
    rung: AtomicBool,
    begun: Instant,
    /// When the next round may begin, in microseconds after `begun`.
    due: AtomicU64,
}

impl Bell for ThreadBell {
    fn ring(&self) {
        if !self.beat.rung.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }

    fn due(&self) -> Instant {
        let due = Duration::from_micros(self.beat.due.load(Ordering::Relaxed));
        let begun = self.beat.begun;
        begun.checked_add(due).unwrap_or(begun)
    }
}

impl Beat {
    fn new() -> Self {
        Self {
            rung: AtomicBool::new(false),
            begun: Instant::now(),
            due: AtomicU64::new(0),
        }
    }

    /// A round has begun, and the next one may at `due`. Whoever rings from here on wakes the
    /// sender for that.
    fn begin(&self, due: Instant) {
        let due = due.saturating_duration_since(self.begun).as_micros();
        let due = u64::try_from(due).unwrap_or(u64::MAX);
        self.due.store(due, Ordering::Relaxed);
        self.rung.store(false, Ordering::Release);
    }
}

/// What every sender of the process shares.
#[derive(Clone, Debug)]
pub struct Rhythm {
    /// From the configuration.
    pub merge_time: MergeTime,
    /// How long players are kept without a publisher.
    pub publisher_wait: Duration,
    /// Players of the whole process.
    pub players: Arc<AtomicUsize>,
}

impl Rhythm {
    /// The least time between the beginnings of two rounds.
    pub fn merge_time(&self) -> Duration {
        match self.merge_time {
            MergeTime::Fixed(time) => time,
            MergeTime::Auto => {
                let players = self.players.load(Ordering::Relaxed);
                let milliseconds = players
                    .checked_div(limits::PLAYERS_PER_MERGE_MILLISECOND)
                    .unwrap_or(0);
                let milliseconds = u64::try_from(milliseconds).unwrap_or(u64::MAX);
                Duration::from_millis(milliseconds).min(limits::MAX_MERGE_TIME)
            }
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
            let merge_time = self.rhythm.merge_time();
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
        self.players
            .retain_mut(|player| match player.round(now, room) {
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
            .expire(self.rhythm.publisher_wait, Instant::now())
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
