//! Rows N9 and N10: a disk that fails, and a process that is killed while it writes.

use std::fs;
use std::process::Command;

use crate::support::bystander::Bystander;
use crate::support::disk::{Disk, Live, PAUSES, mount, said};
use crate::support::eventually;
use crate::support::hls::{self, Playlist, Watch, await_playlist, files};
use crate::support::netns::in_mount_namespace;
use crate::support::peer::publishing;
use crate::support::server::Server;
use crate::support::temp::TempDir;

use super::names::serving;

/// Sets how many files the server may have open.
fn limit_files(server: &Server, count: &str) {
    let mut prlimit = Command::new("prlimit");
    let limit = format!("--nofile={count}:");
    let status = prlimit
        .args([&limit, "--pid", &server.id().to_string()])
        .status();
    assert!(status.expect("needs prlimit (util-linux)").success());
}

#[test]
fn n9_a_disk_that_fails() {
    in_mount_namespace("disk::n9_a_disk_that_fails", || {
        let disk = Disk::new();
        let hls = disk.path().join("hls");
        let config = serving().replace("\"html\"\nhls_f", &format!("{hls:?}\nhls_f"));
        let bystander = Bystander::start(&config);
        let server = &bystander.server;
        let fails = |name: &str, why: &str, breaks: &dyn Fn(), mends: &dyn Fn()| {
            let mut live = Live::new(server, name);
            live.until("a playlist", || Playlist::of(&hls, name).is_some());
            breaks();
            live.until("it pauses", || said(server, name) == [1, 0]);
            let line = server.wait_log(&format!("live/{name}: {PAUSES}"));
            assert!(line.contains(why), "{line}");
            mends();
            live.until("it recovers", || said(server, name) == [1, 1]);
            live.until("more", || true);
            live.end();
            assert_eq!(said(server, name), [1, 1]);
        };
        let filler = disk.path().join("filler");
        fails("full", "No space left", &|| drop(disk.fill()), &|| {
            fs::remove_file(&filler).unwrap();
        });
        let read_only = || {
            mount(&format!("--bind {}", hls.display()), &hls);
            mount("-o remount,bind,ro", &hls);
        };
        let writable = || assert!(Command::new("umount").arg(&hls).status().unwrap().success());
        fails("read_only", "Read-only file system", &read_only, &writable);
        // Whatever is opened.
        let few = || limit_files(server, "3");
        fails("files", "Too many open files", &few, &|| {
            limit_files(server, "1024");
        });
        let playlist = hls.join("live/rename.m3u8");
        let in_the_way = || {
            fs::remove_file(&playlist).unwrap();
            fs::create_dir(&playlist).unwrap();
        };
        fails("rename", "Is a directory", &in_the_way, &|| {
            fs::remove_dir(&playlist).unwrap();
        });
        bystander.end(
            "N9 | full, read-only, no descriptors, no rename | paused and resumed, said once each",
        );
    });
}

#[test]
fn n10_a_kill_in_the_middle_of_a_segment() {
    const ROUNDS: u64 = 3;
    let directory = TempDir::new();
    let config = hls::config(directory.path(), "hls_fragment = 1\nhls_window = 30");
    let bystander = Bystander::on(Server::start(&config));
    let watch = Watch::new(directory.path(), "a");
    let is_open = || {
        let all = files(&directory.path().join("live/a"));
        all.iter()
            .any(|file| file.extension().is_some_and(|ending| ending == "tmp"))
    };
    for round in 0..ROUNDS {
        let killed = Server::start(&config);
        let mut publisher = publishing(killed.address(), "a");
        hls::send(&mut publisher, 0..2900);
        await_playlist(directory.path(), "a", "it goes on", |one| {
            one.discontinuities() as u64 == 2 * round && one.entries.len() as u64 == 5 * round + 2
        });
        eventually("a segment grows", is_open);
        killed.kill();
        assert!(is_open(), "nothing was half written");

        let mut publisher = publishing(bystander.server.address(), "a");
        hls::send(&mut publisher, 0..2100);
        await_playlist(directory.path(), "a", "another takes it up", |one| {
            one.discontinuities() as u64 == 2 * round + 1
        });
        publisher.unpublish();
        eventually("nothing half written is left", || !is_open());
    }
    let seen = watch.seen();
    let count = seen.playlists.len();
    bystander.end(&format!(
        "N10 | 3 kills in a segment | {count} playlists, each whole"
    ));
}
