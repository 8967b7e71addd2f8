//! What is said about a configuration file that cannot be used, word for word.
#![cfg(test)]

use srs_lite::config::Config;

fn message(text: &str) -> String {
    Config::parse(text, "a.conf").unwrap_err().to_string()
}

#[test]
fn a_mistake_is_named_with_its_place_and_what_was_expected() {
    let listen = "expected a port (1935), an address and port (\"192.168.1.170:1935\", \
                  \"[::1]:1935\"), or a list of either, found";
    let origin = "expected the address of an origin (\"10.0.0.1:19350\", \
                  \"[::1]:19350\", \"origin.example\"), or a list of those, found";
    let cases = [
        ("listen = 65536", format!("1: key `listen`: {listen} 65536")),
        ("listen = -1", format!("1: key `listen`: {listen} -1")),
        (
            "listen = [1,\n2,\n'x:y']",
            format!("3: key `listen`: {listen} \"x:y\""),
        ),
        (
            "listen = '::1:1935'",
            format!("1: key `listen`: {listen} \"::1:1935\""),
        ),
        ("[listen]", format!("1: key `listen`: {listen} a block")),
        (
            "[play]\ngop_cache = \"on\"",
            "2: key `play.gop_cache`: expected true or false, found \"on\"".to_owned(),
        ),
        (
            "play.mw_latency = 2001",
            "1: key `play.mw_latency`: expected \"auto\" or milliseconds from 0 to 2000, \
             found 2001"
                .to_owned(),
        ),
        (
            "play.play_wait = nan",
            "1: key `play.play_wait`: expected seconds from 0 to 3600, found nan".to_owned(),
        ),
        (
            "max_connections = 0",
            "1: key `max_connections`: expected a number from 1 to 1000000, found 0".to_owned(),
        ),
        (
            "\n\ncluster = 'remote'",
            "3: key `cluster`: expected a block `[cluster]`, found \"remote\"".to_owned(),
        ),
        (
            "[cluster]\nmode = 'remote'\norigin = ['a', 'rtmp://b/live']",
            format!("3: key `cluster.origin`: {origin} \"rtmp://b/live\""),
        ),
        (
            "cluster.origin = 'a:0'",
            format!("1: key `cluster.origin`: {origin} \"a:0\""),
        ),
        (
            "cluster.origin = 'a\\nb'",
            format!("1: key `cluster.origin`: {origin} \"a\\\\nb\""),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(message(text), format!("a.conf:{expected}"), "{text}");
    }
}

#[test]
fn what_cannot_work_together_is_refused() {
    let cases = [
        (
            "[cluster]\nmode = 'remote'",
            "2: key `cluster.mode`: an edge needs its origin; add `origin = [\"host:port\"]` \
             to [cluster]",
        ),
        (
            "[cluster]\norigin = 'a'",
            "2: key `cluster.origin`: an origin has no origin; remove it, or write `mode = \
             \"remote\"` for an edge",
        ),
        (
            "listen = []",
            "1: key `listen`: the list is empty; write `listen = 1935`",
        ),
        (
            "listen = [1935, '1935']",
            "1: key `listen`: an address is listed twice; remove one",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(message(text), format!("a.conf:{expected}"), "{text}");
    }
}

#[test]
fn an_edge_of_itself_is_a_loop() {
    let looped = [
        ("1935", "127.0.0.1"),
        ("1935", "127.0.0.2:1935"),
        ("1935", "localhost:1935"),
        ("1935", "[::1]:1935"),
        ("1935", "0.0.0.0:1935"),
        ("[19350, 1935]", "[::ffff:127.0.0.1]:1935"),
        ("'0.0.0.0:1935'", "127.0.0.1:1935"),
        ("'10.0.0.1:1935'", "10.0.0.1:1935"),
        ("'127.0.0.1:1935'", "0.0.0.0:1935"),
        ("'[::]:1935'", "[::1]:1935"),
    ];
    for (listen, origin) in looped {
        let text =
            format!("listen = {listen}\ncluster = {{ mode = 'remote', origin = '{origin}' }}");
        let message = message(&text);
        assert!(
            message.starts_with("a.conf:2: key `cluster.origin`: a loop: "),
            "{message}"
        );
    }
    let sound = [
        ("1935", "127.0.0.1:19350"),
        ("1935", "10.0.0.1:1935"),
        ("'10.0.0.1:1935'", "127.0.0.1:1935"),
        ("'10.0.0.1:1935'", "10.0.0.2:1935"),
        ("'0.0.0.0:1935'", "[::1]:1935"),
    ];
    for (listen, origin) in sound {
        let text =
            format!("listen = {listen}\ncluster = {{ mode = 'remote', origin = '{origin}' }}");
        assert!(Config::parse(&text, "a.conf").is_ok(), "{text}");
    }
}

#[test]
fn an_unknown_key_is_compared_with_the_known_ones() {
    let cases = [
        (
            "[cluster]\nmode = 'remote'\norgin = 'a'",
            "3: key `cluster.orgin`: not known; did you mean `cluster.origin`?",
        ),
        (
            "[security]\nmax_connections = 5",
            "2: key `security.max_connections`: not known; did you mean `max_connections`?",
        ),
        (
            "gop_cache = true",
            "1: key `gop_cache`: not known; did you mean `play.gop_cache`?",
        ),
        (
            "\n[clustr]",
            "2: key `clustr`: not known; did you mean `cluster`?",
        ),
        (
            "colour = 1",
            "1: key `colour`: not known; conf/full.conf lists every key",
        ),
        (
            "\"a\\nb\" = 1",
            "1: key `a\\nb`: not known; conf/full.conf lists every key",
        ),
        (
            "daemon = false",
            "1: key `daemon`: a directive of SRS that this version does not have: it stays \
             in the foreground, for a service manager; remove it",
        ),
        (
            "\n[dvr]\nenabled = true",
            "2: key `dvr`: a directive of SRS that this version does not have: a player can \
             record, as `ffmpeg -i rtmp://… -c copy FILE`; remove it, and its block",
        ),
        (
            "\"play.gop_cache\" = true",
            "1: key `play.gop_cache`: not known; did you mean `play.gop_cache`?",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(message(text), format!("a.conf:{expected}"), "{text}");
    }
}

#[test]
fn a_mistake_in_a_vhost_is_named_with_the_vhost() {
    let block = "expected a block `[vhost.\"name\".play]`, found";
    let name = "no name of a vhost: letters, digits, \"-\", \"_\" and \".\", as of a host, but no \
                address; the default vhost's blocks stand at the top level";
    let cases = [
        ("vhost = 1", format!("1: key `vhost`: {block} 1")),
        ("vhost.a = 1", format!("1: key `vhost.a`: {block} 1")),
        (
            "[vhost.\"a.b\".play]\ngop_cache = 1",
            "2: key `vhost.\"a.b\".play.gop_cache`: expected true or false, found 1".to_owned(),
        ),
        (
            "[vhost.\"a.b\".play]\ngop_cach = true",
            "2: key `vhost.\"a.b\".play.gop_cach`: not known; did you mean `play.gop_cache`?".to_owned(),
        ),
        (
            "[vhost.\"a.b\"]\nlisten = 1",
            "2: key `vhost.\"a.b\".listen`: is of the process, and stands at the top level".to_owned(),
        ),
        (
            "[vhost.\"a.b\"]\ntcp_nodelay = true",
            "2: key `vhost.\"a.b\".tcp_nodelay`: a directive of SRS that this version does not \
             have: it is always on, without cost; remove it"
                .to_owned(),
        ),
        (
            "[vhost.a.example.play]\ngop_cache = true",
            "1: key `vhost.\"a\".example`: no block of a vhost; a vhost's name with a dot stands in \
             quotes (`[vhost.\"a.example\".play]`)"
                .to_owned(),
        ),
        (
            "[vhost.\"__defaultVhost__\".play]",
            format!("1: key `vhost.__defaultVhost__`: {name}"),
        ),
        (
            "[vhost.\"10.0.0.1\".play]",
            format!("1: key `vhost.10.0.0.1`: {name}"),
        ),
        (
            "[vhost.\"../a\\n\".play]",
            format!("1: key `vhost.../a\\n`: {name}"),
        ),
        (
            "[vhost.\"A.b\"]\n[vhost.\"a.b\"]",
            "2: key `vhost.a.b`: there twice: capital letters do not count".to_owned(),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(message(text), format!("a.conf:{expected}"), "{text}");
    }
}

#[test]
fn keys_of_a_vhost_must_fit_together() {
    let cases = [
        (
            "[vhost.\"a.b\".cluster]\norigin = \"a\"",
            "2: key `vhost.\"a.b\".cluster.origin`: an origin has no origin; remove it, or write \
             `mode = \"remote\"` for an edge",
        ),
        (
            "cluster = { mode = \"remote\", origin = \"a\" }\n[vhost.\"a.b\".hls]\nenabled = true",
            "3: key `vhost.\"a.b\".hls.enabled`: an edge forwards what is published to it; enable \
             it at the origin",
        ),
        (
            "[cluster]\nmode = \"remote\"\norigin = \"a\"\n[vhost.\"a.b\".cluster]\norigin = []",
            "4: key `vhost.\"a.b\".cluster.mode`: an edge needs its origin; add \
             `origin = [\"host:port\"]` to [cluster]",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(message(text), format!("a.conf:{expected}"), "{text}");
    }
}

#[test]
fn what_a_vhost_does_not_say_is_as_at_the_top_level() {
    let config = Config::parse(
        "[cluster]\nmode = \"remote\"\norigin = \"a\"\ntoken_traverse = true\n\
         [play]\ngop_cache = false\nplay_wait = 7\n\
         [vhost.\"A.test\".play]\nplay_wait = 8\n\
         [vhost.\"b.test\"]\nenabled = false\ncluster.mode = \"local\"\nhls.enabled = true\n",
        "a.conf",
    )
    .unwrap();
    let default = config.vhost(None);
    let (a, b) = (config.vhost(Some("a.test")), config.vhost(Some("b.test")));
    assert_eq!(config.vhosts.len(), 2);
    assert_eq!(config.vhost(Some("c.test")), default);
    assert_eq!(a.cluster, default.cluster);
    assert!(a.enabled && !a.play.gop_cache);
    assert_eq!(a.play.play_wait.as_secs(), 8);
    // An origin has no use for what an edge needs.
    assert!(!b.enabled && b.hls.is_some() && b.cluster.origins.is_empty());
    assert!(!b.cluster.token_traverse);
    assert_eq!(b.play, default.play);
}

#[test]
fn what_an_edge_calls_a_vhost_at_its_origin() {
    for (transform, default, named) in [
        ("[vhost]", None, "a.test"),
        ("edge.[vhost]", None, "edge.a.test"),
        ("same.edge.com", Some("same.edge.com"), "same.edge.com"),
    ] {
        let text = format!("cluster.vhost = \"{transform}\"");
        let cluster = Config::parse(&text, "a.conf")
            .unwrap()
            .default_vhost
            .cluster;
        assert_eq!(cluster.vhost_at_origin(None).as_deref(), default);
        assert_eq!(
            cluster.vhost_at_origin(Some("a.test")).as_deref(),
            Some(named)
        );
    }
    assert_eq!(
        message("cluster.vhost = \"[vhost]/a\""),
        "a.conf:1: key `cluster.vhost`: expected the name of a vhost, in which [vhost] stands for \
         ours, found \"[vhost]/a\""
    );
}

#[test]
fn http_keys_must_fit_together() {
    let cases = [
        (
            "http_server.enabled = true\nhttp_server.listen = 1935",
            "2: key `http_server.listen`: RTMP listens there; choose another port",
        ),
        (
            "listen = 8080\n\n[http_server]\nenabled = true",
            "3: key `http_server.listen`: RTMP listens there; choose another port",
        ),
        (
            "[http_remux]\nenabled = true",
            "2: key `http_remux.enabled`: needs the HTTP server; add `enabled = true` to \
             [http_server]",
        ),
        (
            "[http_remux]\nmount = '/a.flv'",
            "2: key `http_remux.mount`: expected \"[vhost]/[app]/[stream].flv\", the only one \
             there is, found \"/a.flv\"",
        ),
        (
            "[hls]\nenabled = true\n[cluster]\nmode = \"remote\"\norigin = \"a\"",
            "2: key `hls.enabled`: an edge forwards what is published to it; enable it at the \
             origin",
        ),
        (
            "[hls]\nhls_ctx = false",
            "2: key `hls.hls_ctx`: a directive of SRS that this version does not have: every \
             process serves every player, without sessions; remove it",
        ),
        (
            "[hls]\nhls_fragment = 0.5",
            "2: key `hls.hls_fragment`: expected seconds from 1 to 60, found 0.5",
        ),
        (
            "[hls]\nhls_td_ratio = 0.9",
            "2: key `hls.hls_td_ratio`: expected a number from 1.0 to 10.0, found 0.9",
        ),
        (
            "[http_server]\ncrossdomain = true",
            "2: key `http_server.crossdomain`: a directive of SRS that this version does not \
             have: pages of other sites may always play what is here; remove it",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(message(text), format!("a.conf:{expected}"), "{text}");
    }
}

#[test]
fn the_first_mistake_is_reported() {
    let text = "listen = 1\n[play]\ngop_cash = true\n[cluster]\nmode = 'x'\n";
    assert!(message(text).starts_with("a.conf:3: key `play.gop_cash`"));
}

#[test]
fn what_is_not_toml_is_named_by_line() {
    let srs = "this is SRS's own syntax, not TOML: write";
    let cases = [
        (
            "# main\nlisten 1935;\n",
            format!("2: {srs} `listen = 1935`"),
        ),
        (
            "listen = 1935\nvhost __defaultVhost__ {\n}\n",
            "2: this is SRS's own syntax, not TOML: remove this line and its `}`; the default \
             vhost's blocks stand at the top level"
                .to_owned(),
        ),
        (
            "[play]\ngop_cache on;",
            format!("2: {srs} `gop_cache = true`"),
        ),
        (
            "listen = 1935;",
            "1: not TOML: write `listen = 1935`".to_owned(),
        ),
        (
            "[play]\ngop_cache = on",
            "2: not TOML: write `gop_cache = true`".to_owned(),
        ),
        (
            "listen = 1935\nlisten = 1936",
            "2: not TOML: duplicate key".to_owned(),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(message(text), format!("a.conf:{expected}"), "{text}");
    }
}
