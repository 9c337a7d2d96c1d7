//! A zone after a small change: the names that changed in a zone of their own, laid over the one before,
//! so that a change costs what it touches and not what the zone holds.
//!
//! The upper zone has every name that changed, whole, and the ancestors of those; a name that went is in
//! it as one that no query finds. What would change more than the names themselves (cuts, DNAME,
//! wildcards, addresses that go with a referral, signed zones) makes a whole zone instead, and so does
//! the change after which the upper zone is no longer small.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::change::{Change, Edit, Fit, Unfit, edits, fill};
use super::draft::Draft;
use super::node::{HASH, HEAD_OCTETS, Node, UNIT_OCTETS};
use super::table::{HashKey, Key, Table};
use super::{Found, Zone};
use crate::wire::{Name, Record, Type};

/// Names of an upper zone at most.
pub const OVERLAY_NAMES_MAX: usize = 1000;

/// What a zone is laid over.
pub(super) struct Overlay {
    pub(super) below: Arc<Zone>,
    // Every name that is the upper zone's business, those that went included; lower case, wire form.
    pub(super) names: BTreeSet<Vec<u8>>,
}

// The names of an upper zone being made, with their records.
struct Sheet<'z> {
    now: &'z Zone,
    below: &'z Zone,
    secret: HashKey,
    key: Key,
    names: BTreeMap<Vec<u8>, Vec<Record>>,
}

// What became of the names of a sheet that have no records.
#[derive(Default)]
struct Settled {
    // Those that have names below them.
    empty: Vec<Vec<u8>>,
    // Those that are no more.
    gone: Vec<Vec<u8>>,
}

impl Zone {
    /// The zone after `changes`, as [`changed`](Self::changed) makes it, and at the cost of what they
    /// touch where that is possible.
    ///
    /// # Errors
    /// [`Unfit`]; this zone stays as it is.
    pub fn changed_over<C: std::borrow::Borrow<Change>>(
        self: &Arc<Self>,
        changes: &[C],
        secret: HashKey,
    ) -> Result<Self, Unfit> {
        self.check_serials(changes)?;
        let edits = edits(changes);
        match self.overlaid(&edits, secret)? {
            Some(zone) => Ok(zone),
            None => self.rebuilt(edits, Fit::Exact, secret),
        }
    }

    // `None` when the whole zone has to be made anew.
    fn overlaid(
        self: &Arc<Self>,
        edits: &BTreeMap<Vec<u8>, Edit<'_>>,
        secret: HashKey,
    ) -> Result<Option<Self>, Unfit> {
        let before = self.overlay.as_ref();
        let known = before.map_or(0, |overlay| overlay.names.len());
        if self.denial.is_some() || self.unavailable || known + edits.len() > OVERLAY_NAMES_MAX {
            return Ok(None);
        }
        let below = before.map_or(self, |overlay| &overlay.below);
        let mut sheet = Sheet { now: self, below, secret, key: Key::default(), names: BTreeMap::new() };
        for (owner, edit) in edits {
            if !sheet.is_plain(owner, edit) {
                return Ok(None);
            }
        }
        for name in before.iter().flat_map(|overlay| &overlay.names) {
            sheet.take(name);
        }
        for (owner, edit) in edits {
            edit.apply(sheet.take(owner), Fit::Exact)?;
        }
        sheet.zone(below).map(Some)
    }

    // The one of the two zones that a node lies in.
    pub(super) fn holder(&self, node: &Node<'_>) -> &Self {
        match &self.overlay {
            Some(overlay) if !self.arena.as_ptr_range().contains(&node.as_ptr()) => &overlay.below,
            _ => self,
        }
    }

    // How many names are right below the one at `at`, in a zone that is laid over none.
    fn children_at(&self, at: u32) -> u32 {
        let found = self.parents.binary_search_by_key(&at, |&(place, _)| place);
        found.map_or(0, |index| self.parents[index].1)
    }
}

impl Sheet<'_> {
    // Whether the edit changes nothing but the records of one name.
    fn is_plain(&mut self, owner: &[u8], edit: &Edit<'_>) -> bool {
        let apex = owner == self.now.apex.lowered().as_octets();
        let plain = |kind| !matches!(kind, Type::NS | Type::DNAME | Type::DS) || (apex && kind == Type::NS);
        if owner.starts_with(b"\x01*") || !edit.kinds().all(plain) {
            return false;
        }
        let signs = |kind| matches!(kind, Type::DNSKEY | Type::NSEC | Type::NSEC3PARAM | Type::RRSIG);
        if edit.kinds().any(signs) || self.key.set(self.secret, owner).is_none() {
            return false;
        }
        let addresses = edit.kinds().any(|kind| matches!(kind, Type::A | Type::AAAA));
        let hash = self.key.hash(0);
        let glued = self.below.glued.as_ref().is_none_or(|glued| glued.binary_search(&hash).is_ok());
        if addresses && glued {
            return false;
        }
        Name::from_wire(owner).is_ok_and(|name| name.is_within(&self.now.apex))
            && matches!(self.now.lookup(&self.key), Found::Node(_) | Found::Wildcard(_) | Found::Nothing)
    }

    fn find<'a>(&mut self, zone: &'a Zone, name: &[u8]) -> Option<Node<'a>> {
        self.key.set(self.secret, name)?;
        zone.exact(&self.key, 0)
    }

    // The records of a name, which becomes the upper zone's business.
    fn take(&mut self, name: &[u8]) -> &mut Vec<Record> {
        if !self.names.contains_key(name) {
            let records = self.find(self.now, name).map(|node| node.records()).unwrap_or_default();
            self.names.insert(name.to_vec(), records);
        }
        self.names.entry(name.to_vec()).or_default()
    }

    // Takes whatever the names so far bring with them: ancestors, wildcards, and parents of names that
    // came or went. Leaves no name that is neither here nor below.
    fn settle(&mut self) -> Settled {
        // Names with most labels first: whether one exists shows in the one above.
        let mut by_labels: BTreeMap<usize, BTreeSet<Vec<u8>>> = BTreeMap::new();
        for name in self.names.keys() {
            by_labels.entry(labels(name)).or_default().insert(name.clone());
        }
        let below = self.below;
        let mut children: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
        let mut settled = Settled::default();
        while let Some((depth, names)) = by_labels.pop_last() {
            for name in names {
                let was = self.find(below, &name);
                let more = children.get(&name).copied().unwrap_or_default();
                let under = was.map_or(0, |node| i64::from(below.children_at(below.place_of(&node)))) + more;
                let has_records = !self.take(&name).is_empty();
                let exists = has_records || under > 0 || depth == below.apex_labels;
                if !exists && was.is_none() {
                    self.names.remove(&name);
                    continue;
                }
                if depth > below.apex_labels {
                    let parent = name[usize::from(name[0]) + 1..].to_vec();
                    let change = i64::from(exists) - i64::from(was.is_some());
                    *children.entry(parent.clone()).or_default() += change;
                    self.take(&parent);
                    by_labels.entry(depth - 1).or_default().insert(parent);
                }
                if let Some(at) = was.and_then(|node| node.wildcard()).filter(|_| exists) {
                    let wildcard = below.node(at).name().to_vec();
                    if self.take(&wildcard).is_empty() {
                        settled.empty.push(wildcard);
                    }
                }
                match (exists, has_records) {
                    (true, true) => {}
                    (true, false) => settled.empty.push(name),
                    (false, _) => settled.gone.push(name),
                }
            }
        }
        settled
    }

    fn zone(mut self, below: &Arc<Zone>) -> Result<Zone, Unfit> {
        let settled = self.settle();
        let mut draft = Draft::new(&self.now.apex, self.secret);
        for records in self.names.values() {
            fill(&mut draft, records)?;
        }
        for name in &settled.empty {
            let name = Name::from_wire(name).unwrap_or_default();
            draft.node(&name).ok_or_else(|| Unfit::Outside(Box::new(name.clone())))?;
        }
        let mut zone = Zone::of_draft(&draft)?;
        zone.bury(&settled.gone, self.secret);
        let (mut records, mut count) = (below.records as i64, below.names as i64);
        let names = std::mem::take(&mut self.names);
        for (name, now) in &names {
            let was = self.find(below, name);
            records += now.len() as i64 - was.map_or(0, |node| node.records().len() as i64);
            count += 1 - i64::from(was.is_some());
        }
        zone.records = usize::try_from(records).unwrap_or_default();
        zone.names = usize::try_from(count).unwrap_or_default().saturating_sub(settled.gone.len());
        zone.labels_max = zone.labels_max.max(below.labels_max);
        zone.rotate = self.now.rotate;
        let names = names.into_keys().collect();
        zone.overlay = Some(Box::new(Overlay { below: Arc::clone(below), names }));
        Ok(zone)
    }
}

impl Zone {
    // Puts names in that no query finds, so that those of the zone below are hidden.
    fn bury(&mut self, gone: &[Vec<u8>], secret: HashKey) {
        if gone.is_empty() {
            return;
        }
        let mut table = Table::with_room(self.names + gone.len());
        let mut key = Key::default();
        let mut place = super::records::Place::default();
        let mut at = place.unit();
        while let Some(node) = self.step(&mut place) {
            if key.set(secret, node.name()).is_some() {
                table.insert(key.hash(0), at);
            }
            at = place.unit();
        }
        for name in gone {
            let at = (self.arena.len() / UNIT_OCTETS) as u32;
            let mut head = [0; HEAD_OCTETS];
            head[..2].copy_from_slice(&[name.len() as u8, HASH]);
            self.arena.extend(head);
            self.arena.extend_from_slice(name);
            self.arena.resize(self.arena.len().next_multiple_of(UNIT_OCTETS), 0);
            if key.set(secret, name).is_some() {
                table.insert(key.hash(0), at);
            }
        }
        self.table = table;
    }

    // Where a node of this very zone lies.
    fn place_of(&self, node: &Node<'_>) -> u32 {
        let octets = node.as_ptr() as usize - self.arena.as_ptr() as usize;
        (octets / UNIT_OCTETS) as u32
    }
}

fn labels(name: &[u8]) -> usize {
    let (mut at, mut labels) = (0, 0);
    while name[at] != 0 {
        at += usize::from(name[at]) + 1;
        labels += 1;
    }
    labels
}

#[cfg(test)]
mod tests;
