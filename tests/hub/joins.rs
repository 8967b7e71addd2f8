//! Players that join while frames are delivered: no gap, no duplicate.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use srs_lite::hub::frame::Kind;
use srs_lite::hub::stream::{Joined, Start, Stream};

use crate::support::{Hub, PATH, frame, hub, number};

use Kind::{Audio, Dependent, RandomAccess, VideoHeader};

/// Ten frames a group; audio between them.
fn kind(number: u32) -> Kind {
    match number % 10 {
        0 => RandomAccess,
        3 | 7 => Audio,
        _ => Dependent,
    }
}

/// Joins, takes frames until some came out of the queue, and looks at them.
fn play(stream: &Stream<u32>, start: Start) {
    let Joined {
        player,
        opening,
        frames,
    } = stream.join(start);
    let live = frames.frames.iter().take(25);
    let all: Vec<_> = opening.into_iter().chain(live).collect();
    let media: Vec<_> = all
        .iter()
        .filter(|frame| frame.kind != VideoHeader)
        .map(|frame| (number(frame), frame.kind))
        .collect();
    // Without the group, what comes before the first keyframe is audio only.
    let first = media
        .iter()
        .position(|&(_, kind)| kind != Audio)
        .expect("no video in 25 frames");
    assert_eq!(media[first].1, RandomAccess, "{start:?}");
    for pair in media[first..].windows(2) {
        assert_eq!(pair[1].0, pair[0].0 + 1, "{start:?}");
    }
    if start == Start::Group {
        assert_eq!((all[0].kind, first), (VideoHeader, 0));
    }
    stream.leave(player);
}

#[test]
fn there_is_no_gap_and_no_duplicate_between_opening_and_queue() {
    let hub: Hub = hub(1000);
    let publisher = hub.publish(PATH, false).unwrap();
    let attached = hub.attach(PATH).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let delivery = scope.spawn(|| {
            publisher
                .deliver(frame(VideoHeader, 0, 0), Instant::now())
                .unwrap();
            for number in 0.. {
                if done.load(Ordering::Relaxed) {
                    return number;
                }
                publisher
                    .deliver(frame(kind(number), number, number), Instant::now())
                    .unwrap();
                // A burst, so that joins fall into every place, but no queue is ever full.
                if number % 32 == 0 {
                    thread::yield_now();
                }
            }
            0
        });
        let players: Vec<_> = [Start::Group, Start::NextKeyframe]
            .into_iter()
            .map(|start| {
                let stream = &attached.stream;
                scope.spawn(move || (0..1000).for_each(|_| play(stream, start)))
            })
            .collect();
        let ends: Vec<_> = players.into_iter().map(|player| player.join()).collect();
        done.store(true, Ordering::Relaxed);
        assert!(ends.iter().all(Result::is_ok));
        assert!(delivery.join().unwrap() > 1000);
    });
}
