//! Help for who brings a file of SRS: its syntax, and directives that this version does not have.

use super::DEFAULT_VHOST;

/// What to do about a directive that SRS has and this version has not.
pub(super) fn advice(path: &str) -> Option<&'static str> {
    let found = DIRECTIVES.iter().find(|(paths, _)| paths.contains(&path));
    found.map(|&(_, advice)| advice)
}

/// Why this version does not have a directive that SRS has.
pub fn why_not(path: &str) -> Option<&'static str> {
    let advice = advice(path)?;
    if advice.starts_with("remove it") {
        return Some("srs-lite does not have it");
    }
    // It is removed already.
    Some(
        advice
            .rsplit_once("; remove ")
            .map_or(advice, |(why, _)| why),
    )
}

/// Directives of SRS 4 to 7 at the top level and in `vhost`, and in the blocks that we share.
const DIRECTIVES: &[(&[&str], &str)] = &[
    (
        &["rtmp"],
        "`listen` stands at the top level; remove the block",
    ),
    (
        &["enabled", "rtmp.enabled"],
        "what the file describes is on; remove it",
    ),
    (
        &["daemon", "in_docker", "disable_daemon_for_docker"],
        "it stays in the foreground, for a service manager; remove it",
    ),
    (
        &["asprocess", "work_dir"],
        "it stays in the directory in which it is started; remove it",
    ),
    (&["utc_time"], "the log is in UTC; remove it"),
    (
        &["srs_log_level_v2"],
        "`srs_log_level` takes the levels of both; use that",
    ),
    (&["chunk_size"], "it is always 60000; remove it"),
    (&["tcp_nodelay"], "it is always on, without cost; remove it"),
    (
        &["min_latency", "play.mw_msgs", "play.send_min_interval"],
        "`play.mw_latency` alone says how long writes are merged; remove it",
    ),
    (
        &["publish.mr", "publish.mr_latency", "mr"],
        "whatever has arrived is read at once; remove it",
    ),
    (
        &["cluster.coworkers"],
        "SRS names their HTTP APIs; write their RTMP addresses, `coworkers = [\"host:1935\"]`",
    ),
    (
        &["play.queue_length"],
        "queues are bounded in frames and bytes; remove it",
    ),
    (
        &["http_server.crossdomain"],
        "pages of other sites may always play what is here; remove it",
    ),
    (
        &[
            "http_remux.has_audio",
            "http_remux.has_video",
            "http_remux.guess_has_av",
        ],
        "what the stream has is seen; remove it",
    ),
    (
        &["hls.hls_ctx", "hls.hls_ts_ctx"],
        "every process serves every player, without sessions; remove it",
    ),
    (
        &["hls.hls_m3u8_file", "hls.hls_ts_file"],
        "it is always [app]/[stream].m3u8, and [app]/[stream]/[seq].ts; remove it",
    ),
    (
        &["hls.hls_acodec", "hls.hls_vcodec"],
        "what the stream has is seen; remove it",
    ),
    (&["hls.hls_on_error"], "live play always goes on; remove it"),
    (
        &[
            "hls.hls_aof_ratio",
            "hls.hls_wait_keyframe",
            "hls.hls_ts_floor",
        ],
        "segments are cut at keyframes, and without one only at the target duration; remove it",
    ),
    (
        &["http_api.https", "http_server.https"],
        "HTTPS needs a proxy before it; remove the block",
    ),
    (
        &["dvr"],
        "a player can record, as `ffmpeg -i rtmp://… -c copy FILE`; remove it, and its block",
    ),
    (
        &["exec", "ingest", "transcode"],
        "let the service manager run ffmpeg beside it; remove it, and its block",
    ),
    (
        &["forward"],
        "an edge fetches what is played; remove it, and its block",
    ),
    (
        &["refer", "refer_play", "refer_publish"],
        "what a player says of its page proves nothing, a key does; remove it, and its block",
    ),
    (
        &["http", "http_static"],
        "`http_server.dir` is served; remove it, and its block",
    ),
    (
        &[
            "nack",
            "rtc",
            "rtc_server",
            "rtmps",
            "rtsp",
            "rtsp_server",
            "srt",
            "srt_server",
            "stream_caster",
            "twcc",
        ],
        "streams come by RTMP, and go by RTMP, HTTP-FLV and HLS; remove it, and its block",
    ),
    (
        &["grace_start_wait", "force_grace_quit"],
        "SIGQUIT lets connections end, SIGTERM stops at once; remove it",
    ),
    (
        &["inotify_auto_reload", "auto_reload_for_docker"],
        "restart it to change its configuration; remove it",
    ),
    (
        &[
            "cluster.debug_srs_upnode",
            "cluster.follow_client",
            "cluster.protocol",
            "hls.hls_dts_directly",
            "hls.hls_fragments_per_key",
            "hls.hls_key_file",
            "hls.hls_key_file_path",
            "hls.hls_key_url",
            "hls.hls_keys",
            "hls.hls_nb_notify",
            "hls.hls_fmp4_file",
            "hls.hls_init_file",
            "hls.hls_use_fmp4",
            "http_api.raw_api",
            "http_hooks.on_dvr",
            "http_hooks.on_hls_notify",
            "http_remux.drop_if_not_match",
            "http_remux.fast_cache",
            "http_remux.hstrs",
            "play.atc",
            "play.atc_auto",
            "play.mix_correct",
            "play.reduce_sequence_header",
            "play.time_jitter",
            "publish.kickoff_for_idle",
            "publish.parse_sps",
            "publish.try_annexb_first",
        ],
        "remove it",
    ),
    (
        &[
            "bandcheck",
            "circuit_breaker",
            "dash",
            "empty_ip_ok",
            "exporter",
            "ff_log_dir",
            "ff_log_level",
            "first_wait_for_qlv",
            "hds",
            "heartbeat",
            "in_ack_size",
            "include",
            "is_full",
            "out_ack_size",
            "query_latest_version",
            "server_id",
            "stats",
            "tcmalloc_release_rate",
            "tencentcloud_apm",
            "tencentcloud_cls",
            "threads",
        ],
        "remove it, and its block",
    ),
];

/// What a line that is not TOML should be, if it is in SRS's syntax or nearly.
pub(super) fn correction(line: &str) -> Option<String> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let srs = |what: String| Some(format!("this is SRS's own syntax, not TOML: {what}"));
    if line == "}" {
        return srs("remove the `}`; a block ends where the next begins".to_owned());
    }
    if let Some((head, _)) = line.split_once('{').filter(|(head, _)| !head.contains('=')) {
        let mut words = head.split_whitespace();
        return match (words.next(), words.next()) {
            (Some("vhost"), Some(DEFAULT_VHOST)) => srs(
                "remove this line and its `}`; the default vhost's blocks stand at the top level"
                    .to_owned(),
            ),
            (Some("vhost"), Some(name)) => srs(format!(
                "remove this line and its `}}`, and write its blocks as `[vhost.\"{name}\".play]`"
            )),
            (Some(name), None) => srs(format!("write `[{name}]`, and remove the block's `}}`")),
            _ => None,
        };
    }
    let (line, has_semicolon) = match line.strip_suffix(';') {
        Some(line) => (line.trim(), true),
        None => (line, false),
    };
    if let Some((name, value)) = line.split_once('=') {
        let (name, value) = (name.trim(), value.trim());
        let values: Vec<&str> = match value.chars().next() {
            Some('"' | '\'' | '[' | '{') => vec![value],
            _ => value.split_whitespace().collect(),
        };
        let toml = toml_value(name, &values);
        let is_better = !value.is_empty() && (has_semicolon || toml != value);
        return is_better.then(|| format!("not TOML: write `{name} = {toml}`"));
    }
    let mut words = line.split_whitespace();
    let name = words.next().filter(|_| has_semicolon)?;
    let values: Vec<&str> = words.collect();
    srs(format!("write `{name} = {}`", toml_value(name, &values)))
}

/// The values of an SRS directive as TOML.
fn toml_value(name: &str, values: &[&str]) -> String {
    let quoted = |value: &str| match value {
        "on" => "true".to_owned(),
        "off" => "false".to_owned(),
        _ if value.starts_with(['"', '\'', '[', '{']) => value.to_owned(),
        _ if value == "true" || value == "false" || value.parse::<f64>().is_ok() => {
            value.to_owned()
        }
        _ => format!("\"{value}\""),
    };
    match values {
        [one] => quoted(one),
        _ if matches!(name, "allow" | "deny") => format!("[\"{}\"]", values.join(" ")),
        _ => {
            let list: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            format!("[{}]", list.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_srs_is_shown_in_toml() {
        let srs = "this is SRS's own syntax, not TOML: ";
        let cases = [
            ("listen 1935;", "write `listen = 1935`"),
            (
                "  listen   1935 19350 ; # two",
                "write `listen = [1935, 19350]`",
            ),
            ("mode remote;", "write `mode = \"remote\"`"),
            ("gop_cache on;", "write `gop_cache = true`"),
            ("pid ./objs/edge.pid;", "write `pid = \"./objs/edge.pid\"`"),
            ("origin a:1 b;", "write `origin = [\"a:1\", \"b\"]`"),
            ("allow publish all;", "write `allow = [\"publish all\"]`"),
            ("play {", "write `[play]`, and remove the block's `}`"),
            (
                "play { gop_cache on; }",
                "write `[play]`, and remove the block's `}`",
            ),
            ("}", "remove the `}`; a block ends where the next begins"),
            (
                "vhost __defaultVhost__ {",
                "remove this line and its `}`; the default vhost's blocks stand at the top level",
            ),
            (
                "vhost a.b {",
                "remove this line and its `}`, and write its blocks as `[vhost.\"a.b\".play]`",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(correction(line), Some(format!("{srs}{expected}")), "{line}");
        }
    }

    #[test]
    fn a_line_between_srs_and_toml_is_shown_in_toml() {
        let cases = [
            ("listen = 1935;", Some("not TOML: write `listen = 1935`")),
            ("gop_cache = on", Some("not TOML: write `gop_cache = true`")),
            ("mode = remote", Some("not TOML: write `mode = \"remote\"`")),
            ("origin = \"a", None),
            (
                "listen = 1935 1936",
                Some("not TOML: write `listen = [1935, 1936]`"),
            ),
            ("nonsense", None),
            ("", None),
        ];
        for (line, expected) in cases {
            assert_eq!(correction(line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn no_directive_has_two_answers() {
        let mut paths: Vec<&str> = DIRECTIVES
            .iter()
            .flat_map(|(paths, _)| *paths)
            .copied()
            .collect();
        paths.sort_unstable();
        let all = paths.len();
        paths.dedup();
        assert_eq!(paths.len(), all);
    }
}
