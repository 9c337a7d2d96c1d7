//! What an operator decides about a cache, where the standard leaves it open.

use std::time::Duration;

use super::key::QueryPart;
use crate::config::{CacheConfig, StatusDetail};

/// What Cache-Status calls it.
const NAME: &str = "doorway";

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
    /// Thousandths of the time since its last change for which a response is fresh that says nothing about it
    /// (RFC 9111 §4.2.2); 0 guesses nothing.
    pub heuristic_permille: u32,
    /// How long a stale response is used while the origin fails, where neither origin nor client said how
    /// long.
    pub grace: Duration,
    /// How much Cache-Status tells.
    pub status: StatusDetail,
    /// How much of the query belongs to the key.
    pub query: QueryPart,
}

impl Policy {
    /// That of a cache as it is configured, which obeys these targeted fields.
    #[must_use]
    pub fn of(config: &CacheConfig, targets: Targets) -> Self {
        let usual = if targets == Targets::Clients { Self::forward() } else { Self::default() };
        Self {
            name: NAME.to_owned(),
            targets,
            obeys_clients: config.request_directives.unwrap_or(usual.obeys_clients),
            heuristic_permille: config.heuristic_permille.unwrap_or(usual.heuristic_permille),
            grace: config.grace,
            status: config.status,
            query: QueryPart { rule: config.query, ignored: config.query_ignored.clone() },
        }
    }

    /// That of a cache that works for its clients.
    #[must_use]
    pub fn forward() -> Self {
        Self { targets: Targets::Clients, obeys_clients: true, heuristic_permille: 100, ..Self::default() }
    }
}

impl Default for Policy {
    /// That of a cache that works for the origin and guesses nothing.
    fn default() -> Self {
        Self {
            name: NAME.to_owned(),
            targets: Targets::Origin,
            obeys_clients: false,
            heuristic_permille: 0,
            grace: Duration::ZERO,
            status: StatusDetail::Full,
            query: QueryPart::default(),
        }
    }
}
