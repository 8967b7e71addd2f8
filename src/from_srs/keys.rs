//! Directives that have a counterpart of the same name, and how their values are written.

/// What the values of a directive become.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// `on` and `off`: true and false.
    Switch,
    /// A number, if it is one.
    Number,
    /// A text, whatever it looks like.
    Text,
    /// A list of texts.
    List,
    /// A port, or a list of ports and addresses.
    Ports,
}

/// Of the process.
const PROCESS: &[(&str, Kind)] = &[
    ("listen", Kind::Ports),
    ("max_connections", Kind::Number),
    ("pid", Kind::Text),
    ("grace_final_wait", Kind::Number),
    ("pithy_print_ms", Kind::Number),
    ("srs_log_tank", Kind::Text),
    ("srs_log_file", Kind::Text),
    ("srs_log_level", Kind::Text),
    ("http_server.enabled", Kind::Switch),
    ("http_server.listen", Kind::Ports),
    ("http_server.dir", Kind::Text),
    ("http_api.enabled", Kind::Switch),
    ("http_api.listen", Kind::Ports),
    ("http_api.crossdomain", Kind::Switch),
    ("http_api.auth.enabled", Kind::Switch),
    ("http_api.auth.username", Kind::Text),
    ("http_api.auth.password", Kind::Text),
    ("vhost.enabled", Kind::Switch),
];

/// Of a vhost, with SRS's default: a vhost that says nothing has this in SRS, and what the default vhost
/// says here. `security` is not among them: see `security.rs`.
const VHOST: &[(&str, Kind, &str)] = &[
    ("cluster.mode", Kind::Text, "\"local\""),
    ("cluster.origin", Kind::List, "[]"),
    ("cluster.origin_cluster", Kind::Switch, "false"),
    ("cluster.token_traverse", Kind::Switch, "false"),
    ("cluster.vhost", Kind::Text, "\"[vhost]\""),
    ("play.gop_cache", Kind::Switch, "true"),
    ("play.gop_cache_max_frames", Kind::Number, "2500"),
    ("play.mw_latency", Kind::Number, "\"auto\""),
    ("publish.firstpkt_timeout", Kind::Number, "20000"),
    ("publish.normal_timeout", Kind::Number, "5000"),
    ("hls.enabled", Kind::Switch, "false"),
    ("hls.hls_path", Kind::Text, HTML),
    ("hls.hls_fragment", Kind::Number, "10"),
    ("hls.hls_window", Kind::Number, "60"),
    ("hls.hls_td_ratio", Kind::Number, "1.0"),
    ("hls.hls_cleanup", Kind::Switch, "true"),
    ("hls.hls_dispose", Kind::Number, "120"),
    ("hls.hls_entry_prefix", Kind::Text, "\"\""),
    ("http_remux.enabled", Kind::Switch, "false"),
    (
        "http_remux.mount",
        Kind::Text,
        "\"[vhost]/[app]/[stream].flv\"",
    ),
    ("http_hooks.enabled", Kind::Switch, "false"),
    ("http_hooks.on_connect", Kind::List, "[]"),
    ("http_hooks.on_close", Kind::List, "[]"),
    ("http_hooks.on_publish", Kind::List, "[]"),
    ("http_hooks.on_unpublish", Kind::List, "[]"),
    ("http_hooks.on_play", Kind::List, "[]"),
    ("http_hooks.on_stop", Kind::List, "[]"),
    ("http_hooks.on_hls", Kind::List, "[]"),
];

/// Where SRS has what it serves, if its file does not say.
pub(super) const HTML: &str = "\"./objs/nginx/html\"";

/// What converts otherwise than its name says.
const NOTES: &[(&str, &str)] = &[
    (
        "grace_final_wait",
        "all the time that connections have; SRS waits for them without end, and so long after that",
    ),
    (
        "hls.hls_fragment",
        "a segment should not be longer; in SRS it should not be shorter",
    ),
    (
        "hls.hls_path",
        "the files in it are [app]/[stream].m3u8 and [app]/[stream]/[seq].ts",
    ),
];

/// Whether somebody could do what the file does not allow if the directive were left out.
pub(super) fn guards(path: &str) -> bool {
    path.starts_with("http_api.auth.")
        || matches!(
            path,
            "vhost.enabled"
                | "http_hooks.enabled"
                | "http_hooks.on_connect"
                | "http_hooks.on_publish"
                | "http_hooks.on_play"
        )
}

/// How the directive at a path is written, if it has a counterpart.
pub(super) fn kind(path: &str) -> Option<Kind> {
    let vhost = VHOST.iter().map(|&(path, kind, _)| (path, kind));
    let mut all = PROCESS.iter().copied().chain(vhost);
    all.find_map(|(known, kind)| (known == path).then_some(kind))
}

/// Whether a block of this path has keys.
pub(super) fn is_block(path: &str) -> bool {
    let vhost = VHOST.iter().map(|(path, ..)| *path);
    let mut all = PROCESS.iter().map(|(path, _)| *path).chain(vhost);
    all.any(|known| {
        let rest = known.strip_prefix(path);
        rest.is_some_and(|rest| rest.starts_with('.'))
    })
}

/// The blocks of a vhost, each once.
pub(super) fn blocks_of_vhost() -> impl Iterator<Item = &'static str> {
    let keys = VHOST.iter().filter_map(|(path, ..)| path.split_once('.'));
    let mut last = "";
    keys.filter_map(move |(block, _)| {
        (core::mem::replace(&mut last, block) != block).then_some(block)
    })
}

/// Whether the block stands in a vhost.
pub(super) fn is_of_vhost(block: &str) -> bool {
    blocks_of_vhost().any(|name| name == block)
}

/// The keys of a vhost's block, each with SRS's default.
pub(super) fn defaults(block: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    VHOST.iter().filter_map(move |&(path, _, default)| {
        let (name, key) = path.split_once('.')?;
        (name == block).then_some((key, default))
    })
}

/// What to say beside a value that was taken over.
pub(super) fn note(path: &str) -> Option<&'static str> {
    let mut notes = NOTES.iter();
    notes.find_map(|&(known, note)| (known == path).then_some(note))
}

/// The values of a directive in TOML; `None`: it has none, and SRS's default holds.
pub(super) fn value(kind: Kind, args: &[String]) -> Option<String> {
    let first = args.first()?;
    Some(match kind {
        Kind::Switch => match first.as_str() {
            "on" => "true".to_owned(),
            "off" => "false".to_owned(),
            other => quoted(other),
        },
        Kind::Number => number(first),
        Kind::Text => quoted(first),
        Kind::Ports if args.len() == 1 => number(first),
        Kind::Ports => list(args.iter().map(|arg| number(arg))),
        Kind::List => list(args.iter().map(|arg| quoted(arg))),
    })
}

/// A list of values that are TOML.
pub(super) fn list(values: impl Iterator<Item = String>) -> String {
    let values: Vec<String> = values.collect();
    format!("[{}]", values.join(", "))
}

/// A TOML string.
pub(super) fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// A number as TOML writes it; what is none, as a string, for the configuration to refuse.
fn number(text: &str) -> String {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let whole = text.parse::<u64>().ok().filter(|_| is_plain);
    let float = text.parse::<f64>().ok().filter(|_| is_plain);
    match (whole, float) {
        (Some(whole), _) => whole.to_string(),
        // `{:?}` keeps the `.0`, without which it would be a whole number.
        (None, Some(float)) => format!("{float:?}"),
        (None, None) => quoted(text),
    }
}
