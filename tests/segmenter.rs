#![cfg(test)]
//! Where segments end: the policy of cutting, and what changes in a stream.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "an overflow in a test fails the test"
)]

mod support;

use srs_lite::limits;

use support::segments::{AAC, AVC, Recording, picture};

const SLACK: u32 = limits::HLS_SLACK as u32;

/// A recording of a minute of video with a keyframe every `group` milliseconds.
fn minute(fragment: u64, least_target: u64, group: u32) -> Recording {
    let mut recording = Recording::with(fragment, least_target, None);
    recording.video_header(0);
    recording.pictures(0..60_001, group);
    recording
}

/// Fragment, least target and group; and what follows: segment and target.
const CUTS: &[(u64, u64, u32, u32, u32, &str)] = &[
    (10_000, 10_000, 2000, 10_000, 10, "the group divides"),
    (10_000, 10_000, 4000, 8000, 10, "one more would pass"),
    (10_000, 10_000, 3000, 9000, 10, "three fit"),
    (2000, 2000, 2050, 2050, 2, "a little longer"),
    (
        10_000,
        10_000,
        2050,
        10_250,
        10,
        "five, as the slack allows",
    ),
    (2000, 2000, 10_000, 10_000, 10, "a long group"),
    (4000, 6000, 2000, 4000, 6, "a ratio"),
    (1000, 1000, 50, 1250, 1, "nothing but keyframes"),
    (1400, 1400, 700, 1400, 2, "half seconds"),
];

#[test]
fn a_segment_ends_at_the_keyframe_that_comes_closest_to_the_fragment() {
    for &(fragment, least, group, duration, target, name) in CUTS {
        let recording = minute(fragment, least, group);
        let durations = recording.durations();
        assert_eq!(durations.len() as u32, 60_000 / duration, "{name}");
        assert!(durations.iter().all(|&one| one == duration), "{name}");
        assert_eq!(recording.target(), Some(target), "{name}");
        assert!(recording.segments.iter().all(|one| one.starts_with_key()));
        assert!(recording.discontinuities().is_empty(), "{name}");
    }
}

#[test]
fn a_later_group_that_would_pass_the_target_is_cut_without_a_keyframe() {
    let mut recording = Recording::new(2);
    recording.video_header(0);
    recording.pictures(0..4000, 2000);
    recording.pictures(4000..14_000, 10_000);
    recording.pictures(14_000..18_001, 2000);
    let most = 2000 + SLACK;
    let expected = [2000, 2000, most, most, most, most, 1000, 2000, 2000];
    assert_eq!(recording.durations(), expected);
    let keys: Vec<bool> = recording
        .segments
        .iter()
        .map(|s| s.starts_with_key())
        .collect();
    assert_eq!(
        keys[..9],
        [true, true, true, false, false, false, false, true, true]
    );
    assert_eq!(recording.target(), Some(2));
    assert!(recording.discontinuities().is_empty());
}

#[test]
fn a_first_group_without_end_is_cut_at_its_limit() {
    let most = limits::MAX_FIRST_SEGMENT as u32;
    assert_eq!(minute(2000, 2000, most).durations(), [most, most]);
    let mut longer = minute(2000, 2000, most + SLACK + 50);
    longer.finish();
    assert_eq!(longer.durations()[0], most + SLACK);
    assert!(!longer.segments[1].starts_with_key());
    assert_eq!(longer.target(), Some(30));
}

#[test]
fn a_target_that_is_taken_up_bounds_the_fragment() {
    let mut recording = Recording::with(10_000, 10_000, Some(2));
    recording.video_header(0);
    recording.pictures(0..10_001, 1000);
    assert_eq!(recording.durations(), [2000; 5]);
    assert_eq!(recording.target(), Some(2));
}

#[test]
fn audio_alone_is_cut_at_the_fragment() {
    let mut recording = Recording::new(2);
    recording.audio_header(0);
    recording.sounds(0..10_001);
    assert_eq!(recording.durations(), [2000; 5]);
    assert_eq!(recording.segments[1].times(AAC)[0], 2000 * 90);
    let frames: Vec<usize> = recording
        .segments
        .iter()
        .map(|s| s.audio_frames())
        .collect();
    assert_eq!(frames, [100; 5]);
}

#[test]
fn audio_goes_on_while_there_is_no_picture() {
    let mut recording = Recording::new(2);
    recording.video_header(0);
    recording.audio_header(0);
    recording.pictures(0..2001, 1000);
    recording.sounds(2000..12_000);
    recording.pictures(12_000..14_001, 1000);
    recording.finish();
    let durations = recording.durations();
    assert!(
        durations.iter().all(|&one| one <= 2000 + SLACK),
        "{durations:?}"
    );
    assert_eq!(
        recording
            .segments
            .iter()
            .map(|s| s.audio_frames())
            .sum::<usize>(),
        500
    );
    assert!(recording.discontinuities().is_empty());
}

#[test]
fn what_comes_before_the_first_keyframe_is_left_out() {
    let mut recording = Recording::new(2);
    recording.video_header(0);
    recording.audio_header(0);
    recording.sounds(0..500);
    (500..1000)
        .step_by(50)
        .for_each(|time| recording.inter(time));
    recording.pictures(1000..3001, 1000);
    assert_eq!(recording.durations(), [2000]);
    assert_eq!(recording.segments[0].times(AVC)[0], 90_000);
    assert_eq!(recording.segments[0].audio_frames(), 0);
}

/// A stream whose audio header comes `late` milliseconds after the first keyframe.
fn late_audio(late: u32) -> Recording {
    let mut recording = Recording::new(4);
    recording.video_header(0);
    recording.pictures(0..late + 1, 1000);
    recording.audio_header(late);
    recording.pictures(4000..12_001, 1000);
    recording
}

#[test]
fn a_late_track_voids_the_beginning_and_a_later_one_ends_the_segment() {
    let limit = limits::MAX_HLS_LATE_TRACK as u32;
    let late = late_audio(limit - 50);
    assert_eq!((late.discarded, late.durations()), (1, vec![4000, 4000]));
    assert!(late.discontinuities().is_empty());
    assert_eq!(late.segments[0].times(AVC)[0], 4000 * 90);
    let later = late_audio(limit);
    assert_eq!(later.discarded, 0);
    assert_eq!(later.durations(), [limit + 50, 4000, 4000]);
    assert_eq!(later.discontinuities(), [1]);
    for recording in [late, later] {
        let last = recording.segments.last().unwrap();
        assert_eq!(last.demuxed.streams.len(), 2, "both tracks");
    }
}

#[test]
fn only_a_header_that_changed_makes_a_discontinuity() {
    let mut recording = Recording::new(2);
    let mut changed = support::media::AVC_HEADER;
    changed[16] ^= 1;
    for (index, header) in [
        support::media::AVC_HEADER,
        support::media::AVC_HEADER,
        changed,
    ]
    .iter()
    .enumerate()
    {
        let time = index as u32 * 3000;
        recording.video(time, header).unwrap();
        recording.audio_header(time);
        recording.pictures(time..time + 3000, 1000);
    }
    recording.finish();
    assert_eq!(recording.durations(), [2000, 2000, 2000, 2000, 1000]);
    assert_eq!(recording.discontinuities(), [3]);
    recording.audio(9000, b"\xaf\x00\x11\x90").unwrap();
    recording.pictures(9000..11_000, 1000);
    recording.finish();
    assert_eq!(recording.discontinuities(), [3, 5], "another sample rate");
}

#[test]
fn timestamps_that_jump_make_a_discontinuity() {
    let hour = 3_600_000;
    let mut recording = Recording::new(2);
    recording.video_header(0);
    recording.audio_header(0);
    for begin in [5000, hour, 10_000] {
        for time in (begin..begin + 3000).step_by(1000) {
            recording.pictures(time..time + 1000, 1000);
            recording.sounds(time..time + 1000);
        }
    }
    recording.finish();
    assert_eq!(recording.durations(), [2000, 1000, 2000, 1000, 2000, 1000]);
    assert_eq!(recording.discontinuities(), [2, 4]);
    let begins = recording.segments.iter().map(|one| one.times(AVC)[0] / 90);
    let expected = [5000, 7000, hour, hour + 2000, 10_000, 12_000];
    assert_eq!(begins.collect::<Vec<_>>(), expected.map(u64::from));
    for index in [2, 4] {
        assert_eq!(
            recording.segments[index].demuxed.jumps.len(),
            1,
            "the clock"
        );
    }
}

#[test]
fn times_wrap_without_a_break() {
    // 2^33 ticks of 90 kHz, and 2^32 milliseconds.
    let ticks = ((1_u64 << 33) / 90) as u32;
    for wrap in [ticks, u32::MAX] {
        let mut recording = Recording::new(2);
        recording.video_header(0);
        let begin = wrap - 3000;
        for step in (0..8001).step_by(50) {
            let time = begin.wrapping_add(step);
            let payload = picture(step % 2000 == 0, 80, &[3; 20]);
            recording.video(time, &payload).unwrap();
        }
        assert_eq!(recording.durations(), [2000; 4]);
        assert!(recording.discontinuities().is_empty());
        let times = recording.segments.iter().flat_map(|one| one.times(AVC));
        let begin = u64::from(begin);
        let expected = (0..8000)
            .step_by(50)
            .map(|step| (begin + step) * 90 % (1 << 33));
        assert!(times.eq(expected));
    }
}

#[test]
fn a_hole_ends_the_segment_where_its_last_frame_does() {
    let mut recording = Recording::new(2);
    recording.video_header(0);
    recording.pictures(0..3000, 1000);
    recording.pictures(12_000..14_001, 1000);
    assert_eq!(recording.durations(), [2000, 1000, 2000]);
    assert_eq!(recording.discontinuities(), [2]);
}

#[test]
fn a_short_segment_is_left_out_unless_it_is_the_last() {
    let least = limits::MIN_SEGMENT as u32;
    for (second, kept) in [(least / 2, true), (least / 2 - 1, false)] {
        let mut recording = Recording::new(2);
        recording.video_header(0);
        recording.pictures(0..2000, 1000);
        recording.key(2000);
        // It is as long again as the first.
        recording.inter(2000 + second);
        recording.pictures(50_000..52_001, 1000);
        let durations = recording.durations();
        let expected: &[u32] = if kept {
            &[2000, least, 2000]
        } else {
            &[2000, 2000]
        };
        assert_eq!(durations, expected);
        assert_eq!(recording.discontinuities(), [durations.len() - 1]);
        assert_eq!(recording.discarded, usize::from(!kept));
        recording.inter(52_001);
        recording.finish();
        assert_eq!(recording.durations().last(), Some(&2), "the last");
    }
}

#[test]
fn a_last_frame_lasts_as_long_as_the_one_before_it() {
    let most = limits::MAX_HLS_INTERVAL as u32;
    for (interval, last) in [(40, 40), (most, most), (most + 1, most)] {
        let mut recording = Recording::new(10);
        recording.video_header(0);
        recording.key(0);
        recording.inter(interval);
        recording.finish();
        assert_eq!(recording.durations(), [interval + last]);
    }
    let mut recording = Recording::new(2);
    recording.video_header(0);
    recording.key(0);
    recording.key(2000);
    for time in [2050, 2100, 3300] {
        recording.inter(time);
    }
    recording.finish();
    assert_eq!(
        recording.durations(),
        [2000, 2000 + SLACK],
        "not past the target"
    );
}

#[test]
fn a_segment_has_a_most_number_of_bytes() {
    let size = 4 * 1024 * 1024;
    let most = limits::MAX_SEGMENT_BYTES;
    let mut recording = Recording::new(10);
    recording.unseen = true;
    recording.video_header(0);
    for time in 0..=most / size + 1 {
        let payload = picture(time == 0, 0, &vec![4; size - 10]);
        recording.video(time as u32 * 10, &payload).unwrap();
    }
    assert_eq!(recording.segments.len(), 1);
    assert!(recording.segments[0].bytes > most);
    assert!(recording.segments[0].bytes < most + 2 * size);
}

#[test]
fn audio_frames_share_a_packet_for_as_long_as_they_may() {
    let batch = limits::HLS_AUDIO_BATCH as u32;
    let mut recording = Recording::new(2);
    recording.audio_header(0);
    for time in [0, 20, batch - 1, batch, batch + 20] {
        recording.sound(time);
    }
    recording.finish();
    let expected = [0, u64::from(batch) * 90];
    assert_eq!(recording.segments[0].times(AAC), expected);
    assert_eq!(recording.segments[0].audio_frames(), 5);
}
