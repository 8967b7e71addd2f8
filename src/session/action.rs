//! What a session asks of the thread that drives it.

use bytes::{Bytes, BytesMut};

use crate::limits;
use crate::session::media::Media;
use crate::wire::chunk::{self, ChunkStreamId};
use crate::wire::message::{RawMessage, type_id};
use crate::wire::name::StreamRequest;

/// What must happen next, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write these bytes: whole messages, already in chunks.
    Send(Bytes),
    /// Ask whether the peer may connect; if not, leave what follows and call `refuse_connect`.
    Connect,
    /// Ask the hub whether the peer may publish; answer with `publish_granted` or `refuse`.
    Publish(StreamRequest),
    /// Ask the hub whether the peer may play; answer with `play_granted` or `refuse`.
    Play(StreamRequest),
    /// Hand a message of the stream that is being published to the hub.
    Deliver(Media),
    /// The peer stopped publishing.
    Unpublish,
    /// The player wants, or does not want, this for now.
    Filter(Filter, bool),
    /// End the connection, after what was sent has arrived.
    Close(Ending),
}

/// What a player can switch off and on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Filter {
    /// Everything: `pause` [RTMP §7.2.2.8].
    All,
    /// Audio: `receiveAudio` [RTMP §7.2.2.4].
    Audio,
    /// Video: `receiveVideo` [RTMP §7.2.2.5].
    Video,
}

/// Why a session ends its connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ending {
    /// The peer was told no, and this.
    Refused(String),
    /// The peer is done with the stream that it played.
    Done,
}

/// `message` in chunks, on the chunk stream that its type belongs on.
pub fn chunks(message: &RawMessage) -> Bytes {
    let id = match message.type_id {
        type_id::AUDIO => ChunkStreamId::AUDIO,
        type_id::VIDEO => ChunkStreamId::VIDEO,
        type_id::COMMAND_AMF0 if message.message_stream_id == 0 => ChunkStreamId::CONNECTION,
        type_id::COMMAND_AMF0 | type_id::DATA_AMF0 => ChunkStreamId::STREAM,
        _ => ChunkStreamId::CONTROL,
    };
    let headers = message.payload.len().div_ceil(limits::OUR_CHUNK_SIZE);
    let length = message.payload.len().saturating_add(16);
    let mut out = BytesMut::with_capacity(length.saturating_add(headers.saturating_mul(5)));
    chunk::cut(message, id, limits::OUR_CHUNK_SIZE, &mut out);
    out.freeze()
}
