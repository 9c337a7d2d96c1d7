//! The world over the operating system: real sockets, the real clock, one current-thread runtime a
//! core for protocol work and one beside them for everything else.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the boundary to the operating system's clock, sockets and runtime"
)]

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use doorway_base::{Instant, Trace, UnixTime};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::entropy;
use crate::error::Error;
use crate::filter::program;
use crate::frame::{KIND_ARP, KIND_IPV4};
use crate::ground::{BoxFuture, Clock, Executor, ListenOptions, Network};
use crate::interface::{Interface, InterfaceChange};
use crate::link::{LinkOptions, LinkSocket};
use crate::listener::Listener;
use crate::lock;
use crate::pinger::Pinger;
use crate::stream::Stream;
use crate::sys::packet::OsLink;
use crate::systemd::Inherited;
use crate::task::Task;
use crate::udp::UdpSocket;
use crate::world::World;

/// The running workers. Dropping it stops them.
pub struct Runtime {
    world: World,
    workers: Vec<Worker>,
}

struct Worker {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("workers", &self.world.workers()).finish_non_exhaustive()
    }
}

impl Runtime {
    /// Starts `workers` protocol workers (0 takes one a core) and the background worker.
    ///
    /// # Errors
    /// [`Error::Local`] when a thread or its runtime cannot be started.
    pub fn start(node: &str, workers: usize, trace: Trace) -> Result<Self, Error> {
        Self::start_with(node, workers, trace, Inherited::default())
    }

    /// As [`Runtime::start`], with sockets that the service manager opened: a listener whose address
    /// is among them uses that socket instead of binding its own.
    ///
    /// # Errors
    /// [`Error::Local`] when a thread or its runtime cannot be started.
    pub fn start_with(node: &str, workers: usize, trace: Trace, inherited: Inherited) -> Result<Self, Error> {
        Self::start_at(node, workers, trace, inherited, None)
    }

    /// As [`Runtime::start_with`], with a wall clock that begins at `date` in place of the system's: to
    /// see what a server does on another day.
    ///
    /// # Errors
    /// [`Error::Local`] when a thread or its runtime cannot be started.
    pub fn start_at(
        node: &str,
        workers: usize,
        trace: Trace,
        inherited: Inherited,
        date: Option<UnixTime>,
    ) -> Result<Self, Error> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = if workers == 0 { cores } else { workers };
        let mut threads = Vec::new();
        let mut handles = Vec::new();
        for index in 0..=count {
            let name = if index < count { format!("worker-{index}") } else { "background".to_owned() };
            let (worker, handle) = start_worker(name).map_err(|e| Error::local("start a worker", e))?;
            threads.push(worker);
            handles.push(handle);
        }
        let background = handles.pop().unwrap_or_else(|| unreachable!("one more than `count` was started"));
        let origin = std::time::Instant::now();
        let world = World::new(
            node,
            Arc::new(OsNetwork { inherited: Mutex::new(inherited) }),
            Arc::new(OsClock { origin, date }),
            Arc::new(OsExecutor { workers: handles, background }),
            entropy::random(),
            trace,
        );
        Ok(Self { world, workers: threads })
    }

    /// The world the services are given.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Runs `future` on the background worker and waits for it. Not from within a worker.
    pub fn block_on<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (send, receive) = oneshot::channel();
        self.world.spawn_background("main", async move {
            let _ = send.send(future.await);
        });
        receive.blocking_recv().ok()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            drop(worker.stop.take());
        }
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                let _ = thread.join();
            }
        }
    }
}

fn start_worker(name: String) -> io::Result<(Worker, Handle)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        let _ = runtime.block_on(stopped);
        // Blocking work that outlives the drain must not hold the exit up.
        runtime.shutdown_background();
    })?;
    Ok((Worker { stop: Some(stop), thread: Some(thread) }, handle))
}

struct OsClock {
    origin: std::time::Instant,
    // What the wall clock was at the origin, where it is not the system's.
    date: Option<UnixTime>,
}

impl Clock for OsClock {
    fn now(&self) -> Instant {
        Instant::from_nanos(self.origin.elapsed().as_nanos() as u64)
    }

    fn wall(&self) -> UnixTime {
        if let Some(date) = self.date {
            return UnixTime::from_nanos(date.as_nanos() + self.now().as_nanos());
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixTime::from_nanos(since.as_nanos() as u64)
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        let deadline = self.origin.checked_add(at.since(Instant::ZERO));
        Box::pin(async move {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        })
    }
}

struct OsExecutor {
    workers: Vec<Handle>,
    background: Handle,
}

impl Executor for OsExecutor {
    fn workers(&self) -> usize {
        self.workers.len()
    }

    fn spawn(&self, task: Task) {
        match Handle::try_current() {
            Ok(current) => drop(current.spawn(task)),
            Err(_) => drop(self.background.spawn(task)),
        }
    }

    fn spawn_on(&self, worker: usize, task: Task) {
        drop(self.workers[worker % self.workers.len()].spawn(task));
    }

    fn spawn_background(&self, task: Task) {
        drop(self.background.spawn(task));
    }
}

struct OsNetwork {
    inherited: Mutex<Inherited>,
}

impl Network for OsNetwork {
    fn listen(&self, address: SocketAddr, options: &ListenOptions) -> io::Result<Listener> {
        if let Some(socket) = lock(&self.inherited).take(address, Type::STREAM) {
            return Ok(Listener::Tcp(OwnedFd::from(socket).into()));
        }
        let socket = socket(address, Type::STREAM, Protocol::TCP, options)?;
        socket.bind(&SockAddr::from(address))?;
        if let Some(wait) = options.defer_accept {
            crate::sys::option::defer_accept(&socket, wait)?;
        }
        socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
        Ok(Listener::Tcp(socket.into()))
    }

    fn connect(&self, remote: SocketAddr) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(async move {
            let socket = tokio::net::TcpStream::connect(remote).await?;
            socket.set_nodelay(true)?;
            Ok(Stream::tcp(socket))
        })
    }

    fn connect_unix<'n>(&'n self, path: &'n Path) -> BoxFuture<'n, io::Result<Stream>> {
        Box::pin(async move { Ok(Stream::unix(tokio::net::UnixStream::connect(path).await?)) })
    }

    fn udp(&self, address: SocketAddr, options: &ListenOptions) -> io::Result<UdpSocket> {
        let inherited = lock(&self.inherited).take(address, Type::DGRAM);
        let bound = inherited.is_some();
        let socket = match inherited {
            Some(socket) => socket,
            None => socket(address, Type::DGRAM, Protocol::UDP, options)?,
        };
        if options.packet_info {
            match address {
                SocketAddr::V4(_) => crate::sys::option::packet_info_v4(&socket)?,
                SocketAddr::V6(_) => crate::sys::option::packet_info_v6(&socket)?,
            }
        }
        if !bound {
            socket.bind(&SockAddr::from(address))?;
        }
        Ok(UdpSocket::Os(OwnedFd::from(socket).into()))
    }

    fn reaches(&self, remote: SocketAddr) -> bool {
        // Connecting a UDP socket sends nothing: it asks the routing table.
        socket(
            remote,
            Type::DGRAM,
            Protocol::UDP,
            &ListenOptions { share: false, ..ListenOptions::default() },
        )
        .and_then(|socket| socket.connect(&SockAddr::from(remote)))
        .is_ok()
    }

    fn interfaces(&self) -> io::Result<Vec<Interface>> {
        crate::sys::interfaces::list()
    }

    fn link(&self, interface: &str, options: &LinkOptions) -> io::Result<LinkSocket> {
        let found = self.named(interface)?;
        let mac = found
            .mac
            .ok_or(io::Error::new(io::ErrorKind::Unsupported, "its link has no Ethernet addresses"))?;
        // With one kind alone, the kernel hands over a frame where its VLAN or bridge has it, and no other.
        let kind = match (options.arp, options.udp_ports.is_empty()) {
            (true, true) => KIND_ARP,
            (false, _) => KIND_IPV4,
            (true, false) => libc::ETH_P_ALL as u16,
        };
        Ok(LinkSocket::os(interface, mac, OsLink::open(found.index, kind, &program(options))?))
    }

    fn pinger(&self) -> io::Result<Pinger> {
        Pinger::os()
    }

    fn assign(&self, interface: &str, change: &InterfaceChange) -> io::Result<()> {
        crate::netlink::assign(self.named(interface)?.index, change)
    }
}

impl OsNetwork {
    fn named(&self, interface: &str) -> io::Result<Interface> {
        let found = self.interfaces()?.into_iter().find(|known| known.name == interface);
        found.ok_or(io::Error::new(io::ErrorKind::NotFound, "there is no such interface"))
    }
}

fn socket(
    address: SocketAddr,
    kind: Type,
    protocol: Protocol,
    options: &ListenOptions,
) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    // A datagram socket with SO_REUSEADDR could be bound over by another program of ours.
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
        socket.set_tcp_nodelay(options.no_delay)?;
        if let Some(time) = options.keep_alive {
            socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(time))?;
        }
        if options.user_timeout.is_some() {
            socket.set_tcp_user_timeout(options.user_timeout)?;
        }
    }
    if options.share {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(!options.dual_stack)?;
    }
    if let Some(device) = &options.device {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    if let Some(dscp) = options.dscp {
        let class = u32::from(dscp.min(63)) << 2;
        match address {
            SocketAddr::V4(_) => socket.set_tos_v4(class)?,
            SocketAddr::V6(_) => socket.set_tclass_v6(class)?,
        }
    }
    // The kernel caps these at its own maximum and that is no error.
    if let Some(octets) = options.receive_octets {
        socket.set_recv_buffer_size(octets)?;
    }
    if let Some(octets) = options.send_octets {
        socket.set_send_buffer_size(octets)?;
    }
    Ok(socket)
}
