//! A zone's records, taken out of the answers they are kept in.
//!
//! Owners are in lower case, and so is what a name inside RDATA shares with its owner: a zone keeps
//! no more than that. Not here: what changes between two zones ([`change`](super::change)).

use super::node::{GLUE, HASHED, Node, RECORD_HEAD_OCTETS, RrSet};
use super::table::{HashKey, Key};
use super::{Zone, node};
use crate::wire::rtype::Field;
use crate::wire::{Class, HEADER_OCTETS, Name, Record, Type, rdata};

/// How far a walk through a zone has come. It stays good for as long as the zone it began in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(u32);

impl Place {
    /// In units of the arena, from its start.
    pub(super) const fn unit(self) -> u32 {
        self.0
    }
}

impl Default for Place {
    /// Before the first name, which is the apex.
    fn default() -> Self {
        Self(1)
    }
}

impl Zone {
    /// The name at `place`, which moves on; `None` behind the last. Parents come before their children,
    /// and empty non-terminals come too.
    pub fn step(&self, place: &mut Place) -> Option<Node<'_>> {
        let units = (self.arena.len() / node::UNIT_OCTETS) as u32;
        if place.0 < units {
            let found = self.node(place.0);
            place.0 += found.octets_len().div_ceil(node::UNIT_OCTETS) as u32;
            return Some(found);
        }
        // Behind the upper zone come the names that are the lower one's alone.
        let overlay = self.overlay.as_ref()?;
        let mut lower = Self::lower_place(place.0 - units);
        loop {
            let found = overlay.below.step(&mut lower);
            place.0 = units + lower.0;
            match found {
                Some(node) if overlay.names.contains(node.name()) => {}
                found => return found,
            }
        }
    }

    // A place in the lower zone: as for each zone, its first unit is empty.
    fn lower_place(unit: u32) -> Place {
        Place(unit.max(Place::default().0))
    }

    /// Every record, the SOA record first.
    pub fn iter(&self) -> impl Iterator<Item = Record> + '_ {
        let mut place = Place::default();
        let mut at_name = Vec::new().into_iter();
        std::iter::from_fn(move || {
            loop {
                if let Some(record) = at_name.next() {
                    return Some(record);
                }
                let mut records = self.step(&mut place)?.records();
                // The apex is the first name; nothing else has a SOA record.
                if let Some(soa) = records.iter().position(|record| record.kind == Type::SOA) {
                    records[..=soa].rotate_right(1);
                }
                at_name = records.into_iter();
            }
        })
    }

    /// The node of `name` itself, whether it is above, at or below a cut; empty non-terminals included.
    #[must_use]
    pub fn node_of(&self, name: &Name, secret: HashKey) -> Option<Node<'_>> {
        let mut key = Key::default();
        key.set(secret, name.as_octets()).filter(|_| name.is_within(&self.apex))?;
        self.any(&key, 0)
    }

    /// The SOA record.
    ///
    /// # Panics
    /// Never: a zone without one is not made.
    #[must_use]
    pub fn soa(&self) -> Record {
        let soa = self.node(self.apex_at).records().into_iter().find(|record| record.kind == Type::SOA);
        soa.expect("a zone has a SOA record")
    }
}

impl Node<'_> {
    /// The records of this name, those of one type together.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let owner = Name::from_wire(self.name()).unwrap_or_default();
        let mut records = Vec::new();
        for set in self.sets().filter(|set| set.kind != GLUE && set.kind != HASHED) {
            set.each(self.name(), |kind, ttl, data| {
                let rdata = data.to_vec();
                records.push(Record { name: owner.clone(), kind, class: Class::IN, ttl, rdata });
            });
        }
        records
    }
}

impl RrSet<'_> {
    // Calls `each` with type, TTL and RDATA of every record; `owner` is the name the set was made for.
    fn each(&self, owner: &[u8], mut each: impl FnMut(Type, u32, &[u8])) {
        let mut whole = Vec::new();
        let mut at = 0;
        while let Some(head) = self.records[at..].first_chunk::<RECORD_HEAD_OCTETS>() {
            let &[_, _, kind_high, kind_low, _, _, ttl @ .., length_high, length_low] = head;
            let start = at + RECORD_HEAD_OCTETS;
            let end = start + usize::from(u16::from_be_bytes([length_high, length_low]));
            whole.clear();
            let mut from = start;
            for pointer in self.relocations().skip_while(|&to| to < start).take_while(|&to| to < end) {
                whole.extend_from_slice(&self.records[from..pointer]);
                if let Some(two) = self.records[pointer..].first_chunk::<2>() {
                    let into_owner = usize::from(u16::from_be_bytes(*two) & 0x3fff) - HEADER_OCTETS;
                    whole.extend_from_slice(&owner[into_owner..]);
                }
                from = pointer + 2;
            }
            whole.extend_from_slice(&self.records[from..end]);
            each(Type(u16::from_be_bytes([kind_high, kind_low])), u32::from_be_bytes(ttl), &whole);
            at = end;
        }
    }
}

/// An RDATA with its names in lower case, so that equal ones have equal octets (RFC 4343 §3).
#[must_use]
pub fn comparable(kind: Type, data: &[u8]) -> Vec<u8> {
    let mut lowered = data.to_vec();
    let mut at = 0;
    rdata::for_each_field(kind, data, |field, octets| {
        if matches!(field, Field::CompressibleName | Field::PlainName) {
            // Length octets are at most 63 and so never ASCII letters.
            lowered[at..at + octets.len()].make_ascii_lowercase();
        }
        at += octets.len();
    });
    lowered
}
