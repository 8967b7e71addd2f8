//! Bytes and frames a second, from samples that one thread takes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::hub::tally::Traffic;
use crate::limits;

/// What is sampled.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Of {
    /// The process.
    Process,
    /// The connection of this id.
    Connection(u64),
    /// The stream at this path.
    Stream(Arc<str>),
}

/// What has been counted by a moment. Only grows, but that a stream may be made anew.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Bytes that came.
    pub received: u64,
    /// Bytes that went.
    pub sent: u64,
    /// Video frames.
    pub frames: u64,
}

/// How fast it grows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// Kilobits a second that come.
    pub received_kbps: u64,
    /// Kilobits a second that go.
    pub sent_kbps: u64,
    /// Video frames a second.
    pub fps: f64,
}

/// The latest samples of everything that is there.
#[derive(Debug, Default)]
pub struct Rates(Mutex<Samples>);

/// Oldest first.
type Samples = HashMap<Of, Vec<(Instant, Counts)>>;

impl Counts {
    /// The bytes of `traffic`.
    pub fn of(traffic: &Traffic) -> Self {
        Self {
            received: traffic.received(),
            sent: traffic.sent(),
            frames: 0,
        }
    }

    /// Whether these are of something that has been made anew since those were.
    const fn begin_after(&self, those: &Self) -> bool {
        self.received < those.received || self.sent < those.sent || self.frames < those.frames
    }
}

impl Rates {
    /// Takes a sample of everything that is there, and forgets what is not.
    pub fn sample(&self, now: Instant, all: impl IntoIterator<Item = (Of, Counts)>) {
        let mut samples = self.lock();
        let mut before = core::mem::take(&mut *samples);
        for (of, counts) in all {
            let mut known = before.remove(&of).unwrap_or_default();
            if known
                .last()
                .is_some_and(|(_, last)| counts.begin_after(last))
            {
                known.clear();
            }
            if known.len() >= limits::RATE_SAMPLES {
                known.remove(0);
            }
            known.push((now, counts));
            samples.insert(of, known);
        }
    }

    /// What they are computed from, locked.
    pub fn view(&self) -> View<'_> {
        View(self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Samples> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The samples, while somebody computes rates.
#[derive(Debug)]
pub struct View<'a>(MutexGuard<'a, Samples>);

impl View<'_> {
    /// How fast something that has counted so much, from nothing at `since`, has grown lately: over
    /// the last [`limits::RATE_SAMPLES`] samples, or since then.
    pub fn rate(&self, of: &Of, since: Instant, counts: Counts, now: Instant) -> Rate {
        let known = self.0.get(of).map_or(&[][..], Vec::as_slice);
        let (begun, before) = match known {
            // It is older than what is remembered of it.
            [oldest, .., (_, last)]
                if known.len() >= limits::RATE_SAMPLES && !counts.begin_after(last) =>
            {
                *oldest
            }
            _ => (since, Counts::default()),
        };
        let over = now.saturating_duration_since(begun);
        Rate {
            received_kbps: kbps(counts.received.saturating_sub(before.received), over),
            sent_kbps: kbps(counts.sent.saturating_sub(before.sent), over),
            fps: per_second(counts.frames.saturating_sub(before.frames), over),
        }
    }
}

fn kbps(bytes: u64, over: Duration) -> u64 {
    let milliseconds = u64::try_from(over.as_millis()).unwrap_or(u64::MAX);
    // Bits in a millisecond are kilobits in a second.
    let bits = bytes.saturating_mul(8);
    bits.checked_div(milliseconds).unwrap_or_default()
}

fn per_second(count: u64, over: Duration) -> f64 {
    // Rounded to what is worth showing, and never a division by nothing.
    let milliseconds = u64::try_from(over.as_millis()).unwrap_or(u64::MAX);
    let tenths = count.saturating_mul(10_000).checked_div(milliseconds);
    f64::from(u32::try_from(tenths.unwrap_or_default()).unwrap_or(u32::MAX)) / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(received: u64) -> Counts {
        Counts {
            received,
            sent: received.saturating_mul(2),
            frames: received / 1000,
        }
    }

    #[test]
    fn rates_are_those_since_the_beginning_and_then_those_of_the_last_samples() {
        let (rates, begun) = (Rates::default(), Instant::now());
        let after = |seconds| begun + Duration::from_secs(seconds);
        let rate = |bytes, seconds| {
            let now = after(seconds);
            rates.view().rate(&Of::Process, begun, counts(bytes), now)
        };
        assert_eq!(rate(0, 0), Rate::default());
        let first = rate(50_000, 2);
        assert_eq!((first.received_kbps, first.sent_kbps), (200, 400));
        assert!((first.fps - 25.0).abs() < 0.01);
        // 25,000 a second, and ten times as many from the tenth second on.
        for (seconds, bytes) in [(10, 250_000), (20, 2_750_000)] {
            rates.sample(after(seconds), [(Of::Process, counts(bytes))]);
        }
        assert_eq!(rate(2_750_000, 20).received_kbps, 1100);
        rates.sample(after(30), [(Of::Process, counts(5_250_000))]);
        assert_eq!(rate(5_250_000, 30).received_kbps, 2000);
        // Another one of the name, which began at 32 s.
        let anew = |bytes, seconds| {
            let (now, begun) = (after(seconds), after(32));
            rates.view().rate(&Of::Process, begun, counts(bytes), now)
        };
        assert_eq!(anew(400_000, 36).received_kbps, 800);
        rates.sample(after(40), [(Of::Process, counts(800_000))]);
        // As many as the old one had.
        assert_eq!(anew(5_600_000, 48).received_kbps, 2800);
        rates.sample(after(50), []);
        assert!(rates.lock().is_empty(), "what is not there is forgotten");
    }
}
