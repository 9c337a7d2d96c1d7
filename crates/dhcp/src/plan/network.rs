//! Networks: addresses that share their first bits, as `10.77.0.0/16`. RFC 4632.

use core::net::Ipv4Addr;
use std::fmt;
use std::str::FromStr;

use super::PlanFault;
use crate::wire::routes::mask;

/// An IPv4 network: addresses that share their first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Its first address.
    pub address: Ipv4Addr,
    /// How many bits all share, 0 to 32.
    pub prefix: u8,
}

impl Network {
    /// The network of `prefix` bits that `address` is in; more than 32 bits count as 32.
    #[must_use]
    pub fn new(address: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.min(32);
        Self { address: Ipv4Addr::from_bits(address.to_bits() & mask(prefix)), prefix }
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix) == self.address.to_bits()
    }

    /// The mask, for option 1.
    #[must_use]
    pub fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(mask(self.prefix))
    }

    pub(crate) fn first(self) -> u32 {
        self.address.to_bits()
    }

    pub(crate) fn last(self) -> u32 {
        self.address.to_bits() | !mask(self.prefix)
    }

    /// Whether a host can have this address: not the network's own, not the broadcast address.
    #[must_use]
    pub fn is_host(self, address: Ipv4Addr) -> bool {
        let ends = self.prefix < 31 && [self.first(), self.last()].contains(&address.to_bits());
        self.contains(address) && !ends
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Network {
    type Err = PlanFault;

    /// `10.77.0.0/16`; an address alone is a network of one.
    fn from_str(text: &str) -> Result<Self, PlanFault> {
        let (address, prefix) = text.split_once('/').unwrap_or((text, "32"));
        match (address.parse::<Ipv4Addr>(), prefix.parse::<u8>()) {
            (Ok(address), Ok(prefix @ 0..=32)) => Ok(Self::new(address, prefix)),
            _ => Err(PlanFault(format!("`{text}` is no network, as 10.77.0.0/16 is"))),
        }
    }
}
