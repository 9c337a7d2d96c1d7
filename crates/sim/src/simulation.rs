//! The owner of a virtual network: builds it, breaks it, runs it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorway_base::{Instant, Random, Trace, UnixTime};
use doorway_net::World;
use doorway_net::interface::InterfaceAddress;
use doorway_net::link::Mac;

use crate::core::{Core, Event, NodeId, lock};
use crate::disk::SimDisk;
use crate::executor::Executor;
use crate::ground::Ground;
use crate::link::Link;

/// Virtual time after which [`Simulation::run`] takes the program to be waiting for ever.
const RUN_MAX: Duration = Duration::from_secs(400 * 86_400);

/// How many first bits of an address the hosts of a segment share, unless told otherwise.
const V4_PREFIX: u8 = 24;
const V6_PREFIX: u8 = 64;

/// One host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node(NodeId);

/// The program waits for something that will never happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Virtual time at which nothing was left to do.
    pub at: Instant,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.at.as_nanos() as f64 / 1e9;
        write!(f, "at {seconds:.3} s nothing was left to happen while the program waited")
    }
}

impl std::error::Error for Stuck {}

type Boot = Arc<dyn Fn(&World, &SimDisk) + Send + Sync>;

/// A virtual network with its hosts, clock and disks. Everything that happens follows from the seed.
pub struct Simulation {
    core: Arc<Mutex<Core>>,
    tasks: Arc<Executor>,
    trace: Trace,
    worlds: BTreeMap<Node, World>,
    disks: BTreeMap<Node, SimDisk>,
    boots: BTreeMap<Node, Boot>,
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation").field("now", &self.now()).finish_non_exhaustive()
    }
}

impl Simulation {
    /// An empty network whose luck is `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            core: Arc::new(Mutex::new(Core::new(seed))),
            tasks: Arc::default(),
            trace: Trace::recording(),
            worlds: BTreeMap::new(),
            disks: BTreeMap::new(),
            boots: BTreeMap::new(),
        }
    }

    /// Adds a host on the first LAN segment.
    ///
    /// # Panics
    /// When `address` is not an IP address or another host has it.
    pub fn node(&mut self, name: &str, address: &str) -> Node {
        self.node_on(name, address, 0)
    }

    /// Adds a host on LAN segment number `segment`: broadcasts reach the hosts of one segment.
    ///
    /// # Panics
    /// When `address` is not an IP address or another host has it.
    pub fn node_on(&mut self, name: &str, address: &str, segment: u32) -> Node {
        let address: IpAddr = address.parse().unwrap_or_else(|_| panic!("`{address}` is no IP address"));
        let prefix = if address.is_ipv4() { V4_PREFIX } else { V6_PREFIX };
        let broadcast = address.is_ipv4().then_some(Ipv4Addr::BROADCAST);
        self.add(name, Some(InterfaceAddress { address, prefix, broadcast }), segment)
    }

    /// Adds a host that has no address yet on LAN segment number `segment`.
    pub fn node_without_address(&mut self, name: &str, segment: u32) -> Node {
        self.add(name, None, segment)
    }

    fn add(&mut self, name: &str, address: Option<InterfaceAddress>, segment: u32) -> Node {
        let mut core = lock(&self.core);
        let node = Node(core.add_host(name, address, segment));
        let disk_seed = core.random.next_u64();
        drop(core);
        self.disks.insert(node, SimDisk::new(disk_seed));
        self.boot_world(node);
        node
    }

    fn boot_world(&mut self, node: Node) {
        let mut core = lock(&self.core);
        let seed = core.random.next_u64();
        let name = core.hosts.get(&node.0).map(|host| host.name.clone()).unwrap_or_default();
        drop(core);
        let ground =
            Arc::new(Ground { node: node.0, core: Arc::clone(&self.core), tasks: Arc::clone(&self.tasks) });
        let world = World::new(
            &name,
            Arc::clone(&ground) as _,
            Arc::clone(&ground) as _,
            ground,
            Random::new(seed),
            self.trace.clone(),
        );
        self.worlds.insert(node, world);
    }

    /// Says what runs on a host from now on, and again after each [`Simulation::restart`].
    pub fn boot(&mut self, node: Node, services: impl Fn(&World, &SimDisk) + Send + Sync + 'static) {
        let services: Boot = Arc::new(services);
        services(&self.world(node), &self.disk(node));
        self.boots.insert(node, services);
    }

    /// The world of a host, until it crashes.
    ///
    /// # Panics
    /// When the node belongs to another simulation.
    #[must_use]
    pub fn world(&self, node: Node) -> World {
        self.worlds[&node].clone()
    }

    /// The disk of a host; it survives crashes, less what was not synced.
    ///
    /// # Panics
    /// When the node belongs to another simulation.
    #[must_use]
    pub fn disk(&self, node: Node) -> SimDisk {
        self.disks[&node].clone()
    }

    /// Sets how every pair of hosts without a link of its own is connected.
    pub fn default_link(&mut self, link: Link) {
        lock(&self.core).default_link = link;
    }

    /// Connects two hosts, both ways alike.
    pub fn link(&mut self, a: Node, b: Node, link: Link) {
        self.link_one_way(a, b, link);
        self.link_one_way(b, a, link);
    }

    /// Connects two hosts in one direction. A way that is cut stays so until it is healed.
    pub fn link_one_way(&mut self, from: Node, to: Node, link: Link) {
        lock(&self.core).ways.entry((from.0, to.0)).or_default().link = Some(link);
    }

    fn cut(&mut self, from: &[Node], to: &[Node], cut: bool) {
        let mut core = lock(&self.core);
        for (a, b) in from.iter().flat_map(|a| to.iter().map(move |b| (*a, *b))) {
            for pair in [(a.0, b.0), (b.0, a.0)] {
                core.ways.entry(pair).or_default().cut = cut;
            }
        }
    }

    /// Cuts every way between two groups of hosts; packets in flight still arrive.
    pub fn partition(&mut self, one: &[Node], other: &[Node]) {
        self.cut(one, other, true);
    }

    /// Mends what [`Simulation::partition`] cut.
    pub fn heal(&mut self, one: &[Node], other: &[Node]) {
        self.cut(one, other, false);
    }

    /// Gives a host one more address, such as one that another host leases: nobody is asked.
    ///
    /// # Panics
    /// When `address` is not an IPv4 address.
    pub fn add_address(&mut self, node: Node, address: &str, prefix: u8) {
        let address: Ipv4Addr = address.parse().unwrap_or_else(|_| panic!("`{address}` is no IPv4 address"));
        let own = InterfaceAddress { address: address.into(), prefix, broadcast: None };
        lock(&self.core).add_address(node.0, own);
    }

    /// The addresses that a host has now, in the order in which they were given to it.
    #[must_use]
    pub fn addresses(&self, node: Node) -> Vec<InterfaceAddress> {
        lock(&self.core).hosts.get(&node.0).map(|host| host.addresses.clone()).unwrap_or_default()
    }

    /// The card of a host's interface.
    #[must_use]
    pub fn mac(&self, node: Node) -> Mac {
        crate::segment::mac(node.0)
    }

    /// Switches the interface of a host off. Its sockets stay; those on the link are told.
    pub fn interface_down(&mut self, node: Node) {
        lock(&self.core).set_plugged(node.0, false);
    }

    /// Switches it on again.
    pub fn interface_up(&mut self, node: Node) {
        lock(&self.core).set_plugged(node.0, true);
    }

    /// Stops a host as a power cut does: tasks, sockets and unsynced writes are gone, nobody is told.
    pub fn crash(&mut self, node: Node) {
        lock(&self.core).crash(node.0);
        self.tasks.kill(node.0);
        // Dropping the tasks may have sent farewells; a host without power sends none, but it is
        // down already, so they went nowhere.
        self.disks[&node].crash();
    }

    /// Starts a crashed host again: its disk as the crash left it, and the services of
    /// [`Simulation::boot`].
    pub fn restart(&mut self, node: Node) {
        if let Some(host) = lock(&self.core).hosts.get_mut(&node.0) {
            host.up = true;
        }
        self.boot_world(node);
        if let Some(services) = self.boots.get(&node).cloned() {
            services(&self.world(node), &self.disk(node));
        }
    }

    /// Virtual time now.
    #[must_use]
    pub fn now(&self) -> Instant {
        lock(&self.core).now
    }

    /// Sets the wall clocks of all hosts, as an administrator or NTP does; time goes on as before.
    pub fn set_wall(&mut self, wall: UnixTime) {
        let mut core = lock(&self.core);
        core.wall_at_zero = UnixTime::from_nanos(wall.as_nanos().saturating_sub(core.now.as_nanos()));
    }

    /// Every message of every host, and the hash over them.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Runs `program` as a task of `node`, and everything else with it, until it is done.
    ///
    /// # Errors
    /// [`Stuck`] when the program waits and nothing is left to happen, or 400 virtual days have passed.
    pub fn run<T: Send + 'static>(
        &mut self,
        node: Node,
        program: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Stuck> {
        let result = Arc::new(Mutex::new(None));
        let into = Arc::clone(&result);
        self.tasks.spawn(
            node.0,
            Box::pin(async move {
                let output = program.await;
                *lock(&into) = Some(output);
            }),
        );
        let until = self.now() + RUN_MAX;
        while self.step(until) {
            if let Some(output) = lock(&result).take() {
                return Ok(output);
            }
        }
        lock(&result).take().ok_or(Stuck { at: self.now() })
    }

    /// Lets `span` of virtual time pass.
    pub fn run_for(&mut self, span: Duration) {
        let until = self.now() + span;
        while self.step(until) {}
        lock(&self.core).now = until;
    }

    /// Does the next thing, if there is one up to `until`.
    fn step(&mut self, until: Instant) -> bool {
        if self.tasks.run_one() {
            return true;
        }
        let mut core = lock(&self.core);
        let Some(event) = core.advance(until) else { return false };
        match event {
            Event::Wake(waker) => {
                drop(core);
                waker.wake();
            }
            Event::Deliver(from, node, packet) => core.deliver(from, node, packet),
            Event::Frame(node, frame) => core.frame(node, frame),
            Event::Retransmit(endpoint, timer) => core.retransmit(endpoint, timer),
            Event::Forget(endpoint) => core.forget(endpoint),
        }
        true
    }
}
