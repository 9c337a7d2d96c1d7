//! An index of places in a list, by a hash of what stands there: open addressing, eight octets a cell.
//!
//! The caller compares what stands there; the index knows nothing of it.

/// A cell that holds nothing.
const EMPTY: u32 = u32::MAX;
/// Cells that a new index has.
const CELLS_MIN: usize = 16;

/// Places by hash.
#[derive(Debug)]
pub(crate) struct Index {
    /// Hash and place; a power of two of them, at most three quarters in use.
    cells: Vec<(u32, u32)>,
    used: usize,
}

impl Index {
    /// An index of nothing.
    pub(crate) const fn new() -> Self {
        Self { cells: Vec::new(), used: 0 }
    }

    /// The first place under this hash that `is` the one.
    pub(crate) fn find(&self, hash: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.cells.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        loop {
            let (found, place) = self.cells[at];
            if place == EMPTY {
                return None;
            }
            if found == hash && is(place) {
                return Some(place);
            }
            at = (at + 1) & mask;
        }
    }

    /// Notes a place that is not there yet.
    pub(crate) fn insert(&mut self, hash: u32, place: u32) {
        if self.used * 4 >= self.cells.len() * 3 {
            let cells = (self.cells.len() * 2).max(CELLS_MIN);
            let before = std::mem::replace(&mut self.cells, vec![(0, EMPTY); cells]);
            for (hash, place) in before.into_iter().filter(|&(_, place)| place != EMPTY) {
                self.put(hash, place);
            }
        }
        self.put(hash, place);
        self.used += 1;
    }

    fn put(&mut self, hash: u32, place: u32) {
        let mask = self.cells.len() - 1;
        let mut at = hash as usize & mask;
        while self.cells[at].1 != EMPTY {
            at = (at + 1) & mask;
        }
        self.cells[at] = (hash, place);
    }

    /// Forgets a place; false when it was not there.
    pub(crate) fn remove(&mut self, hash: u32, place: u32) -> bool {
        let Some(mask) = self.cells.len().checked_sub(1) else { return false };
        let mut at = hash as usize & mask;
        while self.cells[at].1 != place {
            if self.cells[at].1 == EMPTY {
                return false;
            }
            at = (at + 1) & mask;
        }
        // What stands behind moves up, unless it would come to stand before its own cell.
        let mut behind = at;
        loop {
            behind = (behind + 1) & mask;
            let (hash, next) = self.cells[behind];
            if next == EMPTY {
                break;
            }
            let from_home = behind.wrapping_sub(hash as usize) & mask;
            if from_home >= (behind.wrapping_sub(at) & mask) {
                self.cells[at] = self.cells[behind];
                at = behind;
            }
        }
        self.cells[at] = (0, EMPTY);
        self.used -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use doorway_base::Random;

    use super::*;

    #[test]
    fn an_index_knows_what_a_set_knows() {
        let (mut index, mut set, mut random) = (Index::new(), BTreeSet::new(), Random::new(3));
        // Few hashes, so that most places collide.
        let hash = |place: u32| place % 37;
        for _ in 0..20_000 {
            let place = random.below(400) as u32;
            if set.insert(place) {
                assert_eq!(index.find(hash(place), |found| found == place), None);
                index.insert(hash(place), place);
            } else if random.chance(0.6) {
                set.remove(&place);
                assert!(index.remove(hash(place), place));
                assert!(!index.remove(hash(place), place));
            }
            assert_eq!(index.used, set.len());
        }
        for place in 0..400 {
            assert_eq!(index.find(hash(place), |found| found == place).is_some(), set.contains(&place));
        }
    }
}
