//! What an operator, or a program of theirs, wants the cache to forget.

use super::Key;

/// An order to forget responses before their time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purge {
    /// Which ones.
    pub what: PurgeWhat,
    /// Whether they are kept after all, but not used again before the origin was asked; if it cannot be
    /// reached, they serve as stale responses do.
    pub soft: bool,
}

/// Which responses an order is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PurgeWhat {
    /// All variants of one target.
    Url(Key),
    /// All targets whose URL begins so.
    Prefix(String),
    /// All targets of a host, in lower case and without a port.
    Host(String),
    /// All responses that carry this word in Surrogate-Key or Cache-Tag.
    Tag(String),
}
