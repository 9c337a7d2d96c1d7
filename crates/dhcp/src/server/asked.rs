//! Who asks, and where: the client's link, its classes, its reservation. RFC 2131 §4.3.1, RFC 3011, RFC 3527.

use core::net::{Ipv4Addr, SocketAddrV4};

use super::Server;
use super::verdict::{Arrival, DropReason, Now};
use crate::lease::ClientKey;
use crate::plan::{Facts, LeaseTimes, Plan, Reservation, Subnet, Traits};
use crate::wire::option::code;
use crate::wire::{Agent, HardwareAddress, Message, MessageType};

/// A message, with what follows from it about its client.
#[derive(Debug)]
pub(super) struct Asked<'m, 'a> {
    pub(super) now: Now,
    pub(super) message: &'m Message<'a>,
    pub(super) kind: MessageType,
    pub(super) interface: usize,
    pub(super) source: SocketAddrV4,
    pub(super) destination: SocketAddrV4,
    /// A place in the plan's list.
    pub(super) subnet: usize,
    pub(super) client: ClientKey,
    pub(super) hardware: HardwareAddress,
    /// What a relay agent that is believed says of the client.
    pub(super) agent: Option<&'m Agent<'a>>,
    /// One bit for each class that the client belongs to.
    pub(super) classes: u64,
    /// The place of its reservation in the list of the subnet.
    pub(super) known: Option<u32>,
    /// What the server calls itself to this client.
    pub(super) server_id: Ipv4Addr,
    /// The port that the client is behind.
    pub(super) port: u64,
}

impl<'m, 'a> Asked<'m, 'a> {
    pub(super) fn giaddr(&self) -> Ipv4Addr {
        self.message.giaddr()
    }

    /// Whether the message came by no relay agent.
    pub(super) fn is_on_link(&self) -> bool {
        self.giaddr().is_unspecified()
    }

    /// Whether the answer goes past the relay agent: whoever asks with INFORM has an address that it hears, which is
    /// believed when it is one of its link (RFC 2131 §4.3.5).
    pub(super) fn is_answered_straight(&self, plan: &Plan) -> bool {
        self.message.kind() == Some(MessageType::Inform)
            && self.plan_subnet(plan).network.contains(self.message.ciaddr())
    }

    pub(super) fn plan_subnet<'p>(&self, plan: &'p Plan) -> &'p Subnet {
        &plan.subnets()[self.subnet]
    }

    /// How long leases last for this client: the last class that says so, else the subnet.
    pub(super) fn times<'p>(&self, plan: &'p Plan) -> &'p LeaseTimes {
        let classes = plan.classes().iter().enumerate().rev();
        let mut of_class = classes.filter(|(index, _)| self.classes & 1 << index != 0);
        of_class.find_map(|(_, class)| class.lease.as_ref()).unwrap_or(&self.plan_subnet(plan).lease)
    }

    /// Whether the server that the message speaks to is this one: RFC 5107 §4 for what a relay agent put in.
    pub(super) fn is_mine(&self, plan: &Plan, server: Ipv4Addr) -> bool {
        server == self.server_id || plan.is_own(server)
    }
}

/// Finds out who asks; the reason when there is nobody to answer.
pub(super) fn ask<'m, 'a>(
    server: &Server,
    plan: &Plan,
    now: Now,
    arrival: &Arrival<'a>,
    message: &'m Message<'a>,
    kind: MessageType,
    agent: Option<&'m Agent<'a>>,
) -> Result<Asked<'m, 'a>, DropReason> {
    let hardware = message.hardware();
    let client = match message.client_id() {
        Some(id) if id.len() <= crate::lease::TEXT_OCTETS_MAX => ClientKey::new(&id),
        Some(_) => return Err(DropReason::Senseless),
        None if hardware.octets().is_empty() => return Err(DropReason::NoClient),
        None => ClientKey::of_hardware(&hardware),
    };
    let interface = plan.interfaces().get(arrival.interface).ok_or(DropReason::NoSubnet)?;
    let giaddr = message.giaddr();
    let is_unicast = !arrival.destination.ip().is_broadcast();
    let link = if !giaddr.is_unspecified() {
        let selected = agent.and_then(Agent::link_selection);
        selected.or_else(|| message.address_option(code::SUBNET_SELECTION)).unwrap_or(giaddr)
    } else if is_unicast && !message.ciaddr().is_unspecified() {
        // RFC 2131 §4.3.2: what comes by no relay agent from a client with an address is believed.
        message.ciaddr()
    } else {
        message.address_option(code::SUBNET_SELECTION).unwrap_or(interface.address)
    };
    let index = plan.subnet_of(link).ok_or(DropReason::NoSubnet)?;
    let subnet = &plan.subnets()[index];
    if !giaddr.is_unspecified() && !subnet.trusts(giaddr, *arrival.source.ip()) {
        return Err(DropReason::UntrustedRelay);
    }
    // On our own link, option 82 is a switch's or a forgery.
    let agent = agent.filter(|_| !giaddr.is_unspecified() || subnet.trusts_switches);
    let facts = Facts { message, agent };
    let mut classes = 0;
    for (index, class) in plan.classes().iter().enumerate() {
        if class.when.holds(&facts) {
            if class.refuse {
                return Err(DropReason::Refused);
            }
            classes |= 1 << index;
        }
    }
    let client_id = message.client_id();
    let traits = Traits {
        hardware,
        client_id: client_id.as_deref(),
        circuit_id: agent.and_then(Agent::circuit_id),
        remote_id: agent.and_then(Agent::remote_id),
        host_name: message.host_name(),
    };
    let known = plan.reservations[index].find(&traits);
    let relay = giaddr.to_bits();
    Ok(Asked {
        now,
        message,
        kind,
        interface: arrival.interface,
        source: arrival.source,
        destination: arrival.destination,
        subnet: index,
        port: server.table.port(index as u32, relay, agent),
        client,
        hardware,
        agent,
        classes,
        known,
        server_id: agent.and_then(Agent::server_id_override).unwrap_or(interface.address),
    })
}

impl Server {
    /// The address that is reserved for the client.
    pub(super) fn reserved(&self, plan: &Plan, asked: &Asked<'_, '_>) -> Option<u32> {
        reservation(plan, asked)?.address.map(Ipv4Addr::to_bits)
    }
}

/// The reservation of who asks.
pub(super) fn reservation<'p>(plan: &'p Plan, asked: &Asked<'_, '_>) -> Option<&'p Reservation> {
    plan.subnets()[asked.subnet].reservations.get(asked.known? as usize)
}
