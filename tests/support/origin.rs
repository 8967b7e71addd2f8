//! A scripted origin: as good, as slow or as silent as a test wants it.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::amf::Value;
use super::connection::Connection;
use super::eventually;
use super::peer::Publisher;

/// A listener that plays an origin. What connects and is not accepted meets silence.
#[derive(Debug)]
pub(crate) struct Origin {
    listener: TcpListener,
}

/// What an edge asked an origin for, before it was answered.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) connection: Connection,
    /// The argument of `connect`.
    pub(crate) object: Value,
    /// `publish` or `play`.
    pub(crate) command: String,
    /// The name, with its query string.
    pub(crate) name: String,
}

impl Origin {
    /// Listens on a port of its own.
    pub(crate) fn new() -> Self {
        Self::on("127.0.0.1:0".parse().unwrap())
    }

    /// Listens at `address`.
    pub(crate) fn on(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        Self { listener }
    }

    /// Where.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Accepts a connection, without a word.
    pub(crate) fn accept_tcp(&self) -> io::Result<TcpStream> {
        Ok(self.listener.accept()?.0)
    }

    /// Accepts a connection and shakes hands.
    pub(crate) fn accept(&self) -> io::Result<Connection> {
        Connection::accepted(self.accept_tcp()?)
    }

    /// Accepts a connection and answers it up to its `publish` or `play`; `None` if it ends before.
    pub(crate) fn asked(&self) -> Option<Asked> {
        Asked::by(self.accept().ok()?)
    }

    /// The same, of a connection that must come.
    pub(crate) fn await_asked(&self) -> Asked {
        let mut asked = None;
        eventually("the origin is asked", || {
            asked = self.poll();
            asked.is_some()
        });
        asked.unwrap()
    }

    /// The same, if a connection waits to be accepted.
    pub(crate) fn poll(&self) -> Option<Asked> {
        self.listener.set_nonblocking(true).unwrap();
        let waiting = self.listener.accept();
        self.listener.set_nonblocking(false).unwrap();
        let (socket, _) = waiting.ok()?;
        Asked::by(Connection::accepted(socket).ok()?)
    }
}

impl Asked {
    /// Answers a connection up to its `publish` or `play`; `None` if it ends before.
    pub(crate) fn by(mut connection: Connection) -> Option<Self> {
        let mut object = Value::Null;
        loop {
            let message = connection.receive().ok()?;
            let Some((command, transaction, arguments)) = message.command() else {
                continue;
            };
            let second = match command.as_str() {
                "connect" => {
                    object = arguments[0].clone();
                    Value::object(&[("code", "NetConnection.Connect.Success".into())])
                }
                "createStream" => Value::from(1.0),
                "publish" | "play" => {
                    return Some(Self {
                        connection,
                        object,
                        command,
                        name: arguments[1].text().to_owned(),
                    });
                }
                _ => Value::Null,
            };
            let answer = [Value::Null, second];
            connection
                .command(0, "_result", transaction, &answer)
                .ok()?;
        }
    }

    /// Says yes. What comes back can send media, as a publisher can.
    pub(crate) fn grant(mut self) -> Publisher {
        let code = match self.command.as_str() {
            "publish" => "NetStream.Publish.Start",
            _ => "NetStream.Play.Start",
        };
        self.answer("status", code, "");
        Publisher::new(self.connection, 1, &self.name)
    }

    /// Says no.
    pub(crate) fn refuse(&mut self, code: &str) {
        self.answer("error", code, "");
    }

    /// Says no, and why.
    pub(crate) fn refuse_with(&mut self, code: &str, why: &str) {
        self.answer("error", code, why);
    }

    /// Says yes and, before any media, to go elsewhere: as SRS does for a stream that another origin
    /// of its cluster has.
    pub(crate) fn redirect(&mut self, url: &str) {
        self.answer("status", "NetStream.Play.Reset", "");
        self.answer("status", "NetStream.Play.Start", "");
        let answer = [Value::Null, redirection(url)];
        // It may have left as soon as it read the beginning.
        let _left = self.connection.command(0, "onStatus", 0.0, &answer);
    }

    fn answer(&mut self, level: &str, code: &str, description: &str) {
        let status = Value::object(&[
            ("level", level.into()),
            ("code", code.into()),
            ("description", description.into()),
        ]);
        let answer = [Value::Null, status];
        self.connection
            .command(1, "onStatus", 0.0, &answer)
            .unwrap();
    }
}

/// What SRS says to send a client elsewhere (`srs_protocol_rtmp_stack.cpp`): `redirect` is
/// for the `tcUrl`, `redirect2` the whole URL.
pub(crate) fn redirection(url: &str) -> Value {
    let (directory, _name) = url.rsplit_once('/').unwrap_or((url, ""));
    let redirect = Value::object(&[
        ("code", 302.0.into()),
        ("redirect", directory.into()),
        ("redirect2", url.into()),
    ]);
    Value::object(&[
        ("level", "error".into()),
        ("code", "NetConnection.Connect.Rejected".into()),
        ("description", "RTMP 302 Redirect".into()),
        ("ex", redirect),
    ])
}

/// An origin that sends everybody elsewhere, until it is dropped.
#[derive(Debug)]
pub(crate) struct Redirector {
    address: SocketAddr,
    shared: Arc<Elsewhere>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Elsewhere {
    url: Mutex<String>,
    asked: AtomicUsize,
    stop: AtomicBool,
}

impl Redirector {
    /// To `url`.
    pub(crate) fn new(origin: Origin, url: &str) -> Self {
        let shared = Arc::new(Elsewhere {
            url: Mutex::new(url.to_owned()),
            asked: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        let (address, ours) = (origin.address(), Arc::clone(&shared));
        let redirect = move || {
            // As SRS, it leaves it to the others to go.
            let mut all = Vec::new();
            while !ours.stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(5));
                let Some(mut asked) = origin.poll() else {
                    continue;
                };
                ours.asked.fetch_add(1, Ordering::Relaxed);
                asked.redirect(&ours.url.lock().unwrap());
                all.push(asked);
            }
        };
        let thread = Some(thread::Builder::new().spawn(redirect).unwrap());
        Self {
            address,
            shared,
            thread,
        }
    }

    /// Where.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on to `url`.
    pub(crate) fn set(&self, url: &str) {
        url.clone_into(&mut self.shared.url.lock().unwrap());
    }

    /// How often so far.
    pub(crate) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Redirector {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _failed = thread.join();
        }
    }
}
