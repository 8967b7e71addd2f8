//! Panics on demand, for tests of what a panic may harm.

use std::sync::{Mutex, PoisonError};

/// Where a panic can be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// In a sender's round.
    Sender,
    /// On a publisher's thread.
    Publisher,
}

static ARMED: Mutex<Vec<(Place, String)>> = Mutex::new(Vec::new());

/// The next time that `place` of the stream at `path` is passed, it panics.
pub(crate) fn arm(place: Place, path: &str) {
    let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
    armed.push((place, path.to_owned()));
}

/// Panics if that was asked for.
pub(crate) fn maybe_panic(place: Place, path: &str) {
    let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(index) = armed.iter().position(|(p, s)| *p == place && s == path) {
        armed.swap_remove(index);
        drop(armed);
        panic!("asked for");
    }
}
