//! Interleaved chunks → messages [RTMP §5.3].

use bytes::{Buf, Bytes, BytesMut};

use crate::limits;
use crate::session::error::ChunkError;
use crate::wire::chunk::{BasicHeader, ChunkStreamId, EXTENDED, Format, MessageHeader};
use crate::wire::message::{RawMessage, type_id};
use crate::wire::reader::Reader;

/// Puts one peer's chunks together. Applies Set Chunk Size and Abort itself; they are not
/// returned.
#[derive(Debug)]
pub struct Assembler {
    chunk_size: usize,
    max_message_length: usize,
    max_partial_bytes: usize,
    /// Invariant: the sum of the lengths of all `partial`s.
    partial_bytes: usize,
    /// Those that a header was seen of: a handful, and [`limits::MAX_CHUNK_STREAMS`] at most.
    streams: Vec<(ChunkStreamId, ChunkStream)>,
}

/// What later headers of a chunk stream inherit, and the message it is in the middle of.
#[derive(Clone, Copy, Debug, Default)]
struct Header {
    timestamp: u32,
    /// Added by a type 3 header that starts a message.
    delta: u32,
    /// Value of the extended timestamp field, if the last header that was not type 3 had one.
    extended: Option<u32>,
    length: usize,
    type_id: u8,
    message_stream_id: u32,
}

#[derive(Debug, Default)]
struct ChunkStream {
    header: Header,
    /// The unfinished message. Grows as bytes arrive, whatever length was announced.
    partial: Vec<u8>,
    in_message: bool,
}

impl Default for Assembler {
    fn default() -> Self {
        Self {
            chunk_size: 128,
            max_message_length: limits::MAX_MESSAGE_LENGTH_EARLY,
            max_partial_bytes: limits::MAX_PARTIAL_BYTES_EARLY,
            partial_bytes: 0,
            streams: Vec::new(),
        }
    }
}

impl Assembler {
    /// Allows messages of [`limits::MAX_MESSAGE_LENGTH`]: the peer may publish, or is an origin.
    pub const fn trust(&mut self) {
        self.max_message_length = limits::MAX_MESSAGE_LENGTH;
        self.max_partial_bytes = limits::MAX_PARTIAL_BYTES;
    }

    /// Bytes of memory that unfinished messages hold: at most twice what arrived of them, and some.
    pub fn held(&self) -> usize {
        let partials = self.streams.iter().map(|(_, stream)| &stream.partial);
        partials.map(Vec::capacity).sum()
    }

    /// The same, with the `input` that could not be taken yet.
    pub fn held_with(&self, input: &BytesMut) -> usize {
        self.held().saturating_add(input.capacity())
    }

    /// Whether the peer is in the middle of a message, if `input` is what could not be taken yet.
    pub const fn is_in_message(&self, input: &[u8]) -> bool {
        self.partial_bytes > 0 || !input.is_empty()
    }

    /// Takes the next whole message off the front of `input`.
    ///
    /// `Ok(None)` asks for more bytes. Only whole chunks leave `input`, so how the bytes were cut
    /// into reads cannot change the result.
    ///
    /// # Errors
    ///
    /// The peer broke the protocol; drop the connection.
    pub fn next_message(&mut self, input: &mut BytesMut) -> Result<Option<RawMessage>, ChunkError> {
        loop {
            let mut reader = Reader::new(input);
            let Some(basic) = BasicHeader::decode(&mut reader) else {
                return Ok(None);
            };
            let Some(header) = self.follow(basic, &mut reader)? else {
                return Ok(None);
            };
            let known = self.stream(basic.chunk_stream_id);
            let received = known.map_or(0, |stream| stream.partial.len());
            let due = header.length.saturating_sub(received).min(self.chunk_size);
            let Some(data) = reader.take(due) else {
                return Ok(None);
            };
            if self.partial_bytes.saturating_add(due) > self.max_partial_bytes {
                return Err(ChunkError::TooManyPartialBytes);
            }

            // A whole chunk is here. State changes from this line on, and not before.
            let at = self.place(basic.chunk_stream_id);
            let stream = self.streams.get_mut(at);
            let message = stream.and_then(|(_, stream)| stream.add(header, data));
            self.partial_bytes = match message {
                Some(_) => self.partial_bytes.saturating_sub(received),
                None => self.partial_bytes.saturating_add(due),
            };
            let consumed = input.len().saturating_sub(reader.remaining());
            input.advance(consumed);
            match message {
                Some(message) if message.type_id == type_id::SET_CHUNK_SIZE => {
                    self.resize(&message)?;
                }
                Some(message) if message.type_id == type_id::ABORT => self.abort(&message)?,
                Some(message) => return Ok(Some(message)),
                None => {}
            }
        }
    }

    fn stream(&self, id: ChunkStreamId) -> Option<&ChunkStream> {
        let mut streams = self.streams.iter();
        let (_, stream) = streams.find(|(known, _)| *known == id)?;
        Some(stream)
    }

    /// Where the chunk stream is; if it is not known, it is now.
    fn place(&mut self, id: ChunkStreamId) -> usize {
        let at = self.streams.iter().position(|(known, _)| *known == id);
        at.unwrap_or_else(|| {
            self.streams.push((id, ChunkStream::default()));
            self.streams.len().saturating_sub(1)
        })
    }

    /// The full header of the chunk that starts here; `None` when it has not all arrived.
    fn follow(
        &self,
        basic: BasicHeader,
        reader: &mut Reader<'_>,
    ) -> Result<Option<Header>, ChunkError> {
        let id = basic.chunk_stream_id;
        let known = self.stream(id);
        if known.is_none() {
            // Type 1 is tolerated: librtmp opens its ping's chunk stream with it.
            if matches!(basic.format, Format::Type2 | Format::Type3) {
                return Err(ChunkError::NoPrecedingChunk(id));
            }
            if self.streams.len() >= limits::MAX_CHUNK_STREAMS {
                return Err(ChunkError::TooManyChunkStreams);
            }
        }
        let in_message = known.is_some_and(|stream| stream.in_message);
        if in_message && basic.format != Format::Type3 {
            return Err(ChunkError::InterruptedMessage(id));
        }
        let inherited = known.map(|stream| stream.header).unwrap_or_default();
        let Some(sent) = MessageHeader::decode(basic.format, reader) else {
            return Ok(None);
        };
        let mut header = inherited;
        if let Some((length, type_id)) = sent.kind {
            (header.length, header.type_id) = (length, type_id);
        }
        if let Some(message_stream_id) = sent.message_stream_id {
            header.message_stream_id = message_stream_id;
        }
        if header.length > self.max_message_length {
            return Err(ChunkError::MessageTooLong(header.length));
        }
        if let Some(field) = sent.timestamp {
            let Some(field) = extended(field, &mut header, reader) else {
                return Ok(None);
            };
            if basic.format == Format::Type0 {
                header.timestamp = field;
                // Deviation: by the letter of [RTMP §5.3.1.2.4] a type 3 header after this one
                // adds the absolute timestamp. nginx-rtmp and gortmplib add nothing either.
                header.delta = 0;
            } else {
                header.timestamp = header.timestamp.wrapping_add(field);
                header.delta = field;
            }
        } else {
            let Some(()) = skip_repeated(header.extended, reader) else {
                return Ok(None);
            };
            if !in_message {
                header.timestamp = header.timestamp.wrapping_add(header.delta);
            }
        }
        Ok(Some(header))
    }

    /// [RTMP §5.4.1]
    fn resize(&mut self, message: &RawMessage) -> Result<(), ChunkError> {
        let size = control_value(message)?;
        let wanted = usize::try_from(size).unwrap_or(usize::MAX);
        if size > 0x7fff_ffff || wanted < limits::MIN_CHUNK_SIZE {
            return Err(ChunkError::ChunkSize(size));
        }
        self.chunk_size = wanted.min(limits::MAX_CHUNK_SIZE);
        Ok(())
    }

    /// [RTMP §5.4.2]
    fn abort(&mut self, message: &RawMessage) -> Result<(), ChunkError> {
        let id = ChunkStreamId(control_value(message)?);
        let stream = self.streams.iter_mut().find(|(known, _)| *known == id);
        if let Some((_, stream)) = stream {
            self.partial_bytes = self.partial_bytes.saturating_sub(stream.partial.len());
            stream.partial = Vec::new();
            stream.in_message = false;
        }
        Ok(())
    }
}

impl ChunkStream {
    /// Adds a chunk's data; the message, if it is now whole.
    fn add(&mut self, header: Header, data: &[u8]) -> Option<RawMessage> {
        self.header = header;
        let received = self.partial.len().saturating_add(data.len());
        self.in_message = received < header.length;
        if self.in_message {
            self.partial.extend_from_slice(data);
            return None;
        }
        // Copied or trimmed, so that a cached frame holds its own bytes and no others.
        let payload = if self.partial.is_empty() {
            Bytes::copy_from_slice(data)
        } else {
            self.partial.extend_from_slice(data);
            core::mem::take(&mut self.partial).into_boxed_slice().into()
        };
        Some(RawMessage {
            type_id: header.type_id,
            timestamp: header.timestamp,
            message_stream_id: header.message_stream_id,
            payload,
        })
    }
}

/// The value of a timestamp field, read from the extended timestamp if the field says so
/// [RTMP §5.3.1.3].
fn extended(field: u32, header: &mut Header, reader: &mut Reader<'_>) -> Option<u32> {
    header.extended = None;
    if field == EXTENDED {
        header.extended = Some(reader.u32()?);
    }
    Some(header.extended.unwrap_or(field))
}

/// Skips the copy of the extended timestamp on a type 3 chunk, if there is one; `None` when that
/// cannot be told yet.
///
/// Deviation: old librtmp, and OBS up to 30.0, leave the copy out. What is not the copy is data.
fn skip_repeated(extended: Option<u32>, reader: &mut Reader<'_>) -> Option<()> {
    let Some(extended) = extended else {
        return Some(());
    };
    let copy = extended.to_be_bytes();
    let rest = reader.rest();
    if rest.starts_with(&copy) {
        return reader.take(copy.len()).map(|_| ());
    }
    (!copy.starts_with(rest)).then_some(())
}

fn control_value(message: &RawMessage) -> Result<u32, ChunkError> {
    Reader::new(&message.payload)
        .u32()
        .ok_or(ChunkError::ControlLength(message.payload.len()))
}
