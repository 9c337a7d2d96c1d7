//! The tier in memory: how much is used, and what goes when it is too much.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::index::{Entry, Index};
use super::lock;
use crate::cache::admission::{Item, Queues, Standing};

/// Items that are gone may make the queues longer than this, over twice what is there, before they are
/// looked through.
const GONE_MAX: usize = 1024;

/// The memory for contents.
#[derive(Debug)]
pub(super) struct Memory {
    octets_max: u64,
    octets: AtomicU64,
    residents: AtomicU64,
    evicted: AtomicU64,
    queues: Mutex<Queues>,
}

impl Memory {
    pub(super) fn new(octets_max: u64) -> Self {
        let (octets, residents, evicted) = Default::default();
        Self { octets_max, octets, residents, evicted, queues: Mutex::default() }
    }

    /// Octets in use.
    pub(super) fn octets(&self) -> u64 {
        self.octets.load(Relaxed)
    }

    /// Responses in memory.
    pub(super) fn residents(&self) -> u64 {
        self.residents.load(Relaxed)
    }

    /// Responses that had to go so far.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted.load(Relaxed)
    }

    /// Takes memory for something that is on its way; false when there is none to be had. Gives back what
    /// had to go for it.
    pub(super) fn reserve(&self, index: &Index, octets: u64, gone: &mut Vec<(u64, Entry)>) -> bool {
        self.octets.fetch_add(octets, Relaxed);
        self.make_room(index, gone);
        let fits = self.octets() <= self.octets_max;
        if !fits {
            self.release(octets);
        }
        fits
    }

    /// Takes memory for something that is there already.
    pub(super) fn take(&self, octets: u64) {
        self.octets.fetch_add(octets, Relaxed);
    }

    /// Gives memory back.
    pub(super) fn release(&self, octets: u64) {
        self.octets.fetch_sub(octets, Relaxed);
    }

    /// Takes up something whose memory was taken.
    pub(super) fn admit(&self, index: &Index, item: Item, gone: &mut Vec<(u64, Entry)>) {
        let residents = self.residents.fetch_add(1, Relaxed) + 1;
        let mut queues = lock(&self.queues);
        queues.insert(item, self.octets_max);
        if queues.len() > 2 * residents as usize + GONE_MAX {
            queues.compact(|item| stand(index, item, false) != Standing::Gone);
        }
        drop(queues);
        self.make_room(index, gone);
    }

    /// Something that was taken up is there no longer.
    pub(super) fn leave(&self, octets: u64) {
        self.residents.fetch_sub(1, Relaxed);
        self.release(octets);
    }

    /// Lets one response go, whether or not there is room; false when there is none.
    pub(super) fn evict_one(&self, index: &Index, gone: &mut Vec<(u64, Entry)>) -> bool {
        let evicted = lock(&self.queues).evict(self.octets_max, |item| stand(index, item, true));
        let Some(item) = evicted else { return false };
        let mut octets = None;
        let entry = index.change(item.name, |entries| {
            let entry = entries.numbered(item.number)?;
            octets = entry.object.as_ref().map(|object| object.weight());
            if entry.place.is_some() {
                entry.object = None;
                return None;
            }
            // Whoever buries it must not give its memory back once more.
            entry.object = None;
            entries.take(|entry| entry.number == item.number).pop()
        });
        if let Some(octets) = octets {
            self.leave(octets);
            self.evicted.fetch_add(1, Relaxed);
        }
        gone.extend(entry.map(|entry| (item.name, entry)));
        true
    }

    fn make_room(&self, index: &Index, gone: &mut Vec<(u64, Entry)>) {
        while self.octets() > self.octets_max && self.evict_one(index, gone) {}
    }
}

// How an item stands; `turn` says that it is its turn to go, which costs it one of the times it was asked for.
fn stand(index: &Index, item: &Item, turn: bool) -> Standing {
    let standing = index.look(item.name, |entries| {
        let entry = entries.iter_mut().find(|entry| entry.number == item.number)?;
        let resident = entry.object.as_ref().is_some_and(|object| !object.is_filling());
        let standing = resident.then_some(Standing::Asked(entry.frequency));
        entry.frequency = entry.frequency.saturating_sub(u8::from(turn));
        standing
    });
    standing.flatten().unwrap_or(Standing::Gone)
}
