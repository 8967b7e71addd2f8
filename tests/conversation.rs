#![cfg(test)]
//! What peers and the server say to each other besides media.

mod support;

use std::io::Read;
use std::time::Duration;

use support::amf::{self, Value};
use support::chunk::{Cut, Message, Status, cut};
use support::connection::{Connection, End};
use support::media::{self, Kind};
use support::peer::{Player, play, publish, publishing};
use support::server::Server;

/// Every call with a transaction id is answered, whatever it is called.
#[test]
fn every_call_is_answered() {
    let server = Server::origin("");
    let mut connection = Connection::open(server.address()).unwrap();
    let properties = connection.connect("live").unwrap();
    let status = Status::from_value(&properties[1]);
    assert_eq!(status.code, "NetConnection.Connect.Success");
    let order: Vec<_> = connection
        .passed
        .iter()
        .map(|message| message.type_id)
        .collect();
    assert!(
        order.contains(&1),
        "the chunk size comes before the answer: {order:?}"
    );
    let name = Value::from("name");
    for call in [
        "releaseStream",
        "FCPublish",
        "FCSubscribe",
        "_checkbw",
        "unheardOf",
    ] {
        let call = connection.call(0, call, &[Value::Null, name.clone()]);
        connection.answer(call).unwrap();
    }
    let call = connection.call(0, "getStreamLength", &[Value::Null, name]);
    assert!(connection.answer(call).unwrap()[1].number() >= 0.0);
    let call = connection.call(0, "createStream", &[Value::Null]);
    assert!(connection.answer(call).unwrap()[1].number() >= 1.0);
}

/// A call without a transaction id gets no answer: the next answer is the next call's.
#[test]
fn a_call_without_transaction_id_is_not_answered() {
    let server = Server::origin("");
    let mut connection = Connection::open(server.address()).unwrap();
    connection.connect("live").unwrap();
    connection
        .command(0, "FCPublish", 0.0, &[Value::Null, "name".into()])
        .unwrap();
    let call = connection.call(0, "_checkbw", &[Value::Null]);
    connection.answer(call).unwrap();
    let stray: Vec<_> = connection
        .passed
        .iter()
        .filter_map(Message::command)
        .collect();
    assert_eq!(stray, []);
}

/// Command messages of type 17 carry an AMF0 body behind one byte.
#[test]
fn amf3_commands_are_understood() {
    let server = Server::origin("");
    let mut connection = Connection::open(server.address()).unwrap();
    connection.connect("live").unwrap();
    let call = amf::encode(&["createStream".into(), 7.0.into(), Value::Null]);
    let message = Message {
        csid: 3,
        type_id: 17,
        payload: [&[0], call.as_slice()].concat(),
        ..Message::default()
    };
    connection.send(&message).unwrap();
    connection.answer(7.0).unwrap();
}

/// Handshake and commands that come in one segment, or byte by byte.
#[test]
fn segments_do_not_matter() {
    let server = Server::origin("");
    let connect = amf::encode(&[
        "connect".into(),
        1.0.into(),
        Value::object(&[("app", "live".into())]),
    ]);
    let message = Message {
        csid: 3,
        type_id: 20,
        payload: connect,
        ..Message::default()
    };
    let mut bytes = vec![3; 1 + 2 * 1536];
    bytes.extend(cut(&message, Cut::plain(128)).concat());
    for size in [1, bytes.len()] {
        let mut connection = Connection::tcp(server.address(), None).unwrap();
        for segment in bytes.chunks(size) {
            connection.send_raw(segment).unwrap();
        }
        let mut handshake = vec![0; 1 + 2 * 1536];
        connection.socket().read_exact(&mut handshake).unwrap();
        connection.answer(1.0).unwrap();
    }
}

/// Nothing but RTMP gets an answer.
#[test]
fn another_protocol_is_closed_at_once() {
    let server = Server::origin("");
    for first in [b'G', 0x16, 6, 0] {
        let mut connection = Connection::tcp(server.address(), None).unwrap();
        connection.send_raw(&[first]).unwrap();
        let mut answer = Vec::new();
        connection.socket().read_to_end(&mut answer).unwrap();
        assert!(answer.is_empty());
    }
}

fn ping(connection: &mut Connection, value: u32) {
    let payload = [&6_u16.to_be_bytes()[..], &value.to_be_bytes()].concat();
    connection.send_control(4, &payload);
    loop {
        let message = connection.receive().unwrap();
        if message.user_control() == Some((7, value)) {
            return;
        }
        connection.passed.push_back(message);
    }
}

/// Before publishing or playing, and during both.
#[test]
fn pings_are_answered_at_any_time() {
    let server = Server::origin("");
    let mut publisher = publishing(server.address(), "ping");
    ping(&mut publisher.connection, 1);
    publisher.send_group(1, 3);
    let mut player = Player::open(server.address(), "live", None);
    ping(&mut player.connection, 0xFFFF_FFFF);
    player.play("ping");
    player.frames_until(4);
    ping(&mut player.connection, 3);
    publisher.send_group(5, 3);
    assert_eq!(
        player.frames_until(8),
        5,
        "the answer took no frame's place"
    );
}

/// Also unasked: some encoders stop without.
#[test]
fn what_is_received_is_acknowledged() {
    let server = Server::origin("");
    let mut publisher = publishing(server.address(), "acknowledged");
    let mut acknowledged = 0;
    for number in 0..60 {
        publisher.send_frame(Kind::Key, number, number * 40, 100_000);
    }
    while acknowledged < 3_500_000 {
        let message = publisher.connection.receive().unwrap();
        if message.type_id == 3 {
            let value = u32::from_be_bytes(message.payload[..].try_into().unwrap());
            let window = value - acknowledged;
            assert!(
                window > 0 && window <= 2_600_000,
                "{value} after {acknowledged}"
            );
            acknowledged = value;
        }
    }
}

/// A window that the peer asks for is kept.
#[test]
fn acknowledgements_come_as_often_as_asked() {
    let server = Server::origin("");
    let mut publisher = publish(server.address(), "live", "window").unwrap();
    publisher
        .connection
        .send_control(5, &100_000_u32.to_be_bytes());
    publisher.send_headers(0);
    publisher.send_frame(Kind::Key, 1, 0, 300_000);
    let mut count = 0;
    while count < 2 {
        count += usize::from(publisher.connection.receive().unwrap().type_id == 3);
    }
}

/// pause, receiveAudio and receiveVideo stop what they say, and only that.
#[test]
fn a_player_can_switch_media_off_and_on() {
    let server = Server::origin("");
    let mut publisher = publishing(server.address(), "filter");
    publisher.send_group(1, 3);
    let mut player = play(server.address(), "live", "filter");
    player.frames_until(4);
    // It comes later, so what it has got has been offered to the player.
    let mut witness = play(server.address(), "live", "filter");
    witness.frames_until(4);
    let mut next = 5;
    let off_on = |off| [Value::Null, Value::Boolean(off)];
    for (command, off, kept) in [
        ("receiveAudio", false, Some(9)),
        ("receiveVideo", false, Some(8)),
        ("pause", true, None),
    ] {
        // A ping comes back behind the command, so the command is in force.
        let stream = player.stream;
        player
            .connection
            .command(stream, command, 0.0, &off_on(off))
            .unwrap();
        ping(&mut player.connection, next);
        next = publisher.send_group(next, 5);
        witness.frames_until(next - 1);
        if let Some(kept) = kept {
            for _ in 0..3 {
                assert_eq!(player.media().type_id, kept, "{command}");
            }
        }
        ping(&mut player.connection, next);
        player
            .connection
            .command(stream, command, 0.0, &off_on(!off))
            .unwrap();
        ping(&mut player.connection, next);
        let left: Vec<_> = player.connection.passed.drain(..).collect();
        let wrong = |message: &&Message| message.is_media() && Some(message.type_id) != kept;
        assert_eq!(left.iter().find(wrong), None, "{command}");
        let begin = next;
        next = publisher.send_group(next, 5);
        assert_eq!(player.frames_until(next - 1), begin, "after {command}");
        witness.frames_until(next - 1);
    }
}

/// An aggregate message arrives as the messages in it, with their own timestamps.
#[test]
fn aggregates_are_split() {
    let server = Server::origin("");
    let mut publisher = publishing(server.address(), "aggregate");
    publisher.send_frame(Kind::Key, 1, 980, 100);
    let mut player = play(server.address(), "live", "aggregate");
    player.frames_until(1);
    let mut payload = Vec::new();
    for (number, kind, time) in [(2, Kind::Inter, 5000_u32), (3, Kind::Audio, 5020)] {
        let body = media::frame(kind, number, 90);
        payload.extend([kind.type_id(), 0, 0, 90, 0]);
        payload.extend(u16::try_from(time).unwrap().to_be_bytes());
        payload.extend([0, 0, 0, 0]);
        payload.extend(body);
        payload.extend(101_u32.to_be_bytes());
    }
    publisher.send(22, 1000, &payload);
    for (number, time) in [(2, 1000), (3, 1020)] {
        let (got, message) = player.frame();
        assert_eq!((got, message.timestamp), (number, time));
    }
}

/// What a player sends while it waits for its stream is no reason to let it go.
#[test]
fn a_waiting_player_may_talk() {
    let server = Server::origin("");
    let mut player = play(server.address(), "live", "talk");
    let stream = player.stream;
    player
        .connection
        .send_control(4, &[0, 3, 0, 0, 0, 1, 0, 0, 0x0B, 0xB8]);
    let flag = [Value::Null, Value::Boolean(true)];
    player
        .connection
        .command(stream, "receiveAudio", 0.0, &flag)
        .unwrap();
    player
        .connection
        .command(stream, "receiveVideo", 0.0, &flag)
        .unwrap();
    let silence = player.receive_within(Duration::from_millis(200));
    assert!(silence != Err(End::Closed) && silence != Err(End::Reset));
    let mut publisher = publishing(server.address(), "talk");
    publisher.send_group(1, 3);
    player.frames_until(4);
}

/// A publisher that waits for no answer, in one segment.
#[test]
fn a_publisher_may_run_ahead_of_the_answers() {
    let server = Server::origin("");
    let mut connection = Connection::open(server.address()).unwrap();
    let name = Value::from("ahead");
    let app = Value::object(&[("app", "live".into())]);
    let publish = [Value::Null, name, "live".into()];
    let calls: [(u32, &str, &[Value]); 3] = [
        (0, "connect", &[app]),
        (0, "createStream", &[Value::Null]),
        (1, "publish", &publish),
    ];
    let mut bytes = Vec::new();
    for (transaction, (stream, command, arguments)) in (1_u8..).zip(calls) {
        let head = [command.into(), f64::from(transaction).into()];
        let message = Message {
            csid: 3,
            type_id: 20,
            stream,
            payload: amf::encode(&[&head, arguments].concat()),
            ..Message::default()
        };
        bytes.extend(cut(&message, Cut::plain(128)).concat());
    }
    let frame = Message {
        csid: 6,
        type_id: 9,
        stream: 1,
        payload: media::frame(Kind::Key, 1, 20_000),
        ..Message::default()
    };
    bytes.extend(cut(&frame, Cut::plain(128)).concat());
    connection.send_raw(&bytes).unwrap();
    assert_eq!(connection.status().unwrap().code, "NetStream.Publish.Start");
    play(server.address(), "live", "ahead").frames_until(1);
}

/// A second play, or the end of the first, ends the connection, and cleanly.
#[test]
fn a_connection_plays_once() {
    let server = Server::origin("");
    let mut publisher = publishing(server.address(), "once");
    publisher.send_group(1, 3);
    for command in ["play", "publish", "closeStream", "deleteStream"] {
        let mut player = play(server.address(), "live", "once");
        player.frames_until(4);
        let arguments = [Value::Null, "once".into()];
        player.connection.call(player.stream, command, &arguments);
        assert_eq!(player.connection.drain().1, End::Closed, "{command}");
    }
}

/// A connection may publish again after it has unpublished.
#[test]
fn a_connection_publishes_again() {
    let server = Server::origin("");
    let mut publisher = publishing(server.address(), "first");
    publisher.send_group(1, 3);
    let stream = publisher.stream;
    let connection = &mut publisher.connection;
    connection.call(0, "deleteStream", &[Value::Null, f64::from(stream).into()]);
    let call = connection.call(0, "createStream", &[Value::Null]);
    let stream = connection.answer(call).unwrap()[1].number();
    assert_eq!(
        stream,
        f64::from(publisher.stream),
        "there is only one to give"
    );
    connection.passed.clear();
    connection.call(publisher.stream, "publish", &[Value::Null, "second".into()]);
    while connection.status().unwrap().code != "NetStream.Publish.Start" {}
    publisher.send_headers(0);
    publisher.send_group(1, 3);
    let mut player = play(server.address(), "live", "second");
    player.frames_until(4);
    publishing(server.address(), "first");
}
