#![cfg(test)]
//! The players that people use, over HLS: the sound that they record is a part of what was
//! published, bit for bit, and so are the pictures, from a keyframe on.

mod support;

use support::clients::{self, Client};
use support::eventually;
use support::http;
use support::packets::Of;
use support::server::Server;

fn plays(packages: &str, command: &str) {
    if !clients::installed(command, packages) {
        return;
    }
    let hls = "[hls]\nenabled = true\nhls_path = \"html\"\nhls_fragment = 1\nhls_window = 30\n";
    let origin = Server::origin(&format!("{}{hls}", http::CONFIG));
    let publish = "ffmpeg -v error -re -i SAMPLE -c copy -f flv URL";
    let url = format!("rtmp://{}/live/name", origin.address());
    let _publisher = Client::run(publish, &url);
    let address = origin.http_address();
    eventually("a playlist", || {
        http::get(address, "/live/name.m3u8").status == 200
    });
    let player = Client::run(command, &format!("http://{address}/live/name.m3u8"));
    // Each makes its own container of it, so the pictures are compared, not the packets.
    player.assert_recorded(Of::Pictures);
    origin.stop();
}

#[test]
fn ffmpeg() {
    plays("ffmpeg", "ffmpeg -v error -i URL -c copy -f flv -");
}

#[test]
fn gstreamer() {
    let packages = "gstreamer1.0-tools gstreamer1.0-plugins-good gstreamer1.0-plugins-bad";
    let command = "gst-launch-1.0 -q souphttpsrc location=URL ! hlsdemux ! fdsink";
    plays(packages, command);
}

#[test]
fn vlc() {
    let command = "cvlc --no-lua URL --sout #std{access=file,mux=avformat{mux=flv},dst=-}";
    plays("vlc-bin vlc-plugin-base", command);
}

#[test]
fn mpv() {
    let command = "mpv --no-config --really-quiet --vo=null --ao=null \
        --stream-record=FILE URL";
    plays("mpv", command);
}
