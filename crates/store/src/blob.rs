//! Blobs: content too long for a row, kept once however often it is referred to.
//!
//! A blob is put first and linked afterwards: [`Blobs::put`] answers when the content is durable, and
//! [`Batch::link`] makes the rows that speak of it and its count of references one commit. So no row
//! ever points to content that is not there. Content that nobody refers to for a day is collected.
//!
//! What fits a row (64 KiB) may as well live in one; that is the caller's choice and needs nothing here.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use doorway_base::{Malformed, Reader, UnixTime};

use crate::answer::BoxFuture;
use crate::batch::{Batch, Durability};
use crate::error::Result;
use crate::key::Key;
use crate::pin::Pin;

/// Content of this many octets or more gets a file of its own.
pub const BODY_OCTETS_MIN: u64 = 8 * 1024 * 1024;
/// Most octets that one [`Blobs::read`] gives.
pub const READ_OCTETS_MAX: u64 = 1024 * 1024;
/// How long content without references is kept.
pub const COLLECT_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Names a blob by the BLAKE3 hash of its content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(pub [u8; 32]);

impl BlobId {
    /// The name of this content.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(*blake3::hash(content).as_bytes())
    }
}

impl fmt::Display for BlobId {
    /// 64 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobId({self})")
    }
}

impl FromStr for BlobId {
    type Err = Malformed;

    fn from_str(text: &str) -> std::result::Result<Self, Malformed> {
        let hash = blake3::Hash::from_hex(text).map_err(|_| Malformed::new("64 hexadecimal digits", 0))?;
        Ok(Self(*hash.as_bytes()))
    }
}

/// Where a blob's content lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Location {
    /// In a segment file; `offset` is that of the record.
    Segment { segment: u32, offset: u64, octets: u64 },
    /// In a file of its own.
    Body { octets: u64 },
}

impl Location {
    pub(crate) fn octets(self) -> u64 {
        match self {
            Self::Segment { octets, .. } | Self::Body { octets } => octets,
        }
    }

    /// The stored form: kind (1), segment (4), offset (8), length (8), big-endian.
    pub(crate) fn encode(self) -> Bytes {
        let (kind, segment, offset, octets) = match self {
            Self::Segment { segment, offset, octets } => (1, segment, offset, octets),
            Self::Body { octets } => (2, 0, 0, octets),
        };
        let mut row = Vec::with_capacity(21);
        row.push(kind);
        row.extend_from_slice(&segment.to_be_bytes());
        row.extend_from_slice(&offset.to_be_bytes());
        row.extend_from_slice(&octets.to_be_bytes());
        row.into()
    }

    pub(crate) fn decode(row: &[u8]) -> std::result::Result<Self, Malformed> {
        let mut reader = Reader::new(row);
        let kind = reader.u8("kind of place")?;
        let segment = reader.u32("segment")?;
        let offset = reader.u64("offset")?;
        let octets = reader.u64("length")?;
        reader.finish("the end of the place")?;
        match kind {
            1 => Ok(Self::Segment { segment, offset, octets }),
            2 => Ok(Self::Body { octets }),
            _ => Err(Malformed::new("a known kind of place", 0)),
        }
    }
}

/// Rows `blob.place/ID`: where it lies.
pub(crate) const PLACE: &str = "blob.place/";
/// Rows `blob.links/ID`: how many references it has.
pub(crate) const LINKS: &str = "blob.links/";
/// Rows `blob.idle/ID`: since when it has none, in seconds since 1970.
pub(crate) const IDLE: &str = "blob.idle/";

pub(crate) fn place_key(id: &BlobId) -> Key {
    Key::from(PLACE).join(id.0)
}

pub(crate) fn links_key(id: &BlobId) -> Key {
    Key::from(LINKS).join(id.0)
}

pub(crate) fn idle_key(id: &BlobId) -> Key {
    Key::from(IDLE).join(id.0)
}

/// The blob that a row's key ends in.
pub(crate) fn id_of(key: &Key, prefix: &str) -> Option<BlobId> {
    Some(BlobId(key.after(&Key::from(prefix))?.try_into().ok()?))
}

/// Content that is in place, and stays there at least until this is dropped.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The blob's name.
    pub id: BlobId,
    /// Its length in octets.
    pub octets: u64,
    pub(crate) location: Location,
    /// It has a row already.
    pub(crate) known: bool,
    pub(crate) pin: Pin,
}

impl Batch {
    /// Adds a reference to a blob. Should the blob have been moved since it was put, the commit ends in
    /// [`crate::Error::Conflict`]: put it again, which costs nothing when it is still there.
    #[must_use]
    pub fn link(self, stored: &Stored) -> Self {
        let (key, place) = (place_key(&stored.id), stored.location.encode());
        let mut batch = if stored.known {
            self.value(key, place)
        } else {
            self.absent_or_value(key.clone(), place.clone()).put(key, place)
        };
        batch.pins.push(stored.pin.clone());
        batch.add(links_key(&stored.id), 1)
    }

    /// Takes a reference to a blob away. With the last one gone it is collected a day later.
    #[must_use]
    pub fn unlink(self, id: &BlobId) -> Self {
        self.add(links_key(id), -1)
    }
}

/// What a collection did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// Blobs removed because nobody referred to them for [`COLLECT_AFTER`].
    pub removed: u64,
    /// Segment files rewritten without their dead content.
    pub compacted: u64,
    /// Octets given back to the disk.
    pub freed_octets: u64,
}

/// Content by its name, on local disks here and in an object store later.
pub trait Blobs: Send + Sync {
    /// Keeps content that is in memory. The answer comes when it is as durable as asked.
    fn put(&self, content: Bytes, durability: Durability) -> BoxFuture<'_, Result<Stored>>;

    /// Keeps content that comes piece by piece.
    fn writer(&self, durability: Durability) -> Box<dyn BlobWriter>;

    /// Length of a blob in octets; `None` when there is no such blob.
    fn octets(&self, id: BlobId) -> BoxFuture<'_, Result<Option<u64>>>;

    /// Up to [`READ_OCTETS_MAX`] octets from `offset` on, fewer at the end, none beyond it.
    /// [`crate::Error::NoSuchBlob`] when it is not there.
    fn read(&self, id: BlobId, offset: u64, octets: u64) -> BoxFuture<'_, Result<Bytes>>;

    /// Removes what nobody has referred to for a day, and the room it took.
    fn collect(&self, now: UnixTime) -> BoxFuture<'_, Result<Collected>>;
}

/// Takes a blob's content piece by piece. Dropped before its end, nothing is kept.
pub trait BlobWriter: Send {
    /// Adds a piece.
    fn write(&mut self, piece: Bytes) -> BoxFuture<'_, Result<()>>;

    /// Ends the content. The answer comes when it is as durable as asked.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Stored>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_and_every_prefix_of_it_is_refused() {
        for place in
            [Location::Segment { segment: 7, offset: 1 << 40, octets: 9 }, Location::Body { octets: 1 << 33 }]
        {
            let row = place.encode();
            assert_eq!(Location::decode(&row), Ok(place));
            for length in 0..row.len() {
                assert!(Location::decode(&row[..length]).is_err());
            }
        }
    }

    #[test]
    fn a_name_reads_back_from_its_digits() {
        let id = BlobId::of(b"content");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("abc".parse::<BlobId>().is_err());
    }
}
