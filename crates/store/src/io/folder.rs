//! The data folder: its layout, and the lock that keeps a second process out.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// Where everything lies below the data folder.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) folder: PathBuf,
}

impl Layout {
    pub(crate) fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The database of keys and values.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.join("store.db")
    }

    /// The files of the commit log.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The segment files of blobs.
    pub(crate) fn segments(&self) -> PathBuf {
        self.folder.join("segments")
    }

    /// Blobs with a file of their own.
    pub(crate) fn bodies(&self) -> PathBuf {
        self.folder.join("bodies")
    }

    fn lock(&self) -> PathBuf {
        self.folder.join("lock")
    }
}

/// Holds the data folder until it is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct FolderLock {
    file: File,
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing is not enough: a process that is just being started has a copy of the file until it
        // runs its own program, and with it the lock.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

impl FolderLock {
    /// Takes the folder, making it when it is missing.
    ///
    /// # Errors
    /// [`Error::Locked`] with the holder's process number, or [`Error::Local`].
    pub(crate) fn take(layout: &Layout) -> Result<Self> {
        let folder = &layout.folder;
        std::fs::create_dir_all(folder).map_err(|e| cannot("make", folder, &e))?;
        let path = layout.lock();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| cannot("open", &path, &e))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(Error::Locked { pid, folder: folder.display().to_string().into() });
            }
            Err(error) => return Err(cannot("lock", &path, &error)),
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|e| cannot("write", &path, &e))?;
        Ok(Self { file })
    }
}

/// Says what could not be done to which file.
pub(crate) fn cannot(what: &str, path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::Local(format!("cannot {what} {}: {error}", path.display()).into())
}
