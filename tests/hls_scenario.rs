#![cfg(test)]
//! The scenario of two HLS origins on the same ports: the shipped files, the real binary, ffmpeg.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test fails the test"
)]

mod support;

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use support::clients::Client;
use support::eventually;
use support::hls::shipped_origins;
use support::http::{Response, get};
use support::netns::in_netns;
use support::server::Server;
use support::temp::TempDir;

/// How often each file is fetched.
const FETCHES: usize = 50;

#[test]
fn every_stream_plays_from_the_shared_port_whoever_has_it() {
    in_netns(
        "every_stream_plays_from_the_shared_port_whoever_has_it",
        || {
            let directory = TempDir::new();
            let servers = shipped_origins(directory.path());
            let (names, publishers) = publish(&servers);
            let http = SocketAddr::from(([127, 0, 0, 1], 8080));
            eventually("every stream has two segments", || {
                names.iter().all(|name| {
                    let playlist = directory.path().join(format!("html/live/{name}.m3u8"));
                    fs::read_to_string(playlist)
                        .is_ok_and(|text| text.matches("#EXTINF").count() > 1)
                })
            });
            // Playlists grow while they are fetched; those of streams that ended do not.
            drop(publishers);
            for server in &servers {
                let published = server.count_log(": publishes live/");
                server.wait_log_times(": publisher ended", published);
            }
            for name in &names {
                let fetched = fetch_all(http, &format!("/live/{name}.m3u8"));
                let text = String::from_utf8(fetched.body).unwrap();
                let uris: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
                assert!(uris.len() > 1, "{text}");
                for uri in uris {
                    let segment = fetch_all(http, &format!("/live/{uri}"));
                    assert!(segment.body.len() > 188 && segment.body[0] == 0x47);
                }
                let url = format!("http://127.0.0.1:8080/live/{name}.m3u8");
                let probe = "ffprobe -v error -show_entries stream=codec_name -of csv=p=0";
                let mut words = probe.split(' ');
                let probe = Command::new(words.next().unwrap())
                    .args(words)
                    .arg(&url)
                    .output();
                let probe = String::from_utf8(probe.unwrap().stdout).unwrap();
                let codecs: Vec<&str> = probe.split_whitespace().take(2).collect();
                assert_eq!(codecs, ["h264", "aac"], "{url}");
            }
            servers.into_iter().for_each(Server::stop);
        },
    );
}

/// Publishes streams, until both servers have at least two.
fn publish(servers: &[Server; 2]) -> (Vec<String>, Vec<Client>) {
    let mut names = Vec::new();
    let mut publishers = Vec::new();
    let count = |server: &Server| server.count_log(": publishes live/");
    while servers.iter().any(|server| count(server) < 2) {
        let name = format!("livestream{}", names.len() + 1);
        assert!(names.len() < 40, "one server got nearly all streams");
        let publish = "ffmpeg -v error -readrate 8 -i SAMPLE -c copy -f flv URL";
        let url = format!("rtmp://127.0.0.1:1935/live/{name}");
        publishers.push(Client::run(publish, &url));
        names.push(name);
        eventually("it is published", || {
            servers.iter().map(count).sum::<usize>() == names.len()
        });
    }
    (names, publishers)
}

/// Fetches a file many times over new connections, which both servers answer.
fn fetch_all(http: SocketAddr, path: &str) -> Response {
    let first = get(http, path);
    assert_eq!(first.status, 200, "{path}");
    for _ in 1..FETCHES {
        let again = get(http, path);
        assert_eq!(again.status, 200, "{path}");
        assert!(again.body == first.body, "{path} differs");
        assert_eq!(again.field("ETag"), first.field("ETag"), "{path}");
    }
    first
}
