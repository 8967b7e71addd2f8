//! Times in MPEG-TS: decoding, presentation, and the clock between them.
#![cfg(test)]
#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test fails the test"
)]

mod support;

use srs_lite::wire::mpegts::{AudioCodec, Muxer, VideoCodec};

use support::ts::{self, Demuxer};

use Event::{Audio, Begin, Discontinuity, Video};

const AVC: Option<VideoCodec> = Some(VideoCodec::Avc);
const AAC: Option<AudioCodec> = Some(AudioCodec::Aac);

const MILLISECOND: u64 = 90;
const SECOND: u64 = 90_000;
const WRAP: u64 = 1 << 33;

#[test]
fn a_picture_is_not_shown_before_it_is_decoded() {
    let half = WRAP / 2;
    for (dts, pts, expected) in [
        (1000, 1000, (1000, 1000)),
        (1000, 1001, (1000, 1001)),
        (1000, 999, (999, 999)),
        (WRAP - 1, WRAP + 4, (WRAP - 1, 4)),
        (WRAP + 4, WRAP - 1, (WRAP - 1, WRAP - 1)),
        (0, half - 1, (0, half - 1)),
        (0, half, (half, half)),
        (u64::MAX, u64::MAX, (WRAP - 1, WRAP - 1)),
    ] {
        let mut out = Vec::new();
        let mut muxer = Muxer::default();
        muxer.begin_segment(AVC, None, &mut out);
        muxer.video(b"unit", dts, pts, true, &mut out);
        let demuxed = ts::demux(&out);
        let unit = &demuxed.streams[0].units[0];
        assert_eq!((unit.dts, unit.pts), expected);
        assert_eq!(demuxed.pcrs[0].1, expected.0);
    }
}

/// What is written: a segment, and units of video and audio at these milliseconds.
#[derive(Clone, Copy, Debug)]
enum Event {
    Begin,
    Discontinuity,
    Video(u64),
    Audio(u64),
}

/// Clock references, in milliseconds, and how many of them jump.
fn clock(start: u64, events: &[Event]) -> (Vec<u64>, usize) {
    let mut muxer = Muxer::default();
    let mut demuxer = Demuxer::default();
    let mut segments = Vec::new();
    let video = events.iter().any(|event| matches!(event, Video(_)));
    for event in events {
        let time = |milliseconds: u64| start + milliseconds * MILLISECOND;
        match *event {
            Begin => segments.push(Vec::new()),
            Discontinuity => muxer.discontinuity(),
            Video(at) => {
                let out = segments.last_mut().unwrap();
                muxer.video(b"unit", time(at), time(at), false, out);
            }
            Audio(at) => muxer.audio(b"frame", time(at), segments.last_mut().unwrap()),
        }
        if matches!(event, Begin) {
            let video = video.then_some(VideoCodec::Avc);
            muxer.begin_segment(video, AAC, segments.last_mut().unwrap());
        }
    }
    let demuxed: Vec<_> = segments.iter().map(|s| demuxer.segment(s)).collect();
    let references = demuxed.iter().flat_map(|segment| &segment.pcrs);
    let milliseconds = references.map(|(_, pcr)| (pcr + WRAP - start % WRAP) % WRAP / MILLISECOND);
    let jumps = demuxed.iter().map(|segment| segment.jumps.len()).sum();
    (milliseconds.collect(), jumps)
}

/// Events, references, jumps.
const CLOCKS: &[(&[Event], &[u64], usize, &str)] = &[
    (
        &[Begin, Video(0), Video(40), Video(140)],
        &[0, 40, 140],
        1,
        "usual video",
    ),
    (
        &[Begin, Video(0), Video(250)],
        &[0, 100, 200, 250],
        1,
        "slow video",
    ),
    (
        &[Begin, Audio(0), Audio(23), Audio(150)],
        &[0, 23, 123, 150],
        1,
        "audio",
    ),
    (
        &[Begin, Audio(5), Video(0), Video(40)],
        &[5, 40],
        1,
        "audio first",
    ),
    (
        &[Begin, Video(0), Audio(900), Video(40)],
        &[0, 40],
        1,
        "audio ahead",
    ),
    (
        &[Begin, Video(0), Audio(1150), Video(160)],
        &[0, 100, 150, 160],
        1,
        "video stands still",
    ),
    (
        &[Begin, Video(0), Begin, Audio(20), Video(40)],
        &[0, 0, 40],
        1,
        "two segments",
    ),
    (
        &[Begin, Video(100), Begin, Video(90), Video(120)],
        &[100, 100, 120],
        1,
        "video steps back",
    ),
    (
        &[Begin, Video(0), Video(10_001), Video(10_041)],
        &[0, 10_001, 10_041],
        2,
        "a jump",
    ),
    (
        &[Begin, Video(20_000), Begin, Video(0), Video(40)],
        &[20_000, 0, 40],
        2,
        "a jump back",
    ),
    (
        &[Begin, Video(500), Discontinuity, Begin, Audio(0), Video(40)],
        &[500, 0, 40],
        2,
        "a discontinuity",
    ),
];

#[test]
fn the_clock_is_written_for_every_tenth_of_a_second() {
    for &(events, expected, jumps, name) in CLOCKS {
        for start in [0, WRAP - 70 * MILLISECOND, 7 * WRAP - SECOND] {
            let found = clock(start, events);
            assert_eq!(found, (expected.to_vec(), jumps), "{name}, from {start}");
        }
    }
    let (references, jumps) = clock(0, &[Begin, Video(0), Video(10_000)]);
    assert_eq!((references.len(), jumps), (101, 1), "the longest step");
}
