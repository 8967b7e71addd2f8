//! From a stream's frames to its files.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use log::{info, warn};

use crate::config;
use crate::hls::segmenter::Segmenter;
use crate::hls::{Cut, Settings, Step, Unfit};
use crate::hub::frame::Frame;
use crate::limits;
use crate::server::hls::disk::Disk;
use crate::server::hook::{Event, Visit};
use crate::wire::m3u8::{Playlist, Segment};
use crate::wire::message::type_id;

/// Writes one stream from publish to unpublish.
#[derive(Debug)]
pub struct Recorder {
    /// For the log.
    path: String,
    disk: Disk,
    segmenter: Segmenter,
    playlist: Option<Playlist>,
    window: u64,
    /// The next segment does not continue the last one that was published.
    interrupted: bool,
    /// The segment that grows could not be written: what follows of it is of no use.
    void: bool,
    /// A failure was logged, and nothing has been written since. Others look at it.
    failing: Arc<AtomicBool>,
    /// What was said of this publisher's media, so that it is said once.
    told: Vec<Unfit>,
    /// Who publishes, if hooks hear of each segment.
    visit: Option<Visit>,
}

impl Recorder {
    /// Goes on from what is on `disk`.
    pub fn new(
        settings: &config::Hls,
        path: String,
        mut disk: Disk,
        failing: Arc<AtomicBool>,
    ) -> Self {
        let playlist = disk.found();
        let cut = Settings {
            fragment: milliseconds(settings.fragment),
            least_target: milliseconds(settings.fragment.mul_f64(settings.td_ratio)),
        };
        Self {
            segmenter: Segmenter::new(cut, playlist.as_ref().map(|playlist| playlist.target)),
            interrupted: playlist.is_some(),
            playlist,
            window: milliseconds(settings.window),
            path,
            disk,
            void: false,
            failing,
            told: Vec::new(),
            visit: None,
        }
    }

    /// Has hooks hear of each segment of this visitor.
    pub fn report_to(&mut self, visit: Option<Visit>) {
        self.visit = visit;
    }

    /// Takes the next frame.
    pub fn frame(&mut self, frame: &Frame) {
        let step = match frame.type_id {
            type_id::VIDEO => self.segmenter.video(frame.timestamp, &frame.payload),
            type_id::AUDIO => self.segmenter.audio(frame.timestamp, &frame.payload),
            _ => Ok(Step::Nothing),
        };
        match step {
            Ok(step) => self.step(&step),
            Err(unfit) => self.unfit(unfit),
        }
        if self.segmenter.waiting() >= limits::HLS_WRITE_BYTES {
            let bytes = self.segmenter.take();
            self.append(&bytes);
        }
    }

    /// Bytes of memory that wait to be written, or are kept for what will.
    pub fn held(&self) -> usize {
        self.segmenter.held()
    }

    /// Ends the last segment.
    pub fn finish(mut self) {
        let step = self.segmenter.finish();
        self.step(&step);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Nothing => {}
            Step::Cut(cut) => self.cut(cut),
            Step::Discard => self.discard(),
        }
    }

    fn discard(&mut self) {
        self.disk.discard();
        self.void = false;
    }

    fn cut(&mut self, cut: &Cut) {
        self.append(&cut.bytes);
        self.take_up();
        let most = self.playlist.as_ref().map(|playlist| playlist.target);
        let fits = most.is_none_or(|most| cut.duration.saturating_add(500) / 1000 <= most);
        if self.void || !fits {
            self.discard();
            self.interrupted = true;
        } else if let Err(error) = self.publish(cut) {
            self.interrupted = true;
            self.failed(&error);
        } else {
            self.interrupted = false;
            if self.failing.swap(false, Ordering::Relaxed) {
                info!("{}: HLS is written again", self.path);
            }
        }
        if let Some(playlist) = &self.playlist {
            self.disk.clean(playlist, Instant::now());
        }
    }

    /// If the stream had to be claimed again, another process may have written it meanwhile.
    fn take_up(&mut self) {
        let Some(found) = self.disk.found() else {
            return;
        };
        let ours = self.playlist.as_ref().map_or(0, Playlist::next);
        if found.next() >= ours {
            self.segmenter.retarget(found.target);
            self.interrupted = true;
            self.playlist = Some(found);
        }
    }

    fn publish(&mut self, cut: &Cut) -> io::Result<()> {
        let target = self.segmenter.target().unwrap_or(1);
        let mut playlist = match &self.playlist {
            Some(playlist) => playlist.clone(),
            None => Playlist::new(target, first_number()),
        };
        // Somebody may have removed what it lists.
        self.disk.prune(&mut playlist);
        let number = playlist.next();
        let segment = Segment {
            duration: cut.duration,
            discontinuity: cut.discontinuity || self.interrupted,
        };
        playlist.push(segment, self.window);
        self.disk.publish(number, &playlist)?;
        self.playlist = Some(playlist);
        if let Some(visit) = &self.visit {
            let duration = Duration::from_millis(cut.duration.into());
            visit.tell(&Event::Hls(self.disk.describe(number, duration)));
        }
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.void {
            return;
        }
        let number = self.playlist.as_ref().map_or(0, Playlist::next);
        if let Err(error) = self.disk.append(number, bytes) {
            self.void = true;
            self.failed(&error);
        }
    }

    /// HLS pauses; the next segment is another try. Live play does not notice.
    fn failed(&self, error: &io::Error) {
        if !self.failing.swap(true, Ordering::Relaxed) {
            warn!(
                "{}: HLS cannot be written, live play goes on: {error}",
                self.path
            );
        }
    }

    fn unfit(&mut self, unfit: Unfit) {
        if matches!(unfit, Unfit::VideoCodec | Unfit::VideoHeader) {
            self.discard();
        }
        if self.told.contains(&unfit) {
            return;
        }
        self.told.push(unfit);
        let what = match unfit {
            Unfit::AudioCodec => "its audio is neither AAC nor MP3: HLS goes without",
            Unfit::AudioHeader => "its audio sequence header makes no sense: HLS goes without",
            Unfit::VideoCodec => "its video is not H.264: no HLS",
            Unfit::VideoHeader => "its video sequence header makes no sense: no HLS",
            Unfit::Frame => "frames that make no sense are left out of HLS",
        };
        warn!("{}: {what}", self.path);
    }
}

/// Of a playlist made from nothing: seconds since 1970, so that no number is ever used twice, also
/// when the files of the stream before were removed.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the time of day matters"
)]
fn first_number() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
