//! The request head as a client writes it (RFC 9112 §3, §5).
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

/// Checks a method and fields.
///
/// # Errors
/// [`Unwritable`] for the first that cannot go on the wire.
pub fn check(method: &str, fields: &[(&str, &str)]) -> Result<(), Unwritable> {
    let is_token = |text: &str| !text.is_empty() && scan::token_end(text.as_bytes(), 0) == text.len();
    if !is_token(method) {
        return Err(Unwritable::Method);
    }
    for &(name, value) in fields {
        if !is_token(name) || scan::value_end(value.as_bytes(), 0) < value.len() {
            return Err(Unwritable::Field(name.to_owned()));
        }
    }
    Ok(())
}

/// Appends the head of a request for `url`. `last` says that the connection ends after it; `minor` is 0 or
/// 1, of the version.
///
/// Fields of which the client is in charge are left out of `fields`.
///
/// # Errors
/// [`Unwritable`], and nothing is appended.
pub fn write_head(
    out: &mut Vec<u8>,
    (method, url): (&str, &Url),
    fields: &[(&str, &str)],
    content: Content,
    (minor, last): (u8, bool),
) -> Result<(), Unwritable> {
    check(method, fields)?;
    let target = if Method::parse(method.as_bytes()) == Method::Connect {
        format!("{}:{}", url.host, url.port_or_default().unwrap_or_default())
    } else {
        url.target()
    };
    let mut line = |text: &str| out.extend_from_slice(text.as_bytes());
    line(&format!("{method} {target} HTTP/1.{minor}\r\nHost: {}\r\n", url.authority()));
    for &(name, value) in fields {
        if !is_own_field(name) {
            line(&format!("{name}: {value}\r\n"));
        }
    }
    match content {
        // RFC 9110 §8.6: a method that usually has content says so when there is none.
        Content::None if matches!(method, "POST" | "PUT" | "PATCH") => line("Content-Length: 0\r\n"),
        Content::None => {}
        Content::Length(octets) => line(&format!("Content-Length: {octets}\r\n")),
        Content::Chunked => line("Transfer-Encoding: chunked\r\n"),
    }
    match (minor, last) {
        (1.., true) => line("Connection: close\r\n"),
        (0, false) => line("Connection: keep-alive\r\n"),
        _ => {}
    }
    line("\r\n");
    Ok(())
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
        write_head(&mut out, (method, &url), fields, content, (1, false))?;
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
    fn what_would_split_a_request_is_not_written() {
        let field = |name, value| written("GET", "http://a/", &[(name, value)], Content::None).unwrap_err();
        assert_eq!(field("A", "b\r\nC: d"), Unwritable::Field("A".into()));
        assert_eq!(field("A b", "c"), Unwritable::Field("A b".into()));
        assert_eq!(written("G T", "http://a/", &[], Content::None).unwrap_err(), Unwritable::Method);
    }
}
