//! Processes that meet in one directory, players of either protocol, and streams in real time.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::chunk::Message;
use super::http::FlvPlayer;
use super::media::{self, Kind};
use super::peer::{Player, Publisher, assert_forward, play};
use super::server::Server;
use super::temp::TempDir;

/// Where processes meet. It goes away with this.
#[derive(Debug)]
pub(crate) struct Meeting(TempDir);

impl Meeting {
    /// A place where nobody has been yet.
    pub(crate) fn new() -> Self {
        Self(TempDir::short())
    }

    /// `run_dir`. Whoever comes first makes it.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("run")
    }

    /// This configuration, of processes that meet here.
    pub(crate) fn config(&self, config: &str) -> String {
        format!("run_dir = {:?}\n{config}", self.path())
    }

    /// Starts a process with a port of its own, so that a test can choose whom to ask.
    pub(crate) fn start(&self, more: &str) -> Server {
        Server::origin(&self.config(more))
    }

    /// Starts so many of them.
    pub(crate) fn servers<const N: usize>(&self, more: &str) -> [Server; N] {
        [(); N].map(|()| self.start(more))
    }

    /// What is there, without what is always there.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut names = names(&self.path());
        names.retain(|name| name != "lock" && name != "secret");
        names
    }

    /// The texts that say who holds what.
    pub(crate) fn announcements(&self) -> Vec<String> {
        let files = self.files().into_iter();
        let streams = files.filter(|name| name.ends_with(".stream"));
        // One may go away meanwhile.
        streams
            .filter_map(|name| fs::read_to_string(self.path().join(name)).ok())
            .collect()
    }

    /// How many doors there are.
    pub(crate) fn doors(&self) -> usize {
        let is_door = |name: &&String| name.ends_with(".sock");
        self.files().iter().filter(is_door).count()
    }
}

/// The names of what is in a directory.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<_> = entries.map(|entry| name(entry.unwrap())).collect();
    names.sort();
    names
}

/// How often this process has begun to fetch `live/name` from another.
pub(crate) fn fetches(server: &Server, name: &str) -> usize {
    server.count_log(&format!(" live/{name}: comes from process "))
}

/// A player of RTMP or of HTTP-FLV.
#[derive(Debug)]
pub(crate) struct Viewer {
    player: Kept,
    /// The last frame.
    last: Option<(u32, Message)>,
}

#[derive(Debug)]
enum Kept {
    Rtmp(Player),
    Flv(FlvPlayer),
}

impl Viewer {
    /// Asks for `live/name` over RTMP.
    pub(crate) fn rtmp(address: SocketAddr, name: &str) -> Self {
        Self::new(Kept::Rtmp(play(address, "live", name)))
    }

    /// Asks for `live/name` over HTTP, and is told yes.
    pub(crate) fn flv(address: SocketAddr, name: &str) -> Self {
        Self::new(Kept::Flv(FlvPlayer::play(address, &format!("{name}.flv"))))
    }

    /// One of each, at this process.
    pub(crate) fn both(server: &Server, name: &str) -> [Self; 2] {
        let flv = Self::flv(server.http_address(), name);
        [Self::rtmp(server.address(), name), flv]
    }

    fn new(player: Kept) -> Self {
        Self { player, last: None }
    }

    /// Its own address.
    pub(crate) fn address(&self) -> SocketAddr {
        let socket = match &self.player {
            Kept::Rtmp(player) => player.connection.socket(),
            Kept::Flv(player) => &player.client.socket,
        };
        socket.local_addr().unwrap()
    }

    /// The next frame, whole, and not before the one before: its number and what it is.
    pub(crate) fn frame(&mut self) -> (u32, Kind) {
        let (number, message) = match &mut self.player {
            Kept::Rtmp(player) => player.frame(),
            Kept::Flv(player) => player.frame(),
        };
        if let Some((_, last)) = &self.last {
            assert_forward(last, &message);
        }
        let kind = Kind::of(&message).unwrap();
        self.last = Some((number, message));
        (number, kind)
    }

    /// Reads up to frame `last`, without a gap.
    pub(crate) fn until(&mut self, last: u32) {
        while self.last.as_ref().is_none_or(|(number, _)| *number < last) {
            let before = self.last.as_ref().map(|(number, _)| *number);
            let (number, _) = self.frame();
            assert!(
                before.is_none_or(|before| number == before + 1),
                "{number} after {before:?}"
            );
        }
    }

    /// Reads up to the keyframe `first`, which another publisher begins with.
    pub(crate) fn follow(&mut self, first: u32) {
        let (mut number, mut kind) = self.frame();
        while number != first {
            (number, kind) = self.frame();
        }
        assert_eq!(kind, Kind::Key);
    }

    /// Checks that nobody has told it anything but that it plays.
    pub(crate) fn assert_undisturbed(&self) {
        if let Kept::Rtmp(player) = &self.player {
            assert_eq!(player.told.len(), 2, "{:?}", player.told);
        }
    }
}

/// Checks that each goes on with what begins with keyframe `first`, within `limit` of `since`;
/// returns when the last did.
pub(crate) fn all_follow(
    viewers: &mut [Viewer],
    first: u32,
    since: Instant,
    limit: Duration,
) -> Duration {
    for viewer in viewers.iter_mut() {
        viewer.follow(first);
        let took = since.elapsed();
        assert!(took < limit, "frame {first} after {took:?}");
        viewer.assert_undisturbed();
    }
    since.elapsed()
}

/// Between two frames of each stream.
const INTERVAL: Duration = Duration::from_millis(20);

/// Frames from one keyframe to the next.
const GROUP: u32 = 50;

/// Streams that are published in real time, until this is dropped.
#[derive(Debug)]
pub(crate) struct Feed {
    now: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    /// Sends numbered frames of all of them, from 1. A publisher whose server goes is left out.
    pub(crate) fn start(mut publishers: Vec<Publisher>) -> Self {
        let (now, stop) = (
            Arc::new(AtomicU32::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (now_, stop_) = (Arc::clone(&now), Arc::clone(&stop));
        let begun = Instant::now();
        let send = move || {
            for number in 1.. {
                let due = begun + INTERVAL * number;
                thread::sleep(due.saturating_duration_since(Instant::now()));
                if stop_.load(Ordering::Relaxed) {
                    return;
                }
                let kind = match number % GROUP {
                    1 => Kind::Key,
                    _ if number % 2 == 1 => Kind::Audio,
                    _ => Kind::Inter,
                };
                let frame = media::frame(kind, number, 400);
                publishers.retain_mut(|one| {
                    let sent = one.try_send(kind.type_id(), number * 20, &frame);
                    sent.is_ok()
                });
                now_.store(number, Ordering::Relaxed);
            }
        };
        let thread = thread::Builder::new().spawn(send).unwrap();
        Self {
            now,
            stop,
            thread: Some(thread),
        }
    }

    /// The frame that was sent last; 0 before the first.
    pub(crate) fn now(&self) -> u32 {
        self.now.load(Ordering::Relaxed)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}
