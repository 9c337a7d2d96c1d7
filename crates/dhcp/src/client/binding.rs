//! What a server offers or confirms, as far as it can be believed: an address, its lease, and the message with
//! everything else. RFC 2131 §4.3.1, §4.4.5.

use core::fmt;
use core::net::Ipv4Addr;
use core::time::Duration;
use std::sync::Arc;

use doorway_base::Instant;

use crate::wire::{Message, Route, code, routes};

/// Shortest lease that is taken. A shorter one could not be renewed before it ends.
pub const LEASE_SECONDS_MIN: u32 = 4;
/// A lease for ever: RFC 2131 §3.3.
const FOR_EVER: u32 = u32::MAX;

/// Why an answer cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// `yiaddr` is no address of a host.
    Address,
    /// Option 54 is missing or no address of a host.
    Server,
    /// Option 51 is missing or too short.
    Lease,
}

impl Unusable {
    /// A stable word, for counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Server => "server",
            Self::Lease => "lease",
        }
    }
}

/// An offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The address: `yiaddr`.
    pub address: Ipv4Addr,
    /// The server: option 54.
    pub server: Ipv4Addr,
    /// How long the lease would be; `None` is for ever.
    pub lease: Option<Duration>,
    /// The message.
    pub octets: Arc<[u8]>,
}

impl Offer {
    /// Takes an offer out of a message.
    ///
    /// # Errors
    /// What it lacks.
    pub fn read(message: &Message<'_>) -> Result<Self, Unusable> {
        let address = Some(message.yiaddr()).filter(is_host).ok_or(Unusable::Address)?;
        let server = message.server_id().filter(is_host).ok_or(Unusable::Server)?;
        let seconds = message.lease_seconds().filter(|&seconds| seconds >= LEASE_SECONDS_MIN);
        let lease = match seconds.ok_or(Unusable::Lease)? {
            FOR_EVER => None,
            seconds => Some(Duration::from_secs(seconds.into())),
        };
        Ok(Self { address, server, lease, octets: message.octets().into() })
    }
}

/// An address that a server has confirmed, with how long it is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The address.
    pub address: Ipv4Addr,
    /// The server that gave it.
    pub server: Ipv4Addr,
    /// The hardware address that its answer came from: the server's, or that of the router before it.
    pub neighbour: Option<[u8; 6]>,
    /// From when it counts: when the request was sent, which errs on the safe side (RFC 2131 §4.4.1).
    pub since: Instant,
    /// How long; `None` is for ever.
    pub lease: Option<Duration>,
    /// T1: when the server is asked to extend it, counted from [`Binding::since`].
    pub renewal: Duration,
    /// T2: when any server is asked.
    pub rebinding: Duration,
    /// The DHCPACK.
    pub octets: Arc<[u8]>,
}

impl Binding {
    /// Takes a binding out of a DHCPACK to a request that was sent at `since`.
    ///
    /// # Errors
    /// What it lacks.
    pub fn read(message: &Message<'_>, neighbour: Option<[u8; 6]>, since: Instant) -> Result<Self, Unusable> {
        let Offer { address, server, lease, octets } = Offer::read(message)?;
        let (renewal, rebinding) = match lease {
            None => (Duration::MAX, Duration::MAX),
            Some(lease) => times(lease, message.renewal_seconds(), message.rebinding_seconds()),
        };
        Ok(Self { address, server, neighbour, since, lease, renewal, rebinding, octets })
    }

    /// T1 as a moment.
    #[must_use]
    pub fn renews_at(&self) -> Instant {
        self.since + self.renewal
    }

    /// T2 as a moment.
    #[must_use]
    pub fn rebinds_at(&self) -> Instant {
        self.since + self.rebinding
    }

    /// The end of the lease.
    #[must_use]
    pub fn ends_at(&self) -> Instant {
        self.lease.map_or(Instant::NEVER, |lease| self.since + lease)
    }

    /// The server's message, with all its options.
    #[must_use]
    pub fn message(&self) -> Option<Message<'_>> {
        Message::parse(&self.octets).ok()
    }

    /// The length of the network's prefix, in bits: from option 1, or by the class of the address.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.message().map_or(32, |message| prefix(&message))
    }

    /// The routes that the server tells: option 121, else the first router of option 3 (RFC 3442). A router of
    /// 0.0.0.0 means that the network is on the link itself.
    #[must_use]
    pub fn routes(&self) -> Vec<Route> {
        let Some(message) = self.message() else { return Vec::new() };
        let classless = message.option(code::CLASSLESS_ROUTES).and_then(|value| routes::read(&value).ok());
        match classless.filter(|routes| !routes.is_empty()) {
            Some(routes) => routes,
            None => {
                let routers = message.addresses_option(code::ROUTERS);
                let router = routers.into_iter().find(is_host);
                router
                    .map(|router| Route { destination: Ipv4Addr::UNSPECIFIED, prefix: 0, gateway: router })
                    .into_iter()
                    .collect()
            }
        }
    }

    /// The name servers: option 6.
    #[must_use]
    pub fn name_servers(&self) -> Vec<Ipv4Addr> {
        let servers = self.message().map(|message| message.addresses_option(code::NAME_SERVERS));
        servers.into_iter().flatten().filter(is_host).collect()
    }
}

impl fmt::Display for Binding {
    /// `10.77.1.5/16 from 10.77.0.1 for 3600 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} from {} ", self.address, self.prefix(), self.server)?;
        match self.lease {
            Some(lease) => write!(f, "for {} s", lease.as_secs()),
            None => f.write_str("for ever"),
        }
    }
}

/// The length of the network's prefix that an answer tells.
#[must_use]
pub fn prefix(message: &Message<'_>) -> u8 {
    let mask =
        message.subnet_mask().map(u32::from).filter(|mask| mask.leading_ones() + mask.trailing_zeros() >= 32);
    match (mask, message.yiaddr().octets()[0]) {
        (Some(mask), _) if mask != 0 => mask.leading_ones() as u8,
        // RFC 950 App. I: what networks were before there were masks.
        (_, 0..=127) => 8,
        (_, 128..=191) => 16,
        _ => 24,
    }
}

/// T1 and T2 of a lease: what the server says if it makes sense, else a half and seven eighths of it.
fn times(lease: Duration, renewal: Option<u32>, rebinding: Option<u32>) -> (Duration, Duration) {
    let said = |seconds: Option<u32>| seconds.map(|seconds| Duration::from_secs(seconds.into()));
    let rebinding = said(rebinding).filter(|span| !span.is_zero() && *span < lease).unwrap_or(lease * 7 / 8);
    let renewal = said(renewal).filter(|span| !span.is_zero() && *span < rebinding);
    (renewal.unwrap_or_else(|| (lease / 2).min(rebinding)), rebinding)
}

/// Whether this may be the address of one host.
pub(super) fn is_host(address: &Ipv4Addr) -> bool {
    !(address.octets()[0] == 0
        || address.is_loopback()
        || address.is_multicast()
        || address.octets()[0] >= 240)
}
