//! A hundred changes under load.

use std::fmt::Write as _;

use nix::sys::signal::Signal;

use crate::support::http;
use crate::support::load::{Load, Report};
use crate::support::media;
use crate::support::server::Server;

const PUBLISHERS: usize = 20;

/// Half of them by RTMP, half by HTTP-FLV.
const PLAYERS: usize = 200;

const CHANGES: usize = 100;

/// What a hundred configurations would take, if they stayed, is several times this.
const GROWTH_KIB: usize = 3072;

const LISTEN: &str = "listen = \"127.0.0.1:0\"\n";

/// The configuration of this number: every key that can change does, and some that cannot.
fn config(number: usize) -> String {
    let other = number % 2;
    let mut text = format!(
        "max_connections = {}\nmax_connections_per_address = 500\nmax_memory = {}\n\
         grace_final_wait = {number}\nsrs_log_level = \"{}\"\n",
        1000 + number,
        1024 + number,
        ["trace", "info"][other],
    );
    if number % 7 == 3 {
        text += "pid = \"other.pid\"\nlisten = 1\n";
    } else {
        text += LISTEN;
    }
    let keys =
        (0..1000).map(|key| format!("\"publish other/{number}-{key} loadkey-{number}-{key}\""));
    let keys: Vec<_> = keys.collect();
    let _written = write!(
        text,
        "{}[play]\ngop_cache = {}\nmw_latency = {}\nplay_wait = {number}\n\
         [publish]\npublisher_wait = {number}\nfirstpkt_timeout = {}\nrepublish = \"{}\"\n\
         [hls]\nenabled = {}\nhls_path = \"html\"\nhls_fragment = {}\n\
         [security]\nkeys = [{}]\ndeny = [\"publish 10.0.0.{number}\"]\n",
        http::CONFIG,
        other == 0,
        [0, 100][other],
        10_000 + number,
        ["busy", "takeover"][other],
        other == 0,
        1 + number % 5,
        keys.join(", "),
    );
    text
}

#[test]
fn a_hundred_changes_under_load_cost_nobody_a_frame() {
    let server = Server::start(&config(0));
    let file = media::flv();
    let _publishers = Load::publish(&server, file.to_str().unwrap(), "r", PUBLISHERS);
    let (rtmp, flv) = (server.address(), server.http_address());
    let (half, streams) = ((PLAYERS / 2).to_string(), PUBLISHERS.to_string());
    let players = [
        format!("rtmp://{rtmp}/live/r{{}}"),
        format!("http://{flv}/live/r{{}}.flv"),
    ];
    let players = players.map(|url| {
        let many = [
            "-n",
            &half,
            "--streams",
            &streams,
            "--seconds",
            "20",
            "--json",
        ];
        Load::start(&[&["play", &url][..], &many].concat())
    });
    server.wait_log_times(": plays live/r", PLAYERS);
    // Later than the last `plays`: of these, some lines are below the level at times.
    let mut after_ten = 0;
    for number in 1..=CHANGES {
        if number % 10 == 0 {
            let bad = format!("{}nonsense = 1\n", config(number));
            server.reload(&bad, "SIGHUP: nothing is changed: ");
        }
        let line = server.reload(&config(number), "SIGHUP: changed: ");
        assert!(line.contains("security.keys"), "{line}");
        if number == 10 {
            after_ten = server.resident();
        }
    }
    let grown = server.resident().saturating_sub(after_ten);
    assert!(grown < GROWTH_KIB, "{grown} KiB on top of {after_ten}");
    assert_eq!(
        server.count_log("ended after"),
        0,
        "somebody had left before"
    );
    for players in players {
        let ended = players.end();
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
        let report = Report::parse(&ended.stdout);
        assert!(report.failed.is_empty(), "{report:?}");
        for (name, expected) in [("live", PLAYERS / 2), ("ended", 0), ("frames_missing", 0)] {
            let value = report.number(name);
            assert!((value - expected as f64).abs() < 0.5, "{name}: {report:?}");
        }
    }
    server.signal(Signal::SIGTERM);
    server.wait_log("stopped");
}
