//! The tables of the resolver: `[dns.resolver]`, `[dns.cache]`, `[[dns.resolver.forward]]` and its like.

use core::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use doorway_base::config::{Key, Kind, Preset, Section, Values};

use crate::cache;
use crate::front::access::Access;
use crate::resolver::config::{ForwardZone, Minimisation, Mode, StubZone, UPSTREAMS_MAX, Upstream};
use crate::resolver::{Config as Engine, Transport};
use crate::wire::Name;

/// The port of DNS over TLS: RFC 7858 §3.1.
pub const TLS_PORT: u16 = 853;
/// The port of DNS.
const PORT: u16 = 53;

/// What may be written under `[dns.resolver]`.
pub const SECTION: Section = Section {
    name: "dns.resolver",
    help: "Looks up names of the whole Internet for the clients of this network.",
    keys: &[
        Key {
            name: "mode",
            kind: Kind::Choice(&["iterative", "recursive", "off"]),
            default: Preset::Text("iterative"),
            help: "iterative asks from the root servers down. recursive asks the root servers to do it all, which \
                   only those of a teaching network do. off answers for the zones served here alone.",
        },
        Key {
            name: "allow",
            kind: Kind::List(&Kind::Text),
            default: Preset::List(&["private"]),
            help: "Networks whose clients may use the resolver; private stands for loopback, link-local and private \
                   networks. Others get REFUSED.",
        },
        Key {
            name: "root_hints",
            kind: Kind::Path,
            default: Preset::Unset,
            help: "A zone file with the names and addresses of the root servers, in place of the built-in ones.",
        },
        Key {
            name: "qname_minimisation",
            kind: Kind::Choice(&["relaxed", "strict", "off"]),
            default: Preset::Text("relaxed"),
            help: "Servers on the way see no more of a name than they must (RFC 9156). relaxed asks with the whole name \
                   when a server cannot cope.",
        },
        Key {
            name: "random_case",
            kind: Kind::Bool,
            default: Preset::Bool(true),
            help: "Letters of questions are sent in random case and compared with the answer, against forgers.",
        },
        Key {
            name: "prefetch",
            kind: Kind::Bool,
            default: Preset::Bool(true),
            help: "What is asked for often is looked up again shortly before its time is over.",
        },
        Key {
            name: "serve_stale",
            kind: Kind::Bool,
            default: Preset::Bool(true),
            help: "When no server answers, data whose time is over is given with a TTL of 30 s (RFC 8767).",
        },
        Key {
            name: "stale_after",
            kind: Kind::Duration { min: Duration::ZERO, max: Duration::from_secs(10) },
            default: Preset::Text("1800ms"),
            help: "How long a client waits before it is given old data.",
        },
        Key {
            name: "rebind_protection",
            kind: Kind::Bool,
            default: Preset::Bool(true),
            help: "Public names may not have private addresses.",
        },
        Key {
            name: "allow_private",
            kind: Kind::List(&Kind::DomainName),
            default: Preset::List(&[]),
            help: "Domains whose names may have private addresses all the same.",
        },
        Key {
            name: "ask_private",
            kind: Kind::Bool,
            default: Preset::Bool(false),
            help: "Name servers with loopback addresses are asked too. For networks within one machine.",
        },
        Key {
            name: "port",
            kind: Kind::Integer { min: 1, max: 65_535, unit: "" },
            default: Preset::Integer(PORT as i64),
            help: "The port at which name servers are asked. Another one is for networks within one machine.",
        },
        Key {
            name: "ipv6",
            kind: Kind::Choice(&["auto", "on", "off"]),
            default: Preset::Text("auto"),
            help: "Whether name servers are asked over IPv6; auto does where this machine has an IPv6 address.",
        },
        Key {
            name: "ports",
            kind: Kind::Integer { min: 16, max: 32_768, unit: "sockets" },
            default: Preset::Integer(4096),
            help: "Sockets that queries go out from at most, each with a random port.",
        },
        Key {
            name: "per_client",
            kind: Kind::Integer { min: 1, max: 100_000, unit: "questions" },
            default: Preset::Integer(1000),
            help: "Questions of one client that may be under way; more are dropped, and over TCP get SERVFAIL.",
        },
        Key {
            name: "in_all",
            kind: Kind::Integer { min: 1, max: 1_000_000, unit: "questions" },
            default: Preset::Integer(10_000),
            help: "Questions of all clients that may be under way.",
        },
        Key {
            name: "timeout",
            kind: Kind::Duration { min: Duration::from_secs(1), max: Duration::from_secs(60) },
            default: Preset::Text("8s"),
            help: "After this time a question that is still open gets SERVFAIL.",
        },
        Key {
            name: "tls_roots",
            kind: Kind::Path,
            default: Preset::Unset,
            help: "PEM file of the authorities that may vouch for servers asked over TLS, in place of the system's.",
        },
        Key {
            name: "forward",
            kind: Kind::Tables(FORWARD_KEYS),
            default: Preset::List(&[]),
            help: "Names that are sent to other resolvers.",
        },
        Key {
            name: "stub",
            kind: Kind::Tables(STUB_KEYS),
            default: Preset::List(&[]),
            help: "A zone whose name servers are known, whatever its parent says.",
        },
    ],
};

const FORWARD_KEYS: &[Key] = &[
    Key {
        name: "zone",
        kind: Kind::DomainName,
        default: Preset::Text("."),
        help: "The names at and below this one; `.` is every name.",
    },
    Key {
        name: "to",
        kind: Kind::List(&Kind::Text),
        default: Preset::Required,
        help: "The resolvers: an address, address:port, or tls://address#name for DNS over TLS with that name.",
    },
    Key {
        name: "fallback",
        kind: Kind::Bool,
        default: Preset::Bool(false),
        help: "Whether to ask from the root down when none of them answers.",
    },
];

const STUB_KEYS: &[Key] = &[
    Key { name: "zone", kind: Kind::DomainName, default: Preset::Required, help: "The zone." },
    Key {
        name: "to",
        kind: Kind::List(&Kind::Text),
        default: Preset::Required,
        help: "Its name servers: an address or address:port.",
    },
];

/// What may be written under `[dns.cache]`.
pub const CACHE_SECTION: Section = Section {
    name: "dns.cache",
    help: "What the resolver remembers, and for how long.",
    keys: &[
        Key {
            name: "size",
            kind: Kind::Size { min: 1 << 20, max: 1 << 40 },
            default: Preset::Text("64MiB"),
            help: "Memory for records, and half as much again for ready-made answers.",
        },
        Key {
            name: "min_ttl",
            kind: Kind::Duration { min: Duration::ZERO, max: Duration::from_secs(3600) },
            default: Preset::Text("0s"),
            help: "Shortest time that anything is kept, whatever its TTL says.",
        },
        Key {
            name: "max_ttl",
            kind: Kind::Duration { min: Duration::from_secs(1), max: Duration::from_secs(7 * 86_400) },
            default: Preset::Text("1d"),
            help: "Longest time that anything is kept.",
        },
        Key {
            name: "negative_max_ttl",
            kind: Kind::Duration { min: Duration::ZERO, max: Duration::from_secs(86_400) },
            default: Preset::Text("1h"),
            help: "Longest time that the lack of a name or of records is kept (RFC 2308).",
        },
        Key {
            name: "stale_max",
            kind: Kind::Duration { min: Duration::ZERO, max: Duration::from_secs(7 * 86_400) },
            default: Preset::Text("3d"),
            help: "How long records are kept after their time, for use when no server answers.",
        },
        Key {
            name: "persist",
            kind: Kind::Bool,
            default: Preset::Bool(false),
            help: "Keep the cache over a restart.",
        },
    ],
};

/// How recursion is set up.
#[derive(Debug, Clone)]
pub struct Resolver {
    /// For whom there is recursion.
    pub allow: Access,
    /// The engine's settings, without the root hints of a file.
    pub engine: Engine,
    /// A zone file with root hints.
    pub root_hints: Option<PathBuf>,
    /// Whether IPv6 is used only where this machine has it.
    pub ipv6_auto: bool,
    /// Sockets of each family.
    pub ports: usize,
    /// Questions of one client under way at most.
    pub per_client: u32,
    /// Questions under way at most.
    pub in_all: u32,
    /// Authorities for servers asked over TLS.
    pub tls_roots: Option<PathBuf>,
    /// What everything was read from, to see whether it has changed.
    written: (Values, Values),
    /// The cache's bounds.
    pub cache: cache::Limits,
    /// Whether the cache is kept over a restart.
    pub persist: bool,
}

impl PartialEq for Resolver {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Resolver {}

/// A value that its key's kind lets through and that is wrong all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The key, with its table.
    pub key: &'static str,
    /// What stands there.
    pub value: String,
    /// What to write instead.
    pub fix: &'static str,
}

impl Resolver {
    /// What the values of [`SECTION`] and [`CACHE_SECTION`] stand for; `None` when the resolver is off.
    ///
    /// # Errors
    /// The first value that is none.
    pub fn read(values: &Values, cache: &Values) -> Result<Option<Self>, Wrong> {
        let mode = match values.text("mode") {
            "off" => return Ok(None),
            "recursive" => Mode::Recursive,
            _ => Mode::Iterative,
        };
        let allow = Access::read(values.texts("allow")).map_err(|value| Wrong {
            key: "dns.resolver.allow",
            value: value.to_owned(),
            fix: "write a network such as \"192.168.0.0/16\", an address, or \"private\"",
        })?;
        let mut engine = Engine {
            mode,
            minimisation: match values.text("qname_minimisation") {
                "strict" => Minimisation::Strict,
                "off" => Minimisation::Off,
                _ => Minimisation::Relaxed,
            },
            random_case: values.bool("random_case"),
            prefetch: values.bool("prefetch"),
            serve_stale: values.bool("serve_stale"),
            stale_client_timeout: values.duration("stale_after"),
            rebinding_protection: values.bool("rebind_protection"),
            rebinding_allowed: names(values.texts("allow_private")),
            server_port: u16::try_from(values.integer("port")).unwrap_or(PORT),
            ipv6: values.text("ipv6") != "off",
            wall: values.duration("timeout"),
            jobs_max: values.count("in_all"),
            ..Engine::default()
        };
        if values.bool("ask_private") {
            engine.do_not_query.clear();
        }
        for forward in values.tables("forward") {
            engine.forward_zones.push(ForwardZone {
                zone: name(forward.text("zone")),
                servers: upstreams(forward.texts("to"), "dns.resolver.forward.to", true)?,
                server_names: Vec::new(),
                first: forward.bool("fallback"),
                cached: true,
            });
        }
        for stub in values.tables("stub") {
            engine.stub_zones.push(StubZone {
                zone: name(stub.text("zone")),
                servers: upstreams(stub.texts("to"), "dns.resolver.stub.to", false)?,
                server_names: Vec::new(),
                prime: false,
                first: false,
            });
        }
        let limits = cache::Limits {
            octets_max: usize::try_from(cache.size("size")).unwrap_or(usize::MAX),
            ttl_min: cache.duration("min_ttl"),
            ttl_max: cache.duration("max_ttl"),
            negative_ttl_max: cache.duration("negative_max_ttl"),
            stale_max: cache.duration("stale_max"),
            ..cache::Limits::default()
        };
        Ok(Some(Self {
            allow,
            engine,
            root_hints: values.optional("root_hints", |values, key| values.path(key).to_owned()),
            ipv6_auto: values.text("ipv6") == "auto",
            ports: values.count("ports"),
            per_client: u32::try_from(values.count("per_client")).unwrap_or(u32::MAX),
            in_all: u32::try_from(values.count("in_all")).unwrap_or(u32::MAX),
            tls_roots: values.optional("tls_roots", |values, key| values.path(key).to_owned()),
            written: (values.clone(), cache.clone()),
            cache: limits,
            persist: cache.bool("persist"),
        }))
    }
}

// The config reader lets only names through.
fn name(text: &str) -> Name {
    text.parse().unwrap_or_else(|_| Name::root())
}

fn names(texts: Vec<&str>) -> Vec<Name> {
    texts.into_iter().map(name).collect()
}

fn upstreams(texts: Vec<&str>, key: &'static str, tls: bool) -> Result<Vec<Upstream>, Wrong> {
    let fix = if tls {
        "write \"192.0.2.1\", \"192.0.2.1:5353\" or \"tls://192.0.2.1#dns.example\""
    } else {
        "write \"192.0.2.1\" or \"192.0.2.1:5353\""
    };
    let wrong = |value: &str| Wrong { key, value: value.to_owned(), fix };
    if texts.is_empty() || texts.len() > UPSTREAMS_MAX {
        return Err(Wrong { key, value: format!("{} servers", texts.len()), fix: "write 1 to 16 servers" });
    }
    texts.into_iter().map(|text| upstream(text, tls).ok_or_else(|| wrong(text))).collect()
}

fn upstream(text: &str, tls: bool) -> Option<Upstream> {
    let Some(rest) = text.strip_prefix("tls://") else {
        let address = address(text.strip_prefix("udp://").unwrap_or(text), PORT)?;
        return Some(Upstream { address, transport: Transport::Udp });
    };
    let (place, name) = match rest.split_once('#') {
        Some((place, name)) => (place, Some(name)),
        None => (rest, None),
    };
    let fits = tls && name.is_none_or(|name| Name::from_str(name).is_ok());
    let transport = Transport::Tls { name: name.map(Into::into) };
    fits.then_some(Upstream { address: address(place, TLS_PORT)?, transport })
}

fn address(text: &str, port: u16) -> Option<SocketAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    text.parse().ok().or_else(|| Some(SocketAddr::new(bare.parse::<IpAddr>().ok()?, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_resolve_for_private_networks_alone() {
        let read = Resolver::read(&SECTION.defaults(), &CACHE_SECTION.defaults()).unwrap().unwrap();
        assert!(read.allow.allows("127.0.0.1".parse().unwrap()));
        assert!(!read.allow.allows("203.0.113.1".parse().unwrap()));
        assert_eq!((read.ports, read.engine.server_port), (4096, 53));
    }

    #[test]
    fn servers_are_written_as_people_write_them() {
        for (text, address, tls) in [
            ("192.0.2.1", "192.0.2.1:53", None),
            ("192.0.2.1:5353", "192.0.2.1:5353", None),
            ("2001:db8::1", "[2001:db8::1]:53", None),
            ("[2001:db8::1]:54", "[2001:db8::1]:54", None),
            ("tls://192.0.2.1", "192.0.2.1:853", Some(None)),
            ("tls://[2001:db8::1]:8853#ns.example", "[2001:db8::1]:8853", Some(Some("ns.example"))),
        ] {
            let read = upstream(text, true).unwrap();
            assert_eq!(read.address, address.parse().unwrap(), "{text}");
            let transport = tls.map_or(Transport::Udp, |name| Transport::Tls { name: name.map(Into::into) });
            assert_eq!(read.transport, transport, "{text}");
        }
        for text in ["", "ns.example", "192.0.2.1:", "tls://", "tls://192.0.2.1#a..b", "https://192.0.2.1"] {
            assert_eq!(upstream(text, true), None, "{text}");
        }
        assert_eq!(upstream("tls://192.0.2.1", false), None, "a stub zone is asked in the clear");
    }
}
