#![cfg(test)]
//! The scenario that srs-lite is for: the shipped files, the real binary, and ffmpeg.

mod support;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::media;
use support::netns::in_netns;
use support::server::Server;
use support::temp::TempDir;

const PLAYERS: usize = 20;

/// The sample has a keyframe in each second of 25 frames.
const GROUP: usize = 25;

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
            let source = packets(ffmpeg(&["-stream_loop", "1", "-i"], &media::flv(), "-"));
            for (port, name) in [(19_350, "origin"), (1935, "shared")] {
                published_and_played(port, name, &source, &servers);
            }
            servers.into_iter().for_each(Server::stop);
        },
    );
}

fn published_and_played(
    port: u16,
    name: &str,
    source: &HashMap<String, Vec<String>>,
    servers: &[Server; 3],
) {
    let directory = TempDir::new();
    let mut publisher = Publisher(
        Command::new("ffmpeg")
            .args(["-v", "error", "-re", "-stream_loop", "1", "-i"])
            .arg(media::flv())
            .args(["-c", "copy", "-f", "flv"])
            .arg(format!("rtmp://127.0.0.1:{port}/live/{name}"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap(),
    );
    servers[0].wait_log(&format!("publishes live/{name}"));
    let players: Vec<_> = (0..PLAYERS)
        .map(|index| {
            let file = directory.path().join(index.to_string());
            let url = format!("rtmp://127.0.0.1:1935/live/{name}");
            let child = ffmpeg(&["-i"], Path::new(&url), file.to_str().unwrap());
            (child, file)
        })
        .collect();
    for (mut player, file) in players {
        assert!(player.wait().unwrap().success());
        let played = text_packets(&fs::read_to_string(file).unwrap());
        for kind in ["video", "audio"] {
            let first = position(&source[kind], &played[kind]);
            let first = first.unwrap_or_else(|| panic!("{name}: {kind} was changed"));
            assert!(
                kind == "audio" || first.is_multiple_of(GROUP),
                "video starts at {first}"
            );
        }
    }
    for edge in &servers[1..] {
        assert!(edge.count_log(name) > 0, "one edge served all of {name}");
    }
    publisher.0.kill().unwrap();
}

/// Ends with its test.
struct Publisher(Child);

impl Drop for Publisher {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// An ffmpeg that writes the checksums of what it reads, three seconds of it if it is live.
fn ffmpeg(before: &[&str], input: &Path, output: &str) -> Child {
    let live: &[&str] = if output == "-" { &[] } else { &["-t", "3"] };
    Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(before)
        .arg(input)
        .args(live)
        .args(["-c", "copy", "-f", "framemd5", output])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("needs ffmpeg")
}

/// What an ffmpeg wrote to its standard output.
fn packets(child: Child) -> HashMap<String, Vec<String>> {
    let output = child.wait_with_output().unwrap();
    text_packets(&String::from_utf8(output.stdout).unwrap())
}

/// Sizes and checksums of the packets, by kind of stream.
fn text_packets(text: &str) -> HashMap<String, Vec<String>> {
    let mut kinds = HashMap::new();
    let mut packets: HashMap<String, Vec<String>> = HashMap::new();
    for line in text.lines() {
        if let Some(stream) = line.strip_prefix("#media_type ") {
            let (index, kind) = stream.split_once(": ").unwrap();
            kinds.insert(index.to_owned(), kind.to_owned());
        } else if !line.starts_with('#') {
            let columns: Vec<_> = line.split(',').map(str::trim).collect();
            let kind = kinds[columns[0]].clone();
            let packet = format!("{} {}", columns[4], columns[5]);
            packets.entry(kind).or_default().push(packet);
        }
    }
    packets
}

/// Where `part` begins in `whole`, without a gap. At the seam of the loop ffmpeg may drop audio.
fn position(whole: &[String], part: &[String]) -> Option<usize> {
    assert!(part.len() > GROUP, "{} packets", part.len());
    whole.windows(part.len()).position(|window| window == part)
}
