//! What goes into the server's engine and what comes out: arrivals, verdicts, and what is to be written first.

use core::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use doorway_base::{Instant, UnixTime};

use crate::lease::Lease;
use crate::name::NameChange;
use crate::wire::HardwareAddress;

/// The time on both clocks. Leases end by the monotonic one while the process lives; rows and people read the
/// other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock.
    pub mono: Instant,
    /// The wall clock.
    pub wall: UnixTime,
}

/// A datagram as it came.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// Its payload.
    pub octets: &'a [u8],
    /// Where it came in: a place in the plan's list of interfaces.
    pub interface: usize,
    /// Who sent it.
    pub source: SocketAddrV4,
    /// Where it was sent to: 255.255.255.255 or an address of ours, with port 67, or 4011 for boot files.
    pub destination: SocketAddrV4,
}

/// Names a change that is being written. No other change of the same address is begun meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What the engine decided about a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is sent.
    Drop(DropReason),
    /// What was written is sent.
    Reply(Destination),
    /// The change is written first. When it is durable what was written is sent, if there is anything. In both
    /// cases the engine is told by [`Server::settled`](crate::server::Server::settled).
    Settle(Settlement, Option<Destination>),
    /// Somebody may use the address already. The engine is told what a probe found by
    /// [`Server::probed`](crate::server::Server::probed); nothing is sent until then.
    Probe {
        /// Names the question.
        ticket: Ticket,
        /// The address to ask for.
        address: Ipv4Addr,
        /// How to ask.
        means: Means,
        /// The interface to ask on: a place in the plan's list.
        interface: usize,
        /// How long to wait for an answer.
        wait: Duration,
    },
}

/// How an address is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// By ARP, on the link.
    Arp,
    /// By an ICMP echo.
    Icmp,
}

/// Where a reply goes: RFC 2131 §4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// To a relay agent, on its server port.
    Relay(SocketAddrV4),
    /// To a client that has an address and answers ARP.
    Unicast(SocketAddrV4),
    /// To a client that has no address yet: in a frame for `hardware`, to the address that it is about to have,
    /// port 68.
    Link {
        /// The address.
        address: Ipv4Addr,
        /// The client's hardware address.
        hardware: HardwareAddress,
    },
    /// To 255.255.255.255, port 68, on the interface that the request came in on.
    Broadcast,
}

/// A change of leases that is to be written in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Names it.
    pub ticket: Ticket,
    /// Its rows; one, or two when a client leaves one address for another.
    pub rows: Vec<RowChange>,
    /// What it means for DNS; often nothing. The name that a [`NameChange::Bound`] leads to belongs into the row
    /// of its address ([`RowChange::name`]), and is told by [`Server::named`](crate::server::Server::named).
    pub names: Vec<NameChange>,
}

/// A change of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowChange {
    /// The row is this lease from now on.
    Put(Lease),
    /// There is no row any more.
    Delete(Ipv4Addr),
}

impl RowChange {
    /// Sets the name of the lease, if this is the row of `address`.
    pub fn name(&mut self, address: Ipv4Addr, name: Option<&str>) {
        if let Self::Put(lease) = self
            && lease.address == address
        {
            lease.name = name.map(Into::into);
        }
    }
}

/// Why nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DropReason {
    /// The octets are no DHCP message.
    Malformed,
    /// It is a message for clients.
    NotARequest,
    /// It is a message of BOOTP, which is not served.
    Bootp,
    /// Its type is not one that servers answer.
    UnknownType,
    /// Neither client identifier nor hardware address.
    NoClient,
    /// More messages of one hardware address than are let through.
    Rate,
    /// The client's link has no subnet here.
    NoSubnet,
    /// The relay agent is not one that is believed.
    UntrustedRelay,
    /// A class of clients that gets no answer.
    Refused,
    /// No address is free.
    NoAddress,
    /// Too many addresses are leased or offered behind one port.
    PortFull,
    /// The table of leases or that of offers is full.
    TableFull,
    /// An address is being probed for this client.
    Probing,
    /// A change for this client is being written.
    Unsettled,
    /// The client chose another server.
    OtherServer,
    /// The client chose another server, and what was offered to it here is free again.
    OfferFreed,
    /// The client's lease is not known here.
    UnknownLease,
    /// Leases cannot be written at the moment.
    Degraded,
    /// The message asks for what makes no sense, such as no address.
    Senseless,
    /// The server only tells where to boot from, and this client does not boot.
    NotBooting,
    /// The reply did not fit.
    TooLong,
}

impl DropReason {
    /// Every one of them.
    pub const ALL: [Self; 21] = [
        Self::Malformed,
        Self::NotARequest,
        Self::Bootp,
        Self::UnknownType,
        Self::NoClient,
        Self::Rate,
        Self::NoSubnet,
        Self::UntrustedRelay,
        Self::Refused,
        Self::NoAddress,
        Self::PortFull,
        Self::TableFull,
        Self::Probing,
        Self::Unsettled,
        Self::OtherServer,
        Self::OfferFreed,
        Self::UnknownLease,
        Self::Degraded,
        Self::Senseless,
        Self::NotBooting,
        Self::TooLong,
    ];

    /// A word for counters and the trace: `no_address`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NotARequest => "not_a_request",
            Self::Bootp => "bootp",
            Self::UnknownType => "unknown_type",
            Self::NoClient => "no_client",
            Self::Rate => "rate",
            Self::NoSubnet => "no_subnet",
            Self::UntrustedRelay => "untrusted_relay",
            Self::Refused => "refused",
            Self::NoAddress => "no_address",
            Self::PortFull => "port_full",
            Self::TableFull => "table_full",
            Self::Probing => "probing",
            Self::Unsettled => "unsettled",
            Self::OtherServer => "other_server",
            Self::OfferFreed => "offer_freed",
            Self::UnknownLease => "unknown_lease",
            Self::Degraded => "degraded",
            Self::Senseless => "senseless",
            Self::NotBooting => "not_booting",
            Self::TooLong => "too_long",
        }
    }
}
