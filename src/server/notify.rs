//! What the service manager is told, if it asks for that: `sd_notify(3)`, over a datagram socket.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use log::{debug, warn};
use nix::time::{ClockId, clock_gettime};

use crate::limits;
use crate::server::Running;

/// Tells the service manager how the process is; nobody, if there is none.
#[derive(Debug, Default)]
pub struct Notifier {
    manager: Option<(UnixDatagram, SocketAddr)>,
    /// It restarts us if it hears nothing for twice as long.
    watchdog: Option<Duration>,
    /// When it is to hear again that we live.
    due: Option<Instant>,
}

impl Notifier {
    /// As `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` say.
    pub fn from_environment() -> Self {
        let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        match open(&name) {
            Ok(manager) => Self {
                manager: Some(manager),
                watchdog: watchdog(),
                due: None,
            },
            Err(error) => {
                warn!("NOTIFY_SOCKET: {}: {error}", name.display());
                Self::default()
            }
        }
    }

    /// It serves; from now on [`Self::beat`] is awaited.
    pub fn ready(&mut self) {
        self.tell("READY=1");
        self.due = self.watchdog.map(|_| Instant::now());
    }

    /// It reads its configuration again, until it is ready.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from);
        let microseconds = now.unwrap_or_default().as_micros();
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    /// It will have ended after `within`, however long the manager waits otherwise.
    pub fn stopping(&self, within: Duration) {
        let within = within.saturating_add(limits::STOP_DEADLINE.saturating_mul(2));
        let microseconds = within.as_micros();
        self.tell(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={microseconds}"));
    }

    /// How long until it must be told again that the process lives; `None`: it does not ask.
    pub fn wait(&self) -> Option<Duration> {
        Some(self.due?.saturating_duration_since(Instant::now()))
    }

    /// Says that the process lives, if it is time: that main has come here, and found the tables of
    /// connections and streams as usable as everybody else must.
    pub fn beat(&mut self, running: &Running) {
        let Some((every, due)) = self.watchdog.zip(self.due) else {
            return;
        };
        let now = Instant::now();
        if now < due {
            return;
        }
        let (connections, streams) = running.counts();
        self.tell(&format!(
            "WATCHDOG=1\nSTATUS={connections} connections, {streams} streams"
        ));
        self.due = now.checked_add(every);
    }

    fn tell(&self, what: &str) {
        let Some((socket, address)) = &self.manager else {
            return;
        };
        // It may restart meanwhile, and then asks again.
        if let Err(error) = socket.send_to_addr(what.as_bytes(), address) {
            debug!("NOTIFY_SOCKET: {error}");
        }
    }
}

/// A socket at which nobody is waited for, and where the manager's is: a path, or behind `@` a name
/// without one.
fn open(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

/// Half of the time after which the manager thinks that we hang.
fn watchdog() -> Option<Duration> {
    let number = |name| env::var(name).ok()?.parse::<u64>().ok();
    let is_ours = number("WATCHDOG_PID").is_none_or(|id| id == u64::from(std::process::id()));
    let microseconds = number("WATCHDOG_USEC").filter(|time| is_ours && *time > 0)?;
    Duration::from_micros(microseconds).checked_div(2)
}
