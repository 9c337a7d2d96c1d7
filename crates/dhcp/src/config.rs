//! `[dhcp]`: the keys of the server, each declared once with its default, bounds and help.
//!
//! | file | what it holds |
//! | --- | --- |
//! | here | [`SECTION`], and [`Config`] as it is written |
//! | [`subnet`] | `[[dhcp.subnet]]` and `[[dhcp.subnet.reservation]]` |
//! | [`class`] | `[[dhcp.class]]` |
//! | [`relay`] | `[dhcp.relay]` |
//! | [`client`] | `[dhcp.client]` |
//! | `draft` | the config and the site, as a [`Draft`](crate::plan::Draft) of a plan |
//! | [`settings`] | what a class, a subnet, a reservation and the server all may say |
//!
//! Not here: the interfaces and the rest of the program, which fill in what is not written.

pub mod class;
pub mod client;
mod draft;
pub mod relay;
pub mod settings;
pub mod subnet;

use std::path::PathBuf;
use std::time::Duration;

use doorway_base::config::{Key, Kind, Preset, Section, Values};
use doorway_store::Durability;

use crate::plan::{LEASES_MAX, Probe};

pub use class::ClassConfig;
pub use client::ClientConfig;
pub use draft::{Site, SiteInterface};
pub use relay::RelayConfig;
pub use settings::SettingsConfig;
pub use subnet::SubnetConfig;

/// The shortest lease that may be configured.
pub const LEASE_MIN: Duration = Duration::from_secs(20);
/// The longest.
pub const LEASE_MAX: Duration = Duration::from_secs(365 * 86_400);

const LEASE: Kind = Kind::Duration { min: LEASE_MIN, max: LEASE_MAX };

/// `[dhcp]`
pub const SECTION: Section = Section {
    name: "dhcp",
    help: "DHCP: addresses for the hosts of a network, on the interfaces that are named here and on no other.",
    keys: &[
        Key {
            name: "interfaces",
            kind: Kind::List(&Kind::Text),
            default: Preset::List(&[]),
            help: "Interfaces to serve, such as \"eth1\". None are served unless they are named: a second server on \
                   somebody's network does harm. An interface whose network has no [[dhcp.subnet]] gives out the \
                   upper half of it.",
        },
        Key {
            name: "authoritative",
            kind: Kind::Bool,
            default: Preset::Bool(true),
            help: "Tell a client that asks for an address that is wrong here to start anew, although this server did \
                   not give it.",
        },
        Key {
            name: "durability",
            kind: Kind::Choice(&["process", "power"]),
            default: Preset::Text("process"),
            help: "What an acknowledged lease survives: the sudden end of this program, or a power cut as well.",
        },
        Key {
            name: "probe",
            kind: Kind::Choice(&["auto", "arp", "icmp", "off"]),
            default: Preset::Text("auto"),
            help: "How it is found out whether somebody uses an address before it is offered to a new client: by ARP \
                   where the client is on the link and by ICMP echo behind a relay, by one of the two, or not at all.",
        },
        Key {
            name: "probe_wait",
            kind: Kind::Duration { min: Duration::from_millis(50), max: Duration::from_secs(3) },
            default: Preset::Text("300ms"),
            help: "How long an answer is waited for. Other clients do not wait.",
        },
        Key {
            name: "rogue_check",
            kind: Kind::Choice(&["warn", "refuse", "off"]),
            default: Preset::Text("warn"),
            help: "What happens when another server answers on an interface at the start: it is said, or this server \
                   stays away from the interface.",
        },
        Key { name: "lease", kind: LEASE, default: Preset::Text("4h"), help: "How long a lease is." },
        Key {
            name: "lease_min",
            kind: LEASE,
            default: Preset::Text("1m"),
            help: "The shortest lease that a client may ask for.",
        },
        Key {
            name: "lease_max",
            kind: LEASE,
            default: Preset::Text("7d"),
            help: "The longest lease that a client may ask for.",
        },
        Key {
            name: "t1",
            kind: Kind::Percent,
            default: Preset::Text("50%"),
            help: "When a client asks its server for more time, in percent of the lease.",
        },
        Key {
            name: "t2",
            kind: Kind::Percent,
            default: Preset::Text("87.5%"),
            help: "When it asks any server, in percent of the lease; more than `t1`.",
        },
        Key {
            name: "offer_hold",
            kind: Kind::Duration { min: Duration::from_secs(1), max: Duration::from_secs(600) },
            default: Preset::Text("30s"),
            help: "How long an offered address is kept for the client.",
        },
        Key {
            name: "decline_hold",
            kind: Kind::Duration { min: Duration::from_secs(10), max: Duration::from_secs(30 * 86_400) },
            default: Preset::Text("1d"),
            help: "How long an address is left alone that a client found in use.",
        },
        Key {
            name: "rate",
            kind: Kind::Integer { min: 0, max: 1_000_000, unit: "messages a second" },
            default: Preset::Integer(10),
            help: "Messages that are taken from one hardware address; 0 for no bound.",
        },
        Key {
            name: "leases_max",
            kind: Kind::Integer { min: 1, max: LEASES_MAX as i64, unit: "leases" },
            default: Preset::Integer(LEASES_MAX as i64),
            help: "Leases in all.",
        },
        Key {
            name: "leases_per_port",
            kind: Kind::Integer { min: 0, max: LEASES_MAX as i64, unit: "leases" },
            default: Preset::Integer(256),
            help: "Leases and offers at one port of a relay, as its option 82 tells them apart, so that one port \
                   cannot use up a pool; 0 for no bound.",
        },
        Key {
            name: "names",
            kind: Kind::Choice(&["given", "all", "off"]),
            default: Preset::Text("given"),
            help: "Which leases get a name in DNS: those of hosts that say one or have one reserved, all (ip-10-0-0-7 \
                   for the others), or none.",
        },
        Key {
            name: "tftp",
            kind: Kind::Path,
            default: Preset::Unset,
            help: "A folder whose files machines that boot may read by TFTP, at this server's addresses on the \
                   interfaces. Unset: no TFTP.",
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
            name: "subnet",
            kind: Kind::Tables(subnet::KEYS),
            default: Preset::List(&[]),
            help: "A network with its pools and reservations: one of an interface, or one behind a relay.",
        },
        Key {
            name: "class",
            kind: Kind::Tables(class::KEYS),
            default: Preset::List(&[]),
            help: "Clients that have something in common, and what they get.",
        },
    ],
};

/// Which leases get a name in DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamesFor {
    /// Those of hosts that say their name, or have one reserved.
    Given,
    /// All.
    All,
    /// None.
    Off,
}

/// What happens when another server answers at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RogueCheck {
    /// It is said.
    Warn,
    /// This server stays away from the interface.
    Refuse,
    /// Nobody asks.
    Off,
}

/// A value that its kind lets through and that is wrong all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongValue {
    /// Where it stands in the file, in octets.
    pub at: Option<std::ops::Range<usize>>,
    /// The key with its table, such as `dhcp.subnet.pools`.
    pub key: String,
    /// What stands there.
    pub value: String,
    /// What to write instead.
    pub fix: String,
}

impl WrongValue {
    pub(crate) fn new(values: &Values, name: &str, value: impl ToString, fix: impl Into<String>) -> Self {
        let key = format!("{}.{name}", values.table());
        Self { at: values.at(name), key, value: value.to_string(), fix: fix.into() }
    }
}

/// The table as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Interfaces to serve, by name.
    pub interfaces: Vec<String>,
    /// Whether a client with a wrong address is told so.
    pub authoritative: bool,
    /// What an acknowledged lease survives.
    pub durability: Durability,
    /// How it is found out whether an address is in use.
    pub probe: Probe,
    /// How long an answer to that is waited for.
    pub probe_wait: Duration,
    /// What happens when another server answers at the start.
    pub rogue_check: RogueCheck,
    /// How long a lease is.
    pub lease: Duration,
    /// The shortest lease that a client may ask for.
    pub lease_min: Duration,
    /// The longest.
    pub lease_max: Duration,
    /// T1 as a part of the lease, 0.0 to 1.0.
    pub t1: f64,
    /// T2 likewise.
    pub t2: f64,
    /// How long an offered address is kept.
    pub offer_hold: Duration,
    /// How long a declined address is left alone.
    pub decline_hold: Duration,
    /// Messages a second from one hardware address; `None` without bound.
    pub rate: Option<u32>,
    /// Leases in all.
    pub leases_max: usize,
    /// Leases and offers at one port of a relay; `None` without bound.
    pub leases_per_port: Option<usize>,
    /// Which leases get a name.
    pub names: NamesFor,
    /// The folder of TFTP.
    pub tftp: Option<PathBuf>,
    /// What all clients get, unless something nearer to them says otherwise.
    pub settings: SettingsConfig,
    /// Networks.
    pub subnets: Vec<SubnetConfig>,
    /// Classes, in the order in which they are looked at.
    pub classes: Vec<ClassConfig>,
}

impl Config {
    /// What the values of [`SECTION`] stand for, and every value among them that is none; each of those is left
    /// out.
    #[must_use]
    pub fn read(values: &Values) -> (Self, Vec<WrongValue>) {
        let mut wrong = Vec::new();
        let bound = |name| Some(values.count(name)).filter(|count| *count != 0);
        let classes: Vec<ClassConfig> =
            values.tables("class").iter().filter_map(|class| ClassConfig::read(class, &mut wrong)).collect();
        let config = Self {
            interfaces: values.texts("interfaces").into_iter().map(str::to_owned).collect(),
            authoritative: values.bool("authoritative"),
            durability: match values.text("durability") {
                "power" => Durability::Disk,
                _ => Durability::Process,
            },
            probe: match values.text("probe") {
                "arp" => Probe::Arp,
                "icmp" => Probe::Icmp,
                "off" => Probe::Off,
                _ => Probe::Auto,
            },
            probe_wait: values.duration("probe_wait"),
            rogue_check: match values.text("rogue_check") {
                "refuse" => RogueCheck::Refuse,
                "off" => RogueCheck::Off,
                _ => RogueCheck::Warn,
            },
            lease: values.duration("lease"),
            lease_min: values.duration("lease_min"),
            lease_max: values.duration("lease_max"),
            t1: values.percent("t1") / 100.0,
            t2: values.percent("t2") / 100.0,
            offer_hold: values.duration("offer_hold"),
            decline_hold: values.duration("decline_hold"),
            rate: bound("rate").and_then(|rate| u32::try_from(rate).ok()),
            leases_max: values.count("leases_max"),
            leases_per_port: bound("leases_per_port"),
            names: match values.text("names") {
                "all" => NamesFor::All,
                "off" => NamesFor::Off,
                _ => NamesFor::Given,
            },
            tftp: values.optional("tftp", |values, name| values.path(name).to_owned()),
            settings: SettingsConfig::read(values, &mut wrong),
            subnets: values
                .tables("subnet")
                .iter()
                .filter_map(|subnet| SubnetConfig::read(subnet, &classes, &mut wrong))
                .collect(),
            classes,
        };
        if config.t1 >= config.t2 {
            let fix = "write less than `t2`, such as \"50%\" and \"87.5%\"";
            wrong.push(WrongValue::new(values, "t1", format!("{}%", config.t1 * 100.0), fix));
        }
        if config.lease_min > config.lease_max {
            let value = format!("{:?}", config.lease_min);
            wrong.push(WrongValue::new(values, "lease_min", value, "write no more than `lease_max`"));
        }
        for (index, subnet) in config.subnets.iter().enumerate() {
            if config.subnets[..index].iter().any(|other| other.overlaps(subnet)) {
                let (value, fix) = (subnet.network.to_string(), "write one [[dhcp.subnet]] for each network");
                let at = values.tables("subnet").get(index).and_then(|table| table.at("network"));
                wrong.push(WrongValue { at, key: "dhcp.subnet.network".into(), value, fix: fix.into() });
            }
        }
        (config, wrong)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::read(&SECTION.defaults()).0
    }
}

#[cfg(test)]
mod tests;
