//! Advisory locks among siblings, each by a name: one byte for each in a file that they share.

use core::hash::Hasher;
#[expect(
    deprecated,
    reason = "the one keyed hash in std whose values are documented: siblings of another version must \
              find the same byte"
)]
use core::hash::SipHasher;
use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

/// Locks that this process has, or looks at. They belong to the open file: the kernel releases them
/// when the process ends, however it ends. To look at one is not to take it.
#[derive(Debug)]
pub(super) struct Locks {
    file: File,
    key: [u64; 2],
}

impl Locks {
    /// The locks in `file`. Siblings have the same `key`, and nobody else: who knew it could find a
    /// name whose lock is another's.
    pub(super) const fn new(file: File, key: [u64; 2]) -> Self {
        Self { file, key }
    }

    /// The file.
    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    /// The byte that stands for `name`.
    pub(super) fn place(&self, name: &str) -> i64 {
        let [first, second] = self.key;
        #[expect(deprecated, reason = "see above")]
        let mut hasher = SipHasher::new_with_keys(first, second);
        hasher.write(name.as_bytes());
        i64::try_from(hasher.finish() >> 2).unwrap_or_default()
    }

    /// Takes a lock; whether nobody else has it. To take it twice is to have it once.
    ///
    /// # Errors
    ///
    /// As the system says.
    pub(super) fn take(&self, place: i64) -> io::Result<bool> {
        let lock = byte(libc::F_WRLCK, place);
        match fcntl(&self.file, FcntlArg::F_OFD_SETLK(&lock)) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a lock back.
    pub(super) fn release(&self, place: i64) {
        let lock = byte(libc::F_UNLCK, place);
        // Fails for no lock of ours.
        let _ = fcntl(&self.file, FcntlArg::F_OFD_SETLK(&lock));
    }

    /// Whether somebody else has a lock.
    pub(super) fn is_elsewhere(&self, place: i64) -> bool {
        let mut lock = byte(libc::F_WRLCK, place);
        let asked = fcntl(&self.file, FcntlArg::F_OFD_GETLK(&mut lock));
        asked.is_ok() && i32::from(lock.l_type) != libc::F_UNLCK
    }
}

/// One byte of a file.
fn byte(kind: i32, place: i64) -> libc::flock {
    libc::flock {
        l_type: i16::try_from(kind).unwrap_or_default(),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: place,
        l_len: 1,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_has_one_holder_and_to_look_at_it_is_not_to_take_it() {
        let path = std::env::temp_dir().join(format!("locks-{}", std::process::id()));
        let open = || {
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .read(true)
                .open(&path);
            Locks::new(file.unwrap(), [1, 2])
        };
        let [one, other, third] = [open(), open(), open()];
        let [place, next] = ["live/a", "live/b"].map(|name| one.place(name));
        assert_ne!(place, next);
        assert_eq!(place, other.place("live/a"));
        assert!(one.take(place).unwrap());
        assert!(one.take(place).unwrap());
        assert!(!one.is_elsewhere(place));
        for _ in 0..100 {
            assert!(other.is_elsewhere(place));
        }
        assert!(!other.take(place).unwrap());
        assert!(other.take(next).unwrap());
        drop(third);
        one.release(place);
        assert!(!other.is_elsewhere(place));
        assert!(other.take(place).unwrap());
        drop(other);
        assert!(one.take(place).unwrap() && one.take(next).unwrap());
        std::fs::remove_file(&path).unwrap();
    }

    /// Another value would be another lock: two versions would not see each other.
    #[test]
    fn the_place_of_a_name_is_for_ever() {
        let file = File::open("/dev/null").unwrap();
        let locks = Locks::new(file, [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]);
        // From the SipHash paper, appendix A: of the bytes 0 to 14.
        let name: String = (0..15_u8).map(char::from).collect();
        let expected = 0xa129_ca61_49be_45e5_u64 >> 2;
        assert_eq!(locks.place(&name), i64::try_from(expected).unwrap());
    }
}
