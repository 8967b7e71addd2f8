#![cfg(test)]
//! HTTP heads: requests in, responses out.

use srs_lite::limits;
use srs_lite::wire::http::{Date, Head, HttpError, Method, Part, Request};

fn parse(text: &str) -> Result<Option<(Request<'_>, usize)>, HttpError> {
    Request::parse(text.as_bytes())
}

fn get(fields: &str) -> String {
    format!("GET /a HTTP/1.1\r\nHost: h\r\n{fields}\r\n")
}

#[test]
fn a_request_is_taken_off_the_front() {
    let text = get("Range: bytes=1-\r\nX: y\r\nIF-NONE-MATCH: \"a\"\r\n");
    let (request, length) = parse(&text).unwrap().unwrap();
    assert_eq!(length, text.len());
    let expected = Request {
        method: Method::Get,
        host: Some("h"),
        path: "/a",
        query: "",
        keep_alive: true,
        authorization: None,
        range: Some("bytes=1-"),
        if_range: None,
        if_none_match: Some("\"a\""),
        if_modified_since: None,
        referer: None,
    };
    assert_eq!(request, expected);
    for end in 0..text.len() {
        assert_eq!(Request::parse(&text.as_bytes()[..end]), Ok(None), "{end}");
    }
    let more = format!("{text}GET");
    assert_eq!(parse(&more), Ok(Some((expected, length))));
}

#[test]
fn targets() {
    let cases = [
        ("GET /a?b=1?2", Some(("/a", "b=1?2"))),
        ("GET http://h:1/a?b", Some(("/a", "b"))),
        ("GET HTTP://h", Some(("/", ""))),
        ("OPTIONS *", Some(("*", ""))),
        ("GET *", None),
        ("GET a", None),
        ("GET https://h/", None),
        ("GET h:80", None),
        ("GET /..", Some(("/..", ""))),
    ];
    for (line, expected) in cases {
        let text = format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n");
        let found = match parse(&text) {
            Ok(Some((request, _))) => Some((request.path, request.query)),
            Ok(None) => panic!("{line}: not yet"),
            Err(error) => {
                assert_eq!(error, HttpError::Malformed, "{line}");
                None
            }
        };
        assert_eq!(found, expected, "{line}");
    }
}

#[test]
fn connections_go_on_as_asked() {
    let cases = [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: x, Close\r\n", false),
        ("1.1", "Connection: x\r\nConnection: close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ];
    for (version, fields, expected) in cases {
        let text = format!("GET / HTTP/{version}\r\nHost: h\r\n{fields}\r\n");
        let (request, _) = parse(&text).unwrap().unwrap();
        assert_eq!(request.keep_alive, expected, "{text:?}");
    }
}

#[test]
fn heads_are_as_large_as_the_limits_and_no_larger() {
    let sized = |length: usize| {
        let empty = get("X: \r\n").len();
        get(&format!("X: {}\r\n", "y".repeat(length - empty)))
    };
    let limit = limits::MAX_HTTP_HEAD;
    assert!(matches!(parse(&sized(limit)), Ok(Some(_))));
    assert_eq!(parse(&sized(limit + 1)), Err(HttpError::TooLarge));
    let unfinished = |length: usize| "GET /".to_owned() + &"a".repeat(length - 5);
    assert_eq!(parse(&unfinished(limit)), Ok(None));
    assert_eq!(parse(&unfinished(limit + 1)), Err(HttpError::TooLarge));
    let fields = |count| get(&"X: y\r\n".repeat(count - 1));
    let limit = limits::MAX_HTTP_FIELDS;
    assert!(matches!(parse(&fields(limit)), Ok(Some(_))));
    assert_eq!(parse(&fields(limit + 1)), Err(HttpError::TooLarge));
}

#[test]
fn parts() {
    let whole = Part::Whole;
    let none = Part::Unsatisfiable;
    let cases = [
        ("bytes=0-0", Part::Range(0..1)),
        ("bytes=0-", Part::Range(0..10)),
        ("bytes=2-5", Part::Range(2..6)),
        ("bytes=9-99999999999999999999999", Part::Range(9..10)),
        ("bytes=-3", Part::Range(7..10)),
        ("bytes=-99", Part::Range(0..10)),
        ("bytes=10-", none.clone()),
        ("bytes=10-11", none.clone()),
        ("bytes=99999999999999999999999-", none.clone()),
        ("bytes=-0", none.clone()),
        ("bytes=5-2", whole.clone()),
        ("bytes=-", whole.clone()),
        ("bytes=--1", whole.clone()),
        ("bytes=0-1,3-4", whole.clone()),
        ("bytes=+1-2", whole.clone()),
        ("bytes= 1-2", whole.clone()),
        ("bytes", whole.clone()),
        ("lines=0-1", whole.clone()),
    ];
    for (range, expected) in cases {
        let text = get(&format!("Range: {range}\r\n"));
        let (request, _) = parse(&text).unwrap().unwrap();
        assert_eq!(request.part(10, "e"), expected, "{range}");
        let head = Request {
            method: Method::Head,
            ..request
        };
        assert_eq!(head.part(10, "e"), whole, "{range}");
        let stale = Request {
            if_range: Some("x"),
            ..request
        };
        assert_eq!(stale.part(10, "e"), whole, "{range}");
        let fresh = Request {
            if_range: Some("e"),
            ..request
        };
        assert_eq!(fresh.part(10, "e"), expected, "{range}");
    }
    let text = get("Range: bytes=0-\r\n");
    let (request, _) = parse(&text).unwrap().unwrap();
    assert_eq!(request.part(0, "e"), none);
}

#[test]
fn what_a_peer_has() {
    let cases = [
        ("", false),
        ("If-None-Match: \"e\"\r\n", true),
        ("If-None-Match: \"a\", W/\"e\"\r\n", true),
        ("If-None-Match: \"a\",\"b\"\r\n", false),
        ("If-None-Match: e\r\n", false),
        ("If-None-Match: *\r\n", true),
        ("If-Modified-Since: m\r\n", true),
        ("If-Modified-Since: n\r\n", false),
        ("If-None-Match: \"a\"\r\nIf-Modified-Since: m\r\n", false),
    ];
    for (fields, expected) in cases {
        let text = get(fields);
        let (request, _) = parse(&text).unwrap().unwrap();
        assert_eq!(request.has("\"e\"", "m"), expected, "{fields:?}");
    }
}

#[test]
fn dates() {
    let cases = [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
        (1_735_603_200, "Tue, 31 Dec 2024 00:00:00 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ];
    for (seconds, expected) in cases {
        assert_eq!(Date(seconds).to_string(), expected);
    }
}

#[test]
fn a_response_says_what_it_is() {
    let head = Head::new(404, 0).field("Content-Length", 3).finish(false);
    let expected = "HTTP/1.1 404 Not Found\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
        Access-Control-Allow-Origin: *\r\n\
        Access-Control-Expose-Headers: Content-Length, Content-Range, Date\r\n\
        X-Content-Type-Options: nosniff\r\nContent-Length: 3\r\nConnection: close\r\n\r\n";
    assert_eq!(core::str::from_utf8(&head), Ok(expected));
}
