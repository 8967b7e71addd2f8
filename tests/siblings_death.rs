#![cfg(test)]
//! A process that is killed, or hangs, takes nothing with it but its own connections.
#![expect(
    clippy::as_conversions,
    reason = "an overflow in a test fails the test"
)]

mod support;

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use support::bystander::Bystander;
use support::eventually;
use support::hls::{self, Watch, await_playlist};
use support::http::CONFIG;
use support::peer::{Publisher, play, publish, publishing};
use support::server::{Server, show};
use support::siblings::{Meeting, Viewer, all_follow};
use support::temp::TempDir;

/// Of each stream, at the process that lives.
const PLAYERS: usize = 50;

/// From when the publisher is back to the first frame.
const GO_ON: Duration = Duration::from_millis(1500);

/// For a publisher to be told that a process hangs.
const REFUSAL: Duration = Duration::from_secs(5);

/// A stream that is at frame 503, 10 s into it, and players of it that are at `server`.
fn watched(publisher: &mut Publisher, server: &Server, players: usize) -> Vec<Viewer> {
    publisher.send_group(500, 3);
    let name = publisher.name.as_str();
    let ask = |number: usize| match number % 2 {
        0 => Viewer::rtmp(server.address(), name),
        _ => Viewer::flv(server.http_address(), name),
    };
    let mut viewers: Vec<_> = (0..players).map(ask).collect();
    for viewer in &mut viewers {
        viewer.until(503);
    }
    viewers
}

/// The publisher comes back to the process that lives, and to another in place of the dead one.
#[test]
fn players_go_on_when_the_publisher_of_a_killed_process_is_back() {
    for is_replaced in [false, true] {
        let meeting = Meeting::new();
        let [killed, lives] = meeting.servers(CONFIG);
        let mut publisher = publishing(killed.address(), "back");
        let mut viewers = watched(&mut publisher, &lives, PLAYERS);
        lives.wait_log(&format!("live/back: comes from process {}", killed.id()));
        let dead = killed.id();
        killed.kill();
        drop(publisher);
        let replacement = is_replaced.then(|| meeting.start(CONFIG));
        let server = replacement.as_ref().unwrap_or(&lives);

        let begun = Instant::now();
        let mut publisher = publishing(server.address(), "back");
        publisher.send_group(1, 3);
        let longest = all_follow(&mut viewers, 1, begun, GO_ON);
        let next = publisher.send_group(5, 20);
        for viewer in &mut viewers {
            viewer.until(next - 1);
        }
        let processes = 1 + usize::from(is_replaced);
        eventually("what the dead one has left is removed", || {
            meeting.doors() == processes && meeting.announcements().len() == 1
        });
        let holder = &meeting.announcements()[0];
        assert!(
            holder.contains("live/back ") && holder.ends_with(&format!(" {}\n", server.id())),
            "{holder}, not of {dead}"
        );
        assert_eq!(meeting.files().len(), processes + 1);
        show(&format!(
            "a holder is killed, {PLAYERS} players at a sibling, the publisher is back at {} | they go on \
             within {} ms",
            if is_replaced {
                "a third"
            } else {
                "the sibling"
            },
            longest.as_millis()
        ));
    }
}

/// Nobody publishes what the dead process had, and nobody asks for it.
#[test]
fn what_a_killed_process_has_left_is_removed() {
    let meeting = Meeting::new();
    let [killed, lives] = meeting.servers("");
    // After the first sweep of either, the next one is some time away.
    for _ in 0..2 {
        let swept = meeting.path().join("0000000000000000.stream");
        fs::write(&swept, "").unwrap();
        eventually("a sweep", || !swept.exists());
    }
    let publishers = ["a", "b", "c"].map(|name| publishing(killed.address(), name));
    assert_eq!((meeting.doors(), meeting.announcements().len()), (2, 3));
    killed.kill();
    let begun = Instant::now();
    eventually("it is removed", || meeting.files().len() == 1);
    show(&format!(
        "what a killed process has left | removed within {:.1} s",
        begun.elapsed().as_secs_f64()
    ));
    drop(publishers);
    lives.stop();
    assert_eq!(meeting.files(), [""; 0]);
}

#[test]
fn hls_goes_on_in_its_sequence_at_the_process_that_lives() {
    let (meeting, directory) = (Meeting::new(), TempDir::new());
    let hls = hls::config(directory.path(), "hls_fragment = 2\nhls_window = 10");
    let [killed, lives] = [(); 2].map(|()| Server::start(&meeting.config(&hls)));
    let watch = Watch::new(directory.path(), "a");
    let mut publisher = publishing(killed.address(), "a");
    hls::send(&mut publisher, 0..5500);
    await_playlist(directory.path(), "a", "two segments", |one| {
        one.entries.len() == 2
    });
    killed.kill();
    let mut publisher = publishing(lives.address(), "a");
    hls::send(&mut publisher, 0..6500);
    await_playlist(directory.path(), "a", "five segments", |one| {
        one.entries.len() >= 5
    });
    publisher.unpublish();
    lives.stop();
    let seen = watch.seen();
    let last = seen.playlists.last().unwrap();
    assert_eq!(last.discontinuities(), 1, "{last:?}");
    let numbers: Vec<u64> = seen.segments.keys().copied().collect();
    let all = numbers[0]..numbers[0] + numbers.len() as u64;
    assert!(numbers.iter().copied().eq(all), "{numbers:?}");
    assert!(numbers.len() >= 5);
}

#[test]
fn a_process_that_hangs_holds_up_its_own_streams_only() {
    let meeting = Meeting::new();
    // The publisher is silent as long as the process hangs.
    let patient = format!("{CONFIG}[publish]\nnormal_timeout = 60000\n");
    let [hangs, lives] = meeting.servers(&patient);
    let mut publisher = publishing(hangs.address(), "hung");
    let bystander = Bystander::on(lives);
    let lives = &bystander.server;
    let mut viewers = watched(&mut publisher, lives, 4);
    hangs.signal(Signal::SIGSTOP);

    let asked = Instant::now();
    let refused = publish(lives.address(), "live", "hung").unwrap_err();
    let took = asked.elapsed();
    assert_eq!(refused.code, "NetStream.Publish.BadName");
    let process = format!("process {}", hangs.id());
    assert!(refused.description.contains(&process), "{refused:?}");
    assert!(took < REFUSAL, "{took:?}");
    // When it is known to hang, a player that comes waits as for any stream that is not there. Those
    // who were there are told nothing.
    lives.wait_log(&format!("live/hung: {process}: relaying: it took too long"));
    let mut late = play(lives.address(), "live", "hung");
    late.wait_told("NetStream.Play.StreamNotFound");
    drop(publishing(lives.address(), "another"));

    hangs.signal(Signal::SIGCONT);
    let begun = Instant::now();
    publisher.send_group(600, 3);
    let longest = all_follow(&mut viewers, 600, begun, 2 * GO_ON);
    show(&format!(
        "the holder hangs for {:.0} s | a second publisher is refused after {} ms, players go on \
         within {} ms of its return",
        asked.elapsed().as_secs_f64(),
        took.as_millis(),
        longest.as_millis()
    ));
    drop(viewers);
    bystander.end("the holder of another stream hangs");
}

/// Nor may the one who was told no take the stream away when the process wakes up.
#[test]
fn a_stream_of_a_process_that_hangs_cannot_be_taken_over() {
    let meeting = Meeting::new();
    let takeover = "[publish]\nrepublish = \"takeover\"\n";
    let [hangs, lives] = meeting.servers(takeover);
    let mut publisher = publishing(hangs.address(), "hung");
    publisher.send_group(1, 3);
    hangs.signal(Signal::SIGSTOP);
    let asked = Instant::now();
    let refused = publish(lives.address(), "live", "hung").unwrap_err();
    assert_eq!(refused.code, "NetStream.Publish.BadName");
    let process = format!("process {}", hangs.id());
    let why = &refused.description;
    assert!(why.contains(&process) && why.contains("stop that process"));
    assert!(asked.elapsed() < REFUSAL, "{:?}", asked.elapsed());
    hangs.signal(Signal::SIGCONT);
    // It knows again what happens: one takeover that is meant.
    let mut other = publishing(hangs.address(), "other");
    other.await_read();
    publisher.send_group(5, 3);
    publisher.await_read();
    let mut player = play(lives.address(), "live", "hung");
    player.frames_until(8);
    let mut next = publishing(lives.address(), "hung");
    next.send_group(100, 3);
    while player.frame().0 < 103 {}
}
