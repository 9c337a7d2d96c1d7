//! `[[http.cache]]`: a cache that routes and the forward proxy share by its name.

use std::time::Duration;

use doorway_base::config::{Cidr, Key, Kind, Preset, Section, Values};

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
        help: "Responses that are kept; each takes about 300 octets of memory, even if it lies on disk.",
    },
    Key {
        name: "host_octets_max",
        kind: Kind::Size { min: 0, max: 1 << 50 },
        default: Preset::Text("0"),
        help: "Octets that contents of one host may take in memory and on disk; 0 for no such bound.",
    },
    Key {
        name: "heuristic",
        kind: Kind::Percent,
        default: Preset::Unset,
        help: "The part of the time since Last-Modified for which a response that says nothing is taken to be \
               fresh. Unset, routes never guess, and the forward proxy takes 10, as the standard suggests.",
    },
    Key {
        name: "grace",
        kind: Kind::Duration { min: Duration::ZERO, max: Duration::from_secs(30 * 86_400) },
        default: Preset::Text("60s"),
        help: "How long after its time a response may still be used when the origin cannot be reached, unless \
               it says otherwise.",
    },
    Key {
        name: "request_directives",
        kind: Kind::Bool,
        default: Preset::Unset,
        help: "Whether clients decide with Cache-Control too, as by a reload that asks the origin. Unset, on the \
               forward proxy and not on routes.",
    },
    Key {
        name: "query",
        kind: Kind::Choice(&["keep", "sort", "drop"]),
        default: Preset::Text("keep"),
        help: "What the part of a URL behind its `?` means: all of it counts, its order does not, or none of it \
               does.",
    },
    Key {
        name: "query_ignored",
        kind: Kind::List(&Kind::Text),
        default: Preset::List(&[]),
        help: "Names in that part that do not count, such as \"utm_source\"; a final `*` stands for any rest.",
    },
    Key {
        name: "status",
        kind: Kind::Choice(&["off", "short", "full"]),
        default: Preset::Text("full"),
        help: "What Cache-Status tells clients: nothing, whether it was a hit, or also why and for how long.",
    },
    Key {
        name: "purge_from",
        kind: Kind::List(&Kind::Cidr),
        default: Preset::List(&[]),
        help: "Networks whose clients may remove a response with the method PURGE; others get 405.",
    },
];

/// What the part of a URL behind its `?` means for the name of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QueryRule {
    /// All of it counts, as it is written.
    #[default]
    Keep,
    /// All of it counts, in whatever order.
    Sort,
    /// None of it counts.
    Drop,
}

/// How much Cache-Status tells (RFC 9211).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StatusDetail {
    /// There is no such field.
    Off,
    /// Whether it was a hit.
    Short,
    /// Also why, and for how long.
    #[default]
    Full,
}

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
    /// The part of the time since Last-Modified that is taken to be fresh, in thousandths.
    pub heuristic_permille: Option<u32>,
    /// How long after its time a response may be used when the origin cannot be reached.
    pub grace: Duration,
    /// Whether Cache-Control of requests counts.
    pub request_directives: Option<bool>,
    /// What queries mean.
    pub query: QueryRule,
    /// Names in queries that do not count.
    pub query_ignored: Vec<String>,
    /// What Cache-Status tells.
    pub status: StatusDetail,
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
            heuristic_permille: values
                .optional("heuristic", Values::percent)
                .map(|percent| (percent * 10.0).round() as u32),
            grace: values.duration("grace"),
            request_directives: values.optional("request_directives", Values::bool),
            query: match values.text("query") {
                "sort" => QueryRule::Sort,
                "drop" => QueryRule::Drop,
                _ => QueryRule::Keep,
            },
            query_ignored: values.texts("query_ignored").into_iter().map(str::to_owned).collect(),
            status: match values.text("status") {
                "off" => StatusDetail::Off,
                "short" => StatusDetail::Short,
                _ => StatusDetail::Full,
            },
            purge_from: values.cidrs("purge_from"),
        }
    }

    /// A cache of which nothing but its name is written.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let section = Section { name: "http.cache", help: "", keys: CACHE_KEYS };
        Self { name: name.to_owned(), ..Self::read(&section.defaults()) }
    }
}
