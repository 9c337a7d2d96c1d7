//! What can go wrong in a store, sorted by who has to act.

use std::fmt;
use std::sync::Arc;

use doorway_base::Limit;

use crate::key::Key;

/// The outcome of everything a store does.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a store did not do as asked.
///
/// Cheap to clone: one failure of a group of batches is told to each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// A check of the batch did not hold; nothing of the batch was done. The caller reads again and decides.
    Conflict(Conflict),
    /// A bound was reached: a queue is full, a key or a value too long. Temporary for queues.
    Limit(Limit),
    /// `add` or `next_id` met a value that is not an eight-octet number. Nothing of the batch was done.
    NotNumber(Key),
    /// The disk has less room than `store.min_free`. Temporary: writing works again when room is made.
    /// Protocols answer SMTP 452, FTP 452, HTTP 507.
    Full {
        /// Octets free when it was refused.
        free: u64,
        /// Octets that must stay free.
        min_free: u64,
    },
    /// The store refuses every write since its disk failed once (an fsync that did not succeed leaves
    /// nothing to rely on). Reading goes on; a restart reopens from what the disk has.
    Failed(Arc<str>),
    /// The store is closing; nothing of the batch was done.
    Closed,
    /// Another process has the data folder open.
    Locked {
        /// Process number of the holder, when it could be read.
        pid: Option<u32>,
        /// The folder.
        folder: Arc<str>,
    },
    /// The data was written by a newer version of this program.
    Newer {
        /// Format version found.
        found: u32,
        /// Newest format version this program knows.
        known: u32,
    },
    /// The linked SQLite is too old to be trusted with write-ahead logs.
    OldSqlite {
        /// Version found, such as `3.51.2`.
        found: Arc<str>,
    },
    /// Something stored does not read back as it was written.
    Damaged(Arc<str>),
    /// The same content was moved or removed in between, or never was there.
    NoSuchBlob,
    /// Our disk or database failed in a way that may pass.
    Local(Arc<str>),
}

/// The check that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Position of the check in its batch, from 0.
    pub check: usize,
    /// The key it looked at.
    pub key: Key,
    /// Version of the row found; `None` when there is none.
    pub found: Option<u64>,
}

impl Error {
    /// Our disk or database failed while doing `what`.
    pub(crate) fn local(what: &str, error: impl fmt::Display) -> Self {
        Self::Local(format!("{what}: {error}").into())
    }

    /// Something stored is not as it was written.
    pub(crate) fn damaged(what: impl Into<Arc<str>>) -> Self {
        Self::Damaged(what.into())
    }

    /// True when the same request may succeed later without anybody changing it.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Limit(_) | Self::Full { .. } | Self::Failed(_) | Self::Closed | Self::Local(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(conflict) => {
                write!(f, "check {} on key {} did not hold: ", conflict.check, conflict.key)?;
                match conflict.found {
                    Some(version) => write!(f, "the row has version {version}"),
                    None => f.write_str("there is no such row"),
                }
            }
            Self::Limit(limit) => limit.fmt(f),
            Self::NotNumber(key) => write!(f, "the value of key {key} is not a number"),
            Self::Full { free, min_free } => write!(
                f,
                "the disk is full: {free} octets are free and {min_free} must stay free (config key `store.min_free`)"
            ),
            Self::Failed(why) => {
                write!(f, "the store refuses writes until a restart because its disk failed: {why}")
            }
            Self::Closed => f.write_str("the store is closing"),
            Self::Locked { pid: Some(pid), folder } => {
                write!(f, "the data folder {folder} is in use by process {pid}; stop it first")
            }
            Self::Locked { pid: None, folder } => {
                write!(f, "the data folder {folder} is in use by another process; stop it first")
            }
            Self::Newer { found, known } => write!(
                f,
                "the data has format {found}, this program knows up to {known}: use the newer program that wrote it"
            ),
            Self::OldSqlite { found } => write!(
                f,
                "SQLite {found} can lose a write-ahead log when it starts over; 3.51.3 or newer is needed"
            ),
            Self::Damaged(what) => write!(f, "stored data is damaged: {what}"),
            Self::NoSuchBlob => f.write_str("there is no such blob"),
            Self::Local(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}

impl From<Limit> for Error {
    fn from(limit: Limit) -> Self {
        Self::Limit(limit)
    }
}
