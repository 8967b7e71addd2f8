//! A disk that fails, and a stream that must not notice.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::{self, JoinHandle};

use super::eventually;
use super::hls::send;
use super::peer::{Player, Publisher, play, publishing};
use super::server::Server;
use super::temp::TempDir;

/// What the log says.
pub(crate) const PAUSES: &str = "HLS cannot be written, live play goes on: ";
pub(crate) const RECOVERS: &str = "HLS is written again";

/// A small file system. Needs a mount namespace.
#[derive(Debug)]
pub(crate) struct Disk(TempDir);

impl Disk {
    /// Mounts it.
    pub(crate) fn new() -> Self {
        let directory = TempDir::new();
        mount("-t tmpfs -o size=16m tmpfs", directory.path());
        Self(directory)
    }

    /// Where.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills it with a file.
    pub(crate) fn fill(&self) -> PathBuf {
        let filler = self.path().join("filler");
        let mut file = File::create(&filler).unwrap();
        while file.write(&[0; 4096]).is_ok_and(|written| written > 0) {}
        filler
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Runs mount.
pub(crate) fn mount(arguments: &str, path: &Path) {
    let mut mount = Command::new("mount");
    let status = mount.args(arguments.split(' ')).arg(path).status();
    assert!(status.expect("needs mount").success(), "{arguments}");
}

/// A publisher, and a player that fails if it loses a frame.
#[derive(Debug)]
pub(crate) struct Live {
    publisher: Publisher,
    player: JoinHandle<()>,
    time: u32,
}

impl Live {
    /// Publishes and plays `live/name`.
    pub(crate) fn new(server: &Server, name: &str) -> Self {
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
    pub(crate) fn until(&mut self, what: &str, happened: impl Fn() -> bool) {
        eventually(what, || {
            send(&mut self.publisher, self.time..self.time + 2000);
            self.time += 2000;
            happened()
        });
    }

    /// Ends, and checks that the player got everything.
    pub(crate) fn end(mut self) {
        self.publisher.send(8, 3_600_000, b"\xaf\x01end");
        self.player.join().unwrap();
    }
}

/// How often it was said of `live/name` that HLS pauses, and that it recovers.
pub(crate) fn said(server: &Server, name: &str) -> [usize; 2] {
    [PAUSES, RECOVERS].map(|what| server.count_log(&format!("live/{name}: {what}")))
}
