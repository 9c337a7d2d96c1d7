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

    /// The host in it, without a port.
    #[must_use]
    pub fn host(&self) -> &str {
        host(&self.0)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The host of an absolute URL, without a port; empty where there is none.
#[must_use]
pub fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.find(['/', '?', '#']).map_or(rest, |end| &rest[..end]);
    match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => &authority[..colon],
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_found_in_its_url() {
        for (url, expected) in [
            ("http://a.example/b", "a.example"),
            ("https://a.example:8443/b:c", "a.example"),
            ("http://[::1]:80/", "[::1]"),
            ("http://[::1]/", "[::1]"),
            ("http://a.example", "a.example"),
            ("http://a.example?b", "a.example"),
            ("b", ""),
        ] {
            assert_eq!(Key::new(url).host(), expected, "{url}");
        }
    }
}
