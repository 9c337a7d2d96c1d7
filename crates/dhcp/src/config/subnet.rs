//! `[[dhcp.subnet]]` and `[[dhcp.subnet.reservation]]`: networks, the addresses that are given out in them, and
//! those that are kept for somebody.

use core::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use doorway_base::config::{Key, Kind, Preset, Values};

use super::settings::{self, SettingsConfig};
use super::{ClassConfig, LEASE, WrongValue};
use crate::plan::{Match, Mode, Network, Pool};
use crate::wire::hardware::read_hex;

/// The keys of a subnet.
pub const KEYS: &[Key] = &[
    Key {
        name: "network",
        kind: Kind::Cidr,
        default: Preset::Required,
        help: "The network, such as \"10.77.0.0/16\".",
    },
    Key {
        name: "pools",
        kind: Kind::List(&Kind::Text),
        default: Preset::Unset,
        help: "Ranges that are given out: \"10.77.1.0-10.77.9.255\", with a class behind it to keep it for that class: \
               \"10.77.10.0-10.77.10.99 phones\". Unset: the upper half of the network; an empty list gives out \
               reserved addresses alone.",
    },
    Key {
        name: "relays",
        kind: Kind::List(&Kind::Cidr),
        default: Preset::List(&[]),
        help: "Relay agents that may ask for this network, by the address that they put into `giaddr` or send from: \
               addresses or networks. What others hand on is dropped, since whoever says to be a relay could say \
               anything about its clients.",
    },
    Key { name: "lease", kind: LEASE, default: Preset::Unset, help: "How long a lease is here." },
    Key {
        name: "mode",
        kind: Kind::Choice(&["addresses", "proxy"]),
        default: Preset::Text("addresses"),
        help: "Give addresses, or leave that to another server and only tell machines where to boot from (proxyDHCP).",
    },
    Key {
        name: "trust_switches",
        kind: Kind::Bool,
        default: Preset::Bool(false),
        help: "Believe option 82 in messages that come straight from the link: switches there add it, and take away \
               what clients write themselves.",
    },
    Key {
        name: "reverse",
        kind: Kind::Bool,
        default: Preset::Bool(true),
        help: "Whether the addresses lead back to the names.",
    },
    settings::ROUTERS,
    settings::DNS,
    settings::DOMAIN,
    settings::SEARCH,
    settings::NTP,
    settings::ROUTES,
    settings::OPTIONS,
    settings::NEXT_SERVER,
    settings::BOOT_FILE,
    Key {
        name: "reservation",
        kind: Kind::Tables(RESERVATION_KEYS),
        default: Preset::List(&[]),
        help: "An address that is kept for one client; it may lie in a pool or beside them.",
    },
];

/// The keys of a reservation.
pub const RESERVATION_KEYS: &[Key] = &[
    Key {
        name: "mac",
        kind: Kind::Text,
        default: Preset::Unset,
        help: "The client's hardware address, such as \"02:00:00:00:00:01\".",
    },
    Key {
        name: "client_id",
        kind: Kind::Text,
        default: Preset::Unset,
        help: "Its client identifier (option 61) in hexadecimal, type octet and all.",
    },
    Key {
        name: "circuit_id",
        kind: Kind::Text,
        default: Preset::Unset,
        help: "The circuit of the relay that it is at (option 82, sub-option 1): as text, or in hexadecimal after \"0x\".",
    },
    Key {
        name: "remote_id",
        kind: Kind::Text,
        default: Preset::Unset,
        help: "The remote id that its relay says (option 82, sub-option 2), likewise.",
    },
    Key {
        name: "host",
        kind: Kind::Text,
        default: Preset::Unset,
        help: "The host name that it says (option 12). Anybody may say any name: rather use one of the others.",
    },
    Key { name: "address", kind: Kind::Address, default: Preset::Required, help: "The address." },
    Key {
        name: "hostname",
        kind: Kind::Text,
        default: Preset::Unset,
        help: "The name that it gets, whatever it calls itself.",
    },
    settings::ROUTERS,
    settings::DNS,
    settings::DOMAIN,
    settings::SEARCH,
    settings::NTP,
    settings::ROUTES,
    settings::OPTIONS,
    settings::NEXT_SERVER,
    settings::BOOT_FILE,
];

/// A subnet as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct SubnetConfig {
    /// The network.
    pub network: Network,
    /// What is given out; `None` for the upper half.
    pub pools: Option<Vec<Pool>>,
    /// Relay agents that are believed.
    pub relays: Vec<Network>,
    /// How long a lease is here.
    pub lease: Option<Duration>,
    /// What the server does there.
    pub mode: Mode,
    /// Whether switches are believed.
    pub trusts_switches: bool,
    /// Whether addresses lead back to names.
    pub reverse: bool,
    /// What its clients get.
    pub settings: SettingsConfig,
    /// Addresses that are kept for somebody.
    pub reservations: Vec<ReservationConfig>,
}

/// A reservation as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct ReservationConfig {
    /// Whom it is for.
    pub client: Match,
    /// The address.
    pub address: Ipv4Addr,
    /// The name that the client gets.
    pub hostname: Option<String>,
    /// What else it gets.
    pub settings: SettingsConfig,
}

impl SubnetConfig {
    /// The subnet of an interface that has none in the config: the upper half of its network.
    #[must_use]
    pub fn of_interface(address: Ipv4Addr, prefix: u8) -> Self {
        Self {
            network: Network::new(address, prefix),
            pools: None,
            relays: Vec::new(),
            lease: None,
            mode: Mode::Addresses,
            trusts_switches: false,
            reverse: true,
            settings: SettingsConfig::default(),
            reservations: Vec::new(),
        }
    }

    pub(super) fn read(
        values: &Values,
        classes: &[ClassConfig],
        wrong: &mut Vec<WrongValue>,
    ) -> Option<Self> {
        let cidr = values.cidr("network");
        let IpAddr::V4(network) = cidr.address() else {
            wrong.push(WrongValue::new(values, "network", cidr, "write an IPv4 network"));
            return None;
        };
        let prefix = cidr.prefix_bits();
        if !(8..=30).contains(&prefix) {
            let fix = "write a network of 8 to 30 bits, such as \"192.168.1.0/24\"";
            wrong.push(WrongValue::new(values, "network", cidr, fix));
            return None;
        }
        let mut subnet = Self {
            pools: None,
            relays: Vec::new(),
            lease: values.optional("lease", Values::duration),
            mode: if values.text("mode") == "proxy" { Mode::Proxy } else { Mode::Addresses },
            trusts_switches: values.bool("trust_switches"),
            reverse: values.bool("reverse"),
            settings: SettingsConfig::read(values, wrong),
            reservations: Vec::new(),
            ..Self::of_interface(network, prefix)
        };
        for relay in values.cidrs("relays") {
            match relay.address() {
                IpAddr::V4(address) => subnet.relays.push(Network::new(address, relay.prefix_bits())),
                IpAddr::V6(_) => wrong.push(WrongValue::new(values, "relays", relay, "write IPv4 addresses")),
            }
        }
        if let Some(texts) = values.optional("pools", Values::texts) {
            let mut pools: Vec<Pool> = Vec::with_capacity(texts.len());
            for text in texts {
                match read_pool(text, &subnet, &pools, classes) {
                    Ok(pool) => pools.push(pool),
                    Err(fix) => wrong.push(WrongValue::new(values, "pools", text, fix)),
                }
            }
            subnet.pools = Some(pools);
        }
        for table in values.tables("reservation") {
            let Some(reservation) = ReservationConfig::read(table, wrong) else { continue };
            if !subnet.network.is_host(reservation.address) {
                let fix = format!("write an address of a host of {}", subnet.network);
                wrong.push(WrongValue::new(table, "address", reservation.address, fix));
            } else if subnet.reservations.iter().any(|other| other.address == reservation.address) {
                let fix = "write each address once";
                wrong.push(WrongValue::new(table, "address", reservation.address, fix));
            } else {
                subnet.reservations.push(reservation);
            }
        }
        Some(subnet)
    }

    /// What is given out: the ranges that are written, or the upper half of the network.
    #[must_use]
    pub fn ranges(&self) -> Vec<Pool> {
        self.pools.clone().unwrap_or_else(|| {
            let (first, size) = (self.network.address.to_bits(), 1_u32 << (32 - self.network.prefix));
            let (upper, last) = (first + size / 2, first + size - 2);
            vec![Pool::new(Ipv4Addr::from_bits(upper), Ipv4Addr::from_bits(last), None)]
        })
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.network.contains(other.network.address) || other.network.contains(self.network.address)
    }
}

fn read_pool(
    text: &str,
    subnet: &SubnetConfig,
    before: &[Pool],
    classes: &[ClassConfig],
) -> Result<Pool, String> {
    let (range, class) = match text.trim().split_once(char::is_whitespace) {
        Some((range, class)) => (range, Some(class.trim().to_owned())),
        None => (text.trim(), None),
    };
    let form = || "write a range such as \"10.77.1.0-10.77.9.255\", and a class behind it if it is for one";
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (Ipv4Addr, Ipv4Addr) = match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) if first <= last => (first, last),
        _ => return Err(form().to_owned()),
    };
    let network = subnet.network;
    if !network.is_host(first) || !network.is_host(last) {
        let ends = (network.address.to_bits() + 1, network.address.to_bits() | !network.mask().to_bits());
        let (first, last) = (Ipv4Addr::from_bits(ends.0), Ipv4Addr::from_bits(ends.1 - 1));
        return Err(format!("stay within the hosts of {}: {first} to {last}", subnet.network));
    }
    if before.iter().any(|other| first <= other.last && other.first <= last) {
        return Err("write ranges that have no address in common".to_owned());
    }
    if let Some(class) = &class
        && !classes.iter().any(|known| known.name == *class)
    {
        return Err(format!("write a [[dhcp.class]] of the name `{class}`, or leave the name out"));
    }
    Ok(Pool::new(first, last, class))
}

impl ReservationConfig {
    fn read(values: &Values, wrong: &mut Vec<WrongValue>) -> Option<Self> {
        let text = |name| values.optional(name, Values::text);
        let mut matches = Vec::new();
        let mut take = |name, parsed: Option<Match>, fix: &str| match parsed {
            Some(client) => matches.push(client),
            None => wrong.push(WrongValue::new(values, name, text(name).unwrap_or_default(), fix)),
        };
        if let Some(mac) = text("mac") {
            let parsed = mac.parse().ok().map(Match::Hardware);
            take("mac", parsed, "write a hardware address such as \"02:00:00:00:00:01\"");
        }
        if let Some(id) = text("client_id") {
            let parsed = read_hex(id).filter(|id| !id.is_empty()).map(|id| Match::ClientId(id.into()));
            take("client_id", parsed, "write octets in hexadecimal, such as \"01:02:00:00:00:00:01\"");
        }
        let id = |text: &str| match text.strip_prefix("0x") {
            Some(digits) => read_hex(digits).filter(|octets| !octets.is_empty()),
            None => (!text.is_empty()).then(|| text.as_bytes().to_vec()),
        };
        let fix = "write it as text, or in hexadecimal after \"0x\"";
        if let Some(circuit) = text("circuit_id") {
            take("circuit_id", id(circuit).map(|id| Match::CircuitId(id.into())), fix);
        }
        if let Some(remote) = text("remote_id") {
            take("remote_id", id(remote).map(|id| Match::RemoteId(id.into())), fix);
        }
        if let Some(host) = text("host") {
            let parsed = (!host.is_empty()).then(|| Match::HostName(host.into()));
            take("host", parsed, "write a name");
        }
        let count = matches.len();
        let address = settings::address(values, "address", wrong)?;
        let Some(client) = matches.pop().filter(|_| count == 1) else {
            let fix = "write one of `mac`, `client_id`, `circuit_id`, `remote_id` and `host` beside it";
            wrong.push(WrongValue::new(values, "address", address, fix));
            return None;
        };
        let hostname = text("hostname").map(str::to_owned);
        Some(Self { client, address, hostname, settings: SettingsConfig::read(values, wrong) })
    }
}
