//! One stream: who feeds it, what is cached of it, and its players' queues.

use core::fmt;
use core::time::Duration;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crossbeam_channel::Sender;

use crate::hub::cache::Cache;
use crate::hub::clock::Clock;
use crate::hub::frame::{Frame, Kind};
use crate::hub::queue::{FrameReceiver, FrameSender, Gauge, Offer, queue};
use crate::hub::tally::{Tally, Total, Traffic};

/// Wakes a stream's sender. Ringing twice before it looks is ringing once.
pub trait Bell: Send + Sync + fmt::Debug {
    /// Something waits in a queue, or a queue has ended.
    fn ring(&self);

    /// When the sender may begin its next round. In the past: when it is rung.
    fn due(&self) -> Instant;
}

/// One stream. `W` is a player's writing end: the hub only hands it on to the stream's sender.
#[derive(Debug)]
pub struct Stream<W> {
    /// `app/name`.
    pub path: Arc<str>,
    /// Bytes from who feeds the stream, and to its players; those of relays do not count.
    pub traffic: Traffic,
    /// Of all streams.
    total: Arc<Total>,
    state: Mutex<State<W>>,
    /// Rung when the stream becomes live, or will not any more.
    changed: Condvar,
}

/// Invariant: whoever holds the lock leaves it consistent; after a panic under it, the stream is
/// emptied (see [`Stream::lock`]).
#[derive(Debug)]
pub(super) struct State<W> {
    /// Who may deliver. Grows with every publisher, so that a late one is told from the current.
    pub(super) epoch: u64,
    pub(super) live: bool,
    /// Since when.
    pub(super) live_since: Option<Instant>,
    pub(super) tally: Tally,
    /// Whether it is the turn of who publishes here, and not of a pull.
    pub(super) published: bool,
    /// When the last publisher left, until the next one comes.
    pub(super) left: Option<Instant>,
    /// Whether something fetches the stream from elsewhere while it is wanted.
    pub(super) pulled: bool,
    /// Player handles, waiting or playing, and when the last one went.
    pub(super) attached: usize,
    pub(super) deserted: Option<Instant>,
    /// Nothing new is let in: the server stops.
    pub(super) closed: bool,
    /// Names the next player.
    next_player: u64,
    pub(super) players: Vec<(u64, FrameSender)>,
    /// The bell of the thread that writes, if there is one.
    pub(super) sender: Option<Arc<dyn Bell>>,
    /// Players on their way to the sender. Each is a connection's only one, so that these are no
    /// more than there may be connections.
    pub(super) joining: Vec<W>,
    /// These, and the players that the sender has.
    pub(super) handed: usize,
    pub(super) cache: Cache,
    clock: Clock,
    /// What is being delivered; kept for its memory.
    batch: Vec<Arc<Frame>>,
}

/// Why a publisher may not deliver any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Over {
    /// It is another publisher's turn.
    TakenOver,
    /// The server stops.
    Closed,
}

/// What video a player's queue may begin with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Start {
    /// The current group of pictures if it is cached, otherwise the next keyframe.
    Group,
    /// The next keyframe.
    NextKeyframe,
    /// Whatever comes.
    Anything,
}

/// A place in the fan-out.
#[derive(Debug)]
pub struct Joined {
    /// Names it within the stream.
    pub player: u64,
    /// What the player needs before anything from its queue.
    pub opening: Vec<Arc<Frame>>,
    /// Everything from here on.
    pub frames: FrameReceiver,
}

impl<W> Stream<W> {
    /// A stream without anything, which keeps `max_frames` of a group of pictures, and counts its
    /// frames among those of all.
    pub fn new(path: Arc<str>, max_frames: usize, total: Arc<Total>) -> Self {
        Self {
            path,
            traffic: Traffic::default(),
            total,
            state: Mutex::new(State {
                epoch: 0,
                live: false,
                live_since: None,
                tally: Tally::default(),
                published: false,
                left: None,
                pulled: false,
                attached: 0,
                deserted: None,
                closed: false,
                next_player: 0,
                players: Vec::new(),
                sender: None,
                joining: Vec::new(),
                handed: 0,
                cache: Cache::new(max_frames),
                clock: Clock::default(),
                batch: Vec::new(),
            }),
            changed: Condvar::new(),
        }
    }

    /// Locks the state. If a thread panicked under the lock, the state may be half changed: then
    /// the stream's players are let go, its publisher's epoch ends, and it goes on empty.
    pub(super) fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(|poisoned| {
            self.state.clear_poison();
            let mut state = poisoned.into_inner();
            state.unpublish();
            state.end_players(|_| true);
            state.batch.clear();
            state
        })
    }

    /// Starts another publisher's turn; its epoch. `None`: a pull's turn waits for the end of who
    /// publishes here.
    pub(super) fn begin(&self, published: bool) -> Option<u64> {
        let mut state = self.lock();
        if state.published && !published {
            return None;
        }
        state.unpublish();
        state.published = published;
        state.clock.restart();
        for (_, player) in &mut state.players {
            player.restart();
        }
        state.left = None;
        Some(state.epoch)
    }

    /// Keeps `max_frames` of a group of pictures from now on.
    pub(super) fn keep(&self, max_frames: usize) {
        self.lock().cache.keep(max_frames);
    }

    /// Lets players join, if it is still the turn of `epoch`.
    pub(super) fn go_live(&self, epoch: u64) {
        let mut state = self.lock();
        if state.epoch == epoch && !state.live {
            state.live = true;
            state.live_since = Some(Instant::now());
        }
        self.changed.notify_all();
    }

    /// Whether some player's queue is more than half full.
    pub fn is_crowded(&self) -> bool {
        let state = self.lock();
        let mut players = state.players.iter();
        players.any(|(_, player)| player.is_crowded())
    }

    /// Ends the turn of who publishes here.
    pub(super) fn unpublish(&self) {
        let mut state = self.lock();
        if state.published {
            state.unpublish();
            state.end_players(|player| player.relay);
        }
    }

    /// Ends the turn of `epoch`, unless another one has begun. Players stay, and are told nothing.
    pub(super) fn finish(&self, epoch: u64) {
        let mut state = self.lock();
        if state.epoch == epoch {
            state.unpublish();
            // The sender counts from now how long the others are kept.
            state.end_players(|player| player.relay);
        }
    }

    /// When the players may be given something again; `None` if there are none.
    pub fn due(&self) -> Option<Instant> {
        Some(self.lock().sender.as_ref()?.due())
    }

    /// Hands messages to every player. Called on the publisher's thread; waits for no player.
    pub(super) fn deliver(
        &self,
        epoch: u64,
        frames: impl IntoIterator<Item = Frame>,
        now: Instant,
    ) -> Result<(), Over> {
        let mut state = self.lock();
        if state.closed {
            return Err(Over::Closed);
        }
        if state.epoch != epoch {
            return Err(Over::TakenOver);
        }
        let state = &mut *state;
        let mut tally = Tally::default();
        for mut frame in frames {
            tally.count(frame.kind);
            let media = matches!(
                frame.kind,
                Kind::RandomAccess | Kind::Dependent | Kind::Audio
            );
            frame.timestamp = state.clock.place(frame.timestamp, media, now);
            let frame = Arc::new(frame);
            state.cache.remember(&frame);
            state.batch.push(frame);
        }
        // All that a player gets at a time: its queue is in the processor's cache then.
        let batch = &state.batch;
        let mut offer = |player: &mut FrameSender| {
            batch.iter().all(|frame| {
                let offer = player.offer(frame);
                let is_skipped = u64::from(offer == Offer::Skipped);
                tally.skipped = tally.skipped.saturating_add(is_skipped);
                offer != Offer::Gone
            })
        };
        state.players.retain_mut(|(_, player)| offer(player));
        state.batch.clear();
        state.tally.add(tally);
        self.total.add(tally);
        state.ring();
        Ok(())
    }

    /// Waits until the stream is live, at most until `deadline`; whether it is.
    pub fn wait_live(&self, deadline: Instant) -> bool {
        let state = self.lock();
        let wait = deadline.saturating_duration_since(Instant::now());
        let waiting = |state: &mut State<W>| !state.live && !state.closed;
        let waited = self.changed.wait_timeout_while(state, wait, waiting);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.live && !state.closed
    }

    /// Takes the opening and a place in the fan-out under one lock: no gap, no duplicate.
    pub fn join(&self, start: Start) -> Joined {
        self.enter(start, false)
    }

    /// The same for another process of ours, which is not kept when nobody feeds the stream any more:
    /// it may find it elsewhere.
    pub fn join_relay(&self) -> Joined {
        self.enter(Start::Group, true)
    }

    fn enter(&self, start: Start, relay: bool) -> Joined {
        let mut state = self.lock();
        let with_group = start == Start::Group && state.cache.in_group();
        let opening = if with_group {
            state.cache.opening()
        } else {
            state.cache.head()
        };
        let (mut sender, frames) = queue(!with_group && start != Start::Anything);
        sender.relay = relay;
        let player = state.next_player;
        state.next_player = player.wrapping_add(1);
        if state.closed {
            sender.end();
        } else {
            state.players.push((player, sender));
        }
        Joined {
            player,
            opening,
            frames,
        }
    }

    /// Gives up a place: what is in the queue still arrives.
    pub fn leave(&self, player: u64) {
        let mut state = self.lock();
        state.players.retain(|&(id, _)| id != player);
        state.ring();
    }

    /// Ends every player if the publisher has been away for `wait`; how long to wait for that
    /// otherwise, if there is no publisher.
    pub fn expire(&self, wait: Duration, now: Instant) -> Option<Duration> {
        let mut state = self.lock();
        let left = state.left.filter(|_| !state.players.is_empty())?;
        let rest = wait.saturating_sub(now.saturating_duration_since(left));
        if rest.is_zero() {
            state.end_players(|_| true);
            state.clock = Clock::default();
            return None;
        }
        Some(rest)
    }

    /// Ends every player: whoever feeds the stream says that it is over.
    pub fn end_players(&self) {
        self.lock().end_players(|_| true);
    }

    /// Lets nothing new in, and ends every player.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.end_players(|_| true);
        self.changed.notify_all();
    }

    /// The queue of `player`, for a reply; and the bell to ring then.
    #[expect(
        clippy::type_complexity,
        reason = "three handles, used at once by one caller"
    )]
    pub fn control(
        &self,
        player: u64,
    ) -> Option<(Sender<Arc<Frame>>, Arc<Gauge>, Option<Arc<dyn Bell>>)> {
        let state = self.lock();
        let (_, sender) = state.players.iter().find(|&&(id, _)| id == player)?;
        let (frames, gauge) = sender.control();
        Some((frames, gauge, state.sender.clone()))
    }
}

impl<W> State<W> {
    /// Whether nothing keeps the stream.
    pub(super) const fn is_unused(&self) -> bool {
        !self.live && !self.pulled && self.attached == 0 && self.sender.is_none()
    }

    /// Whether somebody wants the stream, and nobody feeds or fetches it.
    pub(super) const fn is_unfed(&self) -> bool {
        !self.live && !self.pulled && self.attached > 0
    }

    fn unpublish(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.live = false;
        self.published = false;
        self.left = Some(Instant::now());
        self.cache.clear();
    }

    /// Ends some players, and rings.
    fn end_players(&mut self, which: impl Fn(&FrameSender) -> bool) {
        for (_, player) in self.players.extract_if(.., |(_, player)| which(player)) {
            player.end();
        }
        self.ring();
    }

    fn ring(&self) {
        if let Some(bell) = &self.sender {
            bell.ring();
        }
    }
}
