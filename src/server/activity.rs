//! What a connection does, for who looks at it.

use core::fmt::Write as _;
use std::sync::{Arc, PoisonError, Weak};

use crate::hub::queue::Gauge;
use crate::hub::stream::Stream;
use crate::hub::tally::Traffic;
use crate::server::connection::Connection;
use crate::server::port::Protocol;
use crate::server::sender::Writer;

/// What a connection is for. Said of it when it publishes or plays.
#[derive(Clone, Debug)]
pub enum Activity {
    /// It publishes. On an edge, the stream is one that nobody can play.
    Publishes(Weak<Stream<Writer>>),
    /// It plays.
    Plays {
        /// How.
        how: How,
        /// The stream's path.
        path: Arc<str>,
        /// Its queue's; of HLS there is none.
        gauge: Option<Arc<Gauge>>,
    },
}

/// How a stream is played.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum How {
    /// Over RTMP.
    Rtmp,
    /// As HTTP-FLV.
    Flv,
    /// As HLS: its connection has asked for the playlist.
    Hls,
}

impl Connection {
    /// Says what it does; `None`: nothing any more.
    pub fn set_activity(&self, activity: Option<Activity>) {
        *self.activity.lock().unwrap_or_else(PoisonError::into_inner) = activity;
    }

    /// What it does, if it publishes or plays.
    pub fn activity(&self) -> Option<Activity> {
        let activity = self.activity.lock();
        activity.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts in `traffic` what it has been sent since that was `before`; of a sibling nothing.
    pub fn count_for(&self, traffic: &Traffic, before: u64) {
        if self.protocol != Protocol::Sibling {
            let sent = self.traffic.sent().saturating_sub(before);
            traffic.send(usize::try_from(sent).unwrap_or(usize::MAX));
        }
    }
}

/// What got lost on a connection, for the line in the log that says that it has ended: frames that
/// a player was too slow for, and messages of its peer that made no sense. Nothing if nothing did.
pub fn losses(connection: &Connection, dropped: u64) -> String {
    let skipped = match connection.activity() {
        Some(Activity::Plays { gauge, .. }) => gauge.map_or(0, |gauge| gauge.skipped()),
        Some(Activity::Publishes(_)) | None => 0,
    };
    let mut losses = String::new();
    for (count, what) in [(skipped, "frames skipped"), (dropped, "messages dropped")] {
        if count > 0 {
            // Writing to a string cannot fail.
            let _ = write!(losses, "; {count} {what}");
        }
    }
    losses
}
