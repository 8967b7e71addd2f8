//! Every row of the list of attacks, against the real server, beside a stream that must not notice.
//!
//! The tests are named after the rows. With `--nocapture` each shows its row of the report.
#![cfg(test)]

mod amf;
mod chunk;
mod handshake;
#[path = "../support/mod.rs"]
mod support;

/// Letter of the rows, how many there are, and where their tests are.
const ROWS: [(char, u32, &[&str]); 3] = [
    ('h', 8, &[include_str!("handshake.rs")]),
    ('c', 19, &[include_str!("chunk.rs")]),
    ('a', 11, &[include_str!("amf.rs")]),
];

#[test]
#[ignore = "rows are still being written"]
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
