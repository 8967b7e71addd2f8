//! The one place that starts threads.

use core::fmt;
use std::ffi::CString;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use nix::sys::prctl::set_name;

use crate::limits;

/// What a thread does; the first part of its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Accepts connections at one address.
    Listen,
    /// Serves one connection, until it plays.
    Rtmp,
    /// Serves one HTTP connection, until it plays.
    Http,
    /// Reads what a player says.
    Play,
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
    /// Tells others what has happened.
    Hook,
    /// Counts, and looks after what siblings have.
    Watch,
}

impl Role {
    const fn stack_bytes(self) -> usize {
        if matches!(self, Self::Play) {
            limits::PLAYER_STACK_BYTES
        } else {
            limits::THREAD_STACK_BYTES
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Listen => "listen",
            Self::Rtmp => "rtmp",
            Self::Http => "http",
            Self::Play => "play",
            Self::Send => "send",
            Self::Pull => "pull",
            Self::Forward => "forward",
            Self::Hls => "hls",
            Self::Janitor => "janitor",
            Self::Resolve => "resolve",
            Self::Hook => "hook",
            Self::Watch => "watch",
        })
    }
}

/// Counts the threads that run, so that a stop can wait for them, and keeps some that have nothing
/// to do: to start one costs more than most connections do otherwise.
#[derive(Clone, Debug)]
pub struct Threads {
    running: Arc<(Mutex<usize>, Condvar)>,
    /// More than these are refused.
    most: usize,
    /// Those of players, whose stacks are small and stay so, and the others.
    idle: Arc<[(Mutex<Idle>, Condvar); 2]>,
}

/// Threads that wait for something to do. There is never more to do than there are of them.
#[derive(Default)]
struct Idle {
    waiting: usize,
    jobs: Vec<Job>,
    /// None may wait any more.
    closed: bool,
}

/// What a thread is called, and does.
type Job = (String, Box<dyn FnOnce() + Send>);

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Idle").field(&self.waiting).finish()
    }
}

impl Threads {
    /// No threads yet, and never more than `most`.
    pub fn new(most: usize) -> Self {
        Self {
            running: Arc::default(),
            most,
            idle: Arc::default(),
        }
    }

    /// Starts a thread called `role-id`; Linux shows the first fifteen bytes.
    ///
    /// # Errors
    ///
    /// The system has no thread to give, or there are as many as there may be. Nothing was started.
    pub fn spawn(
        &self,
        role: Role,
        id: u64,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let counted = Counted::new(self)?;
        Builder::new()
            .name(format!("{role}-{id}"))
            .stack_size(role.stack_bytes())
            .spawn(move || {
                // Moved in whole: it counts down when the body ends, also by a panic, and when
                // the thread could not be started.
                let _counted = counted;
                body();
            })
    }

    /// Runs `body` in a thread called `role-id`: one that waits for something to do, or a new one.
    ///
    /// # Errors
    ///
    /// The system has no thread to give, or there are as many as there may be. Nothing was started.
    pub fn run(&self, role: Role, id: u64, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let job: Job = (format!("{role}-{id}"), Box::new(body));
        let (idle, come) = self.idle(role);
        let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.waiting > idle.jobs.len() {
            idle.jobs.push(job);
            come.notify_one();
            return Ok(());
        }
        drop(idle);
        let threads = self.clone();
        self.spawn(role, id, move || threads.work(role, job))?;
        Ok(())
    }

    /// Whether [`Self::run`] would find a thread, or may start one.
    pub fn has_room(&self, role: Role) -> bool {
        let idle = self.idle(role).0.lock();
        let idle = idle.unwrap_or_else(PoisonError::into_inner);
        idle.waiting > idle.jobs.len() || self.left() > 0
    }

    /// How many more threads may be started.
    fn left(&self) -> usize {
        let running = self.running.0.lock();
        let running = running.unwrap_or_else(PoisonError::into_inner);
        self.most.saturating_sub(*running)
    }

    /// Does `job`, and then what else comes, as long as something does.
    fn work(&self, role: Role, mut job: Job) {
        let (idle, come) = self.idle(role);
        loop {
            let (name, body) = job;
            // Longer names are cut. It is only for whoever looks at the threads.
            let _ = CString::new(name).map(|name| set_name(&name));
            body();
            if self.left() < limits::MAX_IDLE_THREADS {
                // They are scarce: others may need this one's place.
                return;
            }
            let mut waiting = idle.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.closed || waiting.waiting >= limits::MAX_IDLE_THREADS {
                return;
            }
            waiting.waiting = waiting.waiting.saturating_add(1);
            let nothing = |idle: &mut Idle| idle.jobs.is_empty() && !idle.closed;
            let waited = come.wait_timeout_while(waiting, limits::IDLE_THREAD_TIME, nothing);
            let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
            waiting.waiting = waiting.waiting.saturating_sub(1);
            let Some(next) = waiting.jobs.pop() else {
                return;
            };
            job = next;
        }
    }

    fn idle(&self, role: Role) -> &(Mutex<Idle>, Condvar) {
        let [players, others] = &*self.idle;
        if matches!(role, Role::Play) {
            players
        } else {
            others
        }
    }

    /// Waits until no thread runs, at most until `deadline`; whether that is so. From now on none
    /// waits for something to do.
    pub fn wait_idle(&self, deadline: Instant) -> bool {
        for (idle, come) in self.idle.iter() {
            let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.closed = true;
            come.notify_all();
        }
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
    fn new(threads: &Threads) -> io::Result<Self> {
        let (running, _) = &*threads.running;
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        if *running >= threads.most {
            let why = format!("the system allows {} threads", threads.most);
            return Err(io::Error::new(ErrorKind::WouldBlock, why));
        }
        *running = running.saturating_add(1);
        Ok(Self(threads.clone()))
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
        let threads = Threads::new(usize::MAX);
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

    #[test]
    fn there_are_never_more_than_allowed() {
        let threads = Threads::new(2);
        let (stop, stopped) = crossbeam_channel::bounded::<()>(0);
        let wait = |id| {
            let stopped = stopped.clone();
            threads.spawn(Role::Send, id, move || {
                let _ = stopped.recv();
            })
        };
        let (one, two) = (wait(1).unwrap(), wait(2).unwrap());
        let error = wait(3).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert_eq!(error.to_string(), "the system allows 2 threads");
        assert!(threads.run(Role::Play, 4, || ()).is_err());
        drop(stop);
        one.join().unwrap();
        two.join().unwrap();
        wait(5).unwrap().join().unwrap();
    }

    /// The name that Linux shows.
    fn shown() -> String {
        std::fs::read_to_string("/proc/thread-self/comm").unwrap()
    }

    #[test]
    fn a_thread_that_is_done_does_what_comes_next_and_none_waits_after_the_end() {
        let threads = Threads::new(usize::MAX);
        let (done, seen) = crossbeam_channel::bounded(1);
        let run = |role, id| {
            let done = done.clone();
            let body = move || done.send((std::thread::current().id(), shown())).unwrap();
            threads.run(role, id, body).unwrap();
            seen.recv_timeout(Duration::from_secs(10)).unwrap()
        };
        let waits = |role| {
            let far = Instant::now() + Duration::from_secs(10);
            while threads.idle(role).0.lock().unwrap().waiting == 0 {
                assert!(Instant::now() < far, "it does not wait");
                std::thread::yield_now();
            }
        };
        let (first, name) = run(Role::Rtmp, 1);
        assert_eq!(name, "rtmp-1\n");
        waits(Role::Rtmp);
        assert_eq!(run(Role::Http, 2), (first, "http-2\n".to_owned()));
        waits(Role::Rtmp);
        let (player, _) = run(Role::Play, 3);
        assert_ne!(player, first, "a large stack");
        waits(Role::Play);
        assert!(threads.wait_idle(Instant::now() + Duration::from_secs(10)));
        // After the end threads still run, but do not stay.
        assert_ne!(run(Role::Play, 4).0, player);
        assert!(threads.wait_idle(Instant::now() + Duration::from_secs(10)));
    }

    #[test]
    fn more_to_do_than_threads_that_wait_starts_more() {
        const JOBS: u64 = 100;
        let threads = Threads::new(usize::MAX);
        for _ in 0..20 {
            let barrier = Arc::new(std::sync::Barrier::new(usize::try_from(JOBS).unwrap() + 1));
            for id in 0..JOBS {
                let barrier = Arc::clone(&barrier);
                // Each waits for all others: if one were left behind, none would end.
                threads
                    .run(Role::Rtmp, id, move || {
                        barrier.wait();
                    })
                    .unwrap();
            }
            barrier.wait();
        }
        assert!(threads.wait_idle(Instant::now() + Duration::from_secs(10)));
    }
}
