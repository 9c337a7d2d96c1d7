//! URLs as a client takes them (RFC 3986), people's own spelling included: other letters than ASCII are
//! coded (RFC 3987 §3.1), and host names become A-labels (UTS 46, RFC 5891).
//!
//! Not here: the target of a request as a server reads it, which is in [`wire`](crate::wire) and changes
//! nothing.

use core::net::Ipv6Addr;
use std::fmt;

use crate::wire::path::remove_dot_segments;

/// Longest URL that is read, in octets.
pub const URL_OCTETS_MAX: usize = 64 * 1024;

/// A URL, its parts coded as they go on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// In lower case: `http`.
    pub scheme: String,
    /// What stands before the `@`, if anything does.
    pub user: Option<String>,
    /// In lower case, as A-labels, or an address; an IPv6 one in its brackets. Empty where the scheme has
    /// no host (`news:`).
    pub host: String,
    /// The port, where it is another than the scheme has anyway; see [`Url::port_or_default`].
    pub port: Option<u16>,
    /// Coded; begins with `/` where there is a host, for an empty path is the path `/`
    /// (RFC 9110 §4.2.3).
    pub path: String,
    /// What follows the `?`, coded.
    pub query: Option<String>,
    /// What follows the `#`, coded; it stays with the client.
    pub fragment: Option<String>,
}

/// Why a text is no URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlFault {
    /// What was expected.
    pub expected: &'static str,
    /// Offset of the octet where it was.
    pub at: usize,
}

impl fmt::Display for UrlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} at octet {}", self.expected, self.at)
    }
}

impl std::error::Error for UrlFault {}

const fn fault<T>(expected: &'static str, at: usize) -> Result<T, UrlFault> {
    Err(UrlFault { expected, at })
}

/// The port that a scheme has when its URL names none.
#[must_use]
pub fn default_port(scheme: &str) -> Option<u16> {
    Some(match scheme {
        "http" | "ws" => 80,
        "https" | "wss" => 443,
        "ftp" => 21,
        "news" | "nntp" => 119,
        _ => return None,
    })
}

impl Url {
    /// Reads an absolute URL.
    ///
    /// # Errors
    /// [`UrlFault`] for the first part that cannot be read.
    pub fn parse(text: &str) -> Result<Self, UrlFault> {
        if text.len() > URL_OCTETS_MAX {
            return fault("a URL of at most 64 KiB", URL_OCTETS_MAX);
        }
        let Some((scheme, rest)) = split_scheme(text) else {
            return fault("a scheme and a colon, such as http://", 0);
        };
        let scheme = scheme.to_ascii_lowercase();
        let reference = Reference::read(rest, text.len() - rest.len())?;
        let Some((user, host, port)) = reference.authority else {
            if default_port(&scheme).is_some_and(|_| scheme != "news") {
                return fault("two slashes and a host", scheme.len() + 1);
            }
            return Ok(Self {
                scheme,
                user: None,
                host: String::new(),
                port: None,
                path: reference.path,
                query: reference.query,
                fragment: reference.fragment,
            });
        };
        let path =
            if reference.path.is_empty() { "/".to_owned() } else { remove_dot_segments(&reference.path) };
        let port = port.filter(|port| default_port(&scheme) != Some(*port));
        Ok(Self { scheme, user, host, port, path, query: reference.query, fragment: reference.fragment })
    }

    /// Reads a reference that stands in a document at this URL, such as a Location (RFC 3986 §5.2).
    ///
    /// # Errors
    /// As [`Url::parse`].
    pub fn join(&self, reference: &str) -> Result<Self, UrlFault> {
        if split_scheme(reference).is_some() {
            return Self::parse(reference);
        }
        let Reference { authority, path, query, fragment } = Reference::read(reference, 0)?;
        let mut joined = Self { fragment, ..self.clone() };
        if let Some((user, host, port)) = authority {
            let port = port.filter(|port| default_port(&self.scheme) != Some(*port));
            (joined.user, joined.host, joined.port) = (user, host, port);
            joined.path = if path.is_empty() { "/".to_owned() } else { remove_dot_segments(&path) };
            joined.query = query;
        } else if path.is_empty() {
            joined.query = query.or(joined.query);
        } else {
            let merged = match path.strip_prefix('/') {
                Some(_) => path,
                None => format!("{}{path}", &self.path[..self.path.rfind('/').map_or(0, |slash| slash + 1)]),
            };
            joined.path = remove_dot_segments(&merged);
            joined.query = query;
        }
        Ok(joined)
    }

    /// The port, that of the scheme if none is written.
    #[must_use]
    pub fn port_or_default(&self) -> Option<u16> {
        self.port.or_else(|| default_port(&self.scheme))
    }

    /// Host and port as they stand in Host: without the port that the scheme has anyway.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.port.filter(|port| default_port(&self.scheme) != Some(*port)) {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// Path and query as they stand in a request line.
    #[must_use]
    pub fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// Whether `other` has the same scheme, host and port (RFC 6454 §5).
    #[must_use]
    pub fn is_same_origin(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.host == other.host
            && self.port_or_default() == other.port_or_default()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme)?;
        if !self.host.is_empty() {
            f.write_str("//")?;
            if let Some(user) = &self.user {
                write!(f, "{user}@")?;
            }
            f.write_str(&self.authority())?;
        }
        f.write_str(&self.target())?;
        match &self.fragment {
            Some(fragment) => write!(f, "#{fragment}"),
            None => Ok(()),
        }
    }
}

/// `scheme ":"`, if the text begins with one.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let fits = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet));
    fits.then_some((scheme, rest))
}

/// The parts of a reference behind its scheme.
struct Reference {
    authority: Option<(Option<String>, String, Option<u16>)>,
    path: String,
    query: Option<String>,
    fragment: Option<String>,
}

impl Reference {
    /// Reads what stands at `at` of a text.
    fn read(text: &str, at: usize) -> Result<Self, UrlFault> {
        if let Some(place) = text.bytes().position(|octet| octet < b' ' || octet == 0x7f) {
            return fault("no control characters", at + place);
        }
        let (before, fragment) = split(text, '#');
        let (before, query) = split(before, '?');
        let (authority, path, path_at) = match before.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                (Some(authority(&rest[..end], at + 2)?), &rest[end..], at + 2 + end)
            }
            None => (None, before, at),
        };
        let query_at = at + before.len() + 1;
        let fragment_at = query_at + query.map_or(0, |query| query.len() + 1);
        Ok(Self {
            authority,
            path: coded(path, Part::Path, path_at)?,
            query: query.map(|query| coded(query, Part::Query, query_at)).transpose()?,
            fragment: fragment.map(|fragment| coded(fragment, Part::Query, fragment_at)).transpose()?,
        })
    }
}

fn split(text: &str, mark: char) -> (&str, Option<&str>) {
    match text.split_once(mark) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

/// `[ userinfo "@" ] host [ ":" port ]`
fn authority(text: &str, at: usize) -> Result<(Option<String>, String, Option<u16>), UrlFault> {
    let (user, rest, at) = match text.rsplit_once('@') {
        Some((user, rest)) => (Some(coded(user, Part::User, at)?), rest, at + user.len() + 1),
        None => (None, text, at),
    };
    let colon = rest.rfind(':').filter(|&colon| !rest[colon..].contains(']'));
    let (name, port) = match colon {
        Some(colon) => (&rest[..colon], Some((&rest[colon + 1..], at + colon + 1))),
        None => (rest, None),
    };
    let port = match port {
        None | Some(("", _)) => None,
        Some((digits, place)) => match digits.parse() {
            Ok(port) if digits.bytes().all(|digit| digit.is_ascii_digit()) => Some(port),
            _ => return fault("a port from 0 to 65535", place),
        },
    };
    Ok((user, host(name, at)?, port))
}

/// A host as it goes on the wire.
fn host(text: &str, at: usize) -> Result<String, UrlFault> {
    if text.is_empty() {
        return fault("a host", at);
    }
    if let Some(literal) = text.strip_prefix('[') {
        let address = literal.strip_suffix(']').and_then(|literal| literal.parse::<Ipv6Addr>().ok());
        return match address {
            Some(address) => Ok(format!("[{address}]")),
            None => fault("an IPv6 address in brackets", at),
        };
    }
    let decoded = decode(text).map_err(|fault| UrlFault { at: fault.at + at, ..fault })?;
    let Ok(decoded) = String::from_utf8(decoded) else { return fault("a host in UTF-8", at) };
    if decoded.is_ascii() && decoded.bytes().all(|o| o.is_ascii_alphanumeric() || b"-._".contains(&o)) {
        return Ok(decoded.to_ascii_lowercase());
    }
    match idna::domain_to_ascii_strict(&decoded) {
        Ok(labels) => Ok(labels),
        Err(_) => fault("a host name", at),
    }
}

/// What a part of a URL may hold as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    User,
    Path,
    Query,
}

impl Part {
    fn holds(self, octet: u8) -> bool {
        let more: &[u8] = match self {
            Self::User => b":",
            Self::Path => b":@/",
            Self::Query => b":@/?",
        };
        is_unreserved(octet) || b"!$&'()*+,;=".contains(&octet) || more.contains(&octet)
    }
}

const fn is_unreserved(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~')
}

/// A part with triplets for all that it may not hold. Triplets that are there stay, in upper case
/// (RFC 3986 §6.2.2.1).
fn coded(text: &str, part: Part, at: usize) -> Result<String, UrlFault> {
    let mut out = String::with_capacity(text.len());
    let octets = text.as_bytes();
    let mut place = 0;
    while place < octets.len() {
        let octet = octets[place];
        if octet == b'%' {
            let Some(value) = triplet(&octets[place..]) else {
                return fault("two hexadecimal digits after the %", at + place);
            };
            push_triplet(&mut out, value);
            place += 3;
            continue;
        }
        if part.holds(octet) {
            out.push(char::from(octet));
        } else {
            push_triplet(&mut out, octet);
        }
        place += 1;
    }
    Ok(out)
}

fn triplet(octets: &[u8]) -> Option<u8> {
    let &[b'%', high, low, ..] = octets else { return None };
    let digit = |octet: u8| char::from(octet).to_digit(16);
    Some((digit(high)? << 4 | digit(low)?) as u8)
}

fn push_triplet(out: &mut String, octet: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(octet >> 4)]));
    out.push(char::from(DIGITS[usize::from(octet & 15)]));
}

/// A text as one component, such as a file's name or a form's value: all but the unreserved characters
/// become triplets of their UTF-8 (RFC 3986 §2.1, §2.3).
#[must_use]
pub fn encode(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for &octet in text {
        if is_unreserved(octet) {
            out.push(char::from(octet));
        } else {
            push_triplet(&mut out, octet);
        }
    }
    out
}

/// What the triplets of a text stand for, once.
///
/// # Errors
/// [`UrlFault`] for a `%` without two hexadecimal digits.
pub fn decode(text: &str) -> Result<Vec<u8>, UrlFault> {
    let octets = text.as_bytes();
    let mut out = Vec::with_capacity(octets.len());
    let mut at = 0;
    while let Some(&octet) = octets.get(at) {
        if octet != b'%' {
            out.push(octet);
            at += 1;
        } else if let Some(value) = triplet(&octets[at..]) {
            out.push(value);
            at += 3;
        } else {
            return fault("two hexadecimal digits after the %", at);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_letters_are_coded_as_their_utf_8() {
        assert_eq!(encode("百度".as_bytes()), "%E7%99%BE%E5%BA%A6");
        // The example that course notes give for it is another word.
        assert_eq!(decode("%E5%8D%8E%E4%B8%BA").unwrap(), "华为".as_bytes());
        assert_eq!(decode("%E7%99%BE%E5%BA%A6").unwrap(), "百度".as_bytes());
        assert_eq!(encode(b"a b/c~d%"), "a%20b%2Fc~d%25");
        assert_eq!(decode("%zz").unwrap_err().at, 0);
        assert_eq!(decode("ab%4").unwrap_err().at, 2);
        for octet in 0..=255u8 {
            assert_eq!(decode(&encode(&[octet])).unwrap(), [octet]);
        }
    }

    #[test]
    fn a_url_is_normalised_where_that_changes_nothing() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Url::parse(text).unwrap().to_string(), expected, "{text}")
        };
        check("HTTP://Example.COM:80/Index.html", "http://example.com/Index.html");
        check("http://localhost:8080/html/login.html", "http://localhost:8080/html/login.html");
        check("https://example.com", "https://example.com/");
        check("http://example.com?q", "http://example.com/?q");
        check("http://a/b/../c/./d#e f", "http://a/c/d#e%20f");
        check("http://www.baidu.com/s?wd=百度", "http://www.baidu.com/s?wd=%E7%99%BE%E5%BA%A6");
        check("http://bücher.example/ü", "http://xn--bcher-kva.example/%C3%BC");
        check("http://例え.テスト/", "http://xn--r8jz45g.xn--zckzah/");
        check("http://u:p@[2001:DB8::1]:81/", "http://u:p@[2001:db8::1]:81/");
        check("http://a/%7euser/%c3%bc", "http://a/%7Euser/%C3%BC");
        check("ftp://ftp.example/pub", "ftp://ftp.example/pub");
        check("news:comp.lang.rust", "news:comp.lang.rust");
        check("http://a/?x={y}|[z]", "http://a/?x=%7By%7D%7C%5Bz%5D");
    }

    #[test]
    fn what_is_no_url_is_refused_with_its_place() {
        let check = |text: &str, at| assert_eq!(Url::parse(text).unwrap_err().at, at, "{text}");
        check("example.com/", 0);
        check("http:/example.com", 5);
        check("http://", 7);
        check("http://a:65536/", 9);
        check("http://a:x/", 9);
        check("http://[::g]/", 7);
        check("http://a/%zz", 9);
        check("http://a/b\nc", 10);
        check("http://a b/", 7);
        check("http://a/?%", 10);
        check("1http://a/", 0);
    }

    #[test]
    fn the_port_that_a_scheme_has_anyway_is_no_part_of_a_url() {
        for (with, without) in [("http://a:80", "http://a"), ("https://a:443/", "https://a/")] {
            assert_eq!(Url::parse(with), Url::parse(without));
        }
        assert_eq!(Url::parse("http://a:443").unwrap().port, Some(443));
    }

    #[test]
    fn references_are_resolved_as_in_the_standard() {
        // RFC 3986 §5.4, with the scheme and authority of HTTP.
        let base = Url::parse("http://a/b/c/d;p?q").unwrap();
        for (reference, expected) in [
            ("g:h", "g:h"),
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("//g:80", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q#s"),
            ("g#s", "http://a/b/c/g#s"),
            ("g?y#s", "http://a/b/c/g?y#s"),
            (";x", "http://a/b/c/;x"),
            ("g;x?y#s", "http://a/b/c/g;x?y#s"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("./", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("/../g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            ("..g", "http://a/b/c/..g"),
            ("./../g", "http://a/b/g"),
            ("g/./h", "http://a/b/c/g/h"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
        ] {
            assert_eq!(base.join(reference).unwrap().to_string(), expected, "{reference}");
        }
    }

    #[test]
    fn the_port_of_the_scheme_need_not_be_said() {
        let url = |text| Url::parse(text).unwrap();
        assert_eq!(url("https://a:443/x?y").authority(), "a");
        assert_eq!(url("https://a/x?y").target(), "/x?y");
        assert_eq!(url("http://a:81/").port_or_default(), Some(81));
        assert!(url("http://a/").is_same_origin(&url("http://a:80/b")));
        assert!(!url("http://a/").is_same_origin(&url("https://a/")));
    }
}
