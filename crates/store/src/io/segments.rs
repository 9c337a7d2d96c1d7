//! Segment files on a disk: appending with one sync per group, reading, and what is left after a crash.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use doorway_base::{Disk, DiskFile};

use crate::blob::{BlobId, Location};
use crate::error::{Error, Result};
use crate::io::folder::cannot;
use crate::lock::lock;
use crate::segment::{Found, HEADER_OCTETS, Header, walk};

/// Length at which a segment is full and the next one begins. A constant of the format, not a key.
pub(crate) const SEGMENT_OCTETS: u64 = 64 * 1024 * 1024;
/// Most files kept open for reading.
const OPEN_FILES_MAX: usize = 64;

/// The segments of one folder, open for appending.
pub(crate) struct Segments {
    files: Arc<SegmentFiles>,
    segment: u32,
    file: Arc<dyn DiskFile>,
    /// Where the next record goes.
    at: u64,
    unsynced: bool,
    failed: Option<Error>,
    segment_octets: u64,
}

/// The same segments, for reading.
pub(crate) struct SegmentFiles {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) folder: PathBuf,
    open: Mutex<BTreeMap<u32, Arc<dyn DiskFile>>>,
}

impl SegmentFiles {
    pub(crate) fn new(disk: Arc<dyn Disk>, folder: PathBuf) -> Self {
        Self { disk, folder, open: Mutex::default() }
    }

    pub(crate) fn path(&self, segment: u32) -> PathBuf {
        self.folder.join(format!("{segment:08}.segment"))
    }

    /// The segments there are, in order.
    pub(crate) fn list(&self) -> io::Result<Vec<u32>> {
        let number = |path: &PathBuf| {
            (path.extension()? == "segment").then(|| path.file_stem()?.to_str()?.parse().ok()).flatten()
        };
        let mut segments: Vec<u32> = self.disk.list(&self.folder)?.iter().filter_map(number).collect();
        segments.sort_unstable();
        Ok(segments)
    }

    fn file(&self, segment: u32) -> io::Result<Arc<dyn DiskFile>> {
        let mut open = lock(&self.open);
        if let Some(file) = open.get(&segment) {
            return Ok(Arc::clone(file));
        }
        let file: Arc<dyn DiskFile> = self.disk.open(&self.path(segment), false)?.into();
        if open.len() >= OPEN_FILES_MAX {
            open.pop_first();
        }
        open.insert(segment, Arc::clone(&file));
        Ok(file)
    }

    /// Part of a record's content, as it lies there.
    pub(crate) fn read(&self, segment: u32, record: u64, range: std::ops::Range<u64>) -> io::Result<Bytes> {
        let mut octets = vec![0; (range.end - range.start) as usize];
        self.file(segment)?.read_exact_at(&mut octets, record + HEADER_OCTETS + range.start)?;
        Ok(octets.into())
    }

    /// A whole segment.
    pub(crate) fn read_all(&self, segment: u32) -> io::Result<Vec<u8>> {
        let file = self.file(segment)?;
        let mut octets = vec![0; file.octets()? as usize];
        file.read_exact_at(&mut octets, 0)?;
        Ok(octets)
    }

    /// Removes a segment for good.
    pub(crate) fn remove(&self, segment: u32) -> io::Result<()> {
        lock(&self.open).remove(&segment);
        self.disk.remove(&self.path(segment))?;
        self.disk.sync_folder(&self.folder)
    }
}

impl Segments {
    /// Opens the segments of a folder and cuts off what a crash left at the end of the last one.
    ///
    /// # Errors
    /// [`Error::Local`] when the disk does not let us.
    pub(crate) fn open(disk: Arc<dyn Disk>, folder: &Path, segment_octets: u64) -> Result<Self> {
        let files = Arc::new(SegmentFiles::new(disk, folder.to_owned()));
        let local = |error: io::Error| cannot("open the segments in", folder, &error);
        files.disk.create_folder(folder).map_err(local)?;
        let Some(segment) = files.list().map_err(local)?.pop() else {
            let file = Self::begin(&files, 1).map_err(local)?;
            return Ok(Self {
                files,
                segment: 1,
                file,
                at: 0,
                unsynced: false,
                failed: None,
                segment_octets,
            });
        };
        let file = files.file(segment).map_err(local)?;
        let octets = files.read_all(segment).map_err(local)?;
        // Behind the last whole record; damage before it is for `verify` to tell, not for us to cut.
        let end = walk(&octets).fold(0, |end, found| match found {
            Found::Record { offset, header } => offset + HEADER_OCTETS + header.octets,
            Found::Damage { .. } => end,
        });
        if end < octets.len() as u64 {
            file.truncate(end).map_err(local)?;
        }
        // What was read may have been in the system's memory only.
        file.sync_data().map_err(local)?;
        Ok(Self { files, segment, file, at: end, unsynced: false, failed: None, segment_octets })
    }

    fn begin(files: &SegmentFiles, segment: u32) -> io::Result<Arc<dyn DiskFile>> {
        let file: Arc<dyn DiskFile> = files.disk.open(&files.path(segment), true)?.into();
        files.disk.sync_folder(&files.folder)?;
        Ok(file)
    }

    /// The files, for reading.
    pub(crate) fn files(&self) -> Arc<SegmentFiles> {
        Arc::clone(&self.files)
    }

    /// The segment that is written now.
    pub(crate) fn current(&self) -> u32 {
        self.segment
    }

    /// Writes contents one behind the other; with `sync` they are durable when this returns.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Local`], or [`Error::Failed`] once a sync has failed. Nothing of the
    /// group counts then.
    pub(crate) fn append(&mut self, group: &[(BlobId, Bytes)], sync: bool) -> Result<Vec<Location>> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let mut places = Vec::with_capacity(group.len());
        let mut at = self.at;
        for (id, content) in group {
            if at > 0 && at + HEADER_OCTETS + content.len() as u64 > self.segment_octets {
                self.at = at;
                self.rotate()?;
                at = 0;
            }
            let octets = content.len() as u64;
            let header = Header { octets, id: *id }.encode();
            self.unsynced = true;
            let written = self.file.write_all_at(&header, at);
            written
                .and_then(|()| self.file.write_all_at(content, at + HEADER_OCTETS))
                .map_err(|error| self.refuse(error))?;
            places.push(Location::Segment { segment: self.segment, offset: at, octets });
            at += HEADER_OCTETS + octets;
        }
        self.at = at;
        if sync {
            self.sync()?;
        }
        Ok(places)
    }

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// [`Error::Failed`]; from then on the segments take nothing more.
    pub(crate) fn sync(&mut self) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.unsynced {
            self.file.sync_data().map_err(|error| {
                let error = Error::Failed(format!("fdatasync of a segment: {error}").into());
                self.failed = Some(error.clone());
                error
            })?;
            self.unsynced = false;
        }
        Ok(())
    }

    /// Goes on in the next segment; this one is whole and durable from now on.
    pub(crate) fn rotate(&mut self) -> Result<()> {
        self.sync()?;
        let file = Self::begin(&self.files, self.segment + 1).map_err(|error| self.refuse(error))?;
        self.segment += 1;
        self.file = file;
        self.at = 0;
        Ok(())
    }

    /// What a failed write means. What it left lies behind the end and is written over.
    fn refuse(&self, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full {
                free: self.files.disk.free_octets(&self.files.folder).unwrap_or(0),
                min_free: 0,
            },
            _ => cannot("write to", &self.files.path(self.segment), &error),
        }
    }
}
