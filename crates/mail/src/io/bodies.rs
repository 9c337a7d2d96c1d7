//! The octets of messages. Each is kept once, however many mailboxes and queue items refer to it: short
//! ones in a row of the store, so that one commit makes message and references durable together, long
//! ones as blobs.
//!
//! | row | what it holds |
//! | --- | --- |
//! | `mail.body/ID` | kind (1): 0, a checksum (8) and the octets, or 1, a blob's length (8) and name (32) |
//! | `mail.body.more/ID` | how many references there are beyond the first; absent for none |
//! | `mail.structure/ID` | the structure that MIME found, as its own encoding has it; absent for none |
//!
//! The checksum is the beginning of the octets' BLAKE3; a blob's name is its whole hash. Reading does not
//! compare them: a message that lost one bit is better read than refused. [`Bodies::verify`] does.
//!
//! A body ends with CRLF, so that every protocol sends it as it is: what came without gets one.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use doorway_base::{Malformed, Reader};
use doorway_store::{
    Batch, BlobId, BlobWriter, Blobs, Durability, Error, GET_KEYS_MAX, Key, READ_OCTETS_MAX, Range, Result,
    Row, ScanOptions, Store, Stored,
};

use crate::id::MessageId;

/// Longest message that is kept in a row, in octets: about where a segment begins to cost less (DESIGN.md has
/// the figures).
pub const INLINE_OCTETS_MAX: usize = 48 * 1024;

pub(crate) const BODY: &str = "mail.body/";
pub(crate) const MORE: &str = "mail.body.more/";
pub(crate) const STRUCTURE: &str = "mail.structure/";
/// Octets of a row in front of an inline body: kind and checksum.
const INLINE_AT: usize = 9;
/// Most steps of a batch that giving back one reference takes.
pub(crate) const RELEASE_STEPS_MAX: usize = 5;

/// The octets of a message that just came.
#[derive(Debug, Clone)]
pub enum Content {
    /// In memory, in pieces that follow one another.
    Memory(Vec<Bytes>),
    /// On disk already.
    Blob(Stored),
}

impl Content {
    /// How many octets.
    #[must_use]
    pub fn octets(&self) -> u64 {
        match self {
            Self::Memory(pieces) => pieces.iter().map(|piece| piece.len() as u64).sum(),
            Self::Blob(stored) => stored.octets,
        }
    }
}

/// Octets that can go into a batch.
#[derive(Debug, Clone)]
pub enum Prepared {
    /// The row's value.
    Inline(Bytes),
    /// A durable blob.
    Blob(Stored),
}

impl Prepared {
    /// How many octets the body has: head, content, and a CRLF that was missing.
    #[must_use]
    pub fn octets(&self) -> u64 {
        match self {
            Self::Inline(row) => row.len().saturating_sub(INLINE_AT) as u64,
            Self::Blob(stored) => stored.octets,
        }
    }
}

/// The first octets of the hash, kept beside an inline body.
fn checksum(octets: &[u8]) -> [u8; 8] {
    let mut sum = [0; 8];
    sum.copy_from_slice(&BlobId::of(octets).0[..8]);
    sum
}

/// Octets as they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// All of them.
    Inline(Bytes),
    /// Where they are.
    Blob {
        /// The blob.
        id: BlobId,
        /// Its length.
        octets: u64,
    },
}

impl Body {
    /// How many octets.
    #[must_use]
    pub fn octets(&self) -> u64 {
        match self {
            Self::Inline(octets) => octets.len() as u64,
            Self::Blob { octets, .. } => *octets,
        }
    }

    pub(crate) fn decode(row: &Bytes) -> std::result::Result<Self, Malformed> {
        let mut reader = Reader::new(row);
        match reader.u8("kind of body")? {
            0 => {
                reader.take(INLINE_AT - 1, "checksum")?;
                Ok(Self::Inline(row.slice(INLINE_AT..)))
            }
            1 => {
                let octets = reader.u64("length")?;
                let hash = reader.take(32, "name of the blob")?;
                let id = BlobId(hash.try_into().map_err(|_| Malformed::new("name of the blob", 9))?);
                Ok(Self::Blob { id, octets })
            }
            _ => Err(Malformed::new("a known kind of body", 0)),
        }
    }
}

/// Keeps bodies. Clones are the same.
#[derive(Clone)]
pub struct Bodies {
    store: Arc<dyn Store>,
    blobs: Arc<dyn Blobs>,
}

impl std::fmt::Debug for Bodies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bodies").finish_non_exhaustive()
    }
}

pub(crate) fn body_key(id: MessageId) -> Key {
    Key::from(BODY).join_number(id.0)
}

pub(crate) fn more_key(id: MessageId) -> Key {
    Key::from(MORE).join_number(id.0)
}

pub(crate) fn structure_key(id: MessageId) -> Key {
    Key::from(STRUCTURE).join_number(id.0)
}

fn damaged(id: MessageId, malformed: Malformed) -> Error {
    Error::Damaged(format!("the body of message {id}: {malformed}").into())
}

/// The last two octets of `pieces` put one behind the other.
fn ends_with_crlf<'a>(pieces: impl DoubleEndedIterator<Item = &'a [u8]>) -> bool {
    let mut last = pieces.rev().flat_map(|piece| piece.iter().rev());
    last.next() == Some(&b'\n') && last.next() == Some(&b'\r')
}

impl Bodies {
    /// Bodies in this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, blobs: Arc<dyn Blobs>) -> Self {
        Self { store, blobs }
    }

    /// The store they are in.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The blobs that long ones go to.
    #[must_use]
    pub fn blobs(&self) -> &Arc<dyn Blobs> {
        &self.blobs
    }

    /// Makes `head` and then `content` ready to be kept. Long ones are durable as a blob afterwards.
    ///
    /// # Errors
    /// The store's.
    pub async fn prepare(&self, head: &[u8], content: &Content) -> Result<Prepared> {
        match content {
            Content::Memory(pieces) => {
                let all = || std::iter::once(head).chain(pieces.iter().map(|piece| &piece[..]));
                let end: &[u8] = if ends_with_crlf(all()) { b"" } else { b"\r\n" };
                let octets = head.len() as u64 + content.octets() + end.len() as u64;
                if octets <= INLINE_OCTETS_MAX as u64 {
                    let mut row = vec![0; INLINE_AT];
                    row.reserve_exact(octets as usize);
                    all().for_each(|piece| row.extend_from_slice(piece));
                    row.extend_from_slice(end);
                    let sum = checksum(&row[INLINE_AT..]);
                    row[1..INLINE_AT].copy_from_slice(&sum);
                    return Ok(Prepared::Inline(row.into()));
                }
                let mut writer = self.blobs.writer(Durability::Disk);
                writer.write(Bytes::copy_from_slice(head)).await?;
                for piece in pieces {
                    writer.write(piece.clone()).await?;
                }
                writer.write(Bytes::from_static(if end.is_empty() { b"" } else { b"\r\n" })).await?;
                Ok(Prepared::Blob(writer.finish().await?))
            }
            Content::Blob(stored) => {
                let tail = self.blobs.read(stored.id, stored.octets.saturating_sub(2), 2).await?;
                let ends = ends_with_crlf([head, &tail[..]].into_iter());
                if head.is_empty() && ends {
                    return Ok(Prepared::Blob(stored.clone()));
                }
                let mut writer = self.blobs.writer(Durability::Disk);
                writer.write(Bytes::copy_from_slice(head)).await?;
                self.copy(stored, &mut *writer).await?;
                if !ends {
                    writer.write(Bytes::from_static(b"\r\n")).await?;
                }
                Ok(Prepared::Blob(writer.finish().await?))
            }
        }
    }

    async fn copy(&self, from: &Stored, to: &mut dyn BlobWriter) -> Result<()> {
        let mut at = 0;
        while at < from.octets {
            let piece = self.blobs.read(from.id, at, READ_OCTETS_MAX).await?;
            if piece.is_empty() {
                return Err(Error::NoSuchBlob);
            }
            at += piece.len() as u64;
            to.write(piece).await?;
        }
        Ok(())
    }

    /// Adds a body with `references` references to it, at least one. Nothing is read, so the name has to be a new
    /// one: all are drawn from one [`MessageIds`](crate::MessageIds) that began above [`Bodies::last`].
    #[must_use]
    pub fn keep(&self, batch: Batch, id: MessageId, body: &Prepared, references: u64) -> Batch {
        let key = body_key(id);
        let batch = match body {
            Prepared::Inline(row) => batch.put(key, row.clone()),
            Prepared::Blob(stored) => {
                let mut row = Vec::with_capacity(41);
                row.push(1);
                row.extend_from_slice(&stored.octets.to_be_bytes());
                row.extend_from_slice(&stored.id.0);
                batch.put(key, row).link(stored)
            }
        };
        if references > 1 { batch.add(more_key(id), (references - 1).cast_signed()) } else { batch }
    }

    /// The highest name of a body; zero when there is none.
    ///
    /// # Errors
    /// The store's; [`Error::Damaged`] for a row that has no name.
    pub async fn last(&self) -> Result<MessageId> {
        let prefix = Key::from(BODY);
        let options = ScanOptions { limit: 1, reverse: true };
        let page = self.store.scan(Range::prefix(&prefix), options).await?;
        let Some((key, _)) = page.rows.first() else { return Ok(MessageId(0)) };
        let name = key.after(&prefix).and_then(|name| name.try_into().ok());
        let name =
            name.ok_or_else(|| Error::Damaged(format!("row {key} has no name of a message").into()))?;
        Ok(MessageId(u64::from_be_bytes(name)))
    }

    /// Keeps the structure of a body beside it, for whoever asks for parts of the message. It goes with the
    /// body.
    #[must_use]
    pub fn describe(&self, batch: Batch, id: MessageId, structure: impl Into<Bytes>) -> Batch {
        batch.put(structure_key(id), structure)
    }

    /// The structures of these bodies, in their order; `None` for each that was kept without.
    ///
    /// # Errors
    /// The store's.
    pub async fn structures(&self, ids: &[MessageId]) -> Result<Vec<Option<Bytes>>> {
        let rows = self.rows(ids.iter().map(|id| structure_key(*id))).await?;
        Ok(rows.into_iter().map(|row| row.map(|row| row.value)).collect())
    }

    /// Adds `references` to a body that is kept already. The batch must check that a reference that exists
    /// now is still there (as by the version of its row), or the body may be gone meanwhile.
    #[must_use]
    pub fn refer(&self, batch: Batch, id: MessageId, references: u64) -> Batch {
        batch.add(more_key(id), references.cast_signed())
    }

    /// Takes one reference away for each of `ids`, and with the last one the body; a name may come more than
    /// once. When somebody else does so at the same moment the batch ends in a conflict: make it anew.
    ///
    /// # Errors
    /// The store's.
    pub async fn release(&self, mut batch: Batch, ids: &[MessageId]) -> Result<Batch> {
        let mut references = BTreeMap::new();
        for id in ids {
            *references.entry(*id).or_insert(0) += 1;
        }
        let found = self.rows(references.keys().flat_map(|id| [body_key(*id), more_key(*id)])).await?;
        for ((id, references), rows) in references.into_iter().zip(found.chunks_exact(2)) {
            let [Some(body), more] = rows else { continue };
            let more_key = more_key(id);
            batch = batch.unchanged(more_key.clone(), more.as_ref());
            let left = 1 + more.as_ref().and_then(Row::number).unwrap_or(0) - references;
            if left > 0 {
                batch = batch.add(more_key, -references);
                continue;
            }
            batch = batch.delete(body_key(id)).delete(structure_key(id));
            if more.is_some() {
                batch = batch.delete(more_key);
            }
            if let Ok(Body::Blob { id, .. }) = Body::decode(&body.value) {
                batch = batch.unlink(&id);
            }
        }
        Ok(batch)
    }

    async fn rows(&self, keys: impl Iterator<Item = Key>) -> Result<Vec<Option<Row>>> {
        let keys: Vec<Key> = keys.collect();
        let mut found = Vec::with_capacity(keys.len());
        for some in keys.chunks(GET_KEYS_MAX) {
            found.extend(self.store.get(some).await?);
        }
        Ok(found)
    }

    /// A body; `None` when there is none of this name.
    ///
    /// # Errors
    /// The store's; [`Error::Damaged`] when the row is not one.
    pub async fn body(&self, id: MessageId) -> Result<Option<Body>> {
        let found = self.store.get(&[body_key(id)]).await?.pop().flatten();
        found.map(|row| Body::decode(&row.value)).transpose().map_err(|malformed| damaged(id, malformed))
    }

    /// Several bodies at once, in the order of their names; `None` for each that is not there or not
    /// readable. Short ones come whole: bound how many are asked for.
    ///
    /// # Errors
    /// The store's.
    pub async fn bodies(&self, ids: &[MessageId]) -> Result<Vec<Option<Body>>> {
        let rows = self.rows(ids.iter().map(|id| body_key(*id))).await?;
        Ok(rows.into_iter().map(|row| Body::decode(&row?.value).ok()).collect())
    }

    /// Reads a body whole and compares it with its checksum or its name. `Ok(Err)` says what is wrong with it.
    ///
    /// # Errors
    /// The store's, unless it says that this body is damaged.
    pub async fn verify(&self, id: MessageId, row: &Bytes) -> Result<std::result::Result<Body, String>> {
        let body = match Body::decode(row) {
            Ok(body) => body,
            Err(malformed) => return Ok(Err(format!("the body of message {id}: {malformed}"))),
        };
        match &body {
            Body::Inline(octets) => {
                let same = row.get(1..INLINE_AT) == Some(&checksum(octets)[..]);
                Ok(if same { Ok(body) } else { Err("the octets are not those that were kept".to_owned()) })
            }
            Body::Blob { id, octets } => match self.verify_blob(*id, *octets).await {
                Ok(None) => Ok(Ok(body)),
                Ok(Some(wrong)) => Ok(Err(wrong)),
                Err(error @ (Error::Damaged(_) | Error::NoSuchBlob)) => {
                    Ok(Err(format!("blob {id}: {error}")))
                }
                Err(error) => Err(error),
            },
        }
    }

    async fn verify_blob(&self, id: BlobId, octets: u64) -> Result<Option<String>> {
        let mut hasher = blake3::Hasher::new();
        let mut at = 0;
        while at < octets {
            let piece = self.blobs.read(id, at, READ_OCTETS_MAX).await?;
            if piece.is_empty() {
                return Ok(Some(format!("blob {id} ends at {at} of {octets} octets")));
            }
            at += piece.len() as u64;
            hasher.update(&piece);
        }
        let same = *hasher.finalize().as_bytes() == id.0;
        Ok((!same).then(|| format!("blob {id}: the octets are not those that were kept")))
    }

    /// Up to [`READ_OCTETS_MAX`] octets of a body from `offset` on; none beyond its end.
    ///
    /// # Errors
    /// The store's.
    pub async fn read(&self, body: &Body, offset: u64, octets: u64) -> Result<Bytes> {
        match body {
            Body::Inline(all) => {
                let start = offset.min(all.len() as u64) as usize;
                let end = offset.saturating_add(octets.min(READ_OCTETS_MAX)).min(all.len() as u64) as usize;
                Ok(all.slice(start..end.max(start)))
            }
            Body::Blob { id, .. } => self.blobs.read(*id, offset, octets).await,
        }
    }
}
