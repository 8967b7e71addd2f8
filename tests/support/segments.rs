//! Segments as the segmenter makes them, each demuxed, and messages to make them of.

use srs_lite::hls::segmenter::Segmenter;
use srs_lite::hls::{Settings, Step, Unfit};

use super::media::AVC_HEADER;
use super::ts::{Demuxed, Demuxer, adts_frames, nal_units};

/// Types of streams in a program map.
pub(crate) const AVC: u8 = 0x1b;
pub(crate) const AAC: u8 = 0x0f;

/// A segmenter whose output is checked: the target is never exceeded and never changes, and the
/// segments are MPEG-TS, with counters and a clock that go on unless a discontinuity is said.
#[derive(Debug)]
pub(crate) struct Recording {
    segmenter: Segmenter,
    demuxer: Demuxer,
    bytes: Vec<u8>,
    target: Option<u32>,
    /// Do not look into them: it takes long.
    pub(crate) unseen: bool,
    pub(crate) segments: Vec<Segment>,
    /// How often a beginning was void.
    pub(crate) discarded: usize,
}

/// One segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) duration: u32,
    pub(crate) discontinuity: bool,
    pub(crate) bytes: usize,
    pub(crate) demuxed: Demuxed,
}

impl Segment {
    /// Whether it begins with a picture that a decoder can start from.
    pub(crate) fn starts_with_key(&self) -> bool {
        let video = self.demuxed.stream(AVC);
        video.is_some_and(|video| video.units[0].random_access)
    }

    /// Decoding times of a stream, in ticks.
    pub(crate) fn times(&self, stream_type: u8) -> Vec<u64> {
        let units = self.demuxed.stream(stream_type).map(|stream| &stream.units);
        units.into_iter().flatten().map(|unit| unit.dts).collect()
    }

    /// How many audio frames it has.
    pub(crate) fn audio_frames(&self) -> usize {
        let units = self.demuxed.stream(AAC).map(|stream| &stream.units);
        let units = units.into_iter().flatten();
        units.map(|unit| adts_frames(&unit.data).len()).sum()
    }
}

impl Recording {
    /// With fragments of so many seconds, and a target duration of at least as many.
    pub(crate) fn new(fragment: u64) -> Self {
        Self::with(fragment * 1000, fragment * 1000, None)
    }

    /// With a fragment and a least target duration, in milliseconds, and the target of a playlist
    /// that is taken up again.
    pub(crate) fn with(fragment: u64, least_target: u64, target: Option<u32>) -> Self {
        let settings = Settings {
            fragment,
            least_target,
        };
        Self {
            segmenter: Segmenter::new(settings, target),
            demuxer: Demuxer::default(),
            bytes: Vec::new(),
            target,
            unseen: false,
            segments: Vec::new(),
            discarded: 0,
        }
    }

    /// The target duration in seconds.
    pub(crate) fn target(&self) -> Option<u32> {
        self.segmenter.target()
    }

    /// A video message.
    pub(crate) fn video(&mut self, time: u32, payload: &[u8]) -> Result<(), Unfit> {
        let step = self.segmenter.video(time, payload);
        if matches!(step, Err(Unfit::VideoCodec | Unfit::VideoHeader)) {
            self.bytes.clear();
        }
        step.map(|step| self.step(step))
    }

    /// An audio message.
    pub(crate) fn audio(&mut self, time: u32, payload: &[u8]) -> Result<(), Unfit> {
        let step = self.segmenter.audio(time, payload);
        step.map(|step| self.step(step))
    }

    /// The sequence header of the video.
    pub(crate) fn video_header(&mut self, time: u32) {
        self.video(time, &AVC_HEADER).unwrap();
    }

    /// The sequence header of the audio.
    pub(crate) fn audio_header(&mut self, time: u32) {
        self.audio(time, &super::media::AAC_HEADER).unwrap();
    }

    /// A keyframe.
    pub(crate) fn key(&mut self, time: u32) {
        self.video(time, &picture(true, 0, &[1; 40])).unwrap();
    }

    /// Any other picture.
    pub(crate) fn inter(&mut self, time: u32) {
        self.video(time, &picture(false, 0, &[2; 40])).unwrap();
    }

    /// A frame of audio.
    pub(crate) fn sound(&mut self, time: u32) {
        self.audio(time, b"\xaf\x01sound").unwrap();
    }

    /// Pictures every 50 ms in `times`, with a keyframe at the first and each `group` after it.
    pub(crate) fn pictures(&mut self, times: core::ops::Range<u32>, group: u32) {
        for time in times.clone().step_by(50) {
            match (time - times.start).is_multiple_of(group) {
                true => self.key(time),
                false => self.inter(time),
            }
        }
    }

    /// Frames of audio every 20 ms in `times`.
    pub(crate) fn sounds(&mut self, times: core::ops::Range<u32>) {
        times.step_by(20).for_each(|time| self.sound(time));
    }

    /// The end of the stream.
    pub(crate) fn finish(&mut self) {
        let step = self.segmenter.finish();
        self.step(step);
    }

    /// Durations of the segments.
    pub(crate) fn durations(&self) -> Vec<u32> {
        self.segments.iter().map(|one| one.duration).collect()
    }

    /// Which segments do not continue the one before.
    pub(crate) fn discontinuities(&self) -> Vec<usize> {
        let segments = self.segments.iter().enumerate();
        let breaks = segments.filter(|(_, one)| one.discontinuity);
        breaks.map(|(index, _)| index).collect()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Nothing => {}
            Step::Discard => {
                self.discarded += 1;
                self.bytes.clear();
            }
            Step::Cut(cut) => {
                self.bytes.extend(cut.bytes);
                let bytes = core::mem::take(&mut self.bytes);
                self.segment(cut.duration, cut.discontinuity, &bytes);
            }
        }
        self.bytes.extend(self.segmenter.take());
    }

    fn segment(&mut self, duration: u32, discontinuity: bool, bytes: &[u8]) {
        let target = self.segmenter.target().unwrap();
        assert_eq!(*self.target.get_or_insert(target), target, "it changed");
        assert!((duration + 500) / 1000 <= target, "{duration} ms");
        if discontinuity || self.segments.is_empty() {
            self.demuxer = Demuxer::default();
        }
        let demuxed = match self.unseen {
            true => Demuxed::default(),
            false => self.demuxer.segment(bytes),
        };
        if let Some(video) = demuxed.stream(AVC) {
            for unit in &video.units {
                assert_eq!(nal_units(&unit.data)[0], [9, 0xf0], "a delimiter");
            }
        }
        self.segments.push(Segment {
            duration,
            discontinuity,
            bytes: bytes.len(),
            demuxed,
        });
    }
}

/// A video message: a picture of one slice, shown `offset` milliseconds after it is decoded.
pub(crate) fn picture(key: bool, offset: i32, data: &[u8]) -> Vec<u8> {
    let mut payload = vec![if key { 0x17 } else { 0x27 }, 1];
    payload.extend(&offset.to_be_bytes()[1..]);
    payload.extend((data.len() as u32 + 1).to_be_bytes());
    payload.push(if key { 0x65 } else { 0x41 });
    payload.extend(data);
    payload
}
