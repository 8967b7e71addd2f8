//! What the page shows, whoever says it.

use core::time::Duration;
use std::sync::Arc;

use crate::limits;
use crate::server::Server;

/// What there is to see now.
pub(super) fn of(server: &Arc<Server>) -> View {
    let config = server.config();
    let hls = server.hls.states();
    let flv = config.http_server.as_ref().is_some_and(|http| http.remux);
    let stream = |path: &Arc<str>| Stream {
        path: (**path).to_owned(),
        pid: std::process::id(),
        hls: hls.get(&**path).copied(),
        flv,
        ..Stream::default()
    };
    let live = server.registry.live(limits::MAX_LISTED_STREAMS);
    View {
        streams: live.iter().map(stream).collect(),
        ..View::default()
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct View {
    /// Those that share the port.
    pub(super) processes: Vec<Process>,
    /// Those that are live, in order; each is there once.
    pub(super) streams: Vec<Stream>,
    /// Streams that there are beside these.
    pub(super) more: usize,
}

/// One process of the port.
#[derive(Debug, Default)]
pub(super) struct Process {
    /// Its number.
    pub(super) pid: u32,
    /// Whether it is the one that answers.
    pub(super) answers: bool,
    /// Since it started.
    pub(super) up: Duration,
    /// What is connected to it.
    pub(super) connections: u64,
    /// Streams that are live there.
    pub(super) streams: u64,
    /// What it receives, in kbit/s.
    pub(super) kbps_in: u64,
    /// What it sends, in kbit/s.
    pub(super) kbps_out: u64,
}

/// One live stream.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// `app/name`.
    pub(super) path: String,
    /// Where it is published, or comes from elsewhere first.
    pub(super) pid: u32,
    /// The others that have it.
    pub(super) others: Vec<u32>,
    /// What it comes from, if it is not published here.
    pub(super) from: Option<String>,
    /// Since it became live.
    pub(super) up: Duration,
    /// Its video, if it has any.
    pub(super) video: Option<Video>,
    /// Its audio, if it has any.
    pub(super) audio: Option<Audio>,
    /// What comes in, in kbit/s.
    pub(super) kbps: u64,
    /// Who plays it, at all of them.
    pub(super) players: u64,
    /// Frames that slow players missed.
    pub(super) dropped: u64,
    /// Whether HLS is written as it should be; `None`: it is not asked for.
    pub(super) hls: Option<bool>,
    /// Whether it is served as HTTP-FLV.
    pub(super) flv: bool,
    /// Those of them that can be ended; `None`: not from this page.
    pub(super) clients: Option<Vec<Client>>,
}

/// One connection that publishes or plays.
#[derive(Debug, Default)]
pub(super) struct Client {
    /// Its number in its process.
    pub(super) id: String,
    /// Its process.
    pub(super) pid: u32,
    /// Its address.
    pub(super) address: String,
    /// What it does.
    pub(super) what: String,
    /// Since it began.
    pub(super) up: Duration,
    /// Where a DELETE ends it.
    pub(super) kick: String,
}

/// Of a stream.
#[derive(Debug, Default)]
pub(super) struct Video {
    /// What people call it.
    pub(super) codec: String,
    /// Width and height, in pixels.
    pub(super) size: Option<(u32, u32)>,
    /// Frames a second.
    pub(super) rate: Option<f64>,
}

/// Of a stream.
#[derive(Debug, Default)]
pub(super) struct Audio {
    /// What people call it.
    pub(super) codec: String,
    /// Samples a second.
    pub(super) rate: Option<u32>,
    /// 1 is mono.
    pub(super) channels: Option<u8>,
}
