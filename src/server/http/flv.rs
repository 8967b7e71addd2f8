//! HTTP-FLV: a live stream as a file without end.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use log::info;

use super::now;
use crate::hub::frame::{Frame, Kind};
use crate::hub::stream::Start;
use crate::limits;
use crate::server::Server;
use crate::server::activity::{How, losses};
use crate::server::connection::{Connection, deadline};
use crate::server::error::ConnectionError;
use crate::server::format::Format;
use crate::server::play::{Found, Seat, take_seat};
use crate::server::sender::Unsent;
use crate::server::thread::Role;
use crate::wire::flv_file;
use crate::wire::http::Head;

/// The head of the response. The stream ends with the connection: that is understood by HTTP/1.0
/// as well, and every player gets the same bytes.
pub(super) fn head() -> Head {
    Head::new(200, now())
        .field("Content-Type", "video/x-flv")
        .field("Cache-Control", "no-store")
}

/// Serves a player: to its end if it does not stay, or leaves it to a thread that has touched little
/// memory so far.
pub(super) fn serve(
    server: &Arc<Server>,
    connection: &Arc<Connection>,
    found: Found,
) -> Result<(), ConnectionError> {
    let path = Arc::clone(&found.attached.stream.path);
    info!("{connection}: plays {path} over HTTP");
    let joined = found.attached.stream.join(Start::Group);
    let who = (connection, How::Flv);
    let seat = take_seat(server, who, (found, joined), |opening| {
        let mut begin = head().finish(false);
        begin.extend_from_slice(&file_header(opening));
        let mut unsent = Unsent::new(Format::Flv);
        unsent.push(Arc::new(Frame::control(Bytes::from(begin))));
        unsent
    })
    .inspect_err(|error| info!("{connection}: player of {path} ended: {error}"))?;
    let settled = deadline(limits::PLAYER_SETTLES);
    let Some(seat) = listen(connection, seat, Some(settled)) else {
        return Ok(());
    };
    if !server.threads.has_room(Role::Play) {
        // It plays all the same.
        listen(connection, seat, None);
        return Ok(());
    }
    let reader = Arc::clone(connection);
    server.threads.run(Role::Play, connection.id, move || {
        listen(&reader, seat, None);
    })?;
    Ok(())
}

/// Reads what a player says, which means nothing but for its end, whether a close or a reset. Gives
/// its place back if it still plays at `until`.
fn listen(connection: &Connection, seat: Seat, until: Option<Instant>) -> Option<Seat> {
    let mut sink = [0; limits::PLAYER_READ_BYTES];
    loop {
        match connection.read_until(&mut sink, until) {
            Ok(1..) => {}
            Err(error) if until.is_some() && error.kind() == ErrorKind::TimedOut => {
                return Some(seat);
            }
            Ok(0) | Err(_) => break,
        }
    }
    let (path, why) = (&seat.stream().path, seat.why(connection));
    let losses = losses(connection, 0);
    info!("{connection}: player of {path} ended: {why}{losses}");
    connection.set_left();
    None
}

/// Says what the opening has; both if it has neither, since nothing is known then.
fn file_header(opening: &[Arc<Frame>]) -> [u8; 13] {
    let has = |kinds: &[Kind]| opening.iter().any(|frame| kinds.contains(&frame.kind));
    let audio = has(&[Kind::AudioHeader, Kind::Audio]);
    let video = has(&[Kind::VideoHeader, Kind::RandomAccess, Kind::Dependent]);
    let unknown = !audio && !video;
    flv_file::header(audio || unknown, video || unknown)
}
