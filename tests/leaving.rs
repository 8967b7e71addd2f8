#![cfg(test)]
//! Players that leave, more or less: nobody holds a thread or a descriptor for long after it.

mod support;

use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use support::amf::Value;
use support::connection::Connection;
use support::media::Kind;
use support::origin::Origin;
use support::peer::{Player, play, publishing};
use support::server::Server;

/// `OPENING_DEADLINE`, what a leaving reader lingers, and a busy machine.
const GONE: Duration = Duration::from_secs(10 + 1 + 3);

/// They have said that they leave, and take what is queued for them at a trickle: each gets a place
/// until it is gone, and is gone in time.
#[test]
fn players_that_leave_at_a_trickle_are_let_go() {
    let server = Server::origin("max_connections = 5");
    let mut publisher = publishing(server.address(), "drip");
    publisher.send_group(1, 3);
    let idle = server.descriptors();
    let mut players = [(); 4].map(|()| {
        let mut player = Player::open(server.address(), "live", Some(4096));
        player.play("drip");
        player.frames_until(4);
        player
    });
    let mut time = 100;
    for number in 5..90 {
        let kind = if number == 5 { Kind::Key } else { Kind::Inter };
        publisher.send_frame(kind, number, time, 100_000);
        time += 40;
    }
    // Some of it has arrived, so the sender is at it.
    for player in &mut players {
        player.frame();
    }
    let [first, second, third, fourth] = &mut players;
    for player in [first, second] {
        player.connection.finish();
    }
    for player in [third, fourth] {
        let call = [Value::Null];
        let sent = player.connection.command(1, "closeStream", 0.0, &call);
        sent.unwrap();
    }
    let begun = Instant::now();
    let refused = Connection::open(server.address());
    assert!(refused.is_err(), "each still has a descriptor");
    while server.descriptors() > idle {
        assert!(begun.elapsed() < GONE, "{} left", server.descriptors());
        for player in &mut players {
            let _gone = player.connection.socket().read(&mut [0; 2000]);
        }
        publisher.send_frame(Kind::Inter, 90, time, 100);
        time += 40;
        thread::sleep(Duration::from_millis(200));
    }
    Connection::open(server.address()).expect("there is room again");
}

/// Also if it has said more after `play`, as ffmpeg does.
#[test]
fn a_player_that_leaves_while_it_waits_is_not_waited_for() {
    let origin = Origin::new();
    let edge = Server::edge(&[origin.address()], "[play]\nplay_wait = 60.0");
    let silent = play(edge.address(), "live", "silent");
    let _asked = origin.asked().unwrap();
    let mut talking = play(edge.address(), "live", "talking");
    let _asked_too = origin.asked().unwrap();
    // SetBufferLength, of message stream 1.
    let buffer = [0, 3, 0, 0, 0, 1, 0, 0, 11, 184];
    talking.connection.send_control(4, &buffer);
    let left = Instant::now();
    drop((silent, talking));
    edge.wait_log_times("player ended", 2);
    let took = left.elapsed();
    assert!(took < Duration::from_secs(6), "noticed after {took:?}");
}
