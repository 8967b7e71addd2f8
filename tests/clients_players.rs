#![cfg(test)]
//! The players that people use, each from the origin and through an edge: what they record is a
//! part of what was published, bit for bit, and begins with a keyframe.

mod support;

use support::clients::{self, Client};
use support::packets::Of;
use support::server::Server;

/// An origin, an edge, and a stream that ffmpeg publishes to the origin.
struct Live {
    origin: Server,
    edge: Server,
    _publisher: Client,
}

impl Live {
    fn start() -> Self {
        let origin = Server::origin("");
        let edge = Server::edge(&[origin.address()], "");
        let publish = "ffmpeg -v error -re -i SAMPLE -c copy -f flv URL";
        let url = format!("rtmp://{}/live/name", origin.address());
        let publisher = Client::run(publish, &url);
        origin.wait_log("publishes live/name");
        Self {
            origin,
            edge,
            _publisher: publisher,
        }
    }

    /// The player at the origin and the one at the edge, side by side.
    fn played_by(&self, command: &str) -> [Client; 2] {
        [&self.origin, &self.edge].map(|server| {
            let url = format!("rtmp://{}/live/name", server.address());
            Client::run(command, &url)
        })
    }
}

fn plays(packages: &str, command: &str, of: Of) {
    if !clients::installed(command, packages) {
        return;
    }
    let live = Live::start();
    for player in live.played_by(command) {
        player.assert_recorded(of);
    }
    live.edge.stop();
    live.origin.stop();
}

#[test]
fn ffmpeg() {
    let command = "ffmpeg -v error -i URL -c copy -f flv -";
    plays("ffmpeg", command, Of::Packets);
}

/// It finds out what the stream is, reads a second of it, and ends.
#[test]
fn ffprobe() {
    let live = Live::start();
    let command = "ffprobe -v error -read_intervals %+1 -count_packets \
        -show_entries stream=codec_name,nb_read_packets -of csv=p=0 URL";
    for player in live.played_by(command) {
        let output = player.output();
        let packets = |codec: &str| {
            let line = output.lines().find_map(|line| line.strip_prefix(codec));
            line.map_or(0, |count| count.parse::<u32>().unwrap())
        };
        assert!(packets("h264,") >= 25, "{output}");
        assert!(packets("aac,") >= 25, "{output}");
    }
}

#[test]
fn rtmpdump() {
    let command = "rtmpdump -q -v -r URL -o FILE";
    plays("rtmpdump", command, Of::Packets);
}

const GSTREAMER: &str = "gstreamer1.0-tools gstreamer1.0-plugins-bad";

#[test]
fn gstreamer_rtmp2src() {
    let command = "gst-launch-1.0 -q rtmp2src location=URL ! fdsink";
    plays(GSTREAMER, command, Of::Packets);
}

#[test]
fn gstreamer_rtmpsrc() {
    let command = "gst-launch-1.0 -q rtmpsrc location=URL ! fdsink";
    plays(GSTREAMER, command, Of::Packets);
}

#[test]
fn vlc() {
    let command = "cvlc --no-lua URL --sout #std{access=file,mux=avformat{mux=flv},dst=-}";
    plays("vlc-bin vlc-plugin-base", command, Of::Pictures);
}

#[test]
fn mpv() {
    let command = "mpv --no-config --really-quiet --vo=null --ao=null \
        --stream-record=FILE URL";
    plays("mpv", command, Of::Packets);
}
