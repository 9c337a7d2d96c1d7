//! Cache-Status: what a cache did for a response, and why (RFC 9211).

use std::fmt;

use crate::config::StatusDetail;

/// Why a request went on towards the origin (RFC 9211 §2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forward {
    /// The cache was not to handle it.
    Bypass,
    /// Its method asks for the origin.
    Method,
    /// Nothing is stored for its target.
    UriMiss,
    /// What is stored for its target is for other requests.
    VaryMiss,
    /// Something is stored, and it could not be used for another reason.
    Miss,
    /// Its own directives asked for it.
    Request,
    /// What is stored is stale.
    Stale,
    /// Only a part of it is stored.
    Partial,
}

impl Forward {
    /// The value of `fwd`.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

/// One member of Cache-Status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[doc(alias = "X-Cache")]
pub struct CacheStatus<'a> {
    /// The cache's name, a token.
    pub cache: &'a str,
    /// Why the request was forwarded; `None` for a hit.
    pub forward: Option<Forward>,
    /// What the origin answered.
    pub forward_status: Option<u16>,
    /// For how many seconds the response is still fresh; below 0 when it is stale.
    pub ttl_seconds: Option<i64>,
    /// Whether the response was stored.
    pub stored: bool,
    /// Whether what another client's request brought could be used, where the request waited for that.
    pub collapsed: Option<bool>,
    /// The key it is stored under.
    pub key: Option<&'a str>,
    /// What else there is to say, a token.
    pub detail: Option<&'a str>,
}

impl CacheStatus<'_> {
    /// As much of it as is to be told; `None` for nothing.
    #[must_use]
    pub fn told(self, detail: StatusDetail) -> Option<Self> {
        match detail {
            StatusDetail::Off => None,
            StatusDetail::Short => {
                Some(Self { cache: self.cache, forward: self.forward, ..CacheStatus::default() })
            }
            StatusDetail::Full => Some(self),
        }
    }
}

impl fmt::Display for CacheStatus<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cache)?;
        match self.forward {
            None => f.write_str("; hit")?,
            Some(forward) => write!(f, "; fwd={}", forward.token())?,
        }
        if let Some(status) = self.forward_status {
            write!(f, "; fwd-status={status}")?;
        }
        if let Some(ttl) = self.ttl_seconds {
            write!(f, "; ttl={ttl}")?;
        }
        if self.stored {
            f.write_str("; stored")?;
        }
        match self.collapsed {
            Some(true) => f.write_str("; collapsed")?,
            Some(false) => f.write_str("; collapsed=?0")?,
            None => {}
        }
        if let Some(key) = self.key {
            f.write_str("; key=\"")?;
            write_string(f, key)?;
            f.write_str("\"")?;
        }
        match self.detail {
            Some(detail) => write!(f, "; detail={detail}"),
            None => Ok(()),
        }
    }
}

/// Writes what stands between the quotes of a string (RFC 9651 §3.3.3): two letters are escaped, and nothing but
/// visible ASCII can stand there.
fn write_string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let is_plain = |letter: char| matches!(letter, ' '..='~') && letter != '"' && letter != '\\';
    let mut rest = text;
    while let Some(at) = rest.find(|letter| !is_plain(letter)) {
        let (plain, other) = rest.split_at(at);
        f.write_str(plain)?;
        let mut letters = other.chars();
        match letters.next() {
            Some(letter @ ('"' | '\\')) => write!(f, "\\{letter}")?,
            _ => f.write_str("?")?,
        }
        rest = letters.as_str();
    }
    f.write_str(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sfv::{List, Parser};

    #[track_caller]
    fn check(status: &CacheStatus<'_>, expected: &str) {
        let text = status.to_string();
        assert_eq!(text, expected);
        let list: List = Parser::new(&text).parse().unwrap();
        assert_eq!(list.len(), 1);
    }

    #[test]
    fn a_member_says_what_happened_in_structured_fields() {
        let hit = CacheStatus { cache: "doorway", ttl_seconds: Some(376), ..CacheStatus::default() };
        check(&hit, "doorway; hit; ttl=376");
        check(&CacheStatus { ttl_seconds: Some(-412), ..hit }, "doorway; hit; ttl=-412");
        let miss =
            CacheStatus { forward: Some(Forward::UriMiss), stored: true, collapsed: Some(true), ..hit };
        check(&miss, "doorway; fwd=uri-miss; ttl=376; stored; collapsed");
        let alone = CacheStatus { stored: false, collapsed: Some(false), ..miss };
        check(&alone, "doorway; fwd=uri-miss; ttl=376; collapsed=?0");
        let validated = CacheStatus {
            forward: Some(Forward::Stale),
            forward_status: Some(304),
            key: Some("http://a/?\"\\ü"),
            detail: Some("set-cookie"),
            ..hit
        };
        check(
            &validated,
            "doorway; fwd=stale; fwd-status=304; ttl=376; key=\"http://a/?\\\"\\\\?\"; detail=set-cookie",
        );
    }

    #[test]
    fn no_more_is_told_than_is_wanted() {
        let status = CacheStatus {
            cache: "doorway",
            forward: Some(Forward::Stale),
            ttl_seconds: Some(5),
            key: Some("http://a/"),
            ..CacheStatus::default()
        };
        assert_eq!(status.told(StatusDetail::Off), None);
        let short = status.told(StatusDetail::Short).map(|status| status.to_string());
        assert_eq!(short.as_deref(), Some("doorway; fwd=stale"));
        assert_eq!(status.told(StatusDetail::Full), Some(status));
    }

    #[test]
    fn every_reason_has_the_word_of_the_registry() {
        use Forward::{Bypass, Method, Miss, Partial, Request, Stale, UriMiss, VaryMiss};
        let words = [Bypass, Method, UriMiss, VaryMiss, Miss, Request, Stale, Partial].map(Forward::token);
        let expected = ["bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"];
        assert_eq!(words, expected);
    }
}
