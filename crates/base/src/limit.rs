//! A bound that was reached, told so that the operator knows which key moves it.

use std::fmt;

/// A refusal because a configured bound was reached.
///
/// The peer hears its protocol's "too much" or "try later"; the operator hears this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Config key that holds the bound, such as `"http.head_octets_max"`.
    pub key: &'static str,
    /// The bound in force, in the key's own unit.
    pub limit: u64,
}

impl Limit {
    /// Names the key and the bound in force.
    #[must_use]
    pub const fn new(key: &'static str, limit: u64) -> Self {
        Self { key, limit }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the limit of {} was reached (config key `{}`)", self.limit, self.key)
    }
}

impl std::error::Error for Limit {}
