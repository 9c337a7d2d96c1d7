//! The files of a cache on disk: segments, the list beside each, the log of purges, the key of short names.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use doorway_base::{Disk, DiskFile};

use super::super::lock;

/// Most segments that are kept open for reading.
const OPEN_FILES_MAX: usize = 256;

const SEGMENT: &str = "segment";
const CATALOGUE: &str = "catalogue";

/// The folder of a cache.
pub(crate) struct Files {
    pub(super) disk: Arc<dyn Disk>,
    folder: PathBuf,
    segments: Mutex<BTreeMap<u32, Arc<Segment>>>,
    open: Mutex<BTreeMap<u32, Arc<dyn DiskFile>>>,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// A segment file. It is removed once it is doomed and nobody reads it.
pub(crate) struct Segment {
    number: u32,
    files: std::sync::Weak<Files>,
    doomed: AtomicBool,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Segment {
    pub(super) const fn number(&self) -> u32 {
        self.number
    }

    /// Fills `octets` from `at` on.
    pub(super) fn read(&self, octets: &mut [u8], at: u64) -> io::Result<()> {
        let files = self.files.upgrade().ok_or(io::ErrorKind::NotFound)?;
        files.opened(self.number)?.read_exact_at(octets, at)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if self.doomed.load(Relaxed)
            && let Some(files) = self.files.upgrade()
        {
            files.unlink(self.number);
        }
    }
}

impl Files {
    /// The files in `folder`, which is made where there is none.
    pub(super) fn open(disk: Arc<dyn Disk>, folder: &Path) -> io::Result<Arc<Self>> {
        disk.create_folder(folder)?;
        let files = Arc::new(Self {
            disk,
            folder: folder.to_owned(),
            segments: Mutex::default(),
            open: Mutex::default(),
        });
        for path in files.disk.list(folder)? {
            if let Some(number) = number(&path, SEGMENT) {
                files.add(number);
            }
        }
        Ok(files)
    }

    /// A segment with the next number, and its file.
    pub(super) fn create(self: &Arc<Self>) -> io::Result<(Arc<Segment>, Arc<dyn DiskFile>)> {
        let number = lock(&self.segments).last_key_value().map_or(1, |(last, _)| last + 1);
        let file: Arc<dyn DiskFile> = self.disk.open(&self.path(number, SEGMENT), true)?.into();
        self.keep_open(number, &file);
        Ok((self.add(number), file))
    }

    fn add(self: &Arc<Self>, number: u32) -> Arc<Segment> {
        let doomed = AtomicBool::new(false);
        let segment = Arc::new(Segment { number, files: Arc::downgrade(self), doomed });
        lock(&self.segments).insert(number, Arc::clone(&segment));
        segment
    }

    /// A segment that is there.
    pub(crate) fn segment(&self, number: u32) -> Option<Arc<Segment>> {
        lock(&self.segments).get(&number).cloned()
    }

    /// The numbers of all, oldest first.
    pub(super) fn numbers(&self) -> Vec<u32> {
        lock(&self.segments).keys().copied().collect()
    }

    /// Octets of a segment.
    pub(super) fn octets(&self, number: u32) -> io::Result<u64> {
        self.opened(number)?.octets()
    }

    /// Lets a segment go: at once, or when the last who reads it has finished.
    pub(super) fn doom(&self, number: u32) {
        let segment = lock(&self.segments).remove(&number);
        if let Some(segment) = segment {
            segment.doomed.store(true, Relaxed);
        }
    }

    fn unlink(&self, number: u32) {
        lock(&self.open).remove(&number);
        for kind in [SEGMENT, CATALOGUE] {
            // What cannot be removed now is found again, and doomed again, after the next start.
            let _ = self.disk.remove(&self.path(number, kind));
        }
    }

    fn opened(&self, number: u32) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = lock(&self.open).get(&number) {
            return Ok(Arc::clone(file));
        }
        let file: Arc<dyn DiskFile> = self.disk.open(&self.path(number, SEGMENT), false)?.into();
        self.keep_open(number, &file);
        Ok(file)
    }

    fn keep_open(&self, number: u32, file: &Arc<dyn DiskFile>) {
        let mut open = lock(&self.open);
        if open.len() >= OPEN_FILES_MAX {
            open.pop_first();
        }
        open.insert(number, Arc::clone(file));
    }

    /// The list of a segment, as its file has it; `None` when there is none that can be read.
    pub(super) fn read_catalogue(&self, number: u32) -> Option<Vec<u8>> {
        self.read_whole(&self.path(number, CATALOGUE)).ok()
    }

    /// Writes the list of a segment, in one step.
    pub(super) fn write_catalogue(&self, number: u32, octets: &[u8]) -> io::Result<()> {
        self.replace(&self.path(number, CATALOGUE), octets, false)
    }

    /// The log of purges.
    pub(super) fn purge_log(&self) -> PathBuf {
        self.folder.join("purges")
    }

    /// The key of short names.
    pub(super) fn key(&self) -> PathBuf {
        self.folder.join("key")
    }

    /// All octets of a file.
    pub(super) fn read_whole(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.disk.open(path, false)?;
        let mut octets = vec![0; usize::try_from(file.octets()?).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut octets, 0)?;
        Ok(octets)
    }

    /// Gives a file other content: all of it or none. A durable one is there after a power cut.
    pub(super) fn replace(&self, path: &Path, octets: &[u8], durable: bool) -> io::Result<()> {
        let beside = path.with_extension("new");
        let file = self.disk.open(&beside, true)?;
        file.truncate(0)?;
        file.write_all_at(octets, 0)?;
        if durable {
            file.sync_data()?;
        }
        self.disk.rename(&beside, path)?;
        if durable {
            self.sync_names()?;
        }
        Ok(())
    }

    /// Octets that are free on the disk.
    pub(super) fn free_octets(&self) -> io::Result<u64> {
        self.disk.free_octets(&self.folder)
    }

    /// Makes the names of new files durable.
    pub(super) fn sync_names(&self) -> io::Result<()> {
        self.disk.sync_folder(&self.folder)
    }

    fn path(&self, number: u32, kind: &str) -> PathBuf {
        self.folder.join(format!("{number:08}.{kind}"))
    }
}

fn number(path: &Path, kind: &str) -> Option<u32> {
    (path.extension()? == kind).then(|| path.file_stem()?.to_str()?.parse().ok()).flatten()
}
