#![cfg(test)]
//! The scenario that srs-lite is for: the shipped files, the real binary, and ffmpeg.

mod support;

use std::path::Path;

use support::clients::Client;
use support::media;
use support::netns::in_netns;
use support::packets::{Of, Packets};
use support::server::Server;

const PLAYERS: usize = 20;

/// Published once to the origin and once to the shared port; played from the shared port.
#[test]
fn what_ffmpeg_plays_from_the_edges_is_what_it_published() {
    in_netns(
        "what_ffmpeg_plays_from_the_edges_is_what_it_published",
        || {
            let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
            let start = |file| Server::with_file(&conf.join(file));
            let servers = ["origin.conf", "edge.conf", "edge2.conf"].map(start);
            for server in &servers {
                server.wait_log("listening on rtmp ");
            }
            let source = Packets::read(&media::long_flv(), Of::Packets);
            for (port, name) in [(19_350, "to-origin"), (1935, "to-shared")] {
                published_and_played(port, name, &source, &servers);
            }
            servers.into_iter().for_each(Server::stop);
        },
    );
}

fn published_and_played(port: u16, name: &str, source: &Packets, servers: &[Server; 3]) {
    let publish = "ffmpeg -v error -re -i SAMPLE -c copy -f flv URL";
    let _publisher = Client::run(publish, &format!("rtmp://127.0.0.1:{port}/live/{name}"));
    servers[0].wait_log(&format!("publishes live/{name}"));
    let play = "ffmpeg -v error -t 3 -i URL -c copy -f framemd5 -";
    let url = format!("rtmp://127.0.0.1:1935/live/{name}");
    let players: Vec<_> = (0..PLAYERS).map(|_| Client::run(play, &url)).collect();
    for player in players {
        Packets::parse(&player.output()).assert_part_of(source, name);
    }
    let played: Vec<_> = servers[1..]
        .iter()
        .map(|edge| {
            let log = edge.log();
            let plays = |line: &&String| line.contains(&format!(": plays live/{name}"));
            let players = log.iter().filter(plays);
            players.filter(|line| !line.contains("sibling")).count()
        })
        .collect();
    assert!(!played.contains(&0), "one edge served all of {name}");
    assert_eq!(played.iter().sum::<usize>(), PLAYERS, "of {name}");
}
