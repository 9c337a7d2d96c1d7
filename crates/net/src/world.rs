//! The world a service lives in: its network, clock, seed, trace and open doors, passed in once.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use doorway_base::config::Listen;
use doorway_base::{Instant, Random, Trace, UnixTime};

use crate::door::Doors;
use crate::ground::{BoxFuture, Clock, Executor, ListenOptions, Network};
use crate::interface::{Interface, InterfaceChange};
use crate::link::{LinkOptions, LinkSocket};
use crate::listener::Listener;
use crate::lock;
use crate::pinger::Pinger;
use crate::pulse::Pulse;
use crate::stream::Stream;
use crate::task::{Task, message};
use crate::udp::UdpSocket;

/// Everything a service may touch. Clones are the same world.
#[derive(Clone)]
pub struct World {
    inner: Arc<Inner>,
}

struct Inner {
    node: Arc<str>,
    network: Arc<dyn Network>,
    clock: Arc<dyn Clock>,
    executor: Arc<dyn Executor>,
    seed: Mutex<Random>,
    trace: Trace,
    doors: Doors,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("node", &self.inner.node).finish_non_exhaustive()
    }
}

impl World {
    /// A world named `node` on the given ground. Services get theirs from [`crate::os::Runtime`] or
    /// from the simulator; only those two call this.
    #[must_use]
    pub fn new(
        node: &str,
        network: Arc<dyn Network>,
        clock: Arc<dyn Clock>,
        executor: Arc<dyn Executor>,
        seed: Random,
        trace: Trace,
    ) -> Self {
        let seed = Mutex::new(seed);
        let inner =
            Inner { node: node.into(), network, clock, executor, seed, trace, doors: Doors::default() };
        Self { inner: Arc::new(inner) }
    }

    /// The node's name, as it stands in the trace.
    #[must_use]
    pub fn node(&self) -> &Arc<str> {
        &self.inner.node
    }

    /// Monotonic time since the world began.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.inner.clock.now()
    }

    /// Wall-clock time, for dates that others read; never for intervals.
    #[must_use]
    pub fn wall(&self) -> UnixTime {
        self.inner.clock.wall()
    }

    /// Waits until `at`.
    pub fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        self.inner.clock.sleep_until(at)
    }

    /// Waits for `span`.
    pub fn sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        self.sleep_until(self.now() + span)
    }

    /// Runs `future` for at most `span`; `None` when time ran out first.
    pub async fn timeout<F: Future>(&self, span: Duration, future: F) -> Option<F::Output> {
        let mut late = self.sleep(span);
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            late.as_mut().poll(cx).map(|()| None)
        })
        .await
    }

    /// Runs a task of `service` on the worker that calls. A panic ends the task alone; it is logged
    /// and counted.
    pub fn spawn(&self, service: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.inner.executor.spawn(Task::new(self.clone(), service, Box::pin(task)));
    }

    /// Runs a task of `service` on worker number `worker`.
    pub fn spawn_on(
        &self,
        worker: usize,
        service: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.inner.executor.spawn_on(worker, Task::new(self.clone(), service, Box::pin(task)));
    }

    /// Runs a task of `service` beside the workers.
    pub fn spawn_background(&self, service: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.inner.executor.spawn_background(Task::new(self.clone(), service, Box::pin(task)));
    }

    /// Runs a task that `pulse` can wake and end: on the worker that calls, or on the one named.
    pub(crate) fn spawn_tied(
        &self,
        worker: Option<usize>,
        service: &'static str,
        pulse: Arc<Pulse>,
        task: BoxFuture<'static, ()>,
    ) {
        let task = Task::new(self.clone(), service, task).tied_to(pulse);
        match worker {
            Some(worker) => self.inner.executor.spawn_on(worker, task),
            None => self.inner.executor.spawn(task),
        }
    }

    /// How many workers serve protocols.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.inner.executor.workers()
    }

    /// A generator of its own for the caller, from the world's seed: over the operating system one that
    /// nobody can guess. Keys that are kept come from [`crate::entropy`].
    #[must_use]
    pub fn random(&self) -> Random {
        lock(&self.inner.seed).fork()
    }

    /// The message trace.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.inner.trace
    }

    /// Runs `part` of `service`, which may panic without harm to what is around it; `None` when it did.
    /// The panic is logged and counted.
    pub fn guarded<R>(&self, service: &'static str, part: impl FnOnce() -> R) -> Option<R> {
        let outcome = catch_unwind(AssertUnwindSafe(part));
        outcome.map_err(|panic| self.doors().count_panic(service, &message(&*panic))).ok()
    }

    /// Every open door and connection.
    #[must_use]
    pub fn doors(&self) -> &Doors {
        &self.inner.doors
    }

    /// The addresses that `listen` stands for here: every address is `0.0.0.0` and `[::]`, the latter
    /// only where there is IPv6.
    #[must_use]
    pub fn addresses(&self, listen: &Listen) -> Vec<SocketAddr> {
        let mut addresses = listen.sockets();
        if listen.address.is_none() {
            let any = SocketAddr::new(std::net::Ipv6Addr::UNSPECIFIED.into(), 0);
            let has_v6 = self.inner.network.udp(any, &ListenOptions::default()).is_ok();
            addresses.retain(|address| address.is_ipv4() || has_v6);
        }
        addresses
    }

    /// Binds a TCP listener; [`crate::tcp::serve`] is what a service wants.
    ///
    /// # Errors
    /// As the network gives them.
    pub fn listen(&self, address: SocketAddr, options: &ListenOptions) -> io::Result<Listener> {
        self.inner.network.listen(address, options)
    }

    /// Opens a TCP connection.
    ///
    /// # Errors
    /// As the network gives them.
    pub fn connect(&self, remote: SocketAddr) -> BoxFuture<'_, io::Result<Stream>> {
        self.inner.network.connect(remote)
    }

    /// Opens a connection to a Unix socket.
    ///
    /// # Errors
    /// As the network gives them.
    pub fn connect_unix<'n>(&'n self, path: &'n Path) -> BoxFuture<'n, io::Result<Stream>> {
        self.inner.network.connect_unix(path)
    }

    /// Whether a message to `remote` would find a way out of this host.
    #[must_use]
    pub fn reaches(&self, remote: SocketAddr) -> bool {
        self.inner.network.reaches(remote)
    }

    /// The network interfaces of this host.
    ///
    /// # Errors
    /// As the network gives them.
    pub fn interfaces(&self) -> io::Result<Vec<Interface>> {
        self.inner.network.interfaces()
    }

    /// Opens a socket on the link of an interface; [`crate::link::serve`] is what a service wants.
    ///
    /// # Errors
    /// `NotFound` without such an interface, `Unsupported` for a link without Ethernet's addresses,
    /// `PermissionDenied` without the right to listen on links (CAP_NET_RAW).
    pub fn link(&self, interface: &str, options: &LinkOptions) -> io::Result<LinkSocket> {
        self.inner.network.link(interface, options)
    }

    /// Opens a socket that echoes leave from to any host.
    ///
    /// # Errors
    /// `PermissionDenied` without the right to send echoes (CAP_NET_RAW, or a group that may).
    pub fn pinger(&self) -> io::Result<Pinger> {
        self.inner.network.pinger()
    }

    /// Changes an interface.
    ///
    /// # Errors
    /// As the network gives them; `PermissionDenied` without CAP_NET_ADMIN.
    pub fn assign(&self, interface: &str, change: &InterfaceChange) -> io::Result<()> {
        self.inner.network.assign(interface, change)
    }

    /// Binds a UDP socket for a client; [`crate::udp::serve`] is what a service wants.
    ///
    /// # Errors
    /// As the network gives them.
    pub fn udp(&self, address: SocketAddr, options: &ListenOptions) -> io::Result<UdpSocket> {
        self.inner.network.udp(address, options)
    }
}
