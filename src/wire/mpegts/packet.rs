//! Packets: their headers, adaptation fields, tables and PES headers.

use super::distance;

const PACKET_BYTES: usize = 188;
/// What follows the header of a packet: adaptation field and payload.
const BODY_BYTES: usize = PACKET_BYTES - 4;

/// Flags of an adaptation field.
pub(super) const DISCONTINUITY: u8 = 0x80;
pub(super) const RANDOM_ACCESS: u8 = 0x40;
const HAS_PCR: u8 = 0x10;

/// What an adaptation field says [TS §2.4.3.4].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Adaptation {
    pub(super) flags: u8,
    pub(super) pcr: Option<u64>,
}

impl Adaptation {
    /// Bytes of the field, with its length; 0 if it is not needed.
    const fn length(self) -> usize {
        match self {
            Self { pcr: Some(_), .. } => 8,
            Self { flags: 0, .. } => 0,
            Self { .. } => 2,
        }
    }

    /// Without the length of the field.
    fn encode(self, out: &mut Vec<u8>) {
        let Some(pcr) = self.pcr else {
            out.push(self.flags);
            return;
        };
        out.push(self.flags | HAS_PCR);
        // 33 bits of the base, reserved bits, and no extension [TS §2.4.3.5].
        let [_, _, field @ ..] = (pcr << 15 | 0x3f << 9).to_be_bytes();
        out.extend_from_slice(&field);
    }
}

/// The packets of one id [TS §2.4.3.2].
#[derive(Debug)]
pub(super) struct Pid {
    id: u16,
    /// Continuity counter of the last packet with a payload.
    counter: u8,
}

impl Pid {
    pub(super) const fn new(id: u16) -> Self {
        Self { id, counter: 0x0f }
    }

    /// Writes a packet with `header`, which fits, and as much of `payload` as fits after it; returns
    /// the rest. An adaptation field fills what stays empty.
    pub(super) fn packet<'a>(
        &mut self,
        start: bool,
        adaptation: Adaptation,
        header: &[u8],
        payload: &'a [u8],
        out: &mut Vec<u8>,
    ) -> &'a [u8] {
        let room = BODY_BYTES
            .saturating_sub(adaptation.length())
            .saturating_sub(header.len());
        let (payload, rest) = payload.split_at_checked(room).unwrap_or((payload, &[]));
        let field = BODY_BYTES
            .saturating_sub(header.len())
            .saturating_sub(payload.len());
        let mut control = 0x00;
        if field > 0 {
            control |= 0x20;
        }
        if field < BODY_BYTES {
            control |= 0x10;
            self.counter = self.counter.wrapping_add(1) & 0x0f;
        }
        let [high, low] = self.id.to_be_bytes();
        let start = if start { 0x40 } else { 0 };
        out.extend_from_slice(&[0x47, start | high, low, control | self.counter]);
        let end = out.len().saturating_add(field);
        if let Some(length) = field.checked_sub(1) {
            out.push(u8::try_from(length).unwrap_or(u8::MAX));
            if length > 0 {
                adaptation.encode(out);
            }
            out.resize(end, 0xff);
        }
        out.extend_from_slice(header);
        out.extend_from_slice(payload);
        rest
    }

    /// Writes a PES packet.
    pub(super) fn pes(
        &mut self,
        first: Adaptation,
        header: &[u8],
        payload: &[u8],
        out: &mut Vec<u8>,
    ) {
        let mut rest = self.packet(true, first, header, payload, out);
        while !rest.is_empty() {
            rest = self.packet(false, Adaptation::default(), &[], rest, out);
        }
    }

    /// Writes a table of one section, of table id extension 1, in one packet [TS §2.4.4].
    pub(super) fn table(&mut self, table_id: u8, version: u8, body: &[u8], out: &mut Vec<u8>) {
        let length = u8::try_from(body.len().saturating_add(9)).unwrap_or(u8::MAX);
        let mut packet = vec![0]; // the section starts at once
        let header = [table_id, 0xb0, length, 0, 1, 0xc1 | version << 1, 0, 0];
        packet.extend_from_slice(&header);
        packet.extend_from_slice(body);
        let checksum = crc_32(packet.iter().skip(1));
        packet.extend_from_slice(&checksum.to_be_bytes());
        packet.resize(BODY_BYTES, 0xff);
        self.packet(true, Adaptation::default(), &packet, &[], out);
    }
}

/// The header of a PES packet [TS §2.4.3.6] with a payload of `length` bytes. Times are PTS and DTS;
/// a packet without goes on with the frames of the one before.
pub(super) fn pes_header(stream_id: u8, length: usize, times: Option<(u64, u64)>) -> Vec<u8> {
    let mut fields = Vec::with_capacity(13);
    match times {
        None => fields.extend_from_slice(&[0x80, 0, 0]),
        Some((pts, dts)) if distance(pts, dts) == 0 => {
            fields.extend_from_slice(&[0x84, 0x80, 5]);
            fields.extend_from_slice(&timestamp(0x2, pts));
        }
        Some((pts, dts)) => {
            fields.extend_from_slice(&[0x84, 0xc0, 10]);
            fields.extend_from_slice(&timestamp(0x3, pts));
            fields.extend_from_slice(&timestamp(0x1, dts));
        }
    }
    // 0 if it is longer than can be said, which only video may be.
    let length = u16::try_from(length.saturating_add(fields.len())).unwrap_or(0);
    let [high, low] = length.to_be_bytes();
    let mut header = Vec::with_capacity(19);
    header.extend_from_slice(&[0, 0, 1, stream_id, high, low]);
    header.extend_from_slice(&fields);
    header
}

/// A PTS or DTS: four bits that say which, and 33 bits in three pieces, a one after each.
fn timestamp(which: u64, time: u64) -> [u8; 5] {
    let (high, middle, low) = (time >> 30 & 0x07, time >> 15 & 0x7fff, time & 0x7fff);
    let word = which << 36 | high << 33 | 1 << 32 | middle << 17 | 1 << 16 | low << 1 | 1;
    let [_, _, _, field @ ..] = word.to_be_bytes();
    field
}

/// The checksum of a section [TS annex A].
fn crc_32<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    let mut remainder = u32::MAX;
    for &byte in bytes {
        remainder ^= u32::from(byte) << 24;
        for _ in 0..8 {
            let carry = remainder >> 31 == 1;
            let divisor = if carry { 0x04c1_1db7 } else { 0 };
            remainder = remainder << 1 ^ divisor;
        }
    }
    remainder
}
