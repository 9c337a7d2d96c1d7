//! The octets of messages. Each is kept once, however many mailboxes and queue items refer to it: short
//! ones in a row of the store, so that one commit makes message and references durable together, long
//! ones as blobs.
//!
//! | row | what it holds |
//! | --- | --- |
//! | `mail.body/ID` | kind (1): inline octets follow (0), or a blob's length (8) and name (32) (1) |
//! | `mail.body.more/ID` | how many references there are beyond the first; absent for none |

use std::sync::Arc;

use bytes::Bytes;
use doorway_base::{Malformed, Reader};
use doorway_store::{Batch, BlobId, Blobs, Durability, Error, Key, READ_OCTETS_MAX, Result, Store, Stored};

use crate::id::MessageId;

/// Longest message that is kept in a row, in octets.
pub const INLINE_OCTETS_MAX: usize = 60 * 1024;

const BODY: &str = "mail.body/";
const MORE: &str = "mail.body.more/";

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

    fn decode(row: &Bytes) -> std::result::Result<Self, Malformed> {
        let mut reader = Reader::new(row);
        match reader.u8("kind of body")? {
            0 => Ok(Self::Inline(row.slice(1..))),
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

fn body_key(id: MessageId) -> Key {
    Key::from(BODY).join_number(id.0)
}

fn more_key(id: MessageId) -> Key {
    Key::from(MORE).join_number(id.0)
}

impl Bodies {
    /// Bodies in this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, blobs: Arc<dyn Blobs>) -> Self {
        Self { store, blobs }
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
        let octets = head.len() as u64 + content.octets();
        match content {
            Content::Memory(pieces) if octets <= INLINE_OCTETS_MAX as u64 => {
                let mut row = Vec::with_capacity(1 + octets as usize);
                row.push(0);
                row.extend_from_slice(head);
                pieces.iter().for_each(|piece| row.extend_from_slice(piece));
                Ok(Prepared::Inline(row.into()))
            }
            Content::Blob(stored) if head.is_empty() => Ok(Prepared::Blob(stored.clone())),
            Content::Memory(pieces) => {
                let mut writer = self.blobs.writer(Durability::Disk);
                writer.write(Bytes::copy_from_slice(head)).await?;
                for piece in pieces {
                    writer.write(piece.clone()).await?;
                }
                Ok(Prepared::Blob(writer.finish().await?))
            }
            Content::Blob(stored) => {
                let mut writer = self.blobs.writer(Durability::Disk);
                writer.write(Bytes::copy_from_slice(head)).await?;
                let mut at = 0;
                while at < stored.octets {
                    let piece = self.blobs.read(stored.id, at, READ_OCTETS_MAX).await?;
                    if piece.is_empty() {
                        return Err(Error::NoSuchBlob);
                    }
                    at += piece.len() as u64;
                    writer.write(piece).await?;
                }
                Ok(Prepared::Blob(writer.finish().await?))
            }
        }
    }

    /// Adds a body with `references` references to it, at least one. The batch fails when there is a body
    /// of this name.
    #[must_use]
    pub fn keep(&self, batch: Batch, id: MessageId, body: &Prepared, references: u64) -> Batch {
        let key = body_key(id);
        let batch = batch.absent(key.clone());
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

    /// Adds `references` to a body that is kept already.
    #[must_use]
    pub fn refer(&self, batch: Batch, id: MessageId, references: u64) -> Batch {
        batch.add(more_key(id), references.cast_signed())
    }

    /// Takes one reference away from each of `ids`, and with the last one the body. When somebody else
    /// does so at the same moment the batch ends in a conflict: make it anew.
    ///
    /// # Errors
    /// The store's.
    pub async fn release(&self, mut batch: Batch, ids: &[MessageId]) -> Result<Batch> {
        let keys: Vec<Key> = ids.iter().flat_map(|id| [body_key(*id), more_key(*id)]).collect();
        let mut found = Vec::with_capacity(keys.len());
        for some in keys.chunks(doorway_store::GET_KEYS_MAX) {
            found.extend(self.store.get(some).await?);
        }
        for (id, rows) in ids.iter().zip(found.chunks_exact(2)) {
            let [body, more] = rows else { continue };
            let Some(body) = body else { continue };
            let (key, more_key) = (body_key(*id), more_key(*id));
            batch = batch.unchanged(more_key.clone(), more.as_ref());
            if more.as_ref().and_then(doorway_store::Row::number).is_some_and(|more| more > 0) {
                batch = batch.add(more_key, -1);
                continue;
            }
            batch = batch.delete(key);
            if more.is_some() {
                batch = batch.delete(more_key);
            }
            if let Ok(Body::Blob { id, .. }) = Body::decode(&body.value) {
                batch = batch.unlink(&id);
            }
        }
        Ok(batch)
    }

    /// A body; `None` when there is none of this name.
    ///
    /// # Errors
    /// The store's; [`Error::Damaged`] when the row is not one.
    pub async fn body(&self, id: MessageId) -> Result<Option<Body>> {
        let found = self.store.get(&[body_key(id)]).await?.pop().flatten();
        let decoded = found.map(|row| Body::decode(&row.value)).transpose();
        decoded.map_err(|malformed| Error::Damaged(format!("the body of message {id}: {malformed}").into()))
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
