//! The relay agent over a world: a link socket on each link with clients, a UDP socket for each address that
//! servers answer to. What becomes of a message is the engine's decision ([`crate::relay`]).

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use doorway_base::Writer;
use doorway_base::trace::{Direction, Note};
use doorway_net::batch::{self, BatchReceiver, BatchSender, BatchSocket, Outbox};
use doorway_net::interface::Interface;
use doorway_net::link::{self, LinkContent, LinkDoor, LinkMessage, LinkOptions, Mac};
use doorway_net::udp::{UdpDoor, UdpOptions};
use doorway_net::{Error, World};

use super::flows::{Flows, PROTOCOL, Way};
use crate::config::RelayConfig;
use crate::relay::{Circuit, Counts, Origin, RELAYED_OCTETS_MAX, Relay, Verdict};
use crate::wire::{CLIENT_PORT, SERVER_PORT};

/// Name of the service.
const SERVICE: &str = "dhcp-relay";
/// Between two attempts to receive after one that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// To all hosts of a link.
const EVERYBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT);

/// A relay agent that runs. Dropping it does not end it; [`RelayAgent::close`] does.
#[derive(Debug)]
pub struct RelayAgent {
    shared: Arc<Shared>,
    doors: Vec<UdpDoor>,
}

#[derive(Debug)]
struct Shared {
    engine: Mutex<Relay>,
    flows: Flows,
    links: Vec<Link>,
    uplinks: Vec<Uplink>,
    servers: Vec<SocketAddrV4>,
}

/// A link with clients.
#[derive(Debug)]
struct Link {
    door: LinkDoor,
    address: Ipv4Addr,
    /// Which of the uplinks its messages leave from.
    uplink: usize,
}

/// An address that servers answer to. Its socket is there once the task that receives from it has begun.
#[derive(Debug)]
struct Uplink {
    address: Ipv4Addr,
    sender: OnceLock<BatchSender>,
}

impl RelayAgent {
    /// Begins to relay.
    ///
    /// # Errors
    /// [`Error::Local`] for an interface that does not exist or has no IPv4 address, or without the right to
    /// listen on links; [`Error::Bind`] when port 67 of an address is taken.
    pub fn start(world: &World, config: &RelayConfig) -> Result<Self, Error> {
        let known = world.interfaces().map_err(|error| failed("list the interfaces", error))?;
        let circuits = config.interfaces.iter().map(|name| circuit(&known, name, config));
        let circuits: Vec<Circuit> = circuits.collect::<Result<_, _>>()?;
        let mut uplinks: Vec<Uplink> = Vec::new();
        let mut links = Vec::new();
        for (name, circuit) in config.interfaces.iter().zip(&circuits) {
            let mut of = |address: Ipv4Addr| {
                uplinks.iter().position(|uplink| uplink.address == address).unwrap_or_else(|| {
                    uplinks.push(Uplink { address, sender: OnceLock::new() });
                    uplinks.len() - 1
                })
            };
            // Clients that take us for the server, and other relay agents, send to the circuit's own address.
            let own = of(circuit.address);
            let uplink = config.rules.giaddr.map_or(own, &mut of);
            let options =
                LinkOptions { udp_ports: vec![SERVER_PORT], broadcast_only: true, ..LinkOptions::default() };
            let local = SocketAddr::from((Ipv4Addr::BROADCAST, SERVER_PORT));
            let door = link::serve(world, name, &options, SERVICE, local)?;
            links.push(Link { door, address: circuit.address, uplink });
        }
        let mut doors = Vec::new();
        let mut sockets = Vec::new();
        let options = UdpOptions { threads: 1, ..UdpOptions::new(SERVICE, PROTOCOL, SERVER_PORT) };
        for (index, uplink) in uplinks.iter().enumerate() {
            let at = SocketAddr::from((uplink.address, SERVER_PORT));
            let served = batch::serve(world, at, &options);
            // None of the doors stays open when one cannot be opened.
            let (door, bound) = served.inspect_err(|_| doors.iter().for_each(UdpDoor::close))?;
            doors.push(door);
            sockets.extend(bound.into_iter().map(|socket| (index, socket)));
        }
        let servers = config.servers.iter().map(|server| SocketAddrV4::new(*server, SERVER_PORT)).collect();
        let engine = Mutex::new(Relay::new(config.rules.clone(), circuits));
        let shared = Arc::new(Shared { engine, flows: Flows::new(world), links, uplinks, servers });
        for (index, socket) in sockets {
            world.spawn_background(SERVICE, Arc::clone(&shared).answers(world.clone(), index, socket));
        }
        for index in 0..shared.links.len() {
            world.spawn_background(SERVICE, Arc::clone(&shared).questions(world.clone(), index));
        }
        Ok(Self { shared, doors })
    }

    /// What it has done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *self.shared.engine().counts()
    }

    /// The addresses that servers answer to.
    #[must_use]
    pub fn locals(&self) -> Vec<SocketAddr> {
        self.doors.iter().filter_map(UdpDoor::local).collect()
    }

    /// Ends it.
    pub fn close(&self) {
        self.doors.iter().for_each(UdpDoor::close);
        self.shared.links.iter().for_each(|link| link.door.close());
    }
}

fn failed(doing: &'static str, error: io::Error) -> Error {
    Error::Local { doing, source: Box::new(error) }
}

/// What the engine has to know of an interface.
fn circuit(known: &[Interface], name: &str, config: &RelayConfig) -> Result<Circuit, Error> {
    let lacks = |what: &str| {
        let error = io::Error::new(io::ErrorKind::NotFound, format!("{name}: {what}"));
        failed("relay for an interface", error)
    };
    let found = known.iter().find(|interface| interface.name == name);
    let interface = found.ok_or_else(|| lacks("there is no such interface"))?;
    let (address, prefix) = interface.v4().next().ok_or_else(|| lacks("it has no IPv4 address"))?;
    Ok(Circuit {
        address,
        prefix,
        circuit_id: name.as_bytes().to_vec(),
        remote_id: config.remote_id.as_bytes().to_vec(),
        trusted: config.trusted.iter().any(|trusted| trusted == name),
    })
}

impl Shared {
    fn engine(&self) -> MutexGuard<'_, Relay> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What clients of a link broadcast, until the door closes.
    async fn questions(self: Arc<Self>, world: World, circuit: usize) {
        let link = &self.links[circuit];
        while let Some(received) = link.door.receive().await {
            match received {
                Ok(LinkMessage { content: LinkContent::Udp { source, destination, octets }, .. }) => {
                    self.pass(Origin::Circuit(circuit), source, destination, &octets);
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(interface = link.door.socket().interface(), %error, "nothing is heard on a link");
                    if error.kind() == io::ErrorKind::NotFound {
                        return;
                    }
                    world.sleep(PAUSE).await;
                }
            }
        }
    }

    /// What servers answer to an address of ours, and what clients and other relay agents send to it.
    async fn answers(self: Arc<Self>, world: World, index: usize, socket: BatchSocket) {
        let local = SocketAddrV4::new(self.uplinks[index].address, SERVER_PORT);
        let mut receiver = match socket.start() {
            Ok(receiver) => receiver,
            Err(error) => return tracing::error!(%local, %error, "no answers of servers will be heard"),
        };
        let _ = self.uplinks[index].sender.set(receiver.sender());
        while let Some(received) = receiver.receive().await {
            match received {
                Ok(count) => self.batch(&receiver, count, local),
                Err(error) => {
                    tracing::warn!(%local, %error, "nothing is heard at an address");
                    world.sleep(PAUSE).await;
                }
            }
        }
    }

    fn batch(&self, receiver: &BatchReceiver, count: usize, local: SocketAddrV4) {
        for datagram in (0..count).filter_map(|index| receiver.datagram(index)) {
            let SocketAddr::V4(remote) = datagram.remote else { continue };
            let origin = Origin::Unicast { source: *remote.ip(), local: *local.ip() };
            self.pass(origin, remote, local, datagram.octets);
        }
    }

    /// Passes one message on, or not.
    fn pass(&self, origin: Origin, remote: SocketAddrV4, local: SocketAddrV4, octets: &[u8]) {
        let mut room = [0; RELAYED_OCTETS_MAX];
        let mut out = Writer::new(&mut room);
        let verdict = self.engine().handle(origin, octets, &mut out);
        let note = match verdict {
            Verdict::Drop(reason) => Some(Note { code: "dhcp.relay.drop", text: reason.name().into() }),
            _ => None,
        };
        let serving = local.port() == SERVER_PORT && remote.port() != SERVER_PORT;
        self.flows.record(Way { direction: Direction::In, local, remote, serving }, octets, note);
        match verdict {
            Verdict::Drop(_) => {}
            Verdict::Servers => self.to_servers(origin, out.written()),
            Verdict::Broadcast { circuit } => {
                self.to_client(circuit, EVERYBODY, Mac::BROADCAST, out.written());
            }
            Verdict::Host { circuit, to, hardware } => {
                self.to_client(circuit, to, Mac(hardware), out.written());
            }
        }
    }

    fn to_servers(&self, origin: Origin, octets: &[u8]) {
        let uplink = match origin {
            Origin::Circuit(circuit) => self.links.get(circuit).map(|link| link.uplink),
            Origin::Unicast { local, .. } => {
                let link = self.links.iter().find(|link| link.address == local);
                link.map(|link| link.uplink)
                    .or_else(|| self.uplinks.iter().position(|uplink| uplink.address == local))
            }
        };
        let Some(uplink) = uplink.and_then(|index| self.uplinks.get(index)) else { return };
        // Until its task has begun there is no socket; the client asks again.
        let Some(sender) = uplink.sender.get() else { return };
        let local = SocketAddrV4::new(uplink.address, SERVER_PORT);
        let mut outbox = Outbox::default();
        for server in &self.servers {
            let way = Way { direction: Direction::Out, local, remote: *server, serving: false };
            self.flows.record(way, octets, None);
            outbox.push((*server).into(), octets);
        }
        sender.send(&mut outbox);
    }

    fn to_client(&self, circuit: usize, to: SocketAddrV4, mac: Mac, octets: &[u8]) {
        let Some(link) = self.links.get(circuit) else { return };
        let source = SocketAddrV4::new(link.address, SERVER_PORT);
        let way = Way { direction: Direction::Out, local: source, remote: to, serving: true };
        self.flows.record(way, octets, None);
        let content = LinkContent::Udp { source, destination: to, octets: octets.to_vec() };
        let source_mac = link.door.socket().mac();
        let message = LinkMessage { source_mac, destination_mac: mac, content };
        if let Err(error) = link.door.send(&message) {
            tracing::debug!(client = %mac, %error, "an answer could not be passed on");
        }
    }
}
