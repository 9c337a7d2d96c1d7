//! What a store asks of a disk, as a trait, so that the same store runs on the real one and on a
//! simulated one that loses unsynced writes, tears sectors and fills up.
//!
//! No disk lives here: `store` has the real one, `sim` the virtual one.

use std::io;
use std::path::{Path, PathBuf};

/// A place for files.
pub trait Disk: Send + Sync {
    /// Opens a file for reading and writing; creates it when `create` is set and it is missing.
    ///
    /// # Errors
    /// As the operating system gives them; `NotFound` when it is missing and `create` is not set.
    fn open(&self, path: &Path, create: bool) -> io::Result<Box<dyn DiskFile>>;

    /// Removes a file.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Gives a file a new name on the same disk, replacing what had that name, in one step.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// The files in a folder, in name order; folders in it are left out.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;

    /// Makes a folder and those above it; nothing happens when it is there.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable: after a create, rename or remove in it.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Octets that an ordinary user can still write below `path`.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn free_octets(&self, path: &Path) -> io::Result<u64>;
}

/// An open file. Reads and writes name their place, so one handle serves many threads.
pub trait DiskFile: Send + Sync {
    /// Fills `octets` from `offset` on.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file ends before `octets` is full, else as the system gives them.
    fn read_exact_at(&self, octets: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `octets` at `offset`, growing the file when needed. Not durable before
    /// [`DiskFile::sync_data`] has returned.
    ///
    /// # Errors
    /// `StorageFull` when the disk is full, else as the system gives them; part may be written.
    fn write_all_at(&self, octets: &[u8], offset: u64) -> io::Result<()>;

    /// Makes everything written so far durable (`fdatasync`).
    ///
    /// # Errors
    /// As the operating system gives them. After an error nothing is known about unsynced octets:
    /// never try again on the same handle.
    fn sync_data(&self) -> io::Result<()>;

    /// Length in octets.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn octets(&self) -> io::Result<u64>;

    /// Cuts or extends the file to `octets`.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn truncate(&self, octets: u64) -> io::Result<()>;
}
