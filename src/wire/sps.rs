//! What an H.264 sequence parameter set says about the picture, for who looks at a stream
//! [ISO 14496-10 §7.3.2.1.1].

use super::reader::Reader;
use crate::limits;

/// Profile, level and size.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Picture {
    /// `profile_idc`.
    pub profile: u8,
    /// `level_idc`: ten times the level.
    pub level: u8,
    /// Luma samples, cropped; 0 if they could not be made out.
    pub width: u32,
    /// The same.
    pub height: u32,
}

/// Reads the first sequence parameter set of a sequence header, after the five bytes of its tag
/// header [ISO 14496-15 §5.2.4.1].
pub fn of_sequence_header(payload: &[u8]) -> Option<Picture> {
    let mut reader = Reader::new(payload);
    let [
        _version,
        profile,
        _compatibility,
        level,
        _length_size,
        count,
    ] = reader.array()?;
    let length = reader.u16().filter(|_| count & 0x1f > 0)?;
    let unit = reader.take(usize::from(length))?;
    let (width, height) = size(unit).unwrap_or_default();
    Some(Picture {
        profile,
        level,
        width,
        height,
    })
}

/// Width and height of a sequence parameter set, with the byte of its NAL unit header.
fn size(unit: &[u8]) -> Option<(u32, u32)> {
    let mut bits = Bits::new(unit.get(1..)?);
    let profile = bits.take(8)?;
    bits.take(16)?; // constraints and level
    bits.unsigned()?; // seq_parameter_set_id
    let chroma_unit = match profile {
        100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135 => {
            chroma(&mut bits)?
        }
        _ => (2, 2),
    };
    bits.unsigned()?; // log2_max_frame_num_minus4
    pass_order_count(&mut bits)?;
    bits.unsigned()?; // max_num_ref_frames
    bits.flag()?; // gaps_in_frame_num_value_allowed_flag
    let width = bits.unsigned()?.checked_add(1)?.checked_mul(16)?;
    let height = bits.unsigned()?.checked_add(1)?.checked_mul(16)?;
    let only_frames = bits.flag()?;
    let fields = if only_frames { 1 } else { 2 };
    if !only_frames {
        bits.flag()?; // mb_adaptive_frame_field_flag
    }
    bits.flag()?; // direct_8x8_inference_flag
    let height = height.checked_mul(fields)?;
    let mut edges = [0; 4];
    if bits.flag()? {
        for edge in &mut edges {
            *edge = bits.unsigned()?;
        }
    }
    let [left, right, top, bottom] = edges;
    let crop_x = left.checked_add(right)?.checked_mul(chroma_unit.0)?;
    let crop_y = top.checked_add(bottom)?.checked_mul(chroma_unit.1)?;
    let crop_y = crop_y.checked_mul(fields)?;
    bounded(width.checked_sub(crop_x)?, height.checked_sub(crop_y)?)
}

/// Passes over what high profiles say of chroma; how many samples across and down one of chroma
/// stands for, in which cropping counts [ISO 14496-10 §6.2].
fn chroma(bits: &mut Bits<'_>) -> Option<(u32, u32)> {
    let format = bits.unsigned()?;
    if format == 3 {
        bits.flag()?; // separate_colour_plane_flag
    }
    bits.unsigned()?; // bit_depth_luma_minus8
    bits.unsigned()?; // bit_depth_chroma_minus8
    bits.flag()?; // qpprime_y_zero_transform_bypass_flag
    if bits.flag()? {
        for list in 0..if format == 3 { 12 } else { 8 } {
            if bits.flag()? {
                scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Some(match format {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    })
}

/// Passes over how the order of pictures is coded.
fn pass_order_count(bits: &mut Bits<'_>) -> Option<()> {
    match bits.unsigned()? {
        0 => {
            bits.unsigned()?; // log2_max_pic_order_cnt_lsb_minus4
        }
        1 => {
            bits.flag()?; // delta_pic_order_always_zero_flag
            bits.unsigned()?; // offset_for_non_ref_pic, signed: as long
            bits.unsigned()?; // offset_for_top_to_bottom_field
            for _ in 0..bits.unsigned().filter(|&count| count < 256)? {
                bits.unsigned()?; // offset_for_ref_frame
            }
        }
        _ => {}
    }
    Some(())
}

fn bounded(width: u32, height: u32) -> Option<(u32, u32)> {
    let fits = |length| (1..=limits::MAX_PICTURE_LENGTH).contains(&length);
    (fits(width) && fits(height)).then_some((width, height))
}

/// Passes over a scaling list [ISO 14496-10 §7.3.2.1.1.1].
fn scaling_list(bits: &mut Bits<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8_i64, 8_i64);
    for _ in 0..size {
        if next != 0 {
            let delta = bits.signed()?;
            next = last.checked_add(delta)?.rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

/// The bits of a NAL unit, without the bytes that keep start codes out of it.
struct Bits<'a> {
    rest: Reader<'a>,
    zeros: u8,
    byte: u8,
    /// Of `byte`.
    left: u8,
}

impl<'a> Bits<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: Reader::new(bytes),
            zeros: 0,
            byte: 0,
            left: 0,
        }
    }

    fn flag(&mut self) -> Option<bool> {
        if self.left == 0 {
            let mut byte = self.rest.u8()?;
            if self.zeros >= 2 && byte == 3 {
                self.zeros = 0;
                byte = self.rest.u8()?;
            }
            self.zeros = if byte == 0 {
                self.zeros.saturating_add(1)
            } else {
                0
            };
            self.byte = byte;
            self.left = 8;
        }
        self.left = self.left.saturating_sub(1);
        let bit = self.byte & 0x80 != 0;
        self.byte <<= 1;
        Some(bit)
    }

    fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0_u32;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    /// `ue(v)` [ISO 14496-10 §9.1]; at most 31 bits.
    fn unsigned(&mut self) -> Option<u32> {
        let mut zeros = 0_u32;
        while !self.flag()? {
            zeros = zeros.checked_add(1).filter(|&zeros| zeros < 32)?;
        }
        let rest = self.take(zeros)?;
        let base = 1_u32.checked_shl(zeros)?.checked_sub(1)?;
        base.checked_add(rest)
    }

    /// `se(v)` [ISO 14496-10 §9.1.1].
    fn signed(&mut self) -> Option<i64> {
        let code = i64::from(self.unsigned()?);
        let magnitude = code.checked_add(1)? / 2;
        Some(if code % 2 == 0 {
            magnitude.wrapping_neg()
        } else {
            magnitude
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sequence headers of libx264, as ffmpeg writes them: also interlaced, and with more chroma.
    const CASES: &[(&str, Picture)] = &[
        (
            "0164001effe1001a6764001eacd940a02ff97011000003000100000300320f162d9601000668ebe3cb22c0fdf8f800",
            picture(100, 30, 640, 360),
        ),
        (
            "0142c028ffe1001a6742c028d900780227e5c044000003000400000300c83c60c92001000568cb83cb20",
            picture(66, 40, 1920, 1080),
        ),
        (
            "014d401effe10018674d401eeca06c1ef37808800000030080000019078b16cb01000568ebe3cb20",
            picture(77, 30, 854, 480),
        ),
        (
            "01f4000dffe1001b67f4000d919b282a10f3c5e022000003000200000300641e28532c01000668ebe3c44844fff8f800",
            picture(244, 13, 330, 246),
        ),
        (
            "01640028ffe1001a67640028acd94078044fde0220000003002000000643e2c5b2c001000768fba3cb3002c0fdf8f800",
            picture(100, 40, 1920, 1080),
        ),
        (
            "017a001fffe1001b677a001fbcd9405005beaf011000000300100000030320f183196001000668ebe3cb22c0fef8f800",
            picture(122, 31, 1278, 718),
        ),
    ];

    const fn picture(profile: u8, level: u8, width: u32, height: u32) -> Picture {
        Picture {
            profile,
            level,
            width,
            height,
        }
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pair = |pair: &[u8]| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16);
        digits.chunks(2).map(|two| pair(two).unwrap()).collect()
    }

    #[test]
    fn pictures_of_known_size_and_every_prefix_is_safe() {
        for (hex, expected) in CASES {
            let header = bytes(hex);
            assert_eq!(of_sequence_header(&header), Some(*expected), "{hex}");
            for length in 0..header.len() {
                let cut = of_sequence_header(&header[..length]);
                assert!(cut.is_none_or(|cut| cut.profile == expected.profile));
            }
        }
    }
}
