//! Audio, video and data messages, told apart for the fan-out.

use bytes::{Buf, Bytes};

use crate::limits;
use crate::wire::aggregate;
use crate::wire::amf0::{self, Value};
use crate::wire::command::SET_DATA_FRAME;
use crate::wire::flv::{self, TagKind};
use crate::wire::message::{RawMessage, type_id};

/// One message of a stream, on its way from a publisher or an origin to the players.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Media {
    /// What it is to the fan-out.
    pub kind: MediaKind,
    /// Which cached header it replaces, if it is one: packet type and track.
    pub slot: u16,
    /// Message type id: audio, video or data.
    pub type_id: u8,
    /// Milliseconds, as sent.
    pub timestamp: u32,
    /// The body, untouched; of `@setDataFrame` what follows its name.
    pub payload: Bytes,
}

/// What a message is to the fan-out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MediaKind {
    /// `onMetaData`.
    Metadata,
    /// Another data message.
    Data,
    /// Audio or video.
    Tag(TagKind),
}

/// Appends what `message` holds to `out`; how many messages were malformed and dropped.
///
/// Takes audio, video, data and aggregate messages; anything else is not media and is ignored.
pub fn decode(message: RawMessage, out: &mut Vec<Media>) -> u64 {
    if message.type_id != type_id::AGGREGATE {
        return u64::from(one(message, out).is_none());
    }
    let mut dropped = 0_u64;
    for (type_id, timestamp, payload) in aggregate::split(message.timestamp, &message.payload) {
        let message = RawMessage {
            type_id,
            timestamp,
            message_stream_id: message.message_stream_id,
            payload,
        };
        dropped = dropped.saturating_add(u64::from(one(message, out).is_none()));
    }
    dropped
}

/// `None` if it is malformed.
fn one(message: RawMessage, out: &mut Vec<Media>) -> Option<()> {
    let mut payload = message.payload;
    let (kind, slot, type_id) = match message.type_id {
        type_id::AUDIO => {
            let tag = flv::audio(&payload)?;
            (MediaKind::Tag(tag.kind), tag.slot, type_id::AUDIO)
        }
        type_id::VIDEO => {
            let tag = flv::video(&payload)?;
            (MediaKind::Tag(tag.kind), tag.slot, type_id::VIDEO)
        }
        type_id::DATA_AMF0 | type_id::DATA_AMF3 => {
            if message.type_id == type_id::DATA_AMF3 {
                payload.try_get_u8().ok()?;
            }
            (data(&mut payload)?, 0, type_id::DATA_AMF0)
        }
        _ => return Some(()),
    };
    let header = matches!(
        kind,
        MediaKind::Tag(TagKind::AudioHeader | TagKind::VideoHeader)
    );
    if header && payload.len() > limits::MAX_METADATA_BYTES {
        return None;
    }
    out.push(Media {
        kind,
        slot,
        type_id,
        timestamp: message.timestamp,
        payload,
    });
    Some(())
}

/// Takes `@setDataFrame` off a data message [RTMP §7.1.2], and repairs metadata without an end:
/// some encoders leave it out, and ffmpeg refuses to play what lacks it.
fn data(payload: &mut Bytes) -> Option<MediaKind> {
    const ON_META_DATA: &[u8] = b"\x02\x00\x0aonMetaData";
    if payload.starts_with(SET_DATA_FRAME) {
        payload.advance(SET_DATA_FRAME.len());
    }
    if !payload.starts_with(ON_META_DATA) {
        return (!payload.is_empty()).then_some(MediaKind::Data);
    }
    if payload.len() > limits::MAX_METADATA_BYTES {
        return None;
    }
    if !payload.ends_with(&[0, 0, 9]) {
        let mut repaired = Vec::with_capacity(payload.len().saturating_add(3));
        for value in amf0::decode_all(payload).ok()? {
            Value::encode(&value, &mut repaired);
        }
        *payload = Bytes::from(repaired);
    }
    Some(MediaKind::Metadata)
}
