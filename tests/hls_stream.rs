#![cfg(test)]
//! What is published comes out of HLS bit for bit, with the same times, and every player can read it.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "an overflow in a test fails the test"
)]

mod support;

use std::fs;
use std::io::{Write, stderr};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use support::chunk::Message;
use support::hls::{Playlist, Seen, Watch, await_playlist, config};
use support::media;
use support::peer::{Publisher, publish};
use support::segments::{AAC, AVC, picture};
use support::server::Server;
use support::temp::TempDir;
use support::ts::{Demuxer, Unit, adts_frames, nal_units};

/// Publishes messages, several times as fast as real time.
fn send(publisher: &mut Publisher, messages: &[Message]) {
    for message in messages {
        publisher.send(message.type_id, message.timestamp, &message.payload);
        thread::sleep(Duration::from_millis(1));
    }
}

/// Publishes messages with `fragment` seconds, and watches until the end.
fn record(directory: &Path, fragment: u32, messages: &[Message]) -> Seen {
    let hls = format!("hls_fragment = {fragment}\nhls_window = 600");
    let server = Server::start(&config(directory, &hls));
    let watch = Watch::new(directory, "a");
    let mut publisher = publish(server.address(), "live", "a").unwrap();
    send(&mut publisher, messages);
    publisher.unpublish();
    server.stop();
    watch.seen()
}

/// Whether ffmpeg decodes a stream that has ended without a message; segment by segment if times
/// jump, about which it has something to say.
fn assert_decodes(directory: &Path, name: &str) {
    let live = directory.join("live");
    let playlist = Playlist::of(directory, "a").unwrap();
    if playlist.discontinuities() > 0 {
        for entry in playlist.entries {
            assert_silent(&live.join(entry.uri), name);
        }
        return;
    }
    let text = fs::read_to_string(live.join("a.m3u8")).unwrap();
    let ended = live.join("ended.m3u8");
    fs::write(&ended, text + "#EXT-X-ENDLIST\n").unwrap();
    assert_silent(&ended, name);
}

fn assert_silent(file: &Path, name: &str) {
    for arguments in [
        "ffmpeg -nostdin -v error -xerror -i FILE -f null -",
        "ffprobe -v error -count_packets -i FILE",
    ] {
        let mut words = arguments.split(' ').map(|word| match word {
            "FILE" => file.to_str().unwrap(),
            word => word,
        });
        let output = Command::new(words.next().unwrap()).args(words).output();
        let output = output.expect("needs ffmpeg");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{name}: {said}");
    }
}

/// The access units of video, and the packets of audio, of all segments.
fn units(seen: &Seen) -> [Vec<Unit>; 2] {
    let mut demuxer = Demuxer::default();
    let mut units = [const { Vec::new() }; 2];
    for segment in seen.segments.values() {
        let demuxed = demuxer.segment(segment);
        for (all, stream_type) in units.iter_mut().zip([AVC, AAC]) {
            let stream = demuxed.stream(stream_type).into_iter();
            all.extend(stream.flat_map(|stream| stream.units.clone()));
        }
    }
    units
}

#[test]
fn frames_and_times_are_those_of_the_source() {
    let directory = TempDir::new();
    let tags = media::tags(&media::long_flv());
    let seen = record(directory.path(), 2, &tags);
    let last = seen.playlists.last().unwrap();
    assert_eq!((last.target, last.discontinuities()), (2, 0));
    assert!(last.entries.len() >= 15, "{} segments", last.entries.len());
    assert_decodes(directory.path(), "the sample");

    let [pictures, packets] = units(&seen);
    let source = tags
        .iter()
        .filter(|tag| tag.type_id == 9 && tag.payload[1] == 1);
    let source: Vec<&Message> = source.collect();
    assert_eq!(pictures.len(), source.len(), "pictures");
    for (unit, tag) in pictures.iter().zip(source) {
        let offset = i32::from_be_bytes([0, tag.payload[2], tag.payload[3], tag.payload[4]]);
        let dts = u64::from(tag.timestamp) * 90;
        assert_eq!((unit.dts, unit.pts), (dts, dts + offset as u64 * 90));
        assert_eq!(unit.random_access, tag.payload[0] == 0x17);
        // Before the source's own: a delimiter, and in keyframes two parameter sets.
        let added = if unit.random_access { 3 } else { 1 };
        let units = nal_units(&unit.data);
        assert!(
            units[added..]
                .iter()
                .copied()
                .eq(flv_units(&tag.payload[5..]))
        );
    }
    let source = tags
        .iter()
        .filter(|tag| tag.type_id == 8 && tag.payload[1] == 1);
    let mut source = source.peekable();
    for packet in &packets {
        let time = u64::from(source.peek().unwrap().timestamp) * 90;
        assert_eq!(packet.pts, time);
        for (_, frame) in adts_frames(&packet.data) {
            assert_eq!(frame, &source.next().unwrap().payload[2..]);
        }
    }
    assert_eq!(source.next(), None, "audio frames are lost");
}

/// The NAL units of a frame in FLV.
fn flv_units(mut frame: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        let (length, rest) = frame.split_first_chunk()?;
        let (unit, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        frame = rest;
        Some(unit)
    })
}

/// What is published, with a fragment of 2 s; then the target, and how many breaks there are.
fn variants() -> Vec<(&'static str, Vec<Message>, u32, usize)> {
    let sample = media::flv_tags();
    let only = |type_id| {
        let tags = sample.iter().filter(move |tag| tag.type_id == type_id);
        tags.cloned().collect::<Vec<_>>()
    };
    let shifted = |tags: &[Message], by: u32| {
        let mut tags = tags.to_vec();
        for tag in &mut tags {
            tag.timestamp += by;
        }
        tags
    };
    let long_group = media::tags(&media::made(
        "group-10.flv",
        "-f lavfi -i testsrc2=size=320x180:rate=25 -t 21 -c:v libx264 -preset veryfast -g 250 \
         -sc_threshold 0 -pix_fmt yuv420p",
    ));
    let smaller = media::tags(&media::made(
        "smaller.flv",
        "-f lavfi -i testsrc2=size=160x90:rate=25 -f lavfi -i sine=sample_rate=44100 -t 5 \
         -c:v libx264 -preset veryfast -g 25 -pix_fmt yuv420p -c:a aac",
    ));
    let hour = 3_600_000;
    let jumping = [
        shifted(&sample, 0),
        shifted(&sample, hour),
        shifted(&sample, 0),
    ];
    vec![
        ("a group of 10 s", long_group, 10, 0),
        ("MP3", media::tags(&media::mp3_flv(44_100)), 2, 0),
        ("audio only", only(8), 2, 0),
        ("video only", only(9), 2, 0),
        (
            "other parameter sets",
            [sample.clone(), shifted(&smaller, 5000)].concat(),
            2,
            1,
        ),
        ("an hour on and back", jumping.concat(), 2, 2),
    ]
}

#[test]
fn every_kind_of_stream_has_valid_playlists_and_decodes() {
    let variants = variants();
    thread::scope(|scope| {
        for (name, messages, target, breaks) in &variants {
            scope.spawn(move || {
                let directory = TempDir::new();
                let seen = record(directory.path(), 2, messages);
                let last = seen
                    .playlists
                    .last()
                    .unwrap_or_else(|| panic!("{name}: nothing"));
                assert_eq!(last.target, *target, "{name}");
                assert_eq!(last.discontinuities(), *breaks, "{name}: {last:?}");
                let end = messages.last().unwrap().timestamp;
                assert!(
                    *breaks == 2 || last.duration() + 2000 >= end,
                    "{name}: {last:?}"
                );
                assert_decodes(directory.path(), name);
            });
        }
    });
}

#[test]
fn the_first_playlist_is_there_half_a_second_after_the_fragment() {
    let directory = TempDir::new();
    let server = Server::start(&config(directory.path(), "hls_fragment = 2"));
    let mut publisher = publish(server.address(), "live", "a").unwrap();
    publisher.send_headers(0);
    let begun = Instant::now();
    let real_time = thread::Builder::new().spawn(move || {
        for time in (0..2501).step_by(50) {
            let due = begun + Duration::from_millis(time.into());
            thread::sleep(due.saturating_duration_since(Instant::now()));
            publisher.send(9, time, &picture(time.is_multiple_of(1000), 0, &[1; 100]));
            publisher.send(8, time, b"\xaf\x01sound");
        }
        publisher
    });
    let playlist = await_playlist(directory.path(), "a", "a playlist", |_| true);
    let taken = begun.elapsed();
    assert_eq!(playlist.entries[0].milliseconds, 2000);
    writeln!(stderr(), "first playlist of 2 s after {taken:?}").unwrap();
    assert!(taken < Duration::from_millis(2500), "{taken:?}");
    drop(real_time.unwrap().join().unwrap());
}

#[test]
fn what_cannot_be_in_a_segment_is_said_once_and_live_play_goes_on() {
    let directory = TempDir::new();
    let server = Server::start(&config(directory.path(), "hls_fragment = 1"));
    let mut publisher = publish(server.address(), "live", "hevc").unwrap();
    let mut player = support::peer::play(server.address(), "live", "hevc");
    server.wait_log("plays live/hevc");
    for time in (0..4000).step_by(40) {
        publisher.send(9, time, b"\x91hvc1\0\0\0 key");
        assert_eq!(player.media().timestamp, time);
    }
    publisher.unpublish();
    server.wait_log("live/hevc: its video is not H.264: no HLS");
    assert_eq!(server.count_log("[WARN]"), 1);
    assert_eq!(Playlist::of(directory.path(), "hevc"), None);
    server.stop();
}
