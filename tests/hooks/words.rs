//! In which words, and in which order.

use serde_json::Value;

use crate::recorded::assert_fields;
use crate::support::amf::Value as Amf;
use crate::support::connection::Connection;
use crate::support::hook_server::{Heard, HookServer};
use crate::support::http::{Client, FlvPlayer};
use crate::support::peer::{play, publish_on};
use crate::{ALL, publisher, server};

/// What is heard of one client.
pub(crate) fn of_client<'h>(heard: &'h [Heard], id: &str) -> Vec<&'h str> {
    let its = heard.iter().filter(|one| one.text("client_id") == id);
    its.map(Heard::action).collect()
}

/// Everybody who comes and goes is asked about and told of, once, in order and in SRS's words.
#[test]
fn who_comes_and_goes_is_heard_of() {
    let hooks = HookServer::yes();
    let server = server(&hooks, ALL);
    let publisher = publisher(&server, "a?key=b").unwrap();
    let mut player = play(server.address(), "live", "a");
    player.frame();
    let mut flv = FlvPlayer::play(server.http_address(), "a.flv?c=d");
    flv.frame();
    drop((player, flv));
    hooks.wait("on_stop", 2);
    publisher.unpublish();
    hooks.wait("on_close", 2);
    let heard = hooks.heard();
    heard.iter().for_each(assert_fields);
    let publisher = hooks.wait("on_publish", 1)[0].text("client_id").to_owned();
    let expected = ["on_connect", "on_publish", "on_unpublish", "on_close"];
    assert_eq!(of_client(&heard, &publisher), expected);
    let plays = hooks.wait("on_play", 2);
    let [rtmp, flv] = [0, 1].map(|index| of_client(&heard, plays[index].text("client_id")));
    assert_eq!(rtmp, ["on_connect", "on_play", "on_stop", "on_close"]);
    assert_eq!(flv, ["on_play", "on_stop"]);
    assert_eq!(plays[1].text("param"), "?c=d");
    assert_eq!(plays[1].text("stream_url"), "/live/a");
    server.stop();
    assert_eq!(hooks.heard().len(), heard.len());
}

/// What a peer says of itself is passed on as it is, secrets too, which no log shows.
#[test]
fn a_peer_is_quoted() {
    let hooks = HookServer::yes();
    let server = server(&hooks, ALL);
    let mut connection = Connection::open(server.address()).unwrap();
    let page = "http://page.example/\"\\\u{e9}?x";
    let more = [("pageUrl", Amf::from(page))];
    connection.connect_with("live?a=hidden", &more).unwrap();
    let publisher = publish_on(connection, "b?c=hidden&d=\"").unwrap();
    let connect = &hooks.wait("on_connect", 1)[0];
    assert_eq!(connect.text("pageUrl"), page);
    assert_eq!(connect.text("param"), "?a=hidden");
    assert_eq!(connect.text("stream"), "");
    let url = format!("rtmp://{}/live?a=hidden", server.address());
    assert_eq!(connect.text("tcUrl"), url);
    publisher.unpublish();
    for action in ["on_publish", "on_unpublish"] {
        let heard = &hooks.wait(action, 1)[0];
        assert_eq!(heard.text("param"), "?c=hidden&d=\"&a=hidden");
        assert_eq!((heard.text("stream"), heard.text("tcUrl")), ("b", &*url));
    }
    let mut client = Client::open(server.http_address());
    client.send("GET /live/no.flv?e=hidden HTTP/1.1\r\nHost: h:1\r\nReferer: http://p/\r\n\r\n");
    let play = &hooks.wait("on_play", 1)[0];
    assert_eq!(play.text("pageUrl"), "http://p/");
    assert_eq!(play.text("tcUrl"), "rtmp://__defaultVhost__/live");
    hooks.wait("on_close", 1);
    assert_eq!(server.count_log("hidden"), 0);
}

/// Bytes are those of the connection.
#[test]
fn a_close_counts_bytes() {
    let hooks = HookServer::yes();
    let server = server(&hooks, &["on_close"]);
    let mut publisher = publisher(&server, "a").unwrap();
    publisher.send_megabyte(10);
    publisher.unpublish();
    let close = &hooks.wait("on_close", 1)[0];
    assert_fields(close);
    let bytes = |name: &str| close.json[name].as_u64();
    assert!(bytes("recv_bytes").is_some_and(|bytes| (1_000_000..1_200_000).contains(&bytes)));
    assert!(bytes("send_bytes").is_some_and(|bytes| (3_000..10_000).contains(&bytes)));
    assert_eq!(close.json["stream"], Value::Null);
}
