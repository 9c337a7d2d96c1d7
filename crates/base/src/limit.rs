//! A bound that was reached, told so that the operator knows whether a key moves it.

use std::fmt;

/// A refusal because a bound was reached.
///
/// The peer hears its protocol's "too much" or "try later"; the operator hears this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Name of the bound: for a configured one its key, such as `"store.queue_max"`.
    pub key: &'static str,
    /// The bound in force, in its own unit.
    pub limit: u64,
    /// Whether the config has this key; otherwise the bound is built in and nobody can move it.
    pub configured: bool,
}

impl Limit {
    /// A bound that the config key `key` sets.
    #[must_use]
    pub const fn new(key: &'static str, limit: u64) -> Self {
        Self { key, limit, configured: true }
    }

    /// A bound that is built in, under a name for the log.
    #[must_use]
    pub const fn built_in(key: &'static str, limit: u64) -> Self {
        Self { key, limit, configured: false }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.configured { "config key" } else { "built in," };
        write!(f, "the limit of {} was reached ({kind} `{}`)", self.limit, self.key)
    }
}

impl std::error::Error for Limit {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bound_that_has_a_key_says_so() {
        let told = Limit::new("store.queue_max", 8).to_string();
        assert_eq!(told, "the limit of 8 was reached (config key `store.queue_max`)");
        let told = Limit::built_in("store.key_octets_max", 9).to_string();
        assert_eq!(told, "the limit of 9 was reached (built in, `store.key_octets_max`)");
    }
}
