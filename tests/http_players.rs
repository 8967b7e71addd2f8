#![cfg(test)]
//! The players that people use, over HTTP-FLV from the origin and through an edge: what they record
//! is a part of what was published, bit for bit, and begins with a keyframe.

mod support;

use support::clients::{self, Client};
use support::http::CONFIG;
use support::packets::Of;
use support::server::Server;

fn plays(packages: &str, command: &str, of: Of) {
    if !clients::installed(command, packages) {
        return;
    }
    let origin = Server::origin(CONFIG);
    let edge = Server::edge(&[origin.address()], CONFIG);
    let publish = "ffmpeg -v error -re -i SAMPLE -c copy -f flv URL";
    let url = format!("rtmp://{}/live/name", origin.address());
    let _publisher = Client::run(publish, &url);
    origin.wait_log("publishes live/name");
    let players = [&origin, &edge].map(|server| {
        let url = format!("http://{}/live/name.flv", server.http_address());
        Client::run(command, &url)
    });
    for player in players {
        player.assert_recorded(of);
    }
    edge.stop();
    origin.stop();
}

#[test]
fn ffmpeg() {
    let command = "ffmpeg -v error -i URL -c copy -f flv -";
    plays("ffmpeg", command, Of::Packets);
}

#[test]
fn curl() {
    plays("curl", "curl -s URL", Of::Packets);
}

#[test]
fn gstreamer() {
    let packages = "gstreamer1.0-tools gstreamer1.0-plugins-good";
    let command = "gst-launch-1.0 -q souphttpsrc location=URL ! fdsink";
    plays(packages, command, Of::Packets);
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
