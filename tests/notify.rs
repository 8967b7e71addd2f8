#![cfg(test)]
//! A service manager hears when the server listens, lives, reads its configuration again, and ends.

mod support;

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};

use support::DEADLINE;
use support::connection::Connection;
use support::peer::publishing;
use support::server::Server;
use support::temp::TempDir;

const CONFIG: &str = "listen = \"127.0.0.1:0\"\n";

/// A service manager.
struct Manager(UnixDatagram);

impl Manager {
    fn at(address: &SocketAddr) -> Self {
        let socket = UnixDatagram::bind_addr(address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self(socket)
    }

    /// Starts a server that it looks after.
    fn start(name: &str, more: &[&str]) -> Server {
        let name = format!("NOTIFY_SOCKET={name}");
        Server::under(&[&["env", &name], more].concat(), CONFIG)
    }

    /// The next message.
    fn hear(&self) -> String {
        let mut buffer = [0; 512];
        let length = self.0.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// The next that is no sign of life.
    fn hear_news(&self) -> String {
        loop {
            let message = self.hear();
            if !message.starts_with("WATCHDOG=1") {
                return message;
            }
        }
    }

    fn is_silent(&self, wait: Duration) -> bool {
        self.0.set_read_timeout(Some(wait)).unwrap();
        let silent = self.0.recv(&mut [0; 512]).is_err();
        self.0.set_read_timeout(Some(DEADLINE)).unwrap();
        silent
    }
}

/// The number behind a name in a message.
fn number(message: &str, name: &str) -> u64 {
    let mut lines = message.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value.unwrap().parse().unwrap()
}

#[test]
fn it_says_when_it_listens_reloads_and_ends() {
    let directory = TempDir::new();
    let path = directory.path().join("manager");
    let manager = Manager::at(&SocketAddr::from_pathname(&path).unwrap());
    let server = Manager::start(path.to_str().unwrap(), &[]);
    assert_eq!(manager.hear(), "READY=1");
    // It serves: nobody has to wait for another sign.
    Connection::open(server.address()).unwrap();
    let before: Duration = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap().into();
    for config in [CONFIG, "nonsense"] {
        server.reload(config, "SIGHUP: ");
        let reloading = manager.hear();
        assert!(reloading.starts_with("RELOADING=1\n"), "{reloading}");
        let at = Duration::from_micros(number(&reloading, "MONOTONIC_USEC"));
        assert!(at > before, "{reloading}");
        assert_eq!(manager.hear(), "READY=1");
    }
    server.stop();
    assert!(manager.hear().starts_with("STOPPING=1\n"));
    assert!(manager.is_silent(Duration::from_millis(1)));
}

/// A drain may take as long as `grace_final_wait`, and the manager is asked to wait for it.
#[test]
fn a_drain_is_given_its_time() {
    let name = format!("srs-lite-notify-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let manager = Manager::at(&address);
    let mut server = Manager::start(&format!("@{name}"), &[]);
    assert_eq!(manager.hear(), "READY=1");
    let peer = Connection::open(server.address()).unwrap();
    server.signal(Signal::SIGQUIT);
    let stopping = manager.hear();
    assert!(stopping.starts_with("STOPPING=1\n"), "{stopping}");
    assert!(
        number(&stopping, "EXTEND_TIMEOUT_USEC") > 30_000_000,
        "{stopping}"
    );
    drop(peer);
    server.wait();
}

/// Twice in the time that the manager waits, with what there is; a process that is meant for another
/// one's watchdog says nothing.
#[test]
fn it_says_that_it_lives() {
    let directory = TempDir::new();
    let path = directory.path().join("manager");
    let manager = Manager::at(&SocketAddr::from_pathname(&path).unwrap());
    let name = path.to_str().unwrap();
    let server = Manager::start(name, &["WATCHDOG_USEC=200000"]);
    assert_eq!(manager.hear_news(), "READY=1");
    let mut publisher = publishing(server.address(), "a");
    publisher.await_read();
    let expected = "WATCHDOG=1\nSTATUS=1 connections, 1 streams";
    while manager.hear() != expected {}
    // Also while it drains.
    server.signal(Signal::SIGQUIT);
    assert!(manager.hear_news().starts_with("STOPPING=1"));
    assert_eq!(manager.hear(), expected);
    drop(publisher);
    assert!(manager.hear_news().starts_with("STOPPING=1"), "at the end");
    drop(server);

    let server = Manager::start(name, &["WATCHDOG_USEC=20000", "WATCHDOG_PID=1"]);
    assert_eq!(manager.hear(), "READY=1");
    assert!(manager.is_silent(Duration::from_millis(200)));
    server.stop();
}

/// A process that is stopped gives no sign of life: its main thread does.
#[test]
fn a_process_that_hangs_is_silent() {
    let directory = TempDir::new();
    let path = directory.path().join("manager");
    let manager = Manager::at(&SocketAddr::from_pathname(&path).unwrap());
    let server = Manager::start(path.to_str().unwrap(), &["WATCHDOG_USEC=40000"]);
    assert_eq!(manager.hear_news(), "READY=1");
    server.signal(Signal::SIGSTOP);
    let silent = || manager.is_silent(Duration::from_millis(500));
    support::eventually("it is silent", silent);
    server.signal(Signal::SIGCONT);
    manager.hear();
    server.stop();
}

/// A manager that is not there, or does not listen, is no reason to do anything else.
#[test]
fn without_a_manager_it_serves_all_the_same() {
    for name in ["/nonexistent/manager", "relative", "@", ""] {
        let server = Manager::start(name, &["WATCHDOG_USEC=100000"]);
        Connection::open(server.address()).unwrap();
        server.stop();
    }
}
