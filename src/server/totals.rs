//! What the process has done since it started. Only grows, also when what was counted is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::hub::tally::Traffic;
use crate::server::port::Protocol;
use crate::server::rates::Counts;

/// Counted by the process.
#[derive(Debug, Default)]
pub struct Totals {
    rtmp: Kind,
    http: Kind,
    api: Kind,
    sibling: Kind,
    /// From and to origins, over connections that we opened.
    pub upstream: Arc<Traffic>,
    /// Connections that were closed for want of room.
    pub shed: Count,
    /// Publishers that were let in.
    pub published: Count,
    /// Players that were let in; of HLS nobody knows.
    pub played: Count,
}

/// Connections of one kind that others opened to us.
#[derive(Debug, Default)]
pub struct Kind {
    /// Their bytes.
    pub traffic: Arc<Traffic>,
    /// How many there have been.
    pub accepted: Count,
}

/// Something that happens.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// It has happened.
    pub fn more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Totals {
    /// Beside what siblings are sent, and send.
    pub fn new(siblings: Option<Arc<Traffic>>) -> Self {
        Self {
            sibling: Kind {
                traffic: siblings.unwrap_or_default(),
                accepted: Count::default(),
            },
            ..Self::default()
        }
    }

    /// All bytes by now.
    pub fn counts(&self) -> Counts {
        let kinds = [&self.rtmp, &self.http, &self.api, &self.sibling];
        let traffic = kinds.map(|kind| &kind.traffic);
        let all = traffic.into_iter().chain([&self.upstream]);
        all.fold(Counts::default(), |counts, traffic| Counts {
            received: counts.received.saturating_add(traffic.received()),
            sent: counts.sent.saturating_add(traffic.sent()),
            frames: 0,
        })
    }

    /// Connections on which this is spoken.
    pub const fn of(&self, protocol: Protocol) -> &Kind {
        match protocol {
            Protocol::Rtmp => &self.rtmp,
            Protocol::Http => &self.http,
            Protocol::Api => &self.api,
            Protocol::Sibling => &self.sibling,
        }
    }
}
