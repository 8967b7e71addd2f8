//! What a stream is coded with, from its sequence headers and its metadata. Names are those that
//! SRS shows.

use super::aac::AudioSpecificConfig;
use super::amf0::{self, Value};
use super::reader::Reader;
use super::sps;

/// The video of a stream.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Video {
    /// `H264`, `HEVC`, `AV1`, …
    pub codec: String,
    /// `Baseline`, `Main`, `High`, …; `Other` if it is not known.
    pub profile: String,
    /// `3.1`; `Other` if it is not known.
    pub level: String,
    /// Samples; 0 if it is not known.
    pub width: u32,
    /// The same.
    pub height: u32,
}

/// The audio of a stream.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Audio {
    /// `AAC`, `MP3`, `Opus`, …
    pub codec: String,
    /// `LC`, …; `Other` if it is not known.
    pub profile: String,
    /// Samples a second; 0 if it is not known.
    pub sample_rate: u32,
    /// 0 if it is not known.
    pub channels: u32,
}

/// The numbers of an `onMetaData` that say something of codecs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metadata {
    width: u32,
    height: u32,
    video: Option<u32>,
    audio: Option<u32>,
    sample_rate: u32,
    stereo: Option<bool>,
}

impl Metadata {
    /// Decodes the body of the data message.
    pub fn decode(payload: &[u8]) -> Self {
        let values = amf0::decode_all(payload).unwrap_or_default();
        let Some(Value::Object(properties) | Value::EcmaArray(properties)) = values.get(1) else {
            return Self::default();
        };
        let find = |name: &str| properties.iter().find(|(known, _)| known == name);
        let number = |name| whole(find(name)?.1.as_number()?);
        let stereo = find("stereo").and_then(|(_, value)| value.as_bool());
        Self {
            width: number("width").unwrap_or_default(),
            height: number("height").unwrap_or_default(),
            video: number("videocodecid"),
            audio: number("audiocodecid"),
            sample_rate: number("audiosamplerate").unwrap_or_default(),
            stereo,
        }
    }
}

/// The whole number that a property holds, if it is one that may be meant.
fn whole(number: f64) -> Option<u32> {
    // Not by a cast, of which there are none here; digits are as exact, and this is rare.
    let digits = format!("{:.0}", number.trunc());
    digits.parse().ok()
}

const AVC: u32 = 7;
const HEVC: u32 = 12;
const AV1: u32 = 13;
const MP3: u32 = 2;
const AAC: u32 = 10;

/// By the body of a sequence header, if there is one; what it does not say, by the metadata.
pub fn video(header: Option<&[u8]>, metadata: &Metadata) -> Option<Video> {
    let mut video = match header {
        Some(header) => video_of_header(header)?,
        None => Video {
            codec: video_name(metadata.video?).to_owned(),
            ..Video::default()
        },
    };
    if video.width == 0 || video.height == 0 {
        (video.width, video.height) = (metadata.width, metadata.height);
    }
    for unknown in [&mut video.profile, &mut video.level] {
        if unknown.is_empty() {
            "Other".clone_into(unknown);
        }
    }
    Some(video)
}

/// The same for audio.
pub fn audio(header: Option<&[u8]>, metadata: &Metadata) -> Option<Audio> {
    let mut audio = match header {
        Some(header) => audio_of_header(header)?,
        None => Audio {
            codec: audio_name(metadata.audio?).to_owned(),
            ..Audio::default()
        },
    };
    if audio.sample_rate == 0 {
        audio.sample_rate = metadata.sample_rate;
    }
    if audio.channels == 0 {
        let channels = |stereo| if stereo { 2 } else { 1 };
        audio.channels = metadata.stereo.map_or(0, channels);
    }
    if audio.profile.is_empty() {
        "Other".clone_into(&mut audio.profile);
    }
    Some(audio)
}

fn video_of_header(payload: &[u8]) -> Option<Video> {
    const EX_HEADER: u8 = 0x80;
    let mut reader = Reader::new(payload);
    let first = reader.u8()?;
    if first & EX_HEADER != 0 {
        let four_cc: [u8; 4] = reader.array()?;
        let picture = (&four_cc == b"avc1").then(|| sps::of_sequence_header(reader.rest()))?;
        return Some(Video {
            codec: name_of_four_cc(four_cc),
            ..picture.map(of_picture).unwrap_or_default()
        });
    }
    let id = u32::from(first & 0x0f);
    reader.take(4)?; // packet type and composition time
    let picture = (id == AVC).then(|| sps::of_sequence_header(reader.rest()));
    Some(Video {
        codec: video_name(id).to_owned(),
        ..picture.flatten().map(of_picture).unwrap_or_default()
    })
}

fn of_picture(picture: sps::Picture) -> Video {
    let sps::Picture {
        profile,
        level,
        width,
        height,
    } = picture;
    let profile = match profile {
        66 => "Baseline",
        77 => "Main",
        88 => "Extended",
        100 => "High",
        110 => "High(10)",
        122 => "High(422)",
        244 => "High(444)",
        _ => "Other",
    };
    let (whole, tenth) = (level / 10, level % 10);
    let level = match tenth {
        0 => whole.to_string(),
        tenth => format!("{whole}.{tenth}"),
    };
    Video {
        codec: String::new(),
        profile: profile.to_owned(),
        level,
        width,
        height,
    }
}

fn audio_of_header(payload: &[u8]) -> Option<Audio> {
    const EX_HEADER: u32 = 9;
    let mut reader = Reader::new(payload);
    let id = u32::from(reader.u8()? >> 4);
    let (codec, is_aac) = if id == EX_HEADER {
        let four_cc: [u8; 4] = reader.array()?;
        (name_of_four_cc(four_cc), &four_cc == b"mp4a")
    } else {
        reader.u8()?; // packet type
        (audio_name(id).to_owned(), id == AAC)
    };
    let config = is_aac.then(|| AudioSpecificConfig::decode(reader.rest()));
    let known = config.and_then(Result::ok).map(|config| Audio {
        codec: String::new(),
        profile: match config.object_type() {
            1 => "Main",
            2 => "LC",
            3 => "SSR",
            _ => "LTP",
        }
        .to_owned(),
        sample_rate: config.sample_rate(),
        channels: config.channels(),
    });
    Some(Audio {
        codec,
        ..known.unwrap_or_default()
    })
}

/// Of Enhanced RTMP [E-RTMP v2].
fn name_of_four_cc(four_cc: [u8; 4]) -> String {
    match &four_cc {
        b"avc1" => "H264",
        b"hvc1" => "HEVC",
        b"av01" => "AV1",
        b"vp08" => "VP8",
        b"vp09" => "VP9",
        b"vvc1" => "VVC",
        b"mp4a" => "AAC",
        b".mp3" => "MP3",
        b"Opus" => "Opus",
        b"fLaC" => "FLAC",
        b"ac-3" => "AC3",
        b"ec-3" => "EAC3",
        _ => "Other",
    }
    .to_owned()
}

/// `CodecID` [FLV E.4.3.1]; in metadata also one of Enhanced RTMP, as a number.
const fn video_name(id: u32) -> &'static str {
    match id {
        2 => "H263",
        3 => "Screen",
        4 => "VP6",
        5 => "VP6Alpha",
        6 => "Screen2",
        AVC | 0x6176_6331 => "H264",
        HEVC | 0x6876_6331 => "HEVC",
        AV1 | 0x6176_3031 => "AV1",
        0x7670_3039 => "VP9",
        _ => "Other",
    }
}

/// `SoundFormat` [FLV E.4.2.1]; in metadata also one of Enhanced RTMP, as a number.
const fn audio_name(id: u32) -> &'static str {
    match id {
        0 | 3 => "PCM",
        1 => "ADPCM",
        MP3 | 14 | 0x2e6d_7033 => "MP3",
        4..=6 => "Nellymoser",
        7 => "G711A",
        8 => "G711U",
        AAC | 0x6d70_3461 => "AAC",
        11 => "Speex",
        0x4f70_7573 => "Opus",
        _ => "Other",
    }
}
