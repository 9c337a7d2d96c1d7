//! Proofs that something does not exist, found in a signed zone: RFC 4034 §4 and §6.1, RFC 5155 §5 to
//! §7.
//!
//! NSEC and NSEC3 records are listed in their order when the zone is read, and every name of a zone with
//! NSEC3 is linked to the record of its own hash; so of all hashes only those of names that do not exist
//! are made per query. Not here: which proof an answer needs (`authority`), and signing.

use std::cmp::Ordering;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::check::Report;
use super::draft::Draft;
use super::fault::Severity;
use super::node::{BELOW, HASH, HASHED, Node};
use crate::wire::rdata::base32hex_digits;
use crate::wire::{LABELS_MAX, NAME_OCTETS_MAX, Type};

/// Extra rounds of the hash at most; more only cost (RFC 9276 §3.1). A zone with more is refused.
pub const ITERATIONS_MAX: u16 = 500;

const SHA1: u8 = 1;
/// Octets of a hash, and digits that spell it in an owner name.
const HASH_OCTETS: usize = 20;
const HASH_DIGITS: usize = 32;

/// Which chain of proofs a zone has.
#[derive(Debug)]
pub(super) enum Chain {
    Nsec,
    Nsec3 { salt: Box<[u8]>, iterations: u16 },
}

impl Chain {
    /// The chain of a zone whose apex has the records `apex`.
    pub(super) fn of(draft: &Draft, apex: &[u32], report: &mut Report<'_>) -> Option<Self> {
        for &index in apex.iter().filter(|&&index| draft.record(index).kind == Type::NSEC3PARAM) {
            // RFC 5155 §4.1.2: flags other than 0 say that the chain is not whole.
            let &[SHA1, 0, high, low, salt_octets, ref salt @ ..] = draft.rdata(index) else { continue };
            let iterations = u16::from_be_bytes([high, low]);
            if iterations > ITERATIONS_MAX {
                let message = format!("expected at most {ITERATIONS_MAX} iterations of the hash");
                report(draft.record(index).line, Severity::Error, message);
                return None;
            }
            let salt = salt.get(..usize::from(salt_octets)).unwrap_or_default().into();
            return Some(Self::Nsec3 { salt, iterations });
        }
        let has_nsec = apex.iter().any(|&index| draft.record(index).kind == Type::NSEC);
        has_nsec.then_some(Self::Nsec)
    }

    fn is_of(&self, draft: &Draft, index: u32) -> bool {
        match self {
            Self::Nsec => draft.record(index).kind == Type::NSEC,
            Self::Nsec3 { salt, iterations } => {
                let data = draft.rdata(index);
                let [high, low] = iterations.to_be_bytes();
                draft.record(index).kind == Type::NSEC3
                    && matches!(data, [SHA1, _, a, b, octets, rest @ ..]
                        if [*a, *b] == [high, low] && usize::from(*octets) == salt.len() && rest.starts_with(salt))
            }
        }
    }

    /// Whether a node has a record of the chain.
    pub(super) fn has(&self, draft: &Draft, sorted: &[u32], flags: u8) -> bool {
        match self {
            Self::Nsec => flags & BELOW == 0 && sorted.iter().any(|&index| self.is_of(draft, index)),
            Self::Nsec3 { .. } => flags & HASH != 0,
        }
    }

    /// Whether a node is there only because a name has that hash.
    pub(super) fn is_hash_alone(&self, draft: &Draft, sorted: &[u32]) -> bool {
        matches!(self, Self::Nsec3 { .. })
            && sorted.iter().any(|&index| self.is_of(draft, index))
            && sorted.iter().all(|&index| matches!(draft.record(index).kind, Type::NSEC3 | Type::RRSIG))
    }
}

/// The records that prove what does not exist, in their order.
#[derive(Debug)]
pub struct Denial {
    chain: Chain,
    // Where their nodes are.
    order: Vec<u32>,
    apex_labels: usize,
}

impl Denial {
    pub(super) fn new(chain: Chain, mut order: Vec<u32>, arena: &[u8], apex_labels: usize) -> Self {
        let name = |at: &u32| Node::at(arena, *at).name();
        match chain {
            Chain::Nsec => order.sort_by(|a, b| canonical(name(a), name(b), apex_labels)),
            Chain::Nsec3 { .. } => order.sort_by(|a, b| name(a).cmp(name(b))),
        }
        order.shrink_to_fit();
        Self { chain, order, apex_labels }
    }

    pub(super) fn memory_octets(&self) -> usize {
        self.order.capacity() * size_of::<u32>()
    }

    /// Whether names are hashed: NSEC3.
    #[must_use]
    pub const fn is_hashed(&self) -> bool {
        matches!(self.chain, Chain::Nsec3 { .. })
    }

    /// The type of the records: NSEC or NSEC3.
    #[must_use]
    pub const fn kind(&self) -> Type {
        if self.is_hashed() { Type::NSEC3 } else { Type::NSEC }
    }

    /// Notes with the node at `at` where the record of its hash is.
    pub(super) fn link(&self, arena: &mut [u8], at: u32) {
        let node = Node::at(arena, at);
        if node.set(HASHED).is_none() {
            return;
        }
        let Some(hash) = self.hash(node.name()) else { return };
        let Some(found) = self.order.get(self.place(arena, &hash)) else { return };
        if Node::at(arena, *found).name().get(1..=HASH_DIGITS) != Some(&hash) {
            return;
        }
        let found = *found;
        // It is the last of the node's octets before the next unit begins.
        let end = node.octets_len();
        let place = at as usize * super::node::UNIT_OCTETS + end - 4;
        arena[place..place + 4].copy_from_slice(&found.to_le_bytes());
    }

    /// The node before the place where `name` would stand, in wire form and lower case; the name must
    /// lie within the zone, and for NSEC3 not be one that has a record.
    pub(super) fn covering(&self, arena: &[u8], name: &[u8]) -> Option<u32> {
        let after = match self.chain {
            Chain::Nsec => self.order.partition_point(|&at| {
                canonical(Node::at(arena, at).name(), name, self.apex_labels) != Ordering::Greater
            }),
            Chain::Nsec3 { .. } => self.place(arena, &self.hash(name)?),
        };
        // Before the first comes the last: the chain is a ring (RFC 5155 §3.1.7).
        self.order.get(after.checked_sub(1).unwrap_or(self.order.len().checked_sub(1)?)).copied()
    }

    // Digits of a name's hash (RFC 5155 §5).
    fn hash(&self, name: &[u8]) -> Option<[u8; HASH_DIGITS]> {
        let Chain::Nsec3 { salt, iterations } = &self.chain else { return None };
        let mut input = [0; NAME_OCTETS_MAX + 255];
        let mut length = name.len() + salt.len();
        input.get_mut(..name.len())?.copy_from_slice(name);
        input.get_mut(name.len()..length)?.copy_from_slice(salt);
        for round in 0..=*iterations {
            let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &input[..length]);
            input[..HASH_OCTETS].copy_from_slice(hash.as_ref());
            if round == 0 {
                length = HASH_OCTETS + salt.len();
                input[HASH_OCTETS..length].copy_from_slice(salt);
            }
        }
        Some(base32hex_digits(input.first_chunk::<HASH_OCTETS>()?))
    }

    // The index of the first record whose hash is not below `hash`. Hashes lie evenly, so the search
    // begins where the hash should be.
    fn place(&self, arena: &[u8], hash: &[u8; HASH_DIGITS]) -> usize {
        let below = |index: usize| Node::at(arena, self.order[index]).name()[1..] < hash[..];
        let count = self.order.len();
        let start = hash.first_chunk::<6>().map_or(0, |digits| {
            let value = digits.iter().fold(0_usize, |value, &digit| {
                value * 32 + usize::from(if digit < b'a' { digit - b'0' } else { digit - b'a' + 10 })
            });
            (value * count) >> 30
        });
        let (mut low, mut high, mut stride) = (0, count, 1);
        if start < count && below(start) {
            low = start + 1;
            while low + stride < high && below(low + stride) {
                low += stride + 1;
                stride *= 2;
            }
            high = high.min(low + stride);
        } else {
            high = start.min(count);
            while high > stride && !below(high - stride) {
                high -= stride;
                stride *= 2;
            }
            low = low.max(high.saturating_sub(stride));
        }
        while low < high {
            let middle = low.midpoint(high);
            if below(middle) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

// RFC 4034 §6.1: labels are compared from the root down. The last `shared` labels are the same.
fn canonical(a: &[u8], b: &[u8], shared: usize) -> Ordering {
    let (mut a_starts, mut b_starts) = ([0_u8; LABELS_MAX + 1], [0_u8; LABELS_MAX + 1]);
    let (a_labels, b_labels) = (starts(a, &mut a_starts), starts(b, &mut b_starts));
    let own = (a_labels.saturating_sub(shared), b_labels.saturating_sub(shared));
    for back in 1..=own.0.min(own.1) {
        let label = |name: &'_ [u8], starts: &[u8], own: usize| {
            let start = usize::from(starts[own - back]);
            (start + 1, start + 1 + usize::from(name[start]))
        };
        let (a_from, a_to) = label(a, &a_starts, own.0);
        let (b_from, b_to) = label(b, &b_starts, own.1);
        match a[a_from..a_to].cmp(&b[b_from..b_to]) {
            Ordering::Equal => {}
            order => return order,
        }
    }
    own.0.cmp(&own.1)
}

fn starts(name: &[u8], starts: &mut [u8; LABELS_MAX + 1]) -> usize {
    let (mut at, mut labels) = (0, 0);
    while name[at] != 0 {
        starts[labels] = at as u8;
        labels += 1;
        at += usize::from(name[at]) + 1;
    }
    labels
}
