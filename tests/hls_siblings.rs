#![cfg(test)]
//! Processes that share a directory of HLS: one writes a stream at a time, and whichever comes next
//! goes on where the last one stopped, however that ended.
#![expect(
    clippy::as_conversions,
    reason = "an overflow in a test fails the test"
)]

mod support;

use std::fs;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use support::hls::{Playlist, Watch, await_playlist, config, send};
use support::peer::{Publisher, publish, publishing, race};
use support::server::Server;
use support::temp::TempDir;

const HLS: &str = "hls_fragment = 2\nhls_window = 6";

#[test]
fn a_stream_comes_back_through_another_process_also_after_a_kill() {
    let directory = TempDir::new();
    let start = || Server::start(&config(directory.path(), HLS));
    let mut servers = vec![start(), start(), start()];
    let watch = Watch::new(directory.path(), "a");
    let has = |segments: u64| {
        let first = Playlist::of(directory.path(), "a").map_or(0, |playlist| playlist.next());
        move |playlist: &Playlist| {
            playlist.next() >= first + segments && !playlist.entries.is_empty()
        }
    };

    // To its end, then through another process that is killed in the middle of a segment.
    let fits = has(1);
    let mut publisher = publishing(servers[0].address(), "a");
    send(&mut publisher, 0..9000);
    publisher.unpublish();
    await_playlist(directory.path(), "a", "the first", fits);

    let fits = has(2);
    let mut publisher = publishing(servers[1].address(), "a");
    send(&mut publisher, 0..5500);
    await_playlist(directory.path(), "a", "the second", fits);
    servers.remove(1).kill();

    let fits = has(6);
    let mut publisher = publishing(servers[1].address(), "a");
    send(&mut publisher, 3000..16_001);
    await_playlist(directory.path(), "a", "the third", fits);
    publisher.unpublish();
    // And through the first again.
    let fits = has(4);
    let mut publisher = publishing(servers[0].address(), "a");
    send(&mut publisher, 0..9001);
    await_playlist(directory.path(), "a", "the first again", fits);
    publisher.unpublish();
    servers.into_iter().for_each(Server::stop);

    let seen = watch.seen();
    let last = seen.playlists.last().unwrap();
    let listed = last.discontinuities() as u64;
    assert_eq!(last.discontinuity_sequence + listed, 3, "{last:?}");
    assert!(last.discontinuity_sequence > 0, "none has left the list");
    assert!(seen.segments.len() >= 4 + 2 + 6 + 4);
    let numbers: Vec<u64> = seen.segments.keys().copied().collect();
    let first = numbers[0];
    assert!(
        numbers
            .iter()
            .copied()
            .eq(first..first + numbers.len() as u64)
    );
    assert!(last.duration() >= 6000 && last.duration() <= 10_000);
}

#[test]
fn a_second_encoder_on_another_process_is_refused_until_the_first_has_left() {
    let directory = TempDir::new();
    let [one, other] = [HLS, HLS].map(|hls| Server::start(&config(directory.path(), hls)));
    let mut publisher = publishing(one.address(), "a");
    send(&mut publisher, 0..2100);
    await_playlist(directory.path(), "a", "a playlist", |_| true);
    for server in [&other, &one] {
        let refused = publish(server.address(), "live", "a").unwrap_err();
        assert_eq!(refused.code, "NetStream.Publish.BadName", "{refused:?}");
    }
    drop(publishing(other.address(), "b"));
    // A refused one does not end the first.
    send(&mut publisher, 2120..4200);
    let is_longer = |playlist: &Playlist| playlist.entries.len() >= 2;
    await_playlist(directory.path(), "a", "it goes on", is_longer);
    publisher.unpublish();
    let mut next = publishing(other.address(), "a");
    send(&mut next, 0..2100);
    let is_resumed = |playlist: &Playlist| playlist.discontinuities() == 1;
    await_playlist(directory.path(), "a", "the next", is_resumed);
}

#[test]
fn who_loses_the_directory_to_a_sibling_goes_on_after_it() {
    let directory = TempDir::new();
    let hls = directory.path().join("hls");
    let one = Server::start(&config(&hls, "hls_fragment = 1"));
    let other = Server::start(&config(&hls, "hls_fragment = 4"));
    let mut loser = publishing(one.address(), "a");
    send(&mut loser, 0..2100);
    await_playlist(&hls, "a", "a playlist", |one| one.entries.len() == 2);
    fs::remove_dir_all(&hls).unwrap();
    let mut winner = publishing(other.address(), "a");
    send(&mut winner, 0..9000);
    let theirs = await_playlist(&hls, "a", "theirs", |one| one.entries.len() == 2);
    let watch = Watch::new(&hls, "a");
    send(&mut loser, 2120..6000);
    one.wait_log("live/a: HLS cannot be written, live play goes on: ");
    winner.unpublish();
    await_playlist(&hls, "a", "their last", |one| one.entries.len() == 3);
    send(&mut loser, 6000..16_000);
    one.wait_log("live/a: HLS is written again");
    loser.unpublish();
    one.stop();
    let seen = watch.seen();
    let last = seen.playlists.last().unwrap();
    assert_eq!(
        (last.target, last.sequence),
        (theirs.target, theirs.sequence)
    );
    assert_eq!(last.discontinuities(), 1, "{last:?}");
}

#[test]
fn many_encoders_of_one_name_leave_one_that_is_recorded() {
    let directory = TempDir::new();
    let server = Server::start(&config(directory.path(), HLS));
    let address = server.address();
    for round in 0..5 {
        let name = format!("a{round}");
        let barrier = Barrier::new(8);
        let mut publishers: Vec<Publisher> = thread::scope(|scope| {
            let racers = [(); 8].map(|()| scope.spawn(|| race(address, &name, &barrier)));
            let told = racers.into_iter().map(|racer| racer.join().unwrap());
            told.flatten().collect()
        });
        assert_eq!(publishers.len(), 1, "of {name}");
        publishers[0].send_headers(0);
        send(&mut publishers[0], 0..2100);
        await_playlist(directory.path(), &name, "a playlist", |_| true);
    }
}

#[test]
fn a_takeover_goes_on_in_the_same_playlist() {
    let directory = TempDir::new();
    let more = format!("{HLS}\n[publish]\nrepublish = \"takeover\"");
    let server = Server::start(&config(directory.path(), &more));
    let watch = Watch::new(directory.path(), "a");
    let mut first = publishing(server.address(), "a");
    send(&mut first, 0..4500);
    await_playlist(directory.path(), "a", "the first", |one| {
        one.entries.len() >= 2
    });
    let mut second = publishing(server.address(), "a");
    send(&mut second, 0..4500);
    await_playlist(directory.path(), "a", "the second", |one| {
        one.next() - one.sequence >= 4
    });
    second.unpublish();
    server.stop();
    let seen = watch.seen();
    let last = seen.playlists.last().unwrap();
    assert_eq!(
        last.discontinuity_sequence + last.discontinuities() as u64,
        1
    );
    assert_eq!(seen.segments.len(), 6, "2, 2 and half of one, twice");
}

#[test]
fn a_stop_finishes_the_segment() {
    let directory = TempDir::new();
    let server = Server::start(&config(directory.path(), HLS));
    let mut publisher = publishing(server.address(), "a");
    send(&mut publisher, 0..3000);
    await_playlist(directory.path(), "a", "a playlist", |_| true);
    let asked = Instant::now();
    server.stop();
    assert!(asked.elapsed() < Duration::from_secs(3));
    let playlist = Playlist::of(directory.path(), "a").unwrap();
    let durations: Vec<u32> = playlist
        .entries
        .iter()
        .map(|one| one.milliseconds)
        .collect();
    assert_eq!(durations, [2000, 1000]);
}
