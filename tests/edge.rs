#![cfg(test)]
//! An edge: play and publish through it are play and publish at the origin.

mod support;

use std::thread;
use std::time::Duration;

use support::amf::Value;
use support::connection::{Connection, End};
use support::media::{self, Kind};
use support::origin::Origin;
use support::peer::{Player, play, publish, publishing};
use support::server::Server;

#[test]
fn a_stream_of_the_origin_plays_on_the_edge() {
    let origin = Server::origin("");
    let edge = Server::edge(&[origin.address()], "");
    let mut publisher = publishing(origin.address(), "pulled");
    let next = publisher.send_group(1, 20);
    let mut players: Vec<_> = (0..5)
        .map(|_| play(edge.address(), "live", "pulled"))
        .collect();
    for player in &mut players {
        assert_eq!(player.frames_until(next - 1), 1);
    }
    let end = publisher.send_group(next, 20);
    for player in &mut players {
        assert_eq!(player.frames_until(end - 1), next);
    }
    edge.stop();
    origin.stop();
}

#[test]
fn a_stream_published_on_the_edge_plays_everywhere() {
    let origin = Server::origin("");
    let edges = [(); 2].map(|()| Server::edge(&[origin.address()], ""));
    let mut publisher = publishing(edges[0].address(), "forwarded");
    let next = publisher.send_group(1, 20);
    for server in [&origin, &edges[0], &edges[1]] {
        let mut player = play(server.address(), "live", "forwarded");
        assert_eq!(player.frames_until(next - 1), 1);
    }
}

/// An edge of an edge.
#[test]
fn edges_chain() {
    let origin = Server::origin("");
    let middle = Server::edge(&[origin.address()], "");
    let edge = Server::edge(&[middle.address()], "");
    let mut publisher = publishing(edge.address(), "chained");
    let next = publisher.send_group(1, 20);
    let mut player = play(edge.address(), "live", "chained");
    assert_eq!(player.frames_until(next - 1), 1);
}

/// New streams on an edge, each joined there at the moment its publisher is told yes.
#[test]
fn no_join_of_a_new_stream_is_lost() {
    let origin = Server::origin("");
    let edge = Server::edge(&[origin.address()], "");
    for index in 0..60 {
        let name = format!("new{index}");
        let mut player = Player::open(edge.address(), "live", None);
        let mut publisher = publish(edge.address(), "live", &name).unwrap();
        player.play(&name);
        publisher.send_headers(0);
        publisher.send_group(1, 3);
        assert_eq!(player.frames_until(4), 1, "{name}");
    }
}

/// From an edge's publisher through the origin to another edge's players.
#[test]
fn the_last_frame_before_unpublish_reaches_every_player() {
    let origin = Server::origin("");
    let edges = [(); 2].map(|()| Server::edge(&[origin.address()], ""));
    let mut publisher = publishing(edges[0].address(), "last");
    publisher.send_group(1, 3);
    let mut players: Vec<_> = (0..20)
        .map(|_| play(edges[1].address(), "live", "last"))
        .collect();
    for player in &mut players {
        player.frames_until(4);
    }
    let next = publisher.send_group(5, 50);
    publisher.unpublish();
    for player in &mut players {
        assert_eq!(player.frames_until(next - 1), 5);
    }
}

/// On the same edge, on another one, at the origin: one name has one publisher.
#[test]
fn a_second_publisher_is_refused_wherever_it_comes() {
    let origin = Server::origin("");
    let edges = [(); 2].map(|()| Server::edge(&[origin.address()], ""));
    let mut publisher = publishing(edges[0].address(), "busy");
    publisher.send_group(1, 3);
    let mut player = play(edges[1].address(), "live", "busy");
    player.frames_until(4);
    for server in [&edges[0], &edges[1], &origin] {
        let refusal = publish(server.address(), "live", "busy").unwrap_err();
        assert_eq!(refusal.level, "error");
        assert_eq!(refusal.code, "NetStream.Publish.BadName");
    }
    publisher.send_group(5, 3);
    assert_eq!(player.frames_until(8), 5);
    // A name is free once its publisher has left.
    publisher.unpublish();
    // Its edge tells the origin so, in its own time.
    origin.wait_log("unpublishes");
    publishing(edges[1].address(), "busy");
}

/// The publisher is told yes when an origin has said yes, and not before.
#[test]
fn the_origin_decides_about_a_publisher() {
    let origin = Origin::new();
    let edge = Server::edge(&[origin.address()], "");
    let mut granted = Vec::new();
    for grant in [true, false] {
        let name = format!("asked{grant}?token=one");
        let mut connection = Connection::open(edge.address()).unwrap();
        connection.connect("live").unwrap();
        let create = connection.call(0, "createStream", &[Value::Null]);
        connection.answer(create).unwrap();
        let arguments = [Value::Null, name.as_str().into(), "live".into()];
        connection.call(1, "publish", &arguments);
        let mut asked = origin.asked().unwrap();
        assert_eq!((asked.command.as_str(), &asked.name), ("publish", &name));
        assert_eq!(asked.object.property("app").map(Value::text), Some("live"));
        let early = connection.receive_within(Duration::from_millis(200));
        assert_eq!(early, Err(End::Silent));
        let code = if grant {
            granted.push(asked.grant());
            "NetStream.Publish.Start"
        } else {
            asked.refuse("NetStream.Publish.BadName");
            "NetStream.Publish.BadName"
        };
        assert_eq!(connection.status().unwrap().code, code);
    }
}

/// All players of an edge share one pull, which outlives them for a while.
#[test]
fn players_share_a_pull_that_lingers() {
    let origin = Origin::new();
    let edge = Server::edge(&[origin.address()], "");
    let mut first = play(edge.address(), "live", "shared?token=two");
    let asked = origin.asked().unwrap();
    assert_eq!(
        (asked.command.as_str(), asked.name.as_str()),
        ("play", "shared?token=two")
    );
    let mut feed = asked.grant();
    feed.send_headers(0);
    feed.send_group(1, 3);
    first.frames_until(4);
    let mut second = play(edge.address(), "live", "shared");
    second.frames_until(4);
    let before = edge.threads();
    drop((first, second));
    support::eventually("the players' threads end", || edge.threads() < before);
    let mut third = play(edge.address(), "live", "shared");
    assert_eq!(third.frames_until(4), 1);
    feed.send_group(5, 3);
    assert_eq!(third.frames_until(8), 5);
    assert!(origin.poll().is_none(), "one pull is enough");
}

/// A pull that nobody wants ends, and the next player gets another.
#[test]
fn an_unwanted_pull_ends() {
    let origin = Origin::new();
    let edge = Server::edge(&[origin.address()], "");
    let mut player = play(edge.address(), "live", "unwanted");
    let mut feed = origin.asked().unwrap().grant();
    feed.send_headers(0);
    let mut next = feed.send_group(1, 3);
    player.frames_until(4);
    drop(player);
    support::eventually("the pull ends", || {
        let more = media::frame(Kind::Inter, next, 100);
        next += 1;
        feed.try_send(9, next * 20, &more).is_err()
    });
    let mut player = play(edge.address(), "live", "unwanted");
    let mut feed = origin.asked().unwrap().grant();
    feed.send_headers(0);
    feed.send_group(1, 3);
    assert_eq!(player.frames_until(4), 1);
}

/// A publisher that is refused by one origin is not offered to the next: the name is taken.
#[test]
fn a_refusal_is_final() {
    let origins = [Origin::new(), Origin::new()];
    let edge = Server::edge(&origins.each_ref().map(Origin::address), "");
    let address = edge.address();
    let publisher = thread::Builder::new().spawn(move || publish(address, "live", "taken"));
    let mut asked = None;
    support::eventually("an origin is asked", || {
        asked = origins.iter().find_map(Origin::poll);
        asked.is_some()
    });
    asked.unwrap().refuse("NetStream.Publish.BadName");
    let refusal = publisher.unwrap().join().unwrap().unwrap_err();
    assert_eq!(refusal.code, "NetStream.Publish.BadName");
    assert!(origins.iter().all(|origin| origin.poll().is_none()));
}

/// The origin lets the newer publisher take over: the older one is let go, and does not come back
/// through its edge to take over in turn.
#[test]
fn a_takeover_between_edges_is_final() {
    let origin = Server::origin("[publish]\nrepublish = \"takeover\"");
    let edges = [(); 2].map(|()| Server::edge(&[origin.address()], ""));
    let mut first = publishing(edges[0].address(), "newer");
    first.send_group(500, 3);
    let mut player = play(origin.address(), "live", "newer");
    player.frames_until(503);
    let mut second = publishing(edges[1].address(), "newer");
    let mut next = second.send_group(1, 3);
    support::eventually("the older one is let go", || {
        let old = media::frame(Kind::Key, 600, 100);
        next = second.send_group(next, 3);
        first.try_send(9, 20_000, &old).is_err()
    });
    let next = second.send_group(next, 3);
    assert_eq!(
        player.frames_until(next - 1),
        1,
        "the second's from its first frame on"
    );
}

/// With several origins a stream is at one of them: a player finds it wherever it is.
#[test]
fn a_stream_is_found_at_whichever_origin_has_it() {
    let origins = [(); 2].map(|()| Server::origin(""));
    let addresses = origins.each_ref().map(Server::address);
    let edges = [(); 2].map(|()| Server::edge(&addresses, ""));
    for index in 0..4 {
        let name = format!("either{index}");
        let mut publisher = publishing(edges[0].address(), &name);
        let next = publisher.send_group(1, 3);
        let mut player = play(edges[1].address(), "live", &name);
        while player.frame().0 < next - 1 {}
        // Nobody lets go of a publisher that has a quiet moment.
        publisher.send_group(next, 3);
    }
}

/// Two edges that are each other's origin: whoever comes is refused, and nothing piles up.
#[test]
fn a_loop_of_edges_is_cut() {
    let port = support::port::SharedPort::loopback();
    let first = Server::edge(&[port.address()], "[play]\nplay_wait = 1.0");
    let config = support::server::edge_config(
        &port.address().to_string(),
        &[first.address()],
        "[play]\nplay_wait = 1.0",
    );
    let second = Server::start(&config);
    let mut player = play(first.address(), "live", "loop");
    player.wait_told("NetStream.Play.StreamNotFound");
    let refusal = publish(first.address(), "live", "loop").unwrap_err();
    assert_eq!(refusal.level, "error", "{refusal:?}");
    drop(player);
    support::eventually("the loop falls apart", || {
        first.descriptors() < 20 && second.descriptors() < 20
    });
}
