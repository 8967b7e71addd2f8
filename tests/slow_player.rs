#![cfg(test)]
//! A player that stops reading costs nobody else a frame, and the server a bounded amount.

mod support;

use std::time::{Duration, Instant};

use support::connection::End;
use support::media::{self, Kind};
use support::peer::{Player, play, publishing};
use support::server::Server;

/// A player that has read up to frame `last`, and stops there. Its receive buffer is small, but not
/// so small that the kernel sends it drops.
fn stalled(server: &Server, name: &str, last: u32) -> Player {
    let mut player = Player::open(server.address(), "live", Some(128 * 1024));
    player.play(name);
    player.frames_until(last);
    player
}

#[test]
fn stalled_players_are_let_go_and_cost_nobody_a_frame() {
    let server = Server::origin("");
    let mut publisher = publishing(server.address(), "stall");
    let mut next = publisher.send_megabyte(1);
    let mut player = play(server.address(), "live", "stall");
    player.frames_until(next - 1);
    let before = (server.resident(), server.descriptors());
    // One stops in the middle of its opening, one behind it.
    let mut stalled = [1, next - 1].map(|last| stalled(&server, "stall", last));

    let begun = Instant::now();
    let mut most = 0;
    for _ in 0..64 {
        let first = next;
        next = publisher.send_megabyte(first);
        assert_eq!(player.frames_until(next - 1), first);
        most = most.max(server.resident());
    }
    // The stalled ones are let go after 10 s; nobody waited for that.
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "somebody waited for it"
    );
    let grown = most - before.0;
    assert!(
        grown < 48 * 1024,
        "{grown} KiB for 128 MiB that nobody took"
    );

    support::eventually("the stalled players are let go", || {
        publisher.send_frame(Kind::Inter, next, next * 40, 100);
        assert_eq!(player.frame().0, next);
        next += 1;
        server.descriptors() == before.1
    });
    for player in &mut stalled {
        assert_ne!(player.connection.drain().1, End::Silent);
    }
}

/// It gets a jump, never a broken picture: what follows a gap is a keyframe.
#[test]
fn a_player_that_was_slow_resumes_at_a_keyframe() {
    let server = Server::origin("");
    let mut publisher = publishing(server.address(), "slow");
    let mut next = publisher.send_megabyte(1);
    let mut slow = stalled(&server, "slow", next - 1);
    let mut witness = play(server.address(), "live", "slow");
    for _ in 0..32 {
        next = publisher.send_megabyte(next);
        witness.frames_until(next - 1);
    }
    let (mut before, _) = slow.frame();
    let mut gaps = 0;
    while before < next - 1 {
        let message = match slow.receive_within(Duration::from_millis(100)) {
            Ok(message) => message,
            Err(end) => {
                // What was dropped at the end shows only when something follows.
                assert_eq!(end, End::Silent);
                next = publisher.send_megabyte(next);
                continue;
            }
        };
        let Some(number) = media::number(&message) else {
            continue;
        };
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
    }
    assert!(gaps > 0, "32 MiB fit into the queue?");
}
