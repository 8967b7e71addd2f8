#![cfg(test)]
//! Players of an edge do not stand in each other's way.

mod support;

use std::time::{Duration, Instant};

use support::amf::Value;
use support::connection::{Connection, End};
use support::media::Kind;
use support::origin::{Asked, Origin};
use support::peer::{Player, Publisher, play, publishing};
use support::server::Server;

/// An edge fetches so many streams at a time that it has not had anything of.
const UNPROVEN: usize = 128;

/// Refuses who asks with a bad token, until somebody asks with a good one.
fn guarded(origin: &Origin) -> Publisher {
    for _ in 0..3 {
        let mut asked: Asked = origin.asked().unwrap();
        if asked.name == "guarded?token=good" {
            return asked.grant();
        }
        assert_eq!(asked.name, "guarded?token=bad");
        asked.refuse("NetStream.Play.Failed");
    }
    panic!("nobody asks with the good token");
}

/// Neither a player before it, nor one that came after it when the origin has to be asked again.
#[test]
fn a_bad_token_denies_nobody_else() {
    let origin = Origin::new();
    let edge = Server::edge(&[origin.address()], "");
    let _bad = play(edge.address(), "live", "guarded?token=bad");
    let mut asked = origin.asked().unwrap();
    assert_eq!(asked.name, "guarded?token=bad");
    asked.refuse("NetStream.Play.Failed");
    let mut good = play(edge.address(), "live", "guarded?token=good");
    let mut feed = guarded(&origin);
    feed.send_headers(0);
    feed.send_group(1, 3);
    good.frames_until(4);

    let mut late = play(edge.address(), "live", "guarded?token=bad");
    late.frames_until(4);
    drop(feed);
    let mut feed = guarded(&origin);
    feed.send_headers(1000);
    feed.send_group(5, 3);
    assert_eq!(good.frames_until(8), 5);
}

/// It has come round by a loop of other edges; who has not is served.
#[test]
fn a_loop_concerns_only_who_is_in_it() {
    let origin = Origin::new();
    let edge = Server::edge(&[origin.address()], "[play]\nplay_wait = 60.0");
    let mut player = play(edge.address(), "live", "loop");
    let asked = origin.asked().unwrap();
    for name in ["loop", "other"] {
        let mut looped = Connection::open(edge.address()).unwrap();
        let hops = [("srsLiteHops", Value::from(8.0))];
        looped.connect_with("live", &hops).unwrap();
        let create = looped.call(0, "createStream", &[Value::Null]);
        looped.answer(create).unwrap();
        looped.call(1, "play", &[Value::Null, name.into()]);
        let status = looped.status().unwrap();
        assert_eq!(status.code, "NetStream.Play.StreamNotFound");
        assert!(status.description.contains("form a loop"), "{status:?}");
    }
    let mut feed = asked.grant();
    feed.send_headers(0);
    feed.send_group(1, 3);
    player.frames_until(4);
    assert!(origin.poll().is_none(), "nobody asks for the looped ones");
}

/// With as many missing streams as may be looked for at a time, a player waits its turn.
#[test]
fn a_player_waits_its_turn_behind_missing_streams() {
    let origin = Server::origin("[play]\nplay_wait = 3.0\n[publish]\nnormal_timeout = 60000");
    let edge = Server::edge(&[origin.address()], "[play]\nplay_wait = 15.0");
    let mut publisher = publishing(origin.address(), "there");
    publisher.send_group(1, 3);
    let idle = origin.descriptors();
    let missing: Vec<_> = (0..UNPROVEN)
        .map(|index| play(edge.address(), "live", &format!("missing{index}")))
        .collect();
    support::eventually("all are looked for", || {
        origin.descriptors() >= idle + UNPROVEN
    });
    let mut player = play(edge.address(), "live", "there");
    let quiet = loop {
        if let Err(end) = player.receive_within(Duration::from_millis(300)) {
            break end;
        }
    };
    assert_eq!(quiet, End::Silent, "told {:?}", player.told);
    drop(missing);
    player.frames_until(4);
}

/// An origin's burst is longer than a player's queue, and its sender rests between two rounds.
#[test]
fn players_of_an_edge_get_all_of_a_burst() {
    let origin = Origin::new();
    let edge = Server::edge(&[origin.address()], "[play]\nmw_latency = 350");
    let mut players = [(); 2].map(|()| Player::open(edge.address(), "live", None));
    for player in &mut players {
        player.play("burst");
    }
    let mut feed = origin.asked().unwrap().grant();
    feed.send_headers(0);
    feed.send_group(1, 3);
    for player in &mut players {
        player.frames_until(4);
    }
    drop(feed);
    let begun = Instant::now();
    let mut feed = origin.asked().unwrap().grant();
    feed.send_headers(1000);
    feed.send_frame(Kind::Key, 5, 1000, 200);
    for number in 6..605 {
        feed.send_frame(Kind::Inter, number, 1000 + number, 200);
    }
    for player in &mut players {
        assert_eq!(player.frames_until(604), 5);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
}
