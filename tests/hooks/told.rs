//! What hooks are told, to the end.

use crate::recorded::assert_fields;
use crate::support::hls::{await_playlist, send};
use crate::support::hook_server::{HookServer, Reply};
use crate::support::media::Kind;
use crate::support::peer::{play, publish, publishing};
use crate::support::port::SharedPort;
use crate::support::server::Server;
use crate::support::siblings::Meeting;
use crate::support::{eventually, http};
use crate::{ALL, publisher, server};

/// What happened while a server was down is told when it is up, in order and once.
#[test]
fn a_server_that_was_down_hears_everything() {
    let port = SharedPort::loopback();
    let url = format!("\"http://{}/\"", port.address());
    let told = format!("on_unpublish = {url}\non_stop = {url}\non_close = {url}\n");
    let server = Server::origin(&format!("[http_hooks]\nenabled = true\n{told}"));
    for name in ["a", "b", "c"] {
        publisher(&server, name).unwrap().unpublish();
    }
    server.wait_log("it cannot be reached");
    let hooks = HookServer::at(port.address(), |_| Reply::yes());
    hooks.wait("on_close", 3);
    let heard = hooks.heard();
    assert_eq!(heard.len(), 6);
    for close in hooks.wait("on_close", 3) {
        let of = |one: &&crate::support::hook_server::Heard| {
            one.text("client_id") == close.text("client_id")
        };
        let its: Vec<_> = heard
            .iter()
            .filter(of)
            .map(|one| one.action().to_owned())
            .collect();
        assert_eq!(its, ["on_unpublish", "on_close"]);
    }
    // Nothing comes twice: the threads are gone.
    eventually("nothing is left to tell", || server.threads_of("hook") == 0);
    server.stop();
    assert_eq!(hooks.heard().len(), 6);
}

/// Who says 5xx hears it again, and who thinks otherwise does not.
#[test]
fn only_who_is_unwell_hears_it_again() {
    let hooks = HookServer::start(move |heard| match heard.json["stream"].as_str() {
        Some("twice") if heard.json["action"] == "on_unpublish" => {
            // The first time; the server remembers nothing else.
            static ONCE: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
            if ONCE.swap(true, std::sync::atomic::Ordering::SeqCst) {
                Reply::yes()
            } else {
                Reply::status("503 Wait", "")
            }
        }
        Some("never") if heard.json["action"] == "on_unpublish" => Reply::status("200 OK", "1"),
        _ => Reply::yes(),
    });
    let server = server(&hooks, ALL);
    publisher(&server, "never").unwrap().unpublish();
    publisher(&server, "twice").unwrap().unpublish();
    hooks.wait("on_close", 2);
    let names: Vec<_> = hooks
        .heard()
        .iter()
        .filter(|one| one.action() == "on_unpublish")
        .map(|one| one.text("stream").to_owned())
        .collect();
    assert_eq!(names, ["never", "twice", "twice"]);
}

/// Who is replaced, who breaks off, and who is there at a stop: each end is told.
#[test]
fn every_end_is_told() {
    let hooks = HookServer::yes();
    let takeover = "[publish]\nrepublish = \"takeover\"\n";
    let server = Server::origin(&format!("{}{takeover}{}", hooks.config(ALL), http::CONFIG));
    let mut first = publisher(&server, "a").unwrap();
    let second = publisher(&server, "a").unwrap();
    let ids: Vec<_> = hooks
        .wait("on_publish", 2)
        .iter()
        .map(|one| one.text("client_id").to_owned())
        .collect();
    // It hears so when it sends something.
    first.send_frame(Kind::Audio, 9, 180, 200);
    let ends = hooks.wait("on_unpublish", 1);
    assert_eq!(
        ends[0].text("client_id"),
        ids[0],
        "the first one is replaced"
    );
    drop(first);
    // Breaks off in the middle of a message.
    let mut broken = publish(server.address(), "live", "b").unwrap();
    broken.connection.send_raw(&[6, 0, 0, 0]).unwrap();
    drop(broken);
    hooks.wait("on_unpublish", 2);
    let mut player = play(server.address(), "live", "a");
    player.frame();
    server.stop();
    let ends = hooks.wait("on_unpublish", 3);
    assert_eq!(ends[2].text("client_id"), ids[1]);
    hooks.wait("on_stop", 1);
    assert_eq!(hooks.wait("on_close", 4).len(), 4);
    drop((second, player));
}

/// A stop does not wait long for a server that does not answer.
#[test]
fn a_stop_is_not_held_up() {
    let hooks = HookServer::start(|_| Reply::Nothing);
    let server = server(&hooks, &["on_unpublish", "on_close"]);
    let publishers: Vec<_> = (0..20)
        .map(|name| publisher(&server, &format!("a{name}")).unwrap())
        .collect();
    server.stop();
    drop(publishers);
}

/// Each segment is told, with where it is.
#[test]
fn segments_are_told() {
    let hooks = HookServer::yes();
    let hls = "[hls]\nenabled = true\nhls_path = \"html\"\nhls_fragment = 1\n";
    let server = Server::origin(&format!("{}{hls}", hooks.config(&["on_hls", "on_publish"])));
    let mut publisher = publishing(server.address(), "a");
    send(&mut publisher, 0..4000);
    publisher.unpublish();
    let html = server.directory().join("html");
    let playlist = await_playlist(&html, "a", "the end", |one| one.entries.len() == 4);
    let heard = hooks.wait("on_hls", 4);
    assert_eq!(heard.len(), 4);
    let client = hooks.wait("on_publish", 1)[0].text("client_id").to_owned();
    for (number, (one, entry)) in (playlist.sequence..).zip(heard.iter().zip(&playlist.entries)) {
        assert_fields(one);
        assert_eq!(one.text("client_id"), client);
        assert_eq!(one.json["seq_no"].as_u64(), Some(number));
        let milliseconds = one.json["duration"].as_f64().unwrap() * 1000.0;
        assert!(
            (milliseconds - f64::from(entry.milliseconds)).abs() < 1.0,
            "{milliseconds}"
        );
        assert_eq!(one.text("url"), format!("live/a/{number}.ts"));
        assert_eq!(one.text("m3u8_url"), "live/a.m3u8");
        let cwd = std::path::Path::new(one.text("cwd"));
        assert_eq!(cwd, server.directory().canonicalize().unwrap());
        assert!(cwd.join(one.text("file")).is_file());
        assert!(cwd.join(one.text("m3u8")).is_file());
    }
}

/// Of processes that share a port, each asks about its own peers, and not about the other.
#[test]
fn siblings_are_not_players() {
    let hooks = HookServer::yes();
    let meeting = Meeting::new();
    let config = hooks.config(ALL);
    let [one, two] = meeting.servers(&config);
    let _publisher = publisher(&one, "a").unwrap();
    let mut player = play(two.address(), "live", "a");
    player.frame();
    drop(player);
    hooks.wait("on_close", 1);
    assert_eq!((hooks.count("on_play"), hooks.count("on_connect")), (1, 2));
    let ids: Vec<_> = hooks
        .wait("on_connect", 2)
        .iter()
        .map(|one| one.text("client_id").to_owned())
        .collect();
    assert_ne!(ids[0], ids[1], "of two processes");
}

/// An edge asks about its own publishers and players, and the origin about the edge.
#[test]
fn edges_ask_about_their_own() {
    let (at_edge, at_origin) = (HookServer::yes(), HookServer::yes());
    let origin = Server::origin(&at_origin.config(ALL));
    let edge = Server::edge(&[origin.address()], &at_edge.config(ALL));
    let publisher = publisher(&edge, "a?key=b").unwrap();
    let mut players: Vec<_> = (0..3).map(|_| play(edge.address(), "live", "a")).collect();
    for player in &mut players {
        player.frame();
    }
    assert_eq!(
        (at_edge.count("on_publish"), at_edge.count("on_play")),
        (1, 3)
    );
    assert_eq!(
        (at_origin.count("on_publish"), at_origin.count("on_play")),
        (1, 1)
    );
    assert_eq!(at_origin.wait("on_publish", 1)[0].text("param"), "?key=b");
    drop(players);
    at_edge.wait("on_stop", 3);
    publisher.unpublish();
    at_edge.wait("on_unpublish", 1);
    at_origin.wait("on_unpublish", 1);
}
