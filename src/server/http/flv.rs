//! HTTP-FLV: a live stream as a file without end.

use std::sync::Arc;

use bytes::Bytes;
use log::info;

use super::now;
use crate::hub::frame::{Frame, Kind};
use crate::hub::registry::Attached;
use crate::limits;
use crate::server::Server;
use crate::server::connection::Connection;
use crate::server::error::ConnectionError;
use crate::server::format::Format;
use crate::server::play::take_seat;
use crate::server::sender::{Unsent, Writer};
use crate::wire::flv_file;
use crate::wire::http::Head;

/// The head of the response. The stream ends with the connection: that is understood by HTTP/1.0
/// as well, and every player gets the same bytes.
pub(super) fn head() -> Head {
    Head::new(200, now())
        .field("Content-Type", "video/x-flv")
        .field("Cache-Control", "no-store")
}

/// Serves a player to its end; why it ended.
pub(super) fn serve(
    server: &Arc<Server>,
    connection: &Arc<Connection>,
    attached: &Attached<Writer>,
) -> Result<&'static str, ConnectionError> {
    let stream = &attached.stream;
    info!("{connection}: plays {} over HTTP", stream.path);
    let seat = take_seat(server, connection, stream, |opening| {
        let mut begin = head().finish(false);
        begin.extend_from_slice(&file_header(opening));
        let mut unsent = Unsent::new(Format::Flv);
        unsent.push(Arc::new(Frame::control(Bytes::from(begin))));
        unsent
    })?;
    let mut sink = [0; limits::PLAYER_READ_BYTES];
    connection.set_read_timeout(None)?;
    // It has nothing more to say: only its end counts, whether a close or a reset.
    while matches!(connection.read_again(&mut sink), Ok(1..)) {}
    let why = seat.why(connection);
    info!("{connection}: player of {} ended: {why}", stream.path);
    Ok(why)
}

/// Says what the opening has; both if it has neither, since nothing is known then.
fn file_header(opening: &[Arc<Frame>]) -> [u8; 13] {
    let has = |kinds: &[Kind]| opening.iter().any(|frame| kinds.contains(&frame.kind));
    let audio = has(&[Kind::AudioHeader, Kind::Audio]);
    let video = has(&[Kind::VideoHeader, Kind::RandomAccess, Kind::Dependent]);
    let unknown = !audio && !video;
    flv_file::header(audio || unknown, video || unknown)
}
