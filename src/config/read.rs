//! Every key: its name, its default, what it may be.

use core::ops::RangeInclusive;
use core::time::Duration;
use std::path::PathBuf;

use log::LevelFilter;
use toml::de::DeValue;

use super::api::http_api;
use super::document::Document;
use super::vhost::vhosts;
use super::{Config, HttpServer, ListenAddress, Log, RunDir, value};

/// Switches of what a build can be without: key, feature, and whether this build has it.
const FEATURES: &[(&str, &str, bool)] = &[
    ("http_api.enabled", "api", cfg!(feature = "api")),
    ("http_server.index", "page", cfg!(feature = "page")),
];

/// The configuration of a file; mistakes stay with the document.
pub(super) fn config(file: &mut Document<'_>) -> Config {
    refuse_missing_features(file);
    let listen = listen(file, "listen", at_port(1935));
    let http_server = http_server(file, &listen);
    let (default_vhost, vhosts) = vhosts(file, &listen, http_server.is_some());
    let (user, group) = identity(file);
    let mut taken = listen.clone();
    taken.extend(http_server.iter().flat_map(|http| &http.listen));
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
        grace_final_wait: file.milliseconds("grace_final_wait", 30_000, 0..=86_400_000),
        log: log(file),
        pithy_print: pithy_print(file),
        http_api: http_api(file, &taken),
        http_server,
        default_vhost,
        vhosts,
        listen,
    }
}

fn refuse_missing_features(file: &mut Document<'_>) {
    for (key, feature, _) in FEATURES.iter().filter(|(.., is_built)| !is_built) {
        if file.is_on(key) {
            let message =
                format!("this build has no {feature}: build it with the feature `{feature}`");
            file.refuse(key, &message);
        }
    }
}

fn pithy_print(file: &mut Document<'_>) -> Duration {
    let expected = "milliseconds from 1000 to 3600000, or 0 (never)";
    let default = Duration::from_secs(10);
    file.read("pithy_print_ms", default, expected, |value| {
        let time = value::milliseconds(value, 0..=3_600_000)?;
        (time.is_zero() || time.as_secs() > 0).then_some(time)
    })
}

/// The number of a key that may say `"auto"` instead.
fn auto_or(value: &DeValue<'_>, range: RangeInclusive<u32>) -> Option<Option<usize>> {
    match value.as_str() {
        Some(text) => (text == "auto").then_some(None),
        None => Some(Some(value::number(value, range)?.try_into().ok()?)),
    }
}

/// Nothing of an empty path.
pub(super) fn path_or_none(file: &mut Document<'_>, key: &'static str) -> Option<PathBuf> {
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

/// A port, at every address.
const fn at_port(port: u16) -> ListenAddress {
    ListenAddress { ip: None, port }
}

pub(super) fn listen(
    file: &mut Document<'_>,
    key: &'static str,
    default: ListenAddress,
) -> Vec<ListenAddress> {
    let port = default.port;
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
    let path = file.path("srs_log_file", "./run/srs-lite.log", "file");
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

fn http_server(file: &mut Document<'_>, rtmp: &[ListenAddress]) -> Option<HttpServer> {
    let enabled = file.switch("http_server.enabled", false);
    let index = file.switch("http_server.index", false);
    let listen = listen(file, "http_server.listen", at_port(8080));
    let dir = file.path("http_server.dir", "./html", "directory");
    if !enabled {
        return None;
    }
    let is_rtmp = |own: &&ListenAddress| own.port > 0 && rtmp.contains(own);
    if listen.iter().any(|own| is_rtmp(&own)) {
        let message = "RTMP listens there; choose another port";
        file.refuse("http_server.listen", message);
    }
    Some(HttpServer { listen, dir, index })
}
