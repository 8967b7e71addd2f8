//! Rows N1 to N4: names, and the files that are made of them.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::bystander::Bystander;
use crate::support::disk::{Live, PAUSES, said};
use crate::support::hls::{self, Playlist, await_playlist, files};
use crate::support::http::{self};
use crate::support::peer::{Publisher, play, publish, publishing};
use crate::support::segments::picture;
use crate::support::server::Server;
use crate::support::temp::TempDir;

/// Files, HLS and HTTP-FLV, all in `html`.
pub(super) fn serving() -> String {
    let more = "[hls]\nenabled = true\nhls_path = \"html\"\nhls_fragment = 1\n\
                [play]\nplay_wait = 0.2\n";
    format!("{}{more}", http::CONFIG)
}

/// Checks that nobody may publish or play this, that both hear so, and that a line each says why.
fn assert_refused(server: &Server, app: &str, name: &str) {
    const ENDED: &str = " s: refused: a ";
    let ended = server.count_log(ENDED);
    let refused = publish(server.address(), app, name).unwrap_err();
    let what = format!("{app:?}, {name:?}");
    assert_eq!(refused.code, "NetStream.Publish.BadName", "{what}");
    play(server.address(), app, name).wait_told("NetStream.Play.StreamNotFound");
    server.wait_log_times(ENDED, ended + 2);
}

#[test]
fn n1_names_that_leave_the_directory() {
    let bystander = Bystander::start(&serving());
    let server = &bystander.server;
    fs::write(server.directory().join("secret"), "secret").unwrap();
    let before = files(server.directory());
    let long = "a".repeat(4096);
    let names = [
        "..",
        "../a",
        "a/../../b",
        "a/b",
        "a\\b",
        "..\\a",
        "a\0",
        ".a",
        "a..b",
        "%2e%2e",
        "a%2fb",
        "a%00",
        "\u{e9}",
        "a\u{202e}b",
        "a b",
        "~",
        &long,
    ];
    for name in names {
        assert_refused(server, "live", name);
        assert_refused(server, name, "a");
    }
    let paths = [
        "/../secret",
        "/live/../../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/%252e%252e/secret",
        "/..%c0%afsecret",
        "/..\\secret",
        "/live\\..\\..\\secret",
        "/./secret",
        "//secret",
        "/.secret",
        "/secret%00.ts",
    ];
    let long = format!("/{long}");
    for path in paths.into_iter().chain([long.as_str()]) {
        let response = http::get(server.http_address(), path);
        assert_eq!(response.status, 404, "{path}");
    }
    assert_eq!(files(server.directory()), before, "something was written");
    // These are only odd.
    for name in ["-a", "CON", "a.b", "_"] {
        publish(server.address(), "live", name).unwrap().unpublish();
    }
    let count = 2 * names.len();
    bystander.end(&format!(
        "N1 | names and paths | {count} names, {} paths refused",
        paths.len() + 1
    ));
}

#[test]
fn n2_names_that_look_like_files_of_another_stream() {
    let bystander = Bystander::start(&serving());
    let server = &bystander.server;
    for name in ["a.m3u8", "a-3.ts", "a.TS", "a.FLV", "a.m3u8.tmp"] {
        assert_refused(server, "live", name);
        assert_refused(server, name, "a");
    }
    // Of a stream, one `.flv` is left out.
    assert_refused(server, "live", "a.flv.flv");
    assert_refused(server, "a.flv", "a");
    let names = ["a", "a-1", "a-1-0", "a.1", "1", "a.lock"];
    let mark = |index: usize| [0xf0 + index as u8; 150];
    let publish = |name| publishing(server.address(), name);
    let mut publishers = names.map(publish);
    for time in (0..3000).step_by(100) {
        for (index, publisher) in publishers.iter_mut().enumerate() {
            let data = mark(index).repeat(4);
            publisher.send(9, time, &picture(time % 500 == 0, 0, &data));
        }
    }
    let html = server.directory().join("html");
    let mut segments = 0;
    for (own, name) in names.into_iter().enumerate() {
        let playlist = await_playlist(&html, name, "two segments", |one| one.entries.len() >= 2);
        for entry in playlist.entries {
            assert_eq!(entry.uri.split('/').next(), Some(name));
            let segment = http::get(server.http_address(), &format!("/live/{}", entry.uri));
            for other in 0..names.len() {
                let found = segment.body.windows(150).any(|bytes| bytes == mark(other));
                assert_eq!(found, other == own, "{}", entry.uri);
            }
            segments += 1;
        }
    }
    publishers.into_iter().for_each(Publisher::unpublish);
    bystander.end(&format!(
        "N2 | names like files | {segments} segments, each of its own stream"
    ));
}

#[test]
fn n3_links_in_the_hls_directory() {
    let bystander = Bystander::start(&serving());
    let server = &bystander.server;
    let elsewhere = TempDir::new();
    let victim = elsewhere.path().join("victim");
    fs::write(&victim, "theirs").unwrap();
    let html = server.directory().join("html");
    let live = html.join("live");
    fs::create_dir_all(&live).unwrap();
    symlink(elsewhere.path(), html.join("linked")).unwrap();
    symlink(elsewhere.path(), live.join("segments")).unwrap();
    for link in [".lock.lock", "victim.m3u8", "victim.ts"] {
        symlink(&victim, live.join(link)).unwrap();
    }
    for path in [
        "/linked/victim",
        "/live/segments/victim",
        "/live/victim.m3u8",
        "/live/victim.ts",
    ] {
        assert_eq!(http::get(server.http_address(), path).status, 404, "{path}");
    }
    let mut publishers = Vec::new();
    for (app, name) in [("linked", "a"), ("live", "segments"), ("live", "lock")] {
        let mut publisher = publish(server.address(), app, name).unwrap();
        publisher.send_headers(0);
        hls::send(&mut publisher, 0..2100);
        server.wait_log(&format!("{app}/{name}: {PAUSES}"));
        publishers.push(publisher);
    }

    // And one that takes the place of the directory while that is written.
    let mut moved = Live::new(server, "moved");
    moved.until("a playlist", || Playlist::of(&html, "moved").is_some());
    fs::rename(&live, html.join("was")).unwrap();
    symlink(elsewhere.path(), &live).unwrap();
    moved.until("it pauses", || said(server, "moved") == [1, 0]);
    fs::remove_file(&live).unwrap();
    fs::rename(html.join("was"), &live).unwrap();
    moved.until("it recovers", || said(server, "moved") == [1, 1]);
    moved.end();
    assert_eq!(files(elsewhere.path()), std::slice::from_ref(&victim));
    assert_eq!(fs::read(&victim).unwrap(), b"theirs");
    drop(publishers);
    bystander.end("N3 | links | 8 links, nothing read or written through them");
}

#[test]
fn n4_line_ends_and_quotes_in_a_name() {
    let bystander = Bystander::start(&serving());
    let server = &bystander.server;
    let names = [
        "a\nInjected",
        "a\r\nInjected: y",
        "a\"Injected",
        "<b>Injected</b>",
        "a\n#EXTINF:1,\nInjected",
        "a',Injected",
        "a\u{1b}[31mInjected",
        "a?x=\nInjected",
        "a?\u{7f}Injected",
    ];
    for name in names {
        assert_refused(server, "live", name);
        assert_refused(server, name, "a");
    }
    for path in [
        "/live/a%0d%0aInjected:%20y.m3u8",
        "/live/a%0d%0aInjected:%20y.flv",
        "/live/a.flv?x=%0d%0aInjected:%20y",
        "/live/%22Injected.ts",
        "/%3Cb%3EInjected",
    ] {
        let response = http::get(server.http_address(), path);
        assert_eq!(response.status, 404, "{path}");
        assert!(!response.head.contains("Injected"), "{}", response.head);
    }
    assert_eq!(server.count_log("Injected"), 0);
    assert_eq!(
        server.count_log(""),
        server.count_log("Z ["),
        "a line without a time"
    );
    bystander.end(
        "N4 | line ends, quotes, markup | 18 names refused, nothing of them in log or answers",
    );
}
