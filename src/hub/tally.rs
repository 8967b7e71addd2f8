//! What is counted: bytes of sockets, and frames of streams.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::hub::frame::Kind;

/// Bytes that came and went. Only grows.
#[derive(Debug, Default)]
pub struct Traffic {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Traffic {
    /// So many bytes came.
    pub fn receive(&self, length: usize) {
        self.received.fetch_add(widen(length), Ordering::Relaxed);
    }

    /// So many bytes went.
    pub fn send(&self, length: usize) {
        self.sent.fetch_add(widen(length), Ordering::Relaxed);
    }

    /// Bytes that came.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes that went.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// Frames of a stream, or of several.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Video that came in.
    pub video: u64,
    /// Audio that came in.
    pub audio: u64,
    /// What players did not get because they were too slow.
    pub skipped: u64,
}

/// The frames of all streams of a process, also of those that are gone. Only grows.
#[derive(Debug, Default)]
pub struct Total {
    video: AtomicU64,
    audio: AtomicU64,
    skipped: AtomicU64,
}

impl Total {
    /// Counts more.
    pub fn add(&self, more: Tally) {
        self.video.fetch_add(more.video, Ordering::Relaxed);
        self.audio.fetch_add(more.audio, Ordering::Relaxed);
        self.skipped.fetch_add(more.skipped, Ordering::Relaxed);
    }

    /// All of them by now.
    pub fn tally(&self) -> Tally {
        Tally {
            video: self.video.load(Ordering::Relaxed),
            audio: self.audio.load(Ordering::Relaxed),
            skipped: self.skipped.load(Ordering::Relaxed),
        }
    }
}

impl Tally {
    /// Counts a frame that came in.
    pub(super) const fn count(&mut self, kind: Kind) {
        match kind {
            Kind::RandomAccess | Kind::Dependent => self.video = self.video.saturating_add(1),
            Kind::Audio => self.audio = self.audio.saturating_add(1),
            Kind::Metadata | Kind::Data | Kind::AudioHeader | Kind::VideoHeader | Kind::Control => {
            }
        }
    }

    /// Counts more.
    pub const fn add(&mut self, more: Self) {
        self.video = self.video.saturating_add(more.video);
        self.audio = self.audio.saturating_add(more.audio);
        self.skipped = self.skipped.saturating_add(more.skipped);
    }
}

fn widen(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
