//! Streams, frames that can be told apart, and bells that count.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use srs_lite::hub::frame::{Frame, Kind};
use srs_lite::hub::queue::FrameReceiver;
use srs_lite::hub::registry::{Publisher, Registry};
use srs_lite::hub::stream::{Bell, Joined, Start, Stream};

/// A hub whose players' writing ends are numbers.
pub(crate) type Hub = Arc<Registry<u32>>;

pub(crate) const PATH: &str = "live/name";

/// A hub that keeps groups of up to `frames`.
pub(crate) fn hub(frames: usize) -> Hub {
    Arc::new(Registry::new(move |_| frames))
}

/// A hub, and who publishes its stream.
pub(crate) fn publishing() -> (Hub, Publisher<u32>) {
    let hub = hub(1000);
    let publisher = hub.publish(PATH, false).unwrap();
    (hub, publisher)
}

/// A frame whose payload is `number`.
pub(crate) fn frame(kind: Kind, timestamp: u32, number: u32) -> Frame {
    let payload = Bytes::copy_from_slice(&number.to_be_bytes());
    Frame::new(kind, 0, 9, timestamp, payload)
}

/// A frame of `length` bytes.
pub(crate) fn long(kind: Kind, length: usize) -> Frame {
    Frame::new(kind, 0, 9, 0, Bytes::from(vec![0; length]))
}

pub(crate) fn number(frame: &Frame) -> u32 {
    u32::from_be_bytes(frame.payload[..].try_into().unwrap())
}

/// Delivers frames with numbers from `first` on, all at time 0.
pub(crate) fn deliver(publisher: &Publisher<u32>, first: u32, kinds: &[Kind]) {
    for (number, &kind) in (first..).zip(kinds) {
        publisher
            .deliver(frame(kind, 0, number), Instant::now())
            .unwrap();
    }
}

pub(crate) fn join(stream: &Stream<u32>) -> Joined {
    stream.join(Start::Group)
}

/// What waits in a queue, taken out and counted as sent; and whether more can come.
pub(crate) fn drain(frames: &FrameReceiver) -> (Vec<Arc<Frame>>, bool) {
    let mut pending = VecDeque::new();
    let open = frames.drain(&mut pending);
    for frame in &pending {
        frames.gauge.sent(frame.length());
    }
    (pending.into(), open)
}

/// The numbers of what waits in a queue that is open.
pub(crate) fn waiting(frames: &FrameReceiver) -> Vec<u32> {
    let (frames, open) = drain(frames);
    assert!(open, "the queue has ended");
    numbers(&frames)
}

pub(crate) fn numbers(frames: &[Arc<Frame>]) -> Vec<u32> {
    frames.iter().map(|frame| number(frame)).collect()
}

/// Counts how often it is rung.
#[derive(Debug, Default)]
pub(crate) struct CountingBell(pub(crate) AtomicUsize);

impl Bell for CountingBell {
    fn ring(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn due(&self) -> Instant {
        Instant::now()
    }
}

impl CountingBell {
    pub(crate) fn rung(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Gives `writer` to the stream's sender; whether that starts one.
pub(crate) fn hand_over(
    stream: &Stream<u32>,
    writer: u32,
    bell: &Arc<impl Bell + 'static>,
) -> bool {
    let mut started = false;
    let start = || {
        started = true;
        let bell: Arc<dyn Bell> = bell.clone();
        Ok::<_, ()>(bell)
    };
    stream.hand_over(writer, start).unwrap();
    started
}

/// Who has been handed to the sender since this was last asked.
pub(crate) fn taken_over(stream: &Stream<u32>) -> Vec<u32> {
    let mut writers = Vec::new();
    stream.take_over(&mut writers);
    writers
}
