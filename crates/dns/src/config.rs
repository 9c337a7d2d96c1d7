//! The `[dns]` table of the config file; [`resolver`] has the tables of the resolver, [`zones`] those of
//! zones and keys.

pub mod hosts;
pub mod resolver;
pub mod zones;

use std::path::PathBuf;

use doorway_base::config::{Key, Kind, Listen, Preset, Section, Values};
use doorway_net::limits::TcpLimits;
use doorway_net::proxy_protocol::ProxySources;

use crate::front::access::Access;
use crate::front::rate::Rate;
use crate::wire::Name;
pub use hosts::HostConfig;
pub use resolver::{Resolver, Wrong};
pub use zones::{KeyConfig, ZoneConfig};

/// Octets of a UDP response at most by default: fits the smallest path of IPv6 (RFC 9715 §3.1).
pub const UDP_OCTETS_MAX: u16 = 1232;
/// The kernel's receive buffer by default: a burst of some ten thousand queries.
pub const RECEIVE_BUFFER_OCTETS: usize = 4 << 20;
/// The domain of a home network: RFC 8375.
pub const LOCAL_DOMAIN: &str = "home.arpa";

/// What may be written under `[dns]`.
pub const SECTION: Section = Section {
    name: "dns",
    help: "The name server: the zones it has authority for, and where it listens.",
    keys: &[
        Key {
            name: "listen",
            kind: Kind::Listen,
            default: Preset::Text("127.0.0.1:5300"),
            help: "Where queries are answered, over UDP and over TCP.",
        },
        Key {
            name: "listen_tls",
            kind: Kind::Listen,
            default: Preset::Text("127.0.0.1:8530"),
            help: "Where queries are answered over TLS (RFC 7858), with the certificate for the name asked.",
        },
        Key {
            name: "threads",
            kind: Kind::Integer { min: 0, max: 256, unit: "threads" },
            default: Preset::Integer(0),
            help: "Threads that answer UDP queries at each address; 0 takes one for each core.",
        },
        Key {
            name: "udp_max",
            kind: Kind::Integer { min: 512, max: 4096, unit: "octets" },
            default: Preset::Integer(UDP_OCTETS_MAX as i64),
            help: "Longest answer over UDP. A longer one is cut, and the client asks again over TCP.",
        },
        Key {
            name: "rcvbuf",
            kind: Kind::Size { min: 4096, max: 1 << 30 },
            default: Preset::Text("4MiB"),
            help: "Receive buffer of each UDP socket. The kernel may give less (net.core.rmem_max).",
        },
        Key {
            name: "cookies",
            kind: Kind::Bool,
            default: Preset::Bool(true),
            help: "Answer with cookies (RFC 7873), which show that a client is at its address.",
        },
        Key {
            name: "nsid",
            kind: Kind::Text,
            default: Preset::Unset,
            help: "A name for this server, told to clients that ask for it (RFC 5001): which of several answered.",
        },
        Key {
            name: "query_log",
            kind: Kind::Path,
            default: Preset::Unset,
            help: "A file to which a line is written for each query: time, client, question, code, octets, source.",
        },
        Key {
            name: "local_domain",
            kind: Kind::DomainName,
            default: Preset::Text(LOCAL_DOMAIN),
            help: "The domain of this network. While no zone is configured, a built-in one of this name is served.",
        },
        Key {
            name: "zone",
            kind: Kind::Tables(zones::ZONE_KEYS),
            default: Preset::List(&[]),
            help: "A zone that this server has authority for.",
        },
        Key {
            name: "host",
            kind: Kind::Tables(hosts::KEYS),
            default: Preset::List(&[]),
            help: "A name with addresses, such as that of a printer, without a zone file.",
        },
        Key {
            name: "key",
            kind: Kind::Tables(zones::KEY_KEYS),
            default: Preset::List(&[]),
            help: "A secret that is shared with another server, which signs transfers and updates (RFC 8945).",
        },
    ],
};

/// What may be written under `[dns.rrl]`.
pub const RATE_SECTION: Section = Section {
    name: "dns.rrl",
    help: "Response rate limiting: a forged sender's address is not flooded with answers.",
    keys: &[
        Key {
            name: "rate",
            kind: Kind::Integer { min: 0, max: 1_000_000, unit: "answers a second" },
            default: Preset::Integer(20),
            help: "Equal answers to one network (/24, /56) over UDP; 0 does not limit.",
        },
        Key {
            name: "slip",
            kind: Kind::Integer { min: 0, max: 100, unit: "answers" },
            default: Preset::Integer(2),
            help: "Beyond the rate, one answer in so many is sent cut, so that a real client asks over TCP; 0 sends none.",
        },
        Key {
            name: "exempt",
            kind: Kind::List(&Kind::Text),
            default: Preset::List(&["private"]),
            help: "Networks that are not limited; private stands for loopback, link-local and private networks.",
        },
    ],
};

/// How the name server is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Addresses to listen on, each over UDP and TCP.
    pub listen: Vec<Listen>,
    /// Addresses to listen on over TLS.
    pub listen_tls: Vec<Listen>,
    /// UDP threads at each address; 0 for one a core.
    pub threads: usize,
    /// Octets of a UDP response at most, 512 to 4096.
    pub udp_octets_max: u16,
    /// Kernel receive buffer of each UDP socket, in octets.
    pub receive_buffer_octets: usize,
    /// Whether server cookies are given.
    pub cookies: bool,
    /// A name for this server.
    pub nsid: Option<String>,
    /// The query log's file.
    pub query_log: Option<PathBuf>,
    /// The resolver, unless it is off.
    pub resolver: Option<Resolver>,
    /// Response rate limiting.
    pub rate: Rate,
    /// Who is not limited.
    pub rate_exempt: Access,
    /// The domain of this network; the built-in zone has this name.
    pub local_domain: String,
    /// The zones; when there is none, the built-in one is served.
    pub zones: Vec<ZoneConfig>,
    /// Single names.
    pub hosts: Vec<HostConfig>,
    /// Keys shared with other servers.
    pub keys: Vec<KeyConfig>,
    /// Zones that names of leases go into. Not of these tables: the program sets it. One that is not
    /// among `zones` is made.
    pub lease_zones: Vec<Name>,
    /// What is let in over TCP. Not of this table: the program sets it for all its listeners, and
    /// what DNS itself bounds more tightly stays as it is.
    pub limits: TcpLimits,
    /// Peers that name the client in a PROXY header over TCP; set by the program likewise.
    pub proxies: ProxySources,
}

impl Config {
    /// The configuration that the values of the tables stand for.
    ///
    /// # Errors
    /// The first value that is none.
    pub fn read(tables: &Tables<'_>) -> Result<Self, Wrong> {
        let Tables { dns: values, resolver, cache, rate } = tables;
        let rate_exempt = Access::read(rate.texts("exempt")).map_err(|value| Wrong {
            key: "dns.rrl.exempt",
            value: value.to_owned(),
            fix: "write a network such as \"192.168.0.0/16\", an address, or \"private\"",
        })?;
        let number = |key| u32::try_from(rate.count(key)).unwrap_or(u32::MAX);
        let zones: Vec<ZoneConfig> =
            values.tables("zone").iter().map(ZoneConfig::read).collect::<Result<_, _>>()?;
        let keys: Vec<KeyConfig> =
            values.tables("key").iter().map(KeyConfig::read).collect::<Result<_, _>>()?;
        zones::check_keys(&zones, &keys)?;
        let hosts = values.tables("host").iter().map(|host| HostConfig::read(host, &zones));
        let hosts: Vec<HostConfig> = hosts.collect::<Result<_, _>>()?;
        Ok(Self {
            listen: values.listen("listen").to_vec(),
            listen_tls: values.listen("listen_tls").to_vec(),
            cookies: values.bool("cookies"),
            nsid: values.optional("nsid", |values, key| values.text(key).to_owned()),
            query_log: values.optional("query_log", |values, key| values.path(key).to_owned()),
            resolver: Resolver::read(resolver, cache)?,
            rate: Rate { per_second: number("rate"), slip: number("slip") },
            rate_exempt,
            threads: values.count("threads"),
            udp_octets_max: u16::try_from(values.integer("udp_max")).unwrap_or(UDP_OCTETS_MAX),
            receive_buffer_octets: usize::try_from(values.size("rcvbuf")).unwrap_or(RECEIVE_BUFFER_OCTETS),
            local_domain: values.text("local_domain").to_owned(),
            zones,
            hosts,
            keys,
            lease_zones: Vec::new(),
            limits: TcpLimits::default(),
            proxies: ProxySources::default(),
        })
    }
}

impl Config {
    /// Every zone that something other than its file can change, or that anybody may transfer: the ones with
    /// settings of their own, and those that leases change.
    pub fn moving(&self) -> impl Iterator<Item = (Name, Option<&ZoneConfig>)> {
        let apex = |zone: &ZoneConfig| zone.name.parse::<Name>().ok();
        let own = self.zones.iter().filter_map(move |zone| Some((apex(zone)?, Some(zone))));
        let own = own.filter(|(apex, zone)| {
            zone.is_some_and(ZoneConfig::is_moving) || self.lease_zones.contains(apex)
        });
        let made = self
            .lease_zones
            .iter()
            .filter(move |lease| !self.zones.iter().any(|zone| apex(zone).as_ref() == Some(lease)));
        own.chain(made.map(|apex| (apex.clone(), None)))
    }
}

/// The tables of the config file that are ours.
#[derive(Debug, Clone, Copy)]
pub struct Tables<'v> {
    /// [`SECTION`].
    pub dns: &'v Values,
    /// [`resolver::SECTION`].
    pub resolver: &'v Values,
    /// [`resolver::CACHE_SECTION`].
    pub cache: &'v Values,
    /// [`RATE_SECTION`].
    pub rate: &'v Values,
}

impl Default for Config {
    fn default() -> Self {
        let [dns, resolver, cache, rate] = SECTIONS.map(|section| section.defaults());
        let tables = Tables { dns: &dns, resolver: &resolver, cache: &cache, rate: &rate };
        Self::read(&tables).unwrap_or_else(|wrong| unreachable!("a default does not fit: {wrong:?}"))
    }
}

/// Every table that is ours, in the order of [`Tables`].
pub const SECTIONS: [Section; 4] = [SECTION, resolver::SECTION, resolver::CACHE_SECTION, RATE_SECTION];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_listen_on_loopback_alone() {
        let config = Config::default();
        assert!(!config.listen.is_empty() && config.listen.iter().all(Listen::is_loopback));
        assert_eq!(
            (config.udp_octets_max, config.receive_buffer_octets),
            (UDP_OCTETS_MAX, RECEIVE_BUFFER_OCTETS)
        );
        assert_eq!((config.local_domain.as_str(), config.zones.len()), (LOCAL_DOMAIN, 0));
    }
}
