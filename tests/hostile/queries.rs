//! Rows E6 and E7: what of a peer's words reaches an origin, and what the log.

use crate::support::amf::Value;
use crate::support::bystander::Bystander;
use crate::support::connection::Connection;
use crate::support::eventually;
use crate::support::http::{self, Client};
use crate::support::origin::{Asked, Origin};
use crate::support::peer::{play, publish};
use crate::support::server::Server;

/// `connect` with everything that could lead an edge somewhere else; then the command.
fn led_astray(edge: &Server, command: &str, name: &str) -> Connection {
    let mut connection = Connection::open(edge.address()).unwrap();
    let object = [
        ("app", "live"),
        (
            "tcUrl",
            "rtmp://elsewhere.invalid:1/other?vhost=elsewhere.invalid",
        ),
        ("swfUrl", "http://elsewhere.invalid/a.swf"),
        ("pageUrl", "http://elsewhere.invalid/"),
        ("host", "elsewhere.invalid"),
        ("vhost", "elsewhere.invalid"),
        ("origin", "rtmp://elsewhere.invalid/"),
        ("redirect", "rtmp://elsewhere.invalid/"),
        ("flashVer", "elsewhere.invalid"),
    ];
    let object = object.map(|(key, value)| (key, Value::from(value)));
    let call = connection.call(0, "connect", &[Value::object(&object)]);
    connection.answer(call).unwrap();
    let create = connection.call(0, "createStream", &[Value::Null]);
    connection.answer(create).unwrap();
    let arguments = [Value::Null, name.into(), "live".into()];
    connection.call(1, command, &arguments);
    connection
}

/// Waits until the origin is asked.
fn asked(origin: &Origin) -> Asked {
    let mut asked = None;
    eventually("it is asked", || {
        asked = origin.poll();
        asked.is_some()
    });
    asked.unwrap()
}

#[test]
fn e6_what_an_origin_hears_of_a_peer() {
    let good = Server::origin("[play]\nplay_wait = 0.2");
    let bystander = Bystander::on(Server::edge(&[good.address()], ""));
    // On an edge of its own: publishers go to any origin.
    let origin = Origin::new();
    let edge = Server::edge(&[origin.address()], "");
    for (command, name) in [("play", "played?key=a"), ("publish", "published?key=b")] {
        let _peer = led_astray(&edge, command, name);
        let asked = asked(&origin);
        assert_eq!(
            (asked.command.as_str(), asked.name.as_str()),
            (command, name)
        );
        let Value::Object(properties) = &asked.object else {
            panic!("{:?}", asked.object);
        };
        let url = format!("rtmp://{}/live", origin.address());
        for (key, value) in properties {
            let expected = match key.as_str() {
                "app" => "live",
                "tcUrl" => &url,
                "type" => "nonprivate",
                "flashVer" => "FMLE/3.0 (compatible; srs-lite)",
                "capsEx" | "fourCcList" | "srsLiteHops" => "",
                _ => panic!("{key} from where?"),
            };
            assert_eq!(value.text(), expected, "{key}");
        }
    }
    bystander.end("E6 | tcUrl, host, vhost and others of a peer | none of them reaches an origin");
}

#[test]
fn e7_no_query_is_in_the_log() {
    const SECRET: &str = "S3cretT0ken";
    let verbose = format!(
        "srs_log_level = \"verbose\"\n{}[play]\nplay_wait = 0.2",
        http::CONFIG
    );
    let good = Server::origin(&verbose);
    let origins = format!("listen = \"127.0.0.1:0\"\n{verbose}\n[cluster]\nmode = \"remote\"\n");
    let edge_of = |origin| Server::start(&format!("{origins}origin = [\"{origin}\"]"));
    let bystander = Bystander::on(edge_of(good.address()));
    let (origin, address) = (Origin::new(), bystander.address());
    let other = edge_of(origin.address());
    let with = |name: &str| format!("{name}?token={SECRET}&x={SECRET}");

    let publisher = publish(address, "live", &with("a")).unwrap();
    assert!(publish(address, "live", &with("a")).is_err());
    drop(publisher);
    for server in [&bystander.server, &good] {
        for name in ["missing", "../bad", ""] {
            assert!(publish(server.address(), "live", &with(name)).is_err() || name == "missing");
            play(server.address(), "live", &with(name)).wait_told("NetStream.Play.StreamNotFound");
        }
        play(server.address(), &with("live"), "b").wait_told("NetStream.Play.StreamNotFound");
        for path in ["a.flv", "a.m3u8", "a/1.ts", "../a", "a"] {
            let mut client = Client::open(server.http_address());
            let path = with(&format!("/live/{path}"));
            client.send(&format!(
                "GET {path} HTTP/1.1\r\nHost: h\r\nReferer: {path}\r\n\r\n"
            ));
            assert_eq!(client.response(true).status, 404);
        }
    }
    // An origin that says again what it was asked.
    for command in ["play", "publish"] {
        let mut peer = led_astray(&other, command, &with("echo"));
        let mut asked = asked(&origin);
        let said = asked.name.clone();
        asked.refuse_with("NetStream.Play.StreamNotFound", &said);
        drop(asked);
        other.wait_log("echo?...");
        if command == "publish" {
            assert_eq!(peer.status().unwrap().code, "NetStream.Publish.BadName");
        }
    }
    for server in [&bystander.server, &good, &other] {
        assert!(server.count_log("[DEBUG]") > 0, "not verbose");
        assert_eq!(server.count_log(SECRET), 0);
    }
    bystander.end("E7 | tokens in 30 requests, and one repeated by an origin | in no log");
}
