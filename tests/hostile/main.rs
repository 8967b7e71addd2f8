//! Every row of the list of attacks, against the real server, beside a stream that must not notice.
//!
//! The tests are named after the rows. With `--nocapture` each shows its row of the report.
#![cfg(test)]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "an overflow in a test fails the test"
)]

mod amf;
mod chunk;
mod command;
mod control;
mod disk;
mod edge;
mod fanout;
mod handshake;
mod media;
mod message;
mod names;
mod queries;
mod requests;
mod stage;
#[path = "../support/mod.rs"]
mod support;
mod times;

use stage::Stage;
use support::bystander::Bystander;
use support::eventually;

/// Letter of the rows, how many there are, and where their tests are.
const ROWS: [(char, u32, &[&str]); 6] = [
    ('h', 8, &[include_str!("handshake.rs")]),
    (
        'c',
        19,
        &[
            include_str!("chunk.rs"),
            include_str!("control.rs"),
            include_str!("message.rs"),
        ],
    ),
    (
        'a',
        11,
        &[include_str!("amf.rs"), include_str!("command.rs")],
    ),
    (
        'n',
        10,
        &[
            include_str!("names.rs"),
            include_str!("requests.rs"),
            include_str!("disk.rs"),
        ],
    ),
    (
        'm',
        10,
        &[
            include_str!("media.rs"),
            include_str!("times.rs"),
            include_str!("fanout.rs"),
        ],
    ),
    (
        'e',
        7,
        &[include_str!("edge.rs"), include_str!("queries.rs")],
    ),
];

#[test]
fn every_row_has_a_test() {
    let mut missing = Vec::new();
    for (letter, count, sources) in ROWS {
        for number in 1..=count {
            let test = format!("#[test]\nfn {letter}{number}_");
            if !sources.iter().any(|source| source.contains(&test)) {
                missing.push(format!("{letter}{number}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

/// Each test allows for threads that wait for the next connection. They do not wait for ever.
#[test]
fn threads_of_peers_that_left_end() {
    let bystander = Bystander::start("");
    let peers: Vec<_> = Stage::ALL
        .iter()
        .cycle()
        .take(80)
        .map(|stage| stage.reach(&bystander))
        .collect();
    drop(peers);
    eventually("what is left is of the bystander", || {
        let mut names = bystander.server.thread_names();
        names.retain(|name| {
            let roles = ["rtmp-", "play-", "send-"];
            roles.iter().any(|role| name.starts_with(role))
        });
        names.len() == 3
    });
    bystander.end("80 peers that leave | their threads end");
}
