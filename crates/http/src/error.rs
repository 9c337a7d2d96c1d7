//! What can go wrong on our own side. What a peer does wrong is a
//! [`Refusal`](crate::wire::Refusal) and is answered on the wire.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::auth::WrongDemand;

/// A failure that the operator has to mend.
#[derive(Debug)]
pub enum Error {
    /// The folder to serve cannot be opened.
    Root {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The files of a cache cannot be used.
    Cache {
        /// Their folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A route mounts what the program does not have.
    Mount {
        /// What it names.
        name: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// A path in the config begins with no slash or is badly coded.
    Pattern {
        /// What is written.
        path: String,
    },
    /// An upstream cannot be set up.
    Upstream {
        /// Its name.
        name: String,
        /// Why not.
        why: String,
    },
    /// A place demands a login, and the program has no user list.
    NoLogin,
    /// A place demands what makes no sense.
    Demand(WrongDemand),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root { path, source } => {
                write!(f, "the folder {} cannot be served: {source}", path.display())
            }
            Self::Cache { path, source } => {
                write!(f, "the cache in {} cannot be used: {source}", path.display())
            }
            Self::Mount { name, known } => {
                write!(f, "there is no part called `{name}` to mount; there is {}", known.join(", "))
            }
            Self::Pattern { path } => {
                write!(f, "`{path}` is no path: it begins with a slash and is well coded")
            }
            Self::Upstream { name, why } => write!(f, "the upstream `{name}` cannot be asked: {why}"),
            Self::NoLogin => f.write_str("a login is demanded, and there is no list of users here"),
            Self::Demand(wrong) => wrong.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Root { source, .. } | Self::Cache { source, .. } => Some(source),
            Self::Demand(wrong) => Some(wrong),
            Self::Mount { .. } | Self::Pattern { .. } | Self::Upstream { .. } | Self::NoLogin => None,
        }
    }
}
