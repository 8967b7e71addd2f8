//! One timeline for a stream's players, whichever publisher feeds it.

use core::time::Duration;
use std::time::Instant;

/// Places each publisher's timestamps on the stream's timeline. The first publisher's are taken
/// as they are; the next one goes on where the last one stopped plus the time that has passed, so
/// that a player never sees time run backwards across the change.
#[derive(Debug)]
pub struct Clock {
    /// Added to a publisher's timestamp. `None` until its first audio or video frame: the headers
    /// before it often say 0.
    offset: Option<u32>,
    /// The latest timestamp on the timeline, and when it was placed.
    latest: Option<(u32, Instant)>,
    /// No frame of a new publisher may be placed before this. Forgotten once it is well past.
    floor: Option<u32>,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            offset: Some(0),
            latest: None,
            floor: None,
        }
    }
}

impl Clock {
    /// Another publisher begins.
    pub fn restart(&mut self) {
        self.floor = self.latest.map(|(latest, _)| latest);
        self.offset = self.floor.is_none().then_some(0);
    }

    /// Where `timestamp` is on the timeline. `media`: audio or video that is not a header.
    pub fn place(&mut self, timestamp: u32, media: bool, now: Instant) -> u32 {
        let offset = match (self.offset, self.latest) {
            (Some(offset), _) => offset,
            (None, Some((latest, _))) if !media => return latest,
            (None, Some((latest, at))) => {
                let passed = now
                    .saturating_duration_since(at)
                    .min(Duration::from_secs(3600));
                let passed = u32::try_from(passed.as_millis()).unwrap_or(0).max(1);
                latest.wrapping_add(passed).wrapping_sub(timestamp)
            }
            (None, None) => 0,
        };
        self.offset = Some(offset);
        let mut placed = timestamp.wrapping_add(offset);
        if let Some(floor) = self.floor {
            match placed.wrapping_sub(floor).cast_signed() {
                ..0 => placed = floor,
                0..1000 => {}
                1000.. => self.floor = None,
            }
        }
        if media {
            let latest = self.latest.map_or(placed, |(latest, _)| {
                let ahead = placed.wrapping_sub(latest).cast_signed() > 0;
                if ahead { placed } else { latest }
            });
            self.latest = Some((latest, now));
        }
        placed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_publisher_keeps_its_timestamps_also_across_the_wrap() {
        let mut clock = Clock::default();
        let now = Instant::now();
        for timestamp in [0, u32::MAX - 10, 5, 0x00ff_ffff, 3] {
            assert_eq!(clock.place(timestamp, true, now), timestamp);
        }
    }

    #[test]
    fn the_next_publisher_goes_on_where_the_last_one_stopped() {
        let mut clock = Clock::default();
        let now = Instant::now();
        clock.place(5000, true, now);
        clock.restart();
        let later = now + Duration::from_millis(300);
        // Headers say 0 before anything is known.
        assert_eq!(clock.place(0, false, later), 5000);
        assert_eq!(clock.place(90_000, true, later), 5300);
        assert_eq!(clock.place(89_980, true, later), 5280);
        // Interleaved frames that lie before the first one are held at the floor.
        assert_eq!(clock.place(89_000, true, later), 5000);
        assert_eq!(clock.place(91_000, true, later), 6300);
        assert_eq!(
            clock.place(89_000, true, later),
            4300,
            "its own jump, passed on"
        );
    }

    #[test]
    fn a_new_publisher_of_a_stream_without_frames_starts_anew() {
        let mut clock = Clock::default();
        clock.restart();
        assert_eq!(clock.place(0, false, Instant::now()), 0);
        assert_eq!(clock.place(77, true, Instant::now()), 77);
    }
}
