//! What is left of a damaged store: every row and blob that can still be read, past those that cannot.
//!
//! [`Remains`] answers as a store and as its blobs, so that whoever exports from a sound store exports from a
//! damaged one. It writes nothing; only SQLite may take its own log into the database when it is closed.
//! The database has no checksums of its own, so a long value may come with octets that were not written: its
//! owner compares. [`crate::verify`] tells what is damaged; here it is only passed over, and told where.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use doorway_base::{Disk, UnixTime};
use rusqlite::Connection;

use crate::answer::{Answer, BoxFuture};
use crate::batch::{Batch, Durability, Receipt, Row};
use crate::blob::{BlobId, BlobWriter, Blobs, Collected, Location, READ_OCTETS_MAX, Stored, place_key};
use crate::error::{Error, Result};
use crate::io::disk::OsDisk;
use crate::io::folder::{FolderLock, Layout};
use crate::io::log::Log;
use crate::io::segments::SegmentFiles;
use crate::io::sqlite::{self, Role};
use crate::io::tables::{Overlaid, Tables};
use crate::io::verify::DAMAGE_LISTED_MAX;
use crate::key::{Key, Range};
use crate::lock::lock;
use crate::segment::{Found, walk};
use crate::store::{BackupTarget, Manifest, Page, ScanOptions, Store};
use crate::user::{Account, USERS};
use crate::watch::{Watch, Watches};

/// A store of which parts may be lost. Everything happens in the caller's thread.
pub struct Remains {
    database: Mutex<Option<Connection>>,
    newest: Tables,
    disk: Arc<dyn Disk>,
    files: SegmentFiles,
    layout: Layout,
    /// Where blobs lie in segments, for those whose rows are lost; filled when the first one is asked for.
    found: Mutex<Option<BTreeMap<BlobId, Location>>>,
    damage: Mutex<Vec<String>>,
    watches: Watches,
    _lock: FolderLock,
}

impl std::fmt::Debug for Remains {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remains").field("folder", &self.layout.folder).finish_non_exhaustive()
    }
}

impl Remains {
    /// Opens what is left in a folder that no process has open.
    ///
    /// # Errors
    /// [`Error::Locked`], or [`Error::Local`] when there is no such folder. Damage is no error.
    pub fn open(folder: &Path) -> Result<Self> {
        let layout = Layout::new(folder);
        if !layout.folder.is_dir() {
            return Err(Error::Local(format!("there is no folder {}", folder.display()).into()));
        }
        let lock = FolderLock::take(&layout)?;
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let mut damage = Vec::new();
        let mut tell = |error: &Error| damage.push(error.to_string());
        let database = sqlite::open(&layout.database(), Role::Reader, 0).inspect_err(&mut tell).ok();
        let seq = database.as_ref().and_then(|database| sqlite::seq(database).inspect_err(&mut tell).ok());
        let read = Log::read_past_damage(&*disk, &layout.log());
        let mut changes = read.inspect_err(&mut tell).unwrap_or_default();
        changes.retain(|key, change| match (seq, &database) {
            (Some(seq), _) => change.version > seq,
            // Nobody knows what the database has: whatever is newer than its row counts.
            (None, Some(database)) => {
                let older = sqlite::row(database, key).ok().flatten();
                older.is_none_or(|row| row.version <= change.version)
            }
            (None, None) => true,
        });
        Ok(Self {
            database: Mutex::new(database),
            newest: Tables { active: changes, frozen: None },
            files: SegmentFiles::new(Arc::clone(&disk), layout.segments()),
            disk,
            layout,
            found: Mutex::default(),
            damage: Mutex::new(damage),
            watches: Watches::default(),
            _lock: lock,
        })
    }

    /// What could not be read so far, in words; at most [`DAMAGE_LISTED_MAX`] places.
    #[must_use]
    pub fn damage(&self) -> Vec<String> {
        lock(&self.damage).clone()
    }

    /// The names of the users whose rows are readable, by number.
    #[must_use]
    pub fn user_names(&self) -> BTreeMap<u64, String> {
        let mut names = BTreeMap::new();
        let mut rest = Some(Range::prefix(&Key::from(USERS)));
        while let Some(range) = rest {
            let page = self.page(&range, ScanOptions::default());
            for (_, row) in &page.rows {
                if let Ok(account) = Account::decode(&row.value) {
                    names.insert(account.user.id, account.user.name);
                }
            }
            rest = page.rest(&range, ScanOptions::default());
        }
        names
    }

    fn tell(&self, what: String) {
        let mut damage = lock(&self.damage);
        if damage.len() < DAMAGE_LISTED_MAX && !damage.contains(&what) {
            damage.push(what);
        }
    }

    fn row(&self, key: &Key) -> Option<Row> {
        if let Some(change) = self.newest.find(key) {
            return change.row();
        }
        let database = lock(&self.database);
        match sqlite::row(database.as_ref()?, key) {
            Ok(row) => row,
            Err(error) => {
                self.tell(format!("row {key}: {error}"));
                None
            }
        }
    }

    /// A page of what is readable in a range.
    fn page(&self, range: &Range, options: ScanOptions) -> Page {
        let mut overlaid = Overlaid::new(self.newest.part(range, options), options);
        let database = lock(&self.database);
        let mut rest = range.clone();
        while let Some(database) = database.as_ref() {
            let mut last = None;
            let mut full = false;
            let walked = sqlite::rows(database, &rest, options.reverse, |key, row| {
                last = Some(key.clone());
                full = !overlaid.older(key, row);
                !full
            });
            let Err(error) = walked else { break };
            if full || options.reverse {
                break;
            }
            let from = last.map_or(rest.start.clone(), |last: Key| last.successor());
            let next = next_readable(database, &from);
            let to = next.as_ref().map_or("the end".to_owned(), Key::to_string);
            self.tell(format!("rows from {from} to {to}: {error}"));
            match next.filter(|next| range.end.as_ref().is_none_or(|end| next < end)) {
                Some(next) => rest.start = next,
                None => break,
            }
        }
        overlaid.finish()
    }

    fn location(&self, id: &BlobId) -> Option<Location> {
        if let Some(row) = self.row(&place_key(id))
            && let Ok(location) = Location::decode(&row.value)
        {
            return Some(location);
        }
        let mut found = lock(&self.found);
        let found = found.get_or_insert_with(|| self.search());
        if let Some(location) = found.get(id) {
            return Some(*location);
        }
        let body = self.disk.open(&self.layout.bodies().join(id.to_string()), false);
        Some(Location::Body { octets: body.ok()?.octets().ok()? })
    }

    /// Walks through all segments.
    fn search(&self) -> BTreeMap<BlobId, Location> {
        let mut records = BTreeMap::new();
        for segment in self.files.list().unwrap_or_default() {
            let Ok(octets) = self.files.read_all(segment) else { continue };
            for found in walk(&octets) {
                if let Found::Record { offset, header } = found {
                    let location = Location::Segment { segment, offset, octets: header.octets };
                    records.insert(header.id, location);
                }
            }
        }
        records
    }

    fn content(&self, id: BlobId, offset: u64, octets: u64) -> Result<Bytes> {
        let location = self.location(&id).ok_or(Error::NoSuchBlob)?;
        let start = offset.min(location.octets());
        let end = start.saturating_add(octets.min(READ_OCTETS_MAX)).min(location.octets());
        let damaged = |error: std::io::Error| Error::damaged(format!("blob {id} cannot be read: {error}"));
        match location {
            Location::Segment { segment, offset, .. } => {
                self.files.read(segment, offset, start..end).map_err(damaged)
            }
            Location::Body { .. } => {
                let file = self.disk.open(&self.layout.bodies().join(id.to_string()), false);
                let mut content = vec![0; (end - start) as usize];
                file.and_then(|file| file.read_exact_at(&mut content, start)).map_err(damaged)?;
                Ok(content.into())
            }
        }
    }
}

/// The smallest key behind `from` from which rows can be read again. What is skipped grows with each octet
/// that is looked at, from the last one of the key to its first: the leaves of the tree are tried one after
/// the other.
fn next_readable(database: &Connection, from: &Key) -> Option<Key> {
    let octets = from.as_octets();
    for at in (0..octets.len()).rev() {
        for larger in octets[at]..u8::MAX {
            let candidate = Key::from([&octets[..at], &[larger + 1]].concat());
            let range = Range { start: candidate.clone(), end: None };
            if sqlite::rows(database, &range, false, |_, _| false).is_ok() {
                return Some(candidate);
            }
        }
    }
    None
}

fn read_only<T>() -> Result<T> {
    Err(Error::Failed("what is left of a damaged store is only read".into()))
}

impl Store for Remains {
    /// Rows that cannot be read are as absent.
    fn get(&self, keys: &[Key]) -> Answer<Vec<Option<Row>>> {
        Answer::ready(Ok(keys.iter().map(|key| self.row(key)).collect()))
    }

    fn scan(&self, range: Range, options: ScanOptions) -> Answer<Page> {
        if range.is_empty() {
            return Answer::ready(Ok(Page::default()));
        }
        Answer::ready(Ok(self.page(&range, options)))
    }

    fn commit(&self, _batch: Batch) -> Answer<Receipt> {
        Answer::ready(read_only())
    }

    fn watch(&self, prefix: Key) -> Watch {
        self.watches.watch(prefix)
    }

    fn backup(&self, _target: BackupTarget) -> BoxFuture<'_, Result<Manifest>> {
        Box::pin(async { read_only() })
    }
}

impl Blobs for Remains {
    fn put(&self, _content: Bytes, _durability: Durability) -> BoxFuture<'_, Result<Stored>> {
        Box::pin(async { read_only() })
    }

    fn writer(&self, _durability: Durability) -> Box<dyn BlobWriter> {
        Box::new(Refused)
    }

    fn octets(&self, id: BlobId) -> BoxFuture<'_, Result<Option<u64>>> {
        Box::pin(async move { Ok(self.location(&id).map(Location::octets)) })
    }

    fn read(&self, id: BlobId, offset: u64, octets: u64) -> BoxFuture<'_, Result<Bytes>> {
        Box::pin(async move { self.content(id, offset, octets) })
    }

    fn collect(&self, _now: UnixTime) -> BoxFuture<'_, Result<Collected>> {
        Box::pin(async { read_only() })
    }
}

/// Takes nothing.
struct Refused;

impl BlobWriter for Refused {
    fn write(&mut self, _piece: Bytes) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { read_only() })
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Stored>> {
        Box::pin(async { read_only() })
    }
}

impl Drop for Remains {
    fn drop(&mut self) {
        self.watches.close();
    }
}
