//! HTTP hooks: who is asked and told, in which words, and what happens if the answer is another than
//! yes.
#![cfg(test)]
#![cfg(feature = "hooks")]

mod answers;
mod load;
mod recorded;
#[path = "../support/mod.rs"]
mod support;
mod told;
mod words;

use support::chunk::Status;
use support::hook_server::HookServer;
use support::http;
use support::peer::{Publisher, publish};
use support::server::Server;

const ALL: &[&str] = &[
    "on_connect",
    "on_close",
    "on_publish",
    "on_unpublish",
    "on_play",
    "on_stop",
];

/// A server that asks and tells about these, with HTTP.
fn server(hooks: &HookServer, actions: &[&str]) -> Server {
    Server::origin(&format!("{}{}", hooks.config(actions), http::CONFIG))
}

/// A publisher that has sent a group, which has been read.
fn publisher(server: &Server, name: &str) -> Result<Publisher, Status> {
    let mut publisher = publish(server.address(), "live", name)?;
    publisher.send_headers(0);
    publisher.send_group(1, 3);
    publisher.await_read();
    Ok(publisher)
}

/// Why this name may not be published.
fn refused(server: &Server, name: &str) -> String {
    let status = publish(server.address(), "live", name).unwrap_err();
    assert_eq!(status.code, "NetStream.Publish.BadName");
    status.description
}
