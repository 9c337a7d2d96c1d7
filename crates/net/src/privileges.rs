//! Giving up root once the doors are open.

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
    let account = user::account(name)
        .map_err(|error| Error::local("look up the account to run as", error))?
        .ok_or_else(|| {
            Error::local("run as the account", format!("there is no user `{name}` on this system"))
        })?;
    user::become_account(account).map_err(|error| Error::local("give up the rights of root", error))
}

/// Gives a file or folder to `name`, so that it can be used after [`drop_to`].
///
/// # Errors
/// [`Error::File`] when the system refuses, [`Error::Local`] when the account is unknown.
pub fn give_to(name: &str, path: &std::path::Path) -> Result<(), Error> {
    let account = user::account(name)
        .map_err(|error| Error::local("look up the account to run as", error))?
        .ok_or_else(|| {
            Error::local("run as the account", format!("there is no user `{name}` on this system"))
        })?;
    std::os::unix::fs::chown(path, Some(account.user), Some(account.group)).map_err(|error| Error::File {
        path: path.to_owned(),
        doing: "give to the account to run as",
        source: error.into(),
    })
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
