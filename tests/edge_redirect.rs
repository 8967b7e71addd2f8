#![cfg(test)]
//! An origin that sends the edge elsewhere (RTMP 302), as those of an SRS cluster do.

mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use support::amf::Value;
use support::connection::{Connection, End};
use support::origin::{Asked, Origin, Redirector, redirection};
use support::peer::{play, publishing};
use support::server::Server;

/// An edge of one origin that may be sent to others.
fn edge(origin: SocketAddr, redirects: &[SocketAddr]) -> Server {
    let redirects: Vec<_> = redirects.iter().map(|to| format!("\"{to}\"")).collect();
    let redirects = redirects.join(", ");
    let more = format!("redirects = [{redirects}]\n[play]\nplay_wait = 1\n");
    Server::edge(&[origin], &more)
}

fn url(address: SocketAddr, name: &str) -> String {
    format!("rtmp://{address}/live/{name}")
}

/// How it can be said: to `connect`, to `play`, or after the yes to that.
#[test]
fn an_edge_follows_a_redirect_however_it_comes() {
    let ways: [fn(Connection, &str); 4] = [
        |connection, url| redirect_connect(connection, "_error", url),
        |connection, url| redirect_connect(connection, "onStatus", url),
        |connection, url| {
            let asked = Asked::by(connection).unwrap();
            let mut connection = asked.connection;
            let answer = [Value::Null, redirection(url)];
            connection.command(0, "onStatus", 0.0, &answer).unwrap();
            await_end(connection);
        },
        |connection, url| {
            let mut asked = Asked::by(connection).unwrap();
            asked.redirect(url);
            await_end(asked.connection);
        },
    ];
    for (way, redirect) in ways.into_iter().enumerate() {
        let (srs, target) = (Origin::new(), Origin::new());
        let edge = edge(srs.address(), &[target.address()]);
        let name = format!("way{way}?token=secret");
        let mut player = play(edge.address(), "live", &name);
        redirect(srs.accept().unwrap(), &url(target.address(), &name));
        let asked = target.await_asked();
        let app = asked.object.property("app").map(Value::text);
        assert_eq!((app, &asked.name), (Some("live"), &name), "way {way}");
        assert_eq!(asked.command, "play");
        let mut feed = asked.grant();
        feed.send_headers(0);
        feed.send_group(1, 3);
        assert_eq!(player.frames_until(4), 1, "way {way}");
        assert_eq!(edge.count_log("secret"), 0, "way {way}");
    }
}

/// Answers `connect` with a redirect.
fn redirect_connect(mut connection: Connection, name: &str, url: &str) {
    let transaction = loop {
        match connection.receive().unwrap().command() {
            Some((command, transaction, _)) if command == "connect" => break transaction,
            _ => {}
        }
    };
    let transaction = if name == "_error" { transaction } else { 0.0 };
    let answer = [Value::Null, redirection(url)];
    connection.command(0, name, transaction, &answer).unwrap();
    await_end(connection);
}

/// Who is sent elsewhere leaves; we do not make it.
fn await_end(mut connection: Connection) {
    let (_, end) = connection.drain();
    assert_ne!(end, End::Silent, "it stays where the stream is not");
}

#[test]
fn an_edge_goes_nowhere_else_than_it_may() {
    let (allowed, elsewhere) = (Origin::new(), Origin::new());
    let (here, there) = (allowed.address(), elsewhere.address());
    let srs = Redirector::new(Origin::new(), "");
    let edge = edge(srs.address(), &[here]);
    let wrong = [
        url(there, "moved"),
        // The right host with the wrong port, and what only looks like the right one.
        format!("rtmp://{here}@{there}/live/moved"),
        format!("rtmp://{there}/live/moved?{here}"),
        format!("rtmp://{there}#@{here}/live/moved"),
        format!("rtmp://127.0.0.1/live/moved\r\nrtmp://{here}"),
        format!("http://{here}/live/moved"),
        "file:///etc/passwd".to_owned(),
        format!("rtmp://{here}/../../moved"),
        format!("rtmp://{here}"),
        String::new(),
    ];
    for (index, wrong) in wrong.into_iter().enumerate() {
        srs.set(&wrong);
        let before = srs.asked();
        let mut player = play(edge.address(), "live", &format!("moved{index}"));
        player.wait_told("NetStream.Play.StreamNotFound");
        let asked = srs.asked() - before;
        assert!((1..=4).contains(&asked), "{wrong}: asked {asked} times");
        assert!(elsewhere.poll().is_none(), "{wrong}");
        assert!(allowed.poll().is_none(), "{wrong}");
    }
    assert!(edge.count_log(&there.to_string()) > 0, "the log says where");
    // And the edge is well.
    srs.set(&url(here, "moved"));
    let mut player = play(edge.address(), "live", "moved");
    let mut feed = allowed.await_asked().grant();
    feed.send_headers(0);
    feed.send_group(1, 3);
    assert_eq!(player.frames_until(4), 1);
}

/// From one to the next, and at the last is the stream.
#[test]
fn an_edge_follows_three_hops_and_no_more() {
    let target = Server::origin("");
    let mut publisher = publishing(target.address(), "far");
    publisher.send_group(1, 3);
    let mut allowed = vec![target.address()];
    // The last one first.
    let hops = [(); 4].map(|()| {
        let next = allowed[allowed.len() - 1];
        let hop = Redirector::new(Origin::new(), &url(next, "far"));
        allowed.push(hop.address());
        hop
    });
    let asked = || hops.each_ref().map(Redirector::asked);

    let three = edge(hops[2].address(), &allowed);
    let mut player = play(three.address(), "live", "far");
    assert_eq!(player.frames_until(4), 1);
    assert_eq!(asked(), [1, 1, 1, 0]);

    let four = edge(hops[3].address(), &allowed);
    let mut player = play(four.address(), "live", "far");
    player.wait_told("NetStream.Play.StreamNotFound");
    let [last, _, _, first] = asked();
    assert!(first >= 1 && last > 1, "{first}, then {last}");
    assert_eq!(target.count_log(": plays live/far"), 1);
}

/// Two that send to each other.
#[test]
fn a_loop_of_redirects_ends() {
    let one = Redirector::new(Origin::new(), "");
    let other = Redirector::new(Origin::new(), &url(one.address(), "loop"));
    one.set(&url(other.address(), "loop"));
    let edge = edge(one.address(), &[other.address()]);
    let mut player = play(edge.address(), "live", "loop");
    player.wait_told("NetStream.Play.StreamNotFound");
    // Some attempts in a second, of four each.
    let asked = one.asked() + other.asked();
    assert!((4..=20).contains(&asked), "{one:?} {other:?}");
}

/// The stream moves within the cluster: players stay, and the origin is asked again.
#[test]
fn players_survive_that_their_stream_moves() {
    let targets = [(); 2].map(|()| Server::origin(""));
    let addresses = targets.each_ref().map(Server::address);
    let srs = Redirector::new(Origin::new(), &url(addresses[0], "moves"));
    let edge = edge(srs.address(), &addresses);
    let mut publisher = publishing(addresses[0], "moves");
    publisher.send_group(1, 3);
    let mut player = play(edge.address(), "live", "moves");
    assert_eq!(player.frames_until(4), 1);
    let [first, second] = targets;
    first.kill();
    srs.set(&url(second.address(), "moves"));
    let mut publisher = publishing(second.address(), "moves");
    let since = Instant::now();
    publisher.send_group(101, 3);
    assert_eq!(player.frames_until(104), 101);
    let took = since.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
}
