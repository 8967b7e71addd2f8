//! A demuxer of MPEG-TS, written from ISO/IEC 13818-1 and stricter than any player: what the
//! standard forbids, and what we never write, fails the test.

use std::collections::BTreeMap;

const PACKET: usize = 188;
const SECOND: u64 = 90_000;
/// PTS, DTS and the base of the PCR count modulo this.
const WRAP: u64 = 1 << 33;

/// What one segment holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Demuxed {
    /// Program number and the PID of its map.
    pub(crate) programs: Vec<(u16, u16)>,
    /// Version of the program map.
    pub(crate) version: u8,
    pub(crate) pcr_pid: u16,
    /// In the order of the program map.
    pub(crate) streams: Vec<Stream>,
    /// Clock references in 90 kHz, after the index of their packet.
    pub(crate) pcrs: Vec<(usize, u64)>,
    /// Packets whose clock reference does not follow the one before, and says so.
    pub(crate) jumps: Vec<usize>,
}

impl Demuxed {
    /// The stream of a type, if there is one.
    pub(crate) fn stream(&self, stream_type: u8) -> Option<&Stream> {
        let mut streams = self.streams.iter();
        streams.find(|stream| stream.stream_type == stream_type)
    }
}

/// An elementary stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    pub(crate) pid: u16,
    pub(crate) stream_type: u8,
    pub(crate) units: Vec<Unit>,
}

/// The payload of a PES packet, with those after it that have no PTS.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Unit {
    /// Index of its first packet in the segment.
    pub(crate) packet: usize,
    pub(crate) pts: u64,
    pub(crate) dts: u64,
    pub(crate) random_access: bool,
    pub(crate) data: Vec<u8>,
}

/// Demuxes a segment by itself.
pub(crate) fn demux(segment: &[u8]) -> Demuxed {
    Demuxer::default().segment(segment)
}

/// Demuxes segments that follow each other: counters and the clock go on.
#[derive(Debug, Default)]
pub(crate) struct Demuxer {
    /// By PID.
    counters: BTreeMap<u16, u8>,
    pcr: Option<u64>,
    /// Version of the program map, and the map.
    map: Option<(u8, Vec<u8>)>,
}

impl Demuxer {
    /// Demuxes the next segment.
    pub(crate) fn segment(&mut self, bytes: &[u8]) -> Demuxed {
        assert!(bytes.len().is_multiple_of(PACKET), "{} bytes", bytes.len());
        let mut out = Demuxed::default();
        let mut open = BTreeMap::new();
        for (index, packet) in bytes.chunks(PACKET).enumerate() {
            self.packet(index, packet, &mut open, &mut out);
        }
        assert_ne!(out.pcr_pid, 0, "no program map");
        for (pid, pes) in open {
            pes.close(pid, &mut out);
        }
        let first = out.streams.iter().flat_map(|stream| &stream.units);
        if let Some(first) = first.map(|unit| unit.packet).min() {
            assert!(out.pcrs[0].0 <= first, "a unit before the clock");
            assert!(out.streams.iter().any(|stream| stream.pid == out.pcr_pid));
        }
        out
    }

    /// 2.4.3.2
    fn packet(
        &mut self,
        index: usize,
        packet: &[u8],
        open: &mut BTreeMap<u16, Pes>,
        out: &mut Demuxed,
    ) {
        assert_eq!(packet[0], 0x47, "packet {index}: sync byte");
        assert_eq!(packet[1] & 0xa0, 0, "packet {index}: error or priority");
        let start = packet[1] & 0x40 != 0;
        let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        assert_eq!(packet[3] & 0xc0, 0, "packet {index}: scrambled");
        let (has_field, has_payload) = (packet[3] & 0x20 != 0, packet[3] & 0x10 != 0);
        assert!(has_field || has_payload, "packet {index}: nothing in it");
        self.count(index, pid, has_payload, packet[3] & 0x0f);
        let (field, payload) = if has_field {
            let length = usize::from(packet[4]);
            let longest = if has_payload { 182 } else { 183 };
            assert!(length <= longest && (has_payload || length == 183));
            (&packet[5..5 + length], &packet[5 + length..])
        } else {
            (&packet[..0], &packet[4..])
        };
        let random_access = self.adaptation(index, pid, field, out);
        if !has_payload {
            assert!(!start && payload.is_empty(), "packet {index}: no payload");
        } else if index < 2 || pid == 0 || out.programs.iter().any(|&(_, map)| map == pid) {
            assert!(start, "packet {index}: a table in two packets");
            self.table(index, pid, payload, out);
        } else if start {
            if let Some(pes) = open.insert(pid, Pes::open(index, payload, random_access)) {
                pes.close(pid, out);
            }
        } else {
            assert!(!random_access, "packet {index}: random access amid a unit");
            let pes = open.get_mut(&pid);
            let pes = pes.unwrap_or_else(|| panic!("packet {index}: starts amid a unit of {pid}"));
            pes.unit.data.extend(payload);
        }
    }

    /// 2.4.3.3: counts packets with payload, by PID.
    fn count(&mut self, index: usize, pid: u16, has_payload: bool, counter: u8) {
        let step = u8::from(has_payload);
        if let Some(last) = self.counters.insert(pid, counter) {
            let expected = (last + step) & 0x0f;
            assert_eq!(counter, expected, "packet {index}: counter of {pid}");
        }
    }

    /// 2.4.3.4: whether a unit starts here that can be decoded by itself.
    fn adaptation(&mut self, index: usize, pid: u16, field: &[u8], out: &mut Demuxed) -> bool {
        let Some((&flags, rest)) = field.split_first() else {
            return false;
        };
        assert_eq!(flags & 0x2f, 0, "packet {index}: OPCR, splice, private");
        let (discontinuity, has_pcr) = (flags & 0x80 != 0, flags & 0x10 != 0);
        let stuffing = if has_pcr {
            assert_eq!(pid, out.pcr_pid, "packet {index}: a clock");
            let field = rest.first_chunk::<6>().unwrap();
            let field = u64::from_be_bytes([
                0, 0, field[0], field[1], field[2], field[3], field[4], field[5],
            ]);
            assert_eq!(field >> 9 & 0x3f, 0x3f, "packet {index}: reserved bits");
            assert_eq!(field & 0x1ff, 0, "packet {index}: extension");
            self.reference(index, field >> 15, discontinuity, out);
            &rest[6..]
        } else {
            assert!(!discontinuity, "packet {index}: a jump without a clock");
            rest
        };
        assert!(
            stuffing.iter().all(|&byte| byte == 0xff),
            "packet {index}: stuffing"
        );
        flags & 0x40 != 0
    }

    /// 2.7.2: a tenth of a second at most from one to the next.
    fn reference(&mut self, index: usize, pcr: u64, discontinuity: bool, out: &mut Demuxed) {
        if discontinuity {
            out.jumps.push(index);
        } else if let Some(last) = self.pcr {
            let step = (pcr + WRAP - last) % WRAP;
            assert!(step <= SECOND / 10, "packet {index}: {last}, then {pcr}");
        }
        self.pcr = Some(pcr);
        out.pcrs.push((index, pcr));
    }

    /// 2.4.4: the two tables come first, and only there.
    fn table(&mut self, index: usize, pid: u16, payload: &[u8], out: &mut Demuxed) {
        let (table_id, expected) = if index == 0 {
            (0, 0)
        } else {
            (2, out.programs[0].1)
        };
        assert!(
            index < 2 && pid == expected,
            "packet {index}: a table on {pid}"
        );
        assert_eq!(
            payload[..2],
            [0, table_id],
            "packet {index}: pointer, table id"
        );
        let section = &payload[1..];
        let length = usize::from(u16::from_be_bytes([section[1], section[2]]) & 0x0fff);
        assert_eq!(section[1] & 0xfc, 0xb0, "packet {index}: section syntax");
        let (section, rest) = section.split_at(3 + length);
        assert!(
            rest.iter().all(|&byte| byte == 0xff),
            "packet {index}: stuffing"
        );
        assert_eq!(crc(section), 0, "packet {index}: CRC");
        assert_eq!(section[3..5], [0, 1], "packet {index}: its id");
        assert_eq!(section[5] & 0xc1, 0xc1, "packet {index}: current");
        assert_eq!(section[6..8], [0, 0], "packet {index}: only section");
        let version = section[5] >> 1 & 0x1f;
        let body = &section[8..section.len() - 4];
        if table_id == 0 {
            out.programs = association(body);
            return;
        }
        if let Some((last, map)) = self.map.replace((version, body.to_vec())) {
            assert_eq!(
                last == version,
                map == body,
                "version {last}, then {version}"
            );
        }
        out.version = version;
        (out.pcr_pid, out.streams) = program_map(body);
    }
}

/// 2.4.4.3
fn association(body: &[u8]) -> Vec<(u16, u16)> {
    let &[high, low, pid_high, pid_low] = body else {
        panic!("{} bytes of programs", body.len());
    };
    assert_eq!(pid_high & 0xe0, 0xe0, "reserved bits");
    let pid = u16::from_be_bytes([pid_high & 0x1f, pid_low]);
    vec![(u16::from_be_bytes([high, low]), pid)]
}

/// 2.4.4.8
fn program_map(body: &[u8]) -> (u16, Vec<Stream>) {
    let (head, body) = body.split_at(4);
    assert_eq!(head[0] & 0xe0, 0xe0, "reserved bits");
    assert_eq!(head[2..], [0xf0, 0], "descriptors");
    let streams = body.chunks(5).map(|stream| {
        assert_eq!(stream[1] & 0xe0, 0xe0, "reserved bits");
        assert_eq!(stream[3..], [0xf0, 0], "descriptors");
        Stream {
            pid: u16::from_be_bytes([stream[1] & 0x1f, stream[2]]),
            stream_type: stream[0],
            units: Vec::new(),
        }
    });
    let pcr_pid = u16::from_be_bytes([head[0] & 0x1f, head[1]]);
    (pcr_pid, streams.collect())
}

/// A PES packet that has begun.
#[derive(Debug)]
struct Pes {
    stream_id: u8,
    /// Of the payload; `None` if it is not said.
    length: Option<usize>,
    /// It has a PTS.
    timed: bool,
    unit: Unit,
}

impl Pes {
    /// 2.4.3.6
    fn open(index: usize, payload: &[u8], random_access: bool) -> Self {
        let (head, rest) = payload.split_at(9);
        assert_eq!(head[..3], [0, 0, 1], "packet {index}: start code");
        assert_eq!(head[6] & 0xfb, 0x80, "packet {index}: scrambled, priority");
        let (fields, data) = rest.split_at(usize::from(head[8]));
        let (pts, dts) = match (head[7], fields) {
            (0x00, []) => (None, None),
            (0x80, pts) => (Some(timestamp(2, pts)), None),
            (0xc0, fields) => {
                let (pts, dts) = fields.split_at(5);
                (Some(timestamp(3, pts)), Some(timestamp(1, dts)))
            }
            other => panic!("packet {index}: PES flags {other:x?}"),
        };
        assert!(pts.is_some() || !random_access, "packet {index}: no PTS");
        let length = usize::from(u16::from_be_bytes([head[4], head[5]]));
        let unit = Unit {
            packet: index,
            pts: pts.unwrap_or_default(),
            dts: dts.or(pts).unwrap_or_default(),
            random_access,
            data: data.to_vec(),
        };
        let delay = (unit.pts + WRAP - unit.dts) % WRAP;
        assert!(
            delay < WRAP / 2,
            "packet {index}: shown before it is decoded"
        );
        Self {
            stream_id: head[3],
            length: length.checked_sub(3 + fields.len()),
            timed: pts.is_some(),
            unit,
        }
    }

    fn close(self, pid: u16, out: &mut Demuxed) {
        let at = self.unit.packet;
        let mut streams = out.streams.iter_mut();
        let stream = streams.find(|stream| stream.pid == pid);
        let stream = stream.unwrap_or_else(|| panic!("packet {at}: {pid} is not in the map"));
        let video = stream.stream_type == 0x1b;
        assert_eq!(
            self.stream_id,
            if video { 0xe0 } else { 0xc0 },
            "packet {at}"
        );
        let length = self.unit.data.len();
        assert!(length > 0, "packet {at}: an empty unit");
        match self.length {
            Some(said) => assert_eq!(said, length, "packet {at}: length"),
            None => assert!(video, "packet {at}: only video may leave out its length"),
        }
        if self.timed {
            stream.units.push(self.unit);
        } else {
            let unit = stream.units.last_mut();
            unit.expect("first a PTS").data.extend(self.unit.data);
        }
    }
}

/// 2.4.3.7: which of them it is, and 33 bits between marks.
fn timestamp(which: u8, field: &[u8]) -> u64 {
    let &[a, b, c, d, e] = field else {
        panic!("a timestamp of {} bytes", field.len());
    };
    assert_eq!(a >> 4, which, "which timestamp");
    assert_eq!([a & 1, c & 1, e & 1], [1; 3], "marks of a timestamp");
    let pieces = [a >> 1 & 7, b, c >> 1, d, e >> 1].map(u64::from);
    pieces[0] << 30 | pieces[1] << 22 | pieces[2] << 15 | pieces[3] << 7 | pieces[4]
}

/// Annex A: what the register holds after a section, its CRC included: 0 if it is right.
fn crc(section: &[u8]) -> u32 {
    let mut register = u32::MAX;
    for bit in section
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |i| byte >> i & 1))
    {
        let top = register >> 31 ^ u32::from(bit);
        register <<= 1;
        if top == 1 {
            register ^= 0x04c1_1db7;
        }
    }
    register
}

/// The NAL units of an access unit in a byte stream (ISO/IEC 14496-10, annex B). Zeros at the end of
/// one belong to the next start code.
pub(crate) fn nal_units(unit: &[u8]) -> Vec<&[u8]> {
    let mut starts = Vec::new();
    for (index, window) in unit.windows(3).enumerate() {
        if window == [0, 0, 1] {
            starts.push(index);
        }
    }
    assert_eq!(unit[..4], [0, 0, 0, 1], "a start code of four bytes");
    let ends = starts.iter().skip(1).copied().chain([unit.len()]);
    let units = starts.iter().zip(ends).map(|(&start, end)| {
        let unit = &unit[start + 3..end];
        let zeros = unit.iter().rev().take_while(|&&byte| byte == 0).count();
        &unit[..unit.len() - zeros]
    });
    units.collect()
}

/// The frames of AAC with ADTS headers (ISO/IEC 14496-3, 1.A.2.2): header and frame each.
pub(crate) fn adts_frames(mut unit: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut frames = Vec::new();
    while !unit.is_empty() {
        assert_eq!(unit[..2], [0xff, 0xf1], "sync word, no checksum");
        let bits = u32::from_be_bytes([0, unit[3], unit[4], unit[5]]);
        let length = (bits >> 5 & 0x1fff) as usize;
        assert!(length > 7, "an empty frame");
        assert_eq!(unit[6] & 3, 0, "one frame in each");
        let (frame, rest) = unit.split_at(length);
        frames.push(frame.split_at(7));
        unit = rest;
    }
    frames
}
