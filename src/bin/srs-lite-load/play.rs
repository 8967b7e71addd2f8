//! Many players on few threads: each thread looks at its sockets once per millisecond, so that the
//! players cost little and the server is not charged for waking them.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use bytes::BytesMut;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use socket2::{Domain, Socket, Type};
use srs_lite::session::client::Purpose;

use crate::http::{Flv, Hls};
use crate::report::Stats;
use crate::rtmp::{Rtmp, Said};
use crate::stamp;
use crate::url::{Protocol, Url};
use crate::watch::Watch;

/// Bytes that are read at a time.
const READ: usize = 256 * 1024;

/// Events that are taken at a time.
const EVENTS: usize = 1024;

/// Between two looks at the sockets.
const LOOK: Duration = Duration::from_millis(1);

/// Between two looks at what time brings about, in microseconds.
pub(crate) const SWEEP: u64 = 50_000;

/// Receive buffer of a slow player: what it does not read is for the server to keep.
const SLOW_BYTES: usize = 8192;

/// A player that has had no media for so long has failed, in microseconds; of HLS, which comes in
/// segments.
const PATIENCE: u64 = 15_000_000;
const PATIENCE_HLS: u64 = 60_000_000;

/// What the players do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What is played; the player of number n takes stream n modulo `streams`, plus 1.
    pub(crate) url: Url,
    /// The server.
    pub(crate) address: SocketAddr,
    /// Streams that the players are spread over.
    pub(crate) streams: usize,
    /// Whether a player that has had its first media leaves and comes again.
    pub(crate) churn: bool,
    /// Microseconds between the beginnings of two players of one worker.
    pub(crate) pace: u64,
    /// Bytes that each reads at most between two sweeps, once it plays.
    pub(crate) slow: Option<usize>,
}

/// What a worker shares with the thread that reports.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    stats: Mutex<Stats>,
    /// Everybody has begun.
    pub(crate) begun: AtomicBool,
    /// It is over.
    pub(crate) stop: AtomicBool,
}

impl Shared {
    /// What was seen so far.
    pub(crate) fn stats(&self) -> MutexGuard<'_, Stats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
enum Kind {
    Rtmp(Box<Rtmp>),
    Flv(Flv),
    Hls(Box<Hls>),
}

#[derive(Debug)]
struct Player {
    number: usize,
    socket: TcpStream,
    kind: Kind,
    watch: Watch,
    /// What could not be parsed yet.
    rest: BytesMut,
    out: Vec<u8>,
    /// Whether it waits for the socket to take `out`.
    blocked: bool,
    /// When it must have had media.
    deadline: u64,
}

/// A thread's players.
#[derive(Debug)]
pub(crate) struct Worker {
    plan: Plan,
    shared: Arc<Shared>,
    epoll: Epoll,
    players: HashMap<u64, Player>,
    /// Names the next player.
    next: u64,
    buffer: Vec<u8>,
    input: BytesMut,
    /// Players that have had no media yet.
    starting: usize,
}

impl Worker {
    /// A worker without players.
    ///
    /// # Errors
    ///
    /// The system gives no epoll instance.
    pub(crate) fn new(plan: Plan, shared: Arc<Shared>) -> io::Result<Self> {
        Ok(Self {
            plan,
            shared,
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            players: HashMap::new(),
            next: 0,
            buffer: vec![0; READ],
            input: BytesMut::new(),
            starting: 0,
        })
    }

    /// Starts the players of these numbers one after the other, and lets them play until it is
    /// over.
    pub(crate) fn run(mut self, numbers: impl IntoIterator<Item = usize>) {
        let mut numbers = numbers.into_iter();
        let mut due = stamp::now();
        let mut events = vec![EpollEvent::empty(); EVENTS];
        let mut sweep = due;
        while !self.shared.stop.load(Ordering::Relaxed) {
            let now = stamp::now();
            while due <= now && !self.shared.begun.load(Ordering::Relaxed) {
                match numbers.next() {
                    Some(number) => self.start(number),
                    None => self.shared.begun.store(true, Ordering::Relaxed),
                }
                due = due.saturating_add(self.plan.pace);
            }
            // A handshake has many turns, so those who start are looked after at once.
            let wait = if self.starting > 0 { 1_u8 } else { 0 };
            let count = self
                .epoll
                .wait(&mut events, EpollTimeout::from(wait))
                .unwrap_or(0);
            for event in events.iter().take(count) {
                self.turn(event.data(), event.events());
            }
            if now >= sweep {
                self.sweep(now);
                sweep = now.saturating_add(SWEEP);
            }
            if self.starting == 0 && count < EVENTS {
                thread::sleep(LOOK);
            }
        }
    }

    fn start(&mut self, number: usize) {
        match self.connect(number) {
            Ok(()) => self.starting = self.starting.saturating_add(1),
            Err(error) => self.shared.stats().fail(&format!("connect: {error}")),
        }
    }

    fn connect(&mut self, number: usize) -> io::Result<()> {
        let now = stamp::now();
        let socket = Socket::new(Domain::for_address(self.plan.address), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if self.plan.slow.is_some() {
            socket.set_recv_buffer_size(SLOW_BYTES)?;
        }
        match socket.connect(&self.plan.address.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        let stream = number
            .checked_rem(self.plan.streams)
            .unwrap_or(0)
            .saturating_add(1);
        let (host, path) = (&self.plan.url.host, self.plan.url.path(stream));
        let mut out = Vec::new();
        let kind = match self.plan.url.protocol {
            Protocol::Rtmp => {
                let rtmp = Rtmp::open(Purpose::Play, host, &path, self.next, &mut out);
                Kind::Rtmp(Box::new(rtmp))
            }
            Protocol::Flv => Kind::Flv(Flv::open(host, &path, &mut out)),
            Protocol::Hls => Kind::Hls(Box::new(Hls::open(host, &path, &mut out))),
        };
        let mut player = Player {
            number,
            socket: socket.into(),
            kind,
            watch: Watch::new(now),
            rest: BytesMut::new(),
            out,
            blocked: true,
            deadline: 0,
        };
        player.wait(now);
        let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT;
        self.epoll
            .add(&player.socket, EpollEvent::new(interest, self.next))?;
        self.players.insert(self.next, player);
        self.next = self.next.saturating_add(1);
        Ok(())
    }

    /// Something has happened on a player's socket.
    fn turn(&mut self, id: u64, events: EpollFlags) {
        let Some(player) = self.players.get_mut(&id) else {
            return;
        };
        let mut stats = self.shared.stats();
        let (was_live, was_blocked) = (player.watch.live, player.blocked);
        let mut result = Ok(());
        if events.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP) {
            result = player.receive(&mut self.buffer, &mut self.input, &mut stats);
        }
        let result = result.and_then(|()| player.send());
        let is_new = player.watch.live && !was_live;
        if is_new {
            self.starting = self.starting.saturating_sub(1);
        }
        if is_new || player.blocked != was_blocked {
            // A slow one reads when it is time, and not when something is there.
            let slow = self.plan.slow.is_some() && player.watch.live;
            let mut interest = EpollFlags::empty();
            interest.set(EpollFlags::EPOLLIN, !slow);
            interest.set(EpollFlags::EPOLLOUT, player.blocked);
            // Fails only if the socket is gone: the next read says so.
            let _ = self
                .epoll
                .modify(&player.socket, &mut EpollEvent::new(interest, id));
        }
        let served = self.plan.churn && player.watch.live;
        if served {
            stats.served = stats.served.saturating_add(1);
        }
        if let Err(why) = &result {
            stats.fail(why);
        }
        drop(stats);
        if served || result.is_err() {
            let number = player.number;
            self.end(id);
            if served && !self.shared.stop.load(Ordering::Relaxed) {
                self.start(number);
            }
        }
    }

    /// Lets a player go. Its socket leaves the epoll instance when it closes.
    fn end(&mut self, id: u64) {
        let Some(player) = self.players.remove(&id) else {
            return;
        };
        if player.watch.live {
            let mut stats = self.shared.stats();
            stats.live = stats.live.saturating_sub(1);
        } else {
            self.starting = self.starting.saturating_sub(1);
        }
    }

    /// Looks after what time brings about: requests that are due, slow players, and those without
    /// media.
    fn sweep(&mut self, now: u64) {
        let mut ended = Vec::new();
        for (&id, player) in &mut self.players {
            let mut result = Ok(());
            if let Kind::Hls(hls) = &mut player.kind {
                hls.ask(now, &mut player.out);
                result = player.send();
            }
            if let Some(most) = self.plan.slow.filter(|_| player.watch.live) {
                let buffer = self.buffer.get_mut(..most).unwrap_or_default();
                let mut stats = self.shared.stats();
                result = player.receive(buffer, &mut self.input, &mut stats);
            }
            if player.deadline <= now {
                let live = player.watch.live;
                let why = if live {
                    "no more media"
                } else {
                    "no media in time"
                };
                result = Err(why.to_owned());
            }
            ended.extend(result.err().map(|why| (id, why)));
        }
        for (id, why) in ended {
            self.shared.stats().fail(&why);
            self.end(id);
        }
    }
}

impl Player {
    /// Waits for media from now on.
    fn wait(&mut self, now: u64) {
        let patience = match self.kind {
            Kind::Rtmp(_) | Kind::Flv(_) => PATIENCE,
            Kind::Hls(_) => PATIENCE_HLS,
        };
        self.deadline = now.saturating_add(patience);
    }

    /// Reads what has come.
    fn receive(
        &mut self,
        buffer: &mut [u8],
        input: &mut BytesMut,
        stats: &mut Stats,
    ) -> Result<(), String> {
        let length = match self.socket.read(buffer) {
            Ok(0) => return Err("closed by the server".to_owned()),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        let now = stamp::now();
        stats.bytes = stats
            .bytes
            .saturating_add(u64::try_from(length).unwrap_or(0));
        input.clear();
        input.extend_from_slice(&self.rest);
        input.extend_from_slice(buffer.get(..length).unwrap_or_default());
        let frames = stats.frames;
        let (watch, out) = (&mut self.watch, &mut self.out);
        match &mut self.kind {
            Kind::Rtmp(rtmp) => rtmp.received(length, input, out, |said| {
                if let Said::Media(media) = said {
                    watch.message(media.type_id, &media.payload, now, stats);
                }
            })?,
            Kind::Flv(flv) => flv.received(input, now, watch, stats)?,
            Kind::Hls(hls) => {
                hls.received(input, now, watch, stats)?;
                hls.ask(now, out);
            }
        }
        if stats.frames != frames {
            self.wait(now);
        }
        self.rest.clear();
        self.rest.extend_from_slice(input);
        Ok(())
    }

    /// Writes what waits, as far as the socket takes it.
    fn send(&mut self) -> Result<(), String> {
        while !self.out.is_empty() {
            match self.socket.write(&self.out) {
                Ok(length) => drop(self.out.drain(..length.min(self.out.len()))),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::NotConnected => break,
                Err(error) => return Err(error.to_string()),
            }
        }
        self.blocked = !self.out.is_empty();
        Ok(())
    }
}
