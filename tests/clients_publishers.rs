#![cfg(test)]
//! The publishers that people use, each at the origin and at an edge: what ffmpeg records from
//! either is a part of what they sent, bit for bit.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test fails the test"
)]

mod support;

use support::chunk::{Cut, Message, cut};
use support::clients::{self, Client};
use support::media::{self, Kind};
use support::packets::Of;
use support::peer::{Player, Publisher, play, publish};
use support::server::Server;

/// An origin and an edge.
fn servers() -> [Server; 2] {
    let origin = Server::origin("");
    let edge = Server::edge(&[origin.address()], "");
    [origin, edge]
}

fn publishes(packages: &str, command: &str) {
    if !clients::installed(command, packages) {
        return;
    }
    let servers = servers();
    for (server, name) in servers.iter().zip(["direct", "forwarded"]) {
        let url = |server: &Server| format!("rtmp://{}/live/{name}", server.address());
        let _publisher = Client::run(command, &url(server));
        servers[0].wait_log(&format!("publishes live/{name}"));
        let record = "ffmpeg -v error -i URL -c copy -f flv -";
        let players = servers.each_ref().map(|at| Client::run(record, &url(at)));
        for player in players {
            player.assert_recorded(Of::Packets);
        }
    }
    servers.into_iter().for_each(Server::stop);
}

#[test]
fn ffmpeg() {
    let command = "ffmpeg -v error -re -i SAMPLE -c copy -f flv URL";
    publishes("ffmpeg", command);
}

#[test]
fn gstreamer_rtmp2sink() {
    gstreamer("rtmp2sink");
}

#[test]
fn gstreamer_rtmpsink() {
    gstreamer("rtmpsink");
}

fn gstreamer(sink: &str) {
    let command = format!(
        "gst-launch-1.0 -q filesrc location=SAMPLE ! flvdemux name=from \
        flvmux name=to streamable=true ! {sink} location=URL \
        from.video ! queue ! identity sync=true ! to.video \
        from.audio ! queue ! identity sync=true ! to.audio"
    );
    let packages = "gstreamer1.0-tools gstreamer1.0-plugins-good gstreamer1.0-plugins-bad";
    publishes(packages, &command);
}

/// OBS, as 29.0.2 was recorded: `publish` and all media on chunk stream 4, chunks of 4096 bytes, a whole
/// header at timestamp 0 and deltas from there on. The timestamps pass 0xFFFFFF, as they do after 4.7 hours. Up
/// to OBS 30.0, type 3 chunks did not repeat the extension.
#[test]
fn obs() {
    let servers = servers();
    for repeat_extended in [true, false] {
        for (server, at) in servers.iter().zip(["origin", "edge"]) {
            let name = format!("{at}-{repeat_extended}");
            let mut obs = Obs {
                publisher: publish(server.address(), "live", &name).unwrap(),
                repeat_extended,
                last: Message::default(),
            };
            obs.send(18, 0, media::metadata());
            obs.send(8, 0, media::AAC_HEADER.to_vec());
            obs.send(9, 0, media::AVC_HEADER.to_vec());
            obs.send_group(0);
            let mut players = servers
                .each_ref()
                .map(|server| play(server.address(), "live", &name));
            for player in &mut players {
                assert_group(player, 0);
            }
            obs.send_group(1);
            for player in &mut players {
                assert_group(player, 1);
            }
            obs.publisher.unpublish();
        }
    }
    servers.into_iter().for_each(Server::stop);
}

/// Milliseconds of the first timestamp: the second group of a stream needs the extension.
const START: u32 = 0xFF_FFFF - 1000;

/// Number, timestamp and kind of the frames of a group. One of them is behind its predecessor,
/// which makes its delta a large number.
fn group(index: u32) -> [(u32, u32, Kind); 5] {
    let frame = |place, time, kind| (index * 5 + place, START + index * 1000 + time, kind);
    [
        frame(0, 0, Kind::Key),
        frame(1, 20, Kind::Audio),
        frame(2, 40, Kind::Inter),
        frame(3, 35, Kind::Audio),
        frame(4, 80, Kind::Inter),
    ]
}

fn assert_group(player: &mut Player, index: u32) {
    for (number, timestamp, kind) in group(index) {
        let (got, message) = player.frame();
        assert_eq!((got, message.timestamp), (number, timestamp), "{kind:?}");
    }
}

struct Obs {
    publisher: Publisher,
    repeat_extended: bool,
    /// The message before, without its payload's contents.
    last: Message,
}

impl Obs {
    fn send_group(&mut self, index: u32) {
        for (number, timestamp, kind) in group(index) {
            let size = if kind == Kind::Key { 20_000 } else { 5000 };
            let payload = media::frame(kind, number, size);
            self.send(kind.type_id(), timestamp, payload);
        }
    }

    fn send(&mut self, type_id: u8, timestamp: u32, payload: Vec<u8>) {
        let message = Message {
            csid: 4,
            type_id,
            timestamp,
            stream: self.publisher.stream,
            payload,
        };
        let shape = |message: &Message| (message.type_id, message.payload.len());
        let format = match type_id {
            _ if timestamp == 0 => 0,
            // Not in OBS: other users of librtmp give keyframes a whole header.
            9 if message.payload.len() == 20_000 => 0,
            _ if shape(&message) == shape(&self.last) => 2,
            _ => 1,
        };
        let how = Cut {
            format,
            delta: timestamp.wrapping_sub(self.last.timestamp),
            repeat_extended: self.repeat_extended,
            ..Cut::plain(4096)
        };
        let chunks = cut(&message, how).concat();
        self.publisher.connection.send_raw(&chunks).unwrap();
        self.last = message;
    }
}
