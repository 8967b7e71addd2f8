//! The directory where the processes of a port meet.

use core::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, geteuid};

use crate::limits;
use crate::server::privileges::Identity;
use crate::server::same_file::is_at;

/// Whoever knows it is a sibling.
pub type Secret = [u8; 32];

const SECRET: &str = "secret";

/// The file with the locks.
pub const LOCK: &str = "lock";

/// What the unit makes for its user (`RuntimeDirectory=`).
pub const OF_UNIT: &str = "/run/srs-lite";

/// What of a file's mode lets others write.
const OTHERS_WRITE: u32 = 0o022;

/// A directory that is ours alone.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    /// Locked, which keeps what tidies up (systemd-tmpfiles) from its files, however old.
    _kept: File,
}

/// Why a directory cannot be where siblings meet. Says what the operator can do.
#[derive(Debug)]
pub struct RunDirError {
    path: PathBuf,
    why: String,
}

impl fmt::Display for RunDirError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(f, "run_dir {path}: {}", self.why)?;
        f.write_str("; mend that, or name another directory in `run_dir` (\"\": none)")
    }
}

impl core::error::Error for RunDirError {}

impl RunDirError {
    /// For the directory at `path`.
    pub fn new(path: &Path, why: &impl fmt::Display) -> Self {
        Self {
            path: path.to_owned(),
            why: why.to_string(),
        }
    }
}

/// Where processes of user `uid` at this address meet, if the file does not say: below the first of
/// the directories for such files that there is. What the unit or the login of the user has made is found
/// also by who was started in another way.
pub fn default_path(uid: Uid, address: SocketAddr) -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    // systemd's may be a list.
    let systemd = variable("RUNTIME_DIRECTORY").and_then(|list| {
        let list = list.into_string().ok()?;
        list.split(':').next().map(PathBuf::from)
    });
    let made = |path: String| {
        let owner = fs::metadata(&path).map(|metadata| metadata.uid());
        (owner.ok() == Some(uid.as_raw())).then(|| PathBuf::from(path))
    };
    let directory = systemd
        .or_else(|| made(OF_UNIT.to_owned()))
        .or_else(|| geteuid().is_root().then(|| PathBuf::from("/run")))
        .or_else(|| made(format!("/run/user/{uid}")))
        .or_else(|| variable("XDG_RUNTIME_DIR").map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from("/tmp"));
    let port = match address.ip().is_unspecified() {
        true => address.port().to_string(),
        false => address.to_string(),
    };
    directory.join(format!("srs-lite-{uid}-{port}"))
}

impl RunDir {
    /// Creates the directory if it is not there, for who we are or will be.
    ///
    /// # Errors
    ///
    /// It cannot.
    pub fn create(path: &Path, identity: Option<&Identity>) -> Result<(), RunDirError> {
        // What is there already is looked at when it is opened.
        if fs::symlink_metadata(path).is_ok() {
            return Ok(());
        }
        let above = path.parent().map_or(Ok(()), fs::create_dir_all);
        let created = above.and_then(|()| match DirBuilder::new().mode(0o700).create(path) {
            // A sibling that starts at the same time.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            created => created,
        });
        created.map_err(|error| RunDirError::new(path, &format!("cannot be created: {error}")))?;
        let owned = identity.map_or(Ok(()), |identity| identity.own(path));
        owned.map_err(|error| RunDirError::new(path, &error))
    }

    /// Opens the directory, with its lock file and its secret, which are made if they are not there.
    ///
    /// # Errors
    ///
    /// It is not ours alone, or cannot be used.
    pub fn open(path: &Path) -> Result<(Self, File, Secret), RunDirError> {
        let error = |why: &str| RunDirError::new(path, &why);
        if path.as_os_str().len() > limits::MAX_RUN_DIR_LENGTH {
            let most = limits::MAX_RUN_DIR_LENGTH;
            return Err(error(&format!("is longer than {most} bytes")));
        }
        is_ours_alone(path).map_err(|why| error(&why))?;
        let kept = File::open(path).map_err(|why| RunDirError::new(path, &why))?;
        // Without the lock it is as safe, and only less durable.
        let _ = kept.try_lock_shared();
        let directory = Self {
            path: path.to_owned(),
            _kept: kept,
        };
        let lock = directory.open_own(LOCK, OpenOptions::new().create(true).write(true));
        let lock = lock.map_err(|why| error(&format!("its file `lock`: {why}")))?;
        let secret = directory.secret();
        let secret = secret.map_err(|why| error(&format!("its file `secret`: {why}")))?;
        Ok((directory, lock, secret))
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The text of a short file of ours.
    pub fn read(&self, name: &str) -> Option<String> {
        let file = self.open_own(name, &mut OpenOptions::new()).ok()?;
        let mut text = String::new();
        let most = limits::MAX_ANNOUNCEMENT_BYTES;
        file.take(most).read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// Makes a file appear, complete, by way of `temporary`.
    ///
    /// # Errors
    ///
    /// As the system says.
    pub fn write(&self, name: &str, temporary: &str, bytes: &[u8]) -> io::Result<()> {
        self.create_file(temporary, bytes)?;
        fs::rename(self.file(temporary), self.file(name))
    }

    /// Removes a file, if it is there.
    pub fn remove(&self, name: &str) {
        // What cannot be removed is tried again by whoever sweeps next.
        let _ = fs::remove_file(self.file(name));
    }

    /// Names of what is in it, but not more than [`limits::MAX_RUN_DIR_FILES`].
    pub fn names(&self) -> impl Iterator<Item = String> {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.take(limits::MAX_RUN_DIR_FILES)
    }

    /// Whether the open file is the one called `name` in it.
    pub fn is_here(&self, file: &File, name: &str) -> bool {
        is_at(file, &self.file(name))
    }

    fn create_file(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.remove(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options.open(self.file(name))?.write_all(bytes)
    }

    /// Whether the secret in the directory still is this one.
    pub fn is_secret(&self, secret: &Secret) -> bool {
        let read = self.open_own(SECRET, &mut OpenOptions::new());
        read.and_then(|file| read_secret(&file))
            .is_ok_and(|read| read == *secret)
    }

    /// Opens a file that only we can have written.
    fn open_own(&self, name: &str, options: &mut OpenOptions) -> io::Result<File> {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let options = options.read(true).truncate(false).mode(0o600);
        let file = options.custom_flags(flags).open(self.file(name))?;
        let metadata = file.metadata()?;
        let ours = metadata.uid() == geteuid().as_raw() && metadata.mode() & OTHERS_WRITE == 0;
        if metadata.is_file() && ours {
            return Ok(file);
        }
        Err(io::Error::other(
            "is not a file that only we can have written",
        ))
    }

    /// The secret. Who comes first makes it.
    fn secret(&self) -> io::Result<Secret> {
        let file = match self.open_own(SECRET, &mut OpenOptions::new()) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut secret = Secret::default();
                random(&mut secret)?;
                let temporary = format!("{}.tmp", id()?);
                self.create_file(&temporary, &secret)?;
                // Unlike a rename, this does not replace what a sibling has just made; who may then
                // have swept our temporary file.
                let linked = fs::hard_link(self.file(&temporary), self.file(SECRET));
                self.remove(&temporary);
                match self.open_own(SECRET, &mut OpenOptions::new()) {
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        return Err(linked.err().unwrap_or(error));
                    }
                    file => file?,
                }
            }
            file => file?,
        };
        if file.metadata()?.mode() & 0o077 != 0 {
            return Err(io::Error::other("others can read it"));
        }
        read_secret(&file)
    }
}

fn read_secret(mut file: &File) -> io::Result<Secret> {
    let mut secret = Secret::default();
    file.read_exact(&mut secret)?;
    Ok(secret)
}

/// A name that no other process has.
///
/// # Errors
///
/// The system has no random numbers.
pub fn id() -> io::Result<String> {
    let mut bytes = [0; 8];
    random(&mut bytes)?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

fn random(bytes: &mut [u8]) -> io::Result<()> {
    File::open("/dev/urandom")?.read_exact(bytes)
}

/// Whether only we, and root, can put something into the directory, or another in its place.
fn is_ours_alone(path: &Path) -> Result<(), String> {
    let look = |path: &Path| fs::symlink_metadata(path).map_err(|error| error.to_string());
    let (metadata, uid) = (look(path)?, geteuid());
    if !metadata.is_dir() {
        return Err("is not a directory".to_owned());
    }
    if metadata.uid() != uid.as_raw() {
        let other = metadata.uid();
        return Err(format!(
            "belongs to user {other} and not to {uid}, who we are"
        ));
    }
    if metadata.mode() & OTHERS_WRITE != 0 {
        return Err("others can write to it (`chmod 700` takes that away)".to_owned());
    }
    let path = path.canonicalize().map_err(|error| error.to_string())?;
    for above in path.ancestors().skip(1) {
        let mode = look(above)?.mode();
        let (others, sticky) = (mode & OTHERS_WRITE != 0, mode & 0o1000 != 0);
        if others && !sticky {
            let above = above.display();
            return Err(format!("others can write to {above}, above it"));
        }
    }
    Ok(())
}
