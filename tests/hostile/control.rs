//! C11 to C15, C19: messages about the connection.

use std::time::{Duration, Instant};

use srs_lite::limits;

use crate::stage::{
    Stage, assert_ends, assert_goes_on, begin, frame, message, send_all, send_raw, type_id, watched,
};
use crate::support::amf::Value;
use crate::support::bystander::Bystander;
use crate::support::chunk::{Cut, Message, cut};
use crate::support::connection::Connection;
use crate::support::media::{self, Kind};

#[test]
fn c11_abort() {
    let bystander = Bystander::start("");
    let at = &bystander;
    let abort = |peer: &mut Connection, csid: u32| {
        peer.send_control(type_id::ABORT, &csid.to_be_bytes());
    };
    let (mut publisher, mut player) = watched(at);
    publisher.connection.set_chunk_size(128);
    for number in 2..10 {
        let frame = frame(&publisher, 6, Kind::Inter, number, 300);
        publisher
            .connection
            .send_raw(&cut(&frame, Cut::plain(128))[0])
            .unwrap();
        for csid in [6, 2, 6, 50_000, u32::MAX, 0] {
            abort(&mut publisher.connection, csid);
        }
        publisher.connection.send(&frame).unwrap();
        assert_eq!(player.frame().0, number);
    }
    drop((publisher, player));
    // 1.2 MB in all, of which 32 KiB may be held.
    for stage in Stage::CONNECTED {
        assert_goes_on(at, stage, |peer| {
            peer.set_chunk_size(12_000);
            for _ in 0..100 {
                send_raw(peer, &begin(40, 16_000, 12_000));
                abort(peer, 40);
            }
        });
        assert_ends(at, stage, "control message of 3 bytes", |peer| {
            peer.send_control(type_id::ABORT, &[0, 0, 6]);
        });
    }
    bystander
        .end("C11 | Abort of known, unknown and its own chunk stream | dropped, room given back");
}

/// Acknowledgements among what has come so far.
fn acknowledgements(connection: &Connection) -> Vec<u32> {
    let passed = connection.passed.iter();
    passed
        .filter(|message| message.type_id == type_id::ACKNOWLEDGEMENT)
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
            peer.send_control(type_id::WINDOW_ACKNOWLEDGEMENT_SIZE, &window.to_be_bytes());
            for _ in 0..1000 {
                send_all(peer, &[message(type_id::UNKNOWN, &[0; 1000])]);
            }
            let call = peer.call(0, "_checkbw", &[Value::Null]);
            peer.answer(call).unwrap();
            let count = acknowledgements(peer).len();
            assert!(count <= 1_100_000 / (32 * 1024), "{count}");
            assert_eq!(count > 0, window < 1000, "window {window}");
            most = most.max(count);
        });
    }
    for stage in Stage::CONNECTED {
        assert_goes_on(at, stage, |peer| {
            for window in 0..20_000_u32 {
                peer.send_control(type_id::WINDOW_ACKNOWLEDGEMENT_SIZE, &window.to_be_bytes());
                peer.send_control(type_id::ACKNOWLEDGEMENT, &window.to_be_bytes());
            }
            for length in 0..4 {
                peer.send_control(type_id::WINDOW_ACKNOWLEDGEMENT_SIZE, &[0; 4][..length]);
                peer.send_control(type_id::ACKNOWLEDGEMENT, &[0; 4][..length]);
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
    let junk = message(type_id::UNKNOWN, &vec![0; length]);
    // Only media keeps a publication alive.
    let media = Message {
        stream: 1,
        ..message(type_id::AUDIO, &media::frame(Kind::Audio, 1, 20))
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
                        peer.send_control(type_id::SET_PEER_BANDWIDTH, &body[..length]);
                    }
                }
            }
        });
    }
    bystander.end("C15 | Set Peer Bandwidth, 256 limit types, 6 lengths | ignored");
}

/// Pings until one cannot be written within a second; how many.
fn flood(connection: &mut Connection, most: u32) -> u32 {
    let timeout = Some(Duration::from_secs(1));
    connection.socket().set_write_timeout(timeout).unwrap();
    let ping = |number: u32| {
        let body = [&[0, 6][..], &number.to_be_bytes()].concat();
        Message {
            csid: 2,
            ..message(type_id::USER_CONTROL, &body)
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
                    peer.send_control(type_id::USER_CONTROL, &body[..length]);
                }
            }
            for length in 2..6 {
                peer.send_control(type_id::USER_CONTROL, &[0, 6, 0, 0, 0, 7][..length]);
            }
        });
    }
    // It need not read what it is told.
    assert_goes_on(at, Stage::Publishing, |peer| {
        assert_eq!(flood(peer, 50_000), 50_000);
        // When it does, what was not dropped for want of room is there.
        send_all(peer, &[message(type_id::UNKNOWN, &[0])]);
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
