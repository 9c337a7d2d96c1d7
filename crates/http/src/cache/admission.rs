//! What stays in memory when there is no room for all: S3-FIFO (Yang and others, "FIFO queues are all you
//! need for cache eviction", SOSP 2023).
//!
//! What is new waits in a small queue. What is asked for again while it waits there moves to the main queue;
//! the rest goes, and leaves its name behind among the ghosts: should it come back soon, it begins in the
//! main queue. A hit moves nothing, it only counts, so that finding takes no lock over the queues.

use std::collections::{HashMap, VecDeque};

/// The small queue has one in so many octets.
const SMALL_PART: u64 = 10;
/// Most ghosts, whatever they weighed.
const GHOSTS_MAX: usize = 1 << 20;
/// What was asked for more often than this moves on from the small queue.
const SEEN_ONCE: u8 = 1;
/// Counting stops here.
pub const FREQUENCY_MAX: u8 = 3;

/// Something in the queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// What is asked for: the same when it comes back.
    pub name: u64,
    /// This one of it: another one when it comes back.
    pub number: u64,
    /// What it takes, in octets.
    pub weight: u64,
}

/// What the holder of an item says about it when it is its turn to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is not there any more.
    Gone,
    /// It was asked for so often since the last time: at most [`FREQUENCY_MAX`].
    Asked(u8),
}

/// The queues. They know what came when; whether it is still there, and how often it was asked for since, is
/// asked of the holder when it matters.
#[derive(Debug, Default)]
pub struct Queues {
    small: VecDeque<Item>,
    main: VecDeque<Item>,
    small_octets: u64,
    main_octets: u64,
    ghosts: VecDeque<(u64, u64)>,
    ghost_octets: u64,
    // Looked up, never iterated: how many ghosts have this name.
    ghost_names: HashMap<u64, u32>,
}

impl Queues {
    /// Takes up an item. `octets_max` is what all may take together.
    pub fn insert(&mut self, item: Item, octets_max: u64) {
        if self.ghost_names.contains_key(&item.name) {
            self.main_octets += item.weight;
            self.main.push_back(item);
        } else {
            self.small_octets += item.weight;
            self.small.push_back(item);
        }
        let ghost_octets_max = octets_max - octets_max / SMALL_PART;
        while self.ghost_octets > ghost_octets_max || self.ghosts.len() > GHOSTS_MAX {
            self.forget_ghost();
        }
    }

    /// Chooses what has to go next, and takes it out. `standing` tells how an item stands, and counts anew
    /// from there on. Items that are gone fall out on the way.
    pub fn evict(&mut self, octets_max: u64, mut standing: impl FnMut(&Item) -> Standing) -> Option<Item> {
        loop {
            let from_small = self.small_octets > octets_max / SMALL_PART || self.main.is_empty();
            if from_small && let Some(item) = self.small.pop_front() {
                self.small_octets -= item.weight;
                match standing(&item) {
                    Standing::Gone => {}
                    Standing::Asked(times) if times > SEEN_ONCE => {
                        self.main_octets += item.weight;
                        self.main.push_back(item);
                    }
                    Standing::Asked(_) => {
                        self.remember_ghost(item);
                        return Some(item);
                    }
                }
            } else if let Some(item) = self.main.pop_front() {
                self.main_octets -= item.weight;
                match standing(&item) {
                    Standing::Gone => {}
                    // Its turn comes again: asked for or not, each round costs it what it had.
                    Standing::Asked(times) if times > 0 => {
                        self.main_octets += item.weight;
                        self.main.push_back(item);
                    }
                    Standing::Asked(_) => return Some(item),
                }
            } else if self.small.is_empty() {
                return None;
            }
        }
    }

    /// Drops the items that are gone: worth it when there are many more items than things.
    pub fn compact(&mut self, mut is_there: impl FnMut(&Item) -> bool) {
        self.small.retain(&mut is_there);
        self.main.retain(&mut is_there);
        self.small_octets = self.small.iter().map(|item| item.weight).sum();
        self.main_octets = self.main.iter().map(|item| item.weight).sum();
    }

    /// Items in both queues, those that are gone among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.small.len() + self.main.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn remember_ghost(&mut self, item: Item) {
        self.ghosts.push_back((item.name, item.weight));
        self.ghost_octets += item.weight;
        *self.ghost_names.entry(item.name).or_default() += 1;
    }

    fn forget_ghost(&mut self) {
        let Some((name, weight)) = self.ghosts.pop_front() else { return };
        self.ghost_octets -= weight;
        if let Some(count) = self.ghost_names.get_mut(&name) {
            *count -= 1;
            if *count == 0 {
                self.ghost_names.remove(&name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// A memory over the queues, as the cache has one.
    #[derive(Default)]
    struct Memory {
        queues: Queues,
        here: BTreeMap<u64, (u64, u8)>,
        octets: u64,
        next: u64,
    }

    impl Memory {
        /// Asks for `name`, and keeps it when it is not here; true for a hit.
        fn ask(&mut self, name: u64, weight: u64, octets_max: u64) -> bool {
            if let Some((_, asked)) = self.here.get_mut(&name) {
                *asked = FREQUENCY_MAX.min(*asked + 1);
                return true;
            }
            self.next += 1;
            self.here.insert(name, (self.next, 0));
            self.octets += weight;
            self.queues.insert(Item { name, number: self.next, weight }, octets_max);
            while self.octets > octets_max {
                let here = &mut self.here;
                let evicted = self.queues.evict(octets_max, |item| match here.get_mut(&item.name) {
                    Some((number, asked)) if *number == item.number => {
                        let standing = Standing::Asked(*asked);
                        *asked = asked.saturating_sub(1);
                        standing
                    }
                    _ => Standing::Gone,
                });
                let evicted = evicted.expect("what is over the bound is in the queues");
                self.here.remove(&evicted.name);
                self.octets -= evicted.weight;
            }
            false
        }
    }

    #[test]
    fn what_is_asked_for_once_does_not_drive_out_what_is_asked_for_again() {
        let mut memory = Memory::default();
        for _ in 0..4 {
            (0..50).for_each(|name| _ = memory.ask(name, 1, 100));
        }
        // A scan over ten times what there is room for, with the popular ones in between.
        let mut hits = 0;
        for step in 0..1000 {
            memory.ask(1000 + step, 1, 100);
            hits += u32::from(memory.ask(step % 50, 1, 100));
        }
        assert!(hits > 900, "{hits} of 1000");
    }

    #[test]
    fn what_comes_back_soon_begins_in_the_main_queue() {
        let mut memory = Memory::default();
        (0..200).for_each(|name| _ = memory.ask(name, 1, 100));
        assert!(!memory.here.contains_key(&50) && memory.queues.main.is_empty());
        memory.ask(50, 1, 100);
        assert_eq!(memory.queues.main.len(), 1);
    }

    proptest! {
        #[test]
        fn octets_and_ghosts_stay_within_their_bounds(
            asked in proptest::collection::vec((0u64..200, 1u64..40), 1..2000),
            removed in proptest::collection::vec(0usize..2000, 0..200),
        ) {
            let mut memory = Memory::default();
            for (step, (name, weight)) in asked.iter().enumerate() {
                if removed.contains(&step)
                    && let Some((first, (number, _))) = memory.here.pop_first()
                {
                    let weight = memory.queues.small.iter().chain(&memory.queues.main);
                    let weight = weight.into_iter().find(|item| item.number == number).map(|item| item.weight);
                    memory.octets -= weight.expect("what is here is in the queues");
                    let _ = first;
                }
                memory.ask(*name, *weight, 500);
                prop_assert!(memory.octets <= 500);
                prop_assert!(memory.queues.ghost_octets <= 500 + 40);
                let names: u32 = memory.queues.ghost_names.values().sum();
                prop_assert_eq!(names as usize, memory.queues.ghosts.len());
            }
            let here = memory.here.clone();
            memory.queues.compact(|item| here.get(&item.name).is_some_and(|(number, _)| *number == item.number));
            prop_assert_eq!(memory.queues.len(), memory.here.len());
            prop_assert_eq!(memory.queues.small_octets + memory.queues.main_octets, memory.octets);
        }
    }
}
