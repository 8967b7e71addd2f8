//! HLS: one more player of each published stream, which writes it to disk.

pub mod disk;
pub mod janitor;
pub mod lease;
pub mod recorder;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use log::warn;

use crate::config;
use crate::hub::stream::{Joined, Start, Stream};
use crate::limits;
use crate::server::Server;
use crate::server::connection::deadline;
use crate::server::hls::disk::Disk;
use crate::server::hls::recorder::Recorder;
use crate::server::hook::Visit;
use crate::server::publish::Refusal;
use crate::server::sender::Writer;
use crate::server::thread::Role;
use crate::wire::name::StreamPath;

/// What HLS of a process knows.
#[derive(Debug, Default)]
pub struct Hls {
    /// The recordings that run: a takeover ends the one before it.
    running: Mutex<HashMap<StreamPath, Seat>>,
}

/// A recording's place in the fan-out, until it is given up.
#[derive(Clone, Debug)]
struct Seat {
    stream: Arc<Stream<Writer>>,
    player: Arc<Mutex<Option<u64>>>,
    /// The disk does not take it at the moment.
    failing: Arc<AtomicBool>,
}

impl Seat {
    /// The recording ends, after what is queued for it.
    fn give_up(&self) {
        if let Some(player) = self.player().take() {
            self.stream.leave(player);
        }
    }

    /// Another place, if this one was lost and not given up.
    fn again(&self) -> Option<Joined> {
        let mut player = self.player();
        (*player)?;
        let joined = self.stream.join(Start::NextKeyframe);
        *player = Some(joined.player);
        Some(joined)
    }

    fn player(&self) -> MutexGuard<'_, Option<u64>> {
        self.player.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that is recorded, until this is dropped. Then its last segment is finished.
#[derive(Debug)]
pub struct Recording {
    server: Arc<Server>,
    path: StreamPath,
    seat: Seat,
}

impl Hls {
    /// Claims the files of a stream, before its publisher is told yes. A recording of the same
    /// stream by this process has ended with its publisher; with `takeover` it ends now.
    ///
    /// A disk that fails is no reason to refuse: HLS begins when it can.
    ///
    /// # Errors
    ///
    /// Another process writes them: somebody publishes the stream there.
    pub fn claim(
        &self,
        settings: &config::Hls,
        path: &StreamPath,
        takeover: bool,
    ) -> Result<Disk, Refusal> {
        let mut disk = Disk::new(settings, path);
        let until = deadline(limits::HLS_CLAIM_DEADLINE);
        loop {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(seat) = running.get(path).filter(|_| takeover) {
                seat.give_up();
            }
            drop(running);
            match disk.claim() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => return Ok(disk),
            }
            if Instant::now() >= until {
                let why = "another process on this machine publishes this stream";
                return Err(Refusal::bad_name(why));
            }
            thread::sleep(limits::HLS_CLAIM_POLL);
        }
    }

    /// Ends the recording of the stream at `path`.
    pub fn give_up(&self, path: &str) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let recorded = running.iter().find(|(known, _)| known.to_string() == path);
        if let Some((_, seat)) = recorded {
            seat.give_up();
        }
    }

    /// The streams that are recorded, and of each whether the disk takes it.
    pub fn states(&self) -> HashMap<String, bool> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let state = |(path, seat): (&StreamPath, &Seat)| {
            (path.to_string(), !seat.failing.load(Ordering::Relaxed))
        };
        running.iter().map(state).collect()
    }

    /// Records `stream` into the files that were claimed for it; `visit`: who publishes it, if hooks
    /// want to know. `None`: it cannot be recorded.
    pub fn record(
        &self,
        server: &Arc<Server>,
        (path, visit): (&StreamPath, Option<&Visit>),
        stream: &Arc<Stream<Writer>>,
        (settings, disk): (&config::Hls, Disk),
    ) -> Option<Recording> {
        let joined = stream.join(Start::Anything);
        let seat = Seat {
            stream: Arc::clone(stream),
            player: Arc::new(Mutex::new(Some(joined.player))),
            failing: Arc::default(),
        };
        let failing = Arc::clone(&seat.failing);
        let mut recorder = Recorder::new(settings, path.to_string(), disk, failing);
        recorder.report_to(visit.cloned());
        let (place, name) = (seat.clone(), path.clone());
        let mut charge = server.budget.open();
        let body = move || {
            let mut next = Some(joined);
            while let Some(Joined {
                opening, frames, ..
            }) = next
            {
                for frame in opening {
                    recorder.frame(&frame);
                }
                // Ends when the seat is given up, after what was queued by then.
                for frame in &frames.frames {
                    frames.gauge.sent(frame.length());
                    recorder.frame(&frame);
                    charge.set(recorder.held());
                }
                next = if frames.gauge.is_over() {
                    None
                } else {
                    place.again()
                };
                if next.is_some() {
                    // A sequence header found no room in the queue.
                    warn!("{name}: the disk is too slow, HLS goes on at the next keyframe");
                }
            }
            recorder.finish();
        };
        if let Err(error) = server.threads.spawn(Role::Hls, server.next_id(), body) {
            warn!("{path}: no thread for HLS, live play goes on: {error}");
            seat.give_up();
            return None;
        }
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(path.clone(), seat.clone());
        drop(running);
        Some(Recording {
            server: Arc::clone(server),
            path: path.clone(),
            seat,
        })
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.seat.give_up();
        let hls = &self.server.hls;
        let mut running = hls.running.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = |seat: &Seat| Arc::ptr_eq(&seat.player, &self.seat.player);
        if running.get(&self.path).is_some_and(ours) {
            running.remove(&self.path);
        }
    }
}
