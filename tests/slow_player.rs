#![cfg(test)]
//! A player that stops reading costs nobody else a frame, and the server a bounded amount.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test fails the test"
)]

mod support;

use std::time::{Duration, Instant};

use support::connection::End;
use support::media::Kind;
use support::peer::{Player, Publisher, play, publishing};
use support::server::Server;

/// A keyframe and 24 more frames, a megabyte together; returns the number after the last.
fn megabyte(publisher: &mut Publisher, number: u32) -> u32 {
    for index in number..number + 25 {
        let kind = if index == number {
            Kind::Key
        } else {
            Kind::Inter
        };
        publisher.send_frame(kind, index, index * 40, 40_000);
    }
    number + 25
}

/// A player with a small receive buffer that has got its first frame, and stops there.
fn stalled(server: &Server, name: &str) -> Player {
    let mut player = Player::open(server.address(), "live", Some(4096));
    player.play(name);
    player.frame();
    player
}

#[test]
fn a_stalled_player_is_let_go_and_costs_nobody_a_frame() {
    let server = Server::origin("");
    let mut publisher = publishing(server.address(), "stall");
    let mut next = megabyte(&mut publisher, 1);
    let mut player = play(server.address(), "live", "stall");
    player.frames_until(next - 1);
    let before = (server.resident(), server.descriptors());
    let mut stalled = stalled(&server, "stall");

    let begun = Instant::now();
    let mut most = 0;
    for _ in 0..64 {
        let first = next;
        next = megabyte(&mut publisher, first);
        assert_eq!(player.frames_until(next - 1), first);
        most = most.max(server.resident());
    }
    // The stalled player is let go after 10 s; nobody waited for that.
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "somebody waited for it"
    );
    let grown = most - before.0;
    assert!(grown < 32 * 1024, "{grown} KiB for 64 MiB that nobody took");

    support::eventually("the stalled player is let go", || {
        publisher.send_frame(Kind::Inter, next, next * 40, 100);
        assert_eq!(player.frame().0, next);
        next += 1;
        server.descriptors() == before.1
    });
    assert_ne!(stalled.connection.drain().1, End::Silent);
}

/// It gets a jump, never a broken picture: what follows a gap is a keyframe.
#[test]
fn a_player_that_was_slow_resumes_at_a_keyframe() {
    let server = Server::origin("");
    let mut publisher = publishing(server.address(), "slow");
    let mut next = megabyte(&mut publisher, 1);
    let mut slow = stalled(&server, "slow");
    let mut witness = play(server.address(), "live", "slow");
    for _ in 0..32 {
        next = megabyte(&mut publisher, next);
        witness.frames_until(next - 1);
    }
    let (mut before, _) = slow.frame();
    let mut gaps = 0;
    let mut target = next;
    while before < target {
        let (number, message) = slow.frame();
        if number != before + 1 {
            assert!(number > before, "{number} after {before}");
            assert_eq!(
                Kind::of(&message),
                Some(Kind::Key),
                "{number} after {before}"
            );
            gaps += 1;
        }
        before = number;
        // What was dropped at the end shows only when something follows.
        if next == target {
            next = megabyte(&mut publisher, next);
            target = next - 1;
        }
    }
    assert!(gaps > 0, "32 MiB fit into the queue?");
}
