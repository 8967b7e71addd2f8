//! The body of the fuzz target `handshake`.

use core::iter;
use std::io::{self, ErrorKind, Read, Write};

use super::reads;
use crate::server::error::ConnectionError;
use crate::server::handshake::{accept, ask};
use crate::session::error::SessionError;
use crate::wire::handshake::{OPENING_LENGTH, PACKET_LENGTH, VERSION, c0_c1, s0_s1_s2};

const WHOLE_LENGTH: usize = OPENING_LENGTH.saturating_add(PACKET_LENGTH);

/// Whatever the other side sends, and however it is cut into reads: each of our sides says what the
/// specification wants, as soon as it can and not before; it takes a whole handshake or none, and
/// nothing behind it.
///
/// The input is three lengths of reads, and what the other side sends.
pub fn handshake(data: &[u8]) {
    let Some((&lengths, bytes)) = data.split_first_chunk::<3>() else {
        return;
    };
    assert_server(bytes, iter::once(bytes));
    assert_server(bytes, reads(bytes, lengths));
    assert_server(bytes, bytes.chunks(1));
    assert_client(bytes, iter::once(bytes));
    assert_client(bytes, reads(bytes, lengths));
    assert_client(bytes, bytes.chunks(1));
}

fn assert_server<'a>(bytes: &[u8], reads: impl Iterator<Item = &'a [u8]>) {
    let mut socket = Socket::new(reads);
    let result = accept(&mut socket, 1).map_err(|error| match error {
        ConnectionError::Io(error) => error.kind(),
        ConnectionError::Session(SessionError::Version(_)) => ErrorKind::InvalidData,
        ConnectionError::Session(_) | ConnectionError::Memory => ErrorKind::Other,
    });
    let mut said = Vec::new();
    let expected = match bytes.split_first() {
        Some((&VERSION, rest)) => {
            let c1 = rest.first_chunk();
            said.extend(c1.map(|c1| (OPENING_LENGTH, s0_s1_s2(c1, 1))));
            end(bytes)
        }
        Some(_) => Err(ErrorKind::InvalidData),
        None => Err(ErrorKind::UnexpectedEof),
    };
    assert_eq!((socket.said, result), (said, expected));
    assert!(result.is_err() || socket.taken == WHOLE_LENGTH);
}

fn assert_client<'a>(bytes: &[u8], reads: impl Iterator<Item = &'a [u8]>) {
    let mut socket = Socket::new(reads);
    let result = ask(&mut socket, 1).map_err(|error| error.kind());
    let mut said = vec![(0, c0_c1(1))];
    let expected = match bytes.first_chunk::<OPENING_LENGTH>() {
        Some([VERSION, s1 @ ..]) => {
            said.push((OPENING_LENGTH, s1.to_vec()));
            end(bytes)
        }
        Some(_) => Err(ErrorKind::InvalidData),
        None => Err(ErrorKind::UnexpectedEof),
    };
    assert_eq!((socket.said, result), (said, expected));
    assert!(result.is_err() || socket.taken == WHOLE_LENGTH);
}

/// Of the right version: whether the bytes last.
const fn end(bytes: &[u8]) -> Result<(), ErrorKind> {
    if bytes.len() < WHOLE_LENGTH {
        return Err(ErrorKind::UnexpectedEof);
    }
    Ok(())
}

struct Socket<'a, I> {
    reads: I,
    read: &'a [u8],
    taken: usize,
    /// What was said, and after how many bytes.
    said: Vec<(usize, Vec<u8>)>,
}

impl<'a, I: Iterator<Item = &'a [u8]>> Socket<'a, I> {
    const fn new(reads: I) -> Self {
        Self {
            reads,
            read: &[],
            taken: 0,
            said: Vec::new(),
        }
    }
}

impl<'a, I: Iterator<Item = &'a [u8]>> Read for Socket<'a, I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read.is_empty() {
            self.read = self.reads.next().unwrap_or_default();
        }
        let length = self.read.read(buffer)?;
        self.taken = self.taken.saturating_add(length);
        Ok(length)
    }
}

impl<I> Write for Socket<'_, I> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.said.push((self.taken, bytes.to_vec()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
