//! From a stream's frames to its files.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use log::{info, warn};

use crate::config;
use crate::hls::segmenter::{Cut, Segmenter, Settings, Step, Unfit};
use crate::hub::frame::Frame;
use crate::limits;
use crate::server::hls::disk::Disk;
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
    /// A failure was logged, and nothing has been written since.
    failing: bool,
    /// What was said of this publisher's media, so that it is said once.
    told: Vec<Unfit>,
}

impl Recorder {
    /// Goes on from what is on `disk`.
    pub fn new(settings: &config::Hls, path: String, disk: Disk) -> Self {
        let playlist = disk.resume();
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
            failing: false,
            told: Vec::new(),
        }
    }

    /// Takes the next frame.
    pub fn frame(&mut self, frame: &Frame) {
        let step = match frame.type_id {
            type_id::VIDEO => self.segmenter.video(frame.timestamp, &frame.payload),
            type_id::AUDIO => self.segmenter.audio(frame.timestamp, &frame.payload),
            _ => Ok(Step::Nothing),
        };
        match step {
            Ok(Step::Nothing) => {}
            Ok(Step::Cut(cut)) => self.cut(&cut),
            Ok(Step::Discard) => {
                self.disk.discard();
                self.void = false;
            }
            Err(unfit) => self.unfit(unfit),
        }
        if self.segmenter.waiting() >= limits::HLS_WRITE_BYTES {
            let bytes = self.segmenter.take();
            self.append(&bytes);
        }
    }

    /// Ends the last segment.
    pub fn finish(mut self) {
        if let Some(cut) = self.segmenter.finish() {
            self.cut(&cut);
        }
    }

    fn cut(&mut self, cut: &Cut) {
        self.append(&cut.bytes);
        if core::mem::take(&mut self.void) {
            self.interrupted = true;
            return;
        }
        let target = self.segmenter.target().unwrap_or(1);
        let mut playlist = self
            .playlist
            .clone()
            .unwrap_or_else(|| Playlist::new(target, first_number()));
        let number = playlist.next();
        let segment = Segment {
            duration: cut.duration,
            discontinuity: cut.discontinuity || self.interrupted,
        };
        playlist.push(segment, self.window);
        match self.disk.publish(number, &playlist) {
            Ok(()) => {
                self.interrupted = false;
                if core::mem::take(&mut self.failing) {
                    info!("{}: HLS is written again", self.path);
                }
                self.disk.clean(&playlist);
                self.playlist = Some(playlist);
            }
            Err(error) => {
                self.interrupted = true;
                self.failed(&error);
            }
        }
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
    fn failed(&mut self, error: &io::Error) {
        if !core::mem::replace(&mut self.failing, true) {
            warn!(
                "{}: HLS cannot be written, live play goes on: {error}",
                self.path
            );
        }
    }

    fn unfit(&mut self, unfit: Unfit) {
        if matches!(unfit, Unfit::VideoCodec | Unfit::Header) {
            self.disk.discard();
            self.void = false;
        }
        if self.told.contains(&unfit) {
            return;
        }
        self.told.push(unfit);
        let what = match unfit {
            Unfit::AudioCodec => "its audio is neither AAC nor MP3: HLS goes without",
            Unfit::VideoCodec => "its video is not H.264: no HLS",
            Unfit::Header => "a sequence header makes no sense: no HLS",
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

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
