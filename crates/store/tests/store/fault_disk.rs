//! A disk in memory that fails as real ones do: it loses what was not synced, tears writes at sector
//! bounds, fills up, and refuses to sync.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use doorway_base::{Disk, DiskFile, Random};

const SECTOR_OCTETS: usize = 512;

#[derive(Debug, Clone)]
enum Pending {
    Write { at: usize, octets: Vec<u8> },
    Truncate(usize),
}

#[derive(Debug, Clone, Default)]
struct Content {
    durable: Vec<u8>,
    now: Vec<u8>,
    pending: Vec<Pending>,
}

#[derive(Debug, Clone, Default)]
struct State {
    contents: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// Writes and syncs so far.
    steps: u64,
    room: Option<u64>,
    sync_fails: bool,
}

/// A disk that can fail.
#[derive(Debug, Clone, Default)]
pub(crate) struct FaultDisk(Arc<Mutex<State>>);

struct FaultFile {
    disk: FaultDisk,
    content: usize,
}

fn write(content: &mut Vec<u8>, at: usize, octets: &[u8]) {
    if content.len() < at + octets.len() {
        content.resize(at + octets.len(), 0);
    }
    content[at..at + octets.len()].copy_from_slice(octets);
}

#[allow(dead_code, reason = "the unit tests and the integration tests each use a part of it")]
impl FaultDisk {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    /// Writes and syncs so far: a test looks at each of these moments.
    pub(crate) fn steps(&self) -> u64 {
        self.with(|state| state.steps)
    }

    /// A copy that goes its own way from here.
    pub(crate) fn fork(&self) -> Self {
        Self(Arc::new(Mutex::new(self.with(|state| state.clone()))))
    }

    /// The disk as a power cut leaves it: each write since the last sync is there, torn, or lost.
    pub(crate) fn after_power_cut(&self, random: &mut Random) -> Self {
        let mut state = self.with(|state| state.clone());
        for content in &mut state.contents {
            for pending in std::mem::take(&mut content.pending) {
                match pending {
                    Pending::Write { at, octets } => match random.below(3) {
                        0 => {}
                        1 => write(&mut content.durable, at, &octets),
                        _ => {
                            for (sector, part) in octets.chunks(SECTOR_OCTETS).enumerate() {
                                if random.chance(0.5) {
                                    write(&mut content.durable, at + sector * SECTOR_OCTETS, part);
                                }
                            }
                        }
                    },
                    Pending::Truncate(octets) if random.chance(0.5) => content.durable.resize(octets, 0),
                    Pending::Truncate(_) => {}
                }
            }
            content.now.clone_from(&content.durable);
        }
        let paths: Vec<PathBuf> = state.names.keys().chain(state.durable_names.keys()).cloned().collect();
        for path in paths {
            let kept = if random.chance(0.5) { &state.names } else { &state.durable_names };
            match kept.get(&path).copied() {
                Some(content) => state.durable_names.insert(path, content),
                None => state.durable_names.remove(&path),
            };
        }
        state.names = state.durable_names.clone();
        Self(Arc::new(Mutex::new(state)))
    }

    /// Leaves room for this many octets more; `None` for as many as one likes.
    pub(crate) fn set_room(&self, room: Option<u64>) {
        self.with(|state| state.room = room);
    }

    /// Makes every sync fail, or work again.
    pub(crate) fn set_sync_fails(&self, fails: bool) {
        self.with(|state| state.sync_fails = fails);
    }
}

impl Disk for FaultDisk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Box<dyn DiskFile>> {
        let content = self.with(|state| match state.names.get(path) {
            Some(content) => Ok(*content),
            None if create => {
                state.contents.push(Content::default());
                state.names.insert(path.to_owned(), state.contents.len() - 1);
                Ok(state.contents.len() - 1)
            }
            None => Err(io::ErrorKind::NotFound),
        })?;
        Ok(Box::new(FaultFile { disk: self.clone(), content }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.with(|state| state.names.remove(path)).map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.with(|state| {
            let content = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
            state.names.insert(to.to_owned(), content);
            Ok(())
        })
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self
            .with(|state| state.names.keys().filter(|path| path.parent() == Some(folder)).cloned().collect()))
    }

    fn create_folder(&self, _folder: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.with(|state| {
            state.durable_names.retain(|path, _| path.parent() != Some(folder));
            let inside: Vec<_> = state
                .names
                .iter()
                .filter(|(path, _)| path.parent() == Some(folder))
                .map(|(p, c)| (p.clone(), *c))
                .collect();
            state.durable_names.extend(inside);
        });
        Ok(())
    }

    fn free_octets(&self, _path: &Path) -> io::Result<u64> {
        Ok(self.with(|state| state.room.unwrap_or(u64::MAX)))
    }
}

impl DiskFile for FaultFile {
    fn read_exact_at(&self, octets: &mut [u8], offset: u64) -> io::Result<()> {
        self.disk.with(|state| {
            let content = &state.contents[self.content].now;
            let found = content.get(offset as usize..offset as usize + octets.len());
            octets.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write_all_at(&self, octets: &[u8], offset: u64) -> io::Result<()> {
        self.disk.with(|state| {
            state.steps += 1;
            let fits = state.room.map_or(octets.len(), |room| octets.len().min(room as usize));
            let content = &mut state.contents[self.content];
            write(&mut content.now, offset as usize, &octets[..fits]);
            content.pending.push(Pending::Write { at: offset as usize, octets: octets[..fits].to_vec() });
            state.room = state.room.map(|room| room - fits as u64);
            if fits < octets.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.with(|state| {
            state.steps += 1;
            if state.sync_fails {
                return Err(io::Error::other("input/output error"));
            }
            let content = &mut state.contents[self.content];
            content.durable.clone_from(&content.now);
            content.pending.clear();
            Ok(())
        })
    }

    fn octets(&self) -> io::Result<u64> {
        Ok(self.disk.with(|state| state.contents[self.content].now.len() as u64))
    }

    fn truncate(&self, octets: u64) -> io::Result<()> {
        self.disk.with(|state| {
            let content = &mut state.contents[self.content];
            content.now.resize(octets as usize, 0);
            content.pending.push(Pending::Truncate(octets as usize));
        });
        Ok(())
    }
}
