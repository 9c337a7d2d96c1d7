//! Changing the user of the whole process. libc's calls, unlike the bare system calls, change every
//! thread at once; that is why they are used here.
#![allow(unsafe_code, reason = "setuid and its family have no safe form that covers all threads")]

use std::ffi::CString;
use std::io;

/// User and group numbers of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) user: u32,
    pub(crate) group: u32,
}

/// Looks an account up in the system's user database.
pub(crate) fn account(name: &str) -> io::Result<Option<Account>> {
    let name = CString::new(name).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut octets = vec![0u8; 16 * 1024];
    // SAFETY: all-zero is a valid `passwd`; it is only read after the call filled it in.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found: *mut libc::passwd = std::ptr::null_mut();
    // SAFETY: every pointer is valid for the call, and the buffer's length is passed with it.
    let code = unsafe {
        libc::getpwnam_r(name.as_ptr(), &mut entry, octets.as_mut_ptr().cast(), octets.len(), &mut found)
    };
    match code {
        0 if found.is_null() => Ok(None),
        0 => Ok(Some(Account { user: entry.pw_uid, group: entry.pw_gid })),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// Gives up the rights of root for those of `account`, for good: groups first, the user last.
pub(crate) fn become_account(account: Account) -> io::Result<()> {
    let checked = |code: libc::c_int| if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // SAFETY: plain system calls on numbers; an empty list needs no pointer.
    unsafe {
        checked(libc::setgroups(0, std::ptr::null()))?;
        checked(libc::setgid(account.group))?;
        checked(libc::setuid(account.user))
    }
}

/// Whether this process runs as root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
