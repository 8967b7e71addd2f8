#![cfg(test)]
//! Edges that share a port fetch a stream once: the first that pulls it holds it for the others.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test fails the test"
)]

mod support;

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use support::eventually;
use support::origin::Origin;
use support::peer::{Player, play, publishing};
use support::port::SharedPort;
use support::server::{Server, edge_config, show};
use support::siblings::{Meeting, Viewer, all_follow, fetches};

const EDGES: usize = 4;
const PLAYERS: usize = 100;

/// For the players of the other edges, when the one that pulls is killed.
const GO_ON: Duration = Duration::from_secs(3);

/// Edges of an origin on a port.
fn edges(origin: &Server, port: &SharedPort, run_dir: &str) -> [Server; EDGES] {
    let edge = edge_config(&port.address().to_string(), &[origin.address()], "");
    [(); EDGES].map(|()| Server::start(&format!("{run_dir}{edge}")))
}

/// Players of all edges, that have seen frame 1 to 4.
fn players(port: &SharedPort, edges: &[Server], name: &str) -> Vec<Viewer> {
    let join = |_| {
        let mut player = Viewer::rtmp(port.address(), name);
        player.until(4);
        player
    };
    let players = (0..PLAYERS).map(join).collect();
    let mut played = Vec::new();
    eventually("all are in the logs", || {
        played = edges.iter().map(|edge| count_players(edge, name)).collect();
        played.iter().sum::<usize>() == PLAYERS
    });
    assert!(!played.contains(&0), "{played:?}");
    players
}

/// Without siblings.
fn count_players(server: &Server, name: &str) -> usize {
    // In this order: what comes between is no sibling too many.
    let [siblings, all] = [" sibling", ""].map(|who| format!("{who}: plays live/{name}"));
    let siblings = server.count_log(&siblings);
    server.count_log(&all) - siblings
}

#[test]
fn the_origin_sees_one_pull_of_all_edges() {
    let origin = Server::origin("");
    let meeting = Meeting::new();
    let mut pulls = Vec::new();
    for (name, run_dir, expected) in [
        ("together", meeting.config(""), 1),
        ("alone", "run_dir = \"\"\n".to_owned(), EDGES),
    ] {
        let port = SharedPort::loopback();
        let edges = edges(&origin, &port, &run_dir);
        let mut publisher = publishing(origin.address(), name);
        publisher.send_group(1, 3);
        let mut players = players(&port, &edges, name);
        let next = publisher.send_group(5, 100);
        for player in &mut players {
            player.until(next - 1);
            player.assert_undisturbed();
        }
        origin.wait_log_times(&format!(": plays live/{name}"), expected);
        pulls.push(count_players(&origin, name));
    }
    assert_eq!(pulls, [1, EDGES]);
    show(&format!(
        "{PLAYERS} players at {EDGES} edges of a port | the origin sees {} pull; with run_dir = \"\" \
         it sees {}",
        pulls[0], pulls[1]
    ));
}

#[test]
fn players_of_the_others_go_on_when_the_edge_that_pulls_is_killed() {
    let origin = Server::origin("");
    let (meeting, port) = (Meeting::new(), SharedPort::loopback());
    let mut edges = Vec::from(edges(&origin, &port, &meeting.config("")));
    let mut publisher = publishing(origin.address(), "killed");
    publisher.send_group(1, 3);
    let mut players = players(&port, &edges, "killed");
    let pulls = |edge: &Server| edge.count_log("live/killed: comes from origin ") > 0;
    let puller = edges.iter().position(pulls).unwrap();
    let killed = edges.remove(puller);
    for edge in &edges {
        assert_eq!(fetches(edge, "killed"), 1);
        assert!(!pulls(edge));
    }
    let log = killed.log();
    let is_there = |address| {
        let line = format!(" {address}: plays ");
        log.iter().any(|text| text.contains(&line))
    };
    players.retain(|player| !is_there(player.address()));
    assert_eq!(players.len(), PLAYERS - count_players(&killed, "killed"));
    killed.kill();
    let begun = Instant::now();
    publisher.send_group(100, 3);
    let longest = all_follow(&mut players, 100, begun, GO_ON);
    let next = publisher.send_group(104, 100);
    for player in &mut players {
        player.until(next - 1);
    }
    origin.wait_log_times(": plays live/killed", 2);
    eventually("one of them pulls instead", || edges.iter().any(pulls));
    let pullers = edges.iter().filter(|edge| pulls(edge)).count();
    assert_eq!(pullers, 1);
    assert_eq!(count_players(&origin, "killed"), 2);
    show(&format!(
        "the edge that pulls is killed, {} players at three others | they go on within {} ms",
        players.len(),
        longest.as_millis()
    ));
}

/// Also what is published to the port: it goes to the origin, and comes from there once.
#[test]
fn what_is_published_to_the_port_is_pulled_once() {
    let origin = Server::origin("");
    let (meeting, port) = (Meeting::new(), SharedPort::loopback());
    let edges = edges(&origin, &port, &meeting.config(""));
    let mut publisher = publishing(port.address(), "there");
    publisher.send_group(1, 3);
    let mut players = players(&port, &edges, "there");
    let next = publisher.send_group(5, 100);
    for player in &mut players {
        player.until(next - 1);
    }
    origin.wait_log(": plays live/there");
    assert_eq!(count_players(&origin, "there"), 1);
}

/// It holds the stream, and the others ask the origin themselves.
#[test]
fn an_edge_that_hangs_does_not_take_its_streams_along() {
    let origin = Server::origin("[publish]\nnormal_timeout = 60000\n");
    let mut publisher = publishing(origin.address(), "hung");
    publisher.send_group(1, 3);
    let meeting = Meeting::new();
    let edge = edge_config("127.0.0.1:0", &[origin.address()], "");
    let [hangs, lives] = [(); 2].map(|()| Server::start(&meeting.config(&edge)));
    let _holds = play(hangs.address(), "live", "hung");
    hangs.wait_log("live/hung: comes from origin ");
    hangs.signal(Signal::SIGSTOP);
    let asked = Instant::now();
    let mut player = play(lives.address(), "live", "hung");
    assert_eq!(player.frames_until(4), 1);
    show(&format!(
        "the edge that pulls hangs | a player of another one has the stream after {:.1} s",
        asked.elapsed().as_secs_f64()
    ));
    hangs.signal(Signal::SIGCONT);
}

/// While an origin is asked about a player, nothing is fetched for it, by nobody.
#[test]
fn nothing_is_fetched_for_who_is_being_asked_about() {
    let origin = Origin::new();
    let config = edge_config(
        "127.0.0.1:0",
        &[origin.address()],
        "token_traverse = true\n",
    );
    let edge = Server::start(&Meeting::new().config(&config));
    let mut player = Player::open(edge.address(), "live", None);
    player.play("guarded?key=wrong");
    let mut asked = origin.await_asked();
    assert_eq!(asked.name, "guarded?key=wrong");
    // Rounds of the watch.
    let until = Instant::now() + Duration::from_millis(500);
    while Instant::now() < until {
        assert!(origin.poll().is_none(), "it fetches already");
        thread::sleep(Duration::from_millis(5));
    }
    asked.refuse("NetStream.Play.StreamNotFound");
    player.wait_told("NetStream.Play.StreamNotFound");
    assert!(origin.poll().is_none(), "it fetches for who was refused");
}
