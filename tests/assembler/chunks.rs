//! Chunks written byte by byte from the specification, and what becomes of them.

use bytes::{Bytes, BytesMut};
use srs_lite::session::assembler::Assembler;
use srs_lite::session::error::ChunkError;
use srs_lite::wire::message::RawMessage;

pub(crate) type Outcome = (Vec<RawMessage>, Result<(), ChunkError>);

/// A basic header of the shortest form that can say `id`.
pub(crate) fn basic(format: u8, id: u32) -> Vec<u8> {
    match id {
        0..64 => basic_of(1, format, id),
        64..320 => basic_of(2, format, id),
        _ => basic_of(3, format, id),
    }
}

/// A basic header of `length` bytes.
pub(crate) fn basic_of(length: usize, format: u8, id: u32) -> Vec<u8> {
    let rest = id.wrapping_sub(64).to_le_bytes();
    match length {
        1 => vec![format << 6 | u8::try_from(id).unwrap()],
        2 => vec![format << 6, rest[0]],
        _ => vec![format << 6 | 1, rest[0], rest[1]],
    }
}

pub(crate) fn type0(
    id: u32,
    timestamp: u32,
    length: usize,
    kind: (u8, u32),
    data: &[u8],
) -> Vec<u8> {
    let (type_id, message_stream_id) = kind;
    let mut chunk = basic(0, id);
    chunk.extend(u24(timestamp.min(0xff_ffff)));
    chunk.extend(u24(u32::try_from(length).unwrap()));
    chunk.push(type_id);
    chunk.extend(message_stream_id.to_le_bytes());
    extend(chunk, timestamp, data)
}

pub(crate) fn type1(id: u32, delta: u32, length: usize, type_id: u8, data: &[u8]) -> Vec<u8> {
    let mut chunk = basic(1, id);
    chunk.extend(u24(delta.min(0xff_ffff)));
    chunk.extend(u24(u32::try_from(length).unwrap()));
    chunk.push(type_id);
    extend(chunk, delta, data)
}

pub(crate) fn type2(id: u32, delta: u32, data: &[u8]) -> Vec<u8> {
    let mut chunk = basic(2, id);
    chunk.extend(u24(delta.min(0xff_ffff)));
    extend(chunk, delta, data)
}

/// `copy`: the extended timestamp, if it is to be repeated.
pub(crate) fn type3(id: u32, copy: Option<u32>, data: &[u8]) -> Vec<u8> {
    let mut chunk = basic(3, id);
    chunk.extend(copy.into_iter().flat_map(u32::to_be_bytes));
    chunk.extend(data);
    chunk
}

/// A control message of one chunk, on chunk stream 2.
pub(crate) fn control(type_id: u8, value: u32) -> Vec<u8> {
    type0(2, 0, 4, (type_id, 0), &value.to_be_bytes())
}

pub(crate) fn set_chunk_size(size: u32) -> Vec<u8> {
    control(1, size)
}

pub(crate) fn abort(id: u32) -> Vec<u8> {
    control(2, id)
}

/// A message cut into chunks of `chunk_size`, with a type 0 header first.
pub(crate) fn cut(id: u32, message: &RawMessage, chunk_size: usize) -> Vec<Vec<u8>> {
    let timestamp = message.timestamp;
    let mut parts = message.payload.chunks(chunk_size);
    let kind = (message.type_id, message.message_stream_id);
    let first = parts.next().unwrap_or_default();
    let mut chunks = vec![type0(id, timestamp, message.payload.len(), kind, first)];
    let copy = (timestamp >= 0xff_ffff).then_some(timestamp);
    chunks.extend(parts.map(|part| type3(id, copy, part)));
    chunks
}

pub(crate) fn message(type_id: u8, timestamp: u32, payload: &[u8]) -> RawMessage {
    RawMessage {
        type_id,
        timestamp,
        message_stream_id: 1,
        payload: Bytes::copy_from_slice(payload),
    }
}

/// Bytes of which no two near ones are equal.
pub(crate) fn payload(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| u8::try_from(i % 251).unwrap())
        .collect()
}

/// What `assembler` makes of `reads`.
pub(crate) fn feed<'a>(
    assembler: &mut Assembler,
    reads: impl IntoIterator<Item = &'a [u8]>,
) -> Outcome {
    let mut input = BytesMut::new();
    let mut messages = Vec::new();
    for read in reads {
        input.extend_from_slice(read);
        loop {
            match assembler.next_message(&mut input) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            }
        }
    }
    (messages, Ok(()))
}

/// What a new assembler makes of `chunks`: the same for every split into two reads.
pub(crate) fn assemble(chunks: &[Vec<u8>]) -> Outcome {
    let bytes = chunks.concat();
    let whole = feed(&mut Assembler::default(), [&bytes[..]]);
    for split in 1..bytes.len() {
        let (first, second) = bytes.split_at(split);
        let cut = feed(&mut Assembler::default(), [first, second]);
        assert_eq!(cut, whole, "split at {split}");
    }
    whole
}

/// The messages in `chunks`, of which none is wrong.
pub(crate) fn messages(chunks: &[Vec<u8>]) -> Vec<RawMessage> {
    let (messages, result) = assemble(chunks);
    assert_eq!(result, Ok(()));
    messages
}

/// The timestamps of the messages in `chunks`, all of which hold `body`.
pub(crate) fn timestamps(body: &[u8], chunks: &[Vec<u8>]) -> Vec<u32> {
    let all = messages(chunks);
    assert!(all.iter().all(|message| message.payload == body), "{all:?}");
    all.iter().map(|message| message.timestamp).collect()
}

pub(crate) fn u24(value: u32) -> [u8; 3] {
    let [_, high, middle, low] = value.to_be_bytes();
    [high, middle, low]
}

fn extend(mut chunk: Vec<u8>, timestamp: u32, data: &[u8]) -> Vec<u8> {
    if timestamp >= 0xff_ffff {
        chunk.extend(timestamp.to_be_bytes());
    }
    chunk.extend(data);
    chunk
}
