//! The bodies of the fuzz targets `chunk`, `chunk_differential` and `chunk_roundtrip`.

use bytes::{Bytes, BytesMut};

use super::reads;
use super::reference;
use crate::limits;
use crate::session::assembler::Assembler;
use crate::session::error::ChunkError;
use crate::wire::chunk::{ChunkStreamId, EXTENDED, cut};
use crate::wire::control::Control;
use crate::wire::message::{RawMessage, type_id};
use crate::wire::reader::Reader;

type Outcome = (Vec<RawMessage>, Result<(), ChunkError>);

/// However the bytes are cut into reads, the messages and the error are the same; no byte is
/// handed out twice; memory follows the bytes that came, whatever they announce; and what we make
/// of the messages means the same again.
pub fn chunk(data: &[u8]) {
    for trusted_after in [usize::MAX, 0] {
        let whole = assemble(data.chunks(data.len().max(1)), trusted_after);
        for length in [1, 2, 3, 7, 127] {
            assert_eq!(assemble(data.chunks(length), trusted_after), whole);
        }
        let payloads = whole.0.iter().map(|message| message.payload.len());
        assert!(payloads.sum::<usize>() <= data.len(), "more out than in");

        let mut again = Vec::new();
        for message in &whole.0 {
            cut(message, ChunkStreamId::STREAM, 128, &mut again);
        }
        assert_eq!(
            assemble(again.chunks(4096), trusted_after),
            (whole.0, Ok(()))
        );
    }
}

/// Messages and error are those of a decoder that was written from the specification.
///
/// The input is after how many messages the peer is trusted, three lengths of reads, and chunks.
pub fn chunk_differential(data: &[u8]) {
    let Some((&[trusted_after, lengths @ ..], chunks)) = data.split_first_chunk::<4>() else {
        return;
    };
    let expected = reference::decode(chunks, trusted_after.into());
    assert_eq!(
        assemble(reads(chunks, lengths), trusted_after.into()),
        expected
    );
}

fn assemble<'a>(reads: impl Iterator<Item = &'a [u8]>, trusted_after: usize) -> Outcome {
    let mut assembler = Assembler::default();
    let mut input = BytesMut::new();
    let mut messages = Vec::new();
    let mut unused = 0_usize;
    for read in reads {
        unused = unused.saturating_add(read.len());
        input.extend_from_slice(read);
        loop {
            if messages.len() >= trusted_after {
                assembler.trust();
            }
            let before = input.len();
            match assembler.next_message(&mut input) {
                Ok(Some(message)) => {
                    assert!(input.len() < before, "a message out of nothing");
                    unused = unused.saturating_sub(message.payload.len());
                    messages.push(message);
                }
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            }
        }
        let most = unused.min(limits::MAX_PARTIAL_BYTES).saturating_mul(2);
        let least = limits::MAX_CHUNK_STREAMS.saturating_mul(8); // of vectors that hold anything
        assert!(assembler.held() <= most.saturating_add(least), "it hoards");
        assert_eq!(assembler.held() > 0, assembler.is_in_message(&[]));
    }
    (messages, Ok(()))
}

/// Chunk streams of all three forms of the basic header.
const IDS: [u32; 8] = [3, 4, 62, 63, 64, 319, 320, 65_599];

/// A sender, which knows nothing of the assembler.
struct Writer {
    chunk_size: usize,
    streams: [Sent; IDS.len()],
    out: Vec<u8>,
}

/// What a chunk stream has sent [RTMP §5.3.1.2].
#[derive(Default)]
struct Sent {
    last: Option<RawMessage>,
    delta: u32,
    extended: Option<u32>,
    /// What is left of the last message.
    rest: Bytes,
}

/// Messages that are sent with every saving that headers allow, in chunks that interleave and change
/// their size, arrive as they were; those that were aborted do not.
///
/// The input is three lengths of reads, and steps: an opcode, and what it needs.
pub fn chunk_roundtrip(data: &[u8]) {
    let Some((&lengths, steps)) = data.split_first_chunk::<3>() else {
        return;
    };
    let mut writer = Writer {
        chunk_size: 128,
        streams: Default::default(),
        out: Vec::new(),
    };
    let mut expected = Vec::new();
    let mut reader = Reader::new(steps);
    while let Some(whole) = writer.step(&mut reader) {
        expected.extend(whole);
    }
    let arrived = assemble(reads(&writer.out, lengths), 0);
    assert_eq!(arrived, (expected, Ok(())));
}

impl Writer {
    /// The message that is whole now, if one is; `None` when the input is over.
    fn step(&mut self, reader: &mut Reader<'_>) -> Option<Option<RawMessage>> {
        let Self {
            chunk_size,
            streams,
            out,
        } = self;
        let opcode = reader.u8()?;
        let at = usize::from(opcode & 7);
        let (id, sent) = (*IDS.get(at)?, streams.get_mut(at)?);
        match opcode >> 3 & 7 {
            0 => {
                let size = u32::from(reader.u16()?).saturating_add(128);
                // Up to the largest that there is.
                let size = if opcode & 0x80 == 0 { size } else { size << 14 };
                let message = Control::SetChunkSize(size).encode();
                cut(&message, ChunkStreamId::CONTROL, *chunk_size, out);
                *chunk_size = usize::try_from(size).ok()?;
                Some(None)
            }
            1 => {
                sent.rest.clear();
                let message = RawMessage {
                    type_id: type_id::ABORT,
                    ..Control::SetChunkSize(id).encode()
                };
                cut(&message, ChunkStreamId::CONTROL, *chunk_size, out);
                Some(None)
            }
            // As we send.
            2 => {
                let message = Sent::default().next(reader.u8()?, reader)?;
                cut(&message, ChunkStreamId::VIDEO, *chunk_size, out);
                Some(Some(message))
            }
            _ => {
                if sent.rest.is_empty() {
                    sent.begin(id, reader, out)?;
                } else {
                    basic_header(3, id, out);
                    out.extend(sent.extended.into_iter().flat_map(u32::to_be_bytes));
                }
                let length = sent.rest.len().min(*chunk_size);
                out.extend(sent.rest.split_to(length));
                Some(sent.last.clone().filter(|_| sent.rest.is_empty()))
            }
        }
    }
}

impl Sent {
    /// A message that differs from the last one in what `flags` say.
    fn next(&self, flags: u8, reader: &mut Reader<'_>) -> Option<RawMessage> {
        let last = self.last.as_ref();
        let mut length = last.map_or(0, |last| last.payload.len());
        let mut message = RawMessage {
            type_id: last.map_or(type_id::VIDEO, |last| last.type_id),
            timestamp: last.map_or(0, |last| last.timestamp),
            message_stream_id: last.map_or(0, |last| last.message_stream_id),
            payload: Bytes::new(),
        };
        if flags & 1 != 0 {
            message.message_stream_id = reader.u32()?;
        }
        if flags & 2 != 0 {
            // The assembler keeps Set Chunk Size and Abort to itself.
            message.type_id = reader.u8()?.max(3);
        }
        if flags & 4 != 0 {
            length = usize::from(reader.u16()? & 0x0fff);
        }
        let delta = match flags >> 3 & 3 {
            0 => self.delta,
            1 => reader.u8()?.into(),
            2 => u32::from(reader.u8()?).saturating_add(EXTENDED.saturating_sub(128)),
            _ => reader.u32()?,
        };
        message.timestamp = message.timestamp.wrapping_add(delta);
        let first = reader.u8()?;
        let counting = core::iter::successors(Some(first), |byte| Some(byte.wrapping_add(1)));
        message.payload = counting.take(length).collect();
        Some(message)
    }

    /// Writes a header with no more than `flags` want and the last message makes necessary.
    fn begin(&mut self, id: u32, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Option<()> {
        let flags = reader.u8()?;
        let message = self.next(flags, reader)?;
        let delta = |last: &RawMessage| message.timestamp.wrapping_sub(last.timestamp);
        let kind = |message: &RawMessage| (message.payload.len(), message.type_id);
        let format = match &self.last {
            Some(last) if last.message_stream_id == message.message_stream_id => {
                if kind(last) != kind(&message) {
                    1
                } else if delta(last) != self.delta {
                    2
                } else {
                    3
                }
            }
            _ => 0,
        };
        let format = format.min(flags >> 5 & 3);
        basic_header(format, id, out);
        if format < 3 {
            let delta = self.last.as_ref().map_or(0, delta);
            self.delta = if format == 0 { 0 } else { delta };
            let time = if format == 0 {
                message.timestamp
            } else {
                delta
            };
            self.extended = (time >= EXTENDED).then_some(time);
            out.extend(u24(time.min(EXTENDED)));
        }
        if format < 2 {
            let length = u32::try_from(message.payload.len()).ok()?;
            out.extend(u24(length));
            out.push(message.type_id);
        }
        if format == 0 {
            out.extend(message.message_stream_id.to_le_bytes());
        }
        out.extend(self.extended.into_iter().flat_map(u32::to_be_bytes));
        self.rest = message.payload.clone();
        self.last = Some(message);
        Some(())
    }
}

/// The shortest that can say `id` [RTMP §5.3.1.1].
fn basic_header(format: u8, id: u32, out: &mut Vec<u8>) {
    let [low, high, ..] = id.wrapping_sub(64).to_le_bytes();
    match id {
        0..64 => out.push(format << 6 | id.to_le_bytes()[0]),
        64..320 => out.extend([format << 6, low]),
        _ => out.extend([format << 6 | 1, low, high]),
    }
}

fn u24(value: u32) -> [u8; 3] {
    let [_, high, middle, low] = value.to_be_bytes();
    [high, middle, low]
}
