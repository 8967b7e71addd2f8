//! How many connections the system lets us serve.
//!
//! Near a limit of the system a thread cannot be started, or worse, aborts the process while it
//! starts. So `max_connections` is lowered before that, once, at start.

use core::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::{Config, RunDir};
use crate::limits;

/// Descriptors beside those of connections: listeners, log, pid file, name servers.
const SPARE_FILES: u64 = 64;

/// A connection's own, and one to an origin or of a file for it, if there are such.
const FILES_PER_CONNECTION: u64 = 2;

/// Threads beside those of connections: listeners, and senders, without which nobody plays. If there
/// are to be more, for there may be one or two for each connection, those that come last are
/// refused: [`Threads`](crate::server::thread::Threads) counts.
const SPARE_THREADS: u64 = 32;

/// Threads that nobody counts: main, and those that wait for signals.
const UNCOUNTED_THREADS: u64 = 4;

/// Memory maps of the program itself.
const SPARE_MAPS: u64 = 1024;

/// Of each thread: stack, its guard, signal stack, its guard.
const MAPS_PER_THREAD: u64 = 4;

/// What the system was found to allow; `None`: as much as one likes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Found {
    /// Descriptors: the soft `RLIMIT_NOFILE`.
    pub files: Option<u64>,
    /// Memory maps: `vm.max_map_count`.
    pub maps: Option<u64>,
    /// Threads that the control group has left: `pids.max`.
    pub pids: Option<u64>,
    /// Threads of our user, unless it may do anything: the soft `RLIMIT_NPROC`.
    pub processes: Option<u64>,
    /// Bytes that are available, to the machine or to the control group; or of them, ours.
    pub memory: Option<u64>,
}

/// The limit that allows the fewest connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reason {
    /// What it is called.
    pub limit: &'static str,
    /// What it is.
    pub value: u64,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.limit, self.value)
    }
}

/// What the process may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Allowed {
    /// Connections, at least one.
    pub connections: usize,
    /// Threads. Near the system's own limit, to start one can abort the process.
    pub threads: usize,
    /// Bytes that the process needs at most, …
    pub memory: usize,
    /// … and how many of them are for what peers send.
    pub budget: usize,
    /// Which limit allows no more connections, if these are fewer than wanted.
    pub reason: Option<Reason>,
}

/// As many of the configured connections as the system was found to allow.
pub fn allow(mut found: Found, config: &Config) -> Allowed {
    let mut vhosts = config.all_vhosts();
    let only_sockets = config.run_dir == RunDir::Nowhere
        && config.http_server.is_none()
        && vhosts.all(|(_, vhost)| vhost.cluster.origins.is_empty() && vhost.hls.is_none());
    let files = if only_sockets {
        1
    } else {
        FILES_PER_CONNECTION
    };
    found.memory = config
        .max_memory
        .and_then(|bytes| u64::try_from(bytes).ok())
        // The kernel's buffers need a quarter.
        .or_else(|| found.memory.map(|bytes| bytes.saturating_sub(bytes >> 2)));
    allowed(&found, config.max_connections, files)
}

/// What these limits allow, if a connection takes so many descriptors.
pub fn allowed(found: &Found, wanted: usize, files_each: u64) -> Allowed {
    let maps = found.maps.map(|maps| maps.saturating_sub(SPARE_MAPS));
    let threads = [
        (
            "the number of memory maps (sysctl vm.max_map_count)",
            found.maps,
            maps.and_then(|maps| maps.checked_div(MAPS_PER_THREAD)),
        ),
        (
            "the number of threads left in the control group (pids.max, systemd's TasksMax)",
            found.pids,
            found.pids,
        ),
        (
            "the number of the user's threads (RLIMIT_NPROC, `ulimit -u`)",
            found.processes,
            found.processes,
        ),
    ];
    let files = found.files.map(|files| files.saturating_sub(SPARE_FILES));
    let others = [
        (
            "the number of open files (RLIMIT_NOFILE, `ulimit -n`)",
            found.files,
            files.and_then(|files| files.checked_div(files_each)),
        ),
        (
            "the memory in bytes (max_memory, or three quarters of what is available)",
            found.memory,
            found.memory.and_then(connections_in),
        ),
    ];
    let most_threads = threads.iter().filter_map(|(_, _, threads)| *threads).min();
    let by_threads = threads.map(|(limit, value, threads)| {
        let connections = threads.map(|threads| threads.saturating_sub(SPARE_THREADS));
        (limit, value, connections)
    });
    let lowest = others
        .into_iter()
        .chain(by_threads)
        .filter_map(|(limit, value, connections)| {
            let value = value?;
            Some((connections?.max(1), Reason { limit, value }))
        })
        .min_by_key(|(connections, _)| *connections);
    let threads = most_threads.map(|threads| threads.saturating_sub(UNCOUNTED_THREADS));
    let threads = threads.and_then(|threads| usize::try_from(threads).ok());
    let (connections, reason) =
        match lowest.map(|(connections, reason)| (usize::try_from(connections), reason)) {
            Some((Ok(connections), reason)) if connections < wanted => (connections, Some(reason)),
            _ => (wanted, None),
        };
    let memory = found.memory.and_then(|bytes| usize::try_from(bytes).ok());
    let memory = memory.unwrap_or(usize::MAX);
    Allowed {
        memory,
        budget: budget(memory, connections),
        connections,
        threads: threads.unwrap_or(usize::MAX),
        reason,
    }
}

/// How many connections so much memory is enough for, and the least budget beside them.
fn connections_in(bytes: u64) -> Option<u64> {
    let shared = limits::PROCESS_BYTES.saturating_add(limits::LEAST_BUDGET);
    let rest = bytes.saturating_sub(shared.try_into().ok()?);
    rest.checked_div(limits::CONNECTION_BYTES.try_into().ok()?)
}

/// What so much memory leaves for what peers send.
fn budget(memory: usize, connections: usize) -> usize {
    let fixed = connections
        .saturating_mul(limits::CONNECTION_BYTES)
        .saturating_add(limits::PROCESS_BYTES);
    memory.saturating_sub(fixed).max(limits::LEAST_BUDGET)
}

/// Asks the system. Raises the number of descriptors as far as it may be raised. At start: what the
/// process has later is not to be had again.
pub fn find() -> Found {
    let (pids, memory) = groups_limits();
    let is_root = nix::unistd::geteuid().is_root();
    Found {
        files: raised_files(),
        maps: number(Path::new("/proc/sys/vm/max_map_count")),
        pids,
        processes: getrlimit(Resource::RLIMIT_NPROC)
            .ok()
            .map(|(soft, _)| soft)
            .filter(|_| !is_root),
        memory: memory.into_iter().chain(available_memory()).min(),
    }
}

/// The number of descriptors, after it was raised as far as we may.
pub fn raised_files() -> Option<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => Some(hard),
        Err(_) => Some(soft),
    }
}

/// `MemAvailable` of `/proc/meminfo` (proc(5)), in bytes.
fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The threads left and the memory allowed in our control groups (cgroups(7)).
fn groups_limits() -> (Option<u64>, Option<u64>) {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut pids = Vec::new();
    let mut memory = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let root = Path::new("/sys/fs/cgroup");
        let unified = ["pids.max", "memory.max"];
        let (root, [pids_max, memory_max]) = match controllers {
            "" => (root.to_owned(), unified),
            _ => (
                root.join(controllers),
                ["pids.max", "memory.limit_in_bytes"],
            ),
        };
        for group in ancestors(&root, path) {
            let current = number(&group.join("pids.current")).unwrap_or_default();
            pids.extend(number(&group.join(pids_max)).map(|max| max.saturating_sub(current)));
            memory.extend(number(&group.join(memory_max)));
        }
    }
    (pids.into_iter().min(), memory.into_iter().min())
}

/// The directories of a group and of all groups around it. What does not exist, because we see
/// another part of the tree, has no files to read.
fn ancestors(root: &Path, path: &str) -> Vec<PathBuf> {
    let group = Path::new(path.trim_start_matches('/'));
    group.ancestors().map(|group| root.join(group)).collect()
}

/// A file that holds one number; `max` and everything else is none.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_limits_everything_is_allowed() {
        let allowed = allowed(&Found::default(), 1000, 2);
        assert_eq!((allowed.connections, allowed.threads), (1000, usize::MAX));
        assert_eq!(allowed.reason, None);
    }

    #[test]
    fn each_limit_allows_what_fits_below_it_and_no_more() {
        type Set = fn(&mut Found, u64);
        let cases: [(Set, u64, &str); 5] = [
            (
                |found, value| found.files = Some(value),
                64 + 2000,
                "RLIMIT_NOFILE",
            ),
            (
                |found, value| found.maps = Some(value),
                1024 + 4 * 1032,
                "vm.max_map_count",
            ),
            (
                |found, value| found.pids = Some(value),
                32 + 1000,
                "pids.max",
            ),
            (
                |found, value| found.processes = Some(value),
                32 + 1000,
                "RLIMIT_NPROC",
            ),
            (
                |found, value| found.memory = Some(value),
                (48 << 20) + 65_536_000,
                "memory",
            ),
        ];
        for (set, enough, name) in cases {
            let found = |value| {
                let mut found = Found::default();
                set(&mut found, value);
                found
            };
            let all = allowed(&found(enough), 1000, 2);
            assert_eq!((all.connections, all.reason), (1000, None), "{name}");
            let fewer = allowed(&found(enough - 1), 1000, 2);
            let reason = fewer.reason.unwrap();
            assert_eq!(fewer.connections, 999, "{name}");
            assert_eq!(reason.value, enough - 1);
            assert!(reason.limit.contains(name), "{reason}");
            assert_eq!(allowed(&found(0), 1000, 2).connections, 1, "{name}");
        }
    }

    #[test]
    fn the_lowest_limit_is_named() {
        let found = Found {
            files: Some(264),
            pids: Some(82),
            ..Found::default()
        };
        let allowed = allowed(&found, 1000, 2);
        assert_eq!((allowed.connections, allowed.threads), (50, 78));
        assert_eq!(
            allowed.reason.unwrap().to_string(),
            "the number of threads left in the control group (pids.max, systemd's TasksMax) is 82"
        );
    }

    #[test]
    fn a_group_is_inside_its_ancestors() {
        let directories = ancestors(Path::new("/cg"), "/system.slice/srs-lite.service");
        let expected = [
            "/cg/system.slice/srs-lite.service",
            "/cg/system.slice",
            "/cg/",
        ];
        assert_eq!(directories, expected.map(PathBuf::from));
        assert_eq!(ancestors(Path::new("/cg"), "/"), [PathBuf::from("/cg/")]);
    }

    #[test]
    fn this_machine_says_something() {
        let found = find();
        assert!(found.files.is_some());
        assert!(found.maps.is_some());
        assert!(found.memory.is_some());
    }
}
