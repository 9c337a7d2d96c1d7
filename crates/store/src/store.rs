//! What the rest of Doorway asks of a store: ordered keys and values, changed in batches.
//!
//! The embedded engine ([`crate::Embedded`]) and the one in memory ([`crate::MemoryStore`]) are here;
//! one over a shared database keeps the same promises and needs no change above this trait. The suite
//! `tests/store/conformance.rs` is the trait's meaning in full.

use std::path::PathBuf;
use std::time::Duration;

use doorway_base::UnixTime;

use crate::answer::{Answer, BoxFuture};
use crate::batch::{Batch, Receipt, Row};
use crate::claim::Claim;
use crate::error::Result;
use crate::io::claim;
use crate::key::{Key, Range};
use crate::watch::Watch;

/// Most rows in one page of a scan.
pub const PAGE_ROWS_MAX: usize = 10_000;
/// Octets of keys and values after which a page ends early.
pub const PAGE_OCTETS_MAX: usize = 4 * 1024 * 1024;
/// Most keys in one [`Store::get`].
pub const GET_KEYS_MAX: usize = 10_000;

/// How to walk a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanOptions {
    /// Most rows wanted; at most [`PAGE_ROWS_MAX`] are given.
    pub limit: usize,
    /// From the last key to the first.
    pub reverse: bool,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self { limit: PAGE_ROWS_MAX, reverse: false }
    }
}

/// Part of a range, as it was at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The rows, in the order asked for.
    pub rows: Vec<(Key, Row)>,
    /// True when the range may hold more; [`Page::rest`] says where.
    pub more: bool,
}

impl Page {
    /// The part of `range` that this page left out; `None` when it is complete.
    #[must_use]
    pub fn rest(&self, range: &Range, options: ScanOptions) -> Option<Range> {
        let (last, _) = self.rows.last().filter(|_| self.more)?;
        Some(if options.reverse {
            Range { start: range.start.clone(), end: Some(last.clone()) }
        } else {
            Range { start: last.successor(), end: range.end.clone() }
        })
    }
}

/// Fills a page up to its bounds.
#[derive(Debug)]
pub(crate) struct PageBuilder {
    pub(crate) page: Page,
    rows_left: usize,
    octets: usize,
}

impl PageBuilder {
    pub(crate) fn new(options: ScanOptions) -> Self {
        Self { page: Page::default(), rows_left: options.limit.min(PAGE_ROWS_MAX), octets: 0 }
    }

    /// Adds a row, or returns false and notes that there is more when the page is full.
    pub(crate) fn push(&mut self, key: Key, row: Row) -> bool {
        if self.rows_left == 0 || self.octets >= PAGE_OCTETS_MAX {
            self.page.more = true;
            return false;
        }
        self.rows_left -= 1;
        self.octets += key.octets() + row.value.len();
        self.page.rows.push((key, row));
        true
    }
}

/// Where a backup is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupTarget {
    /// A folder, made if missing; it must be empty.
    Folder(PathBuf),
    /// One file (a POSIX tar archive); it must not exist.
    File(PathBuf),
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    /// Format version of the data.
    pub format: u32,
    /// Sequence number up to which every commit is in the backup.
    pub seq: u64,
    /// Its files.
    pub files: Vec<ManifestFile>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFile {
    /// Path inside the backup, with `/`.
    pub path: String,
    /// Length in octets.
    pub octets: u64,
    /// BLAKE3 of its content.
    pub hash: [u8; 32],
}

/// Ordered keys and values, changed in batches, with what several nodes need to agree.
///
/// Keys have at most 1 KiB, values at most 64 KiB. Every method may be called from any thread; nothing
/// blocks before the returned answer is waited for.
pub trait Store: Send + Sync {
    /// The rows of these keys, in their order, as they were at one moment.
    fn get(&self, keys: &[Key]) -> Answer<Vec<Option<Row>>>;

    /// Rows of a range in key order, as they were at one moment.
    fn scan(&self, range: Range, options: ScanOptions) -> Answer<Page>;

    /// Does a batch whole or not at all. The answer comes when its [`crate::Durability`] is reached, and
    /// from then on every `get` and `scan` sees it. A conflict is told once what it conflicts with can be read,
    /// so that whoever reads again and tries again gets on.
    fn commit(&self, batch: Batch) -> Answer<Receipt>;

    /// Hints that rows whose keys begin with `prefix` have changed. At least one hint follows each
    /// change; several changes may share one. Who is woken scans again.
    fn watch(&self, prefix: Key) -> Watch;

    /// Copies everything acknowledged before the call, while the store goes on working.
    fn backup(&self, target: BackupTarget) -> BoxFuture<'_, Result<Manifest>>;

    /// Takes, or takes over, the claim `name` for `owner` until `now + ttl`. `None` while somebody else
    /// holds it. The same owner asking again renews its claim and keeps its token.
    fn claim<'a>(
        &'a self,
        name: &'a str,
        owner: &'a str,
        ttl: Duration,
        now: UnixTime,
    ) -> BoxFuture<'a, Result<Option<Claim>>> {
        Box::pin(claim::claim(self, name, owner, ttl, now))
    }

    /// Gives a claim back before its time. Nothing happens when it was lost already.
    fn release<'a>(&'a self, claim: &'a Claim) -> BoxFuture<'a, Result<()>> {
        Box::pin(claim::release(self, claim))
    }
}
