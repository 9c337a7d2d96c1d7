//! The addresses of one pool: which are free, which are only remembered, and where the search goes on.

use std::collections::BTreeSet;

use crate::plan::Pool;

/// The state of one pool.
#[derive(Debug)]
pub(crate) struct PoolState {
    first: u32,
    count: u32,
    /// One bit an address: set while it is leased, remembered, offered or kept for somebody.
    busy: Vec<u64>,
    free: u32,
    /// Where the search for a free address goes on, so that addresses are used in turn.
    cursor: u32,
    /// Addresses of leases that ended and that are not offered: when, in seconds since 1970, and which.
    remembered: BTreeSet<(u32, u32)>,
}

impl PoolState {
    pub(crate) fn new(pool: &Pool) -> Self {
        let first = pool.first.to_bits();
        // The whole of IPv4 is one more than 32 bits hold; no pool is as large.
        let count = (pool.last.to_bits() - first).saturating_add(1);
        let mut busy = vec![0; (count as usize).div_ceil(64)];
        if let (Some(last), 1..) = (busy.last_mut(), count % 64) {
            *last = u64::MAX << (count % 64);
        }
        Self { first, count, busy, free: count, cursor: 0, remembered: BTreeSet::new() }
    }

    /// Addresses in all.
    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    /// Addresses that somebody new may get.
    pub(crate) fn available(&self) -> u32 {
        self.free + self.remembered.len() as u32
    }

    pub(crate) fn set_busy(&mut self, address: u32, busy: bool) {
        let at = address - self.first;
        let word = &mut self.busy[(at / 64) as usize];
        let bit = 1 << (at % 64);
        if (*word & bit != 0) != busy {
            *word ^= bit;
            if busy { self.free -= 1 } else { self.free += 1 }
        }
    }

    pub(crate) fn remember(&mut self, ended: u32, address: u32) {
        self.remembered.insert((ended, address));
    }

    pub(crate) fn forget(&mut self, ended: u32, address: u32) {
        self.remembered.remove(&(ended, address));
    }

    /// The next free address behind the one that was found last.
    pub(crate) fn next_free(&mut self) -> Option<u32> {
        if self.free == 0 {
            return None;
        }
        let words = self.busy.len();
        let (word, bit) = ((self.cursor / 64) as usize, self.cursor % 64);
        // The first word is looked at twice: from the cursor on, and whole after all others.
        for step in 0..=words {
            let index = (word + step) % words;
            let hidden = if step == 0 { !(u64::MAX << bit) } else { 0 };
            let free = !(self.busy[index] | hidden);
            if free != 0 {
                let at = index as u32 * 64 + free.trailing_zeros();
                self.cursor = (at + 1) % self.count;
                return Some(self.first + at);
            }
        }
        None
    }

    /// The address whose lease ended longest ago.
    pub(crate) fn longest_ended(&self) -> Option<u32> {
        self.remembered.first().map(|&(_, address)| address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_addresses_are_found_in_turn_and_each_once() {
        for count in [1, 2, 63, 64, 65, 200] {
            let first = 0x0a00_0001;
            let mut pool = PoolState::new(&Pool::new(first.into(), (first + count - 1).into(), None));
            for round in 0..count {
                let address = pool.next_free().expect("a free address");
                assert_eq!(address, first + round);
                pool.set_busy(address, true);
                pool.set_busy(address, true);
            }
            assert_eq!((pool.next_free(), pool.available(), pool.count()), (None, 0, count));
            pool.set_busy(first, false);
            assert_eq!((pool.next_free(), pool.available()), (Some(first), 1));
        }
    }

    #[test]
    fn an_address_that_was_just_freed_comes_last() {
        let mut pool = PoolState::new(&Pool::new(1.into(), 3.into(), None));
        assert_eq!(pool.next_free(), Some(1));
        assert_eq!(pool.next_free(), Some(2));
        assert_eq!(pool.next_free(), Some(3));
        assert_eq!(pool.next_free(), Some(1));
        pool.remember(20, 1);
        pool.remember(10, 2);
        assert_eq!(pool.longest_ended(), Some(2));
        pool.forget(10, 2);
        assert_eq!(pool.longest_ended(), Some(1));
    }
}
