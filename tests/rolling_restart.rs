#![cfg(test)]
//! A rolling restart of two processes on the same ports, under load: the shipped files, each process
//! replaced in turn by a new one. Whoever comes meanwhile is served.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test fails the test"
)]

mod support;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use support::attempts::{Attempts, Outcome, What};
use support::encoder::Encoder;
use support::eventually;
use support::hls::{Playlist, await_playlist};
use support::long_players::LongPlayers;
use support::netns::in_netns;
use support::server::{Server, show};
use support::siblings::Meeting;
use support::temp::TempDir;
use support::viewer::HlsViewer;

const GRACE: Duration = Duration::from_secs(5);

/// From the end of the grace to that of the last player.
const STOPS_WITHIN: Duration = Duration::from_secs(3);

/// At least so many new connections.
const ATTEMPTS: usize = 5000;

const LONG_PLAYERS: usize = 100;

const RTMP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1935);
const HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// One of the processes, and when it was told to drain.
struct Process {
    server: Server,
    quit: Option<Instant>,
}

/// Two processes that share a directory, and what is published to them.
struct Pair {
    directory: TempDir,
    meeting: Meeting,
    processes: Vec<Process>,
    encoders: Vec<(String, Encoder)>,
}

impl Pair {
    /// Starts both, with `tcp_migrate_req` set so, and publishes until each has a stream of either
    /// kind of encoder.
    fn start(tcp_migrate_req: &str) -> Self {
        fs::write("/proc/sys/net/ipv4/tcp_migrate_req", tcp_migrate_req).unwrap();
        let mut pair = Self {
            directory: TempDir::new(),
            meeting: Meeting::new(),
            processes: Vec::new(),
            encoders: Vec::new(),
        };
        (1..=2).for_each(|file| pair.start_one(file));
        let publishes = |process: &Process, kind: &str| {
            process
                .server
                .count_log(&format!(": publishes live/{kind}"))
                > 0
        };
        for kind in ["plain", "enhanced"] {
            while !pair.processes.iter().all(|one| publishes(one, kind)) {
                pair.publish(kind);
            }
        }
        pair.await_segments();
        pair
    }

    /// Starts a process with the shipped file of this number, and a pid file of its own.
    fn start_one(&mut self, number: usize) {
        let file = self.configuration(number);
        let server = Server::with_file_in(&file, self.directory.path());
        server.wait_log("listening on rtmp ");
        server.wait_log("listening on http ");
        self.processes.push(Process { server, quit: None });
    }

    fn configuration(&self, number: usize) -> PathBuf {
        let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
        let file = conf.join(format!("origin.hls.only{number}.conf"));
        let mut text = fs::read_to_string(file).unwrap();
        let own = self.directory.path().join(self.processes.len().to_string());
        let pid = format!("{}.pid", own.display());
        for (shipped, ours) in [
            (format!("./run/origin.hls.only{number}.pid"), pid.as_str()),
            ("hls_fragment = 10\n".to_owned(), "hls_fragment = 1\n"),
            ("hls_window   = 60\n".to_owned(), "hls_window   = 10\n"),
        ] {
            assert!(text.contains(&shipped), "no {shipped} in {text}");
            text = text.replace(&shipped, ours);
        }
        let file = own.with_extension("conf");
        let grace = format!("grace_final_wait = {}\n", GRACE.as_millis());
        fs::write(&file, self.meeting.config(&(grace + &text))).unwrap();
        file
    }

    /// One more stream.
    fn publish(&mut self, kind: &str) {
        let name = format!("{kind}{}", self.encoders.len());
        assert!(self.encoders.len() < 60, "one process got nearly all");
        let encoder = Encoder::start(RTMP, &name, kind == "enhanced");
        eventually("it is published", || encoder.turns() > 0);
        self.encoders.push((name, encoder));
    }

    /// Waits until HLS of every stream has gone on.
    fn await_segments(&self) {
        let html = self.directory.path().join("html");
        for (name, _) in &self.encoders {
            let next = Playlist::of(&html, name).map_or(0, |playlist| playlist.next());
            let grown = |playlist: &Playlist| playlist.next() >= next + 2;
            await_playlist(&html, name, "HLS goes on", grown);
        }
    }

    fn names(&self) -> Vec<String> {
        self.encoders.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Replaces both processes, one after the other.
    fn restart(&mut self) {
        for index in 0..2 {
            self.start_one(index + 1);
            let old = &mut self.processes[index];
            old.quit = Some(Instant::now());
            old.server.signal(Signal::SIGQUIT);
            let status = old.server.wait();
            assert_eq!(status.code(), Some(0), "{status}");
        }
    }
}

#[test]
fn whoever_comes_during_a_rolling_restart_is_served() {
    in_netns("whoever_comes_during_a_rolling_restart_is_served", || {
        let mut pair = Pair::start("1");
        let names = pair.names();
        let attempts = Attempts::start(RTMP, HTTP, names.clone(), 8);
        let long = LongPlayers::start(RTMP, HTTP, &names, LONG_PLAYERS);
        let viewers: Vec<_> = names
            .iter()
            .map(|name| HlsViewer::start(HTTP, name))
            .collect();
        long.await_served();

        pair.restart();
        pair.await_segments();
        await_attempts(&attempts);

        let tally = attempts.stop();
        show(&format!("rolling restart, tcp_migrate_req 1 | {tally}"));
        assert_eq!(tally.count(Outcome::Served), tally.total(), "{tally}");
        for what in [What::Rtmp, What::HttpFlv, What::Playlist] {
            assert!(tally.of(what) >= ATTEMPTS / 4, "{tally}");
        }
        let viewed: Vec<_> = viewers.into_iter().map(HlsViewer::stop).collect();
        for (viewed, (name, encoder)) in viewed.iter().zip(&pair.encoders) {
            // Both processes have been replaced: each encoder has come back, some twice.
            let turns = u64::from(encoder.turns());
            assert!((2..=3).contains(&turns), "{name}: {turns} turns");
            assert_eq!(viewed.discontinuities, turns - 1, "{name}");
            assert!(viewed.segments >= 2 * GRACE.as_secs(), "{name}: {viewed:?}");
        }
        check_ends(&pair, &long);
        long.stop();
        pair.encoders
            .into_iter()
            .for_each(|(_, encoder)| encoder.stop());
        for process in pair.processes.drain(2..) {
            process.server.stop();
        }
    });
}

/// Waits until enough have come, however slow this machine is.
fn await_attempts(attempts: &Attempts) {
    let deadline = Instant::now() + Duration::from_secs(90);
    while attempts.tally().total() < ATTEMPTS {
        assert!(Instant::now() < deadline, "only {}", attempts.tally());
        thread::sleep(Duration::from_millis(100));
    }
}

/// Players of a process that drains end with its grace; no others end.
fn check_ends(pair: &Pair, long: &LongPlayers) {
    let mut of_process = [0; 2];
    for (peer, ended) in long.ended() {
        let plays = format!(" {peer}: plays live/");
        let mut owners = (0..pair.processes.len())
            .filter(|&index| pair.processes[index].server.count_log(&plays) > 0);
        let owner = owners.next().expect("somebody's player");
        let quit = pair.processes[owner].quit;
        let took = ended.duration_since(quit.expect("it need not have ended"));
        assert!(took >= GRACE && took < GRACE + STOPS_WITHIN, "{took:?}");
        of_process[owner] += 1;
    }
    show(&format!(
        "players that lasted for the grace | {of_process:?}"
    ));
    assert!(of_process.iter().all(|&count| count > 0), "{of_process:?}");
}

/// What the kernel does by default is reported: it resets connections that wait in the queue of a
/// listener that closes.
#[test]
fn without_migration_connections_may_be_reset() {
    in_netns("without_migration_connections_may_be_reset", || {
        let mut pair = Pair::start("0");
        let attempts = Attempts::start(RTMP, HTTP, pair.names(), 8);
        eventually("some have come", || attempts.tally().total() > 100);
        pair.restart();
        let tally = attempts.stop();
        show(&format!("rolling restart, tcp_migrate_req 0 | {tally}"));
        assert!(tally.count(Outcome::Served) > 0, "{tally}");
    });
}
