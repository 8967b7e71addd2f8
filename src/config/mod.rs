//! The configuration file: TOML with SRS's directive names → a validated [`Config`].

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::limits;

pub use self::api::{HttpApi, Login};
pub use self::changes::{Changes, Values};
use self::document::Document;
pub use self::error::ConfigError;
pub use self::http_hooks::{HookUrl, HttpHooks};
pub use self::security::{Access, Refusal, Security};
pub use self::srs::why_not;
use self::stream_key::StreamKey;
pub use self::stream_key::{Verdict, key_of};
pub use self::vhost::{DEFAULT_VHOST, Hls, MergeTime, Play, Publish, Republish, Vhost};

mod api;
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
mod vhost;

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
    /// Whether HTTP is served, and how.
    pub http_server: Option<HttpServer>,
    /// Whether the API is served, and how.
    pub http_api: Option<HttpApi>,
    /// Between two lines of the log that say how much there is; zero: there are none.
    pub pithy_print: Duration,
    /// Of everything that is of no other: the blocks at the top level.
    pub default_vhost: Vhost,
    /// The others, by their names, which are in lower case.
    pub vhosts: BTreeMap<String, Vhost>,
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
        for (name, vhost) in config.vhosts_mut() {
            if let Some(path) = &vhost.security.key_file {
                let keys = StreamKey::read_file(path)?;
                values.note(&Values::key(name, "security.key_file"), &keys);
                vhost.security.keys.extend(keys);
            }
        }
        Ok((config, values))
    }

    fn vhosts_mut(&mut self) -> impl Iterator<Item = (Option<&str>, &mut Vhost)> {
        let named = self.vhosts.iter_mut();
        let named = named.map(|(name, vhost)| (Some(name.as_str()), vhost));
        core::iter::once((None, &mut self.default_vhost)).chain(named)
    }

    /// The vhost of this name; without one, or if there is none of it, the default one.
    pub fn vhost(&self, name: Option<&str>) -> &Vhost {
        let named = name.and_then(|name| self.vhosts.get(name));
        named.unwrap_or(&self.default_vhost)
    }

    /// Every vhost, and the name of those that have one.
    pub fn all_vhosts(&self) -> impl Iterator<Item = (Option<&str>, &Vhost)> {
        let named = self.vhosts.iter();
        let named = named.map(|(name, vhost)| (Some(name.as_str()), vhost));
        core::iter::once((None, &self.default_vhost)).chain(named)
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

    /// Every key that a file can have, as `block.key`. A vhost can have those of its blocks, and
    /// `enabled`.
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
    /// The vhost that an edge asks an origin for, in which `[vhost]` stands for its own.
    pub vhost: String,
}

impl Cluster {
    /// The variable of [`Self::vhost`], and what that is if the file does not say.
    pub const SAME_VHOST: &str = "[vhost]";

    /// What an origin is asked for instead of our vhost `name`; `None`: its default vhost.
    pub fn vhost_at_origin(&self, name: Option<&str>) -> Option<String> {
        match name {
            Some(name) => Some(self.vhost.replace(Self::SAME_VHOST, name)),
            // It has no name.
            None => (!self.vhost.contains(Self::SAME_VHOST)).then(|| self.vhost.clone()),
        }
    }
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

/// `[http_server]`, if it is enabled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpServer {
    /// HTTP addresses. Never empty.
    pub listen: Vec<ListenAddress>,
    /// Its files are served.
    pub dir: PathBuf,
    /// `index`: whether `/` is the live page, not only a list.
    pub index: bool,
}
