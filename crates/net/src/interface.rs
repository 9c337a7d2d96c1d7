//! The network interfaces of this host, and changes to them.
//!
//! Not here: sockets on them ([`crate::link`], [`crate::udp`]).

use core::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::frame::Mac;

/// A network interface as it is at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// What the operating system calls it, such as `eth0`. It may be renamed.
    pub name: String,
    /// Its number, which stays while it exists.
    pub index: u32,
    /// The address of its card; `None` for a link without Ethernet's addresses.
    pub mac: Option<Mac>,
    /// Longest IP packet that its link takes, in octets.
    pub mtu: u32,
    /// Whether it is switched on.
    pub up: bool,
    /// Its addresses, in the order in which they were given to it.
    pub addresses: Vec<InterfaceAddress>,
}

/// An address that an interface has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InterfaceAddress {
    /// The address.
    pub address: IpAddr,
    /// How many of its first bits all hosts of the link share.
    pub prefix: u8,
    /// What reaches all hosts of the link; `None` for IPv6 and where there is none.
    pub broadcast: Option<Ipv4Addr>,
}

impl Interface {
    /// Its IPv4 addresses, each with the bits that the link shares.
    pub fn v4(&self) -> impl Iterator<Item = (Ipv4Addr, u8)> {
        self.addresses.iter().filter_map(|own| match own.address {
            IpAddr::V4(address) => Some((address, own.prefix)),
            IpAddr::V6(_) => None,
        })
    }
}

/// What a client of DHCP does to an interface with what it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterfaceChange {
    /// Gives it an address, or a new life to the one that it has.
    AddAddress {
        /// The address.
        address: InterfaceAddress,
        /// After this time the operating system takes it back by itself; `None` never.
        life: Option<Duration>,
    },
    /// Takes an address from it. One that it does not have is no error.
    RemoveAddress(InterfaceAddress),
    /// Sends what is for the destination through a router.
    AddRoute(Route),
    /// Forgets that way. One that is not there is no error.
    RemoveRoute(Route),
    /// Sets the longest IP packet that its link takes, in octets.
    SetMtu(u32),
    /// Switches it on, so that messages without an address can leave.
    SetUp,
}

/// A way to hosts beyond the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Route {
    /// First address of the destination; `0.0.0.0` with a prefix of 0 for all there is.
    pub destination: Ipv4Addr,
    /// Bits of it that count.
    pub prefix: u8,
    /// The router; `None` for a destination on the link itself.
    pub router: Option<Ipv4Addr>,
    /// The address that packets leave with; `None` leaves the choice to the system.
    pub source: Option<Ipv4Addr>,
    /// Of several ways to one destination the one with the lowest number is taken.
    pub metric: u32,
}
