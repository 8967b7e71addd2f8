#![cfg(test)]
//! `srs-lite-load` against the real server: what it publishes is played and decoded, what it counts
//! is so, and what cannot be is said in one line.

mod support;

use std::fs;
use std::process::{Command, Stdio};
use std::thread;

use support::eventually;
use support::http::CONFIG;
use support::load::{self, Load, Report};
use support::media::{self, Kind};
use support::peer::{assert_forward, play, publish, publishing};
use support::port;
use support::server::Server;
use support::temp::TempDir;

/// What every report has, in its order.
const NAMES: [&str; 9] = [
    "seconds",
    "wanted",
    "live",
    "ended",
    "served",
    "bytes",
    "mbit_per_second",
    "frames",
    "frames_missing",
];

/// What a report of players has besides.
const PLAYERS_NAMES: [&str; 8] = [
    "first_keyframe_ms_p50",
    "first_keyframe_ms_p90",
    "first_keyframe_ms_p99",
    "first_keyframe_ms_max",
    "latency_ms_p50",
    "latency_ms_p90",
    "latency_ms_p99",
    "latency_ms_max",
];

/// And one with `--pid`.
const SERVERS_NAMES: [&str; 5] = [
    "server_cpu_seconds",
    "server_cpu_seconds_per_gb",
    "server_rss_kib",
    "server_threads",
    "machine_tcp_kib",
];

/// An origin of RTMP, HTTP-FLV and HLS with short segments.
fn origin() -> Server {
    let hls = "[hls]\nenabled = true\nhls_path = \"html\"\nhls_fragment = 1\n";
    Server::origin(&format!("{CONFIG}{hls}"))
}

/// Its URLs of `live/name`.
fn urls(server: &Server, name: &str) -> [String; 3] {
    let (rtmp, http) = (server.address(), server.http_address());
    [
        format!("rtmp://{rtmp}/live/{name}"),
        format!("http://{http}/live/{name}.flv"),
        format!("http://{http}/live/{name}.m3u8"),
    ]
}

fn sample() -> String {
    media::flv().to_str().unwrap().to_owned()
}

/// Shorter than a test, so that it goes round.
fn short() -> String {
    let arguments = "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi \
        -i sine=frequency=440:sample_rate=44100 -t 1 -c:v libx264 -preset veryfast -bf 2 -g 25 \
        -sc_threshold 0 -pix_fmt yuv420p -c:a aac -b:a 64k";
    let path = media::made("second.flv", arguments);
    path.to_str().unwrap().to_owned()
}

fn assert_all_live(report: &Report, wanted: f64) {
    for (name, value) in [
        ("wanted", wanted),
        ("live", wanted),
        ("ended", 0.0),
        ("served", 0.0),
        ("frames_missing", 0.0),
    ] {
        assert!(report.number(name) == value, "{name}: {report:?}");
    }
    assert!(report.failed.is_empty(), "{report:?}");
    for name in ["seconds", "bytes", "mbit_per_second", "frames"] {
        assert!(report.number(name) > 0.0, "{name}: {report:?}");
    }
}

/// The file goes round while it is played, which costs no frame.
#[test]
fn what_is_published_is_played_over_every_protocol() {
    let server = origin();
    let _publisher = Load::publish(&server, &short(), "s", 3);
    let pid = server.id().to_string();
    let more = ["-n", "6", "--streams", "3", "--seconds", "3", "--pid", &pid];
    let reports = thread::scope(|scope| {
        let players = urls(&server, "s{}").map(|url| scope.spawn(move || load::play(&url, &more)));
        players.map(|player| player.join().unwrap())
    });
    for report in reports {
        assert_all_live(&report, 6.0);
        let names = [&NAMES[..], &PLAYERS_NAMES, &SERVERS_NAMES].concat();
        assert_eq!(report.names(), names);
        assert!(report.number("server_rss_kib") > 0.0);
        assert!(report.number("server_threads") > 4.0);
    }
}

#[test]
fn several_threads_play_what_one_would() {
    let server = origin();
    let _publisher = Load::publish(&server, &short(), "t", 1);
    let [rtmp, ..] = urls(&server, "t1");
    let more = ["-n", "7", "--threads", "3", "--ramp", "0", "--seconds", "1"];
    assert_all_live(&load::play(&rtmp, &more), 7.0);
    assert_eq!(server.count_log("plays live/t1"), 7);
}

#[test]
fn publishers_report_too() {
    let server = origin();
    let url = format!("rtmp://{}/live/r{{}}", server.address());
    let arguments = ["publish", &sample(), &url, "-n", "3", "--seconds", "1"];
    let ended = load::run(&[&arguments[..], &["--json"]].concat());
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
    let report = Report::parse(&ended.stdout);
    assert_all_live(&report, 3.0);
    assert_eq!(report.names(), NAMES);

    // The same without `--json`, in lines, and what goes on in others.
    let ended = load::run(&arguments);
    assert_eq!(ended.status, Some(0));
    let names = ended.stdout.lines().map(|line| {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap();
        words.next().unwrap().parse::<f64>().unwrap();
        assert_eq!(words.next(), None, "{line}");
        name
    });
    assert_eq!(names.collect::<Vec<_>>(), NAMES);
    assert!(ended.stderr.contains(" s: 3 live, 0 ended, "), "{ended:?}");
}

/// Nothing that ffmpeg would say a word about, in H.264 with B-frames nor in AAC, and not where the
/// file begins again either.
#[test]
fn stamps_do_not_disturb_a_decoder() {
    let server = origin();
    let _publisher = Load::publish(&server, &short(), "d", 1);
    let mut decoders = Vec::new();
    for url in urls(&server, "d1") {
        if url.ends_with(".m3u8") {
            // It does not wait for a playlist.
            let playlist = server.directory().join("html/live/d1.m3u8");
            eventually("a playlist", || playlist.exists());
        }
        // The input's own time base: one that is guessed from few frames may be too coarse for two.
        let output = "-t 4 -fps_mode passthrough -enc_time_base -1 -f framecrc -";
        let child = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "warning", "-i", &url])
            .args(output.split(' '))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        decoders.push((url, child.unwrap()));
    }
    for (url, decoder) in decoders {
        let output = decoder.wait_with_output().unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{url}: {complaints}");
        assert_eq!(complaints, "", "{url}");
        let frames = String::from_utf8(output.stdout).unwrap();
        for stream in ["0,", "1,"] {
            let count = frames.lines().filter(|line| line.starts_with(stream));
            assert!(count.count() > 50, "{url}: {frames}");
        }
    }
}

#[test]
fn time_goes_on_when_the_file_begins_again() {
    let server = origin();
    let _publisher = Load::publish(&server, &short(), "l", 1);
    let mut player = play(server.address(), "live", "l1");
    let (mut keyframes, mut before) = (0, player.media());
    while keyframes < 4 {
        let message = player.media();
        assert_forward(&before, &message);
        keyframes += u32::from(Kind::of(&message) == Some(Kind::Key));
        before = message;
    }
    // A keyframe, and so a turn, takes a second and what the audio is longer than the video.
    assert!(before.timestamp >= 3000, "{}", before.timestamp);
    assert!(before.timestamp < 6000, "{}", before.timestamp);
}

#[test]
fn churn_serves_more_players_than_there_are_at_a_time() {
    let server = origin();
    let _publisher = Load::publish(&server, &short(), "c", 1);
    for url in &urls(&server, "c1")[..2] {
        let more = ["-n", "3", "--churn", "--ramp", "0", "--seconds", "2"];
        let report = load::play(url, &more);
        assert!(report.number("served") > 3.0, "{report:?}");
        assert!(report.number("ended") == 0.0, "{report:?}");
    }
}

/// Recorded with their stamps, and published again without some.
#[test]
fn frames_that_are_missing_are_counted() {
    let server = Server::origin(&format!("[publish]\nnormal_timeout = 60000\n{CONFIG}"));
    let _publisher = Load::publish(&server, &sample(), "g", 1);
    let mut source = play(server.address(), "live", "g1");
    let mut group = vec![source.media()];
    // To the second keyframe, which is not taken: the server would begin with it.
    let mut keyframes = 0;
    while keyframes < 2 {
        let message = source.media();
        keyframes += u32::from(Kind::of(&message) == Some(Kind::Key));
        group.push(message);
    }
    group.pop();

    let mut publisher = publish(server.address(), "live", "gaps").unwrap();
    let mut seen = [0, 0];
    let mut sent = 0;
    for message in &group {
        let left_out = match Kind::of(message) {
            None => &[][..],
            Some(Kind::Audio) => &[4, 9],
            Some(Kind::Key | Kind::Inter) => &[3, 4, 12],
        };
        let index = &mut seen[usize::from(message.type_id == 9)];
        *index += 1;
        if !left_out.contains(index) {
            publisher.send(message.type_id, message.timestamp, &message.payload);
            sent += 1;
        }
    }
    assert_eq!(sent + 5, group.len());
    let mut witness = play(server.address(), "live", "gaps");
    for _ in 0..sent {
        witness.media();
    }
    for url in &urls(&server, "gaps")[..2] {
        let report = load::play(url, &["-n", "2", "--seconds", "1"]);
        assert!(report.number("frames_missing") == 10.0, "{report:?}");
        assert!(report.number("live") == 2.0, "{report:?}");
    }
}

/// Runs it in vain: one line that contains `why`.
fn assert_refused(arguments: &[&str], status: i32, why: &str) {
    let ended = load::run(arguments);
    assert_eq!(ended.status, Some(status), "{arguments:?}: {ended:?}");
    let line = ended.stderr.strip_suffix('\n').unwrap_or_default();
    assert!(!line.contains('\n'), "{arguments:?}: {line}");
    assert!(line.starts_with("srs-lite-load: "), "{arguments:?}: {line}");
    assert!(line.contains(why), "{arguments:?}: {line}");
}

#[test]
fn wrong_usage_is_told_in_one_line() {
    let file = &*sample();
    let url = "rtmp://127.0.0.1/live/x";
    let cases: &[(&[&str], &str)] = &[
        (&[], "publish, play or floor?"),
        (&["record", url], "publish, play or floor?"),
        (&["play"], "publish, play or floor?"),
        (&["play", url, url], "publish, play or floor?"),
        (&["play", url, "--fast"], "'--fast'"),
        (&["play", url, "-n"], "'-n'"),
        (&["play", url, "-n", "many"], "\"many\""),
        (&["play", url, "-n", "0"], "begin with 1"),
        (&["play", url, "--threads", "0"], "begin with 1"),
        (&["play", url, "--streams", "2"], "`{}` must be in it"),
        (&["play", "live/x"], "no scheme"),
        (&["play", "rtmp://127.0.0.1/live"], "no stream"),
        (&["play", "https://127.0.0.1/x.flv"], "an unknown scheme"),
        (
            &["publish", file, "http://127.0.0.1/live/x.flv"],
            "only rtmp://",
        ),
        (&["publish", file, url, "-n", "2"], "`{}` must be in it"),
        (&["floor", file, "localhost"], "IP:PORT"),
    ];
    for (arguments, why) in cases {
        assert_refused(arguments, 2, why);
    }
}

#[test]
fn a_file_that_cannot_be_published_is_told_in_one_line() {
    let directory = TempDir::new();
    let written = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let header = b"FLV\x01\x05\0\0\0\x09\0\0\0\0";
    let hevc = b"\x09\0\0\x0c\0\0\0\0\0\0\0\x91hvc1\0\0\0\0\0\0\x01\0\0\0\x17";
    let cases = [
        (
            directory.path().join("none").to_str().unwrap().to_owned(),
            "No such file",
        ),
        (
            written("text", b"This is some text, not FLV."),
            "it is not FLV",
        ),
        (written("empty.flv", header), "no frame in it"),
        (
            written("hevc.flv", &[&header[..], hevc].concat()),
            "neither H.264 nor AAC",
        ),
    ];
    let dead = port::dead();
    let address = dead.address().to_string();
    for (file, why) in &cases {
        assert_refused(
            &["publish", file, &format!("rtmp://{address}/live/x")],
            1,
            why,
        );
        assert_refused(&["floor", file, &address], 1, why);
    }
}

#[test]
fn a_server_that_does_not_serve_is_told_in_one_line() {
    let server = Server::origin(&format!("[play]\nplay_wait = 0\n{CONFIG}"));
    let _taken = publishing(server.address(), "taken");
    let dead = port::dead();
    let file = &*sample();
    let [none, none_flv, _] = &urls(&server, "none");
    let [taken, ..] = &urls(&server, "taken");
    let nobody = &*format!("rtmp://{}/live/x{{}}", dead.address());
    let nobody_flv = &*format!("http://{}/live/x.flv", dead.address());
    let listening = &*server.address().to_string();
    let gone = &*u32::MAX.to_string();
    let cases: &[(&[&str], &str)] = &[
        (
            &["publish", file, nobody, "-n", "2"],
            "2 × connect: Connection refused",
        ),
        (&["play", nobody, "-n", "2"], "2 × Connection refused"),
        (&["play", nobody_flv], "1 × Connection refused"),
        (&["play", nobody, "--churn"], "1 × Connection refused"),
        (&["play", none], "NetStream.Play.StreamNotFound"),
        (&["play", none_flv], "HTTP: status 404"),
        (&["publish", file, taken], "NetStream.Publish.BadName"),
        (&["floor", file, listening], "Address already in use"),
        (&["play", none, "--pid", gone], "--pid: "),
    ];
    for (arguments, why) in cases {
        assert_refused(arguments, 1, why);
    }
}
