//! Threads, sockets and files: the only layer that blocks.

pub mod capacity;
pub mod connection;
pub mod edge;
pub mod error;
#[cfg(test)]
pub(crate) mod fault;
pub mod format;
pub mod hls;
pub mod http;
pub mod listener;
pub mod log;
pub mod pace;
pub mod pid;
pub mod play;
pub mod port;
mod proc_net;
pub mod publish;
pub mod rhythm;
pub mod rtmp;
pub mod sender;
pub mod signals;
pub mod thread;

use core::fmt;
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use ::log::warn;
use socket2::SockRef;

use crate::config::{Cluster, Config};
use crate::hub::registry::Registry;
use crate::limits;
use crate::server::connection::{Connection, deadline};
use crate::server::edge::Edge;
use crate::server::hls::{Hls, janitor};
use crate::server::port::Protocol;
use crate::server::rhythm::Rhythm;
use crate::server::sender::Writer;
use crate::server::thread::{Role, Threads};

/// What all threads of the process share.
#[derive(Debug)]
pub struct Server {
    /// As read at start.
    pub config: Config,
    /// The streams.
    pub registry: Arc<Registry<Writer>>,
    /// Of the senders.
    pub rhythm: Rhythm,
    /// Every thread but main's and those that wait for signals.
    pub threads: Threads,
    /// If this is an edge.
    pub edge: Option<Edge>,
    /// If streams are written to disk.
    pub hls: Option<Hls>,
    connections: Mutex<HashMap<u64, Weak<Connection>>>,
    /// How many of these speak HTTP.
    http: AtomicUsize,
    ids: AtomicU64,
    stopping: AtomicBool,
    /// Connections that were closed for want of room, since the last one that had some.
    shed: AtomicUsize,
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

/// Serves the configuration on these sockets, with so many threads at most.
///
/// # Errors
///
/// The system gives no thread.
pub fn start(
    config: Config,
    sockets: Vec<port::Listener>,
    threads: usize,
) -> Result<Running, StartError> {
    let rtmp = sockets.iter().filter(|at| at.protocol == Protocol::Rtmp);
    let addresses = rtmp.map(|at| at.address).collect();
    let edge = match &config.cluster {
        Cluster::Local => None,
        Cluster::Remote(origins) => Some(Edge::new(origins, addresses)),
    };
    let max_frames = if config.play.gop_cache {
        config.play.gop_cache_max_frames
    } else {
        0
    };
    let server = Arc::new(Server {
        registry: Arc::new(Registry::new(max_frames)),
        rhythm: Rhythm {
            merge_time: config.play.mw_latency,
            publisher_wait: config.publish.publisher_wait,
            players: Arc::new(AtomicUsize::new(0)),
        },
        hls: config.hls.clone().map(Hls::new),
        config,
        threads: Threads::new(threads),
        edge,
        connections: Mutex::default(),
        http: AtomicUsize::new(0),
        ids: AtomicU64::new(1),
        stopping: AtomicBool::new(false),
        shed: AtomicUsize::new(0),
    });
    let mut listeners = Vec::new();
    for socket in sockets {
        let listener = Arc::new(socket);
        let closing = Arc::new(AtomicBool::new(false));
        let (server_, listener_, closing_) = (
            Arc::clone(&server),
            Arc::clone(&listener),
            Arc::clone(&closing),
        );
        let thread = server
            .threads
            .spawn(Role::Listen, server.next_id(), move || {
                listener::accept(&server_, &listener_, &closing_);
            })
            .map_err(StartError)?;
        listeners.push(Listening {
            listener,
            closing,
            thread,
        });
    }
    if let Some((path, dispose)) = disposal(&server.config) {
        let server_ = Arc::clone(&server);
        let body = move || janitor::run(&server_, &path, dispose);
        server
            .threads
            .spawn(Role::Janitor, server.next_id(), body)
            .map_err(StartError)?;
    }
    Ok(Running { server, listeners })
}

/// Where idle streams are removed from the disk, and when; if they are.
fn disposal(config: &Config) -> Option<(PathBuf, Duration)> {
    let hls = config.hls.as_ref()?;
    Some((hls.path.clone(), hls.dispose?))
}

impl Running {
    /// Accepts nothing more; what is connected, or waits to be, goes on.
    pub fn drain(&mut self) {
        for listening in &self.listeners {
            listening.closing.store(true, Ordering::Release);
        }
        for listening in self.listeners.drain(..) {
            // A panic there has been reported already.
            let _ = listening.thread.join();
        }
        // A connection between two requests could stay for ever. What it has sent is answered.
        for connection in self.server.living() {
            if connection.protocol == Protocol::Http && !connection.is_playing() {
                connection.shut_input();
            }
        }
    }

    /// Whether nothing is connected any more.
    pub fn is_idle(&self) -> bool {
        self.server.connections().is_empty()
    }

    /// Ends everything: players get what is queued for them, and are told; what has not ended
    /// after [`limits::STOP_DEADLINE`] is cut off.
    pub fn stop(mut self) {
        self.server.stopping.store(true, Ordering::Release);
        for listening in &self.listeners {
            // Wakes its thread, and resets what waits to be accepted. Not by a connection to
            // ourselves: on a shared port a sibling might get it.
            let _ = SockRef::from(&listening.listener.listener).shutdown(std::net::Shutdown::Read);
        }
        self.drain();
        let server = &self.server;
        for connection in server.living() {
            if !connection.is_playing() {
                connection.shut_input();
            }
        }
        // What publishers had sent by now is read, and reaches players and disk.
        let until = deadline(limits::POLL);
        let feeds = || server.edge.is_none() && !server.registry.live(1).is_empty();
        while feeds() && Instant::now() < until {
            std::thread::sleep(limits::STOP_POLL);
        }
        server.registry.close();
        if server.threads.wait_idle(deadline(limits::STOP_DEADLINE)) {
            return;
        }
        for connection in server.living() {
            connection.shut();
        }
        if !server.threads.wait_idle(deadline(limits::POLL)) {
            warn!("some threads did not end in time; the process does");
        }
    }
}

impl Server {
    /// A number that no other connection or thread of this process has.
    pub fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether everything is to end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Whether there are as many connections as there may be.
    fn is_full(&self, protocol: Protocol) -> bool {
        let most = self.config.max_connections;
        let most_http = most.div_ceil(4).saturating_mul(limits::HTTP_QUARTERS);
        let http = self.http.load(Ordering::Relaxed);
        let is_full = protocol == Protocol::Http && http >= most_http;
        is_full || self.connections().len() >= most
    }

    /// Counts a connection that was closed for want of room; the first of a row is logged.
    fn shed(&self, why: impl fmt::Display) {
        if self.shed.fetch_add(1, Ordering::Relaxed) == 0 {
            warn!("no room for another connection, closed: {why}");
        }
    }

    fn register(self: &Arc<Self>, connection: &Arc<Connection>) {
        let shed = self.shed.swap(0, Ordering::Relaxed);
        if shed > 1 {
            warn!("{shed} connections were closed for want of room");
        }
        self.connections()
            .insert(connection.id, Arc::downgrade(connection));
        if connection.protocol == Protocol::Http {
            self.http.fetch_add(1, Ordering::Relaxed);
        }
        connection.keep(Registered {
            server: Arc::clone(self),
            id: connection.id,
            protocol: connection.protocol,
        });
    }

    /// The connections there are. Taken out of the list first: the last holder of one takes it off.
    fn living(&self) -> Vec<Arc<Connection>> {
        let connections = self.connections();
        connections.values().filter_map(Weak::upgrade).collect()
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<u64, Weak<Connection>>> {
        // Every change is one call of the map: it is whole after a panic too.
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's entry in the list, until it is dropped.
pub struct Registered {
    server: Arc<Server>,
    id: u64,
    protocol: Protocol,
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registered").field(&self.id).finish()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.server.connections().remove(&self.id);
        if self.protocol == Protocol::Http {
            self.server.http.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
