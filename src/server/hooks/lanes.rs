//! What has happened goes out in order, by threads that are there as long as there is something to
//! tell.

use core::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use log::warn;

use super::Asker;
use super::client::Kind;
use crate::config::{HookUrl, OriginAddress};
use crate::limits;
use crate::server::Server;
use crate::server::connection::deadline;
use crate::server::edge::backoff::Backoff;
use crate::server::rarely::Rarely;
use crate::server::thread::Role;

/// One thing to tell one hook.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) url: HookUrl,
    /// For the log.
    pub(super) action: &'static str,
    /// The body.
    pub(super) json: Arc<[u8]>,
    /// It is not tried again after this.
    pub(super) until: Instant,
}

/// The hook's server, and one of its [`limits::HOOK_LANES`]: those of one peer are all in one.
type Lane = (OriginAddress, u64);

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// A lane is there as long as a thread works on it.
    waiting: Mutex<HashMap<Lane, Queue>>,
    dropped: Rarely,
}

#[derive(Debug, Default)]
struct Queue {
    notes: VecDeque<Note>,
    bytes: usize,
}

impl Queue {
    /// Adds a note; how many made room for it.
    fn push(&mut self, note: Note) -> usize {
        self.bytes = self.bytes.saturating_add(note.json.len());
        self.notes.push_back(note);
        let mut dropped = 0_usize;
        while self.bytes > limits::HOOK_QUEUE_BYTES {
            if self.pop().is_none() {
                break;
            }
            dropped = dropped.saturating_add(1);
        }
        dropped
    }

    fn pop(&mut self) -> Option<Note> {
        let note = self.notes.pop_front()?;
        self.bytes = self.bytes.saturating_sub(note.json.len());
        Some(note)
    }
}

impl Lanes {
    /// Takes a note of what `peer` did, for a thread to tell.
    pub(super) fn push(
        self: &Arc<Self>,
        server: &Arc<Server>,
        asker: &Arc<Asker>,
        peer: u64,
        note: Note,
    ) {
        let number = peer.checked_rem(limits::HOOK_LANES).unwrap_or_default();
        let lane = (note.url.address.clone(), number);
        let mut waiting = self.waiting();
        if let Some(queue) = waiting.get_mut(&lane) {
            let dropped = queue.push(note);
            drop(waiting);
            return self.dropped(dropped, "too much waits for its server");
        }
        waiting.entry(lane.clone()).or_default().push(note);
        drop(waiting);
        let run = Run {
            lanes: Arc::clone(self),
            server: Arc::clone(server),
            asker: Arc::clone(asker),
            lane: Some(lane),
        };
        // If there is no thread, the run is dropped, and the lane with it.
        let id = server.next_id();
        let _ = server.threads.run(Role::Hook, id, move || run.work());
    }

    /// Says, now and then, that so many notes were dropped.
    fn dropped(&self, count: usize, why: &str) {
        for _ in 0..count {
            if let Some(others) = self.dropped.count(Instant::now()) {
                warn!(
                    "a hook is not told what happened: {why}; {others} more since it was last said"
                );
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Lane, Queue>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The work on a lane. Dropped before that is done, the lane and what waits in it are gone.
struct Run {
    lanes: Arc<Lanes>,
    server: Arc<Server>,
    asker: Arc<Asker>,
    /// `None`: it is done.
    lane: Option<Lane>,
}

impl Run {
    /// Tells what waits, until nothing does.
    fn work(mut self) {
        let stop = Stop {
            server: Arc::clone(&self.server),
            end: Cell::new(None),
        };
        while let Some(note) = self.next() {
            if stop.is_over() {
                self.lanes.dropped(1, "the server stops");
            } else {
                self.tell(&note, &stop);
            }
        }
    }

    /// The next note; without one the lane is gone.
    fn next(&mut self) -> Option<Note> {
        let lane = self.lane.as_ref()?;
        let mut waiting = self.lanes.waiting();
        let note = waiting.get_mut(lane).and_then(Queue::pop);
        if note.is_none() {
            waiting.remove(lane);
            self.lane = None;
        }
        note
    }

    /// Tells it, again and again if need be.
    fn tell(&self, note: &Note, stop: &Stop) {
        let mut backoff = Backoff::new(self.server.next_id());
        loop {
            let until = deadline(limits::HOOK_DEADLINE);
            let told = self
                .asker
                .ask(&self.server, note, until, &|| stop.is_over());
            let Some(failure) = told else {
                return;
            };
            self.asker.complain(&self.server, note, &failure.why);
            if failure.kind == Kind::Refused {
                // It has heard it.
                return;
            }
            let next = deadline(backoff.next(true));
            if next >= note.until || stop.is_over() {
                return self.lanes.dropped(1, "its server does not take it");
            }
            // At a stop there is one more try.
            while Instant::now() < next && !self.server.is_stopping() {
                thread::sleep(limits::POLL);
            }
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let lane = self.lane.take();
        let left = lane.and_then(|lane| self.lanes.waiting().remove(&lane));
        let left = left.map_or(0, |queue| queue.notes.len());
        self.lanes.dropped(left, "no thread is left to tell it");
    }
}

/// When a stop has no more time for us.
struct Stop {
    server: Arc<Server>,
    end: Cell<Option<Instant>>,
}

impl Stop {
    /// Whether that has come.
    fn is_over(&self) -> bool {
        if self.end.get().is_none() && self.server.is_stopping() {
            self.end.set(Some(deadline(limits::HOOK_FLUSH)));
        }
        self.end.get().is_some_and(|end| Instant::now() >= end)
    }
}
