//! Where streams come from, and go to, when they are not published here: origins, if we are an edge;
//! coworkers, if we are an origin in a cluster; processes that share our port.

pub mod backoff;
pub mod error;
pub mod forward;
pub mod links;
pub mod origin;
pub mod pull;
mod relay;
pub mod resolve;
pub mod wanted;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::{Cluster, Config, OriginAddress};
use crate::hub::registry::{Attached, Pull};
use crate::limits;
use crate::server::Server;
use crate::server::connection::Connection;
use crate::server::edge::error::{Cause, OriginError};
use crate::server::edge::forward::Forwarder;
use crate::server::edge::links::{Link, Links};
use crate::server::edge::origin::Upstream;
use crate::server::edge::pull::Fetch;
use crate::server::edge::resolve::Resolver;
use crate::server::edge::wanted::{Wanted, client_request};
use crate::server::play::Denied;
use crate::server::publish::Refusal;
use crate::server::sender::Writer;
use crate::server::siblings::{Hold, Holder};
use crate::server::thread::Role;
use crate::session::client::{ClientRequest, Purpose};
use crate::session::server::Via;
use crate::wire::name::{StreamPath, StreamRequest, vhost_of};

/// What a process knows of that.
#[derive(Debug)]
pub struct Edge {
    /// By the name of the vhost; the default one has none.
    upstreams: RwLock<HashMap<String, Arc<Upstreams>>>,
    /// Round robin.
    next: AtomicUsize,
    resolver: Resolver,
    /// Our own addresses: an origin at one of them is ourselves, or a sibling.
    listening: Vec<SocketAddr>,
    pulls: Arc<AtomicUsize>,
    unproven: Arc<AtomicUsize>,
    /// Players that an origin is being asked about.
    asked: Arc<AtomicUsize>,
    absent: Mutex<HashMap<String, Instant>>,
    /// What the newest player of each stream that is fetched asked for, query string and all.
    requests: Mutex<HashMap<String, ClientRequest>>,
    /// Where streams come from and go to.
    pub links: Links,
}

/// `[cluster]`, and what is known of who is in it.
#[derive(Debug, Default)]
struct Upstreams {
    /// Or coworkers.
    origins: Vec<Arc<Origin>>,
    /// Where else these may send us.
    redirects: Vec<OriginAddress>,
    /// Whether an origin is asked about each player.
    token_traverse: bool,
}

/// One origin, and how it has been lately.
#[derive(Debug)]
pub struct Origin {
    address: OriginAddress,
    /// It failed lately: others are tried first until then.
    down: Mutex<Option<Instant>>,
}

/// Where a stream can be had.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// At an origin, or a coworker.
    Origin(&'a OriginAddress),
    /// At a process that shares our port.
    Sibling(&'a Holder),
}

/// Counts as long as it lives.
#[derive(Debug)]
pub struct Counted(Arc<AtomicUsize>);

impl Counted {
    /// One more, if there are fewer than `most`.
    fn new(counter: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let more = |count: usize| (count < most).then(|| count.saturating_add(1));
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        counter.fetch_update(set, get, more).ok()?;
        Some(Self(Arc::clone(counter)))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Edge {
    /// For a process that itself listens at `listening`.
    pub fn new(config: &Config, listening: Vec<SocketAddr>) -> Self {
        Self {
            upstreams: RwLock::new(upstreams(config, &HashMap::new())),
            next: AtomicUsize::new(0),
            resolver: Resolver::default(),
            listening,
            pulls: Arc::default(),
            unproven: Arc::default(),
            asked: Arc::default(),
            absent: Mutex::default(),
            requests: Mutex::default(),
            links: Links::default(),
        }
    }

    /// Fetches from these origins from now on; what is being fetched goes on.
    pub fn reload(&self, config: &Config) {
        let known = self.upstreams.write();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        *known = upstreams(config, &known);
    }

    /// Those of a vhost, as [`Config::vhost`] has it.
    fn upstreams(&self, vhost: Option<&str>) -> Arc<Upstreams> {
        let known = self.upstreams.read();
        let known = known.unwrap_or_else(PoisonError::into_inner);
        let named = known.get(vhost.unwrap_or_default());
        named
            .or_else(|| known.get(""))
            .map(Arc::clone)
            .unwrap_or_default()
    }

    /// Whether there is anybody but siblings to ask for the stream at `path`.
    fn has_origins(&self, path: &str) -> bool {
        !self.upstreams(vhost_of(path)).origins.is_empty()
    }

    /// Sees to it that somebody fetches the stream, if it can be anywhere; waits for its turn unless
    /// `left` says that the player does not.
    ///
    /// # Errors
    ///
    /// With `token_traverse`, an origin says no to this player, or none can be asked. The request has come
    /// round in a loop, too many streams are being fetched, or the system has no thread to give.
    pub fn want(
        &self,
        server: &Arc<Server>,
        attached: &Attached<Writer>,
        (request, via): (&StreamRequest, Via),
        mut left: impl FnMut() -> bool,
    ) -> Result<(), Denied> {
        let path = request.path.to_string();
        if !self.may_have(server, &path) {
            return Ok(());
        }
        // Who has the stream already is no part of a loop.
        let is_live = attached.stream.wait_live(Instant::now());
        if via.hops >= limits::MAX_EDGE_HOPS && !is_live {
            let why = "the edges form a loop: an edge's origin must not lead back to it";
            return Err(Denied::Unavailable(why.to_owned()));
        }
        let request = client_request(Purpose::Play, request, via);
        if self.upstreams(request.vhost.as_deref()).token_traverse {
            self.ask(server, &request, &mut left)?;
        }
        let Some(pull) = attached.pull() else {
            self.renew(&path, request);
            return Ok(());
        };
        let slots = wait_for_place(server, &mut left, || self.slots())?;
        self.fetch(server, pull, request, slots)
            .map_err(|error| Denied::Unavailable(format!("cannot fetch the stream: {error}")))
    }

    /// Another player wants the stream at `path`, which is being fetched.
    pub fn renew(&self, path: &str, request: ClientRequest) {
        if let Some(newest) = self.requests().get_mut(path) {
            *newest = request;
        }
    }

    /// Fetches a stream that players wait for, if it can be had somewhere now.
    pub fn fetch_for_players(&self, server: &Arc<Server>, path: &str) {
        let Some(StreamPath { vhost, app, name }) = StreamPath::parse(path) else {
            return;
        };
        if !self.may_have(server, path) {
            return;
        }
        // If there is no place, or no thread, the next round is another try.
        if let Ok(attached) = server.registry.attach(path)
            && let Some(pull) = attached.pull()
            && let Some(slots) = self.slots()
        {
            let request = ClientRequest {
                purpose: Purpose::Play,
                host: String::new(),
                vhost: vhost.map(|vhost| vhost.to_string()),
                app: app.to_string(),
                stream: name.to_string(),
                via: Via::default(),
            };
            let _ = self.fetch(server, pull, request, slots);
        }
    }

    /// Whether the stream can be somewhere else: origins must be asked, siblings have said so.
    fn may_have(&self, server: &Server, path: &str) -> bool {
        self.has_origins(path) || server.holder(Hold::Publish, path).is_some()
    }

    fn slots(&self) -> Option<(Counted, Counted)> {
        let counted = Counted::new(&self.pulls, limits::MAX_PULLS)?;
        let unproven = Counted::new(&self.unproven, limits::MAX_UNPROVEN_PULLS)?;
        Some((counted, unproven))
    }

    fn fetch(
        &self,
        server: &Arc<Server>,
        pull: Pull<Writer>,
        request: ClientRequest,
        slots: (Counted, Counted),
    ) -> io::Result<()> {
        let path = pull.stream.path.to_string();
        self.requests().insert(path.clone(), request.clone());
        self.links.set(Link::Pull(path.clone()), None);
        let wanted = Wanted::new(server, path, request);
        let fetch = Fetch::new(wanted, pull, slots);
        let id = server.next_id();
        let spawned = server.threads.spawn(Role::Pull, id, move || fetch.run());
        spawned.map(|_| ())
    }

    /// Asks the first origin that can be reached whether a player may have the stream: goes as far as
    /// its first media, and leaves.
    fn ask(
        &self,
        server: &Server,
        request: &ClientRequest,
        left: &mut impl FnMut() -> bool,
    ) -> Result<(), Denied> {
        let _place = wait_for_place(server, left, || {
            Counted::new(&self.asked, limits::MAX_ASKED_PLAYERS)
        })?;
        let mut last = "there is no origin".to_owned();
        let vhost = request.vhost.as_deref();
        for (origin, patience) in self.round(vhost) {
            let ask = |address: &OriginAddress| {
                let source = (Source::Origin(address), patience);
                let (mut upstream, _) = Upstream::open(server, self, source, request)?;
                upstream.await_media()
            };
            match self.follow((vhost, &origin), ask) {
                Ok(()) => return Ok(()),
                Err(OriginError {
                    cause: Cause::Refused(_, why),
                    ..
                }) => return Err(Denied::Forbidden(said_by_origin(why))),
                Err(error) => last = error.to_string(),
            }
        }
        let why = format!("no origin can be asked: {last}");
        Err(Denied::Unavailable(why))
    }

    /// Publishes the stream to an origin, before its publisher is told yes.
    ///
    /// # Errors
    ///
    /// An origin says no, or none can be reached.
    pub fn forward(
        &self,
        server: &Arc<Server>,
        connection: &Arc<Connection>,
        request: &StreamRequest,
        via: Via,
    ) -> Result<Forwarder, Refusal> {
        let path = request.path.to_string();
        let request = client_request(Purpose::Publish, request, via);
        let forwarder = Forwarder::begin(server, connection, &path, request)?;
        self.absent().remove(&path);
        Ok(forwarder)
    }

    /// The origins of a vhost in the order in which to try them, and how long each may take to say yes: round
    /// robin, those that failed lately last.
    pub fn round(&self, vhost: Option<&str>) -> Vec<(Arc<Origin>, Duration)> {
        let origins = &self.upstreams(vhost).origins;
        let count = origins.len();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let first = first.checked_rem(count).unwrap_or(0);
        let now = Instant::now();
        let rotated = origins.iter().cycle().skip(first).take(count);
        let (up, down): (Vec<_>, Vec<_>) = rotated.partition(|origin| !origin.is_down(now));
        let patience = if count > 1 {
            limits::ORIGIN_PATIENCE
        } else {
            limits::ONLY_ORIGIN_PATIENCE
        };
        up.into_iter()
            .chain(down)
            .map(|origin| (Arc::clone(origin), patience))
            .collect()
    }

    /// When the stream may be looked for: at once, unless it was missing a moment ago.
    fn not_before(&self, path: &str) -> Option<Instant> {
        let missed = self.absent().get(path).copied()?;
        missed.checked_add(limits::ABSENT_TIME)
    }

    /// Remembers that the stream was missing.
    fn missed(&self, path: &str) {
        let now = Instant::now();
        let mut absent = self.absent();
        if absent.len() >= limits::MAX_ABSENT_NAMES {
            forget_old(&mut absent, now);
        }
        if absent.len() < limits::MAX_ABSENT_NAMES {
            absent.insert(path.to_owned(), now);
        }
    }

    /// Forgets what was missing a while ago. Few names, each somewhere among what has been given
    /// back, would keep megabytes of that from the system.
    pub fn tidy(&self, now: Instant) {
        forget_old(&mut self.absent(), now);
    }

    fn requests(&self) -> MutexGuard<'_, HashMap<String, ClientRequest>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn absent(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.absent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget_old(absent: &mut HashMap<String, Instant>, now: Instant) {
    absent.retain(|_, missed| now.saturating_duration_since(*missed) < limits::ABSENT_TIME);
}

/// Said once, however many edges a refusal passes.
const ORIGIN_SAYS: &str = "the origin says: ";

/// What an origin said, for a peer of ours.
fn said_by_origin(why: String) -> String {
    if why.starts_with(ORIGIN_SAYS) {
        return why;
    }
    format!("{ORIGIN_SAYS}{why}")
}

/// Waits until `take` finds a place, as long as the player does.
fn wait_for_place<T>(
    server: &Server,
    left: &mut impl FnMut() -> bool,
    mut take: impl FnMut() -> Option<T>,
) -> Result<T, Denied> {
    loop {
        if let Some(place) = take() {
            return Ok(place);
        }
        if left() || server.is_stopping() {
            let why = "too many streams are being looked for; try again";
            return Err(Denied::Unavailable(why.to_owned()));
        }
        thread::sleep(limits::POLL);
    }
}

/// Those of every vhost.
fn upstreams(
    config: &Config,
    known: &HashMap<String, Arc<Upstreams>>,
) -> HashMap<String, Arc<Upstreams>> {
    let none = Upstreams::default();
    let of_vhosts = config.all_vhosts().map(|(name, vhost)| {
        let name = name.unwrap_or_default();
        let before = known.get(name).map_or(&none, |known| known);
        (name.to_owned(), Arc::new(before.changed(&vhost.cluster)))
    });
    of_vhosts.collect()
}

impl Upstreams {
    /// What is known of an origin that stays is known still.
    fn changed(&self, cluster: &Cluster) -> Self {
        let origin = |address: &OriginAddress| {
            let known = self.origins.iter().find(|known| known.address == *address);
            known.map_or_else(|| Arc::new(Origin::new(address)), Arc::clone)
        };
        Self {
            origins: cluster.origins.iter().map(origin).collect(),
            redirects: cluster.redirects.clone(),
            token_traverse: cluster.token_traverse,
        }
    }
}

impl Origin {
    fn new(address: &OriginAddress) -> Self {
        Self {
            address: address.clone(),
            down: Mutex::new(None),
        }
    }

    fn is_down(&self, now: Instant) -> bool {
        let down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        down.is_some_and(|until| now < until)
    }

    fn set_down(&self, down: bool) {
        let until = down.then(|| Instant::now().checked_add(limits::ORIGIN_DOWN_TIME));
        *self.down.lock().unwrap_or_else(PoisonError::into_inner) = until.flatten();
    }
}
