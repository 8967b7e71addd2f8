//! The lock that keeps two processes from writing one stream.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::server::same_file::is_at;

/// The right to write the files of one stream, among all processes that share the directory. The
/// kernel takes it back when the process ends, however it ends.
#[derive(Debug)]
pub struct Lease {
    path: PathBuf,
    file: File,
}

/// The lock file of a stream of this name, beside its playlist.
pub fn file_name(stream: &str) -> String {
    format!(".{stream}.lock")
}

impl Lease {
    /// Takes the lock file at `path`, which is never removed: one that was unlinked while it was
    /// locked would have two holders.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: somebody else has it. Others as the system says.
    pub fn take(path: &Path) -> io::Result<Self> {
        loop {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
                .open(path)?;
            file.try_lock().map_err(|error| match error {
                TryLockError::Error(error) => error,
                TryLockError::WouldBlock => ErrorKind::WouldBlock.into(),
            })?;
            let lease = Self {
                path: path.to_owned(),
                file,
            };
            if lease.is_valid() {
                return Ok(lease);
            }
            // It was removed, by hand, between opening and locking.
        }
    }

    /// Whether the file that is locked still is the one at its path.
    pub fn is_valid(&self) -> bool {
        is_at(&self.file, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_lease_has_one_holder_also_after_its_file_was_removed() {
        let directory = std::env::temp_dir().join(format!("lease-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join(".a.lock");
        let first = Lease::take(&path).unwrap();
        let second = Lease::take(&path).unwrap_err();
        assert_eq!(second.kind(), ErrorKind::WouldBlock);
        assert!(first.is_valid());
        fs::remove_file(&path).unwrap();
        assert!(!first.is_valid());
        let third = Lease::take(&path).unwrap();
        assert!(third.is_valid());
        drop(third);
        Lease::take(&path).unwrap();
        fs::remove_dir_all(&directory).unwrap();
    }
}
