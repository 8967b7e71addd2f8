#![cfg(test)]
//! Streams that do not exist cost an edge and its origin a bounded amount.

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use support::connection::End;
use support::missing::{PLAYERS, ask_for};
use support::peer::{play, publishing};
use support::port;
use support::server::Server;

/// Names asked for.
const NAMES: usize = 10_000;

/// What an edge with 400 players may use besides a thread and a descriptor for each: 128 pulls that
/// have not delivered yet, and what is there anyway.
const PULLS: usize = 128;
const REST: usize = 40;

#[test]
fn ten_thousand_missing_names_are_bounded() {
    let wait = "[play]\nplay_wait = 0.2";
    let origin = Server::origin(wait);
    let edge = Server::edge(&[origin.address()], wait);
    let address = edge.address();
    let at_rest = edge.resident();
    let [threads, descriptors, kib, pulls] = ask_for(NAMES, address, || {
        [
            edge.threads(),
            edge.descriptors(),
            edge.resident() - at_rest,
            origin.descriptors(),
        ]
    });
    // Of a player that has left, the thread may still be on its way out.
    assert!(threads <= 2 * PLAYERS + PULLS + REST, "{threads} threads");
    assert!(
        descriptors <= PLAYERS + PULLS + REST,
        "{descriptors} descriptors"
    );
    assert!(pulls <= PULLS + REST, "{pulls} descriptors of the origin");
    assert!(kib <= 64 * 1024, "{kib} KiB");
    support::eventually("everything is given back", || {
        edge.threads() < 20 && edge.descriptors() < 20 && origin.descriptors() < 20
    });

    // And it still works.
    let mut publisher = publishing(origin.address(), "missing1");
    publisher.send_group(1, 3);
    play(address, "live", "missing1").frames_until(4);
}

/// Through an edge: told when the wait is over, whether the origin lacks the stream or is down.
#[test]
fn a_missing_stream_is_not_found_through_an_edge() {
    let down = port::dead();
    let origin = Server::origin("");
    for address in [origin.address(), down.address()] {
        let edge = Server::edge(&[address], "[play]\nplay_wait = 1.5");
        let asked = Instant::now();
        let mut player = play(edge.address(), "live", "missing");
        player.wait_told("NetStream.Play.StreamNotFound");
        let waited = asked.elapsed();
        assert!(
            waited >= Duration::from_millis(1500),
            "told after {waited:?}"
        );
        assert_eq!(player.connection.drain().1, End::Closed);
    }
}

/// A stream that comes to the origin while an edge's player waits for it, or a short time after
/// another player was told that there is none.
#[test]
fn a_stream_may_come_while_a_player_of_an_edge_waits() {
    let origin = Server::origin("");
    let edge = Server::edge(&[origin.address()], "");
    let mut player = play(edge.address(), "live", "late");
    let quiet = player.receive_within(Duration::from_millis(700));
    assert!(!matches!(quiet, Err(End::Closed | End::Reset)), "{quiet:?}");
    let mut publisher = publishing(origin.address(), "late");
    publisher.send_group(1, 3);
    assert_eq!(player.frames_until(4), 1);

    let impatient = Server::edge(&[origin.address()], "[play]\nplay_wait = 0.3");
    let mut player = play(impatient.address(), "live", "later");
    player.wait_told("NetStream.Play.StreamNotFound");
    // Published on the edge itself: that clears what it remembers of the absence.
    let mut publisher = publishing(impatient.address(), "later");
    publisher.send_group(1, 3);
    play(impatient.address(), "live", "later").frames_until(4);
}

/// An origin that is down comes up while a player waits.
#[test]
fn an_origin_may_come_while_a_player_of_an_edge_waits() {
    let port = port::SharedPort::loopback();
    let edge = Server::edge(&[port.address()], "");
    let mut player = play(edge.address(), "live", "down");
    let _origin = Server::start(&format!("listen = \"{}\"", port.address()));
    let mut publisher = publishing(port.address(), "down");
    publisher.send_group(1, 3);
    assert_eq!(player.frames_until(4), 1);
}

/// ffprobe ends by itself, and does not call it a success.
#[test]
fn ffprobe_ends_by_itself() {
    let origin = Server::origin("");
    let edge = Server::edge(&[origin.address()], "[play]\nplay_wait = 1.0");
    for server in [&edge, &origin] {
        let begun = Instant::now();
        let url = format!("rtmp://{}/live/missing", server.address());
        let probe = Command::new("ffprobe").args(["-v", "error", &url]).output();
        let probe = probe.expect("needs ffmpeg");
        assert!(!probe.status.success());
        assert!(begun.elapsed() < support::DEADLINE, "{:?}", begun.elapsed());
    }
}
