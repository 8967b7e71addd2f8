//! The one place that starts threads.

use core::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use crate::limits;

/// What a thread does; the first part of its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Accepts connections at one address.
    Listen,
    /// Reads one connection.
    Rtmp,
    /// Serves one HTTP connection.
    Http,
    /// Writes one stream to its players.
    Send,
    /// Pulls one stream from an origin.
    Pull,
    /// Forwards one published stream to an origin.
    Forward,
    /// Writes one stream to disk.
    Hls,
    /// Removes what is idle on disk.
    Janitor,
    /// Asks the name server about one host.
    Resolve,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Listen => "listen",
            Self::Rtmp => "rtmp",
            Self::Http => "http",
            Self::Send => "send",
            Self::Pull => "pull",
            Self::Forward => "forward",
            Self::Hls => "hls",
            Self::Janitor => "janitor",
            Self::Resolve => "resolve",
        })
    }
}

/// Counts the threads that run, so that a stop can wait for them.
#[derive(Clone, Debug, Default)]
pub struct Threads {
    running: Arc<(Mutex<usize>, Condvar)>,
}

impl Threads {
    /// Starts a thread called `role-id`; Linux shows the first fifteen bytes.
    ///
    /// # Errors
    ///
    /// The system has no thread to give. Nothing was started.
    pub fn spawn(
        &self,
        role: Role,
        id: u64,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let counted = Counted::new(self);
        Builder::new()
            .name(format!("{role}-{id}"))
            .stack_size(limits::THREAD_STACK_BYTES)
            .spawn(move || {
                // Moved in whole: it counts down when the body ends, also by a panic, and when
                // the thread could not be started.
                let _counted = counted;
                body();
            })
    }

    /// Waits until no thread runs, at most until `deadline`; whether that is so.
    pub fn wait_idle(&self, deadline: Instant) -> bool {
        let (running, ended) = &*self.running;
        let running = running.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = deadline.saturating_duration_since(Instant::now());
        let waited = ended.wait_timeout_while(running, wait, |n| *n > 0);
        let (running, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *running == 0
    }
}

#[derive(Debug)]
struct Counted(Threads);

impl Counted {
    fn new(threads: &Threads) -> Self {
        let counted = Self(threads.clone());
        let (running, _) = &*threads.running;
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        *running = running.saturating_add(1);
        counted
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let (running, ended) = &*self.0.running;
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        *running = running.saturating_sub(1);
        ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_thread_is_named_and_counted_until_it_ends_also_by_a_panic() {
        let threads = Threads::default();
        let (stop, stopped) = crossbeam_channel::bounded::<()>(0);
        let thread = threads.spawn(Role::Send, 7, move || {
            assert_eq!(std::thread::current().name(), Some("send-7"));
            let _ = stopped.recv();
            panic!("expected");
        });
        assert!(!threads.wait_idle(Instant::now()));
        drop(stop);
        assert!(threads.wait_idle(Instant::now() + Duration::from_secs(10)));
        assert!(thread.unwrap().join().is_err());
    }
}
