//! `--status`, and the line in the log that says how much there is.

use std::fs;
use std::process::{Command, Output};

use crate::CONFIG;
use crate::support::peer::{play, publishing};
use crate::support::server::Server;
use crate::support::siblings::{Feed, Meeting};

fn status(config: &str) -> Output {
    let directory = crate::support::temp::TempDir::new();
    let file = directory.path().join("srs-lite.conf");
    fs::write(&file, config).unwrap();
    Command::new(env!("CARGO_BIN_EXE_srs-lite"))
        .args(["--status", "-c"])
        .arg(file)
        .output()
        .unwrap()
}

#[test]
fn all_processes_are_shown_and_nobody_is_said_so() {
    let meeting = Meeting::new();
    let config = meeting.config(CONFIG);
    let nobody = |output: &Output| {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains("no process runs"), "{said}");
    };
    nobody(&status(&config));
    let servers: [Server; 2] = meeting.servers(CONFIG);
    let _feed = Feed::start(vec![publishing(servers[0].address(), "a")]);
    let mut player = play(servers[1].address(), "live", "a");
    player.media();
    let output = status(&config);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
    for server in &servers {
        let pid = server.id().to_string();
        let of_it = text
            .lines()
            .filter(|line| line.split_whitespace().any(|word| word == pid));
        assert_eq!(of_it.count(), 2, "itself and its stream:\n{text}");
    }
    assert_eq!(text.matches("live/a").count(), 2, "{text}");
    for server in servers {
        server.stop();
    }
    nobody(&status(&config));
}

#[test]
fn the_log_says_how_much_there_is_and_of_nothing_nothing() {
    let more = "pithy_print_ms = 1000\n";
    let idle = Server::origin(more);
    let busy = Server::origin(more);
    let _feed = Feed::start(vec![publishing(busy.address(), "a")]);
    let mut player = play(busy.address(), "live", "a");
    player.media();
    busy.wait_log(" 2 connections, 1 publishers, 1 players, 1 streams, ");
    assert_eq!(idle.count_log("connections, "), 1, "at start");
    let never = Server::origin("pithy_print_ms = 0\n");
    drop(never);
}
