#![cfg(test)]
//! Origins and publishers that go and come back: whoever hangs on an edge stays connected, and sees
//! media soon after the origin has it.

mod support;

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use support::chunk::Message;
use support::connection::End;
use support::media::Kind;
use support::peer::{Player, Publisher, assert_forward, play, publish, publishing};
use support::port::SharedPort;
use support::server::Server;

/// An origin on a port that stays ours while it is down.
fn origin_on(address: SocketAddr) -> Server {
    Server::start(&format!("listen = \"{address}\"\n"))
}

/// A stream that was at frame 503, 10 s into it, and its players.
fn watched(publisher: &mut Publisher, address: SocketAddr, name: &str) -> [Player; 3] {
    publisher.send_group(500, 3);
    [(); 3].map(|()| {
        let mut player = play(address, "live", name);
        player.frames_until(503);
        player
    })
}

/// Checks that the players go on with frame 1 to 4 of a new publisher within `limit` of `since`.
fn check_goes_on(players: &mut [Player], since: Instant, limit: Duration) {
    for player in players {
        let (number, message) = player.frame();
        let took = since.elapsed();
        assert_eq!((number, Kind::of(&message)), (1, Some(Kind::Key)));
        let before = Message {
            timestamp: 503 * 20,
            ..Message::default()
        };
        assert_forward(&before, &message);
        assert!(took < limit, "media after {took:?}");
        player.frames_until(4);
    }
}

#[test]
fn players_survive_an_origin_that_is_killed() {
    let port = SharedPort::loopback();
    let origin = origin_on(port.address());
    let edge = Server::edge(&[port.address()], "");
    let mut publisher = publishing(port.address(), "killed");
    let mut players = watched(&mut publisher, edge.address(), "killed");
    origin.kill();
    let quiet = players[0].receive_within(Duration::from_millis(1500));
    assert_eq!(quiet, Err(End::Silent), "players are told nothing");

    let _origin = origin_on(port.address());
    let mut publisher = publishing(port.address(), "killed");
    publisher.send_group(1, 3);
    check_goes_on(&mut players, Instant::now(), Duration::from_millis(1500));
}

#[test]
fn players_survive_a_publisher_that_is_away() {
    let origin = Server::origin("");
    let edge = Server::edge(&[origin.address()], "");
    let mut publisher = publishing(origin.address(), "away");
    let mut players = watched(&mut publisher, edge.address(), "away");
    drop(publisher);
    // The time that the issue gives; nothing announces its end.
    thread::sleep(Duration::from_millis(4500));
    let mut publisher = publishing(origin.address(), "away");
    publisher.send_group(1, 3);
    check_goes_on(&mut players, Instant::now(), Duration::from_secs(1));
}

/// Also when the origin says that it is over, as others than ours do at once.
#[test]
fn players_of_an_edge_survive_the_end_at_the_origin() {
    let origin = Server::origin("[publish]\npublisher_wait = 0.1");
    let edge = Server::edge(&[origin.address()], "");
    let mut publisher = publishing(origin.address(), "ended");
    let mut players = watched(&mut publisher, edge.address(), "ended");
    publisher.unpublish();
    let quiet = players[0].receive_within(Duration::from_millis(1000));
    assert_eq!(quiet, Err(End::Silent), "players are told nothing");
    let mut publisher = publishing(origin.address(), "ended");
    publisher.send_group(1, 3);
    check_goes_on(&mut players, Instant::now(), Duration::from_millis(1500));
}

/// When it stays away for the edge's own wait, they are told.
#[test]
fn players_of_an_edge_are_told_when_it_is_over() {
    let wait = "[publish]\npublisher_wait = 0.3";
    let origin = Server::origin(wait);
    let edge = Server::edge(&[origin.address()], wait);
    let mut publisher = publishing(origin.address(), "over");
    let mut players = watched(&mut publisher, edge.address(), "over");
    publisher.unpublish();
    for player in &mut players {
        player.wait_told("NetStream.Play.UnpublishNotify");
        assert_eq!(player.connection.drain().1, End::Closed);
    }
}

/// The publisher of an edge stays connected while its origin is replaced; what follows begins with
/// headers and a keyframe.
#[test]
fn a_publisher_survives_an_origin_that_is_killed() {
    let port = SharedPort::loopback();
    let origin = origin_on(port.address());
    let edge = Server::edge(&[port.address()], "");
    let mut publisher = publishing(edge.address(), "forwarded");
    let mut next = publisher.send_group(1, 3);
    let mut player = play(port.address(), "live", "forwarded");
    player.frames_until(4);
    origin.kill();
    let origin = origin_on(port.address());
    let mut player = play(origin.address(), "live", "forwarded");
    let deadline = Instant::now() + Duration::from_secs(4);
    let first = loop {
        // An encoder goes on all the time, 25 frames a second.
        next = publisher.send_group(next, 5);
        match player.receive_within(Duration::from_millis(240)) {
            Ok(message) if message.is_media() => break message,
            Ok(_) | Err(End::Silent) => assert!(Instant::now() < deadline, "not forwarded"),
            Err(end) => panic!("{end:?}"),
        }
    };
    assert!(
        support::media::number(&first).is_none(),
        "headers come first"
    );
    // The edge may come back in the middle of a group, and audio does not wait for a keyframe.
    let mut kind = Some(Kind::Audio);
    while kind == Some(Kind::Audio) {
        kind = Kind::of(&player.frame().1);
    }
    assert_eq!(kind, Some(Kind::Key));
    publisher.unpublish();
}

/// If no origin takes the stream any more, its publisher is told why.
#[test]
fn a_publisher_without_any_origin_is_told() {
    let port = support::port::dead();
    let edge = Server::edge(&[port.address()], "");
    let refusal = publish(edge.address(), "live", "nowhere").unwrap_err();
    assert_eq!(refusal.level, "error", "{refusal:?}");
    assert!(!refusal.description.is_empty());
}
