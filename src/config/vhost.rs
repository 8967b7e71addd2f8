//! What a vhost can have of its own.

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::de::DeValue;

use super::cluster::cluster;
use super::document::Document;
use super::http_hooks::{HttpHooks, http_hooks};
use super::read::path_or_none;
use super::security::Rule;
use super::stream_key::StreamKey;
use super::{Cluster, ListenAddress, Mode, Security, value};

/// What SRS calls the vhost that has no name.
pub const DEFAULT_VHOST: &str = "__defaultVhost__";

/// Streams of one name in two vhosts are two streams. What the blocks of a vhost do not say is as in
/// those at the top level, which are the default vhost's.
///
/// Deviation: in SRS it is as if no file said anything.
#[derive(Clone, Debug, PartialEq)]
pub struct Vhost {
    /// Whether it is served.
    pub enabled: bool,
    /// Origin or edge, and where it gets what is not published here.
    pub cluster: Cluster,
    /// What players get.
    pub play: Play,
    /// What publishers may do, and when they are let go.
    pub publish: Publish,
    /// HLS, if it is enabled.
    pub hls: Option<Hls>,
    /// Who may publish and play.
    pub security: Security,
    /// `[http_remux]`: whether live streams are served as `/app/stream.flv`.
    pub remux: bool,
    /// Who is asked and told about peers.
    pub http_hooks: HttpHooks,
}

/// `[play]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Play {
    /// Whether a player starts with the current group of pictures.
    pub gop_cache: bool,
    /// Frames kept of it; a longer group is not cached.
    pub gop_cache_max_frames: usize,
    /// Merge time of the senders.
    pub mw_latency: MergeTime,
    /// How long a player waits for a stream that is not there.
    pub play_wait: Duration,
}

impl Play {
    /// Frames that are kept of a group of pictures; 0: none.
    pub fn group_frames(&self) -> usize {
        match self.gop_cache {
            true => self.gop_cache_max_frames,
            false => 0,
        }
    }
}

/// `mw_latency`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum MergeTime {
    /// By the number of players of the process.
    Auto,
    /// Always this.
    Fixed(Duration),
}

/// `[publish]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Publish {
    /// How long players are kept after their publisher left.
    pub publisher_wait: Duration,
    /// From `publish` to the first audio or video message.
    pub firstpkt_timeout: Duration,
    /// Between any two messages after that.
    pub normal_timeout: Duration,
    /// What happens to the second publisher of a live name.
    pub republish: Republish,
}

/// `[hls]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Hls {
    /// `hls_path`: the directory that siblings share.
    pub path: PathBuf,
    /// `hls_fragment`: what a segment should not exceed.
    pub fragment: Duration,
    /// `hls_window`: what a playlist lists at least.
    pub window: Duration,
    /// `hls_td_ratio`: the target duration is at least this many fragments.
    pub td_ratio: f64,
    /// `hls_cleanup`: remove segments that nobody can want any more.
    pub cleanup: bool,
    /// `hls_dispose`: after so long without a publisher, a stream's files are removed. `None`:
    /// never.
    pub dispose: Option<Duration>,
    /// `hls_entry_prefix`: begins the URIs in playlists; empty: they are relative.
    pub entry_prefix: String,
}

/// `republish`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Republish {
    /// It is refused.
    Busy,
    /// It replaces the first.
    Takeover,
}

const NO_NAME: &str = "no name of a vhost: letters, digits, \"-\", \"_\" and \".\", as of a host, but \
                       no address; the default vhost's blocks stand at the top level";

/// The default vhost and the others; mistakes stay with the document.
pub(super) fn vhosts(
    file: &mut Document<'_>,
    listen: &[ListenAddress],
    has_http: bool,
) -> (Vhost, BTreeMap<String, Vhost>) {
    let default = vhost(file, listen, has_http);
    let mut others = BTreeMap::new();
    for text in file.vhosts() {
        file.of_vhost(&text, |file| {
            let enabled = file.switch("enabled", true);
            let vhost = vhost(file, listen, has_http);
            let Some(name) = value::vhost_name(&text) else {
                return file.refuse_vhost(NO_NAME);
            };
            let vhost = Vhost { enabled, ..vhost };
            if others.insert(name, vhost).is_some() {
                file.refuse_vhost("there twice: capital letters do not count");
            }
        });
    }
    (default, others)
}

fn vhost(file: &mut Document<'_>, listen: &[ListenAddress], has_http: bool) -> Vhost {
    let cluster = cluster(file, listen);
    Vhost {
        enabled: true,
        play: play(file),
        publish: publish(file),
        hls: hls(file, &cluster),
        security: security(file),
        remux: remux(file, has_http),
        http_hooks: http_hooks(file),
        cluster,
    }
}

fn play(file: &mut Document<'_>) -> Play {
    Play {
        gop_cache: file.switch("play.gop_cache", true),
        gop_cache_max_frames: file.read(
            "play.gop_cache_max_frames",
            2500,
            "a number from 1 to 100000",
            |value| value::number(value, 1_u32..=100_000)?.try_into().ok(),
        ),
        mw_latency: file.read(
            "play.mw_latency",
            MergeTime::Auto,
            "\"auto\" or milliseconds from 0 to 2000",
            |value| match value.as_str() {
                Some(text) => (text == "auto").then_some(MergeTime::Auto),
                None => value::milliseconds(value, 0..=2000).map(MergeTime::Fixed),
            },
        ),
        play_wait: file.seconds("play.play_wait", 5, 0..=3600),
    }
}

fn publish(file: &mut Document<'_>) -> Publish {
    Publish {
        publisher_wait: file.seconds("publish.publisher_wait", 60, 0..=86_400),
        firstpkt_timeout: file.milliseconds("publish.firstpkt_timeout", 20_000, 1..=3_600_000),
        normal_timeout: file.milliseconds("publish.normal_timeout", 5000, 1..=3_600_000),
        republish: file.read(
            "publish.republish",
            Republish::Busy,
            "\"busy\" or \"takeover\"",
            |value| match value.as_str()? {
                "busy" => Some(Republish::Busy),
                "takeover" => Some(Republish::Takeover),
                _ => None,
            },
        ),
    }
}

fn hls(file: &mut Document<'_>, cluster: &Cluster) -> Option<Hls> {
    let enabled = file.switch("hls.enabled", false);
    let hls = Hls {
        path: file.path("hls.hls_path", "./html", "directory"),
        fragment: file.seconds("hls.hls_fragment", 10, 1..=60),
        window: file.seconds("hls.hls_window", 60, 1..=86_400),
        td_ratio: f64::from_bits(file.read(
            "hls.hls_td_ratio",
            1.0_f64.to_bits(),
            "a number from 1.0 to 10.0",
            |value| value::ratio(value, 1.0..=10.0).map(f64::to_bits),
        )),
        cleanup: file.switch("hls.hls_cleanup", true),
        dispose: file
            .read(
                "hls.hls_dispose",
                Duration::from_secs(120),
                "seconds from 0 (never) to 31536000",
                |value| value::seconds(value, 0..=31_536_000),
            )
            .into(),
        entry_prefix: file.read(
            "hls.hls_entry_prefix",
            String::new(),
            "the beginning of a URL (\"https://cdn.example\"), up to 100 characters, or \"\"",
            |value| value::url_prefix(value).map(str::to_owned),
        ),
    };
    let is_edge = cluster.mode == Mode::Remote;
    if enabled && is_edge && file.says("hls.enabled") {
        let message = "an edge forwards what is published to it; enable it at the origin";
        file.refuse("hls.enabled", message);
    }
    (enabled && !is_edge).then(|| Hls {
        dispose: hls.dispose.filter(|dispose| !dispose.is_zero()),
        ..hls
    })
}

fn security(file: &mut Document<'_>) -> Security {
    let rule = |value: &DeValue<'_>| value.as_str().and_then(Rule::parse);
    let mut security = Security::new(
        file.switch("security.enabled", true),
        file.read_list("security.allow", vec![], Rule::EXPECTED, rule),
        file.read_list("security.deny", vec![], Rule::EXPECTED, rule),
    );
    let key = |value: &DeValue<'_>| value.as_str().and_then(StreamKey::parse);
    security.keys = file.read_list("security.keys", vec![], StreamKey::EXPECTED, key);
    security.key_file = path_or_none(file, "security.key_file");
    security
}

fn remux(file: &mut Document<'_>, has_http: bool) -> bool {
    const KEY: &str = "http_remux.enabled";
    const MOUNT: &str = "[vhost]/[app]/[stream].flv";
    let enabled = file.switch(KEY, false);
    let expected = "\"[vhost]/[app]/[stream].flv\", the only one there is";
    file.read("http_remux.mount", (), expected, |value| {
        (value.as_str()? == MOUNT).then_some(())
    });
    if enabled && !has_http && file.says(KEY) {
        let message = "needs the HTTP server; add `enabled = true` to [http_server]";
        file.refuse(KEY, message);
    }
    enabled && has_http
}
