//! The pid file: locked while the process lives, so that one configuration is not started twice.

use core::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::server::privileges::no_links;

/// Times that the file may be replaced between opening and locking it.
const ATTEMPTS: usize = 10;

/// A locked file with the number of this process. It is emptied at the end and never removed: two
/// processes could each hold a lock on a file of that name, one of them unlinked.
#[derive(Debug)]
pub struct PidFile {
    file: File,
}

impl PidFile {
    /// Locks the file, creating it and its directory, and writes our process number into it.
    ///
    /// # Errors
    ///
    /// Another process holds it, or it cannot be written.
    pub fn lock(path: &Path) -> Result<Self, PidError> {
        let mut file = lock(path)?;
        write_pid(&mut file).map_err(|error| PidError::Io(path.to_owned(), error))?;
        Ok(Self { file })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Err(error) = self.file.set_len(0) {
            log::warn!("the pid file cannot be emptied: {error}");
        }
    }
}

/// Why the pid file is not ours.
#[derive(Debug)]
#[non_exhaustive]
pub enum PidError {
    /// A process, by its number if it has written one, holds it.
    Held(PathBuf, Option<u32>),
    /// It cannot be opened, locked or written.
    Io(PathBuf, io::Error),
}

impl fmt::Display for PidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(path, pid) => {
                write!(f, "{} is held by running process ", path.display())?;
                match pid {
                    Some(pid) => write!(f, "{pid}")?,
                    None => write!(f, "(it has not said which)")?,
                }
                write!(
                    f,
                    "; processes that share a port each need their own pid file"
                )
            }
            Self::Io(path, error) => write!(
                f,
                "the pid file {} cannot be written ({error}); change `pid`, or the rights of its \
                 directory",
                path.display()
            ),
        }
    }
}

impl core::error::Error for PidError {}

fn lock(path: &Path) -> Result<File, PidError> {
    let failed = |error| PidError::Io(path.to_owned(), error);
    for _ in 0..ATTEMPTS {
        let mut file = open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) if is_at(&file, path).map_err(failed)? => return Ok(file),
            Ok(()) => {} // Somebody replaced the file before we locked it.
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let read = file.read_to_string(&mut text);
                let pid = read.ok().and_then(|_| text.trim().parse().ok());
                return Err(PidError::Held(path.to_owned(), pid));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
    Err(failed(io::Error::other("it is replaced again and again")))
}

/// Opens the file as it is: until it is locked, it is another's.
fn open(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(no_links())
        .open(path)
}

/// Whether the path still leads to the file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(theirs) => Ok((ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let name = format!("srs-lite-pid-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn a_held_file_names_its_holder_and_an_emptied_one_is_free() {
        let directory = directory("held");
        let path = directory.join("run/edge.pid");
        let held = PidFile::lock(&path).unwrap();
        let pid = std::process::id();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{pid}\n"));
        assert_eq!(
            PidFile::lock(&path).unwrap_err().to_string(),
            format!(
                "{} is held by running process {pid}; processes that share a port each need \
                 their own pid file",
                path.display()
            )
        );
        drop(held);
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        // Longer than ours, from a process that was killed.
        fs::write(&path, "99999999999\n").unwrap();
        let held = PidFile::lock(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{pid}\n"));
        drop(held);
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_file_that_was_replaced_is_not_locked() {
        let directory = directory("replaced");
        let path = directory.join("edge.pid");
        let file = open(&path).unwrap();
        assert!(is_at(&file, &path).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(!is_at(&file, &path).unwrap());
        fs::write(&path, "").unwrap();
        assert!(!is_at(&file, &path).unwrap());
        fs::remove_dir_all(directory).unwrap();
    }
}
