//! Accepting TCP connections without having the worker watch each at once: one that is answered and closed in its
//! first turn never needs to be (see `stream.rs`).

#![allow(unsafe_code, reason = "watching a descriptor asks for a promise that it stays open")]

use std::io;
use std::net::SocketAddr;

use rustix::net::{SocketFlags, acceptfrom_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A listener that a worker watches.
#[allow(clippy::disallowed_types, reason = "the boundary to the operating system's sockets")]
pub(crate) struct TcpAcceptor(AsyncFd<std::net::TcpListener>);

#[allow(clippy::disallowed_types, reason = "the boundary to the operating system's sockets")]
impl TcpAcceptor {
    /// Registers a listener with the worker that calls.
    pub(crate) fn new(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        // SAFETY: the listener owns its descriptor and keeps it open until it is dropped; it moves into the
        // `AsyncFd`, where nothing replaces it.
        let watched = unsafe { AsyncFd::register_with_interest(listener, Interest::READABLE) };
        Ok(Self(watched?))
    }

    /// The next connection, which does not block, and its other end; `None` for an address that is no IP's.
    pub(crate) async fn accept(&self) -> io::Result<(std::net::TcpStream, Option<SocketAddr>)> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let accept = |listener: &_| Ok(acceptfrom_with(listener, flags)?);
        let (socket, remote) = self.0.async_io(Interest::READABLE, accept).await?;
        Ok((socket.into(), remote.and_then(|remote| remote.try_into().ok())))
    }
}
