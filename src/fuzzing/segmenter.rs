//! The bodies of the fuzz targets `segmenter` and `playlist`.

use super::mpegts::payloads;
use crate::hls::segmenter::Segmenter;
use crate::hls::{Cut, Settings, Step, Unfit};
use crate::limits;
use crate::wire::m3u8::{Playlist, Segment};
use crate::wire::reader::Reader;

/// Sequence headers, frames of MP3, and what is neither.
const MESSAGES: [(bool, &[u8]); 8] = [
    (
        true,
        b"\x17\0\0\0\0\x01\x64\0\x1f\xff\xe1\0\x02\x67S\x01\0\x02\x68P",
    ),
    (
        true,
        b"\x17\0\0\0\0\x01\x64\0\x1f\xff\xe1\0\x02\x67T\x01\0\x02\x68P",
    ),
    (true, b"\x90hvc1"),
    (false, b"\xaf\0\x12\x10"),
    (false, b"\xaf\0\x11\x90"),
    (false, b"\xaf\0"),
    (false, b"\x2f\xff\xfb\x90\x64"),
    (false, b"\x2f\xff\xf3\x80\xc4"),
];

/// What is known of the segments so far.
#[derive(Default)]
struct Segments {
    target: Option<u32>,
    bytes: Vec<u8>,
    /// The last decoding time of each track.
    times: [Option<u64>; 2],
}

/// Whatever is published, each segment is whole packets, none exceeds the target, the target stays
/// the same, and within a time line no track runs backwards.
///
/// The input is fragment, least target and target; then messages: an opcode, a step of time, and
/// how long a frame is.
pub fn segmenter(data: &[u8]) {
    let mut reader = Reader::new(data);
    let Some([fragment, more, target]) = reader.array() else {
        return;
    };
    let fragment = u64::from(fragment).saturating_add(1).saturating_mul(100);
    let settings = Settings {
        fragment,
        least_target: u64::from(more).saturating_mul(100).saturating_add(fragment),
    };
    let target = Some(u32::from(target)).filter(|&target| target > 0);
    let mut segmenter = Segmenter::new(settings, target);
    let mut segments = Segments {
        target,
        ..Segments::default()
    };
    let mut time = 0_u32;
    while let (Some(opcode), Some(step)) = (reader.u8(), reader.u16()) {
        // Up to two seconds mostly, both ways; or anything.
        let step = i32::from(step.cast_signed());
        let shift = if opcode & 0x80 == 0 { 4 } else { 0 };
        let step = if opcode & 0xc0 == 0xc0 {
            step.rotate_left(17)
        } else {
            step >> shift
        };
        time = time.wrapping_add_signed(step);
        let (video, payload) = message(opcode & 0x3f, &mut reader);
        let step = match video {
            true => segmenter.video(time, &payload),
            false => segmenter.audio(time, &payload),
        };
        segments.take(step, segmenter.target());
        segments.bytes.extend(segmenter.take());
    }
    let step = segmenter.finish();
    segments.take(Ok(step), segmenter.target());
}

/// Whether it is video, and the message.
fn message(opcode: u8, reader: &mut Reader<'_>) -> (bool, Vec<u8>) {
    if let Some(&(video, payload)) = MESSAGES.get(usize::from(opcode)) {
        return (video, payload.to_vec());
    }
    let length = reader.u8().unwrap_or(0);
    let mut frame = reader
        .take(usize::from(length).min(reader.remaining()))
        .map_or_else(Vec::new, <[u8]>::to_vec);
    match opcode & 3 {
        0 => {
            // Not shown before it is decoded: else its decoding time is changed.
            if let Some(high) = frame.get_mut(2) {
                *high &= 0x7f;
            }
            (true, frame)
        }
        1 => (false, frame),
        2 => {
            frame.splice(0..0, *b"\xaf\x01");
            (false, frame)
        }
        _ => {
            let key = opcode & 4 != 0;
            let unit = if key { 0x65 } else { 0x41 };
            let length = length_of(&frame).saturating_add(1).to_be_bytes();
            let tag = if key { 0x17 } else { 0x27 };
            let head = [&[tag, 1, 0, 0, opcode][..], &length, &[unit]].concat();
            frame.splice(0..0, head);
            (true, frame)
        }
    }
}

fn length_of(frame: &[u8]) -> u32 {
    u32::try_from(frame.len()).unwrap_or(0)
}

impl Segments {
    fn take(&mut self, step: Result<Step, Unfit>, target: Option<u32>) {
        assert!(self.target.is_none() || self.target == target, "it changed");
        self.target = target;
        match step {
            Ok(Step::Cut(cut)) => self.cut(&cut),
            Ok(Step::Discard) | Err(Unfit::VideoCodec | Unfit::VideoHeader) => self.bytes.clear(),
            Ok(Step::Nothing) | Err(_) => {}
        }
    }

    fn cut(&mut self, cut: &Cut) {
        self.bytes.extend_from_slice(&cut.bytes);
        assert!(payloads(&self.bytes).is_some(), "not MPEG-TS");
        assert!(cut.duration > 0);
        let seconds = cut.duration.saturating_add(500) / 1000;
        assert!(
            self.target.is_some_and(|target| seconds <= target),
            "too long"
        );
        if cut.discontinuity {
            self.times = [None; 2];
        }
        for packet in self.bytes.as_chunks::<188>().0 {
            if let Some((track, time)) = decoding_time(packet) {
                let [video, audio] = &mut self.times;
                let last = if track == 0 { video } else { audio };
                let step = last.map(|last| time.wrapping_sub(last) & 0x1_ffff_ffff);
                assert!(step.is_none_or(|step| step < 1 << 32), "it runs backwards");
                *last = Some(time);
            }
        }
        self.bytes.clear();
    }
}

/// The track and the time of the unit that begins in a packet.
fn decoding_time(packet: &[u8]) -> Option<(u16, u64)> {
    let mut reader = Reader::new(packet);
    let (_sync, word, control) = (reader.u8()?, reader.u16()?, reader.u8()?);
    let track = (word & 0x1fff)
        .checked_sub(0x100)
        .filter(|&track| track < 2)?;
    if control & 0x20 != 0 {
        let length = reader.u8()?;
        reader.take(length.into())?;
    }
    if word & 0x4000 == 0 {
        return None;
    }
    let [.., flags, _length] = reader.array::<9>()?;
    if flags & 0x40 != 0 {
        reader.take(5)?;
    } else if flags & 0x80 == 0 {
        return None;
    }
    let [a, b, c, d, e] = reader.array()?.map(u64::from);
    Some((
        track,
        (a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1,
    ))
}

/// A playlist's numbers never fall, whatever is pushed and however often it is taken up from its
/// text; and a text that is taken up is said the same way again.
pub fn playlist(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(taken) = Playlist::decode(&text) {
        assert_eq!(Playlist::decode(&taken.encode("a/")), Some(taken));
    }
    let mut reader = Reader::new(data);
    let (Some(target), Some(sequence)) = (reader.u8(), reader.u32()) else {
        return;
    };
    let mut playlist = Playlist::new(u32::from(target).saturating_add(1), sequence.into());
    while let (Some(opcode), Some(duration)) = (reader.u8(), reader.u16()) {
        let before = playlist.clone();
        let segment = Segment {
            duration: duration.into(),
            discontinuity: opcode & 1 != 0,
        };
        match opcode >> 6 {
            0 => playlist.pop(),
            1 => {
                let prefix = ["", "name/", "https://cdn/live/name/"];
                let prefix = prefix.get(usize::from(opcode & 3)).unwrap_or(&"/");
                let text = playlist.encode(prefix);
                assert_eq!(Playlist::decode(&text), Some(playlist.clone()));
            }
            _ => playlist.push(segment, u64::from(opcode & 0x3e).saturating_mul(1000)),
        }
        assert!(playlist.next() >= before.next() && playlist.sequence >= before.sequence);
        assert!(breaks(&playlist) >= breaks(&before));
        assert!(playlist.discontinuity_sequence >= before.discontinuity_sequence);
        assert!(playlist.segments.len() <= limits::MAX_PLAYLIST_SEGMENTS);
        assert_eq!(playlist.target, before.target);
    }
}

/// Discontinuities of all segments there ever were.
fn breaks(playlist: &Playlist) -> usize {
    let listed = playlist
        .segments
        .iter()
        .filter(|one| one.discontinuity)
        .count();
    let past = usize::try_from(playlist.discontinuity_sequence).unwrap_or(usize::MAX);
    listed.saturating_add(past)
}
