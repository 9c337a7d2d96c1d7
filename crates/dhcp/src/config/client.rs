//! `[dhcp.client]`: the keys of the client.

use std::time::Duration;

use doorway_base::config::{Key, Kind, Preset, Section, Values};

use crate::client::{Check, Choice};

/// `[dhcp.client]`
pub const SECTION: Section = Section {
    name: "dhcp.client",
    help: "The DHCP client: an address for interfaces of this host.",
    keys: &[
        Key {
            name: "interfaces",
            kind: Kind::List(&Kind::Text),
            default: Preset::List(&[]),
            help: "Interfaces to get an address for, such as \"eth0\".",
        },
        Key {
            name: "apply",
            kind: Kind::Bool,
            default: Preset::Bool(false),
            help: "Give the interface the address and its routes, and take them back when the lease is over; takes \
                   the rights to do so. Otherwise the lease is only held and shown.",
        },
        Key {
            name: "metric",
            kind: Kind::Integer { min: 0, max: u32::MAX as i64, unit: "" },
            default: Preset::Integer(100),
            help: "The metric of its routes: of several ways the one with the lowest number is taken.",
        },
        Key {
            name: "resolv_conf",
            kind: Kind::Bool,
            default: Preset::Bool(false),
            help: "Write the name servers and the search list into /etc/resolv.conf, and write back what stood there \
                   when the lease is over.",
        },
        Key {
            name: "host_name",
            kind: Kind::Text,
            default: Preset::Unset,
            help: "What this host says it is called; with a dot, the full name that it would like to have. Unset, it \
                   is the system's name; \"\" says nothing.",
        },
        Key {
            name: "client_id",
            kind: Kind::Choice(&["duid", "hardware"]),
            default: Preset::Text("duid"),
            help: "What tells this client from others: an identifier made at the first start and kept (RFC 4361), or \
                   the hardware address.",
        },
        Key {
            name: "vendor_class",
            kind: Kind::Text,
            default: Preset::Unset,
            help: "The class of client that it says it is.",
        },
        Key {
            name: "lease",
            kind: Kind::Duration { min: Duration::from_secs(20), max: Duration::from_secs(365 * 86_400) },
            default: Preset::Unset,
            help: "How long a lease it asks for; the server decides.",
        },
        Key {
            name: "choice",
            kind: Kind::Choice(&["first", "prefer-known", "longest"]),
            default: Preset::Text("prefer-known"),
            help: "Which of several offers is taken: the first, the one with the address or of the server of before, \
                   or the one with the longest lease.",
        },
        Key {
            name: "offer_window",
            kind: Kind::Duration { min: Duration::ZERO, max: Duration::from_secs(30) },
            default: Preset::Text("1s"),
            help: "How long more offers are waited for after the first.",
        },
        Key {
            name: "check",
            kind: Kind::Choice(&["quick", "standard", "off"]),
            default: Preset::Text("quick"),
            help: "Whether neighbours are asked if one of them has the address: for 600ms, with the waits of RFC 5227 \
                   (4 to 7 seconds), or not at all.",
        },
        Key {
            name: "broadcast",
            kind: Kind::Bool,
            default: Preset::Bool(false),
            help: "Ask for answers by broadcast, for links that deliver nothing else to a host without an address.",
        },
        Key {
            name: "release",
            kind: Kind::Bool,
            default: Preset::Bool(false),
            help: "Give the address back when this program stops. Otherwise it is asked for again at the next start.",
        },
    ],
};

/// What tells the client from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Identifier {
    /// A DUID that is kept, with a number for the interface: RFC 4361.
    #[default]
    Duid,
    /// Hardware type and address.
    Hardware,
}

/// The table as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// Interfaces to get an address for.
    pub interfaces: Vec<String>,
    /// Whether the interface gets it.
    pub apply: bool,
    /// The metric of its routes.
    pub metric: u32,
    /// Whether `/etc/resolv.conf` is written.
    pub resolv_conf: bool,
    /// What this host is called; `None` is the system's name.
    pub host_name: Option<String>,
    /// What tells the client from others.
    pub client_id: Identifier,
    /// Option 60.
    pub vendor_class: Option<String>,
    /// How long a lease it asks for.
    pub lease: Option<Duration>,
    /// Which of several offers is taken.
    pub choice: Choice,
    /// How long more offers are waited for after the first.
    pub offer_window: Duration,
    /// Whether neighbours are asked.
    pub check: Check,
    /// Whether answers have to be broadcast.
    pub broadcast: bool,
    /// Whether the address is given back at the end.
    pub release: bool,
}

impl ClientConfig {
    /// What the values of [`SECTION`] stand for.
    #[must_use]
    pub fn read(values: &Values) -> Self {
        let text = |name| values.optional(name, Values::text).map(str::to_owned);
        Self {
            interfaces: values.texts("interfaces").into_iter().map(str::to_owned).collect(),
            apply: values.bool("apply"),
            metric: u32::try_from(values.integer("metric")).unwrap_or(u32::MAX),
            resolv_conf: values.bool("resolv_conf"),
            host_name: text("host_name"),
            client_id: match values.text("client_id") {
                "hardware" => Identifier::Hardware,
                _ => Identifier::Duid,
            },
            vendor_class: text("vendor_class"),
            lease: values.optional("lease", Values::duration),
            choice: match values.text("choice") {
                "first" => Choice::First,
                "longest" => Choice::Longest,
                _ => Choice::PreferKnown,
            },
            offer_window: values.duration("offer_window"),
            check: match values.text("check") {
                "off" => Check::Off,
                "standard" => Check::Standard,
                _ => Check::Quick,
            },
            broadcast: values.bool("broadcast"),
            release: values.bool("release"),
        }
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self::read(&SECTION.defaults())
    }
}
