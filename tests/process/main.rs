//! The process as its operator sees it: arguments, messages word for word, exit status, signals.
#![cfg(test)]

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use srs_lite::config::Config;

use self::support::{BINARY, Room, Server, await_text};

mod support;
mod user;

#[test]
fn a_wrong_usage_is_status_2_and_the_rest_of_the_usage_0() {
    let usage = "; `srs-lite -h` shows the usage\n";
    let wrong: [(&[&str], &str); 6] = [
        (&[], "`-c FILE` is missing"),
        (&["-t"], "`-c FILE` is missing"),
        (&["-c"], "missing argument for option '-c'"),
        (&["-c", "a", "-c", "b"], "`-c` is there twice"),
        (&["-c", "a", "-x"], "invalid option '-x'"),
        (&["a"], "unexpected argument \"a\""),
    ];
    for (arguments, expected) in wrong {
        let output = run(arguments);
        assert_eq!(stderr(&output), format!("srs-lite: {expected}{usage}"));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
    }
    let version = concat!("srs-lite ", env!("CARGO_PKG_VERSION"), "\n");
    for (argument, expected) in [
        ("-v", version),
        ("-V", version),
        ("--version", version),
        ("-h", "srs-lite, a small RTMP relay"),
        ("--help", "srs-lite, a small RTMP relay"),
    ] {
        let output = run(&[argument]);
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(stdout.starts_with(expected), "{argument}: {stdout}");
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn a_test_of_the_file_binds_nothing_and_creates_nothing() {
    let room = Room::new("test");
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let text = format!(
        "listen = '127.0.0.1:{port}'\npid = '{0}/run/a.pid'\nsrs_log_tank = 'file'\n\
         srs_log_file = '{0}/log/a.log'\n",
        room.path.display()
    );
    let file = room.write("a.conf", &text);
    let output = run(&["-t", "-c", &file]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("{file}: ok\n")
    );
    assert_eq!(
        (stderr(&output).as_str(), output.status.code()),
        ("", Some(0))
    );
    assert_eq!(fs::read_dir(&room.path).unwrap().count(), 1);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let room = Room::new("absent");
    let file = room.path.join("absent.conf").display().to_string();
    room.refused(
        &file,
        &format!(
            "{file}: cannot be read (No such file or directory (os error 2)); `-c` takes the path \
             of a file"
        ),
    );
}

#[test]
fn every_misspelt_key_is_named_with_the_right_one() {
    let room = Room::new("misspelt");
    let keys = Config::keys();
    assert!(keys.len() > 10);
    for key in keys {
        let (block, name) = key.rsplit_once('.').unwrap_or_default();
        let name = if name.is_empty() { key } else { name };
        let doubled = format!("{}{name}", name.get(..1).unwrap());
        let shortened = name.get(..name.len().saturating_sub(1)).unwrap();
        for typo in [doubled.as_str(), shortened] {
            let (text, path) = match block {
                "" => (format!("\n{typo} = 1\n"), typo.to_owned()),
                _ => (
                    format!("[{block}]\n{typo} = 1\n"),
                    format!("{block}.{typo}"),
                ),
            };
            let file = room.write("a.conf", &text);
            let expected = format!("{file}:2: key `{path}`: not known; did you mean `{key}`?");
            room.refused(&file, &expected);
        }
        if !block.is_empty() {
            let typo = match block.rsplit_once('.') {
                Some((outer, inner)) => format!("{outer}.{}", inner.get(1..).unwrap()),
                None => block.get(1..).unwrap().to_owned(),
            };
            let file = room.write("a.conf", &format!("[{typo}]\n"));
            let expected = format!("{file}:1: key `{typo}`: not known; did you mean `{block}`?");
            room.refused(&file, &expected);
        }
    }
}

#[test]
fn an_edge_of_itself_is_refused() {
    let room = Room::new("loop");
    let text = "listen = 1935\n[cluster]\nmode = 'remote'\norigin = ['127.0.0.1:1935']\n";
    let file = room.write("a.conf", text);
    room.refused(
        &file,
        &format!(
            "{file}:4: key `cluster.origin`: a loop: 127.0.0.1:1935 is where this edge listens; \
             name the origin's port, or listen on another"
        ),
    );
}

#[test]
fn a_pid_file_serves_one_process() {
    let room = Room::new("pid");
    let pid = room.path.join("run/edge.pid").display().to_string();
    let text = format!("listen = '127.0.0.1:0'\npid = '{pid}'\n");
    let file = room.write("a.conf", &text);
    let first = Server::start(&file);
    room.refused(
        &file,
        &format!(
            "{pid} is held by running process {}; processes that share a port each need their own \
             pid file",
            first.child.id()
        ),
    );
    assert_eq!(
        fs::read_to_string(&pid).unwrap(),
        format!("{}\n", first.child.id())
    );
    first.stop(Signal::SIGTERM);
    assert_eq!(fs::read_to_string(&pid).unwrap(), "");
    Server::start(&file).stop(Signal::SIGTERM);
}

#[test]
fn a_killed_process_leaves_its_pid_file_free() {
    let room = Room::new("killed");
    let pid = room.path.join("edge.pid").display().to_string();
    let file = room.write(
        "a.conf",
        &format!("listen = '127.0.0.1:0'\npid = '{pid}'\n"),
    );
    let mut first = Server::start(&file);
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    Server::start(&file).stop(Signal::SIGTERM);
}

#[test]
fn what_cannot_be_written_is_named() {
    let room = Room::new("write");
    let blocked = room.write("blocked", "");
    let pid = format!("{blocked}/a.pid");
    let file = room.write(
        "a.conf",
        &format!("listen = '127.0.0.1:0'\npid = '{pid}'\n"),
    );
    room.refused(
        &file,
        &format!(
            "the pid file {pid} cannot be written (File exists (os error 17)); change `pid`, or \
             the rights of its directory"
        ),
    );
    let text = format!("srs_log_tank = 'file'\nsrs_log_file = '{blocked}/a.log'\n");
    let file = room.write("a.conf", &text);
    room.refused(
        &file,
        &format!(
            "the log file {blocked}/a.log cannot be opened (File exists (os error 17)); change \
             `srs_log_file`, or write `srs_log_tank = \"console\"`"
        ),
    );
}

#[test]
fn two_processes_share_a_port_and_one_that_does_not_share_is_named() {
    let room = Room::new("port");
    let first = Server::start(&room.write("a.conf", "listen = '127.0.0.1:0'\n"));
    let text = format!("listen = '127.0.0.1:{}'\n", first.port);
    Server::start(&room.write("b.conf", &text)).stop(Signal::SIGTERM);

    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let file = room.write("c.conf", &format!("listen = '127.0.0.1:{port}'\n"));
    room.refused(
        &file,
        &format!(
            "cannot listen on 127.0.0.1:{port}: a program that does not share the port (no \
             SO_REUSEPORT) holds it; stop it (`ss -ltnp sport = :{port}` shows it), or change \
             `listen`"
        ),
    );
}

#[test]
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn a_port_of_another_users_process_is_refused() {
    if !geteuid().is_root() {
        println!("skipped: only root can start a process of another user");
        return;
    }
    let room = Room::new("user");
    // The other user may not be able to see the directory in which we are built.
    let binary = room.path.join("srs-lite");
    fs::copy(BINARY, &binary).unwrap();
    let file = room.write("a.conf", "listen = '127.0.0.1:0'\nrun_dir = ''\n");
    let other = Server::spawn(Command::new(binary).args(["-c", &file]).uid(65534));
    let port = other.port;
    let file = room.write("b.conf", &format!("listen = '127.0.0.1:{port}'\n"));
    room.refused(
        &file,
        &format!(
            "cannot listen on 127.0.0.1:{port}: a process of user 65534 holds the port, and only \
             processes of one user can share it; start them as the same user, or change `listen`"
        ),
    );
}

#[test]
fn a_port_that_is_bound_in_another_form_is_warned_of() {
    let room = Room::new("form");
    let first = Server::start(&room.write("a.conf", "listen = '127.0.0.1:0'\n"));
    let port = first.port;
    let text = format!("listen = '0.0.0.0:{port}'\n");
    let second = Server::start(&room.write("b.conf", &text));
    let expected = format!(
        "[WARN] 0.0.0.0:{port} is also bound as 127.0.0.1:{port} (by user {}): one takes the \
         connections of the other; write the same `listen` for all processes that share the port",
        geteuid()
    );
    assert!(second.opening.contains(&expected), "{}", second.opening);
}

#[test]
fn connections_are_limited_to_what_the_system_allows() {
    let room = Room::new("capacity");
    let edge = "[cluster]\nmode = 'remote'\norigin = ['127.0.0.1:1']\n";
    let file = room.write("a.conf", &format!("listen = '127.0.0.1:0'\n{edge}"));
    let script = "ulimit -n 100; exec \"$0\" -c \"$1\"";
    let server = Server::spawn(Command::new("sh").args(["-c", script, BINARY, &file]));
    let expected = "[WARN] max_connections lowered from 1000 to 18: the number of open files \
                    (RLIMIT_NOFILE, `ulimit -n`) is 100";
    assert!(server.opening.contains(expected), "{}", server.opening);
    // Without an origin or a sibling to ask, and without files, each has one descriptor.
    let file = room.write("b.conf", "listen = '127.0.0.1:0'\nrun_dir = ''\n");
    let server = Server::spawn(Command::new("sh").args(["-c", script, BINARY, &file]));
    let expected = "max_connections lowered from 1000 to 36:";
    assert!(server.opening.contains(expected), "{}", server.opening);
}

/// With settings of the allocator that somebody chose, or without any but the sign that it has begun
/// anew, it goes on as it is.
#[test]
fn it_begins_anew_once_to_set_its_allocator() {
    let room = Room::new("anew");
    let file = room.write("a.conf", "listen = '127.0.0.1:0'\n");
    for (name, value, settings) in [
        ("UNRELATED", "1", Some("glibc.pthread.stack_cache_size=0")),
        (
            "GLIBC_TUNABLES",
            "glibc.malloc.arena_max=7",
            Some("glibc.malloc.arena_max=7"),
        ),
        ("SRS_LITE_BEGUN_ANEW", "1", None),
    ] {
        let mut command = Command::new(BINARY);
        let server = Server::spawn(command.args(["-c", &file]).env(name, value));
        let path = format!("/proc/{}/environ", server.child.id());
        let environment = fs::read_to_string(path).unwrap();
        let mut variables = environment.split('\0');
        let found = variables.find_map(|variable| variable.strip_prefix("GLIBC_TUNABLES="));
        match settings {
            Some(settings) => assert!(found.unwrap().starts_with(settings), "{name}"),
            None => assert_eq!(found, None, "{name}"),
        }
    }
}

#[test]
fn it_stops_on_request_with_status_0() {
    let room = Room::new("stop");
    let file = room.write("a.conf", "listen = '127.0.0.1:0'\n");
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
        Server::start(&file).stop(signal);
    }
}

#[test]
fn it_stops_with_peers_that_say_nothing() {
    let room = Room::new("silent");
    let file = room.write("a.conf", "listen = '127.0.0.1:0'\n");
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let server = Server::start(&file);
        let _peer = server.connect();
        server.stop(signal);
    }
}

#[test]
fn sigquit_waits_for_connections_and_accepts_no_more() {
    let room = Room::new("quit");
    let file = room.write("a.conf", "listen = '127.0.0.1:0'\n");
    let mut server = Server::start(&file);
    let peer = server.connect();
    server.signal(Signal::SIGQUIT);
    server.line("draining");
    assert!(server.is_closed_to_new_peers());
    // A second one changes nothing.
    server.signal(Signal::SIGQUIT);
    // It is still there to hear this, and goes on waiting.
    server.signal(Signal::SIGHUP);
    server.line("SIGHUP");
    assert_eq!(server.opening.matches("draining").count(), 1);
    drop(peer);
    server.ends();
    // Whoever does not want to wait that long stops it.
    let mut server = Server::start(&file);
    let _peer = server.connect();
    server.signal(Signal::SIGQUIT);
    server.line("draining");
    server.stop(Signal::SIGTERM);
}

#[test]
fn a_drain_without_grace_waits_for_nobody() {
    let room = Room::new("grace");
    let text = "listen = '127.0.0.1:0'\ngrace_final_wait = 0\n";
    let server = Server::start(&room.write("a.conf", text));
    let _peer = server.connect();
    server.stop(Signal::SIGQUIT);
}

#[test]
fn sighup_ends_nothing() {
    let room = Room::new("hup");
    let mut server = Server::start(&room.write("a.conf", "listen = '127.0.0.1:0'\n"));
    server.signal(Signal::SIGHUP);
    let line = server.line("SIGHUP");
    assert!(
        line.contains("[INFO] SIGHUP: nothing has changed in "),
        "{line}"
    );
    server.stop(Signal::SIGTERM);
}

#[test]
fn sigusr1_opens_the_log_file_again() {
    let room = Room::new("usr1");
    let log = room.path.join("log/a.log");
    let text = format!(
        "listen = '127.0.0.1:0'\nsrs_log_tank = 'file'\nsrs_log_file = '{}'\n",
        log.display()
    );
    let file = room.write("a.conf", &text);
    let server = Server::watch(Command::new(BINARY).args(["-c", &file]));
    await_text(&log, "listening on rtmp");
    let moved = room.path.join("log/a.log.1");
    fs::rename(&log, &moved).unwrap();
    server.signal(Signal::SIGUSR1);
    await_text(&log, "[INFO] the log is opened again\n");
    server.stop(Signal::SIGTERM);
    assert!(
        fs::read_to_string(&log)
            .unwrap()
            .ends_with("[INFO] stopped\n")
    );
    assert!(
        fs::read_to_string(&moved)
            .unwrap()
            .contains("listening on rtmp")
    );
}

fn run(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
