//! Giving up root once the doors are open.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{self, AtFlags, FileType, Gid, Mode, OFlags, Uid};

use crate::error::Error;
use crate::sys::user;

/// Whether this process runs as root.
#[must_use]
pub fn is_root() -> bool {
    user::is_root()
}

/// Has the kernel refuse this process and everything it ever starts any new rights, such as those of
/// set-user-ID programs. It holds for the calling thread and those started later, so call it first.
///
/// # Errors
/// [`Error::Local`] when the system refuses.
pub fn forbid_new() -> Result<(), Error> {
    rustix::thread::set_no_new_privs(true).map_err(|error| Error::local("forbid new privileges", error))
}

/// Whether the system has an account `name`.
///
/// # Errors
/// [`Error::Local`] when its user database cannot be read.
pub fn has_account(name: &str) -> Result<bool, Error> {
    let account =
        user::account(name).map_err(|error| Error::local("look up the account to run as", error))?;
    Ok(account.is_some())
}

/// Becomes `name` for good, in every thread, with no other groups and no way back to more rights.
///
/// Bind low ports and open root-only files before; what is opened afterwards must be `name`'s.
///
/// # Errors
/// [`Error::Local`] when the account is unknown or the system refuses.
pub fn drop_to(name: &str) -> Result<(), Error> {
    user::become_account(account(name)?).map_err(|error| Error::local("give up the rights of root", error))
}

/// Gives a folder and everything in it to `name`, so that it can be used after [`drop_to`].
///
/// After the first start the folder is `name`'s own, so what is in it cannot be trusted: no symbolic
/// link is followed, and a file that has a second name somewhere is left alone.
///
/// # Errors
/// [`Error::File`] when the system refuses, [`Error::Local`] when the account is unknown.
pub fn give_all_to(name: &str, folder: &Path) -> Result<(), Error> {
    let account = account(name)?;
    let owner = (Uid::from_raw(account.user), Gid::from_raw(account.group));
    // Which folder it is, the operator says: that name alone may be a link.
    let opened = fs::open(folder, FOLDER.difference(OFlags::NOFOLLOW), Mode::empty());
    let opened = opened.map_err(|error| refused(folder, error))?;
    give_opened(opened, folder, owner, 0)
}

/// How a folder is opened: never through a symbolic link.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Folders within folders at the most; each takes a descriptor while it is walked.
const DEPTH_MAX: usize = 64;

fn give_opened(folder: OwnedFd, path: &Path, owner: (Uid, Gid), depth: usize) -> Result<(), Error> {
    let (user, group) = owner;
    fs::fchown(&folder, Some(user), Some(group)).map_err(|error| refused(path, error))?;
    if depth == DEPTH_MAX {
        return Err(refused(path, rustix::io::Errno::LOOP));
    }
    for entry in fs::Dir::read_from(&folder).map_err(|error| refused(path, error))? {
        let entry = entry.map_err(|error| refused(path, error))?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let inner = path.join(OsStr::from_bytes(name.to_bytes()));
        let told = |error| refused(&inner, error);
        let stat = match fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(rustix::io::Errno::NOENT) => continue, // gone meanwhile
            Err(error) => return Err(told(error)),
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let opened = fs::openat(&folder, name, FOLDER, Mode::empty()).map_err(told)?;
            give_opened(opened, &inner, owner, depth + 1)?;
        } else if stat.st_nlink == 1 {
            fs::chownat(&folder, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW).map_err(told)?;
        }
    }
    Ok(())
}

fn account(name: &str) -> Result<user::Account, Error> {
    user::account(name).map_err(|error| Error::local("look up the account to run as", error))?.ok_or_else(
        || Error::local("run as the account", format!("there is no user `{name}` on this system")),
    )
}

fn refused(path: &Path, error: rustix::io::Errno) -> Error {
    Error::File {
        path: path.to_owned(),
        doing: "give to the account to run as",
        source: std::io::Error::from(error).into(),
    }
}

/// Raises the limit on open descriptors to what this process may have. Returns the limit in force.
#[must_use]
pub fn raise_descriptor_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
