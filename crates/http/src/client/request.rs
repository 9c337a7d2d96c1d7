//! The request head as a client writes it (RFC 9112 §3, §5; RFC 9113 §8.3.1).
//!
//! What a caller gives is checked by the server's own rules, so that no value can end a line early.

use crate::url::Url;
use crate::wire::{Method, scan};

/// How a request's body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// There is none.
    None,
    /// So many octets.
    Length(u64),
    /// In chunks.
    Chunked,
}

/// Why a request cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unwritable {
    /// The method is no token.
    Method,
    /// A field's name is no token, or its value holds what no value may.
    Field(String),
}

impl std::fmt::Display for Unwritable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Method => f.write_str("the method is not a token (RFC 9110 §9.1)"),
            Self::Field(name) => write!(f, "the field `{name}` has a name or a value that no field may have"),
        }
    }
}

impl std::error::Error for Unwritable {}

/// Fields that say how a message is framed, and whose it is: the client's own business.
const OWN_FIELDS: [&str; 4] = ["host", "content-length", "transfer-encoding", "connection"];

/// Whether the client itself writes the field called `name`.
#[must_use]
pub fn is_own_field(name: &str) -> bool {
    OWN_FIELDS.iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// Room for the head of a usual request.
const HEAD_OCTETS_USUAL: usize = 1024;

/// Checks a method and fields.
///
/// # Errors
/// [`Unwritable`] for the first that cannot go on the wire.
pub fn check<'f>(method: &str, fields: impl Iterator<Item = (&'f str, &'f [u8])>) -> Result<(), Unwritable> {
    let is_token = |text: &str| !text.is_empty() && scan::token_end(text.as_bytes(), 0) == text.len();
    if !is_token(method) {
        return Err(Unwritable::Method);
    }
    for (name, value) in fields {
        if !is_token(name) || scan::value_end(value, 0) < value.len() {
            return Err(Unwritable::Field(name.to_owned()));
        }
    }
    Ok(())
}

/// The first line of a request, and what it asks of the connection.
#[derive(Debug, Clone, Copy)]
pub struct Line<'l> {
    /// The method.
    pub method: &'l str,
    /// What is asked for.
    pub url: &'l Url,
    /// Whether the target is the whole URL, as for a proxy (RFC 9112 §3.2.2).
    pub absolute: bool,
    /// 0 or 1, of the version.
    pub minor: u8,
    /// Whether the connection ends after it.
    pub last: bool,
    /// The protocol that is asked for in place of HTTP (RFC 9110 §7.8).
    pub upgrade: Option<&'l str>,
}

/// Appends the head of a request.
///
/// Fields of which the client is in charge are left out of `fields`.
///
/// # Errors
/// [`Unwritable`], and nothing is appended.
pub fn write_head<'f>(
    out: &mut Vec<u8>,
    line: &Line<'_>,
    fields: impl Iterator<Item = (&'f str, &'f [u8])> + Clone,
    content: Content,
) -> Result<(), Unwritable> {
    let &Line { method, url, absolute, minor, last, upgrade } = line;
    check(method, fields.clone())?;
    check(method, std::iter::once(("Upgrade", upgrade.unwrap_or_default().as_bytes())))?;
    out.reserve(HEAD_OCTETS_USUAL);
    let target = if absolute {
        format!("{}://{}{}", url.scheme, url.authority(), url.target())
    } else if Method::parse(method.as_bytes()) == Method::Connect {
        format!("{}:{}", url.host, url.port_or_default().unwrap_or_default())
    } else {
        url.target()
    };
    let head = format!("{method} {target} HTTP/1.{minor}\r\nHost: {}\r\n", url.authority());
    out.extend_from_slice(head.as_bytes());
    for (name, value) in fields.filter(|(name, _)| !is_own_field(name)) {
        [name.as_bytes(), b": ", value, b"\r\n"].iter().for_each(|part| out.extend_from_slice(part));
    }
    let mut line = |text: &str| out.extend_from_slice(text.as_bytes());
    match content {
        // RFC 9110 §8.6: a method that usually has content says so when there is none.
        Content::None if matches!(method, "POST" | "PUT" | "PATCH") => line("Content-Length: 0\r\n"),
        Content::None => {}
        Content::Length(octets) => line(&format!("Content-Length: {octets}\r\n")),
        Content::Chunked => line("Transfer-Encoding: chunked\r\n"),
    }
    match (minor, last) {
        (1.., false) if let Some(protocol) = upgrade => {
            line(&format!("Connection: Upgrade\r\nUpgrade: {protocol}\r\n"));
        }
        (1.., true) => line("Connection: close\r\n"),
        (0, false) => line("Connection: keep-alive\r\n"),
        _ => {}
    }
    line("\r\n");
    Ok(())
}

/// Fields about an HTTP/1 connection, which HTTP/2 does not have (RFC 9113 §8.2.2).
const HTTP1_FIELDS: [&str; 4] = ["keep-alive", "proxy-connection", "upgrade", "te"];

/// The fields of a request for `url` as HTTP/2 has them: pseudo-header fields first, names in lower case.
/// Method and fields are those that [`check`] let through. Fields of which the client is in charge, and
/// those about an HTTP/1 connection, are left out.
pub fn fields_h2<'f>(
    (method, url): (&str, &Url),
    fields: impl Iterator<Item = (&'f str, &'f [u8])>,
    content: Content,
) -> Vec<(String, Vec<u8>)> {
    let own = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let mut all = vec![
        own(":method", method),
        own(":scheme", &url.scheme),
        own(":authority", &url.authority()),
        own(":path", &url.target()),
    ];
    for (name, value) in fields {
        let name = name.to_ascii_lowercase();
        if !is_own_field(&name) && !HTTP1_FIELDS.contains(&name.as_str()) {
            all.push((name, value.trim_ascii().to_vec()));
        }
    }
    match content {
        Content::None if matches!(method, "POST" | "PUT" | "PATCH") => all.push(own("content-length", "0")),
        Content::Length(octets) => all.push(own("content-length", &octets.to_string())),
        Content::None | Content::Chunked => {}
    }
    all
}

/// The value of Authorization by which somebody says who asks, with the Basic scheme (RFC 7617 §2).
#[must_use]
#[doc(alias = "Authorization")]
pub fn basic(user: &str, password: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = "Basic ".to_owned();
    for three in format!("{user}:{password}").as_bytes().chunks(3) {
        let octet = |place: usize| u32::from(three.get(place).copied().unwrap_or(0));
        let bits = octet(0) << 16 | octet(1) << 8 | octet(2);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit <= three.len() { char::from(DIGITS[value as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{FieldSpans, HeadLimits, Parsed, parse_request};

    fn written(
        method: &str,
        url: &str,
        fields: &[(&str, &str)],
        content: Content,
    ) -> Result<String, Unwritable> {
        let mut out = Vec::new();
        let url = Url::parse(url).unwrap();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let line = Line { method, url: &url, absolute: false, minor: 1, last: false, upgrade: None };
        write_head(&mut out, &line, fields.into_iter(), content)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_request_that_is_written_keeps_every_rule_of_the_server() {
        for (method, url, fields, content) in [
            ("GET", "http://a/b?c#d", &[("Accept", "*/*"), ("Host", "other")][..], Content::None),
            ("POST", "http://[::1]:81/", &[], Content::Length(3)),
            ("PUT", "https://bücher.example/ü", &[("X", "")], Content::Chunked),
            ("CONNECT", "https://a/", &[], Content::None),
        ] {
            let text = written(method, url, fields, content).unwrap();
            let mut spans = FieldSpans::default();
            let parsed = parse_request(text.as_bytes(), &HeadLimits::default(), &mut spans);
            assert!(matches!(parsed, Ok(Parsed::Head(_, used)) if used == text.len()), "{text}: {parsed:?}");
            assert!(!text.contains("other") && !text.contains('#'));
        }
        let post = written("POST", "http://a/", &[], Content::None).unwrap();
        assert_eq!(post, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    }

    #[test]
    fn over_http_2_nothing_is_said_about_a_connection() {
        let url = Url::parse("https://a:1/b?c#d").unwrap();
        let fields =
            [("Accept", " x "), ("Host", "b"), ("Connection", "close"), ("TE", "trailers"), ("Upgrade", "x")];
        let fields = fields.iter().map(|(name, value)| (*name, value.as_bytes()));
        let all = fields_h2(("PUT", &url), fields, Content::Length(3));
        let told: Vec<_> =
            all.iter().map(|(name, value)| format!("{name}={}", value.escape_ascii())).collect();
        let expected =
            [":method=PUT", ":scheme=https", ":authority=a:1", ":path=/b?c", "accept=x", "content-length=3"];
        assert_eq!(told, expected);
    }

    #[test]
    fn who_asks_is_said_in_base64() {
        // RFC 7617 §2 and §2.1.
        assert_eq!(basic("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(basic("test", "123\u{a3}"), "Basic dGVzdDoxMjPCow==");
        assert_eq!((basic("a", "").as_str(), basic("a", "b").as_str()), ("Basic YTo=", "Basic YTpi"));
    }

    #[test]
    fn what_would_split_a_request_is_not_written() {
        let field = |name, value| written("GET", "http://a/", &[(name, value)], Content::None).unwrap_err();
        assert_eq!(field("A", "b\r\nC: d"), Unwritable::Field("A".into()));
        assert_eq!(field("A b", "c"), Unwritable::Field("A b".into()));
        assert_eq!(written("G T", "http://a/", &[], Content::None).unwrap_err(), Unwritable::Method);
    }
}
