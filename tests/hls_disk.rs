#![cfg(test)]
//! A disk that fails: HLS pauses and recovers, says each once, and live play loses nothing.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test fails the test"
)]

mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::{self, JoinHandle};

use support::eventually;
use support::hls::{Playlist, Watch, await_playlist, config, files, send};
use support::http;
use support::netns::in_mount_namespace;
use support::peer::{Player, Publisher, play, publishing};
use support::server::Server;
use support::temp::TempDir;

const HLS: &str = "hls_fragment = 1\nhls_window = 3";

/// What the log says.
const PAUSES: &str = "HLS cannot be written, live play goes on: ";
const RECOVERS: &str = "HLS is written again";

/// A small file system.
struct Disk(TempDir);

impl Disk {
    fn new() -> Self {
        let directory = TempDir::new();
        mount("-t tmpfs -o size=16m tmpfs", directory.path());
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn mount(arguments: &str, path: &Path) {
    let mut mount = Command::new("mount");
    let status = mount.args(arguments.split(' ')).arg(path).status();
    assert!(status.expect("needs mount").success(), "{arguments}");
}

/// A publisher, and a player that fails if it loses a frame.
struct Live {
    publisher: Publisher,
    player: JoinHandle<()>,
    time: u32,
}

impl Live {
    fn new(server: &Server, name: &str) -> Self {
        let publisher = publishing(server.address(), name);
        let mut player = play(server.address(), "live", name);
        server.wait_log(&format!("plays live/{name}"));
        let watch = move || Self::watch(&mut player);
        let player = thread::Builder::new().spawn(watch).unwrap();
        Self {
            publisher,
            player,
            time: 0,
        }
    }

    fn watch(player: &mut Player) {
        // Two headers, then one picture and two frames of audio every 40 ms, until an hour later;
        // all of them later still if the stream had a publisher before.
        let _headers = [player.media(), player.media()];
        let begin = player.media().timestamp;
        for time in (0..).step_by(20) {
            let first = usize::from(time == 0);
            let count = if time % 40 == 0 { 2 } else { 1 };
            for _ in first..count {
                match player.media().timestamp - begin {
                    3_600_000 => return,
                    found => assert_eq!(found, time, "frames are lost"),
                }
            }
        }
    }

    /// Publishes two seconds at a time, until something has happened.
    fn until(&mut self, what: &str, happened: impl Fn() -> bool) {
        eventually(what, || {
            send(&mut self.publisher, self.time..self.time + 2000);
            self.time += 2000;
            happened()
        });
    }

    fn end(mut self) {
        self.publisher.send(8, 3_600_000, b"\xaf\x01end");
        self.player.join().unwrap();
    }
}

#[test]
fn hls_pauses_while_the_disk_fails() {
    in_mount_namespace("hls_pauses_while_the_disk_fails", || {
        let disk = Disk::new();
        let http = "[http_server]\nenabled = true\nlisten = \"127.0.0.1:0\"\n";
        let config = config(&disk.path().join("hls"), HLS);
        let server = Server::start(&format!("{config}\n{http}"));
        disk_full(&disk, &server);
        read_only(&disk, &server);
        removed(&disk, &server);
        assert_eq!(server.count_log("[WARN]"), 3);
        server.stop();
    });
}

/// Said so often of a stream by now.
fn said(server: &Server, name: &str) -> [usize; 2] {
    [PAUSES, RECOVERS].map(|what| server.count_log(&format!("live/{name}: {what}")))
}

fn page(server: &Server) -> String {
    String::from_utf8(http::get(server.http_address(), "/").body).unwrap()
}

fn disk_full(disk: &Disk, server: &Server) {
    let hls = disk.path().join("hls");
    let mut live = Live::new(server, "full");
    live.until("a playlist", || Playlist::of(&hls, "full").is_some());
    let watch = Watch::new(&hls, "full");
    let filler = disk.path().join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write(&[0; 4096]).is_ok_and(|written| written > 0) {}
    live.until("it pauses", || said(server, "full") == [1, 0]);
    live.until("more", || true);
    assert_eq!(said(server, "full"), [1, 0], "said once");
    assert!(page(server).contains("live/full (HLS cannot be written)"));
    drop(file);
    fs::remove_file(&filler).unwrap();
    live.until("it recovers", || said(server, "full") == [1, 1]);
    assert!(page(server).contains("live/full <a href=\"/live/full.m3u8\">HLS</a>"));
    let line = server.wait_log(&format!("live/full: {PAUSES}"));
    assert!(line.contains("No space left on device"), "{line}");
    live.until("more", || true);
    live.end();
    let seen = watch.seen();
    assert!(seen.playlists.last().unwrap().discontinuities() <= 1);
    assert_eq!(said(server, "full"), [1, 1]);
}

fn read_only(disk: &Disk, server: &Server) {
    let hls = disk.path().join("hls");
    let mut live = Live::new(server, "locked");
    live.until("a playlist", || Playlist::of(&hls, "locked").is_some());
    live.end();
    // Files that are open for writing would not let it.
    eventually("nobody writes", || {
        let mut mount = Command::new("mount");
        let mount = mount.args(["-o", "remount,ro"]).arg(disk.path());
        mount.output().unwrap().status.success()
    });
    let watch = Watch::new(&hls, "locked");
    let mut live = Live::new(server, "locked");
    live.until("it pauses", || said(server, "locked") == [1, 0]);
    mount("-o remount,rw", disk.path());
    live.until("it recovers", || said(server, "locked") == [1, 1]);
    live.end();
    let seen = watch.seen();
    assert!(seen.playlists.len() >= 2, "it went on in the same list");
    assert_eq!(said(server, "locked"), [1, 1]);
}

fn removed(disk: &Disk, server: &Server) {
    let hls = disk.path().join("hls");
    let mut live = Live::new(server, "removed");
    live.until("a playlist", || Playlist::of(&hls, "removed").is_some());
    let before = Playlist::of(&hls, "removed").unwrap();
    let is_open = |file: &PathBuf| file.to_string_lossy().ends_with(".tmp");
    eventually("a segment grows", || files(&hls).iter().any(is_open));
    fs::remove_dir_all(&hls).unwrap();
    live.until("it recovers", || said(server, "removed") == [1, 1]);
    let watch = Watch::new(&hls, "removed");
    live.until("more", || true);
    let after = await_playlist(&hls, "removed", "another", |_| true);
    assert!(after.sequence >= before.next());
    live.end();
    watch.seen();
    assert_eq!(said(server, "removed"), [1, 1]);
}
