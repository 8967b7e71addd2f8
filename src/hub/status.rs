//! How a stream is, for who looks at it.

use std::sync::Arc;
use std::time::Instant;

use crate::hub::frame::Frame;
use crate::hub::stream::Stream;
use crate::hub::tally::Tally;

/// How a stream is at the moment.
#[derive(Debug)]
pub struct Status {
    /// Since when players can join, if they can.
    pub live: Option<Instant>,
    /// Its frames so far.
    pub tally: Tally,
    /// Metadata and sequence headers.
    pub head: Vec<Arc<Frame>>,
}

impl<W> Stream<W> {
    /// How it is at the moment.
    pub fn status(&self) -> Status {
        let state = self.lock();
        Status {
            live: state.live_since.filter(|_| state.live),
            tally: state.tally,
            head: state.cache.head(),
        }
    }
}
