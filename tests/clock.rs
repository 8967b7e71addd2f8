#![cfg(test)]
//! The time of day leaps: nobody notices but the `Date` of HTTP.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::clients;
use support::eventually;
use support::hls::{self, Playlist, Watch, send};
use support::http;
use support::media::Kind;
use support::peer::{play, publishing};
use support::server::Server;
use support::temp::TempDir;

const PACKAGE: &str = "faketime";

/// What makes the time of day come from a file, wherever Debian has it.
fn library() -> PathBuf {
    let machines = fs::read_dir("/usr/lib").unwrap();
    machines
        .map(|machine| machine.unwrap().path().join("faketime/libfaketimeMT.so.1"))
        .find(|path| path.exists())
        .expect("needs: apt-get install faketime")
}

/// A server whose clock is moved by what the file `clock` says.
fn server(clock: &Path, config: &str) -> Server {
    let preload = format!("LD_PRELOAD={}", library().display());
    let file = format!("FAKETIME_TIMESTAMP_FILE={}", clock.display());
    let program = [
        "env",
        &preload,
        &file,
        "FAKETIME_NO_CACHE=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
        "NO_FAKE_STAT=1",
    ];
    Server::under(&program, config)
}

/// Streams, players, deadlines and playlists go by another clock.
#[test]
fn a_clock_that_leaps_disturbs_nothing() {
    if !clients::installed("faketime", PACKAGE) {
        return;
    }
    let directory = TempDir::new();
    let clock = directory.path().join("clock");
    let html = directory.path().join("html");
    let keys = "hls_fragment = 2\nhls_window = 6";
    let config = format!("{}{}", hls::config(&html, keys), http::CONFIG);
    fs::write(&clock, "+0").unwrap();
    let first = server(&clock, &config);
    let date = |server: &Server| {
        let answer = http::get(server.http_address(), "/");
        let date = answer.field("date").unwrap();
        // Without the time: "Tue, 24 Nov 2026".
        date.rsplitn(3, ' ').last().unwrap().to_owned()
    };
    let today = date(&first);
    let watch = Watch::new(&html, "tv");
    let mut tv = publishing(first.address(), "tv");
    let mut publisher = publishing(first.address(), "numbered");
    let next = publisher.send_group(1, 3);
    let mut player = play(first.address(), "live", "numbered");
    player.frames_until(next - 1);
    for (turn, leap) in (0..).zip(["+86400", "-86400", "-315360000", "+0"]) {
        fs::write(&clock, leap).unwrap();
        eventually("the clock to leap", || {
            (date(&first) == today) == (leap == "+0")
        });
        send(&mut tv, turn * 5000..(turn + 1) * 5000);
        let number = next + turn;
        publisher.send_frame(Kind::Key, number, number * 20, 200);
        player.frames_until(number);
        // A connection that is not done with its handshake has its time, too.
        publishing(first.address(), "late").unpublish();
    }
    first.wait_log_times("publisher ended", 4);
    assert_eq!(first.count_log("publisher ended"), 4, "but for these");
    tv.unpublish();
    let before = hls::await_playlist(&html, "tv", "the last", |list| list.entries.len() > 2);
    first.stop();

    // Another process goes on with the numbers, whatever year it is there.
    fs::write(&clock, "-315360000").unwrap();
    let second = server(&clock, &config);
    let mut tv = publishing(second.address(), "tv");
    send(&mut tv, 0..9000);
    tv.unpublish();
    let more = |list: &Playlist| list.next() > before.next() + 2;
    hls::await_playlist(&html, "tv", "more of it", more);
    second.stop();
    assert!(watch.seen().playlists.len() > 5);
}
