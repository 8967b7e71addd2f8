//! `--status`, and the line in the log that says how much there is.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::process::{Command, Output};

use crate::CONFIG;
use crate::support::netns::in_mount_namespace;
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

/// Root is shown what the unit runs, though the file does not name the unit's user.
#[test]
fn root_finds_the_processes_of_the_unit() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    in_mount_namespace("status::root_finds_the_processes_of_the_unit", || {
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "tmpfs", "/run"]).status();
        assert!(mounted.unwrap().success());
        let unit = "/run/srs-lite";
        for path in [unit, "/run/srs-lite/srs-lite-65534-1"] {
            fs::DirBuilder::new().mode(0o700).create(path).unwrap();
            chown(path, Some(65534), Some(65534)).unwrap();
        }
        let said = |config: &str| String::from_utf8(status(config).stderr).unwrap();
        let silent = "srs-lite: no process runs, or none has an API\n";
        assert_eq!(said("listen = 1\n"), silent);
        assert_eq!(said("listen = 1\nuser = \"nobody\"\n"), silent);
        let absent = "srs-lite: no process runs: there is no run_dir\n";
        assert_eq!(said("listen = 2\n"), absent);
    });
}
