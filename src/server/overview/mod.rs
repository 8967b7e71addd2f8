//! What the process does at the moment, as plain data. Everything that shows something of it, to
//! people or programs, is made from this.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use crate::config::DEFAULT_VHOST;
use crate::wire::codec::{Audio, Video};

mod look;

pub use self::look::counts_of;

/// One process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overview {
    /// Its number, in its own namespace.
    pub process: u32,
    /// Of srs-lite.
    pub version: String,
    /// Names the process among others, as long as it runs.
    pub id: String,
    /// Seconds since it started.
    pub uptime: f64,
    /// Connections that others have opened to it, but for siblings and the API.
    pub connections: u64,
    /// At most so many.
    pub max_connections: u64,
    /// Bytes since it started, of all connections.
    pub received: u64,
    /// The same.
    pub sent: u64,
    /// Kilobits a second lately, of all connections.
    pub received_kbps: u64,
    /// The same.
    pub sent_kbps: u64,
    /// Frames since it started that players did not get because they were too slow.
    pub skipped: u64,
    /// Streams that are live, wanted, or published through it to an origin; by path.
    pub streams: Vec<StreamView>,
    /// Who publishes or plays; by number. Siblings are none.
    pub clients: Vec<ClientView>,
}

/// One stream of a process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamView {
    /// Names it, as long as the process runs.
    pub id: String,
    /// Its vhost.
    pub vhost: String,
    /// Its application.
    pub app: String,
    /// Its name.
    pub name: String,
    /// Seconds that it has been live; `None`: it is not.
    pub live: Option<f64>,
    /// The client that publishes it, if one does so to this process.
    pub publisher: Option<String>,
    /// Clients that play it.
    pub players: u64,
    /// Bytes that came from its publisher or from where it is fetched.
    pub received: u64,
    /// Bytes that its players over RTMP and HTTP-FLV were sent, or an origin.
    pub sent: u64,
    /// Kilobits a second lately.
    pub received_kbps: u64,
    /// The same.
    pub sent_kbps: u64,
    /// Frames that came in.
    pub video_frames: u64,
    /// The same.
    pub audio_frames: u64,
    /// Video frames a second lately.
    pub fps: f64,
    /// Frames that its players did not get because they were too slow.
    pub skipped: u64,
    /// What its video is.
    pub video: Option<Video>,
    /// What its audio is.
    pub audio: Option<Audio>,
    /// From where it is fetched, if it is.
    pub pull: Option<LinkView>,
    /// To where it is forwarded, if it is.
    pub forward: Option<LinkView>,
    /// Whether the disk takes it; `None`: there is no HLS of it.
    pub hls: Option<bool>,
}

/// A way to another process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinkView {
    /// `origin 10.0.0.1:1935` or `process 12`; `None`: it is being looked for.
    pub at: Option<String>,
}

/// One client of a process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientView {
    /// Names it, as long as the process runs.
    pub id: String,
    /// Its number in the log.
    pub number: u64,
    /// Its address.
    pub ip: String,
    /// The same, with its port.
    pub peer: String,
    /// SRS's word: `fmle-publish`, `rtmp-play`, `flv-play`, `hls-play`.
    pub kind: String,
    /// Whether it publishes.
    pub publishes: bool,
    /// [`StreamView::id`].
    pub stream: String,
    /// Of the stream.
    pub vhost: String,
    /// Of the stream.
    pub app: String,
    /// Of the stream.
    pub name: String,
    /// As it said in its `connect`, without what may be a secret.
    pub tc_url: String,
    /// The same.
    pub page_url: String,
    /// The same.
    pub swf_url: String,
    /// Seconds since it connected.
    pub alive: f64,
    /// Bytes that came from it.
    pub received: u64,
    /// Bytes that it was sent.
    pub sent: u64,
    /// Kilobits a second lately.
    pub received_kbps: u64,
    /// The same.
    pub sent_kbps: u64,
    /// Frames that it did not get because it was too slow.
    pub skipped: u64,
}

/// Names for what a process has: they say nothing, and no other process has the same.
#[derive(Debug, Default)]
pub struct Ids(RandomState);

impl Ids {
    /// Of the process.
    pub fn process(&self) -> String {
        self.id("process")
    }

    /// Of a vhost.
    pub fn vhost(&self, name: &str) -> String {
        self.id(("vhost", name))
    }

    /// Of the stream at `path`.
    pub fn stream(&self, path: &str) -> String {
        self.id(("stream", path))
    }

    /// Of a connection.
    pub fn client(&self, number: u64) -> String {
        self.id(("client", number))
    }

    fn id(&self, of: impl core::hash::Hash) -> String {
        format!("vid-{:016x}", self.0.hash_one(of))
    }
}

/// Vhost, application and name of a stream's path.
pub fn parts(path: &str) -> (&str, &str, &str) {
    let (before, name) = path.rsplit_once('/').unwrap_or(("", path));
    let (vhost, app) = before.rsplit_once('/').unwrap_or((DEFAULT_VHOST, before));
    (vhost, app, name)
}
