//! The bounded queue between a stream and one of its players, and what happens when it is full.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};

use crate::hub::frame::{Frame, Kind};
use crate::limits;

/// What both ends of a queue, and the player's own thread, see of it.
#[derive(Debug, Default)]
pub struct Gauge {
    /// Bytes offered and not sent yet.
    bytes: AtomicUsize,
    /// Bits of what the player has switched off.
    off: AtomicU8,
    skipped: AtomicU64,
    over: AtomicBool,
}

/// What a player can switch off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Switch {
    /// Everything.
    All,
    /// Audio.
    Audio,
    /// Video.
    Video,
}

impl Switch {
    const fn bit(self) -> u8 {
        match self {
            Self::All => 1,
            Self::Audio => 2,
            Self::Video => 4,
        }
    }
}

impl Gauge {
    /// Switches something off, or on again: video comes back with the next keyframe.
    pub fn switch(&self, what: Switch, off: bool) {
        if off {
            self.off.fetch_or(what.bit(), Ordering::Relaxed);
        } else {
            self.off.fetch_and(!what.bit(), Ordering::Relaxed);
        }
    }

    /// Frames that the player did not get because it was too slow.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// Whether the stream ended under the player, which should be told so.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// `length` bytes have left for good.
    pub fn sent(&self, length: usize) {
        self.bytes.fetch_sub(length, Ordering::Relaxed);
    }

    fn is_off(&self, kind: Kind) -> bool {
        let off = self.off.load(Ordering::Relaxed);
        let bits = match kind {
            Kind::RandomAccess | Kind::Dependent => Switch::All.bit() | Switch::Video.bit(),
            Kind::Audio => Switch::All.bit() | Switch::Audio.bit(),
            Kind::Data => Switch::All.bit(),
            Kind::Metadata | Kind::AudioHeader | Kind::VideoHeader | Kind::Control => 0,
        };
        off & bits != 0
    }
}

/// What became of an offered frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Offer {
    /// It waits for the player.
    Queued,
    /// The player will not get it: it is too slow.
    Skipped,
    /// The player will not get it: it does not want it, or has nothing to start it from yet.
    Useless,
    /// The player is gone, or must go.
    Gone,
}

/// The stream's end of one player's queue. Offering never blocks the publisher.
///
/// Policy when the queue is full, in frames or in bytes:
/// * a video frame is dropped, and so is every one after it up to the next frame a decoder can
///   start from: the player sees a jump, never a broken picture; audio goes on as there is room;
/// * a sequence header is never dropped: the player is let go instead.
#[derive(Debug)]
pub struct FrameSender {
    frames: Sender<Arc<Frame>>,
    gauge: Arc<Gauge>,
    /// Waiting for a frame a decoder can start from, …
    behind: bool,
    /// … because it was too slow.
    slow: bool,
    /// It is another process of ours, which passes the stream on.
    pub(super) relay: bool,
}

/// The player's end.
#[derive(Debug)]
pub struct FrameReceiver {
    /// The queue itself.
    pub frames: Receiver<Arc<Frame>>,
    /// What is in it, and what the player wants of it.
    pub gauge: Arc<Gauge>,
}

/// A new queue. `behind`: the first video frame must be one that a decoder can start from.
pub fn queue(behind: bool) -> (FrameSender, FrameReceiver) {
    let (sender, receiver) = bounded(limits::PLAYER_QUEUE_FRAMES);
    let gauge = Arc::new(Gauge::default());
    let sender = FrameSender {
        frames: sender,
        gauge: Arc::clone(&gauge),
        behind,
        slow: false,
        relay: false,
    };
    let receiver = FrameReceiver {
        frames: receiver,
        gauge,
    };
    (sender, receiver)
}

impl FrameSender {
    /// Offers one frame.
    pub fn offer(&mut self, frame: &Arc<Frame>) -> Offer {
        if self.gauge.is_off(frame.kind) {
            // Not the player's slowness: not counted.
            self.behind |= matches!(frame.kind, Kind::RandomAccess | Kind::Dependent);
            return Offer::Useless;
        }
        if self.behind && frame.kind == Kind::Dependent {
            return if self.slow {
                self.skip()
            } else {
                Offer::Useless
            };
        }
        let length = frame.length();
        // Counted before it is sent, or the player could subtract it first.
        let waiting = self.gauge.bytes.fetch_add(length, Ordering::Relaxed);
        let most = if frame.is_memory_tight() {
            limits::TIGHT_QUEUE_BYTES
        } else {
            limits::PLAYER_QUEUE_BYTES
        };
        if waiting.saturating_add(length) <= most {
            match self.frames.try_send(Arc::clone(frame)) {
                Ok(()) => {
                    let resumes = frame.kind == Kind::RandomAccess;
                    self.behind &= !resumes;
                    self.slow &= !resumes;
                    return Offer::Queued;
                }
                Err(TrySendError::Disconnected(_)) => return Offer::Gone,
                Err(TrySendError::Full(_)) => {}
            }
        }
        self.gauge.sent(length);
        match frame.kind {
            Kind::AudioHeader | Kind::VideoHeader | Kind::Control => Offer::Gone,
            Kind::RandomAccess | Kind::Dependent => {
                self.behind = true;
                self.slow = true;
                self.skip()
            }
            Kind::Audio | Kind::Data | Kind::Metadata => self.skip(),
        }
    }

    /// Another publisher begins: video goes on with a frame that a decoder can start from.
    pub const fn restart(&mut self) {
        self.behind = true;
    }

    /// Whether the queue is more than half full.
    pub fn is_crowded(&self) -> bool {
        self.frames.len() > limits::PLAYER_QUEUE_FRAMES.div_ceil(2)
    }

    /// The way for a reply of the player's own thread, which may wait for a place.
    pub fn control(&self) -> (Sender<Arc<Frame>>, Arc<Gauge>) {
        (self.frames.clone(), Arc::clone(&self.gauge))
    }

    /// Ends the queue: the player gets what is in it and is told that the stream is over.
    pub fn end(self) {
        self.gauge.over.store(true, Ordering::Relaxed);
    }

    fn skip(&self) -> Offer {
        self.gauge.skipped.fetch_add(1, Ordering::Relaxed);
        Offer::Skipped
    }
}

impl FrameReceiver {
    /// Moves everything that waits to `pending`; whether more can come.
    pub fn drain(&self, pending: &mut VecDeque<Arc<Frame>>) -> bool {
        loop {
            match self.frames.try_recv() {
                Ok(frame) => pending.push_back(frame),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }
}

/// Counts a control frame in before it is sent through [`FrameSender::control`]'s channel.
pub fn count_in(gauge: &Gauge, frame: &Frame) {
    gauge.bytes.fetch_add(frame.length(), Ordering::Relaxed);
}
