//! One RTMP message, assembled but not decoded [RTMP §6.1].

use bytes::Bytes;

/// A message header and its payload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RawMessage {
    /// What the payload is; see [`type_id`].
    pub type_id: u8,
    /// Milliseconds; wraps after 49.7 days.
    pub timestamp: u32,
    /// 0 for the connection, otherwise a stream made by `createStream`.
    pub message_stream_id: u32,
    /// The body.
    pub payload: Bytes,
}

/// Message type ids [RTMP §5.4, §7.1].
pub mod type_id {
    /// Set Chunk Size [RTMP §5.4.1].
    pub const SET_CHUNK_SIZE: u8 = 1;
    /// Abort Message [RTMP §5.4.2].
    pub const ABORT: u8 = 2;
    /// Acknowledgement [RTMP §5.4.3].
    pub const ACKNOWLEDGEMENT: u8 = 3;
    /// User Control Message [RTMP §6.2].
    pub const USER_CONTROL: u8 = 4;
    /// Window Acknowledgement Size [RTMP §5.4.4].
    pub const WINDOW_ACKNOWLEDGEMENT_SIZE: u8 = 5;
    /// Set Peer Bandwidth [RTMP §5.4.5].
    pub const SET_PEER_BANDWIDTH: u8 = 6;
    /// Audio Message [RTMP §7.1.4].
    pub const AUDIO: u8 = 8;
    /// Video Message [RTMP §7.1.5].
    pub const VIDEO: u8 = 9;
    /// Data Message in AMF3 [RTMP §7.1.2]; in practice one byte, then AMF0.
    pub const DATA_AMF3: u8 = 15;
    /// Command Message in AMF3 [RTMP §7.1.1]; in practice one byte, then AMF0.
    pub const COMMAND_AMF3: u8 = 17;
    /// Data Message in AMF0 [RTMP §7.1.2].
    pub const DATA_AMF0: u8 = 18;
    /// Command Message in AMF0 [RTMP §7.1.1].
    pub const COMMAND_AMF0: u8 = 20;
    /// Aggregate Message [RTMP §7.1.6].
    pub const AGGREGATE: u8 = 22;
}
