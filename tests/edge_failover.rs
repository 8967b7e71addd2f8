#![cfg(test)]
//! An edge with several origins of which some are dead, silent, or break off: play and publish
//! through it work as long as one origin does.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test fails the test"
)]

mod support;

use std::net::SocketAddr;
use std::thread::{self, JoinHandle};

use support::chunk::Message;
use support::origin::{Asked, Origin};
use support::peer::{Player, Publisher, assert_forward, play, publishing};
use support::port;
use support::server::Server;

/// Publishers may be silent: what is tried here takes its time.
const PATIENT: &str = "[publish]\nnormal_timeout = 60000";

/// How far a bad origin goes before it says no more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// TCP.
    Accept,
    Handshake,
    Connect,
    /// Says yes to `play` or `publish`, and sends nothing.
    Grant,
}

/// An origin that goes as far as `phase` with every connection, and keeps it open, or closes it.
fn bad_origin(phase: Phase, keep: bool) -> SocketAddr {
    let origin = Origin::new();
    let address = origin.address();
    let serve = move || {
        let mut kept = Vec::new();
        loop {
            match phase {
                Phase::Accept => drop(origin.accept_tcp()),
                Phase::Handshake => kept.extend(origin.accept().ok()),
                Phase::Connect => kept.extend(origin.asked().map(|asked| asked.connection)),
                Phase::Grant => kept.extend(origin.asked().map(|asked| asked.grant().connection)),
            }
            if !keep {
                kept.clear();
            }
        }
    };
    let _lasts: JoinHandle<()> = thread::Builder::new().spawn(serve).unwrap();
    address
}

/// Plays a stream of `origin` through an edge that tries `bad` first, last, and in between.
fn check_play(bad: SocketAddr, origin: &Server) {
    let edge = Server::edge(&[bad, origin.address()], "");
    let mut publisher = publishing(origin.address(), "play");
    let next = publisher.send_group(1, 20);
    for _ in 0..2 {
        let mut player = play(edge.address(), "live", "play");
        assert_eq!(player.frames_until(next - 1), 1);
    }
}

/// Publishes two streams through an edge, so that each origin is tried first by one of them.
fn check_publish(bad: SocketAddr, origin: &Server) {
    let edge = Server::edge(&[bad, origin.address()], "");
    for name in ["one", "two"] {
        let mut publisher = publishing(edge.address(), name);
        let next = publisher.send_group(1, 20);
        let mut player = play(origin.address(), "live", name);
        assert_eq!(player.frames_until(next - 1), 1);
    }
}

#[test]
fn a_dead_origin_is_passed_over() {
    let dead = port::dead();
    let origin = Server::origin(PATIENT);
    check_play(dead.address(), &origin);
    check_publish(dead.address(), &origin);
}

#[test]
fn an_origin_that_only_accepts_is_passed_over() {
    let silent = Origin::new();
    let origin = Server::origin(PATIENT);
    check_play(silent.address(), &origin);
    check_publish(silent.address(), &origin);
}

#[test]
fn an_origin_that_breaks_off_is_passed_over() {
    for phase in [Phase::Accept, Phase::Handshake, Phase::Connect] {
        let bad = bad_origin(phase, false);
        let origin = Server::origin(PATIENT);
        check_play(bad, &origin);
        check_publish(bad, &origin);
    }
}

#[test]
fn an_origin_that_falls_silent_after_the_handshake_is_passed_over() {
    let bad = bad_origin(Phase::Handshake, true);
    let origin = Server::origin(PATIENT);
    check_play(bad, &origin);
    check_publish(bad, &origin);
}

#[test]
fn an_origin_that_never_answers_is_passed_over() {
    let bad = bad_origin(Phase::Connect, true);
    let origin = Server::origin(PATIENT);
    check_play(bad, &origin);
    check_publish(bad, &origin);
}

/// It may not have the stream; another may.
#[test]
fn an_origin_that_grants_and_sends_nothing_is_left() {
    let bad = bad_origin(Phase::Grant, true);
    let origin = Server::origin(PATIENT);
    check_play(bad, &origin);
}

/// The player stays, and goes on where the other origin is; time does not run backwards.
#[test]
fn an_origin_that_stalls_is_left_for_the_next() {
    let origins = [Origin::new(), Origin::new()];
    let edge = Server::edge(&origins.each_ref().map(Origin::address), "");
    let mut player = play(edge.address(), "live", "stalls");
    let mut feed = granted(&origins);
    feed.send_headers(0);
    feed.send_group(1000, 3);
    player.frames_until(1003);

    // Not a word more, but the connection stays.
    let mut other = granted(&origins);
    other.send_headers(0);
    other.send_group(1, 3);
    let (_, last) = continued(&mut player, 1);
    assert_forward(
        &Message {
            timestamp: 1003 * 20,
            ..last.clone()
        },
        &last,
    );
    player.frames_until(4);
}

/// Says yes to the first of some origins' askers.
fn granted(origins: &[Origin]) -> Publisher {
    let mut granted = None;
    support::eventually("an origin is asked", || {
        let mut asked = origins.iter().filter_map(Origin::poll);
        granted = asked.next().map(Asked::grant);
        granted.is_some()
    });
    granted.unwrap()
}

/// The next frame, which is `number`.
fn continued(player: &mut Player, number: u32) -> (u32, Message) {
    let (got, message) = player.frame();
    assert_eq!(got, number);
    (got, message)
}
