//! Where one segment ends and the next begins, and what is in them.

use core::mem;

use crate::hls::timeline::{Place, Timeline, Track};
use crate::hls::tracks::{Audio, Video};
use crate::hls::{Cut, Settings, Step, Unfit};
use crate::limits;
use crate::wire::aac::AudioSpecificConfig;
use crate::wire::avc::Configuration;
use crate::wire::mp3::Header;
use crate::wire::mpegts::Muxer;
use crate::wire::reader::Reader;

/// Turns the audio and video messages of one stream into MPEG-TS segments.
///
/// A segment is cut at a keyframe when the next one, by the length of the last group of pictures,
/// would make it longer than the fragment. The first segment fixes the target duration; only a
/// group that would exceed the target is cut without a keyframe. Audio alone is cut at the
/// fragment.
#[derive(Debug)]
pub struct Segmenter {
    settings: Settings,
    /// Seconds, once it is fixed.
    target: Option<u32>,
    muxer: Muxer,
    timeline: Timeline,
    video: Video,
    audio: Audio,
    open: Option<Open>,
    /// When the last group of pictures began.
    group: Option<u64>,
    /// The next segment does not continue this one.
    discontinuity: bool,
    /// Bytes of the open segment that nobody has taken yet.
    out: Vec<u8>,
    /// Audio frames that wait to go into one packet, and the time of the first.
    batch: Option<(u64, Vec<u8>)>,
    /// An access unit; kept for its memory.
    unit: Vec<u8>,
}

/// The segment that grows. Times in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Open {
    begin: u64,
    /// The latest time in it.
    end: u64,
    /// The last frame of the track that is cut by, and how long the one before it lasted.
    last: u64,
    interval: u64,
    bytes: usize,
    discontinuity: bool,
}

impl Segmenter {
    /// Begins; with the `target` of a playlist that is taken up again.
    pub fn new(settings: Settings, target: Option<u32>) -> Self {
        Self {
            settings,
            target,
            muxer: Muxer::default(),
            timeline: Timeline::default(),
            video: Video::None,
            audio: Audio::None,
            open: None,
            group: None,
            discontinuity: false,
            out: Vec::new(),
            batch: None,
            unit: Vec::new(),
        }
    }

    /// The target duration in seconds; fixed when the first segment is whole.
    pub const fn target(&self) -> Option<u32> {
        self.target
    }

    /// Goes on with the `target` of another playlist. The open segment may exceed it.
    pub const fn retarget(&mut self, target: u32) {
        self.target = Some(target);
    }

    /// Takes what has been written of the open segment.
    pub fn take(&mut self) -> Vec<u8> {
        mem::take(&mut self.out)
    }

    /// How much can be taken.
    pub const fn waiting(&self) -> usize {
        self.out.len()
    }

    /// Bytes of memory that all of this holds.
    pub fn held(&self) -> usize {
        let batch = self.batch.as_ref().map_or(0, |(_, batch)| batch.capacity());
        let buffers = self.out.capacity().saturating_add(self.unit.capacity());
        buffers.saturating_add(batch)
    }

    /// Ends the open segment, if there is one, however short it is.
    pub fn finish(&mut self) -> Step {
        self.end(1)
    }

    /// Takes the body of a video message [FLV E.4.3].
    ///
    /// # Errors
    ///
    /// It is left out.
    pub fn video(&mut self, timestamp: u32, payload: &[u8]) -> Result<Step, Unfit> {
        let mut reader = Reader::new(payload);
        let first = reader.u8().ok_or(Unfit::Frame)?;
        if first & 0x8f != 7 {
            return Err(self.no_video(Unfit::VideoCodec));
        }
        let packet_type = reader.u8().ok_or(Unfit::Frame)?;
        let [a, b, c] = reader.array().ok_or(Unfit::Frame)?;
        match packet_type {
            0 => self.video_header(reader.rest()),
            1 => {
                let key = first >> 4 == 1;
                // Composition time: signed, 24 bits.
                let offset = i32::from_be_bytes([a, b, c, 0]) >> 8;
                self.picture(timestamp, i64::from(offset), key, reader.rest())
            }
            _ => Ok(Step::Nothing),
        }
    }

    /// Takes the body of an audio message [FLV E.4.2].
    ///
    /// # Errors
    ///
    /// It is left out.
    pub fn audio(&mut self, timestamp: u32, payload: &[u8]) -> Result<Step, Unfit> {
        let mut reader = Reader::new(payload);
        match reader.u8().ok_or(Unfit::Frame)? >> 4 {
            10 => match reader.u8().ok_or(Unfit::Frame)? {
                0 => self.audio_header(reader.rest()),
                _ => self.sound(timestamp, reader.rest()),
            },
            2 | 14 => {
                let header = Header::decode(reader.rest()).ok_or(Unfit::Frame)?;
                let step = self.new_audio(Audio::Mp3(header));
                let sounded = self.sound(timestamp, reader.rest())?;
                Ok(if step == Step::Nothing { sounded } else { step })
            }
            _ => Err(Unfit::AudioCodec),
        }
    }

    fn video_header(&mut self, body: &[u8]) -> Result<Step, Unfit> {
        let configuration = Configuration::decode(body);
        let configuration = configuration.map_err(|_| self.no_video(Unfit::VideoHeader))?;
        let video = Video::Avc(configuration);
        if self.video == video {
            return Ok(Step::Nothing);
        }
        let step = self.new_track(self.video == Video::None);
        self.video = video;
        Ok(step)
    }

    /// Gives up the open segment: there is video that it cannot have.
    fn no_video(&mut self, why: Unfit) -> Unfit {
        self.video = Video::Unfit;
        self.discard();
        why
    }

    fn audio_header(&mut self, body: &[u8]) -> Result<Step, Unfit> {
        if let Ok(config) = AudioSpecificConfig::decode(body) {
            return Ok(self.new_audio(Audio::Aac(config)));
        }
        // The next segment will not say that there is audio.
        self.discontinuity |= self.audio != Audio::None;
        self.audio = Audio::None;
        Err(Unfit::AudioHeader)
    }

    fn new_audio(&mut self, audio: Audio) -> Step {
        if self.audio == audio {
            return Step::Nothing;
        }
        let step = self.new_track(self.audio == Audio::None);
        self.audio = audio;
        step
    }

    /// The tracks change: what follows is another segment, which does not continue this one. A
    /// track that is there for the `first` time shortly after the beginning was only late: then
    /// the beginning is void.
    fn new_track(&mut self, first: bool) -> Step {
        let length = self.open.map(|open| open.end.saturating_sub(open.begin));
        let late = length.is_some_and(|length| length < limits::MAX_HLS_LATE_TRACK);
        let step = if first && late && self.target.is_none() {
            self.discard()
        } else {
            self.end(limits::MIN_SEGMENT)
        };
        self.discontinuity = true;
        step
    }

    fn picture(
        &mut self,
        timestamp: u32,
        offset: i64,
        key: bool,
        data: &[u8],
    ) -> Result<Step, Unfit> {
        let Video::Avc(configuration) = &self.video else {
            return Err(Unfit::Frame);
        };
        self.unit.clear();
        let unit = configuration
            .annex_b(data, key, &mut self.unit)
            .map_err(|_| Unfit::Frame)?;
        let place = self.timeline.place(Track::Video, timestamp);
        let time = place.time;
        let group = self.group.filter(|_| !place.jumped);
        let group = group.map_or(0, |begun| time.saturating_sub(begun));
        let step = self.before(place, |open, fragment| {
            let length = time.saturating_sub(open.begin);
            let most = fragment.saturating_add(limits::HLS_SLACK);
            key && length.saturating_add(group) > most
        });
        let forced = step != Step::Nothing && !place.jumped;
        if self.open.is_none() && !key && !forced {
            return Ok(step);
        }
        if key {
            self.group = Some(time);
        }
        self.extend(time, true);
        let dts = time.wrapping_mul(90);
        let pts = time.wrapping_add_signed(offset).wrapping_mul(90);
        let before = self.out.len();
        self.muxer
            .video(&self.unit, dts, pts, unit.idr || key, &mut self.out);
        self.grew(before);
        Ok(step)
    }

    fn sound(&mut self, timestamp: u32, data: &[u8]) -> Result<Step, Unfit> {
        let header = match &self.audio {
            Audio::Aac(config) => Some(config.adts(data.len()).map_err(|_| Unfit::Frame)?),
            Audio::Mp3(_) => None,
            Audio::None => return Err(Unfit::Frame),
        };
        if data.is_empty() {
            return Err(Unfit::Frame);
        }
        let alone = matches!(self.video, Video::None);
        if self.open.is_none() && !alone {
            return Ok(Step::Nothing);
        }
        let place = self.timeline.place(Track::Audio, timestamp);
        let time = place.time;
        let step = self.before(place, |open, fragment| {
            let length = time.saturating_sub(open.begin);
            alone && length.saturating_add(open.interval) > fragment
        });
        let forced = step != Step::Nothing && !place.jumped;
        if self.open.is_none() && !alone && !forced {
            return Ok(step);
        }
        self.extend(time, alone);
        let begun = self.batch.as_ref().map_or(time, |(begun, _)| *begun);
        if time.saturating_sub(begun) >= limits::HLS_AUDIO_BATCH {
            self.flush();
        }
        let (_, batch) = self.batch.get_or_insert_with(|| (time, Vec::new()));
        batch.extend_from_slice(header.as_ref().map_or(&[], |header| header));
        batch.extend_from_slice(data);
        Ok(step)
    }

    /// Cuts before a message at `place` if the time line breaks there, if the segment would be
    /// longer than it may be, or if `wanted`, which is told the fragment.
    fn before(&mut self, place: Place, wanted: impl FnOnce(&Open, u64) -> bool) -> Step {
        let most = self.longest();
        let fragment = self.settings.fragment.min(most);
        let most = most.saturating_add(limits::HLS_SLACK);
        let step = self.open.map_or(Step::Nothing, |open| {
            let length = place.time.saturating_sub(open.begin);
            let gap = place.time.saturating_sub(open.end);
            if place.jumped || length > most && gap > limits::MAX_HLS_INTERVAL {
                // Another time line, or a hole: the segment ends where its last frame does.
                let step = self.end(limits::MIN_SEGMENT);
                self.discontinuity = true;
                step
            } else if length.saturating_add(open.interval) > most
                || open.bytes > limits::MAX_SEGMENT_BYTES
                || length >= limits::MIN_SEGMENT && wanted(&open, fragment)
            {
                self.cut(place.time, limits::MIN_SEGMENT)
            } else {
                Step::Nothing
            }
        });
        if place.jumped {
            self.discontinuity = true;
            self.muxer.discontinuity();
        }
        step
    }

    /// Milliseconds that a segment may last, but for [`limits::HLS_SLACK`].
    fn longest(&self) -> u64 {
        match self.target {
            Some(target) => u64::from(target).saturating_mul(1000),
            None => self.settings.least_target.max(limits::MAX_FIRST_SEGMENT),
        }
    }

    /// The open segment reaches `time` now; a new one begins there if there is none. `leading`:
    /// the track that is cut by.
    fn extend(&mut self, time: u64, leading: bool) {
        let open = if let Some(open) = &mut self.open {
            open
        } else {
            let (video, audio) = (self.video.codec(), self.audio.codec());
            self.muxer.begin_segment(video, audio, &mut self.out);
            self.open.insert(Open {
                begin: time,
                end: time,
                last: time,
                interval: 0,
                bytes: self.out.len(),
                discontinuity: mem::take(&mut self.discontinuity) && self.target.is_some(),
            })
        };
        if leading && time > open.last {
            open.interval = time.saturating_sub(open.last).min(limits::MAX_HLS_INTERVAL);
            open.last = time;
        }
        open.end = open.end.max(time);
    }

    /// Ends the open segment where its last frame does.
    fn end(&mut self, least: u64) -> Step {
        let last = |open: Open| open.last.saturating_add(open.interval);
        let end = self.open.map(|open| last(open).max(open.end));
        end.map_or(Step::Nothing, |end| self.cut(end, least))
    }

    /// Gives up the open segment, if there is one.
    fn discard(&mut self) -> Step {
        self.batch = None;
        self.out.clear();
        // Its packets were counted.
        self.discontinuity = true;
        let open = self.open.take();
        open.map_or(Step::Nothing, |_| Step::Discard)
    }

    /// Ends the open segment at `end`; one of less than `least` milliseconds is not one.
    fn cut(&mut self, end: u64, least: u64) -> Step {
        let Some(open) = self.open else {
            return Step::Nothing;
        };
        let most = self.longest().saturating_add(limits::HLS_SLACK);
        let duration = end.saturating_sub(open.begin).min(most);
        if duration < least {
            return self.discard();
        }
        self.flush();
        self.open = None;
        let duration = u32::try_from(duration).unwrap_or(u32::MAX);
        self.target.get_or_insert_with(|| {
            // To the nearest second, as players compare [HLS §4.3.3.1]; what is configured up.
            let segment = u64::from(duration).saturating_add(500) / 1000;
            let target = self
                .settings
                .least_target
                .div_ceil(1000)
                .max(segment)
                .max(1);
            u32::try_from(target).unwrap_or(u32::MAX)
        });
        Step::Cut(Cut {
            duration,
            discontinuity: open.discontinuity,
            bytes: mem::take(&mut self.out),
        })
    }

    fn flush(&mut self) {
        if let Some((time, frames)) = self.batch.take() {
            let before = self.out.len();
            self.muxer
                .audio(&frames, time.wrapping_mul(90), &mut self.out);
            self.grew(before);
        }
    }

    fn grew(&mut self, before: usize) {
        if let Some(open) = &mut self.open {
            let more = self.out.len().saturating_sub(before);
            open.bytes = open.bytes.saturating_add(more);
        }
    }
}
