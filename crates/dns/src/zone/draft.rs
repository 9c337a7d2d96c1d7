//! The records of a zone while they are gathered, before any answer is made of them.
//!
//! Names are nodes of a tree; adding one adds every name between it and the apex, so that an empty
//! non-terminal is a node like any other (RFC 4592 §2.2.2). Parents come before their children.

use doorway_net::memory;

use crate::wire::{Name, Type};

use super::table::{HashKey, Key, Table};

/// Names and records of one draft at most, and octets of their names and of their data.
pub const DRAFT_MAX: usize = u32::MAX as usize - 1;

/// Octets of a usual line of a large zone file, of its owner's name and of its RDATA. Room is reserved by
/// them; a guess too high costs address space alone.
const LINE_OCTETS: usize = 28;
const NAME_OCTETS: usize = 32;
const RDATA_OCTETS: usize = 16;

/// Room for `count` values. What is large lies in huge pages.
pub(super) fn room<T>(count: usize) -> Vec<T> {
    memory::in_huge_pages(Vec::with_capacity(count))
}

/// A node of a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub(super) u32);

/// A zone being gathered.
#[derive(Debug)]
pub struct Draft {
    apex: Name,
    secret: HashKey,
    pub(super) nodes: Vec<DraftNode>,
    pub(super) table: Table,
    names: Vec<u8>,
    pub(super) records: Vec<DraftRecord>,
    rdata: Vec<u8>,
    key: Key,
}

#[derive(Debug)]
pub(super) struct DraftNode {
    pub(super) hash: u64,
    pub(super) parent: u32,
    name_at: u32,
    // Records form a chain; the numbers are indexes plus one, 0 its end.
    first: u32,
    last: u32,
    name_octets: u8,
    pub(super) labels: u8,
}

#[derive(Debug)]
pub(super) struct DraftRecord {
    pub(super) ttl: u32,
    pub(super) line: u32,
    next: u32,
    rdata_at: u32,
    rdata_octets: u16,
    pub(super) kind: Type,
}

impl Draft {
    /// An empty zone at `apex`.
    #[must_use]
    pub fn new(apex: &Name, secret: HashKey) -> Self {
        Self::with_room(apex, secret, 0)
    }

    /// An empty zone at `apex` with room for what a zone file of so many octets usually holds.
    #[must_use]
    pub fn with_room(apex: &Name, secret: HashKey, file_octets: usize) -> Self {
        let lines = file_octets / LINE_OCTETS;
        let mut draft = Self {
            apex: apex.clone(),
            secret,
            nodes: room(lines),
            table: Table::with_room(lines.max(16)),
            names: room(lines * NAME_OCTETS),
            records: room(lines),
            rdata: room(lines * RDATA_OCTETS),
            key: Key::default(),
        };
        let whole = draft.key.set(secret, apex.as_octets());
        debug_assert!(whole.is_some(), "a Name is a whole name");
        draft.push_node(0, 0);
        draft
    }

    /// The name the zone begins at.
    #[must_use]
    pub const fn apex(&self) -> &Name {
        &self.apex
    }

    /// The node of `owner`, made if need be; `None` when the name is not within the zone.
    pub fn node(&mut self, owner: &Name) -> Option<NodeId> {
        if !owner.is_within(&self.apex)
            || self.nodes.len() + 128 > DRAFT_MAX
            || self.names.len() + 32_768 > DRAFT_MAX
        {
            return None;
        }
        self.key.set(self.secret, owner.as_octets())?;
        let mut label = 0;
        let mut node = loop {
            match self.find_suffix(label) {
                Some(node) => break node,
                None => label += 1,
            }
        };
        while label > 0 {
            label -= 1;
            node = self.push_node(label, node);
        }
        Some(NodeId(node))
    }

    fn find_suffix(&self, label: usize) -> Option<u32> {
        let name = self.key.suffix(label);
        let found = self.table.find(self.key.hash(label), |id| self.name(NodeId(id - 1)) == name);
        found.map(|id| id - 1)
    }

    fn push_node(&mut self, label: usize, parent: u32) -> u32 {
        if self.table.is_full() {
            self.table = Table::with_room(2 * self.nodes.len());
            for (id, node) in (1..).zip(&self.nodes) {
                self.table.insert(node.hash, id);
            }
        }
        let id = self.nodes.len() as u32;
        let name = self.key.suffix(label);
        self.nodes.push(DraftNode {
            hash: self.key.hash(label),
            parent,
            name_at: self.names.len() as u32,
            first: 0,
            last: 0,
            name_octets: name.len() as u8,
            labels: (self.key.labels() - label) as u8,
        });
        self.names.extend_from_slice(name);
        self.table.insert(self.key.hash(label), id + 1);
        id
    }

    /// Adds a record. Returns false, adding nothing, when the draft is full.
    pub fn add(&mut self, owner: NodeId, kind: Type, ttl: u32, rdata: &[u8], line: u32) -> bool {
        let (index, rdata_at) = (self.records.len(), self.rdata.len());
        let Ok(rdata_octets) = u16::try_from(rdata.len()) else { return false };
        if index >= DRAFT_MAX || rdata_at + rdata.len() > DRAFT_MAX {
            return false;
        }
        let link = index as u32 + 1;
        let node = &mut self.nodes[owner.0 as usize];
        match node.last {
            0 => node.first = link,
            last => self.records[last as usize - 1].next = link,
        }
        node.last = link;
        self.rdata.extend_from_slice(rdata);
        self.records.push(DraftRecord { ttl, line, next: 0, rdata_at: rdata_at as u32, rdata_octets, kind });
        true
    }

    pub(super) fn name(&self, node: NodeId) -> &[u8] {
        let node = &self.nodes[node.0 as usize];
        &self.names[node.name_at as usize..][..usize::from(node.name_octets)]
    }

    /// How many octets its answers will take, roughly.
    pub(super) fn answer_octets(&self) -> usize {
        self.names.len() + 24 * self.nodes.len() + 20 * self.records.len() + self.rdata.len()
    }

    pub(super) fn rdata(&self, record: u32) -> &[u8] {
        let record = &self.records[record as usize];
        &self.rdata[record.rdata_at as usize..][..usize::from(record.rdata_octets)]
    }

    /// The type that an RRSIG record covers.
    pub(super) fn covered(&self, record: u32) -> Option<Type> {
        let two = self.rdata(record).first_chunk::<2>()?;
        (self.record(record).kind == Type::RRSIG).then(|| Type(u16::from_be_bytes(*two)))
    }

    pub(super) fn record(&self, record: u32) -> &DraftRecord {
        &self.records[record as usize]
    }

    /// The node of a name given in wire form, when it is there.
    pub(super) fn find(&self, key: &mut Key, name: &[u8]) -> Option<NodeId> {
        key.set(self.secret, name)?;
        let found = self.table.find(key.hash(0), |id| self.name(NodeId(id - 1)) == key.suffix(0));
        found.map(|id| NodeId(id - 1))
    }

    /// Fills `indexes` with a node's records, those of one type together and in the order they came,
    /// each only once (RFC 2181 §5.5).
    pub(super) fn group(&self, node: NodeId, indexes: &mut Vec<u32>) {
        indexes.clear();
        let mut link = self.nodes[node.0 as usize].first;
        while link != 0 {
            indexes.push(link - 1);
            link = self.record(link - 1).next;
        }
        if indexes.len() > 1 {
            let by_data = |&a: &u32| (self.record(a).kind, self.rdata(a));
            indexes.sort_by(|a, b| by_data(a).cmp(&by_data(b)).then(a.cmp(b)));
            indexes.dedup_by(|later, earlier| by_data(later) == by_data(earlier));
            indexes.sort_by_key(|&index| (self.record(index).kind, index));
        }
    }

    /// Whether a node has records of `kind`.
    pub(super) fn has(&self, node: NodeId, kind: Type) -> bool {
        let mut link = self.nodes[node.0 as usize].first;
        while link != 0 {
            let record = self.record(link - 1);
            if record.kind == kind {
                return true;
            }
            link = record.next;
        }
        false
    }
}
