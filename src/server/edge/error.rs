//! Why an attempt at an origin, or a sibling, failed.

use core::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;

use crate::server::error::ConnectionError;
use crate::wire::url::{Url, UrlError};

/// What was being done when it failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Looking up the name.
    Resolve,
    /// TCP.
    Connect,
    /// RTMP handshake.
    Handshake,
    /// `connect` … `publish` or `play`.
    Answer,
    /// It said yes to `play`; the first audio or video.
    FirstMedia,
    /// Relaying.
    Media,
}

/// An attempt at an origin that failed.
#[derive(Debug)]
pub struct OriginError {
    /// `origin host:port`, as configured, or `process` and its number.
    pub origin: String,
    /// What was being done.
    pub phase: Phase,
    /// Why it failed.
    pub cause: Cause,
}

impl OriginError {
    /// Whether the origin gave our stream's name to another publisher. To come back would take it
    /// away from that one in turn.
    pub fn is_final(&self) -> bool {
        let taken = matches!(&self.cause, Cause::Refused(code, _) if code.ends_with("BadName"));
        self.phase == Phase::Media && taken
    }

    /// Where the origin says that the stream is.
    pub(super) const fn redirect(&self) -> Option<&Url> {
        if let Cause::Redirect(Ok(url)) = &self.cause {
            Some(url)
        } else {
            None
        }
    }
}

/// Why an attempt failed. Shown raw: what goes to the log is escaped there.
#[derive(Debug)]
pub enum Cause {
    /// The socket, a deadline, or the protocol.
    Failed(ConnectionError),
    /// The origin closed the connection.
    Closed,
    /// The origin says no: code and description.
    Refused(String, String),
    /// It says that the stream is elsewhere, where we do not go: RTMP 302.
    Redirect(Result<Url, UrlError>),
    /// It does not take what is published as fast as that comes.
    TooSlow,
    /// The origin is ourselves, or a sibling on our port.
    Loop(SocketAddr),
}

impl Cause {
    /// Whether the peer has ended, or does not have the stream any more; and not only hangs.
    pub(super) fn is_gone(&self) -> bool {
        match self {
            Self::Refused(..) | Self::Closed => true,
            Self::Failed(ConnectionError::Io(error)) => matches!(
                error.kind(),
                ErrorKind::NotFound
                    | ErrorKind::ConnectionRefused
                    | ErrorKind::ConnectionReset
                    | ErrorKind::BrokenPipe
                    | ErrorKind::UnexpectedEof
            ),
            Self::Failed(_) | Self::Redirect(_) | Self::TooSlow | Self::Loop(_) => false,
        }
    }
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.phase {
            Phase::Resolve => "resolving",
            Phase::Connect => "connecting",
            Phase::Handshake => "handshake",
            Phase::Answer => "waiting for its answer",
            Phase::FirstMedia => "waiting for media",
            Phase::Media => "relaying",
        };
        write!(f, "{}: {phase}: ", self.origin)?;
        match &self.cause {
            Cause::Failed(ConnectionError::Io(error)) if error.kind() == ErrorKind::TimedOut => {
                f.write_str("it took too long")
            }
            Cause::Failed(error) => error.fmt(f),
            Cause::Closed => f.write_str("it closed the connection"),
            Cause::Refused(code, why) => write!(f, "{code} ({why})"),
            Cause::Redirect(Ok(url)) => write!(
                f,
                "it redirects to {url}, which `cluster.redirects` does not list, or others have \
                 redirected there"
            ),
            Cause::Redirect(Err(error)) => write!(f, "it redirects, but {error}"),
            Cause::TooSlow => f.write_str("it is too slow"),
            Cause::Loop(address) => write!(
                f,
                "{address} is this server's own port: cluster.origin must name another server, and \
                 cluster.coworkers others"
            ),
        }
    }
}
