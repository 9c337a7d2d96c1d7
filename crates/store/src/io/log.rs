//! The commit log on a disk: a few files written in turn, over and over.
//!
//! A group of commits is one record and, when any of them asked for it, one fdatasync. When the file
//! has grown enough the log goes on in another one, and the first is free again once the database has
//! taken over what is in it. Writing over old octets instead of growing a file spares the file system a
//! change of its own books with every sync.
//!
//! Each life of a file has a higher epoch, and begins with an empty record that is durable before the
//! next is written. So a file's first record tells the highest epoch in it, and what is left of its
//! earlier lives is known by its lower epoch.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use doorway_base::{Disk, DiskFile, Reader};

use crate::batch::Changes;
use crate::error::{Error, Result};
use crate::io::folder::cannot;
use crate::log;

/// Names one of the log's files.
pub(crate) type Slot = u32;

/// The commit log, open for appending.
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    file: Box<dyn DiskFile>,
    slot: Slot,
    epoch: u64,
    /// Where the next record goes.
    at: u64,
    /// True when something was written since the last sync.
    unsynced: bool,
    /// Files whose records the database has.
    free: Vec<Slot>,
    slots: Slot,
}

/// What was found in the log when it was opened.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    /// Everything the database does not have yet.
    pub(crate) changes: Changes,
    /// Number of the last commit in the log or the database.
    pub(crate) seq: u64,
    /// Files that hold these changes; they are given back with [`Log::recycle`].
    pub(crate) slots: Vec<Slot>,
    /// Highest epoch of any file; 0 when there is none.
    epoch: u64,
    /// One more than the highest slot.
    slots_seen: Slot,
}

fn slot_path(folder: &Path, slot: Slot) -> PathBuf {
    folder.join(format!("{slot}.log"))
}

/// The slot a file belongs to; `None` for a file that is not the log's.
fn slot_of(path: &Path) -> Option<Slot> {
    if path.extension()? != "log" {
        return None;
    }
    path.file_stem()?.to_str()?.parse().ok()
}

impl Log {
    /// Begins a new epoch in a file that is free, behind what the log has and the database, which has
    /// every commit up to `seq`, does not.
    ///
    /// # Errors
    /// [`Error::Local`] when the disk does not let us.
    pub(crate) fn open(disk: Arc<dyn Disk>, folder: PathBuf, seq: u64) -> Result<(Self, Replayed)> {
        let local = |error: io::Error| cannot("open the commit log in", &folder, &error);
        disk.create_folder(&folder).map_err(local)?;
        let replayed = Self::read(&*disk, &folder, seq)?;
        for slot in &replayed.slots {
            // What was read may have been in the system's memory only, and what comes now counts on it.
            disk.open(&slot_path(&folder, *slot), false).and_then(|file| file.sync_data()).map_err(local)?;
        }
        let epoch = replayed.epoch + 1;
        let mut free: Vec<Slot> =
            (0..replayed.slots_seen).filter(|slot| !replayed.slots.contains(slot)).collect();
        let slot = free.pop().unwrap_or(replayed.slots_seen);
        let slots = replayed.slots_seen.max(slot + 1);
        let (file, at) = Self::begin(&*disk, &folder, slot, epoch, replayed.seq).map_err(local)?;
        let log = Self { file, at, free, slots, disk, folder, slot, epoch, unsynced: false };
        Ok((log, replayed))
    }

    /// Reads what the log has and the database, which has every commit up to `seq`, does not. Changes
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Local`] when the disk does not let us.
    pub(crate) fn read(disk: &dyn Disk, folder: &Path, seq: u64) -> Result<Replayed> {
        let local = |error: io::Error| cannot("read the commit log in", folder, &error);
        let mut replayed = Replayed { seq, ..Replayed::default() };
        let mut lives = Vec::new();
        for path in disk.list(folder).map_err(local)? {
            let Some(slot) = slot_of(&path) else { continue };
            replayed.slots_seen = replayed.slots_seen.max(slot + 1);
            let file = disk.open(&path, false).map_err(local)?;
            let mut octets = vec![0; file.octets().map_err(local)? as usize];
            file.read_exact_at(&mut octets, 0).map_err(local)?;
            let records = records_of_one_life(&octets);
            if let Some(first) = records.first() {
                lives.push((first.epoch, slot, records));
            }
        }
        lives.sort_by_key(|(epoch, slot, _)| (*epoch, *slot));
        for (epoch, slot, records) in lives {
            replayed.epoch = epoch;
            let before = replayed.seq;
            for record in records {
                if record.last < record.first || record.last <= seq {
                    continue; // opens a life, or the database has it
                }
                if record.first != replayed.seq + 1 {
                    break; // what was between was never acknowledged as durable, nor is this
                }
                replayed.seq = record.last;
                replayed.changes.extend(record.changes);
            }
            if replayed.seq > before {
                replayed.slots.push(slot);
            }
        }
        Ok(replayed)
    }

    /// Reads every change that the log still has, whatever came between: for a store that is damaged. Some may
    /// be older than what the database has.
    ///
    /// # Errors
    /// [`Error::Local`] when the folder cannot be read.
    pub(crate) fn read_past_damage(disk: &dyn Disk, folder: &Path) -> Result<Changes> {
        let local = |error: io::Error| cannot("read the commit log in", folder, &error);
        let mut records = Vec::new();
        for path in disk.list(folder).map_err(local)? {
            if slot_of(&path).is_none() {
                continue;
            }
            let file = disk.open(&path, false).map_err(local)?;
            let mut octets = vec![0; file.octets().map_err(local)? as usize];
            file.read_exact_at(&mut octets, 0).map_err(local)?;
            records.extend(log::records_past_damage(&octets));
        }
        records.sort_by_key(|record| (record.epoch, record.first));
        Ok(records.into_iter().flat_map(|record| record.changes).collect())
    }

    /// Begins a life of a file: its opening record is durable when this returns.
    fn begin(
        disk: &dyn Disk,
        folder: &Path,
        slot: Slot,
        epoch: u64,
        seq: u64,
    ) -> io::Result<(Box<dyn DiskFile>, u64)> {
        let file = disk.open(&slot_path(folder, slot), true)?;
        let mut record = Vec::new();
        log::encode(&mut record, epoch, seq + 1, seq, &Changes::new());
        file.write_all_at(&record, 0)?;
        file.sync_data()?;
        disk.sync_folder(folder)?;
        Ok((file, record.len() as u64))
    }

    /// The epoch that the next record must carry.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Octets in the file that is written now.
    pub(crate) fn octets(&self) -> u64 {
        self.at
    }

    /// Writes a record behind the last one. Nothing of it counts before [`Log::sync`] or, for what need
    /// not survive a power cut, before this returns.
    ///
    /// # Errors
    /// As the disk gives them. The record is not in the log then, and the next one takes its place.
    pub(crate) fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.file.write_all_at(record, self.at)?;
        self.at += record.len() as u64;
        self.unsynced = true;
        Ok(())
    }

    /// Makes every record durable.
    ///
    /// # Errors
    /// As the disk gives them; the log is of no use any more then.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if self.unsynced {
            self.file.sync_data()?;
            self.unsynced = false;
        }
        Ok(())
    }

    /// Goes on in another file, behind commit `seq`, and gives the slot of the one that is full.
    ///
    /// # Errors
    /// As the disk gives them. The log stays in the file where it was.
    pub(crate) fn rotate(&mut self, seq: u64) -> Result<Slot> {
        // The next file's records are only found when this one's are whole.
        self.sync().map_err(|error| Error::Failed(format!("fdatasync of the commit log: {error}").into()))?;
        let slot = self.free.pop().unwrap_or(self.slots);
        let begun = Self::begin(&*self.disk, &self.folder, slot, self.epoch + 1, seq);
        self.slots = self.slots.max(slot + 1);
        match begun {
            Ok((file, at)) => {
                self.file = file;
                self.at = at;
                self.epoch += 1;
                Ok(std::mem::replace(&mut self.slot, slot))
            }
            Err(error) => {
                self.free.push(slot);
                Err(cannot("go on with the commit log in", &self.folder, &error))
            }
        }
    }

    /// Takes back a file whose records the database has.
    pub(crate) fn recycle(&mut self, slot: Slot) {
        self.free.push(slot);
    }
}

/// The records at the head of a log file that belong to the same life as its first one.
fn records_of_one_life(octets: &[u8]) -> Vec<log::Record> {
    let mut reader = Reader::new(octets);
    let mut records: Vec<log::Record> = Vec::new();
    while let Ok(record) = log::decode(&mut reader) {
        if records.first().is_some_and(|first| first.epoch != record.epoch) {
            break;
        }
        records.push(record);
    }
    records
}
