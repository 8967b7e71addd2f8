//! Frames → segments. No files.

pub mod segmenter;
pub mod timeline;
pub mod tracks;

/// `hls_fragment` and `hls_td_ratio`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Milliseconds that a segment should not exceed.
    pub fragment: u64,
    /// Milliseconds that the target duration is at least: `fragment` × `hls_td_ratio`.
    pub least_target: u64,
}

/// What a message brought about. It comes before the message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// The segment goes on.
    Nothing,
    /// The segment is whole.
    Cut(Cut),
    /// What was taken of the segment is void: it began before all tracks were known, or it ended
    /// as soon as it began.
    Discard,
}

/// A whole segment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cut {
    /// Milliseconds.
    pub duration: u32,
    /// It does not continue the segment before.
    pub discontinuity: bool,
    /// Its last bytes: what has not been taken.
    pub bytes: Vec<u8>,
}

/// What cannot be put into a segment. The message is left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unfit {
    /// Audio other than AAC and MP3. The segments go without.
    AudioCodec,
    /// An audio sequence header that makes no sense. The segments go without until one does.
    AudioHeader,
    /// Video other than H.264. What was taken of the segment is void, and none follows.
    VideoCodec,
    /// A video sequence header that makes no sense. What was taken of the segment is void, and none
    /// follows until one does.
    VideoHeader,
    /// A frame that makes no sense, or that came before its sequence header.
    Frame,
}
