//! Rows E1 to E5: origins that attack, and origins that are none.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::fanout::metadata;
use crate::support::amf::{self, Value};
use crate::support::bystander::Bystander;
use crate::support::chunk::{Cut, Message, cut};
use crate::support::connection::Connection;
use crate::support::eventually;
use crate::support::missing::{PLAYERS, ask_for};
use crate::support::netns::in_netns;
use crate::support::origin::{Asked, Origin};
use crate::support::peer::{play, publish, publishing};
use crate::support::port::{SharedPort, dead};
use crate::support::server::{Server, edge_config};

/// An origin has no more time than this to say that it has no stream.
const SOON: &str = "[play]\nplay_wait = 0.2";

/// What an origin does with a connection.
type Script = Arc<dyn Fn(TcpStream) + Send + Sync>;

/// An origin that closes every connection, until it is told to do otherwise.
struct Evil {
    address: SocketAddr,
    script: Arc<Mutex<Option<Script>>>,
}

impl Evil {
    fn new() -> Self {
        let origin = Origin::new();
        let address = origin.address();
        let script = Arc::new(Mutex::<Option<Script>>::default());
        let now = Arc::clone(&script);
        let serve = move || {
            while let Ok(socket) = origin.accept_tcp() {
                let script = now.lock().unwrap().clone();
                if let Some(script) = script {
                    script(socket);
                }
            }
        };
        let _lasts = thread::Builder::new().spawn(serve).unwrap();
        Self { address, script }
    }

    /// What it does from now on.
    fn does(&self, script: impl Fn(TcpStream) + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Some(Arc::new(script));
    }
}

/// An edge of a good origin and of another one, with a stream that must not notice.
fn edge(good: &Server, other: SocketAddr) -> Bystander {
    let patient = "[play]\nplay_wait = 20.0";
    Bystander::on(Server::edge(&[good.address(), other], patient))
}

/// Sends bytes after the handshake, and reads to the end.
fn sends(bytes: Vec<u8>) -> impl Fn(TcpStream) + Send + Sync {
    move |socket| {
        let mut connection = Connection::accepted(socket).unwrap();
        // It may be closed already.
        let _gone = connection.send_raw(&bytes);
        connection.drain();
    }
}

/// Says yes, and then sends as much metadata as is taken, up to this much.
fn floods(one: usize, most: usize) -> impl Fn(TcpStream) + Send + Sync {
    move |socket| {
        let connection = Connection::accepted(socket).unwrap();
        let mut stream = Asked::by(connection).unwrap().grant();
        stream.connection.set_chunk_size(65_536);
        for number in 0..(most / one) as u32 {
            if stream.try_send(18, number, &metadata(number, one)).is_err() {
                break;
            }
        }
    }
}

/// The beginning of a message of `length` bytes on a chunk stream.
fn begun(csid: u32, length: usize) -> Vec<u8> {
    let message = Message {
        csid,
        type_id: 9,
        stream: 1,
        payload: vec![1; length],
        ..Message::default()
    };
    let how = Cut {
        basic: if csid < 64 { 1 } else { 2 },
        ..Cut::plain(128)
    };
    cut(&message, how).swap_remove(0)
}

#[test]
fn e1_what_an_origin_may_not_send() {
    let good = Server::origin(SOON);
    let evil = Evil::new();
    let bystander = edge(&good, evil.address);
    let attack = |name: &str, why: &str| {
        let mut player = play(bystander.address(), "live", name);
        let line = bystander
            .server
            .wait_log(&format!("live/{name}: origin {}: ", evil.address));
        assert!(line.contains(why), "{line}");
        // Another origin has it, and the player never left.
        let mut publisher = publishing(good.address(), name);
        publisher.send_group(1, 3);
        player.frames_until(4);
        // The good one is not left for the other any more.
        publisher.unpublish();
    };
    evil.does(|mut socket| socket.write_all(&[b'H'; 4000]).unwrap());
    attack("http", "handshake: it does not speak RTMP");
    evil.does(sends(vec![0xC3; 5000]));
    attack("garbage", "malformed chunk: ");
    evil.does(sends(begun(6, 0xFF_FFFF)));
    attack("length", "malformed chunk: ");
    evil.does(sends((3..90).flat_map(|csid| begun(csid, 10)).collect()));
    attack("streams", "malformed chunk: ");
    let nested = (0..200).fold(Value::Null, |inner, _| Value::object(&[("a", inner)]));
    let command = Message {
        csid: 3,
        type_id: 20,
        payload: amf::encode(&["_result".into(), 1.0.into(), nested]),
        ..Message::default()
    };
    evil.does(sends(cut(&command, Cut::plain(128)).concat()));
    attack("nested", "malformed AMF0: ");
    // Too long to be passed on: nothing that the origin sends is media.
    evil.does(floods(1 << 20, 4 << 30));
    attack("long_metadata", "waiting for media: it took too long");
    evil.does(floods(60_000, 128 << 20));
    attack("metadata", "relaying: ");
    let peak = bystander.peak();
    assert!(peak < 64 * 1024, "{peak} KiB");
    bystander.end(&format!(
        "E1 | 7 bad origins | each left for a good one, RSS +{peak} KiB at most"
    ));
}

#[test]
fn e2_redirects() {
    let good = Server::origin(SOON);
    let evil = Evil::new();
    let bystander = edge(&good, evil.address);
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let there = elsewhere.local_addr().unwrap();
    let targets = [
        format!("rtmp://{there}/live"),
        format!("rtmp://{}/live", bystander.address()),
        format!("rtmp://{}/live", evil.address),
        "file:///etc/passwd".to_owned(),
    ];
    for (index, target) in targets.iter().enumerate() {
        let target = target.clone();
        evil.does(move |socket| {
            let mut connection = Connection::accepted(socket).unwrap();
            while let Ok(message) = connection.receive() {
                if message
                    .command()
                    .is_some_and(|(name, ..)| name == "connect")
                {
                    let to = [("code", 302.0.into()), ("redirect", target.as_str().into())];
                    let rejected = Value::object(&[
                        ("level", "error".into()),
                        ("code", "NetConnection.Connect.Rejected".into()),
                        ("description", "moved".into()),
                        ("ex", Value::object(&to)),
                    ]);
                    let answer = [Value::Null, rejected];
                    connection.command(0, "_error", 1.0, &answer).unwrap();
                }
            }
        });
        let name = format!("moved{index}");
        let mut player = play(bystander.address(), "live", &name);
        bystander.server.wait_log(&format!(
            "live/{name}: origin {}: waiting for its answer: it redirects",
            evil.address
        ));
        let mut publisher = publishing(good.address(), &name);
        publisher.send_group(1, 3);
        player.frames_until(4);
    }
    assert!(elsewhere.accept().is_err(), "it went there");
    let count = targets.len();
    bystander.end(&format!(
        "E2 | {count} redirects | refused, the next origin tried, nobody at the place named"
    ));
}

#[test]
fn e3_ten_thousand_missing_names() {
    const NAMES: usize = 10_000;
    let good = Server::origin(SOON);
    let edge = Server::edge(&[good.address()], SOON);
    let bystander = Bystander::on(edge);
    let most = ask_for(NAMES, bystander.address(), || {
        [&bystander.server, &good].map(Server::descriptors)
    });
    // 128 names are looked for at a time.
    assert!(most[0] < PLAYERS + 128 + 40, "{} descriptors", most[0]);
    assert!(most[1] < 128 + 40, "{} descriptors of the origin", most[1]);
    let peak = bystander.peak();
    assert!(peak < 64 * 1024, "{peak} KiB");
    bystander.end(&format!(
        "E3 | 10,000 missing names | at most {} descriptors at the origin, RSS +{peak} KiB at most",
        most[1]
    ));
}

#[test]
fn e4_an_edge_that_is_its_own_origin() {
    const TRIES: usize = 8;
    let good = Server::origin(SOON);
    let port = SharedPort::loopback();
    let origins = [good.address(), port.address()];
    let bystander = Bystander::on(Server::edge(&origins, "[play]\nplay_wait = 3.0"));
    // Siblings whose origin is their own port, in a form that only the resolver knows.
    let text = edge_config(&port.address().to_string(), &[port.address()], SOON);
    let text = text.replace("[\"127.0.0.1:", "[\"127.1:");
    let siblings = [(); 2].map(|()| Server::start(&text));
    let before = siblings.each_ref().map(Server::descriptors);
    for _ in 0..TRIES {
        play(port.address(), "live", "loop").wait_told("NetStream.Play.StreamNotFound");
        let refused = publish(port.address(), "live", "loop");
        assert!(refused.is_err_and(|status| status.level == "error"));
    }
    play(bystander.address(), "live", "loop").wait_told("NetStream.Play.StreamNotFound");
    let says = " own port: cluster.origin must name another server";
    let said = siblings.each_ref().map(|sibling| sibling.count_log(says));
    assert_ne!(said, [0, 0]);

    // And two edges of each other.
    let port = SharedPort::loopback();
    let first = Server::edge(&[port.address()], SOON);
    let second = edge_config(&port.address().to_string(), &[first.address()], SOON);
    let second = Server::start(&second);
    play(first.address(), "live", "loop").wait_told("NetStream.Play.StreamNotFound");
    let refused = publish(second.address(), "live", "loop").unwrap_err();
    assert!(refused.description.contains("form a loop"), "{refused:?}");
    eventually("the loops fall apart", || {
        siblings.each_ref().map(Server::descriptors) == before
            && first.descriptors().max(second.descriptors()) < 20
    });
    bystander.end(&format!(
        "E4 | 2 siblings with their own port as origin, {TRIES} plays and publishes | refused"
    ));
}

#[test]
fn e5_origins_that_do_not_answer() {
    in_netns("edge::e5_origins_that_do_not_answer", || {
        let good = Server::origin(SOON);
        let (silent, dead, evil) = (Origin::new(), dead(), Evil::new());
        evil.does(|socket| {
            // As a machine does that was restarted.
            let reset = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
            reset.unwrap();
        });
        let bad = [silent.address(), dead.address(), evil.address];
        let text = edge_config("127.0.0.1:0", &bad, "[play]\nplay_wait = 20.0");
        let more = format!(", \"nowhere.invalid\", \"{}\"]\n[play]", good.address());
        let edge = Server::start(&text.replace("]\n[play]", &more));
        let bystander = Bystander::on(edge);
        let server = &bystander.server;
        let mut longest = Duration::ZERO;
        for round in 0..4 {
            let name = format!("there{round}");
            let mut publisher = publishing(good.address(), &name);
            publisher.send_group(1, 3);
            let begun = Instant::now();
            play(server.address(), "live", &name).frames_until(4);
            longest = longest.max(begun.elapsed());
        }
        assert!(longest < Duration::from_secs(10), "{longest:?}");

        // Who waits for what is nowhere does not make it ask without a rest.
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let restarted = Evil::new();
        restarted.does(move |_| seen.lock().unwrap().push(Instant::now()));
        let alone = Server::edge(&[restarted.address], "[play]\nplay_wait = 6.0");
        play(alone.address(), "live", "nowhere").wait_told("NetStream.Play.StreamNotFound");
        let asked = asked.lock().unwrap();
        let pauses: Vec<_> = asked.windows(2).map(|two| two[1] - two[0]).collect();
        assert!((3..=6).contains(&pauses.len()), "{pauses:?}");
        assert!(pauses[0] >= Duration::from_millis(400), "{pauses:?}");
        assert!(pauses[3.min(pauses.len() - 1)] > pauses[0], "{pauses:?}");
        bystander.end(&format!(
            "E5 | silent, dead, resetting and unknown origins | passed over within {longest:.1?}; \
             {} attempts in 6 s",
            asked.len()
        ));
    });
}
