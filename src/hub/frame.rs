//! One message of a stream, shared by all its players.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::hub::budget::Charge;

/// What a frame is to caches and queues. Who makes the frame decides; the hub does not look inside.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// `onMetaData`: the latest one belongs to an opening.
    Metadata,
    /// A data message that no one depends on.
    Data,
    /// Audio sequence header: belongs to an opening.
    AudioHeader,
    /// Video sequence header: belongs to an opening.
    VideoHeader,
    /// A video frame that a decoder can start from.
    RandomAccess,
    /// A video frame that needs the ones before it.
    Dependent,
    /// Coded audio.
    Audio,
    /// For one player only: a reply of its connection. Never dropped.
    Control,
}

/// A message with everything that is made of it once and used by all players.
#[derive(Debug)]
pub struct Frame {
    /// What it is to caches and queues.
    pub kind: Kind,
    /// Tells headers of one kind apart: a header replaces the cached one with its kind and slot.
    pub slot: u16,
    /// Message type id.
    pub type_id: u8,
    /// Milliseconds, as players see it; wraps.
    pub timestamp: u32,
    /// The body.
    pub payload: Bytes,
    chunked: OnceLock<Bytes>,
    tagged: OnceLock<Bytes>,
    charge: Option<Charge>,
}

impl Frame {
    /// A frame that nobody has asked for yet.
    pub const fn new(kind: Kind, slot: u16, type_id: u8, timestamp: u32, payload: Bytes) -> Self {
        Self {
            kind,
            slot,
            type_id,
            timestamp,
            payload,
            chunked: OnceLock::new(),
            tagged: OnceLock::new(),
            charge: None,
        }
    }

    /// The same, with what was taken from the budget for it.
    pub fn charged(self, charge: Charge) -> Self {
        Self {
            charge: Some(charge),
            ..self
        }
    }

    /// Whether memory is so scarce that nobody should keep it who can do without.
    pub fn is_memory_tight(&self) -> bool {
        self.charge.as_ref().is_some_and(Charge::is_tight)
    }

    /// What one player alone gets: bytes that are in its format already.
    pub fn control(bytes: Bytes) -> Self {
        let frame = Self::new(Kind::Control, 0, 0, 0, Bytes::new());
        Self {
            chunked: OnceLock::from(bytes),
            ..frame
        }
    }

    /// The frame as chunks for any player, cut up by whoever asks first.
    ///
    /// Every message we send starts with a type 0 header, on a fixed chunk stream, message stream
    /// and chunk size. The bytes then depend on the frame alone and are the same for all players.
    pub fn chunked(&self, cut: impl FnOnce(&Self) -> Bytes) -> &Bytes {
        self.chunked.get_or_init(|| cut(self))
    }

    /// The frame as an FLV tag for any player, made by whoever asks first.
    pub fn tagged(&self, make: impl FnOnce(&Self) -> Bytes) -> &Bytes {
        self.tagged.get_or_init(|| make(self))
    }

    /// What it counts against a queue: its body, or a reply's chunks.
    pub fn length(&self) -> usize {
        if self.kind == Kind::Control {
            self.chunked.get().map_or(0, Bytes::len)
        } else {
            self.payload.len()
        }
    }
}
