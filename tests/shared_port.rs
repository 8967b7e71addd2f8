#![cfg(test)]
//! Two edges on one port.

mod support;

use support::connection::Connection;
use support::peer::{Player, play, publishing};
use support::port::SharedPort;
use support::server::{Server, edge_config};

/// Enough that the kernel gives some to each of two: all of one colour once in 2^47.
const PLAYERS: usize = 48;

/// Two edges of an origin, on the same port.
fn edges(origin: &Server, port: &SharedPort) -> (String, [Server; 2]) {
    let address = port.address().to_string();
    let config = edge_config(&address, &[origin.address()], "");
    let edges = [Server::start(&config), Server::start(&config)];
    (config, edges)
}

/// Players that have seen frame 1 to 4.
fn players(port: &SharedPort, name: &str) -> Vec<Player> {
    let join = |_| {
        let mut player = play(port.address(), "live", name);
        player.frames_until(4);
        player
    };
    (0..PLAYERS).map(join).collect()
}

/// Published to the origin and to the shared port, played from the shared port.
#[test]
fn both_edges_serve() {
    let origin = Server::origin("");
    let port = SharedPort::loopback();
    let (_, edges) = edges(&origin, &port);
    let idle = edges.each_ref().map(Server::descriptors);
    for (index, address) in [origin.address(), port.address()].into_iter().enumerate() {
        let name = format!("both{index}");
        let mut publisher = publishing(address, &name);
        publisher.send_group(1, 3);
        let mut players = players(&port, &name);
        for (edge, idle) in edges.iter().zip(idle) {
            assert!(edge.descriptors() >= idle + 2, "one edge got them all");
        }
        let next = publisher.send_group(5, 20);
        for player in &mut players {
            assert_eq!(player.frames_until(next - 1), 5);
        }
    }
}

/// The players of the other miss nothing; who comes reaches it; the killed one is back at once.
#[test]
fn one_edge_may_be_killed() {
    let origin = Server::origin("");
    let port = SharedPort::loopback();
    let (config, [killed, survivor]) = edges(&origin, &port);
    let mut publisher = publishing(origin.address(), "survivor");
    publisher.send_group(1, 3);
    let mut players = players(&port, "survivor");
    killed.kill();
    let next = publisher.send_group(5, 20);
    let mut lost = 0;
    players.retain_mut(|player| match player.receive() {
        Ok(message) => {
            player.connection.passed.push_front(message);
            // If the survivor had the stream from the killed one, the origin gives it the group again.
            let first = player.frames_until(next - 1);
            assert!([1, 5].contains(&first), "{first}");
            true
        }
        Err(_) => {
            lost += 1;
            false
        }
    });
    assert!(
        lost > 0 && lost < PLAYERS,
        "{lost} of {PLAYERS} were on the killed edge"
    );

    // All of these would be refused or hang if anything of the dead one were left.
    for _ in 0..PLAYERS {
        Connection::open(port.address()).unwrap();
    }
    let restarted = Server::start(&config);
    let idle = restarted.descriptors();
    let late: Vec<_> = (0..PLAYERS)
        .map(|_| play(port.address(), "live", "survivor"))
        .collect();
    for mut player in late {
        player.frames_until(next - 1);
    }
    assert!(
        restarted.wait_log("survivor").contains("survivor"),
        "{idle}"
    );
    let end = publisher.send_group(next, 20);
    for player in &mut players {
        assert_eq!(player.frames_until(end - 1), next);
    }
    survivor.stop();
}

/// A stop leaves the port to the other at once.
#[test]
fn one_edge_may_stop_while_peers_come() {
    let origin = Server::origin("");
    let port = SharedPort::loopback();
    let (_, [stopped, _survivor]) = edges(&origin, &port);
    let mut publisher = publishing(origin.address(), "stop");
    publisher.send_group(1, 3);
    stopped.stop();
    for player in &mut players(&port, "stop") {
        assert_eq!(player.told.len(), 2);
    }
}
