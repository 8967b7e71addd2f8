//! The worst that a peer may legally send leaves half of every thread's stack untouched.
#![cfg(test)]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "an overflow in a test fails the test"
)]

mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;

use srs_lite::limits;
use support::amf::{self, Value};
use support::connection::Connection;
use support::hls;
use support::http::{self, Client};
use support::media::{AAC_HEADER, Kind};
use support::origin::Origin;
use support::peer::{Player, Publisher};
use support::server::Server;

/// A memory mapping: where, and how many KiB of it there are and were ever touched. A stack is `guarded`:
/// right below it is one that nobody may touch.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    start: u64,
    end: u64,
    size: usize,
    touched: usize,
    guarded: bool,
}

/// The mappings of a process (proc(5), `smaps`).
fn mappings(process: &Path) -> Vec<Mapping> {
    let mut all: Vec<Mapping> = Vec::new();
    let mut guard_end = None;
    for line in fs::read_to_string(process.join("smaps")).unwrap().lines() {
        let mut words = line.split_whitespace();
        let (first, second) = (words.next().unwrap(), words.next().unwrap_or_default());
        if let Some((start, end)) = first.split_once('-') {
            let [start, end] = [start, end].map(|hex| u64::from_str_radix(hex, 16).unwrap());
            let (size, touched) = (0, 0);
            all.push(Mapping {
                start,
                end,
                size,
                touched,
                guarded: guard_end == Some(start),
            });
            guard_end = second.starts_with("---").then_some(end);
        }
        let last = all.last_mut().unwrap();
        match first {
            "Size:" => last.size = second.parse().unwrap(),
            "Rss:" | "Swap:" => last.touched += second.parse::<usize>().unwrap(),
            _ => {}
        }
    }
    all
}

/// The role of a thread, and its stack pointer; `None` while it runs.
fn stack_pointer(task: &Path) -> Option<(String, u64)> {
    let name = fs::read_to_string(task.join("comm")).ok()?;
    let role = name.trim_end().split('-').next()?.to_owned();
    let call = fs::read_to_string(task.join("syscall")).ok()?;
    let pointer = call.split_whitespace().rev().nth(1)?.strip_prefix("0x")?;
    Some((role, u64::from_str_radix(pointer, 16).ok()?))
}

/// Each thread that waits, with its stack.
fn stacks(process: &Path, mappings: &[Mapping]) -> Vec<(String, Mapping)> {
    let tasks = fs::read_dir(process.join("task")).unwrap();
    let stack = |task: PathBuf| {
        let (role, pointer) = stack_pointer(&task)?;
        let holds = |mapping: &&Mapping| (mapping.start..mapping.end).contains(&pointer);
        Some((role, *mappings.iter().find(holds)?))
    };
    tasks
        .filter_map(|task| stack(task.unwrap().path()))
        .collect()
}

/// Checks the stacks of threads of these roles, and those that threads which have ended left.
#[expect(clippy::print_stderr, reason = "figures, shown with --nocapture")]
fn assert_half_untouched(server: &Server, roles: &[&str]) {
    let process = PathBuf::from(format!("/proc/{}", server.id()));
    let (mut all, mut stacks_) = (Vec::new(), Vec::new());
    support::eventually("there are threads of all roles, and they wait", || {
        all = mappings(&process);
        stacks_ = stacks(&process, &all);
        let is_there = |role: &&str| stacks_.iter().any(|(its, _)| its == *role);
        roles.iter().all(is_there)
    });
    for (role, stack) in stacks_
        .iter()
        .filter(|(role, _)| roles.contains(&role.as_str()))
    {
        let limit = match role.as_str() {
            "play" => limits::PLAYER_STACK_BYTES,
            _ => limits::THREAD_STACK_BYTES,
        } / 1024;
        assert!(
            stack.guarded && (limit..limit + 16).contains(&stack.size),
            "{role}: {stack:?}"
        );
        // Not a buffer of this size.
        let is_stack = |other: &&Mapping| other.guarded && other.size == stack.size;
        let left = all.iter().filter(is_stack);
        let most = left.map(|other| other.touched).max().unwrap();
        eprintln!("{role}: {} KiB of {limit}, at most {most}", stack.touched);
        assert!(most <= limit / 2, "{role}: {most} KiB of {limit} touched");
    }
}

/// An application or a stream with the longest name and query.
fn longest(letter: &str) -> String {
    let name = letter.repeat(limits::MAX_NAME_LENGTH);
    format!("{name}?{}", letter.repeat(limits::MAX_QUERY_LENGTH))
}

/// Arguments that nest as deep as may be, and then are as many as may be in a message of so many
/// bytes, beside ten more.
fn worst_arguments(bytes: usize) -> Vec<Value> {
    let deep = Value::nested(limits::MAX_AMF0_DEPTH);
    let count = limits::MAX_AMF0_VALUES - limits::MAX_AMF0_DEPTH - 10;
    let text = "x".repeat(bytes / 2 / count);
    vec![deep, Value::StrictArray(vec![text.as_str().into(); count])]
}

/// Calls what nobody knows with the worst arguments; returns when it is answered.
fn call_worst(connection: &mut Connection, name: &str) {
    let mut arguments = vec![Value::Null];
    arguments.extend(worst_arguments(limits::MAX_MESSAGE_LENGTH_EARLY));
    let call = connection.call(0, name, &arguments);
    connection.answer(call).unwrap();
}

/// As far as `createStream`, with the longest application.
fn connected(address: SocketAddr) -> Connection {
    let mut connection = Connection::open(address).unwrap();
    connection.set_chunk_size(limits::MAX_CHUNK_SIZE as u32);
    let deep = Value::nested(limits::MAX_AMF0_DEPTH - 1);
    connection
        .connect_with(&longest("a"), &[("deep", deep)])
        .unwrap();
    call_worst(&mut connection, "worst");
    let create = connection.call(0, "createStream", &[Value::Null]);
    connection.answer(create).unwrap();
    connection
}

/// Publishes the longest name of this letter.
fn published(address: SocketAddr, letter: &str) -> Publisher {
    let mut connection = connected(address);
    let name = longest(letter);
    let mut arguments = vec![Value::Null, name.as_str().into(), "live".into()];
    arguments.push(Value::nested(limits::MAX_AMF0_DEPTH));
    connection.call(1, "publish", &arguments);
    let status = connection.status().unwrap();
    assert_eq!(status.code, "NetStream.Publish.Start");
    Publisher::new(connection, 1, &name)
}

/// Everything that a publisher or an origin can send, as large as may be.
fn send_worst(publisher: &mut Publisher) {
    let mut metadata = vec!["@setDataFrame".into(), "onMetaData".into()];
    metadata.extend(worst_arguments(limits::MAX_METADATA_BYTES));
    publisher.send(18, 0, &amf::encode(&metadata));
    publisher.send(9, 0, &longest_header());
    publisher.send(8, 0, &AAC_HEADER);
    let part = [
        &[8, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0][..],
        b"\xaf\x01sound\0\0\0\x12",
    ]
    .concat();
    publisher.send(22, 20, &part.repeat(limits::MAX_AGGREGATE_MESSAGES));
    hls::send(publisher, 1000..12_000);
    // As many NAL units as there can be.
    let units = [0, 0, 0, 1, 0x65].repeat(limits::MAX_MESSAGE_LENGTH / 5 - 1);
    publisher.send(9, 12_000, &[&[0x17, 1, 0, 0, 0][..], &units].concat());
}

/// Enhanced RTMP with as many modifiers as there can be, before many tracks.
fn send_enhanced(publisher: &mut Publisher) {
    let modifiers = b"\0\0\x07".repeat(limits::MAX_MOD_EX - 1);
    let tracks = b"\0\0\x06\x20avc1\x01\0\0\x01x".repeat(1000);
    publisher.send(9, 0, &[vec![0xA7], modifiers, tracks].concat());
}

/// A sequence header with as many parameter sets as there can be, and as long.
fn longest_header() -> Vec<u8> {
    let mut header = vec![0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1F, 0xFF, 0xFF];
    header.extend([0, 4, 0x67, 0x64, 0, 0x1F].repeat(31));
    let used = 31 * 8;
    let (count, each) = (255, (limits::MAX_PARAMETER_SET_BYTES - used) / 255 - 4);
    header.push(count);
    let mut set = vec![0, each as u8, 0x68];
    set.resize(2 + each, 1);
    header.extend(set.repeat(count.into()));
    header
}

/// A player that has seen all of that and then asks for the worst, while it is read by a thread
/// with a small stack.
fn settled(server: &Server) -> Player {
    let mut player = Player {
        connection: connected(server.address()),
        stream: 1,
        told: Vec::new(),
    };
    player.play(&longest("s"));
    player.wait_told("NetStream.Play.Start");
    support::eventually("it settles", || server.threads_of("play") > 0);
    for name in ["worst", "seek", "receiveVideo", "pause"] {
        call_worst(&mut player.connection, name);
    }
    player
}

#[test]
fn the_worst_input_leaves_half_of_an_origins_stacks() {
    let writes = "[publish]\nnormal_timeout = 60000\n[hls]\nenabled = true\nhls_path = \"html\"";
    let server = Server::origin(&format!("{writes}{}", http::CONFIG));
    let mut publisher = published(server.address(), "s");
    let mut enhanced = published(server.address(), "e");
    send_enhanced(&mut enhanced);
    enhanced.await_read();
    let name = "s".repeat(limits::MAX_NAME_LENGTH);
    publisher.send_frame(Kind::Key, 1, 0, 200);
    let app = "a".repeat(limits::MAX_NAME_LENGTH);
    let mut http = Client::open(server.http_address());
    let query = "q".repeat(limits::MAX_QUERY_LENGTH);
    let fields: String = (3..limits::MAX_HTTP_FIELDS)
        .map(|number| format!("X-{number}: {}\r\n", "v".repeat(60)))
        .collect();
    let head = format!("HTTP/1.1\r\nHost: h\r\nRange: bytes=0-1\r\n{fields}\r\n");
    let _player = settled(&server);
    let flv = format!("GET /{app}/{name}.flv HTTP/1.1\r\nHost: h\r\n\r\n");
    let mut flv_player = Client::open(server.http_address());
    flv_player.send(&flv);
    assert_eq!(flv_player.response(false).status, 200);
    send_worst(&mut publisher);
    publisher.await_read();
    let file = server.directory().join("html").join(&app);
    let playlist = file.join(format!("{name}.m3u8"));
    support::eventually("there is a playlist", || playlist.exists());
    for (path, status) in [("/", 200), (&format!("/{app}/{name}.m3u8"), 206)] {
        http.send(&format!("GET {path}?{query} {head}"));
        assert_eq!(http.response(true).status, status);
    }
    let roles = ["rtmp", "http", "play", "send", "hls", "listen", "janitor"];
    assert_half_untouched(&server, &roles);
}

/// An origin's answers, as bad as a peer's questions; returns when all of them are read.
fn answer_worst(connection: &mut Connection) {
    let arguments = worst_arguments(limits::MAX_MESSAGE_LENGTH_EARLY);
    for name in ["onStatus", "_result", "_error", "worst"] {
        connection.command(1, name, 9.0, &arguments).unwrap();
    }
    let ping = [0, 6, 0, 0, 0, 9];
    connection.send_control(4, &ping);
    while connection.receive().unwrap().user_control() != Some((7, 9)) {}
}

#[test]
fn the_worst_input_leaves_half_of_an_edges_stacks() {
    let origin = Origin::new();
    let port = origin.address().port();
    // A name, so that there is a thread that resolves it.
    let cluster = format!("[cluster]\nmode = \"remote\"\norigin = [\"localhost:{port}\"]");
    let edge = Server::origin(&cluster);
    let address = edge.address();
    let mut player = Player {
        connection: connected(address),
        stream: 1,
        told: Vec::new(),
    };
    player.play(&longest("p"));
    let mut pulled = origin.asked().unwrap().grant();
    send_enhanced(&mut pulled);
    send_worst(&mut pulled);
    answer_worst(&mut pulled.connection);
    player.wait_told("NetStream.Play.Start");
    let publish = move || published(address, "f");
    let publisher = thread::Builder::new().spawn(publish).unwrap();
    let mut forwarded = origin.asked().unwrap().grant();
    answer_worst(&mut forwarded.connection);
    let mut publisher = publisher.join().unwrap();
    send_enhanced(&mut publisher);
    send_worst(&mut publisher);
    publisher.await_read();
    let roles = ["rtmp", "play", "send", "pull", "forward", "listen"];
    assert_half_untouched(&edge, &roles);
}
