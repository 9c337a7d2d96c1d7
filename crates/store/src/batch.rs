//! A batch: checks and changes that are done together or not at all, and what they mean.
//!
//! [`apply`] is the one definition of that meaning; every engine uses it, so that they cannot differ.

use std::collections::BTreeMap;

use bytes::Bytes;
use doorway_base::Limit;

use crate::error::{Conflict, Error, Result};
use crate::key::{KEY_OCTETS_MAX, Key, VALUE_OCTETS_MAX};
use crate::pin::Pin;

/// Most checks and changes in one batch.
pub const BATCH_STEPS_MAX: usize = 4096;
/// Most octets of keys and values in one batch.
pub const BATCH_OCTETS_MAX: usize = 4 * 1024 * 1024;

/// What the answer to a commit promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The change survives a power cut: the answer comes after fdatasync. What a peer is told was
    /// accepted (SMTP 250, DHCPACK, IMAP OK) needs this.
    #[default]
    Disk,
    /// The change survives the end of our process, however sudden, but not a power cut.
    Process,
}

/// A row: a value and the number of the commit that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The value.
    pub value: Bytes,
    /// Sequence number of the commit that wrote it: larger than every earlier one of the store, so a
    /// row that was deleted and written again never has an old version.
    pub version: u64,
}

impl Row {
    /// The value as a number, as [`Batch::add`] writes them; `None` when it has not eight octets.
    #[must_use]
    pub fn number(&self) -> Option<i64> {
        Some(i64::from_be_bytes(self.value[..].try_into().ok()?))
    }
}

/// A condition that must hold before anything of its batch is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Check {
    Absent(Key),
    Version(Key, u64),
    Value(Key, Bytes),
    AbsentOrValue(Key, Bytes),
}

/// One change of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operation {
    Put { key: Key, value: Bytes },
    Delete { key: Key },
    Add { key: Key, amount: i64 },
    NextId { key: Key },
    PutUnderId { prefix: Key, id: usize, value: Bytes },
}

/// Names a number that a batch will draw, for use in the same batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdSlot(usize);

/// Checks and changes that are done together or not at all.
///
/// ```
/// # use doorway_store::{Batch, MemoryStore, Store};
/// let store = MemoryStore::new();
/// store.commit(Batch::new().absent("user/ann").put("user/ann", "Ann")).wait()?;
/// assert!(store.commit(Batch::new().absent("user/ann").put("user/ann", "Anna")).wait().is_err());
/// # Ok::<(), doorway_store::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub(crate) checks: Vec<Check>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) durability: Durability,
    numbers: usize,
    /// Blobs that must not be moved before this batch is done.
    pub(crate) pins: Vec<Pin>,
}

impl Batch {
    /// An empty batch that will be durable on disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for less (or more) than the default [`Durability::Disk`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Only if there is no row `key`.
    #[must_use]
    pub fn absent(mut self, key: impl Into<Key>) -> Self {
        self.checks.push(Check::Absent(key.into()));
        self
    }

    /// Only if the row `key` has this version.
    #[must_use]
    pub fn version(mut self, key: impl Into<Key>, version: u64) -> Self {
        self.checks.push(Check::Version(key.into(), version));
        self
    }

    /// Only if the row `key` is as it was read: the version found, or absent.
    #[must_use]
    pub fn unchanged(self, key: impl Into<Key>, read: Option<&Row>) -> Self {
        match read {
            Some(row) => self.version(key, row.version),
            None => self.absent(key),
        }
    }

    /// Only if the row `key` has this value.
    #[must_use]
    pub fn value(mut self, key: impl Into<Key>, value: impl Into<Bytes>) -> Self {
        self.checks.push(Check::Value(key.into(), value.into()));
        self
    }

    /// Only if the row `key` has this value or is absent.
    #[must_use]
    pub fn absent_or_value(mut self, key: impl Into<Key>, value: impl Into<Bytes>) -> Self {
        self.checks.push(Check::AbsentOrValue(key.into(), value.into()));
        self
    }

    /// Writes a row, whatever it held.
    #[must_use]
    pub fn put(mut self, key: impl Into<Key>, value: impl Into<Bytes>) -> Self {
        self.operations.push(Operation::Put { key: key.into(), value: value.into() });
        self
    }

    /// Removes a row; nothing happens when there is none.
    #[must_use]
    pub fn delete(mut self, key: impl Into<Key>) -> Self {
        self.operations.push(Operation::Delete { key: key.into() });
        self
    }

    /// Adds to a number (an absent row counts as 0; the sum wraps). The sum is in [`Receipt::numbers`].
    #[must_use]
    pub fn add(mut self, key: impl Into<Key>, amount: i64) -> Self {
        self.operations.push(Operation::Add { key: key.into(), amount });
        self.numbers += 1;
        self
    }

    /// Draws the next number of a counter: 1, 2, 3 … It is in [`Receipt::numbers`], and the slot names
    /// it for [`Batch::put_under_id`]. A number drawn by a batch that failed is drawn again.
    #[must_use]
    pub fn next_id(mut self, counter: impl Into<Key>) -> (Self, IdSlot) {
        self.operations.push(Operation::NextId { key: counter.into() });
        self.numbers += 1;
        let slot = IdSlot(self.numbers - 1);
        (self, slot)
    }

    /// Writes the row whose key is `prefix` and then the number drawn, as [`Key::join_number`] joins it.
    #[must_use]
    pub fn put_under_id(mut self, prefix: impl Into<Key>, id: IdSlot, value: impl Into<Bytes>) -> Self {
        self.operations.push(Operation::PutUnderId { prefix: prefix.into(), id: id.0, value: value.into() });
        self
    }

    /// Octets of all its keys and values.
    #[must_use]
    pub fn octets(&self) -> usize {
        let checks = self.checks.iter().map(|check| match check {
            Check::Absent(key) | Check::Version(key, _) => key.octets(),
            Check::Value(key, value) | Check::AbsentOrValue(key, value) => key.octets() + value.len(),
        });
        let operations = self.operations.iter().map(|operation| match operation {
            Operation::Put { key, value } | Operation::PutUnderId { prefix: key, value, .. } => {
                key.octets() + value.len()
            }
            Operation::Delete { key } | Operation::Add { key, .. } | Operation::NextId { key } => {
                key.octets()
            }
        });
        checks.sum::<usize>() + operations.sum::<usize>()
    }

    /// True when all it does is remove rows, so that it makes room rather than take it.
    pub(crate) fn only_deletes(&self) -> bool {
        self.operations.iter().all(|operation| matches!(operation, Operation::Delete { .. }))
    }

    /// Refuses what is longer than a store takes.
    ///
    /// # Errors
    /// [`Error::Limit`] that names the bound.
    pub(crate) fn validate(&self) -> Result<()> {
        if self.checks.len() + self.operations.len() > BATCH_STEPS_MAX {
            return Err(Limit::built_in("store.batch_steps_max", BATCH_STEPS_MAX as u64).into());
        }
        if self.octets() > BATCH_OCTETS_MAX {
            return Err(Limit::built_in("store.batch_octets_max", BATCH_OCTETS_MAX as u64).into());
        }
        for operation in &self.operations {
            let (key_octets, value_octets) = match operation {
                Operation::Put { key, value } => (key.octets(), value.len()),
                Operation::PutUnderId { prefix, value, .. } => (prefix.octets() + 8, value.len()),
                Operation::Delete { key } | Operation::Add { key, .. } | Operation::NextId { key } => {
                    (key.octets(), 0)
                }
            };
            if key_octets > KEY_OCTETS_MAX {
                return Err(Limit::built_in("store.key_octets_max", KEY_OCTETS_MAX as u64).into());
            }
            if value_octets > VALUE_OCTETS_MAX {
                return Err(Limit::built_in("store.value_octets_max", VALUE_OCTETS_MAX as u64).into());
            }
        }
        Ok(())
    }
}

/// What a commit did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipt {
    /// Sequence number of the commit, which is the version of every row it wrote.
    pub seq: u64,
    /// The sums of [`Batch::add`] and the numbers of [`Batch::next_id`], in the order of the batch.
    pub numbers: Vec<i64>,
}

/// What became of a row: a new value, or `None` when it was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) value: Option<Bytes>,
    pub(crate) version: u64,
}

impl Change {
    /// The row as a reader sees it.
    pub(crate) fn row(&self) -> Option<Row> {
        Some(Row { value: self.value.clone()?, version: self.version })
    }
}

/// Changes by key, in key order.
pub(crate) type Changes = BTreeMap<Key, Change>;

/// Does what `batch` asks on the rows that `read` shows, as commit number `seq`.
///
/// The changes come back instead of being made: a batch that fails leaves nothing to undo, so its
/// neighbours in a group do not notice.
///
/// # Errors
/// [`Error::Conflict`] for a check that does not hold, [`Error::NotNumber`], or what `read` returns.
pub(crate) fn apply(
    batch: &Batch,
    seq: u64,
    mut read: impl FnMut(&Key) -> Result<Option<Row>>,
) -> Result<(Receipt, Changes)> {
    for (index, check) in batch.checks.iter().enumerate() {
        let (Check::Absent(key)
        | Check::Version(key, _)
        | Check::Value(key, _)
        | Check::AbsentOrValue(key, _)) = check;
        let row = read(key)?;
        let holds = match (check, &row) {
            (Check::Absent(_) | Check::AbsentOrValue(..), None) => true,
            (Check::Version(_, version), Some(row)) => row.version == *version,
            (Check::Value(_, value) | Check::AbsentOrValue(_, value), Some(row)) => row.value == *value,
            (Check::Absent(_), Some(_)) | (Check::Version(..) | Check::Value(..), None) => false,
        };
        if !holds {
            let found = row.map(|row| row.version);
            return Err(Error::Conflict(Conflict { check: index, key: key.clone(), found }));
        }
    }
    let mut changes = Changes::new();
    let mut numbers = Vec::with_capacity(batch.numbers);
    for operation in &batch.operations {
        let (key, value) = match operation {
            Operation::Put { key, value } => (key.clone(), Some(value.clone())),
            Operation::Delete { key } => (key.clone(), None),
            Operation::Add { key, .. } | Operation::NextId { key } => {
                let row = match changes.get(key) {
                    Some(change) => change.row(),
                    None => read(key)?,
                };
                let before = match row {
                    Some(row) => row.number().ok_or_else(|| Error::NotNumber(key.clone()))?,
                    None => 0,
                };
                let amount = if let Operation::Add { amount, .. } = operation { *amount } else { 1 };
                let sum = before.wrapping_add(amount);
                numbers.push(sum);
                (key.clone(), Some(Bytes::copy_from_slice(&sum.to_be_bytes())))
            }
            Operation::PutUnderId { prefix, id, value } => {
                let number = *numbers.get(*id).ok_or_else(|| Error::NotNumber(prefix.clone()))?;
                (prefix.join_number(number.cast_unsigned()), Some(value.clone()))
            }
        };
        changes.insert(key, Change { value, version: seq });
    }
    Ok((Receipt { seq, numbers }, changes))
}
