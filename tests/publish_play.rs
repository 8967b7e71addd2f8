#![cfg(test)]
//! One publisher, some players: every message arrives, in order, bit for bit.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test fails the test"
)]

mod support;

use support::chunk::{Cut, Message, cut};
use support::media::{self, Kind};
use support::peer::{Player, Publisher, play, publish, publishing};
use support::server::Server;

/// A keyframe on message stream `stream`.
fn keyframe(number: u32, timestamp: u32, stream: u32) -> Message {
    Message {
        csid: 6,
        type_id: 9,
        timestamp,
        stream,
        payload: media::frame(Kind::Key, number, 1000),
    }
}

/// A player that has seen frame `number` of `publisher`, which has been its first.
fn player_at(server: &Server, name: &str, publisher: &mut Publisher, number: u32) -> Player {
    publisher.send_frame(Kind::Key, number, number, 100);
    let mut player = play(server.address(), "live", name);
    assert_eq!(player.frame().0, number);
    player
}

#[test]
fn the_opening_is_metadata_headers_and_the_current_group() {
    let server = Server::origin("");
    let mut publisher = publishing(server.address(), "opening");
    let next = publisher.send_group(1, 20);
    let next = publisher.send_group(next, 20);
    let mut first = play(server.address(), "live", "opening");
    first.frames_until(next - 1);

    let mut player = play(server.address(), "live", "opening");
    let mut types = Vec::new();
    let first_key = loop {
        let message = player.receive().unwrap();
        match media::number(&message) {
            Some(number) => break number,
            None if message.type_id == 9 => assert_eq!(message.payload, media::AVC_HEADER),
            None if message.type_id == 8 => assert_eq!(message.payload, media::AAC_HEADER),
            None => {}
        }
        types.push(message.type_id);
    };
    assert_eq!(first_key, 22, "the second group's keyframe");
    assert_eq!(types.iter().filter(|&&id| id == 9).count(), 1);
    assert_eq!(types.iter().filter(|&&id| id == 8).count(), 1);
    let data = types.iter().rposition(|&id| id == 18).expect("no metadata");
    let header = types.iter().position(|&id| id > 7 && id < 10).unwrap();
    assert!(data < header, "{types:?}");
    let codes: Vec<_> = player
        .told
        .iter()
        .map(|status| status.code.as_str())
        .collect();
    assert_eq!(codes, ["NetStream.Play.Reset", "NetStream.Play.Start"]);
    server.stop();
}

#[test]
fn without_gop_cache_a_player_starts_at_the_next_keyframe() {
    let server = Server::origin("[play]\ngop_cache = false");
    let mut publisher = publishing(server.address(), "uncached");
    publisher.send_frame(Kind::Key, 1, 0, 100);
    publisher.send_frame(Kind::Inter, 2, 40, 100);
    publisher.await_read();
    let mut player = play(server.address(), "live", "uncached");
    // The sequence header tells that the player has its place in the fan-out.
    while player.media().payload != media::AVC_HEADER {}
    publisher.send_frame(Kind::Inter, 3, 80, 100);
    publisher.send_frame(Kind::Key, 4, 120, 100);
    publisher.send_frame(Kind::Inter, 5, 160, 100);
    assert_eq!(player.frames_until(5), 4);
}

/// 200 new streams, each joined at the moment its publisher is told yes.
#[test]
fn no_join_of_a_new_stream_is_lost() {
    let server = Server::origin("");
    let address = server.address();
    for index in 0..200 {
        let name = format!("new{index}");
        let mut player = Player::open(address, "live", None);
        let mut publisher = publish(address, "live", &name).unwrap();
        player.play(&name);
        publisher.send_headers(0);
        publisher.send_group(1, 3);
        assert_eq!(player.frames_until(4), 1, "{name}");
    }
}

/// An edge of SRS asks so, if an HTTP-FLV player is its first.
#[test]
fn a_stream_can_be_asked_for_as_its_file() {
    let server = Server::origin("");
    let mut publisher = publishing(server.address(), "name");
    let mut player = player_at(&server, "name.flv?token=1", &mut publisher, 1);
    publisher.send_frame(Kind::Audio, 2, 2, 100);
    assert_eq!(player.frame().0, 2);
    assert!(publish(server.address(), "live", "name.flv").is_err());
    server.wait_log("plays live/name");
}

/// 50 players get the last frame, though the publisher leaves right behind it.
#[test]
fn the_last_frame_before_unpublish_reaches_every_player() {
    for more in ["", "[play]\nmw_latency = 350"] {
        let server = Server::origin(more);
        let mut publisher = publishing(server.address(), "last");
        let mut players: Vec<_> = (0..49)
            .map(|_| play(server.address(), "live", "last"))
            .collect();
        players.push(player_at(&server, "last", &mut publisher, 0));
        for player in &mut players[..49] {
            assert_eq!(player.frame().0, 0);
        }
        publisher.send_group(1, 50);
        publisher.unpublish();
        for player in &mut players {
            assert_eq!(player.frames_until(51), 1);
        }
    }
}

/// Across 0xFFFFFF, 2^31 and 2^32, with every chunk stream id form and header type, with and
/// without the extended timestamp on type 3.
#[test]
fn timestamps_pass_every_limit() {
    let server = Server::origin("");
    let mut case = 0;
    for (basic, csid) in [(1, 6), (2, 6 + 64), (3, 6 + 64), (3, 65_599)] {
        for repeat_extended in [true, false] {
            for start in [0xFF_FFFF_u32, 1 << 31, 0] {
                case += 1;
                let name = format!("time{case}");
                let how = Cut {
                    basic,
                    repeat_extended,
                    ..Cut::plain(128)
                };
                let shape = (csid, start.wrapping_sub(60));
                timestamps(&server, &name, shape, how);
            }
        }
    }
}

/// Ten frames from `start`, 20 ms apart: type 0, then deltas by types 1, 2 and 3.
fn timestamps(server: &Server, name: &str, (csid, start): (u32, u32), how: Cut) {
    let mut publisher = publishing(server.address(), name);
    publisher.connection.set_chunk_size(128);
    let mut player = play(server.address(), "live", name);
    let formats = [0, 1, 2, 3, 0, 0, 0, 1, 2, 2];
    for (number, format) in (0..).zip(formats) {
        let timestamp = start.wrapping_add(number * 20);
        let message = Message {
            csid,
            ..keyframe(number, timestamp, publisher.stream)
        };
        let how = Cut {
            format,
            delta: 20,
            ..how
        };
        let chunks = cut(&message, how).concat();
        publisher.connection.send_raw(&chunks).unwrap();
        let (got, message) = player.frame();
        assert_eq!(
            (got, message.timestamp),
            (number, timestamp),
            "{name}: {how:?}"
        );
    }
}

/// A delta of its own beyond 0xFFFFFF, by type 1, whose extension type 3 repeats.
#[test]
fn a_delta_may_be_extended() {
    let server = Server::origin("");
    let mut publisher = publishing(server.address(), "delta");
    let mut player = player_at(&server, "delta", &mut publisher, 0);
    for (number, timestamp) in [(1, 1000), (2, 1000 + 0x100_0000)] {
        let message = keyframe(number, timestamp, publisher.stream);
        let how = Cut {
            format: u8::from(number == 2),
            delta: 0x100_0000,
            ..Cut::plain(4096)
        };
        publisher
            .connection
            .send_raw(&cut(&message, how).concat())
            .unwrap();
        let (got, message) = player.frame();
        assert_eq!((got, message.timestamp), (number, timestamp));
    }
}

/// Audio on its own chunk stream between the chunks of a large video message.
#[test]
fn audio_interleaves_with_a_large_video_message() {
    let server = Server::origin("");
    let mut publisher = publishing(server.address(), "mixed");
    let mut player = player_at(&server, "mixed", &mut publisher, 0);
    let stream = publisher.stream;
    let video = Message {
        payload: media::frame(Kind::Key, 11, 100_000),
        ..keyframe(11, 500, stream)
    };
    let mut bytes = Vec::new();
    let mut next = 1;
    for (index, chunk) in cut(&video, Cut::plain(4096)).into_iter().enumerate() {
        bytes.extend(chunk);
        if index % 2 == 0 && next <= 10 {
            let audio = Message {
                csid: 300,
                type_id: 8,
                timestamp: 400 + next,
                stream,
                payload: media::frame(Kind::Audio, next, 300),
            };
            let how = Cut {
                basic: 2,
                ..Cut::plain(4096)
            };
            bytes.extend(cut(&audio, how).concat());
            next += 1;
        }
    }
    publisher.connection.send_raw(&bytes).unwrap();
    assert_eq!(
        player.frames_until(11),
        1,
        "the audio came first, as it was complete first"
    );
}

/// Keyframes of 4 Mbit, cut as small as it is allowed and as large as it makes sense; with extended
/// timestamps, which every chunk must repeat.
#[test]
fn large_keyframes_are_relayed_bit_for_bit() {
    let server = Server::origin("");
    for chunk_size in [128, 4096, 60_000, 0x7FFF_FFFF] {
        let name = format!("large{chunk_size}");
        let mut publisher = publishing(server.address(), &name);
        publisher.connection.set_chunk_size(chunk_size);
        let mut player = player_at(&server, &name, &mut publisher, 0);
        for number in 1..4 {
            publisher.send_frame(Kind::Key, number, 0xFF_FF00 + number * 400, 512 * 1024);
            let (got, message) = player.frame();
            assert_eq!((got, message.timestamp), (number, 0xFF_FF00 + number * 400));
        }
    }
}

/// A real encoder's stream: what goes in comes out, message for message.
#[test]
fn a_recorded_stream_is_relayed_unchanged() {
    let server = Server::origin("");
    let mut publisher = publish(server.address(), "live", "recorded").unwrap();
    let tags = media::flv_tags();
    let (first, rest) = tags.split_at(30);
    for tag in first {
        publisher.send(tag.type_id, tag.timestamp, &tag.payload);
    }
    let mut player = play(server.address(), "live", "recorded");
    let mut got = Vec::new();
    for (index, tag) in first.iter().chain(rest).enumerate() {
        if index >= first.len() {
            publisher.send(tag.type_id, tag.timestamp, &tag.payload);
        }
        if tag.is_media() {
            got.push(player.media());
        }
    }
    let expected = tags.iter().filter(|tag| tag.is_media());
    // Only the headers may change their place: the opening puts video before audio.
    got[..2].sort_by_key(|message| 10 - message.type_id);
    for (got, expected) in got.iter().zip(expected) {
        let wanted = (expected.type_id, expected.timestamp);
        assert_eq!((got.type_id, got.timestamp), wanted);
        assert!(got.payload == expected.payload, "changed at {wanted:?}");
    }
}
