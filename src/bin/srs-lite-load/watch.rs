//! What a player makes of the frames that it gets: it does not decode them, it looks for stamps.

use srs_lite::wire::flv::{self, TagKind};
use srs_lite::wire::message::type_id;

use crate::report::Stats;
use crate::stamp::Stamp;

/// The tracks, whose frames are numbered apart.
pub(crate) const AUDIO: Option<usize> = Some(0);
/// See [`AUDIO`].
pub(crate) const VIDEO: Option<usize> = Some(1);

/// One player's view of its stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    /// When the connection began, in microseconds.
    begun: u64,
    /// Whether it has had its first frame.
    pub(crate) live: bool,
    /// Whether it has had its first keyframe.
    started: bool,
    /// Numbers that audio and video go on with.
    next: [Option<u64>; 2],
}

impl Watch {
    /// Of a player whose connection begins now.
    pub(crate) const fn new(now: u64) -> Self {
        Self {
            begun: now,
            live: false,
            started: false,
            next: [None; 2],
        }
    }

    /// A message of the stream.
    pub(crate) fn message(&mut self, type_id: u8, payload: &[u8], now: u64, stats: &mut Stats) {
        let kind = match type_id {
            type_id::AUDIO => flv::audio(payload).map(|tag| tag.kind),
            type_id::VIDEO => flv::video(payload).map(|tag| tag.kind),
            _ => None,
        };
        match kind {
            Some(TagKind::RandomAccess) => self.frame(VIDEO, true, payload, now, stats),
            Some(TagKind::Dependent) => self.frame(VIDEO, false, payload, now, stats),
            Some(TagKind::Audio) => self.frame(AUDIO, false, payload, now, stats),
            None | Some(TagKind::AudioHeader | TagKind::VideoHeader) => {}
        }
    }

    /// A frame of a track. `key`: a decoder can start from it.
    pub(crate) fn frame(
        &mut self,
        track: Option<usize>,
        key: bool,
        frame: &[u8],
        now: u64,
        stats: &mut Stats,
    ) {
        stats.frames = stats.frames.saturating_add(1);
        if !self.live {
            self.live = true;
            stats.live = stats.live.saturating_add(1);
        }
        if key && !self.started {
            self.started = true;
            stats.first.add(now.saturating_sub(self.begun));
        }
        let Some(stamp) = Stamp::find(frame) else {
            return;
        };
        if let Some(next) = track.and_then(|track| self.next.get_mut(track)) {
            let expected = next.replace(stamp.number.saturating_add(1));
            // A publisher that comes back counts from 0.
            let missing = expected.map_or(0, |expected| stamp.number.saturating_sub(expected));
            stats.missing = stats.missing.saturating_add(missing);
        }
        // What was sent before is from the server's cache: it is old, and not late.
        if stamp.sent >= self.begun {
            stats.latency.add(now.saturating_sub(stamp.sent));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::Place;

    fn frame(number: u64, sent: u64) -> Vec<u8> {
        let video = b"\x17\x01\0\0\0\0\0\0\x02\x65\x88";
        Place::of(9, video, 4).put(Stamp { number, sent }, video)
    }

    #[test]
    fn gaps_are_counted_and_what_is_cached_is_not_late() {
        let (mut watch, mut stats) = (Watch::new(1000), Stats::default());
        watch.message(9, &frame(5, 400), 3048, &mut stats);
        assert!(watch.live);
        assert_eq!(stats.first.percentile(100), Some(2.048));
        assert_eq!(stats.latency.percentile(100), None);
        watch.message(9, &frame(6, 4000), 5000, &mut stats);
        assert_eq!(
            (stats.missing, stats.latency.percentile(100)),
            (0, Some(0.992))
        );
        watch.message(9, &frame(9, 6000), 7000, &mut stats);
        assert_eq!((stats.missing, stats.frames, stats.live), (2, 3, 1));
    }
}
