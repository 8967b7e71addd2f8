//! Where one segment ends and the next begins, and what is in them.

use crate::hls::timeline::{Timeline, Track};
use crate::limits;
use crate::wire::aac::AudioSpecificConfig;
use crate::wire::avc::Configuration;
use crate::wire::mp3::{Header, Version};
use crate::wire::mpegts::{AudioCodec, Muxer, VideoCodec};
use crate::wire::reader::Reader;

/// `hls_fragment` and `hls_td_ratio`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Milliseconds that a segment should not exceed.
    pub fragment: u64,
    /// Milliseconds that the target duration is at least: `fragment` × `hls_td_ratio`.
    pub least_target: u64,
}

/// What a message brought about. It comes before the message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// The segment goes on.
    Nothing,
    /// The segment is whole.
    Cut(Cut),
    /// What was taken of the segment is void: it began before all tracks were known.
    Discard,
}

/// A whole segment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cut {
    /// Milliseconds.
    pub duration: u32,
    /// It does not continue the segment before.
    pub discontinuity: bool,
    /// Its last bytes: what has not been taken.
    pub bytes: Vec<u8>,
}

/// What cannot be put into a segment. The message is left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unfit {
    /// Audio other than AAC and MP3. The segments go without.
    AudioCodec,
    /// Video other than H.264. There are no segments.
    VideoCodec,
    /// A sequence header that makes no sense. There are no segments until one does.
    Header,
    /// A frame that makes no sense, or that came before its sequence header.
    Frame,
}

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
    /// The next segment does not continue this one.
    discontinuity: bool,
    /// Bytes of the open segment that nobody has taken yet.
    out: Vec<u8>,
    /// Audio frames that wait to go into one packet, and the time of the first.
    batch: Option<(u64, Vec<u8>)>,
    /// An access unit; kept for its memory.
    unit: Vec<u8>,
}

#[derive(Debug)]
enum Video {
    None,
    Unfit,
    Avc(Vec<u8>, Configuration),
}

#[derive(Debug)]
enum Audio {
    None,
    Aac(Vec<u8>, AudioSpecificConfig),
    Mp3(Version),
}

/// The segment that grows. Times in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Open {
    begin: u64,
    /// The latest time in it.
    end: u64,
    /// When the last group of pictures began.
    group: u64,
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

    /// Takes what has been written of the open segment.
    pub fn take(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.out)
    }

    /// How much can be taken.
    pub const fn waiting(&self) -> usize {
        self.out.len()
    }

    /// Ends the open segment, if there is one.
    pub fn finish(&mut self) -> Option<Cut> {
        let open = self.open?;
        self.cut(open.end.saturating_add(open.interval))
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
            self.video = Video::Unfit;
            self.finish();
            return Err(Unfit::VideoCodec);
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
                let step = match self.audio {
                    Audio::Mp3(known) if known == header.version => Step::Nothing,
                    Audio::None => self.new_track(true),
                    Audio::Mp3(_) | Audio::Aac(..) => self.new_track(false),
                };
                self.audio = Audio::Mp3(header.version);
                let sounded = self.sound(timestamp, reader.rest())?;
                Ok(if step == Step::Nothing { sounded } else { step })
            }
            _ => Err(Unfit::AudioCodec),
        }
    }

    fn video_header(&mut self, body: &[u8]) -> Result<Step, Unfit> {
        let first = match &self.video {
            Video::Avc(known, _) if known == body => return Ok(Step::Nothing),
            Video::None => true,
            Video::Avc(..) | Video::Unfit => false,
        };
        let Ok(configuration) = Configuration::decode(body) else {
            self.video = Video::Unfit;
            self.finish();
            return Err(Unfit::Header);
        };
        let step = self.new_track(first);
        self.video = Video::Avc(body.to_vec(), configuration);
        Ok(step)
    }

    fn audio_header(&mut self, body: &[u8]) -> Result<Step, Unfit> {
        let first = match &self.audio {
            Audio::Aac(known, _) if known == body => return Ok(Step::Nothing),
            Audio::None => true,
            Audio::Aac(..) | Audio::Mp3(_) => false,
        };
        let config = AudioSpecificConfig::decode(body).map_err(|_| Unfit::Header)?;
        let step = self.new_track(first);
        self.audio = Audio::Aac(body.to_vec(), config);
        Ok(step)
    }

    /// The tracks change: what follows is another segment, which does not continue this one. A
    /// track that is there for the `first` time shortly after the beginning was only late: then
    /// the beginning is void.
    fn new_track(&mut self, first: bool) -> Step {
        let Some(open) = self.open else {
            return Step::Nothing;
        };
        let short = open.end.saturating_sub(open.begin) < limits::MAX_HLS_LATE_TRACK;
        if first && short && self.target.is_none() {
            self.open = None;
            self.batch = None;
            self.out.clear();
            return Step::Discard;
        }
        let cut = self.finish();
        self.discontinuity = true;
        cut.map_or(Step::Nothing, Step::Cut)
    }

    fn picture(
        &mut self,
        timestamp: u32,
        offset: i64,
        key: bool,
        data: &[u8],
    ) -> Result<Step, Unfit> {
        let Video::Avc(_, configuration) = &self.video else {
            return Err(Unfit::Frame);
        };
        self.unit.clear();
        let unit = configuration
            .annex_b(data, key, &mut self.unit)
            .map_err(|_| Unfit::Frame)?;
        let place = self.timeline.place(Track::Video, timestamp);
        let time = place.time;
        let step = self.before(time, place.jumped, |open, settings| {
            let group = time.saturating_sub(open.group);
            let length = time.saturating_sub(open.begin);
            let fragment = settings.fragment.saturating_add(limits::HLS_SLACK);
            key && length.saturating_add(group) > fragment
        });
        let forced = matches!(step, Step::Cut(_)) && !place.jumped;
        if self.open.is_none() && !key && !forced {
            return Ok(step);
        }
        self.extend(time, true);
        if let (true, Some(open)) = (key, &mut self.open) {
            open.group = time;
        }
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
            Audio::Aac(_, config) => Some(config.adts(data.len()).map_err(|_| Unfit::Frame)?),
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
        let step = self.before(time, place.jumped, |open, settings| {
            let length = time.saturating_sub(open.begin);
            alone && length.saturating_add(open.interval) > settings.fragment
        });
        let forced = matches!(step, Step::Cut(_)) && !place.jumped;
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

    /// Cuts before a message at `time` if the time line breaks there, if the segment would be
    /// longer than it may be, or if `wanted`.
    fn before(
        &mut self,
        time: u64,
        jumped: bool,
        wanted: impl FnOnce(&Open, &Settings) -> bool,
    ) -> Step {
        let Some(open) = self.open else {
            self.discontinuity |= jumped;
            return Step::Nothing;
        };
        let longest = match self.target {
            Some(target) => u64::from(target).saturating_mul(1000),
            None => self.settings.least_target.max(limits::MAX_FIRST_SEGMENT),
        };
        let longest = longest.saturating_add(limits::HLS_SLACK);
        let length = time.saturating_sub(open.begin);
        let cut = if jumped || length > longest {
            // A hole, or another time line: the segment ends where its last frame does.
            self.discontinuity = true;
            let end = open.end.saturating_add(open.interval);
            self.cut(end.min(open.begin.saturating_add(longest)))
        } else if length.saturating_add(open.interval) > longest
            || open.bytes > limits::MAX_SEGMENT_BYTES
            || wanted(&open, &self.settings)
        {
            self.cut(time)
        } else {
            None
        };
        cut.map_or(Step::Nothing, Step::Cut)
    }

    /// The open segment reaches `time` now; a new one begins there if there is none. `leading`:
    /// the track that is cut by.
    fn extend(&mut self, time: u64, leading: bool) {
        let open = if let Some(open) = &mut self.open {
            open
        } else {
            let video = matches!(self.video, Video::Avc(..)).then_some(VideoCodec::Avc);
            let audio = match self.audio {
                Audio::None => None,
                Audio::Aac(..) => Some(AudioCodec::Aac),
                Audio::Mp3(version) => Some(AudioCodec::Mp3(version)),
            };
            self.muxer.begin_segment(video, audio, &mut self.out);
            self.open.insert(Open {
                begin: time,
                end: time,
                group: time,
                last: time,
                interval: 0,
                bytes: self.out.len(),
                discontinuity: core::mem::take(&mut self.discontinuity),
            })
        };
        if leading && time > open.last {
            open.interval = time.saturating_sub(open.last).min(limits::MAX_HLS_INTERVAL);
            open.last = time;
        }
        open.end = open.end.max(time);
    }

    /// Ends the open segment at `end`. A segment without any length is not one.
    fn cut(&mut self, end: u64) -> Option<Cut> {
        self.flush();
        let open = self.open.take()?;
        let bytes = core::mem::take(&mut self.out);
        let duration = u32::try_from(end.saturating_sub(open.begin)).unwrap_or(u32::MAX);
        if duration == 0 {
            self.discontinuity |= open.discontinuity;
            return None;
        }
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
        Some(Cut {
            duration,
            discontinuity: open.discontinuity,
            bytes,
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
