//! A subnet: its pools, whom to believe, how leases become names. RFC 2131 §4.3.1.

use core::net::Ipv4Addr;
use std::str::FromStr;

use super::PlanFault;
use super::class::Class;
use super::network::Network;
use super::options::{Boot, OptionSet};
use super::reservation::Reservation;
use super::times::LeaseTimes;

/// Addresses that clients are given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// The first address.
    pub first: Ipv4Addr,
    /// The last address.
    pub last: Ipv4Addr,
    /// The class whose clients alone get them, by name.
    pub class: Option<String>,
    pub(crate) class_bit: u64,
}

impl Pool {
    /// The addresses from `first` to `last`, for anybody or for the clients of one class.
    #[must_use]
    pub const fn new(first: Ipv4Addr, last: Ipv4Addr, class: Option<String>) -> Self {
        Self { first, last, class, class_bit: 0 }
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }

    /// Whether a client of these classes may have its addresses.
    #[must_use]
    pub(crate) const fn is_for(&self, classes: u64) -> bool {
        self.class_bit == 0 || classes & self.class_bit != 0
    }
}

impl FromStr for Pool {
    type Err = PlanFault;

    /// `10.77.1.0-10.77.254.255`, or a network.
    fn from_str(text: &str) -> Result<Self, PlanFault> {
        if let Some((first, last)) = text.split_once('-') {
            return match (first.trim().parse(), last.trim().parse()) {
                (Ok(first), Ok(last)) => Ok(Self::new(first, last, None)),
                _ => Err(PlanFault(format!("`{text}` is no pool, as 10.77.1.0-10.77.1.99 is"))),
            };
        }
        let network: Network = text.parse()?;
        Ok(Self::new(network.address, Ipv4Addr::from_bits(network.last()), None))
    }
}

/// How it is found out whether somebody uses an address already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Probe {
    /// Not at all.
    Off,
    /// By ARP for clients on our link, by ICMP for those behind relay agents.
    #[default]
    Auto,
    /// By ARP, for clients on our link alone.
    Arp,
    /// By ICMP echo.
    Icmp,
}

/// What the server does in a subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// It gives addresses.
    #[default]
    Addresses,
    /// Another server gives addresses; this one tells PXE clients where to boot from (proxyDHCP).
    Proxy,
}

/// How leases become names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamesPlan {
    /// The domain that hosts have their names in, without a final dot.
    pub domain: String,
    /// Whether a host that does not say its name gets one made of its address.
    pub nameless: bool,
    /// Whether a client that wants to make its A record itself is told that the server does it: RFC 4702 §4.
    pub override_client: bool,
}

/// A subnet that the server serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// Its addresses.
    pub network: Network,
    /// Those that clients are given.
    pub pools: Vec<Pool>,
    /// How long leases last.
    pub lease: LeaseTimes,
    /// Options for its clients.
    pub options: OptionSet,
    /// Where its clients boot from.
    pub boot: Boot,
    /// Clients that are known.
    pub reservations: Vec<Reservation>,
    /// Relay agents that are believed, by the address they send from or their `giaddr`.
    pub relays: Vec<Network>,
    /// Whether option 82 is believed in messages that came by no relay agent: switches on the link put it there,
    /// and take away what clients write themselves.
    pub trusts_switches: bool,
    /// How an address is tried before it is offered.
    pub probe: Probe,
    /// How leases become names; `None` when they do not.
    pub names: Option<NamesPlan>,
    /// Whether addresses are given.
    pub mode: Mode,
}

impl Subnet {
    /// A subnet without pools, with the usual times.
    #[must_use]
    pub fn new(network: Network) -> Self {
        Self {
            network,
            pools: Vec::new(),
            lease: LeaseTimes::default(),
            options: OptionSet::default(),
            boot: Boot::default(),
            reservations: Vec::new(),
            relays: Vec::new(),
            trusts_switches: false,
            probe: Probe::Auto,
            names: None,
            mode: Mode::Addresses,
        }
    }

    /// Whether a relay agent with this `giaddr`, or sending from this address, is believed.
    #[must_use]
    pub fn trusts(&self, giaddr: Ipv4Addr, source: Ipv4Addr) -> bool {
        self.relays.iter().any(|relay| relay.contains(giaddr) || relay.contains(source))
    }

    /// Which pool an address is in.
    #[must_use]
    pub fn pool_of(&self, address: Ipv4Addr) -> Option<usize> {
        let behind = self.pools.partition_point(|pool| pool.first <= address);
        behind.checked_sub(1).filter(|&index| self.pools[index].contains(address))
    }

    /// Checks it, puts its pools in order and cuts addresses off that no host can have.
    pub(super) fn check(&mut self, classes: &[Class]) -> Result<(), PlanFault> {
        let network = self.network;
        self.lease.check(&network.to_string())?;
        for pool in &mut self.pools {
            let range = format!("{}-{}", pool.first, pool.last);
            if !network.contains(pool.first) || !network.contains(pool.last) || pool.first > pool.last {
                return Err(PlanFault(format!("pool {range} is not within {network}")));
            }
            if !network.is_host(pool.first) {
                pool.first = Ipv4Addr::from_bits(pool.first.to_bits().saturating_add(1));
            }
            if !network.is_host(pool.last) {
                pool.last = Ipv4Addr::from_bits(pool.last.to_bits().saturating_sub(1));
            }
            if pool.first > pool.last {
                return Err(PlanFault(format!("pool {range} of {network} holds no address of a host")));
            }
            pool.class_bit = match &pool.class {
                None => 0,
                Some(name) => match classes.iter().position(|class| class.name == *name) {
                    Some(index) => 1 << index,
                    None => return Err(PlanFault(format!("pool {range}: there is no class `{name}`"))),
                },
            };
        }
        self.pools.sort_by_key(|pool| pool.first);
        if let Some(pair) = self.pools.windows(2).find(|pair| pair[0].last >= pair[1].first) {
            return Err(PlanFault(format!("pools of {network} overlap at {}", pair[1].first)));
        }
        if self.names.as_ref().is_some_and(|names| crate::wire::search::write_name(&names.domain).is_err()) {
            return Err(PlanFault(format!("the domain for names of {network} is none")));
        }
        Ok(())
    }
}
