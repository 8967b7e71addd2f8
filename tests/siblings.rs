#![cfg(test)]
//! Processes that share a port act as one server: whichever accepts a player has every stream.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test fails the test"
)]

mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use support::eventually;
use support::hls::shipped_origins;
use support::media::Kind;
use support::netns::in_netns;
use support::peer::{Publisher, play, publishing};
use support::port::SharedPort;
use support::server::{Server, show};
use support::siblings::{Feed, Meeting, Viewer, fetches};
use support::temp::TempDir;

/// Half of them on each process.
const STREAMS: usize = 8;

/// With RTMP, and as many with HTTP-FLV.
const PLAYS: usize = 200;

/// Players at a time.
const BATCH: usize = 20;

/// Of the time to the first keyframe, half a player's. The release build is allowed 20 ms.
const MEDIAN: Duration = Duration::from_millis(if cfg!(debug_assertions) { 100 } else { 20 });

/// One play.
struct Play {
    from: SocketAddr,
    stream: usize,
    /// From before the connect to the first keyframe.
    took: Duration,
}

#[test]
fn every_stream_plays_whichever_process_accepts() {
    in_netns("every_stream_plays_whichever_process_accepts", || {
        let directory = TempDir::new();
        let servers = shipped_origins(directory.path());
        let (holders, publishers): (Vec<_>, Vec<_>) = publish(&servers).into_iter().unzip();
        let names: Vec<String> = publishers.iter().map(|one| one.name.clone()).collect();
        let feed = Feed::start(publishers);
        eventually("frames", || feed.now() > 0);
        let batches = 0..PLAYS / BATCH;
        let rtmp = SocketAddr::from(([127, 0, 0, 1], 1935));
        let http = SocketAddr::from(([127, 0, 0, 1], 8080));
        let rtmp = |name: &str| Viewer::rtmp(rtmp, name);
        let flv = |name: &str| Viewer::flv(http, name);
        let plays = batches
            .flat_map(|_| [batch(&names, &feed, rtmp), batch(&names, &feed, flv)])
            .flatten();
        let plays: Vec<Play> = plays.collect();
        drop(feed);
        report(&servers, &holders, &plays);
        for (name, holder) in names.iter().zip(holders) {
            assert_eq!(fetches(&servers[holder], name), 0, "{name}");
            assert_eq!(fetches(&servers[1 - holder], name), 1, "{name}");
        }
        servers.into_iter().for_each(Server::stop);
    });
}

/// Publishes until each process has its half; each with the process that has it.
fn publish(servers: &[Server; 2]) -> Vec<(usize, Publisher)> {
    let port = SocketAddr::from(([127, 0, 0, 1], 1935));
    let mut kept: Vec<(usize, Publisher)> = Vec::new();
    for number in 10..99 {
        let publisher = publishing(port, &format!("livestream{number}"));
        let line = format!(": publishes live/{}", publisher.name);
        let has = |server: &Server| server.count_log(&line) > 0;
        eventually("it is published", || servers.iter().any(has));
        let holder = usize::from(has(&servers[1]));
        if kept.iter().filter(|(other, _)| *other == holder).count() < STREAMS / 2 {
            kept.push((holder, publisher));
        } else {
            publisher.unpublish();
        }
        if kept.len() == STREAMS {
            return kept;
        }
    }
    panic!("one process gets them all");
}

/// Players come one after the other, and stay until all have seen half a second more.
fn batch(names: &[String], feed: &Feed, ask: impl Fn(&str) -> Viewer) -> Vec<Play> {
    let join = |number: usize| {
        let stream = number % STREAMS;
        let begun = Instant::now();
        let mut viewer = ask(&names[stream]);
        let (_, kind) = viewer.frame();
        let took = begun.elapsed();
        assert_eq!(kind, Kind::Key);
        let from = viewer.address();
        (viewer, Play { from, stream, took })
    };
    let joined: Vec<_> = (0..BATCH).map(join).collect();
    let last = feed.now() + 25;
    let check = |(mut viewer, play): (Viewer, Play)| {
        viewer.until(last);
        play
    };
    joined.into_iter().map(check).collect()
}

/// Shows how long players waited at the process that has the stream, at the other one, and of those
/// the first of each stream, for whom it had to be fetched.
fn report(servers: &[Server; 2], holders: &[usize], plays: &[Play]) {
    let shown = |server: &Server| {
        // In this order: what comes between is no sibling too many.
        let [siblings, all] =
            [" sibling: plays", ": plays live/"].map(|line| server.count_log(line));
        all - siblings
    };
    eventually("all are in the logs", || {
        servers.iter().map(shown).sum::<usize>() == 2 * PLAYS
    });
    let logs = servers.each_ref().map(Server::log);
    let mut waited = [(); 3].map(|()| Vec::new());
    let mut fetched = [false; STREAMS];
    assert_eq!(plays.len(), 2 * PLAYS);
    for Play { from, stream, took } in plays {
        let line = format!(" {from}: plays ");
        let accepted = logs
            .each_ref()
            .map(|log| log.iter().any(|text| text.contains(&line)));
        assert_ne!(accepted[0], accepted[1], "{from} played at one of them");
        if accepted[holders[*stream]] {
            waited[0].push(*took);
            continue;
        }
        waited[1].push(*took);
        if !core::mem::replace(&mut fetched[*stream], true) {
            waited[2].push(*took);
        }
    }
    assert_eq!(fetched, [true; STREAMS], "nobody asked the other process");
    let figures = waited.map(|mut times| {
        times.sort();
        (times.len(), times[times.len() / 2], times[times.len() - 1])
    });
    let whom = ["has the stream", "does not", "does not, its first"];
    for ((count, median, longest), whom) in figures.into_iter().zip(whom) {
        show(&format!(
            "first keyframe, {count} players at the process that {whom} | p50 {:.1} ms, longest {:.1} ms",
            median.as_secs_f64() * 1e3,
            longest.as_secs_f64() * 1e3,
        ));
    }
    for (_, median, _) in &figures[..2] {
        assert!(*median <= MEDIAN, "{median:?}");
    }
}

#[test]
fn sixteen_processes_fetch_a_stream_once_each() {
    let meeting = Meeting::new();
    let port = SharedPort::loopback();
    let config = meeting.config(&format!("listen = \"{}\"\n", port.address()));
    let servers = [(); 16].map(|()| Server::spawn(&config));
    for server in &servers {
        server.wait_log("listening on rtmp ");
    }
    assert_eq!(meeting.doors(), 16);
    let mut publisher = publishing(port.address(), "all");
    publisher.send_group(1, 3);
    let mut players = Vec::new();
    let has_players = |server: &Server| server.count_log(": plays live/all") > 0;
    while !servers.iter().all(has_players) {
        assert!(players.len() < 1000, "one process got no connection");
        let mut player = play(port.address(), "live", "all");
        assert_eq!(player.frames_until(4), 1);
        players.push(player);
    }
    let next = publisher.send_group(5, 20);
    for player in &mut players {
        assert_eq!(player.frames_until(next - 1), 5);
    }
    let publishes = |server: &Server| server.count_log(": publishes live/all");
    for server in &servers {
        assert_eq!(fetches(server, "all") + publishes(server), 1);
    }
    drop(players);
    publisher.unpublish();
    servers.into_iter().for_each(Server::stop);
    assert_eq!(meeting.files(), [""; 0]);
}

/// Two processes on a port, and players of what is published there until each has been asked.
fn ask_both(run_dir: &str) -> [usize; 2] {
    let port = SharedPort::loopback();
    let listen = format!("listen = \"{}\"\n", port.address());
    let config = format!("{run_dir}\n{listen}[play]\nplay_wait = 0.5\n");
    let servers = [(); 2].map(|()| Server::start(&config));
    let mut publisher = publishing(port.address(), "name");
    publisher.send_group(1, 3);
    let stranger = Server::origin("[play]\nplay_wait = 0.5\n");
    let mut refused = play(stranger.address(), "live", "name");
    refused.wait_told("NetStream.Play.StreamNotFound");
    let told = |what| {
        servers
            .each_ref()
            .map(|server: &Server| server.count_log(what))
    };
    for _ in 0..100 {
        let [plays, refusals] = [": plays live/name", ": may not play live/name"].map(told);
        if (0..2).all(|index| plays[index] + refusals[index] > 0) {
            return [plays, refusals]
                .map(|told| told.into_iter().filter(|times| *times > 0).count());
        }
        let mut player = play(port.address(), "live", "name");
        while player.told.is_empty() {
            player.receive().unwrap();
        }
    }
    panic!("one process gets them all");
}

#[test]
fn processes_of_a_port_meet_by_themselves_unless_they_are_told_not_to() {
    assert_eq!(ask_both(""), [2, 0]);
    assert_eq!(ask_both("run_dir = \"\""), [1, 1]);
}
