//! What a joining player is given.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use srs_lite::hub::cache::Cache;
use srs_lite::hub::frame::{Frame, Kind};
use srs_lite::hub::stream::Start;
use srs_lite::limits;

use crate::support::{PATH, deliver, frame, hub, join, long, numbers, publishing, waiting};

use Kind::{Audio, AudioHeader, Data, Dependent, Metadata, RandomAccess, VideoHeader};

/// Of whatever kind and number.
fn cached(cache: &mut Cache, all: &[(Kind, u32)]) {
    for &(kind, number) in all {
        cache.remember(&Arc::new(frame(kind, 0, number)));
    }
}

#[test]
fn an_opening_is_metadata_then_headers_then_the_group() {
    let mut cache = Cache::new(1000);
    cached(&mut cache, &[(Audio, 1), (Dependent, 2), (Data, 3)]);
    assert_eq!(cache.opening().len(), 0, "nothing to start from");
    cached(
        &mut cache,
        &[
            (AudioHeader, 4),
            (VideoHeader, 5),
            (Metadata, 6),
            (Metadata, 7),
        ],
    );
    cached(
        &mut cache,
        &[(RandomAccess, 8), (Dependent, 9), (Audio, 10), (Data, 11)],
    );
    assert_eq!(numbers(&cache.opening()), [7, 4, 5, 8, 9, 10, 11]);
    cached(
        &mut cache,
        &[(RandomAccess, 12), (Metadata, 13), (Dependent, 14)],
    );
    assert_eq!(numbers(&cache.opening()), [13, 4, 5, 12, 14]);
    assert_eq!(numbers(&cache.head()), [13, 4, 5]);
    cache.clear();
    assert_eq!(cache.opening().len(), 0);
    cached(&mut cache, &[(RandomAccess, 15)]);
    assert_eq!(numbers(&cache.opening()), [15], "the bound is forgotten");
}

/// Another codec configuration makes the group useless; the same one again does not.
#[test]
fn a_changed_header_drops_the_group_and_an_equal_one_does_not() {
    for kind in [VideoHeader, AudioHeader] {
        let mut cache = Cache::new(1000);
        cached(
            &mut cache,
            &[(kind, 1), (RandomAccess, 2), (kind, 1), (Dependent, 3)],
        );
        assert_eq!(numbers(&cache.opening()), [1, 2, 3], "{kind:?}");
        cached(&mut cache, &[(kind, 9), (Dependent, 4)]);
        assert_eq!(numbers(&cache.opening()), [9], "{kind:?}");
        assert!(!cache.in_group());
    }
}

#[test]
fn headers_are_kept_per_kind_and_slot_up_to_the_limit() {
    let mut cache = Cache::new(1000);
    let limit = u16::try_from(limits::MAX_TRACKS).unwrap();
    let mut remember = |kind, slot, number: u8| {
        let payload = Bytes::copy_from_slice(&[0, 0, 0, number]);
        cache.remember(&Arc::new(Frame::new(kind, slot, 9, 0, payload)));
        numbers(&cache.head())
    };
    for slot in 0..limit {
        remember(VideoHeader, slot, 1);
        remember(AudioHeader, slot, 2);
    }
    assert_eq!(
        remember(VideoHeader, limit - 1, 3).len(),
        2 * limits::MAX_TRACKS
    );
    assert!(
        !remember(VideoHeader, limit, 4).contains(&4),
        "one too many"
    );
    let head = remember(AudioHeader, limit, 4);
    assert!(!head.contains(&4), "one too many");
    let count = |number| head.iter().filter(|&&known| known == number).count();
    assert_eq!([count(1), count(2), count(3)], [15, 16, 1]);
}

#[test]
fn a_group_has_as_many_frames_as_the_limit_and_no_more() {
    for limit in [1, 3] {
        let mut cache = Cache::new(limit);
        cached(&mut cache, &[(RandomAccess, 0)]);
        cached(&mut cache, &vec![(Dependent, 1); limit - 1]);
        assert_eq!(cache.opening().len(), limit);
        cached(&mut cache, &[(Audio, 2)]);
        assert_eq!(cache.opening().len(), 0, "the whole group is dropped");
        cached(&mut cache, &[(Dependent, 3)]);
        assert_eq!(cache.opening().len(), 0, "a group begins with a keyframe");
        cached(&mut cache, &[(RandomAccess, 4)]);
        assert_eq!(numbers(&cache.opening()), [4]);
    }
    let mut cache = Cache::new(0);
    cached(
        &mut cache,
        &[(RandomAccess, 0), (Dependent, 1), (AudioHeader, 2)],
    );
    assert_eq!(numbers(&cache.opening()), [2], "0 keeps no group");
}

#[test]
fn a_group_has_as_many_bytes_as_the_limit_and_no_more() {
    let quarter = limits::GROUP_BYTES / 4;
    let mut cache = Cache::new(1000);
    for _ in 0..2 {
        cache.remember(&Arc::new(long(RandomAccess, quarter)));
        for _ in 0..3 {
            cache.remember(&Arc::new(long(Dependent, quarter)));
        }
        assert_eq!(cache.opening().len(), 4);
        cache.remember(&Arc::new(long(Data, 0)));
        assert_eq!(cache.opening().len(), 5);
        cache.remember(&Arc::new(long(Audio, 1)));
        assert_eq!(cache.opening().len(), 0);
    }
}

#[test]
fn the_first_video_frame_can_be_decoded() {
    let (_hub, publisher) = publishing();
    let stream = &publisher.stream;
    deliver(&publisher, 0, &[VideoHeader, Dependent, Audio]);
    let early = join(stream);
    assert_eq!(numbers(&early.opening), [0]);
    deliver(&publisher, 3, &[Dependent, Audio, RandomAccess, Dependent]);
    assert_eq!(waiting(&early.frames), [4, 5, 6]);
    // In the middle of a group.
    let in_group = join(stream);
    assert_eq!(numbers(&in_group.opening), [0, 5, 6]);
    let next = stream.join(Start::NextKeyframe);
    assert_eq!(numbers(&next.opening), [0]);
    let anything = stream.join(Start::Anything);
    assert_eq!(numbers(&anything.opening), [0]);
    deliver(&publisher, 7, &[Dependent, RandomAccess, Dependent]);
    assert_eq!(waiting(&in_group.frames), [7, 8, 9]);
    assert_eq!(waiting(&next.frames), [8, 9]);
    assert_eq!(waiting(&anything.frames), [7, 8, 9]);
    assert_eq!(waiting(&early.frames), [7, 8, 9]);
}

/// When the group was too long to keep, the player waits for the next one.
#[test]
fn without_a_group_the_first_video_frame_can_be_decoded_too() {
    let hub = hub(2);
    let publisher = hub.publish(PATH, false).unwrap();
    deliver(
        &publisher,
        0,
        &[RandomAccess, Dependent, Dependent, Dependent],
    );
    let player = join(&publisher.stream);
    assert_eq!(player.opening.len(), 0);
    deliver(&publisher, 4, &[Dependent, Audio, RandomAccess, Dependent]);
    assert_eq!(waiting(&player.frames), [5, 6, 7]);
}

/// All players, and the cache, share one frame; its chunks are made once.
#[test]
fn a_frame_is_made_once_for_all() {
    let (_hub, publisher) = publishing();
    let players = [join(&publisher.stream), join(&publisher.stream)];
    publisher
        .deliver(frame(RandomAccess, 7, 1), Instant::now())
        .unwrap();
    let late = join(&publisher.stream);
    let mut cuts = 0;
    for frame in players
        .iter()
        .map(|player| player.frames.frames.recv().unwrap())
        .chain(late.opening)
    {
        let chunks = frame.chunked(|_| {
            cuts += 1;
            Bytes::from_static(b"cut")
        });
        assert_eq!(&chunks[..], b"cut");
    }
    assert_eq!(cuts, 1);
}
