//! `conf/srs-lite@.service` is a unit that systemd takes, allows what the server does, and little else.
#![cfg(test)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use srs_lite::config::Config;
use srs_lite::server::capacity::{self, Found};
use support::clients::installed;
use support::hls;
use support::http::{CONFIG, Client, FlvPlayer};
use support::peer::{play, publishing};
use support::server::Server;
use support::temp::TempDir;

const UNIT: &str = include_str!("../conf/srs-lite@.service");

/// What the unit says about a key, line by line.
fn values(key: &str) -> impl Iterator<Item = &str> {
    let value = move |line: &'static str| line.strip_prefix(key)?.strip_prefix('=');
    UNIT.lines().filter_map(value)
}

fn number(key: &str) -> Option<u64> {
    let value = values(key).next().unwrap();
    match value.strip_suffix('G') {
        Some(gibibytes) => gibibytes.parse::<u64>().ok()?.checked_mul(1 << 30),
        None => value.parse().ok(),
    }
}

#[test]
fn its_numbers_fit_the_shipped_files() {
    let found = Found {
        files: number("LimitNOFILE"),
        pids: number("TasksMax"),
        memory: number("MemoryMax"),
        ..Found::default()
    };
    for file in ["origin", "edge", "edge2", "origin.hls.only1"] {
        let config = Config::load(Path::new(&format!("conf/{file}.conf"))).unwrap();
        let allowed = capacity::allowed(&found, config.max_connections, 2);
        assert_eq!(allowed.reason, None, "{file}");
        // Each of them may be the only player, or the publisher, of a stream.
        assert!(allowed.threads > 3 * config.max_connections, "{file}");
    }
}

/// As does a start: `systemctl reload` fails if the file has a mistake.
#[test]
fn a_reload_tests_the_file_first() {
    let test = values("ExecStartPre").next();
    assert!(test.is_some_and(|command| command.contains(" -t ")));
    assert_eq!(values("ExecReload").next(), test);
}

#[test]
fn the_unit_exposes_little() {
    if !installed("systemd-analyze", "systemd") {
        return;
    }
    let directory = TempDir::new();
    let file = directory.path().join("srs-lite@.service");
    let binary = env!("CARGO_BIN_EXE_srs-lite");
    fs::write(&file, UNIT.replace("/usr/local/bin/srs-lite", binary)).unwrap();
    let exposure = "security --offline=true --no-pager --threshold=15";
    for arguments in ["verify --man=no", exposure] {
        let mut analyze = Command::new("systemd-analyze");
        let analyze = analyze.args(arguments.split(' ')).arg(&file);
        let output = analyze.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success(), "{arguments}: {said}");
        let is_quiet = said.is_empty() || arguments == exposure;
        assert!(is_quiet, "{arguments}: {said}");
    }
}

/// The sets of system calls that systemd knows, with what is in them.
fn sets() -> BTreeMap<String, Vec<String>> {
    let mut analyze = Command::new("systemd-analyze");
    let output = analyze.args(["syscall-filter", "--no-pager"]).output();
    let mut sets: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut set = String::new();
    for line in String::from_utf8(output.unwrap().stdout).unwrap().lines() {
        let word = line.trim();
        if line.starts_with('@') {
            word.clone_into(&mut set);
        } else if line.starts_with(' ') && !word.starts_with('#') {
            sets.entry(set.clone()).or_default().push(word.to_owned());
        }
    }
    sets
}

/// The system calls of a set, or the one that it is.
fn expand(sets: &BTreeMap<String, Vec<String>>, name: &str) -> BTreeSet<String> {
    match sets.get(name) {
        Some(inner) => inner.iter().flat_map(|name| expand(sets, name)).collect(),
        None => BTreeSet::from([name.to_owned()]),
    }
}

/// What the unit allows (systemd.exec(5), `SystemCallFilter=`).
fn allowed() -> BTreeSet<String> {
    let sets = sets();
    let mut allowed = expand(&sets, "@default");
    for value in values("SystemCallFilter") {
        let names = value.trim_start_matches('~').split(' ');
        let calls = names.flat_map(|name| expand(&sets, name));
        if value.starts_with('~') {
            calls.for_each(|call| {
                allowed.remove(&call);
            });
        } else {
            allowed.extend(calls);
        }
    }
    allowed
}

/// A server whose system calls strace counts. With `-D` it is our child, and strace is not.
fn traced(trace: &Path, config: &str) -> Server {
    let trace = trace.to_str().unwrap();
    let strace = ["strace", "-D", "-f", "-c", "-o", trace];
    // A service manager that never hears it, for what is said to one.
    let manager = [
        "env",
        "NOTIFY_SOCKET=@srs-lite-nobody",
        "WATCHDOG_USEC=1000000",
    ];
    Server::under(&[&strace[..], &manager].concat(), config)
}

/// The system calls that strace has counted, once the server has ended.
fn counted(trace: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(trace).unwrap();
    let lines = text
        .lines()
        .skip(2)
        .take_while(|line| !line.starts_with('-'));
    let call = |line: &str| line.split_whitespace().last().map(str::to_owned);
    lines.filter_map(call).collect()
}

#[test]
fn the_filter_allows_what_the_server_does() {
    if !installed("systemd-analyze", "systemd") || !installed("strace", "strace") {
        return;
    }
    let directory = TempDir::new();
    let traces = ["origin", "edge"].map(|name| directory.path().join(name));
    // Traced, on a busy machine, everything takes its time.
    let files = "pid = \"run/pid\"\nlisten = \"127.0.0.1:0\"\n[publish]\nnormal_timeout = 60000\n";
    let writes = "[hls]\nenabled = true\nhls_path = \"html\"\nhls_fragment = 1\n";
    let origin = traced(&traces[0], &format!("{files}{writes}{CONFIG}"));
    let port = origin.address().port();
    let remote = format!("[cluster]\nmode = \"remote\"\norigin = [\"localhost:{port}\"]\n");
    let edge = traced(&traces[1], &format!("{files}{remote}{CONFIG}"));

    let mut publisher = publishing(edge.address(), "traced");
    publisher.await_read();
    for server in [&origin, &edge] {
        let html = server.directory().join("html");
        fs::write(html.join("large.js"), vec![b'x'; 1 << 20]).unwrap();
    }
    hls::send(&mut publisher, 0..3000);
    let stream = origin.directory().join("html");
    hls::await_playlist(&stream, "traced", "segments", |it| it.entries.len() > 1);
    for server in [&origin, &edge] {
        let http = server.http_address();
        let _player = play(server.address(), "live", "traced").media();
        FlvPlayer::play(http, "traced.flv").media();
        for path in ["/", "/large.js", "/live/traced.m3u8"] {
            let mut client = Client::open(http);
            client.send(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
            client.response(true);
        }
        server.signal(Signal::SIGUSR1);
        server.signal(Signal::SIGHUP);
        server.wait_log("SIGHUP");
    }
    publisher.unpublish();
    for (mut server, signal) in [(edge, Signal::SIGTERM), (origin, Signal::SIGQUIT)] {
        server.signal(signal);
        server.wait();
    }

    let allowed = allowed();
    for trace in traces {
        let did = counted(&trace);
        assert!(
            ["sendmsg", "sendfile", "sendto"]
                .iter()
                .all(|call| did.contains(*call)),
            "{did:?}"
        );
        let refused: Vec<_> = did.difference(&allowed).collect();
        assert!(refused.is_empty(), "refused: {refused:?} of {did:?}");
    }
}
