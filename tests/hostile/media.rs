//! Rows M3 to M6: media that no encoder sends.

use std::fs::{self, File};
use std::path::Path;

use crate::support::bystander::Bystander;
use crate::support::eventually;
use crate::support::hls::{self, Playlist};
use crate::support::media::{AAC_HEADER, AVC_HEADER, Kind};
use crate::support::peer::{Player, Publisher, play, publish};
use crate::support::segments::{AAC, AVC, picture};
use crate::support::server::Server;
use crate::support::temp::TempDir;
use crate::support::ts::{adts_frames, demux};

pub(super) const HLS: &str = "hls_fragment = 1\nhls_window = 30";

/// A server that writes HLS, and a stream beside the one that is attacked.
pub(super) fn recording(directory: &Path) -> Bystander {
    Bystander::on(Server::start(&hls::config(directory, HLS)))
}

/// A stream that is attacked, and a player that sees what becomes of it.
pub(super) struct Victim {
    name: String,
    pub(super) publisher: Publisher,
    pub(super) player: Player,
}

impl Victim {
    /// Nothing is sent yet.
    pub(super) fn new(server: &Server, name: &str) -> Self {
        let publisher = publish(server.address(), "live", name).unwrap();
        let player = play(server.address(), "live", name);
        server.wait_log(&format!(": plays live/{name}"));
        Self {
            name: name.to_owned(),
            publisher,
            player,
        }
    }

    /// Sends a message that the player must get as it is.
    pub(super) fn pass(&mut self, type_id: u8, time: u32, payload: &[u8]) {
        self.publisher.send(type_id, time, payload);
        let got = self.player.media();
        assert_eq!((got.type_id, got.timestamp), (type_id, time));
        assert!(got.payload == payload, "it was changed");
    }

    /// Ends it.
    pub(super) fn end(self) {
        self.publisher.unpublish();
    }

    /// Ends it; its playlist, if there is one, when its files are let go.
    pub(super) fn recorded(self, directory: &Path) -> Option<Playlist> {
        let name = self.name.clone();
        self.end();
        let lock = directory.join(format!("live/.{name}.lock"));
        eventually("its files are let go", || {
            File::open(&lock).unwrap().try_lock().is_ok()
        });
        Playlist::of(directory, &name)
    }
}

#[test]
fn m3_no_keyframe_no_audio_no_video() {
    let directory = TempDir::new();
    let bystander = recording(directory.path());
    let server = &bystander.server;
    // No picture that a decoder could begin with: players get the sound.
    let mut victim = Victim::new(server, "no_key");
    victim.publisher.send_headers(0);
    for time in (0..4000).step_by(40) {
        victim
            .publisher
            .send(9, time, &picture(false, 0, &[1; 1000]));
        victim.publisher.send(8, time, b"\xaf\x01sound");
    }
    victim.publisher.send(8, 4000, b"\xaf\x01end");
    let mut pictures = 0;
    loop {
        let message = victim.player.media();
        pictures += u32::from(message.type_id == 9 && message.payload[1] == 1);
        if message.payload == b"\xaf\x01end" {
            break;
        }
    }
    assert_eq!(pictures, 0);
    assert_eq!(victim.recorded(directory.path()), None);

    for (name, type_id, payload) in [
        ("sound", 8, b"\xaf\x01sound".to_vec()),
        ("pictures", 9, picture(true, 0, &[1; 1000])),
    ] {
        let mut victim = Victim::new(server, name);
        let header: &[u8] = if type_id == 8 {
            &AAC_HEADER
        } else {
            &AVC_HEADER
        };
        victim.pass(type_id, 0, header);
        for time in (0..4001).step_by(40) {
            victim.pass(type_id, time, &payload);
        }
        let playlist = victim.recorded(directory.path()).unwrap();
        assert!(
            (4..=5).contains(&playlist.entries.len()),
            "{name}: {playlist:?}"
        );
    }
    bystander.end(
        "M3 | no keyframe; sound only; pictures only | no picture without a keyframe; cut on time",
    );
}

#[test]
fn m3_a_group_without_end() {
    let directory = TempDir::new();
    let bystander = recording(directory.path()).keeping(32 * 1024);
    let server = &bystander.server;
    let mut victim = Victim::new(server, "endless");
    victim.pass(9, 0, &AVC_HEADER);
    victim.pass(9, 0, &picture(true, 0, &[1; 100]));
    // 48 MiB, in nearly a minute of it.
    let frame = picture(false, 0, &[2; 40_000]);
    for index in 1..1200 {
        victim.pass(9, index * 40, &frame);
    }
    // What is kept of it, as it came and as it is sent.
    let peak = bystander.peak();
    assert!(peak < 48 * 1024, "{peak} KiB");
    // Who comes now begins with the next keyframe.
    let mut late = play(server.address(), "live", "endless");
    server.wait_log_times(": plays live/endless", 2);
    let key = picture(true, 0, &[3; 100]);
    victim.pass(9, 48_000, &frame);
    victim.pass(9, 48_040, &key);
    assert_eq!(late.media().payload, AVC_HEADER);
    assert_eq!(late.media().payload, key);
    drop(late);
    let most = victim.recorded(directory.path()).unwrap().target;
    bystander.end(&format!(
        "M3 | a group of 48 s, 46 MiB | RSS +{peak} KiB at most; segments of up to {most} s"
    ));
}

/// Sequence headers that make no sense, after the bytes of their tags.
const BAD_VIDEO: &[(&str, &[u8])] = &[
    ("empty", b""),
    (
        "version 0",
        b"\0\x64\0\x1f\xff\xe1\0\x04\x67\x64\0\x1f\x01\0\0",
    ),
    (
        "lengths of 3 bytes",
        b"\x01\x64\0\x1f\xfe\xe1\0\x04\x67\x64\0\x1f\x01\0\0",
    ),
    ("no parameter set", b"\x01\x64\0\x1f\xff\xe0\0"),
    (
        "a set past the end",
        b"\x01\x64\0\x1f\xff\xe1\xff\xff\x67\x64\0\x1f\x01\0\0",
    ),
    (
        "31 sets of one",
        b"\x01\x64\0\x1f\xff\xff\0\x04\x67\x64\0\x1f",
    ),
    (
        "another unit for a set",
        b"\x01\x64\0\x1f\xff\xe1\0\x04\x65\x64\0\x1f\x01\0\0",
    ),
];
const BAD_AUDIO: &[(&str, &[u8])] = &[
    ("empty", b""),
    ("object type 31", b"\xf8"),
    ("object type 42", b"\xf9\x48\x40"),
    ("reserved frequency", b"\x16\x90"),
    ("frequency past the end", b"\x17\x80"),
    ("no channels", b"\x12\0"),
];

#[test]
fn m4_sequence_headers_that_make_no_sense() {
    let directory = TempDir::new();
    let bystander = recording(directory.path());
    let server = &bystander.server;
    let check = |name: &str, video: &[u8], audio: &[u8], says: &str, types: &[u8]| {
        let mut victim = Victim::new(server, name);
        victim.pass(9, 0, video);
        victim.pass(8, 0, audio);
        for time in (0..3000).step_by(40) {
            let key = time % 1000 == 0;
            victim.pass(9, time, &picture(key, 0, &[1; 500]));
            victim.pass(8, time, b"\xaf\x01sound");
        }
        let playlist = victim.recorded(directory.path());
        server.wait_log(&format!("live/{name}: {says}"));
        assert_eq!(playlist.is_some(), !types.is_empty(), "{name}");
        for entry in playlist.into_iter().flat_map(|playlist| playlist.entries) {
            let segment = demux(&fs::read(directory.path().join("live").join(entry.uri)).unwrap());
            let found: Vec<u8> = segment
                .streams
                .iter()
                .map(|stream| stream.stream_type)
                .collect();
            assert_eq!(found, types, "{name}");
        }
    };
    for (index, (what, bad)) in BAD_VIDEO.iter().enumerate() {
        let video = [&AVC_HEADER[..5], bad].concat();
        let says = "its video sequence header makes no sense: no HLS";
        check(&format!("video{index}"), &video, &AAC_HEADER, says, &[]);
        assert_eq!(server.count_log(says), index + 1, "{what}: said once");
    }
    for (index, (what, bad)) in BAD_AUDIO.iter().enumerate() {
        let audio = [&AAC_HEADER[..2], bad].concat();
        let says = "its audio sequence header makes no sense: HLS goes without";
        check(&format!("audio{index}"), &AVC_HEADER, &audio, says, &[AVC]);
        assert_eq!(server.count_log(says), index + 1, "{what}: said once");
    }
    let count = BAD_VIDEO.len() + BAD_AUDIO.len();
    bystander.end(&format!(
        "M4 | {count} bad sequence headers | relayed as sent; HLS without the track"
    ));
}

/// Messages that no decoder can use, though each says that it is a frame.
const BAD_FRAMES: &[(u8, &[u8])] = &[
    (9, b"\x27\x01\0\0\0\0\0\xff\xff\x41bad"),
    (9, b"\x27\x01\0\0\0\xff\xff\xff\xff\x41bad"),
    (9, b"\x27\x01\0\0\0\0\0\0\0"),
    (9, b"\x27\x01\0\0\0\0\0"),
    (9, b"\x27\x01\0\0\0"),
    (
        9,
        b"\x17\x01\0\0\0\0\0\0\x01\x65\x88\x84bad\0\0\0\x01\x65bad",
    ),
    (
        9,
        b"\x17\x01\0\0\0\0\0\x01\x67\x64\0\0\x01\x68\0\0\x01\x65bad",
    ),
    (8, b"\xaf\x01"),
];

#[test]
fn m5_lengths_past_the_end_and_start_codes() {
    let directory = TempDir::new();
    let bystander = recording(directory.path());
    let server = &bystander.server;
    let too_long = [b"\xaf\x01".to_vec(), vec![1; 8192]].concat();
    let mut victim = Victim::new(server, "frames");
    victim.pass(9, 0, &AVC_HEADER);
    victim.pass(8, 0, &AAC_HEADER);
    let (mut pictures, mut sounds) = (0, 0);
    let bad = BAD_FRAMES.iter().copied().chain([(8, &too_long[..])]);
    for (index, (type_id, payload)) in bad.clone().cycle().take(90).enumerate() {
        let time = index as u32 * 40;
        victim.pass(9, time, &picture(index % 25 == 0, 0, &[1; 500]));
        victim.pass(type_id, time, payload);
        victim.pass(8, time, b"\xaf\x01sound");
        (pictures, sounds) = (pictures + 1, sounds + 1);
    }
    let playlist = victim.recorded(directory.path()).unwrap();
    for entry in playlist.entries {
        let segment = demux(&fs::read(directory.path().join("live").join(entry.uri)).unwrap());
        pictures -= segment.stream(AVC).unwrap().units.len();
        let units = &segment.stream(AAC).unwrap().units;
        sounds -= units
            .iter()
            .map(|unit| adts_frames(&unit.data).len())
            .sum::<usize>();
    }
    assert_eq!(
        (pictures, sounds),
        (0, 0),
        "others are missing, or too many"
    );
    let says = "live/frames: frames that make no sense are left out of HLS";
    assert_eq!(server.count_log(says), 1);
    let kinds = bad.count();
    bystander.end(&format!(
        "M5 | {kinds} kinds of bad frames, 90 in all | relayed; none of them in a segment"
    ));
}

#[test]
fn m6_messages_of_one_byte() {
    let bystander = Bystander::start("");
    let mut victim = Victim::new(&bystander.server, "short");
    let dropped: &[(u8, &[u8])] = &[
        (8, b""),
        (8, b"\xaf"),
        (8, b"\x90"),
        (9, b""),
        (9, b"\x17"),
        (9, b"\x27"),
        (9, b"\x17\0"),
        (9, b"\x17\x01\0\0"),
        (9, b"\x90"),
        (9, b"\x97"),
        (18, b""),
        (15, b"\0"),
    ];
    victim.publisher.send_headers(0);
    for number in 1..200 {
        for (type_id, payload) in dropped {
            victim.publisher.send(*type_id, number * 20, payload);
        }
        victim
            .publisher
            .send_frame(Kind::Key, number, number * 20, 100);
    }
    let mut headers = 0;
    for number in 1..200 {
        // The headers, and nothing else that is not a frame.
        let message = loop {
            let message = victim.player.media();
            if message.payload.len() == 100 {
                break message;
            }
            assert!(message.payload == AVC_HEADER || message.payload == AAC_HEADER);
            headers += 1;
        };
        assert_eq!(crate::support::media::number(&message), Some(number));
    }
    assert_eq!(headers, 2);
    // A sequence header that is only a tag is one, for all that a relay knows.
    victim.pass(9, 5000, b"\x17\0\0\0\0");
    victim.end();
    bystander.end(&format!(
        "M6 | {} kinds of short messages | dropped, the stream goes on",
        dropped.len()
    ));
}
