//! One part of the table: entries found by hash, bounded in octets, evicted by S3-FIFO.
//!
//! An entry begins in a small queue. When its turn comes it moves to the main queue if it was asked
//! for meanwhile, and is given up if not; so a scan of names that nobody asks for again passes through
//! a tenth of the room and leaves the rest alone. What was given up is remembered by its hash for a
//! while and goes to the main queue at once when it comes back.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use doorway_base::Instant;

use super::Stats;
use super::entry::{Entry, Hit, Sort};
use crate::wire::Type;
use crate::wire::name::is_same;

/// The part of the room that the small queue may take.
const SMALL_SHARE: usize = 10;
/// How often an entry is counted as asked for at most.
const ASKED_MAX: u8 = 3;
/// Entries that were given up and are remembered at most, in one shard.
const REMEMBERED_MAX: usize = 4096;

// The keys are keyed hashes already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        octets.iter().for_each(|&octet| self.0 = self.0.rotate_left(8) ^ u64::from(octet));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

type Index = HashMap<u64, u32, BuildHasherDefault<AsItIs>>;

#[derive(Debug)]
struct Slot {
    key: u64,
    entry: Entry,
    gone_at: Instant,
    octets: u32,
    asked: u8,
    main: bool,
}

/// Entries with a bound in octets.
#[derive(Debug, Default)]
pub struct Shard {
    room: usize,
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    index: Index,
    // Slots by number and key; one whose key has changed since is no longer meant.
    small: VecDeque<(u32, u64)>,
    main: VecDeque<(u32, u64)>,
    remembered: VecDeque<u64>,
    remembered_set: HashSet<u64, BuildHasherDefault<AsItIs>>,
    octets: usize,
    small_octets: usize,
    entries: u64,
    hits: u64,
    misses: u64,
    stored: u64,
    evicted: u64,
}

/// Types whose entries lie beside the others of their name. Of more, a name could have so many that its place
/// is crowded.
const NEAR_TYPES: u16 = 64;

// One number for name, sort and type. The name's hash is keyed, so nobody can aim at another entry. The table
// finds its place by the lower half: that is the name's own, so that whoever asks for several things about one
// name waits for the memory once.
const fn key_of(hash: u64, sort: Sort, kind: Type) -> u64 {
    const PLACE: u64 = u32::MAX as u64;
    let salt = ((sort as u64) << 16 | kind.0 as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (hash ^ salt).wrapping_mul(0xd6e8_feb8_6659_fd93);
    if kind.0 < NEAR_TYPES { mixed & !PLACE | hash & PLACE } else { mixed }
}

impl Shard {
    pub(super) fn new(room: usize) -> Self {
        Self { room, ..Self::default() }
    }

    pub(super) fn find(
        &mut self,
        now: Instant,
        hash: u64,
        name: &[u8],
        sort: Sort,
        kind: Type,
    ) -> Option<Hit> {
        let key = key_of(hash, sort, kind);
        let at = *self.index.get(&key)?;
        let slot = self.slots[at as usize].as_mut()?;
        if !is_same(slot.entry.name(), name) || slot.entry.kind() != kind {
            return None;
        }
        if slot.gone_at <= now {
            self.drop_slot(at);
            return None;
        }
        slot.asked = (slot.asked + 1).min(ASKED_MAX);
        Some(slot.entry.hit())
    }

    pub(super) fn count_hit(&mut self, hit: bool) {
        *(if hit { &mut self.hits } else { &mut self.misses }) += 1;
    }

    pub(super) fn store(&mut self, hash: u64, sort: Sort, entry: Entry, gone_at: Instant) {
        let key = key_of(hash, sort, entry.kind());
        let octets = entry.octets();
        if octets > self.room / 2 {
            return;
        }
        self.stored += 1;
        let octets = octets as u32;
        if let Some(&at) = self.index.get(&key)
            && let Some(slot) = self.slots[at as usize].as_mut()
        {
            let before = slot.octets as usize;
            (slot.entry, slot.gone_at, slot.octets) = (entry, gone_at, octets);
            let share = if slot.main { &mut 0 } else { &mut self.small_octets };
            *share = (*share + octets as usize).saturating_sub(before);
            self.octets = (self.octets + octets as usize).saturating_sub(before);
        } else {
            let main = self.remembered_set.remove(&key);
            let slot = Some(Slot { key, entry, gone_at, octets, asked: 0, main });
            let at = match self.free.pop() {
                Some(at) => {
                    self.slots[at as usize] = slot;
                    at
                }
                None => {
                    self.slots.push(slot);
                    self.slots.len() as u32 - 1
                }
            };
            self.index.insert(key, at);
            self.entries += 1;
            self.octets += octets as usize;
            if main {
                self.main.push_back((at, key));
            } else {
                self.small.push_back((at, key));
                self.small_octets += octets as usize;
            }
        }
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.octets > self.room {
            let from_small = self.small_octets > self.room / SMALL_SHARE || self.main.is_empty();
            let queue = if from_small { &mut self.small } else { &mut self.main };
            let Some((at, key)) = queue.pop_front() else {
                // Both queues are empty only when nothing is left.
                if self.small.is_empty() && self.main.is_empty() {
                    return;
                }
                self.small_octets = 0;
                continue;
            };
            let Some(slot) = self.slots[at as usize].as_mut().filter(|slot| slot.key == key) else {
                continue;
            };
            if slot.main == from_small {
                // A second mention from before the slot was used again.
                continue;
            }
            if slot.asked > 0 {
                slot.asked -= 1;
                if from_small {
                    slot.main = true;
                    slot.asked = 0;
                    self.small_octets = self.small_octets.saturating_sub(slot.octets as usize);
                }
                self.main.push_back((at, key));
                continue;
            }
            if from_small {
                self.remember(key);
            }
            self.evicted += 1;
            self.drop_slot(at);
        }
        // Entries that were removed leave their mention behind.
        let bound = 2 * self.entries as usize + 64;
        if self.small.len() + self.main.len() > bound {
            let slots = &self.slots;
            let meant = |main: bool| {
                move |&(at, key): &(u32, u64)| {
                    slots[at as usize].as_ref().is_some_and(|slot| slot.key == key && slot.main == main)
                }
            };
            self.small.retain(meant(false));
            self.main.retain(meant(true));
        }
    }

    fn remember(&mut self, key: u64) {
        if self.remembered_set.insert(key) {
            self.remembered.push_back(key);
        }
        if self.remembered.len() > REMEMBERED_MAX
            && let Some(oldest) = self.remembered.pop_front()
        {
            self.remembered_set.remove(&oldest);
        }
    }

    fn drop_slot(&mut self, at: u32) {
        let Some(slot) = self.slots[at as usize].take() else { return };
        self.index.remove(&slot.key);
        self.free.push(at);
        self.entries -= 1;
        self.octets = self.octets.saturating_sub(slot.octets as usize);
        if !slot.main {
            self.small_octets = self.small_octets.saturating_sub(slot.octets as usize);
        }
    }

    pub(super) fn remove(&mut self, hash: u64, name: &[u8], sort: Sort, kind: Type) {
        let key = key_of(hash, sort, kind);
        let Some(&at) = self.index.get(&key) else { return };
        if self.slots[at as usize].as_ref().is_some_and(|slot| is_same(slot.entry.name(), name)) {
            self.drop_slot(at);
        }
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Entry) -> bool) -> usize {
        let before = self.entries;
        for at in 0..self.slots.len() {
            if self.slots[at].as_ref().is_some_and(|slot| !keep(&slot.entry)) {
                self.drop_slot(at as u32);
            }
        }
        (before - self.entries) as usize
    }

    pub(super) fn clear(&mut self) -> usize {
        let (room, entries) = (self.room, self.entries);
        let counts = (self.hits, self.misses, self.stored, self.evicted);
        *self = Self::new(room);
        (self.hits, self.misses, self.stored, self.evicted) = counts;
        entries as usize
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().flatten().map(|slot| &slot.entry)
    }

    pub(super) const fn add_to(&self, stats: &mut Stats) {
        stats.entries += self.entries;
        stats.octets += self.octets as u64;
        stats.hits += self.hits;
        stats.misses += self.misses;
        stats.stored += self.stored;
        stats.evicted += self.evicted;
    }
}
