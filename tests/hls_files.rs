#![cfg(test)]
//! Which files of HLS there are, for how long, and what else in the directory is left alone.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use support::eventually;
use support::hls::{Playlist, Watch, await_playlist, config, files, send};
use support::peer::publishing;
use support::server::Server;
use support::temp::TempDir;

/// Names of the files below `live`.
fn names(directory: &Path) -> Vec<String> {
    let live = directory.join("live");
    let relative = |file: &Path| file.strip_prefix(&live).unwrap().display().to_string();
    files(&live).iter().map(|file| relative(file)).collect()
}

#[test]
fn an_idle_stream_goes_away_but_for_what_is_not_ours() {
    let directory = TempDir::new();
    let more = "hls_fragment = 1\nhls_dispose = 1\n[publish]\nnormal_timeout = 60000";
    let server = Server::start(&config(directory.path(), more));
    let _sibling = Server::start(&config(directory.path(), more));
    for name in ["idle", "mixed"] {
        let mut publisher = publishing(server.address(), name);
        send(&mut publisher, 0..3000);
        publisher.unpublish();
    }
    let mut silent = publishing(server.address(), "silent");
    send(&mut silent, 0..3000);
    // A writer was killed before its first playlist.
    let live = directory.path().join("live");
    fs::create_dir(live.join("orphan")).unwrap();
    fs::write(live.join("orphan/.0.ts.tmp"), "").unwrap();
    fs::write(live.join(".orphan.lock"), "").unwrap();
    fs::write(live.join("mixed/notes.txt"), "").unwrap();
    // Without a lock file it is no stream of ours.
    fs::create_dir(live.join("theirs")).unwrap();
    fs::write(live.join("theirs/0.ts"), "").unwrap();
    fs::write(live.join("theirs.m3u8"), "#EXTM3U\n").unwrap();
    let locks = [".idle.lock", ".mixed.lock", ".orphan.lock", ".silent.lock"];
    let rest = ["mixed/notes.txt", "theirs.m3u8", "theirs/0.ts"];
    eventually("the idle ones are gone", || {
        let names = names(directory.path());
        let others = names.iter().filter(|name| !name.contains("silent"));
        others.count() == locks.len() + rest.len() - 1
    });
    let names = names(directory.path());
    for file in locks.iter().chain(&rest) {
        assert!(names.iter().any(|name| name == file), "{file} is gone");
    }
    let silent = Playlist::of(directory.path(), "silent").expect("it is live");
    assert_eq!(silent.entries.len(), 2);
}

#[test]
fn segments_outlive_the_playlist_that_named_them_by_its_duration() {
    let directory = TempDir::new();
    let more = "hls_fragment = 1\nhls_window = 1";
    let server = Server::start(&config(directory.path(), more));
    let watch = Watch::new(directory.path(), "a");
    let mut publisher = publishing(server.address(), "a");
    send(&mut publisher, 0..4000);
    let first = await_playlist(directory.path(), "a", "a playlist", |one| {
        one.entries.len() == 3
    });
    let left = Instant::now();
    let mut time = 4000;
    let mut most = 0;
    eventually("the first segment is removed", || {
        send(&mut publisher, time..time + 1000);
        time += 1000;
        most = names(directory.path()).len().max(most);
        !directory
            .path()
            .join("live")
            .join(&first.entries[0].uri)
            .exists()
    });
    // Three segments and one more.
    assert!(
        left.elapsed() > Duration::from_secs(4),
        "{:?}",
        left.elapsed()
    );
    let sent = usize::try_from(time / 1000).unwrap();
    assert!(most > sent * 3 / 4, "{most} files after {sent} segments");
    publisher.unpublish();
    server.stop();
    assert_eq!(watch.seen().playlists.last().unwrap().duration(), 3000);
}

#[test]
fn without_cleanup_every_segment_stays() {
    let directory = TempDir::new();
    let more = "hls_fragment = 1\nhls_window = 1\nhls_cleanup = false\n\
                hls_entry_prefix = \"https://cdn.example/hls/\"";
    let server = Server::start(&config(directory.path(), more));
    let mut publisher = publishing(server.address(), "a");
    send(&mut publisher, 0..60_000);
    publisher.unpublish();
    server.stop();
    let segments = names(directory.path());
    let segments = segments.iter().filter(|name| name.ends_with(".ts")).count();
    assert_eq!(segments, 60);
    let playlist = Playlist::of(directory.path(), "a").unwrap();
    let first = format!("https://cdn.example/hls/live/a/{}.ts", playlist.sequence);
    assert_eq!(playlist.entries[0].uri, first);
}

#[test]
fn what_a_writer_left_half_written_is_swept_and_its_playlist_taken_up() {
    let directory = TempDir::new();
    let live = directory.path().join("live");
    fs::create_dir_all(live.join("a")).unwrap();
    let text = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:3\n#EXT-X-MEDIA-SEQUENCE:70\n\
                #EXT-X-DISCONTINUITY-SEQUENCE:4\n#EXTINF:3.000,\na/70.ts\n\
                #EXT-X-DISCONTINUITY\n#EXTINF:3.000,\na/71.ts\n#EXTINF:3.000,\na/72.ts\n";
    fs::write(live.join("a.m3u8"), text).unwrap();
    for file in [".73.ts.tmp", ".99.ts.tmp", "71.ts", "72.ts"] {
        fs::write(live.join("a").join(file), "before").unwrap();
    }
    let server = Server::start(&config(directory.path(), "hls_fragment = 1"));
    let mut publisher = publishing(server.address(), "a");
    send(&mut publisher, 0..1100);
    let playlist = await_playlist(directory.path(), "a", "the next", |one| one.next() == 74);
    // 70 is not there, so it is not listed.
    assert_eq!(
        (playlist.sequence, playlist.discontinuity_sequence),
        (71, 4)
    );
    assert_eq!((playlist.target, playlist.discontinuities()), (3, 2));
    publisher.unpublish();
    server.stop();
    let names = names(directory.path());
    assert!(
        !names.iter().any(|name| name.ends_with(".tmp")),
        "{names:?}"
    );
}

#[test]
fn nothing_is_written_through_a_link() {
    let directory = TempDir::new();
    let elsewhere = TempDir::new();
    let target = |name: &str| {
        let target = elsewhere.path().join(name);
        fs::create_dir_all(&target).unwrap();
        target
    };
    let live = directory.path().join("live");
    fs::create_dir_all(&live).unwrap();
    symlink(target("app"), directory.path().join("linked")).unwrap();
    symlink(target("segments"), live.join("segments")).unwrap();
    fs::write(elsewhere.path().join("victim"), "theirs").unwrap();
    for link in [".lock.lock", "playlist.m3u8", ".playlist.m3u8.tmp"] {
        symlink(elsewhere.path().join("victim"), live.join(link)).unwrap();
    }
    symlink(elsewhere.path().join("new"), live.join(".new.lock")).unwrap();
    let server = Server::start(&config(
        directory.path(),
        "hls_fragment = 1\nhls_dispose = 1",
    ));
    let refused = [
        ("linked", "a"),
        ("live", "segments"),
        ("live", "lock"),
        ("live", "new"),
    ];
    for (app, name) in refused {
        let mut publisher = support::peer::publish(server.address(), app, name).unwrap();
        publisher.send_headers(0);
        send(&mut publisher, 0..2100);
        server.wait_log(&format!(
            "{app}/{name}: HLS cannot be written, live play goes on: "
        ));
    }
    let mut publisher = publishing(server.address(), "playlist");
    send(&mut publisher, 0..2100);
    let is_ours = |playlist: &Playlist| playlist.entries.len() == 2;
    let playlist = live.join("playlist.m3u8");
    eventually("the link is replaced", || {
        fs::symlink_metadata(&playlist).is_ok_and(|playlist| playlist.is_file())
    });
    await_playlist(directory.path(), "playlist", "a playlist", is_ours);
    let left: Vec<_> = files(elsewhere.path());
    assert_eq!(left, [elsewhere.path().join("victim")]);
    assert_eq!(fs::read(&left[0]).unwrap(), b"theirs");
}
