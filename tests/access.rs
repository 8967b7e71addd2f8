#![cfg(test)]
//! Who may publish and play: by key, by address, and on an edge by what the origin says.

mod support;

use std::fs;

use support::chunk::Status;
use support::eventually;
use support::http;
use support::media::{self, Kind};
use support::origin::Origin;
use support::peer::{Player, Publisher, play, publish};
use support::server::Server;

const KEYS: &str = "[security]\nkeys = [\"publish live/* studio-key\", \"publish live/* second-key\", \
                    \"play vip/* members-key\"]\n";

fn publisher(server: &Server, app: &str, name: &str) -> Result<Publisher, Status> {
    let mut publisher = publish(server.address(), app, name)?;
    publisher.send_headers(0);
    publisher.send_group(1, 3);
    publisher.await_read();
    Ok(publisher)
}

fn refused(server: &Server, app: &str, name: &str) -> String {
    let status = publish(server.address(), app, name).unwrap_err();
    assert_eq!(status.code, "NetStream.Publish.BadName");
    status.description
}

fn plays(server: &Server, app: &str, name: &str) -> Result<Player, String> {
    let mut player = play(server.address(), app, name);
    while player.receive().is_ok_and(|message| !message.is_media()) {}
    match player.told.iter().find(|status| status.level == "error") {
        Some(status) => Err(status.description.clone()),
        None => Ok(player),
    }
}

/// Any of a stream's keys opens it, in the name or the application, and nothing else does.
#[test]
fn a_key_opens_its_streams() {
    let server = Server::origin(KEYS);
    let missing = refused(&server, "live", "a");
    assert!(missing.contains("needs a key"), "{missing}");
    let wrong = refused(&server, "live", "a?key=members-key");
    assert!(wrong.contains("no key"), "{wrong}");
    for (app, name) in [
        ("live", "a?key=studio-key"),
        ("live", "b?token=1&key=second-key"),
        ("live?key=studio-key", "c"),
        ("other", "d"),
    ] {
        publisher(&server, app, name).unwrap_or_else(|status| panic!("{app}/{name} {status:?}"));
    }
    let _publisher = publisher(&server, "vip", "e").unwrap();
    assert!(plays(&server, "vip", "e").is_err());
    assert!(plays(&server, "vip", "e?key=studio-key").is_err());
    plays(&server, "vip", "e?key=members-key").unwrap();
    assert_eq!(
        server.count_log("members-key") + server.count_log("studio-key"),
        0
    );
}

/// After ten wrong keys no key of that address is looked at, and open streams still are.
#[test]
fn wrong_keys_are_not_tried_for_long() {
    let server = Server::origin(KEYS);
    for _ in 0..10 {
        let wrong = refused(&server, "live", "a?key=wrong-key");
        assert!(wrong.contains("no key"), "{wrong}");
    }
    for name in ["a?key=wrong-key", "a?key=studio-key"] {
        let shut = refused(&server, "live", name);
        assert!(
            shut.contains("too many wrong keys from 127.0.0.1"),
            "{shut}"
        );
    }
    publisher(&server, "other", "open").unwrap();
}

/// Keys may stand in a file of their own; a mistake in it is told with its line, and not repeated.
#[test]
fn a_key_file_has_more_keys() {
    let config = format!("{KEYS}key_file = \"keys\"\nlisten = 1\n");
    let mut server = Server::spawn(&config);
    assert!(!server.wait().success(), "a missing file");
    let directory = support::temp::TempDir::new();
    let file = directory.path().join("keys");
    let config = format!(
        "listen = \"127.0.0.1:0\"\n{KEYS}key_file = \"{}\"\n",
        file.display()
    );
    fs::write(&file, "# studio\n\npublish live/* third-key\n").unwrap();
    publisher(&Server::start(&config), "live", "a?key=third-key").unwrap();
    fs::write(&file, "publish live/* third-key\npublish live/* short\n").unwrap();
    let mut server = Server::spawn(&config);
    assert!(!server.wait().success(), "a short key");
    server.wait_log("keys:2: expected \"publish\" or \"play\"");
    assert_eq!(server.count_log("short"), 0);
}

/// HTTP takes the key too, and a playlist passes it on to its segments.
#[test]
fn http_takes_keys() {
    let hls = "[hls]\nenabled = true\nhls_path = \"html\"\nhls_fragment = 1\n";
    let config = format!("{KEYS}{hls}{}", http::CONFIG);
    let server = Server::origin(&config);
    let address = server.http_address();
    let mut publisher = publish(server.address(), "vip", "a").unwrap();
    publisher.send(8, 0, &media::AAC_HEADER);
    for number in 0..30 {
        publisher.send_frame(Kind::Audio, number, number * 100, 200);
    }
    publisher.await_read();
    let playlist = "/vip/a.m3u8?key=members-key";
    eventually("a playlist", || http::get(address, playlist).status == 200);
    let answer = http::get(address, playlist);
    let text = String::from_utf8(answer.body).unwrap();
    let segment = text.lines().find(|line| line.contains(".ts")).unwrap();
    assert!(segment.ends_with(".ts?key=members-key"), "{segment}");
    let with_key = http::get(address, &format!("/vip/{segment}"));
    assert_eq!(with_key.status, 200);
    assert!(with_key.field("cache-control").unwrap().contains("private"));
    let (bare, _) = segment.split_once('?').unwrap();
    for path in [
        "/vip/a.m3u8",
        "/vip/a.flv",
        &format!("/vip/{bare}"),
        &format!("/vip/{bare}?key=studio-key"),
    ] {
        assert_eq!(http::get(address, path).status, 403, "{path}");
    }
}

/// What is denied may not be done, though the stream is there.
#[test]
fn rules_by_address() {
    let server = Server::origin("[security]\ndeny = [\"play loopback\"]\n");
    let _publisher = publisher(&server, "live", "a").unwrap();
    let why = plays(&server, "live", "a").unwrap_err();
    assert!(why.contains("may not play"), "{why}");
    let server = Server::origin("[security]\nallow = [\"publish 10.0.0.0/8\"]\n");
    let why = refused(&server, "live", "a");
    assert!(why.contains("add \"publish 127.0.0.1\""), "{why}");
}

/// With `token_traverse` the origin's keys decide about each player of an edge, and without it about
/// the first one only.
#[test]
fn an_edge_asks_the_origin_about_each_player() {
    let origin = Server::origin("[security]\nkeys = [\"play * members-key\"]\n");
    let _publisher = publisher(&origin, "live", "a").unwrap();
    for (traverse, expected) in [("", true), ("token_traverse = true\n", false)] {
        let edge = Server::edge(&[origin.address()], traverse);
        let _first = plays(&edge, "live", "a?key=members-key").unwrap();
        let second = plays(&edge, "live", "a?key=wrong-key");
        assert_eq!(second.is_ok(), expected, "{traverse}");
        if let Err(why) = second {
            assert!(why.starts_with("the origin says: "), "{why}");
        }
        plays(&edge, "live", "a?key=members-key").unwrap();
    }
}

/// SRS says yes first and asks its `on_play` hook then: it is media that lets a player in.
#[test]
fn a_yes_without_media_lets_nobody_in() {
    let origin = Origin::new();
    let edge = Server::edge(&[origin.address()], "token_traverse = true\n");
    for (name, leaves) in [("a?wrong", true), ("a?slow", false)] {
        let mut player = play(edge.address(), "live", name);
        let mut yes = origin.await_asked().grant();
        yes.send(18, 0, b"\x02\0\x08onStatus\x03\0\0\x09");
        let open = (!leaves).then_some(yes);
        let why = player
            .wait_told("NetStream.Play.StreamNotFound")
            .description;
        let expected = if leaves {
            "it closed"
        } else {
            "it took too long"
        };
        assert!(why.contains("waiting for media: "), "{why}");
        assert!(why.contains(expected), "{why}");
        assert!(origin.poll().is_none(), "it fetches for who was refused");
        drop(open);
    }
    let mut player = play(edge.address(), "live", "a?right");
    let mut asked = origin.await_asked().grant();
    asked.send_headers(0);
    let mut pulled = origin.await_asked().grant();
    pulled.send_headers(0);
    pulled.send_group(1, 3);
    assert_eq!(player.frame().0, 1);
}
