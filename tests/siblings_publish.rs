#![cfg(test)]
//! One publisher per stream, whichever process it comes to, and players that follow it wherever it
//! goes.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test fails the test"
)]

mod support;

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use support::connection::End;
use support::eventually;
use support::http::CONFIG;
use support::media::Kind;
use support::peer::{Publisher, play, publish, publishing, race};
use support::server::{Server, show};
use support::siblings::{Meeting, Viewer, all_follow};

/// Names that are raced for at the same time, and how often each: 200 races.
const NAMES: usize = 4;
const RACES: usize = 50;

/// For players to follow, and for a publisher that lost its stream to be told.
const FOLLOW: Duration = Duration::from_secs(1);

const TAKEOVER: &str = "[publish]\nrepublish = \"takeover\"\n";

/// Publishes the same name to both processes at the same moment, again and again, and has `settle`
/// say which of them is left; how often each was.
fn races(
    servers: &[Server; 2],
    settle: impl Fn([Option<Publisher>; 2]) -> (usize, Publisher) + Sync,
) -> [usize; 2] {
    let run = |name: String| {
        let mut wins = [0, 0];
        for _ in 0..RACES {
            let barrier = Barrier::new(2);
            let told = thread::scope(|scope| {
                let enter = |server: &Server| {
                    let address = server.address();
                    let (name, barrier) = (&name, &barrier);
                    scope.spawn(move || race(address, name, barrier))
                };
                let racers = servers.each_ref().map(enter);
                racers.map(|racer| racer.join().unwrap())
            });
            let (winner, publisher) = settle(told);
            wins[winner] += 1;
            publisher.unpublish();
        }
        wins
    };
    let wins = thread::scope(|scope| {
        let run = &run;
        let names = (0..NAMES).map(|number| scope.spawn(move || run(format!("race{number}"))));
        let names: Vec<_> = names.collect();
        let wins = names.into_iter().map(|name| name.join().unwrap());
        wins.fold([0, 0], |[one, other], [a, b]| [one + a, other + b])
    });
    assert_eq!(wins[0] + wins[1], NAMES * RACES);
    wins
}

#[test]
fn of_two_publishers_at_the_same_moment_exactly_one_wins() {
    let meeting = Meeting::new();
    let servers = meeting.servers("");
    let [one, other] = races(&servers, |told| match told {
        [Some(publisher), None] => (0, publisher),
        [None, Some(publisher)] => (1, publisher),
        [None, None] => panic!("both were refused"),
        [Some(_), Some(_)] => panic!("both were told yes"),
    });
    let reason = ": somebody else publishes this stream, through process ";
    eventually("the others were told why", || {
        let refusals = servers.each_ref().map(|server| server.count_log(reason));
        refusals == [other, one]
    });
    show(&format!(
        "{} races of two publishers | {one} and {other} won, the others were refused",
        NAMES * RACES
    ));
}

#[test]
fn of_two_that_take_over_at_the_same_moment_exactly_one_is_left() {
    let meeting = Meeting::new();
    let servers = meeting.servers(TAKEOVER);
    let [one, other] = races(&servers, |told| {
        let told = told.into_iter().enumerate();
        let mut left: Vec<_> = told.filter_map(|(at, one)| Some((at, one?))).collect();
        let since = Instant::now();
        loop {
            left.retain_mut(|(_, publisher)| !has_lost(publisher));
            assert!(!left.is_empty(), "nobody is left");
            if left.len() == 1 {
                break;
            }
            assert!(since.elapsed() < FOLLOW, "both go on");
        }
        let (winner, mut publisher) = left.remove(0);
        publisher.await_read();
        (winner, publisher)
    });
    show(&format!(
        "{} races of two that take over | {one} and {other} were left",
        NAMES * RACES
    ));
}

/// Sends a frame; whether the publisher is told that it has lost the stream.
fn has_lost(publisher: &mut Publisher) -> bool {
    let frame = support::media::frame(Kind::Key, 1, 200);
    if publisher.try_send(9, 0, &frame).is_err() {
        return true;
    }
    let wait = Duration::from_millis(20);
    match publisher.connection.receive_within(wait) {
        Ok(message) => message.status().is_some(),
        Err(end) => end != End::Silent,
    }
}

/// Viewers of both protocols at each process, that have seen the stream up to frame 4.
fn viewers(servers: &[Server], name: &str) -> Vec<Viewer> {
    let mut viewers: Vec<_> = servers
        .iter()
        .flat_map(|server| Viewer::both(server, name))
        .collect();
    for viewer in &mut viewers {
        viewer.until(4);
    }
    viewers
}

#[test]
fn players_of_every_process_follow_a_takeover_to_any() {
    let meeting = Meeting::new();
    let servers: [Server; 3] = meeting.servers(&format!("{TAKEOVER}{CONFIG}"));
    let mut publisher = publishing(servers[0].address(), "taken");
    publisher.send_group(1, 3);
    let mut viewers = viewers(&servers, "taken");
    let mut longest = Duration::ZERO;
    for (turn, at) in (1..).zip([1, 2, 2, 0, 1]) {
        let first = turn * 100;
        let begun = Instant::now();
        let mut next = publishing(servers[at].address(), "taken");
        next.send_group(first, 3);
        longest = longest.max(all_follow(&mut viewers, first, begun, FOLLOW));
        while !has_lost(&mut publisher) {
            assert!(begun.elapsed() < 2 * FOLLOW, "two go on");
        }
        publisher = next;
    }
    publisher.send_group(600, 3);
    all_follow(&mut viewers, 600, Instant::now(), FOLLOW);
    show(&format!(
        "{} players at three processes, five takeovers | all followed within {} ms",
        viewers.len(),
        longest.as_millis()
    ));
}

#[test]
fn players_of_every_process_follow_a_stream_that_moves() {
    let meeting = Meeting::new();
    let servers: [Server; 3] = meeting.servers(CONFIG);
    let mut publisher = publishing(servers[0].address(), "moves");
    publisher.send_group(1, 3);
    let mut viewers = viewers(&servers, "moves");
    let mut longest = Duration::ZERO;
    for (turn, at) in (1..).zip([1, 2, 0, 0, 2]) {
        publisher.unpublish();
        let first = turn * 100;
        let begun = Instant::now();
        publisher = publishing(servers[at].address(), "moves");
        publisher.send_group(first, 3);
        longest = longest.max(all_follow(&mut viewers, first, begun, FOLLOW));
    }
    let next = publisher.send_group(504, 20);
    for viewer in &mut viewers {
        viewer.until(next - 1);
    }
    show(&format!(
        "{} players at three processes, five moves | all followed within {} ms",
        viewers.len(),
        longest.as_millis()
    ));
}

#[test]
fn who_waits_for_a_stream_gets_it_wherever_it_is_published() {
    let meeting = Meeting::new();
    let [one, other] = meeting.servers("");
    let mut player = play(other.address(), "live", "waits");
    while player.receive_within(Duration::from_millis(300)) != Err(End::Silent) {}
    let begun = Instant::now();
    let mut publisher = publishing(one.address(), "waits");
    publisher.send_group(1, 3);
    assert_eq!(player.frames_until(4), 1);
    assert!(begun.elapsed() < FOLLOW, "{:?}", begun.elapsed());
}

#[test]
fn players_are_told_the_end_at_every_process() {
    let meeting = Meeting::new();
    let servers: [Server; 2] = meeting.servers("[publish]\npublisher_wait = 0.5\n");
    let mut publisher = publishing(servers[0].address(), "ends");
    publisher.send_group(1, 3);
    let mut players = servers.each_ref().map(|server| {
        let mut player = play(server.address(), "live", "ends");
        player.frames_until(4);
        player
    });
    publisher.unpublish();
    let begun = Instant::now();
    for player in &mut players {
        player.wait_told("NetStream.Play.UnpublishNotify");
        assert!(begun.elapsed() > Duration::from_millis(300), "too early");
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "too late");
    // And it is free, everywhere.
    let name =
        |server: &Server| publish(server.address(), "live", "ends").map(Publisher::unpublish);
    for server in &servers {
        name(server).unwrap();
    }
}
