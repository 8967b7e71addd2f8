#![cfg(test)]
//! SIGQUIT: nobody else is let in, who can connect anew is asked to, and the rest has its time.

mod support;

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use support::amf::Value;
use support::chunk::Message;
use support::connection::Connection;
use support::hls::{self, Playlist, await_playlist};
use support::http::{self, Client, FlvPlayer};
use support::media::Kind;
use support::peer::{Player, Publisher, publish_on, publishing};
use support::server::Server;
use support::temp::TempDir;

const REQUEST: &str = "NetConnection.Connect.ReconnectRequest";

/// Enhanced RTMP's flags: reconnect and multitrack; and multitrack only.
const CAN: f64 = 3.0;
const CANNOT: f64 = 2.0;

fn connect(server: &Server, flags: f64) -> Connection {
    let mut connection = Connection::open(server.address()).unwrap();
    let flags = [("capsEx", Value::from(flags))];
    connection.connect_with("live", &flags).unwrap();
    connection
}

fn publish(server: &Server, flags: f64, name: &str) -> Publisher {
    let mut publisher = publish_on(connect(server, flags), name).unwrap();
    publisher.send_headers(0);
    publisher
}

fn play(server: &Server, flags: f64, name: &str) -> Player {
    let mut player = Player::on(connect(server, flags));
    player.play(name);
    player
}

/// Begins to drain; returns when that is done, and nobody else is let in.
fn drain(server: &Server) {
    server.signal(Signal::SIGQUIT);
    server.wait_log("draining");
    // One after the other is acted upon.
    server.signal(Signal::SIGHUP);
    server.wait_log("SIGHUP");
    assert!(Connection::open(server.address()).is_err());
}

/// The requests to connect anew among these.
fn requests(passed: &[Message]) -> Vec<&Message> {
    let is_request = |message: &&Message| {
        let status = message.status();
        status.is_some_and(|status| status.code == REQUEST)
    };
    passed.iter().filter(is_request).collect()
}

/// Without a word from the players, and with the stream going on until they leave.
#[test]
fn who_can_is_asked_to_connect_anew_and_nobody_else() {
    let mut server = Server::origin("");
    let mut publisher = publish(&server, CAN, "enhanced");
    let mut plain_publisher = publish(&server, CANNOT, "plain");
    let mut idle = connect(&server, CAN);
    publisher.send_group(1, 9);
    let mut player = play(&server, CAN, "enhanced");
    let mut plain_player = play(&server, CANNOT, "enhanced");
    for player in [&mut player, &mut plain_player] {
        assert_eq!(player.frames_until(10), 1);
    }
    drain(&server);

    let status = player.wait_told(REQUEST);
    assert_eq!(status.level, "status");
    assert_ne!(status.description, "");
    for publisher in [&mut publisher, &mut plain_publisher] {
        publisher.send_group(11, 9);
        // What was read before that was answered before that.
        publisher.await_read();
    }
    for (publisher, expected) in [(&mut publisher, 1), (&mut plain_publisher, 0)] {
        publisher.await_read();
        let passed = publisher.connection.passed.make_contiguous();
        let requests = requests(passed);
        assert_eq!(requests.len(), expected, "{passed:?}");
        assert!(requests.iter().all(|request| request.stream == 0));
    }
    let call = idle.call(0, "_checkbw", &[Value::Null]);
    idle.answer(call).unwrap();
    idle.status().unwrap_or_else(|end| panic!("{end:?}"));
    for player in [&mut player, &mut plain_player] {
        assert_eq!(player.frames_until(20), 11);
    }
    let asked = |player: &Player| {
        player
            .told
            .iter()
            .filter(|told| told.code == REQUEST)
            .count()
    };
    assert_eq!((asked(&player), asked(&plain_player)), (1, 0));

    drop((idle, player, plain_player));
    publisher.unpublish();
    plain_publisher.unpublish();
    assert!(server.wait().success());
    assert_eq!(server.count_log("asked to connect anew"), 3);
}

/// Who was in the backlog, or has begun to connect.
#[test]
fn who_connects_while_it_drains_is_asked_at_once() {
    let mut server = Server::origin("");
    let mut connection = Connection::open(server.address()).unwrap();
    drain(&server);
    let flags = [("capsEx", Value::from(CAN))];
    connection.connect_with("live", &flags).unwrap();
    let status = connection.status().unwrap();
    assert_eq!(status.code, REQUEST);
    drop(connection);
    assert!(server.wait().success());
}

#[test]
fn what_is_left_after_its_time_is_stopped() {
    let directory = TempDir::new();
    let config = hls::config(directory.path(), "hls_fragment = 10");
    let grace = Duration::from_millis(1500);
    let mut server = Server::start(&format!(
        "grace_final_wait = 1500\n{config}{}",
        http::CONFIG
    ));
    let mut publisher = publishing(server.address(), "a");
    hls::send(&mut publisher, 0..3000);
    let mut player = play(&server, CANNOT, "a");
    let mut flv = FlvPlayer::play(server.http_address(), "a.flv");
    player.media();
    flv.media();
    let mut client = Client::open(server.http_address());
    client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    client.response(false);
    let mut idle = connect(&server, CANNOT);
    publisher.await_read();

    let asked = Instant::now();
    drain(&server);
    assert!(server.wait().success());
    let took = asked.elapsed();
    assert!(took >= grace, "after {took:?}");
    assert!(
        took < grace + Duration::from_secs(3),
        "a slow stop: {took:?}"
    );
    assert_eq!(server.count_log("grace_final_wait"), 1);
    player.wait_told("NetStream.Play.UnpublishNotify");
    while flv.tag().is_some() {}
    assert!(client.is_closed());
    idle.drain();
    publisher.connection.drain();
    let playlist = Playlist::of(directory.path(), "a").expect("the segment is not finished");
    assert_eq!(playlist.duration(), 3000, "{playlist:?}");
}

/// It is written as long as its publisher is here, finished, and taken up by the next process.
#[test]
fn hls_is_handed_over() {
    let directory = TempDir::new();
    let config = hls::config(directory.path(), "hls_fragment = 2\nhls_window = 60");
    let mut server = Server::start(&config);
    let next = Server::start(&config);
    let mut publisher = publishing(server.address(), "a");
    hls::send(&mut publisher, 0..3000);
    await_playlist(directory.path(), "a", "a segment", |it| {
        !it.entries.is_empty()
    });
    drain(&server);
    hls::send(&mut publisher, 3000..7000);
    publisher.unpublish();
    assert!(server.wait().success());
    let playlist = Playlist::of(directory.path(), "a").unwrap();
    assert_eq!(playlist.duration(), 7000, "{playlist:?}");
    let mut publisher = publishing(next.address(), "a");
    hls::send(&mut publisher, 0..3000);
    publisher.unpublish();
    let goes_on = |it: &Playlist| it.duration() == 10_000 && it.sequence == playlist.sequence;
    await_playlist(directory.path(), "a", "it goes on", goes_on);
}

/// A request that is on its way while the server begins to drain is answered, not reset.
#[test]
fn who_speaks_http_gets_another_answer_and_it_is_the_last() {
    let mut server = Server::origin(http::CONFIG);
    let address = server.http_address();
    let mut publisher = publishing(server.address(), "a");
    publisher.send_group(1, 9);
    let mut flv = FlvPlayer::play(address, "a.flv");
    assert_eq!(flv.frames_until(10), 1);
    let get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut client = Client::open(address);
    client.send(get);
    assert_eq!(
        client.response(true).field("Connection"),
        Some("keep-alive")
    );
    drain(&server);

    client.send(get);
    let response = client.response(true);
    assert_eq!(response.status, 200);
    assert_eq!(response.field("Connection"), Some("close"));
    assert!(client.is_closed());
    publisher.send_frame(Kind::Key, 11, 220, 200);
    assert_eq!(flv.frame().0, 11, "it goes on");
    drop((flv, client));
    publisher.unpublish();
    assert!(server.wait().success());
}
