//! A bound listener, before and after a worker has taken it.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::ground::VirtualListener;
use crate::stream::Stream;
use crate::sys::accept::TcpAcceptor;

/// A bound listener that no worker accepts from yet.
///
/// Binding happens at once, so that a port in use is an error before privileges are dropped; the
/// worker that will accept registers the socket with its own runtime in [`Listener::start`].
#[allow(clippy::disallowed_types, reason = "the boundary to the operating system's sockets")]
pub enum Listener {
    /// A TCP socket of the operating system.
    Tcp(std::net::TcpListener),
    /// A Unix socket of the operating system.
    Unix(std::os::unix::net::UnixListener),
    /// A listener of a simulated network.
    Virtual(Arc<dyn VirtualListener>),
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Listener").field(&self.local()).finish()
    }
}

impl Listener {
    /// The bound address; `None` for a Unix socket.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
            Self::Virtual(listener) => Some(listener.local()),
        }
    }

    /// The same socket once more: both accept from one queue.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(listener) => Self::Tcp(listener.try_clone()?),
            Self::Unix(listener) => Self::Unix(listener.try_clone()?),
            Self::Virtual(listener) => Self::Virtual(Arc::clone(listener)),
        })
    }

    /// Registers the listener with the worker that calls.
    #[allow(clippy::disallowed_types, reason = "the boundary to the operating system's sockets")]
    pub(crate) fn start(self) -> io::Result<Acceptor> {
        Ok(match self {
            Self::Tcp(listener) => Acceptor::Tcp(TcpAcceptor::new(listener)?),
            Self::Unix(listener) => {
                listener.set_nonblocking(true)?;
                Acceptor::Unix(tokio::net::UnixListener::from_std(listener)?)
            }
            Self::Virtual(listener) => Acceptor::Virtual(listener),
        })
    }
}

/// A listener that a worker accepts from.
#[allow(clippy::disallowed_types, reason = "the boundary to the operating system's sockets")]
pub(crate) enum Acceptor {
    Tcp(TcpAcceptor),
    Unix(tokio::net::UnixListener),
    Virtual(Arc<dyn VirtualListener>),
}

/// What stands for an address where there is none: a Unix socket.
pub(crate) const NO_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

impl Acceptor {
    pub(crate) async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (socket, remote) = listener.accept().await?;
                Ok((Stream::accepted(socket), remote.unwrap_or(NO_ADDRESS)))
            }
            Self::Unix(listener) => {
                let (socket, _) = listener.accept().await?;
                Ok((Stream::unix(socket), NO_ADDRESS))
            }
            Self::Virtual(listener) => poll_fn(|cx| listener.poll_accept(cx)).await,
        }
    }
}
