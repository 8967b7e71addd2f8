//! The processes that share our port: which of them has a stream, and how to get it from there.

pub mod door;
mod locks;
pub mod run_dir;

use core::fmt;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use log::warn;

use self::locks::Locks;
use self::run_dir::{LOCK, RunDir, RunDirError, Secret};
use crate::hub::tally::Traffic;
use crate::limits;
use crate::server::rarely::Rarely;
use crate::wire::announcement::Announcement;

/// What a process does with a stream that it holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hold {
    /// It is published there.
    Publish,
    /// It comes from an origin there, or from a coworker.
    Pull,
}

impl Hold {
    /// The name of the lock of the stream at `path`.
    fn name(self, path: &str) -> String {
        match self {
            Self::Publish => format!("publish {path}"),
            Self::Pull => format!("pull {path}"),
        }
    }
}

/// Our place among the processes of the port. A process that holds a stream has the lock of that
/// name, and says in a file next to it who it is; the file is of no account without the lock.
#[derive(Debug)]
pub struct Siblings {
    directory: RunDir,
    secret: Secret,
    locks: Locks,
    /// Names this process.
    id: String,
    /// Bytes from and to all of them.
    pub traffic: Arc<Traffic>,
    table: Mutex<Table>,
    /// What others can make happen, and what the disk can.
    strangers: Rarely,
    failures: Rarely,
}

/// What this process holds, by the names of the locks.
#[derive(Debug, Default)]
struct Table {
    held: HashMap<String, Held>,
    turns: u64,
}

#[derive(Debug)]
struct Held {
    place: i64,
    /// Tells it from an earlier hold of the same name.
    turn: u64,
    claims: usize,
}

/// The right of this process to a stream, until it is dropped, or given up to a sibling.
#[derive(Debug)]
pub struct Claim {
    siblings: Arc<Siblings>,
    name: String,
    turn: u64,
}

/// Why there is no claim.
#[derive(Debug)]
pub enum Unclaimed {
    /// Another process holds the stream; which, if it has said so by now.
    Held(Option<Holder>),
    /// The lock cannot be had.
    Failed(io::Error),
}

/// A process that holds a stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holder {
    id: String,
    /// For people: its number in its own namespace.
    process: u32,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.process)
    }
}

impl Siblings {
    /// Joins those who meet in the directory at `path`.
    ///
    /// # Errors
    ///
    /// It is not ours alone, or cannot be used.
    pub fn join(path: &Path) -> Result<Self, RunDirError> {
        let (directory, lock, secret) = RunDir::open(path)?;
        let failed = |error: io::Error| RunDirError::new(path, &error);
        let siblings = Self {
            directory,
            locks: Locks::new(lock, key(&secret)),
            secret,
            id: run_dir::id().map_err(failed)?,
            traffic: Arc::default(),
            table: Mutex::default(),
            strangers: Rarely::default(),
            failures: Rarely::default(),
        };
        // As long as we have it, nobody sweeps what is ours.
        let place = own_place(&siblings.id);
        siblings.locks.take(place).map_err(failed)?;
        siblings.sweep();
        Ok(siblings)
    }

    /// Holds the stream at `path`. Several claims of this process are one hold.
    ///
    /// # Errors
    ///
    /// Another process has it, or the lock cannot be had.
    pub fn claim(self: &Arc<Self>, hold: Hold, path: &str) -> Result<Claim, Unclaimed> {
        let name = hold.name(path);
        let mut table = self.table();
        let table = &mut *table;
        let held = match table.held.get_mut(&name) {
            Some(held) => held,
            None => {
                let place = self.locks.place(&name);
                if !self.locks.take(place).map_err(Unclaimed::Failed)? {
                    return Err(Unclaimed::Held(self.announced(place, &name)));
                }
                self.announce(place, &name);
                table.turns = table.turns.wrapping_add(1);
                table.held.entry(name.clone()).or_insert(Held {
                    place,
                    turn: table.turns,
                    claims: 0,
                })
            }
        };
        held.claims = held.claims.saturating_add(1);
        Ok(Claim {
            siblings: Arc::clone(self),
            turn: held.turn,
            name,
        })
    }

    /// The other process that holds the stream at `path`, if there is one and it has said so.
    pub fn holder(&self, hold: Hold, path: &str) -> Option<Holder> {
        let name = hold.name(path);
        let place = self.locks.place(&name);
        let is_elsewhere = self.locks.is_elsewhere(place);
        is_elsewhere.then(|| self.announced(place, &name))?
    }

    /// Whether this process holds the stream at `path`.
    pub fn holds(&self, path: &str) -> bool {
        let held = &self.table().held;
        [Hold::Publish, Hold::Pull]
            .iter()
            .any(|hold| held.contains_key(&hold.name(path)))
    }

    /// Gives up the stream that is published here at `path`, after `end` has ended that.
    pub fn give_up(&self, path: &str, end: impl FnOnce()) {
        let name = Hold::Publish.name(path);
        let mut table = self.table();
        if let Some(held) = table.held.remove(&name) {
            end();
            self.withdraw(held.place);
        }
    }

    /// Removes what dead processes have left. Takes their locks for that, for a moment.
    pub fn sweep(&self) {
        let is_ours = self.directory.is_here(self.locks.file(), LOCK)
            && self.directory.is_secret(&self.secret);
        if !is_ours && self.failures.count(Instant::now()).is_some() {
            warn!("run_dir is gone, or another: siblings do not find this process; restart it");
        }
        for file in self.directory.names() {
            let Some((stem, kind)) = file.split_once('.') else {
                continue;
            };
            match kind {
                "sock" | "tmp" if self.is_dead(stem) => self.directory.remove(&file),
                "stream" => self.sweep_announcement(stem),
                _ => {}
            }
        }
    }

    /// Whether no process of this id runs.
    fn is_dead(&self, id: &str) -> bool {
        id != self.id && !self.locks.is_elsewhere(own_place(id))
    }

    fn sweep_announcement(&self, stem: &str) {
        let Ok(place) = i64::from_str_radix(stem, 16) else {
            return;
        };
        // Under the table's lock: our own locks would not hold us back.
        let table = self.table();
        let is_ours = table.held.values().any(|held| held.place == place);
        if !is_ours && matches!(self.locks.take(place), Ok(true)) {
            self.withdraw(place);
        }
    }

    /// Says that we have the lock at `place`.
    fn announce(&self, place: i64, name: &str) {
        let text = Announcement {
            lock: name,
            id: &self.id,
            process: std::process::id(),
        };
        let (file, temporary) = (announcement(place), format!("{}.tmp", self.id));
        let written = self
            .directory
            .write(&file, &temporary, text.to_string().as_bytes());
        if let Err(error) = written
            && self.failures.count(Instant::now()).is_some()
        {
            warn!("siblings are not told what is here: run_dir cannot be written: {error}");
        }
    }

    /// Says so no more, and gives the lock back: in this order, or it could be another's
    /// announcement that we remove.
    fn withdraw(&self, place: i64) {
        self.directory.remove(&announcement(place));
        self.locks.release(place);
    }

    /// Who says that it has the lock of this name.
    fn announced(&self, place: i64, name: &str) -> Option<Holder> {
        let text = self.directory.read(&announcement(place))?;
        let (named, holder) = parse(&text)?;
        (named == name && holder.id != self.id).then_some(holder)
    }

    /// The other processes that run, at most [`limits::MAX_SIBLINGS_ASKED`]. Their numbers are not
    /// known: 0.
    pub fn others(&self) -> Vec<Holder> {
        let files = self.directory.names();
        let ids = files.filter_map(|file| Some(file.strip_suffix(".sock")?.to_owned()));
        let ids = ids.filter(|id| *id != self.id && !self.is_dead(id));
        let ids = ids.take(limits::MAX_SIBLINGS_ASKED);
        ids.map(|id| Holder { id, process: 0 }).collect()
    }

    /// Paths of streams that are published to others, in order, at most so many.
    pub fn published(&self, most: usize) -> Vec<String> {
        let mut published = Vec::new();
        let files = self.directory.names();
        for file in files.filter(|file| file.ends_with(".stream")) {
            if published.len() >= most {
                break;
            }
            let text = self.directory.read(&file).unwrap_or_default();
            let path = parse(&text)
                .and_then(|(name, _)| name.strip_prefix(Hold::Publish.name("").as_str()));
            let path = path.filter(|path| self.holder(Hold::Publish, path).is_some());
            published.extend(path.map(str::to_owned));
        }
        published.sort_unstable();
        published
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is held, and by whom.
fn parse(text: &str) -> Option<(&str, Holder)> {
    let Announcement { lock, id, process } = Announcement::parse(text)?;
    let id = id.to_owned();
    Some((lock, Holder { id, process }))
}

/// The byte that stands for the process of this id, whatever the secret: who has another one must not
/// sweep what is ours.
fn own_place(id: &str) -> i64 {
    let id = u64::from_str_radix(id, 16).unwrap_or_default();
    i64::try_from(id >> 2).unwrap_or_default()
}

/// The file next to the lock at `place`.
fn announcement(place: i64) -> String {
    format!("{place:016x}.stream")
}

fn key(secret: &Secret) -> [u64; 2] {
    let (words, _) = secret.as_chunks();
    let word = |index| words.get(index).copied().map_or(0, u64::from_le_bytes);
    [word(0), word(1)]
}

impl Claim {
    /// Does something if the stream is ours still; it stays ours meanwhile.
    pub fn if_ours<T>(&self, action: impl FnOnce() -> T) -> Option<T> {
        let table = self.siblings.table();
        let held = table.held.get(&self.name);
        let is_ours = held.is_some_and(|held| held.turn == self.turn);
        is_ours.then(action)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut table = self.siblings.table();
        let Some(held) = table.held.get_mut(&self.name) else {
            return;
        };
        if held.turn != self.turn {
            return;
        }
        held.claims = held.claims.saturating_sub(1);
        if held.claims == 0 {
            let place = held.place;
            table.held.remove(&self.name);
            self.siblings.withdraw(place);
        }
    }
}

impl Drop for Siblings {
    fn drop(&mut self) {
        self.directory.remove(&format!("{}.sock", self.id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_one_holder_and_who_gave_it_up_has_it_no_more() {
        let path = std::env::temp_dir().join(format!("siblings-{}", std::process::id()));
        RunDir::create(&path, None).unwrap();
        let join = || Arc::new(Siblings::join(&path).unwrap());
        let (one, other) = (join(), join());
        let claim = |of: &Arc<Siblings>| of.claim(Hold::Publish, "live/a");
        let first = claim(&one).unwrap();
        let again = claim(&one).unwrap();
        let holder = one.id.clone();
        let elsewhere = |known: &str| {
            let held = claim(&other).unwrap_err();
            matches!(held, Unclaimed::Held(Some(holder)) if holder.id == known)
        };
        assert!(elsewhere(&holder) && other.holder(Hold::Pull, "live/a").is_none());
        assert!(other.claim(Hold::Pull, "live/a").is_ok());
        drop(first);
        assert!(elsewhere(&holder) && one.holds("live/a") && !other.holds("live/a"));
        assert_eq!(again.if_ours(|| 1), Some(1));
        // Between claim and publish.
        let mut ended = false;
        one.give_up("live/a", || ended = true);
        assert!(ended && again.if_ours(|| 1).is_none());
        let theirs = claim(&other).unwrap();
        assert!(one.holder(Hold::Publish, "live/a").is_some());
        // The end of what it had is not the end of what another has.
        drop(again);
        assert!(claim(&one).is_err() && theirs.if_ours(|| 1).is_some());
        drop(theirs);
        assert_eq!(claim(&one).unwrap().if_ours(|| 1), Some(1));
        drop((one, other));
        assert!(!path.join(format!("{holder}.sock")).exists());
        std::fs::remove_dir_all(&path).unwrap();
    }
}
