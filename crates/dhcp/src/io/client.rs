//! The client of one interface over a world: link sockets while there is no address, a UDP socket once the
//! address is in use, the record in the data folder. What is done when is the engine's decision
//! ([`crate::client`]).
//!
//! | file | what it holds |
//! | --- | --- |
//! | here | [`ClientAgent`]: the loop, and who watches it |
//! | `client/host` | [`Apply`]: what a lease makes of the host |
//! | `client/kept` | [`Kept`]: what is kept over a restart |
//! | `client/discover` | [`discover`]: who offers addresses on a link |

mod discover;
mod host;
mod kept;

use core::net::{Ipv4Addr, SocketAddrV4};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use doorway_base::trace::Direction;
use doorway_base::{Session as _, UnixTime};
use doorway_net::World;
use doorway_net::ground::ListenOptions;
use doorway_net::interface::InterfaceChange;
use doorway_net::link::{ArpOperation, LinkContent, LinkMessage, LinkOptions, LinkSocket, Mac};
use doorway_net::udp::UdpClient;
use tokio::sync::{mpsc, watch};

use super::flows::{Flows, Way};
use crate::client::session::{Counts, Heard, Loss};
use crate::client::{Binding, Check, Input, Output, Phase, Recipient, Record, Session, Settings};
use crate::wire::{CLIENT_PORT, HardwareAddress, SERVER_PORT};
use host::Host;

pub use discover::discover;
pub use host::Apply;
pub use kept::Kept;

/// Orders that wait at the most.
const ORDERS_MAX: usize = 16;
/// Between two attempts to receive after one that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// How a client is set up.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// What it says of itself and how it goes about it.
    pub settings: Settings,
    /// How leases are put to use, if they are.
    pub apply: Option<Apply>,
    /// Where its record is kept, if anywhere.
    pub kept: Option<Kept>,
    /// Whether it gives its address back when it is told to end.
    pub release: bool,
}

/// How a client stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientStatus {
    /// The interface.
    pub interface: String,
    /// Its state.
    pub phase: Phase,
    /// The lease that it has, if it has one.
    pub lease: Option<Record>,
    /// What went wrong last.
    pub problem: Option<String>,
    /// What came and was not taken.
    pub counts: Counts,
    /// How often a lease was given or extended.
    pub bound: u64,
}

/// What happens to a client, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEvent {
    /// It entered a state.
    Entered(Phase),
    /// It has a lease, or has one for longer.
    Bound(Record),
    /// It has lost it.
    Lost(Ipv4Addr, Loss),
    /// A neighbour has the address.
    InUse(Ipv4Addr, HardwareAddress),
    /// A server refused.
    Refused(Option<String>),
    /// Configuration without an address came: the message.
    Informed(Arc<[u8]>),
    /// Something of this host failed; the client goes on.
    Failed(String),
}

impl fmt::Display for ClientEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entered(phase) => write!(f, "{phase}"),
            Self::Bound(record) => write!(f, "bound to {}", record.binding),
            Self::Lost(address, Loss::Expired) => write!(f, "the lease of {address} is over"),
            Self::Lost(address, Loss::Refused) => write!(f, "{address} may not be used any more"),
            Self::Lost(address, Loss::Released) => write!(f, "{address} was given back"),
            Self::InUse(address, by) => write!(f, "{address} is in use by {by}; the server was told"),
            Self::Refused(Some(why)) => write!(f, "the server refused: {}", why.escape_default()),
            Self::Refused(None) => f.write_str("the server refused"),
            Self::Informed(_) => f.write_str("told without an address"),
            Self::Failed(what) => f.write_str(what),
        }
    }
}

/// What a client is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Renew,
    Release,
    Inform(Ipv4Addr),
    End,
}

/// Whom a client listens to, and where it tells how it stands.
#[derive(Debug, Clone)]
pub struct ClientHandle {
    orders: mpsc::Sender<Order>,
    status: watch::Receiver<ClientStatus>,
}

impl ClientHandle {
    /// Asks for a longer lease now, or for one when there is none.
    pub fn renew(&self) {
        self.order(Order::Renew);
    }

    /// Gives the address back. The client goes on to listen, for [`ClientHandle::renew`].
    pub fn release(&self) {
        self.order(Order::Release);
    }

    /// Asks for configuration for an address that was set by hand: DHCPINFORM.
    pub fn inform(&self, address: Ipv4Addr) {
        self.order(Order::Inform(address));
    }

    /// Ends the client.
    pub fn end(&self) {
        self.order(Order::End);
    }

    // A client with so many orders before it will come to the same.
    fn order(&self, order: Order) {
        let _ = self.orders.try_send(order);
    }

    /// How it stands now.
    #[must_use]
    pub fn status(&self) -> ClientStatus {
        self.status.borrow().clone()
    }

    /// Waits until `is_it` says so of how it stands, and gives that; `None` when the client has ended.
    pub async fn wait_for(&self, is_it: impl FnMut(&ClientStatus) -> bool) -> Option<ClientStatus> {
        let mut status = self.status.clone();
        status.wait_for(is_it).await.ok().map(|status| status.clone())
    }
}

/// The client of one interface. [`ClientAgent::run`] is its life.
#[derive(Debug)]
pub struct ClientAgent {
    world: World,
    interface: String,
    options: ClientOptions,
    session: Session,
    socket: LinkSocket,
    /// Hears what neighbours say about an address that is looked at.
    arp: Option<LinkSocket>,
    /// For messages to a server, once the address is in use. It keeps the port from being called closed, too.
    udp: Option<(Ipv4Addr, UdpClient)>,
    host: Option<Host>,
    flows: Flows,
    orders: mpsc::Receiver<Order>,
    status: watch::Sender<ClientStatus>,
}

/// What ended a wait.
enum Wake {
    Message(io::Result<LinkMessage>),
    Order(Option<Order>),
    Time,
}

impl ClientAgent {
    /// Opens the sockets of a client, which takes the rights of root or CAP_NET_RAW.
    ///
    /// # Errors
    /// As [`World::link`].
    pub fn open(world: &World, interface: &str, options: ClientOptions) -> io::Result<(Self, ClientHandle)> {
        if options.apply.is_some() {
            world.assign(interface, &InterfaceChange::SetUp)?;
        }
        let udp_ports = vec![CLIENT_PORT];
        let socket = world.link(interface, &LinkOptions { udp_ports, ..LinkOptions::default() })?;
        let arp = match options.settings.check {
            Check::Off => None,
            _ => Some(world.link(interface, &LinkOptions { arp: true, ..LinkOptions::default() })?),
        };
        let session = Session::new(options.settings.clone(), world.random());
        let (order, orders) = mpsc::channel(ORDERS_MAX);
        let (status, watched) = watch::channel(ClientStatus {
            interface: interface.to_owned(),
            phase: Phase::Stopped,
            lease: None,
            problem: None,
            counts: Counts::default(),
            bound: 0,
        });
        let host = options.apply.clone().map(Host::new);
        let (world, interface) = (world.clone(), interface.to_owned());
        let flows = Flows::new(&world);
        let agent =
            Self { world, interface, options, session, socket, arp, udp: None, host, flows, orders, status };
        Ok((agent, ClientHandle { orders: order, status: watched }))
    }

    /// Begins with what was kept, and goes on until it is told to end, nobody can give it orders any more, or
    /// its interface is gone for good. `tell` hears what happens.
    pub async fn run(mut self, mut tell: impl FnMut(&ClientEvent)) {
        let kept = self.options.kept.as_ref().and_then(|kept| kept.record(&self.interface));
        let known = kept.map(|record| record.known(self.world.wall()));
        self.hand_in(Input::Start(known), &mut tell);
        self.serve(&mut tell).await;
    }

    /// Asks for configuration alone: DHCPINFORM. As [`ClientAgent::run`] otherwise.
    pub async fn run_inform(mut self, address: Ipv4Addr, mut tell: impl FnMut(&ClientEvent)) {
        self.hand_in(Input::Inform(address), &mut tell);
        self.serve(&mut tell).await;
    }

    /// Gives back the lease that is kept, and takes from the host what it had brought. Returns whether there was
    /// one. To be called in a task, since it opens a socket.
    pub fn give_back(mut self, mut tell: impl FnMut(&ClientEvent)) -> bool {
        let kept = self.options.kept.as_ref().and_then(|kept| kept.record(&self.interface));
        let now = (self.world.now(), self.world.wall());
        let Some(binding) = kept.and_then(|record| record.resumed(now.0, now.1)) else { return false };
        if let Some(host) = &mut self.host {
            host.adopt(&binding);
            self.listen(binding.address, &mut tell);
        }
        self.hand_in(Input::Resume(binding), &mut tell);
        self.hand_in(Input::Release, &mut tell);
        true
    }

    async fn serve(&mut self, tell: &mut impl FnMut(&ClientEvent)) {
        loop {
            match self.wake().await {
                Wake::Time => self.hand_in(Input::Timeout, tell),
                Wake::Message(Ok(message)) => self.message(message, tell),
                Wake::Message(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                    return self.failed(&error.to_string(), tell);
                }
                // Down for a while: what is lost meanwhile is sent again.
                Wake::Message(Err(error)) => {
                    self.failed(&error.to_string(), tell);
                    self.world.sleep(PAUSE).await;
                }
                Wake::Order(Some(Order::Renew)) => self.hand_in(Input::Renew, tell),
                Wake::Order(Some(Order::Release)) => self.hand_in(Input::Release, tell),
                Wake::Order(Some(Order::Inform(address))) => self.hand_in(Input::Inform(address), tell),
                Wake::Order(Some(Order::End) | None) => {
                    if self.options.release {
                        self.hand_in(Input::Release, tell);
                    }
                    return;
                }
            }
        }
    }

    async fn wake(&mut self) -> Wake {
        let until = self.session.next_timeout();
        let late = async {
            match until {
                Some(at) => self.world.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let neighbours = async {
            match &self.arp {
                Some(socket) if self.session.phase() == Phase::Checking => socket.receive().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            order = self.orders.recv() => Wake::Order(order),
            received = self.socket.receive() => Wake::Message(received),
            heard = neighbours => Wake::Message(heard),
            () = late => Wake::Time,
        }
    }

    fn message(&mut self, message: LinkMessage, tell: &mut impl FnMut(&ClientEvent)) {
        match message.content {
            LinkContent::Udp { source, destination, octets } => {
                let way =
                    Way { direction: Direction::In, local: destination, remote: source, serving: false };
                self.flows.record(way, &octets, None);
                let neighbour = Some(message.source_mac.0);
                self.hand_in(Input::Message { octets: &octets, neighbour }, tell);
            }
            LinkContent::Arp { sender_mac, sender_ip, target_ip, .. } => {
                let heard =
                    Heard { sender: sender_mac.0, sender_address: sender_ip, target_address: target_ip };
                self.hand_in(Input::Arp(heard), tell);
            }
        }
    }

    fn hand_in(&mut self, input: Input<'_>, tell: &mut impl FnMut(&ClientEvent)) {
        self.session.handle(self.world.now(), input);
        while let Some(output) = self.session.poll_output() {
            self.act(output, tell);
        }
        let (phase, counts) = (self.session.phase(), *self.session.counts());
        self.status.send_if_modified(|status| {
            let changed = (status.phase, status.counts) != (phase, counts);
            (status.phase, status.counts) = (phase, counts);
            changed
        });
    }

    fn act(&mut self, output: Output, tell: &mut impl FnMut(&ClientEvent)) {
        match output {
            Output::Entered(phase) => {
                if phase == Phase::Checking {
                    self.forget_what_was_heard();
                }
                tell(&ClientEvent::Entered(phase));
            }
            Output::Send { octets, to } => self.send(octets, to, tell),
            Output::Probe(address) => {
                self.send_link(&LinkMessage::arp_probe(self.socket.mac(), address), tell);
            }
            Output::Announce(address) => self.send_link(&announcement(self.socket.mac(), address), tell),
            Output::Bound(binding) => self.bound(binding, tell),
            Output::Lost(binding, why) => {
                self.udp = None;
                if let Some(host) = &mut self.host {
                    host.unbind(&self.world, &self.interface);
                }
                self.status.send_modify(|status| status.lease = None);
                tell(&ClientEvent::Lost(binding.address, why));
            }
            Output::InUse { address, by } => {
                tell(&ClientEvent::InUse(address, HardwareAddress::ethernet(by)));
            }
            Output::Refused(why) => tell(&ClientEvent::Refused(why)),
            Output::Forget => {
                let done = self.options.kept.as_ref().map_or(Ok(()), |kept| kept.forget(&self.interface));
                if let Err(error) = done {
                    self.failed(&format!("the lease of before could not be forgotten: {error}"), tell);
                }
            }
            Output::Informed(octets) => tell(&ClientEvent::Informed(octets)),
        }
    }

    fn bound(&mut self, binding: Binding, tell: &mut impl FnMut(&ClientEvent)) {
        let passed = self.world.now().since(binding.since);
        let obtained = UnixTime::from_nanos(
            self.world.wall().as_nanos().saturating_sub(u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX)),
        );
        if let Some(host) = &mut self.host {
            match host.bind(&self.world, &self.interface, &binding) {
                Ok(()) => self.listen(binding.address, tell),
                Err(error) => self.failed(&format!("the lease could not be put to use: {error}"), tell),
            }
        }
        let record = Record { binding, obtained };
        let kept = self.options.kept.as_ref().map_or(Ok(()), |kept| kept.keep(&self.interface, &record));
        if let Err(error) = kept {
            self.failed(&format!("the lease could not be kept for the next start: {error}"), tell);
        }
        // At once with the state, for whoever waits for the one and reads the other.
        let phase = self.session.phase();
        self.status.send_modify(|status| {
            status.phase = phase;
            status.lease = Some(record.clone());
            status.bound += 1;
        });
        tell(&ClientEvent::Bound(record));
    }

    /// Opens the socket that messages to a server leave from. To be called in a task.
    fn listen(&mut self, address: Ipv4Addr, tell: &mut impl FnMut(&ClientEvent)) {
        if self.udp.as_ref().is_some_and(|(old, _)| *old == address) {
            return;
        }
        self.udp = None;
        let options =
            ListenOptions { share: false, device: Some(self.interface.clone()), ..ListenOptions::default() };
        let at = SocketAddrV4::new(address, CLIENT_PORT).into();
        match self.world.udp(at, &options).and_then(|socket| socket.start()) {
            Ok(socket) => self.udp = Some((address, socket)),
            Err(error) => self.failed(&format!("port 68 of {address}: {error}"), tell),
        }
    }

    fn send(&mut self, octets: Vec<u8>, to: Recipient, tell: &mut impl FnMut(&ClientEvent)) {
        let everybody = SocketAddrV4::new(Ipv4Addr::BROADCAST, SERVER_PORT);
        let (remote, from, mac) = match to {
            Recipient::Broadcast { from } => (everybody, from, Mac::BROADCAST),
            // Whoever the answer came from knows the way to the server.
            Recipient::Server { to, from, neighbour } => (to, from, neighbour.map_or(Mac::BROADCAST, Mac)),
        };
        let local = SocketAddrV4::new(from, CLIENT_PORT);
        let way = Way { direction: Direction::Out, local, remote, serving: false };
        self.flows.record(way, &octets, None);
        if let (Recipient::Server { .. }, Some((_, socket))) = (to, &self.udp)
            && socket.send_now(&octets, remote.into()).is_ok()
        {
            return;
        }
        let content = LinkContent::Udp { source: local, destination: remote, octets };
        let source_mac = self.socket.mac();
        self.send_link(&LinkMessage { source_mac, destination_mac: mac, content }, tell);
    }

    fn send_link(&mut self, message: &LinkMessage, tell: &mut impl FnMut(&ClientEvent)) {
        if let Err(error) = self.socket.send(message) {
            self.failed(&format!("a message could not be sent: {error}"), tell);
        }
    }

    /// What neighbours said before they were asked may have been true then.
    fn forget_what_was_heard(&mut self) {
        if let Some(socket) = &self.arp {
            while socket.try_receive().is_ok() {}
        }
    }

    fn failed(&mut self, what: &str, tell: &mut impl FnMut(&ClientEvent)) {
        self.status.send_modify(|status| status.problem = Some(what.to_owned()));
        tell(&ClientEvent::Failed(what.to_owned()));
    }
}

/// The claim of an address: RFC 5227 §2.3.
const fn announcement(mac: Mac, address: Ipv4Addr) -> LinkMessage {
    LinkMessage {
        source_mac: mac,
        destination_mac: Mac::BROADCAST,
        content: LinkContent::Arp {
            operation: ArpOperation::Request,
            sender_mac: mac,
            sender_ip: address,
            target_mac: Mac::ZERO,
            target_ip: address,
        },
    }
}
