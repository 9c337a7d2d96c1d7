//! What a world stands on: a network, a clock and an executor, each as a trait with two
//! implementations, the operating system's ([`crate::os`]) and the simulator's (crate `sim`).

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use doorway_base::{Instant, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::interface::{Interface, InterfaceChange};
use crate::link::{LinkOptions, LinkSocket};
use crate::listener::Listener;
use crate::pinger::Pinger;
use crate::stream::Stream;
use crate::task::Task;
use crate::udp::UdpSocket;

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Time: reading it and waiting for it.
pub trait Clock: Send + Sync {
    /// Monotonic time since the world began.
    fn now(&self) -> Instant;
    /// Wall-clock time, for dates that others read.
    fn wall(&self) -> UnixTime;
    /// Resolves at `at`, or at once when it has passed.
    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()>;
}

/// Runs tasks.
pub trait Executor: Send + Sync {
    /// How many workers serve protocols; each listener has one socket a worker.
    fn workers(&self) -> usize;
    /// Runs a task on the worker that calls, or in the background when no worker calls.
    fn spawn(&self, task: Task);
    /// Runs a task on worker number `worker` (modulo the number of workers).
    fn spawn_on(&self, worker: usize, task: Task);
    /// Runs a task beside the workers: long computations and disk work do not delay messages.
    fn spawn_background(&self, task: Task);
}

/// Opens doors and walks through other people's.
pub trait Network: Send + Sync {
    /// Binds a TCP listener. Several workers may bind the same address when `options.share` is set.
    ///
    /// # Errors
    /// As the operating system gives them (`AddrInUse`, `PermissionDenied`, …).
    fn listen(&self, address: SocketAddr, options: &ListenOptions) -> io::Result<Listener>;

    /// Opens a TCP connection.
    ///
    /// # Errors
    /// As the operating system gives them (`ConnectionRefused`, `TimedOut`, …).
    fn connect(&self, remote: SocketAddr) -> BoxFuture<'_, io::Result<Stream>>;

    /// Opens a connection to a Unix socket.
    ///
    /// # Errors
    /// As the operating system gives them; `Unsupported` where there are none.
    fn connect_unix<'n>(&'n self, path: &'n Path) -> BoxFuture<'n, io::Result<Stream>>;

    /// Binds a UDP socket; port 0 takes a free one.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn udp(&self, address: SocketAddr, options: &ListenOptions) -> io::Result<UdpSocket>;

    /// Whether a message to `remote` would find a way out of this host.
    fn reaches(&self, remote: SocketAddr) -> bool;

    /// The network interfaces of this host.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn interfaces(&self) -> io::Result<Vec<Interface>>;

    /// Opens a socket on the link of an interface.
    ///
    /// # Errors
    /// `NotFound` without such an interface, `Unsupported` for a link without Ethernet's addresses,
    /// `PermissionDenied` without the right to listen on links.
    fn link(&self, interface: &str, options: &LinkOptions) -> io::Result<LinkSocket>;

    /// Opens a socket that echoes leave from to any host.
    ///
    /// # Errors
    /// `PermissionDenied` without the right to send echoes.
    fn pinger(&self) -> io::Result<Pinger>;

    /// Changes an interface.
    ///
    /// # Errors
    /// `Unsupported` where nothing can be changed; others as the operating system gives them.
    fn assign(&self, interface: &str, change: &InterfaceChange) -> io::Result<()> {
        let _ = (interface, change);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// How a listening socket is set up. The defaults suit a server.
#[derive(Debug, Clone)]
pub struct ListenOptions {
    /// Several sockets may bind the address and the kernel spreads the load (`SO_REUSEPORT`).
    pub share: bool,
    /// Connections that wait to be accepted.
    pub backlog: u32,
    /// Send small segments at once (`TCP_NODELAY`), inherited by accepted connections.
    pub no_delay: bool,
    /// Probe a silent peer after this time (`SO_KEEPALIVE`, `TCP_KEEPIDLE`); `None` never.
    pub keep_alive: Option<Duration>,
    /// Give up on unacknowledged data after this time (`TCP_USER_TIMEOUT`); `None` is the kernel's own.
    pub user_timeout: Option<Duration>,
    /// Wake the acceptor only when the first octets are there (`TCP_DEFER_ACCEPT`).
    pub defer_accept: Option<Duration>,
    /// Kernel receive buffer in octets; the kernel may give less (`rmem_max`).
    pub receive_octets: Option<usize>,
    /// Kernel send buffer in octets; the kernel may give less (`wmem_max`).
    pub send_octets: Option<usize>,
    /// An IPv6 wildcard takes IPv4 too.
    pub dual_stack: bool,
    /// Only this interface (`SO_BINDTODEVICE`), such as `eth0`.
    pub device: Option<String>,
    /// Differentiated services code point of sent packets, 0 to 63.
    pub dscp: Option<u8>,
    /// Learn the address a datagram was sent to, so that the answer leaves from it (`IP_PKTINFO`).
    pub packet_info: bool,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            share: true,
            backlog: 1024,
            no_delay: true,
            keep_alive: Some(Duration::from_secs(120)),
            user_timeout: None,
            defer_accept: None,
            receive_octets: None,
            send_octets: None,
            dual_stack: false,
            device: None,
            dscp: None,
            packet_info: false,
        }
    }
}

/// The virtual side of [`Listener`].
pub trait VirtualListener: Send + Sync {
    /// The bound address.
    fn local(&self) -> SocketAddr;
    /// The next connection.
    ///
    /// # Errors
    /// When the node was stopped.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, SocketAddr)>>;
}

/// The virtual side of [`Stream`].
pub trait VirtualStream: AsyncRead + AsyncWrite + Send + Sync + Unpin {
    /// This end's address.
    fn local(&self) -> SocketAddr;
    /// The other end's address.
    fn remote(&self) -> SocketAddr;
}

/// The virtual side of [`UdpSocket`].
pub trait VirtualUdp: Send + Sync {
    /// The bound address.
    fn local(&self) -> SocketAddr;
    /// Sends one datagram, to all hosts of the segment when `to` is a broadcast address.
    ///
    /// # Errors
    /// When the node has no way to the address.
    fn send(&self, octets: &[u8], to: SocketAddr) -> io::Result<()>;
    /// The next datagram: octets, sender, and the address it was sent to.
    ///
    /// # Errors
    /// When the node was stopped.
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Vec<u8>, SocketAddr, SocketAddr)>>;
}
