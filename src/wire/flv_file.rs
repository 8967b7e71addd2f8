//! The FLV file format around messages, for HTTP-FLV [FLV E.2, E.3, E.4.1].

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes of a tag's header.
const TAG_HEADER: usize = 11;

/// The FLV header and the size of the tag before the first, which is none. `audio` and `video`:
/// what the stream is known to have.
pub const fn header(audio: bool, video: bool) -> [u8; 13] {
    let flags = match (audio, video) {
        (false, false) => 0,
        (false, true) => 1,
        (true, false) => 4,
        (true, true) => 5,
    };
    [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]
}

/// A message as a tag, and the size of the tag behind it.
///
/// The payload is at most [`crate::limits::MAX_MESSAGE_LENGTH`], so its length fits.
pub fn tag(type_id: u8, timestamp: u32, payload: &[u8]) -> Bytes {
    let size = payload.len().saturating_add(TAG_HEADER);
    let mut out = BytesMut::with_capacity(size.saturating_add(4));
    let u32_of = |length| u32::try_from(length).unwrap_or(u32::MAX);
    let [_, length @ ..] = u32_of(payload.len()).to_be_bytes();
    let [extended, time @ ..] = timestamp.to_be_bytes();
    out.put_u8(type_id);
    out.put_slice(&length);
    out.put_slice(&time);
    out.put_u8(extended);
    out.put_slice(&[0; 3]); // stream id
    out.put_slice(payload);
    out.put_u32(u32_of(size));
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_what_there_is() {
        let cases = [
            (false, false, 0),
            (false, true, 1),
            (true, false, 4),
            (true, true, 5),
        ];
        for (audio, video, flags) in cases {
            let expected = [b"FLV\x01", &[flags][..], b"\0\0\0\x09\0\0\0\0"].concat();
            assert_eq!(header(audio, video)[..], expected);
        }
    }

    #[test]
    fn a_tag_has_its_length_twice_and_its_time_in_two_parts() {
        let expected = b"\x09\0\0\x03\x23\x45\x67\x01\0\0\0\x17\x01\xff\0\0\0\x0e";
        assert_eq!(tag(9, 0x0123_4567, b"\x17\x01\xff")[..], expected[..]);
        let long = tag(8, 0, &[7; 0x01_02_03]);
        assert_eq!(long[..4], [8, 1, 2, 3]);
        assert_eq!(long[long.len() - 4..], [0, 1, 2, 14]);
    }
}
