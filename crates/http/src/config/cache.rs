//! `[[http.cache]]`: a cache that routes and the forward proxy share by its name.

use std::time::Duration;

use doorway_base::config::{Cidr, Key, Kind, Preset, Section, Values};

use crate::cache::{Policy, QueryRule};

/// The keys of one `[[http.cache]]`.
pub(super) const CACHE_KEYS: &[Key] = &[
    Key {
        name: "name",
        kind: Kind::Text,
        default: Preset::Required,
        help: "Its name, by which routes say `cache = \"web\"`; also that of its folder below the data folder.",
    },
    Key {
        name: "memory_octets_max",
        kind: Kind::Size { min: 1 << 20, max: 1 << 40 },
        default: Preset::Text("256MiB"),
        help: "Memory for contents, those that are arriving among them.",
    },
    Key {
        name: "disk_octets_max",
        kind: Kind::Size { min: 0, max: 1 << 50 },
        default: Preset::Text("0"),
        help: "Disk for contents, at least 256MiB; 0 for a cache in memory alone, which is empty after a restart.",
    },
    Key {
        name: "object_octets_max",
        kind: Kind::Size { min: 1024, max: 1 << 40 },
        default: Preset::Text("1GiB"),
        help: "Longest content that is kept. One of over an eighth of the memory is kept on disk alone, if at all.",
    },
    Key {
        name: "objects_max",
        kind: Kind::Integer { min: 1024, max: 1 << 28, unit: "objects" },
        default: Preset::Integer(4_000_000),
        help: "Responses that are kept; each takes about 100 octets of memory, even if it lies on disk.",
    },
    Key {
        name: "host_octets_max",
        kind: Kind::Size { min: 0, max: 1 << 50 },
        default: Preset::Text("0"),
        help: "Octets that contents of one host may take in memory and on disk; 0 for no such bound.",
    },
    Key {
        name: "heuristic",
        kind: Kind::Integer { min: 0, max: 100, unit: "percent" },
        default: Preset::Unset,
        help: "The part of the time since Last-Modified for which a response that says nothing is taken to be \
               fresh. Unset, routes never guess (0), and the forward proxy takes 10, as the standard suggests.",
    },
    Key {
        name: "grace",
        kind: Kind::Duration { min: Duration::ZERO, max: Duration::from_secs(30 * 86_400) },
        default: Preset::Text("60s"),
        help: "How long after its time a response may still be used, while it is validated or when the origin \
               cannot be reached, unless it says otherwise.",
    },
    Key {
        name: "request_directives",
        kind: Kind::Bool,
        default: Preset::Unset,
        help: "Whether clients decide with Cache-Control too, such as by a reload that asks the origin. Unset, \
               not on routes, and on the forward proxy.",
    },
    Key {
        name: "query",
        kind: Kind::Choice(&["keep", "sort", "ignore"]),
        default: Preset::Text("keep"),
        help: "What the part of a URL behind its `?` means: all of it counts, its order does not, or none of it \
               does.",
    },
    Key {
        name: "query_dropped",
        kind: Kind::List(&Kind::Text),
        default: Preset::List(&[]),
        help: "Parameters in that part that do not count, such as \"utm_source\".",
    },
    Key {
        name: "status",
        kind: Kind::Choice(&["short", "full"]),
        default: Preset::Text("short"),
        help: "What Cache-Status tells clients: whether it was a hit and for how long, or also the key and why.",
    },
    Key {
        name: "purge_from",
        kind: Kind::List(&Kind::Cidr),
        default: Preset::List(&[]),
        help: "Networks whose clients may remove a response with the method PURGE; others get 405.",
    },
];

/// What the operator says about one cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheConfig {
    /// Its name.
    pub name: String,
    /// Memory for contents, in octets.
    pub memory_octets_max: u64,
    /// Disk for contents, in octets; 0 for none.
    pub disk_octets_max: u64,
    /// Longest content that is kept, in octets.
    pub object_octets_max: u64,
    /// Responses that are kept.
    pub objects_max: u64,
    /// Octets of one host; 0 for no bound.
    pub host_octets_max: u64,
    /// Percent of the time since Last-Modified that is taken to be fresh.
    pub heuristic_percent: Option<u32>,
    /// How long after its time a response may be used when the origin cannot be reached.
    pub grace: Duration,
    /// Whether Cache-Control of requests counts.
    pub request_directives: Option<bool>,
    /// How much of a query belongs to the key.
    pub query: QueryRule,
    /// Whether Cache-Status tells the key and why.
    pub detail: bool,
    /// Networks whose clients may purge.
    pub purge_from: Vec<Cidr>,
}

impl CacheConfig {
    /// The values of one table.
    #[must_use]
    pub fn read(values: &Values) -> Self {
        let count = |name| u64::try_from(values.integer(name)).unwrap_or(0);
        Self {
            name: values.optional("name", Values::text).unwrap_or_default().to_owned(),
            memory_octets_max: values.size("memory_octets_max"),
            disk_octets_max: values.size("disk_octets_max"),
            object_octets_max: values.size("object_octets_max"),
            objects_max: count("objects_max"),
            host_octets_max: values.size("host_octets_max"),
            heuristic_percent: values
                .optional("heuristic", Values::integer)
                .and_then(|percent| u32::try_from(percent).ok()),
            grace: values.duration("grace"),
            request_directives: values.optional("request_directives", Values::bool),
            query: match (values.text("query"), values.texts("query_dropped")) {
                ("sort", _) => QueryRule::Sort,
                ("ignore", _) => QueryRule::Ignore,
                (_, dropped) if dropped.is_empty() => QueryRule::Keep,
                (_, dropped) => QueryRule::Drop(dropped.into_iter().map(str::to_owned).collect()),
            },
            detail: values.text("status") == "full",
            purge_from: values.cidrs("purge_from"),
        }
    }

    /// How routes use it, and the forward proxy.
    #[must_use]
    pub fn policy(&self, forward: bool) -> Policy {
        let usual = if forward { Policy::forward() } else { Policy::default() };
        Policy {
            heuristic_percent: self.heuristic_percent.unwrap_or(usual.heuristic_percent),
            obeys_clients: self.request_directives.unwrap_or(usual.obeys_clients),
            grace: self.grace,
            detail: self.detail,
            query: self.query.clone(),
            ..usual
        }
    }

    /// A cache of which nothing but its name is written.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let section = Section { name: "http.cache", help: "", keys: CACHE_KEYS };
        Self { name: name.to_owned(), ..Self::read(&section.defaults()) }
    }
}
