#![cfg(test)]
//! An origin cluster across machines: network namespaces that are joined by a bridge.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test fails the test"
)]

mod support;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use support::connection::End;
use support::eventually;
use support::machines::{Machine, machines};
use support::netns::in_netns;
use support::origin::{Origin, Redirector};
use support::peer::{Player, play, publishing};
use support::server::{Server, show};
use support::siblings::{Feed, Meeting};

/// A machine's server, for who is on it.
const RTMP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1935);

/// From the end of a disturbance to media that was sent after it.
const RECOVERS_WITHIN: Duration = Duration::from_secs(3);

/// To the first frame of a stream that a coworker has: whoever does not have it says so at once.
const FOUND_WITHIN: Duration = Duration::from_secs(1);

/// A server on a machine, whose siblings there meet in `meeting`.
fn start(machine: &Machine, meeting: &Meeting, more: &str) -> Server {
    let config = meeting.config(&format!("listen = 1935\n{more}"));
    machine.within(|| Server::start(&config))
}

/// One in a cluster with `others`.
fn start_one_of(machine: &Machine, meeting: &Meeting, others: &[&Machine]) -> Server {
    let others: Vec<_> = others
        .iter()
        .map(|other| format!("\"{}\"", other.rtmp()))
        .collect();
    let more = format!(
        "[cluster]\norigin_cluster = true\ncoworkers = [{}]\n[play]\nplay_wait = 3\n",
        others.join(", ")
    );
    start(machine, meeting, &more)
}

/// A player on a machine, of its own server.
fn play_at(machine: &Machine, name: &str) -> Player {
    machine.within(|| play(RTMP, "live", name))
}

/// Three machines that are each other's coworkers.
fn cluster(machines: &[Machine; 3], meetings: &[Meeting; 3]) -> [Server; 3] {
    core::array::from_fn(|index| {
        let others = [1, 2].map(|step| &machines[(index + step) % 3]);
        start_one_of(&machines[index], &meetings[index], &others)
    })
}

#[test]
fn coworkers_find_a_stream_wherever_it_is() {
    in_netns("coworkers_find_a_stream_wherever_it_is", || {
        let machines = machines();
        let meetings = [(); 3].map(|()| Meeting::new());
        let servers = cluster(&machines, &meetings);
        for (at, holder) in machines.iter().enumerate() {
            let name = format!("at{at}");
            let mut publisher = holder.within(|| publishing(RTMP, &name));
            let mut next = publisher.send_group(1, 20);
            for (index, (machine, server)) in machines.iter().zip(&servers).enumerate() {
                let asked = Instant::now();
                let mut player = play_at(machine, &name);
                assert_eq!(player.frames_until(next - 1), next - 21, "{name}");
                let took = asked.elapsed();
                show(&format!("at {index}, {name} begins after | {took:?}"));
                assert!(took < FOUND_WITHIN, "{name} at {index}: {took:?}");
                if index != at {
                    let come = server.wait_log(&format!("live/{name}: comes from "));
                    assert!(come.contains(&holder.rtmp().to_string()), "{come}");
                }
                let end = publisher.send_group(next, 20);
                assert_eq!(player.frames_until(end - 1), next, "{name} at {index}");
                next = end;
            }
        }
        servers.into_iter().for_each(Server::stop);
    });
}

/// Whoever comes first; and nothing is left of those that nobody publishes.
#[test]
fn a_player_waits_for_a_stream_that_is_published_at_a_coworker() {
    in_netns(
        "a_player_waits_for_a_stream_that_is_published_at_a_coworker",
        || {
            let machines = machines();
            let meetings = [(); 3].map(|()| Meeting::new());
            let servers = cluster(&machines, &meetings);
            let idle = servers.each_ref().map(Server::descriptors);
            let mut early = play_at(&machines[0], "late");
            let missing = |index: usize| play_at(&machines[index % 3], &format!("none{index}"));
            let missing: Vec<_> = (0..60).map(missing).collect();
            servers[0].wait_log("none0");
            let mut publisher = machines[2].within(|| publishing(RTMP, "late"));
            let next = publisher.send_group(1, 20);
            early.frames_until(next - 1);
            for mut player in missing {
                player.wait_told("NetStream.Play.StreamNotFound");
            }
            drop((early, publisher));
            eventually("connections end", || {
                let now = servers.each_ref().map(Server::descriptors);
                now.iter().zip(idle).all(|(now, idle)| *now <= idle + 3)
            });
        },
    );
}

/// The kernel may give a coworker's connection to either process of the machine.
#[test]
fn a_coworker_may_be_several_processes() {
    in_netns("a_coworker_may_be_several_processes", || {
        let [one, other] = machines();
        let meetings = [(); 2].map(|()| Meeting::new());
        let asking = start_one_of(&one, &meetings[0], &[&other]);
        let asked = [(); 3].map(|()| start_one_of(&other, &meetings[1], &[&one]));
        for index in 0..20 {
            let name = format!("a{index}");
            let mut publisher = other.within(|| publishing(RTMP, &name));
            let next = publisher.send_group(1, 20);
            for machine in [&one, &other] {
                let mut player = play_at(machine, &name);
                assert_eq!(player.frames_until(next - 1), 1, "{name}");
            }
        }
        assert_eq!(asking.count_log(": comes from "), 20);
        let inside: usize = asked
            .iter()
            .map(|one| one.count_log(": comes from process "))
            .sum();
        assert!(inside > 0, "all came to the right process");
    });
}

/// An SRS that has not the stream says where it is (RTMP 302).
#[test]
fn an_edge_is_sent_to_another_machine() {
    in_netns("an_edge_is_sent_to_another_machine", || {
        let [here, srs, holder] = machines();
        let meetings = [(); 2].map(|()| Meeting::new());
        let server = start(&holder, &meetings[0], "");
        let mut publisher = holder.within(|| publishing(RTMP, "there"));
        let next = publisher.send_group(1, 20);
        let url = format!("rtmp://{}/live/there", holder.rtmp());
        let redirector = Redirector::new(srs.within(|| Origin::on(srs.rtmp())), &url);
        for is_allowed in [false, true] {
            let allowed = if is_allowed { &holder } else { &srs };
            let more = format!(
                "[cluster]\nmode = \"remote\"\norigin = [\"{}\"]\nredirects = [\"{}\"]\n\
                 [play]\nplay_wait = 1\n",
                srs.rtmp(),
                allowed.rtmp()
            );
            let edge = start(&here, &meetings[1], &more);
            let mut player = play_at(&here, "there");
            if is_allowed {
                assert_eq!(player.frames_until(next - 1), 1);
            } else {
                player.wait_told("NetStream.Play.StreamNotFound");
            }
            let played = server.count_log(": plays live/there");
            assert_eq!(played, usize::from(is_allowed));
            edge.stop();
        }
        assert!(redirector.asked() >= 2);
    });
}

fn heals(test: &str, disturb: fn(&Machine, bool)) {
    in_netns(test, || {
        let machines = machines();
        let meetings = [(); 3].map(|()| Meeting::new());
        let _servers = cluster(&machines, &meetings);
        let feed = Feed::start(vec![machines[1].within(|| publishing(RTMP, "cut"))]);
        let mut player = play_at(&machines[0], "cut");
        player.frame();
        // Shorter than it takes to give a silent coworker up, and longer.
        for (disturbed, seconds) in [(0, 2), (1, 2), (0, 8), (1, 8)] {
            disturb(&machines[disturbed], true);
            let healed = Instant::now() + Duration::from_secs(seconds);
            loop {
                let left = healed.saturating_duration_since(Instant::now());
                match player.receive_within(left) {
                    Ok(_) => {}
                    Err(End::Silent) => break,
                    Err(end) => panic!("{end:?}"),
                }
            }
            let newest = feed.now();
            disturb(&machines[disturbed], false);
            while player.frame().0 <= newest {}
            let took = healed.elapsed();
            show(&format!(
                "{test}, machine {disturbed}, for {seconds} s | {took:?}"
            ));
            assert!(took < RECOVERS_WITHIN, "{took:?}");
        }
    });
}

#[test]
fn a_link_that_goes_down_heals() {
    heals("a_link_that_goes_down_heals", |machine, disturbed| {
        machine.set_link(!disturbed);
    });
}

#[test]
fn a_link_that_loses_everything_heals() {
    heals("a_link_that_loses_everything_heals", Machine::set_silence);
}

/// What was fetched from a coworker and is published here now is not asked for; when its publisher has
/// left, it is again, with what its player asked for.
#[test]
fn a_fetch_rests_while_its_stream_is_published_here() {
    let coworker = Origin::new();
    let more = format!(
        "[cluster]\norigin_cluster = true\ncoworkers = [\"{}\"]\n",
        coworker.address()
    );
    let server = Meeting::new().start(&more);
    let mut player = play(server.address(), "live", "rests?key=for-players");
    let mut feed = coworker.await_asked().grant();
    feed.send_headers(0);
    let next = feed.send_group(1, 3);
    player.frames_until(next - 1);
    let mut publisher = publishing(server.address(), "rests");
    let end = publisher.send_group(next, 3);
    player.frames_until(end - 1);
    drop(feed);
    let until = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < until {
        assert!(coworker.poll().is_none(), "it asks for what is here");
        thread::sleep(Duration::from_millis(5));
    }
    publisher.unpublish();
    assert_eq!(coworker.await_asked().name, "rests?key=for-players");
}
