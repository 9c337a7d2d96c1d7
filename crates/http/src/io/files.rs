//! A folder, opened so that nothing outside it can be reached: every name is looked up by `openat2`
//! below the folder's descriptor, and neither `..` nor a symbolic link nor a race leads out.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use doorway_base::UnixTime;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::Errno;

use crate::config::Symlinks;
use crate::error::Error;
use crate::files::{Facts, Found};

/// A race with a rename makes `openat2` ask for another try; so often it gets one.
const OPEN_TRIES: u32 = 4;

/// A folder that is served.
#[derive(Debug)]
pub struct Root {
    folder: OwnedFd,
    symlinks: Symlinks,
}

impl Root {
    /// Opens the folder at `path`.
    ///
    /// # Errors
    /// [`Error::Root`] when it is not there, is no folder or may not be read.
    pub fn open(path: &Path, symlinks: Symlinks) -> Result<Self, Error> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        match openat(CWD, path, flags, Mode::empty()) {
            Ok(folder) => Ok(Self { folder, symlinks }),
            Err(errno) => Err(Error::Root { path: path.to_owned(), source: errno.into() }),
        }
    }

    /// Whether `other` is the same folder, whatever paths led to them.
    pub(super) fn is_the_folder_of(&self, other: &Self) -> io::Result<bool> {
        let (one, other) = (fstat(&self.folder)?, fstat(&other.folder)?);
        Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
    }

    pub(super) const fn symlinks(&self) -> Symlinks {
        self.symlinks
    }

    /// What is at `name`, opened when it is an ordinary file.
    ///
    /// # Errors
    /// When the server itself is in trouble (out of descriptors, disk errors).
    pub(super) fn find(&self, name: &str) -> io::Result<(Found, Option<File>)> {
        // Not to wait for the other end of a FIFO; for ordinary files it changes nothing.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let resolve = match self.symlinks {
            Symlinks::Deny => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
            Symlinks::WithinRoot => ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
            // The name itself holds no `..`, so that only a link leads out.
            Symlinks::Follow => ResolveFlags::NO_MAGICLINKS,
        };
        let name = if name.is_empty() { "." } else { name };
        let mut tries = 0;
        let opened = loop {
            match openat2(&self.folder, name, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) if tries < OPEN_TRIES => tries += 1,
                opened => break opened,
            }
        };
        let file = match opened {
            Ok(file) => file,
            Err(Errno::ACCESS | Errno::PERM) => return Ok((Found::Forbidden, None)),
            // XDEV is what a way out of the folder gets; LOOP and the others are names of nothing.
            Err(
                Errno::NOENT
                | Errno::NOTDIR
                | Errno::XDEV
                | Errno::LOOP
                | Errno::NAMETOOLONG
                | Errno::INVAL
                | Errno::NXIO
                | Errno::NODEV,
            ) => return Ok((Found::Missing, None)),
            Err(errno) => return Err(errno.into()),
        };
        let stat = fstat(&file)?;
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
                let nanos = seconds.saturating_mul(1_000_000_000).saturating_add(stat.st_mtime_nsec as u64);
                let facts = Facts {
                    inode: (stat.st_dev, stat.st_ino),
                    octets: u64::try_from(stat.st_size).unwrap_or(0),
                    modified: UnixTime::from_nanos(nanos),
                };
                (Found::File(facts), Some(file.into()))
            }
            FileType::Directory => (Found::Folder, None),
            _ => (Found::Missing, None),
        })
    }
}

/// Appends the first `octets` octets of a file; an error when it became shorter meanwhile.
pub(super) fn read_whole(file: &File, octets: u64, into: &mut Vec<u8>) -> io::Result<()> {
    let start = into.len();
    let octets = usize::try_from(octets).map_err(|_| io::ErrorKind::FileTooLarge)?;
    into.resize(start + octets, 0);
    file.read_exact_at(&mut into[start..], 0)
}
