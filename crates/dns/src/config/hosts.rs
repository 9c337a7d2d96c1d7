//! `[[dns.host]]`: single names with addresses, without a zone file.

use core::net::IpAddr;

use doorway_base::config::{Key, Kind, Preset, Value, Values};

use super::resolver::Wrong;
use super::zones::ZoneConfig;
use crate::wire::Name;

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "name",
        kind: Kind::DomainName,
        default: Preset::Required,
        help: "The whole name, such as printer.home.arpa. One in a zone with a file goes into that file.",
    },
    Key {
        name: "addresses",
        kind: Kind::List(&Kind::Address),
        default: Preset::Required,
        help: "Its IPv4 and IPv6 addresses. The name is also what these addresses lead back to.",
    },
];

/// A name with its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostConfig {
    /// The name.
    pub name: Name,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

impl HostConfig {
    pub(super) fn read(host: &Values, zones: &[ZoneConfig]) -> Result<Self, Wrong> {
        let text = host.text("name");
        let wrong = |fix| Wrong { key: "dns.host.name", value: text.to_owned(), fix };
        let name: Name = text.parse().map_err(|_| wrong("write a name such as \"printer.home.arpa\""))?;
        let within = |zone: &ZoneConfig| zone.name.parse().is_ok_and(|apex: Name| name.is_within(&apex));
        if zones.iter().any(within) {
            return Err(wrong("write it into the file of the [[dns.zone]] that it belongs to"));
        }
        let address = |value: &Value| if let Value::Address(address) = value { Some(*address) } else { None };
        let addresses: Vec<IpAddr> = host.list("addresses").iter().filter_map(address).collect();
        if addresses.is_empty() {
            let fix = "write at least one address";
            return Err(Wrong { key: "dns.host.addresses", value: "[]".to_owned(), fix });
        }
        Ok(Self { name: name.lowered(), addresses })
    }
}
