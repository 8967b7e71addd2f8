//! A stream that is published to us, forwarded to an origin.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use crossbeam_channel::RecvTimeoutError;
use log::{debug, info};

use crate::config::OriginAddress;
use crate::hub::frame::{Frame, Kind};
use crate::hub::queue::FrameReceiver;
use crate::hub::registry::Publisher;
use crate::hub::stream::{Start, Stream};
use crate::hub::tally::Traffic;
use crate::limits;
use crate::server::Server;
use crate::server::connection::{Connection, deadline};
use crate::server::edge::backoff::Backoff;
use crate::server::edge::error::{Cause, OriginError, Phase};
use crate::server::edge::links::Link;
use crate::server::edge::origin::Upstream;
use crate::server::edge::{Source, said_by_origin};
use crate::server::log::escape;
use crate::server::publish::Refusal;
use crate::server::sender::{Unsent, Writer};
use crate::server::thread::Role;
use crate::session::action::chunks;
use crate::session::client::{ClientRequest, Event};
use crate::wire::command::{SET_DATA_FRAME, STREAM};
use crate::wire::message::RawMessage;
use crate::wire::url::Url;

/// The publisher's end. Between it and the thread that writes to the origin is a stream of its
/// own, which nobody can play: it bounds what waits, skips to a keyframe when the origin is slow,
/// and has the headers when another origin takes over. Dropped, it ends the forwarding.
#[derive(Debug)]
pub struct Forwarder {
    publisher: Publisher<Writer>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The publisher has left.
    done: AtomicBool,
    /// No origin takes the stream any more.
    lost: Mutex<Option<Refusal>>,
}

/// The forwarding thread.
struct Forward {
    server: Arc<Server>,
    stream: Arc<Stream<Writer>>,
    shared: Arc<Shared>,
    request: ClientRequest,
    /// Of the publisher's connection.
    id: u64,
}

impl Forwarder {
    /// Publishes to the first origin that can be reached.
    ///
    /// # Errors
    ///
    /// It says no, or none can be reached.
    pub fn begin(
        server: &Arc<Server>,
        connection: &Arc<Connection>,
        path: &str,
        request: ClientRequest,
    ) -> Result<Self, Refusal> {
        let upstream = find(server, &request).map_err(|error| match error {
            Some(OriginError {
                cause: Cause::Refused(_, why),
                ..
            }) => Refusal::bad_name(said_by_origin(why)),
            Some(error) => Refusal::bad_name(error.to_string()),
            None => Refusal::bad_name("there is no origin"),
        })?;
        let refuse = |_| Refusal::bad_name("the server stops");
        let publisher = Arc::new(server.registry.beside())
            .publish(path, false)
            .map_err(refuse)?;
        let shared = Arc::new(Shared::default());
        let forward = Forward {
            server: Arc::clone(server),
            stream: Arc::clone(&publisher.stream),
            shared: Arc::clone(&shared),
            request,
            id: connection.id,
        };
        // Joined before the publisher may send: nothing is missed.
        let joined = publisher.stream.join(Start::Anything);
        info!("{connection}: {path} goes to {}", upstream.0.origin);
        server
            .threads
            .spawn(Role::Forward, connection.id, move || {
                forward.run(upstream, joined.frames);
            })
            .map_err(|error| Refusal::bad_name(format!("no thread to forward with: {error}")))?;
        Ok(Self { publisher, shared })
    }

    /// Passes messages on; waits for nothing.
    ///
    /// # Errors
    ///
    /// No origin takes the stream any more.
    pub fn deliver_all(
        &self,
        frames: impl IntoIterator<Item = Frame>,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.lost().map_or(Ok(()), Err)?;
        let delivered = self.publisher.deliver_all(frames, now);
        delivered.map_err(Refusal::from)
    }

    /// What is forwarded.
    pub fn stream(&self) -> &Arc<Stream<Writer>> {
        &self.publisher.stream
    }

    /// Why no origin takes the stream any more, if that is so.
    pub fn lost(&self) -> Option<Refusal> {
        let lost = self.shared.lost.lock();
        lost.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.shared.done.store(true, Ordering::Relaxed);
        // The thread sends what waits, and then takes its leave of the origin.
        self.publisher.stream.end_players();
    }
}

impl Forward {
    fn run(self, upstream: (Upstream, u32), frames: FrameReceiver) {
        let path = Arc::clone(&self.stream.path);
        let mut backoff = Backoff::new(self.id);
        let mut next = Some((upstream, frames, Unsent::default()));
        while let Some(((mut upstream, id), frames, opening)) = next.take() {
            let begun = Instant::now();
            self.set_link(Some(&upstream.origin));
            let sent = &self.stream.traffic;
            match pass_on(&mut upstream, (id, sent), &frames, opening) {
                Ok(Passed::Everything) => return upstream.finish(),
                // The name is free again then.
                Ok(Passed::Asked) => upstream.finish(),
                Err(cause) => {
                    let error = upstream.failed(Phase::Media, cause);
                    if error.is_final() {
                        return self.lose(&error.to_string());
                    }
                    let error = error.to_string();
                    info!("{path}: {}; looking for another one", escape(&error));
                    // Before we come back: to the origin, the old connection still has the name.
                    upstream.connection.reset("it failed");
                }
            }
            drop(frames);
            self.set_link(None);
            if begun.elapsed() > limits::BACKOFF_MAX {
                backoff.reset();
            }
            let Some(upstream) = self.find_again(&mut backoff) else {
                return;
            };
            info!("{path}: goes on to {}", upstream.0.origin);
            let joined = self.stream.join(Start::NextKeyframe);
            let mut opening = Unsent::default();
            for frame in &joined.opening {
                opening.push(for_origin(frame, upstream.1));
            }
            next = Some((upstream, joined.frames, opening));
        }
    }

    /// Says where the stream goes.
    fn set_link(&self, to: Option<&str>) {
        let links = &self.server.edge.links;
        links.set(Link::Forward(self.id), to);
    }

    /// Looks for an origin: at once if the last one had been good for a while, and then until the
    /// deadline, or until the publisher has left. If there is none, the publisher is told.
    fn find_again(&self, backoff: &mut Backoff) -> Option<(Upstream, u32)> {
        let give_up = deadline(limits::FORWARD_DEADLINE);
        let left = || self.shared.done.load(Ordering::Relaxed) || self.server.is_stopping();
        let mut fresh = backoff.is_fresh();
        loop {
            let wait = backoff.next(true);
            let until = if core::mem::take(&mut fresh) {
                Instant::now()
            } else {
                deadline(wait)
            };
            while Instant::now() < until && !left() {
                thread::sleep(limits::POLL.min(until.saturating_duration_since(Instant::now())));
            }
            if left() {
                return None;
            }
            let error = match find(&self.server, &self.request) {
                Ok(upstream) => return Some(upstream),
                Err(error) => error,
            };
            let why = error.map_or_else(String::new, |error| error.to_string());
            debug!("{}: {}", self.stream.path, escape(&why));
            if Instant::now() >= give_up {
                self.lose(&format!("no origin takes the stream: {why}"));
                return None;
            }
        }
    }

    /// Gives up: the publisher is told why with its next message.
    fn lose(&self, why: &str) {
        let lost = Some(Refusal::bad_name(why));
        *self
            .shared
            .lost
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = lost;
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let links = &self.server.edge.links;
        links.remove(&Link::Forward(self.id));
    }
}

/// The first origin that takes the stream; or why the last one does not.
fn find(server: &Server, request: &ClientRequest) -> Result<(Upstream, u32), Option<OriginError>> {
    let mut last = None;
    let edge = &server.edge;
    // All together may take no longer than one alone: the publisher waits.
    let end = deadline(limits::ONLY_ORIGIN_PATIENCE);
    let vhost = request.vhost.as_deref();
    for (origin, patience) in edge.round(vhost) {
        let ask = |address: &OriginAddress| {
            let patience = patience.min(end.saturating_duration_since(Instant::now()));
            Upstream::open(server, edge, (Source::Origin(address), patience), request)
        };
        match edge.follow((vhost, &origin), ask) {
            Ok(upstream) => {
                origin.set_down(false);
                return Ok(upstream);
            }
            // It has decided; another one would let a second publisher in.
            Err(error) if matches!(error.cause, Cause::Refused(..)) => return Err(Some(error)),
            Err(error) => {
                origin.set_down(true);
                last = Some(error);
            }
        }
    }
    Err(last)
}

/// How the passing on to one connection ends.
enum Passed {
    /// The publisher has left, and everything is written.
    Everything,
    /// The origin asks for another connection.
    Asked,
}

/// Writes to the origin until the publisher has left and everything is written.
fn pass_on(
    upstream: &mut Upstream,
    (id, traffic): (u32, &Traffic),
    frames: &FrameReceiver,
    mut unsent: Unsent,
) -> Result<Passed, Cause> {
    let mut buffer = vec![0; limits::PLAYER_READ_BYTES];
    loop {
        match frames.frames.recv_timeout(limits::POLL) {
            Ok(first) => {
                for frame in core::iter::once(first).chain(frames.frames.try_iter()) {
                    frames.gauge.sent(frame.length());
                    unsent.push(for_origin(&frame, id));
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) if frames.gauge.is_over() => {
                return Ok(Passed::Everything);
            }
            // A header found no room behind what waits for the origin.
            Err(RecvTimeoutError::Disconnected) => return Err(Cause::TooSlow),
        }
        let before = upstream.connection.traffic.sent();
        let sent = unsent.send_all(&upstream.connection, deadline(limits::REPLY_DEADLINE));
        upstream.connection.count_for(traffic, before);
        // Also if it takes nothing any more: what it said last says why.
        let heard = listen(upstream, &mut buffer);
        while let Some(event) = upstream.event() {
            match event {
                Event::Refused(code, why) => return Err(Cause::Refused(code, why)),
                Event::Redirect(url) => return Err(Cause::Redirect(Url::parse(&url))),
                Event::Ended => return Err(Cause::Closed),
                Event::Reconnect => return Ok(Passed::Asked),
                Event::Send(_) | Event::Granted(_) | Event::Deliver(_) => {}
            }
        }
        sent.map_err(|error| Cause::Failed(error.into()))?;
        heard?;
    }
}

/// Takes in what the origin has said.
fn listen(upstream: &mut Upstream, buffer: &mut [u8]) -> Result<(), Cause> {
    loop {
        match upstream.connection.read_waiting(buffer) {
            Ok(0) => return Err(Cause::Closed),
            Ok(length) => {
                let bytes = buffer.get(..length).unwrap_or_default();
                upstream.received(bytes).map_err(Cause::Failed)?;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(Cause::Failed(error.into())),
        }
    }
}

/// The frame as an origin takes it: metadata goes by `@setDataFrame`, and everything on the
/// message stream that the origin gave us.
fn for_origin(frame: &Arc<Frame>, message_stream_id: u32) -> Arc<Frame> {
    let metadata = frame.kind == Kind::Metadata;
    if message_stream_id == STREAM && !metadata {
        return Arc::clone(frame);
    }
    let payload = if metadata {
        Bytes::from([SET_DATA_FRAME, &frame.payload].concat())
    } else {
        frame.payload.clone()
    };
    Arc::new(Frame::control(chunks(&RawMessage {
        type_id: frame.type_id,
        timestamp: frame.timestamp,
        message_stream_id,
        payload,
    })))
}
