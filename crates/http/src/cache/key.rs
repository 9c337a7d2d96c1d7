//! What names everything that is kept for one target (RFC 9111 §2): the URL by which an origin knows it.
//! Variants of it differ by what its responses name in Vary, and lie under the same key.

use std::fmt;
use std::sync::Arc;

/// The name of a target: scheme, host in lower case, port, path and query, as one absolute URL. Clones are cheap.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

impl Key {
    /// The key with this text.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self(url.into())
    }

    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
