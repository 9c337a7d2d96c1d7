//! What an operator decides about a cache, where the standard leaves it open.

use std::time::Duration;

/// Which targeted fields a cache obeys (RFC 9213 §2.2), the first one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Targets {
    /// Doorway-Cache-Control and CDN-Cache-Control: for a cache that works for the origin.
    #[default]
    Origin,
    /// None: for a cache that works for its clients.
    Clients,
}

impl Targets {
    /// The names, in lower case.
    #[must_use]
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Origin => &["doorway-cache-control", "cdn-cache-control"],
            Self::Clients => &[],
        }
    }
}

/// How a route uses its cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The name by which Cache-Status calls it: a token (RFC 9211 §2).
    pub name: String,
    /// The targeted fields that count.
    pub targets: Targets,
    /// Whether clients may ask for something else than what is fresh: `no-cache`, `max-age`, `min-fresh`,
    /// `max-stale`, `stale-if-error`. `no-store` and `only-if-cached` always count, since they cost nobody
    /// anything.
    pub obeys_clients: bool,
    /// Percent of the time since its last change for which a response is fresh that says nothing about it
    /// (RFC 9111 §4.2.2); 0 guesses nothing.
    pub heuristic_percent: u32,
    /// How long a stale response is used while it is validated, or while the origin fails, where neither
    /// origin nor client said how long.
    pub grace: Duration,
    /// Whether Cache-Status tells the key and the reason why something is not kept.
    pub detail: bool,
    /// How much of the query belongs to the key.
    pub query: super::key::QueryRule,
}

impl Default for Policy {
    /// That of a cache that works for the origin and guesses nothing.
    fn default() -> Self {
        Self {
            name: "doorway".to_owned(),
            targets: Targets::Origin,
            obeys_clients: false,
            heuristic_percent: 0,
            grace: Duration::ZERO,
            detail: false,
            query: super::key::QueryRule::Keep,
        }
    }
}

impl Policy {
    /// That of a cache that works for its clients.
    #[must_use]
    pub fn forward() -> Self {
        Self { targets: Targets::Clients, obeys_clients: true, heuristic_percent: 10, ..Self::default() }
    }
}
