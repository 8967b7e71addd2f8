//! Every key: its name, its default, what it may be.

use core::ops::RangeInclusive;
use core::time::Duration;
use std::path::PathBuf;

use log::LevelFilter;
use toml::de::DeValue;

use super::cluster::cluster;
use super::document::Document;
use super::http_hooks::http_hooks;
use super::security::Rule;
use super::stream_key::StreamKey;
use super::{
    Cluster, Config, Hls, HttpServer, ListenAddress, Log, MergeTime, Mode, Play, Publish,
    Republish, RunDir, Security, value,
};

/// Switches of what a build can be without: key, feature, and whether this build has it.
const FEATURES: &[(&str, &str, bool)] = &[
    ("http_server.index", "page", cfg!(feature = "page")),
    ("http_hooks.enabled", "hooks", cfg!(feature = "hooks")),
];

/// The configuration of a file; mistakes stay with the document.
pub(super) fn config(file: &mut Document<'_>) -> Config {
    for (key, feature, _) in FEATURES.iter().filter(|(.., is_built)| !is_built) {
        if file.is_on(key) {
            let message =
                format!("this build has no {feature}: build it with the feature `{feature}`");
            file.refuse(key, &message);
        }
    }
    let listen = listen(file, "listen", 1935);
    let cluster = cluster(file, &listen);
    let (user, group) = identity(file);
    Config {
        max_connections: file.read(
            "max_connections",
            1000,
            "a number from 1 to 1000000",
            |value| value::number(value, 1_u32..=1_000_000)?.try_into().ok(),
        ),
        max_connections_per_address: file.read(
            "max_connections_per_address",
            None,
            "\"auto\" or a number from 1 to 1000000",
            |value| auto_or(value, 1..=1_000_000),
        ),
        max_memory: file
            .read(
                "max_memory",
                None,
                "\"auto\" or MiB from 64 to 1048576",
                |value| auto_or(value, 64..=1_048_576),
            )
            .map(|mebibytes: usize| mebibytes.saturating_mul(1 << 20)),
        user,
        group,
        run_dir: file.read(
            "run_dir",
            RunDir::Auto,
            "\"auto\" or the path of a directory (\"\": none)",
            |value| match value.as_str()? {
                "auto" => Some(RunDir::Auto),
                "" => Some(RunDir::Nowhere),
                path => Some(RunDir::At(PathBuf::from(path))),
            },
        ),
        pid: path_or_none(file, "pid"),
        grace_final_wait: file.read(
            "grace_final_wait",
            Duration::from_secs(30),
            "milliseconds from 0 to 86400000",
            |value| value::milliseconds(value, 0..=86_400_000),
        ),
        log: log(file),
        play: play(file),
        publish: publish(file),
        security: security(file),
        hls: hls(file, &cluster),
        http_server: http_server(file, &listen),
        http_hooks: http_hooks(file),
        cluster,
        listen,
    }
}

/// The number of a key that may say `"auto"` instead.
fn auto_or(value: &DeValue<'_>, range: RangeInclusive<u32>) -> Option<Option<usize>> {
    match value.as_str() {
        Some(text) => (text == "auto").then_some(None),
        None => Some(Some(value::number(value, range)?.try_into().ok()?)),
    }
}

fn path_or_none(file: &mut Document<'_>, key: &'static str) -> Option<PathBuf> {
    file.read(key, None, "the path of a file (\"\": none)", |value| {
        let path = value.as_str()?;
        Some((!path.is_empty()).then(|| PathBuf::from(path)))
    })
}

/// `user` and `group`.
fn identity(file: &mut Document<'_>) -> (Option<String>, Option<String>) {
    let (user, group) = (name(file, "user"), name(file, "group"));
    if user.is_none() && group.is_some() {
        file.refuse("group", "counts beside a user only; add `user = \"…\"`");
    }
    (user, group)
}

/// Of a user or group of the system.
fn name(file: &mut Document<'_>, key: &'static str) -> Option<String> {
    file.read(key, None, "a name (\"\": as it was started)", |value| {
        let name = value.as_str()?;
        Some((!name.is_empty()).then(|| name.to_owned()))
    })
}

fn listen(file: &mut Document<'_>, key: &'static str, port: u16) -> Vec<ListenAddress> {
    let default = ListenAddress { ip: None, port };
    let expected = "a port (1935), an address and port (\"192.168.1.170:1935\", \"[::1]:1935\"), \
                    or a list of either";
    let listen = file.read_list(key, vec![default], expected, value::listen_address);
    if listen.is_empty() {
        let message = format!("the list is empty; write `listen = {port}`");
        file.refuse(key, &message);
    }
    for (index, address) in listen.iter().enumerate() {
        if address.port > 0 && listen.iter().take(index).any(|other| other == address) {
            file.refuse(key, "an address is listed twice; remove one");
        }
    }
    listen
}

fn log(file: &mut Document<'_>) -> Log {
    let to_file = file.read(
        "srs_log_tank",
        false,
        "\"console\" or \"file\"",
        |value| match value.as_str()? {
            "console" => Some(false),
            "file" => Some(true),
            _ => None,
        },
    );
    let default = PathBuf::from("./run/srs-lite.log");
    let path = file.read("srs_log_file", default, "the path of a file", |value| {
        let path = value.as_str().filter(|path| !path.is_empty())?;
        Some(PathBuf::from(path))
    });
    Log {
        file: to_file.then_some(path),
        level: file.read(
            "srs_log_level",
            LevelFilter::Info,
            "\"verbose\", \"info\", \"trace\", \"warn\", \"error\" or \"off\"",
            value::level,
        ),
    }
}

fn play(file: &mut Document<'_>) -> Play {
    Play {
        gop_cache: file.read("play.gop_cache", true, "true or false", |value| {
            value.as_bool()
        }),
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
        play_wait: file.read(
            "play.play_wait",
            Duration::from_secs(5),
            "seconds from 0 to 3600",
            |value| value::seconds(value, 0..=3600),
        ),
    }
}

fn publish(file: &mut Document<'_>) -> Publish {
    let expected = "milliseconds from 1 to 3600000";
    Publish {
        publisher_wait: file.read(
            "publish.publisher_wait",
            Duration::from_secs(60),
            "seconds from 0 to 86400",
            |value| value::seconds(value, 0..=86_400),
        ),
        firstpkt_timeout: file.read(
            "publish.firstpkt_timeout",
            Duration::from_secs(20),
            expected,
            |value| value::milliseconds(value, 1..=3_600_000),
        ),
        normal_timeout: file.read(
            "publish.normal_timeout",
            Duration::from_secs(5),
            expected,
            |value| value::milliseconds(value, 1..=3_600_000),
        ),
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
    let switch = |value: &DeValue<'_>| value.as_bool();
    let enabled = file.read("hls.enabled", false, "true or false", switch);
    let hls = Hls {
        path: file.read(
            "hls.hls_path",
            PathBuf::from("./html"),
            "the path of a directory",
            |value| {
                let path = value.as_str().filter(|path| !path.is_empty())?;
                Some(PathBuf::from(path))
            },
        ),
        fragment: file.read(
            "hls.hls_fragment",
            Duration::from_secs(10),
            "seconds from 1 to 60",
            |value| value::seconds(value, 1..=60),
        ),
        window: file.read(
            "hls.hls_window",
            Duration::from_secs(60),
            "seconds from 1 to 86400",
            |value| value::seconds(value, 1..=86_400),
        ),
        td_ratio: f64::from_bits(file.read(
            "hls.hls_td_ratio",
            1.0_f64.to_bits(),
            "a number from 1.0 to 10.0",
            |value| value::ratio(value, 1.0..=10.0).map(f64::to_bits),
        )),
        cleanup: file.read("hls.hls_cleanup", true, "true or false", switch),
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
    if enabled && cluster.mode == Mode::Remote {
        let message = "an edge forwards what is published to it; enable it at the origin";
        file.refuse("hls.enabled", message);
    }
    enabled.then(|| Hls {
        dispose: hls.dispose.filter(|dispose| !dispose.is_zero()),
        ..hls
    })
}

fn security(file: &mut Document<'_>) -> Security {
    let rule = |value: &DeValue<'_>| value.as_str().and_then(Rule::parse);
    let mut security = Security::new(
        file.read("security.enabled", true, "true or false", |value| {
            value.as_bool()
        }),
        file.read_list("security.allow", vec![], Rule::EXPECTED, rule),
        file.read_list("security.deny", vec![], Rule::EXPECTED, rule),
    );
    let key = |value: &DeValue<'_>| value.as_str().and_then(StreamKey::parse);
    security.keys = file.read_list("security.keys", vec![], StreamKey::EXPECTED, key);
    security.key_file = path_or_none(file, "security.key_file");
    security
}

fn http_server(file: &mut Document<'_>, rtmp: &[ListenAddress]) -> Option<HttpServer> {
    const MOUNT: &str = "[vhost]/[app]/[stream].flv";
    let mut switch = |key| file.read(key, false, "true or false", |value| value.as_bool());
    let enabled = switch("http_server.enabled");
    let index = switch("http_server.index");
    let remux = switch("http_remux.enabled");
    let listen = listen(file, "http_server.listen", 8080);
    let dir = PathBuf::from("./html");
    let dir = file.read("http_server.dir", dir, "the path of a directory", |value| {
        let path = value.as_str().filter(|path| !path.is_empty())?;
        Some(PathBuf::from(path))
    });
    let expected = "\"[vhost]/[app]/[stream].flv\", the only one there is";
    file.read("http_remux.mount", (), expected, |value| {
        (value.as_str()? == MOUNT).then_some(())
    });
    if !enabled {
        if remux {
            let message = "needs the HTTP server; add `enabled = true` to [http_server]";
            file.refuse("http_remux.enabled", message);
        }
        return None;
    }
    let is_rtmp = |own: &&ListenAddress| own.port > 0 && rtmp.contains(own);
    if listen.iter().any(|own| is_rtmp(&own)) {
        let message = "RTMP listens there; choose another port";
        file.refuse("http_server.listen", message);
    }
    Some(HttpServer {
        listen,
        dir,
        index,
        remux,
    })
}
