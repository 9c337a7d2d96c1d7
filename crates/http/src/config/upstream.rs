//! `[[http.upstream]]`: servers that requests are handed on to, and by what rules.

use std::path::PathBuf;
use std::time::Duration;

use doorway_base::config::{Cidr, Key, Kind, Preset, Section, Values};

use crate::proxy::balance::Balance;
use crate::proxy::health::Thresholds;

const fn span(min_seconds: u64, max_seconds: u64) -> Kind {
    Kind::Duration { min: Duration::from_secs(min_seconds), max: Duration::from_secs(max_seconds) }
}

/// The keys of one `[[http.upstream]]`.
pub(super) const UPSTREAM_KEYS: &[Key] = &[
    Key {
        name: "name",
        kind: Kind::Text,
        default: Preset::Required,
        help: "The name by which routes know it.",
    },
    Key {
        name: "servers",
        kind: Kind::List(&Kind::Text),
        default: Preset::Required,
        help: "Its servers: \"http://host:port\", \"https://host\", \"h2c://host:port\" for HTTP/2 without TLS, or \
               \"unix:/path\"; behind it \"weight=3\" for a larger share, \"backup\" for one that is asked when no \
               other can be.",
    },
    Key {
        name: "balance",
        kind: Kind::Choice(&Balance::WORDS),
        default: Preset::Text("round-robin"),
        help: "Which server is asked: each in turn, the one with least to do, the better of two that are drawn, or \
               always the same one for a client's address or for a URL.",
    },
    Key {
        name: "host",
        kind: Kind::Choice(&["keep", "upstream"]),
        default: Preset::Text("keep"),
        help: "Which host a server is asked for: the one that the client asked for, or its own.",
    },
    Key {
        name: "trusted",
        kind: Kind::List(&Kind::Cidr),
        default: Preset::List(&[]),
        help: "Proxies in front of this one whose word about the client is handed on in Forwarded and \
               X-Forwarded-For; from everybody else these fields are thrown away.",
    },
    Key {
        name: "health_path",
        kind: Kind::Text,
        default: Preset::Unset,
        help: "Path that each server is asked for every so often; one that does not answer with 2xx or 3xx gets no \
               requests. Unset for no checks.",
    },
    Key { name: "health_interval", kind: span(1, 3600), default: Preset::Text("10s"), help: "How often." },
    Key {
        name: "health_timeout",
        kind: span(1, 600),
        default: Preset::Text("5s"),
        help: "How long a check may take.",
    },
    Key {
        name: "health_rise",
        kind: Kind::Integer { min: 1, max: 100, unit: "checks" },
        default: Preset::Integer(2),
        help: "Good checks in a row after which a server gets requests again.",
    },
    Key {
        name: "health_fall",
        kind: Kind::Integer { min: 1, max: 100, unit: "checks" },
        default: Preset::Integer(3),
        help: "Bad checks in a row after which it gets none.",
    },
    Key {
        name: "slow_start",
        kind: span(0, 3600),
        default: Preset::Text("0s"),
        help: "Time in which the share of a server that came back grows to its whole.",
    },
    Key {
        name: "failures_max",
        kind: Kind::Integer { min: 0, max: 1000, unit: "failures" },
        default: Preset::Integer(5),
        help: "Requests that come to nothing within ten seconds, after which a server is left alone for a second, or \
               longer if that does not help; 0 for never.",
    },
    Key {
        name: "retries",
        kind: Kind::Integer { min: 0, max: 10, unit: "tries" },
        default: Preset::Integer(2),
        help: "How often a request that came to nothing is sent to another server, where that does no harm.",
    },
    Key {
        name: "retry_within",
        kind: span(0, 600),
        default: Preset::Text("30s"),
        help: "How long after its first try.",
    },
    Key {
        name: "connect_timeout",
        kind: span(1, 600),
        default: Preset::Text("5s"),
        help: "How long a connection may take, with the look-up of the name and TLS; then 504.",
    },
    Key {
        name: "response_timeout",
        kind: span(1, 86_400),
        default: Preset::Text("60s"),
        help: "How long a response may be waited for once the request is out; then 504.",
    },
    Key {
        name: "body_timeout",
        kind: span(1, 86_400),
        default: Preset::Text("60s"),
        help: "How long each further piece of a response may be waited for.",
    },
    Key {
        name: "tunnel_timeout",
        kind: span(1, 86_400),
        default: Preset::Text("10m"),
        help: "How long a WebSocket or another tunnel may be silent in both directions.",
    },
    Key {
        name: "connections_max",
        kind: Kind::Integer { min: 1, max: 1_000_000, unit: "requests" },
        default: Preset::Integer(10_000),
        help: "Requests under way at one server; when all have so many: 503.",
    },
    Key {
        name: "idle_max",
        kind: Kind::Integer { min: 0, max: 100_000, unit: "connections" },
        default: Preset::Integer(64),
        help: "Connections to one server that are kept for further requests.",
    },
    Key {
        name: "idle_timeout",
        kind: span(0, 3600),
        default: Preset::Text("30s"),
        help: "How long each of them is kept.",
    },
    Key {
        name: "tls_ca",
        kind: Kind::Path,
        default: Preset::Unset,
        help: "The authorities that vouch for `https` servers, in PEM; unset for those that the system trusts.",
    },
    Key {
        name: "tls_name",
        kind: Kind::Text,
        default: Preset::Unset,
        help: "The name that their certificates are for, where that is not the host in their address.",
    },
];

/// What the operator says about one upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// The name by which routes know it; for servers that stand in a route, their addresses.
    pub name: String,
    /// Its servers as they are written.
    pub servers: Vec<String>,
    /// Which of them is asked.
    pub balance: Balance,
    /// Whether a server is asked for the host that the client asked for, and not for its own.
    pub keeps_host: bool,
    /// Proxies whose word about the client is handed on.
    pub trusted: Vec<Cidr>,
    /// How servers are checked; `None` for not at all.
    pub health: Option<HealthConfig>,
    /// Time in which the share of a server that came back grows.
    pub slow_start: Duration,
    /// Failures in a short while after which a server is left alone; 0 for never.
    pub failures_max: u32,
    /// How often a request is sent again.
    pub retries: u32,
    /// How long after its first try.
    pub retry_within: Duration,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long a response may be waited for.
    pub response_timeout: Duration,
    /// How long each further piece of it.
    pub body_timeout: Duration,
    /// How long a tunnel may be silent.
    pub tunnel_timeout: Duration,
    /// Requests under way at one server.
    pub connections_max: u32,
    /// Connections to one server that are kept.
    pub idle_max: usize,
    /// How long each of them.
    pub idle_timeout: Duration,
    /// The authorities that vouch for servers.
    pub tls_ca: Option<PathBuf>,
    /// The name that their certificates are for.
    pub tls_name: Option<String>,
}

/// How servers are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthConfig {
    /// What they are asked for.
    pub path: String,
    /// How often.
    pub interval: Duration,
    /// How long a check may take.
    pub timeout: Duration,
    /// When the verdict changes.
    pub thresholds: Thresholds,
}

impl UpstreamConfig {
    /// The values of one table.
    #[must_use]
    pub fn read(values: &Values) -> Self {
        let count = |name| u32::try_from(values.count(name)).unwrap_or(u32::MAX);
        let text = |name: &str| values.optional(name, Values::text).map(str::to_owned);
        Self {
            name: text("name").unwrap_or_default(),
            servers: match values.value("servers") {
                Some(_) => values.texts("servers").into_iter().map(str::to_owned).collect(),
                None => Vec::new(),
            },
            balance: Balance::named(values.text("balance")),
            keeps_host: values.text("host") == "keep",
            trusted: values.cidrs("trusted"),
            health: text("health_path").map(|path| HealthConfig {
                path,
                interval: values.duration("health_interval"),
                timeout: values.duration("health_timeout"),
                thresholds: Thresholds { rise: count("health_rise"), fall: count("health_fall") },
            }),
            slow_start: values.duration("slow_start"),
            failures_max: count("failures_max"),
            retries: count("retries"),
            retry_within: values.duration("retry_within"),
            connect_timeout: values.duration("connect_timeout"),
            response_timeout: values.duration("response_timeout"),
            body_timeout: values.duration("body_timeout"),
            tunnel_timeout: values.duration("tunnel_timeout"),
            connections_max: count("connections_max"),
            idle_max: values.count("idle_max"),
            idle_timeout: values.duration("idle_timeout"),
            tls_ca: values.optional("tls_ca", doorway_base::config::Values::path).map(PathBuf::from),
            tls_name: text("tls_name"),
        }
    }

    /// Servers that stand in a route: everything else is as it is by default.
    #[must_use]
    pub fn plain(servers: &[String]) -> Self {
        let section = Section { name: "http.upstream", help: "", keys: UPSTREAM_KEYS };
        Self { name: servers.join(", "), servers: servers.to_vec(), ..Self::read(&section.defaults()) }
    }
}
