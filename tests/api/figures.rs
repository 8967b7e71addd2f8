//! What the API says of a stream of known size and rate, and of those who play it.

use std::fs;
use std::path::Path;
use std::process::Command;

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
    // Two passes: where the sample begins again, nothing is lost.
    eventually("some time", || {
        stream(&server)["uptime"].as_f64().unwrap() > 15.0
    });
    assert_stream(&server, kbps as f64);
    assert_clients(&server, kbps as f64);
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

fn assert_clients(server: &Server, kbps: f64) {
    let seen = stream(server);
    let clients = list(server.api_address(), "clients");
    let mut kinds: Vec<_> = clients
        .iter()
        .map(|one| one["type"].as_str().unwrap())
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["flv-play", "fmle-publish", "hls-play", "rtmp-play"]);
    let of = |kind: &str| clients.iter().find(|one| one["type"] == kind).unwrap();
    let publisher = of("fmle-publish");
    assert_eq!(seen["publish"]["cid"], publisher["id"]);
    assert_eq!(
        publisher["tcUrl"],
        format!("rtmp://{}/live", server.address()).as_str()
    );
    for kind in ["rtmp-play", "flv-play"] {
        // Its group of pictures came at once: a second of it, of more than ten.
        let alive = number(&of(kind)["alive"]);
        let sent = number(&of(kind)["send_bytes"]) * 8.0 / 1000.0 / alive;
        assert!(sent > 0.9 * kbps, "{kind}: {sent} in {alive} s");
    }
}

/// Every member that SRS has is there, with its type, or known not to be.
fn assert_fields(server: &Server) {
    let fields = fs::read_to_string("tests/api/fields.txt").unwrap();
    let mut count = 0;
    for line in fields.lines().filter(|line| line.starts_with('/')) {
        let words: Vec<_> = line.split(' ').collect();
        let [path, member, kind] = words[..] else {
            panic!("{line}");
        };
        let path = match path.strip_suffix("/ID") {
            None => path.to_owned(),
            Some(list_path) => {
                let name = list_path.rsplit_once('/').unwrap().1;
                let first = &list(server.api_address(), name)[0];
                format!("{list_path}/{}", first["id"].as_str().unwrap())
            }
        };
        let reply = json(server.api_address(), &path);
        let found =
            member
                .split('.')
                .try_fold(&reply, |value, name| match name.strip_suffix("[]") {
                    Some(name) => value.get(name)?.get(0),
                    None => value.get(name),
                });
        let fits = match (kind, found) {
            ("none", found) => found.is_none(),
            (_, None) => false,
            ("integer", Some(value)) => value.is_u64() || value.is_i64(),
            ("number", Some(value)) => value.is_number(),
            ("string", Some(value)) => value.is_string(),
            ("bool", Some(value)) => value.is_boolean(),
            _ => panic!("{line}"),
        };
        assert!(fits, "{line}: {found:?}");
        count += 1;
    }
    assert!(count > 150, "{count} members");
}
