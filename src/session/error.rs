//! Why a session hangs up.

use core::fmt;

use crate::wire::amf0::AmfError;
use crate::wire::chunk::ChunkStreamId;

/// The peer broke the chunk protocol; the connection cannot be resynchronised.
///
/// One variant per check, so a test can name the check that fired. Variants carry numbers, never
/// peer-chosen bytes: an error is safe to log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ChunkError {
    /// A chunk size of 0, with bit 31 set, or below [`crate::limits::MIN_CHUNK_SIZE`]
    /// [RTMP §5.4.1].
    ChunkSize(u32),
    /// A Set Chunk Size or Abort message that is shorter than four bytes [RTMP §5.4.1, §5.4.2].
    ControlLength(usize),
    /// A new message header in the middle of a message [RTMP §5.3.1].
    InterruptedMessage(ChunkStreamId),
    /// A message longer than the connection may send at this point.
    MessageTooLong(usize),
    /// A type 2 or 3 header with nothing to inherit from [RTMP §5.3.1.2.4].
    NoPrecedingChunk(ChunkStreamId),
    /// More unfinished messages than [`crate::limits::MAX_PARTIAL_BYTES`].
    TooManyPartialBytes,
    /// More chunk streams than [`crate::limits::MAX_CHUNK_STREAMS`].
    TooManyChunkStreams,
}

impl fmt::Display for ChunkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ChunkSize(size) => write!(f, "chunk size {size} out of range"),
            Self::ControlLength(length) => write!(f, "control message of {length} bytes"),
            Self::InterruptedMessage(id) => write!(f, "{id}: new header inside a message"),
            Self::MessageTooLong(length) => write!(f, "message of {length} bytes is too long"),
            Self::NoPrecedingChunk(id) => write!(f, "{id}: first header is not type 0 or 1"),
            Self::TooManyPartialBytes => write!(f, "too many bytes of unfinished messages"),
            Self::TooManyChunkStreams => write!(f, "too many chunk streams"),
        }
    }
}

/// The peer cannot be served any longer. The connection ends without a word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SessionError {
    /// A command that is not AMF0.
    Amf(AmfError),
    /// Chunks that are not RTMP.
    Chunk(ChunkError),
    /// A command without a name or a transaction id.
    MalformedCommand,
    /// More `createStream` calls than [`crate::limits::MAX_CREATE_STREAMS`].
    TooManyStreams,
    /// A message in a state where it makes no sense.
    Unexpected {
        /// What came.
        message: &'static str,
        /// The state it came in.
        state: &'static str,
    },
    /// The first byte is not RTMP version 3 [RTMP §5.2.2].
    Version(u8),
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Amf(error) => write!(f, "malformed AMF0: {error}"),
            Self::Chunk(error) => write!(f, "malformed chunk: {error}"),
            Self::MalformedCommand => write!(f, "command without name or transaction id"),
            Self::TooManyStreams => write!(f, "too many createStream calls"),
            Self::Unexpected { message, state } => write!(f, "{message} while {state}"),
            Self::Version(version) => write!(f, "version {version} is not RTMP (3)"),
        }
    }
}

impl From<ChunkError> for SessionError {
    fn from(error: ChunkError) -> Self {
        Self::Chunk(error)
    }
}

impl From<AmfError> for SessionError {
    fn from(error: AmfError) -> Self {
        Self::Amf(error)
    }
}
