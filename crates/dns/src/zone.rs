//! Zones: from a zone file to a snapshot that answers are copied out of.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`mod@file`] | the zone file reader: RFC 1035 §5, RFC 2308 §4, RFC 3597 §5 |
//! | `generate.rs` | `$GENERATE`: records made of a range of numbers |
//! | [`scan`] | its words, quotes, parentheses and comments |
//! | [`fault`] | what is wrong with a file, with line and column |
//! | [`denial`] | NSEC and NSEC3 records in their order |
//! | [`draft`] | the records of a zone while it is being read |
//! | [`check`] | what must hold for a zone to be served |
//! | `render.rs` | a draft made into ready answers |
//! | [`node`] | how one name and its answers lie in memory |
//! | [`table`] | names found by hash: [`Key`] of a query, open addressing |
//! | `write.rs` | a zone written as a zone file |
//! | [`set`] | all zones of a server, longest match |
//! | [`records`] | a zone's records, taken out of it again |
//! | [`overlay`] | a zone after a small change, laid over the one before |
//! | [`change`] | what changes between two versions; serial numbers |
//!
//! A [`Zone`] never changes. A new version is a new zone, and readers of the old one keep it until
//! they look again. Not here: files themselves (`io/`), and what is answered to whom (`authority`).

pub mod change;
pub mod check;
pub mod denial;
pub mod draft;
pub mod fault;
pub mod file;
mod generate;
pub mod node;
pub mod overlay;
pub mod records;
mod render;
pub mod scan;
pub mod set;
pub mod table;
mod write;

pub use change::{Change, Unfit};
pub use draft::Draft;
pub use fault::{Fault, Severity};
pub use set::Zones;
pub use table::{HashKey, Key};

use crate::wire::{NAME_OCTETS_MAX, Name, Type};
use denial::Denial;
use node::{Above, CUT, HASH, Node, REDIRECT, RrSet};
use overlay::Overlay;
use table::Table;

/// How the records of one A or AAAA set are ordered from answer to answer (RFC 1794).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rotate {
    /// Each answer begins one record later than the one before.
    #[default]
    Cyclic,
    /// As the zone file has them.
    Fixed,
}

/// One zone, ready to answer.
///
/// All nodes lie in one arena of octets, each with its name and its answers side by side, so that a
/// lookup touches the table, then one stretch of memory.
pub struct Zone {
    apex: Name,
    arena: Vec<u8>,
    table: Table,
    apex_at: u32,
    apex_labels: usize,
    labels_max: usize,
    negative: Negative,
    denial: Option<Denial>,
    serial: u32,
    records: usize,
    names: usize,
    rotate: Rotate,
    unavailable: bool,
    // How many names are right below a name, for those that have any: places in the arena, ascending.
    parents: Vec<(u32, u32)>,
    // The hashes of names whose addresses go with a referral, ascending; `None` when they are too many.
    glued: Option<Vec<u64>>,
    overlay: Option<Box<Overlay>>,
}

// What a negative answer carries: SOA, and the signatures over it.
#[derive(Default)]
struct Negative {
    soa: Vec<u8>,
    soa_relocations: Vec<u8>,
    signatures: Vec<u8>,
    signatures_relocations: Vec<u8>,
    signatures_count: u16,
}

/// Where a lookup ended: RFC 1034 §4.3.2 step 3.
#[derive(Debug, Clone, Copy)]
pub enum Found<'z> {
    /// The name itself.
    Node(Node<'z>),
    /// The wildcard that stands for the name (RFC 4592 §3.3.1).
    Wildcard(Node<'z>),
    /// The name is at or below this zone cut; its servers are to be asked.
    Cut(Node<'z>),
    /// The name is below this one, whose DNAME record says what it is called instead (RFC 6672).
    Redirect(Node<'z>),
    /// Nothing: the name does not exist.
    Nothing,
}

impl Zone {
    /// The name the zone begins at.
    #[must_use]
    pub const fn apex(&self) -> &Name {
        &self.apex
    }

    /// SERIAL of the SOA record.
    #[must_use]
    pub const fn serial(&self) -> u32 {
        self.serial
    }

    /// How many records the zone holds.
    #[must_use]
    pub const fn records(&self) -> usize {
        self.records
    }

    /// How many names the zone has, empty non-terminals included.
    #[must_use]
    pub const fn names(&self) -> usize {
        self.names
    }

    /// Memory of the zone, in octets.
    #[must_use]
    pub fn memory_octets(&self) -> usize {
        let denial = self.denial.as_ref().map_or(0, Denial::memory_octets);
        let parents = self.parents.capacity() * size_of::<(u32, u32)>();
        let below = self.overlay.as_ref().map_or(0, |overlay| overlay.below.memory_octets());
        self.arena.capacity() + self.table.memory_octets() + denial + parents + below
    }

    /// The two stretches of memory that every lookup reads in: the table of names and the nodes.
    #[must_use]
    pub fn memory(&self) -> (&[u64], &[u8]) {
        (self.table.slots(), &self.arena)
    }

    /// How address sets are rotated.
    #[must_use]
    pub const fn rotate(&self) -> Rotate {
        self.rotate
    }

    /// The same zone with another order of addresses.
    #[must_use]
    pub fn with_rotate(mut self, rotate: Rotate) -> Self {
        self.rotate = rotate;
        self
    }

    /// The zone `apex` without records, for a secondary that has not got them yet or has had them for too
    /// long: every answer is SERVFAIL.
    #[must_use]
    pub fn unavailable(apex: &Name, secret: HashKey) -> Self {
        let mut draft = Draft::new(apex, secret);
        if let Some(node) = draft.node(apex) {
            draft.add(node, Type::SOA, 0, &[0; 22], 0);
            draft.add(node, Type::NS, 0, &[0], 0);
        }
        let zone = Self::of_draft(&draft).expect("a SOA and a NS record make a zone");
        Self { unavailable: true, ..zone }
    }

    /// Whether every answer is SERVFAIL.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        self.unavailable
    }

    /// The SOA record as a negative answer carries it: its TTL is the lower of its own and MINIMUM
    /// (RFC 2308 §3).
    #[must_use]
    pub fn negative(&self) -> RrSet<'_> {
        RrSet::new(Type::SOA, 1, &self.negative.soa, &self.negative.soa_relocations)
    }

    /// The signatures over that SOA record; no records when there are none.
    #[must_use]
    pub fn negative_signatures(&self) -> RrSet<'_> {
        let Negative { signatures, signatures_relocations, signatures_count, .. } = &self.negative;
        RrSet::new(Type::RRSIG, *signatures_count, signatures, signatures_relocations)
    }

    /// How the zone proves that something does not exist, when it is signed.
    #[must_use]
    pub const fn denial(&self) -> Option<&Denial> {
        self.denial.as_ref()
    }

    /// The node whose NSEC or NSEC3 record covers `name`, which is within the zone, in lower case, and
    /// has no such record itself.
    pub(crate) fn covering(&self, name: &[u8]) -> Option<Node<'_>> {
        let at = self.denial.as_ref()?.covering(&self.arena, name)?;
        Some(self.node(at))
    }

    /// The same for the wildcard below `name`.
    pub(crate) fn covering_wildcard(&self, name: &[u8]) -> Option<Node<'_>> {
        let mut wildcard = [0; NAME_OCTETS_MAX];
        wildcard[..2].copy_from_slice(b"\x01*");
        let octets = wildcard.get_mut(2..2 + name.len())?;
        octets.copy_from_slice(name);
        self.covering(&wildcard[..2 + name.len()])
    }

    /// The node whose owner is the hash of `node`'s name.
    pub(crate) fn hashed(&self, node: Node<'_>) -> Option<Node<'_>> {
        node.hashed().map(|at| self.node(at))
    }

    /// Labels of the zone's name, the root not counted.
    #[must_use]
    pub const fn apex_labels(&self) -> usize {
        self.apex_labels
    }

    pub(crate) fn node(&self, at: u32) -> Node<'_> {
        Node::at(&self.arena, at)
    }

    // The node whose name is the suffix of `key` that begins at `label`.
    pub(crate) fn exact(&self, key: &Key, label: usize) -> Option<Node<'_>> {
        self.any(key, label).filter(|node| !node.has(HASH))
    }

    // The same, whether a query can find it or not.
    fn any(&self, key: &Key, label: usize) -> Option<Node<'_>> {
        let name = key.suffix(label);
        match self.table.find(key.hash(label), |at| self.node(at).name() == name) {
            Some(at) => Some(self.node(at)),
            None => self.overlay.as_ref()?.below.any(key, label),
        }
    }

    /// Where the table says whether there is a name of this hash.
    #[inline]
    pub(crate) fn slot_of(&self, hash: u64) -> *const u8 {
        self.table.slot_of(hash)
    }

    /// Where the node of this hash lies, most probably, if there is one.
    #[inline]
    pub(crate) fn node_near(&self, hash: u64) -> Option<*const u8> {
        let unit = self.table.find(hash, |_| true)?;
        Some(self.arena.get(unit as usize * node::UNIT_OCTETS..)?.as_ptr())
    }

    /// Looks up a name that lies within the zone.
    ///
    /// A name that exists costs one probe of the table. One that does not costs as many more as a
    /// binary search needs to find its closest encloser, seven at most, because every ancestor of a
    /// name in the zone is a node too.
    #[must_use]
    pub fn lookup(&self, key: &Key) -> Found<'_> {
        if let Some(node) = self.exact(key, 0) {
            return self.at_or_above_cut(node, Found::Node);
        }
        // Ancestors are counted by their labels: `known` exists, everything above `high` does not.
        let labels = key.labels();
        let mut known = self.apex_labels;
        let mut high = labels.saturating_sub(1).min(self.labels_max);
        let mut encloser = self.node(self.apex_at);
        while known < high {
            let middle = (known + high).div_ceil(2);
            match self.exact(key, labels - middle) {
                Some(node) => {
                    known = middle;
                    encloser = node;
                }
                None => high = middle - 1,
            }
        }
        self.at_or_above_cut(encloser, |encloser| match encloser.wildcard() {
            _ if encloser.has(REDIRECT) => Found::Redirect(encloser),
            Some(at) => Found::Wildcard(self.holder(&encloser).node(at)),
            None => Found::Nothing,
        })
    }

    fn at_or_above_cut<'z>(&'z self, node: Node<'z>, above: impl FnOnce(Node<'z>) -> Found<'z>) -> Found<'z> {
        match node.above() {
            Above::Nothing => above(node),
            Above::Here => Found::Cut(node),
            Above::At(at) => match self.holder(&node).node(at) {
                cut if cut.has(CUT) => Found::Cut(cut),
                redirect => Found::Redirect(redirect),
            },
        }
    }
}

impl std::fmt::Debug for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Zone")
            .field("apex", &self.apex)
            .field("serial", &self.serial)
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
