//! What SRS 7.0.18 posted when the same clients came, beside what we post.

use std::fs;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::support::hls::send;
use crate::support::hook_server::{Heard, HookServer};
use crate::support::http::{self, Client, FlvPlayer};
use crate::support::peer::{play, publishing};
use crate::support::server::Server;
use crate::{ALL, publisher};

/// Its requests: of ffmpeg, which published, of one player over RTMP and one over HTTP-FLV; at the end, some
/// of a vhost. It ran in `/srv`; its RTMP port is written as 1935 throughout.
static RECORDED: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let text = fs::read_to_string("tests/hooks/recorded.json").unwrap();
    serde_json::from_str(&text).unwrap()
});

/// What differs, as the README says: the value, not the type.
const DIFFERS: [(&str, &str); 5] = [
    // SRS asks when the stream is known.
    ("on_connect", "stream"),
    ("on_connect", "param"),
    // It has all segments in one directory, and counts them from 0.
    ("on_hls", "file"),
    ("on_hls", "url"),
    ("on_hls", "seq_no"),
];

/// What another run would say otherwise.
const OF_THE_RUN: [&str; 8] = [
    "server_id",
    "service_id",
    "client_id",
    "stream_id",
    "send_bytes",
    "recv_bytes",
    "duration",
    "cwd",
];

/// The body of a request of SRS.
fn body(recorded: &Value) -> &Map<String, Value> {
    recorded["body"].as_object().unwrap()
}

/// Checks names and types of what a body says, and the head, by what SRS says of the same action.
pub(crate) fn assert_fields(heard: &Heard) {
    let theirs = RECORDED
        .iter()
        .find(|one| one["body"]["action"] == heard.action());
    let theirs = theirs.unwrap();
    let ours = heard.json.as_object().unwrap();
    assert_eq!(
        ours.keys().collect::<Vec<_>>(),
        body(theirs).keys().collect::<Vec<_>>()
    );
    for (name, value) in body(theirs) {
        let is_number = [value, &ours[name]].map(Value::is_number);
        let is_text = [value, &ours[name]].map(Value::is_string);
        assert_eq!(is_number[0], is_number[1], "{name}");
        assert_eq!(is_text[0], is_text[1], "{name}");
    }
    assert_ne!(heard.text("client_id"), "");
    let (method, _) = theirs["request"].as_str().unwrap().split_once(' ').unwrap();
    let line = format!("{method} /{} HTTP/1.1\r\n", heard.action());
    assert!(heard.head.starts_with(&line), "{}", heard.head);
    let json = theirs["fields"]["Content-Type"].as_str().unwrap();
    let json = format!("\r\nContent-Type: {json}\r\n");
    assert!(heard.head.contains(&json), "{}", heard.head);
}

/// Each member that follows from who comes has SRS's value.
#[test]
fn bodies_are_those_of_srs() {
    let hooks = HookServer::yes();
    let all = [ALL, &["on_hls"]].concat();
    let server = Server::origin(&format!(
        "{}{}[hls]\nenabled = true\nhls_path = \"./html\"\nhls_fragment = 1\n\
         [vhost.\"other.example\"]\nenabled = true\n",
        hooks.config(&all),
        http::CONFIG
    ));
    let mut publishes = publishing(server.address(), "livestream?token=5f0c21&a=1");
    send(&mut publishes, 0..1000);
    play(server.address(), "live", "livestream?who=rtmp").media();
    FlvPlayer::play(server.http_address(), "livestream.flv?who=flv").media();
    publishes.unpublish();
    let publishes = publisher(&server, "x?vhost=other.example&k=1").unwrap();
    let mut client = Client::open(server.http_address());
    client.send(
        "GET /live/x.flv?vhost=other.example&w=flv HTTP/1.1\r\nHost: h\r\n\
         Referer: http://p.example/x\r\n\r\n",
    );
    hooks.wait("on_play", 3);
    drop(client);
    publishes.unpublish();
    hooks.wait("on_stop", 3);
    hooks.wait("on_close", 3);
    hooks.wait("on_hls", 1);
    let (heard, port) = (hooks.heard(), server.address().port());
    for recorded in RECORDED.iter() {
        let (action, theirs) = (recorded["body"]["action"].as_str().unwrap(), body(recorded));
        let differs = |name: &str| OF_THE_RUN.contains(&name) || DIFFERS.contains(&(action, name));
        let of_it = |one: &&Heard| {
            assert_fields(one);
            let is_client = differs("param") || one.json["param"] == recorded["body"]["param"];
            one.action() == action && is_client
        };
        let ours = heard
            .iter()
            .find(of_it)
            .unwrap_or_else(|| panic!("{recorded}"));
        for (name, value) in theirs.iter().filter(|(name, _)| !differs(name)) {
            let value = value.as_str().unwrap();
            let value = value.replace(":1935/", &format!(":{port}/"));
            assert_eq!(ours.text(name), value, "{action} {name}");
        }
    }
    assert_differs(&heard);
}

/// What is said to differ does, and the README has it.
fn assert_differs(heard: &[Heard]) {
    let readme = fs::read_to_string("README.md").unwrap();
    for action in ["on_connect", "on_hls"] {
        let its = DIFFERS.iter().filter(|(of, _)| *of == action);
        let names: Vec<_> = its.map(|(_, name)| format!("`{name}`")).collect();
        let row = format!("| `{action}`: {} |", names.join(", "));
        assert!(readme.contains(&row), "{row}");
    }
    for (action, name) in DIFFERS {
        let theirs = RECORDED.iter().find(|one| one["body"]["action"] == action);
        let ours = heard.iter().find(|one| one.action() == action);
        assert_ne!(
            theirs.unwrap()["body"][name],
            ours.unwrap().json[name],
            "{action} {name}"
        );
    }
}
