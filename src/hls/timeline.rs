//! Timestamps that wrap → milliseconds that do not, and where the time line breaks.

use crate::limits;

/// Which track a timestamp belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Track {
    /// Audio.
    Audio,
    /// Video.
    Video,
}

/// Follows the timestamps of a stream's two tracks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeline {
    /// The last place on each track, and the latest of both.
    audio: Option<u64>,
    video: Option<u64>,
    latest: Option<u64>,
}

/// Where a timestamp is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place {
    /// Milliseconds. Within a time line never less than the one before on the same track.
    pub time: u64,
    /// A new time line begins here: the timestamps jumped.
    pub jumped: bool,
}

impl Timeline {
    /// Places `timestamp`, which wraps.
    pub fn place(&mut self, track: Track, timestamp: u32) -> Place {
        let Some(latest) = self.latest else {
            return self.begin(track, timestamp, false);
        };
        // The latest place, low 32 bits, tells how far this one is from it.
        let [.., a, b, c, d] = latest.to_be_bytes();
        let step = timestamp.wrapping_sub(u32::from_be_bytes([a, b, c, d]));
        let step = i64::from(step.cast_signed());
        let time = latest.saturating_add_signed(step);
        let before = match track {
            Track::Audio => self.audio,
            Track::Video => self.video,
        };
        let back = before.unwrap_or(latest).saturating_sub(time);
        if step > limits::MAX_HLS_GAP || back > limits::MAX_HLS_BACKWARD {
            return self.begin(track, timestamp, true);
        }
        let time = time.max(before.unwrap_or(0));
        self.set(track, time);
        Place {
            time,
            jumped: false,
        }
    }

    fn begin(&mut self, track: Track, timestamp: u32, jumped: bool) -> Place {
        *self = Self::default();
        let time = u64::from(timestamp);
        self.set(track, time);
        Place { time, jumped }
    }

    fn set(&mut self, track: Track, time: u64) {
        match track {
            Track::Audio => self.audio = Some(time),
            Track::Video => self.video = Some(time),
        }
        self.latest = Some(self.latest.map_or(time, |latest| latest.max(time)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(timestamps: &[u32]) -> Vec<(u64, bool)> {
        let mut timeline = Timeline::default();
        let place = |&timestamp| {
            let place = timeline.place(Track::Video, timestamp);
            (place.time, place.jumped)
        };
        timestamps.iter().map(place).collect()
    }

    #[test]
    fn time_goes_on_across_the_wrap() {
        let wrapped = times(&[u32::MAX - 9, 30, 70]);
        let wrap = 1 << 32;
        assert_eq!(wrapped[1..], [(wrap + 30, false), (wrap + 70, false)]);
    }

    #[test]
    fn a_jump_begins_a_new_time_line() {
        let gap = u32::try_from(limits::MAX_HLS_GAP).unwrap();
        let back = u32::try_from(limits::MAX_HLS_BACKWARD).unwrap();
        let reached = times(&[5000, 5000 + gap, 5000 + gap - back]);
        assert_eq!(reached.iter().filter(|(_, jumped)| *jumped).count(), 0);
        assert_eq!(times(&[5000, 5001 + gap])[1], (5001 + u64::from(gap), true));
        assert_eq!(
            times(&[5000, 4999 - back])[1],
            (4999 - u64::from(back), true)
        );
    }

    #[test]
    fn a_track_does_not_run_backwards_and_the_other_one_may_lag() {
        assert_eq!(
            times(&[500, 480, 520]),
            [(500, false), (500, false), (520, false)]
        );
        let mut timeline = Timeline::default();
        timeline.place(Track::Video, 500);
        let audio = timeline.place(Track::Audio, 460);
        assert_eq!((audio.time, audio.jumped), (460, false));
    }
}
