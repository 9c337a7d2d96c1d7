//! An interface that is served: a UDP door for what is sent to its address, a link door for what is sent to
//! everybody and for clients that have no address yet, and a socket for ARP.

use core::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use doorway_net::batch::{self, BatchSender, BatchSocket};
use doorway_net::ground::ListenOptions;
use doorway_net::link::{self, LinkContent, LinkDoor, LinkMessage, LinkOptions, Mac};
use doorway_net::udp::{UdpDoor, UdpOptions};
use doorway_net::{Error, World};

use super::SERVICE;
use crate::io::probe::ArpSocket;

use crate::plan::InterfacePlan;
use crate::server::Destination;
use crate::wire::message::MESSAGE_OCTETS_MAX;
use crate::wire::{CLIENT_PORT, PROXY_PORT, SERVER_PORT};

/// What the kernel may keep for a socket while we write leases: a whole site that asks at once.
const SOCKET_OCTETS: usize = 4 << 20;

/// An interface that is served.
pub(super) struct Served {
    pub(super) name: String,
    pub(super) address: Ipv4Addr,
    /// Its place in the plan. Changed and read while the engine is locked.
    pub(super) place: AtomicUsize,
    /// The doors of its address.
    doors: Vec<UdpDoor>,
    /// Sends from the first of them, once its task runs.
    sender: OnceLock<BatchSender>,
    /// What is open on its link; `None` on the loopback interface, and while the interface is gone.
    card: Mutex<Option<Arc<Card>>>,
}

/// What is open on a link.
pub(super) struct Card {
    pub(super) door: LinkDoor,
    pub(super) arp: ArpSocket,
}

impl Card {
    /// Opens both sockets. This takes CAP_NET_RAW, using them takes nothing.
    pub(super) fn open(world: &World, interface: &str) -> Result<Self, Error> {
        let options =
            LinkOptions { udp_ports: vec![SERVER_PORT], broadcast_only: true, ..LinkOptions::default() };
        let everybody = SocketAddrV4::new(Ipv4Addr::BROADCAST, SERVER_PORT);
        let door = link::serve(world, interface, &options, SERVICE, everybody.into())?;
        let arp = ArpSocket::open(world, interface).map_err(|source| Error::Local {
            doing: "listen for ARP on an interface",
            source: source.into(),
        })?;
        Ok(Self { door, arp })
    }
}

impl Served {
    /// Opens the doors of an interface, on `port` of its address, and on that of boot servers when `boots`.
    pub(super) fn open(
        world: &World,
        (place, interface): (usize, &InterfacePlan),
        port: u16,
        boots: bool,
    ) -> Result<(Self, Vec<BatchSocket>), Error> {
        // Broadcasts do not pass the loopback interface.
        let card = match interface.address.is_loopback() {
            true => None,
            false => Some(Arc::new(Card::open(world, &interface.name)?)),
        };
        let mut options = UdpOptions::new(SERVICE, SERVICE, SERVER_PORT);
        options.receive_octets_max = MESSAGE_OCTETS_MAX;
        options.listen = ListenOptions {
            receive_octets: Some(SOCKET_OCTETS),
            send_octets: Some(SOCKET_OCTETS),
            ..ListenOptions::default()
        };
        let (mut doors, mut sockets) = (Vec::new(), Vec::new());
        for port in [Some(port), boots.then_some(PROXY_PORT)].into_iter().flatten() {
            let at = SocketAddrV4::new(interface.address, port);
            match batch::serve(world, at.into(), &options) {
                Ok((door, opened)) => {
                    doors.push(door);
                    sockets.extend(opened);
                }
                Err(error) => {
                    doors.iter().for_each(UdpDoor::close);
                    return Err(error);
                }
            }
        }
        let served = Self {
            name: interface.name.clone(),
            address: interface.address,
            place: AtomicUsize::new(place),
            doors,
            sender: OnceLock::new(),
            card: Mutex::new(card),
        };
        Ok((served, sockets))
    }

    /// Whether it is this interface, with the same address.
    pub(super) fn is(&self, interface: &InterfacePlan) -> bool {
        self.name == interface.name && self.address == interface.address
    }

    /// What is open on its link.
    pub(super) fn card(&self) -> Option<Arc<Card>> {
        self.card.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_card(&self, card: Option<Arc<Card>>) {
        *self.card.lock().unwrap_or_else(PoisonError::into_inner) = card;
    }

    /// Lets replies to what came by the link leave from this socket, if it is the first.
    pub(super) fn lend(&self, sender: BatchSender) {
        let _ = self.sender.set(sender);
    }

    pub(super) fn sender(&self) -> Option<&BatchSender> {
        self.sender.get()
    }

    /// The bound addresses.
    pub(super) fn addresses(&self) -> impl Iterator<Item = core::net::SocketAddr> {
        self.doors.iter().filter_map(UdpDoor::local)
    }

    /// Takes no more messages.
    pub(super) fn close(&self) {
        self.doors.iter().for_each(UdpDoor::close);
        if let Some(card) = self.card() {
            card.door.close();
        }
    }

    /// Sends a message from `port` in a frame of its own. False when it did not leave.
    pub(super) fn send_frame(&self, port: u16, destination: Destination, octets: &[u8]) -> bool {
        let Some(card) = self.card() else { return false };
        let (destination_mac, address) = match destination {
            Destination::Link { address, hardware } => match hardware.mac() {
                Some(mac) => (Mac(mac), address),
                None => (Mac::BROADCAST, Ipv4Addr::BROADCAST),
            },
            _ => (Mac::BROADCAST, Ipv4Addr::BROADCAST),
        };
        let message = LinkMessage {
            source_mac: card.door.socket().mac(),
            destination_mac,
            content: LinkContent::Udp {
                source: SocketAddrV4::new(self.address, port),
                destination: SocketAddrV4::new(address, CLIENT_PORT),
                octets: octets.to_vec(),
            },
        };
        card.door.send(&message).inspect_err(|error| tracing::debug!(%error, "a frame was not sent")).is_ok()
    }
}
