//! A folder, opened so that nothing outside it can be reached: every name is looked up by `openat2`
//! below the folder's descriptor, and neither `..` nor a symbolic link nor a race leads out.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use doorway_base::UnixTime;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, statat, unlinkat,
};
use rustix::io::Errno;

use crate::config::Symlinks;
use crate::error::Error;
use crate::files::{Facts, Found};
use crate::listing::Item;

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

    /// How names are looked up.
    fn resolve(&self) -> ResolveFlags {
        match self.symlinks {
            Symlinks::Deny => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
            Symlinks::WithinRoot => ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
            // The name itself holds no `..`, so that only a link leads out.
            Symlinks::Follow => ResolveFlags::NO_MAGICLINKS,
        }
    }

    /// Opens what is called `name`, the folder itself when that is empty.
    fn open_below(&self, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let name = if name.is_empty() { "." } else { name };
        let mut tries = 0;
        loop {
            match openat2(&self.folder, name, flags, Mode::empty(), self.resolve()) {
                Err(Errno::AGAIN | Errno::INTR) if tries < OPEN_TRIES => tries += 1,
                opened => return opened,
            }
        }
    }

    /// What is at `name`, opened when it is an ordinary file.
    ///
    /// # Errors
    /// When the server itself is in trouble (out of descriptors, disk errors).
    pub(super) fn find(&self, name: &str) -> io::Result<(Found, Option<File>)> {
        // Not to wait for the other end of a FIFO; for ordinary files it changes nothing.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = self.open_below(name, flags);
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
            FileType::RegularFile => (Found::File(facts(&stat)), Some(file.into())),
            FileType::Directory => (Found::Folder, None),
            _ => (Found::Missing, None),
        })
    }
}

impl Root {
    /// What is in the folder called `name` that may be seen, and whether there is more than `items_max`.
    ///
    /// # Errors
    /// As the disk gives them.
    pub(super) fn list(&self, name: &str, items_max: usize) -> io::Result<(Vec<Item>, bool)> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = self.open_below(name, flags)?;
        let mut items = Vec::new();
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            // What is not UTF-8 has no path (`wire::path`), and what is hidden is not served.
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name.starts_with('.') {
                continue;
            }
            // Through the same door as when it is asked for, so that nothing is listed that is not served.
            let Ok(found) =
                openat2(&folder, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), self.resolve())
            else {
                continue;
            };
            let stat = fstat(&found)?;
            let folder = match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => true,
                FileType::RegularFile => false,
                _ => continue,
            };
            if items.len() == items_max {
                return Ok((items, true));
            }
            let facts = facts(&stat);
            let octets = if folder { 0 } else { facts.octets };
            items.push(Item { name: name.to_owned(), folder, octets, modified: facts.modified });
        }
        Ok((items, false))
    }

    /// The folder called `name`, open.
    ///
    /// # Errors
    /// As the system gives them, `XDEV` for what leads out.
    pub(super) fn folder(&self, name: &str) -> io::Result<File> {
        Ok(self.open_below(name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC)?.into())
    }

    /// Removes files whose names are `unwanted` in the folder called `name` and up to `depth` levels
    /// below it, and adds up the octets of the others. Links are not followed.
    ///
    /// # Errors
    /// As the disk gives them.
    pub(super) fn sweep(
        &self,
        name: &str,
        unwanted: &dyn Fn(&str) -> bool,
        depth: usize,
        octets: &mut u64,
    ) -> io::Result<()> {
        let folder = self.folder(name)?;
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let Ok(entry_name) = entry.file_name().to_str() else { continue };
            if matches!(entry_name, "." | "..") {
                continue;
            }
            // What goes away meanwhile counts for nothing.
            let Ok(stat) = statat(&folder, entry_name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile if unwanted(entry_name) => {
                    unlinkat(&folder, entry_name, AtFlags::empty())?;
                }
                FileType::RegularFile => *octets += facts(&stat).octets,
                FileType::Directory if depth > 0 => {
                    let below =
                        if name.is_empty() { entry_name.to_owned() } else { format!("{name}/{entry_name}") };
                    self.sweep(&below, unwanted, depth - 1, octets)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The octets of the file called `name`.
    ///
    /// # Errors
    /// `NotFound` when it is not there, `FileTooLarge` when it has over `octets_max` octets, else as the disk
    /// gives them.
    pub(super) fn read(&self, name: &str, octets_max: u64) -> io::Result<Vec<u8>> {
        let (Found::File(facts), Some(file)) = self.find(name)? else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if facts.octets > octets_max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut octets = Vec::new();
        read_whole(&file, facts.octets, &mut octets)?;
        Ok(octets)
    }
}

/// The facts of an open file.
pub(super) fn facts_of(file: &File) -> io::Result<Facts> {
    Ok(facts(&fstat(file)?))
}

fn facts(stat: &Stat) -> Facts {
    let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
    let nanos = seconds.saturating_mul(1_000_000_000).saturating_add(stat.st_mtime_nsec);
    Facts {
        inode: (stat.st_dev, stat.st_ino),
        octets: u64::try_from(stat.st_size).unwrap_or(0),
        modified: UnixTime::from_nanos(nanos),
    }
}

/// Appends the first `octets` octets of a file; an error when it became shorter meanwhile.
pub(super) fn read_whole(file: &File, octets: u64, into: &mut Vec<u8>) -> io::Result<()> {
    let start = into.len();
    let octets = usize::try_from(octets).map_err(|_| io::ErrorKind::FileTooLarge)?;
    into.resize(start + octets, 0);
    file.read_exact_at(&mut into[start..], 0)
}
