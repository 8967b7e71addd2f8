//! A slow decoder of chunks, which [`crate::session::assembler`] is compared with. Written from
//! [RTMP §5.3, §5.4] and from the bounds and deviations that we have, not from our decoder: it has
//! all the bytes at once, and remembers nothing that the specification has no name for.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::limits;
use crate::session::error::ChunkError;
use crate::wire::chunk::ChunkStreamId;
use crate::wire::message::RawMessage;

/// What is known of a chunk stream [RTMP §5.3.1.2].
#[derive(Default)]
struct Stream {
    timestamp: u64,
    delta: u64,
    /// The extended timestamp as it was sent.
    extended: Option<[u8; 4]>,
    length: usize,
    type_id: u8,
    message_stream_id: [u8; 4],
    body: Vec<u8>,
}

struct Decoder<'a> {
    bytes: &'a [u8],
    chunk_size: usize,
    streams: BTreeMap<u64, Stream>,
    messages: Vec<RawMessage>,
}

/// The bytes are wrong; or they have come to their end.
type Stop = Option<ChunkError>;

/// All messages, and the error that ends them if one does. Once `trusted_after` messages have come,
/// they may be long.
pub fn decode(bytes: &[u8], trusted_after: usize) -> (Vec<RawMessage>, Result<(), ChunkError>) {
    let mut decoder = Decoder {
        bytes,
        chunk_size: 128,
        streams: BTreeMap::new(),
        messages: Vec::new(),
    };
    loop {
        let trusted = decoder.messages.len() >= trusted_after;
        if let Err(stop) = decoder.chunk(trusted) {
            return (decoder.messages, stop.map_or(Ok(()), Err));
        }
    }
}

impl Decoder<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or(None)?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn chunk(&mut self, trusted: bool) -> Result<(), Stop> {
        let [first] = self.take()?;
        let id = match first & 0x3f {
            0 => number(&self.take::<1>()?).saturating_add(64),
            1 => {
                let [second, third] = self.take()?;
                number(&[third, second]).saturating_add(64)
            }
            id => id.into(),
        };
        let (format, name) = (first >> 6, ChunkStreamId(low(id)));
        let known = self.streams.remove(&id);
        if known.is_none() && format > 1 {
            return Err(Some(ChunkError::NoPrecedingChunk(name)));
        }
        if known.is_none() && self.streams.len() == limits::MAX_CHUNK_STREAMS {
            return Err(Some(ChunkError::TooManyChunkStreams));
        }
        let mut stream = known.unwrap_or_default();
        let begins = stream.body.is_empty();
        if format < 3 && !begins {
            return Err(Some(ChunkError::InterruptedMessage(name)));
        }
        if format < 3 {
            self.header(format, trusted, &mut stream)?;
        } else {
            self.skip_copy(&stream)?;
            if begins {
                stream.timestamp = stream.timestamp.wrapping_add(stream.delta);
            }
        }

        let missing = stream.length.saturating_sub(stream.body.len());
        let due = missing.min(self.chunk_size);
        let (data, rest) = self.bytes.split_at_checked(due).ok_or(None)?;
        self.bytes = rest;
        stream.body.extend(data);
        let unfinished = self.streams.values().map(|other| other.body.len());
        let most = if trusted {
            limits::MAX_PARTIAL_BYTES
        } else {
            limits::MAX_PARTIAL_BYTES_EARLY
        };
        if unfinished.sum::<usize>().saturating_add(stream.body.len()) > most {
            return Err(Some(ChunkError::TooManyPartialBytes));
        }
        let whole = (due == missing).then(|| core::mem::take(&mut stream.body));
        let message = whole.map(|body| RawMessage {
            type_id: stream.type_id,
            timestamp: low(stream.timestamp),
            message_stream_id: u32::from_le_bytes(stream.message_stream_id),
            payload: Bytes::from(body),
        });
        self.streams.insert(id, stream);
        message.map_or(Ok(()), |message| self.message(message))
    }

    /// What type 0, 1 and 2 say [RTMP §5.3.1.2, §5.3.1.3].
    fn header(&mut self, format: u8, trusted: bool, stream: &mut Stream) -> Result<(), Stop> {
        let mut time = number(&self.take::<3>()?);
        if format < 2 {
            let length = number(&self.take::<3>()?);
            stream.length = usize::try_from(length).unwrap_or(usize::MAX);
            [stream.type_id] = self.take()?;
        }
        if format == 0 {
            stream.message_stream_id = self.take()?;
        }
        let longest = if trusted {
            limits::MAX_MESSAGE_LENGTH
        } else {
            limits::MAX_MESSAGE_LENGTH_EARLY
        };
        if stream.length > longest {
            return Err(Some(ChunkError::MessageTooLong(stream.length)));
        }
        stream.extended = None;
        if time == 0xff_ffff {
            let extended = self.take()?;
            stream.extended = Some(extended);
            time = number(&extended);
        }
        if format == 0 {
            // Deviation: a type 3 header after this one adds nothing.
            (stream.timestamp, stream.delta) = (time, 0);
        } else {
            stream.timestamp = stream.timestamp.wrapping_add(time);
            stream.delta = time;
        }
        Ok(())
    }

    /// Deviation: the copy of the extended timestamp may be missing. If it could be there, it is.
    fn skip_copy(&mut self, stream: &Stream) -> Result<(), Stop> {
        match stream.extended {
            Some(copy) if self.bytes.starts_with(&copy) => self.take::<4>().map(drop),
            Some(copy) if copy.starts_with(self.bytes) => Err(None),
            _ => Ok(()),
        }
    }

    /// [RTMP §5.4.1, §5.4.2]
    fn message(&mut self, message: RawMessage) -> Result<(), Stop> {
        if message.type_id != 1 && message.type_id != 2 {
            self.messages.push(message);
            return Ok(());
        }
        let length = message.payload.len();
        let value = message.payload.first_chunk::<4>();
        let value = number(value.ok_or(Some(ChunkError::ControlLength(length)))?);
        if message.type_id == 1 {
            if !(128..1 << 31).contains(&value) {
                return Err(Some(ChunkError::ChunkSize(low(value))));
            }
            self.chunk_size = usize::try_from(value).unwrap_or(usize::MAX);
        } else if let Some(aborted) = self.streams.get_mut(&value) {
            aborted.body.clear();
        }
        Ok(())
    }
}

fn number(big_endian: &[u8]) -> u64 {
    let next = |sum, byte: &u8| sum << 8 | u64::from(*byte);
    big_endian.iter().fold(0, next)
}

/// Modulo 2^32, as timestamps are.
fn low(value: u64) -> u32 {
    u32::try_from(value & 0xffff_ffff).unwrap_or(0)
}
