//! The client: an address for one interface, asked for, checked, kept, renewed and given back. RFC 2131 §3, §4.4.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `session` | [`Session`]: the states of RFC 2131 figure 5, with what leads from one to the other |
//! | `session/exchange` | one message and its retransmissions: when it is sent again |
//! | `session/check` | whether anybody has the address already: RFC 5227 |
//! | `binding` | [`Binding`] and [`Offer`]: what a server said, as far as it can be believed |
//! | `choice` | which of several offers is taken |
//! | `compose` | the messages that a client sends |
//! | `identity` | the client identifier: a DUID and a number for the interface, RFC 4361 |
//! | `record` | a binding as it is kept over a restart |
//! | `discovery` | [`Discovery`]: who offers at all, without taking anything |
//!
//! What servers send is never trusted further than its form: an option that is malformed is absent.
//! Not here: sockets, files, addresses of the host ([`crate::io::ClientAgent`]), and DHCPv6.

pub mod binding;
pub mod choice;
mod compose;
pub mod discovery;
pub mod identity;
pub mod record;
pub mod session;
#[cfg(test)]
mod tests;

use core::net::Ipv4Addr;
use core::time::Duration;

use crate::wire::{HardwareAddress, code};

pub use binding::{Binding, Offer, Unusable};
pub use choice::Choice;
pub use discovery::Discovery;
pub use record::Record;
pub use session::{Input, Known, Output, Phase, Recipient, Session};

/// Largest message that we take, with its IP and UDP headers, in octets: option 57.
pub const MESSAGE_OCTETS_MAX: u16 = 1500;
/// Most offers that are compared; later ones are not looked at.
pub const OFFERS_MAX: usize = 32;

/// What a client asks for unless it is told otherwise, in this order: classless routes stand before the
/// router (RFC 3442).
pub const PARAMETERS: &[u8] = &[
    code::SUBNET_MASK,
    code::CLASSLESS_ROUTES,
    code::ROUTERS,
    code::NAME_SERVERS,
    code::DOMAIN_NAME,
    code::DOMAIN_SEARCH,
    code::INTERFACE_MTU,
    code::BROADCAST_ADDRESS,
    code::NTP_SERVERS,
    code::LEASE_SECONDS,
    code::SERVER_ID,
    code::RENEWAL_SECONDS,
    code::REBINDING_SECONDS,
];

/// Whether anybody is asked if the address is in use, before we use it: RFC 5227 §2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Check {
    /// Nobody is asked.
    Off,
    /// Three probes within 600 ms: what answers at all on a wired link answers within that.
    #[default]
    Quick,
    /// The waits that RFC 5227 §1.1 has for every kind of link: 4 to 7 s.
    Standard,
}

/// What a client says of itself and how it goes about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The hardware address of its interface.
    pub hardware: HardwareAddress,
    /// Option 61: what tells it from others; none when it is empty.
    pub client_id: Vec<u8>,
    /// Option 12, or option 81 when it has a dot: what the host is called.
    pub host_name: Option<String>,
    /// Option 60.
    pub vendor_class: Option<String>,
    /// Option 55.
    pub parameters: Vec<u8>,
    /// Option 50 in the first DHCPDISCOVER: the address that it would like.
    pub address: Option<Ipv4Addr>,
    /// Option 51: how long a lease it would like.
    pub lease: Option<Duration>,
    /// Which of several offers it takes.
    pub choice: Choice,
    /// How long it waits for more offers after the first.
    pub offer_window: Duration,
    /// Whether it asks if the address is in use.
    pub check: Check,
    /// Whether it tells its neighbours that it has the address now (RFC 5227 §2.3), as befits whoever uses it.
    pub announce: bool,
    /// Whether answers have to be broadcast to reach it.
    pub broadcast: bool,
    /// It waits a random time of up to this before it begins, so that a whole site that gets its power back
    /// does not ask at once (RFC 2131 §4.4.1).
    pub start_spread: Duration,
}

impl Settings {
    /// The usual settings for an interface.
    #[must_use]
    pub fn new(hardware: HardwareAddress) -> Self {
        Self {
            hardware,
            client_id: Vec::new(),
            host_name: None,
            vendor_class: None,
            parameters: PARAMETERS.to_vec(),
            address: None,
            lease: None,
            choice: Choice::default(),
            offer_window: Duration::from_secs(1),
            check: Check::default(),
            announce: false,
            broadcast: false,
            start_spread: Duration::ZERO,
        }
    }
}
