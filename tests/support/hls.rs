//! A directory of HLS as a player sees it: a strict reader of playlists (RFC 8216), and a watch that
//! fails the test when anything that was listed is missing or changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::eventually;
use super::peer::Publisher;
use super::segments::picture;
use super::server::Server;

/// A server that writes HLS to `directory`, with `more` keys of `[hls]`.
pub(crate) fn config(directory: &Path, more: &str) -> String {
    let directory = directory.display();
    format!("listen = \"127.0.0.1:0\"\n[hls]\nenabled = true\nhls_path = \"{directory}\"\n{more}\n")
}

/// A live media playlist.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Playlist {
    pub(crate) target: u32,
    pub(crate) sequence: u64,
    pub(crate) discontinuity_sequence: u64,
    pub(crate) entries: Vec<Entry>,
}

/// One segment of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    pub(crate) milliseconds: u32,
    pub(crate) discontinuity: bool,
    pub(crate) uri: String,
}

impl Playlist {
    /// Reads a text; what RFC 8216 forbids fails the test.
    pub(crate) fn read(text: &str) -> Self {
        let mut lines = text.lines().peekable();
        assert!(text.ends_with('\n'), "cut short: {text}");
        assert_eq!(lines.next(), Some("#EXTM3U"), "4.3.1.1");
        assert_eq!(lines.next(), Some("#EXT-X-VERSION:3"), "4.3.1.2");
        let mut value = |tag: &str| -> Option<u64> {
            let line = lines.next_if(|line| line.starts_with(tag))?;
            Some(line.strip_prefix(tag)?.parse().unwrap())
        };
        let target = value("#EXT-X-TARGETDURATION:").expect("4.3.3.1");
        let sequence = value("#EXT-X-MEDIA-SEQUENCE:").expect("4.3.3.2");
        let discontinuity_sequence = value("#EXT-X-DISCONTINUITY-SEQUENCE:").unwrap_or(0);
        let mut playlist = Self {
            target: target.try_into().unwrap(),
            sequence,
            discontinuity_sequence,
            entries: Vec::new(),
        };
        while let Some(line) = lines.next() {
            let discontinuity = line == "#EXT-X-DISCONTINUITY";
            let line = if discontinuity {
                lines.next().unwrap()
            } else {
                line
            };
            let duration = line.strip_prefix("#EXTINF:").expect("4.3.2.1");
            let seconds: f64 = duration.strip_suffix(',').unwrap().parse().unwrap();
            assert!(
                seconds.round() <= f64::from(playlist.target),
                "4.3.3.1: {text}"
            );
            playlist.entries.push(Entry {
                milliseconds: (seconds * 1000.0).round() as u32,
                discontinuity,
                uri: lines.next().expect("a URI").to_owned(),
            });
        }
        playlist
    }

    /// The playlist of `live/name`, if there is one.
    pub(crate) fn of(directory: &Path, name: &str) -> Option<Self> {
        let text = fs::read_to_string(directory.join(format!("live/{name}.m3u8"))).ok()?;
        Some(Self::read(&text))
    }

    /// The number of the segment after the last.
    pub(crate) fn next(&self) -> u64 {
        self.sequence + self.entries.len() as u64
    }

    /// Milliseconds of all segments.
    pub(crate) fn duration(&self) -> u32 {
        self.entries.iter().map(|entry| entry.milliseconds).sum()
    }

    /// How many segments of the list do not continue the one before.
    pub(crate) fn discontinuities(&self) -> usize {
        self.entries
            .iter()
            .filter(|entry| entry.discontinuity)
            .count()
    }

    /// RFC 8216, 6.2.2: what may change from one playlist to a later one.
    pub(crate) fn assert_follows(&self, before: &Self) {
        assert_eq!(self.target, before.target, "the target changed");
        assert!(
            self.sequence >= before.sequence,
            "{before:?}, then {self:?}"
        );
        assert!(self.next() >= before.next(), "{before:?}, then {self:?}");
        let removed = (self.sequence - before.sequence) as usize;
        let gone = &before.entries[..removed.min(before.entries.len())];
        let breaks = gone.iter().filter(|entry| entry.discontinuity).count() as u64;
        assert!(self.discontinuity_sequence >= before.discontinuity_sequence + breaks);
        for (old, new) in before.entries[gone.len()..].iter().zip(&self.entries) {
            assert_eq!(old, new, "an entry changed");
        }
    }
}

/// Looks at a stream without pause, until it is asked for what it saw.
#[derive(Debug)]
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

/// What there was.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Every playlist, in order.
    pub(crate) playlists: Vec<Playlist>,
    /// Every segment that was listed, by its number.
    pub(crate) segments: BTreeMap<u64, Vec<u8>>,
}

impl Watch {
    /// Watches `live/name`.
    pub(crate) fn new(directory: &Path, name: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (ended, directory) = (Arc::clone(&stop), directory.to_owned());
        let name = name.to_owned();
        let look = move || {
            let mut seen = Seen::default();
            loop {
                let last = ended.load(Ordering::Relaxed);
                seen.look(&directory, &name);
                if last {
                    return seen;
                }
                thread::sleep(Duration::from_millis(5));
            }
        };
        let thread = thread::Builder::new().spawn(look).unwrap();
        Self { stop, thread }
    }

    /// What was seen.
    pub(crate) fn seen(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

impl Seen {
    fn look(&mut self, directory: &Path, name: &str) {
        let Some(playlist) = Playlist::of(directory, name) else {
            assert!(self.playlists.is_empty(), "the playlist went away");
            return;
        };
        let live = directory.join("live");
        // Also those of the playlist before: a player may still ask for them.
        let before = self.playlists.last().into_iter().chain([&playlist]);
        let uris: BTreeSet<&str> = before
            .flat_map(|playlist| playlist.entries.iter().map(|entry| entry.uri.as_str()))
            .collect();
        for uri in uris {
            let bytes = fs::read(live.join(uri)).unwrap_or_else(|error| panic!("{uri}: {error}"));
            let number = uri.strip_prefix(&format!("{name}/")).unwrap();
            let number = number.strip_suffix(".ts").unwrap().parse().unwrap();
            let first = self.segments.entry(number).or_insert_with(|| bytes.clone());
            assert!(*first == bytes, "{uri} changed");
        }
        match self.playlists.last() {
            Some(last) if *last == playlist => return,
            Some(last) => playlist.assert_follows(last),
            None => {}
        }
        self.playlists.push(playlist);
    }
}

/// Waits until the playlist of `live/name` fits.
pub(crate) fn await_playlist(
    directory: &Path,
    name: &str,
    what: &str,
    fits: impl Fn(&Playlist) -> bool,
) -> Playlist {
    let mut found = None;
    eventually(what, || {
        found = Playlist::of(directory, name).filter(|playlist| fits(playlist));
        found.is_some()
    });
    found.unwrap()
}

/// Publishes pictures, every 40 ms with a keyframe each second, and audio in `times`. Ten times as
/// fast as real time, which no queue minds.
pub(crate) fn send(publisher: &mut Publisher, times: core::ops::Range<u32>) {
    for time in times.step_by(40) {
        let key = time.is_multiple_of(1000);
        publisher.send(9, time, &picture(key, 0, &[time as u8 | 1; 4000]));
        publisher.send(8, time, b"\xaf\x01sound");
        publisher.send(8, time + 20, b"\xaf\x01sound");
        thread::sleep(Duration::from_millis(4));
    }
}

/// Every path below a directory, hidden ones too.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found.sort();
    found
}

/// The two origins that are shipped, in a directory that they share; they listen.
pub(crate) fn shipped_origins(directory: &Path) -> [Server; 2] {
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    let start = |file| Server::with_file_in(&conf.join(file), directory);
    let servers = ["origin.hls.only1.conf", "origin.hls.only2.conf"].map(start);
    for server in &servers {
        server.wait_log("listening on rtmp ");
        server.wait_log("listening on http ");
    }
    servers
}
