//! The last changes of a zone, which IXFR is answered from: RFC 1995 §2 and §5.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::zone::Change;

/// Changes remembered of one zone at most.
pub const CHANGES_MAX: usize = 100;
/// Octets of them at most.
pub const OCTETS_MAX: usize = 64 << 20;

/// The last changes of one zone, each beginning where the one before ends.
#[derive(Debug, Clone, Default)]
pub struct History {
    changes: VecDeque<Arc<Change>>,
    octets: usize,
}

impl History {
    /// Adds the newest change and forgets the oldest ones over the bounds. A change that does not begin
    /// where the last one ends makes everything before it useless.
    pub fn push(&mut self, change: Arc<Change>) {
        if self.changes.back().is_some_and(|last| last.to() != change.from()) {
            self.clear();
        }
        self.octets += change.octets();
        self.changes.push_back(change);
        while self.changes.len() > CHANGES_MAX || self.octets > OCTETS_MAX {
            let Some(oldest) = self.changes.pop_front() else { break };
            self.octets -= oldest.octets();
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.changes.clear();
        self.octets = 0;
    }

    /// What leads from `serial` to the newest version; `None` when it is not known from there on.
    #[must_use]
    pub fn since(&self, serial: u32) -> Option<Vec<Arc<Change>>> {
        let start = self.changes.iter().rposition(|change| change.from() == serial)?;
        Some(self.changes.iter().skip(start).cloned().collect())
    }

    /// How many changes are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}
