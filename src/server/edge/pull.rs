//! The thread that fetches one stream from an origin or a sibling while somebody wants it.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use log::{Level, debug, info};

use crate::config::OriginAddress;
use crate::hub::registry::Pull;
use crate::limits;
use crate::server::Server;
use crate::server::connection::deadline;
use crate::server::edge::backoff::Backoff;
use crate::server::edge::error::{Cause, OriginError, Phase};
use crate::server::edge::origin::Upstream;
use crate::server::edge::wanted::Wanted;
use crate::server::edge::{Counted, Edge, Source};
use crate::server::log::escape;
use crate::server::sender::Writer;
use crate::server::siblings::{Claim, Hold, Holder, Unclaimed};
use crate::wire::name::vhost_of;

/// A stream that is being fetched.
#[derive(Debug)]
pub struct Fetch {
    pub(super) server: Arc<Server>,
    /// Ends before the pull: another one may begin then.
    wanted: Wanted,
    pub(super) pull: Pull<Writer>,
    /// How often in a row the stream was not where it was said to be.
    pub(super) moves: u32,
    /// No sibling asks the origins as long as we do.
    claim: Option<Claim>,
    _counted: Counted,
    /// Until the first media.
    pub(super) unproven: Option<Counted>,
    pub(super) backoff: Backoff,
}

/// Why a fetch stopped relaying.
pub(super) enum Stop {
    /// Nobody wants the stream any more.
    Unwanted,
    /// The origin says that the stream is over.
    Over,
    /// It has moved to another sibling, or will.
    Moved,
    /// It can be had nowhere. Whoever wants it is looked after by the watch.
    Nowhere,
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
        let server = Arc::clone(wanted.server());
        let seed = server.next_id();
        Self {
            server,
            wanted,
            pull,
            moves: 0,
            claim: None,
            _counted: counted,
            unproven: Some(unproven),
            backoff: Backoff::new(seed),
        }
    }

    /// Fetches until nobody wants the stream. The body of its thread.
    pub fn run(mut self) {
        let server = Arc::clone(&self.server);
        let edge = &server.edge;
        let path = Arc::clone(&self.pull.stream.path);
        if let Some(not_before) = edge.not_before(&path)
            && !self.wait(not_before)
        {
            return;
        }
        loop {
            let wait = if self.pull.is_published() {
                // Here: it may be looked for again later, with what its players asked for.
                self.claim = None;
                limits::POLL
            } else {
                match self.attempt(edge) {
                    Stop::Unwanted => {
                        debug!("{path}: not wanted any more");
                        return;
                    }
                    Stop::Nowhere => return,
                    Stop::Moved if self.moves < limits::MAX_MOVES => {
                        self.moves = self.moves.saturating_add(1);
                        limits::POLL
                    }
                    Stop::Moved => {
                        info!("{path}: it is not where it is said to be; trying again");
                        self.back_off()
                    }
                    Stop::Over => {
                        // Its players are kept as long as those of any stream without a publisher.
                        info!("{path}: the origin says that it is over");
                        self.back_off()
                    }
                    Stop::Failed(error) => {
                        self.tell(&error, "trying again");
                        self.back_off()
                    }
                }
            };
            if !self.wait(deadline(wait)) {
                return;
            }
        }
    }

    /// How long to wait before the next attempt.
    fn back_off(&mut self) -> Duration {
        let watched = self.unproven.is_none();
        self.backoff.next(watched)
    }

    /// Says why an origin was left. Once; the attempts that follow are for those who look for them.
    fn tell(&self, error: &OriginError, next: &str) {
        let (path, error) = (&self.pull.stream.path, error.to_string());
        log::log!(self.level(), "{path}: {}; {next}", escape(&error));
    }

    pub(super) fn level(&self) -> Level {
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

    /// Tries every source once, and relays from the first that has the stream.
    fn attempt(&mut self, edge: &Edge) -> Stop {
        let server = Arc::clone(&self.server);
        let path = Arc::clone(&self.pull.stream.path);
        if let Some(siblings) = &server.siblings {
            if let Some(holder) = siblings.holder(Hold::Publish, &path) {
                self.claim = None;
                return self.visit_sibling(edge, &holder, Hold::Publish);
            }
            if !edge.has_origins(&path) {
                return Stop::Nowhere;
            }
            if self.claim.is_none() {
                match siblings.claim(Hold::Pull, &path) {
                    Ok(claim) => self.claim = Some(claim),
                    Err(Unclaimed::Held(Some(holder))) => {
                        return self.visit_sibling(edge, &holder, Hold::Pull);
                    }
                    Err(Unclaimed::Held(None)) => return Stop::Moved,
                    // Better twice from the origin than not at all.
                    Err(Unclaimed::Failed(error)) => debug!("{path}: run_dir: {error}"),
                }
            }
        }
        self.ask_origins(edge)
    }

    fn visit_sibling(&mut self, edge: &Edge, holder: &Holder, hold: Hold) -> Stop {
        let request = self.wanted.take_turn();
        let source = (Source::Sibling(holder), limits::ORIGIN_PATIENCE);
        let stop = match Upstream::open(&self.server, edge, source, &request) {
            Ok((upstream, _)) => {
                let held = Some((hold, holder));
                self.relay(upstream, limits::ORIGIN_PATIENCE, held)
            }
            Err(error) => Stop::Failed(error),
        };
        match stop {
            Stop::Over => Stop::Moved,
            // It has let go of the stream, or is gone; who comes next is soon known.
            Stop::Failed(error) if error.cause.is_gone() => Stop::Moved,
            // It hangs. Better twice from the origin than not at all.
            Stop::Failed(error) if hold == Hold::Pull => {
                self.tell(&error, "asking the origins");
                self.ask_origins(edge)
            }
            Stop::Unwanted | Stop::Moved | Stop::Nowhere | Stop::Failed(_) => stop,
        }
    }

    fn ask_origins(&mut self, edge: &Edge) -> Stop {
        let path = Arc::clone(&self.pull.stream.path);
        let mut last = Stop::Unwanted;
        let mut request = self.wanted.take_turn();
        request.via.coworker = !self.server.is_edge(&path);
        for (origin, patience) in edge.round(vhost_of(&path)) {
            if self.pull.retire(Duration::ZERO, Instant::now()) {
                return Stop::Unwanted;
            }
            if let Stop::Failed(error) = &last {
                self.tell(error, "trying another one");
            }
            let relay = |address: &OriginAddress| {
                let source = (Source::Origin(address), patience);
                let (upstream, _) = Upstream::open(&self.server, edge, source, &request)?;
                origin.set_down(false);
                let stop = self.relay(upstream, patience, None);
                if !matches!(&stop, Stop::Failed(error) if error.phase != Phase::Media) {
                    self.wanted.prove(&request);
                }
                match stop {
                    Stop::Failed(error) => Err(error),
                    Stop::Unwanted | Stop::Over | Stop::Moved | Stop::Nowhere => Ok(stop),
                }
            };
            let error = match edge.follow((vhost_of(&path), &origin), relay) {
                Ok(stop) => return stop,
                Err(error) => error,
            };
            match error.cause {
                Cause::Refused(..) if self.unproven.is_some() => edge.missed(&path),
                // It may be well, and only not have this stream.
                _ if matches!(error.phase, Phase::Answer | Phase::FirstMedia) => {}
                Cause::Refused(..) | Cause::Redirect(_) | Cause::TooSlow => {}
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
}
