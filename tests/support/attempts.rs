//! Attempts to connect and be served, one after the other over new connections, whose outcomes are
//! counted.

use core::fmt;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::DEADLINE;
use super::amf::Value;
use super::chunk::Status;
use super::connection::{Connection, End};

/// How an attempt ended.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Outcome {
    /// What was asked for began to come.
    Served,
    /// Nobody listens.
    Refused,
    /// The kernel reset the connection before that.
    Reset,
    /// The server closed it before that.
    Closed,
    /// Nothing came for the whole deadline.
    Silent,
    /// The server says no.
    Denied,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum What {
    Rtmp,
    HttpFlv,
    Playlist,
}

impl From<io::Error> for Outcome {
    fn from(error: io::Error) -> Self {
        #[expect(clippy::wildcard_enum_match_arm, reason = "it is non-exhaustive")]
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Self::Reset,
            ErrorKind::UnexpectedEof => Self::Closed,
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Silent,
            _ => panic!("{error}"),
        }
    }
}

impl From<End> for Outcome {
    fn from(end: End) -> Self {
        match end {
            End::Closed => Self::Closed,
            End::Reset => Self::Reset,
            End::Silent => Self::Silent,
        }
    }
}

impl From<Status> for Outcome {
    fn from(status: Status) -> Self {
        match (status.level.as_str(), status.code.as_str()) {
            ("end", "Closed") => Self::Closed,
            ("end", "Reset") => Self::Reset,
            ("end", "Silent") => Self::Silent,
            _ => Self::Denied,
        }
    }
}

/// How often which attempt ended how.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(BTreeMap<(What, Outcome), usize>);

impl Tally {
    /// All of them.
    pub(crate) fn total(&self) -> usize {
        self.0.values().sum()
    }

    /// Those that ended so.
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        let all = self.0.iter();
        let fits = all.filter(|((_, other), _)| *other == outcome);
        fits.map(|(_, count)| count).sum()
    }

    /// Those of a kind.
    pub(crate) fn of(&self, what: What) -> usize {
        let all = self.0.iter();
        let fits = all.filter(|((other, _), _)| *other == what);
        fits.map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} attempts", self.total())?;
        self.0
            .iter()
            .try_for_each(|((what, outcome), count)| write!(f, " | {what:?} {outcome:?} {count}"))
    }
}

/// Attempts of all kinds, one after the other, until they are stopped.
#[derive(Debug)]
pub(crate) struct Attempts {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    rtmp: SocketAddr,
    http: SocketAddr,
    names: Vec<String>,
    stop: AtomicBool,
    begun: AtomicUsize,
    tally: Mutex<Tally>,
}

impl Attempts {
    /// Asks for `live/NAME` of all `names` in turn, so many at a time.
    pub(crate) fn start(
        rtmp: SocketAddr,
        http: SocketAddr,
        names: Vec<String>,
        at_a_time: usize,
    ) -> Self {
        let shared = Arc::new(Shared {
            rtmp,
            http,
            names,
            stop: AtomicBool::new(false),
            begun: AtomicUsize::new(0),
            tally: Mutex::default(),
        });
        let worker = |_| {
            let ours = Arc::clone(&shared);
            thread::Builder::new().spawn(move || ours.run()).unwrap()
        };
        let threads = (0..at_a_time).map(worker).collect();
        Self { shared, threads }
    }

    /// By now.
    pub(crate) fn tally(&self) -> Tally {
        self.shared.tally.lock().unwrap().clone()
    }

    /// Lets those that have begun come to their end.
    pub(crate) fn stop(self) -> Tally {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        self.shared.tally.lock().unwrap().clone()
    }
}

impl Shared {
    fn run(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let number = self.begun.fetch_add(1, Ordering::Relaxed);
            let name = &self.names[number / 3 % self.names.len()];
            let (what, served) = match number % 3 {
                0 => (What::Rtmp, rtmp(self.rtmp, name)),
                1 => (What::HttpFlv, http_flv(self.http, name)),
                _ => (What::Playlist, playlist(self.http, name)),
            };
            let outcome = served.err().unwrap_or(Outcome::Served);
            let mut tally = self.tally.lock().unwrap();
            *tally.0.entry((what, outcome)).or_default() += 1;
            drop(tally);
            // So that there are local ports enough on a fast machine.
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Up to the first audio or video.
fn rtmp(address: SocketAddr, name: &str) -> Result<(), Outcome> {
    let mut connection = Connection::tcp(address, None)?;
    connection.handshake()?;
    let object = Value::object(&[("app", "live".into())]);
    connection.command(0, "connect", 1.0, &[object])?;
    connection.command(0, "createStream", 2.0, &[Value::Null])?;
    connection.answer(1.0)?;
    let stream = connection.answer(2.0)?[1].number() as u32;
    connection.command(stream, "play", 0.0, &[Value::Null, name.into()])?;
    loop {
        let message = connection.receive()?;
        if message.is_media() {
            return Ok(());
        }
        if message
            .status()
            .is_some_and(|status| status.level == "error")
        {
            return Err(Outcome::Denied);
        }
    }
}

/// Up to the first tag.
fn http_flv(address: SocketAddr, name: &str) -> Result<(), Outcome> {
    let mut socket = asked(address, &format!("/live/{name}.flv"))?;
    let mut bytes = [0; 9 + 4 + 11];
    socket.read_exact(&mut bytes)?;
    assert!(bytes.starts_with(b"FLV"), "{bytes:?}");
    Ok(())
}

/// To its end.
fn playlist(address: SocketAddr, name: &str) -> Result<(), Outcome> {
    let mut socket = asked(address, &format!("/live/{name}.m3u8"))?;
    let mut text = String::new();
    socket.read_to_string(&mut text)?;
    assert!(text.starts_with("#EXTM3U\n"), "{text}");
    text.ends_with(".ts\n").then_some(()).ok_or(Outcome::Closed)
}

/// A connection on which a path has been asked for, and the head of a yes has come.
fn asked(address: SocketAddr, path: &str) -> Result<TcpStream, Outcome> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(DEADLINE))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let yes = head.starts_with(b"HTTP/1.1 200 ");
    yes.then_some(socket).ok_or(Outcome::Denied)
}
