//! A store in memory, with the same meaning as the one on disk: for simulated nodes and for tests.
//!
//! It remembers which changes were only asked to survive the process, so that a simulated power cut
//! ([`MemoryStore::cut_power`]) can take them away. Answers are there at once, so a run with it depends
//! on nothing but its seed.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Mutex;

use doorway_base::Limit;

use crate::answer::{Answer, BoxFuture};
use crate::batch::{Batch, Durability, Receipt, Row, apply};
use crate::error::{Error, Result};
use crate::key::{Key, Range};
use crate::lock::lock;
use crate::store::{BackupTarget, GET_KEYS_MAX, Manifest, Page, PageBuilder, ScanOptions, Store};
use crate::watch::{Watch, Watches};

#[derive(Debug, Default)]
struct Rows {
    rows: BTreeMap<Key, Row>,
    seq: u64,
    /// Rows as the disk would have them, for those changed since the last durable commit.
    on_disk: BTreeMap<Key, Option<Row>>,
}

/// Ordered keys and values in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    rows: Mutex<Rows>,
    watches: Watches,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a power cut does: every commit after the last [`Durability::Disk`] one is undone.
    pub fn cut_power(&self) {
        let mut rows = lock(&self.rows);
        for (key, row) in std::mem::take(&mut rows.on_disk) {
            match row {
                Some(row) => rows.rows.insert(key, row),
                None => rows.rows.remove(&key),
            };
        }
    }

    fn commit_now(&self, batch: &Batch) -> Result<Receipt> {
        batch.validate()?;
        let mut guard = lock(&self.rows);
        let rows = &mut *guard;
        let (receipt, changes) = apply(batch, rows.seq + 1, |key| Ok(rows.rows.get(key).cloned()))?;
        rows.seq = receipt.seq;
        for (key, change) in &changes {
            let before = match change.row() {
                Some(row) => rows.rows.insert(key.clone(), row),
                None => rows.rows.remove(key),
            };
            rows.on_disk.entry(key.clone()).or_insert(before);
        }
        if batch.durability == Durability::Disk {
            rows.on_disk.clear();
        }
        drop(guard);
        self.watches.tell(changes.keys(), receipt.seq);
        Ok(receipt)
    }

    fn scan_now(&self, range: &Range, options: ScanOptions) -> Page {
        if range.is_empty() {
            return Page::default();
        }
        let guard = lock(&self.rows);
        let end = range.end.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let rows = guard.rows.range((Bound::Included(&range.start), end));
        let mut page = PageBuilder::new(options);
        let mut add = |(key, row): (&Key, &Row)| page.push(key.clone(), row.clone());
        // Both stop at the row that does not fit any more.
        if options.reverse {
            rows.rev().all(&mut add)
        } else {
            rows.into_iter().all(&mut add)
        };
        page.page
    }
}

impl Store for MemoryStore {
    fn get(&self, keys: &[Key]) -> Answer<Vec<Option<Row>>> {
        if keys.len() > GET_KEYS_MAX {
            return Answer::ready(Err(Limit::built_in("store.get_keys_max", GET_KEYS_MAX as u64).into()));
        }
        let rows = lock(&self.rows);
        Answer::ready(Ok(keys.iter().map(|key| rows.rows.get(key).cloned()).collect()))
    }

    fn scan(&self, range: Range, options: ScanOptions) -> Answer<Page> {
        Answer::ready(Ok(self.scan_now(&range, options)))
    }

    fn commit(&self, batch: Batch) -> Answer<Receipt> {
        Answer::ready(self.commit_now(&batch))
    }

    fn watch(&self, prefix: Key) -> Watch {
        self.watches.watch(prefix)
    }

    /// There is nothing to copy it from after the process has ended, so it refuses.
    fn backup(&self, _target: BackupTarget) -> BoxFuture<'_, Result<Manifest>> {
        Box::pin(async { Err(Error::Local("a store in memory has no backup".into())) })
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        self.watches.close();
    }
}
