//! Protocol control and user control messages [RTMP §5.4, §6.2, §7.1.7].

use bytes::{BufMut, Bytes, BytesMut};

use crate::wire::message::{RawMessage, type_id};
use crate::wire::reader::Reader;

/// A message about the connection itself. Set Chunk Size and Abort are in here for sending; the
/// assembler applies received ones.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Control {
    /// The sender's chunks will carry so many bytes [RTMP §5.4.1].
    SetChunkSize(u32),
    /// So many bytes have been received, modulo 2^32 [RTMP §5.4.3].
    Acknowledgement(u32),
    /// The sender wants an acknowledgement each time it sent so many bytes [RTMP §5.4.4].
    WindowAcknowledgementSize(u32),
    /// The receiver should send no more unacknowledged bytes than this; limit type dynamic
    /// [RTMP §5.4.5].
    SetPeerBandwidth(u32),
    /// The stream has begun [RTMP §7.1.7].
    StreamBegin(u32),
    /// The stream is over [RTMP §7.1.7].
    StreamEof(u32),
    /// Asks for a [`Self::PingResponse`] with the same timestamp [RTMP §7.1.7].
    PingRequest(u32),
    /// Answers a [`Self::PingRequest`] [RTMP §7.1.7].
    PingResponse(u32),
}

impl Control {
    /// Decodes a message; `None` if it is none of these, or too short to be one.
    pub fn decode(message: &RawMessage) -> Option<Self> {
        let mut reader = Reader::new(&message.payload);
        match message.type_id {
            type_id::SET_CHUNK_SIZE => reader.u32().map(Self::SetChunkSize),
            type_id::ACKNOWLEDGEMENT => reader.u32().map(Self::Acknowledgement),
            type_id::WINDOW_ACKNOWLEDGEMENT_SIZE => {
                reader.u32().map(Self::WindowAcknowledgementSize)
            }
            type_id::SET_PEER_BANDWIDTH => reader.u32().map(Self::SetPeerBandwidth),
            type_id::USER_CONTROL => {
                let (event, value) = (reader.u16()?, reader.u32()?);
                match event {
                    0 => Some(Self::StreamBegin(value)),
                    1 => Some(Self::StreamEof(value)),
                    6 => Some(Self::PingRequest(value)),
                    7 => Some(Self::PingResponse(value)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The message, for chunk stream 2 and message stream 0 [RTMP §5.4, §6.2].
    pub fn encode(self) -> RawMessage {
        let mut payload = BytesMut::with_capacity(6);
        let type_id = match self {
            Self::SetChunkSize(value) => {
                payload.put_u32(value);
                type_id::SET_CHUNK_SIZE
            }
            Self::Acknowledgement(value) => {
                payload.put_u32(value);
                type_id::ACKNOWLEDGEMENT
            }
            Self::WindowAcknowledgementSize(value) => {
                payload.put_u32(value);
                type_id::WINDOW_ACKNOWLEDGEMENT_SIZE
            }
            Self::SetPeerBandwidth(value) => {
                payload.put_u32(value);
                payload.put_u8(2);
                type_id::SET_PEER_BANDWIDTH
            }
            Self::StreamBegin(value) => event(&mut payload, 0, value),
            Self::StreamEof(value) => event(&mut payload, 1, value),
            Self::PingRequest(value) => event(&mut payload, 6, value),
            Self::PingResponse(value) => event(&mut payload, 7, value),
        };
        RawMessage {
            type_id,
            timestamp: 0,
            message_stream_id: 0,
            payload: Bytes::from(payload),
        }
    }
}

fn event(payload: &mut BytesMut, event: u16, value: u32) -> u8 {
    payload.put_u16(event);
    payload.put_u32(value);
    type_id::USER_CONTROL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_message_survives_encode_and_decode() {
        for control in [
            Control::SetChunkSize(60_000),
            Control::Acknowledgement(u32::MAX),
            Control::WindowAcknowledgementSize(2_500_000),
            Control::SetPeerBandwidth(2_500_000),
            Control::StreamBegin(1),
            Control::StreamEof(1),
            Control::PingRequest(7),
            Control::PingResponse(7),
        ] {
            let mut message = control.encode();
            assert_eq!(Control::decode(&message), Some(control));
            for end in 0..4 {
                let whole = message.payload.clone();
                message.payload.truncate(end);
                assert_eq!(Control::decode(&message), None);
                message.payload = whole;
            }
        }
    }
}
