#![cfg(test)]
//! What a viewer sees in a browser: hls.js and mpegts.js play in Chromium without a stall, and
//! hls.js plays on by itself when the stream comes back through another process.
//!
//! `SRS_LITE_PLAY_SECONDS` is how long they play at a time; 30 if it is not set.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test fails the test"
)]

mod support;

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs};

use support::clients::{self, Client};
use support::eventually;
use support::http;
use support::netns::in_netns;
use support::server::Server;
use support::temp::TempDir;

const PACKAGES: &str = "chromium nodejs npm";

/// It plays a stream from another origin than its own, as far as a browser can tell: CORS counts.
const PAGE: &str = "http://127.0.0.1:8080/player.html?url=http://localhost:8080/live/name";

/// Processes that share port 8080 and a directory; and the page, in it.
struct Site {
    servers: Vec<Server>,
    _directory: TempDir,
}

impl Site {
    fn start(processes: usize) -> Self {
        let directory = TempDir::new();
        let browser = browser();
        for file in [
            "player.html",
            "player.js",
            "node_modules/hls.js/dist/hls.min.js",
            "node_modules/mpegts.js/dist/mpegts.js",
        ] {
            let from = browser.join(file);
            let to = directory.path().join(from.file_name().unwrap());
            fs::copy(&from, to).expect("needs: npm ci --prefix tests/browser");
        }
        let html = directory.path().display();
        let config = format!(
            "[http_server]\nenabled = true\nlisten = 8080\ndir = \"{html}\"\n\
             [http_remux]\nenabled = true\n\
             [hls]\nenabled = true\nhls_path = \"{html}\"\nhls_fragment = 2\nhls_window = 20\n"
        );
        let servers = (0..processes).map(|_| Server::origin(&config)).collect();
        Self {
            servers,
            _directory: directory,
        }
    }

    /// Publishes for as long as the publisher is kept.
    fn publish(server: &Server) -> Client {
        let publish = "ffmpeg -v error -re -stream_loop -1 -i SAMPLE -c copy -f flv URL";
        let publisher = Client::run(publish, &format!("rtmp://{}/live/name", server.address()));
        server.wait_log("publishes live/name");
        publisher
    }

    /// Waits for enough segments that a player can keep its distance to the live edge.
    fn wait_segments(&self) {
        let address = self.servers[0].http_address();
        eventually("four segments", || {
            let playlist = http::get(address, "/live/name.m3u8").body;
            let playlist = String::from_utf8_lossy(&playlist).into_owned();
            playlist
                .lines()
                .filter(|line| line.ends_with(".ts"))
                .count()
                >= 4
        });
    }
}

fn browser() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser")
}

/// A browser with the page. It ends with its test.
struct Player {
    node: Child,
    reports: Lines<BufReader<ChildStdout>>,
    /// When it closes, the browser is closed.
    stdin: Option<ChildStdin>,
    _profile: TempDir,
}

/// What the page says of itself; see `report` in player.js.
#[derive(Clone, Debug, Default)]
struct Report {
    /// Seconds, as the video element counts.
    time: f64,
    /// Times that the player had nothing to show after it had begun: no media was there.
    stalls: u32,
    /// The longest time without progress, in seconds.
    pause: f64,
    /// Discontinuities passed.
    part: u32,
    decoded: u32,
    dropped: u32,
    /// What the library mended by itself.
    errors: String,
    /// What it did not.
    fatal: String,
}

impl Report {
    fn parse(line: &str) -> Self {
        let mut report = Self::default();
        for field in line.split('\t') {
            let (key, value) = field.split_once('=').unwrap();
            match key {
                "time" => report.time = value.parse().unwrap(),
                "stalls" => report.stalls = value.parse().unwrap(),
                "pause" => report.pause = value.parse().unwrap(),
                "part" => report.part = value.parse().unwrap(),
                "decoded" => report.decoded = value.parse().unwrap(),
                "dropped" => report.dropped = value.parse().unwrap(),
                "errors" => value.clone_into(&mut report.errors),
                "fatal" => value.clone_into(&mut report.fatal),
                _ => panic!("{line}"),
            }
        }
        report
    }
}

impl Player {
    /// Opens the page for the stream's URL with this ending.
    fn open(ending: &str) -> Self {
        let page = format!("{PAGE}{ending}");
        let profile = TempDir::new();
        let most = (3 * playing_time() + Duration::from_secs(120)).as_secs();
        let mut node = Command::new("node")
            .arg(browser().join("play.js"))
            .args([page, most.to_string()])
            .current_dir(profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let reports = BufReader::new(node.stdout.take().unwrap()).lines();
        let stdin = node.stdin.take();
        Self {
            node,
            reports,
            stdin,
            _profile: profile,
        }
    }

    /// The first report for which `done`.
    fn wait(&mut self, what: &str, done: impl Fn(&Report) -> bool) -> Report {
        let deadline = Instant::now() + 2 * support::DEADLINE + playing_time();
        loop {
            let line = self.reports.next().expect("the browser has ended").unwrap();
            let report = Report::parse(&line);
            assert_eq!(report.fatal, "", "{report:?}");
            if done(&report) {
                return report;
            }
            assert!(Instant::now() < deadline, "never: {what}: {report:?}");
        }
    }

    /// Plays for this long, which takes no longer than that.
    fn play(&mut self, length: Duration) -> Report {
        let from = self.wait("a picture", |report| report.decoded > 0).time;
        let begun = Instant::now();
        let length = length.as_secs_f64();
        let end = self.wait("progress", |report| report.time >= from + length);
        let taken = begun.elapsed().as_secs_f64();
        show(&format!("{length} s played in {taken:.1} s: {end:?}"));
        assert!(taken < length + 3.0, "it took {taken} s: {end:?}");
        end
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.stdin = None;
        // It closes the browser first, and ends by itself in any case.
        let _status = self.node.wait();
    }
}

#[expect(clippy::print_stderr, reason = "the figures, with --nocapture")]
fn show(text: &str) {
    eprintln!("{text}");
}

fn playing_time() -> Duration {
    let seconds = env::var("SRS_LITE_PLAY_SECONDS");
    Duration::from_secs(seconds.map_or(30, |seconds| seconds.parse().unwrap()))
}

/// Runs `body` in a network without a way out, unless there is no browser. One at a time: browsers
/// that decode beside each other stall on a small machine, whatever the server does.
fn with_browser(test: &str, body: impl FnOnce()) {
    static ONE: Mutex<()> = Mutex::new(());
    let found = ["chromium", "node"].map(|program| clients::installed(program, PACKAGES));
    if found == [true; 2] {
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        in_netns(test, body);
    }
}

#[test]
fn hls_js_plays() {
    with_browser("hls_js_plays", || {
        let site = Site::start(2);
        let _publisher = Site::publish(&site.servers[0]);
        site.wait_segments();
        let mut player = Player::open(".m3u8");
        let end = player.play(playing_time());
        assert_eq!((end.stalls, end.errors.as_str()), (0, ""), "{end:?}");
        assert!(end.pause < 0.5, "{end:?}");
    });
}

#[test]
fn mpegts_js_plays() {
    with_browser("mpegts_js_plays", || {
        let site = Site::start(1);
        let _publisher = Site::publish(&site.servers[0]);
        Player::open(".flv").play(playing_time());
    });
}

/// Plays while the publisher leaves, by `leave`, and comes back through the other process.
fn plays_on(leave: impl FnOnce(&mut Player, &mut Vec<Server>, Client)) {
    let mut site = Site::start(2);
    let publisher = Site::publish(&site.servers[0]);
    site.wait_segments();
    let mut player = Player::open(".m3u8");
    player.play(Duration::from_secs(5));
    leave(&mut player, &mut site.servers, publisher);
    let _publisher = Site::publish(site.servers.last().unwrap());
    player.wait("what was published since", |report| report.part == 1);
    player.play(playing_time() / 2);
}

#[test]
fn hls_js_plays_on_through_another_process() {
    with_browser("hls_js_plays_on_through_another_process", || {
        plays_on(|player, _, publisher| {
            drop(publisher);
            // Until the player has nothing left to show.
            player.wait("a stall", |report| report.stalls > 0 && report.pause > 1.0);
        });
    });
}

#[test]
fn hls_js_plays_on_after_a_kill() {
    with_browser("hls_js_plays_on_after_a_kill", || {
        plays_on(|_, servers, publisher| {
            servers.remove(0).kill();
            drop(publisher);
        });
    });
}
