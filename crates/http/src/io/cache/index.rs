//! Where everything is that is kept: found by short names, under locks that are held for a moment each.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use super::hosts::Host;
use super::lock;
use super::object::Object;

/// Parts with a lock of their own. Many, so that going through one of them keeps others waiting for a moment
/// only.
const SHARDS: usize = 1024;

/// Where a response lies on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The segment that has its head.
    pub(super) segment: u32,
    /// Where its record begins there.
    pub(super) at: u32,
    /// Octets of that record's head.
    pub(super) head_octets: u32,
    /// The oldest segment that has some of its content.
    pub(super) oldest: u32,
}

/// What the index knows about one response.
#[derive(Debug)]
pub(super) struct Entry {
    /// Of the content; no two are equal.
    pub(super) number: u64,
    /// Of what selects it.
    pub(super) variant: u64,
    /// Orders to forget up to this number are not about it.
    pub(super) purges: u64,
    pub(super) host: Arc<Host>,
    pub(super) tags: Option<Box<[u64]>>,
    /// Octets of content.
    pub(super) octets: u64,
    /// The response, unless it is on disk alone.
    pub(super) object: Option<Arc<Object>>,
    pub(super) place: Option<Place>,
    /// How often it was asked for since its queue last looked.
    pub(super) frequency: u8,
    /// Whether it was asked for since it was written to disk.
    pub(super) asked: bool,
    pub(super) must_validate: bool,
}

/// The responses of one target, newest first.
#[derive(Debug, Default)]
pub(super) enum Entries {
    #[default]
    None,
    One(Entry),
    Many(Vec<Entry>),
}

impl Entries {
    pub(super) fn list(&self) -> &[Entry] {
        match self {
            Self::None => &[],
            Self::One(entry) => std::slice::from_ref(entry),
            Self::Many(entries) => entries,
        }
    }

    pub(super) fn list_mut(&mut self) -> &mut [Entry] {
        match self {
            Self::None => &mut [],
            Self::One(entry) => std::slice::from_mut(entry),
            Self::Many(entries) => entries,
        }
    }

    pub(super) fn numbered(&mut self, number: u64) -> Option<&mut Entry> {
        self.list_mut().iter_mut().find(|entry| entry.number == number)
    }

    pub(super) fn add_first(&mut self, entry: Entry) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(entry),
            Self::One(other) => Self::Many(vec![entry, other]),
            Self::Many(mut entries) => {
                entries.insert(0, entry);
                Self::Many(entries)
            }
        };
    }

    /// Takes out those for which `take` says so.
    pub(super) fn take(&mut self, mut take: impl FnMut(&mut Entry) -> bool) -> Vec<Entry> {
        match std::mem::take(self) {
            Self::None => Vec::new(),
            Self::One(mut entry) => {
                if take(&mut entry) {
                    return vec![entry];
                }
                *self = Self::One(entry);
                Vec::new()
            }
            Self::Many(mut entries) => {
                let taken = entries.extract_if(.., |entry| take(entry)).collect();
                *self = match entries.len() {
                    0 => Self::None,
                    1 => entries.pop().map_or(Self::None, Self::One),
                    _ => Self::Many(entries),
                };
                taken
            }
        }
    }
}

/// Short names are hashes already.
#[derive(Debug, Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        octets.iter().for_each(|octet| self.0 = self.0 << 8 | u64::from(*octet));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

type Shard = HashMap<u64, Entries, BuildHasherDefault<AsItIs>>;

/// The index.
#[derive(Debug)]
pub(super) struct Index {
    shards: Box<[Mutex<Shard>]>,
    objects: AtomicU64,
}

impl Index {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), objects: AtomicU64::new(0) }
    }

    /// How many responses there are.
    pub(super) fn len(&self) -> u64 {
        self.objects.load(Relaxed)
    }

    fn shard(&self, name: u64) -> &Mutex<Shard> {
        // The low bits choose the place in the table, the high ones the table.
        &self.shards[(name >> 54) as usize % SHARDS]
    }

    /// Looks at the responses of a target, of which there are some, without taking any out.
    pub(super) fn look<R>(&self, name: u64, look: impl FnOnce(&mut [Entry]) -> R) -> Option<R> {
        lock(self.shard(name)).get_mut(&name).map(|entries| look(entries.list_mut()))
    }

    /// Changes the responses of a target.
    pub(super) fn change<R>(&self, name: u64, change: impl FnOnce(&mut Entries) -> R) -> R {
        let mut shard = lock(self.shard(name));
        let entries = shard.entry(name).or_default();
        let before = entries.list().len() as u64;
        let result = change(entries);
        let after = entries.list().len() as u64;
        if after == 0 {
            shard.remove(&name);
        }
        drop(shard);
        self.objects.fetch_add(after.wrapping_sub(before), Relaxed);
        result
    }

    /// Goes through one part, and takes out those for which `take` says so.
    pub(super) fn sweep(
        &self,
        part: usize,
        mut take: impl FnMut(u64, &mut Entry) -> bool,
    ) -> Vec<(u64, Entry)> {
        let mut shard = lock(&self.shards[part]);
        let mut taken = Vec::new();
        shard.retain(|name, entries| {
            taken.extend(entries.take(|entry| take(*name, entry)).into_iter().map(|entry| (*name, entry)));
            !matches!(entries, Entries::None)
        });
        drop(shard);
        self.objects.fetch_sub(taken.len() as u64, Relaxed);
        taken
    }

    /// How many parts there are to sweep.
    pub(super) const fn parts() -> usize {
        SHARDS
    }
}
