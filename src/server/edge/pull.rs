//! The thread that fetches one stream from the origins while somebody wants it.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use log::{Level, debug, info};

use crate::hub::frame::Frame;
use crate::hub::registry::{Publisher, Pull};
use crate::hub::stream::Over;
use crate::limits;
use crate::server::Server;
use crate::server::connection::deadline;
use crate::server::edge::origin::{Cause, OriginError, Phase, Upstream};
use crate::server::edge::{Counted, Edge, Wanted};
use crate::server::error::ConnectionError;
use crate::server::log::escape;
use crate::server::pace::Pace;
use crate::server::publish::frame;
use crate::server::sender::Writer;
use crate::session::client::Event;

/// A stream that is being fetched.
#[derive(Debug)]
pub struct Fetch {
    server: Arc<Server>,
    pull: Pull<Writer>,
    wanted: Wanted,
    _counted: Counted,
    /// Until the first media.
    unproven: Option<Counted>,
    backoff: Backoff,
}

/// Why a fetch stopped relaying.
enum Stop {
    /// Nobody wants the stream any more.
    Unwanted,
    /// The origin says that the stream is over.
    Over,
    /// The origin failed.
    Failed(OriginError),
}

impl Fetch {
    /// Will fetch for `pull`, in the place of all pulls and in that of the unproven ones.
    pub fn new(
        wanted: Wanted,
        pull: Pull<Writer>,
        (counted, unproven): (Counted, Counted),
    ) -> Self {
        let server = Arc::clone(&wanted.server);
        let seed = server.next_id();
        Self {
            server,
            pull,
            wanted,
            _counted: counted,
            unproven: Some(unproven),
            backoff: Backoff::new(seed),
        }
    }

    /// Fetches until nobody wants the stream. The body of its thread.
    pub fn run(mut self) {
        let server = Arc::clone(&self.server);
        let Some(edge) = &server.edge else {
            return;
        };
        let path = Arc::clone(&self.pull.stream.path);
        if let Some(not_before) = edge.not_before(&path)
            && !self.wait(not_before)
        {
            return;
        }
        loop {
            match self.attempt(edge) {
                Stop::Unwanted => {
                    debug!("{path}: not wanted any more");
                    return;
                }
                Stop::Over => {
                    // Its players are kept as long as those of any stream without a publisher.
                    info!("{path}: the origin says that it is over");
                }
                Stop::Failed(error) => self.tell(&error, "trying again"),
            }
            let watched = self.unproven.is_none();
            let wait = self.backoff.next(watched);
            if !self.wait(deadline(wait)) {
                return;
            }
        }
    }

    /// Says why an origin was left. Once; the attempts that follow are for those who look for them.
    fn tell(&self, error: &OriginError, next: &str) {
        let (path, error) = (&self.pull.stream.path, error.to_string());
        log::log!(self.level(), "{path}: {}; {next}", escape(&error));
    }

    fn level(&self) -> Level {
        match self.backoff.is_fresh() {
            true => Level::Info,
            false => Level::Debug,
        }
    }

    /// Waits until `until`; `false` if nobody wants the stream any more.
    fn wait(&mut self, until: Instant) -> bool {
        loop {
            let now = Instant::now();
            if self.pull.retire(Duration::ZERO, now) {
                return false;
            }
            let rest = until.saturating_duration_since(now);
            if rest.is_zero() {
                return true;
            }
            thread::sleep(rest.min(limits::POLL));
        }
    }

    /// Tries every origin once, and relays from the first that has the stream.
    fn attempt(&mut self, edge: &Edge) -> Stop {
        let path = Arc::clone(&self.pull.stream.path);
        let mut last = Stop::Unwanted;
        let request = self.wanted.next();
        for (origin, patience) in edge.round() {
            if self.pull.retire(Duration::ZERO, Instant::now()) {
                return Stop::Unwanted;
            }
            if let Stop::Failed(error) = &last {
                self.tell(error, "trying another one");
            }
            let opened = Upstream::open(&self.server, edge, (origin, patience), &request);
            let error = match opened {
                Ok((upstream, _)) => {
                    origin.set_down(false);
                    let stop = self.relay(upstream, patience);
                    if !matches!(&stop, Stop::Failed(error) if error.phase != Phase::Media) {
                        self.wanted.prove(&request);
                    }
                    match stop {
                        Stop::Failed(error) => error,
                        stop @ (Stop::Unwanted | Stop::Over) => return stop,
                    }
                }
                Err(error) => error,
            };
            match error.cause {
                Cause::Refused(..) if self.unproven.is_some() => edge.missed(&path),
                // It may be well, and only not have this stream.
                _ if matches!(error.phase, Phase::Answer | Phase::FirstMedia) => {}
                Cause::Refused(..) | Cause::TooSlow => {}
                Cause::Failed(_) | Cause::Closed | Cause::Loop(_) => origin.set_down(true),
            }
            let relayed = error.phase == Phase::Media;
            last = Stop::Failed(error);
            if relayed {
                break;
            }
        }
        last
    }

    /// Relays from an origin that has said yes.
    fn relay(&mut self, mut upstream: Upstream, patience: Duration) -> Stop {
        let mut source = None;
        let stop = self
            .pump(&mut upstream, &mut source, patience)
            .unwrap_or_else(|cause| {
                let phase = source.as_ref().map_or(Phase::FirstMedia, |_| Phase::Media);
                Stop::Failed(upstream.failed(phase, cause))
            });
        // One that always fails after the first frame is not hammered.
        if source.is_some_and(|source| source.begun.elapsed() > limits::BACKOFF_MAX) {
            self.backoff.reset();
        }
        stop
    }

    fn pump(
        &mut self,
        upstream: &mut Upstream,
        source: &mut Option<Source>,
        patience: Duration,
    ) -> Result<Stop, Cause> {
        let mut buffer = vec![0; limits::READ_BYTES];
        let first_media = deadline(patience.min(limits::ORIGIN_STALL_DEADLINE));
        let mut heard = Instant::now();
        let mut frames = Vec::new();
        let mut failed = None;
        let (mut pace, mut read) = (Pace::new(limits::ORIGIN_STALL_DEADLINE), 0);
        loop {
            let merge_time = self.server.rhythm.merge_time();
            let end = take_frames(&self.server, upstream, &mut frames);
            let more = frames.len() >= limits::MAX_BATCH_FRAMES;
            if !frames.is_empty() {
                let source = source.get_or_insert_with(|| self.begin(upstream));
                if source.deliver(frames.drain(..), merge_time).is_err() {
                    return Ok(Stop::Unwanted);
                }
            }
            if let Some(end) = end {
                return end;
            }
            if more {
                continue;
            }
            if let Some(error) = failed {
                return Err(Cause::Failed(error));
            }
            if let Some(source) = source.as_ref().filter(|source| read > 0 && !source.burst) {
                let read = (read, read == buffer.len() || upstream.is_in_message());
                let (connection, stream) = (&upstream.connection, &source.publisher.stream);
                pace.wait(connection, read, stream, &self.server.rhythm);
            }
            read = 0;
            let wait = source
                .as_mut()
                .map_or(limits::POLL, |source| source.settle(merge_time));
            if self.is_unwanted(source.is_some()) {
                return Ok(Stop::Unwanted);
            }
            if source.is_none() && Instant::now() >= first_media {
                return Err(Cause::Failed(io::Error::from(ErrorKind::TimedOut).into()));
            }
            match upstream.connection.read(&mut buffer, deadline(wait)) {
                Ok(0) => return Err(Cause::Closed),
                Ok(length) => {
                    heard = Instant::now();
                    let bytes = buffer.get(..length).unwrap_or_default();
                    // What came before an error still arrives.
                    failed = upstream.received(bytes).err();
                    read = length;
                }
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    if let Some(source) = source {
                        source.go_live();
                    }
                    if heard.elapsed() > limits::ORIGIN_STALL_DEADLINE {
                        return Err(Cause::Failed(error.into()));
                    }
                }
                Err(error) => return Err(Cause::Failed(error.into())),
            }
        }
    }

    /// Whether nobody wants the stream any more; one that has media is kept for a while.
    fn is_unwanted(&mut self, has_media: bool) -> bool {
        let linger = if has_media {
            limits::PULL_LINGER
        } else {
            Duration::ZERO
        };
        self.pull.retire(linger, Instant::now())
    }

    /// The first media: the stream has a source.
    fn begin(&mut self, upstream: &Upstream) -> Source {
        let path = &self.pull.stream.path;
        log::log!(
            self.level(),
            "{path}: comes from origin {}",
            upstream.origin
        );
        self.unproven = None;
        Source {
            publisher: self.pull.publish(),
            begun: Instant::now(),
            burst: true,
        }
    }
}

/// Takes what the origin has sent, at most [`limits::MAX_BATCH_FRAMES`], or up to what ends the
/// relaying, if that has come.
fn take_frames(
    server: &Server,
    upstream: &mut Upstream,
    frames: &mut Vec<Frame>,
) -> Option<Result<Stop, Cause>> {
    while frames.len() < limits::MAX_BATCH_FRAMES {
        match upstream.event()? {
            Event::Deliver(media) => match frame(server, media) {
                Some(frame) => frames.push(frame),
                None => return Some(Err(Cause::Failed(ConnectionError::Memory))),
            },
            Event::Ended => return Some(Ok(Stop::Over)),
            Event::Refused(code, why) => return Some(Err(Cause::Refused(code, why))),
            Event::Redirect(_) => return Some(Err(Cause::redirected())),
            Event::Send(_) | Event::Granted(_) | Event::Reconnect => {}
        }
    }
    None
}

/// What feeds the stream.
struct Source {
    publisher: Publisher<Writer>,
    begun: Instant,
    /// The origin's burst lasts.
    burst: bool,
}

impl Source {
    /// Hands frames to the players; during the burst one by one, so that those who are there
    /// already have time to take it.
    fn deliver(
        &self,
        mut frames: impl Iterator<Item = Frame>,
        merge_time: Duration,
    ) -> Result<(), Over> {
        if !self.burst {
            return self.publisher.deliver_all(frames, Instant::now());
        }
        frames.try_for_each(|frame| {
            self.make_room(merge_time);
            self.publisher.deliver(frame, Instant::now())
        })
    }

    fn make_room(&self, merge_time: Duration) {
        let patience = patience(merge_time);
        while self.burst && self.publisher.stream.is_crowded() && self.begun.elapsed() < patience {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// How long to wait for more: during the burst that is short.
    fn settle(&mut self, merge_time: Duration) -> Duration {
        if !self.burst {
            return limits::POLL;
        }
        if self.begun.elapsed() >= limits::BURST_TIME {
            self.publisher.go_live();
        }
        self.burst = self.begun.elapsed() < patience(merge_time);
        limits::BURST_GAP
    }

    /// The burst is over: who waits for the stream may join.
    fn go_live(&mut self) {
        if core::mem::take(&mut self.burst) {
            self.publisher.go_live();
        }
    }
}

/// A sender empties its queues once per merge time, and a group of pictures may fill them often.
fn patience(merge_time: Duration) -> Duration {
    limits::BURST_TIME.max(merge_time.saturating_mul(8))
}

/// How long to wait between attempts.
#[derive(Debug)]
pub struct Backoff {
    wait: Duration,
    /// State of the jitter.
    random: u64,
}

impl Backoff {
    /// Begins with the shortest wait; `seed` sets the jitter.
    pub const fn new(seed: u64) -> Self {
        Self {
            wait: limits::BACKOFF_MIN,
            random: seed,
        }
    }

    /// Begins anew.
    pub const fn reset(&mut self) {
        self.wait = limits::BACKOFF_MIN;
    }

    /// Whether nothing has failed since the beginning.
    pub fn is_fresh(&self) -> bool {
        self.wait == limits::BACKOFF_MIN
    }

    /// The next wait: half as long again as the one before, give or take a fifth, so that many
    /// streams do not come back at once. `watched`: somebody sits before a still picture.
    pub fn next(&mut self, watched: bool) -> Duration {
        let most = if watched {
            limits::BACKOFF_MAX_WATCHED
        } else {
            limits::BACKOFF_MAX
        };
        let wait = self.wait.min(most);
        self.wait = wait.saturating_add(wait.checked_div(2).unwrap_or(wait));
        // Knuth's MMIX generator; its high bits are random enough for this.
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let percent = u32::try_from((self.random >> 33).checked_rem(41).unwrap_or(0)).unwrap_or(0);
        let jittered = wait.saturating_mul(percent.saturating_add(80));
        jittered.checked_div(100).unwrap_or(wait)
    }
}
