//! The body of the fuzz target `mpegts`. It reads packets by itself, with less ado than the demuxer
//! of the tests: what it looks for is lost, moved and made-up bytes.

use crate::wire::mp3::Version;
use crate::wire::mpegts::{AudioCodec, Muxer, VideoCodec};
use crate::wire::reader::Reader;

/// One elementary stream: what went in or came out, and the last continuity counter.
#[derive(Default)]
struct Stream {
    bytes: Vec<u8>,
    counter: Option<u8>,
}

/// Whatever is written, whole packets come out, and in them the same bytes in the same order.
///
/// Each write is an opcode, two times, a length that says how much of the input is the payload, and
/// how often it is repeated.
pub fn mpegts(data: &[u8]) {
    let mut reader = Reader::new(data);
    let mut muxer = Muxer::default();
    let (mut video, mut audio) = (None, None);
    let mut expected = [const { Vec::new() }; 2];
    let mut out = Vec::new();
    while let Some((opcode, dts, pts, payload)) = event(&mut reader) {
        match opcode & 0x03 {
            0 => {
                video = (opcode & 0x04 != 0).then_some(VideoCodec::Avc);
                audio = match opcode >> 3 & 0x03 {
                    0 => None,
                    1 => Some(AudioCodec::Aac),
                    2 => Some(AudioCodec::Mp3(Version::Mpeg1)),
                    _ => Some(AudioCodec::Mp3(Version::Mpeg2)),
                };
                muxer.begin_segment(video, audio, &mut out);
            }
            1 => {
                muxer.video(&payload, dts, pts, opcode & 0x04 != 0, &mut out);
                let [expected, _] = &mut expected;
                expected.extend(video.iter().flat_map(|_| &payload));
            }
            2 => {
                muxer.audio(&payload, pts, &mut out);
                let [_, expected] = &mut expected;
                expected.extend(audio.iter().flat_map(|_| &payload));
            }
            _ => muxer.discontinuity(),
        }
    }
    let found = payloads(&out);
    assert!(found == Some(expected), "not what was written");
}

/// The next opcode, decoding and presentation time, and payload.
fn event(reader: &mut Reader<'_>) -> Option<(u8, u64, u64, Vec<u8>)> {
    let opcode = reader.u8()?;
    let dts = u64::from_be_bytes(reader.array()?);
    // Close to it, or as far as it can be.
    let offset = u64::from(reader.u32()?);
    let pts = dts.wrapping_add(offset.rotate_right(12));
    let length = usize::from(reader.u8()?);
    let repeats = usize::from(reader.u16()? & 0x1ff);
    let payload = reader.take(length.min(reader.remaining()))?;
    Some((opcode, dts, pts, payload.repeat(repeats)))
}

/// Payloads of the PES packets of video and audio; `None` if something is malformed.
pub(super) fn payloads(packets: &[u8]) -> Option<[Vec<u8>; 2]> {
    let mut video = Stream::default();
    let mut audio = Stream::default();
    let (packets, rest) = packets.as_chunks::<188>();
    for packet in packets {
        let mut reader = Reader::new(packet);
        let (sync, word, control) = (reader.u8()?, reader.u16()?, reader.u8()?);
        if control & 0x20 != 0 {
            let length = reader.u8()?;
            reader.take(length.into())?;
        }
        let stream = match word & 0x1fff {
            0x100 => &mut video,
            0x101 => &mut audio,
            _ => continue,
        };
        let counter = control & 0x0f;
        let step = control >> 4 & 0x01;
        let expected = stream.counter.map(|last| last.wrapping_add(step) & 0x0f);
        let follows = expected.is_none_or(|expected| expected == counter);
        if sync != 0x47 || !follows || (step == 1) != (reader.remaining() > 0) {
            return None;
        }
        stream.counter = Some(counter);
        if word & 0x4000 != 0 {
            reader.take(8)?;
            let length = reader.u8()?;
            reader.take(length.into())?;
        }
        stream.bytes.extend_from_slice(reader.rest());
    }
    rest.is_empty().then_some([video.bytes, audio.bytes])
}
