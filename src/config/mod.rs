//! The configuration file: TOML with SRS's directive names → a validated [`Config`].

use core::fmt;
use core::time::Duration;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::limits;

pub use self::changes::{Changes, Values};
use self::document::Document;
pub use self::error::ConfigError;
pub use self::http_hooks::{HookUrl, HttpHooks};
pub use self::security::{Access, Refusal, Security};
pub use self::srs::why_not;
use self::stream_key::StreamKey;
pub use self::stream_key::{Verdict, key_of};

mod changes;
mod cluster;
mod document;
mod error;
mod http_hooks;
mod keys;
mod read;
mod security;
mod srs;
mod stream_key;
mod value;

/// Everything the file says, checked, with defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// RTMP addresses. Never empty.
    pub listen: Vec<ListenAddress>,
    /// Connections served at a time; more are closed at once.
    pub max_connections: usize,
    /// Of these, how many one address may have; `None`: see [`Config::connections_per_address`].
    pub max_connections_per_address: Option<usize>,
    /// Bytes that the process may need; `None`: most of what there is.
    pub max_memory: Option<usize>,
    /// Who the process becomes when its ports are bound.
    pub user: Option<String>,
    /// The same, if it is not the user's own group.
    pub group: Option<String>,
    /// Where the processes of a port meet.
    pub run_dir: RunDir,
    /// The pid file, locked while the process lives.
    pub pid: Option<PathBuf>,
    /// How long connections may last after SIGQUIT.
    pub grace_final_wait: Duration,
    /// Where and how much to log.
    pub log: Log,
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
    /// Whether HTTP is served, and how.
    pub http_server: Option<HttpServer>,
    /// Who is asked and told about peers.
    pub http_hooks: HttpHooks,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    ///
    /// The first mistake of the file, or why it cannot be read.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_values(path).map(|(config, _)| config)
    }

    /// The same, with what each key means.
    ///
    /// # Errors
    ///
    /// As in [`Self::load`].
    pub fn load_values(path: &Path) -> Result<(Self, Values), ConfigError> {
        let file = path.display().to_string();
        let text = read(path, &file, "`-c`")?;
        let (mut config, mut values) = Self::parse_values(&text, &file)?;
        config.read_key_file(&mut values)?;
        Ok((config, values))
    }

    /// Adds the keys of `security.key_file`: one on a line, `#` begins a comment.
    fn read_key_file(&mut self, values: &mut Values) -> Result<(), ConfigError> {
        let Some(path) = &self.security.key_file else {
            return Ok(());
        };
        let file = path.display().to_string();
        let text = read(path, &file, "`security.key_file`")?;
        values.note("security.key_file", &text);
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // The line may hold a key: it is not shown.
            let wrong =
                || ConfigError::at(&file, number, format!("expected {}", StreamKey::EXPECTED));
            let key = StreamKey::parse(line).ok_or_else(wrong)?;
            self.security.keys.push(key);
        }
        Ok(())
    }

    /// How many connections one address may have: half of all if the file does not say, but at least
    /// [`limits::LEAST_PER_ADDRESS`], so that a small server does not surprise.
    pub fn connections_per_address(&self) -> usize {
        let half = self.max_connections.div_ceil(2);
        let usual = half.max(limits::LEAST_PER_ADDRESS);
        self.max_connections_per_address
            .unwrap_or(usual)
            .min(self.max_connections)
    }

    /// Checks the text of a file; `file` is its name in messages.
    ///
    /// # Errors
    ///
    /// The first mistake of the text.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        Self::parse_values(text, file).map(|(config, _)| config)
    }

    fn parse_values(text: &str, file: &str) -> Result<(Self, Values), ConfigError> {
        let mut document = Document::parse(text, file)?;
        let config = read::config(&mut document);
        Ok((config, document.finish()?))
    }

    /// Every key that a file can have, as `block.key`.
    pub fn keys() -> Vec<&'static str> {
        Document::parse("", "").map_or_else(
            |_| Vec::new(),
            |mut document| {
                read::config(&mut document);
                document.asked()
            },
        )
    }
}

fn read(path: &Path, file: &str, named_by: &str) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|error| ConfigError::unreadable(file, &error, named_by))
}

/// A port, with the address it is bound to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ListenAddress {
    /// `None`: every address of the machine, IPv6 and IPv4 from one socket. An IPv6 address takes
    /// IPv6 only.
    pub ip: Option<IpAddr>,
    /// 0: the system chooses.
    pub port: u16,
}

/// `srs_log_tank`, `srs_log_file`, `srs_log_level`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Log {
    /// `None`: the console (standard error).
    pub file: Option<PathBuf>,
    /// Least severe level that is written.
    pub level: log::LevelFilter,
}

/// `run_dir`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum RunDir {
    /// One that follows from user and port.
    Auto,
    /// This one.
    At(PathBuf),
    /// They do not meet.
    Nowhere,
}

/// `[cluster]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cluster {
    /// What is published here belongs here, or at an origin.
    pub mode: Mode,
    /// Where streams come from that are not published here: an edge's origins, of which there is at
    /// least one, or the coworkers of an origin in a cluster.
    pub origins: Vec<OriginAddress>,
    /// Where else these may send us.
    pub redirects: Vec<OriginAddress>,
    /// Whether an origin is asked about each player.
    pub token_traverse: bool,
}

/// `cluster.mode`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Mode {
    /// An origin: streams are published here.
    Local,
    /// An edge.
    Remote,
}

/// `host:port` of an origin.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct OriginAddress {
    /// Name, IPv4 address, or IPv6 address without brackets; resolved at every attempt.
    pub host: String,
    /// 1935 if the file does not say.
    pub port: u16,
}

impl fmt::Display for OriginAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        match host.contains(':') {
            true => write!(f, "[{host}]:{port}"),
            false => write!(f, "{host}:{port}"),
        }
    }
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

/// `[http_server]`, if it is enabled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpServer {
    /// HTTP addresses. Never empty.
    pub listen: Vec<ListenAddress>,
    /// Its files are served.
    pub dir: PathBuf,
    /// `index`: whether `/` is the live page, not only a list.
    pub index: bool,
    /// `[http_remux]`: whether live streams are served as `/app/stream.flv`.
    pub remux: bool,
}

/// `republish`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Republish {
    /// It is refused.
    Busy,
    /// It replaces the first.
    Takeover,
}
