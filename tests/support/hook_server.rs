//! A small HTTP server that hooks ask, on a port of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use super::DEADLINE;

/// One question, or what was told.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// From the path on.
    pub(crate) target: String,
    /// The whole head.
    pub(crate) head: String,
    /// The body.
    pub(crate) json: Value,
}

impl Heard {
    /// A text of the body.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.json[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name}: {}", self.json))
    }

    pub(crate) fn action(&self) -> &str {
        self.text("action")
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// These bytes, and the end.
    Bytes(Vec<u8>),
    /// The same byte by byte.
    Slowly(Vec<u8>),
    /// Nothing, until whoever asked has gone.
    Nothing,
    /// The first, after so long.
    After(Duration, Vec<u8>),
}

impl Reply {
    /// A whole answer with this status line and body.
    pub(crate) fn status(status: &str, body: &str) -> Self {
        let length = body.len();
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
        Self::Bytes(text.into_bytes())
    }

    pub(crate) fn yes() -> Self {
        Self::status("200 OK", "0")
    }

    pub(crate) fn raw(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

/// A server that hears, and answers as the test says.
#[derive(Debug)]
pub(crate) struct HookServer {
    pub(crate) address: SocketAddr,
    heard: Arc<(Mutex<Vec<Heard>>, Condvar)>,
}

impl HookServer {
    /// Starts one that says yes to everything.
    pub(crate) fn yes() -> Self {
        Self::start(|_| Reply::yes())
    }

    /// Starts one that answers so.
    pub(crate) fn start(answer: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), answer)
    }

    /// The same at an address that somebody holds with `SO_REUSEPORT`.
    pub(crate) fn at(
        address: SocketAddr,
        answer: impl Fn(&Heard) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&address.into()).unwrap();
        socket.listen(1024).unwrap();
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().unwrap();
        let heard = Arc::new((Mutex::default(), Condvar::new()));
        let (heard_, answer) = (Arc::clone(&heard), Arc::new(answer));
        // Ends with the test's process.
        spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let (heard, answer) = (Arc::clone(&heard_), Arc::clone(&answer));
                spawn(move || serve(socket, &heard, &*answer));
            }
        });
        Self { address, heard }
    }

    /// `[http_hooks]` with these actions, each at a path of its name.
    pub(crate) fn config(&self, actions: &[&str]) -> String {
        let line = |action: &&str| format!("{action} = \"http://{}/{action}\"\n", self.address);
        let lines: String = actions.iter().map(line).collect();
        format!("[http_hooks]\nenabled = true\n{lines}")
    }

    /// Waits until `count` of these actions were heard: all of them, in the order in which they came.
    pub(crate) fn wait(&self, action: &str, count: usize) -> Vec<Heard> {
        let (heard, more) = &*self.heard;
        let of = |heard: &[Heard]| {
            let all = heard.iter().filter(|one| one.action() == action);
            all.cloned().collect::<Vec<_>>()
        };
        let heard = heard.lock().unwrap();
        let waited = more.wait_timeout_while(heard, DEADLINE, |heard| of(heard).len() < count);
        let heard = waited.unwrap().0;
        let found = of(&heard);
        let all: Vec<_> = heard.iter().map(Heard::action).collect();
        assert!(found.len() >= count, "{count} times {action}: {all:?}");
        found
    }

    /// All that was heard so far.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.0.lock().unwrap().clone()
    }

    /// How often this action was heard so far.
    pub(crate) fn count(&self, action: &str) -> usize {
        let heard = self.heard();
        heard.iter().filter(|one| one.action() == action).count()
    }
}

fn spawn(body: impl FnOnce() + Send + 'static) {
    thread::Builder::new().spawn(body).unwrap();
}

fn serve(
    mut socket: TcpStream,
    all: &(Mutex<Vec<Heard>>, Condvar),
    answer: &impl Fn(&Heard) -> Reply,
) {
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let Some(heard) = question(&mut socket) else {
        return;
    };
    let reply = answer(&heard);
    all.0.lock().unwrap().push(heard);
    all.1.notify_all();
    // Whoever asked may have gone.
    let _gone = match reply {
        Reply::Bytes(bytes) => socket.write_all(&bytes),
        Reply::After(wait, bytes) => {
            thread::sleep(wait);
            socket.write_all(&bytes)
        }
        Reply::Slowly(bytes) => {
            socket.set_nodelay(true).unwrap();
            bytes.iter().try_for_each(|byte| {
                thread::sleep(Duration::from_millis(1));
                socket.write_all(&[*byte])
            })
        }
        Reply::Nothing => socket.read(&mut [0]).map(drop),
    };
}

fn question(socket: &mut TcpStream) -> Option<Heard> {
    let mut input = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(input[..end].to_vec()).unwrap();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "));
            let body = &input[end + 4..];
            if body.len() == length.unwrap().parse::<usize>().unwrap() {
                let target = head.split(' ').nth(1).unwrap().to_owned();
                assert!(head.starts_with("POST "), "{head}");
                return Some(Heard {
                    target,
                    json: serde_json::from_slice(body).unwrap(),
                    head,
                });
            }
        }
        match socket.read(&mut buffer) {
            Ok(length @ 1..) => input.extend_from_slice(&buffer[..length]),
            _ => return None,
        }
    }
}
