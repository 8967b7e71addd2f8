#![cfg(test)]
//! A disk that fails: HLS pauses and recovers, says each once, and live play loses nothing.

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use support::disk::{Disk, Live, PAUSES, mount, said};
use support::eventually;
use support::hls::{Playlist, Watch, await_playlist, config, files};
use support::http;
use support::netns::in_mount_namespace;
use support::server::Server;

const HLS: &str = "hls_fragment = 1\nhls_window = 3";

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

fn page(server: &Server) -> String {
    String::from_utf8(http::get(server.http_address(), "/").body).unwrap()
}

fn disk_full(disk: &Disk, server: &Server) {
    let hls = disk.path().join("hls");
    let mut live = Live::new(server, "full");
    live.until("a playlist", || Playlist::of(&hls, "full").is_some());
    let watch = Watch::new(&hls, "full");
    let filler = disk.fill();
    live.until("it pauses", || said(server, "full") == [1, 0]);
    live.until("more", || true);
    assert_eq!(said(server, "full"), [1, 0], "said once");
    assert!(page(server).contains("live/full (HLS cannot be written)"));
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
