//! The chunk layer: a writer that can be told to do anything, a reader that accepts only what the
//! specification allows.

use std::collections::HashMap;

use super::amf::{self, Value};

/// A message as it came, or is to go.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Message {
    /// Chunk stream.
    pub(crate) csid: u32,
    pub(crate) type_id: u8,
    /// Milliseconds.
    pub(crate) timestamp: u32,
    /// Message stream.
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// An answer to `publish` or `play`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Status {
    pub(crate) level: String,
    pub(crate) code: String,
    pub(crate) description: String,
}

impl Status {
    /// The status in an information object.
    pub(crate) fn from_value(information: &Value) -> Self {
        let field = |key| match information.property(key) {
            Some(value) => value.text().to_owned(),
            None => String::new(),
        };
        Self {
            level: field("level"),
            code: field("code"),
            description: field("description"),
        }
    }
}

impl Message {
    /// Audio or video.
    pub(crate) fn is_media(&self) -> bool {
        matches!(self.type_id, 8 | 9)
    }

    /// Name, transaction id and arguments of an AMF0 command.
    pub(crate) fn command(&self) -> Option<(String, f64, Vec<Value>)> {
        if self.type_id != 20 {
            return None;
        }
        let mut values = amf::decode(&self.payload);
        let arguments = values.split_off(2);
        Some((values[0].text().to_owned(), values[1].number(), arguments))
    }

    /// The status, if this is an `onStatus`.
    pub(crate) fn status(&self) -> Option<Status> {
        let (name, _, arguments) = self.command()?;
        let information = arguments.get(1).filter(|_| name == "onStatus")?;
        Some(Status::from_value(information))
    }

    /// The event and its first four bytes, if this is a user control message.
    pub(crate) fn user_control(&self) -> Option<(u16, u32)> {
        let event = u16::from_be_bytes(*self.payload.first_chunk()?);
        let value = u32::from_be_bytes(*self.payload.get(2..)?.first_chunk()?);
        (self.type_id == 4).then_some((event, value))
    }
}

/// How a message is cut into chunks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// Header type of the first chunk, 0 to 3.
    pub(crate) format: u8,
    /// Bytes of the basic header, 1 to 3; must be able to hold the chunk stream id.
    pub(crate) basic: usize,
    /// Payload bytes of a chunk.
    pub(crate) chunk_size: usize,
    /// The delta that types 1 and 2 write, and whose extension type 3 repeats.
    pub(crate) delta: u32,
    /// Whether type 3 chunks repeat the extended timestamp, as the specification asks.
    pub(crate) repeat_extended: bool,
}

impl Cut {
    /// As ordinary clients do it.
    pub(crate) fn plain(chunk_size: usize) -> Self {
        Self {
            format: 0,
            basic: 1,
            chunk_size,
            delta: 0,
            repeat_extended: true,
        }
    }
}

/// The chunks of `message`, one by one, so that a test may interleave them.
pub(crate) fn cut(message: &Message, how: Cut) -> Vec<Vec<u8>> {
    let field = if how.format == 0 {
        message.timestamp
    } else {
        how.delta
    };
    let extended = (field >= 0xFF_FFFF).then(|| field.to_be_bytes());
    let mut pieces = message.payload.chunks(how.chunk_size);
    let mut first = basic_header(how.format, message.csid, how.basic);
    if how.format < 3 {
        first.extend(&field.min(0xFF_FFFF).to_be_bytes()[1..]);
    }
    if how.format < 2 {
        first.extend(&(message.payload.len() as u32).to_be_bytes()[1..]);
        first.push(message.type_id);
    }
    if how.format == 0 {
        first.extend(message.stream.to_le_bytes());
    }
    if let Some(extended) = extended.filter(|_| how.format < 3 || how.repeat_extended) {
        first.extend(extended);
    }
    first.extend(pieces.next().unwrap_or_default());
    let mut chunks = vec![first];
    for piece in pieces {
        let mut chunk = basic_header(3, message.csid, how.basic);
        if let Some(extended) = extended.filter(|_| how.repeat_extended) {
            chunk.extend(extended);
        }
        chunk.extend(piece);
        chunks.push(chunk);
    }
    chunks
}

fn basic_header(format: u8, csid: u32, length: usize) -> Vec<u8> {
    let format = format << 6;
    match length {
        1 => vec![format | u8::try_from(csid).unwrap()],
        2 => vec![format, u8::try_from(csid - 64).unwrap()],
        _ => {
            let [low, high] = u16::try_from(csid - 64).unwrap().to_le_bytes();
            vec![format | 1, low, high]
        }
    }
}

/// Assembles messages. What a strict player would refuse fails the test.
#[derive(Debug)]
pub(crate) struct Reader {
    input: Vec<u8>,
    /// Bytes of `input` that are done with.
    used: usize,
    chunk_size: usize,
    streams: HashMap<u32, ChunkStream>,
}

#[derive(Debug, Default)]
struct ChunkStream {
    header: Message,
    length: usize,
    delta: u32,
    extended: Option<[u8; 4]>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            input: Vec::new(),
            used: 0,
            chunk_size: 128,
            streams: HashMap::new(),
        }
    }

    /// Adds what came from the socket.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.used > 0 {
            self.input.drain(..self.used);
            self.used = 0;
        }
        self.input.extend(bytes);
    }

    /// Whether the peer stopped in the middle of a message.
    pub(crate) fn is_within_message(&self) -> bool {
        let partial = |stream: &ChunkStream| !stream.header.payload.is_empty();
        self.used < self.input.len() || self.streams.values().any(partial)
    }

    /// The next message, if all of it is here.
    pub(crate) fn next_message(&mut self) -> Option<Message> {
        loop {
            let before = self.used;
            let message = self.chunk()?;
            assert!(self.used > before, "a chunk of no bytes");
            let Some(message) = message else { continue };
            if message.type_id == 1 {
                let size = u32::from_be_bytes(*message.payload.first_chunk().unwrap());
                assert!((128..=0x7FFF_FFFF).contains(&size), "chunk size {size}");
                self.chunk_size = size as usize;
            }
            if matches!(message.type_id, 1..=6) {
                let (csid, stream) = (message.csid, message.stream);
                assert_eq!((csid, stream), (2, 0), "control on the wrong stream");
            }
            return Some(message);
        }
    }

    /// Reads one chunk; nothing happens unless it is whole.
    fn chunk(&mut self) -> Option<Option<Message>> {
        let mut input = self.input.get(self.used..)?;
        let (format, csid) = read_basic_header(&mut input)?;
        let known = self.streams.contains_key(&csid);
        assert!(format == 0 || known, "type {format} first on {csid}");
        let stream = self.streams.entry(csid).or_default();
        let started = !stream.header.payload.is_empty();
        assert!(!started || format == 3, "type {format} within a message");
        let mut header = stream.header.clone_header(csid);
        let (mut length, mut delta) = (stream.length, stream.delta);
        let mut extended = stream.extended;
        if format < 3 {
            let mut field = u24(&mut input)?;
            if format < 2 {
                length = u24(&mut input)? as usize;
                header.type_id = take::<1>(&mut input)?[0];
            }
            if format == 0 {
                header.stream = u32::from_le_bytes(take(&mut input)?);
            }
            extended = None;
            if field == 0xFF_FFFF {
                let bytes = take(&mut input)?;
                field = u32::from_be_bytes(bytes);
                assert!(field >= 0xFF_FFFF, "extended timestamp {field}");
                extended = Some(bytes);
            }
            delta = if format == 0 { 0 } else { field };
            let base = if format == 0 { field } else { header.timestamp };
            header.timestamp = base.wrapping_add(delta);
        } else if let Some(expected) = extended {
            let bytes: [u8; 4] = take(&mut input)?;
            assert_eq!(bytes, expected, "type 3 does not repeat the timestamp");
        }
        if format == 3 && !started {
            header.timestamp = header.timestamp.wrapping_add(delta);
        }
        let missing = length - stream.header.payload.len();
        let piece = input.get(..missing.min(self.chunk_size))?;
        let rest = input.len() - piece.len();
        header.payload = std::mem::take(&mut stream.header.payload);
        header.payload.extend(piece);
        self.used = self.input.len() - rest;
        let whole = header.payload.len() == length;
        *stream = ChunkStream {
            header: header.clone_header(csid),
            length,
            delta,
            extended,
        };
        if whole {
            return Some(Some(header));
        }
        stream.header.payload = header.payload;
        Some(None)
    }
}

impl Message {
    fn clone_header(&self, csid: u32) -> Self {
        Self {
            csid,
            payload: Vec::new(),
            ..*self
        }
    }
}

fn read_basic_header(input: &mut &[u8]) -> Option<(u8, u32)> {
    let [first] = take(input)?;
    let csid = match first & 0x3F {
        0 => u32::from(take::<1>(input)?[0]) + 64,
        1 => {
            let csid = u32::from(u16::from_le_bytes(take(input)?)) + 64;
            assert!(csid > 319, "three bytes for chunk stream {csid}");
            csid
        }
        csid => u32::from(csid),
    };
    Some((first >> 6, csid))
}

fn u24(input: &mut &[u8]) -> Option<u32> {
    let [a, b, c] = take(input)?;
    Some(u32::from_be_bytes([0, a, b, c]))
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = input.split_first_chunk()?;
    *input = rest;
    Some(*head)
}
