#![cfg(test)]
//! What can be put into segments, and what happens to the rest.
mod support;

use srs_lite::hls::Unfit;

use support::media;
use support::segments::{AAC, AVC, Recording, picture};
use support::ts::nal_units;

/// Frames of a second, with whatever `between` does after half of it.
fn second(between: impl FnOnce(&mut Recording)) -> Recording {
    let mut recording = Recording::new(1);
    recording.video_header(0);
    recording.audio_header(0);
    recording.pictures(0..500, 1000);
    recording.sounds(0..500);
    between(&mut recording);
    recording.pictures(500..1000, 1000);
    recording.sounds(500..1000);
    recording.finish();
    recording
}

#[test]
fn mp3_is_taken_as_it_is() {
    for (rate, stream_type) in [(44_100, 3), (22_050, 4)] {
        let mut recording = Recording::new(1);
        let tags = media::tags(&media::mp3_flv(rate));
        let mut sent: Vec<u8> = Vec::new();
        for tag in tags.iter().filter(|tag| tag.type_id == 8) {
            recording.audio(tag.timestamp, &tag.payload).unwrap();
            sent.extend(&tag.payload[1..]);
        }
        recording.finish();
        let durations = recording.durations();
        assert!(durations.len() >= 2 && durations.iter().sum::<u32>() >= 2000);
        let streams = recording
            .segments
            .iter()
            .map(|one| one.demuxed.stream(stream_type));
        let units = streams.flat_map(|stream| &stream.unwrap().units);
        let data: Vec<u8> = units.flat_map(|unit| unit.data.clone()).collect();
        assert_eq!(data, sent, "{rate} Hz");
    }
}

#[test]
fn pictures_keep_their_bytes_and_both_their_times() {
    let mut recording = Recording::new(1);
    recording.video_header(0);
    for (time, offset) in [(1000_u32, 80), (1040, 0), (1080, 0x7f_ffff), (1120, -40)] {
        let payload = picture(time == 1000, offset, &time.to_be_bytes());
        recording.video(time, &payload).unwrap();
    }
    recording.finish();
    let video = recording.segments[0].demuxed.stream(AVC).unwrap();
    let times: Vec<_> = video
        .units
        .iter()
        .map(|unit| (unit.pts / 90, unit.dts / 90))
        .collect();
    // A picture cannot be shown before it is decoded.
    let expected = [
        (1080, 1000),
        (1040, 1040),
        (1080 + 0x7f_ffff, 1080),
        (1080, 1080),
    ];
    assert_eq!(times, expected);
    let key = nal_units(&video.units[0].data);
    assert_eq!(key[1], [0x67, 0x64, 0, 0x1f], "the parameter set");
    assert_eq!(key[2], [&[0x65][..], &1000_u32.to_be_bytes()].concat());
    assert_eq!(
        nal_units(&video.units[1].data).len(),
        2,
        "it is not repeated"
    );
}

#[test]
fn other_video_gives_no_segments() {
    for payload in [
        &b"\x90hvc1 configuration"[..],
        b"\x1c\x00\x00\x00\x00hevc",
        b"\x12sorenson",
    ] {
        let mut recording = Recording::new(1);
        recording.audio_header(0);
        for time in (0..5000).step_by(20) {
            assert_eq!(recording.video(time, payload), Err(Unfit::VideoCodec));
            recording.sound(time);
        }
        recording.finish();
        assert_eq!(recording.durations(), [0; 0]);
    }
    let other = second(|recording| {
        let refused = recording.video(500, b"\x90hvc1 configuration");
        assert_eq!(refused, Err(Unfit::VideoCodec));
        recording.video_header(500);
        recording.key(500);
    });
    assert_eq!(other.durations(), [500], "what was before it is void");
}

#[test]
fn other_audio_is_left_out() {
    for payload in [&b"\x90Opus head"[..], b"\x5fnellymoser", b"\xb0speex"] {
        let recording = second(|recording| {
            assert_eq!(recording.audio(500, payload), Err(Unfit::AudioCodec));
        });
        assert_eq!(recording.durations(), [1000]);
        assert_eq!(recording.segments[0].audio_frames(), 50);
    }
}

/// Sequence headers of video.
const VIDEO_HEADERS: &[(&[u8], &str)] = &[
    (b"", "nothing"),
    (b"\x01\x64\x00\x1f\xff\xe0\x00", "no parameter set"),
    (
        b"\x01\x64\x00\x1f\xff\xe1\xff\xff\x67",
        "a length past the end",
    ),
    (
        b"\x01\x64\x00\x1f\xfe\xe1\x00\x01\x67\x00",
        "lengths of 3 bytes",
    ),
    (b"\0\0\0\x01\x67", "start codes"),
];

#[test]
fn a_video_header_without_sense_voids_the_segment_until_one_makes_sense() {
    for (body, name) in VIDEO_HEADERS {
        let recording = second(|recording| {
            let payload = [b"\x17\0\0\0\0", *body].concat();
            assert_eq!(
                recording.video(500, &payload),
                Err(Unfit::VideoHeader),
                "{name}"
            );
            let frame = recording.video(500, &picture(true, 0, b"picture"));
            assert_eq!(frame, Err(Unfit::Frame), "{name}");
            recording.video_header(500);
        });
        assert_eq!(recording.durations(), [500], "{name}");
        assert_eq!(recording.segments[0].times(AVC)[0], 500 * 90, "{name}");
    }
}

/// Sequence headers of audio.
const AUDIO_HEADERS: &[(&[u8], &str)] = &[
    (b"", "nothing"),
    (b"\xff\xff\xff\xff", "object type of an escape"),
    (b"\x16\x90", "reserved index of a sample rate"),
    (b"\x12\x00", "no channels"),
];

#[test]
fn an_audio_header_without_sense_ends_the_audio_and_leaves_the_video() {
    for (body, name) in AUDIO_HEADERS {
        let mut recording = second(|recording| {
            let payload = [b"\xaf\0", *body].concat();
            assert_eq!(
                recording.audio(500, &payload),
                Err(Unfit::AudioHeader),
                "{name}"
            );
            let frame = recording.audio(500, b"\xaf\x01sound");
            assert_eq!(frame, Err(Unfit::Frame), "{name}");
            recording.pictures(500..3000, 500);
            recording.finish();
            recording.audio_header(3000);
        });
        let streams = |at: usize| recording.segments[at].demuxed.streams.len();
        assert_eq!(recording.durations()[..3], [1000; 3], "{name}");
        assert_eq!((streams(0), streams(1), streams(2)), (2, 1, 1), "{name}");
        assert_eq!(recording.discontinuities()[..1], [1], "{name}");
        recording.finish();
    }
}

/// Video and audio messages that are left out.
const FRAMES: &[(u8, &[u8], &str)] = &[
    (9, b"", "nothing"),
    (9, b"\x27", "a byte of video"),
    (9, b"\x27\x01\0\0", "no composition time"),
    (9, b"\x27\x01\0\0\0", "no unit"),
    (9, b"\x27\x01\0\0\0\0\0\0\0", "an empty unit"),
    (
        9,
        b"\x27\x01\0\0\0\0\0\0\x09\x41picture",
        "a unit past the end",
    ),
    (9, b"\x27\x01\0\0\0\0\0\0\x01\x41picture", "start codes"),
    (8, b"", "nothing"),
    (8, b"\xaf", "a byte of audio"),
    (8, b"\xaf\x01", "no frame"),
    (8, b"\x2f\xff\xfb", "a piece of MP3"),
];

#[test]
fn frames_without_sense_are_left_out() {
    for &(type_id, payload, name) in FRAMES {
        let recording = second(|recording| {
            let refused = match type_id {
                9 => recording.video(500, payload),
                _ => recording.audio(500, payload),
            };
            assert_eq!(refused, Err(Unfit::Frame), "{name}");
        });
        assert_eq!(recording.durations(), [1000], "{name}");
        assert_eq!(recording.segments[0].times(AVC).len(), 20, "{name}");
        assert_eq!(recording.segments[0].audio_frames(), 50, "{name}");
    }
    let mut early = Recording::new(1);
    assert_eq!(early.video(0, &picture(true, 0, b"a")), Err(Unfit::Frame));
    assert_eq!(early.audio(0, b"\xaf\x01sound"), Err(Unfit::Frame));
}

#[test]
fn an_end_of_sequence_is_nothing() {
    let recording = second(|recording| recording.video(500, b"\x17\x02\0\0\0").unwrap());
    assert_eq!(recording.durations(), [1000]);
}

#[test]
fn times_of_audio_are_those_of_the_first_frame_in_each_packet() {
    let recording = second(|_| {});
    let expected: Vec<u64> = (0..1000).step_by(60).map(|time| time * 90).collect();
    assert_eq!(recording.segments[0].times(AAC), expected);
}
