#![cfg(test)]
//! What peers make the process hold is counted, and never more than `max_memory`.

mod support;

use support::chunk::{Cut, Message, cut};
use support::connection::Connection;
use support::eventually;
use support::media::Kind;
use support::peer::{Publisher, play, publish, publishing};
use support::server::Server;

/// 64 MiB, of which connections and the process take 22: 42 MiB are for streams.
const CONFIG: &str = "max_memory = 64\nmax_connections = 100\n";

const MIB: usize = 1 << 20;

/// All but the last byte of a message of `length` bytes.
fn unfinished(publisher: &mut Publisher, length: usize) {
    let message = Message {
        csid: 6,
        type_id: 9,
        stream: publisher.stream,
        payload: vec![0x27; length],
        ..Message::default()
    };
    let mut chunks = cut(&message, Cut::plain(4096)).concat();
    chunks.pop();
    // It may be let go in the middle.
    let _gone = publisher.connection.send_raw(&chunks);
}

/// Publishers that hold messages of 4 MB each are let go when the budget is used up, the process does
/// not grow beyond it, and what they held is there for others when they have left.
#[test]
fn unfinished_messages_are_counted() {
    let server = Server::origin(CONFIG);
    server.wait_log("64 MiB of memory, 41 MiB of them for streams");
    let mut good = publishing(server.address(), "good");
    let mut player = play(server.address(), "live", "good");
    let mut next = good.send_group(1, 3);
    player.frames_until(next - 1);
    for round in 1..=2 {
        let mut held = Vec::new();
        for number in 0..20 {
            let mut publisher = publish(server.address(), "live", &format!("m{number}")).unwrap();
            unfinished(&mut publisher, 4 * MIB);
            held.push(publisher);
        }
        server.wait_log_times("no memory is left for what it sends", round);
        assert!(server.resident() < 64 << 10, "{} KiB", server.resident());
        // Who is there goes on.
        let first = next;
        next = good.send_group(first, 3);
        assert!(player.frames_until(next - 1) >= first);
        let said = held.len();
        drop(held);
        let ended = "publisher ended";
        eventually("their ends", || server.count_log(ended) == said * round);
    }
}

/// When memory is tight, groups of pictures are not kept: streams go on, and who joins gets the next
/// keyframe instead of the last.
#[test]
fn groups_of_pictures_go_first() {
    let server = Server::origin(CONFIG);
    let mut publishers: Vec<_> = (0..4)
        .map(|number| publishing(server.address(), &format!("g{number}")))
        .collect();
    for publisher in &mut publishers {
        publisher.send_frame(Kind::Key, 1, 0, MIB);
        for number in 2..=8 {
            publisher.send_frame(Kind::Inter, number, number * 20, MIB);
        }
        publisher.await_read();
    }
    assert!(server.resident() < 64 << 10, "{} KiB", server.resident());
    assert_eq!(server.count_log("publisher ended"), 0);
    let last = publishers.last_mut().unwrap();
    let mut player = play(server.address(), "live", "g3");
    player.wait_told("NetStream.Play.Start");
    last.send_frame(Kind::Inter, 9, 180, 200);
    last.send_frame(Kind::Key, 10, 200, 200);
    assert_eq!(player.frame().0, 10);
}

/// Who may not publish or play yet shares a quarter of the budget.
#[test]
fn the_early_do_not_take_what_streams_need() {
    let server = Server::origin(
        "max_memory = 80\nmax_connections = 500\nmax_connections_per_address = 500\n",
    );
    server.wait_log("32 MiB of them for streams");
    let mut early = Vec::new();
    for _ in 0..400 {
        let mut connection = Connection::open(server.address()).unwrap();
        // The first halves of four commands of 16 kB, and almost all of another half.
        connection.set_chunk_size(8192);
        for csid in 3..=6 {
            let message = Message {
                csid,
                type_id: 20,
                payload: vec![2; 16 * 1024],
                ..Message::default()
            };
            let mut chunks = cut(&message, Cut::plain(8192));
            let rest = chunks.pop().unwrap();
            let _gone = connection.send_raw(&chunks.concat());
            if csid == 6 {
                let _gone = connection.send_raw(&rest[..8000]);
            }
        }
        early.push(connection);
    }
    server.wait_log("no memory is left for what it sends");
    let mut publisher = publishing(server.address(), "good");
    let last = publisher.send_group(1, 3) - 1;
    assert_eq!(play(server.address(), "live", "good").frames_until(last), 1);
}
