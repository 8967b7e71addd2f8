//! How long to wait between attempts.

use core::time::Duration;

use crate::limits;

/// The waits of one stream.
#[derive(Debug)]
pub struct Backoff {
    wait: Duration,
    /// State of the jitter.
    random: u64,
}

impl Backoff {
    /// Begins with the shortest wait; `seed` sets the jitter.
    pub const fn new(seed: u64) -> Self {
        Self {
            wait: limits::BACKOFF_MIN,
            random: seed,
        }
    }

    /// Begins anew.
    pub const fn reset(&mut self) {
        self.wait = limits::BACKOFF_MIN;
    }

    /// Whether nothing has failed since the beginning.
    pub fn is_fresh(&self) -> bool {
        self.wait == limits::BACKOFF_MIN
    }

    /// The next wait: half as long again as the one before, give or take a fifth, so that many
    /// streams do not come back at once. `watched`: somebody sits before a still picture.
    pub fn next(&mut self, watched: bool) -> Duration {
        let most = if watched {
            limits::BACKOFF_MAX_WATCHED
        } else {
            limits::BACKOFF_MAX
        };
        let wait = self.wait.min(most);
        self.wait = wait.saturating_add(wait.checked_div(2).unwrap_or(wait));
        // Knuth's MMIX generator; its high bits are random enough for this.
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let percent = u32::try_from((self.random >> 33).checked_rem(41).unwrap_or(0)).unwrap_or(0);
        let jittered = wait.saturating_mul(percent.saturating_add(80));
        jittered.checked_div(100).unwrap_or(wait)
    }
}
