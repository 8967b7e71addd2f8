#![cfg(test)]
//! Publishers that leave, come back, or are two; players that wait.

mod support;

use std::time::{Duration, Instant};

use support::chunk::Message;
use support::connection::End;
use support::media::{self, Kind};
use support::peer::{Player, assert_forward, play, publish, publishing};
use support::server::Server;

/// By default the second publisher of a live name is refused, before it sends media, and the first
/// one and its players notice nothing.
#[test]
fn a_second_publisher_is_refused() {
    let server = Server::origin("");
    let mut publisher = publishing(server.address(), "busy");
    publisher.send_group(1, 3);
    let mut player = play(server.address(), "live", "busy");
    player.frames_until(4);
    let refusal = publish(server.address(), "live", "busy").unwrap_err();
    assert_eq!(refusal.level, "error");
    assert_eq!(refusal.code, "NetStream.Publish.BadName");
    publisher.send_group(5, 3);
    assert_eq!(player.frames_until(8), 5);
    // Another application's stream of that name is another stream.
    publish(server.address(), "other", "busy").unwrap();
    publisher.unpublish();
    publishing(server.address(), "busy");
}

/// With takeover the second replaces the first; the players go on, in time.
#[test]
fn a_second_publisher_may_take_over() {
    let server = Server::origin("[publish]\nrepublish = \"takeover\"");
    let mut first = publishing(server.address(), "taken");
    first.send_group(500, 3);
    let mut player = play(server.address(), "live", "taken");
    let (_, before) = last_frame(&mut player, 503);
    let mut second = publishing(server.address(), "taken");
    second.send_group(1, 3);
    let (number, after) = next_key(&mut player);
    assert_eq!(number, 1);
    assert_forward(&before, &after);
    player.frames_until(4);
    // What the first still sends reaches nobody.
    first.send_frame(Kind::Key, 600, 12_000, 100);
    let (said, end) = first.connection.drain();
    assert_ne!(end, End::Silent, "the first is let go");
    let told = said.iter().any(|message| message.status().is_some());
    assert!(told, "the first is told why");
    second.send_group(5, 3);
    assert_eq!(player.frames_until(8), 5);
}

/// The player outlives its publisher; a new one gives it fresh headers and forward timestamps.
#[test]
fn players_stay_while_their_publisher_is_away() {
    let server = Server::origin("");
    for (name, gone) in [("left", true), ("lost", false)] {
        let mut publisher = publishing(server.address(), name);
        publisher.send_group(500, 3);
        let mut player = play(server.address(), "live", name);
        let (_, before) = last_frame(&mut player, 503);
        if gone {
            publisher.unpublish();
        } else {
            drop(publisher);
        }
        let quiet = player.receive_within(Duration::from_millis(300));
        assert_eq!(quiet, Err(End::Silent), "players are told nothing");

        let mut publisher = publish(server.address(), "live", name).unwrap();
        let mut header = media::AVC_HEADER;
        header[8] = 0x20;
        publisher.send(9, 0, &header);
        publisher.send(8, 0, &media::AAC_HEADER);
        publisher.send_group(1, 3);
        let came = player.media();
        assert!(came.payload == header, "fresh headers first: {came:?}");
        assert_forward(&before, &came);
        let (number, after) = next_key(&mut player);
        assert_eq!(number, 1);
        assert_forward(&before, &after);
        player.frames_until(4);

        // Who joins now gets nothing of the old.
        let mut late = play(server.address(), "live", name);
        assert!(late.media().payload == header);
        assert_eq!(late.frames_until(4), 1);
    }
}

/// Reads up to frame `last`.
fn last_frame(player: &mut Player, last: u32) -> (u32, Message) {
    loop {
        let (number, message) = player.frame();
        if number == last {
            return (number, message);
        }
    }
}

/// The next frame, which must be a keyframe.
fn next_key(player: &mut Player) -> (u32, Message) {
    let (number, message) = player.frame();
    assert_eq!(Kind::of(&message), Some(Kind::Key), "frame {number}");
    (number, message)
}

/// When the publisher stays away, the players are told that it is over.
#[test]
fn players_are_told_when_the_publisher_stays_away() {
    let server = Server::origin("[publish]\npublisher_wait = 0.5");
    let mut publisher = publishing(server.address(), "over");
    publisher.send_group(1, 3);
    let mut player = play(server.address(), "live", "over");
    player.frames_until(4);
    let left = Instant::now();
    publisher.unpublish();
    let (said, end) = player.connection.drain();
    assert_eq!(end, End::Closed);
    assert!(
        left.elapsed() >= Duration::from_millis(500),
        "told too early"
    );
    let code = |message: &Message| message.status().map(|status| status.code);
    let notified = said
        .iter()
        .filter_map(code)
        .any(|code| code == "NetStream.Play.UnpublishNotify");
    assert!(notified, "{said:?}");
    let stream_eof = |message: &Message| message.user_control() == Some((1, player.stream));
    assert!(said.iter().any(stream_eof), "{said:?}");
}

/// A stream that does not come: the player is told so when its wait is over.
#[test]
fn a_missing_stream_is_not_found() {
    let server = Server::origin("[play]\nplay_wait = 0.5");
    let asked = Instant::now();
    let mut player = play(server.address(), "live", "missing");
    let status = player.wait_told("NetStream.Play.StreamNotFound");
    assert_eq!(status.level, "error");
    assert!(
        asked.elapsed() >= Duration::from_millis(500),
        "told too early"
    );
    assert_eq!(player.connection.drain().1, End::Closed);
}

/// A stream that comes while the player waits for it starts, from its first frame.
#[test]
fn a_stream_may_come_while_its_player_waits() {
    let server = Server::origin("");
    let mut player = play(server.address(), "live", "late");
    let quiet = player.receive_within(Duration::from_millis(300));
    assert!(!matches!(quiet, Err(End::Closed | End::Reset)), "{quiet:?}");
    let mut publisher = publishing(server.address(), "late");
    publisher.send_group(1, 3);
    assert_eq!(player.frames_until(4), 1);
}

/// A publisher that sends nothing, or stops sending, is let go, and its name is free.
#[test]
fn a_silent_publisher_is_let_go() {
    let config = "[publish]\nfirstpkt_timeout = 500\nnormal_timeout = 500";
    let server = Server::origin(config);
    let mut publisher = publish(server.address(), "live", "silent").unwrap();
    assert_ne!(publisher.connection.drain().1, End::Silent);
    let mut publisher = publishing(server.address(), "silent");
    publisher.send_group(1, 3);
    assert_ne!(publisher.connection.drain().1, End::Silent);
    publishing(server.address(), "silent");
}

/// Only who is allowed to publish may, and hears so.
#[test]
fn security_decides_who_publishes_and_plays() {
    let config = "[security]\nenabled = true\nallow = [\"play all\"]\ndeny = [\"publish all\"]";
    let server = Server::origin(config);
    let refusal = publish(server.address(), "live", "denied").unwrap_err();
    assert_eq!(refusal.level, "error", "{refusal:?}");
    assert!(!refusal.description.is_empty());

    let config = "[security]\nenabled = true\nallow = [\"publish 127.0.0.1\"]";
    let server = Server::origin(config);
    publishing(server.address(), "allowed");
    // It has left again: that is not to be a race with the player.
    server.wait_log("publisher ended");
    let mut player = play(server.address(), "live", "allowed");
    let (said, end) = player.connection.drain();
    assert_eq!(end, End::Closed);
    let level = |message: &Message| message.status().map(|status| status.level);
    assert_eq!(said.iter().filter_map(level).collect::<Vec<_>>(), ["error"]);
}

/// Names that could be a path, or a file of ours, are refused for both.
#[test]
fn dangerous_names_are_refused() {
    let server = Server::origin("");
    for name in [
        "",
        "..",
        "a/../b",
        ".hidden",
        "a.m3u8",
        "a b",
        "a\n",
        &"x".repeat(129),
        "?a=b",
    ] {
        let refusal = publish(server.address(), "live", name).unwrap_err();
        assert_eq!(refusal.level, "error", "{name:?}: {refusal:?}");
        let mut player = play(server.address(), "live", name);
        player.wait_told("NetStream.Play.StreamNotFound");
    }
    for app in ["", "..", "a b"] {
        let refusal = publish(server.address(), app, "name").unwrap_err();
        assert_eq!(refusal.level, "error", "{app:?}: {refusal:?}");
    }
}

/// A query string is no part of the name.
#[test]
fn a_query_string_is_not_part_of_the_name() {
    let server = Server::origin("");
    let mut publisher = publishing(server.address(), "query?token=secret-one");
    publisher.send_group(1, 3);
    let mut player = play(server.address(), "live", "query?token=secret-two");
    player.frames_until(4);
    let refusal = publish(server.address(), "live", "query").unwrap_err();
    assert_eq!(refusal.code, "NetStream.Publish.BadName");
    assert_eq!(server.count_log("secret"), 0, "the log shows a token");
}
