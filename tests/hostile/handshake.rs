//! H: the handshake, the phases of a session, and the connection as such.

use std::io::Read;
use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockFilter, SockRef, Socket, Type};
use srs_lite::limits;

use crate::stage::{Stage, send_raw};
use crate::support::amf::{self, Value};
use crate::support::bystander::Bystander;
use crate::support::chunk::{Cut, Message, cut};
use crate::support::connection::{Connection, End};
use crate::support::eventually;
use crate::support::media::{self, Kind};
use crate::support::peer::{play, publish, publishing};

/// The reason of every deadline.
const DEADLINE_MISSED: &str = "the peer missed a deadline";

const NOTHING_TAKEN: &str = "it did not take what it was sent";

/// C0 and C1.
fn opening() -> Vec<u8> {
    let mut opening = vec![0; 1 + 1536];
    opening[0] = 3;
    opening
}

/// What the server answers to that.
fn read_answer(connection: &Connection) -> Vec<u8> {
    let mut answer = vec![0; 1 + 2 * 1536];
    connection.socket().read_exact(&mut answer).unwrap();
    answer
}

fn peer(connection: &Connection) -> SocketAddr {
    connection.socket().local_addr().unwrap()
}

/// Asserts that a connection ended at this deadline and not much later, on a busy machine.
fn assert_in_time(seconds: f64, deadline: Duration, what: &str) {
    let deadline = deadline.as_secs_f64();
    let range = deadline - 0.1..deadline + 4.0;
    assert!(range.contains(&seconds), "{what}: after {seconds} s");
}

#[test]
fn h1_a_byte_per_second() {
    let bystander = Bystander::start("");
    // So many bytes at once, and then one after the other.
    let sent = [0, 1, 1000, 1537, 1537 + 1000];
    let bytes = [opening(), vec![0; 1536]].concat();
    let mut peers: Vec<_> = sent
        .iter()
        .cycle()
        .take(30)
        .map(|&sent| {
            let mut connection = Connection::tcp(bystander.address(), None).unwrap();
            connection.send_raw(&bytes[..sent]).unwrap();
            (connection, sent)
        })
        .collect();
    let longest = limits::HANDSHAKE_DEADLINE + Duration::from_secs(2);
    for second in 0..longest.as_secs() as usize {
        for (connection, sent) in &mut peers {
            send_raw(connection, &bytes[*sent + second..][..1]);
        }
        thread::sleep(Duration::from_secs(1));
    }
    let mut last: f64 = 0.0;
    for (connection, sent) in &peers {
        let seconds = bystander.assert_ended(peer(connection), DEADLINE_MISSED);
        assert_in_time(
            seconds,
            limits::HANDSHAKE_DEADLINE,
            &format!("{sent} bytes"),
        );
        last = last.max(seconds);
    }
    bystander.end(&format!(
        "H1 | 30 peers, a byte per second in C0, C1, C2 | closed after {last} s"
    ));
}

#[test]
fn h2_every_phase_has_a_deadline() {
    let bystander = Bystander::start("[publish]\nfirstpkt_timeout = 3000\n");
    let address = bystander.address();
    let (first, normal) = (Duration::from_secs(3), Duration::from_secs(5));
    let silent = Stage::Early.reach(&bystander);
    let mut connected = Connection::open(address).unwrap();
    connected.connect("live").unwrap();
    let talking = Stage::Idle.reach(&bystander);
    let granted = publish(address, "live", "granted").unwrap().connection;
    let pinging = publish(address, "live", "pinging").unwrap().connection;
    let stopped = publishing(address, "stopped").connection;
    let mut talkers = [talking, pinging, stopped];
    let peers = [
        ("silent", peer(&silent), limits::COMMAND_DEADLINE),
        ("connected", peer(&connected), limits::COMMAND_DEADLINE),
        ("talking", peer(&talkers[0]), limits::COMMAND_DEADLINE),
        ("granted", peer(&granted), first),
        ("pinging", peer(&talkers[1]), first),
        ("stopped", peer(&talkers[2]), normal),
    ];
    let end = Instant::now() + limits::COMMAND_DEADLINE + Duration::from_secs(1);
    while Instant::now() < end {
        for talker in &mut talkers {
            let _closed = talker.command(0, "_checkbw", 5.0, &[Value::Null]);
        }
        thread::sleep(Duration::from_millis(200));
    }
    for (what, peer, deadline) in peers {
        let seconds = bystander.assert_ended(peer, DEADLINE_MISSED);
        assert_in_time(seconds, deadline, what);
    }
    bystander.end(
        "H2 | silent or talking before connect, publish, media | closed after 15 s, 15 s, 3 s and \
         5 s (as configured)",
    );
}

#[test]
fn h3_what_is_not_rtmp_is_closed_at_its_first_byte() {
    let bystander = Bystander::start("");
    for first in [0, 2, 4, 6, b'G', 0x16, 0xff] {
        let mut connection = Connection::tcp(bystander.address(), None).unwrap();
        connection.send_raw(&[first]).unwrap();
        let why = format!("version {first} is not RTMP (3)");
        bystander.assert_ended(peer(&connection), &why);
        assert_ne!(connection.drain(), (vec![], End::Silent), "{first}");
    }
    bystander.end("H3 | RTMPE, HTTP, TLS, 4 others | closed at the first byte");
}

#[test]
fn h4_an_echo_that_is_none() {
    let bystander = Bystander::start("");
    for c2 in [
        vec![0; 1536],
        vec![0xFF; 1536],
        media::frame(Kind::Key, 1, 1536),
    ] {
        let mut connection = Connection::tcp(bystander.address(), None).unwrap();
        connection.send_raw(&opening()).unwrap();
        read_answer(&connection);
        connection.send_raw(&c2).unwrap();
        connection.connect("live").unwrap();
        bystander.assert_goes_on(&mut connection);
    }
    bystander.end("H4 | C2 all 0, all 1, noise | goes on");
}

#[test]
fn h5_however_it_is_cut_into_segments() {
    let bystander = Bystander::start("");
    let command = |name: &str, id: f64, argument: Value| {
        let message = Message {
            csid: 3,
            type_id: 20,
            payload: amf::encode(&[name.into(), id.into(), argument]),
            ..Message::default()
        };
        cut(&message, Cut::plain(128)).concat()
    };
    let connect = command("connect", 1.0, Value::object(&[("app", "live".into())]));
    let create = command("createStream", 2.0, Value::Null);
    let said = [opening(), vec![0; 1536], connect, create].concat();
    let (c1, c2) = (1 + 1536, 1 + 2 * 1536);
    // Where one write ends and the next begins.
    let cuts: [(&str, Vec<usize>); 5] = [
        ("all at once", vec![]),
        ("C2 with connect", vec![c1]),
        ("C1 in single bytes", (1..=c1).collect()),
        (
            "across every border",
            vec![1, c1 - 1, c1 + 1, c2 - 1, c2 + 1],
        ),
        ("all in single bytes", (1..said.len()).collect()),
    ];
    let mut answers = Vec::new();
    for (what, mut ends) in cuts {
        ends.push(said.len());
        let mut connection = Connection::tcp(bystander.address(), None).unwrap();
        let mut begin = 0;
        for end in ends {
            connection.send_raw(&said[begin..end]).unwrap();
            begin = end;
        }
        assert_eq!(read_answer(&connection)[1 + 1536..], said[1..c1], "{what}");
        connection.answer(1.0).expect(what);
        connection.answer(2.0).expect(what);
        answers.push(connection.passed.clone());
        bystander.assert_goes_on(&mut connection);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    bystander.end("H5 | C0 to createStream in 1 to 3,273 segments | the same answers");
}

/// A connection from this address of the loopback.
fn from(host: u8, bystander: &Bystander) -> Connection {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let own = SocketAddr::from(([127, 0, 0, host], 0));
    socket.bind(&own.into()).unwrap();
    socket.connect(&bystander.address().into()).unwrap();
    Connection::on(socket.into()).unwrap()
}

fn assert_turned_away(connection: &mut Connection) {
    // The server may have closed already.
    let _closed = connection.send_raw(&opening());
    let (messages, end) = connection.drain();
    assert!(messages.is_empty() && end != End::Silent, "{end:?}");
}

#[test]
fn h6_more_connections_than_there_is_room_for() {
    let bystander = Bystander::start("max_connections = 10\nmax_connections_per_address = 6\n");
    let server = &bystander.server;
    let open = |host| {
        let mut connection = from(host, &bystander);
        connection.handshake().map(|()| connection)
    };
    let mut peers: Vec<_> = (0..6).map(|_| open(2).unwrap()).collect();
    let threads = server.threads();
    for _ in 0..200 {
        assert_turned_away(&mut from(2, &bystander));
    }
    let expected = "no room for another connection: 127.0.0.2: max_connections_per_address is 6";
    server.wait_log(expected);
    // Somebody else is let in, until there are as many as there may be.
    peers.extend([3, 4].map(|host| open(host).unwrap()));
    for host in 5..205 {
        assert_turned_away(&mut from(host, &bystander));
    }
    assert_eq!(server.count_log("no room"), 1);
    assert!(
        server.threads() <= threads + 2,
        "a thread for who is turned away"
    );
    drop(peers);
    eventually("there is room again", || open(2).is_ok());
    bystander
        .end("H6 | 400 more than fit, of one address and of all | closed at once, logged once");
}

/// Sets a soft limit of the running server, as its user: what `prlimit` of util-linux takes.
fn limit(bystander: &Bystander, user: &[&str], limit: &str) {
    let id = bystander.server.id().to_string();
    let status = Command::new("setpriv")
        .args(user)
        .args(["prlimit", "--pid", &id, limit])
        .status();
    assert!(status.expect("needs setpriv (util-linux)").success());
}

/// Processor time that the server takes in a second.
fn busy(bystander: &Bystander) -> Duration {
    let before = bystander.server.processor_time();
    thread::sleep(Duration::from_secs(1));
    let busy = bystander.server.processor_time() - before;
    assert!(busy < Duration::from_millis(300), "a busy loop: {busy:?}");
    busy
}

#[test]
fn h7_no_descriptors() {
    let bystander = Bystander::start("");
    let server = &bystander.server;
    // All that are left are below the highest one.
    limit(
        &bystander,
        &[],
        &format!("--nofile={}:", server.descriptors()),
    );
    let mut peers: Vec<_> = (0..50)
        .map(|_| Connection::tcp(bystander.address(), None).unwrap())
        .collect();
    server.wait_log("no room for another connection: Too many open files");
    let busy = busy(&bystander);
    assert_eq!(server.count_log("no room"), 1);
    limit(&bystander, &[], "--nofile=1000:");
    // They have waited in the backlog.
    for peer in &mut peers {
        peer.handshake().unwrap();
    }
    drop(peers);
    bystander.end(&format!(
        "H7 | 50 connections without a descriptor left | {} ms of a core per second, then served",
        busy.as_millis()
    ));
}

#[test]
fn h7_no_threads() {
    if !nix::unistd::geteuid().is_root() {
        return; // Nobody else can run as another user, whom alone the limit binds.
    }
    let bystander = Bystander::start("user = \"nobody\"\n");
    let server = &bystander.server;
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    limit(&bystander, &nobody, "--nproc=1:");
    // One thread may wait for something to do, and serves the first of them.
    let mut peers: Vec<_> = (0..50)
        .map(|_| Connection::tcp(bystander.address(), None).unwrap())
        .collect();
    server.wait_log("no room for another connection: Resource temporarily unavailable");
    for peer in &mut peers[1..] {
        assert_turned_away(peer);
    }
    let busy = busy(&bystander);
    assert_eq!(server.count_log("no room"), 1);
    limit(&bystander, &nobody, "--nproc=500:");
    drop(peers);
    Stage::Idle.reach(&bystander);
    bystander.end(&format!(
        "H7 | 50 connections without a thread to be had | closed, {} ms of a core per second",
        busy.as_millis()
    ));
}

/// From now on the peer hears nothing, and so says nothing: neither ACK, FIN nor RST.
fn vanish(connection: &Connection) {
    const RETURN: u16 = 6;
    let nothing = [SockFilter::new(RETURN, 0, 0, 0)];
    let socket = SockRef::from(connection.socket());
    socket.attach_filter(&nothing).unwrap();
}

#[test]
fn h8_peers_that_vanish() {
    let bystander = Bystander::start("[publish]\nnormal_timeout = 5000\n");
    let address = bystander.address();
    let mut shaking = Connection::tcp(address, None).unwrap();
    shaking.send_raw(&opening()).unwrap();
    let idle = Stage::Idle.reach(&bystander);
    let publisher = Stage::Publishing.reach(&bystander);
    let mut source = publishing(address, "source");
    source.send_frame(Kind::Key, 1, 0, 100);
    let mut player = play(address, "live", "source");
    player.frame();
    let vanished = [&shaking, &idle, &publisher, &player.connection];
    for connection in vanished {
        vanish(connection);
    }
    // The system looks after those who need not say anything.
    let filter = format!("dport = :{}", peer(&player.connection).port());
    let sockets = Command::new("ss").args(["-Htno", &filter]).output();
    let sockets = String::from_utf8(sockets.expect("needs ss (iproute2)").stdout).unwrap();
    assert!(sockets.contains("timer:(keepalive,"), "{sockets}");
    // What is sent to it waits in the kernel; when that is full, it takes nothing.
    let mut number = 1;
    eventually("the player is let go", || {
        number += 1;
        source.send_frame(Kind::Key, number, number * 20, 50_000);
        bystander.server.count_ended(peer(&player.connection)) > 0
    });
    source.unpublish();
    let stalled = limits::PLAYER_STALL_DEADLINE;
    for (connection, why, deadline) in [
        (&shaking, DEADLINE_MISSED, limits::HANDSHAKE_DEADLINE),
        (&idle, DEADLINE_MISSED, limits::COMMAND_DEADLINE),
        (&publisher, DEADLINE_MISSED, Duration::from_secs(5)),
        (&player.connection, NOTHING_TAKEN, stalled),
    ] {
        let seconds = bystander.assert_ended(peer(connection), why);
        assert_in_time(seconds, deadline, why);
    }
    bystander.end(
        "H8 | no FIN: in the handshake, idle, publishing, playing | found after 10, 15, 5, 10 s",
    );
}
