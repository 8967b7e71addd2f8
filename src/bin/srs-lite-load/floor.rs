//! The least that any server could do: one loop that writes the same bytes to every player. What a
//! real server costs beside it is what it does besides writing.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use srs_lite::wire::flv_file;
use srs_lite::wire::message::type_id;

use crate::flv::File;
use crate::stamp::{self, Stamp};

/// Bytes that may wait for a player.
const SEND_BYTES: usize = 128 * 1024;

/// Answers every request for a live FLV file with `file`, as it goes by, for so many seconds.
///
/// # Errors
///
/// The address cannot be listened on.
pub(crate) fn run(
    file: &File,
    address: SocketAddr,
    merge: Duration,
    seconds: Duration,
) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let mut asking: Vec<TcpStream> = Vec::new();
    let mut players: Vec<(TcpStream, Vec<u8>)> = Vec::new();
    let mut head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    head.extend_from_slice(&flv_file::header(true, true));
    for tag in &file.head {
        head.extend_from_slice(&flv_file::tag(tag.type_id, 0, &tag.body));
    }
    let begun = stamp::now();
    let end = begun.saturating_add(u64::try_from(seconds.as_micros()).unwrap_or(u64::MAX));
    let (mut turns, mut next, mut numbers) = (0_u32, 0, [0_u64; 2]);
    let mut request = [0; 1024];
    let mut round = Vec::new();
    while stamp::now() < end {
        while let Ok((socket, _)) = listener.accept() {
            socket.set_nonblocking(true)?;
            socket2::SockRef::from(&socket).set_send_buffer_size(SEND_BYTES)?;
            asking.push(socket);
        }
        let answered = asking.extract_if(.., |socket| matches!(socket.read(&mut request), Ok(1..)));
        players.extend(answered.map(|socket| (socket, head.clone())));
        let now = stamp::now();
        round.clear();
        loop {
            let Some(frame) = file.frames.get(next) else {
                (turns, next) = (turns.wrapping_add(1), 0);
                continue;
            };
            let time = file
                .length
                .wrapping_mul(turns)
                .wrapping_add(frame.tag.timestamp);
            let due = begun.saturating_add(u64::from(time).saturating_mul(1000));
            if due > now {
                break;
            }
            let track = usize::from(frame.tag.type_id == type_id::VIDEO);
            let number = numbers.get(track).copied().unwrap_or(0);
            if let Some(next) = numbers.get_mut(track) {
                *next = number.saturating_add(1);
            }
            let body = frame
                .place
                .put(Stamp { number, sent: due }, &frame.tag.body);
            round.extend_from_slice(&flv_file::tag(frame.tag.type_id, time, &body));
            next = next.saturating_add(1);
        }
        players.retain_mut(|(socket, rest)| write(socket, rest, &round).is_ok());
        thread::sleep(
            merge.saturating_sub(Duration::from_micros(stamp::now().saturating_sub(now))),
        );
    }
    Ok(())
}

/// One `write`, and no second one unless something was left of the last.
fn write(socket: &mut TcpStream, rest: &mut Vec<u8>, round: &[u8]) -> io::Result<()> {
    if !rest.is_empty() {
        rest.extend_from_slice(round);
        let sent = written(socket.write(rest))?;
        rest.drain(..sent);
        return Ok(());
    }
    let sent = written(socket.write(round))?;
    rest.extend_from_slice(round.get(sent..).unwrap_or_default());
    Ok(())
}

fn written(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}
