//! How often a source is read: at every message only if somebody gets it at once.

use std::time::{Duration, Instant};

use crate::hub::stream::Stream;
use crate::limits;
use crate::server::connection::Connection;
use crate::server::rhythm::Rhythm;
use crate::server::sender::Writer;

/// Waits between two reads of a publisher or an origin for as long as its stream's sender does
/// between two rounds, so that no thread wakes, and no queue is touched, for each message.
#[derive(Debug)]
pub struct Pace {
    /// When the last wait began.
    last: Instant,
    /// Bytes read since then.
    bytes: usize,
    /// The longest wait.
    most: Duration,
}

impl Pace {
    /// Of a source that may be silent for `silence`.
    pub fn new(silence: Duration) -> Self {
        Self {
            last: Instant::now(),
            bytes: 0,
            most: silence.checked_div(4).unwrap_or_default(),
        }
    }

    /// `length` bytes were read from `connection`, and handed on to `stream`; `more` may be there.
    /// If not, waits, but not longer than the peer stays.
    pub fn wait(
        &mut self,
        connection: &Connection,
        (length, more): (usize, bool),
        stream: &Stream<Writer>,
        rhythm: &Rhythm,
    ) {
        self.bytes = self.bytes.saturating_add(length);
        if more {
            return;
        }
        let now = Instant::now();
        let merge_time = rhythm.merge_time(&stream.path).min(limits::MAX_MERGE_TIME);
        let wait = match stream.due() {
            Some(due) => until_next(due.saturating_duration_since(now), merge_time),
            None => limits::IDLE_READ,
        };
        let passed = now.saturating_duration_since(self.last);
        connection.wait_left(wait.min(until_full(passed, self.bytes)).min(self.most));
        self.last = now;
        self.bytes = 0;
    }
}

/// How long to wait if the sender may begin a round in the time `due`: until shortly before that, so
/// that it takes what we read. If it is due as good as now, it takes what we have read already, and
/// we wait for the round after.
fn until_next(due: Duration, merge_time: Duration) -> Duration {
    let shortly = merge_time.checked_div(16).unwrap_or_default();
    let shortly = shortly.min(limits::EARLY_READ);
    let next = if due <= shortly.saturating_mul(2) {
        due.saturating_add(merge_time)
    } else {
        due.min(merge_time)
    };
    next.saturating_sub(shortly)
}

/// How long it takes until [`limits::MAX_UNREAD_BYTES`] wait in the kernel, if `bytes` came in the
/// time that has `passed`. A source must never find its window closed.
fn until_full(passed: Duration, bytes: usize) -> Duration {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
    let time = passed.saturating_mul(limits::MAX_UNREAD_BYTES);
    time.checked_div(bytes).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_source_is_read_more_often() {
        let second = Duration::from_secs(1);
        let full = usize::try_from(limits::MAX_UNREAD_BYTES).unwrap();
        assert_eq!(until_full(second, full), second);
        assert_eq!(until_full(second, full * 4), second / 4);
        assert!(until_full(second, 0) > limits::MAX_MERGE_TIME);
    }

    #[test]
    fn a_read_falls_just_before_a_round() {
        let ms = Duration::from_millis;
        for (due, wait) in [(0, 77), (3, 80), (6, 83), (7, 4), (79, 76), (500, 77)] {
            assert_eq!(until_next(ms(due), ms(80)), ms(wait), "{due}");
        }
        assert_eq!(until_next(ms(0), ms(0)), ms(0));
    }
}
