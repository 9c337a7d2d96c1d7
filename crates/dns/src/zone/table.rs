//! Names found by hash.
//!
//! A name is hashed label by label from the root down, so one pass over a query's name gives the hash
//! of the name and of each of its ancestors. The hash is keyed: who does not know the key cannot make
//! names collide.

use std::fmt;

use doorway_base::Random;
use doorway_net::memory;

use crate::wire::{LABELS_MAX, NAME_OCTETS_MAX};

/// The secret of the hash. All zones of a server share one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashKey {
    start: u64,
    multiplier: u64,
}

impl fmt::Debug for HashKey {
    /// A secret does not print itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey")
    }
}

impl HashKey {
    /// A key drawn from `random`.
    #[must_use]
    pub fn new(random: &mut Random) -> Self {
        Self { start: random.next_u64(), multiplier: random.next_u64() | 1 }
    }

    /// The hash of a whole name in wire form, whatever its letter case, mixed with `also`.
    pub(crate) fn of_name(self, name: &[u8], also: u64) -> u64 {
        let mut state = self.fold(self.start, also);
        let (words, rest) = name.as_chunks::<8>();
        for word in words {
            let mut word = *word;
            word.make_ascii_lowercase();
            state = self.fold(state, u64::from_le_bytes(word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        last.make_ascii_lowercase();
        self.fold(state, u64::from_le_bytes(last) ^ (name.len() as u64) << 56)
    }

    // One multiplication to 128 bits, its halves folded together: every bit in reaches every bit out.
    #[inline]
    const fn fold(self, state: u64, octets: u64) -> u64 {
        let product = (state ^ octets) as u128 * self.multiplier as u128;
        (product as u64) ^ (product >> 64) as u64
    }
}

/// A name in lower case with the hash of each of its suffixes; scratch space that is used again.
///
/// Label 0 is the first label; label [`labels`](Key::labels) is the root.
#[derive(Debug, Clone)]
pub struct Key {
    octets: [u8; NAME_OCTETS_MAX + 9],
    length: usize,
    labels: usize,
    starts: [u8; LABELS_MAX + 1],
    hashes: [u64; LABELS_MAX + 1],
}

impl Default for Key {
    fn default() -> Self {
        Self {
            octets: [0; NAME_OCTETS_MAX + 9],
            length: 1,
            labels: 0,
            starts: [0; LABELS_MAX + 1],
            hashes: [0; LABELS_MAX + 1],
        }
    }
}

impl Key {
    /// Takes the uncompressed name at the front of `octets`; returns its length in octets.
    ///
    /// `None`, with the key left unusable, for anything that is not one: a pointer, more than 255
    /// octets, no end.
    #[inline]
    pub fn set(&mut self, secret: HashKey, octets: &[u8]) -> Option<usize> {
        let (mut at, mut labels) = (0, 0);
        loop {
            let length = usize::from(*octets.get(at)?);
            self.starts[labels] = at as u8;
            if length == 0 {
                break;
            }
            labels += 1;
            at += length + 1;
            if length > 63 || at >= NAME_OCTETS_MAX {
                return None;
            }
        }
        self.length = at + 1;
        self.labels = labels;
        self.octets[..=at].copy_from_slice(&octets[..=at]);
        // Length octets are below every letter, so the whole name is lowered at once.
        for chunk in self.octets[..self.length.next_multiple_of(8)].as_chunks_mut::<8>().0 {
            *chunk = lower(u64::from_le_bytes(*chunk)).to_le_bytes();
        }
        let mut hash = secret.start;
        self.hashes[labels] = hash;
        for label in (0..labels).rev() {
            let mut at = usize::from(self.starts[label]);
            let mut left = usize::from(self.starts[label + 1]) - at;
            while left > 8 {
                hash = secret.fold(hash, self.load(at));
                at += 8;
                left -= 8;
            }
            hash = secret.fold(hash, self.load(at) & (u64::MAX >> (64 - 8 * left)));
            self.hashes[label] = hash;
        }
        Some(self.length)
    }

    #[inline]
    fn load(&self, at: usize) -> u64 {
        self.octets[at..].first_chunk::<8>().map_or(0, |chunk| u64::from_le_bytes(*chunk))
    }

    /// How many labels the name has, the root not counted.
    #[must_use]
    pub const fn labels(&self) -> usize {
        self.labels
    }

    /// The part of the name from `label` on, in wire form and lower case.
    #[must_use]
    pub fn suffix(&self, label: usize) -> &[u8] {
        &self.octets[usize::from(self.starts[label])..self.length]
    }

    /// The hash of that part.
    #[must_use]
    pub const fn hash(&self, label: usize) -> u64 {
        self.hashes[label]
    }
}

// Turns A-Z into a-z in eight octets at once.
const fn lower(octets: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let low = octets & (0x7f * EACH);
    let from_a = low + (0x80 - b'A' as u64) * EACH;
    let past_z = low + (0x7f - b'Z' as u64) * EACH;
    let letters = (from_a ^ past_z) & !octets & (0x80 * EACH);
    octets | (letters >> 2)
}

/// Open addressing from a hash to an offset; offset 0 stands for a free slot.
///
/// A slot holds the upper half of the hash beside the offset, so that a name that is not there is
/// almost always known by the table alone.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    slots: Vec<u64>,
    taken: usize,
}

impl Table {
    /// A table that takes `names` entries before it is [full](Table::is_full).
    pub(crate) fn with_room(names: usize) -> Self {
        let slots = (names + names / 2 + 4).next_power_of_two();
        Self { slots: memory::in_huge_pages(vec![0; slots]), taken: 0 }
    }

    /// A table for so many entries that has those of this one, each with the offset that `place` gives for
    /// its own; `hash` gives back the whole hash.
    pub(crate) fn moved(&self, names: usize, place: impl Fn(u32) -> u32, hash: impl Fn(u32) -> u64) -> Self {
        let mut table = Self::with_room(names);
        let taken = self.slots.iter().filter(|slot| **slot != 0);
        if table.slots.len() == self.slots.len() {
            // Every entry has its slot already: one pass from front to back.
            for (to, from) in table.slots.iter_mut().zip(&self.slots).filter(|(_, from)| **from != 0) {
                *to = (from & !0xffff_ffff) | u64::from(place(*from as u32));
            }
            table.taken = self.taken;
        } else {
            taken.for_each(|&slot| table.insert(hash(slot as u32), place(slot as u32)));
        }
        table
    }

    /// Whether the next entry should go to a larger table.
    pub(crate) fn is_full(&self) -> bool {
        self.taken >= self.slots.len() - self.slots.len() / 4
    }

    pub(crate) fn slots(&self) -> &[u64] {
        &self.slots
    }

    pub(crate) fn memory_octets(&self) -> usize {
        self.slots.capacity() * 8
    }

    /// Adds an entry that is not there yet. The offset must not be 0, nor the table full.
    pub(crate) fn insert(&mut self, hash: u64, offset: u32) {
        debug_assert!(offset != 0 && !self.is_full(), "a table with room and an offset to put into it");
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = (hash & !0xffff_ffff) | u64::from(offset);
        self.taken += 1;
    }

    /// Where looking for `hash` begins.
    #[inline]
    pub(crate) fn slot_of(&self, hash: u64) -> *const u8 {
        std::ptr::from_ref(&self.slots[hash as usize & (self.slots.len() - 1)]).cast()
    }

    /// The offset under `hash` for which `same` holds.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut same: impl FnMut(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let entry = self.slots[slot];
            if entry == 0 {
                return None;
            }
            if (entry ^ hash) >> 32 == 0 && same(entry as u32) {
                return Some(entry as u32);
            }
            slot = (slot + 1) & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Name;

    #[test]
    fn letter_case_does_not_change_a_key() {
        let secret = HashKey::new(&mut Random::new(1));
        let (mut lower, mut upper) = (Key::default(), Key::default());
        let every: Vec<u8> = (0..=255).collect();
        for chunk in every.chunks(63) {
            let name = Name::from_labels([chunk, b"Example"]).unwrap();
            assert_eq!(lower.set(secret, name.lowered().as_octets()), Some(name.as_octets().len()));
            assert_eq!(upper.set(secret, name.as_octets()), Some(name.as_octets().len()));
            assert_eq!(lower.suffix(0), upper.suffix(0));
            assert_eq!(lower.suffix(0), name.lowered().as_octets());
            assert_eq!(lower.hash(0), upper.hash(0));
        }
    }

    #[test]
    fn a_suffix_hashes_like_the_name_it_is() {
        let secret = HashKey::new(&mut Random::new(2));
        let (mut long, mut short) = (Key::default(), Key::default());
        let name: Name = "a.label-of-more-than-eight.b.example.com".parse().unwrap();
        long.set(secret, name.as_octets());
        let mut parent = Some(name);
        for label in 0.. {
            let Some(name) = parent else { break };
            short.set(secret, name.as_octets());
            assert_eq!((short.suffix(0), short.hash(0)), (long.suffix(label), long.hash(label)));
            parent = name.parent();
        }
    }

    #[test]
    fn a_key_refuses_what_is_not_a_whole_name() {
        let secret = HashKey::new(&mut Random::new(3));
        let mut key = Key::default();
        let longest = Name::from_labels(std::iter::repeat_n(&b"x"[..], LABELS_MAX)).unwrap();
        assert_eq!(key.set(secret, longest.as_octets()), Some(NAME_OCTETS_MAX));
        for length in 0..longest.as_octets().len() {
            assert_eq!(key.set(secret, &longest.as_octets()[..length]), None);
        }
        assert_eq!(key.set(secret, &[1, b'x', 0xc0, 0]), None);
        assert_eq!(key.set(secret, &[1, b'x', 0x40, 0]), None);
        let mut long = vec![2, b'x', b'x'];
        long.extend_from_slice(&longest.as_octets()[2..]);
        assert_eq!(key.set(secret, &long), None);
    }
}
