//! What the integration tests share: the real binary as a child, ports and network namespaces, a
//! scripted RTMP peer, and media whose loss, order and bytes can be checked.
//!
//! The peer is the oracle, so it uses nothing of the crate's own wire code. It is as strict as the
//! strictest player: what the specification forbids fails the test.

#![expect(dead_code, reason = "every test crate uses a part of it")]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "an overflow in a test fails the test"
)]

use std::thread;
use std::time::{Duration, Instant};

pub(crate) mod amf;
pub(crate) mod attempts;
pub(crate) mod bystander;
pub(crate) mod chunk;
pub(crate) mod clients;
pub(crate) mod connection;
pub(crate) mod disk;
pub(crate) mod encoder;
pub(crate) mod hls;
#[cfg(feature = "hooks")]
pub(crate) mod hook_server;
pub(crate) mod http;
pub(crate) mod load;
pub(crate) mod long_players;
pub(crate) mod machines;
pub(crate) mod media;
pub(crate) mod missing;
pub(crate) mod netns;
pub(crate) mod origin;
pub(crate) mod packets;
pub(crate) mod peer;
pub(crate) mod port;
pub(crate) mod segments;
pub(crate) mod server;
pub(crate) mod siblings;
pub(crate) mod temp;
pub(crate) mod ts;
pub(crate) mod viewer;

/// For anything that must happen, on a machine that is busy with other tests.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for what no message announces; fails the test if it does not come.
pub(crate) fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !happened() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
