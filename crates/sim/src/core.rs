//! Virtual time and the queue of what will happen; delivery of packets to sockets.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use doorway_base::{Instant, Random, UnixTime};
use doorway_net::interface::InterfaceAddress;

use crate::link::{Link, Way};
use crate::segment::{LinkState, PingerState};
use crate::tcp::{Endpoint, Segment, TcpListenerState};

/// Datagrams that wait in a socket at the most, as a kernel's receive buffer bounds them.
const DATAGRAMS_MAX: usize = 4096;
/// First of the ports that are given out when a socket asks for port 0.
const EPHEMERAL_PORT: u16 = 49_152;
/// What a packet takes on its way within one host.
const LOOPBACK_NANOS: u64 = 1_000;
/// Octets of headers below the payload, for links with a rate.
const HEADER_OCTETS: usize = 40;

/// Names a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(pub(crate) u32);

/// Names one end of a TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EndpointId(pub(crate) u64);

/// What will happen.
pub(crate) enum Event {
    Wake(Waker),
    /// A packet of the first host arrives at the second.
    Deliver(NodeId, NodeId, Packet),
    /// A frame arrives.
    Frame(NodeId, Vec<u8>),
    Retransmit(EndpointId, u64),
    Forget(EndpointId),
}

#[derive(Clone)]
pub(crate) struct Packet {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) payload: Payload,
}

#[derive(Clone)]
pub(crate) enum Payload {
    Udp(Vec<u8>),
    Tcp(Segment),
    Echo(Echo),
}

/// ICMP echo, or the answer to one.
#[derive(Clone, Copy)]
pub(crate) struct Echo {
    pub(crate) sequence: u16,
    pub(crate) answer: bool,
}

/// An address of one host.
pub(crate) type Place = (NodeId, SocketAddr);

#[derive(Default)]
pub(crate) struct UdpState {
    /// Tells it from a socket at the same place before a restart.
    pub(crate) socket: u64,
    pub(crate) waiting: VecDeque<(Vec<u8>, SocketAddr, SocketAddr)>,
    pub(crate) reader: Option<Waker>,
}

pub(crate) struct Host {
    pub(crate) name: String,
    /// The addresses of its one interface; the first is the one that it sends from.
    pub(crate) addresses: Vec<InterfaceAddress>,
    pub(crate) segment: u32,
    /// False while it has crashed.
    pub(crate) up: bool,
    /// False while its interface is switched off.
    pub(crate) plugged: bool,
    next_port: u16,
}

impl Host {
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|own| own.address == address)
    }

    pub(crate) fn hears(&self) -> bool {
        self.up && self.plugged
    }

    fn primary(&self, like: IpAddr) -> Option<IpAddr> {
        self.addresses.iter().map(|own| own.address).find(|own| own.is_ipv4() == like.is_ipv4())
    }
}

/// What wall clocks show when a simulation begins: 2026-01-01T00:00:00Z.
const EPOCH: UnixTime = UnixTime::from_secs(1_767_225_600);

pub(crate) struct Core {
    pub(crate) now: Instant,
    /// What the wall clocks showed, or would have, when `now` was 0.
    pub(crate) wall_at_zero: UnixTime,
    next_event: u64,
    events: BTreeMap<(Instant, u64), Event>,
    pub(crate) random: Random,
    pub(crate) hosts: BTreeMap<NodeId, Host>,
    by_address: BTreeMap<IpAddr, NodeId>,
    pub(crate) ways: BTreeMap<(NodeId, NodeId), Way>,
    pub(crate) default_link: Link,
    pub(crate) udp: BTreeMap<Place, UdpState>,
    pub(crate) links: BTreeMap<(NodeId, u64), LinkState>,
    pub(crate) pingers: BTreeMap<(NodeId, u64), PingerState>,
    pub(crate) listeners: BTreeMap<Place, TcpListenerState>,
    pub(crate) endpoints: BTreeMap<EndpointId, Endpoint>,
    pub(crate) by_ends: BTreeMap<(Place, SocketAddr), EndpointId>,
    next_endpoint: u64,
    next_socket: u64,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            now: Instant::ZERO,
            wall_at_zero: EPOCH,
            next_event: 0,
            events: BTreeMap::new(),
            random: Random::new(seed),
            hosts: BTreeMap::new(),
            by_address: BTreeMap::new(),
            ways: BTreeMap::new(),
            default_link: Link::default(),
            udp: BTreeMap::new(),
            links: BTreeMap::new(),
            pingers: BTreeMap::new(),
            listeners: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            by_ends: BTreeMap::new(),
            next_endpoint: 0,
            next_socket: 0,
        }
    }

    /// Adds a host, without an address when none is given.
    pub(crate) fn add_host(&mut self, name: &str, address: Option<InterfaceAddress>, segment: u32) -> NodeId {
        let id = NodeId(self.hosts.len() as u32);
        if let Some(InterfaceAddress { address, .. }) = address {
            assert!(self.owner(address).is_none(), "two hosts with the address {address}");
        }
        let host = Host {
            name: name.to_owned(),
            addresses: Vec::new(),
            segment,
            up: true,
            plugged: true,
            next_port: EPHEMERAL_PORT,
        };
        self.hosts.insert(id, host);
        if let Some(address) = address {
            self.add_address(id, address);
        }
        id
    }

    /// Which host packets for an address reach: the first that has had it all the time.
    fn owner(&self, address: IpAddr) -> Option<NodeId> {
        self.by_address.get(&address).copied()
    }

    /// Gives a host an address, without asking whether another has it.
    pub(crate) fn add_address(&mut self, node: NodeId, own: InterfaceAddress) {
        let Some(host) = self.hosts.get_mut(&node) else { return };
        match host.addresses.iter_mut().find(|known| known.address == own.address) {
            Some(known) => *known = own,
            None => host.addresses.push(own),
        }
        self.by_address.entry(own.address).or_insert(node);
    }

    pub(crate) fn remove_address(&mut self, node: NodeId, gone: IpAddr) {
        let Some(host) = self.hosts.get_mut(&node) else { return };
        host.addresses.retain(|known| known.address != gone);
        if self.by_address.get(&gone) == Some(&node) {
            match self.hosts.iter().find(|(_, host)| host.has(gone)) {
                Some((other, _)) => self.by_address.insert(gone, *other),
                None => self.by_address.remove(&gone),
            };
        }
    }

    /// The hosts that a broadcast of `from` reaches.
    pub(crate) fn neighbours(&self, from: NodeId) -> Vec<NodeId> {
        let segment = self.hosts.get(&from).map(|host| host.segment);
        let near = |(id, host): &(&NodeId, &Host)| **id != from && Some(host.segment) == segment;
        self.hosts.iter().filter(near).map(|(id, _)| *id).collect()
    }

    /// Adds to the queue; the key takes the event out again.
    pub(crate) fn schedule(&mut self, at: Instant, event: Event) -> (Instant, u64) {
        let key = (at.max(self.now), self.next_event);
        self.next_event += 1;
        self.events.insert(key, event);
        key
    }

    pub(crate) fn cancel(&mut self, key: (Instant, u64)) {
        self.events.remove(&key);
    }

    /// Takes the next event and moves the clock to it; `None` when nothing is left before `until`.
    pub(crate) fn advance(&mut self, until: Instant) -> Option<Event> {
        let (&(at, _), _) = self.events.first_key_value()?;
        if at > until {
            return None;
        }
        let ((at, _), event) = self.events.pop_first()?;
        self.now = at;
        Some(event)
    }

    pub(crate) fn new_endpoint(&mut self) -> EndpointId {
        self.next_endpoint += 1;
        EndpointId(self.next_endpoint)
    }

    pub(crate) fn new_socket(&mut self) -> u64 {
        self.next_socket += 1;
        self.next_socket
    }

    /// The address a socket of `node` gets when it asks for `wanted`.
    pub(crate) fn bindable(
        &mut self,
        node: NodeId,
        wanted: SocketAddr,
        taken: impl Fn(&Self, SocketAddr) -> bool,
    ) -> std::io::Result<SocketAddr> {
        let host = self.hosts.get_mut(&node).ok_or(std::io::ErrorKind::NotConnected)?;
        if !host.up {
            return Err(std::io::ErrorKind::NetworkDown.into());
        }
        let ip = wanted.ip();
        if !host.has(ip) && !ip.is_unspecified() && !ip.is_loopback() {
            return Err(std::io::ErrorKind::AddrNotAvailable.into());
        }
        if wanted.port() != 0 {
            return if taken(self, wanted) { Err(std::io::ErrorKind::AddrInUse.into()) } else { Ok(wanted) };
        }
        for _ in EPHEMERAL_PORT..=u16::MAX {
            let host = self.hosts.get_mut(&node).ok_or(std::io::ErrorKind::NotConnected)?;
            let port = host.next_port;
            host.next_port = if port == u16::MAX { EPHEMERAL_PORT } else { port + 1 };
            let address = SocketAddr::new(ip, port);
            if !taken(self, address) {
                return Ok(address);
            }
        }
        Err(std::io::ErrorKind::AddrInUse.into())
    }

    /// The address that packets of `node` carry when the socket is bound to `local`.
    pub(crate) fn source(&self, node: NodeId, local: SocketAddr, to: IpAddr) -> SocketAddr {
        match self.hosts.get(&node) {
            Some(_) if to.is_loopback() => SocketAddr::new(to, local.port()),
            Some(host) if local.ip().is_unspecified() => {
                let own = host.primary(to).unwrap_or_else(|| unspecified(to));
                SocketAddr::new(own, local.port())
            }
            _ => local,
        }
    }

    /// Puts a packet on its way.
    pub(crate) fn send(&mut self, from: NodeId, packet: Packet) {
        let Some(sender) = self.hosts.get(&from).filter(|host| host.up) else { return };
        let to = packet.destination.ip();
        if to.is_loopback() || sender.has(to) {
            let at = Instant::from_nanos(self.now.as_nanos() + LOOPBACK_NANOS);
            self.schedule(at, Event::Deliver(from, from, packet));
            return;
        }
        let receivers = match to {
            IpAddr::V4(Ipv4Addr::BROADCAST) => self.neighbours(from),
            _ => self.owner(to).into_iter().collect(),
        };
        let octets = HEADER_OCTETS
            + match &packet.payload {
                Payload::Udp(octets) => octets.len(),
                Payload::Tcp(segment) => segment.data.len(),
                Payload::Echo(_) => 0,
            };
        for receiver in receivers {
            for at in self.arrivals(from, receiver, octets) {
                self.schedule(at, Event::Deliver(from, receiver, packet.clone()));
            }
        }
    }

    /// When copies of a message that is sent now arrive: none when it is lost.
    pub(crate) fn arrivals(&mut self, from: NodeId, to: NodeId, octets: usize) -> Vec<Instant> {
        if !self.hosts.get(&from).is_some_and(Host::hears) {
            return Vec::new();
        }
        let way = self.ways.entry((from, to)).or_default();
        way.arrivals(self.default_link, self.now, octets, &mut self.random)
    }

    pub(crate) fn deliver(&mut self, from: NodeId, node: NodeId, packet: Packet) {
        let hears = |host: &Host| if from == node { host.up } else { host.hears() };
        if !self.hosts.get(&node).is_some_and(hears) {
            return;
        }
        self.show_on_link(from, node, &packet);
        self.receive(node, packet);
    }

    /// Hands a packet to the socket that it is for.
    pub(crate) fn receive(&mut self, node: NodeId, packet: Packet) {
        match packet.payload {
            Payload::Udp(octets) => {
                let exact = packet.destination;
                let any = SocketAddr::new(unspecified(exact.ip()), exact.port());
                let place = [exact, any].into_iter().find(|at| self.udp.contains_key(&(node, *at)));
                let Some(socket) = place.and_then(|at| self.udp.get_mut(&(node, at))) else { return };
                if socket.waiting.len() < DATAGRAMS_MAX {
                    socket.waiting.push_back((octets, packet.source, packet.destination));
                    if let Some(reader) = socket.reader.take() {
                        reader.wake();
                    }
                }
            }
            Payload::Tcp(segment) => self.segment(node, packet.source, packet.destination, segment),
            Payload::Echo(echo) => self.echo(node, packet.source, packet.destination, echo),
        }
    }

    /// Takes a host off the network at once: its sockets are gone and nobody is told.
    pub(crate) fn crash(&mut self, node: NodeId) {
        if let Some(host) = self.hosts.get_mut(&node) {
            host.up = false;
        }
        self.udp.retain(|(owner, _), _| *owner != node);
        self.links.retain(|(owner, _), _| *owner != node);
        self.pingers.retain(|(owner, _), _| *owner != node);
        self.listeners.retain(|(owner, _), _| *owner != node);
        self.endpoints.retain(|_, endpoint| endpoint.place.0 != node);
        self.by_ends.retain(|((owner, _), _), _| *owner != node);
    }
}

pub(crate) fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}
