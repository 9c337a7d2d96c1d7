//! What names everything that is kept for one target (RFC 9111 §2): the URL by which an origin knows it.
//! Variants of it differ by what its responses name in Vary, and lie under the same key.
//!
//! Two spellings share a key only where no origin may tell them apart: letter case of scheme and host, the
//! scheme's own port, and coded unreserved characters (RFC 3986 §6.2.2.2, §6.2.3). Dot segments, double
//! slashes and coded dots stay as they are, for an origin that reads them otherwise than a cache would serve
//! one target's content for another.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::config::QueryRule;

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

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// How much of a query belongs to the key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueryPart {
    /// What counts of it.
    pub rule: QueryRule,
    /// Names of parameters that do not count; a final `*` stands for any rest.
    pub ignored: Vec<String>,
}

impl QueryPart {
    fn ignores(&self, parameter: &[u8]) -> bool {
        let name = name(parameter);
        self.ignored.iter().any(|known| match known.strip_suffix('*') {
            Some(start) => name.starts_with(start.as_bytes()),
            None => name == known.as_bytes(),
        })
    }
}

/// The target of a request, in parts as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// Whether the scheme is `https`.
    pub secure: bool,
    /// Host, and port if one is named, in any case of letters.
    pub host: &'a [u8],
    /// Begins with `/`; an empty one means `/`.
    pub path: &'a [u8],
    /// What follows the `?`.
    pub query: Option<&'a [u8]>,
}

impl Target<'_> {
    /// Its key.
    #[must_use]
    pub fn key(&self, part: &QueryPart) -> Key {
        let mut text = String::with_capacity(16 + self.host.len() + self.path.len());
        self.write_key(&mut text, part);
        Key(text.into())
    }

    /// Writes the text of its key behind what is in `out`: for whoever has room for it already.
    pub fn write_key(&self, out: &mut String, part: &QueryPart) {
        let (scheme, port): (_, &[u8]) =
            if self.secure { ("https://", b":443") } else { ("http://", b":80") };
        out.push_str(scheme);
        let host = self.host.strip_suffix(port).unwrap_or(self.host);
        let host = host.strip_suffix(b":").unwrap_or(host);
        host.iter().for_each(|octet| push(out, octet.to_ascii_lowercase()));
        if self.path.is_empty() {
            out.push('/');
        }
        write_normal(out, self.path);
        let Some(query) = self.query else { return };
        match part.rule {
            QueryRule::Drop => {}
            QueryRule::Keep if part.ignored.is_empty() => {
                out.push('?');
                write_normal(out, query);
            }
            rule => {
                let mut parameters: Vec<&[u8]> = query
                    .split(|&octet| octet == b'&')
                    .filter(|parameter| !part.ignores(parameter))
                    .collect();
                if rule == QueryRule::Sort {
                    // Parameters with one name keep their order, for it may mean something.
                    parameters.sort_by_key(|parameter| name(parameter));
                }
                let mut mark = '?';
                for parameter in parameters {
                    out.push(mark);
                    write_normal(out, parameter);
                    mark = '&';
                }
            }
        }
    }
}

/// What stands before the `=` of a parameter.
fn name(parameter: &[u8]) -> &[u8] {
    parameter.split(|&octet| octet == b'=').next().unwrap_or_default()
}

/// Writes octets of a path or query: triplets of unreserved characters but the dot are decoded, all others are
/// in upper case; what is no text is coded.
fn write_normal(out: &mut String, octets: &[u8]) {
    let mut rest = octets;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        let digits = after.first_chunk::<2>().filter(|_| octet == b'%').and_then(|&[high, low]| {
            let digit = |octet: u8| char::from(octet).to_digit(16);
            Some((digit(high)? << 4 | digit(low)?) as u8)
        });
        match digits {
            Some(value) if value.is_ascii_alphanumeric() || b"-_~".contains(&value) => {
                out.push(char::from(value));
                rest = &after[2..];
            }
            Some(value) => {
                push_triplet(out, value);
                rest = &after[2..];
            }
            None => push(out, octet),
        }
    }
}

/// Writes an octet as itself, or as a triplet if it is none that a key may hold.
fn push(out: &mut String, octet: u8) {
    if octet.is_ascii_graphic() { out.push(char::from(octet)) } else { push_triplet(out, octet) }
}

fn push_triplet(out: &mut String, octet: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(octet >> 4)]));
    out.push(char::from(DIGITS[usize::from(octet & 15)]));
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
    use proptest::prelude::*;

    #[track_caller]
    fn check(url: &str, part: &QueryPart, expected: &str) {
        assert_eq!(target(url).key(part).as_str(), expected, "{url}");
    }

    fn target(url: &str) -> Target<'_> {
        let secure = url.starts_with("https");
        let rest = url.split_once("://").unwrap().1;
        let slash = rest.find('/').unwrap_or(rest.len());
        let (path, query) = match rest[slash..].split_once('?') {
            Some((path, query)) => (path, Some(query.as_bytes())),
            None => (&rest[slash..], None),
        };
        Target { secure, host: &rest.as_bytes()[..slash], path: path.as_bytes(), query }
    }

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

    #[test]
    fn spellings_that_no_origin_may_tell_apart_have_one_key() {
        let keep = &QueryPart::default();
        check("http://Example.COM/a", keep, "http://example.com/a");
        check("http://example.com:80/a", keep, "http://example.com/a");
        check("http://example.com:/a", keep, "http://example.com/a");
        check("https://example.com:443", keep, "https://example.com/");
        check("http://example.com:443/", keep, "http://example.com:443/");
        check("https://example.com:80/", keep, "https://example.com:80/");
        check("http://a:8080/", keep, "http://a:8080/");
        check("http://[::1]:80/", keep, "http://[::1]/");
        check("http://a/%7euser/%41%2f%2D", keep, "http://a/~user/A%2F-");
        check("http://a/%e7%99%be?%3d%61", keep, "http://a/%E7%99%BE?%3Da");
        check("http://a/?", keep, "http://a/?");
    }

    #[test]
    fn spellings_that_an_origin_might_tell_apart_keep_keys_of_their_own() {
        let keep = &QueryPart::default();
        for url in [
            "http://a//b",
            "http://a/b/../c",
            "http://a/./b",
            "http://a/B",
            "http://a/b/",
            "http://a/%2E%2E/b",
        ] {
            check(url, keep, url);
        }
        check("http://a/%zz%", keep, "http://a/%zz%");
        check("http://a/ü", keep, "http://a/%C3%BC");
    }

    #[test]
    fn a_query_belongs_to_the_key_as_far_as_the_rule_says() {
        let url = "http://a/x?b=2&utm_source=y&a=1&b=1&utm_source";
        let part = |rule, ignored: &[&str]| QueryPart {
            rule,
            ignored: ignored.iter().map(|name| (*name).to_owned()).collect(),
        };
        check(url, &part(QueryRule::Keep, &[]), url);
        check(url, &part(QueryRule::Sort, &[]), "http://a/x?a=1&b=2&b=1&utm_source=y&utm_source");
        check(url, &part(QueryRule::Keep, &["utm_source"]), "http://a/x?b=2&a=1&b=1");
        check(url, &part(QueryRule::Sort, &["utm_*", "b"]), "http://a/x?a=1");
        check("http://a/x?utm=1", &part(QueryRule::Keep, &["utm"]), "http://a/x");
        check(url, &part(QueryRule::Drop, &[]), "http://a/x");
    }

    proptest! {
        #[test]
        fn the_key_of_a_key_is_itself(path in proptest::collection::vec(any::<u8>(), 0..30)) {
            let target = Target { secure: false, host: b"a", path: &path, query: None };
            let once = target.key(&QueryPart::default());
            let again = Target { path: &once.as_str().as_bytes()["http://a".len()..], ..target };
            prop_assert_eq!(again.key(&QueryPart::default()), once.clone());
            prop_assert!(once.as_str().bytes().all(|octet| octet.is_ascii_graphic()));
        }
    }
}
