#![cfg(test)]
//! How long an HTTP connection may take, how many there may be, and the page at `/`.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test fails the test"
)]

mod support;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use support::http::{self, Client};
use support::peer::{Player, publishing};
use support::server::Server;

/// Waits, and fails the test unless it took about `seconds`.
fn takes(seconds: u64, wait: impl FnOnce()) {
    let begun = Instant::now();
    wait();
    let least = Duration::from_millis(seconds * 1000 - 500);
    let taken = begun.elapsed();
    assert!(
        taken > least && taken < least + Duration::from_secs(5),
        "{taken:?}"
    );
}

/// Side by side, since they wait.
#[test]
fn every_wait_has_an_end() {
    thread::scope(|scope| {
        scope.spawn(a_slow_head_is_ended);
        scope.spawn(a_silent_connection_is_ended_without_a_word);
        scope.spawn(a_connection_may_be_idle_for_a_while);
        scope.spawn(who_takes_nothing_is_let_go);
    });
}

fn a_slow_head_is_ended() {
    let server = Server::origin(http::CONFIG);
    let mut client = Client::open(server.http_address());
    client
        .socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    takes(10, || {
        // A byte now and then does not help.
        client.send("GET / HTTP/1.1\r\nX: ");
        while client.socket.peek(&mut [0]).is_err() {
            client.send("y");
        }
    });
    assert_eq!(client.response(true).status, 408);
    assert!(client.is_closed());
}

fn a_silent_connection_is_ended_without_a_word() {
    let server = Server::origin(http::CONFIG);
    let mut client = Client::open(server.http_address());
    takes(10, || assert!(client.is_closed()));
}

fn a_connection_may_be_idle_for_a_while() {
    let server = Server::origin(http::CONFIG);
    let mut client = Client::open(server.http_address());
    client
        .socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    client.response(false);
    takes(30, || assert!(client.is_closed()));
}

fn who_takes_nothing_is_let_go() {
    let server = Server::origin(http::CONFIG);
    let address = server.http_address();
    fs::write(server.directory().join("html/large"), vec![0; 600 * 1024]).unwrap();
    let before = server.descriptors();
    let mut client = Client::open(address).shrink();
    client.send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
    support::eventually("it is served", || server.descriptors() > before);
    takes(20, || {
        // Longer than `eventually` waits.
        while server.descriptors() > before {
            thread::sleep(Duration::from_millis(50));
        }
    });
}

#[test]
fn http_leaves_room_for_rtmp_and_says_when_there_is_none() {
    let server = Server::origin(&format!("max_connections = 4\n{}", http::CONFIG));
    let address = server.http_address();
    let mut clients: Vec<_> = (0..3).map(|_| Client::open(address)).collect();
    for client in &mut clients {
        client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(client.response(false).status, 200);
    }
    for _ in 0..100 {
        let response = http::get(address, "/");
        assert_eq!(response.status, 503);
        assert_eq!(response.field("Access-Control-Allow-Origin"), Some("*"));
        assert_eq!(response.field("Retry-After"), Some("1"));
    }
    drop(Player::open(server.address(), "live", None));
    drop(clients.pop());
    support::eventually("there is room again", || {
        http::get(address, "/").status == 200
    });
}

#[test]
fn the_page_lists_what_is_live_unless_there_is_another() {
    let server = Server::origin(http::CONFIG);
    let address = server.http_address();
    let publishers = ["b", "a.-_"].map(|name| publishing(server.address(), name));
    let page = http::get(address, "/");
    let text = String::from_utf8(page.body.clone()).unwrap();
    let a = text
        .find("<a href=\"/live/a.-_.flv\">live/a.-_</a>")
        .unwrap();
    let b = text.find("<a href=\"/live/b.flv\">live/b</a>").unwrap();
    assert!(a < b, "{text}");
    let policy = page.field("Content-Security-Policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    drop(publishers);
    support::eventually("the list is empty", || {
        !String::from_utf8(http::get(address, "/").body)
            .unwrap()
            .contains("<li>")
    });
    fs::write(server.directory().join("html/index.html"), "mine").unwrap();
    assert_eq!(http::get(address, "/").body, b"mine");
}

#[test]
fn who_may_not_play_gets_no_streams_but_files() {
    let server = Server::origin(&format!(
        "[security]\ndeny = [\"play all\"]\n{}",
        http::CONFIG
    ));
    let address = server.http_address();
    let html = server.directory().join("html");
    fs::create_dir_all(html.join("live/s")).unwrap();
    for name in ["live/s.m3u8", "live/s/1.ts", "a.js"] {
        fs::write(html.join(name), "x").unwrap();
    }
    for path in ["/", "/live/s.m3u8", "/live/s/1.ts", "/live/s.flv"] {
        let response = http::get(address, path);
        assert_eq!(response.status, 403, "{path}");
        let why = String::from_utf8(response.body).unwrap();
        assert!(why.contains("play"), "{why}");
    }
    assert_eq!(http::get(address, "/a.js").status, 200);
}

#[test]
fn a_stop_does_not_wait_for_idle_connections() {
    let server = Server::origin(http::CONFIG);
    let mut client = Client::open(server.http_address());
    client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    client.response(false);
    server.stop();
    assert!(client.is_closed());
}
