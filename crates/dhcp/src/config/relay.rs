//! `[dhcp.relay]`: the keys of the relay agent.

use core::net::{IpAddr, Ipv4Addr};

use doorway_base::config::{Key, Kind, Preset, Section, Value, Values};

use super::WrongValue;
use crate::relay::{Existing, HOPS_MAX, IDENTIFIER_OCTETS_MAX, Rules};

/// Servers that each message goes to at the most.
pub const SERVERS_MAX: usize = 16;

/// `[dhcp.relay]`
pub const SECTION: Section = Section {
    name: "dhcp.relay",
    help: "The relay agent: takes what clients broadcast on some links to DHCP servers on others.",
    keys: &[
        Key {
            name: "interfaces",
            kind: Kind::List(&Kind::Text),
            default: Preset::List(&[]),
            help: "Interfaces with clients, such as \"eth1\". Each needs an IPv4 address, which tells the servers the \
                   network.",
        },
        Key {
            name: "servers",
            kind: Kind::List(&Kind::Address),
            default: Preset::List(&[]),
            help: "DHCP servers, at most 16; each gets every message. They need a way back to the addresses of the \
                   interfaces.",
        },
        Key {
            name: "option82",
            kind: Kind::Choice(&["append", "replace", "keep", "drop", "off"]),
            default: Preset::Text("append"),
            help: "The relay agent information (RFC 3046): with all but \"off\" it is added, with the name of the \
                   interface as the circuit. Of one that a switch has put there on a trusted interface, ours goes \
                   behind it, takes its place, is left out, or the message is dropped.",
        },
        Key {
            name: "trusted",
            kind: Kind::List(&Kind::Text),
            default: Preset::List(&[]),
            help: "Those of the interfaces on which switches may add option 82, and other relay agents may be. \
                   Elsewhere such messages are dropped.",
        },
        Key {
            name: "remote_id",
            kind: Kind::Text,
            default: Preset::Unset,
            help: "What option 82 says of this agent besides, such as its place.",
        },
        Key {
            name: "giaddr",
            kind: Kind::Address,
            default: Preset::Unset,
            help: "The address of this host that servers answer to, if it is not the interface's own. The link is then \
                   told by link selection (RFC 3527).",
        },
        Key {
            name: "server_override",
            kind: Kind::Bool,
            default: Preset::Bool(false),
            help: "Let clients take this agent for the server, so that they renew through it (RFC 5107).",
        },
        Key {
            name: "hops_max",
            kind: Kind::Integer { min: 1, max: HOPS_MAX as i64, unit: "relay agents" },
            default: Preset::Integer(10),
            help: "A message that has come through so many relay agents goes no further.",
        },
    ],
};

/// The table as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RelayConfig {
    /// Interfaces with clients.
    pub interfaces: Vec<String>,
    /// Those of them that are trusted.
    pub trusted: Vec<String>,
    /// Where messages go.
    pub servers: Vec<Ipv4Addr>,
    /// What option 82 says of this agent; empty for nothing.
    pub remote_id: String,
    /// How the agent works.
    pub rules: Rules,
}

impl RelayConfig {
    /// What the values of [`SECTION`] stand for, and every value among them that is none.
    #[must_use]
    pub fn read(values: &Values) -> (Self, Vec<WrongValue>) {
        let mut wrong = Vec::new();
        let texts = |name| values.texts(name).into_iter().map(str::to_owned).collect::<Vec<_>>();
        let mut v4 = |name, address: IpAddr| match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(address) => {
                wrong.push(WrongValue::new(values, name, address, "write an IPv4 address"));
                None
            }
        };
        let servers = values.list("servers").iter().filter_map(|value| match value {
            Value::Address(address) => v4("servers", *address),
            _ => None,
        });
        let servers = servers.collect();
        let giaddr = values.optional("giaddr", Values::address).and_then(|address| v4("giaddr", address));
        let config = Self {
            interfaces: texts("interfaces"),
            trusted: texts("trusted"),
            servers,
            remote_id: values.optional("remote_id", Values::text).unwrap_or_default().to_owned(),
            rules: Rules {
                hops_max: u8::try_from(values.integer("hops_max")).unwrap_or(HOPS_MAX),
                mark: values.text("option82") != "off",
                existing: match values.text("option82") {
                    "replace" => Existing::Replace,
                    "keep" => Existing::Keep,
                    "drop" => Existing::Drop,
                    _ => Existing::Append,
                },
                giaddr,
                server_override: values.bool("server_override"),
            },
        };
        let bad = |name, value: String, fix: &str| WrongValue::new(values, name, value, fix);
        if config.servers.len() > SERVERS_MAX {
            wrong.push(bad("servers", config.servers.len().to_string(), "name at most 16 servers"));
        }
        if !config.interfaces.is_empty() && config.servers.is_empty() {
            wrong.push(bad("servers", "[]".to_owned(), "name the server, such as [\"192.0.2.1\"]"));
        }
        for name in &config.trusted {
            if !config.interfaces.contains(name) {
                wrong.push(bad("trusted", name.clone(), "name it in `interfaces` too"));
            }
        }
        if config.remote_id.len() > IDENTIFIER_OCTETS_MAX {
            wrong.push(bad("remote_id", config.remote_id.clone(), "write at most 100 octets"));
        }
        (config, wrong)
    }
}
