//! C12, C16 to C18: messages of all types, and on all streams.

use std::time::Duration;

use srs_lite::limits;

use crate::stage::{Stage, assert_ends, assert_goes_on, message, send_all, type_id, watched};
use crate::support::amf::{self, Value};
use crate::support::bystander::Bystander;
use crate::support::chunk::Message;
use crate::support::media::{self, Kind};

#[test]
fn c12_messages_without_a_body() {
    let bystander = Bystander::start("");
    let at = &bystander;
    // Without one, Set Chunk Size and Abort cannot be followed: C1, C11.
    let types = (0..=u8::MAX).filter(|id| ![type_id::SET_CHUNK_SIZE, type_id::ABORT].contains(id));
    let empty: Vec<_> = types.map(|id| message(id, b"")).collect();
    for stage in Stage::CONNECTED {
        assert_goes_on(at, stage, |peer| send_all(peer, &empty));
    }
    let (mut publisher, mut player) = watched(at);
    for type_id in [8, 9, 18, 22] {
        publisher.send(type_id, 20, b"");
    }
    publisher.send_frame(Kind::Inter, 2, 40, 100);
    assert_eq!(player.frame().0, 2);
    drop((publisher, player));
    bystander.end("C12 | empty messages of 254 types | ignored");
}
#[test]
fn c16_types_that_we_do_not_know() {
    let bystander = Bystander::start("");
    let at = &bystander;
    let known = [1, 2, 17, 20];
    for stage in Stage::CONNECTED {
        assert_goes_on(at, stage, |peer| {
            for type_id in (0..=u8::MAX).filter(|id| !known.contains(id)) {
                send_all(peer, &[message(type_id, &[0xA5; 200])]);
            }
        });
        // A command of AMF3 is one of AMF0 behind a byte.
        let command = amf::encode(&["_checkbw".into(), 9.0.into(), Value::Null]);
        assert_goes_on(at, stage, |peer| {
            let body = [&[0], &command[..]].concat();
            send_all(peer, &[message(type_id::COMMAND_AMF3, &body)]);
            peer.answer(9.0).unwrap();
        });
        assert_ends(at, stage, "malformed AMF0", |peer| {
            send_all(peer, &[message(type_id::COMMAND_AMF3, &command)]);
        });
    }
    let (mut publisher, mut player) = watched(at);
    publisher.send(
        type_id::DATA_AMF3,
        20,
        &[&[0], &media::metadata()[..]].concat(),
    );
    let metadata = loop {
        let message = player.receive().unwrap();
        if message.type_id == type_id::DATA {
            break amf::decode(&message.payload);
        }
    };
    assert_eq!(metadata[0].text(), "onMetaData");
    drop((publisher, player));
    bystander.end("C16 | 252 other message types, AMF3 | skipped; AMF3 is AMF0 behind a byte");
}

/// A message within an aggregate, with this timestamp, length and back pointer.
fn part(type_id: u8, time: u32, length: u32, body: &[u8], back: u32) -> Vec<u8> {
    let [high, rest @ ..] = time.to_be_bytes();
    let length = length.to_be_bytes();
    [
        &[type_id],
        &length[1..],
        &rest,
        &[high],
        &[0; 3],
        body,
        &back.to_be_bytes(),
    ]
    .concat()
}

/// A frame within an aggregate.
fn good(number: u32, time: u32) -> Vec<u8> {
    let frame = media::frame(Kind::Audio, number, 20);
    part(type_id::AUDIO, time, 20, &frame, 31)
}

#[test]
fn c17_aggregates() {
    let bystander = Bystander::start("");
    let (mut publisher, mut player) = watched(&bystander);
    let mut number = 2;
    // What is in it besides a good frame before, and one behind; whether that still counts.
    for (what, odd, goes_on) in [
        ("nothing", vec![], true),
        (
            "a wrong back pointer",
            part(type_id::UNKNOWN, 0, 4, b"junk", u32::MAX),
            true,
        ),
        (
            "a length past the end",
            part(type_id::AUDIO, 0, 0xFF_FFFF, b"junk", 15),
            false,
        ),
        (
            "another aggregate",
            part(type_id::AGGREGATE, 0, 35, &good(99, 0), 46),
            false,
        ),
        (
            "a message without a body",
            part(type_id::AUDIO, 0, 0, b"", 11),
            true,
        ),
        (
            "an audio message too short",
            part(type_id::AUDIO, 0, 1, &[0xAF], 12),
            true,
        ),
        ("a command", part(type_id::COMMAND, 0, 4, b"junk", 15), true),
    ] {
        let first = number;
        let payload = [good(number, 5000), odd, good(number + 1, 5020)].concat();
        publisher.send(type_id::AGGREGATE, 1000, &payload);
        number += if goes_on { 2 } else { 1 };
        publisher.send_frame(Kind::Inter, number, 1020, 100);
        assert_eq!(player.frames_until(number), first, "{what}");
        number += 1;
    }
    drop((publisher, player));
    bystander.end("C17 | aggregates: past the end, nested, bad pointers | taken up to the error");
}

#[test]
fn c17_times_and_numbers_of_aggregated_messages() {
    let bystander = Bystander::start("");
    let (mut publisher, mut player) = watched(&bystander);
    // Times before the first message are times before the aggregate.
    publisher.send(
        type_id::AGGREGATE,
        2000,
        &[good(2, 500), good(3, 480)].concat(),
    );
    let times = [(); 2].map(|()| player.frame().1.timestamp);
    assert_eq!(times, [2000, 1980]);
    // No more than so many are taken from one.
    let count = limits::MAX_AGGREGATE_MESSAGES as u32;
    let many: Vec<_> = (0..count + 100).map(|index| good(4 + index, 0)).collect();
    publisher.send(type_id::AGGREGATE, 2000, &many.concat());
    publisher.await_read();
    // These may be more than a player's queue holds.
    let mut last = 3;
    while let Ok(message) = player.receive_within(Duration::from_millis(500)) {
        if let Some(number) = media::number(&message) {
            assert!(number > last, "{number} after {last}");
            last = number;
        }
    }
    assert!((100..4 + count).contains(&last), "{last}");
    drop((publisher, player));
    bystander.end("C17 | 1,124 messages in an aggregate, times before its own | 1,024 are taken");
}

#[test]
fn c18_media_on_other_streams() {
    let bystander = Bystander::start("");
    let at = &bystander;
    let types = [
        type_id::AUDIO,
        type_id::VIDEO,
        type_id::DATA_AMF3,
        type_id::DATA,
        type_id::AGGREGATE,
    ];
    for stage in [Stage::Early, Stage::Idle, Stage::Playing] {
        let mut connection = stage.reach(at);
        for type_id in types {
            for stream in [0, 1, 2, u32::MAX] {
                let payload = media::frame(Kind::Key, 1, 200);
                let message = Message {
                    stream,
                    ..message(type_id, &payload)
                };
                connection.send(&message).unwrap();
            }
        }
        if stage == Stage::Early {
            connection.connect("live").unwrap();
        }
        bystander.assert_goes_on(&mut connection);
    }
    let (mut publisher, mut player) = watched(at);
    for stream in [0, 2, 7, 0x0100_0000, u32::MAX] {
        let own = publisher.stream;
        publisher.stream = stream;
        publisher.send_frame(Kind::Key, 9, 20, 100);
        publisher.send_frame(Kind::Audio, 9, 20, 100);
        publisher.stream = own;
    }
    publisher.send_frame(Kind::Inter, 2, 40, 100);
    assert_eq!(player.frame().0, 2);
    drop((publisher, player));
    bystander.end("C18 | media before publish, while playing, on 5 other streams | ignored");
}
