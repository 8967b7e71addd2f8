//! Machines with a network between them: network namespaces, joined by a bridge in the one that
//! [`super::netns::in_netns`] has made. Everything goes away with that.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::process::{self, Command};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

/// One of them.
#[derive(Debug)]
pub(crate) struct Machine {
    number: u8,
    namespace: File,
}

/// Machines 1, 2, … of a network that is made for them.
pub(crate) fn machines<const N: usize>() -> [Machine; N] {
    ip("link add lan type bridge");
    ip("link set lan up");
    core::array::from_fn(|index| Machine::new(index as u8 + 1))
}

impl Machine {
    fn new(number: u8) -> Self {
        let make = || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            File::open("/proc/thread-self/ns/net").unwrap()
        };
        let namespace = on_a_thread(make);
        let machine = Self { number, namespace };
        let (own, descriptor) = (process::id(), machine.namespace.as_raw_fd());
        ip(&format!(
            "link add port{number} master lan type veth peer name eth0 netns /proc/{own}/fd/{descriptor}"
        ));
        ip(&format!("link set port{number} up"));
        machine.within(|| {
            ip("link set lo up");
            ip(&format!("address add {}/24 dev eth0", machine.ip()));
            ip("link set eth0 up");
        });
        machine
    }

    fn ip(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, self.number)
    }

    /// The machine's address, with the port of RTMP.
    pub(crate) fn rtmp(&self) -> SocketAddr {
        SocketAddr::from((self.ip(), 1935))
    }

    /// What `body` opens, and every process that it starts, is the machine's for ever.
    pub(crate) fn within<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        on_a_thread(|| {
            setns(&self.namespace, CloneFlags::CLONE_NEWNET).unwrap();
            body()
        })
    }

    /// Takes the machine's network away, as its system sees at once; or gives it back.
    pub(crate) fn set_link(&self, up: bool) {
        let state = if up { "up" } else { "down" };
        self.within(|| ip(&format!("link set eth0 {state}")));
    }

    /// Loses all that the machine sends and is sent, without a word; or goes on.
    pub(crate) fn set_silence(&self, silent: bool) {
        let cable = if silent { "nomaster" } else { "master lan" };
        ip(&format!("link set port{} {cable}", self.number));
    }
}

/// A thread of its own, because it may be in another namespace than the others.
fn on_a_thread<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(body).join().unwrap())
}

/// Runs `ip` (iproute2), where the calling thread is.
fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    assert!(status.unwrap().success(), "ip {arguments}");
}
