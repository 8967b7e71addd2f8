//! MP3 audio: what its frame headers say about time [ISO 11172-3 §2.4.1.3, ISO 13818-3 §2.4.2.3].

use super::reader::Reader;

/// The header of an MPEG audio frame of layer III.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Which specification the frame follows.
    pub version: Version,
    /// Samples a second.
    pub sample_rate: u32,
}

/// The specification of an MPEG audio frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    /// ISO/IEC 11172-3: 32 kHz and more.
    Mpeg1,
    /// ISO/IEC 13818-3, and what everybody calls MPEG 2.5: 24 kHz and less.
    Mpeg2,
}

impl Header {
    /// Decodes the first bytes of a frame; `None` if they are not those of an MP3 frame.
    pub fn decode(frame: &[u8]) -> Option<Self> {
        let word = Reader::new(frame).u32()?;
        let layer = word >> 17 & 0x03;
        let bitrate_index = word >> 12 & 0x0f;
        if word >> 21 != 0x7ff || layer != 1 || bitrate_index == 15 {
            return None;
        }
        let rate = match word >> 10 & 0x03 {
            0 => 44_100,
            1 => 48_000,
            2 => 32_000,
            _ => return None,
        };
        let (version, sample_rate) = match word >> 19 & 0x03 {
            3 => (Version::Mpeg1, rate),
            2 => (Version::Mpeg2, rate / 2),
            0 => (Version::Mpeg2, rate / 4),
            _ => return None,
        };
        Some(Self {
            version,
            sample_rate,
        })
    }

    /// Samples in a frame, at its sample rate.
    pub const fn samples_per_frame(&self) -> u32 {
        match self.version {
            Version::Mpeg1 => 1152,
            Version::Mpeg2 => 576,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frame, sample rate and samples.
    type Case = (&'static [u8], Option<(u32, u32)>, &'static str);

    const CASES: &[Case] = &[
        (
            b"\xff\xfb\x90\x64",
            Some((44_100, 1152)),
            "MPEG 1, 128 kbit/s",
        ),
        (
            b"\xff\xfa\x94\x64\0\0",
            Some((48_000, 1152)),
            "with a checksum",
        ),
        (b"\xff\xfb\x98\x64", Some((32_000, 1152)), "32 kHz"),
        (b"\xff\xf3\x80\xc4", Some((22_050, 576)), "MPEG 2"),
        (b"\xff\xf3\x84\xc4", Some((24_000, 576)), "MPEG 2, 24 kHz"),
        (b"\xff\xe3\x18\xc4", Some((8_000, 576)), "MPEG 2.5"),
        (b"\xff\xfb\x00\x64", Some((44_100, 1152)), "free format"),
        (b"\xff\xfb\x90", None, "cut short"),
        (b"\xff\xdb\x90\x64", None, "no sync word"),
        (b"\xff\xeb\x90\x64", None, "reserved version"),
        (b"\xff\xfd\x90\x64", None, "layer II"),
        (b"\xff\xf1\x90\x64", None, "AAC with ADTS"),
        (b"\xff\xfb\xf0\x64", None, "no such bit rate"),
        (b"\xff\xfb\x9c\x64", None, "reserved sample rate"),
    ];

    #[test]
    fn headers_say_rate_and_length() {
        for &(frame, expected, name) in CASES {
            let header = Header::decode(frame);
            let times = header.map(|header| (header.sample_rate, header.samples_per_frame()));
            assert_eq!(times, expected, "{name}");
        }
    }
}
