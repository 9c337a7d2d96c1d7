//! A LAN segment below IP: frames from card to card, hosts that answer ARP and ICMP echo for their own
//! addresses, and addresses that come and go.
//!
//! A frame for a host's own address, or for all, reaches its UDP sockets too, and what UDP sockets send is
//! seen by link sockets. Each host has one interface. Not here: bridges, VLANs, ARP caches: an IP packet
//! reaches the host that has its address without anybody asking.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use doorway_net::interface::InterfaceChange;
use doorway_net::link::{ArpOperation, LinkContent, LinkMessage, LinkOptions, Mac, VirtualLink};
use doorway_net::pinger::VirtualPinger;

use crate::core::{Core, Echo, Event, Host, NodeId, Packet, Payload, lock};

/// What every host calls its interface.
pub(crate) const INTERFACE: &str = "eth0";
/// The number of that interface; 1 is the loopback interface, which is not listed.
pub(crate) const INTERFACE_INDEX: u32 = 2;
/// Longest IP packet of a segment.
pub(crate) const MTU: u32 = 1500;
/// Frames or answers that wait in one socket at the most.
const WAITING_MAX: usize = 4096;
/// The card that frames come from whose sender is on another segment: its router, which is not simulated.
const ROUTER: Mac = Mac([2, 0, 0, 0xff, 0xff, 0xff]);

/// A socket on the link of a host.
pub(crate) struct LinkState {
    options: LinkOptions,
    waiting: VecDeque<io::Result<Vec<u8>>>,
    reader: Option<Waker>,
}

/// A socket for echoes.
#[derive(Default)]
pub(crate) struct PingerState {
    waiting: VecDeque<(Ipv4Addr, u16)>,
    reader: Option<Waker>,
}

/// The card of a host.
pub(crate) fn mac(node: NodeId) -> Mac {
    let [a, b, c, d] = (node.0 + 1).to_be_bytes();
    Mac([2, 0, a, b, c, d])
}

/// Refuses interfaces that no host has.
pub(crate) fn known(interface: &str) -> io::Result<()> {
    if interface == INTERFACE { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
}

impl LinkState {
    fn push(&mut self, received: io::Result<Vec<u8>>) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back(received);
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
        }
    }
}

impl Core {
    pub(crate) fn open_link(&mut self, node: NodeId, options: LinkOptions) -> io::Result<u64> {
        self.alive(node)?;
        let id = self.new_socket();
        let state = LinkState { options, waiting: VecDeque::new(), reader: None };
        self.links.insert((node, id), state);
        Ok(id)
    }

    pub(crate) fn open_pinger(&mut self, node: NodeId) -> io::Result<u64> {
        self.alive(node)?;
        let id = self.new_socket();
        self.pingers.insert((node, id), PingerState::default());
        Ok(id)
    }

    fn alive(&self, node: NodeId) -> io::Result<&Host> {
        self.hosts.get(&node).filter(|host| host.up).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Changes the interface of a host. Ways beyond the segment are not simulated, nor is the longest packet.
    pub(crate) fn assign(&mut self, node: NodeId, change: &InterfaceChange) {
        match change {
            InterfaceChange::AddAddress { address, .. } => self.add_address(node, *address),
            InterfaceChange::RemoveAddress(gone) => self.remove_address(node, gone.address),
            InterfaceChange::SetUp => self.set_plugged(node, true),
            InterfaceChange::AddRoute(_) | InterfaceChange::RemoveRoute(_) | InterfaceChange::SetMtu(_) => {}
        }
    }

    pub(crate) fn set_plugged(&mut self, node: NodeId, plugged: bool) {
        let Some(host) = self.hosts.get_mut(&node) else { return };
        let went_down = host.plugged && !plugged;
        host.plugged = plugged;
        if went_down {
            for (_, link) in self.links.range_mut((node, 0)..=(node, u64::MAX)) {
                link.push(Err(io::ErrorKind::NetworkDown.into()));
            }
        }
    }

    /// Puts a frame on the segment of `from`.
    fn send_frame(&mut self, from: NodeId, frame: &[u8]) {
        let Some(to) = frame.first_chunk::<6>().map(|octets| Mac(*octets)) else { return };
        for receiver in self.neighbours(from) {
            if to.is_group() || to == mac(receiver) {
                for at in self.arrivals(from, receiver, frame.len()) {
                    self.schedule(at, Event::Frame(receiver, frame.to_vec()));
                }
            }
        }
    }

    /// A frame arrives.
    pub(crate) fn frame(&mut self, node: NodeId, frame: Vec<u8>) {
        let Some(host) = self.hosts.get(&node).filter(|host| host.hears()) else { return };
        let message = LinkMessage::parse(&frame, true);
        let mut packet = None;
        let mut answer = None;
        match message.map(|message| message.content) {
            Ok(LinkContent::Udp { source, destination, octets })
                if destination.ip().is_broadcast() || host.has(IpAddr::V4(*destination.ip())) =>
            {
                let (source, destination) = (source.into(), destination.into());
                packet = Some(Packet { source, destination, payload: Payload::Udp(octets) });
            }
            Ok(LinkContent::Arp {
                operation: ArpOperation::Request,
                sender_mac,
                sender_ip,
                target_ip,
                ..
            }) if host.has(IpAddr::V4(target_ip)) => {
                answer = Some(arp_answer(mac(node), target_ip, sender_mac, sender_ip));
            }
            _ => {}
        }
        self.show_frame(node, &frame);
        if let Some(packet) = packet {
            self.receive(node, packet);
        }
        if let Some(answer) = answer {
            let mut frame = Vec::new();
            answer.write(&mut frame);
            self.send_frame(node, &frame);
        }
    }

    /// Shows a packet of IP to the link sockets of the host that it arrives at.
    pub(crate) fn show_on_link(&mut self, from: NodeId, node: NodeId, packet: &Packet) {
        let listens = self.links.range((node, 0)..=(node, u64::MAX)).next().is_some();
        let (SocketAddr::V4(source), SocketAddr::V4(destination)) = (packet.source, packet.destination)
        else {
            return;
        };
        let Payload::Udp(octets) = &packet.payload else { return };
        if from == node || !listens {
            return;
        }
        let segment = |node| self.hosts.get(&node).map(|host: &Host| host.segment);
        let source_mac = if segment(from) == segment(node) { mac(from) } else { ROUTER };
        let destination_mac = if destination.ip().is_broadcast() { Mac::BROADCAST } else { mac(node) };
        let mut frame = Vec::new();
        let content = LinkContent::Udp { source, destination, octets: octets.clone() };
        LinkMessage { source_mac, destination_mac, content }.write(&mut frame);
        self.show_frame(node, &frame);
    }

    fn show_frame(&mut self, node: NodeId, frame: &[u8]) {
        for (_, link) in self.links.range_mut((node, 0)..=(node, u64::MAX)) {
            if link.options.takes(frame) {
                link.push(Ok(frame.to_vec()));
            }
        }
    }

    /// An echo arrives: a question is answered, an answer goes to all who might have asked.
    pub(crate) fn echo(&mut self, node: NodeId, source: SocketAddr, destination: SocketAddr, echo: Echo) {
        if !echo.answer {
            let payload = Payload::Echo(Echo { answer: true, ..echo });
            self.send(node, Packet { source: destination, destination: source, payload });
            return;
        }
        let IpAddr::V4(from) = source.ip() else { return };
        for (_, pinger) in self.pingers.range_mut((node, 0)..=(node, u64::MAX)) {
            if pinger.waiting.len() < WAITING_MAX {
                pinger.waiting.push_back((from, echo.sequence));
                if let Some(reader) = pinger.reader.take() {
                    reader.wake();
                }
            }
        }
    }
}

fn arp_answer(own_mac: Mac, own_ip: Ipv4Addr, target_mac: Mac, target_ip: Ipv4Addr) -> LinkMessage {
    LinkMessage {
        source_mac: own_mac,
        destination_mac: target_mac,
        content: LinkContent::Arp {
            operation: ArpOperation::Reply,
            sender_mac: own_mac,
            sender_ip: own_ip,
            target_mac,
            target_ip,
        },
    }
}

/// A socket on the link of a host.
pub(crate) struct SimLink {
    pub(crate) node: NodeId,
    pub(crate) id: u64,
    pub(crate) core: Arc<Mutex<Core>>,
}

impl VirtualLink for SimLink {
    fn mac(&self) -> Mac {
        mac(self.node)
    }

    fn send(&self, frame: &[u8]) -> io::Result<()> {
        let mut core = lock(&self.core);
        if !core.links.contains_key(&(self.node, self.id)) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if !core.alive(self.node)?.plugged {
            return Err(io::ErrorKind::NetworkDown.into());
        }
        core.send_frame(self.node, frame);
        Ok(())
    }

    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<io::Result<Vec<u8>>> {
        let mut core = lock(&self.core);
        let Some(state) = core.links.get_mut(&(self.node, self.id)) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        match state.waiting.pop_front() {
            Some(received) => Poll::Ready(received),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for SimLink {
    fn drop(&mut self) {
        lock(&self.core).links.remove(&(self.node, self.id));
    }
}

/// A socket for echoes.
pub(crate) struct SimPinger {
    pub(crate) node: NodeId,
    pub(crate) id: u64,
    pub(crate) core: Arc<Mutex<Core>>,
}

impl VirtualPinger for SimPinger {
    fn send(&self, to: Ipv4Addr, sequence: u16) -> io::Result<()> {
        let mut core = lock(&self.core);
        let destination: SocketAddr = SocketAddrV4::new(to, 0).into();
        let unbound = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0).into();
        let source = core.source(self.node, unbound, destination.ip());
        let payload = Payload::Echo(Echo { sequence, answer: false });
        core.send(self.node, Packet { source, destination, payload });
        Ok(())
    }

    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Ipv4Addr, u16)>> {
        let mut core = lock(&self.core);
        let Some(state) = core.pingers.get_mut(&(self.node, self.id)) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        match state.waiting.pop_front() {
            Some(answer) => Poll::Ready(Ok(answer)),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for SimPinger {
    fn drop(&mut self) {
        lock(&self.core).pingers.remove(&(self.node, self.id));
    }
}
