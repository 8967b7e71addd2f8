#![cfg(test)]
//! Everything at once: a stream and its player do not notice, memory stays within what was said, and
//! everything comes back. Also where the system allows little.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test fails the test"
)]

mod support;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use nix::unistd::geteuid;
use socket2::SockRef;
use srs_lite::server::capacity::raised_files;
use support::bystander::Bystander;
use support::chunk::{Cut, Message, cut};
use support::connection::Connection;
use support::media::Kind;
use support::peer::{Player, Publisher, play, publish};
use support::server::Server;

/// KiB by which memory may grow under attack.
const GROWTH: usize = 64 * 1024;

const CONFIG: &str = "max_connections = 2600\nmax_connections_per_address = 2600\nmax_memory = 256\n\
                      [http_server]\nenabled = true\nlisten = \"127.0.0.1:0\"\ndir = \"/\"\n\
                      [http_remux]\nenabled = true\n";

/// Whoever attacks, as long as they are kept.
#[derive(Default)]
struct Siege {
    silent: Vec<TcpStream>,
    shaken: Vec<Connection>,
    slow: Vec<(TcpStream, &'static [u8])>,
    players: Vec<Player>,
    publishers: Vec<Publisher>,
}

fn message(csid: u32, length: usize) -> Message {
    Message {
        csid,
        type_id: 20,
        payload: vec![2; length],
        ..Message::default()
    }
}

impl Siege {
    /// 2,000 connections that say nothing, half of them after the handshake.
    fn idle(&mut self, address: SocketAddr) {
        for _ in 0..1000 {
            self.silent.extend(TcpStream::connect(address));
            self.shaken.extend(Connection::open(address));
        }
    }

    /// 200 that will say one byte after the other.
    fn slow(&mut self, server: &Server) {
        const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: siege\r\nX-Slow: very slow\r\n";
        const C0_C1: &[u8] = &[3, 0, 0, 0, 0, 0, 0, 0, 0];
        for (address, bytes) in [(server.address(), C0_C1), (server.http_address(), GET)] {
            for socket in (0..100).filter_map(|_| TcpStream::connect(address).ok()) {
                self.slow.push((socket, bytes));
            }
        }
    }

    fn say_a_byte(&mut self) {
        for (socket, bytes) in &mut self.slow {
            if let Some((byte, rest)) = bytes.split_first() {
                let _closed = socket.write(&[*byte]);
                *bytes = rest;
            }
        }
    }

    /// 100 messages of 16 MB that are announced and do not come; and one on each of 65,599 chunk
    /// streams.
    fn announce(&mut self, address: SocketAddr) {
        for _ in 0..100 {
            let Ok(mut connection) = Connection::open(address) else {
                continue;
            };
            let _closed = connection.send_raw(b"\x03\0\0\0\xff\xff\xff\x14\0\0\0\0nothing");
            self.shaken.push(connection);
        }
        if let Ok(mut connection) = Connection::open(address) {
            for csid in 2..=65_599 {
                let basic = match csid {
                    2..64 => 1,
                    64..320 => 2,
                    _ => 3,
                };
                let how = Cut {
                    basic,
                    ..Cut::plain(128)
                };
                let first = cut(&message(csid, 1000), how).swap_remove(0);
                if connection.send_raw(&first).is_err() {
                    break;
                }
            }
            self.shaken.push(connection);
        }
    }

    /// 50 players of a stream of 8 Mbit/s that read nothing.
    fn stuff(&mut self, address: SocketAddr) {
        let mut publisher = publish(address, "live", "fat").unwrap();
        publisher.send_headers(0);
        for number in 0..60 {
            let kind = if number % 30 == 0 {
                Kind::Key
            } else {
                Kind::Inter
            };
            publisher.send_frame(kind, number, number * 40, 40_000);
            if number == 30 {
                for _ in 0..50 {
                    self.players.push(play(address, "live", "fat"));
                }
            }
        }
        self.publishers.push(publisher);
    }

    /// 1,000 connections that are reset at once.
    fn reset(address: SocketAddr) {
        for socket in (0..1000).filter_map(|_| TcpStream::connect(address).ok()) {
            SockRef::from(&socket)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        }
    }

    /// All of it, and the slow ones a while longer.
    fn lay(server: &Server, lasting: Duration) -> Self {
        let mut siege = Self::default();
        let address = server.address();
        let until = Instant::now() + lasting;
        // First who must get in, also where there is little room.
        siege.stuff(address);
        siege.slow(server);
        siege.idle(address);
        siege.announce(address);
        while Instant::now() < until {
            siege.say_a_byte();
            Self::reset(address);
        }
        siege
    }
}

#[test]
fn everything_at_once() {
    raised_files();
    let bystander = Bystander::start(CONFIG);
    let memory = bystander.server.wait_log("MiB of memory");
    assert!(memory.contains(" 256 MiB of memory"), "{memory}");
    let siege = Siege::lay(&bystander.server, Duration::from_secs(5));
    let peak = bystander.peak();
    assert!(bystander.server.peak() < 256 * 1024);
    assert!(peak < GROWTH, "{peak} KiB");
    drop(siege);
    let row = format!(
        "siege | 2,400 attackers in all ways | RSS +{} MB at most",
        peak / 1024
    );
    bystander.end(&row);
}

/// A server that root starts for a user who may have few descriptors and threads.
fn confined(limit: &str) -> Bystander {
    let user = if geteuid().is_root() {
        "user = \"nobody\"\n"
    } else {
        ""
    };
    let config = format!("listen = \"127.0.0.1:0\"\n{user}{CONFIG}");
    let server = Server::under(&["prlimit", limit], &config);
    server.wait_log("listening on http ");
    Bystander::on(server)
}

/// Descriptors, or threads, for a fraction of those who come: the start says how many connections it
/// takes and why, the others are closed, that is logged now and then, and when the attackers have left
/// everybody is served.
#[test]
fn where_the_system_allows_little() {
    raised_files();
    // Those of the user that run already count.
    for (limit, reason) in [
        (
            "--nofile=256",
            "the number of open files (RLIMIT_NOFILE, `ulimit -n`) is 256",
        ),
        (
            "--nproc=200",
            "the number of the user's threads (RLIMIT_NPROC, `ulimit -u`) is 200",
        ),
    ] {
        let bystander = confined(limit);
        let lowered = bystander
            .server
            .wait_log("max_connections lowered from 2600");
        assert!(lowered.ends_with(reason), "{lowered}");
        let siege = Siege::lay(&bystander.server, Duration::from_secs(5));
        let peak = bystander.peak();
        assert!(peak < GROWTH, "{peak} KiB");
        let said = bystander.server.count_log("no room for another connection");
        assert!((1..=4).contains(&said), "logged {said} times");
        drop(siege);
        bystander.end(&format!(
            "siege | {limit}: {said} lines | RSS +{peak} KiB at most"
        ));
    }
}
