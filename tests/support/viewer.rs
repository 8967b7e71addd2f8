//! A viewer of HLS over HTTP: the playlist again and again, and each of its segments once, all over
//! new connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::hls::Playlist;
use super::http::{Response, get};

/// A running one.
#[derive(Debug)]
pub(crate) struct HlsViewer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Viewed>,
}

/// What it got: segments with successive numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Viewed {
    pub(crate) segments: u64,
    /// How many of them do not continue the one before.
    pub(crate) discontinuities: u64,
}

impl HlsViewer {
    /// Views `live/name`, whose playlist must be there.
    pub(crate) fn start(address: SocketAddr, name: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, name) = (Arc::clone(&stop), name.to_owned());
        let view = move || view(address, &name, &stopped);
        let thread = thread::Builder::new().spawn(view).unwrap();
        Self { stop, thread }
    }

    /// Whatever it missed fails the test.
    pub(crate) fn stop(self) -> Viewed {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn view(address: SocketAddr, name: &str, stop: &AtomicBool) -> Viewed {
    let mut viewed = Viewed::default();
    let mut last: Option<Playlist> = None;
    while !stop.load(Ordering::Relaxed) {
        let text = fetch(address, &format!("/live/{name}.m3u8")).body;
        let playlist = Playlist::read(&String::from_utf8(text).unwrap());
        let next = last.as_ref().map_or(playlist.sequence, Playlist::next);
        if let Some(last) = &last {
            playlist.assert_follows(last);
        }
        let missed = next < playlist.sequence;
        assert!(!missed, "live/{name}: {next} was listed too shortly");
        let seen = (next - playlist.sequence) as usize;
        for entry in &playlist.entries[seen..] {
            let segment = fetch(address, &format!("/live/{}", entry.uri)).body;
            let whole = segment.len().is_multiple_of(188) && segment.starts_with(b"G");
            assert!(whole, "{}", entry.uri);
            viewed.segments += 1;
            viewed.discontinuities += u64::from(entry.discontinuity);
        }
        last = Some(playlist);
        thread::sleep(Duration::from_millis(200));
    }
    viewed
}

fn fetch(address: SocketAddr, path: &str) -> Response {
    let response = get(address, path);
    assert_eq!(response.status, 200, "{path}: {}", response.head);
    response
}
