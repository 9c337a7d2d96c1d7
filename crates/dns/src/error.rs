//! What can go wrong that an operator must know. What a peer does wrong is answered on the wire and
//! counted, and never becomes an error here.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::wire::text::TextFault;
use crate::zone::fault::Faults;

/// An error of the name server; all of them are for its operator to act on.
#[derive(Debug)]
pub enum Error {
    /// A zone's name in the config is not a name.
    Name {
        /// What was written.
        name: String,
        /// What was expected.
        fault: TextFault,
    },
    /// A zone file could not be read from disk.
    File {
        /// The zone.
        zone: String,
        /// Its file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A zone file is wrong; the zone is not served, or as it was before.
    Zone {
        /// The zone.
        zone: String,
        /// Each error with its line and column.
        faults: Faults,
    },
    /// The query log cannot be opened.
    QueryLog {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of root hints names no server.
    Hints {
        /// The file.
        path: PathBuf,
    },
    /// Two zones have one name.
    Twice {
        /// The name.
        zone: String,
    },
    /// What the store kept of a zone cannot be used.
    Kept {
        /// The zone.
        zone: String,
        /// What is the matter.
        error: crate::io::journal::JournalError,
    },
    /// A zone file that was read anew could not take the place of what is served.
    NotTaken {
        /// The zone.
        zone: String,
        /// What is the matter.
        error: crate::io::transfers::ChangeError,
    },
    /// A key that is shared with another server cannot be used.
    Key {
        /// Its name.
        name: String,
        /// What is the matter; never the secret.
        why: String,
    },
    /// A record is longer than a message of a transfer can hold.
    TooLong {
        /// The record.
        record: String,
    },
    /// A door could not be opened.
    Net(doorway_net::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { name, fault } => write!(f, "`{name}` is no name for a zone: expected {fault}"),
            Self::File { zone, path, source } => {
                write!(f, "cannot read {} of zone {zone}: {source}", path.display())
            }
            Self::Zone { zone, faults } => write!(f, "zone {zone} is refused:\n{faults}"),
            Self::QueryLog { path, source } => {
                write!(f, "cannot write the query log {}: {source}", path.display())
            }
            Self::Hints { path } => {
                write!(f, "{} names no root server with an address", path.display())
            }
            Self::Twice { zone } => write!(f, "zone {zone} is configured twice"),
            Self::Kept { zone, error } => write!(f, "zone {zone} cannot be served: {error}"),
            Self::NotTaken { zone, error } => write!(f, "zone {zone} stays as it was: {error}"),
            Self::Key { name, why } => write!(f, "the key {name} cannot be used: {why}"),
            Self::TooLong { record } => write!(f, "no message of a transfer can hold {record}"),
            Self::Net(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Name { fault, .. } => Some(fault),
            Self::File { source, .. } | Self::QueryLog { source, .. } => Some(source),
            Self::Zone { faults, .. } => Some(faults),
            Self::Twice { .. } | Self::Hints { .. } | Self::TooLong { .. } | Self::Key { .. } => None,
            Self::Kept { error, .. } => Some(error),
            Self::NotTaken { error, .. } => Some(error),
            Self::Net(error) => Some(error),
        }
    }
}

impl From<doorway_net::Error> for Error {
    fn from(error: doorway_net::Error) -> Self {
        Self::Net(error)
    }
}
