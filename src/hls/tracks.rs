//! What the sequence headers of a stream said last.

use crate::wire::aac::AudioSpecificConfig;
use crate::wire::avc::Configuration;
use crate::wire::mp3::Header;
use crate::wire::mpegts::{AudioCodec, VideoCodec};

/// The video of a stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Video {
    /// There is none, as far as we know.
    None,
    /// There is, and it cannot be put into a segment.
    Unfit,
    /// AVC.
    Avc(Configuration),
}

/// The audio of a stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Audio {
    /// There is none that can be put into a segment.
    None,
    /// AAC.
    Aac(AudioSpecificConfig),
    /// MP3, which has its header in each frame.
    Mp3(Header),
}

impl Video {
    /// How a segment says so.
    pub fn codec(&self) -> Option<VideoCodec> {
        matches!(self, Self::Avc(_)).then_some(VideoCodec::Avc)
    }
}

impl Audio {
    /// How a segment says so.
    pub const fn codec(&self) -> Option<AudioCodec> {
        match self {
            Self::None => None,
            Self::Aac(_) => Some(AudioCodec::Aac),
            Self::Mp3(header) => Some(AudioCodec::Mp3(header.version)),
        }
    }
}
