//! A directory that goes away with its owner.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// A fresh directory.
#[derive(Debug)]
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    /// Creates one below the build's own temporary directory.
    pub(crate) fn new() -> Self {
        Self::below(root(), "")
    }

    /// Creates one with a short path: a socket's must fit into 108 bytes (unix(7)).
    pub(crate) fn short() -> Self {
        Self::below(&env::temp_dir(), "srs-lite-test-")
    }

    fn below(above: &Path, prefix: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = above.join(format!("{prefix}{}-{number}", process::id()));
        // A process with our number may have been killed before it could clean up.
        let _absent = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _absent = fs::remove_dir_all(&self.0);
    }
}

/// The directory that Cargo gives to integration tests.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}
