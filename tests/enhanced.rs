#![cfg(test)]
//! Enhanced RTMP passes untouched, and its headers and keyframes count as such.

mod support;

use support::amf::Value;
use support::connection::Connection;
use support::media;
use support::peer::{Player, Publisher, play, publish};
use support::server::Server;

/// Payloads of video and audio in the order in which they are published; the bytes after the
/// header do not matter to a relay.
struct Codec {
    name: &'static str,
    header: &'static [u8],
    key: &'static [u8],
    inter: &'static [u8],
    audio_header: &'static [u8],
    audio: &'static [u8],
}

const CODECS: [Codec; 4] = [
    Codec {
        name: "hevc-opus",
        header: b"\x90hvc1 configuration",
        key: b"\x91hvc1\x00\x00\x00 key",
        inter: b"\xA1hvc1\x00\x00\x00 inter",
        audio_header: b"\x90Opus head",
        audio: b"\x91Opus data",
    },
    Codec {
        name: "hevc-without-time",
        header: b"\x90hvc1 configuration",
        key: b"\x93hvc1 key",
        inter: b"\xA3hvc1 inter",
        audio_header: b"\x90ac-3 head",
        audio: b"\x91ac-3 data",
    },
    Codec {
        name: "av1-flac",
        header: b"\x90av01 configuration",
        key: b"\x91av01 key",
        inter: b"\xA1av01 inter",
        audio_header: b"\x90fLaC head",
        audio: b"\x91fLaC data",
    },
    // Multitrack: packet type 6, or 5 of audio, then "one track" with the inner packet type, and at
    // the end the number of the track. A player starts where track 0 does.
    Codec {
        name: "multitrack",
        header: b"\x96\x00vp09\x00 configuration",
        key: b"\x96\x01vp09\x00 key",
        inter: b"\xA6\x01vp09\x00 inter",
        audio_header: b"\x95\x00Opus\x00 head",
        audio: b"\x95\x01Opus\x00 data",
    },
];

#[test]
fn a_player_in_the_middle_starts_with_headers_and_a_keyframe() {
    let server = Server::origin("");
    for codec in CODECS {
        let mut publisher = publish(server.address(), "live", codec.name).unwrap();
        let video = [codec.header, codec.key, codec.inter, codec.key, codec.inter];
        publisher.send(8, 0, codec.audio_header);
        for (time, payload) in (0..).zip(video) {
            publisher.send(9, time, payload);
        }
        publisher.send(8, 5, codec.audio);
        // This player joins somewhere before, and is the witness that all of it is there.
        read_until(&server, codec.name, codec.audio);

        let mut player = play(server.address(), "live", codec.name);
        let mut opening = vec![player.media().payload, player.media().payload];
        opening.sort();
        let mut headers = vec![codec.header.to_vec(), codec.audio_header.to_vec()];
        headers.sort();
        assert_eq!(opening, headers, "{}", codec.name);
        for expected in [(9, 3, codec.key), (9, 4, codec.inter), (8, 5, codec.audio)] {
            let message = player.media();
            let got = (
                message.type_id,
                message.timestamp,
                message.payload.as_slice(),
            );
            assert_eq!(got, expected, "{}", codec.name);
        }
        live_frames(&mut publisher, &mut player, &codec);
    }
}

fn read_until(server: &Server, name: &str, payload: &[u8]) {
    let mut player = play(server.address(), "live", name);
    while player.media().payload != payload {}
}

fn live_frames(publisher: &mut Publisher, player: &mut Player, codec: &Codec) {
    for payload in [codec.inter, codec.key, codec.inter] {
        publisher.send(9, 10, payload);
        assert_eq!(player.media().payload, payload);
    }
}

/// Each track of a multitrack stream has its own header.
#[test]
fn the_opening_has_the_header_of_every_track() {
    let server = Server::origin("");
    let mut publisher = publish(server.address(), "live", "tracks").unwrap();
    let plain: &[u8] = b"\x90avc1 main";
    let one: &[u8] = b"\x96\x00avc1\x01 one";
    let two: &[u8] = b"\x96\x00hvc1\x02 two";
    let key: &[u8] = b"\x91avc1\x00\x00\x00 key";
    for payload in [plain, one, two, key] {
        publisher.send(9, 0, payload);
    }
    read_until(&server, "tracks", key);
    let mut player = play(server.address(), "live", "tracks");
    let mut got: Vec<_> = (0..3).map(|_| player.media().payload).collect();
    got.sort();
    let mut expected = [plain, one, two];
    expected.sort_unstable();
    assert_eq!(got, expected);
    assert_eq!(player.media().payload, key);
}

/// `connect` says what a relay can do: forward everything.
#[test]
fn connect_advertises_forwarding() {
    let server = Server::origin("");
    let mut connection = Connection::open(server.address()).unwrap();
    let codecs = Value::StrictArray(vec!["av01".into(), "hvc1".into()]);
    let answer = connection
        .connect_with("live", &[("fourCcList", codecs)])
        .unwrap();
    for map in ["videoFourCcInfoMap", "audioFourCcInfoMap"] {
        let found = answer.iter().find_map(|value| value.property(map));
        let any = found.and_then(|map| map.property("*")).map(Value::number);
        assert_eq!(any, Some(4.0), "{map}: {answer:?}");
    }
}

/// Old and new headers in one stream do not disturb each other.
#[test]
fn a_plain_stream_still_has_one_header_of_each_kind() {
    let server = Server::origin("");
    let mut publisher = publish(server.address(), "live", "plain").unwrap();
    publisher.send_headers(0);
    publisher.send_headers(0);
    publisher.send_group(1, 3);
    play(server.address(), "live", "plain").frames_until(4);
    let mut player = play(server.address(), "live", "plain");
    assert_eq!(
        player.media().payload.len() + player.media().payload.len(),
        24
    );
    let first = player.media();
    assert_eq!(media::number(&first), Some(1));
}
