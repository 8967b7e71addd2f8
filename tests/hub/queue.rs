//! The queue of one player, and what happens when it is full.

use std::sync::Arc;

use bytes::Bytes;
use srs_lite::hub::frame::{Frame, Kind};
use srs_lite::hub::queue::{FrameReceiver, FrameSender, Offer, Switch, count_in, queue};
use srs_lite::limits;

use crate::support::{drain, frame, long, waiting};

use Kind::{Audio, AudioHeader, Control, Data, Dependent, Metadata, RandomAccess, VideoHeader};
use Offer::{Gone, Queued, Skipped, Useless};

fn offer(sender: &mut FrameSender, kind: Kind, number: u32) -> Offer {
    sender.offer(&Arc::new(frame(kind, 0, number)))
}

/// A queue that is full of frames, or of bytes; and how many frames those are.
fn full() -> [(FrameSender, FrameReceiver, usize); 2] {
    let (mut by_frames, first) = queue(false);
    for _ in 0..limits::PLAYER_QUEUE_FRAMES {
        assert_eq!(by_frames.offer(&Arc::new(long(Audio, 0))), Queued);
    }
    let (mut by_bytes, second) = queue(false);
    let half = Arc::new(long(RandomAccess, limits::PLAYER_QUEUE_BYTES / 2));
    assert_eq!([by_bytes.offer(&half), by_bytes.offer(&half)], [Queued; 2]);
    [
        (by_frames, first, limits::PLAYER_QUEUE_FRAMES),
        (by_bytes, second, 2),
    ]
}

#[test]
fn a_slow_player_resumes_at_a_keyframe() {
    for (mut sender, receiver, count) in full() {
        assert_eq!(offer(&mut sender, Dependent, 1), Skipped);
        assert_eq!(offer(&mut sender, RandomAccess, 2), Skipped);
        assert_eq!(drain(&receiver).0.len(), count);
        // There is room again, but nothing to start from; audio goes on at once.
        assert_eq!(offer(&mut sender, Dependent, 3), Skipped);
        assert_eq!(offer(&mut sender, Audio, 4), Queued);
        assert_eq!(offer(&mut sender, RandomAccess, 5), Queued);
        assert_eq!(offer(&mut sender, Dependent, 6), Queued);
        assert_eq!(waiting(&receiver), [4, 5, 6]);
        assert_eq!(receiver.gauge.skipped(), 3);
    }
}

/// A keyframe that finds no room is as bad as a frame that needs one.
#[test]
fn a_lost_keyframe_leaves_the_player_behind() {
    for (mut sender, receiver, _) in full() {
        assert_eq!(offer(&mut sender, RandomAccess, 1), Skipped);
        drain(&receiver);
        assert_eq!(offer(&mut sender, Dependent, 2), Skipped);
    }
}

#[test]
fn lost_audio_leaves_nobody_behind() {
    for kind in [Audio, Data, Metadata] {
        for (mut sender, receiver, _) in full() {
            assert_eq!(offer(&mut sender, kind, 1), Skipped);
            drain(&receiver);
            assert_eq!(offer(&mut sender, Dependent, 2), Queued);
            assert_eq!(receiver.gauge.skipped(), 1);
        }
    }
}

/// Nor is a reply. Without a header everything after it is broken: better no player.
#[test]
fn a_header_is_never_dropped() {
    for kind in [AudioHeader, VideoHeader, Control] {
        for (mut sender, receiver, count) in full() {
            let frame = if kind == Control {
                Frame::control(Bytes::from_static(b"chunks"))
            } else {
                frame(kind, 0, 1)
            };
            assert_eq!(sender.offer(&Arc::new(frame)), Gone);
            drop(sender);
            let (frames, open) = drain(&receiver);
            assert_eq!((frames.len(), open), (count, false));
            assert!(!receiver.gauge.is_over(), "the stream goes on");
        }
    }
}

#[test]
fn nothing_waits_for_a_player_that_is_gone() {
    let (mut sender, receiver) = queue(false);
    drop(receiver);
    assert_eq!(offer(&mut sender, Audio, 1), Gone);
}

/// The bytes count until they are sent, not until they leave the queue.
#[test]
fn bytes_count_until_they_are_sent() {
    let [_, (mut sender, receiver, _)] = full();
    let first = receiver.frames.recv().unwrap();
    assert_eq!(offer(&mut sender, Audio, 1), Skipped);
    receiver.gauge.sent(first.length());
    assert_eq!(offer(&mut sender, Audio, 2), Queued);
    // What was refused is not counted.
    drain(&receiver);
    let most = Arc::new(long(RandomAccess, limits::PLAYER_QUEUE_BYTES));
    assert_eq!(sender.offer(&most), Queued);
    assert_eq!(offer(&mut sender, Audio, 3), Skipped);
}

/// Replies come through a way of their own, behind what waits, and count like frames.
#[test]
fn a_reply_takes_its_place_in_the_queue() {
    let (mut sender, receiver) = queue(true);
    let (replies, gauge) = sender.control();
    let reply = Arc::new(Frame::control(Bytes::from_static(b"chunks")));
    assert_eq!(reply.length(), 6);
    count_in(&gauge, &reply);
    replies.send(reply).unwrap();
    let rest = long(RandomAccess, limits::PLAYER_QUEUE_BYTES - 6);
    assert_eq!(sender.offer(&Arc::new(rest)), Queued);
    assert_eq!(offer(&mut sender, Audio, 1), Skipped);
    let (frames, open) = drain(&receiver);
    assert_eq!((frames[0].kind, frames.len(), open), (Control, 2, true));
    sender.end();
    assert!(drain(&receiver).1, "a reply may still come");
    drop(replies);
    assert!(!drain(&receiver).1);
    assert!(receiver.gauge.is_over());
}

#[test]
fn what_is_switched_off_is_not_sent_and_video_resumes_at_a_keyframe() {
    let all = [
        RandomAccess,
        Dependent,
        Audio,
        Data,
        Metadata,
        VideoHeader,
        AudioHeader,
    ];
    for (switch, off) in [
        (Switch::All, &[RandomAccess, Dependent, Audio, Data][..]),
        (Switch::Audio, &[Audio]),
        (Switch::Video, &[RandomAccess, Dependent]),
    ] {
        let (mut sender, receiver) = queue(false);
        receiver.gauge.switch(switch, true);
        for kind in all {
            let expected = if off.contains(&kind) { Useless } else { Queued };
            assert_eq!(offer(&mut sender, kind, 1), expected, "{switch:?} {kind:?}");
        }
        receiver.gauge.switch(switch, false);
        let video = off.contains(&Dependent);
        let expected = if video { Useless } else { Queued };
        assert_eq!(offer(&mut sender, Dependent, 2), expected);
        for kind in all {
            assert_eq!(offer(&mut sender, kind, 3), Queued, "{switch:?} {kind:?}");
        }
    }
}

/// Each switch is its own: what two of them switch off comes back with the second.
#[test]
fn switches_add_up() {
    let (mut sender, receiver) = queue(false);
    receiver.gauge.switch(Switch::All, true);
    receiver.gauge.switch(Switch::Audio, true);
    receiver.gauge.switch(Switch::All, false);
    assert_eq!(offer(&mut sender, Audio, 1), Useless);
    assert_eq!(offer(&mut sender, RandomAccess, 2), Queued);
    receiver.gauge.switch(Switch::Audio, false);
    assert_eq!(offer(&mut sender, Audio, 3), Queued);
    assert_eq!(receiver.gauge.skipped(), 0, "that was not its slowness");
}

#[test]
fn a_queue_is_crowded_when_it_is_more_than_half_full() {
    let (mut sender, _receiver) = queue(false);
    let half = limits::PLAYER_QUEUE_FRAMES / 2;
    for _ in 0..half {
        offer(&mut sender, Audio, 1);
    }
    assert!(!sender.is_crowded());
    offer(&mut sender, Audio, 1);
    assert!(sender.is_crowded());
}
