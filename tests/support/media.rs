//! Media that can be checked: numbered frames with known bytes, and a file made by ffmpeg.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::amf::{self, Value};
use super::chunk::Message;
use super::temp::{self, TempDir};

/// Sequence header of an AVC stream [FLV E.4.3.1].
pub(crate) const AVC_HEADER: [u8; 20] = [
    0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1F, 0xFF, 0xE1, 0, 4, 0x67, 0x64, 0, 0x1F, 1, 0, 0,
];

/// Sequence header of an AAC stream: AAC-LC, 44.1 kHz, stereo [FLV E.4.2.2].
pub(crate) const AAC_HEADER: [u8; 4] = [0xAF, 0, 0x12, 0x10];

/// What a numbered frame is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A video frame that a decoder can start from.
    Key,
    /// Any other video frame.
    Inter,
    Audio,
}

impl Kind {
    /// The message type.
    pub(crate) fn type_id(self) -> u8 {
        match self {
            Self::Key | Self::Inter => 9,
            Self::Audio => 8,
        }
    }

    /// What the message is; `None` for sequence headers and all else.
    pub(crate) fn of(message: &Message) -> Option<Self> {
        match (message.type_id, message.payload.get(..2)?) {
            (9, [0x17, 1]) => Some(Self::Key),
            (9, [0x27, 1]) => Some(Self::Inter),
            (8, [0xAF, 1]) => Some(Self::Audio),
            _ => None,
        }
    }

    fn tag(self) -> &'static [u8] {
        match self {
            Self::Key => &[0x17, 1, 0, 0, 0],
            Self::Inter => &[0x27, 1, 0, 0, 0],
            Self::Audio => &[0xAF, 1],
        }
    }
}

/// A frame of `size` bytes that carries its number and its length; the rest follows from these.
pub(crate) fn frame(kind: Kind, number: u32, size: usize) -> Vec<u8> {
    let mut payload = kind.tag().to_vec();
    payload.extend(number.to_be_bytes());
    payload.extend((size as u32).to_be_bytes());
    assert!(payload.len() <= size, "a frame of {size} bytes");
    let mut state = u64::from(number) | 1 << 40;
    while payload.len() < size {
        // A multiplicative generator: any byte that is lost or moved shows.
        state = state.wrapping_mul(6_364_136_223_846_793_005);
        payload.extend(state.to_be_bytes());
    }
    payload.truncate(size);
    payload
}

/// The number of a frame, after a check of every byte; `None` if the message is no frame.
pub(crate) fn number(message: &Message) -> Option<u32> {
    let kind = Kind::of(message)?;
    let rest = message.payload.get(kind.tag().len()..)?;
    let number = u32::from_be_bytes(*rest.first_chunk()?);
    let expected = frame(kind, number, message.payload.len());
    assert!(message.payload == expected, "frame {number} was changed");
    Some(number)
}

/// `@setDataFrame onMetaData`, as encoders send it.
pub(crate) fn metadata() -> Vec<u8> {
    let properties = [
        ("width".to_owned(), Value::from(320.0)),
        ("height".to_owned(), Value::from(180.0)),
        ("videocodecid".to_owned(), Value::from(7.0)),
        ("audiocodecid".to_owned(), Value::from(10.0)),
    ];
    amf::encode(&[
        "@setDataFrame".into(),
        "onMetaData".into(),
        Value::EcmaArray(properties.to_vec()),
    ])
}

/// Five seconds of H.264 (25 frames a second, a keyframe each second, B-frames) and AAC. It is made
/// once and kept.
pub(crate) fn flv() -> PathBuf {
    let arguments = "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi \
        -i sine=frequency=440:sample_rate=44100 -t 5 -c:v libx264 -preset veryfast -bf 2 -g 25 \
        -sc_threshold 0 -pix_fmt yuv420p -c:a aac -b:a 64k";
    kept("sample.flv", |ffmpeg| {
        ffmpeg.args(arguments.split_whitespace());
    })
}

/// The same six times over, with timestamps that go on: longer than a test takes.
pub(crate) fn long_flv() -> PathBuf {
    let short = flv();
    kept("long.flv", |ffmpeg| {
        ffmpeg.args(["-stream_loop", "5", "-i"]).arg(short);
        ffmpeg.args(["-c", "copy"]);
    })
}

/// A file that ffmpeg makes, with these arguments, if it is not there.
fn kept(name: &str, arguments: impl FnOnce(&mut Command)) -> PathBuf {
    let path = temp::root().join(name);
    if !path.exists() {
        // Made aside, since other tests may make it at the same time.
        let directory = TempDir::new();
        let unfinished = directory.path().join(name);
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error"]);
        arguments(&mut ffmpeg);
        let status = ffmpeg.arg(&unfinished).status();
        assert!(status.expect("needs ffmpeg").success());
        fs::rename(&unfinished, &path).unwrap();
    }
    path
}

/// A file that ffmpeg makes with these arguments.
pub(crate) fn made(name: &str, arguments: &str) -> PathBuf {
    kept(name, |ffmpeg| {
        ffmpeg.args(arguments.split_whitespace());
    })
}

/// Two seconds of MP3 at this sample rate.
pub(crate) fn mp3_flv(rate: u32) -> PathBuf {
    let arguments =
        format!("-f lavfi -i sine=frequency=440:sample_rate={rate} -t 2 -c:a libmp3lame -b:a 64k");
    kept(&format!("mp3-{rate}.flv"), |ffmpeg| {
        ffmpeg.args(arguments.split_whitespace());
    })
}

/// The tags of [`flv`], as messages.
pub(crate) fn flv_tags() -> Vec<Message> {
    tags(&flv())
}

/// The tags of an FLV file, as messages.
pub(crate) fn tags(file: &Path) -> Vec<Message> {
    let file = fs::read(file).unwrap();
    let mut rest = &file[9 + 4..];
    let mut tags = Vec::new();
    while !rest.is_empty() {
        let u24 = |at: usize| u32::from_be_bytes([0, rest[at], rest[at + 1], rest[at + 2]]);
        let length = u24(1) as usize;
        tags.push(Message {
            type_id: rest[0],
            timestamp: u24(4) | u32::from(rest[7]) << 24,
            payload: rest[11..11 + length].to_vec(),
            ..Message::default()
        });
        rest = &rest[11 + length + 4..];
    }
    tags
}
