//! Stream path → stream. Handles undo themselves on drop; no path leaves a stream busy.

use core::fmt;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::hub::frame::Frame;
use crate::hub::stream::{Over, Stream};
use crate::hub::tally::{Tally, Total};

/// All streams of the process.
#[derive(Debug)]
pub struct Registry<W> {
    streams: Mutex<Streams<W>>,
    max_frames: MaxFrames,
    total: Arc<Total>,
}

#[derive(Debug)]
struct Streams<W> {
    by_path: HashMap<Arc<str>, Arc<Stream<W>>>,
    closed: bool,
}

/// How many frames of each group of pictures are kept of the stream at a path.
struct MaxFrames(Box<dyn Fn(&str) -> usize + Send + Sync>);

impl fmt::Debug for MaxFrames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaxFrames")
    }
}

/// The right to feed a stream, until it is dropped or taken over.
#[derive(Debug)]
pub struct Publisher<W> {
    registry: Arc<Registry<W>>,
    /// The stream.
    pub stream: Arc<Stream<W>>,
    epoch: u64,
}

/// The wish to play a stream: keeps it, and what fetches it, alive.
#[derive(Debug)]
pub struct Attached<W> {
    registry: Arc<Registry<W>>,
    /// The stream.
    pub stream: Arc<Stream<W>>,
}

/// The right, and the duty, to fetch a stream from elsewhere while it is wanted.
#[derive(Debug)]
pub struct Pull<W> {
    registry: Arc<Registry<W>>,
    /// The stream.
    pub stream: Arc<Stream<W>>,
    retired: bool,
}

/// The stream has a publisher already, or the server stops.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Busy;

impl<W> Registry<W> {
    /// No streams yet. `max_frames` says of a stream's path how many frames of each group of pictures
    /// are kept; 0 for none. It is asked when somebody begins to feed the stream, or wants it.
    pub fn new(max_frames: impl Fn(&str) -> usize + Send + Sync + 'static) -> Self {
        Self {
            streams: Mutex::new(Streams {
                by_path: HashMap::new(),
                closed: false,
            }),
            max_frames: MaxFrames(Box::new(max_frames)),
            total: Arc::default(),
        }
    }

    /// One that keeps none, and whose frames count among those of another registry.
    pub fn beside(&self) -> Self {
        Self {
            total: Arc::clone(&self.total),
            ..Self::new(|_| 0)
        }
    }

    /// The frames of all streams, also of those that are gone.
    pub fn tally(&self) -> Tally {
        self.total.tally()
    }

    /// The streams there are.
    pub fn streams(&self) -> Vec<Arc<Stream<W>>> {
        self.lock().by_path.values().map(Arc::clone).collect()
    }

    /// Begins to feed the stream at `path`.
    ///
    /// # Errors
    ///
    /// Somebody publishes it, and `takeover` is false; or the registry is closed.
    pub fn publish(self: &Arc<Self>, path: &str, takeover: bool) -> Result<Publisher<W>, Busy> {
        let mut streams = self.lock();
        if streams.closed {
            return Err(Busy);
        }
        let stream = self.entry(&mut streams, path);
        if stream.lock().published && !takeover {
            return Err(Busy);
        }
        let epoch = stream.begin(true).ok_or(Busy)?;
        stream.go_live(epoch);
        Ok(Publisher {
            registry: Arc::clone(self),
            stream,
            epoch,
        })
    }

    /// Whether somebody publishes the stream at `path`.
    pub fn is_published(&self, path: &str) -> bool {
        let streams = self.lock();
        let stream = streams.by_path.get(path);
        stream.is_some_and(|stream| stream.lock().published)
    }

    /// The stream at `path`, if there is one.
    pub fn stream(&self, path: &str) -> Option<Arc<Stream<W>>> {
        self.lock().by_path.get(path).cloned()
    }

    /// Ends the turn of who publishes the stream at `path`: it is told with its next message.
    pub fn unpublish(&self, path: &str) {
        if let Some(stream) = self.lock().by_path.get(path) {
            stream.unpublish();
        }
    }

    /// Paths of streams that are wanted, and that nobody feeds or fetches.
    pub fn unfed(&self) -> Vec<Arc<str>> {
        // Not under the lock: a stream's may be held through a fan-out.
        let streams = self.streams();
        let unfed = streams.iter().filter(|stream| stream.lock().is_unfed());
        unfed.map(|stream| Arc::clone(&stream.path)).collect()
    }

    /// Announces a player of the stream at `path`, whether there is such a stream or not.
    ///
    /// # Errors
    ///
    /// The registry is closed.
    pub fn attach(self: &Arc<Self>, path: &str) -> Result<Attached<W>, Busy> {
        let mut streams = self.lock();
        if streams.closed {
            return Err(Busy);
        }
        let stream = self.entry(&mut streams, path);
        let mut state = stream.lock();
        state.attached = state.attached.saturating_add(1);
        state.deserted = None;
        drop(state);
        Ok(Attached {
            registry: Arc::clone(self),
            stream,
        })
    }

    /// Lets nothing new in, and ends every player of every stream.
    pub fn close(&self) {
        let mut streams = self.lock();
        streams.closed = true;
        for stream in streams.by_path.values() {
            stream.close();
        }
    }

    /// How many streams there are.
    pub fn count(&self) -> usize {
        self.lock().by_path.len()
    }

    /// Paths of streams that are live, in order, at most so many.
    pub fn live(&self, most: usize) -> Vec<Arc<str>> {
        let streams = self.streams();
        let live = streams.iter().filter(|stream| stream.lock().live);
        let mut paths: Vec<_> = live.map(|stream| Arc::clone(&stream.path)).collect();
        paths.sort_unstable();
        paths.truncate(most);
        paths
    }

    /// Forgets the stream if nothing keeps it.
    pub fn tidy(&self, stream: &Arc<Stream<W>>) {
        let mut streams = self.lock();
        let known = streams.by_path.get(&stream.path);
        if known.is_some_and(|known| Arc::ptr_eq(known, stream)) && stream.lock().is_unused() {
            streams.by_path.remove(&stream.path);
        }
    }

    fn entry(&self, streams: &mut Streams<W>, path: &str) -> Arc<Stream<W>> {
        let MaxFrames(max_frames) = &self.max_frames;
        let frames = max_frames(path);
        if let Some(stream) = streams.by_path.get(path) {
            stream.keep(frames);
            return Arc::clone(stream);
        }
        let path: Arc<str> = Arc::from(path);
        let total = Arc::clone(&self.total);
        let stream = Arc::new(Stream::new(Arc::clone(&path), frames, total));
        streams.by_path.insert(path, Arc::clone(&stream));
        stream
    }

    fn lock(&self) -> MutexGuard<'_, Streams<W>> {
        // Every change under this lock is one call of the map: it is whole after a panic too.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W> Publisher<W> {
    /// Hands a message to every player.
    ///
    /// # Errors
    ///
    /// Another publisher has taken over, or the server stops.
    pub fn deliver(&self, frame: Frame, now: Instant) -> Result<(), Over> {
        self.deliver_all([frame], now)
    }

    /// Hands messages to every player, in order.
    ///
    /// # Errors
    ///
    /// As in [`Self::deliver`]; then nobody has got any of them.
    pub fn deliver_all(
        &self,
        frames: impl IntoIterator<Item = Frame>,
        now: Instant,
    ) -> Result<(), Over> {
        self.stream.deliver(self.epoch, frames, now)
    }

    /// Lets players join. Whoever feeds a stream in one burst first does so when that is over.
    pub fn go_live(&self) {
        self.stream.go_live(self.epoch);
    }
}

impl<W> Drop for Publisher<W> {
    fn drop(&mut self) {
        self.stream.finish(self.epoch);
        self.registry.tidy(&self.stream);
    }
}

impl<W> Attached<W> {
    /// Begins to fetch the stream, unless that is being done, or somebody publishes it here.
    pub fn pull(&self) -> Option<Pull<W>> {
        let mut state = self.stream.lock();
        if state.pulled || state.published {
            return None;
        }
        state.pulled = true;
        Some(Pull {
            registry: Arc::clone(&self.registry),
            stream: Arc::clone(&self.stream),
            retired: false,
        })
    }
}

impl<W> Drop for Attached<W> {
    fn drop(&mut self) {
        let mut state = self.stream.lock();
        state.attached = state.attached.saturating_sub(1);
        if state.attached == 0 {
            state.deserted = Some(Instant::now());
        }
        drop(state);
        self.registry.tidy(&self.stream);
    }
}

impl<W> Pull<W> {
    /// Ends the pull if nobody has wanted the stream for `linger`; whether it did. Decided under
    /// the stream's lock: a player that comes later finds no pull and begins another.
    pub fn retire(&mut self, linger: Duration, now: Instant) -> bool {
        let mut state = self.stream.lock();
        let deserted = state.deserted.filter(|_| state.attached == 0);
        let long_ago = |since| now.saturating_duration_since(since) >= linger;
        if state.closed || deserted.is_some_and(long_ago) {
            state.pulled = false;
            self.retired = true;
        }
        self.retired
    }

    /// Whether somebody publishes the stream here.
    pub fn is_published(&self) -> bool {
        self.stream.lock().published
    }

    /// Whether somebody waits for the stream or plays it.
    pub fn is_wanted(&self) -> bool {
        self.stream.lock().attached > 0
    }

    /// Feeds the stream: begins the turn of another source. Players can join when it goes live.
    /// `None`: somebody publishes it here.
    pub fn publish(&self) -> Option<Publisher<W>> {
        Some(Publisher {
            registry: Arc::clone(&self.registry),
            stream: Arc::clone(&self.stream),
            epoch: self.stream.begin(false)?,
        })
    }
}

impl<W> Drop for Pull<W> {
    fn drop(&mut self) {
        if !self.retired {
            self.stream.lock().pulled = false;
        }
        self.registry.tidy(&self.stream);
    }
}
