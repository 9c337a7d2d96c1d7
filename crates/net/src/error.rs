//! What can go wrong when doors are opened, told so that the operator can act.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use doorway_base::Limit;
use doorway_base::trace::Transport;

/// An error of this crate, sorted by who has to act.
#[derive(Debug)]
pub enum Error {
    /// The peer broke a protocol.
    Peer(String),
    /// A bound was reached; the operator can move it.
    Limit(Limit),
    /// An address could not be bound.
    Bind {
        /// TCP or UDP.
        transport: Transport,
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be read or written.
    File {
        /// Which file.
        path: PathBuf,
        /// What was being done, as in "read the certificate".
        doing: &'static str,
        /// What the system or the parser said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something of this machine failed.
    Local {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    pub(crate) fn local(
        doing: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Local { doing, source: source.into() }
    }

    /// What the operator can do about it, as one sentence; empty when there is nothing to say.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Bind { source, .. } => match source.kind() {
                io::ErrorKind::AddrInUse => {
                    "another program holds this port: stop it, or choose another port"
                }
                io::ErrorKind::PermissionDenied => {
                    "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE: choose a higher port"
                }
                io::ErrorKind::AddrNotAvailable => "no interface of this machine has this address",
                _ => "",
            },
            Self::Limit(limit) if limit.configured => "raise the key, or find out who uses so much",
            _ => "",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(what) => write!(f, "the peer broke the protocol: {what}"),
            Self::Limit(limit) => limit.fmt(f),
            Self::Bind { transport, address, source } => {
                write!(f, "cannot listen on {address} ({}): {source}", transport.name())
            }
            Self::File { path, doing, source } => write!(f, "cannot {doing} {}: {source}", path.display()),
            Self::Local { doing, source } => write!(f, "cannot {doing}: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bind { source, .. } => Some(source),
            Self::File { source, .. } | Self::Local { source, .. } => Some(&**source),
            Self::Limit(limit) => Some(limit),
            Self::Peer(_) => None,
        }
    }
}
