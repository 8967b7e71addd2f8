//! C13 to C19: messages about the connection, of other types, and on other streams.

use std::time::{Duration, Instant};

use srs_lite::limits;

use crate::stage::{Stage, assert_ends, assert_goes_on, message, send_all, watched};
use crate::support::amf::{self, Value};
use crate::support::bystander::Bystander;
use crate::support::chunk::{Cut, Message, cut};
use crate::support::connection::Connection;
use crate::support::media::{self, Kind};

const ACKNOWLEDGEMENT: u8 = 3;
const USER_CONTROL: u8 = 4;
const WINDOW_ACKNOWLEDGEMENT_SIZE: u8 = 5;
const SET_PEER_BANDWIDTH: u8 = 6;
const DATA_AMF3: u8 = 15;
const COMMAND_AMF3: u8 = 17;
const DATA: u8 = 18;
const AGGREGATE: u8 = 22;

/// Acknowledgements among what has come so far.
fn acknowledgements(connection: &Connection) -> Vec<u32> {
    let passed = connection.passed.iter();
    passed
        .filter(|message| message.type_id == ACKNOWLEDGEMENT)
        .map(|message| u32::from_be_bytes(*message.payload.first_chunk().unwrap()))
        .collect()
}

#[test]
fn c13_acknowledgement_windows() {
    let bystander = Bystander::start("");
    let at = &bystander;
    let mut most = 0;
    for window in [0_u32, 1, 2, 0x7FFF_FFFF, u32::MAX] {
        assert_goes_on(at, Stage::Publishing, |peer| {
            peer.send_control(WINDOW_ACKNOWLEDGEMENT_SIZE, &window.to_be_bytes());
            for _ in 0..1000 {
                send_all(peer, &[message(99, &[0; 1000])]);
            }
            let call = peer.call(0, "_checkbw", &[Value::Null]);
            peer.answer(call).unwrap();
            let count = acknowledgements(peer).len();
            assert!(
                count <= 1_100_000 / limits::MIN_ACK_WINDOW as usize,
                "{count}"
            );
            assert_eq!(count > 0, window < 1000, "window {window}");
            most = most.max(count);
        });
    }
    for stage in Stage::CONNECTED {
        assert_goes_on(at, stage, |peer| {
            for window in 0..20_000_u32 {
                peer.send_control(WINDOW_ACKNOWLEDGEMENT_SIZE, &window.to_be_bytes());
                peer.send_control(ACKNOWLEDGEMENT, &window.to_be_bytes());
            }
            for length in 0..4 {
                peer.send_control(WINDOW_ACKNOWLEDGEMENT_SIZE, &[0; 4][..length]);
                peer.send_control(ACKNOWLEDGEMENT, &[0; 4][..length]);
            }
        });
    }
    bystander.end(&format!(
        "C13 | windows 0, 1, 2^32-1, and 40,000 announcements | {most} acknowledgements for 1 MB"
    ));
}

#[test]
fn c14_more_bytes_than_a_sequence_number_counts() {
    let bystander = Bystander::start("");
    let mut peer = Stage::Publishing.reach(&bystander);
    let length = limits::MAX_MESSAGE_LENGTH;
    peer.set_chunk_size(length as u32);
    let junk = message(99, &vec![0; length]);
    // Only media keeps a publication alive.
    let media = Message {
        stream: 1,
        ..message(8, &media::frame(Kind::Audio, 1, 20))
    };
    let round = [junk, media].map(|message| cut(&message, Cut::plain(length)).concat());
    let round = round.concat();
    let begun = Instant::now();
    let mut seen = Vec::new();
    // 4 GiB and some.
    for number in 0..1032 {
        peer.send_raw(&round).unwrap();
        if number % 16 == 0 {
            let call = peer.call(0, "_checkbw", &[Value::Null]);
            peer.answer(call).unwrap();
            seen.extend(acknowledgements(&peer));
            peer.passed.clear();
        }
    }
    let took = begun.elapsed().as_secs_f64();
    let wraps = seen.windows(2).filter(|pair| pair[0] > pair[1]).count();
    assert_eq!(wraps, 1, "{seen:?}");
    assert!(seen.last().unwrap() < &(1 << 25), "{seen:?}");
    bystander.assert_goes_on(&mut peer);
    drop(peer);
    bystander.end(&format!(
        "C14 | 4.03 GiB on one connection | the sequence number wraps once; {took:.0} s"
    ));
}

#[test]
fn c15_peer_bandwidth() {
    let bystander = Bystander::start("");
    for stage in Stage::CONNECTED {
        assert_goes_on(&bystander, stage, |peer| {
            for limit_type in 0..=u8::MAX {
                for window in [0_u32, 1, u32::MAX] {
                    let body = [&window.to_be_bytes()[..], &[limit_type, 1]].concat();
                    for length in 1..=body.len() {
                        peer.send_control(SET_PEER_BANDWIDTH, &body[..length]);
                    }
                }
            }
        });
    }
    bystander.end("C15 | Set Peer Bandwidth, 256 limit types, 6 lengths | ignored");
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
            send_all(peer, &[message(COMMAND_AMF3, &body)]);
            peer.answer(9.0).unwrap();
        });
        assert_ends(at, stage, "malformed AMF0", |peer| {
            send_all(peer, &[message(COMMAND_AMF3, &command)]);
        });
    }
    let (mut publisher, mut player) = watched(at);
    publisher.send(DATA_AMF3, 20, &[&[0], &media::metadata()[..]].concat());
    let metadata = loop {
        let message = player.receive().unwrap();
        if message.type_id == DATA {
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

#[test]
fn c17_aggregates() {
    let bystander = Bystander::start("");
    let (mut publisher, mut player) = watched(&bystander);
    let audio = |number| media::frame(Kind::Audio, number, 20);
    let good = |number, time| part(8, time, 20, &audio(number), 31);
    let mut number = 2;
    // What is in it besides a good frame before, and one behind; whether that still counts.
    for (what, odd, goes_on) in [
        ("nothing", vec![], true),
        (
            "a wrong back pointer",
            part(99, 0, 4, b"junk", u32::MAX),
            true,
        ),
        (
            "a length past the end",
            part(8, 0, 0xFF_FFFF, b"junk", 15),
            false,
        ),
        (
            "another aggregate",
            part(AGGREGATE, 0, 35, &good(99, 0), 46),
            false,
        ),
        ("a message without a body", part(8, 0, 0, b"", 11), true),
        (
            "an audio message too short",
            part(8, 0, 1, &[0xAF], 12),
            true,
        ),
        ("a command", part(20, 0, 4, b"junk", 15), true),
    ] {
        let first = number;
        let payload = [good(number, 5000), odd, good(number + 1, 5020)].concat();
        publisher.send(AGGREGATE, 1000, &payload);
        number += if goes_on { 2 } else { 1 };
        publisher.send_frame(Kind::Inter, number, 1020, 100);
        assert_eq!(player.frames_until(number), first, "{what}");
        number += 1;
    }
    // Times before the first message are times before the aggregate.
    publisher.send(
        AGGREGATE,
        2000,
        &[good(number, 500), good(number + 1, 480)].concat(),
    );
    let times = [(); 2].map(|()| player.frame().1.timestamp);
    assert_eq!(times, [2000, 1980]);
    number += 2;
    // No more than so many are taken from one.
    let count = limits::MAX_AGGREGATE_MESSAGES as u32;
    let many: Vec<_> = (0..count + 100)
        .map(|index| good(number + index, 0))
        .collect();
    publisher.send(AGGREGATE, 2000, &many.concat());
    publisher.send_frame(Kind::Key, number + count + 100, 2000, 100);
    // These are more than a player's queue holds.
    let mut last = number - 1;
    loop {
        let (next, _) = player.frame();
        assert!(next > last, "{next} after {last}");
        if next == number + count + 100 {
            break;
        }
        last = next;
    }
    assert!((number + 100..number + count).contains(&last), "{last}");
    drop((publisher, player));
    bystander
        .end("C17 | aggregates: past the end, nested, wrong back pointers | taken up to the error");
}

#[test]
fn c18_media_on_other_streams() {
    let bystander = Bystander::start("");
    let at = &bystander;
    let types = [8, 9, DATA_AMF3, DATA, AGGREGATE];
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

/// Pings until one cannot be written within a second; how many.
fn flood(connection: &mut Connection, most: u32) -> u32 {
    let timeout = Some(Duration::from_secs(1));
    connection.socket().set_write_timeout(timeout).unwrap();
    let ping = |number: u32| {
        let body = [&[0, 6][..], &number.to_be_bytes()].concat();
        Message {
            csid: 2,
            ..message(USER_CONTROL, &body)
        }
    };
    for number in 0..most / 100 {
        let pings = (0..100).map(|_| cut(&ping(number), Cut::plain(128)).concat());
        if connection
            .send_raw(&pings.collect::<Vec<_>>().concat())
            .is_err()
        {
            return number * 100;
        }
    }
    most
}

#[test]
fn c19_user_control() {
    let bystander = Bystander::start("");
    let at = &bystander;
    for stage in Stage::CONNECTED {
        assert_goes_on(at, stage, |peer| {
            for event in (0..40).filter(|event| *event != 6).chain([0x100, 0xFFFF]) {
                let body = [&u16::to_be_bytes(event)[..], &[0xFF; 8]].concat();
                for length in 1..=body.len() {
                    peer.send_control(USER_CONTROL, &body[..length]);
                }
            }
            for length in 2..6 {
                peer.send_control(USER_CONTROL, &[0, 6, 0, 0, 0, 7][..length]);
            }
        });
    }
    // It need not read what it is told.
    assert_goes_on(at, Stage::Publishing, |peer| {
        assert_eq!(flood(peer, 50_000), 50_000);
        // When it does, what was not dropped for want of room is there.
        send_all(peer, &[message(99, &[0])]);
        while peer.receive_within(Duration::from_millis(500)).is_ok() {}
    });
    for (stage, why) in [
        (Stage::Idle, "the peer missed a deadline"),
        (Stage::Playing, "takes no"),
    ] {
        assert_ends(at, stage, why, |peer| {
            let sent = flood(peer, 10_000_000);
            assert!(sent < 10_000_000, "somewhere they are kept");
        });
    }
    let peak = bystander.peak();
    assert!(peak < 16 * 1024, "{peak} KiB");
    bystander.end(&format!(
        "C19 | short user control, floods of pings unread | ignored; closed; peak RSS +{peak} KiB"
    ));
}
