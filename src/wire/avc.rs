//! AVC (H.264) video, from the form of FLV to that of MPEG-TS [FLV E.4.3.1].
//!
//! FLV holds NAL units with their lengths before them, and the parameter sets apart, in the sequence
//! header (ISO/IEC 14496-15). MPEG-TS holds a byte stream with start codes (ISO/IEC 14496-10,
//! annex B), which a decoder can join at any random access point. Only the first byte of a NAL unit
//! is looked at.

use core::{fmt, iter};

use super::reader::Reader;
use crate::limits;

/// What a sequence header says about the frames after it: an `AVCDecoderConfigurationRecord`
/// [ISO 14496-15 §5.2.4.1].
///
/// Two that are equal describe frames that a decoder takes without a break.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Configuration {
    /// Bytes of the length before each NAL unit: 1, 2 or 4.
    length_size: usize,
    /// Sequence and picture parameter sets, each after a start code.
    parameter_sets: Vec<u8>,
}

/// What [`Configuration::annex_b`] found in a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AccessUnit {
    /// It is an IDR picture: nothing after it needs what came before.
    pub idr: bool,
}

/// A sequence header, or a frame, that cannot be put into MPEG-TS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AvcError {
    /// A sequence header that ends too early, or a parameter set that passes its end.
    Truncated,
    /// A sequence header of another version than 1: not a configuration record.
    Version(u8),
    /// NAL unit lengths of 3 bytes, which the specification leaves out.
    LengthSize,
    /// A NAL unit of this type among the parameter sets.
    NotParameterSet(u8),
    /// No sequence parameter set.
    NoParameterSet,
    /// More parameter sets than [`limits::MAX_PARAMETER_SET_BYTES`].
    ParameterSetsTooLong(usize),
    /// A frame in which a length passes the end. Also what start codes look like, which do not
    /// belong into FLV.
    UnitLength,
    /// A frame without a slice of a picture.
    NoPicture,
}

/// NAL unit types [ISO 14496-10 §7.4.1].
const SLICE: u8 = 1;
const SLICE_IDR: u8 = 5;
const SEQUENCE_PARAMETER_SET: u8 = 7;
const PICTURE_PARAMETER_SET: u8 = 8;
const ACCESS_UNIT_DELIMITER: u8 = 9;

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// An access unit delimiter that promises nothing about the slices.
const ANY_ACCESS_UNIT: [u8; 2] = [ACCESS_UNIT_DELIMITER, 0xf0];

impl Configuration {
    /// Decodes the body of a sequence header, after the five bytes of its tag header.
    ///
    /// Empty parameter sets are skipped, and there may be no picture parameter set: frames may
    /// bring their own. What follows the sets (of high profiles) says nothing to a byte stream.
    ///
    /// # Errors
    ///
    /// It is malformed, or too long to be repeated at each keyframe.
    pub fn decode(payload: &[u8]) -> Result<Self, AvcError> {
        let mut reader = Reader::new(payload);
        let [version, _profile, _compatibility, _level, length_size] =
            reader.array().ok_or(AvcError::Truncated)?;
        if version != 1 {
            return Err(AvcError::Version(version));
        }
        let length_size = match length_size & 0x03 {
            0 => 1,
            1 => 2,
            2 => return Err(AvcError::LengthSize),
            _ => 4,
        };
        let mut parameter_sets = Vec::new();
        let count = reader.u8().ok_or(AvcError::Truncated)? & 0x1f;
        read_sets(
            &mut reader,
            count,
            SEQUENCE_PARAMETER_SET,
            &mut parameter_sets,
        )?;
        if parameter_sets.is_empty() {
            return Err(AvcError::NoParameterSet);
        }
        let count = reader.u8().ok_or(AvcError::Truncated)?;
        read_sets(
            &mut reader,
            count,
            PICTURE_PARAMETER_SET,
            &mut parameter_sets,
        )?;
        if parameter_sets.len() > limits::MAX_PARAMETER_SET_BYTES {
            return Err(AvcError::ParameterSetsTooLong(parameter_sets.len()));
        }
        Ok(Self {
            length_size,
            parameter_sets,
        })
    }

    /// Appends a frame to `out` as an access unit of a byte stream [ISO 14496-10 annex B].
    ///
    /// It starts with an access unit delimiter; those of the frame, and empty NAL units, are left
    /// out. An IDR picture, and whatever else FLV calls a `keyframe`, brings the parameter sets: its
    /// own, else those of the sequence header. `payload` is what follows the five bytes of the tag
    /// header.
    ///
    /// # Errors
    ///
    /// The frame is malformed and to be dropped; `out` is as it was.
    pub fn annex_b(
        &self,
        payload: &[u8],
        keyframe: bool,
        out: &mut Vec<u8>,
    ) -> Result<AccessUnit, AvcError> {
        let (mut picture, mut idr) = (false, false);
        let (mut has_sequence_set, mut has_picture_set) = (false, false);
        for unit in self.units(payload) {
            let unit_type = unit_type(unit?);
            picture |= (SLICE..=SLICE_IDR).contains(&unit_type);
            idr |= unit_type == SLICE_IDR;
            has_sequence_set |= unit_type == SEQUENCE_PARAMETER_SET;
            has_picture_set |= unit_type == PICTURE_PARAMETER_SET;
        }
        if !picture {
            return Err(AvcError::NoPicture);
        }
        append(&ANY_ACCESS_UNIT, out);
        if (keyframe || idr) && !(has_sequence_set && has_picture_set) {
            out.extend_from_slice(&self.parameter_sets);
        }
        for unit in self.units(payload).flatten() {
            if unit_type(unit) != ACCESS_UNIT_DELIMITER {
                append(unit, out);
            }
        }
        Ok(AccessUnit { idr })
    }

    /// The NAL units of a frame that are not empty. An error is the last item.
    fn units<'a>(&self, payload: &'a [u8]) -> impl Iterator<Item = Result<&'a [u8], AvcError>> {
        let length_size = self.length_size;
        let mut reader = Reader::new(payload);
        iter::from_fn(move || {
            while reader.remaining() > 0 {
                let Some(unit) = take_unit(&mut reader, length_size) else {
                    reader = Reader::new(&[]);
                    return Some(Err(AvcError::UnitLength));
                };
                if !unit.is_empty() {
                    return Some(Ok(unit));
                }
            }
            None
        })
    }
}

/// Takes a length of `length_size` bytes and as many bytes as it says.
fn take_unit<'a>(reader: &mut Reader<'a>, length_size: usize) -> Option<&'a [u8]> {
    let length = reader.take(length_size)?;
    let length = length
        .iter()
        .fold(0, |length, &byte| length << 8 | usize::from(byte));
    reader.take(length)
}

/// Takes `count` parameter sets and appends those that are not empty.
fn read_sets(
    reader: &mut Reader<'_>,
    count: u8,
    expected: u8,
    out: &mut Vec<u8>,
) -> Result<(), AvcError> {
    for _ in 0..count {
        let unit = take_unit(reader, 2).ok_or(AvcError::Truncated)?;
        if unit.is_empty() {
            continue;
        }
        if unit_type(unit) != expected {
            return Err(AvcError::NotParameterSet(unit_type(unit)));
        }
        append(unit, out);
    }
    Ok(())
}

fn append(unit: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&START_CODE);
    out.extend_from_slice(unit);
}

/// The `nal_unit_type` [ISO 14496-10 §7.3.1]; 0, which is none, of an empty unit.
fn unit_type(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |first| first & 0x1f)
}

impl fmt::Display for AvcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated => write!(f, "AVC sequence header cut short"),
            Self::Version(version) => write!(f, "AVC sequence header of version {version}"),
            Self::LengthSize => write!(f, "AVC unit lengths of 3 bytes"),
            Self::NotParameterSet(unit_type) => {
                write!(f, "AVC unit of type {unit_type} as a parameter set")
            }
            Self::NoParameterSet => write!(f, "no AVC sequence parameter set"),
            Self::ParameterSetsTooLong(length) => write!(f, "AVC parameter sets of {length} bytes"),
            Self::UnitLength => write!(f, "AVC unit that passes the end of its frame"),
            Self::NoPicture => write!(f, "AVC frame without a picture"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record with lengths of 4 bytes, one sequence and one picture parameter set.
    const RECORD: &[u8] = b"\x01\x64\x00\x1f\xff\xe1\x00\x02\x67S\x01\x00\x02\x68P";
    const SETS: &[u8] = b"\0\0\0\x01\x67S\0\0\0\x01\x68P";

    type Decoded = Result<(usize, &'static [u8]), AvcError>;

    const RECORDS: &[(&[u8], Decoded, &str)] = &[
        (RECORD, Ok((4, SETS)), "as ffmpeg writes it"),
        (
            b"\x01\x64\x00\x1f\xff\xe1\x00\x02\x67S\x01\x00\x02\x68P\xfd\xf8\xf8\x00",
            Ok((4, SETS)),
            "chroma format of a high profile",
        ),
        (
            b"\x01\x64\x00\x1f\x00\x01\x00\x01\x67\x01\x00\x01\x68",
            Ok((1, b"\0\0\0\x01\x67\0\0\0\x01\x68")),
            "lengths of 1 byte, reserved bits 0",
        ),
        (
            b"\x01\x64\x00\x1f\xfd\xe2\x00\x01\x67\x00\x01\x47\x00",
            Ok((2, b"\0\0\0\x01\x67\0\0\0\x01\x47")),
            "lengths of 2 bytes, two sets, none of a picture",
        ),
        (
            b"\x01\x64\x00\x1f\xff\xe2\x00\x00\x00\x01\x67\x01\x00\x00",
            Ok((4, b"\0\0\0\x01\x67")),
            "empty sets",
        ),
        (
            b"\x01\x64\x00\x1f\xff\xe0\x01\x00\x01\x68",
            Err(AvcError::NoParameterSet),
            "no sequence parameter set",
        ),
        (
            b"\x01\x64\x00\x1f\xff\xe1\x00\x00\x00",
            Err(AvcError::NoParameterSet),
            "only an empty one",
        ),
        (
            b"\x01\x64\x00\x1f\xfe\xe1\x00\x01\x67\x00",
            Err(AvcError::LengthSize),
            "lengths of 3 bytes",
        ),
        (
            b"\x01\x64\x00\x1f\xff\xe1\xff\xff\x67\x00",
            Err(AvcError::Truncated),
            "a set past the end",
        ),
        (
            b"\x01\x64\x00\x1f\xff\xff\x00\x01\x67\x00",
            Err(AvcError::Truncated),
            "more sets than there are",
        ),
        (
            b"\x01\x64\x00\x1f\xff\xe1\x00\x01\x65\x00",
            Err(AvcError::NotParameterSet(5)),
            "a slice as a set",
        ),
        (
            b"\x01\x64\x00\x1f\xff\xe1\x00\x01\x67\x01\x00\x01\x67",
            Err(AvcError::NotParameterSet(7)),
            "a set in the wrong list",
        ),
        (
            b"\0\0\0\x01\x67S\0\0\0\x01\x68P",
            Err(AvcError::Version(0)),
            "start codes",
        ),
    ];

    #[test]
    fn records_are_decoded_or_refused() {
        for &(payload, expected, name) in RECORDS {
            let decoded = Configuration::decode(payload);
            let decoded = decoded
                .as_ref()
                .map(|c| (c.length_size, &c.parameter_sets[..]));
            assert_eq!(decoded, expected.as_ref().copied(), "{name}");
        }
    }
    #[test]
    fn every_prefix_of_a_record_is_refused() {
        for length in 0..RECORD.len() {
            let decoded = Configuration::decode(&RECORD[..length]);
            assert_eq!(decoded, Err(AvcError::Truncated), "{length} bytes");
        }
    }

    #[test]
    fn parameter_sets_are_as_long_as_the_limit_and_no_longer() {
        let decoded_length = |length: usize| {
            let set = length - START_CODE.len();
            let mut record = b"\x01\x64\x00\x1f\xff\xe1".to_vec();
            record.extend(u16::try_from(set).unwrap().to_be_bytes());
            record.resize(record.len() + set, 0x67);
            record.push(0);
            Configuration::decode(&record).map(|c| c.parameter_sets.len())
        };
        let limit = limits::MAX_PARAMETER_SET_BYTES;
        assert_eq!(decoded_length(limit), Ok(limit));
        let error = AvcError::ParameterSetsTooLong(limit + 1);
        assert_eq!(decoded_length(limit + 1), Err(error));
    }

    /// Bytes of a length, and whether FLV says that it is a keyframe.
    type Form = (usize, bool);
    /// The units of the access unit, and whether it is IDR.
    type Unit = Result<(&'static [&'static [u8]], bool), AvcError>;

    const AUD: &[u8] = &ANY_ACCESS_UNIT;
    const SPS: &[u8] = b"\x67S";
    const PPS: &[u8] = b"\x68P";
    const NO_PICTURE: Unit = Err(AvcError::NoPicture);
    const UNIT_LENGTH: Unit = Err(AvcError::UnitLength);

    const FRAMES: &[(Form, &[u8], Unit, &str)] = &[
        (
            (4, false),
            b"\0\0\0\x02\x41a",
            Ok((&[AUD, b"\x41a"], false)),
            "inter frame",
        ),
        (
            (1, false),
            b"\x02\x41a\x02\x41b",
            Ok((&[AUD, b"\x41a", b"\x41b"], false)),
            "two slices",
        ),
        (
            (2, true),
            b"\0\x01\x65",
            Ok((&[AUD, SPS, PPS, b"\x65"], true)),
            "IDR",
        ),
        (
            (1, false),
            b"\x01\x65",
            Ok((&[AUD, SPS, PPS, b"\x65"], true)),
            "IDR that FLV calls an inter frame",
        ),
        (
            (1, true),
            b"\x01\x06\x01\x41",
            Ok((&[AUD, SPS, PPS, b"\x06", b"\x41"], false)),
            "recovery point, which FLV calls a keyframe",
        ),
        (
            (1, true),
            b"\x02\x67T\x02\x68Q\x01\x65",
            Ok((&[AUD, b"\x67T", b"\x68Q", b"\x65"], true)),
            "IDR with its own parameter sets",
        ),
        (
            (1, true),
            b"\x02\x67T\x01\x65",
            Ok((&[AUD, SPS, PPS, b"\x67T", b"\x65"], true)),
            "IDR with a sequence parameter set",
        ),
        (
            (1, true),
            b"\x02\x68Q\x01\x65",
            Ok((&[AUD, SPS, PPS, b"\x68Q", b"\x65"], true)),
            "IDR with a picture parameter set",
        ),
        (
            (1, false),
            b"\x02\x09\x30\x01\x41\x02\x09\x10",
            Ok((&[AUD, b"\x41"], false)),
            "delimiters of its own",
        ),
        (
            (1, false),
            b"\0\0\x01\x41\0",
            Ok((&[AUD, b"\x41"], false)),
            "empty units",
        ),
        ((4, false), b"", NO_PICTURE, "nothing"),
        ((1, false), b"\0\0", NO_PICTURE, "only empty units"),
        ((1, false), b"\x01\x40", NO_PICTURE, "unspecified type"),
        (
            (1, true),
            b"\x02\x09\xf0\x02\x67T\x01\x06",
            NO_PICTURE,
            "no slice",
        ),
        ((1, false), b"\x01\x41\x02\x41", UNIT_LENGTH, "past the end"),
        (
            (4, false),
            b"\0\0\0\x01\x41\xff\xff\xff\xff",
            UNIT_LENGTH,
            "longest length",
        ),
        (
            (4, false),
            b"\0\0\0\x01\x41\0\0",
            UNIT_LENGTH,
            "part of a length",
        ),
        (
            (4, true),
            b"\0\0\0\x01\x65\x88\0\0\0\x01\x41",
            UNIT_LENGTH,
            "start codes",
        ),
    ];

    #[test]
    fn frames_become_access_units_or_leave_no_trace() {
        for &((length_size, keyframe), payload, expected, name) in FRAMES {
            let configuration = Configuration {
                length_size,
                parameter_sets: SETS.to_vec(),
            };
            let mut out = b"before".to_vec();
            let result = configuration.annex_b(payload, keyframe, &mut out);
            assert_eq!(
                result,
                expected.map(|(_, idr)| AccessUnit { idr }),
                "{name}"
            );
            let mut whole = b"before".to_vec();
            for unit in expected.map_or(&[][..], |(units, _)| units) {
                append(unit, &mut whole);
            }
            assert_eq!(out, whole, "{name}");
        }
    }
}
