//! The least that any server could do: one loop that writes the same bytes to every player. What a
//! real server costs beside it is what it does besides writing.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use srs_lite::wire::flv_file;

use crate::flv::{File, Reel};
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
    let mut reel = Reel::new(begun);
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
        while let Ok(due) = reel.next(file, now) {
            let stamp = Stamp {
                number: due.number,
                sent: due.at,
            };
            let tag = &due.frame.tag;
            let body = due.frame.place.put(stamp, &tag.body);
            round.extend_from_slice(&flv_file::tag(tag.type_id, due.timestamp, &body));
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
