#![cfg(test)]
//! The tests' own tools, tried on themselves.

mod support;

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use support::bystander::Bystander;
use support::chunk::{Cut, Message, Reader, cut};
use support::connection::Connection;
use support::media::{self, Kind};
use support::packets::{Of, Packets};
use support::{amf, netns, port};

/// Messages come back whole from every way of cutting and interleaving that the reader allows.
#[test]
fn the_reader_undoes_the_writer() {
    let video = Message {
        csid: 70,
        type_id: 9,
        timestamp: 0x0123_4567,
        stream: 1,
        payload: media::frame(Kind::Key, 1, 1000),
    };
    let audio = Message {
        csid: 4,
        type_id: 8,
        timestamp: 0xFF_FFFF,
        stream: 1,
        payload: media::frame(Kind::Audio, 2, 300),
    };
    let plain = Cut::plain(128);
    let long = cut(&video, Cut { basic: 2, ..plain });
    let short = cut(&audio, plain);
    let mut reader = Reader::new();
    let mut messages = Vec::new();
    for index in 0..long.len() {
        for chunk in [long.get(index), short.get(index)].into_iter().flatten() {
            for byte in chunk.chunks(1) {
                reader.push(byte);
                messages.extend(reader.next_message());
            }
        }
    }
    assert_eq!(messages, [audio, video]);
    assert!(!reader.is_within_message());
}

/// Deltas of types 1 to 3 add up.
#[test]
fn the_reader_adds_deltas() {
    let mut message = Message {
        csid: 4,
        type_id: 8,
        timestamp: 1000,
        stream: 1,
        payload: vec![0xAF, 1],
    };
    let mut reader = Reader::new();
    for (format, timestamp) in [(0, 1000), (1, 1023), (2, 1046), (3, 1069)] {
        let how = Cut {
            format,
            delta: 23,
            ..Cut::plain(128)
        };
        reader.push(&cut(&message, how).concat());
        message.timestamp = timestamp;
        assert_eq!(reader.next_message().as_ref(), Some(&message));
    }
}

#[test]
#[should_panic(expected = "type 3 does not repeat the timestamp")]
fn the_reader_insists_on_the_repeated_timestamp() {
    let message = Message {
        csid: 4,
        type_id: 9,
        timestamp: 0xFF_FFFF,
        stream: 1,
        payload: media::frame(Kind::Key, 1, 300),
    };
    let how = Cut {
        repeat_extended: false,
        ..Cut::plain(128)
    };
    let mut reader = Reader::new();
    reader.push(&cut(&message, how).concat());
    reader.next_message();
}

#[test]
#[should_panic(expected = "frame 7 was changed")]
fn a_changed_byte_is_seen() {
    let mut payload = media::frame(Kind::Inter, 7, 100);
    payload[99] ^= 1;
    media::number(&Message {
        type_id: 9,
        payload,
        ..Message::default()
    });
}

#[test]
#[should_panic(expected = "player: audio was changed")]
fn a_changed_packet_is_seen() {
    let source = Packets::read(&media::flv(), Of::Packets);
    source.assert_part_of(&source, "source");
    let kinds = "#media_type 0: video\n#media_type 1: audio\n";
    let video = "0, 0, 0, 1, 9, same\n".repeat(30);
    let audio = "1, 0, 0, 1, 9, ";
    let source = format!("{kinds}{video}{}", format!("{audio}same\n").repeat(30));
    let played = format!("{kinds}{video}{}", format!("{audio}other\n").repeat(30));
    Packets::parse(&played).assert_part_of(&Packets::parse(&source), "player");
}

#[test]
#[should_panic(expected = "no frame for")]
fn a_server_that_stands_still_is_seen() {
    let bystander = Bystander::start("");
    bystander.server.signal(Signal::SIGSTOP);
    thread::sleep(Duration::from_millis(4500));
    bystander.server.signal(Signal::SIGCONT);
    bystander.end("");
}

#[test]
#[should_panic(expected = "not \"another reason\"")]
fn another_end_than_expected_is_seen() {
    let bystander = Bystander::start("");
    let connection = Connection::open(bystander.address()).unwrap();
    let peer = connection.socket().local_addr().unwrap();
    drop(connection);
    bystander.assert_ended(peer, "another reason");
}

#[test]
fn amf0_comes_back() {
    let values = [
        "connect".into(),
        1.0.into(),
        amf::Value::object(&[("app", "live".into()), ("none", amf::Value::Null)]),
        amf::Value::StrictArray(vec![amf::Value::Boolean(true), amf::Value::Undefined]),
        amf::Value::EcmaArray(vec![(
            "long".to_owned(),
            "x".repeat(70_000).as_str().into(),
        )]),
    ];
    assert_eq!(amf::decode(&amf::encode(&values)), values);
}

/// A held port is refused to anybody who does not share it, and nobody answers on it.
#[test]
fn a_held_port_is_dead() {
    let held = port::dead();
    assert!(std::net::TcpStream::connect(held.address()).is_err());
    assert!(std::net::TcpListener::bind(held.address()).is_err());
}

/// Two tests that bind the same fixed port do not meet.
#[test]
fn a_namespace_has_ports_of_its_own() {
    netns::in_netns("a_namespace_has_ports_of_its_own", || {
        let listener = std::net::TcpListener::bind("127.0.0.1:1935").unwrap();
        assert!(std::net::TcpStream::connect(listener.local_addr().unwrap()).is_ok());
    });
}

#[test]
fn ffmpeg_makes_the_sample() {
    assert!(std::fs::metadata(media::flv()).unwrap().len() > 100_000);
}
