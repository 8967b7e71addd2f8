//! Chunk headers, and a message cut into chunks [RTMP §5.3].

use core::fmt;

use bytes::BufMut;

use crate::wire::message::RawMessage;
use crate::wire::reader::Reader;

/// Value of the 24-bit timestamp field that says: the extended timestamp follows
/// [RTMP §5.3.1.3].
pub const EXTENDED: u32 = 0xff_ffff;

/// Which fields a message header has [RTMP §5.3.1.2].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// All of them, with an absolute timestamp.
    Type0,
    /// No message stream id; a timestamp delta.
    Type1,
    /// Only a timestamp delta.
    Type2,
    /// None.
    Type3,
}

/// Identifies one of the interleaved chunk streams of a connection; 2 to 65599.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ChunkStreamId(pub u32);

impl ChunkStreamId {
    /// Protocol control and user control messages [RTMP §5.4].
    pub const CONTROL: Self = Self(2);
    /// Commands of the connection.
    pub const CONNECTION: Self = Self(3);
    /// Commands and data of the stream.
    pub const STREAM: Self = Self(5);
    /// Video; a chunk stream of its own, which some players require.
    pub const VIDEO: Self = Self(6);
    /// Audio; see [`Self::VIDEO`].
    pub const AUDIO: Self = Self(7);
}

impl fmt::Display for ChunkStreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chunk stream {}", self.0)
    }
}

/// Format and chunk stream: the first one to three bytes of a chunk [RTMP §5.3.1.1].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BasicHeader {
    /// Type of the message header that follows.
    pub format: Format,
    /// Chunk stream that the chunk belongs to.
    pub chunk_stream_id: ChunkStreamId,
}

impl BasicHeader {
    /// Decodes one, two or three bytes; `None` when they have not all arrived.
    pub fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let first = reader.u8()?;
        let format = match first >> 6 {
            0 => Format::Type0,
            1 => Format::Type1,
            2 => Format::Type2,
            _ => Format::Type3,
        };
        let id = match first & 0x3f {
            0 => u32::from(reader.u8()?).saturating_add(64),
            1 => {
                let [low, high] = reader.array()?; // the third byte is times 256
                u32::from(u16::from_le_bytes([low, high])).saturating_add(64)
            }
            id => u32::from(id),
        };
        Some(Self {
            format,
            chunk_stream_id: ChunkStreamId(id),
        })
    }
}

/// The fields of a message header that were sent [RTMP §5.3.1.2]. The extended timestamp is not
/// among them: whether a type 3 header has one depends on what came before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MessageHeader {
    /// Timestamp (type 0) or timestamp delta (type 1 and 2), or [`EXTENDED`].
    pub timestamp: Option<u32>,
    /// Message length and message type id.
    pub kind: Option<(usize, u8)>,
    /// Message stream id.
    pub message_stream_id: Option<u32>,
}

impl MessageHeader {
    /// Decodes 11, 7, 3 or 0 bytes; `None` when they have not all arrived.
    pub fn decode(format: Format, reader: &mut Reader<'_>) -> Option<Self> {
        let mut header = Self {
            timestamp: None,
            kind: None,
            message_stream_id: None,
        };
        if format != Format::Type3 {
            header.timestamp = Some(reader.u24()?);
        }
        if matches!(format, Format::Type0 | Format::Type1) {
            let length = usize::try_from(reader.u24()?).unwrap_or(usize::MAX);
            header.kind = Some((length, reader.u8()?));
        }
        if format == Format::Type0 {
            header.message_stream_id = Some(reader.u32_le()?);
        }
        Some(header)
    }
}

/// Cuts `message` into chunks and appends them to `out`.
///
/// The first has a type 0 header, so the bytes depend on nothing that was sent before and can be
/// shared by any number of players. The extended timestamp is repeated on every type 3 chunk
/// [RTMP §5.3.1.3], as ffmpeg and `GStreamer` require. `id` is at most 63, `chunk_size` not 0.
pub fn cut(message: &RawMessage, id: ChunkStreamId, chunk_size: usize, out: &mut impl BufMut) {
    let id = u8::try_from(id.0 & 0x3f).unwrap_or(0);
    let [_, length @ ..] = u32::try_from(message.payload.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    let [_, timestamp @ ..] = message.timestamp.min(EXTENDED).to_be_bytes();
    let extended = (message.timestamp >= EXTENDED).then_some(message.timestamp);
    out.put_u8(id);
    out.put_slice(&timestamp);
    out.put_slice(&length);
    out.put_u8(message.type_id);
    out.put_u32_le(message.message_stream_id);
    for (number, part) in message.payload.chunks(chunk_size.max(1)).enumerate() {
        if number > 0 {
            out.put_u8(0xc0 | id);
        }
        if let Some(extended) = extended {
            out.put_u32(extended);
        }
        out.put_slice(part);
    }
    if let (true, Some(extended)) = (message.payload.is_empty(), extended) {
        out.put_u32(extended);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// Bytes of a basic header, format bits zero, and the id they say [RTMP §5.3.1.1].
    const BASIC: &[(&[u8], u32)] = &[
        (&[0x02], 2),
        (&[0x3f], 63),
        (&[0x00, 0x00], 64),
        (&[0x00, 0xff], 319),
        (&[0x01, 0x00, 0x00], 64),
        (&[0x01, 0x01, 0x00], 65),
        (&[0x01, 0x00, 0x01], 320),
        (&[0x01, 0xff, 0xff], 65_599),
    ];

    #[test]
    fn basic_headers_of_all_three_lengths_decode() {
        for &(bytes, id) in BASIC {
            let decoded = BasicHeader::decode(&mut Reader::new(bytes)).unwrap();
            assert_eq!(decoded.chunk_stream_id, ChunkStreamId(id), "{bytes:?}");
            assert_eq!(decoded.format, Format::Type0);
            for end in 0..bytes.len() {
                assert_eq!(BasicHeader::decode(&mut Reader::new(&bytes[..end])), None);
            }
        }
    }

    #[test]
    fn message_headers_have_the_fields_of_their_type() {
        let bytes = [0, 0, 1, 0, 0, 2, 9, 1, 0, 0, 0];
        for (format, length) in [
            (Format::Type0, 11),
            (Format::Type1, 7),
            (Format::Type2, 3),
            (Format::Type3, 0),
        ] {
            let mut reader = Reader::new(&bytes);
            let header = MessageHeader::decode(format, &mut reader).unwrap();
            assert_eq!(bytes.len() - reader.remaining(), length);
            assert_eq!(header.timestamp, (length >= 3).then_some(1));
            assert_eq!(header.kind, (length >= 7).then_some((2, 9)));
            assert_eq!(header.message_stream_id, (length == 11).then_some(1));
            for end in 0..length {
                let mut reader = Reader::new(&bytes[..end]);
                assert_eq!(MessageHeader::decode(format, &mut reader), None);
            }
        }
    }

    #[test]
    fn the_extended_timestamp_is_repeated_on_every_chunk() {
        let message = RawMessage {
            type_id: 9,
            timestamp: 0x0100_0000,
            message_stream_id: 1,
            payload: Bytes::from_static(b"abcde"),
        };
        let mut out = Vec::new();
        cut(&message, ChunkStreamId::VIDEO, 2, &mut out);
        let expected: &[u8] = &[
            6, 0xff, 0xff, 0xff, 0, 0, 5, 9, 1, 0, 0, 0, // type 0
            1, 0, 0, 0, b'a', b'b', // extended timestamp, data
            0xc6, 1, 0, 0, 0, b'c', b'd', // type 3
            0xc6, 1, 0, 0, 0, b'e',
        ];
        assert_eq!(out, expected);
    }
}
