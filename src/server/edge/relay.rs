//! Relays one stream from who has it to its players, as long as it is wanted.

use std::io::{self, ErrorKind};
use std::thread;
use std::time::{Duration, Instant};

use crate::hub::frame::Frame;
use crate::hub::registry::Publisher;
use crate::hub::stream::Over;
use crate::limits;
use crate::server::Server;
use crate::server::connection::{Connection, deadline};
use crate::server::edge::error::{Cause, Phase};
use crate::server::edge::links::Link;
use crate::server::edge::origin::Upstream;
use crate::server::edge::pull::{Fetch, Stop};
use crate::server::error::ConnectionError;
use crate::server::pace::Pace;
use crate::server::port::Protocol;
use crate::server::publish::frame;
use crate::server::sender::Writer;
use crate::server::siblings::{Hold, Holder};
use crate::session::client::Event;
use crate::wire::url::Url;

impl Fetch {
    /// Relays from a source that has said yes; from a sibling, as long as it holds the stream.
    pub(super) fn relay(
        &mut self,
        mut upstream: Upstream,
        patience: Duration,
        held: Option<(Hold, &Holder)>,
    ) -> Stop {
        let mut source = None;
        let stop = self
            .pump(&mut upstream, &mut source, patience, held)
            .unwrap_or_else(|cause| {
                let phase = source.as_ref().map_or(Phase::FirstMedia, |_| Phase::Media);
                Stop::Failed(upstream.failed(phase, cause))
            });
        self.set_link(None);
        // One that always fails after the first frame is not hammered.
        let lasted = source.map_or(Duration::ZERO, |source| source.begun.elapsed());
        if lasted > limits::BACKOFF_MAX {
            self.backoff.reset();
        }
        if lasted > limits::BACKOFF_MAX_WATCHED {
            self.moves = 0;
        }
        stop
    }

    fn pump(
        &mut self,
        upstream: &mut Upstream,
        source: &mut Option<Feed>,
        patience: Duration,
        held: Option<(Hold, &Holder)>,
    ) -> Result<Stop, Cause> {
        let mut buffer = vec![0; limits::READ_BYTES];
        let first_media = deadline(patience.min(limits::ORIGIN_STALL_DEADLINE));
        let mut heard = Instant::now();
        let mut looked = heard;
        let mut frames = Vec::new();
        let mut failed = None;
        let (mut pace, mut read) = (Pace::new(limits::ORIGIN_STALL_DEADLINE), 0);
        loop {
            let merge_time = self.server.rhythm.merge_time(&self.pull.stream.path);
            let end = take_frames(&self.server, upstream, &mut frames);
            let more = frames.len() >= limits::MAX_BATCH_FRAMES;
            if !frames.is_empty() {
                *source = source.take().or_else(|| self.begin(upstream));
                let feed = source.as_ref();
                let delivered = feed.map(|feed| feed.deliver(frames.drain(..), merge_time));
                if !matches!(delivered, Some(Ok(()))) {
                    // Somebody publishes the stream here, or the server stops.
                    return Ok(Stop::Moved);
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
                let stream = &source.publisher.stream;
                pace.wait(&upstream.connection, read, stream, &self.server.rhythm);
            }
            read = 0;
            let connection = &upstream.connection;
            source
                .iter_mut()
                .for_each(|feed| feed.settle(connection, merge_time));
            if let Some(stop) = self.must_stop(source.is_some(), held, &mut looked) {
                return Ok(stop);
            }
            if source.is_none() && Instant::now() >= first_media {
                return Err(Cause::Failed(io::Error::from(ErrorKind::TimedOut).into()));
            }
            if let Some(length) = read_some(upstream, &mut buffer)? {
                heard = Instant::now();
                let bytes = buffer.get(..length).unwrap_or_default();
                self.pull.stream.traffic.receive(length);
                // What came before an error still arrives.
                failed = upstream.received(bytes).err();
                read = length;
            } else if heard.elapsed() > limits::ORIGIN_STALL_DEADLINE {
                return Err(Cause::Failed(io::Error::from(ErrorKind::TimedOut).into()));
            }
        }
    }

    /// Says where the stream comes from.
    fn set_link(&self, from: Option<&str>) {
        let link = Link::Pull(self.pull.stream.path.to_string());
        self.server.edge.links.set(link, from);
    }

    /// Whether to stop although the source goes on; one that has media is kept for a while.
    fn must_stop(
        &mut self,
        has_media: bool,
        held: Option<(Hold, &Holder)>,
        looked: &mut Instant,
    ) -> Option<Stop> {
        let linger = if has_media {
            limits::PULL_LINGER
        } else {
            Duration::ZERO
        };
        let now = Instant::now();
        if self.pull.retire(linger, now) {
            return Some(Stop::Unwanted);
        }
        if now.saturating_duration_since(*looked) < limits::POLL {
            return None;
        }
        *looked = now;
        self.has_moved(held).then_some(Stop::Moved)
    }

    /// Whether the stream must be looked for elsewhere: its holder has let go of it, or somebody
    /// publishes to a sibling what we have from a coworker.
    fn has_moved(&self, held: Option<(Hold, &Holder)>) -> bool {
        let path = &self.pull.stream.path;
        match held {
            Some((hold, known)) => self.server.holder(hold, path).as_ref() != Some(known),
            None => self.server.holder(Hold::Publish, path).is_some(),
        }
    }

    /// The first media: the stream has a source.
    fn begin(&mut self, upstream: &Upstream) -> Option<Feed> {
        let gap = match upstream.connection.protocol {
            Protocol::Sibling => limits::SIBLING_BURST_GAP,
            Protocol::Rtmp | Protocol::Http | Protocol::Api => limits::BURST_GAP,
        };
        let publisher = self.pull.publish()?;
        let path = &self.pull.stream.path;
        log::log!(self.level(), "{path}: comes from {}", upstream.origin);
        self.unproven = None;
        self.set_link(Some(&upstream.origin));
        Some(Feed {
            publisher,
            begun: Instant::now(),
            burst: true,
            gap,
        })
    }
}

/// Reads from the source; `None`: nothing came for a while.
fn read_some(upstream: &Upstream, buffer: &mut [u8]) -> Result<Option<usize>, Cause> {
    match upstream.connection.read(buffer, deadline(limits::POLL)) {
        Ok(0) => Err(Cause::Closed),
        Ok(length) => Ok(Some(length)),
        Err(error) if error.kind() == ErrorKind::TimedOut => Ok(None),
        Err(error) => Err(Cause::Failed(error.into())),
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
            Event::Redirect(url) => return Some(Err(Cause::Redirect(Url::parse(&url)))),
            // Where we asked, another process answers by now.
            Event::Reconnect => return Some(Ok(Stop::Moved)),
            Event::Send(_) | Event::Granted(_) => {}
        }
    }
    None
}

/// What feeds the stream.
struct Feed {
    publisher: Publisher<Writer>,
    begun: Instant,
    /// The source's burst lasts …
    burst: bool,
    /// … until nothing came for this long.
    gap: Duration,
}

impl Feed {
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

    /// During the burst, waits a little for more; when it is over, who waits for the stream may join.
    fn settle(&mut self, connection: &Connection, merge_time: Duration) {
        if !self.burst {
            return;
        }
        self.burst = self.begun.elapsed() < patience(merge_time) && connection.wait_input(self.gap);
        if !self.burst || self.begun.elapsed() >= limits::BURST_TIME {
            self.publisher.go_live();
        }
    }
}

/// A sender empties its queues once per merge time, and a group of pictures may fill them often.
fn patience(merge_time: Duration) -> Duration {
    limits::BURST_TIME.max(merge_time.saturating_mul(8))
}
