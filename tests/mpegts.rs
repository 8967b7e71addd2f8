//! MPEG-TS as the muxer writes it, read by a demuxer that shares no line with it, and by ffmpeg.
#![cfg(test)]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "an overflow in a test fails the test"
)]

mod support;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::Command;

use srs_lite::wire::aac::AudioSpecificConfig;
use srs_lite::wire::avc::Configuration;
use srs_lite::wire::mp3::{Header, Version};
use srs_lite::wire::mpegts::{AudioCodec, Muxer, VideoCodec};

use support::chunk::Message;
use support::media;
use support::temp::TempDir;
use support::ts::{self, Demuxer};

const AVC: Option<VideoCodec> = Some(VideoCodec::Avc);
const AAC: Option<AudioCodec> = Some(AudioCodec::Aac);

const MILLISECOND: u64 = 90;

/// What a segmenter does with AVC and AAC, without its rules: a segment from each keyframe to the
/// next.
fn segments(tags: &[Message]) -> Vec<Vec<u8>> {
    let mut muxer = Muxer::default();
    let (mut avc, mut aac) = (None, None);
    let mut segments: Vec<Vec<u8>> = Vec::new();
    for tag in tags {
        let dts = u64::from(tag.timestamp) * MILLISECOND;
        match (tag.type_id, &tag.payload[..]) {
            (9, [0x17, 0, _, _, _, record @ ..]) => {
                avc = Some(Configuration::decode(record).unwrap());
            }
            (8, [0xaf, 0, config @ ..]) => aac = Some(AudioSpecificConfig::decode(config).unwrap()),
            (9, [first, 1, a, b, c, frame @ ..]) => {
                let keyframe = *first == 0x17;
                if keyframe {
                    segments.push(Vec::new());
                    muxer.begin_segment(AVC, AAC, segments.last_mut().unwrap());
                }
                let delay = u64::from(u32::from_be_bytes([0, *a, *b, *c]));
                let mut unit = Vec::new();
                let avc: &Configuration = avc.as_ref().unwrap();
                let found = avc.annex_b(frame, keyframe, &mut unit).unwrap();
                assert_eq!(found.idr, keyframe);
                let out = segments.last_mut().unwrap();
                muxer.video(&unit, dts, dts + delay * MILLISECOND, keyframe, out);
            }
            (8, [0xaf, 1, frame @ ..]) => {
                let header = aac.unwrap().adts(frame.len()).unwrap();
                let frames = [&header, frame].concat();
                if let Some(out) = segments.last_mut() {
                    muxer.audio(&frames, dts, out);
                }
            }
            _ => {}
        }
    }
    segments
}

/// Type, PTS, DTS and payload of each frame of a file with AVC and AAC, headers left out.
fn frames(tags: &[Message]) -> Vec<(u8, u64, u64, Vec<Vec<u8>>)> {
    let mut frames = Vec::new();
    for tag in tags {
        let dts = u64::from(tag.timestamp) * 90;
        let payload = &tag.payload;
        if tag.type_id == 8 && payload[1] == 1 {
            frames.push((0x0f, dts, dts, vec![payload[2..].to_vec()]));
        }
        if tag.type_id == 9 && payload[1] == 1 {
            let mut rest = &payload[5..];
            let mut units = Vec::new();
            while let Some((length, tail)) = rest.split_first_chunk() {
                let (unit, tail) = tail.split_at(u32::from_be_bytes(*length) as usize);
                units.push(unit.to_vec());
                rest = tail;
            }
            let delay = u32::from_be_bytes([0, payload[2], payload[3], payload[4]]);
            frames.push((0x1b, dts + u64::from(delay) * 90, dts, units));
        }
    }
    frames
}

#[test]
fn frames_and_times_are_those_of_the_source() {
    let tags = media::flv_tags();
    let header = tags.iter().find(|tag| tag.type_id == 9).unwrap();
    let mut demuxer = Demuxer::default();
    let mut found = Vec::new();
    let segments = segments(&tags);
    assert_eq!(segments.len(), 5);
    for segment in &segments {
        let demuxed = demuxer.segment(segment);
        assert_eq!((demuxed.programs.len(), demuxed.pcr_pid), (1, 0x100));
        let video = demuxed.stream(0x1b).unwrap();
        for (index, unit) in video.units.iter().enumerate() {
            assert_eq!(unit.random_access, index == 0);
            let units = ts::nal_units(&unit.data);
            assert_eq!(units[0], [0x09, 0xf0]);
            let mut own = 1;
            if index == 0 {
                for set in [units[1], units[2]] {
                    let sent = header.payload.windows(set.len()).any(|bytes| bytes == set);
                    assert!(sent, "parameter sets are those of the sequence header");
                }
                assert_eq!([units[1][0] & 0x1f, units[2][0] & 0x1f], [7, 8]);
                own = 3;
            }
            let units = units[own..].iter().map(|unit| unit.to_vec()).collect();
            found.push((0x1b, unit.pts, unit.dts, units));
        }
        for unit in &demuxed.stream(0x0f).unwrap().units {
            for (header, frame) in ts::adts_frames(&unit.data) {
                assert_eq!(header[2], 0x50, "LC, 44.1 kHz");
                found.push((0x0f, unit.pts, unit.dts, vec![frame.to_vec()]));
            }
        }
    }
    let mut expected = frames(&tags);
    // Before the first keyframe there is no segment.
    let first = expected.iter().position(|frame| frame.0 == 0x1b).unwrap();
    expected.drain(..first);
    expected.sort();
    found.sort();
    assert!(expected.len() > 300 && found == expected);
}

/// What a program of ffmpeg says about a file: output, and messages, of which there should be none.
fn say(program: &str, file: &Path, arguments: &str) -> (String, String) {
    let output = Command::new(program)
        .args(["-v", "warning", "-i"])
        .arg(file)
        .args(arguments.split_whitespace())
        .output()
        .expect("needs ffmpeg");
    assert!(output.status.success());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

#[test]
fn ffmpeg_decodes_each_segment_and_all_of_them_without_a_word() {
    let directory = TempDir::new();
    let mut segments = segments(&media::flv_tags());
    segments.insert(0, segments.concat());
    for (index, segment) in segments.iter().enumerate() {
        let file = directory.path().join(format!("{index}.ts"));
        fs::write(&file, segment).unwrap();
        assert_eq!(
            say("ffmpeg", &file, "-f null -"),
            (String::new(), String::new())
        );
    }
    let pictures = |file: &Path| say("ffmpeg", file, "-map 0:v -fps_mode passthrough -f md5 -").0;
    let sound = |file: &Path| {
        say(
            "ffmpeg",
            file,
            "-map 0:a -c copy -bsf:a aac_adtstoasc -f md5 -",
        )
        .0
    };
    let (source, whole) = (media::flv(), directory.path().join("0.ts"));
    assert_eq!(pictures(&whole), pictures(&source));
    assert!(sound(&whole).starts_with("MD5="));
}

#[test]
fn mp3_is_announced_by_its_version_and_ffmpeg_agrees() {
    let directory = TempDir::new();
    for (rate, version, stream_type, samples) in [
        (44_100, Version::Mpeg1, 3, 1152),
        (22_050, Version::Mpeg2, 4, 576),
    ] {
        let tags = media::tags(&media::mp3_flv(rate));
        let frames: Vec<_> = tags.iter().filter(|tag| tag.type_id == 8).collect();
        let mut muxer = Muxer::default();
        let mut out = Vec::new();
        muxer.begin_segment(None, Some(AudioCodec::Mp3(version)), &mut out);
        for frame in &frames {
            let header = Header::decode(&frame.payload[1..]).unwrap();
            assert_eq!((header.version, header.sample_rate), (version, rate));
            assert_eq!(header.samples_per_frame(), samples);
            let pts = u64::from(frame.timestamp) * MILLISECOND;
            muxer.audio(&frame.payload[1..], pts, &mut out);
        }
        let demuxed = ts::demux(&out);
        assert_eq!((demuxed.streams.len(), demuxed.pcr_pid), (1, 0x101));
        let units = &demuxed.stream(stream_type).unwrap().units;
        let found = units.iter().map(|unit| (unit.pts, &unit.data[..]));
        let expected = frames
            .iter()
            .map(|frame| (u64::from(frame.timestamp) * 90, &frame.payload[1..]));
        assert!(found.eq(expected) && frames.len() > 50);

        let file = directory.path().join(format!("{rate}.ts"));
        fs::write(&file, &out).unwrap();
        assert_eq!(
            say("ffmpeg", &file, "-f null -"),
            (String::new(), String::new())
        );
        let entries = "-show_entries stream=codec_name,sample_rate -of csv=p=0";
        let (found, _) = say("ffprobe", &file, entries);
        assert!(found.contains(&format!("mp3,{rate}")), "{found}");
    }
}

#[test]
fn payloads_of_every_length_come_back() {
    let mut muxer = Muxer::default();
    let mut demuxer = Demuxer::default();
    let around = |length: usize| length - 2..length + 3;
    let limits = [(1 << 16) - 8, (1 << 16) - 13, 1 << 16, 1 << 17].map(around);
    for length in (1..600).chain(limits.into_iter().flatten()) {
        let payload: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
        let time = length as u64 * 40 * MILLISECOND;
        let mut out = Vec::new();
        muxer.begin_segment(AVC, AAC, &mut out);
        muxer.discontinuity();
        muxer.video(
            &payload,
            time,
            time + (length as u64 & 1),
            length & 2 == 0,
            &mut out,
        );
        muxer.audio(&payload, time, &mut out);
        if length < 600 {
            // Headers of 14 bytes, a DTS, the clock: no packet more than needed.
            let video = (8 + 14 + 5 * (length & 1) + length).div_ceil(184);
            let audio = (14 + length).div_ceil(184);
            assert_eq!(out.len(), (2 + video + audio) * 188, "{length} bytes");
        }
        let demuxed = demuxer.segment(&out);
        for stream in &demuxed.streams {
            assert_eq!(stream.units.len(), 1);
            assert!(stream.units[0].data == payload, "{length} bytes");
            assert_eq!(stream.units[0].dts, time);
        }
        let video = &demuxed.streams[0].units[0];
        assert_eq!(video.pts, time + (length as u64 & 1));
        assert_eq!(video.random_access, length & 2 == 0);
    }
}

#[test]
fn a_program_has_the_streams_it_was_begun_with_and_no_others() {
    let mut muxer = Muxer::default();
    let mut demuxer = Demuxer::default();
    let mp3 = Some(AudioCodec::Mp3(Version::Mpeg1));
    let cases: [(_, _, &[u8], _); 7] = [
        (AVC, AAC, &[0x1b, 0x0f], 1),
        (AVC, AAC, &[0x1b, 0x0f], 1),
        (AVC, None, &[0x1b], 2),
        (None, AAC, &[0x0f], 3),
        (None, mp3, &[0x03], 4),
        (None, None, &[], 5),
        (AVC, mp3, &[0x1b, 0x03], 6),
    ];
    for (time, (video, audio, expected, version)) in (0..).zip(cases) {
        let mut out = Vec::new();
        muxer.begin_segment(video, audio, &mut out);
        muxer.audio(b"frame", time, &mut out);
        muxer.video(b"unit", time, time, true, &mut out);
        muxer.audio(b"", time, &mut out);
        muxer.video(b"", time, time, true, &mut out);
        let demuxed = demuxer.segment(&out);
        let types = demuxed.streams.iter().map(|stream| stream.stream_type);
        assert!(types.eq(expected.iter().copied()));
        assert!(demuxed.streams.iter().all(|stream| stream.units.len() == 1));
        assert_eq!(demuxed.version, version);
    }
}

/// A byte of the segment below, what is changed in it, and what that breaks.
const DAMAGES: &[(usize, u8, &str)] = &[
    (0, 0x01, "sync byte"),
    (1, 0x80, "transport error"),
    (5, 0x02, "table id"),
    (14, 0x01, "program number: CRC"),
    (187, 0x01, "stuffing of a table"),
    (188 + 18, 0x01, "stream type: CRC"),
    (2 * 188 + 2, 0x03, "PID that no table names"),
    (2 * 188 + 2, 0x01, "video on the PID of the audio"),
    (2 * 188 + 3, 0x40, "scrambled"),
    (2 * 188 + 4, 0x01, "length of the adaptation field"),
    (2 * 188 + 5, 0x02, "private data that is not there"),
    (2 * 188 + 5, 0x10, "no clock"),
    (2 * 188 + 10, 0x02, "reserved bits of the clock"),
    (2 * 188 + 14, 0x02, "start code"),
    (2 * 188 + 15, 0x20, "stream id"),
    (2 * 188 + 17, 0x01, "PES length"),
    (2 * 188 + 18, 0x40, "PES marker"),
    (2 * 188 + 19, 0x80, "DTS without PTS"),
    (2 * 188 + 21, 0x10, "PTS that says it is a DTS"),
    (2 * 188 + 21, 0x01, "mark of a PTS"),
    (2 * 188 + 28, 0x80, "DTS after the PTS"),
    (3 * 188 + 1, 0x40, "a unit that starts amid a unit"),
    (3 * 188 + 3, 0x01, "continuity counter"),
    (3 * 188 + 9, 0x01, "stuffing"),
];

#[test]
fn the_demuxer_takes_no_damaged_packet() {
    let mut whole = Vec::new();
    let mut muxer = Muxer::default();
    muxer.begin_segment(AVC, AAC, &mut whole);
    muxer.video(&[0x55; 200], 0, 40 * MILLISECOND, true, &mut whole);
    muxer.audio(&[0x55; 50], 0, &mut whole);
    assert_eq!(whole.len(), 5 * 188);
    ts::demux(&whole);
    for &(at, bits, name) in DAMAGES {
        let mut damaged = whole.clone();
        damaged[at] ^= bits;
        assert!(catch_unwind(|| ts::demux(&damaged)).is_err(), "{name}");
    }
    for lost in 0..4 {
        let mut damaged = whole.clone();
        damaged.drain(lost * 188..(lost + 1) * 188);
        assert!(
            catch_unwind(|| ts::demux(&damaged)).is_err(),
            "packet {lost}"
        );
    }
    let twice = catch_unwind(|| {
        let mut demuxer = Demuxer::default();
        [0, 1].map(|_| demuxer.segment(&whole))
    });
    assert!(twice.is_err(), "counters start again");
}
