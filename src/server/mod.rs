//! Threads, sockets and files: the only layer that blocks.

pub mod access;
pub mod activity;
pub mod allocator;
#[cfg(feature = "api")]
pub mod api;
pub mod capacity;
pub mod connection;
pub mod connections;
pub mod current;
pub mod edge;
pub mod error;
#[cfg(test)]
pub(crate) mod fault;
pub mod features;
pub mod format;
pub mod handshake;
pub mod hls;
pub mod hook;
#[cfg(feature = "hooks")]
pub mod hooks;
pub mod http;
pub mod listener;
pub mod log;
pub mod notify;
pub mod overview;
pub mod pace;
#[cfg(feature = "page")]
mod page;
pub mod pid;
pub mod play;
pub mod port;
pub mod privileges;
mod proc_net;
pub mod publish;
pub mod rarely;
pub mod rates;
pub mod reload;
pub mod rhythm;
pub mod rtmp;
pub mod same_file;
pub mod sender;
pub mod siblings;
pub mod signals;
pub mod thread;
pub mod totals;
mod watch;

use core::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use ::log::{info, warn};

use crate::config::{Access, Config, Mode};
use crate::hub::budget::{Budget, Charge};
use crate::hub::registry::Registry;
use crate::limits;
use crate::server::access::{Denial, Gate};
use crate::server::capacity::Allowed;
use crate::server::connection::{Connection, deadline};
use crate::server::connections::Connections;
use crate::server::current::Current;
use crate::server::edge::Edge;
use crate::server::features::Features;
use crate::server::hls::{Hls, janitor};
use crate::server::overview::Ids;
use crate::server::port::Protocol;
use crate::server::rarely::Rarely;
use crate::server::rates::Rates;
use crate::server::rhythm::Rhythm;
use crate::server::sender::Writer;
use crate::server::siblings::{Hold, Holder, Siblings};
use crate::server::thread::{Role, Threads};
use crate::server::totals::Totals;
use crate::wire::name::{StreamPath, StreamRequest, vhost_of};
use crate::wire::vhost::VhostName;

/// What all threads of the process share.
#[derive(Debug)]
pub struct Server {
    /// As read last.
    config: Current,
    /// What is built in beside the core.
    pub features: Features,
    /// The streams.
    pub registry: Arc<Registry<Writer>>,
    /// Of the senders.
    pub rhythm: Rhythm,
    /// Every thread but main's and those that wait for signals.
    pub threads: Threads,
    /// How streams come from elsewhere.
    pub edge: Edge,
    /// Those who share our port, if we want to know them.
    pub siblings: Option<Arc<Siblings>>,
    /// The streams that are written to disk.
    pub hls: Hls,
    /// Those that others opened to us.
    connections: Arc<Connections>,
    ids: AtomicU64,
    stopping: AtomicBool,
    draining: AtomicBool,
    /// For what peers send.
    pub budget: Arc<Budget>,
    /// How often that can be held at a time.
    copies: AtomicUsize,
    /// Who came with wrong keys.
    gate: Gate,
    /// Connections that were closed for want of room.
    shed: Rarely,
    /// Since when it runs.
    since: Instant,
    /// Since then.
    pub totals: Totals,
    /// Lately.
    pub rates: Rates,
    /// What others call what is here.
    pub names: Ids,
}

/// A running server. Dropped without [`Running::stop`], its threads go on.
#[derive(Debug)]
pub struct Running {
    server: Arc<Server>,
    listeners: Vec<Listening>,
}

#[derive(Debug)]
struct Listening {
    listener: Arc<port::Listener>,
    closing: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

/// The system gives no thread to listen with.
#[derive(Debug)]
pub struct StartError(io::Error);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no thread to listen with: {}", self.0)
    }
}

/// Serves the configuration on these sockets, among these siblings, with what the system allows.
///
/// # Errors
///
/// The system gives no thread.
pub fn start(
    config: Config,
    sockets: Vec<port::Listener>,
    siblings: Option<Siblings>,
    allowed: &Allowed,
) -> Result<Running, StartError> {
    let rtmp = sockets.iter().filter(|at| at.protocol == Protocol::Rtmp);
    let addresses = rtmp.map(|at| at.address).collect();
    let edge = Edge::new(&config, addresses);
    let (most, per_address) = (config.max_connections, config.connections_per_address());
    let copies = copies(&config);
    let config = Current::new(config);
    let keeps = config.clone();
    let registry = Registry::new(move |path| keeps.get().vhost(vhost_of(path)).play.group_frames());
    let server = Arc::new(Server {
        registry: Arc::new(registry),
        rhythm: Rhythm {
            config: config.clone(),
            players: Arc::new(AtomicUsize::new(0)),
        },
        hls: Hls::default(),
        features: Features::of_this_build(),
        config,
        threads: Threads::new(allowed.threads),
        edge,
        totals: Totals::new(siblings.as_ref().map(|all| Arc::clone(&all.traffic))),
        siblings: siblings.map(Arc::new),
        connections: Arc::new(Connections::new(most, per_address)),
        ids: AtomicU64::new(1),
        stopping: AtomicBool::new(false),
        draining: AtomicBool::new(false),
        budget: Arc::new(Budget::new(allowed.budget)),
        copies: AtomicUsize::new(copies),
        gate: Gate::default(),
        shed: Rarely::default(),
        since: Instant::now(),
        rates: Rates::default(),
        names: Ids::default(),
    });
    let sockets = sockets.into_iter();
    let listeners = sockets.map(|socket| listen(&server, socket));
    let listeners = listeners.collect::<Result<_, _>>()?;
    look_after(&server).map_err(StartError)?;
    Ok(Running { server, listeners })
}

/// A message is held as it came, as chunks, and as an FLV tag if there may be players of these.
fn copies(config: &Config) -> usize {
    let remux = config.all_vhosts().any(|(_, vhost)| vhost.remux);
    if remux { 3 } else { 2 }
}

/// Accepts at `socket` from now on.
fn listen(server: &Arc<Server>, socket: port::Listener) -> Result<Listening, StartError> {
    let listener = Arc::new(socket);
    let closing = Arc::new(AtomicBool::new(false));
    let (server_, listener_, closing_) = (
        Arc::clone(server),
        Arc::clone(&listener),
        Arc::clone(&closing),
    );
    let body = move || listener::accept(&server_, &listener_, &closing_);
    let thread = server
        .threads
        .spawn(Role::Listen, server.next_id(), body)
        .map_err(StartError)?;
    Ok(Listening {
        listener,
        closing,
        thread,
    })
}

/// Starts the threads that look after what others hold, and what nobody uses.
fn look_after(server: &Arc<Server>) -> io::Result<()> {
    let spawn = |role, body: Box<dyn FnOnce() + Send>| {
        let spawned = server.threads.spawn(role, server.next_id(), body);
        spawned.map(|_| ())
    };
    let [watch, janitor] = [0; 2].map(|_| Arc::clone(server));
    spawn(Role::Watch, Box::new(move || watch::run(&watch)))?;
    spawn(Role::Janitor, Box::new(move || janitor::run(&janitor)))
}

impl Running {
    /// Accepts nothing more; what is connected, or waits to be, goes on. Who can is asked to connect
    /// anew; who speaks HTTP gets its next answer, and is told that it is the last.
    pub fn drain(&mut self) {
        self.close();
        // Not before: who is asked to connect anew must not come back to us.
        self.server.draining.store(true, Ordering::Release);
    }

    /// Closes the listeners.
    fn close(&mut self) {
        let stops = self.server.is_stopping();
        // Siblings fetch from here what is published here still.
        let is_door = |listening: &mut Listening| listening.listener.protocol == Protocol::Sibling;
        let listeners = self.listeners.extract_if(.., |one| stops || !is_door(one));
        let listeners: Vec<_> = listeners.collect();
        for listening in &listeners {
            listening.closing.store(true, Ordering::Release);
        }
        for listening in listeners {
            // A panic there has been reported already.
            let _ = listening.thread.join();
        }
    }

    /// Serves this configuration from now on, with what the system allows; nothing that is connected ends.
    pub fn reload(&self, config: Config, allowed: &Allowed) {
        let server = &self.server;
        ::log::set_max_level(config.log.level);
        server.edge.reload(&config);
        let per_address = config.connections_per_address();
        server
            .connections
            .allow(config.max_connections, per_address);
        server.budget.set(allowed.budget);
        server.copies.store(copies(&config), Ordering::Relaxed);
        server.config.set(config);
    }

    /// The configuration of this moment.
    pub fn config(&self) -> Arc<Config> {
        self.server.config()
    }

    /// How many connections and streams there are.
    pub fn counts(&self) -> (usize, usize) {
        let server = &self.server;
        (server.connections.count(), server.registry.count())
    }

    /// Whether nothing is connected any more.
    pub fn is_idle(&self) -> bool {
        self.server.connections.is_empty()
    }

    /// Ends everything: players get what is queued for them, and are told; what has not ended
    /// after [`limits::STOP_DEADLINE`] is cut off.
    pub fn stop(mut self) {
        self.server.stopping.store(true, Ordering::Release);
        for listening in &self.listeners {
            // Wakes its thread, and resets what waits to be accepted. Not by a connection to
            // ourselves: on a shared port a sibling might get it.
            let _ = listening
                .listener
                .listener
                .shutdown(std::net::Shutdown::Read);
        }
        self.close();
        let server = &self.server;
        for connection in server.connections.living() {
            if !connection.is_playing() {
                connection.shut_input();
            }
        }
        // What publishers had sent by now is read, and reaches players and disk.
        let until = deadline(limits::POLL);
        let feeds = || {
            let live = server.registry.live(usize::MAX);
            live.iter().any(|path| !server.is_edge(path))
        };
        while feeds() && Instant::now() < until {
            std::thread::sleep(limits::STOP_POLL);
        }
        server.registry.close();
        if server.threads.wait_idle(deadline(limits::STOP_DEADLINE)) {
            return;
        }
        for connection in server.connections.living() {
            connection.shut();
        }
        if !server.threads.wait_idle(deadline(limits::POLL)) {
            warn!("some threads did not end in time; the process does");
        }
    }
}

impl Server {
    /// The configuration of this moment. Whoever decides several things by it keeps it meanwhile.
    pub fn config(&self) -> Arc<Config> {
        self.config.get()
    }

    /// A number that no other connection or thread of this process has.
    pub fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether everything is to end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Whether what is published here at `path` goes to an origin.
    pub fn is_edge(&self, path: &str) -> bool {
        self.config().vhost(vhost_of(path)).cluster.mode == Mode::Remote
    }

    /// The request, for the vhost that it names if there is one; the default one if not. Siblings know
    /// what they ask for.
    pub fn select(&self, connection: &Connection, mut request: StreamRequest) -> StreamRequest {
        let named = request.vhost.take();
        request.path.vhost = match connection.protocol {
            Protocol::Sibling => named,
            Protocol::Rtmp | Protocol::Http | Protocol::Api => self.known(named),
        };
        request
    }

    /// The vhost that is named, if there is one of this name.
    pub fn known(&self, named: Option<VhostName>) -> Option<VhostName> {
        let config = self.config();
        named.filter(|name| config.vhosts.contains_key(name.as_str()))
    }

    /// Whether the stream at `path` is published here, or to a process that shares our port.
    pub fn has_publisher(&self, path: &str) -> bool {
        self.holder(Hold::Publish, path).is_some() || self.registry.is_published(path)
    }

    /// The process that shares our port and holds the stream at `path`, if there is one.
    pub fn holder(&self, hold: Hold, path: &str) -> Option<Holder> {
        self.siblings.as_ref()?.holder(hold, path)
    }

    /// Ends who publishes the stream at `path`, which is a sibling's from now on.
    pub fn give_up(&self, path: &str) {
        let Some(siblings) = &self.siblings else {
            return;
        };
        siblings.give_up(path, || self.registry.unpublish(path));
        self.hls.give_up(path);
    }

    /// Ends the connection of a client; whether there is one of this id.
    pub fn kick(&self, client: &str) -> bool {
        let connections = self.connections.living();
        let is_it = |one: &&Arc<Connection>| {
            one.activity().is_some() && self.names.client(one.id) == client
        };
        let Some(connection) = connections.iter().find(is_it) else {
            return false;
        };
        info!("{connection}: ended, as the operator wants it");
        connection.reset("the operator ended it");
        true
    }

    /// Whether nobody else is accepted, and everything is to end before long.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether a peer may do this with a stream, by its address and the query strings of its request;
    /// `true`: by the key in one of them.
    ///
    /// # Errors
    ///
    /// It may not.
    pub fn permit(
        &self,
        access: Access,
        connection: &Connection,
        path: &StreamPath,
        queries: [&str; 2],
    ) -> Result<bool, Denial> {
        let config = self.config();
        let vhost = config.vhost(path.vhost());
        if !vhost.enabled {
            return Err(Denial::Disabled);
        }
        let (app, name) = (path.app.as_str(), path.name.as_str());
        // Its files would be among those of the other.
        if path.vhost.is_none() && config.vhosts.contains_key(&app.to_ascii_lowercase()) {
            return Err(Denial::AppOfVhost);
        }
        let who = (access, connection.peer.ip());
        self.gate.check(&vhost.security, who, (app, name), queries)
    }

    /// Takes from the budget what a message of a stream with a body of `length` bytes will need.
    pub fn charge(&self, length: usize) -> Option<Charge> {
        let bytes = length.saturating_mul(self.copies.load(Ordering::Relaxed));
        self.budget
            .take(bytes.saturating_add(limits::FRAME_OVERHEAD))
    }

    /// Says, now and then, that a connection was closed for want of room.
    fn shed(&self, why: impl fmt::Display) {
        self.totals.shed.more();
        if let Some(others) = self.shed.count(Instant::now()) {
            warn!("no room for another connection: {why}; {others} more since it was last said");
        }
    }
}
