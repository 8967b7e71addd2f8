//! Rows M1, M7, M9 and M10: players that stop, and publishers that flood or come together.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

use crate::support::amf::{self, Value};
use crate::support::bystander::Bystander;
use crate::support::chunk::Message;
use crate::support::eventually;
use crate::support::hls::{self, Playlist, Watch, await_playlist};
use crate::support::http::{self, Client, FlvPlayer};
use crate::support::media::{AVC_HEADER, Kind};
use crate::support::peer::{Player, Publisher, play, publish, publishing, race};
use crate::support::port::SharedPort;
use crate::support::server::Server;
use crate::support::temp::TempDir;

use super::media::{HLS, Victim, recording};

#[test]
fn m1_players_that_stop_reading() {
    let bystander = Bystander::start(http::CONFIG);
    let server = &bystander.server;
    let mut publisher = publishing(server.address(), "stall");
    let mut next = publisher.send_megabyte(1);
    let mut witness = play(server.address(), "live", "stall");
    witness.frames_until(next - 1);
    // In the middle of the opening, behind it, and over HTTP.
    let stalled = [1, next - 1].map(|last| {
        let mut player = Player::open(server.address(), "live", Some(128 * 1024));
        player.play("stall");
        player.frames_until(last);
        player
    });
    let file = FlvPlayer::asked(Client::open(server.http_address()).shrink(), "stall.flv");
    for _ in 0..48 {
        next = publisher.send_megabyte(next);
        witness.frames_until(next - 1);
    }
    let peak = bystander.peak();
    assert!(peak < 64 * 1024, "{peak} KiB for 144 MiB that nobody took");
    eventually("they are let go, with a line each", || {
        publisher.send_frame(Kind::Inter, next, next * 40, 100);
        assert_eq!(witness.frame().0, next);
        next += 1;
        let ends = [
            ": it did not take what it was sent",
            ": the peer missed a deadline",
        ];
        ends.map(|end| server.count_log(end)).iter().sum::<usize>() == 3
    });
    drop((stalled, file, witness, publisher));
    bystander.end(&format!(
        "M1 | 3 players that stop reading 48 MiB | reset, RSS +{peak} KiB at most"
    ));
}

/// `onMetaData` with a number and so many bytes.
pub(super) fn metadata(number: u32, bytes: usize) -> Vec<u8> {
    let properties = [
        ("number".to_owned(), Value::from(f64::from(number))),
        (
            "padding".to_owned(),
            Value::from("x".repeat(bytes).as_str()),
        ),
    ];
    let names = ["@setDataFrame", "onMetaData"].map(Value::from);
    amf::encode(&[&names[..], &[Value::EcmaArray(properties.to_vec())]].concat())
}

fn metadata_number(message: &Message) -> Option<f64> {
    (message.type_id == 18)
        .then(|| amf::decode(&message.payload))?
        .get(1)?
        .property("number")
        .map(Value::number)
}

#[test]
fn m7_metadata_flood() {
    const COUNT: u32 = 1000;
    let bystander = Bystander::start("");
    let server = &bystander.server;
    let mut victim = Victim::new(server, "flood");
    let mut idle = Player::open(server.address(), "live", Some(128 * 1024));
    idle.play("flood");
    server.wait_log_times(": plays live/flood", 2);
    for number in 1..=COUNT {
        victim.publisher.send(18, number, &metadata(number, 60_000));
        if number % 50 == 0 {
            // A megabyte is too much of it.
            victim.publisher.send(18, number, &metadata(0, 1 << 20));
            victim.publisher.send_frame(Kind::Key, number, number, 100);
            assert_eq!(victim.player.frame().0, number);
        }
    }
    // A queue full of it, as it came and as it is sent.
    let peak = bystander.peak();
    assert!(peak < 48 * 1024, "{peak} KiB");
    let mut late = play(server.address(), "live", "flood");
    let mut found = Vec::new();
    loop {
        let message = late.receive().unwrap();
        if message.is_media() {
            break;
        }
        found.extend(metadata_number(&message));
    }
    assert_eq!(found, [f64::from(COUNT)], "the last, and no other");
    drop((idle, late));
    victim.end();
    bystander.end(&format!(
        "M7 | 1,000 × 60 kB and 20 × 1 MiB of metadata | last kept, RSS +{peak} KiB at most"
    ));
}

/// A video sequence header that says whose it is.
fn marked_header(mark: u8) -> [u8; 20] {
    let mut header = AVC_HEADER;
    header[7] = mark;
    header
}

/// Whose header is in force, as a player sees it; the frames of another one may not come.
struct Marks(Option<u8>);

impl Marks {
    /// The number of a frame, checked against the header before it.
    fn number(&mut self, message: &Message) -> Option<u32> {
        if message.type_id == 9 && message.payload.len() == 20 && message.payload[1] == 0 {
            self.0 = Some(message.payload[7]);
            return None;
        }
        let number = crate::support::media::number(message)?;
        assert_eq!(
            self.0,
            Some((number / 1000) as u8),
            "a frame after another's header"
        );
        Some(number)
    }
}

/// A keyframe and nine more frames of publisher `mark`; whether all could be sent.
fn send_marked(publisher: &mut Publisher, mark: u8) -> bool {
    let number = u32::from(mark) * 1000;
    let mut sent = publisher.try_send(9, number, &marked_header(mark)).is_ok();
    for index in 0..10 {
        let kind = if index == 0 { Kind::Key } else { Kind::Inter };
        let payload = crate::support::media::frame(kind, number + index, 200);
        sent &= publisher.try_send(9, number + index, &payload).is_ok();
    }
    sent
}

#[test]
fn m9_a_publisher_that_leaves_and_comes_back_at_once() {
    const ROUNDS: u8 = 20;
    let bystander = Bystander::start("");
    let address = bystander.server.address();
    let mut players: Vec<_> = (0..4)
        .map(|_| (play(address, "live", "back"), Marks(None)))
        .collect();
    let mut refused = 0;
    for mark in 1..=ROUNDS {
        let mut publisher = None;
        eventually("the name is free", || {
            publisher = publish(address, "live", "back").ok();
            refused += u32::from(publisher.is_none());
            publisher.is_some()
        });
        let mut publisher = publisher.unwrap();
        assert!(send_marked(&mut publisher, mark));
        publisher.await_read();
        for (player, marks) in &mut players {
            while marks.number(&player.media()) != Some(u32::from(mark) * 1000 + 9) {}
        }
        // In the middle of a frame, and without a word.
        publisher
            .connection
            .send_raw(b"\x06\0\0\0\0\xff\xff\x09\x01\0\0\0half")
            .unwrap();
    }
    drop(players);
    let what = format!("{ROUNDS} breaks and returns, 4 players");
    bystander.end(&format!(
        "M9 | {what} | nobody lost, no old header; {refused} times busy"
    ));
}

#[test]
fn m9_publishers_that_take_over_from_each_other() {
    const ROUNDS: u8 = 20;
    let bystander = Bystander::start("[publish]\nrepublish = \"takeover\"");
    let address = bystander.server.address();
    let mut player = play(address, "live", "race");
    let read = thread::Builder::new().spawn(move || {
        let mut marks = Marks(None);
        while marks.number(&player.media()) != Some(u32::from(u8::MAX) * 1000 + 9) {}
    });
    for round in 0..ROUNDS {
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            for side in 0..2 {
                let barrier = &barrier;
                scope.spawn(move || {
                    let mark = 2 * round + side + 1;
                    let mut publisher = race(address, "race", barrier).expect("both may");
                    // Until it hears that it was taken over, or for a while.
                    (0..10)
                        .take_while(|_| send_marked(&mut publisher, mark))
                        .count();
                });
            }
        });
    }
    let mut last = publish(address, "live", "race").unwrap();
    assert!(send_marked(&mut last, u8::MAX));
    read.unwrap().join().unwrap();
    last.unpublish();
    bystander.end(
        "M9 | 20 races of 2 that take over | no frame after another's header, name free after",
    );
}

#[test]
fn m10_one_name_at_two_processes_on_a_port() {
    const ENCODERS: usize = 24;
    let directory = TempDir::new();
    let port = SharedPort::loopback();
    let own = format!("listen = \"{}\"", port.address());
    let config = hls::config(directory.path(), HLS).replace("listen = \"127.0.0.1:0\"", &own);
    let servers = [(); 2].map(|()| Server::start(&config));
    let bystander = recording(directory.path());
    let watch = Watch::new(directory.path(), "a");
    let mut first = publishing(port.address(), "a");
    hls::send(&mut first, 0..2100);
    let ask = || publish(port.address(), "live", "a").unwrap_err();
    let refused: BTreeSet<String> = thread::scope(|scope| {
        let encoders = [(); ENCODERS].map(|()| scope.spawn(ask));
        hls::send(&mut first, 2120..6000);
        let told = encoders.into_iter().map(|encoder| encoder.join().unwrap());
        told.inspect(|status| assert_eq!(status.code, "NetStream.Publish.BadName"))
            .map(|status| status.description)
            .collect()
    });
    // At the process that has it, and at the other one.
    let busy = "somebody else publishes this stream".to_owned();
    let elsewhere = |server: &Server| format!("{busy}, through process {}", server.id());
    let mut expected = servers.iter().map(elsewhere);
    let is_expected = |other| refused == BTreeSet::from([busy.clone(), other]);
    assert!(expected.any(is_expected), "{refused:?}");
    let segments = |least: usize| move |one: &Playlist| one.entries.len() >= least;
    await_playlist(directory.path(), "a", "the first goes on", segments(5));
    first.unpublish();
    // And the next one is taken, wherever it comes.
    let mut next = None;
    eventually("the name is free", || {
        next = publish(port.address(), "live", "a").ok();
        next.is_some()
    });
    let mut next = next.unwrap();
    next.send_headers(0);
    hls::send(&mut next, 0..2100);
    await_playlist(directory.path(), "a", "the next", |one| {
        one.discontinuities() == 1
    });
    next.unpublish();
    let seen = watch.seen();
    servers.into_iter().for_each(Server::stop);
    let count = seen.segments.len();
    bystander.end(&format!(
        "M10 | {ENCODERS} second encoders | refused; {count} segments, one writer"
    ));
}
