//! `/metrics`, as Prometheus sees it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::clients::installed;
use crate::support::eventually;
use crate::support::netns::in_netns;
use crate::support::peer::{play, publishing};
use crate::support::server::Server;
use crate::support::siblings::{Feed, Meeting, Viewer};
use crate::support::temp::TempDir;
use crate::{CONFIG, ask, list};

fn metrics(server: &Server) -> String {
    let response = ask(server.api_address(), "GET /metrics", "");
    let kind = response.field("Content-Type");
    assert_eq!(kind, Some("text/plain; version=0.0.4; charset=utf-8"));
    String::from_utf8(response.body).unwrap()
}

/// Every sample: name with labels, and value.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    lines.map(sample).collect()
}

fn bare(sample: &str) -> &str {
    sample.split('{').next().unwrap()
}

#[test]
fn promtool_has_nothing_to_say_and_the_readme_lists_every_metric() {
    let server = Server::origin(CONFIG);
    let _feed = Feed::start(vec![publishing(server.address(), "a")]);
    let mut player = play(server.address(), "live", "a");
    player.media();
    let text = metrics(&server);
    let readme = fs::read_to_string("README.md").unwrap();
    let listed: Vec<_> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `srs_lite_")?.split_once('`'))
        .map(|(name, _)| format!("srs_lite_{}", name.split('{').next().unwrap()))
        .collect();
    let mut there: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    for (name, kind) in &there {
        let is_total = name.ends_with("_total");
        assert_eq!(*kind == "counter", is_total, "{name}: {kind}");
    }
    let names = samples(&text);
    assert!(
        there
            .iter()
            .all(|(name, _)| names.keys().any(|key| bare(key) == *name))
    );
    there.sort_unstable();
    let mut listed: Vec<_> = listed.iter().map(String::as_str).collect();
    listed.sort_unstable();
    let there: Vec<_> = there.into_iter().map(|(name, _)| name).collect();
    assert_eq!(listed, there, "in the README, and there");

    if !installed("promtool", "prometheus") {
        return;
    }
    let mut check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = check.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(
        output.stdout.is_empty() && output.stderr.is_empty(),
        "{output:?}"
    );
}

#[test]
fn counters_grow_also_when_what_they_count_goes() {
    let server = Server::origin(CONFIG);
    let mut before = samples(&metrics(&server));
    for round in 0..5 {
        let mut publisher = publishing(server.address(), "a");
        let mut player = play(server.address(), "live", "a");
        publisher.send_group(1, 20);
        player.media();
        let mut look = || {
            let after = samples(&metrics(&server));
            for (name, value) in &before {
                let counts = bare(name).ends_with("_total") && !name.contains("_stream_");
                assert!(!counts || after[name] >= *value, "{round}, {name}");
            }
            before = after;
        };
        look();
        drop((publisher, player));
        look();
        eventually("it is free again", || {
            list(server.api_address(), "clients").is_empty()
        });
        look();
    }
    assert_eq!(before["srs_lite_publishes_total"], 5.0);
    assert_eq!(before["srs_lite_plays_total"], 5.0);
    assert_eq!(before["srs_lite_frames_total{media=\"video\"}"], 5.0 * 11.0);
}

/// `SRS_LITE_SCRAPE_SECONDS=30` for as long as that.
#[test]
fn prometheus_scrapes_two_siblings_and_its_sums_are_right() {
    if installed("prometheus", "prometheus") {
        let test = "metrics::prometheus_scrapes_two_siblings_and_its_sums_are_right";
        in_netns(test, scrape);
    }
}

fn scrape() {
    let seconds = std::env::var("SRS_LITE_SCRAPE_SECONDS");
    let seconds = seconds.map_or(12, |seconds| seconds.parse().unwrap());
    let meeting = Meeting::new();
    let servers: [Server; 2] = meeting.servers(CONFIG);
    let [one, other] = &servers;
    let feed = Feed::start(vec![
        publishing(one.address(), "a"),
        publishing(other.address(), "b"),
    ]);
    let mut viewers = vec![
        Viewer::rtmp(one.address(), "a"),
        Viewer::rtmp(other.address(), "a"),
    ];
    viewers.extend(Viewer::both(other, "b"));
    let prometheus = Prometheus::start(&servers.each_ref().map(Server::api_address));
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        let last = feed.now();
        for viewer in &mut viewers {
            viewer.until(last);
        }
    }
    assert_eq!(prometheus.sum("sum(up)"), 2.0);
    assert_eq!(prometheus.sum("sum(srs_lite_players)"), 4.0);
    assert_eq!(prometheus.sum("sum(srs_lite_publishers)"), 2.0);
    // Fifty frames a second of each: two streams, and what one fetches of the other.
    let published = prometheus.sum("sum(rate(srs_lite_frames_total[10s]))");
    assert!(
        (published - 150.0).abs() < 7.5,
        "{published} frames a second"
    );
    // Now that nothing comes any more, what is counted stays.
    drop(feed);
    let totals = |name: &str| -> u64 {
        let streams = servers
            .iter()
            .flat_map(|one| list(one.api_address(), "streams"));
        streams.map(|stream| stream[name].as_u64().unwrap()).sum()
    };
    let cases = [
        ("srs_lite_stream_received_bytes_total", "recv_bytes"),
        ("srs_lite_stream_sent_bytes_total", "send_bytes"),
        ("srs_lite_stream_video_frames_total", "frames"),
        ("srs_lite_stream_audio_frames_total", "audio_frames"),
        ("srs_lite_stream_players", "players"),
    ];
    for (metric, member) in cases {
        eventually(metric, || {
            prometheus.sum(&format!("sum({metric})")) == totals(member) as f64
        });
    }
}

/// A Prometheus that scrapes every second.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    _directory: TempDir,
}

impl Prometheus {
    fn start(targets: &[SocketAddr]) -> Self {
        let directory = TempDir::new();
        let file = directory.path().join("prometheus.yml");
        let targets: Vec<_> = targets.iter().map(|at| format!("\"{at}\"")).collect();
        let text = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: srs-lite\n  \
             static_configs:\n  - targets: [{}]\n",
            targets.join(", ")
        );
        fs::write(&file, text).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 9090));
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let prometheus = Self {
            child,
            address,
            _directory: directory,
        };
        eventually("Prometheus scrapes", || {
            std::net::TcpStream::connect(address).is_ok() && prometheus.sum("sum(up)") > 0.0
        });
        prometheus
    }

    /// The value of a query that has one; 0 if it has none.
    fn sum(&self, query: &str) -> f64 {
        let query: String = query
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect();
        let response = ask(
            self.address,
            &format!("GET /api/v1/query?query={query}"),
            "",
        );
        let reply: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let value = reply["data"]["result"][0]["value"][1].as_str();
        value.map_or(0.0, |value| value.parse().unwrap())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
