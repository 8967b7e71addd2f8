//! Why a connection ended, if not as it should.

use core::fmt;
use std::io::{self, ErrorKind};

use crate::session::error::{ChunkError, SessionError};

/// Why a connection ended.
#[derive(Debug)]
pub enum ConnectionError {
    /// The socket failed, or the peer missed a deadline.
    Io(io::Error),
    /// The peer broke the protocol.
    Session(SessionError),
    /// The budget has no room for what the peer sends.
    Memory,
}

/// What the operator can do about [`ConnectionError::Memory`].
pub const NO_MEMORY: &str =
    "no memory is left for what it sends: raise max_memory, or lower max_connections";

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) if error.kind() == ErrorKind::TimedOut => {
                f.write_str("the peer missed a deadline")
            }
            Self::Io(error)
                if [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error.kind()) =>
            {
                f.write_str("closed by peer, in the middle")
            }
            Self::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
                f.write_str("the peer left in the middle of the handshake")
            }
            Self::Io(error) => error.fmt(f),
            Self::Session(error) => error.fmt(f),
            Self::Memory => f.write_str(NO_MEMORY),
        }
    }
}

impl From<io::Error> for ConnectionError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<SessionError> for ConnectionError {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

impl From<ChunkError> for ConnectionError {
    fn from(error: ChunkError) -> Self {
        Self::Session(error.into())
    }
}
