//! Players that stay: they read what comes, and come back when they are disconnected. It is kept
//! when that was.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::amf::Value;
use super::connection::Connection;
use super::{DEADLINE, eventually};

/// How long it takes to notice that they should stop.
const POLL: Duration = Duration::from_millis(500);

/// They come from an address that nobody else has, so that the server's log tells them from others.
const FROM: [u8; 4] = [127, 0, 0, 2];

/// Running ones. They stop when dropped.
#[derive(Debug)]
pub(crate) struct LongPlayers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    rtmp: SocketAddr,
    http: SocketAddr,
    stop: AtomicBool,
    /// How many have got something so far.
    served: AtomicUsize,
    /// Who was disconnected, and when.
    ended: Mutex<Vec<(SocketAddr, Instant)>>,
}

impl LongPlayers {
    /// So many, of `live/NAME` of all `names` in turn, every fourth over HTTP.
    pub(crate) fn start(
        rtmp: SocketAddr,
        http: SocketAddr,
        names: &[String],
        count: usize,
    ) -> Self {
        let shared = Arc::new(Shared {
            rtmp,
            http,
            stop: AtomicBool::new(false),
            served: AtomicUsize::new(0),
            ended: Mutex::default(),
        });
        let player = |number: usize| {
            let (ours, name) = (Arc::clone(&shared), names[number % names.len()].clone());
            let over_http = number.is_multiple_of(4);
            let play = move || ours.run(&name, over_http);
            thread::Builder::new().spawn(play).unwrap()
        };
        let threads = (0..count).map(player).collect();
        Self { shared, threads }
    }

    /// Waits until all of them are served.
    pub(crate) fn await_served(&self) {
        eventually("all long players are served", || {
            self.shared.served.load(Ordering::Relaxed) >= self.threads.len()
        });
    }

    /// Who has been disconnected by now, and when.
    pub(crate) fn ended(&self) -> Vec<(SocketAddr, Instant)> {
        self.shared.ended.lock().unwrap().clone()
    }

    /// Stops, and fails the test if something failed in them.
    pub(crate) fn stop(mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

impl Drop for LongPlayers {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _failed = thread.join();
        }
    }
}

impl Shared {
    fn run(&self, name: &str, over_http: bool) {
        while !self.stop.load(Ordering::Relaxed) {
            let played = match over_http {
                true => play_http(self.http, name),
                false => play_rtmp(self.rtmp, name),
            };
            let mut socket = played.unwrap();
            let peer = socket.local_addr().unwrap();
            if self.read(&mut socket) {
                self.ended.lock().unwrap().push((peer, Instant::now()));
            }
        }
    }

    /// Reads until the server ends it; `false`: until it is time to stop.
    fn read(&self, socket: &mut TcpStream) -> bool {
        socket.set_read_timeout(Some(POLL)).unwrap();
        let mut buffer = vec![0; 64 * 1024];
        let mut heard = Instant::now();
        let mut served = false;
        loop {
            match socket.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {
                    heard = Instant::now();
                    if !served {
                        self.served.fetch_add(1, Ordering::Relaxed);
                    }
                    served = true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    assert!(heard.elapsed() < DEADLINE, "nothing comes any more");
                }
                Err(_) => return true,
            }
            if self.stop.load(Ordering::Relaxed) {
                return false;
            }
        }
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((FROM, 0)).into())?;
    socket.connect_timeout(&address.into(), DEADLINE)?;
    Ok(socket.into())
}

fn play_rtmp(address: SocketAddr, name: &str) -> io::Result<TcpStream> {
    let mut connection = Connection::on(connect(address)?)?;
    connection.handshake()?;
    connection.connect("live").unwrap();
    let create = connection.call(0, "createStream", &[Value::Null]);
    let stream = connection.answer(create).unwrap()[1].number() as u32;
    connection.command(stream, "play", 0.0, &[Value::Null, name.into()])?;
    connection.socket().try_clone()
}

fn play_http(address: SocketAddr, name: &str) -> io::Result<TcpStream> {
    let mut socket = connect(address)?;
    write!(socket, "GET /live/{name}.flv HTTP/1.1\r\nHost: h\r\n\r\n")?;
    Ok(socket)
}
