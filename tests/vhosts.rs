#![cfg(test)]
//! Which vhost a request is for, that streams of two do not mix, and what each has of its own.

mod support;

use std::fs;

use support::chunk::Status;
use support::connection::Connection;
use support::eventually;
use support::hls::send;
use support::http::{Client, Response};
use support::media;
use support::origin::Origin;
use support::peer::{Player, Publisher, play, publish_with};
use support::server::Server;
use support::siblings::Meeting;

const CONFIG: &str = concat!(
    "listen = \"127.0.0.1:0\"
[play]
play_wait = 0.2
",
    include_str!("support/http.conf"),
    "[hls]
enabled = true
hls_path = \"html\"
hls_fragment = 1
[vhost.\"a.test\".security]
keys = [\"play * members-key\"]
[vhost.\"B.test\".play]
gop_cache = false
[vhost.\"B.test\".publish]
republish = \"takeover\"
[vhost.\"B.test\"]
hls.enabled = false
http_remux.enabled = false
[vhost.\"off.test\"]
enabled = false
"
);

fn publish(server: &Server, url: &str, app: &str, name: &str) -> Result<Publisher, Status> {
    let mut publisher = publish_with(server.address(), app, name, &[("tcUrl", url.into())])?;
    publisher.send_headers(0);
    publisher.send_group(1, 3);
    publisher.await_read();
    Ok(publisher)
}

/// URL, application and name as clients send them, and where the stream is then.
#[test]
fn a_request_is_for_one_vhost() {
    let server = Server::start(CONFIG);
    let cases = [
        ("rtmp://a.test/live", "live", "x1", "a.test/live/x1"),
        ("rtmp://A.Test:1935/live", "live", "x2", "a.test/live/x2"),
        ("rtmp://b.test/live", "live", "x3", "b.test/live/x3"),
        (
            "rtmp://127.0.0.1/live",
            "live?vhost=a.test",
            "x4",
            "a.test/live/x4",
        ),
        (
            "rtmp://127.0.0.1/live",
            "live",
            "x5?vhost=a.test",
            "a.test/live/x5",
        ),
        (
            "rtmp://127.0.0.1/live",
            "live",
            "x6?domain=A.TEST&k",
            "a.test/live/x6",
        ),
        (
            "rtmp://a.test/live",
            "live",
            "x7?vhost=b.test",
            "b.test/live/x7",
        ),
        ("rtmp://127.0.0.1/live", "live", "x8", "live/x8"),
        ("rtmp://unknown.test/live", "live", "x9", "live/x9"),
        ("rtmp://../live", "live", "x10?vhost=../a.test", "live/x10"),
        ("rtmp://a.test@b.test/live", "live", "x11", "live/x11"),
        (
            "rtmp://a.test/live",
            "live",
            "x12?vhost=__defaultVhost__",
            "live/x12",
        ),
        ("nonsense", "live", "x13", "live/x13"),
    ];
    for (url, app, name, path) in cases {
        let publisher = publish(&server, url, app, name).unwrap();
        server.wait_log(&format!("publishes {path}"));
        drop(publisher);
    }
}

#[test]
fn who_asks_for_what_is_no_vhost_to_ask_is_told_why() {
    let server = Server::start(CONFIG);
    for (url, app, name, why) in [
        ("rtmp://off.test/live", "live", "y", "not enabled"),
        (
            "rtmp://127.0.0.1/",
            "live",
            "y?vhost=off.test",
            "not enabled",
        ),
        ("rtmp://127.0.0.1/", "a.test", "y", "a vhost has this name"),
        ("rtmp://127.0.0.1/", "A.test", "y", "a vhost has this name"),
    ] {
        let refused = publish(&server, url, app, name).unwrap_err();
        assert_eq!(refused.code, "NetStream.Publish.BadName", "{url}");
        assert!(refused.description.contains(why), "{refused:?}");
    }
}

fn plays(server: &Server, url: &str, name: &str) -> Result<u32, String> {
    let mut connection = Connection::open(server.address()).unwrap();
    connection
        .connect_with("live", &[("tcUrl", url.into())])
        .unwrap();
    let mut player = Player::on(connection);
    player.play(name);
    loop {
        match player.receive() {
            Ok(message) => {
                if let Some(number) = media::number(&message) {
                    return Ok(number);
                }
            }
            Err(end) => {
                let told = player.told.iter().find(|status| status.level == "error");
                return Err(
                    told.map_or_else(|| format!("{end:?}"), |told| told.description.clone())
                );
            }
        }
    }
}

fn ask(server: &Server, host: &str, path: &str) -> Response {
    let mut client = Client::open(server.http_address());
    client.send(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    client.response(true)
}

/// `live/x` of the default vhost and `live/x` of a.test, which needs a key to be played: each by its own
/// name, and by no other.
#[test]
fn streams_of_two_vhosts_do_not_mix() {
    let server = Server::start(CONFIG);
    let mut own = publish(&server, "rtmp://a.test/live", "live", "x").unwrap();
    own.send_group(100, 3);
    own.await_read();
    let key = "key=members-key";
    let number = |url: &str, name: &str| plays(&server, url, name);
    assert_eq!(number("rtmp://a.test/live", &format!("x?{key}")), Ok(100));
    for (url, name) in [
        ("rtmp://a.test/live", "x"),
        ("rtmp://a.test/live", "x?key=others-key"),
        ("rtmp://127.0.0.1/live", "x?vhost=a.test"),
    ] {
        let why = number(url, name).unwrap_err();
        assert!(why.contains("key"), "{url} {name}: {why}");
    }
    let missing = number("rtmp://127.0.0.1/live", &format!("x?{key}")).unwrap_err();
    assert!(missing.contains("no such stream"), "{missing}");

    send(&mut own, 3000..8000);
    let file = server.directory().join("html/a.test/live/x.m3u8");
    eventually("HLS of a.test", || file.exists());
    let text = fs::read_to_string(&file).unwrap();
    let segment = text.lines().find(|line| !line.starts_with('#')).unwrap();
    assert!(segment.starts_with("x/"), "{segment}");
    for (host, directory) in [
        ("a.test", ""),
        ("A.TEST:80", ""),
        ("h", "/a.test"),
        ("off.test", "/A.test"),
    ] {
        for path in ["live/x.m3u8", "live/x.flv", &format!("live/{segment}")] {
            let path = format!("{directory}/{path}");
            assert_eq!(ask(&server, host, &path).status, 403, "{host} {path}");
        }
        let path = format!("{directory}/live/x.m3u8?{key}");
        let answer = ask(&server, host, &path);
        assert_eq!(answer.status, 200, "{host} {path}");
        let listed = String::from_utf8(answer.body).unwrap();
        assert!(listed.contains(&format!("{segment}?{key}")), "{listed}");
        let path = format!("{directory}/live/{segment}?{key}");
        assert_eq!(ask(&server, host, &path).status, 200, "{host} {path}");
    }
    // The query goes on with the segments.
    let listed = ask(&server, "h", &format!("/live/x.m3u8?vhost=a.test&{key}"));
    let listed = String::from_utf8(listed.body).unwrap();
    let uri = format!("{segment}?vhost=a.test&{key}");
    assert!(listed.contains(&uri), "{listed}");
    assert_eq!(ask(&server, "h", &format!("/live/{uri}")).status, 200);
    for (host, path, status) in [
        ("h", "/live/x.m3u8", 404),
        ("h", "/live/x.flv", 404),
        ("b.test", "/live/x.m3u8", 404),
        ("off.test", "/live/x.m3u8", 403),
        ("h", "/off.test/live/x.m3u8", 403),
        ("h", "/a.test/x.m3u8", 403),
        ("h", "/live/x.m3u8?vhost=a.test", 403),
    ] {
        assert_eq!(ask(&server, host, path).status, status, "{host} {path}");
    }
}

/// Nobody may say any more who plays them. Files that no stream wrote lie the same way, and are served.
#[test]
fn files_of_a_vhost_that_is_gone_are_not_served() {
    let server = Server::start(CONFIG);
    let mut publisher = publish(&server, "rtmp://a.test/live", "live", "x").unwrap();
    send(&mut publisher, 3000..8000);
    let html = server.directory().join("html");
    let file = html.join("a.test/live/x.m3u8");
    eventually("HLS of a.test", || file.exists());
    let text = fs::read_to_string(&file).unwrap();
    let segment = text.lines().find(|line| !line.starts_with('#')).unwrap();
    for name in ["x.m3u8", segment] {
        let file = html.join("other/live").join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::copy(html.join("a.test/live").join(name), file).unwrap();
    }
    let gone = CONFIG.replace("a.test", "c.test");
    server.reload(&gone, "SIGHUP: changed");
    for (path, status) in [("a.test", 404), ("A.test", 404), ("other", 200)] {
        for name in ["x.m3u8", segment] {
            let path = format!("/{path}/live/{name}");
            assert_eq!(ask(&server, "h", &path).status, status, "{path}");
        }
    }
}

#[test]
fn a_vhost_has_what_its_blocks_say() {
    let server = Server::start(CONFIG);
    let url = "rtmp://b.test/live";
    let first = publish(&server, url, "live", "x").unwrap();
    // It lets another one take over, and the default vhost does not.
    let _second = publish(&server, url, "live", "x").unwrap();
    drop(first);
    let _own = publish(&server, "rtmp://h/live", "live", "x").unwrap();
    assert!(publish(&server, "rtmp://h/live", "live", "x").is_err());
    assert_eq!(ask(&server, "b.test", "/live/x.flv").status, 404);
    assert!(!server.directory().join("html/b.test").exists());
}

/// Of two that end at the same time, only that of the vhost that says so.
#[test]
fn a_vhost_says_when_its_files_go() {
    let more = "[vhost.\"c.test\".hls]\nhls_dispose = 1\n";
    let server = Server::start(&format!("{CONFIG}{more}"));
    let html = server.directory().join("html");
    let [stays, goes] = [("h", "live"), ("c.test", "c.test/live")].map(|(host, directory)| {
        let mut publisher = publish(&server, &format!("rtmp://{host}/live"), "live", "x").unwrap();
        send(&mut publisher, 3000..6000);
        let playlist = html.join(directory).join("x.m3u8");
        eventually("a playlist", || playlist.exists());
        playlist
    });
    eventually("it goes", || !goes.exists());
    assert!(stays.exists());
}

/// Two processes that share a port: each publishes a `live/x`, and plays that of the other by its vhost.
#[test]
fn siblings_keep_vhosts_apart() {
    let meeting = Meeting::new();
    let [one, other] = meeting.servers("[vhost.\"a.test\"]\n");
    let urls = ["rtmp://a.test/live", "rtmp://h/live"];
    let mut own = publish(&one, urls[0], "live", "x").unwrap();
    own.send_group(100, 3);
    own.await_read();
    let _default = publish(&other, urls[1], "live", "x").unwrap();
    for server in [&one, &other] {
        let numbers = urls.map(|url| plays(server, url, "x"));
        assert_eq!(numbers, [Ok(100), Ok(1)]);
        for url in urls {
            let refused = publish(server, url, "live", "x").unwrap_err();
            let why = &refused.description;
            assert!(why.contains("somebody else publishes"), "{why}");
        }
    }
}

/// What an origin is asked for by an edge, without what the client said in its query.
#[test]
fn an_edge_names_the_vhost_to_its_origin() {
    let origin = Origin::new();
    let more = "[vhost.\"a.test\"]\n[vhost.\"b.test\".cluster]\nvhost = \"same.[vhost]\"\n\
                [vhost.\"c.test\".cluster]\nvhost = \"same.edge.com\"\n";
    let edge = Server::edge(&[origin.address()], more);
    let address = format!("rtmp://{}/live", origin.address());
    for (name, url) in [
        ("x1?vhost=a.test&k=1", "rtmp://a.test/live"),
        ("x2?vhost=b.test&k=1", "rtmp://same.b.test/live"),
        ("x3?k=1&vhost=c.test", "rtmp://same.edge.com/live"),
        ("x4?vhost=d.test&k=1", address.as_str()),
    ] {
        let _player = play(edge.address(), "live", name);
        let asked = origin.await_asked();
        let (named, _) = name.split_once('?').unwrap();
        let named = format!("{named}?k=1");
        assert_eq!(asked.name, named);
        let named = asked.object.property("tcUrl").unwrap();
        assert_eq!(named.text(), url, "{name}");
    }
}

/// An edge and an origin with the same vhosts.
#[test]
fn a_stream_of_a_vhost_comes_through_an_edge() {
    let vhosts = "[vhost.\"a.test\"]\n";
    let origin = Server::origin(vhosts);
    let edge = Server::edge(&[origin.address()], vhosts);
    let mut publisher = publish(&edge, "rtmp://a.test/live", "live", "x").unwrap();
    origin.wait_log("publishes a.test/live/x");
    publisher.send_group(100, 3);
    publisher.await_read();
    assert_eq!(plays(&edge, "rtmp://a.test/live", "x"), Ok(100));
    assert_eq!(plays(&origin, "rtmp://h/live", "x?vhost=a.test"), Ok(100));
}
