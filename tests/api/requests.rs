//! Who is answered what.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use nix::sys::signal::Signal;
use serde_json::Value;
use srs_lite::limits;

use crate::support::connection::End;
use crate::support::eventually;
use crate::support::http::{Client, FlvPlayer, Response};
use crate::support::peer::{play, publishing};
use crate::support::server::Server;
use crate::{CONFIG, ask, ask_as, json, list};

/// An API alone, with more in its block.
fn origin(more: &str) -> Server {
    let api = "[http_api]\nenabled = true\nlisten = \"127.0.0.1:0\"\n";
    Server::origin(&format!("{api}{more}"))
}

#[test]
fn what_is_not_there_and_what_cannot_be_done() {
    let server = origin("");
    let at = server.api_address();
    let cases = [
        ("GET /api/v1/streams/x", 404, 2048, None),
        ("GET /api/v1/vhosts/x", 404, 2014, None),
        ("GET /api/v1/clients/x", 404, 2049, None),
        ("DELETE /api/v1/clients/x", 404, 2049, None),
        ("GET /api/v1/nothing", 404, 404, None),
        ("GET /api/v1/../v1/streams", 404, 404, None),
        (
            "DELETE /api/v1/streams/x",
            405,
            405,
            Some("GET, HEAD, OPTIONS"),
        ),
        (
            "DELETE /api/v1/clients",
            405,
            405,
            Some("GET, HEAD, OPTIONS"),
        ),
        ("DELETE /metrics", 405, 405, Some("GET, HEAD, OPTIONS")),
    ];
    for (what, status, code, allow) in cases {
        let response = ask(at, what, "");
        assert_eq!(response.status, status, "{what}");
        assert_eq!(response.field("Allow"), allow, "{what}");
        let reply: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(reply["code"], code, "{what}");
    }
    let elsewhere = ask(at, "GET /live/a.flv", "");
    assert_eq!(elsewhere.status, 404, "there is no HTTP server");
    let post = ask(at, "POST /api/v1/streams", "");
    assert_eq!(post.status, 405);
    assert_eq!(post.field("Allow"), Some("GET, HEAD, OPTIONS, DELETE"));
    for path in [
        "/api/",
        "/api/v1",
        "/api/v1/",
        "/api/v1/streams/",
        "/api/v1/overview",
    ] {
        assert!(json(at, path).is_object(), "{path}");
    }
    let head = ask(at, "HEAD /api/v1/streams", "");
    assert_eq!(
        (head.status, head.field("Access-Control-Allow-Origin")),
        (200, None)
    );
    let options = ask(at, "OPTIONS /api/v1/clients/x", "");
    assert_eq!(options.status, 204);
    assert_eq!(options.field("Allow"), Some("GET, HEAD, OPTIONS, DELETE"));
    assert_eq!(options.field("Access-Control-Allow-Methods"), None);
}

#[test]
fn pages_of_other_sites_read_if_they_may_and_never_kick() {
    let server = origin("crossdomain = true\n");
    let at = server.api_address();
    let streams = ask(at, "GET /api/v1/streams", "");
    assert_eq!(streams.field("Access-Control-Allow-Origin"), Some("*"));
    let options = ask(at, "OPTIONS /api/v1/clients/x", "");
    let methods = options.field("Access-Control-Allow-Methods");
    assert_eq!(methods, Some("GET, HEAD, OPTIONS"));
    assert_eq!(by_name(at, "GET /api/v1/streams", "").status, 200);
    assert_eq!(by_name(at, "DELETE /api/v1/clients/x", "").status, 403);
}

/// A request to a name that somebody made lead here.
fn by_name(at: SocketAddr, what: &str, fields: &str) -> Response {
    ask_as(at, "evil.example", what, fields)
}

#[test]
fn without_a_password_a_name_is_told_no_but_for_metrics() {
    let server = Server::origin(CONFIG);
    let at = server.api_address();
    let mut publisher = publishing(server.address(), "a");
    publisher.send_group(1, 5);
    for what in [
        "GET /",
        "GET /srs-lite/page.js",
        "GET /live/a.flv",
        "GET /api/v1/streams",
        "GET /api/v1/overview?all=1",
        "DELETE /api/v1/clients/x",
        "DELETE /metrics",
    ] {
        let response = by_name(at, what, "");
        assert_eq!(response.status, 403, "{what}");
        let reply: Value = serde_json::from_slice(&response.body).unwrap();
        let why = reply["message"].as_str().unwrap();
        assert!(why.contains("set [http_api.auth]"), "{why}");
        assert_ne!(ask(at, what, "").status, 403, "{what}");
    }
    assert_eq!(by_name(at, "GET /metrics", "").status, 200);
    // As health checks do; no browser does.
    let mut client = Client::open(at);
    client.send("GET /api/v1/versions HTTP/1.0\r\n\r\n");
    assert_eq!(client.response(true).status, 200);
}

/// It asks for `a` and `b`.
const AUTH: &str = "[http_api.auth]\nenabled = true\nusername = \"a\"\npassword = \"b\"\n";
const LOGIN: &str = "Authorization: Basic YTpi\r\n";

#[test]
fn the_page_and_its_players_need_the_password() {
    let server = Server::origin(&format!("{CONFIG}{AUTH}"));
    let at = server.api_address();
    let mut publisher = publishing(server.address(), "a");
    publisher.send_group(1, 5);
    for path in ["/", "/srs-lite/page.js", "/live/a.m3u8", "/live/a.flv"] {
        assert_eq!(ask(at, &format!("GET {path}"), "").status, 401, "{path}");
    }
    // Without the page, `/` is not the list that the HTTP server has, which other sites may read.
    let page = ask(at, "GET /", LOGIN);
    let status = if cfg!(feature = "page") { 200 } else { 404 };
    assert_eq!(page.status, status);
    assert_eq!(page.field("Access-Control-Allow-Origin"), None);
    let mut player = Client::open(at);
    player.send(&format!(
        "GET /live/a.flv HTTP/1.1\r\nHost: {at}\r\n{LOGIN}\r\n"
    ));
    assert_eq!(player.response(false).status, 200);
    assert_eq!(player.take(3), b"FLV");
}

#[test]
fn who_needs_a_password_is_asked_and_guesses_ten_times() {
    let server = origin(AUTH);
    let at = server.api_address();
    let with = |login: &str| ask(at, "GET /api/v1/streams", login);
    let asked = with("");
    assert_eq!(asked.status, 401);
    assert!(
        asked
            .field("WWW-Authenticate")
            .unwrap()
            .starts_with("Basic ")
    );
    assert_eq!(with(LOGIN).status, 200);
    assert_eq!(ask(at, "GET /metrics", "").status, 401);
    let named = by_name(at, "GET /api/v1/streams", LOGIN);
    assert_eq!(named.status, 200);
    let deleted = |login| ask(at, "DELETE /api/v1/clients/x", login).status;
    assert_eq!((deleted(""), deleted(LOGIN)), (401, 404));
    for _ in 0..limits::MAX_WRONG_KEYS {
        assert_eq!(with("Authorization: Basic YTpj\r\n").status, 401);
    }
    assert_eq!(with(LOGIN).status, 403, "not even the right one now");
    let told = server.log().iter().any(|line| line.contains("YTp"));
    assert!(!told);
}

#[test]
fn lists_have_pages() {
    let server = Server::origin(CONFIG);
    let names: Vec<_> = (0..25).map(|index| format!("s{index:02}")).collect();
    let _publishers: Vec<_> = names
        .iter()
        .map(|name| publishing(server.address(), name))
        .collect();
    let at = server.api_address();
    let page = |query: &str| {
        let reply = json(at, &format!("/api/v1/streams?{query}"));
        let streams = reply["streams"].as_array().unwrap().clone();
        let name = |stream: &Value| stream["name"].as_str().unwrap().to_owned();
        streams.iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(page(""), names[..10]);
    assert_eq!(page("start=10"), names[10..20]);
    assert_eq!(page("start=20"), names[20..]);
    assert_eq!(page("start=3&count=15"), names[3..18]);
    assert_eq!(page("start=25"), [""; 0]);
    assert_eq!(page("count=100"), names);
    assert_eq!(list(at, "clients").len(), 25);
    assert_eq!(list(at, "vhosts")[0]["streams"], 25);
}

#[test]
fn a_client_is_ended_and_no_other() {
    let server = Server::origin(CONFIG);
    let at = server.api_address();
    let mut publisher = publishing(server.address(), "a");
    let mut first = play(server.address(), "live", "a");
    let ids = |kind: &str| -> Vec<String> {
        let clients = list(at, "clients");
        let of_kind = clients.iter().filter(|one| one["type"] == kind);
        let id = |one: &Value| one["id"].as_str().unwrap().to_owned();
        of_kind.map(id).collect()
    };
    eventually("a player", || ids("rtmp-play").len() == 1);
    let id = ids("rtmp-play").remove(0);
    let mut stays = play(server.address(), "live", "a");
    eventually("two players", || ids("rtmp-play").len() == 2);
    let path = format!("/api/v1/clients/{id}");
    assert_eq!(json(at, &path)["client"]["id"], id.as_str());
    let deleted = ask(at, &format!("DELETE {path}"), "");
    assert_eq!(deleted.status, 200);
    let reply: Value = serde_json::from_slice(&deleted.body).unwrap();
    assert_eq!(reply["code"], 0);
    let (_, end) = first.connection.drain();
    assert!(matches!(end, End::Reset | End::Closed), "{end:?}");
    eventually("one player", || ids("rtmp-play").len() == 1);
    assert!(!ids("rtmp-play").contains(&id));
    assert_eq!(ask(at, &format!("DELETE {path}"), "").status, 404);
    server.wait_log("the operator ended it");
    publisher.send_group(1, 5);
    stays.frames_until(6);

    // The name of one who published is free at once.
    let id = ids("fmle-publish").remove(0);
    ask(at, &format!("DELETE /api/v1/clients/{id}"), "");
    eventually("nobody publishes", || ids("fmle-publish").is_empty());
    let mut again = publishing(server.address(), "a");
    again.send_group(7, 5);
    stays.frames_until(12);
}

/// Its own places: players do not lock it out, wherever they play, nor it them.
#[test]
fn the_api_has_places_of_its_own() {
    let most = limits::MAX_API_CONNECTIONS_PER_ADDRESS;
    let players = most + 2;
    let max = players * 4 / limits::HTTP_QUARTERS;
    let server = Server::origin(&format!("max_connections = {max}\n{CONFIG}"));
    let at = server.api_address();
    let mut publisher = publishing(server.address(), "a");
    publisher.send_group(1, 5);
    // One that asks the API first, and one too many for it.
    let mut asks = Client::open(at);
    asks.send(&format!(
        "GET /api/v1/versions HTTP/1.1\r\nHost: {at}\r\n\r\n"
    ));
    assert_eq!(asks.response(true).status, 200);
    let mut plays = vec![FlvPlayer::asked(asks, "a.flv")];
    plays.extend((1..players).map(|_| FlvPlayer::play(at, "a.flv")));
    // Who has its head may not be listed yet.
    eventually("all play", || list(at, "clients").len() == 1 + players);
    assert_eq!(ask(at, "GET /live/a.flv", "").status, 503, "it is full");

    let mut clients = Vec::new();
    // The connection before is about to end.
    eventually("all places of an address are taken", || {
        let mut client = Client::open(at);
        client.send(&format!(
            "GET /api/v1/versions HTTP/1.1\r\nHost: {at}\r\n\r\n"
        ));
        if client.response(true).status == 200 {
            clients.push(client);
        }
        clients.len() == most
    });
    assert_eq!(ask(at, "GET /api/v1/versions", "").status, 503);
    drop(clients);
    eventually("there is room again", || {
        ask(at, "GET /api/v1/versions", "").status == 200
    });
}

#[test]
fn a_stop_does_not_wait_for_who_asks() {
    let server = Server::origin(CONFIG);
    let at = server.api_address();
    let (stop, asked) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        for path in [
            "/api/v1/streams",
            "/api/v1/summaries",
            "/metrics",
            "/api/v1/overview?all=1",
        ] {
            let (stop, asked) = (&stop, &asked);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    // Until it stops, and then nobody listens.
                    let Ok(mut client) = std::panic::catch_unwind(|| Client::open(at)) else {
                        return;
                    };
                    let request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\n\r\n");
                    for _ in 0..50 {
                        let answered =
                            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                                client.send(&request);
                                client.response(true).status
                            }));
                        if answered.is_err() {
                            break;
                        }
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        eventually("many answers", || asked.load(Ordering::Relaxed) > 500);
        server.stop_by(Signal::SIGINT);
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn vhosts_are_listed_whether_anything_is_there_or_not() {
    let named = "[vhost.\"a.test\"]\nenabled = false\n[vhost.\"b.test\".hls]\nenabled = true\n";
    let server = origin(named);
    let vhosts = list(server.api_address(), "vhosts");
    let rows = vhosts.iter().map(|vhost| {
        let hls = vhost["hls"]["enabled"].as_bool().unwrap();
        let enabled = vhost["enabled"].as_bool().unwrap();
        (vhost["name"].as_str().unwrap(), enabled, hls)
    });
    let rows: Vec<_> = rows.collect();
    let expected = [
        ("__defaultVhost__", true, false),
        ("a.test", false, false),
        ("b.test", true, true),
    ];
    assert_eq!(rows, expected);
}
