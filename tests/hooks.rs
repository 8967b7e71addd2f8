#![cfg(test)]
#![cfg(feature = "hooks")]
//! HTTP hooks: who is asked and told, in which words, and what happens if the answer is another than
//! yes.

mod support;

use support::chunk::Status;
use support::hook_server::{Heard, HookServer};
use support::http::{self, FlvPlayer};
use support::peer::{Publisher, play, publish};
use support::server::Server;

const ALL: &[&str] = &[
    "on_connect",
    "on_close",
    "on_publish",
    "on_unpublish",
    "on_play",
    "on_stop",
];

/// A publisher that has sent a group, which has been read.
fn publisher(server: &Server, name: &str) -> Result<Publisher, Status> {
    let mut publisher = publish(server.address(), "live", name)?;
    publisher.send_headers(0);
    publisher.send_group(1, 3);
    publisher.await_read();
    Ok(publisher)
}

/// What is heard of one client.
fn of_client<'h>(heard: &'h [Heard], id: &str) -> Vec<&'h str> {
    let its = heard.iter().filter(|one| one.text("client_id") == id);
    its.map(Heard::action).collect()
}

/// Everybody who comes and goes is asked about and told of, once and in order.
#[test]
fn who_comes_and_goes_is_heard_of() {
    let hooks = HookServer::yes();
    let server = Server::origin(&format!("{}{}", hooks.config(ALL), http::CONFIG));
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
    let publisher = hooks.wait("on_publish", 1)[0].text("client_id").to_owned();
    let expected = ["on_connect", "on_publish", "on_unpublish", "on_close"];
    assert_eq!(of_client(&heard, &publisher), expected);
    let plays = hooks.wait("on_play", 2);
    for (index, expected) in [
        &["on_connect", "on_play", "on_stop", "on_close"][..],
        &["on_play", "on_stop"],
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(of_client(&heard, plays[index].text("client_id")), expected);
    }
    assert_eq!(plays[1].text("param"), "?c=d");
    server.stop();
    assert_eq!(hooks.heard().len(), heard.len());
}
