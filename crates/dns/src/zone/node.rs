//! How one name and its answers lie in a zone's arena.
//!
//! ```text
//! 0  length of the name    1  flags    2  number of sets (u16)    4  link (u32)    8  the name
//!    one entry per set:    type, records, octets, relocations (u16 each)
//!    one stretch per set:  relocations (u16 each), records
//! ```
//!
//! Records are stored as a response carries them when the question is the node's own name: the owner
//! is a pointer to octet 12, where the question's name stands, and names inside RDATA point into it
//! where they can. When the question's name is longer than the node's (a wildcard, a referral, the SOA
//! of a negative answer), the pointers at the places called relocations move by the difference, and
//! nothing else changes. So every answer is a copy and a few additions.
//!
//! Numbers are little-endian, except inside records. A node begins at a multiple of eight, and links
//! and table entries count in eights, which allows 32 GiB.

use crate::wire::edns::OPT_OCTETS;
use crate::wire::message::MESSAGE_OCTETS_MAX;
use crate::wire::{HEADER_OCTETS, NAME_OCTETS_MAX, Type};

/// The owner is a cut: it has NS records and is not the apex.
pub(crate) const CUT: u8 = 1;
/// The owner lies below a cut; the link leads there.
pub(crate) const BELOW_CUT: u8 = 2;
/// The node has a CNAME record.
pub(crate) const ALIAS: u8 = 4;

/// Octets before the name.
pub(crate) const HEAD_OCTETS: usize = 8;
/// Octets of the entry of one set.
pub(crate) const ENTRY_OCTETS: usize = 8;
/// Offsets count in units of this many octets.
pub(crate) const UNIT_OCTETS: usize = 8;
/// The pointer to the question's name.
pub(crate) const QNAME_POINTER: u16 = 0xc000 | HEADER_OCTETS as u16;
/// Octets of a record before its RDATA, its owner a pointer.
pub const RECORD_HEAD_OCTETS: usize = 12;
/// Octets of the two fields that follow the name in a question.
pub(crate) const QUESTION_TAIL_OCTETS: usize = 4;
/// Octets that the records of one type at one name may have: a message less header and question.
pub const RRSET_OCTETS_MAX: usize =
    MESSAGE_OCTETS_MAX - HEADER_OCTETS - NAME_OCTETS_MAX - QUESTION_TAIL_OCTETS - OPT_OCTETS;
/// The type under which a cut keeps the addresses that go with its NS records.
pub(crate) const GLUE: Type = Type(0);

/// A name in a zone. From [`Zone::lookup`](super::Zone::lookup).
#[derive(Debug, Clone, Copy)]
pub struct Node<'z> {
    octets: &'z [u8],
}

/// The records of one type at one name, ready to be copied.
#[derive(Debug, Clone, Copy)]
pub struct RrSet<'z> {
    /// The type of every record.
    pub kind: Type,
    /// How many there are.
    pub count: u16,
    /// The records, as described at the head of this file.
    pub records: &'z [u8],
    relocations: &'z [u8],
}

fn u16_at(octets: &[u8], at: usize) -> u16 {
    octets[at..].first_chunk::<2>().map_or(0, |two| u16::from_le_bytes(*two))
}

impl<'z> Node<'z> {
    pub(crate) fn at(arena: &'z [u8], unit: u32) -> Self {
        Self { octets: &arena[unit as usize * UNIT_OCTETS..] }
    }

    /// The owner name in wire form and lower case.
    #[must_use]
    pub fn name(&self) -> &'z [u8] {
        &self.octets[HEAD_OCTETS..HEAD_OCTETS + usize::from(self.octets[0])]
    }

    /// Whether both are the same node of the same zone.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self.octets, other.octets)
    }

    fn link(&self) -> u32 {
        self.octets[4..].first_chunk::<4>().map_or(0, |four| u32::from_le_bytes(*four))
    }

    /// The wildcard right below this name; nodes at or below a cut have none.
    pub(crate) fn wildcard(&self) -> Option<u32> {
        Some(self.link()).filter(|&link| link != 0)
    }

    /// `None` above every cut, `Some(None)` at one, `Some(Some(where))` below one.
    pub(crate) fn cut(&self) -> Option<Option<u32>> {
        match self.octets[1] & (CUT | BELOW_CUT) {
            0 => None,
            CUT => Some(None),
            _ => Some(Some(self.link())),
        }
    }

    /// Every set of the node, in order of type. At a cut: the NS records, the addresses that must go
    /// with them, those that may, then the rest.
    pub fn sets(&self) -> impl Iterator<Item = RrSet<'z>> + use<'z> {
        let octets = self.octets;
        let entries = HEAD_OCTETS + usize::from(octets[0]);
        let count = usize::from(u16_at(octets, 2));
        let mut at = entries + count * ENTRY_OCTETS;
        (0..count).map(move |index| {
            let entry = entries + index * ENTRY_OCTETS;
            let relocations = at;
            let records = relocations + 2 * usize::from(u16_at(octets, entry + 6));
            at = records + usize::from(u16_at(octets, entry + 4));
            RrSet {
                kind: Type(u16_at(octets, entry)),
                count: u16_at(octets, entry + 2),
                records: &octets[records..at],
                relocations: &octets[relocations..records],
            }
        })
    }

    /// Octets of the node in the arena, before it is rounded up to whole units.
    pub(super) fn octets_len(&self) -> usize {
        let set = |set: RrSet<'_>| ENTRY_OCTETS + set.relocations.len() + set.records.len();
        HEAD_OCTETS + usize::from(self.octets[0]) + self.sets().map(set).sum::<usize>()
    }

    /// The set of one type.
    #[inline]
    #[must_use]
    pub fn set(&self, kind: Type) -> Option<RrSet<'z>> {
        self.sets().find(|set| set.kind == kind)
    }

    /// The CNAME record, when the node is an alias.
    #[must_use]
    pub fn alias(&self) -> Option<RrSet<'z>> {
        if self.octets[1] & ALIAS == 0 { None } else { self.set(Type::CNAME) }
    }
}

impl<'z> RrSet<'z> {
    pub(super) const fn negative(records: &'z [u8], relocations: &'z [u8]) -> Self {
        Self { kind: Type::SOA, count: 1, records, relocations }
    }

    /// The first `count` records, and the rest. Only for types whose RDATA all have one length and hold
    /// no name.
    #[must_use]
    pub fn split(&self, count: usize) -> (Self, Self) {
        let stride = self.records.len() / usize::from(self.count).max(1);
        let (first, rest) = self.records.split_at((count * stride).min(self.records.len()));
        let taken = count.min(usize::from(self.count)) as u16;
        (
            Self { records: first, count: taken, ..*self },
            Self { records: rest, count: self.count - taken, ..*self },
        )
    }

    /// Offsets in `records` of the pointers that move with the question's name.
    pub fn relocations(&self) -> impl Iterator<Item = usize> + use<'z> {
        self.relocations.as_chunks::<2>().0.iter().map(|two| usize::from(u16::from_le_bytes(*two)))
    }
}
