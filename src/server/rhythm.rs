//! When a stream's sender goes its rounds, and who else wants to know.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crate::config::MergeTime;
use crate::hub::stream::Bell;
use crate::limits;
use crate::server::current::Current;
use crate::wire::name::vhost_of;

/// What every sender of the process shares.
#[derive(Clone, Debug)]
pub struct Rhythm {
    /// Has the merge time.
    pub config: Current,
    /// Players of the whole process.
    pub players: Arc<AtomicUsize>,
}

impl Rhythm {
    /// The least time between the beginnings of two rounds of the stream at `path`.
    pub fn merge_time(&self, path: &str) -> Duration {
        match self.config.get().vhost(vhost_of(path)).play.mw_latency {
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

    /// How long players of the stream at `path` are kept without a publisher.
    pub fn publisher_wait(&self, path: &str) -> Duration {
        self.config
            .get()
            .vhost(vhost_of(path))
            .publish
            .publisher_wait
    }
}

/// Rings through to one sender's thread.
#[derive(Debug)]
pub(super) struct ThreadBell {
    pub(super) beat: Arc<Beat>,
    pub(super) thread: Thread,
}

/// What a sender's thread and those who ring for it share.
#[derive(Debug)]
pub struct Beat {
    pub(super) rung: AtomicBool,
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
    pub(super) fn new() -> Self {
        Self {
            rung: AtomicBool::new(false),
            begun: Instant::now(),
            due: AtomicU64::new(0),
        }
    }

    /// A round has begun, and the next one may at `due`. Whoever rings from here on wakes the
    /// sender for that.
    pub(super) fn begin(&self, due: Instant) {
        let due = due.saturating_duration_since(self.begun).as_micros();
        let due = u64::try_from(due).unwrap_or(u64::MAX);
        self.due.store(due, Ordering::Relaxed);
        self.rung.swap(false, Ordering::AcqRel);
    }
}
