//! A live media playlist [HLS §4, §6.2.2] and its text.

use core::fmt::Write;
use std::collections::VecDeque;

use crate::limits;

/// The segments of one stream that a player may ask for.
///
/// Segment `n` is the file `n.ts`, and `n` is its media sequence number. Numbers never go back,
/// also when another process takes the playlist up from its text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Playlist {
    /// Seconds that no segment exceeds; never changes [HLS §4.3.3.1].
    pub target: u32,
    /// Number of the first segment, or of the next one if there is none.
    pub sequence: u64,
    /// Discontinuities before the first segment [HLS §4.3.3.3].
    pub discontinuity_sequence: u64,
    /// In order.
    pub segments: VecDeque<Segment>,
}

/// One entry of a playlist.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Segment {
    /// Milliseconds.
    pub duration: u32,
    /// Something changed between the segment before and this one [HLS §4.3.2.3].
    pub discontinuity: bool,
}

impl Playlist {
    /// An empty playlist that begins with segment `sequence`.
    pub const fn new(target: u32, sequence: u64) -> Self {
        Self {
            target,
            sequence,
            discontinuity_sequence: 0,
            segments: VecDeque::new(),
        }
    }

    /// Number of the segment that is pushed next.
    pub fn next(&self) -> u64 {
        let count = u64::try_from(self.segments.len()).unwrap_or(u64::MAX);
        self.sequence.saturating_add(count)
    }

    /// Milliseconds of all segments.
    pub fn duration(&self) -> u64 {
        self.segments.iter().map(|s| u64::from(s.duration)).sum()
    }

    /// Adds a segment, and takes off the oldest ones as long as `window` milliseconds remain, and
    /// three times the target, which a live player needs [HLS §6.2.2].
    pub fn push(&mut self, segment: Segment, window: u64) {
        self.segments.push_back(segment);
        let least = u64::from(self.target).saturating_mul(3000).max(window);
        while let Some(first) = self.segments.front() {
            let rest = self.duration().saturating_sub(u64::from(first.duration));
            let many = self.segments.len() > limits::MAX_PLAYLIST_SEGMENTS;
            if rest < least && !many {
                break;
            }
            self.pop();
        }
    }

    /// Takes off the oldest segment.
    pub fn pop(&mut self) {
        if let Some(first) = self.segments.pop_front() {
            self.sequence = self.sequence.saturating_add(1);
            let more = u64::from(first.discontinuity);
            self.discontinuity_sequence = self.discontinuity_sequence.saturating_add(more);
        }
    }

    /// The text; each URI is `prefix` and the number, `.ts`.
    pub fn encode(&self, prefix: &str) -> String {
        let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:3\n");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "#EXT-X-TARGETDURATION:{}", self.target);
        let _ = writeln!(text, "#EXT-X-MEDIA-SEQUENCE:{}", self.sequence);
        if self.discontinuity_sequence > 0 {
            let count = self.discontinuity_sequence;
            let _ = writeln!(text, "#EXT-X-DISCONTINUITY-SEQUENCE:{count}");
        }
        for (number, segment) in (self.sequence..).zip(&self.segments) {
            if segment.discontinuity {
                text.push_str("#EXT-X-DISCONTINUITY\n");
            }
            let (seconds, rest) = (segment.duration / 1000, segment.duration % 1000);
            let _ = writeln!(text, "#EXTINF:{seconds}.{rest:03},\n{prefix}{number}.ts");
        }
        text
    }

    /// Reads a text of [`Self::encode`], whatever its prefix. `None` if it is not one: then the
    /// stream begins anew.
    pub fn decode(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        (lines.next()? == "#EXTM3U").then_some(())?;
        let mut playlist = Self::new(0, 0);
        let mut duration = None;
        let mut discontinuity = false;
        for line in lines {
            if let Some(value) = line.strip_prefix("#EXT-X-TARGETDURATION:") {
                playlist.target = value.parse().ok()?;
            } else if let Some(value) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
                playlist.sequence = value.parse().ok()?;
            } else if let Some(value) = line.strip_prefix("#EXT-X-DISCONTINUITY-SEQUENCE:") {
                playlist.discontinuity_sequence = value.parse().ok()?;
            } else if line == "#EXT-X-DISCONTINUITY" {
                discontinuity = true;
            } else if let Some(value) = line.strip_prefix("#EXTINF:") {
                duration = Some(milliseconds(value.strip_suffix(',')?)?);
            } else if !line.starts_with('#') {
                let name = line.rsplit('/').next()?;
                let number: u64 = name.strip_suffix(".ts")?.parse().ok()?;
                (number == playlist.next()).then_some(())?;
                playlist.segments.push_back(Segment {
                    duration: duration.take()?,
                    discontinuity: core::mem::take(&mut discontinuity),
                });
                let many = playlist.segments.len() > limits::MAX_PLAYLIST_SEGMENTS;
                (!many).then_some(())?;
            }
        }
        (playlist.target > 0 && playlist.next() < u64::MAX).then_some(playlist)
    }
}

/// `12.345` in milliseconds.
fn milliseconds(text: &str) -> Option<u32> {
    let (seconds, rest) = text.split_once('.')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if rest.len() != 3 || !digits(rest) || !digits(seconds) {
        return None;
    }
    let seconds: u32 = seconds.parse().ok()?;
    seconds.checked_mul(1000)?.checked_add(rest.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(duration: u32, discontinuity: bool) -> Segment {
        Segment {
            duration,
            discontinuity,
        }
    }

    #[test]
    fn the_text_is_a_playlist_and_can_be_taken_up_again() {
        let mut playlist = Playlist::new(10, 1_700_000_000);
        playlist.discontinuity_sequence = 2;
        playlist.push(segment(10_000, false), 60_000);
        playlist.push(segment(9_040, true), 60_000);
        let text = playlist.encode("live/");
        let expected = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n\
            #EXT-X-MEDIA-SEQUENCE:1700000000\n#EXT-X-DISCONTINUITY-SEQUENCE:2\n\
            #EXTINF:10.000,\nlive/1700000000.ts\n\
            #EXT-X-DISCONTINUITY\n#EXTINF:9.040,\nlive/1700000001.ts\n";
        assert_eq!(text, expected);
        assert_eq!(Playlist::decode(&text), Some(playlist));
    }

    #[test]
    fn old_segments_go_when_the_window_and_three_targets_remain() {
        let mut playlist = Playlist::new(2, 5);
        for number in 0..10 {
            playlist.push(segment(2000, number % 3 == 0), 7000);
        }
        assert_eq!((playlist.sequence, playlist.segments.len()), (11, 4));
        assert_eq!(playlist.discontinuity_sequence, 2);
        assert_eq!(playlist.next(), 15);
        let mut short = Playlist::new(2, 0);
        for _ in 0..10 {
            short.push(segment(2000, false), 0);
        }
        assert_eq!(short.duration(), 6000, "three targets");
    }

    #[test]
    fn what_is_not_our_text_is_not_taken_up() {
        for text in [
            "",
            "#EXTM3U\n",
            "#EXTM3U\n#EXT-X-TARGETDURATION:0\n",
            "#EXTM3U\n#EXT-X-TARGETDURATION:-1\n",
            "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:18446744073709551615\n",
            "#EXTM3U\n#EXT-X-TARGETDURATION:2\n0.ts\n",
            "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.000,\n1.ts\n",
            "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\n0.ts\n",
            "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:9999999.000,\n0.ts\n",
            "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:+2.000,\n0.ts\n",
        ] {
            assert_eq!(Playlist::decode(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_playlist_has_a_most_number_of_segments() {
        let mut playlist = Playlist::new(1, 0);
        for _ in 0..=limits::MAX_PLAYLIST_SEGMENTS {
            playlist.push(segment(1, false), u64::MAX);
        }
        assert_eq!(playlist.segments.len(), limits::MAX_PLAYLIST_SEGMENTS);
        let text = playlist.encode("");
        assert_eq!(Playlist::decode(&text), Some(playlist));
        let more = format!(
            "{text}#EXTINF:1.000,\n{}.ts\n",
            limits::MAX_PLAYLIST_SEGMENTS + 1
        );
        assert_eq!(Playlist::decode(&more), None);
    }
}
