//! What a server is to do, made ready: interfaces, subnets, classes, options. It never changes; a new config
//! is a new plan.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `subnet` | [`Subnet`] with its [`Pool`]s, relay agents and names |
//! | `network` | [`Network`]: addresses that share their first bits |
//! | `times` | [`LeaseTimes`]: how long leases last, T1 and T2 |
//! | `reservation` | [`Reservation`]: who is known, by what, and what is kept for it |
//! | `options` | [`OptionSet`] and [`Boot`]: what clients are told |
//! | `class` | [`Class`]: clients that share a trait, by an [`Expression`] |
//!
//! Not here: the config file, which the program maps to a [`Draft`].

mod class;
mod network;
mod options;
mod reservation;
mod subnet;
#[cfg(test)]
mod tests;
mod times;

use core::net::Ipv4Addr;
use std::fmt;
use std::time::Duration;

pub use class::{Class, EXPRESSION_OCTETS_MAX, Expression, Facts, NotAnExpression};
pub use network::Network;
pub use options::{Boot, OptionSet, OptionValue};
pub(crate) use reservation::Traits;
pub use reservation::{Match, Reservation, Reservations};
pub use subnet::{Mode, NamesPlan, Pool, Probe, Subnet};
pub use times::LeaseTimes;

/// Most subnets of a plan.
pub const SUBNETS_MAX: usize = 4096;
/// Most classes of a plan; a set of classes is a number of 64 bits.
pub const CLASSES_MAX: usize = 64;
/// Most octets of all options that one client can be told.
pub const OPTIONS_OCTETS_MAX: usize = 8 * 1024;
/// Most leases of a server, remembered ones among them.
pub const LEASES_MAX: usize = 1_000_000;

/// An interface that the server listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfacePlan {
    /// Its name: `eth0`.
    pub name: String,
    /// The server's address there, which it gives as its identifier (option 54).
    pub address: Ipv4Addr,
    /// Bits of its network.
    pub prefix: u8,
}

/// Bounds, most of which an operator can move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Messages of one hardware address in a second; what comes beyond is dropped.
    pub packets_per_second: u32,
    /// Leases of the clients behind one port of a relay agent, or of a switch that is trusted; 0 for any number.
    pub leases_per_port: u32,
    /// How long an address is kept for who was offered it.
    pub offer_hold: Duration,
    /// How long nobody gets an address that was found in use.
    pub decline_hold: Duration,
    /// How long an answer to a probe is waited for.
    pub probe_wait: Duration,
    /// Leases of the server, remembered ones among them.
    pub leases: usize,
    /// Offers at one time.
    pub offers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            packets_per_second: 10,
            leases_per_port: 0,
            offer_hold: Duration::from_secs(30),
            decline_hold: Duration::from_secs(24 * 3600),
            probe_wait: Duration::from_millis(300),
            leases: LEASES_MAX,
            offers: 65_536,
        }
    }
}

/// What a config asks for, to be checked by [`Plan::new`].
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// Interfaces, in the order that `Arrival::interface` counts.
    pub interfaces: Vec<InterfacePlan>,
    /// Subnets, in any order. None may lie within another.
    pub subnets: Vec<Subnet>,
    /// Classes; where several give the same thing, the later one wins.
    pub classes: Vec<Class>,
    /// Options for all clients; those of a subnet, a class, a reservation go before them.
    pub options: OptionSet,
    /// Where all clients boot from, unless something nearer says otherwise.
    pub boot: Boot,
    /// Whether this server knows all clients of its subnets, and may refuse those it does not know
    /// (RFC 2131 §4.3.2).
    pub authoritative: bool,
    /// Bounds.
    pub limits: Limits,
}

/// A config that passed all checks, with what is looked up by it in order.
#[derive(Debug)]
pub struct Plan {
    pub(crate) draft: Draft,
    /// Known clients of each subnet.
    pub(crate) reservations: Vec<Reservations>,
}

/// Why a [`Draft`] is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanFault(pub String);

impl fmt::Display for PlanFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PlanFault {}

impl Plan {
    /// Checks a draft and puts it in order.
    ///
    /// # Errors
    /// [`PlanFault`] for subnets that overlap, pools and reservations outside their subnet or upon each other,
    /// classes that do not exist, lease times that contradict each other, and for more than the bounds above.
    pub fn new(mut draft: Draft) -> Result<Self, PlanFault> {
        let fault = |what: String| Err(PlanFault(what));
        if draft.subnets.len() > SUBNETS_MAX {
            return fault(format!("more than {SUBNETS_MAX} subnets"));
        }
        if draft.classes.len() > CLASSES_MAX {
            return fault(format!("more than {CLASSES_MAX} classes"));
        }
        for (index, class) in draft.classes.iter().enumerate() {
            if draft.classes[..index].iter().any(|other| other.name == class.name) {
                return fault(format!("two classes are called `{}`", class.name));
            }
            class.check()?;
        }
        draft.subnets.sort_by_key(|subnet| subnet.network.address.to_bits());
        for pair in draft.subnets.windows(2) {
            if pair[0].network.last() >= pair[1].network.first() {
                return fault(format!("subnets {} and {} overlap", pair[0].network, pair[1].network));
            }
        }
        let mut octets = draft.options.octets();
        octets += draft.classes.iter().map(|class| class.options.octets()).sum::<usize>();
        let mut reservations = Vec::with_capacity(draft.subnets.len());
        for subnet in &mut draft.subnets {
            subnet.check(&draft.classes)?;
            let known = subnet.reservations.iter().map(|known| known.options.octets()).max().unwrap_or(0);
            if octets + subnet.options.octets() + known > OPTIONS_OCTETS_MAX {
                return fault(format!(
                    "options of {} may exceed {OPTIONS_OCTETS_MAX} octets",
                    subnet.network
                ));
            }
            reservations.push(Reservations::new(subnet.network, &subnet.reservations)?);
        }
        if let Some(interface) = draft.interfaces.iter().find(|interface| interface.prefix > 32) {
            return fault(format!("interface {} has a prefix of more than 32 bits", interface.name));
        }
        Ok(Self { draft, reservations })
    }

    /// The interfaces.
    #[must_use]
    pub fn interfaces(&self) -> &[InterfacePlan] {
        &self.draft.interfaces
    }

    /// The subnets, by address.
    #[must_use]
    pub fn subnets(&self) -> &[Subnet] {
        &self.draft.subnets
    }

    /// The classes.
    #[must_use]
    pub fn classes(&self) -> &[Class] {
        &self.draft.classes
    }

    /// The bounds.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.draft.limits
    }

    /// Which subnet an address is in.
    #[must_use]
    pub fn subnet_of(&self, address: Ipv4Addr) -> Option<usize> {
        let subnets = &self.draft.subnets;
        let behind = subnets.partition_point(|subnet| subnet.network.first() <= address.to_bits());
        let index = behind.checked_sub(1)?;
        subnets[index].network.contains(address).then_some(index)
    }

    /// Whether the server has this address on one of its interfaces.
    #[must_use]
    pub fn is_own(&self, address: Ipv4Addr) -> bool {
        self.draft.interfaces.iter().any(|interface| interface.address == address)
    }
}
