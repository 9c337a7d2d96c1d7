//! Which records prove what an answer says does not exist: RFC 4035 §3.1.3, RFC 5155 §7.2.
//!
//! They stand in the authority section, so they are gathered while aliases are followed and written
//! when the answer section is whole.

use super::compose::ALIASES_MAX;
use crate::wire::Type;
use crate::zone::node::Node;
use crate::zone::{Key, Zone};

/// Proofs of one answer at most: one for each alias that came from a wildcard, and those of its end.
const PROOFS_MAX: usize = ALIASES_MAX + 4;

/// Nodes whose NSEC or NSEC3 records belong into the answer, each once. In an answer without
/// signatures there are none.
#[derive(Debug)]
pub(super) struct Proofs<'z> {
    wanted: bool,
    // Nothing is set up for an answer that needs no proof.
    nodes: Option<[Option<(&'z Zone, Node<'z>)>; PROOFS_MAX]>,
    count: usize,
}

impl<'z> Proofs<'z> {
    pub(super) const fn new(wanted: bool) -> Self {
        Self { wanted, nodes: None, count: 0 }
    }

    /// What was gathered.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (&'z Zone, Node<'z>)> {
        self.nodes.iter().flatten().take(self.count).flatten().copied()
    }

    fn add(&mut self, zone: &'z Zone, node: Option<Node<'z>>) {
        let Some(node) = node else { return };
        if self.count < PROOFS_MAX && !self.nodes().any(|(_, other)| other.is(&node)) {
            self.nodes.get_or_insert([None; PROOFS_MAX])[self.count] = Some((zone, node));
            self.count += 1;
        }
    }

    fn hashed(&self, zone: &Zone) -> Option<bool> {
        zone.denial().filter(|_| self.wanted).map(|denial| denial.is_hashed())
    }

    /// The name does not exist, and no wildcard stands for it.
    pub(super) fn name_error(&mut self, zone: &'z Zone, key: &Key) {
        let Some(hashed) = self.hashed(zone) else { return };
        let encloser = if hashed { self.closest_encloser(zone, key, 1) } else { encloser(zone, key) };
        if !hashed {
            self.add(zone, zone.covering(key.suffix(0)));
        }
        self.add(zone, zone.covering_wildcard(key.suffix(encloser)));
    }

    /// The name exists, its node `node` or that of a cut, and the type does not.
    pub(super) fn no_data(&mut self, zone: &'z Zone, key: &Key, node: Node<'z>) {
        let label = key.labels().saturating_sub(node.labels());
        match self.hashed(zone) {
            None => {}
            Some(true) => match zone.hashed(node) {
                Some(proof) => self.add(zone, Some(proof)),
                // RFC 5155 §7.2.4: an opted-out delegation has no record of its own.
                None => {
                    self.closest_encloser(zone, key, label + 1);
                }
            },
            Some(false) if node.set(Type::NSEC).is_some() => self.add(zone, Some(node)),
            // An empty non-terminal lies between two names.
            Some(false) => self.add(zone, zone.covering(key.suffix(label))),
        }
    }

    /// The wildcard `node` stands for the name, which itself does not exist.
    pub(super) fn wildcard(&mut self, zone: &'z Zone, key: &Key, node: Node<'z>) {
        match self.hashed(zone) {
            None => {}
            Some(true) => {
                let encloser = key.labels().saturating_sub(node.labels() - 1);
                self.add(zone, zone.covering(key.suffix(encloser.saturating_sub(1))));
            }
            Some(false) => self.add(zone, zone.covering(key.suffix(0))),
        }
    }

    /// The wildcard `node` stands for the name, and does not have the type.
    pub(super) fn wildcard_no_data(&mut self, zone: &'z Zone, key: &Key, node: Node<'z>) {
        let Some(hashed) = self.hashed(zone) else { return };
        if hashed {
            let encloser = key.labels().saturating_sub(node.labels() - 1);
            self.add(zone, zone.exact(key, encloser).and_then(|encloser| zone.hashed(encloser)));
        }
        self.wildcard(zone, key, node);
        if hashed {
            self.add(zone, zone.hashed(node));
        } else if node.set(Type::NSEC).is_some() {
            self.add(zone, Some(node));
        } else {
            self.add(zone, zone.covering(node.name()));
        }
    }

    // RFC 5155 §7.2.1: the nearest ancestor from `label` on that has a record, and the one that shows
    // that the name below it has none. Returns the ancestor's label.
    fn closest_encloser(&mut self, zone: &'z Zone, key: &Key, label: usize) -> usize {
        let apex = key.labels().saturating_sub(zone.apex_labels());
        for label in label..=apex {
            let proof = zone.exact(key, label).and_then(|node| zone.hashed(node));
            if proof.is_some() {
                self.add(zone, proof);
                self.add(zone, zone.covering(key.suffix(label - 1)));
                return label;
            }
        }
        apex
    }
}

// The label at which the closest encloser begins: the nearest ancestor that exists.
fn encloser(zone: &Zone, key: &Key) -> usize {
    let apex = key.labels().saturating_sub(zone.apex_labels());
    (1..apex).find(|&label| zone.exact(key, label).is_some()).unwrap_or(apex)
}
