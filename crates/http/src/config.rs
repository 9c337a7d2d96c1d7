//! The `[http]` table; [`site`] has `[[http.site]]`, [`route`] its routes, [`upstream`] `[[http.upstream]]`,
//! [`cache`] `[[http.cache]]`, [`check`] what of them cannot be true together. Bounds on who is let in are the
//! same for every service and not here.

pub mod cache;
pub mod check;
pub mod forward;
pub mod route;
pub mod site;
pub mod upstream;

use std::path::PathBuf;
use std::time::Duration;

use doorway_base::config::{Key, Kind, Listen, Preset, Section, Values};

use crate::access_log::LogFormat;
use crate::connection::Limits;
use crate::h2;
use crate::wire::head::{FIELDS_MAX, HEAD_OCTETS_MAX, HeadLimits};

pub use cache::{CacheConfig, QueryRule, StatusDetail};
pub use forward::{ForwardConfig, ParentConfig};
pub use route::{CorsConfig, ProxyConfig, RouteConfig, RouteDoes};
pub use site::{SiteConfig, Symlinks};
pub use upstream::{HealthConfig, UpstreamConfig};

/// The port that the standard gives HTTP (RFC 9110 §4.2.1).
pub const PORT: u16 = 80;

/// `[http]`
pub const SECTION: Section = Section {
    name: "http",
    help: "Serves a folder over HTTP/1.1.",
    keys: &[
        Key {
            name: "listen",
            kind: Kind::Listen,
            default: Preset::Text("127.0.0.1:8080"),
            help: "Where to listen without encryption.",
        },
        Key {
            name: "listen_tls",
            kind: Kind::Listen,
            default: Preset::Text("127.0.0.1:8443"),
            help: "Where to listen with TLS.",
        },
        Key {
            name: "root",
            kind: Kind::Path,
            default: Preset::Unset,
            help: "The folder to serve. Without one, a small built-in page is shown.",
        },
        Key {
            name: "keepalive",
            kind: Kind::Duration { min: Duration::ZERO, max: Duration::from_secs(3600) },
            default: Preset::Text("60s"),
            help: "How long a connection without a request is kept; 0s closes after each response.",
        },
        Key {
            name: "keepalive_requests_max",
            kind: Kind::Integer { min: 1, max: u32::MAX as i64, unit: "requests" },
            default: Preset::Integer(10_000),
            help: "Requests on one connection before it is closed.",
        },
        Key {
            name: "request_line_octets_max",
            kind: Kind::Size { min: 256, max: HEAD_OCTETS_MAX as u64 },
            default: Preset::Text("16KiB"),
            help: "Longest request line; a longer one gets 414.",
        },
        Key {
            name: "field_octets_max",
            kind: Kind::Size { min: 256, max: HEAD_OCTETS_MAX as u64 },
            default: Preset::Text("16KiB"),
            help: "Longest field line of a request; a longer one gets 431.",
        },
        Key {
            name: "head_octets_max",
            kind: Kind::Size { min: 1024, max: HEAD_OCTETS_MAX as u64 },
            default: Preset::Integer(HEAD_OCTETS_MAX as i64),
            help: "Longest request head, all fields together; a longer one gets 431.",
        },
        Key {
            name: "fields_max",
            kind: Kind::Integer { min: 8, max: FIELDS_MAX as i64, unit: "fields" },
            default: Preset::Integer(FIELDS_MAX as i64),
            help: "Most fields of one request; more get 431.",
        },
        Key {
            name: "http2",
            kind: Kind::Bool,
            default: Preset::Bool(true),
            help: "Whether HTTP/2 is offered: over TLS to everyone, without TLS to this machine alone.",
        },
        Key {
            name: "h2c",
            kind: Kind::Bool,
            default: Preset::Bool(false),
            help: "Whether everyone may speak HTTP/2 without TLS, by prior knowledge.",
        },
        Key {
            name: "http2_streams_max",
            kind: Kind::Integer { min: 1, max: 1024, unit: "streams" },
            default: Preset::Integer(128),
            help: "Requests that one HTTP/2 connection may have under way at a time.",
        },
        Key {
            name: "head_timeout",
            kind: Kind::Duration { min: Duration::from_secs(1), max: Duration::from_secs(600) },
            default: Preset::Text("10s"),
            help: "How long a request head may take to arrive; a slower one gets 408.",
        },
        Key {
            name: "body_octets_max",
            kind: Kind::Size { min: 0, max: 1 << 40 },
            default: Preset::Text("100MiB"),
            help: "Longest request body; a longer one gets 413.",
        },
        Key {
            name: "trace",
            kind: Kind::Bool,
            default: Preset::Bool(false),
            help: "Whether TRACE sends a request back, without its cookies and logins; else it gets 405.",
        },
        Key {
            name: "cache_octets_max",
            kind: Kind::Size { min: 0, max: 1 << 36 },
            default: Preset::Text("32MiB"),
            help: "Memory in which each worker keeps files ready to send: half for small ones, half for those up to 4MiB.",
        },
        Key {
            name: "server_name",
            kind: Kind::Text,
            default: Preset::Text("Doorway"),
            help: "Value of the Server field in responses; empty to leave it out.",
        },
        Key {
            name: "access_log",
            kind: Kind::Path,
            default: Preset::Unset,
            help: "File that gets a line for each response; unset for none. It is opened anew at each reload, so \
                   that it can be moved away.",
        },
        Key {
            name: "access_log_format",
            kind: Kind::Choice(&["common", "combined", "json"]),
            default: Preset::Text("combined"),
            help: "The form of its lines: Common Log Format, the same with Referer and User-Agent, or JSON.",
        },
        Key {
            name: "site",
            kind: Kind::Tables(site::SITE_KEYS),
            default: Preset::List(&[]),
            help: "What is served under a name of its own.",
        },
        Key {
            name: "upstream",
            kind: Kind::Tables(upstream::UPSTREAM_KEYS),
            default: Preset::List(&[]),
            help: "Servers that routes hand requests on to.",
        },
        Key {
            name: "cache",
            kind: Kind::Tables(cache::CACHE_KEYS),
            default: Preset::List(&[]),
            help: "A cache for what other servers answer.",
        },
    ],
};

/// The file with a line for each response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    /// The file.
    pub path: PathBuf,
    /// The form of its lines.
    pub format: LogFormat,
}

/// What the operator says about the HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where to listen without encryption.
    pub listen: Vec<Listen>,
    /// Where to listen with TLS.
    pub listen_tls: Vec<Listen>,
    /// The folder to serve; without one, a small built-in page.
    pub root: Option<PathBuf>,
    /// How long an idle connection is kept; zero closes after each response.
    pub keepalive: Duration,
    /// Requests on one connection before it closes.
    pub keepalive_requests_max: u32,
    /// Longest request line in octets.
    pub request_line_octets_max: usize,
    /// Longest field line in octets.
    pub field_octets_max: usize,
    /// Longest request head in octets, at most 65535.
    pub head_octets_max: usize,
    /// Most fields in a request head, at most 128.
    pub fields_max: usize,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
    /// Whether everyone may speak HTTP/2 without TLS.
    pub h2c: bool,
    /// Requests that one HTTP/2 connection may have under way at a time.
    pub http2_streams_max: u32,
    /// How long a request head may take.
    pub head_timeout: Duration,
    /// Longest request body in octets.
    pub body_octets_max: u64,
    /// Whether TRACE sends a request back.
    pub trace: bool,
    /// Octets of small files that each worker keeps ready to send.
    pub cache_octets_max: usize,
    /// Value of the Server field; empty for none.
    pub server_name: String,
    /// Where a line for each response goes.
    pub access_log: Option<AccessLog>,
    /// What is served under names of its own.
    pub sites: Vec<SiteConfig>,
    /// Servers that routes hand requests on to.
    pub upstreams: Vec<UpstreamConfig>,
    /// Caches for what other servers answer.
    pub caches: Vec<CacheConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self::read(&SECTION.defaults())
    }
}

impl Config {
    /// The values of the table.
    #[must_use]
    pub fn read(values: &Values) -> Self {
        let size = |name| usize::try_from(values.size(name)).unwrap_or(usize::MAX);
        let count = |name| u32::try_from(values.count(name)).unwrap_or(u32::MAX);
        Self {
            listen: values.listen("listen").to_vec(),
            listen_tls: values.listen("listen_tls").to_vec(),
            root: values.optional("root", Values::path).map(PathBuf::from),
            keepalive: values.duration("keepalive"),
            keepalive_requests_max: count("keepalive_requests_max"),
            request_line_octets_max: size("request_line_octets_max"),
            field_octets_max: size("field_octets_max"),
            head_octets_max: size("head_octets_max"),
            fields_max: values.count("fields_max"),
            http2: values.bool("http2"),
            h2c: values.bool("h2c"),
            http2_streams_max: count("http2_streams_max"),
            head_timeout: values.duration("head_timeout"),
            body_octets_max: values.size("body_octets_max"),
            trace: values.bool("trace"),
            cache_octets_max: size("cache_octets_max"),
            server_name: values.text("server_name").to_owned(),
            access_log: values.optional("access_log", Values::path).map(|path| AccessLog {
                path: path.to_owned(),
                format: match values.text("access_log_format") {
                    "common" => LogFormat::Common,
                    "json" => LogFormat::Json,
                    _ => LogFormat::Combined,
                },
            }),
            sites: values.tables("site").iter().map(SiteConfig::read).collect(),
            upstreams: values
                .tables("upstream")
                .iter()
                .filter(|upstream| upstream.is_complete())
                .map(UpstreamConfig::read)
                .collect(),
            caches: values
                .tables("cache")
                .iter()
                .filter(|cache| cache.is_complete())
                .map(CacheConfig::read)
                .collect(),
        }
    }

    /// The bounds of each connection that speaks HTTP/2.
    #[must_use]
    pub fn h2_limits(&self) -> h2::Limits {
        h2::Limits { http: self.limits(), streams: self.http2_streams_max }
    }

    /// The bounds of each connection.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            head: HeadLimits {
                request_line_octets: self.request_line_octets_max,
                field_octets: self.field_octets_max,
                head_octets: self.head_octets_max,
                fields: self.fields_max,
            },
            head_time: self.head_timeout,
            body_octets: self.body_octets_max,
            idle_time: self.keepalive,
            requests: if self.keepalive.is_zero() { 1 } else { self.keepalive_requests_max },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_a_connection() {
        assert_eq!(Config::default().limits(), Limits::default());
        assert_eq!(Config::default().h2_limits(), h2::Limits::default());
    }

    #[test]
    fn no_keepalive_means_one_request_a_connection() {
        let config = Config { keepalive: Duration::ZERO, ..Config::default() };
        assert_eq!(config.limits().requests, 1);
    }
}
