//! What the API says of a stream of known size and rate, and of those who play it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use crate::support::clients::Client;
use crate::support::eventually;
use crate::support::server::Server;
use crate::support::temp::TempDir;
use crate::{CONFIG, assert_near, json, list};

/// Seconds of the sample, and frames a second.
const LENGTH: u64 = 10;
const RATE: u64 = 25;

/// Media of a rate that hardly changes: what is sent in some seconds is known well.
fn sample(directory: &Path) -> String {
    let path = directory.join("sample.flv");
    let text = format!(
        "-v error -f lavfi -i testsrc2=size=640x360:rate={RATE} -f lavfi -i sine=r=48000 -t {LENGTH} \
         -c:v libx264 -preset superfast -profile:v main -pix_fmt yuv420p -g 5 -b:v 1500k \
         -maxrate 1500k -bufsize 300k -x264-params nal-hrd=cbr -c:a aac -ac 2 -b:a 96k"
    );
    let made = Command::new("ffmpeg")
        .args(text.split_whitespace())
        .arg(&path)
        .status();
    assert!(made.unwrap().success());
    path.to_str().unwrap().to_owned()
}

fn stream(server: &Server) -> Value {
    list(server.api_address(), "streams")
        .pop()
        .unwrap_or_default()
}

/// One RTMP, one HTTP-FLV and one HLS player.
#[test]
fn figures_are_right_within_five_per_cent() {
    let directory = TempDir::new();
    let sample = sample(directory.path());
    let kbps = fs::metadata(&sample).unwrap().len() * 8 / 1000 / LENGTH;
    let server = Server::origin(CONFIG);
    let url = format!("rtmp://{}/live/a?key=secret", server.address());
    let publish = format!("ffmpeg -v error -re -stream_loop -1 -i {sample} -c copy -f flv URL");
    let _publisher = Client::run(&publish, &url);
    eventually("HLS", || stream(&server)["hls"]["written"] == true);
    let http = server.http_address();
    eventually("a segment", || {
        crate::support::http::get(http, "/live/a.m3u8").status == 200
    });
    let players = [
        format!("rtmp://{}/live/a", server.address()),
        format!("http://{http}/live/a.flv"),
        format!("http://{http}/live/a.m3u8"),
    ];
    let _players = players.map(|url| Client::run("ffmpeg -v error -i URL -f null -", &url));
    eventually("three players", || stream(&server)["players"] == 3);
    // A group of pictures comes at once, and a segment.
    eventually("some time", || number(&stream(&server)["uptime"]) > 6.0);
    assert_sent(&server, kbps as f64);
    assert_stream(&server, kbps as f64);
    assert_clients(&server);
    assert_fields(&server);
    let all = ["streams", "clients", "vhosts", "summaries", "overview"]
        .map(|name| json(server.api_address(), &format!("/api/v1/{name}")).to_string());
    assert!(!all.concat().contains("secret"), "no query string is told");
    assert!(server.log().iter().all(|line| !line.contains("secret")));
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn assert_stream(server: &Server, kbps: f64) {
    let seen = stream(server);
    assert_near("fps", number(&seen["fps"]), RATE as f64);
    assert_near("kbps", number(&seen["kbps"]["recv_30s"]), kbps);
    let up = number(&seen["uptime"]);
    assert_near("frames", number(&seen["frames"]), RATE as f64 * up);
    let video = &seen["video"];
    let shown = ["codec", "profile", "level"].map(|name| video[name].as_str().unwrap());
    assert_eq!((shown[0], shown[1]), ("H264", "Main"));
    assert_eq!(
        (&video["width"], &video["height"]),
        (&640.into(), &360.into())
    );
    let audio = &seen["audio"];
    assert_eq!(
        (&audio["codec"], &audio["profile"]),
        (&"AAC".into(), &"LC".into())
    );
    assert_eq!(
        (&audio["sample_rate"], &audio["channel"]),
        (&48000.into(), &2.into())
    );
    assert_eq!((&seen["clients"], &seen["players"]), (&4.into(), &3.into()));
    assert_eq!((&seen["app"], &seen["name"]), (&"live".into(), &"a".into()));
}

/// Kilobits that have been sent to the players, by their kind, and for the stream.
fn sent(server: &Server) -> HashMap<String, f64> {
    let of = |kind: &Value, one: &Value| {
        let bytes = number(&one["send_bytes"]);
        (kind.as_str().unwrap().to_owned(), bytes * 8.0 / 1000.0)
    };
    let clients = list(server.api_address(), "clients");
    let clients = clients.iter().map(|one| of(&one["type"], one));
    let stream = of(&"stream".into(), &stream(server));
    clients.chain([stream]).collect()
}

/// Each player gets what is published.
fn assert_sent(server: &Server, kbps: f64) {
    let (begun, before) = (Instant::now(), sent(server));
    let up = number(&stream(server)["uptime"]) + 12.0;
    eventually("12 s", || number(&stream(server)["uptime"]) > up);
    let (seconds, after) = (begun.elapsed().as_secs_f64(), sent(server));
    let rate = |kind: &str| (after[kind] - before[kind]) / seconds;
    let rates = ["rtmp-play", "flv-play"].map(rate);
    assert_near("RTMP", rates[0], kbps);
    assert_near("HTTP-FLV", rates[1], kbps);
    // Six segments, or one more or less, in MPEG-TS, over more connections than that of the playlist.
    let hls = rate("stream") - rates[0] - rates[1];
    assert!((0.8..1.4).contains(&(hls / kbps)), "HLS: {hls} of {kbps}");
}

fn assert_clients(server: &Server) {
    let seen = stream(server);
    let clients = list(server.api_address(), "clients");
    let mut kinds: Vec<_> = clients
        .iter()
        .map(|one| one["type"].as_str().unwrap())
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["flv-play", "fmle-publish", "hls-play", "rtmp-play"]);
    let publisher = clients.iter().find(|one| one["publish"] == true).unwrap();
    assert_eq!(seen["publish"]["cid"], publisher["id"]);
    assert_eq!(
        publisher["tcUrl"],
        format!("rtmp://{}/live", server.address()).as_str()
    );
}

/// Replies of SRS 7.0.18 about one stream with such players, by path.
const RECORDED: &str = "tests/api/recorded.json";

/// What SRS says of the machine, and we do not; the README says so.
const NOT_SAID: [&str; 4] = ["cpu_percent", "disk_", "net_", "conn_sys"];

/// Every member that SRS has is there, with its type, or known not to be.
fn assert_fields(server: &Server) {
    let recorded: Value = serde_json::from_str(&fs::read_to_string(RECORDED).unwrap()).unwrap();
    let mut count = 0;
    for (path, theirs) in recorded.as_object().unwrap() {
        // SRS sends who asks for a list without the slash to the path with it.
        let mut ours = path.replace("ID", "");
        if let Some((_, name)) = path
            .strip_suffix("/ID")
            .and_then(|list| list.rsplit_once('/'))
        {
            ours += list(server.api_address(), name)[0]["id"].as_str().unwrap();
        } else {
            ours += "/";
        }
        count += assert_like(path, theirs, &json(server.api_address(), &ours));
    }
    assert!(count > 150, "{count} members");
}

/// How many members of `theirs` there are, all of which `ours` has. Of a list, by the first.
fn assert_like(place: &str, theirs: &Value, ours: &Value) -> usize {
    let said = |name: &str| {
        let is_of_machine = place.ends_with(".system");
        !is_of_machine || !NOT_SAID.iter().any(|start| name.starts_with(start))
    };
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => theirs
            .iter()
            .filter(|(name, _)| said(name))
            .map(|(name, value)| {
                let place = format!("{place}.{name}");
                assert_like(&place, value, ours.get(name).expect(&place))
            })
            .sum(),
        (Value::Array(theirs), Value::Array(ours)) => assert_like(place, &theirs[0], &ours[0]),
        (Value::Number(theirs), Value::Number(ours)) => {
            assert!(theirs.is_f64() || !ours.is_f64(), "{place}: {ours}");
            1
        }
        (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) => 1,
        _ => panic!("{place}: {ours}"),
    }
}
