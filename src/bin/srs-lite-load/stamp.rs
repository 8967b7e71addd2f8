//! The mark that a publisher puts into each frame, so that a player knows what it misses and how
//! long the frame took. Decoders skip it: in H.264 it is an SEI message of unregistered user data
//! [ISO 14496-10 §D.1.7], in AAC a data stream element [ISO 14496-3 §4.4.2.1].

use nix::time::{ClockId, clock_gettime};
use srs_lite::wire::message::type_id;

/// Names our user data. No byte of a stamp is 0, so that none needs an emulation prevention byte.
const UUID: [u8; 16] = *b"srs-lite-load-v1";

/// Bytes that a number is spread over, seven bits each.
const DIGITS: usize = 8;

/// Bytes of a stamp: the name, and two numbers.
const LENGTH: usize = UUID.len() + 2 * DIGITS;

/// How far into a frame a stamp can begin: behind a tag's header, an access unit delimiter and the
/// parameter sets that HLS repeats.
pub(crate) const SEARCH: usize = 512;

/// Which frame it is, and when it was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Stamp {
    /// Of its track, from 0.
    pub(crate) number: u64,
    /// Microseconds of the machine's monotonic clock.
    pub(crate) sent: u64,
}

/// Microseconds of the clock that all processes of the machine share.
pub(crate) fn now() -> u64 {
    // Fails only where there is no such clock.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map(core::time::Duration::from)
        .unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

impl Stamp {
    /// The stamp as a NAL unit behind its length, which takes `length_size` bytes.
    pub(crate) fn nal_unit(self, length_size: usize) -> Vec<u8> {
        const SEI: u8 = 6;
        const USER_DATA_UNREGISTERED: u8 = 5;
        const END: u8 = 0x80;
        let size = u8::try_from(LENGTH).unwrap_or(u8::MAX);
        let mut unit = vec![SEI, USER_DATA_UNREGISTERED, size];
        unit.extend_from_slice(&self.encode());
        unit.push(END);
        let length = u32::try_from(unit.len()).unwrap_or(u32::MAX).to_be_bytes();
        let skip = length.len().saturating_sub(length_size);
        let mut out = length.get(skip..).unwrap_or_default().to_vec();
        out.append(&mut unit);
        out
    }

    /// The stamp as the first element of a raw data block of AAC.
    pub(crate) fn data_stream_element(self) -> Vec<u8> {
        // Element 4 (three bits), tag 0 (four bits), aligned (one bit), and the count.
        let size = u8::try_from(LENGTH).unwrap_or(u8::MAX);
        let mut out = vec![0b1000_0001, size];
        out.extend_from_slice(&self.encode());
        out
    }

    /// The stamp in the beginning of a frame, if there is one.
    pub(crate) fn find(frame: &[u8]) -> Option<Self> {
        let frame = frame.get(..SEARCH).unwrap_or(frame);
        let at = frame.windows(UUID.len()).position(|part| part == UUID)?;
        let numbers = frame.get(at.saturating_add(UUID.len())..)?;
        let (number, rest) = numbers.split_at_checked(DIGITS)?;
        Some(Self {
            number: digits(number),
            sent: digits(rest.get(..DIGITS)?),
        })
    }

    fn encode(self) -> Vec<u8> {
        let mut out = UUID.to_vec();
        for number in [self.number, self.sent] {
            for digit in (0..DIGITS).rev() {
                let shift = u32::try_from(digit.saturating_mul(7)).unwrap_or(0);
                let [low, ..] = (number >> shift).to_le_bytes();
                out.push(low | 0x80);
            }
        }
        out
    }
}

fn digits(bytes: &[u8]) -> u64 {
    let add = |number: u64, byte: &u8| (number << 7) | u64::from(byte & 0x7f);
    bytes.iter().fold(0, add)
}

/// A frame's payload, and where its stamp belongs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// Nowhere: not H.264 and not AAC, or a header.
    None,
    /// A NAL unit, at this offset, with a length of so many bytes before it.
    Video(usize, usize),
    /// A data stream element, at this offset.
    Audio(usize),
}

impl Place {
    /// Where it belongs in a message. `length_size`: of the NAL units, from the sequence header.
    pub(crate) fn of(type_id: u8, payload: &[u8], length_size: usize) -> Self {
        match (type_id, payload) {
            (type_id::AUDIO, [first, 1, ..]) if first >> 4 == 10 => Self::Audio(2),
            (type_id::VIDEO, [first, 1, _, _, _, rest @ ..]) if first & 0x8f == 7 => {
                const ACCESS_UNIT_DELIMITER: u8 = 9;
                let delimiter = length_size.saturating_add(2);
                let kind = rest.get(length_size).map(|byte| byte & 0x1f);
                let has_delimiter = kind == Some(ACCESS_UNIT_DELIMITER);
                let skip = if has_delimiter { delimiter } else { 0 };
                Self::Video(skip.saturating_add(5), length_size)
            }
            _ => Self::None,
        }
    }

    /// The payload with the stamp in its place.
    pub(crate) fn put(self, stamp: Stamp, payload: &[u8]) -> Vec<u8> {
        let (at, mark) = match self {
            Self::None => return payload.to_vec(),
            Self::Video(at, length_size) => (at, stamp.nal_unit(length_size)),
            Self::Audio(at) => (at, stamp.data_stream_element()),
        };
        let (head, tail) = payload.split_at_checked(at).unwrap_or((payload, &[]));
        [head, &mark, tail].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        number: 300,
        sent: 0x00ab_cdef_0123_4567,
    };

    #[test]
    fn a_stamp_is_found_where_it_was_put() {
        let video = b"\x17\x01\0\0\0\0\0\0\x02\x65\x88";
        let place = Place::of(9, video, 4);
        assert_eq!(place, Place::Video(5, 4));
        let stamped = place.put(STAMP, video);
        assert_eq!(Stamp::find(&stamped), Some(STAMP));
        assert_eq!(stamped[..5], video[..5]);
        assert_eq!(stamped[5..11], [0, 0, 0, 36, 6, 5]);
        assert!(stamped.ends_with(&video[5..]));
        let audio = b"\xaf\x01\x21\x10";
        let stamped = Place::of(8, audio, 4).put(STAMP, audio);
        assert_eq!(Stamp::find(&stamped), Some(STAMP));
        assert!(stamped.ends_with(b"\x21\x10"));
    }

    #[test]
    fn a_delimiter_stays_first() {
        let video = b"\x27\x01\0\0\0\0\x02\x09\xf0\0\x01\x61";
        let stamped = Place::of(9, video, 2).put(STAMP, video);
        assert_eq!(stamped[..9], video[..9]);
        assert_eq!(Stamp::find(&stamped), Some(STAMP));
    }

    #[test]
    fn headers_and_other_codecs_are_left_alone() {
        for (type_id, payload) in [
            (9, &b"\x17\0\0\0\0\x01"[..]),
            (8, b"\xaf\0\x12\x10"),
            (9, b"\x91hvc1\0\0\0"),
            (8, b"\x2f\xff\xfb"),
            (18, b"\x02\0\x0aonMetaData"),
        ] {
            assert_eq!(Place::of(type_id, payload, 4), Place::None);
        }
    }

    #[test]
    fn no_byte_needs_an_emulation_prevention_byte() {
        let unit = Stamp { number: 0, sent: 0 }.nal_unit(1);
        assert!(unit[1..].iter().all(|&byte| byte > 3), "{unit:?}");
    }
}
