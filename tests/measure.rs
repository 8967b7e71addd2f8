#![cfg(test)]
//! Figures, not verdicts: `cargo test --release --test measure -- --ignored --nocapture`. A shared
//! machine's clock decides nothing here; the numbers are printed for whoever reads them.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "a program for people"
)]

mod support;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::media::Kind;
use support::peer::{Player, Publisher, play, publishing};
use support::server::Server;

const PLAYERS: usize = 200;

/// About 900 kbit/s: 25 frames a second in groups of two seconds, and as much audio.
fn feed(publisher: &mut Publisher, done: &AtomicBool) {
    let begun = Instant::now();
    for number in 1..u32::MAX {
        let kind = if number % 50 == 1 {
            Kind::Key
        } else {
            Kind::Inter
        };
        let size = if kind == Kind::Key { 40_000 } else { 3_600 };
        publisher.send_frame(kind, number, number * 40, size);
        publisher.send(8, number * 40, &[0xAF, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        let next = Duration::from_millis(40) * number;
        thread::sleep(next.saturating_sub(begun.elapsed()));
        if done.load(Ordering::Relaxed) {
            return;
        }
    }
}

/// Everybody connects at once; how long each waited for its first keyframe, in order.
fn join_all(address: SocketAddr) -> Vec<Duration> {
    let players: Vec<Player> = thread::scope(|scope| {
        let join = |_| {
            scope.spawn(move || {
                let mut player = play(address, "live", "join");
                while player.first_key.is_none() {
                    player.media();
                }
                player
            })
        };
        let threads: Vec<_> = (0..PLAYERS).map(join).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let mut waits: Vec<_> = players.iter().filter_map(|p| p.first_key).collect();
    waits.sort();
    waits
}

/// One after the other; each stays.
fn join_in_turn(address: SocketAddr) -> (Vec<Duration>, Vec<Player>) {
    let mut players = Vec::new();
    for _ in 0..PLAYERS {
        let mut player = play(address, "live", "join");
        while player.first_key.is_none() {
            player.media();
        }
        players.push(player);
    }
    let mut waits: Vec<_> = players.iter().filter_map(|p| p.first_key).collect();
    waits.sort();
    (waits, players)
}

fn say(what: &str, waits: &[Duration]) {
    let at = |percent: usize| waits[(waits.len() - 1) * percent / 100];
    println!(
        "{what}: connect to first keyframe p50 {:?}, p99 {:?}, longest {:?}",
        at(50),
        at(99),
        at(100)
    );
}

#[test]
#[ignore = "prints figures"]
fn players_join() {
    let origin = Server::origin("");
    let edge = Server::edge(&[origin.address()], "");
    println!(
        "idle: {} KiB resident, {} threads",
        origin.resident(),
        origin.threads()
    );
    let mut publisher = publishing(origin.address(), "join");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| feed(&mut publisher, &done));
        thread::sleep(Duration::from_secs(3));
        for (what, server) in [("origin", &origin), ("edge", &edge)] {
            say(
                &format!("{what}, {PLAYERS} at once"),
                &join_all(server.address()),
            );
            let (waits, players) = join_in_turn(server.address());
            say(&format!("{what}, {PLAYERS} in turn"), &waits);
            let (memory, threads) = (server.resident(), server.threads());
            println!("{what}, {PLAYERS} players: {memory} KiB resident, {threads} threads");
            drop(players);
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
#[ignore = "prints figures"]
fn a_server_starts() {
    let mut waits = Vec::new();
    for _ in 0..20 {
        let begun = Instant::now();
        let server = Server::origin("");
        // Until its first line is in our hands: listening began before.
        waits.push(begun.elapsed());
        server.stop();
    }
    waits.sort();
    println!(
        "exec to listening: p50 {:?}, longest {:?}",
        waits[10], waits[19]
    );
}
