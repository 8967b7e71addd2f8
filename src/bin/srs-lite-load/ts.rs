//! The frames of a segment of MPEG-TS, as far as their stamps [TS §2.4.3].

use crate::report::Stats;
use crate::stamp::SEARCH;
use crate::watch::{self, Watch};

const PACKET: usize = 188;
const SYNC: u8 = 0x47;

/// First byte of the stream id of audio and of video in a PES header.
const AUDIO: u8 = 0xc0;
const VIDEO: u8 = 0xe0;

/// A segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a>(&'a [u8]);

/// The beginning of a packet of audio or of video, while it is put together.
#[derive(Clone, Debug, Default)]
struct Pes {
    pid: u16,
    start: Vec<u8>,
    key: bool,
}

impl<'a> Segment<'a> {
    /// A whole segment.
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Shows every packet of audio and video to `watch`. Frames of audio share packets, of which only
    /// the first is looked at: what is missing shows in the video.
    pub(crate) fn watch(self, now: u64, watch: &mut Watch, stats: &mut Stats) {
        let mut begun: Vec<Pes> = Vec::new();
        for packet in self.0.chunks_exact(PACKET) {
            let [SYNC, high, low, flags, rest @ ..] = packet else {
                continue;
            };
            let pid = u16::from_be_bytes([high & 0x1f, *low]);
            let (mut payload, mut key) = (rest, false);
            if flags & 0x20 != 0 {
                let [length, field @ ..] = rest else { continue };
                // The random access indicator.
                key = *length > 0 && field.first().is_some_and(|flags| flags & 0x40 != 0);
                payload = field.get(usize::from(*length)..).unwrap_or_default();
            }
            if high & 0x40 != 0 && payload.starts_with(&[0, 0, 1]) {
                if let Some(at) = begun.iter().position(|pes| pes.pid == pid) {
                    begun.swap_remove(at).show(now, watch, stats);
                }
                begun.push(Pes {
                    pid,
                    key,
                    start: Vec::new(),
                });
            }
            if let Some(pes) = begun.iter_mut().find(|pes| pes.pid == pid) {
                let room = SEARCH.saturating_sub(pes.start.len()).min(payload.len());
                pes.start
                    .extend_from_slice(payload.get(..room).unwrap_or_default());
            }
        }
        for pes in begun {
            pes.show(now, watch, stats);
        }
    }
}

impl Pes {
    fn show(&self, now: u64, watch: &mut Watch, stats: &mut Stats) {
        match self.start.get(3).map(|id| id & 0xe0) {
            Some(AUDIO) => watch.frame(None, false, &self.start, now, stats),
            Some(VIDEO) => watch.frame(watch::VIDEO, self.key, &self.start, now, stats),
            _ => {}
        }
    }
}
