//! A player that stays is read by a thread of another kind, with a small stack.
#![cfg(test)]

mod support;

use std::net::SocketAddr;

use srs_lite::limits;
use support::amf::Value;
use support::media::Kind;
use support::peer::{Player, Publisher, play, publishing};
use support::server::Server;

fn joined(address: SocketAddr, publisher: &mut Publisher) -> Player {
    publisher.send_frame(Kind::Key, 1, 20, 200);
    let mut player = play(address, "live", "stays");
    player.frames_until(1);
    player
}

#[test]
fn a_settled_player_is_answered_and_served_as_before() {
    let server = Server::origin("");
    let mut publisher = publishing(server.address(), "stays");
    let mut player = joined(server.address(), &mut publisher);
    support::eventually("it settles", || server.threads_of("play") == 1);
    // The deepest command that there can be, on the small stack.
    let deepest = Value::nested(limits::MAX_AMF0_DEPTH);
    let call = player.connection.call(0, "deep", &[deepest]);
    player.connection.answer(call).unwrap();
    publisher.send_frame(Kind::Inter, 2, 40, 200);
    assert_eq!(player.frame().0, 2);
    server.stop();
}

#[test]
fn a_settled_player_that_breaks_the_protocol_ends_alone() {
    let server = Server::origin("");
    let mut publisher = publishing(server.address(), "stays");
    let mut good = joined(server.address(), &mut publisher);
    let mut bad = joined(server.address(), &mut publisher);
    support::eventually("they settle", || server.threads_of("play") == 2);
    let deeper = Value::nested(limits::MAX_AMF0_DEPTH + 1);
    bad.connection.call(0, "deeper", &[deeper]);
    server.wait_log("player ended");
    publisher.send_frame(Kind::Inter, 2, 40, 200);
    while good.frame().0 != 2 {}
    // Its thread waits for another player, and goes.
    drop(good);
    support::eventually("all threads go", || server.threads_of("play") == 0);
    server.stop();
}
