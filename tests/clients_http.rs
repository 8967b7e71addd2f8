#![cfg(test)]
//! The players that people use, over HLS: the sound that they record is a part of what was
//! published, bit for bit, and so are the pictures, from a keyframe on. HTTP-FLV is in
//! `http_players.rs`, but for GStreamer's demuxer.

mod support;

use support::clients::{self, Client};
use support::eventually;
use support::http;
use support::packets::Of;
use support::server::Server;

const PLAYLIST: &str = "name.m3u8";

fn plays(packages: &str, command: &str, file: &str) {
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
        http::get(address, &format!("/live/{PLAYLIST}")).status == 200
    });
    let player = Client::run(command, &format!("http://{address}/live/{file}"));
    // Each makes its own container of it, so the pictures are compared, not the packets.
    player.assert_recorded(Of::Pictures);
    origin.stop();
}

#[test]
fn ffmpeg() {
    plays(
        "ffmpeg",
        "ffmpeg -v error -i URL -c copy -f flv -",
        PLAYLIST,
    );
}

fn gstreamer(demux: &str, file: &str) {
    let packages = "gstreamer1.0-tools gstreamer1.0-plugins-good gstreamer1.0-plugins-bad";
    let command = format!(
        "gst-launch-1.0 -q souphttpsrc location=URL ! {demux} name=demux \
         flvmux name=mux streamable=true ! fdsink \
         demux. ! queue ! h264parse ! mux. demux. ! queue ! aacparse ! mux."
    );
    plays(packages, &command, file);
}

#[test]
fn gstreamer_hls() {
    gstreamer("hlsdemux ! tsdemux", PLAYLIST);
}

#[test]
fn gstreamer_flv() {
    gstreamer("flvdemux", "name.flv");
}

#[test]
fn vlc() {
    let command = "cvlc --no-lua URL --sout #std{access=file,mux=avformat{mux=flv},dst=-}";
    plays("vlc-bin vlc-plugin-base", command, PLAYLIST);
}

#[test]
fn mpv() {
    let command = "mpv --no-config --really-quiet --vo=null --ao=null \
        --stream-record=FILE URL";
    plays("mpv", command, PLAYLIST);
}
