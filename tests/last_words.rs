#![cfg(test)]
//! What the server says last arrives, although the peer has sent what nobody will read: a close
//! with unread input would make the kernel reset the connection and drop what is on its way.

mod support;

use std::fs;
use std::net::SocketAddr;

use support::amf::Value;
use support::chunk::Message;
use support::connection::{Connection, End};
use support::media::{self, Kind};
use support::peer::{Player, play, publishing};
use support::server::Server;

/// Bytes that a refused peer has sent behind its command.
const UNREAD: usize = 300_000;

/// Ends the connection from our side, and checks that the kernel has not reset it: what was on its
/// way would be lost then, unless it came as fast as on this machine. `idle`: descriptors of the
/// server without the connection.
fn check_clean_end(server: &Server, connection: &mut Connection, idle: usize) {
    connection.finish();
    assert_eq!(connection.drain().1, End::Closed);
    support::eventually("the server closes", || server.descriptors() == idle);
    let error = connection.socket().take_error().unwrap();
    assert!(error.is_none(), "{error:?} behind the end");
}

/// A publisher that does not wait for the answer.
#[test]
fn a_refusal_reaches_a_publisher_in_full_flow() {
    let server = Server::origin("");
    let _first = publishing(server.address(), "flow");
    let idle = server.descriptors();
    let mut connection = Connection::open(server.address()).unwrap();
    connection.set_chunk_size(60_000);
    connection.connect("live").unwrap();
    let create = connection.call(0, "createStream", &[Value::Null]);
    connection.answer(create).unwrap();
    let arguments = [Value::Null, "flow".into(), "live".into()];
    connection.call(1, "publish", &arguments);
    let flow = Message {
        csid: 6,
        type_id: 9,
        timestamp: 0,
        stream: 1,
        payload: media::frame(Kind::Key, 1, UNREAD),
    };
    connection.send(&flow).expect("closed under the flow");
    let status = connection.status().unwrap();
    assert_eq!(status.code, "NetStream.Publish.BadName");
    check_clean_end(&server, &mut connection, idle);
}

/// A player that keeps talking.
#[test]
fn a_refusal_reaches_a_talking_player() {
    let server = Server::origin("[play]\nplay_wait = 0.2");
    let idle = server.descriptors();
    let mut player = play(server.address(), "live", "missing");
    chatter(&mut player);
    player.wait_told("NetStream.Play.StreamNotFound");
    chatter(&mut player);
    check_clean_end(&server, &mut player.connection, idle);
}

/// The end of a stream and its last frames, for a player that keeps talking and reads them only
/// when all is over. They wait in both kernels, more than its own can hold.
#[test]
fn the_end_reaches_a_talking_player() {
    let server = Server::origin("[publish]\npublisher_wait = 0.2");
    let idle = server.descriptors();
    let mut publisher = publishing(server.address(), "end");
    publisher.send_group(1, 3);
    let mut player = Player::open(server.address(), "live", Some(64 * 1024));
    player.play("end");
    player.frames_until(4);
    for number in 5..30 {
        publisher.send_frame(Kind::Inter, number, number * 40, 10_000);
    }
    publisher.unpublish();
    let ports = [
        server.address(),
        player.connection.socket().local_addr().unwrap(),
    ];
    support::eventually("the server has said its last word", || {
        is_in_fin_wait(ports)
    });
    chatter(&mut player);
    assert_eq!(player.frames_until(29), 5);
    player.wait_told("NetStream.Play.UnpublishNotify");
    check_clean_end(&server, &mut player.connection, idle);
}

/// Whether the first end of an IPv4 connection has sent its end and the second has not taken it.
fn is_in_fin_wait(ends: [SocketAddr; 2]) -> bool {
    let [from, to] = ends.map(|end| format!(":{:04X}", end.port()));
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().skip(1).any(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let mut is = |end: &str| columns.next().is_some_and(|column| column.ends_with(end));
        is(&from) && is(&to) && is("04")
    })
}

/// Acknowledgements that nobody waits for.
fn chatter(player: &mut Player) {
    for value in 0_u32..200 {
        let message = Message {
            csid: 2,
            type_id: 3,
            payload: value.to_be_bytes().to_vec(),
            ..Message::default()
        };
        let _result = player.connection.send(&message);
    }
}

/// A stop lets go of everybody within its deadline, with what was published before it.
#[test]
fn a_stop_flushes_the_last_frames() {
    let server = Server::origin("[play]\nmw_latency = 350");
    let mut publisher = publishing(server.address(), "stop");
    publisher.send_group(1, 3);
    let mut players: Vec<_> = (0..10)
        .map(|_| play(server.address(), "live", "stop"))
        .collect();
    for player in &mut players {
        player.frames_until(4);
    }
    let next = publisher.send_group(5, 50);
    // The first player has the last frame of the group, so all of it was delivered.
    players[0].frames_until(next - 1);
    server.stop();
    for player in &mut players[1..] {
        assert_eq!(player.frames_until(next - 1), 5);
        let end = player.connection.drain().1;
        assert_eq!(end, End::Closed);
    }
    assert_ne!(publisher.connection.drain().1, End::Silent);
}
