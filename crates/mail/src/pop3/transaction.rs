//! What TRANSACTION is about: the maildrop as it was opened, and which messages QUIT will delete
//! (RFC 1939 §5).

use crate::mailbox::{Maildrop, Uid, UidSet};

#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) maildrop: Maildrop,
    pub(super) deleted: Marks,
}

/// Which messages are marked as deleted. Takes no memory before the first one is.
#[derive(Debug, Default)]
pub(super) struct Marks {
    bits: Vec<u64>,
    count: usize,
}

impl Marks {
    pub(super) fn has(&self, index: usize) -> bool {
        self.bits.get(index / 64).is_some_and(|bits| bits >> (index % 64) & 1 == 1)
    }

    pub(super) fn set(&mut self, index: usize) {
        if !self.has(index) {
            if self.bits.len() <= index / 64 {
                self.bits.resize(index / 64 + 1, 0);
            }
            self.bits[index / 64] |= 1 << (index % 64);
            self.count += 1;
        }
    }
}

impl Transaction {
    /// The message that a client names by `number`.
    pub(super) fn index(&self, number: u64) -> Result<usize, &'static str> {
        let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        let index = index.filter(|index| *index < self.maildrop.entries.len()).ok_or("no such message")?;
        if self.deleted.has(index) { Err("this message is deleted") } else { Ok(index) }
    }

    /// How many messages there are without those marked, and how long they are together.
    pub(super) fn count(&self) -> (usize, u64) {
        let count = self.maildrop.entries.len() - self.deleted.count;
        if self.deleted.count == 0 {
            return (count, self.maildrop.octets);
        }
        let left = self.maildrop.entries.iter().enumerate().filter(|(index, _)| !self.deleted.has(*index));
        (count, left.map(|(_, entry)| entry.octets).sum())
    }

    /// The UIDs of those marked.
    pub(super) fn marked(&self) -> UidSet {
        let entries = self.maildrop.entries.iter().enumerate();
        entries.filter(|(index, _)| self.deleted.has(*index)).map(|(_, entry)| -> Uid { entry.uid }).collect()
    }
}
