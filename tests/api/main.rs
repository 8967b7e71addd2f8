//! The HTTP API: what it says, to whom, and of all processes that share a port.
#![cfg(feature = "api")]
#![cfg(test)]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "an overflow in a test fails the test"
)]

#[path = "../support/mod.rs"]
mod support;

mod figures;
mod metrics;
mod requests;
mod siblings;
mod status;

use std::net::SocketAddr;

use serde_json::Value;

use support::http::{Client, Response};

/// An origin's, with everything that the API tells of.
const CONFIG: &str = concat!(
    include_str!("../support/http.conf"),
    "[hls]
enabled = true
hls_path = \"html\"
hls_fragment = 2
[http_api]
enabled = true
listen = \"127.0.0.1:0\"
"
);

/// One request without a body, with these fields.
fn ask(address: SocketAddr, what: &str, fields: &str) -> Response {
    ask_as(address, &address.to_string(), what, fields)
}

/// The same, of who calls it `host`.
fn ask_as(address: SocketAddr, host: &str, what: &str, fields: &str) -> Response {
    let mut client = Client::open(address);
    client.send(&format!("{what} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"));
    client.response(!what.starts_with("HEAD"))
}

/// A reply that is there.
fn json(address: SocketAddr, path: &str) -> Value {
    let response = ask(address, &format!("GET {path}"), "");
    assert_eq!(response.status, 200, "{path}");
    assert_eq!(response.field("Content-Type"), Some("application/json"));
    serde_json::from_slice(&response.body).unwrap()
}

/// The list of this name.
fn list(address: SocketAddr, name: &str) -> Vec<Value> {
    let reply = json(address, &format!("/api/v1/{name}?count=1000"));
    reply[name].as_array().unwrap().clone()
}

/// Whether a figure is right within five per cent.
#[track_caller]
fn assert_near(what: &str, figure: f64, truth: f64) {
    let off = (figure - truth).abs() / truth;
    assert!(off <= 0.05, "{what}: {figure}, not {truth}");
}
