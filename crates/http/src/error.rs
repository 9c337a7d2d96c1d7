//! What can go wrong on our own side. What a peer does wrong is a
//! [`Refusal`](crate::wire::Refusal) and is answered on the wire.

use std::fmt;
use std::io;
use std::path::PathBuf;

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
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root { path, source } => {
                write!(f, "the folder {} cannot be served: {source} (config key `http.root`)", path.display())
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Root { source, .. } => Some(source),
        }
    }
}
