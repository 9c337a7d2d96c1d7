//! The socket itself, as the server binds it.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Name of the socket in the data folder.
pub(super) const SOCKET_NAME: &str = "control.sock";
/// Longest path that fits a socket address, less its final zero.
const SOCKET_PATH_OCTETS_MAX: usize = 107;

/// Binds the control socket of the data folder, for its owner only. One that a killed server left
/// behind is replaced; the caller holds the store, so no other server can be using it.
///
/// # Errors
/// When the folder cannot be written, or something that is no socket has its name.
pub(crate) fn bind(folder: &Path) -> Result<UnixListener, Failure> {
    let path = folder.join(SOCKET_NAME);
    let told = |error: io::Error| Failure::file("bind the control socket", &path, &error);
    match path.symlink_metadata() {
        Ok(there) if there.file_type().is_socket() => fs::remove_file(&path).map_err(told)?,
        Ok(_) => {
            let failure = Failure::new(format!("{} is in the way of the control socket", path.display()));
            return Err(failure.fix("move it away"));
        }
        Err(_) => {}
    }
    let listener = at(folder, UnixListener::bind).map_err(told)?;
    fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(told)?;
    Ok(listener)
}

/// Takes the control socket's name away: nobody answers there any more.
pub(crate) fn unbind(folder: &Path) {
    // One that stays behind is replaced at the next start.
    let _ = fs::remove_file(folder.join(SOCKET_NAME));
}

/// Connects to the control socket of the data folder.
pub(super) fn connect(folder: &Path) -> io::Result<UnixStream> {
    at(folder, UnixStream::connect)
}

/// Calls `act` with a path of the socket that fits a socket address.
fn at<T>(folder: &Path, act: impl FnOnce(PathBuf) -> io::Result<T>) -> io::Result<T> {
    let path = folder.join(SOCKET_NAME);
    if path.as_os_str().len() <= SOCKET_PATH_OCTETS_MAX {
        return act(path);
    }
    // A descriptor stands for the folder whose name is too long.
    let folder = File::open(folder)?;
    act(PathBuf::from(format!("/proc/self/fd/{}/{SOCKET_NAME}", folder.as_raw_fd())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("doorway-socket-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn the_socket_is_its_owners_and_replaces_one_left_behind() {
        let folder = folder("bind");
        drop(bind(&folder).unwrap());
        let listener = bind(&folder).unwrap();
        connect(&folder).unwrap();
        drop(listener);
        assert_eq!(fs::metadata(folder.join(SOCKET_NAME)).unwrap().permissions().mode() & 0o777, 0o600);
        unbind(&folder);
        assert!(!folder.join(SOCKET_NAME).exists());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_folder_with_a_long_name_has_a_socket_too() {
        let folder = folder("long").join("n".repeat(120));
        fs::create_dir_all(&folder).unwrap();
        let _listener = bind(&folder).unwrap();
        connect(&folder).unwrap();
        fs::remove_dir_all(folder.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_file_of_that_name_is_left_alone() {
        let folder = folder("file");
        fs::write(folder.join(SOCKET_NAME), "mine").unwrap();
        assert!(bind(&folder).unwrap_err().what.ends_with("is in the way of the control socket"));
        assert_eq!(fs::read(folder.join(SOCKET_NAME)).unwrap(), b"mine");
        fs::remove_dir_all(folder).unwrap();
    }
}
