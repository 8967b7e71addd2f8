//! Threads, sockets and files: the only layer that blocks.

pub mod capacity;
pub mod log;
pub mod pid;
pub mod port;
mod proc_net;
pub mod signals;

use core::convert::Infallible;

use crate::config::Config;

/// The running server. (Holds the sockets until the server core takes them over.)
#[derive(Debug)]
pub struct Running {
    listeners: Vec<port::Listener>,
}

/// Serves the configuration on these sockets.
///
/// # Errors
///
/// None yet.
pub fn start(_config: Config, listeners: Vec<port::Listener>) -> Result<Running, Infallible> {
    Ok(Running { listeners })
}

impl Running {
    /// Accepts nothing more; what is connected goes on.
    pub fn drain(&mut self) {
        self.listeners.clear();
    }

    /// Whether nothing is connected any more.
    pub const fn is_idle(&self) -> bool {
        true
    }

    /// Ends everything.
    pub fn stop(self) {}
}
