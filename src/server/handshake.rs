//! The handshake, from both sides [RTMP §5.2].

use std::io::{self, ErrorKind, Read, Write};
use std::time::Instant;

use crate::server::connection::Connection;
use crate::server::error::ConnectionError;
use crate::session::error::SessionError;
use crate::wire::handshake::{OPENING_LENGTH, PACKET_LENGTH, VERSION, c0_c1, s0_s1_s2};

/// A connection that is read and written until a deadline.
#[derive(Debug)]
pub struct Until<'a>(pub &'a Connection, pub Instant);

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer, self.1)
    }
}

impl Write for Until<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes, self.1).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The server's side. Nothing behind the handshake is read. `seed`: see [`c0_c1`].
///
/// # Errors
///
/// The peer does not speak RTMP, leaves, or misses the deadline.
pub fn accept(peer: &mut (impl Read + Write), seed: u64) -> Result<(), ConnectionError> {
    // Not on the stack, of which a connection keeps what it has touched.
    let mut opening = Box::new([0; OPENING_LENGTH]);
    let length = peer.read(&mut *opening)?;
    // Before the rest has come: who does not speak RTMP may never send as much.
    if length > 0 && opening.first() != Some(&VERSION) {
        let [version, ..] = *opening;
        return Err(SessionError::Version(version).into());
    }
    peer.read_exact(opening.get_mut(length..).unwrap_or_default())?;
    let [_, c1 @ ..] = &mut *opening;
    peer.write_all(&s0_s1_s2(c1, seed))?;
    // C2 is not checked: ffmpeg and others do not echo S1.
    Ok(peer.read_exact(c1)?)
}

/// The client's side. The same holds.
///
/// # Errors
///
/// As in [`accept`].
pub fn ask(origin: &mut (impl Read + Write), seed: u64) -> io::Result<()> {
    origin.write_all(&c0_c1(seed))?;
    let mut s0_s1 = [0; OPENING_LENGTH];
    origin.read_exact(&mut s0_s1)?;
    let [version, s1 @ ..] = s0_s1;
    if version != VERSION {
        let what = "it does not speak RTMP";
        return Err(io::Error::new(ErrorKind::InvalidData, what));
    }
    origin.write_all(&s1)?;
    origin.read_exact(&mut [0; PACKET_LENGTH])
}
