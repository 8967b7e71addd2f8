//! What a stream's frames look like to its players.

use bytes::{Bytes, BytesMut};

use crate::hub::frame::{Frame, Kind};
use crate::session::action::chunks;
use crate::wire::command::{self, STREAM};
use crate::wire::control::Control;
use crate::wire::flv_file;
use crate::wire::message::RawMessage;

/// How a player takes its stream.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Format {
    /// In chunks.
    #[default]
    Rtmp,
    /// In tags of an FLV file.
    Flv,
}

impl Format {
    /// The frame in this format, made once for all players.
    pub fn bytes(self, frame: &Frame) -> &Bytes {
        match self {
            Self::Flv if frame.kind != Kind::Control => {
                frame.tagged(|frame| flv_file::tag(frame.type_id, frame.timestamp, &frame.payload))
            }
            Self::Rtmp | Self::Flv => frame.chunked(|frame| {
                chunks(&RawMessage {
                    type_id: frame.type_id,
                    timestamp: frame.timestamp,
                    message_stream_id: STREAM,
                    payload: frame.payload.clone(),
                })
            }),
        }
    }

    /// What a player hears when its stream is over. A file just ends.
    pub fn farewell(self) -> Option<Bytes> {
        if self == Self::Flv {
            return None;
        }
        let (code, description) = ("NetStream.Play.UnpublishNotify", "the stream is over");
        let mut out = BytesMut::new();
        out.extend_from_slice(&chunks(&Control::StreamEof(STREAM).encode()));
        out.extend_from_slice(&chunks(&command::on_status("status", code, description)));
        Some(out.freeze())
    }
}
