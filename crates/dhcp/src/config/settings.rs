//! What a client gets beside its address. The server, a subnet, a class and a reservation may each say it; what
//! is nearer to the client counts: reservation, class, subnet, server.

use core::net::{IpAddr, Ipv4Addr};

use doorway_base::config::{Key, Kind, Preset, Value, Values};

use super::WrongValue;
use crate::wire::option::{OptionKind, code};

/// Options that each message has of itself.
const OURS: &[u8] = &[
    code::REQUESTED_ADDRESS,
    code::LEASE_SECONDS,
    code::OVERLOAD,
    code::MESSAGE_TYPE,
    code::SERVER_ID,
    code::PARAMETERS,
    code::REASON,
    code::MESSAGE_OCTETS_MAX,
    code::CLIENT_ID,
    code::CLIENT_FQDN,
    code::AGENT,
];

/// `routers`
pub const ROUTERS: Key = Key {
    name: "routers",
    kind: Kind::List(&Kind::Address),
    default: Preset::Unset,
    help: "Routers, the best one first (option 3). Unset: this machine where it forwards packets, else the router \
           that it uses itself on the same network.",
};
/// `dns`
pub const DNS: Key = Key {
    name: "dns",
    kind: Kind::List(&Kind::Address),
    default: Preset::Unset,
    help: "Name servers (option 6). Unset: this machine, where its name server listens on port 53.",
};
/// `domain`
pub const DOMAIN: Key = Key {
    name: "domain",
    kind: Kind::DomainName,
    default: Preset::Unset,
    help: "The domain of the hosts (options 15 and 119), in which they get their names. Unset: the local domain of \
           `[dns]`.",
};
/// `search`
pub const SEARCH: Key = Key {
    name: "search",
    kind: Kind::List(&Kind::DomainName),
    default: Preset::Unset,
    help: "Domains that hosts look for short names in (option 119). Unset: `domain`.",
};
/// `ntp`
pub const NTP: Key = Key {
    name: "ntp",
    kind: Kind::List(&Kind::Address),
    default: Preset::Unset,
    help: "Time servers (option 42).",
};
/// `routes`
pub const ROUTES: Key = Key {
    name: "routes",
    kind: Kind::List(&Kind::Text),
    default: Preset::Unset,
    help: "Routes that hosts are to have (option 121), each as \"NETWORK ROUTER\", such as \"10.9.0.0/16 10.0.0.2\". \
           The route to `routers` is added, since clients that read this option do not read the other.",
};
/// `options`
pub const OPTIONS: Key = Key {
    name: "options",
    kind: Kind::List(&Kind::Text),
    default: Preset::Unset,
    help: "Any other options, each as its name or number and its value: \"interface-mtu 1400\", \"150 0a000001\" \
           (numbers without a name take hexadecimal). An option without a value is not sent.",
};
/// `next_server`
pub const NEXT_SERVER: Key = Key {
    name: "next_server",
    kind: Kind::Address,
    default: Preset::Unset,
    help: "The server that machines boot from (siaddr, and option 66 as text).",
};
/// `boot_file`
pub const BOOT_FILE: Key = Key {
    name: "boot_file",
    kind: Kind::Text,
    default: Preset::Unset,
    help: "The file that machines boot (file, and option 67): a path for TFTP, or a URL for HTTP boot.",
};

/// What is written of it in one place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsConfig {
    /// Routers.
    pub routers: Option<Vec<Ipv4Addr>>,
    /// Name servers.
    pub dns: Option<Vec<Ipv4Addr>>,
    /// The domain of the hosts, without a final dot.
    pub domain: Option<String>,
    /// Domains to search.
    pub search: Option<Vec<String>>,
    /// Time servers.
    pub ntp: Option<Vec<Ipv4Addr>>,
    /// Routes: network, prefix length, router.
    pub routes: Option<Vec<(Ipv4Addr, u8, Ipv4Addr)>>,
    /// Other options: number and value as octets; `None` for one that is not to be sent.
    pub options: Vec<(u8, Option<Vec<u8>>)>,
    /// The server that machines boot from.
    pub next_server: Option<Ipv4Addr>,
    /// What they boot.
    pub boot_file: Option<String>,
}

impl SettingsConfig {
    /// Reads the keys of this file from a table that has all of them.
    pub(super) fn read(values: &Values, wrong: &mut Vec<WrongValue>) -> Self {
        let mut addresses = |name| {
            let list = values.optional(name, Values::list)?;
            let mut found = Vec::with_capacity(list.len());
            for value in list {
                match value {
                    Value::Address(IpAddr::V4(address)) => found.push(*address),
                    other => wrong.push(WrongValue::new(values, name, other, "write IPv4 addresses")),
                }
            }
            Some(found)
        };
        let (routers, dns, ntp) = (addresses("routers"), addresses("dns"), addresses("ntp"));
        let texts = |name| values.optional(name, Values::texts);
        let text = |name| values.optional(name, |values, name| values.text(name).to_owned());
        let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
        Self {
            routers,
            dns,
            domain: text("domain"),
            search: texts("search").map(owned),
            ntp,
            routes: texts("routes").map(|texts| routes(values, &texts, wrong)),
            options: texts("options").map(|texts| options(values, &texts, wrong)).unwrap_or_default(),
            next_server: address(values, "next_server", wrong),
            boot_file: text("boot_file"),
        }
    }
}

/// An IPv4 address that may be unset.
pub(super) fn address(values: &Values, name: &str, wrong: &mut Vec<WrongValue>) -> Option<Ipv4Addr> {
    match values.optional(name, Values::address)? {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(address) => {
            wrong.push(WrongValue::new(values, name, address, "write an IPv4 address"));
            None
        }
    }
}

fn routes(values: &Values, texts: &[&str], wrong: &mut Vec<WrongValue>) -> Vec<(Ipv4Addr, u8, Ipv4Addr)> {
    let mut found = Vec::with_capacity(texts.len());
    for text in texts {
        let parsed = text.split_once(char::is_whitespace).and_then(|(network, router)| {
            let network: doorway_base::config::Cidr = network.parse().ok()?;
            let IpAddr::V4(address) = network.address() else { return None };
            Some((address, network.prefix_bits(), router.trim().parse().ok()?))
        });
        match parsed {
            Some(route) => found.push(route),
            None => {
                let fix = "write a network and a router, such as \"10.9.0.0/16 10.0.0.2\"";
                wrong.push(WrongValue::new(values, "routes", text, fix));
            }
        }
    }
    found
}

fn options(values: &Values, texts: &[&str], wrong: &mut Vec<WrongValue>) -> Vec<(u8, Option<Vec<u8>>)> {
    let mut found = Vec::with_capacity(texts.len());
    for text in texts {
        let (name, value) = text.split_once([' ', '\t', '=']).unwrap_or((text, ""));
        let Some(kind) = OptionKind::named(name) else {
            let fix = "write the name of an option as RFC 2132 has it, such as \"interface-mtu 1400\", or its number";
            wrong.push(WrongValue::new(values, "options", text, fix));
            continue;
        };
        if OURS.contains(&kind.code) {
            let fix = "leave it out: the server sets it in each message";
            wrong.push(WrongValue::new(values, "options", text, fix));
            continue;
        }
        let value = value.trim();
        match kind.shape.read(value) {
            _ if value.is_empty() => found.push((kind.code, None)),
            Ok(octets) => found.push((kind.code, Some(octets))),
            Err(error) => {
                wrong.push(WrongValue::new(values, "options", text, format!("write another value: {error}")));
            }
        }
    }
    found
}
