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
/// The owner lies below a cut or below a DNAME record; the link leads there.
pub(crate) const BELOW: u8 = 2;
/// The node has a CNAME record.
pub(crate) const ALIAS: u8 = 4;
/// The node has a DNAME record, so names below it are others' names.
pub(crate) const REDIRECT: u8 = 8;
/// The node is the hash of a name and nothing else: to a query it does not exist (RFC 5155 §7.2.8).
pub(crate) const HASH: u8 = 16;

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

/// The type under which a node of a zone with NSEC3 keeps where the record of its own hash is.
pub(crate) const HASHED: Type = Type::OPT;

/// What stands above a name and takes it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Above {
    /// Nothing: the zone answers for the name itself.
    Nothing,
    /// The node itself is a zone cut.
    Here,
    /// The cut or DNAME record at this place.
    At(u32),
}

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

    /// How many labels the name has, the root not counted.
    #[must_use]
    pub fn labels(&self) -> usize {
        let (name, mut at, mut labels) = (self.name(), 0, 0);
        while name[at] != 0 {
            at += usize::from(name[at]) + 1;
            labels += 1;
        }
        labels
    }

    /// Whether both are the same node of the same zone.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self.octets, other.octets)
    }

    fn link(&self) -> u32 {
        self.octets[4..].first_chunk::<4>().map_or(0, |four| u32::from_le_bytes(*four))
    }

    /// The wildcard right below this name; a node that names below do not belong to has none.
    pub(crate) fn wildcard(&self) -> Option<u32> {
        Some(self.link()).filter(|&link| link != 0)
    }

    pub(crate) fn above(&self) -> Above {
        match self.octets[1] & (CUT | BELOW) {
            0 => Above::Nothing,
            CUT => Above::Here,
            _ => Above::At(self.link()),
        }
    }

    pub(crate) const fn has(&self, flag: u8) -> bool {
        self.octets[1] & flag != 0
    }

    /// Where the NSEC3 record is whose owner is the hash of this name.
    pub(crate) fn hashed(&self) -> Option<u32> {
        let four = self.set(HASHED)?.records.first_chunk::<4>()?;
        Some(u32::from_le_bytes(*four)).filter(|&at| at != 0)
    }

    /// Every set of the node, in order of type, each with its signatures behind it, in a set of their
    /// own. At a cut: the NS records, the addresses that must go with them, those that may, then the
    /// rest. Signatures of types that the node does not have come first.
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

    /// Where its octets lie; two nodes are the same when they lie at the same place.
    pub(super) const fn as_ptr(&self) -> *const u8 {
        self.octets.as_ptr()
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

    /// The set of one type with the signatures over it.
    #[must_use]
    pub fn signed_set(&self, kind: Type) -> Option<(RrSet<'z>, Option<RrSet<'z>>)> {
        let mut sets = self.sets();
        let set = sets.find(|set| set.kind == kind)?;
        Some((set, sets.next().filter(|next| next.kind == Type::RRSIG && kind != Type::RRSIG)))
    }

    /// Whether the node is an alias: it has a CNAME record.
    #[must_use]
    pub const fn is_alias(&self) -> bool {
        self.has(ALIAS)
    }
}

impl<'z> RrSet<'z> {
    pub(super) const fn new(kind: Type, count: u16, records: &'z [u8], relocations: &'z [u8]) -> Self {
        Self { kind, count, records, relocations }
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
