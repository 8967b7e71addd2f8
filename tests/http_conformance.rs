#![cfg(test)]
//! What HTTP says a server does with a request (RFC 9110, RFC 9112), and what ours does not: every
//! case on a connection of its own, against the real server.

mod support;

use std::fs;
use std::os::unix::fs::symlink;

use support::http::{self, Client};
use support::server::Server;

/// A request, its status, what becomes of the connection, and a line of the head or, after `=`, the
/// body. In a request `~` stands for ` HTTP/1.1|Host: h`, `|` ends a line, `^` is a line feed
/// alone; the empty line follows.
const CASES: &str = "
# methods
GET /ten.txt~ => 200 stays =0123456789
HEAD /ten.txt~ => 200 stays Content-Length: 10
HEAD /none~ => 404 stays
HEAD /~ => 200 stays Content-Type: text/html; charset=utf-8
OPTIONS /live/s.m3u8~ => 204 stays Access-Control-Allow-Headers: *
OPTIONS /none~ => 204 stays Allow: GET, HEAD, OPTIONS
OPTIONS *~ => 204 stays Allow: GET, HEAD, OPTIONS
POST /ten.txt~ => 405 closes Allow: GET, HEAD, OPTIONS
PUT /ten.txt~ => 405 closes Allow: GET, HEAD, OPTIONS
CONNECT h:80~ => 405 closes
get /ten.txt~ => 405 closes
TRACE /ten.txt~|X: y => 405 closes

# connections
GET /ten.txt~|Connection: close => 200 closes Connection: close
GET /ten.txt~|Connection: x, CLOSE => 200 closes
GET /ten.txt HTTP/1.0 => 200 closes Connection: close
GET /ten.txt HTTP/1.0|Connection: keep-alive => 200 stays Connection: keep-alive
|GET /ten.txt~ => 200 stays =0123456789

# heads
GET /ten.txt => 400 closes
GET  /ten.txt~ => 400 closes
GET /ten.txt HTTP/1.1 => 400 closes
GET /ten.txt~|Host: i => 400 closes
GET /ten.txt HTTP/1.1|Host : h => 400 closes
GET /ten.txt~|X: a| b => 400 closes
GET /ten.txt~|X: a\0b => 400 closes
GET /ten.txt~|X: a\rb => 400 closes
GET /ten.txt HTTP/1.1^Host: h^^ => 400 closes
GET /ten.txt~^X: y => 400 closes
GET /ten.txt~|novalue => 400 closes
\x03\0\0\0 => 400 closes
GET ten.txt~ => 400 closes
GET *~ => 400 closes
GET https://h/ten.txt~ => 400 closes
GET http://h:1/ten.txt~ => 200 stays =0123456789
GET /ten.txt HTTP/1.2|Host: h => 505 closes
PRI * HTTP/2.0 => 505 closes

# bodies
GET /ten.txt~|Content-Length: 0 => 200 stays =0123456789
GET /ten.txt~|Content-Length: 3||abc => 413 closes
GET /ten.txt~|Content-Length: x => 413 closes
GET /ten.txt~|Content-Length: 0|Content-Length: 9 => 413 closes
GET /ten.txt~|Transfer-Encoding: chunked||0| => 413 closes
GET /ten.txt~|Content-Length: 0|Transfer-Encoding: chunked||0| => 413 closes
POST /ten.txt~|Content-Length: 3||abc => 405 closes
GET /ten.txt~|Expect: 100-continue|Content-Length: 3 => 413 closes

# paths
GET /ten.txt?a=/../b~ => 200 stays =0123456789
GET /none~ => 404 stays Cache-Control: no-cache
GET /../secret~ => 404 stays
GET /live/../ten.txt~ => 404 stays
GET /%2e%2e/secret~ => 404 stays
GET /..%2fsecret~ => 404 stays
GET /%252e%252e/secret~ => 404 stays
GET /..\\secret~ => 404 stays
GET //ten.txt~ => 404 stays
GET /./ten.txt~ => 404 stays
GET /ten.txt/~ => 404 stays
GET /ten.txt/x~ => 404 stays
GET /ten%2etxt~ => 404 stays
GET /.hidden~ => 404 stays
GET /live~ => 404 stays
GET /live/~ => 404 stays
GET /live/s.m3u8.tmp~ => 404 stays
GET /live/s.lock~ => 404 stays
GET /link~ => 404 stays
GET /linked/secret~ => 404 stays
GET /pipe~ => 404 stays
GET /closed.txt~ => 200 stays

# types
GET /live/s.m3u8~ => 200 stays Cache-Control: no-cache
GET /live/s.m3u8~ => 200 stays Content-Type: application/vnd.apple.mpegurl
GET /live/s/7.ts~ => 200 stays Content-Type: video/mp2t
GET /live/s/7.ts~ => 200 stays Cache-Control: public, max-age=31536000, immutable
GET /ten.txt~ => 200 stays Cache-Control: no-cache
GET /empty~ => 200 stays Content-Type: application/octet-stream
GET /ten.txt~ => 200 stays X-Content-Type-Options: nosniff

# ranges
GET /ten.txt~|Range: bytes=2-4 => 206 stays =234
GET /ten.txt~|Range: bytes=2-4 => 206 stays Content-Range: bytes 2-4/10
GET /ten.txt~|Range: bytes=8- => 206 stays =89
GET /ten.txt~|Range: bytes=-2 => 206 stays =89
GET /ten.txt~|Range: bytes=8-99999999999999999999 => 206 stays =89
GET /ten.txt~|Range: bytes=10- => 416 stays Content-Range: bytes */10
GET /ten.txt~|Range: bytes=-0 => 416 stays
GET /empty~|Range: bytes=0- => 416 stays Content-Range: bytes */0
GET /ten.txt~|Range: bytes=0-1,3-4 => 200 stays =0123456789
GET /ten.txt~|Range: bytes=5-2 => 200 stays =0123456789
GET /ten.txt~|Range: lines=0-1 => 200 stays =0123456789
GET /ten.txt~|Range: bytes=0-1|If-Range: \"x\" => 200 stays =0123456789
HEAD /ten.txt~|Range: bytes=2-4 => 200 stays Content-Length: 10
GET /ten.txt~|If-None-Match: * => 304 stays
GET /none~|Range: bytes=2-4 => 404 stays
";

/// A server with these files.
fn serving() -> Server {
    let server = Server::origin(http::CONFIG);
    let html = server.directory().join("html");
    server.http_address();
    fs::write(server.directory().join("secret"), "secret").unwrap();
    fs::create_dir_all(html.join("live/s")).unwrap();
    for (name, content) in [
        ("ten.txt", "0123456789"),
        ("empty", ""),
        (".hidden", "secret"),
        ("closed.txt", "x"),
        ("live/s.m3u8", "#EXTM3U\n"),
        ("live/s.m3u8.tmp", "secret"),
        ("live/s.lock", "secret"),
        ("live/s/7.ts", "G"),
    ] {
        fs::write(html.join(name), content).unwrap();
    }
    symlink("ten.txt", html.join("link")).unwrap();
    symlink("..", html.join("linked")).unwrap();
    nix::unistd::mkfifo(&html.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    server
}

fn check(server: &Server, case: &str) {
    let (request, answer) = case.split_once(" => ").unwrap();
    let mut answer = answer.splitn(3, ' ');
    let status = answer.next().unwrap().parse().unwrap();
    let after = answer.next().unwrap();
    let expected = answer.next().unwrap_or_default();

    let mut client = Client::open(server.http_address());
    let request = request
        .replace('~', " HTTP/1.1|Host: h")
        .replace('|', "\r\n")
        .replace('^', "\n");
    client.send(&(request + "\r\n\r\n"));
    let response = client.response(!case.starts_with("HEAD"));
    assert_eq!(response.status, status, "{case}");
    assert_eq!(
        response.field("Access-Control-Allow-Origin"),
        Some("*"),
        "{case}"
    );
    assert!(response.field("Date").unwrap().ends_with(" GMT"), "{case}");
    let has_length = response.field("Content-Length").is_some();
    assert_eq!(has_length, !matches!(status, 204 | 304), "{case}");
    match expected.strip_prefix('=') {
        Some(body) => assert_eq!(response.body, body.as_bytes(), "{case}"),
        None => {
            let mut lines = response.head.lines();
            let found = expected.is_empty() || lines.any(|line| line == expected);
            assert!(found, "{case}: {}", response.head);
        }
    }
    assert!(
        !response.body.windows(6).any(|six| six == b"secret"),
        "{case}"
    );
    if after == "closes" {
        assert_eq!(response.field("Connection"), Some("close"), "{case}");
        assert!(client.is_closed(), "{case}: goes on");
    } else {
        assert_eq!(after, "stays");
        client.send("GET /ten.txt HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(client.response(true).body, b"0123456789", "{case}");
    }
}

#[test]
fn requests_get_what_the_standards_say() {
    let server = serving();
    let mut count = 0;
    for case in CASES.lines().filter(|case| case.contains(" => ")) {
        check(&server, case);
        count += 1;
    }
    assert!(count > 80, "{count} cases");
    server.stop();
}

#[test]
fn pipelined_requests_are_answered_in_order_however_they_are_cut() {
    let server = serving();
    let requests = "GET /ten.txt HTTP/1.1\r\nHost: h\r\n\r\nHEAD /ten.txt HTTP/1.1\r\nHost: h\r\n\r\n\
        GET /none HTTP/1.1\r\nHost: h\r\n\r\nGET /live/s/7.ts HTTP/1.1\r\nHost: h\r\n\r\n";
    for size in [1, 7, 40, requests.len()] {
        let mut client = Client::open(server.http_address());
        let bytes: Vec<char> = requests.chars().collect();
        for piece in bytes.chunks(size) {
            client.send(&piece.iter().collect::<String>());
        }
        assert_eq!(client.response(true).body, b"0123456789");
        assert_eq!(client.response(false).field("Content-Length"), Some("10"));
        assert_eq!(client.response(true).status, 404);
        assert_eq!(client.response(true).body, b"G");
    }
}

#[test]
fn heads_have_limits() {
    let server = serving();
    let padded = |length: usize| {
        let head = "GET /ten.txt HTTP/1.1\r\nHost: h\r\nX: ";
        format!("{head}{}\r\n\r\n", "y".repeat(length - head.len() - 4))
    };
    let fields = |count: usize| {
        let fields = "X: y\r\n".repeat(count - 1);
        format!("GET /ten.txt HTTP/1.1\r\nHost: h\r\n{fields}\r\n")
    };
    let long_target = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(8192));
    for (request, status) in [
        (padded(8192), 200),
        (padded(8193), 431),
        (fields(64), 200),
        (fields(65), 431),
        (long_target, 431),
        ("X".repeat(100_000), 431),
    ] {
        let mut client = Client::open(server.http_address());
        client.send(&request);
        assert_eq!(client.response(true).status, status);
    }
}

#[test]
fn validators_save_the_body() {
    let server = serving();
    let address = server.http_address();
    let first = http::get(address, "/ten.txt");
    let etag = first.field("ETag").unwrap();
    let modified = first.field("Last-Modified").unwrap();
    let ask = |fields: &str| {
        let mut client = Client::open(address);
        client.send(&format!(
            "GET /ten.txt HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n"
        ));
        client.response(true)
    };
    for fields in [
        format!("If-None-Match: {etag}"),
        format!("If-None-Match: \"x\", W/{etag}"),
        format!("If-Modified-Since: {modified}"),
    ] {
        let response = ask(&fields);
        assert_eq!((response.status, response.body), (304, vec![]), "{fields}");
    }
    let part = ask(&format!("Range: bytes=1-2\r\nIf-Range: {etag}"));
    assert_eq!((part.status, part.body), (206, b"12".to_vec()));
    let changed = format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {modified}");
    assert_eq!(ask(&changed).status, 200);

    // Another file under the name, of the same length.
    let html = server.directory().join("html");
    fs::write(html.join("new"), "9876543210").unwrap();
    fs::rename(html.join("new"), html.join("ten.txt")).unwrap();
    let response = ask(&format!("If-None-Match: {etag}"));
    assert_eq!(
        (response.status, response.body),
        (200, b"9876543210".to_vec())
    );
}

/// A megabyte, whole and in parts, byte for byte; and after that the connection goes on.
#[test]
fn large_files_arrive_whole_and_in_parts() {
    let server = serving();
    let content: Vec<u8> = (0..=250).cycle().take(1_000_003).collect();
    fs::write(server.directory().join("html/live/s/8.ts"), &content).unwrap();
    let mut client = Client::open(server.http_address());
    for (range, expected) in [
        ("bytes=0-", &content[..]),
        ("bytes=0-16383", &content[..16_384]),
        ("bytes=0-16384", &content[..16_385]),
        ("bytes=500000-", &content[500_000..]),
        ("bytes=-999999", &content[4..]),
        ("none", &content[..]),
    ] {
        client.send(&format!(
            "GET /live/s/8.ts HTTP/1.1\r\nHost: h\r\nRange: {range}\r\n\r\n"
        ));
        assert!(client.response(true).body == expected, "{range}");
    }
}

/// The served directory may come and go, and be a link; what is served is what is there.
#[test]
fn the_directory_is_looked_up_each_time() {
    let server = serving();
    let html = server.directory().join("html");
    let status = || http::get(server.http_address(), "/ten.txt").status;
    fs::rename(&html, server.directory().join("other")).unwrap();
    assert_eq!(status(), 404);
    symlink("other", &html).unwrap();
    assert_eq!(status(), 200);
}
