//! Rows N5 to N8: HTTP.

use std::fs;
use std::net::{Shutdown, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::bystander::Bystander;
use crate::support::eventually;
use crate::support::hls::{self, files};
use crate::support::http::{self, Client};
use crate::support::peer::publishing;

use super::names::serving;

/// The statuses of all answers to `requests`, until the server closes. In a request `~` stands for
/// ` HTTP/1.1|Host: h`, `|` ends a line, `^` is a line feed alone.
fn statuses(address: SocketAddr, requests: &str) -> Vec<u16> {
    let mut client = Client::open(address);
    let bytes = requests.replace('~', " HTTP/1.1|Host: h");
    client.send(&bytes.replace('|', "\r\n").replace('^', "\n"));
    // It may be closed already.
    let _gone = client.socket.shutdown(Shutdown::Write);
    let mut statuses = Vec::new();
    while !client.is_closed() {
        statuses.push(client.response(!requests.starts_with("HEAD")).status);
    }
    statuses
}

/// Requests and the statuses of all answers. Whoever took a body for a request, or a request for a
/// body, would answer twice, or not at all.
const ODD: &[(&str, &[u16])] = &[
    ("GET /ten.txt HTTP/1.1|Host: h", &[]),
    ("GET /ten.txt~|X: a| b||", &[400]),
    ("GET /ten.txt~|X: a^b||", &[400]),
    ("GET /ten.txt HTTP/1.1^Host: h^^", &[400]),
    (
        "GET /ten.txt~|Content-Length: 9|Transfer-Encoding: chunked||0||GET /ten.txt~||",
        &[413],
    ),
    ("GET /ten.txt~|Content-Length: 9||GET /ten.txt~||", &[413]),
    (
        "GET /ten.txt~|Transfer-Encoding: x||GET /ten.txt~||",
        &[413],
    ),
    ("GET /ten.txt~|Content-Length : 9||GET /ten.txt~||", &[400]),
    ("POST /ten.txt~|Content-Length: 9||GET /ten.txt~||", &[405]),
    ("OPTIONS *~||get /ten.txt~||GET /ten.txt~||", &[204, 405]),
    ("GET http://elsewhere:81/ten.txt~||", &[200]),
    ("GET file:///etc/passwd~||", &[400]),
    ("GET //ten.txt~||", &[404]),
    ("GET /%2e%2e/ten.txt~||", &[404]),
    ("HEAD /ten.txt~||", &[200]),
    ("CONNECT h:80~||", &[405]),
    ("GET /ten.txt||", &[400]),
    ("GET /ten.txt HTTP/0.9||", &[505]),
    ("PRI * HTTP/2.0||SM||", &[505]),
    (
        "GET /ten.txt~||GET /none~||GET /ten.txt~||",
        &[200, 404, 200],
    ),
    ("GET /ten.txt~|Range: bytes=0-1,3-4||", &[200]),
    ("GET /ten.txt~|Range: bytes=5-2||", &[200]),
    ("GET /ten.txt~|Range: bytes=-99999999999999999999||", &[206]),
    ("GET /ten.txt~|Range: bytes=99999999999999999999-||", &[416]),
    ("GET /ten.txt~|Range: bytes=-0||", &[416]),
];

#[test]
fn n5_requests_that_are_not_what_they_seem() {
    let bystander = Bystander::start(&serving());
    let server = &bystander.server;
    fs::write(server.directory().join("html/ten.txt"), "0123456789").unwrap();
    let check = |requests: &str, expected: &[u16]| {
        let found = statuses(server.http_address(), requests);
        assert_eq!(found, expected, "{requests:.80}");
    };
    for (requests, expected) in ODD {
        check(requests, expected);
    }
    check(&format!("GET /ten.txt~|X: {}||", "y".repeat(9000)), &[431]);
    check(&format!("GET /ten.txt~{}||", "|X: y".repeat(64)), &[431]);
    check(&"z".repeat(9000), &[431]);
    let count = ODD.len() + 3;
    bystander.end(&format!("N5 | {count} odd requests | none answered twice"));
}

#[test]
fn n6_slow_requests_and_slow_readers() {
    const EACH: usize = 100;
    let bystander = Bystander::start(&serving());
    let server = &bystander.server;
    let address = server.http_address();
    // More than the kernel takes of it.
    fs::write(server.directory().join("html/large"), vec![0; 700 * 1024]).unwrap();
    let begun = Instant::now();
    let before = server.descriptors();
    let readers = [(); EACH].map(|()| {
        let mut reader = Client::open(address).shrink();
        reader.send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
        reader
    });
    let mut writers = [(); EACH].map(|()| {
        let mut writer = Client::open(address);
        writer.send("GET / HTTP/1.1\r\nX: ");
        writer
    });
    for writer in &mut writers {
        writer
            .socket
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        // A byte now and then does not help.
        while writer.socket.peek(&mut [0]).is_err() {
            writer.send("y");
        }
        assert_eq!(writer.response(true).status, 408);
    }
    let head = begun.elapsed();
    // Longer than `eventually` waits.
    while server.descriptors() > before {
        assert!(begun.elapsed() < Duration::from_secs(40), "still served");
        thread::sleep(Duration::from_millis(50));
    }
    let body = begun.elapsed();
    drop(readers);
    bystander.end(&format!(
        "N6 | 200 slow loris | heads ended after {head:.1?}, bodies after {body:.1?}"
    ));
}

#[test]
fn n7_files_that_are_not_for_reading() {
    let config = format!("pid = \"run/srs-lite.pid\"\n{}", serving());
    let bystander = Bystander::start(&config);
    let server = &bystander.server;
    let html = server.directory().join("html");
    fs::write(html.join(".htpasswd"), "secret").unwrap();
    let mut publisher = publishing(server.address(), "a");
    hls::send(&mut publisher, 0..2900);
    let grows = || {
        let mut all = files(&html).into_iter();
        all.find(|file| file.extension().is_some_and(|ending| ending == "tmp"))
    };
    eventually("a segment grows", || grows().is_some());
    let growing = grows().unwrap();
    let growing = growing.strip_prefix(&html).unwrap().to_str().unwrap();
    let paths = [
        growing,
        &growing.replace("/.", "/"),
        "live/.a.lock",
        "live/a.lock",
        ".htpasswd",
        "srs-lite.conf",
        "srs-lite.pid",
        "run/srs-lite.pid",
        "../run/srs-lite.pid",
        "../srs-lite.conf",
        "live",
        "live/a/",
    ];
    for path in paths {
        assert_eq!(
            http::get(server.http_address(), &format!("/{path}")).status,
            404,
            "{path}"
        );
    }
    assert_eq!(http::get(server.http_address(), "/live/a.m3u8").status, 200);
    publisher.unpublish();
    bystander.end(&format!(
        "N7 | files not for reading | {} paths, each 404",
        paths.len()
    ));
}

#[test]
fn n8_what_a_request_says_is_not_said_back() {
    const MARK: &str = "Reflected";
    let bystander = Bystander::start(&serving());
    let server = &bystander.server;
    fs::write(server.directory().join("html/ten.txt"), "0123456789").unwrap();
    let fields = "Host: Reflected|Origin: http://Reflected|Referer: http://Reflected/|\
        User-Agent: Reflected|X-Forwarded-Host: Reflected|Cookie: Reflected|";
    let targets = [
        ("GET /?callback=Reflected", 200),
        ("GET /ten.txt?callback=Reflected", 200),
        ("GET http://Reflected/ten.txt?jsonp=Reflected", 200),
        ("OPTIONS /ten.txt?callback=Reflected", 204),
        ("GET /Reflected?callback=Reflected", 404),
        ("GET /live/Reflected.flv?callback=Reflected", 404),
        ("GET /live/Reflected.flv?callback=%0aReflected", 404),
        ("GET /live/Reflected.m3u8", 404),
        ("GET /live/<Reflected>", 404),
        ("GET Reflected", 400),
        ("Reflected /", 405),
    ];
    let ask = |line: &str, version: &str, more: &str| {
        let request = format!("{line} {version}|{fields}{more}|").replace('|', "\r\n");
        let mut client = Client::open(server.http_address());
        client.send(&request);
        let response = client.response(true);
        let body = String::from_utf8_lossy(&response.body);
        assert!(!response.head.contains(MARK), "{line}: {}", response.head);
        assert!(!body.contains(MARK), "{line}: {body}");
        response.status
    };
    for (line, status) in targets {
        assert_eq!(ask(line, "HTTP/1.1", ""), status, "{line}");
    }
    assert_eq!(ask("GET /ten.txt", "HTTP/Reflected", ""), 505);
    for (more, status) in [
        ("Range: bytes=99-|If-Range: Reflected|", 200),
        ("Range: bytes=99-Reflected|", 200),
        ("Range: bytes=99-|", 416),
        ("Content-Length: Reflected|", 413),
        ("Access-Control-Request-Headers: Reflected|", 200),
    ] {
        assert_eq!(ask("GET /ten.txt", "HTTP/1.1", more), status, "{more}");
    }
    bystander.end("N8 | callback=, Host and others | 17 answers, nothing said back");
}
