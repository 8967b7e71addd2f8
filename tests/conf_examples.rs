//! The shipped files load, and `full.conf` says what the code does.
#![cfg(test)]

use std::fs;
use std::path::Path;

use srs_lite::config::{Cluster, Config, ListenAddress, Mode, OriginAddress};

#[test]
fn every_shipped_file_loads() {
    let mut count = 0;
    for entry in fs::read_dir("conf").unwrap() {
        let path = entry.unwrap().path();
        // The other file is the unit, see `tests/service.rs`.
        if path.extension().is_none_or(|extension| extension != "conf") {
            continue;
        }
        if let Err(error) = Config::load(&path) {
            panic!("{error}");
        }
        count += 1;
    }
    assert!(count >= 4, "{count} files");
}

#[test]
fn the_edges_share_a_port_and_nothing_else() {
    let load = |name: &str| Config::load(&Path::new("conf").join(name)).unwrap();
    let (one, two, origin) = (load("edge.conf"), load("edge2.conf"), load("origin.conf"));
    let listens_on = |port| vec![ListenAddress { ip: None, port }];
    let address = OriginAddress {
        host: "127.0.0.1".to_owned(),
        port: 19350,
    };
    let cluster = Cluster {
        mode: Mode::Remote,
        origins: vec![address],
        redirects: Vec::new(),
        token_traverse: false,
        vhost: Cluster::SAME_VHOST.to_owned(),
    };
    assert_eq!(one.default_vhost.cluster, cluster);
    assert_eq!(one.listen, listens_on(1935));
    assert_eq!(origin.listen, listens_on(19350));
    assert_eq!(origin.default_vhost.cluster.mode, Mode::Local);
    assert!(one.pid.is_some() && two.pid.is_some() && origin.pid.is_some());
    assert!(one.pid != two.pid && one.pid != origin.pid && two.pid != origin.pid);
    let http = [&one, &two, &origin].map(|config| {
        let remux = config.default_vhost.remux;
        let http = config.http_server.as_ref();
        http.map(|http| (http.listen.clone(), remux))
    });
    let ports = [Some(8080), None, Some(8081)];
    assert_eq!(
        http,
        ports.map(|port| port.map(|port| (listens_on(port), true)))
    );
    let same = Config {
        pid: one.pid.clone(),
        http_server: one.http_server.clone(),
        default_vhost: one.default_vhost.clone(),
        ..two
    };
    assert_eq!(one, same);
}

#[test]
fn the_hls_origins_share_everything_but_their_pid() {
    let load = |name: &str| Config::load(&Path::new("conf").join(name)).unwrap();
    let (one, two) = (load("origin.hls.only1.conf"), load("origin.hls.only2.conf"));
    let listens_on = |port| vec![ListenAddress { ip: None, port }];
    let http = one.http_server.as_ref().unwrap();
    let hls = one.default_vhost.hls.as_ref().unwrap();
    assert_eq!(one.listen, listens_on(1935));
    assert_eq!(http.listen, listens_on(8080));
    assert_eq!(http.dir, hls.path, "what is written is served");
    assert!(one.pid.is_some() && one.pid != two.pid);
    let same = Config {
        pid: one.pid.clone(),
        ..two
    };
    assert_eq!(one, same);
}

#[test]
fn full_conf_is_the_defaults() {
    let full = Config::load(Path::new("conf/full.conf")).unwrap();
    assert_eq!(full, Config::parse("", "nothing").unwrap());
}

#[test]
fn full_conf_has_every_key_and_says_something_about_it() {
    let text = fs::read_to_string("conf/full.conf").unwrap();
    let mut block = String::new();
    let mut keys = Vec::new();
    let mut previous = "";
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            block = format!("{}.", name.trim_end_matches(']'));
        } else if !line.starts_with('#')
            && let Some((key, _)) = line.split_once(" = ")
        {
            assert!(previous.starts_with("# "), "no comment above {line}");
            keys.push(format!("{block}{key}"));
        }
        previous = line;
    }
    let mut known = Config::keys();
    known.sort_unstable();
    keys.sort_unstable();
    assert_eq!(keys, known);
}

/// What each key may say instead of its default. Some only count beside another key.
const OTHER_VALUES: &[(&str, &str, &str)] = &[
    ("listen", "19350", ""),
    ("max_connections", "7", ""),
    ("max_connections_per_address", "7", ""),
    ("max_memory", "77", ""),
    ("user", "\"a\"", ""),
    ("group", "\"a\"", "user = \"b\""),
    ("run_dir", "\"\"", ""),
    (
        "cluster.origin_cluster",
        "true",
        "cluster.coworkers = [\"a\"]",
    ),
    (
        "cluster.coworkers",
        "[\"b\"]",
        "cluster.origin_cluster = true",
    ),
    ("cluster.redirects", "[\"a\"]", ""),
    ("pid", "\"a.pid\"", ""),
    ("grace_final_wait", "7", ""),
    ("srs_log_tank", "\"file\"", ""),
    ("srs_log_file", "\"a.log\"", "srs_log_tank = \"file\""),
    ("srs_log_level", "\"warn\"", ""),
    ("cluster.mode", "\"remote\"", "cluster.origin = \"a\""),
    ("cluster.origin", "\"b\"", "cluster.mode = \"remote\""),
    (
        "cluster.token_traverse",
        "true",
        "cluster.mode = \"remote\"\ncluster.origin = \"a\"",
    ),
    ("cluster.vhost", "\"same.[vhost]\"", ""),
    ("play.gop_cache", "false", ""),
    ("play.gop_cache_max_frames", "7", ""),
    ("play.mw_latency", "350", ""),
    ("play.play_wait", "0.5", ""),
    ("publish.publisher_wait", "0.5", ""),
    ("publish.firstpkt_timeout", "7", ""),
    ("publish.normal_timeout", "7", ""),
    ("publish.republish", "\"takeover\"", ""),
    ("hls.enabled", "true", ""),
    ("hls.hls_path", "\"a\"", "hls.enabled = true"),
    ("hls.hls_fragment", "2.5", "hls.enabled = true"),
    ("hls.hls_window", "7", "hls.enabled = true"),
    ("hls.hls_td_ratio", "1.5", "hls.enabled = true"),
    ("hls.hls_cleanup", "false", "hls.enabled = true"),
    ("hls.hls_dispose", "0", "hls.enabled = true"),
    ("hls.hls_entry_prefix", "\"/a\"", "hls.enabled = true"),
    ("security.enabled", "false", ""),
    ("security.allow", "[\"publish private\"]", ""),
    ("security.deny", "[\"publish 10.0.0.1\"]", ""),
    ("security.keys", "[\"play * 12345678\"]", ""),
    ("security.key_file", "\"a.keys\"", ""),
    ("http_server.enabled", "true", ""),
    ("http_server.listen", "7", "http_server.enabled = true"),
    ("http_server.dir", "\"a\"", "http_server.enabled = true"),
    ("http_server.index", "true", "http_server.enabled = true"),
    ("http_remux.enabled", "true", "http_server.enabled = true"),
    ("pithy_print_ms", "0", ""),
    ("http_api.enabled", "true", ""),
    ("http_api.listen", "7", "http_api.enabled = true"),
    ("http_api.crossdomain", "true", "http_api.enabled = true"),
    (
        "http_api.auth.enabled",
        "true",
        "http_api.enabled = true\nhttp_api.auth.username = \"a\"\nhttp_api.auth.password = \"b\"",
    ),
    (
        "http_api.auth.username",
        "\"b\"",
        "http_api.enabled = true\nhttp_api.auth.enabled = true\nhttp_api.auth.password = \"b\"",
    ),
    (
        "http_api.auth.password",
        "\"c\"",
        "http_api.enabled = true\nhttp_api.auth.enabled = true\nhttp_api.auth.username = \"a\"",
    ),
    (
        "http_hooks.enabled",
        "true",
        "http_hooks.on_play = \"http://a\"",
    ),
    (
        "http_hooks.on_connect",
        "\"http://b\"",
        "http_hooks.enabled = true",
    ),
    (
        "http_hooks.on_close",
        "\"http://b\"",
        "http_hooks.enabled = true",
    ),
    (
        "http_hooks.on_publish",
        "\"http://b\"",
        "http_hooks.enabled = true",
    ),
    (
        "http_hooks.on_unpublish",
        "\"http://b\"",
        "http_hooks.enabled = true",
    ),
    (
        "http_hooks.on_play",
        "\"http://b\"",
        "http_hooks.enabled = true",
    ),
    (
        "http_hooks.on_stop",
        "\"http://b\"",
        "http_hooks.enabled = true",
    ),
    (
        "http_hooks.on_hls",
        "\"http://b\"",
        "http_hooks.enabled = true",
    ),
];

/// A build without a feature refuses what turns it on.
fn is_built(key: &str) -> bool {
    match key.split('.').next() {
        Some("http_api") => cfg!(feature = "api"),
        Some("http_hooks") => cfg!(feature = "hooks"),
        _ => key != "http_server.index" || cfg!(feature = "page"),
    }
}

#[test]
fn every_key_is_read() {
    let mut configs = vec![Config::parse("", "nothing").unwrap()];
    for (key, value, beside) in OTHER_VALUES.iter().filter(|(key, ..)| is_built(key)) {
        let config = Config::parse(&format!("{beside}\n{key} = {value}\n"), key).unwrap();
        assert!(!configs.contains(&config), "{key} changes nothing");
        configs.push(config);
    }
    let mut tried: Vec<&str> = OTHER_VALUES.iter().map(|(key, ..)| *key).collect();
    // It has only one value.
    tried.push("http_remux.mount");
    assert_eq!(Config::keys().len(), tried.len());
    assert!(Config::keys().iter().all(|key| tried.contains(key)));
}
