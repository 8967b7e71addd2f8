#![cfg(test)]
//! HTTP-FLV: the same frames by the same rules as players of RTMP get.

mod support;

use std::time::{Duration, Instant};

use support::http::{CONFIG, Client, FlvPlayer, get};
use support::media::{self, Kind};
use support::origin::Origin;
use support::peer::{play, publish, publishing};
use support::server::Server;

#[test]
fn the_opening_is_metadata_headers_and_the_current_group() {
    let server = Server::origin(CONFIG);
    let mut publisher = publishing(server.address(), "opening");
    let next = publisher.send_group(1, 20);
    let next = publisher.send_group(next, 20);
    play(server.address(), "live", "opening").frames_until(next - 1);

    let mut player = FlvPlayer::play(server.http_address(), "opening.flv");
    assert_eq!(player.flags, 5);
    let metadata = player.tag().unwrap();
    assert_eq!(metadata.type_id, 18);
    // A file has the metadata without the command that encoders put before it.
    assert!(metadata.payload.starts_with(b"\x02\0\x0aonMetaData"));
    assert_eq!(player.tag().unwrap().payload, media::AVC_HEADER);
    assert_eq!(player.tag().unwrap().payload, media::AAC_HEADER);
    assert_eq!(
        player.frames_until(next - 1),
        22,
        "the second group's keyframe"
    );
    let next = publisher.send_group(next, 3);
    player.frames_until(next - 1);
    server.stop();
}

/// A real encoder's stream: what goes in comes out, tag for tag.
#[test]
fn a_recorded_stream_is_relayed_unchanged() {
    let server = Server::origin(CONFIG);
    let mut publisher = publish(server.address(), "live", "recorded").unwrap();
    let tags = media::flv_tags();
    let (first, rest) = tags.split_at(30);
    for tag in first {
        publisher.send(tag.type_id, tag.timestamp, &tag.payload);
    }
    let mut witness = play(server.address(), "live", "recorded");
    for _ in first.iter().filter(|tag| tag.is_media()) {
        witness.media();
    }
    let mut player = FlvPlayer::play(server.http_address(), "recorded.flv");
    let mut got = Vec::new();
    for (index, tag) in first.iter().chain(rest).enumerate() {
        if index >= first.len() {
            publisher.send(tag.type_id, tag.timestamp, &tag.payload);
        }
        if tag.is_media() {
            got.push(player.media());
        }
    }
    // Only the headers may change their place: the opening puts video before audio.
    got[..2].sort_by_key(|tag| 10 - tag.type_id);
    let expected: Vec<_> = tags.iter().filter(|tag| tag.is_media()).collect();
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        let wanted = (expected.type_id, expected.timestamp);
        assert_eq!((got.type_id, got.timestamp), wanted);
        assert!(got.payload == expected.payload, "changed at {wanted:?}");
    }
}

#[test]
fn without_a_cached_group_a_player_starts_at_the_next_keyframe() {
    let server = Server::origin(&format!("[play]\ngop_cache = false\n{CONFIG}"));
    let mut publisher = publishing(server.address(), "uncached");
    publisher.send_frame(Kind::Key, 1, 0, 100);
    let mut witness = play(server.address(), "live", "uncached");
    while witness.media().payload != media::AVC_HEADER {}
    let mut player = FlvPlayer::play(server.http_address(), "uncached.flv");
    while player.media().payload != media::AVC_HEADER {}
    publisher.send_frame(Kind::Inter, 3, 80, 100);
    publisher.send_frame(Kind::Key, 4, 120, 100);
    publisher.send_frame(Kind::Inter, 5, 160, 100);
    assert_eq!(player.frames_until(5), 4);
}

#[test]
fn the_file_header_says_what_the_stream_has() {
    let server = Server::origin(CONFIG);
    let cases = [
        ("none", &[][..], 5),
        ("audio", &[(8, &media::AAC_HEADER[..])][..], 4),
        ("video", &[(9, &media::AVC_HEADER[..])][..], 1),
        (
            "mp3",
            &[(9, &b"\x12\0key"[..]), (8, &b"\x2fmp3"[..])][..],
            5,
        ),
    ];
    for (name, messages, flags) in cases {
        let mut publisher = publish(server.address(), "live", name).unwrap();
        let mut witness = play(server.address(), "live", name);
        for (type_id, payload) in messages {
            publisher.send(*type_id, 0, payload);
            witness.media();
        }
        let player = FlvPlayer::play(server.http_address(), &format!("{name}.flv"));
        assert_eq!(player.flags, flags, "{name}");
    }
}

#[test]
fn the_head_comes_before_the_first_frame() {
    let server = Server::origin(CONFIG);
    let _publisher = publish(server.address(), "live", "early").unwrap();
    let mut client = Client::open(server.http_address());
    client.send("HEAD /live/early.flv HTTP/1.0\r\n\r\n");
    let response = client.response(false);
    assert_eq!(response.status, 200);
    assert!(client.is_closed());
    FlvPlayer::play(server.http_address(), "early.flv");
}

#[test]
fn a_missing_stream_is_a_404_after_the_wait_and_one_that_comes_is_played() {
    let server = Server::origin(&format!("[play]\nplay_wait = 1\n{CONFIG}"));
    let begun = Instant::now();
    let mut client = Client::open(server.http_address());
    client.send("GET /live/none.flv HTTP/1.1\r\nHost: h\r\n\r\n");
    let response = client.response(true);
    assert_eq!(response.status, 404);
    assert_eq!(response.field("Access-Control-Allow-Origin"), Some("*"));
    assert!(begun.elapsed() >= Duration::from_secs(1));
    // The connection goes on, and the stream comes while the next one waits for it.
    client.send("GET /live/late.flv HTTP/1.1\r\nHost: h\r\n\r\n");
    let _publisher = publishing(server.address(), "late");
    assert_eq!(client.response(false).status, 200);
    let long = format!("/live/a.flv?{}", "t".repeat(2049));
    assert_eq!(get(server.http_address(), &long).status, 400);
}

/// The player is told nothing, and goes on with the next publisher; time does not run backwards.
#[test]
fn the_publisher_may_leave_and_come_back() {
    let server = Server::origin(&format!("[publish]\npublisher_wait = 2\n{CONFIG}"));
    let mut publisher = publishing(server.address(), "back");
    let mut player = FlvPlayer::play(server.http_address(), "back.flv");
    publisher.send_group(1, 10);
    player.frames_until(10);
    let (_, last) = player.frame();
    publisher.unpublish();
    let mut publisher = publishing(server.address(), "back");
    publisher.send_group(1, 10);
    let header = player.media();
    assert_eq!(header.payload, media::AVC_HEADER);
    assert!(header.timestamp >= last.timestamp);
    assert_eq!(player.media().payload, media::AAC_HEADER);
    let (number, key) = player.frame();
    assert_eq!(number, 1);
    assert!(key.timestamp > last.timestamp);
    player.frames_until(11);

    let begun = Instant::now();
    publisher.unpublish();
    assert!(player.tag().is_none(), "a tag after the end");
    let waited = begun.elapsed();
    assert!(waited > Duration::from_millis(1500), "{waited:?}");
    server.wait_log("player of live/back ended: the stream is over");
}

/// What is asked after the stream began is not answered, and does no harm.
#[test]
fn a_player_that_talks_is_not_listened_to() {
    let server = Server::origin(CONFIG);
    let mut publisher = publishing(server.address(), "talk");
    let mut player = FlvPlayer::play(server.http_address(), "talk.flv");
    player.client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    publisher.send_group(1, 50);
    assert_eq!(player.frames_until(51), 1);
    drop(player);
    server.wait_log("player of live/talk ended: closed by peer");
    server.stop();
}

/// A slow player gets a jump to a keyframe, and costs another nothing.
#[test]
fn a_slow_player_resumes_at_a_keyframe() {
    let server = Server::origin(CONFIG);
    let address = server.http_address();
    let mut publisher = publishing(server.address(), "slow");
    let mut next = publisher.send_megabyte(1);
    let mut slow = FlvPlayer::asked(Client::open(address).shrink(), "slow.flv");
    slow.frames_until(next - 1);
    let mut witness = FlvPlayer::play(address, "slow.flv");
    witness.frames_until(next - 1);
    for _ in 0..32 {
        let first = next;
        next = publisher.send_megabyte(next);
        assert_eq!(witness.frames_until(next - 1), first);
    }
    let mut before = 25;
    let mut gaps = 0;
    while gaps == 0 {
        let (number, tag) = slow.frame();
        if number != before + 1 {
            assert!(number > before, "{number} after {before}");
            assert_eq!(Kind::of(&tag), Some(Kind::Key), "{number} after {before}");
            gaps += 1;
        }
        before = number;
        if before % 25 == 0 {
            // What was dropped shows only when something follows.
            next = publisher.send_megabyte(next);
        }
    }
}

#[test]
fn an_edge_fetches_the_stream_with_its_query_string() {
    let origin = Origin::new();
    let edge = Server::edge(&[origin.address()], CONFIG);
    let address = edge.http_address();
    let player = std::thread::scope(|scope| {
        let player = scope.spawn(|| FlvPlayer::play(address, "name.flv?token=a%20b&c=d"));
        let asked = origin.asked().unwrap();
        assert_eq!(
            (asked.command.as_str(), asked.name.as_str()),
            ("play", "name?token=a%20b&c=d")
        );
        let mut source = asked.grant();
        source.send_headers(0);
        source.send_group(1, 20);
        let mut player = player.join().unwrap();
        assert_eq!(player.frames_until(21), 1);
        source.send_group(22, 20);
        assert_eq!(player.frames_until(42), 22);
        player
    });
    assert_eq!(player.flags, 5);
    assert_eq!(edge.count_log("token"), 0, "the log shows the query string");
}

/// Through an edge of an edge, beside a player of RTMP: the same bytes.
#[test]
fn an_edge_of_an_edge_plays_it_too() {
    let origin = Server::origin("");
    let first = Server::edge(&[origin.address()], "");
    let second = Server::edge(&[first.address()], CONFIG);
    let mut publisher = publishing(origin.address(), "chain");
    let mut next = publisher.send_group(1, 20);
    let mut players = [(); 2].map(|()| FlvPlayer::play(second.http_address(), "chain.flv"));
    let mut witness = play(second.address(), "live", "chain");
    for player in &mut players {
        assert_eq!(player.frames_until(next - 1), 1);
    }
    witness.frames_until(next - 1);
    for _ in 0..10 {
        let first = next;
        next = publisher.send_group(next, 20);
        for player in &mut players {
            assert_eq!(player.frames_until(next - 1), first);
        }
        assert_eq!(witness.frames_until(next - 1), first);
    }
}
