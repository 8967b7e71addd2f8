//! MPEG-TS: the audio and the video of one program, in packets of 188 bytes. `[TS §…]` is ISO/IEC
//! 13818-1.

use core::mem;

use super::mp3::Version;
use packet::{Adaptation, DISCONTINUITY, Pid, RANDOM_ACCESS, pes_header};

mod packet;

/// Video that a program can hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VideoCodec {
    /// AVC, as a byte stream with access unit delimiters.
    Avc,
}

/// Audio that a program can hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AudioCodec {
    /// AAC, with an ADTS header before each frame.
    Aac,
    /// MP3.
    Mp3(Version),
}

impl VideoCodec {
    /// [TS §2.4.4.9]
    const fn stream_type(self) -> u8 {
        match self {
            Self::Avc => 0x1b,
        }
    }
}

impl AudioCodec {
    /// [TS §2.4.4.9]
    const fn stream_type(self) -> u8 {
        match self {
            Self::Aac => 0x0f,
            Self::Mp3(Version::Mpeg1) => 0x03,
            Self::Mp3(Version::Mpeg2) => 0x04,
        }
    }
}

const PAT: u16 = 0;
const PMT: u16 = 0x1000;
const VIDEO: u16 = 0x100;
const AUDIO: u16 = 0x101;
/// In place of the packets with the clock, if a program has none.
const NO_PID: u16 = 0x1fff;

/// Table ids [TS §2.4.4.4].
const PROGRAM_ASSOCIATION: u8 = 0;
const PROGRAM_MAP: u8 = 2;

/// Stream ids of PES packets [TS §2.4.3.7].
const VIDEO_STREAM: u8 = 0xe0;
const AUDIO_STREAM: u8 = 0xc0;

/// The longest payload of a PES packet with a PTS. Only that of video may be longer.
const MAX_AUDIO_BYTES: usize = 0xffff - 3 - 5;

/// Times have 33 bits. They count 90,000 ticks a second and start again every 26.5 hours.
const TIME_MASK: u64 = 0x1_ffff_ffff;
const SECOND: u64 = 90_000;
/// From one clock reference to the next, at most [TS §2.7.2].
const PCR_INTERVAL: u64 = SECOND / 10;
/// The clock goes this far without a jump, with references in between, and it waits this long for
/// times that fell behind.
const MAX_STEP: u64 = 10 * SECOND;
/// While there is video, the clock waits for it until the audio is so far ahead.
const VIDEO_PATIENCE: u64 = SECOND;

/// Writes one program as a sequence of segments. Continuity counters run on from each to the next.
///
/// All output consists of whole packets. Times are in ticks of 90 kHz, of which 33 bits are written.
/// The clock (PCR) shows the decoding times of the video; without video, the times of the audio. It
/// never goes back without saying so, and is written for every tenth of a second.
#[derive(Debug)]
pub struct Muxer {
    association: Pid,
    map: Pid,
    video: Pid,
    audio: Pid,
    clock: Clock,
    /// What the current segment holds.
    program: Program,
    /// Of the program map: changes with `program`.
    version: u8,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Program {
    video: Option<VideoCodec>,
    audio: Option<AudioCodec>,
}

impl Default for Muxer {
    fn default() -> Self {
        Self {
            association: Pid::new(PAT),
            map: Pid::new(PMT),
            video: Pid::new(VIDEO),
            audio: Pid::new(AUDIO),
            clock: Clock::default(),
            program: Program::default(),
            version: 0,
        }
    }
}

impl Muxer {
    /// Starts a segment, which will hold these streams: writes the tables.
    pub fn begin_segment(
        &mut self,
        video: Option<VideoCodec>,
        audio: Option<AudioCodec>,
        out: &mut Vec<u8>,
    ) {
        let program = Program { video, audio };
        if self.program != program {
            self.program = program;
            self.version = self.version.wrapping_add(1) & 0x1f;
        }
        self.clock.due = true;

        let mut programs = vec![0, 1]; // program 1
        programs.extend_from_slice(&(0xe000 | PMT).to_be_bytes());
        self.association
            .table(PROGRAM_ASSOCIATION, 0, &programs, out);

        let video = video.map(|codec| (codec.stream_type(), VIDEO));
        let audio = audio.map(|codec| (codec.stream_type(), AUDIO));
        let clock = video.or(audio).map_or(NO_PID, |(_, pid)| pid);
        let mut streams = (0xe000 | clock).to_be_bytes().to_vec();
        streams.extend_from_slice(&[0xf0, 0]); // no descriptors
        for (stream_type, pid) in video.into_iter().chain(audio) {
            streams.push(stream_type);
            streams.extend_from_slice(&(0xe000 | pid).to_be_bytes());
            streams.extend_from_slice(&[0xf0, 0]);
        }
        self.map.table(PROGRAM_MAP, self.version, &streams, out);
    }

    /// The next times do not follow the last ones: the clock starts anew.
    pub const fn discontinuity(&mut self) {
        self.clock.last = None;
    }

    /// Writes an access unit, unless it is empty or the segment has no video.
    ///
    /// A picture cannot be shown before it is decoded: a `dts` after the `pts` becomes the `pts`.
    pub fn video(
        &mut self,
        unit: &[u8],
        dts: u64,
        pts: u64,
        random_access: bool,
        out: &mut Vec<u8>,
    ) {
        if unit.is_empty() || self.program.video.is_none() {
            return;
        }
        let late = distance(dts, pts) > TIME_MASK / 2;
        let dts = if late { pts } else { dts };
        let mut first = self.clock.advance(dts, &mut self.video, out);
        if random_access {
            first.flags |= RANDOM_ACCESS;
        }
        let header = pes_header(VIDEO_STREAM, unit.len(), Some((pts, dts)));
        self.video.pes(first, &header, unit, out);
    }

    /// Writes one or more whole frames, unless there is none or the segment has no audio. `pts` is
    /// the time of the first.
    pub fn audio(&mut self, frames: &[u8], pts: u64, out: &mut Vec<u8>) {
        if frames.is_empty() || self.program.audio.is_none() {
            return;
        }
        let mut first = Adaptation::default();
        if self.program.video.is_none() {
            first = self.clock.advance(pts, &mut self.audio, out);
        } else {
            // The clock is the video's: it goes on with the audio only while there is no picture.
            let patience = self.clock.last.map_or(0, |_| VIDEO_PATIENCE);
            let time = pts.wrapping_sub(patience);
            let reference = self.clock.advance(time, &mut self.video, out);
            if reference.pcr.is_some() {
                self.video.packet(false, reference, &[], &[], out);
            }
        }
        // Frames in more than one PES packet, which no encoder needs, have one PTS.
        let mut times = Some((pts, pts));
        for payload in frames.chunks(MAX_AUDIO_BYTES) {
            let header = pes_header(AUDIO_STREAM, payload.len(), times.take());
            self.audio.pes(mem::take(&mut first), &header, payload, out);
        }
    }
}

/// The clock of a program, whatever segment it is in.
#[derive(Debug, Default)]
struct Clock {
    /// The last reference, unless the times after it do not follow.
    last: Option<u64>,
    /// A segment began, which has no reference yet.
    due: bool,
}

impl Clock {
    /// Goes on to `time`: writes the references before it to `pid`, and returns the one to write
    /// next, if any.
    fn advance(&mut self, time: u64, pid: &mut Pid, out: &mut Vec<u8>) -> Adaptation {
        let due = mem::take(&mut self.due);
        let behind = |last| distance(time, last) <= MAX_STEP;
        let ahead = |last| distance(last, time) <= MAX_STEP;
        let Some(mut last) = self.last.filter(|&last| behind(last) || ahead(last)) else {
            self.last = Some(time);
            return Adaptation {
                flags: DISCONTINUITY,
                pcr: self.last,
            };
        };
        if behind(last) {
            return Adaptation {
                flags: 0,
                pcr: due.then_some(last),
            };
        }
        while distance(last, time) > PCR_INTERVAL {
            last = last.wrapping_add(PCR_INTERVAL);
            let reference = Adaptation {
                flags: 0,
                pcr: Some(last),
            };
            pid.packet(false, reference, &[], &[], out);
        }
        self.last = Some(time);
        Adaptation {
            flags: 0,
            pcr: self.last,
        }
    }
}

/// Ticks from one time to another, forwards.
const fn distance(from: u64, to: u64) -> u64 {
    to.wrapping_sub(from) & TIME_MASK
}
