//! Becoming another user, when what only root may do is done.

use core::fmt;
use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User, geteuid, initgroups, setgid, setuid};

/// Flags to open a file with that may lie in another user's directory: that user could make it a
/// link to any other, so root follows none.
pub fn no_links() -> i32 {
    if geteuid().is_root() {
        libc::O_NOFOLLOW
    } else {
        0
    }
}

/// Who the process becomes.
#[derive(Debug)]
pub struct Identity {
    name: CString,
    uid: Uid,
    gid: Gid,
}

/// Why it cannot.
#[derive(Debug)]
pub struct PrivilegeError(String);

impl fmt::Display for PrivilegeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Identity {
    /// Looks up who `user` and `group` are; without a group, the user's own.
    ///
    /// # Errors
    ///
    /// There is no such user or group.
    pub fn find(user: &str, group: Option<&str>) -> Result<Self, PrivilegeError> {
        let unknown = |kind, name| PrivilegeError(format!("`{kind} = {name:?}`: there is none"));
        let name = CString::new(user).map_err(|_| unknown("user", user))?;
        let known = User::from_name(user).ok().flatten();
        let known = known.ok_or_else(|| unknown("user", user))?;
        let gid = match group {
            None => known.gid,
            Some(group) => {
                let known = Group::from_name(group).ok().flatten();
                known.ok_or_else(|| unknown("group", group))?.gid
            }
        };
        let uid = known.uid;
        Ok(Self { name, uid, gid })
    }

    /// Whose a file or directory is; `None`: it is not there, or its owner has no name.
    pub fn owner(path: &Path) -> Option<Self> {
        let owner = Uid::from_raw(fs::metadata(path).ok()?.uid());
        Self::find(&User::from_uid(owner).ok()??.name, None).ok()
    }

    /// Who that is; without one, who we are.
    pub fn uid(identity: Option<&Self>) -> Uid {
        identity.map_or_else(geteuid, |identity| identity.uid)
    }

    /// Whether the process is this user already, and need not, nor may, do what follows.
    fn is_ours(&self) -> bool {
        geteuid() == self.uid && !self.uid.is_root()
    }

    /// Gives a file, or directory, that was opened or made already to the user, who will open it again.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn own(&self, path: &Path) -> Result<(), PrivilegeError> {
        if self.is_ours() {
            return Ok(());
        }
        let (uid, gid) = (self.uid.as_raw(), self.gid.as_raw());
        lchown(path, Some(uid), Some(gid)).map_err(|error| {
            PrivilegeError(format!("cannot give {} away: {error}", path.display()))
        })
    }

    /// Becomes the user, for good. Before any thread is started.
    ///
    /// # Errors
    ///
    /// The process may not, or could come back.
    pub fn assume(&self) -> Result<(), PrivilegeError> {
        if self.is_ours() {
            return Ok(());
        }
        initgroups(&self.name, self.gid)
            .and_then(|()| setgid(self.gid))
            .and_then(|()| setuid(self.uid))
            .map_err(|error| {
                PrivilegeError(format!(
                    "`user`: {error}; only root can become another user"
                ))
            })?;
        if !self.uid.is_root() && setuid(Uid::from_raw(0)).is_ok() {
            return Err(PrivilegeError("`user`: root's rights remain".to_owned()));
        }
        Ok(())
    }
}
