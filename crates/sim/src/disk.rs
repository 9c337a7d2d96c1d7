//! A disk that keeps what was synced and nothing else it does not feel like keeping.
//!
//! Between a write and its sync, a crash may keep it, lose it, or keep part of it in whole sectors,
//! each write on its own; names that were made, changed or removed since the folder was last synced
//! survive up to some point. A disk can be given a size, and can be told to fail.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use doorway_base::{Disk, DiskFile, Random};

use crate::core::lock;

/// A power cut tears a write only between sectors.
const SECTOR_OCTETS: usize = 512;

/// A simulated disk. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

struct State {
    random: Random,
    next_file: u64,
    files: BTreeMap<u64, Content>,
    names: BTreeMap<PathBuf, u64>,
    /// Names as they would be found after a crash, before any luck.
    durable_names: BTreeMap<PathBuf, u64>,
    unsynced_names: Vec<NameChange>,
    capacity: u64,
    fail_syncs: u32,
    fail_writes: u32,
    syncs: u64,
    /// Counts crashes: handles opened before the last one are dead.
    life: u64,
}

#[derive(Default, Clone)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { offset: u64, octets: Vec<u8> },
    Truncate(u64),
}

struct NameChange {
    folder: PathBuf,
    path: PathBuf,
    /// The file that has the name afterwards.
    file: Option<u64>,
}

impl SimDisk {
    /// An empty disk without a size limit, whose luck in crashes is `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: Random::new(seed),
            next_file: 0,
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            unsynced_names: Vec::new(),
            capacity: u64::MAX,
            fail_syncs: 0,
            fail_writes: 0,
            syncs: 0,
            life: 0,
        })))
    }

    /// Cuts the power: only synced octets and names are certain to be found again. Open handles fail
    /// from now on.
    pub fn crash(&self) {
        let mut state = lock(&self.0);
        let State { random, files, unsynced_names, durable_names, names, life, .. } = &mut *state;
        *life += 1;
        for content in files.values_mut() {
            content.crash(random);
        }
        // A journal keeps the order of names: some first part of the changes is found again.
        let kept = random.below(unsynced_names.len() as u64 + 1) as usize;
        for change in unsynced_names.drain(..).take(kept) {
            change.apply(durable_names);
        }
        *names = durable_names.clone();
        let referenced: Vec<u64> = names.values().copied().collect();
        files.retain(|file, _| referenced.contains(file));
    }

    /// Sets how many octets the disk holds; writes past that fail with `StorageFull`.
    pub fn set_capacity(&self, octets: u64) {
        lock(&self.0).capacity = octets;
    }

    /// Makes the next `count` syncs fail with an I/O error, losing what they should have made durable.
    pub fn fail_syncs(&self, count: u32) {
        lock(&self.0).fail_syncs = count;
    }

    /// Makes the next `count` writes fail with an I/O error.
    pub fn fail_writes(&self, count: u32) {
        lock(&self.0).fail_writes = count;
    }

    /// How many syncs were asked for.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        lock(&self.0).syncs
    }
}

impl std::fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimDisk").field("names", &lock(&self.0).names.len()).finish_non_exhaustive()
    }
}

impl Content {
    fn apply(octets: &mut Vec<u8>, change: &Change) {
        match change {
            Change::Write { offset, octets: written } => {
                let from = *offset as usize;
                if octets.len() < from + written.len() {
                    octets.resize(from + written.len(), 0);
                }
                octets[from..from + written.len()].copy_from_slice(written);
            }
            Change::Truncate(length) => octets.resize(*length as usize, 0),
        }
    }

    fn crash(&mut self, random: &mut Random) {
        for change in std::mem::take(&mut self.unsynced) {
            let kept = match change {
                Change::Write { offset, mut octets } if random.chance(0.25) => {
                    let sectors = octets.len().div_ceil(SECTOR_OCTETS) as u64;
                    octets.truncate(random.below(sectors + 1) as usize * SECTOR_OCTETS);
                    Some(Change::Write { offset, octets })
                }
                change => random.chance(0.5).then_some(change),
            };
            if let Some(change) = kept {
                Self::apply(&mut self.durable, &change);
            }
        }
        self.now = self.durable.clone();
    }

    fn change(&mut self, change: Change) {
        Self::apply(&mut self.now, &change);
        self.unsynced.push(change);
    }
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<PathBuf, u64>) {
        match self.file {
            Some(file) => names.insert(self.path, file),
            None => names.remove(&self.path),
        };
    }
}

impl State {
    fn rename_to(&mut self, path: &Path, file: Option<u64>) {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let change = NameChange { folder, path: path.to_owned(), file };
        match file {
            Some(file) => self.names.insert(path.to_owned(), file),
            None => self.names.remove(path),
        };
        self.unsynced_names.push(change);
    }

    fn used(&self) -> u64 {
        self.names.values().filter_map(|file| self.files.get(file)).map(|c| c.now.len() as u64).sum()
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Box<dyn DiskFile>> {
        let mut state = lock(&self.0);
        let file = match state.names.get(path) {
            Some(file) => *file,
            None if create => {
                let file = state.next_file;
                state.next_file += 1;
                state.files.insert(file, Content::default());
                state.rename_to(path, Some(file));
                file
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Box::new(SimFile { disk: self.clone(), file, life: state.life }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = lock(&self.0);
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.rename_to(path, None);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = lock(&self.0);
        let file = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        // The new name first: a crash in between may leave both, never neither.
        state.rename_to(to, Some(file));
        state.rename_to(from, None);
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let state = lock(&self.0);
        Ok(state.names.keys().filter(|path| path.parent() == Some(folder)).cloned().collect())
    }

    fn create_folder(&self, _: &Path) -> io::Result<()> {
        Ok(()) // folders are as durable as the names in them
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = lock(&self.0);
        state.syncs += 1;
        let State { unsynced_names, durable_names, .. } = &mut *state;
        let (synced, left) = unsynced_names.drain(..).partition(|change| change.folder == folder);
        *unsynced_names = left;
        let synced: Vec<NameChange> = synced;
        for change in synced {
            change.apply(durable_names);
        }
        Ok(())
    }

    fn free_octets(&self, _: &Path) -> io::Result<u64> {
        let state = lock(&self.0);
        Ok(state.capacity.saturating_sub(state.used()))
    }
}

struct SimFile {
    disk: SimDisk,
    file: u64,
    life: u64,
}

impl SimFile {
    fn with<T>(&self, act: impl FnOnce(&mut State, u64) -> io::Result<T>) -> io::Result<T> {
        let mut state = lock(&self.disk.0);
        if state.life != self.life {
            return Err(io::Error::other("the host has crashed since this file was opened"));
        }
        act(&mut state, self.file)
    }
}

fn content(state: &mut State, file: u64) -> io::Result<&mut Content> {
    state.files.get_mut(&file).ok_or_else(|| io::ErrorKind::NotFound.into())
}

impl DiskFile for SimFile {
    fn read_exact_at(&self, octets: &mut [u8], offset: u64) -> io::Result<()> {
        self.with(|state, file| {
            let from = offset as usize;
            let source = content(state, file)?.now.get(from..from + octets.len());
            octets.copy_from_slice(source.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write_all_at(&self, octets: &[u8], offset: u64) -> io::Result<()> {
        self.with(|state, file| {
            if state.fail_writes > 0 {
                state.fail_writes -= 1;
                return Err(io::Error::other("a simulated write error"));
            }
            let length = content(state, file)?.now.len() as u64;
            let growth = (offset + octets.len() as u64).saturating_sub(length);
            if state.used() + growth > state.capacity {
                return Err(io::ErrorKind::StorageFull.into());
            }
            content(state, file)?.change(Change::Write { offset, octets: octets.to_vec() });
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|state, file| {
            state.syncs += 1;
            let fails = state.fail_syncs > 0;
            state.fail_syncs -= u32::from(fails);
            let content = content(state, file)?;
            content.unsynced.clear();
            if fails {
                // What a kernel does after a failed write-back: the pages are marked clean and lost.
                content.now = content.durable.clone();
                return Err(io::Error::other("a simulated sync error"));
            }
            content.durable = content.now.clone();
            Ok(())
        })
    }

    fn octets(&self) -> io::Result<u64> {
        self.with(|state, file| Ok(content(state, file)?.now.len() as u64))
    }

    fn truncate(&self, octets: u64) -> io::Result<()> {
        self.with(|state, file| {
            content(state, file)?.change(Change::Truncate(octets));
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(disk: &SimDisk, path: &str) -> Option<Vec<u8>> {
        let file = disk.open(Path::new(path), false).ok()?;
        let mut octets = vec![0; file.octets().unwrap() as usize];
        file.read_exact_at(&mut octets, 0).unwrap();
        Some(octets)
    }

    #[test]
    fn what_was_synced_survives_every_crash() {
        for seed in 0..200 {
            let disk = SimDisk::new(seed);
            let file = disk.open(Path::new("d/a"), true).unwrap();
            file.write_all_at(b"kept", 0).unwrap();
            file.sync_data().unwrap();
            disk.sync_folder(Path::new("d")).unwrap();
            file.write_all_at(&[b'x'; 2000], 4).unwrap();
            disk.crash();
            assert_eq!(read(&disk, "d/a").unwrap()[..4], *b"kept");
            assert!(file.octets().is_err(), "a handle does not outlive its host");
        }
    }

    #[test]
    fn crashes_lose_tear_and_keep_unsynced_writes() {
        let lengths: std::collections::BTreeSet<usize> = (0..200)
            .map(|seed| {
                let disk = SimDisk::new(seed);
                let file = disk.open(Path::new("a"), true).unwrap();
                disk.sync_folder(Path::new("")).unwrap();
                file.write_all_at(&[1; 1500], 0).unwrap();
                disk.crash();
                read(&disk, "a").unwrap().len()
            })
            .collect();
        assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [0, 512, 1024, 1500]);
    }

    #[test]
    fn names_need_their_folder_synced() {
        let survivors = (0..200)
            .filter(|seed| {
                let disk = SimDisk::new(*seed);
                disk.open(Path::new("a"), true).unwrap().sync_data().unwrap();
                disk.crash();
                read(&disk, "a").is_some()
            })
            .count();
        assert!((50..150).contains(&survivors), "{survivors}");
    }

    #[test]
    fn a_rename_never_leaves_neither_name() {
        for seed in 0..100 {
            let disk = SimDisk::new(seed);
            let file = disk.open(Path::new("new"), true).unwrap();
            file.write_all_at(b"1", 0).unwrap();
            file.sync_data().unwrap();
            disk.sync_folder(Path::new("")).unwrap();
            disk.rename(Path::new("new"), Path::new("old")).unwrap();
            disk.crash();
            assert!(read(&disk, "new").or(read(&disk, "old")).is_some());
        }
    }

    #[test]
    fn a_full_disk_refuses_and_a_failed_sync_loses() {
        let disk = SimDisk::new(1);
        let file = disk.open(Path::new("a"), true).unwrap();
        disk.set_capacity(10);
        file.write_all_at(&[1; 10], 0).unwrap();
        assert_eq!(file.write_all_at(&[1], 10).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(disk.free_octets(Path::new("")).unwrap(), 0);
        file.write_all_at(&[2; 10], 0).unwrap();
        disk.fail_syncs(1);
        assert!(file.sync_data().is_err());
        assert_eq!(file.octets().unwrap(), 0, "nothing had been synced before");
    }
}
