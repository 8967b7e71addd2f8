#![cfg(test)]
//! An edge forwards to an origin that is slow, says no on the way, or wants acknowledgements.

mod support;

use std::time::Duration;

use socket2::SockRef;
use support::amf::Value;
use support::chunk::Status;
use support::connection::{Connection, End};
use support::media::{self, Kind};
use support::origin::{Asked, Origin};
use support::peer::{Publisher, play};
use support::server::Server;

/// Asks to publish, without waiting for the answer.
fn ask(edge: &Server, name: &str) -> Connection {
    let mut connection = Connection::open(edge.address()).unwrap();
    connection.set_chunk_size(60_000);
    connection.connect("live").unwrap();
    let create = connection.call(0, "createStream", &[Value::Null]);
    connection.answer(create).unwrap();
    connection.call(1, "publish", &[Value::Null, name.into(), "live".into()]);
    connection
}

/// A publisher on the edge, and the origin's end of its stream.
fn forwarded(edge: &Server, origin: &Origin, name: &str) -> (Publisher, Connection) {
    let mut connection = ask(edge, name);
    let asked = origin.asked().unwrap();
    assert_eq!(
        (asked.command.as_str(), asked.name.as_str()),
        ("publish", name)
    );
    let origin = asked.grant().connection;
    assert_eq!(connection.status().unwrap().code, "NetStream.Publish.Start");
    let mut publisher = Publisher::new(connection, 1, name);
    publisher.send_headers(0);
    (publisher, origin)
}

/// Says no, with a description.
fn refuse(origin: &mut Connection, why: &str) {
    let properties = [
        ("level", "error".into()),
        ("code", "NetStream.Publish.BadName".into()),
        ("description", why.into()),
    ];
    let status = [Value::Null, Value::object(&properties)];
    origin.command(1, "onStatus", 0.0, &status).unwrap();
}

/// More than the kernel takes for an origin that does not read, in the time of one group.
fn clog(publisher: &mut Publisher) {
    publisher.send_frame(Kind::Key, 1, 20, 1_000_000);
    for number in 2..16 {
        publisher.send_frame(Kind::Inter, number, 20, 1_000_000);
    }
    publisher.await_read();
}

/// The queue to the origin is full when the publisher repeats its headers, which cannot be dropped:
/// the edge begins anew with the origin.
#[test]
fn a_header_that_finds_no_room_makes_the_edge_publish_again() {
    let origin = Origin::new();
    let edge = Server::edge(&[origin.address()], "");
    let (mut publisher, mut slow) = forwarded(&edge, &origin, "full");
    clog(&mut publisher);
    for number in 0..4 {
        for _ in 0..300 {
            publisher.send_frame(Kind::Inter, 16 + number, 40, 20);
        }
        publisher.send(9, 40, &media::AVC_HEADER);
        publisher.await_read();
    }
    let (messages, end) = slow.drain();
    assert_ne!(end, End::Silent);
    let said = messages.iter().filter_map(|message| message.command());
    let names: Vec<_> = said.map(|(name, ..)| name).collect();
    assert!(names.is_empty(), "the stream is not over: {names:?}");

    let again = origin.asked().expect("it publishes again");
    assert_eq!(
        (again.command.as_str(), again.name.as_str()),
        ("publish", "full")
    );
    let mut again = again.grant().connection;
    let mut next = 100;
    let mut types = Vec::new();
    support::eventually("a keyframe", || {
        next = publisher.send_group(next, 3);
        while let Ok(message) = again.receive_within(Duration::from_millis(50)) {
            match Kind::of(&message) {
                None => types.push(message.type_id),
                // It does not wait for a keyframe, and the edge may come back at any moment.
                Some(Kind::Audio) => {}
                Some(kind) => {
                    assert_eq!(kind, Kind::Key, "after {types:?}");
                    return true;
                }
            }
        }
        false
    });
    // Chunk size and such, and the headers.
    types.retain(|type_id| matches!(type_id, 8 | 9 | 18));
    types.sort_unstable();
    assert_eq!(types, [8, 9, 18]);
}

/// The name went to somebody else while the edge was writing; the reset comes with it.
#[test]
fn a_refusal_before_a_reset_is_heard() {
    let origin = Origin::new();
    let edge = Server::edge(&[origin.address()], "");
    let (mut publisher, mut taken) = forwarded(&edge, &origin, "reset");
    clog(&mut publisher);
    refuse(&mut taken, "taken over");
    SockRef::from(taken.socket())
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(taken);
    let frame = media::frame(Kind::Inter, 16, 20);
    support::eventually("the publisher is let go", || {
        publisher.try_send(9, 40, &frame).is_err()
            || publisher
                .connection
                .receive_within(Duration::from_millis(20))
                != Err(End::Silent)
    });
    assert!(origin.poll().is_none(), "it publishes again");
    let line = edge.wait_log("publisher ended");
    assert!(line.contains("taken over"), "{line}");
}

/// Through two edges it is what the origin wrote; in the log it is printable.
#[test]
fn a_refusal_arrives_as_the_origin_wrote_it() {
    let origin = Origin::new();
    let middle = Server::edge(&[origin.address()], "");
    let edge = Server::edge(&[middle.address()], "");
    let mut publisher = ask(&edge, "taken");
    let why = "a \\ and\na \"line\"";
    refuse(&mut origin.asked().unwrap().connection, why);
    let Status { description, .. } = publisher.status().unwrap();
    assert_eq!(description, format!("the origin says: {why}"));
    for server in [&edge, &middle] {
        let line = server.wait_log("may not publish live/taken");
        assert!(line.contains(r#"a \\ and\na \"line\""#), "{line}");
    }
}

/// An origin may stop sending when its window is full.
#[test]
fn the_window_of_an_origin_is_heeded() {
    let origin = Origin::new();
    let edge = Server::edge(&[origin.address()], "");
    let mut player = play(edge.address(), "live", "window");
    let mut asked: Asked = origin.asked().unwrap();
    let window = 64 * 1024_u32;
    asked.connection.send_control(5, &window.to_be_bytes());
    let mut feed = asked.grant();
    feed.send_headers(0);
    feed.send_frame(Kind::Key, 1, 0, 1_000_000);
    player.frames_until(1);
    let mut last = 0;
    while last < 1_000_000 - window {
        let message = feed.connection.receive().expect("an acknowledgement");
        if message.type_id == 3 {
            let value = u32::from_be_bytes(*message.payload.first_chunk().unwrap());
            assert!(value > last, "{value} after {last}");
            assert!(value - last <= window, "{value} after {last}");
            last = value;
        }
    }
}
