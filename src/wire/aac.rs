//! AAC audio, from the form of FLV to that of MPEG-TS: each frame after an ADTS header
//! [FLV E.4.2.2; ISO 14496-3 §1.6.2.1, §1.A.2.2].

use core::fmt;

/// Samples in a frame, at [`AudioSpecificConfig::sample_rate`].
pub const SAMPLES_PER_FRAME: u32 = 1024;

/// Sample rates by their index [ISO 14496-3 §1.6.3.4].
const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// In place of an index: the sample rate follows.
const EXPLICIT_RATE: u32 = 15;

/// Object types [ISO 14496-3 §1.5.1.1]. ADTS has names for 1 to 4: Main, LC, SSR and LTP.
const SPECTRAL_BAND_REPLICATION: u32 = 5;
const PARAMETRIC_STEREO: u32 = 29;
const ESCAPE: u32 = 31;

const ADTS_BYTES: usize = 7;

/// What a sequence header says about the frames after it, as far as ADTS can say it.
///
/// HE-AAC is described by its core, AAC-LC at half the rate: ADTS has no name for more, and decoders
/// find the extension in the frames.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AudioSpecificConfig {
    /// 1 to 4.
    object_type: u32,
    /// An index into [`SAMPLE_RATES`].
    frequency_index: u32,
    sample_rate: u32,
    /// 1 to 7.
    channels: u32,
}

/// A sequence header that ADTS has no words for, or a frame that it cannot hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AacError {
    /// A sequence header that ends too early.
    Truncated,
    /// Not Main, LC, SSR or LTP, nor one of these extended to HE-AAC.
    ObjectType(u32),
    /// A reserved index of a sample rate.
    FrequencyIndex(u32),
    /// A sample rate without an index.
    SampleRate(u32),
    /// Channels that are described elsewhere (0), or more than seven kinds of layout.
    Channels(u32),
    /// Frames of 960 samples.
    ShortFrames,
    /// A frame without a byte, or longer than the 13 bits of the ADTS header.
    FrameLength(usize),
}

impl AudioSpecificConfig {
    /// Decodes the body of a sequence header, after the two bytes of its tag header.
    ///
    /// # Errors
    ///
    /// It is cut short, or ADTS cannot say what it says.
    pub fn decode(payload: &[u8]) -> Result<Self, AacError> {
        let mut bits = payload
            .iter()
            .flat_map(|byte| (1..=8).map(|shift| u32::from(byte.rotate_left(shift) & 1)));
        let mut object_type = read_object_type(&mut bits)?;
        let frequency_index = read_frequency_index(&mut bits)?;
        let channels = read(&mut bits, 4)?;
        if matches!(object_type, SPECTRAL_BAND_REPLICATION | PARAMETRIC_STEREO) {
            let _extended = read_frequency_index(&mut bits)?;
            object_type = read_object_type(&mut bits)?;
        }
        if !(1..=4).contains(&object_type) {
            return Err(AacError::ObjectType(object_type));
        }
        if !(1..=7).contains(&channels) {
            return Err(AacError::Channels(channels));
        }
        if read(&mut bits, 1) == Ok(1) {
            return Err(AacError::ShortFrames);
        }
        Ok(Self {
            object_type,
            frequency_index,
            sample_rate: rate(frequency_index)?,
            channels,
        })
    }

    /// Samples a second: of the core, if it is HE-AAC.
    pub const fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// 1 to 4: Main, LC, SSR or LTP; of the core, if it is HE-AAC.
    pub const fn object_type(&self) -> u32 {
        self.object_type
    }

    /// How many channels it has [ISO 14496-3 §1.6.3.5].
    pub const fn channels(&self) -> u32 {
        if self.channels == 7 { 8 } else { self.channels }
    }

    /// The header that goes before a frame of `frame_length` bytes [ISO 14496-3 §1.A.2.2].
    ///
    /// # Errors
    ///
    /// The frame is empty or too long, and to be dropped.
    pub fn adts(&self, frame_length: usize) -> Result<[u8; ADTS_BYTES], AacError> {
        let length = frame_length.saturating_add(ADTS_BYTES);
        if frame_length == 0 || length > 0x1fff {
            return Err(AacError::FrameLength(frame_length));
        }
        let length = u64::try_from(length).unwrap_or_default();
        let word = 0xfff1 << 40 // sync word, MPEG-4, layer 0, no checksum
            | u64::from(self.object_type.saturating_sub(1)) << 38
            | u64::from(self.frequency_index) << 34
            | u64::from(self.channels) << 30
            | length << 13
            | 0x7ff << 2; // variable bit rate; one frame
        let [_, header @ ..] = word.to_be_bytes();
        Ok(header)
    }
}

fn read(bits: &mut impl Iterator<Item = u32>, count: u32) -> Result<u32, AacError> {
    let mut value = 0;
    for _ in 0..count {
        value = value << 1 | bits.next().ok_or(AacError::Truncated)?;
    }
    Ok(value)
}

fn read_object_type(bits: &mut impl Iterator<Item = u32>) -> Result<u32, AacError> {
    match read(bits, 5)? {
        ESCAPE => Ok(read(bits, 6)?.saturating_add(32)),
        object_type => Ok(object_type),
    }
}

fn read_frequency_index(bits: &mut impl Iterator<Item = u32>) -> Result<u32, AacError> {
    let index = read(bits, 4)?;
    if index != EXPLICIT_RATE {
        return Ok(index);
    }
    let rate = read(bits, 24)?;
    (0..)
        .zip(SAMPLE_RATES)
        .find(|&(_, known)| known == rate)
        .map(|(index, _)| index)
        .ok_or(AacError::SampleRate(rate))
}

fn rate(index: u32) -> Result<u32, AacError> {
    let rate = usize::try_from(index)
        .ok()
        .and_then(|index| SAMPLE_RATES.get(index));
    rate.copied().ok_or(AacError::FrequencyIndex(index))
}

impl fmt::Display for AacError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated => write!(f, "AAC sequence header cut short"),
            Self::ObjectType(object_type) => write!(f, "AAC object type {object_type}"),
            Self::FrequencyIndex(index) => write!(f, "AAC sample rate index {index}"),
            Self::SampleRate(rate) => write!(f, "AAC at {rate} Hz"),
            Self::Channels(channels) => write!(f, "AAC channel configuration {channels}"),
            Self::ShortFrames => write!(f, "AAC frames of 960 samples"),
            Self::FrameLength(length) => write!(f, "AAC frame of {length} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case = (&'static [u8], Result<[u8; 7], AacError>, &'static str);

    /// Configuration, and the ADTS header of a frame of 100 bytes.
    const CASES: &[Case] = &[
        (
            b"\x12\x10",
            Ok([0xff, 0xf1, 0x50, 0x80, 0x0d, 0x7f, 0xfc]),
            "LC, 44.1 kHz, stereo",
        ),
        (
            b"\x11\x88\x56\xe5\x00",
            Ok([0xff, 0xf1, 0x4c, 0x40, 0x0d, 0x7f, 0xfc]),
            "LC, 48 kHz, mono, and that there is no SBR",
        ),
        (
            b"\x2b\x92\x08\x00",
            Ok([0xff, 0xf1, 0x5c, 0x80, 0x0d, 0x7f, 0xfc]),
            "HE-AAC, 22.05 kHz extended to 44.1",
        ),
        (
            b"\xeb\x09\x88\x00",
            Ok([0xff, 0xf1, 0x58, 0x40, 0x0d, 0x7f, 0xfc]),
            "HE-AAC v2, 24 kHz extended to 48",
        ),
        (
            b"\x17\x80\x2e\xe0\x10",
            Ok([0xff, 0xf1, 0x58, 0x80, 0x0d, 0x7f, 0xfc]),
            "24 kHz, spelt out",
        ),
        (
            b"\x0e\x38",
            Ok([0xff, 0xf1, 0x31, 0xc0, 0x0d, 0x7f, 0xfc]),
            "Main, 7.35 kHz, 7.1 channels",
        ),
        (b"", Err(AacError::Truncated), "nothing"),
        (b"\x12", Err(AacError::Truncated), "one byte"),
        (b"\x2b\x92", Err(AacError::Truncated), "HE-AAC cut short"),
        (b"\x17\x80\x2e", Err(AacError::Truncated), "rate cut short"),
        (b"\xf9\x48\x10", Err(AacError::ObjectType(42)), "USAC"),
        (b"\x02\x10", Err(AacError::ObjectType(0)), "no object type"),
        (
            b"\x2b\x92\x14\x00",
            Err(AacError::ObjectType(5)),
            "an extension of an extension",
        ),
        (
            b"\x17\x10",
            Err(AacError::FrequencyIndex(14)),
            "reserved sample rate index",
        ),
        (
            b"\x16\x90",
            Err(AacError::FrequencyIndex(13)),
            "the first reserved one",
        ),
        (
            b"\x17\x80\x2e\xe0\x90",
            Err(AacError::SampleRate(24_001)),
            "a rate that nobody has",
        ),
        (
            b"\x12\x00",
            Err(AacError::Channels(0)),
            "channels elsewhere",
        ),
        (b"\x12\x60", Err(AacError::Channels(12)), "another 7.1"),
        (b"\x12\x14", Err(AacError::ShortFrames), "960 samples"),
    ];

    #[test]
    fn configurations_become_headers_or_are_refused() {
        for &(payload, expected, name) in CASES {
            let header = AudioSpecificConfig::decode(payload).and_then(|config| config.adts(100));
            assert_eq!(header, expected, "{name}");
        }
    }

    #[test]
    fn the_rate_is_that_of_the_core() {
        for (payload, rate) in [
            (&b"\x12\x10"[..], 44_100),
            (b"\x2b\x92\x08\x00", 22_050),
            (b"\x17\x80\x2e\xe0\x10", 24_000),
        ] {
            let config = AudioSpecificConfig::decode(payload).unwrap();
            assert_eq!(config.sample_rate(), rate);
        }
    }

    #[test]
    fn a_frame_is_as_long_as_the_header_can_say_and_no_longer() {
        let config = AudioSpecificConfig::decode(b"\x12\x10").unwrap();
        let longest = 0x1fff - ADTS_BYTES;
        let header = config.adts(longest).unwrap();
        assert_eq!(header[3..6], [0x83, 0xff, 0xff]);
        for length in [0, longest + 1, usize::MAX] {
            assert_eq!(config.adts(length), Err(AacError::FrameLength(length)));
        }
    }
}
