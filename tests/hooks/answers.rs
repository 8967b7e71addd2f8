//! Whatever is answered: only yes is yes, and nothing is left busy.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::amf::Value;
use crate::support::connection::Connection;
use crate::support::hook_server::{Heard, HookServer, Reply};
use crate::support::http;
use crate::support::peer::{play, publish, publish_on, publish_with};
use crate::support::port;
use crate::support::server::Server;
use crate::words::of_client;
use crate::{ALL, publisher, refused, server};

/// The name of a stream, what is answered about it, and what its publisher hears; `None`: yes.
type Case = (&'static str, Reply, Option<&'static str>);

fn replies() -> Vec<Case> {
    [yes(), no(), broken()].concat()
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

fn yes() -> Vec<Case> {
    vec![
        ("yes", Reply::yes(), None),
        (
            "yes-json",
            Reply::status("200 OK", "{\"code\": 0, \"data\": null}"),
            None,
        ),
        ("yes-201", Reply::status("201 Created", "0"), None),
        (
            "yes-chunked",
            Reply::raw(&format!("{CHUNKED}1\r\n0\r\n0\r\n\r\n")),
            None,
        ),
        ("yes-old", Reply::raw("HTTP/1.0 200 OK\r\n\r\n0"), None),
        (
            "yes-slow",
            Reply::Slowly(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n0".into()),
            None,
        ),
    ]
}

fn no() -> Vec<Case> {
    vec![
        (
            "deny",
            Reply::status("200 OK", "{\"code\": 1}"),
            Some("it answered code 1"),
        ),
        (
            "deny-1",
            Reply::status("200 OK", "1"),
            Some("it answered code 1"),
        ),
        (
            "deny-403",
            Reply::status("403 Forbidden", "0"),
            Some("it answered 403"),
        ),
        (
            "deny-500",
            Reply::status("500 Oh", "0"),
            Some("it answered 500"),
        ),
        (
            "moved",
            Reply::raw("HTTP/1.1 302 Found\r\nLocation: /yes\r\nContent-Length: 1\r\n\r\n0"),
            Some("it answered 302"),
        ),
    ]
}

fn broken() -> Vec<Case> {
    let huge = "0".repeat(100_000);
    vec![
        (
            "garbage",
            Reply::raw("\0\u{1}garbage\r\n\r\n"),
            Some("not HTTP"),
        ),
        (
            "text",
            Reply::status("200 OK", "welcome"),
            Some("neither 0 nor"),
        ),
        ("empty", Reply::status("200 OK", ""), Some("neither 0 nor")),
        ("huge", Reply::status("200 OK", &huge), Some("too long")),
        (
            "endless",
            Reply::raw(&format!("HTTP/1.1 200 OK\r\n\r\n{huge}")),
            Some("too long"),
        ),
        (
            "half",
            Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n0"),
            Some("closed before"),
        ),
        ("nothing", Reply::raw(""), Some("closed before")),
        (
            "chunks",
            Reply::raw(&format!("{CHUNKED}1\r\n0\r\n")),
            Some("closed before"),
        ),
    ]
}

/// A server that answers so.
pub(crate) fn hooks() -> HookServer {
    let replies = replies();
    HookServer::start(move |heard| {
        let stream = heard.json["stream"].as_str().unwrap_or_default();
        let name = stream.split('_').next().unwrap_or_default();
        let reply = replies.iter().find(|(known, ..)| *known == name);
        reply.map_or_else(Reply::yes, |(_, reply, _)| match heard.action() {
            "on_publish" | "on_play" => reply.clone(),
            _ => Reply::yes(),
        })
    })
}

#[test]
fn only_yes_is_yes() {
    let hooks = hooks();
    let server = server(&hooks, ALL);
    for (name, _, expected) in replies() {
        match expected {
            None => {
                publisher(&server, name).unwrap().unpublish();
                assert_eq!(
                    http::get(server.http_address(), &format!("/live/{name}.flv")).status,
                    404
                );
            }
            Some(expected) => {
                let why = refused(&server, name);
                assert!(why.starts_with("on_publish did not say yes: "), "{why}");
                assert!(why.contains(expected), "{name}: {why}");
                let mut player = play(server.address(), "live", name);
                let status = player.wait_told("NetStream.Play.StreamNotFound");
                assert!(status.description.contains(expected), "{status:?}");
                let answer = http::get(server.http_address(), &format!("/live/{name}.flv"));
                assert_eq!(answer.status, 403, "{name}");
                assert!(String::from_utf8_lossy(&answer.body).contains(expected));
            }
        }
    }
    // A player of what was refused hears of it from the log, once for each URL at most.
    assert_eq!(server.count_log("[WARN] on_publish at http://"), 1);
    server.stop();
}

/// A refused connection hears so as an answer to its `connect`.
#[test]
fn a_connection_can_be_refused() {
    let hooks = HookServer::start(|heard| match heard.json["param"].as_str() {
        Some("?let=in") => Reply::yes(),
        _ => Reply::status("200 OK", "1"),
    });
    let server = server(&hooks, &["on_connect", "on_close"]);
    let mut connection = Connection::open(server.address()).unwrap();
    let status = connection.connect("live").unwrap_err();
    assert_eq!(status.code, "NetConnection.Connect.Rejected");
    assert!(status.description.contains("on_connect did not say yes"));
    let (more, end) = connection.drain();
    assert_eq!(
        (more.len(), end),
        (0, crate::support::connection::End::Closed)
    );
    let mut connection = Connection::open(server.address()).unwrap();
    connection.connect("live?let=in").unwrap();
    drop(connection);
    let closes = hooks.wait("on_close", 1);
    assert_eq!(
        closes[0].text("client_id"),
        hooks.wait("on_connect", 2)[1].text("client_id")
    );
}

/// A server that is down refuses, at once, and the log says so once; of one that the file has no more
/// nothing is remembered.
#[test]
fn down_is_no() {
    let port = port::dead();
    let config = |path: &str| {
        let url = format!("http://{}/{path}?token=hidden", port.address());
        format!(
            "listen = \"127.0.0.1:0\"\nhttp_hooks.enabled = true\nhttp_hooks.on_publish = \"{url}\"\n"
        )
    };
    let server = Server::start(&config("a"));
    for _ in 0..5 {
        let why = refused(&server, "a");
        assert!(
            why.contains("on_publish did not say yes: it cannot be reached"),
            "{why}"
        );
    }
    let line = server.wait_log("on_publish at http://");
    assert!(line.contains("/a: it cannot be reached"), "{line}");
    assert_eq!(server.count_log("on_publish at http://"), 1);
    for path in ["b", "a"] {
        server.reload(&config(path), "SIGHUP: changed: http_hooks.on_publish");
        refused(&server, "a");
    }
    server.wait_log_times("/a: it cannot be reached", 2);
    assert_eq!(server.count_log("hidden"), 0);
    server.stop();
}

/// A server that says nothing is given up after 5 s; whoever publishes the same name meanwhile need not
/// wait for that.
#[test]
fn slow_is_no_and_holds_nobody_up() {
    let hooks = HookServer::start(|heard| match heard.json["param"].as_str() {
        Some("?slow") => Reply::Nothing,
        _ => Reply::yes(),
    });
    let server = server(&hooks, &["on_publish", "on_unpublish"]);
    thread::scope(|scope| {
        let asked = Instant::now();
        let slow = scope.spawn(|| refused(&server, "a?slow"));
        hooks.wait("on_publish", 1);
        let quick = publisher(&server, "a").unwrap();
        assert!(asked.elapsed() < Duration::from_secs(4), "it waited");
        let why = slow.join().unwrap();
        assert!(why.contains("it gave no answer in time"), "{why}");
        assert!((5..8).contains(&asked.elapsed().as_secs()), "{asked:?}");
        quick.unpublish();
    });
    // The slow one may have been a yes: it hears that this is over.
    let ends = hooks.wait("on_unpublish", 2);
    let mut params: Vec<_> = ends.iter().map(|end| end.text("param")).collect();
    params.sort_unstable();
    assert_eq!(params, ["", "?slow"]);
}

/// Who leaves while it is asked about is not waited for, and neither is it at a stop.
#[test]
fn who_leaves_is_not_asked_about_any_more() {
    let hooks = HookServer::start(|heard| match heard.action() {
        "on_publish" | "on_play" => Reply::Nothing,
        _ => Reply::yes(),
    });
    let server = server(&hooks, ALL);
    let asked = Instant::now();
    let address = server.address();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut connection = Connection::open(address).unwrap();
            connection.connect("live").unwrap();
            let create = connection.call(0, "createStream", &[Value::Null]);
            let stream = connection.answer(create).unwrap()[1].number();
            assert!((stream - 1.0).abs() < 0.1);
            connection.call(1, "publish", &[Value::Null, "a".into()]);
            hooks.wait("on_publish", 1);
        });
    });
    let publisher = hooks.wait("on_publish", 1)[0].text("client_id").to_owned();
    let end = &hooks.wait("on_unpublish", 1)[0];
    assert_eq!(end.text("client_id"), publisher);
    assert!(
        asked.elapsed() < Duration::from_secs(4),
        "it was waited for"
    );
    // And one that stays until the server stops.
    let mut client = http::Client::open(server.http_address());
    client.send("GET /live/a.flv HTTP/1.1\r\nHost: h\r\n\r\n");
    hooks.wait("on_play", 1);
    server.stop();
    hooks.wait("on_stop", 1);
}

/// All are asked in turn; the first no is one, and whoever has said yes before hears that it is over.
#[test]
fn the_first_no_counts() {
    let [one, two, three] = [(); 3].map(|()| {
        HookServer::start(|heard| match heard.json["stream"].as_str() {
            Some(name) if heard.target.contains(name) => Reply::status("200 OK", "1"),
            _ => Reply::yes(),
        })
    });
    let urls: Vec<_> = [&one, &two, &three]
        .iter()
        .zip(["one", "two", "three"])
        .map(|(hook, name)| format!("\"http://{}/{name}\"", hook.address))
        .collect();
    let urls = urls.join(", ");
    let config =
        format!("[http_hooks]\nenabled = true\non_publish = [{urls}]\non_unpublish = [{urls}]\n");
    let server = Server::origin(&config);
    refused(&server, "two");
    one.wait("on_unpublish", 1);
    two.wait("on_unpublish", 1);
    three.wait("on_unpublish", 1);
    assert_eq!(
        [&one, &two, &three].map(|hook| hook.count("on_publish")),
        [1, 1, 0]
    );
    refused(&server, "one");
    assert_eq!(
        [&one, &two, &three].map(|hook| hook.count("on_publish")),
        [2, 1, 0]
    );
    publisher(&server, "a").unwrap().unpublish();
    three.wait("on_unpublish", 2);
    assert_eq!(
        [&one, &two, &three].map(|hook| hook.count("on_publish")),
        [3, 2, 1]
    );
    // Of a clear no that came first, nothing is over.
    assert_eq!(one.wait("on_unpublish", 2).len(), 2);
}

/// What `[security]` refuses is not asked about.
#[test]
fn keys_come_first() {
    let hooks = HookServer::yes();
    let keys = "[security]\nkeys = [\"publish * studio-key\"]\n";
    let server = Server::origin(&format!("{}{keys}", hooks.config(ALL)));
    assert!(publish(server.address(), "live", "a?key=another-key").is_err());
    publisher(&server, "a?key=studio-key").unwrap();
    assert_eq!(hooks.wait("on_publish", 1).len(), 1);
}

/// A vhost without hooks asks nobody, and one with its own asks these, by its name.
#[test]
fn the_hooks_of_a_vhost_are_asked_about_it_and_no_others() {
    let hooks = HookServer::start(|_| Reply::status("200 OK", "1"));
    let config = hooks.config(&["on_publish"]);
    let server = Server::origin(&config.replace("[http_hooks]", "[vhost.\"a.test\".http_hooks]"));
    publisher(&server, "a").unwrap();
    refused(&server, "a?vhost=a.test");
    let heard = hooks.wait("on_publish", 1);
    assert_eq!(heard[0].text("vhost"), "a.test");
    assert_eq!(heard[0].text("stream_url"), "a.test/live/a");
}

/// Who names another vhost with the stream than with `connect` comes to that, too: its hook is asked, once
/// and before the others, and told of the end.
#[test]
fn who_names_a_vhost_late_is_asked_about_there() {
    let [default, other] = [(); 2].map(|()| {
        HookServer::start(
            |heard| match (heard.action(), heard.json["param"].as_str()) {
                ("on_connect", Some("?vhost=a.test&no")) => Reply::status("200 OK", "1"),
                _ => Reply::yes(),
            },
        )
    });
    let of_vhost = other.config(ALL);
    let of_vhost = of_vhost.replace("[http_hooks]", "[vhost.\"a.test\".http_hooks]");
    let server = Server::origin(&format!("{}{of_vhost}", default.config(ALL)));
    let why = refused(&server, "x?vhost=a.test&no");
    assert!(why.starts_with("on_connect did not say yes"), "{why}");
    let mut player = play(server.address(), "live", "x?vhost=a.test&no");
    let status = player.wait_told("NetStream.Play.StreamNotFound");
    let why = &status.description;
    assert!(why.starts_with("on_connect did not say yes"), "{why}");
    assert_eq!(other.heard().len(), 2);

    let mut publisher = publisher(&server, "x?vhost=a.test&yes").unwrap();
    play(server.address(), "live", "x?vhost=a.test").frame();
    let arguments = [Value::Null, Value::Number(publisher.stream.into())];
    publisher.connection.call(0, "deleteStream", &arguments);
    other.wait("on_unpublish", 1);
    let again = publish_on(publisher.connection, "y?vhost=a.test").unwrap();
    drop(again);
    // Its host is not quoted, but counts.
    let url = format!("rtmp://a.test/{}", "a".repeat(5000));
    let more = [("tcUrl", url.as_str().into())];
    drop(publish_with(server.address(), "live", "z", &more).unwrap());
    other.wait("on_close", 3);
    default.wait("on_close", 5);
    let heard = other.heard();
    for (stream, expected) in [
        ("x", "on_publish on_unpublish on_publish on_unpublish"),
        ("x", "on_play on_stop"),
        ("z", "on_publish on_unpublish"),
    ] {
        let expected = format!("on_connect {expected} on_close");
        let its = |one: &&Heard| of_client(&heard, one.text("client_id")).join(" ") == expected;
        let first = heard.iter().find(its).unwrap();
        assert_eq!(first.text("vhost"), "a.test");
        assert_eq!(first.text("stream"), stream);
    }
    let heard = default.heard();
    for one in &heard {
        assert_eq!(
            of_client(&heard, one.text("client_id")),
            ["on_connect", "on_close"]
        );
    }
}
