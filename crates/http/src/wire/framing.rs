//! What a head's fields mean for the connection: whose host, how long a body, and whether the
//! connection goes on (RFC 9112 §6 and §9, RFC 9110 §7.2 and §10.1.1).
//!
//! Every message whose length two parsers could read differently is refused here; that is what keeps
//! a request from being smuggled behind another.

use super::head::{RequestLine, Version};
use super::rule::{self, Refusal};
use super::target::{Target, is_host_and_port};

/// How a request's body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// So many octets.
    Length(u64),
    /// In chunks (RFC 9112 §7.1).
    Chunked,
}

/// The fields that matter here, collected while the head is read.
#[derive(Debug, Default)]
pub(super) struct Known<'b> {
    host: Option<&'b [u8]>,
    length: Option<u64>,
    coding: Coding,
    close: bool,
    keep_alive: bool,
    expectation: Option<(bool, usize)>,
    conditional: bool,
}

/// The transfer codings seen so far, over all Transfer-Encoding fields.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Coding {
    #[default]
    None,
    /// Codings of which the last is chunked, and where the first stands that nobody here knows.
    Chunked { unknown: Option<usize>, at: usize },
    /// Codings of which the last is not chunked: only right if another field follows.
    Other { at: usize },
}

/// What it all means.
pub(super) struct Meaning<'b> {
    pub(super) host: &'b [u8],
    pub(super) body: Framing,
    pub(super) persistent: bool,
    pub(super) expects_continue: bool,
    pub(super) conditional: bool,
}

impl<'b> Known<'b> {
    /// Notes one field; `at` is where its value begins.
    #[inline]
    pub(super) fn see(&mut self, name: &[u8], value: &'b [u8], at: usize) -> Result<(), Refusal> {
        // By length first: most fields of a browser are none of these.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.see_host(value, at)?,
            5 | 8 | 13 | 17 | 19 | 14 | 10 | 6 => self.see_rarer(name, value, at)?,
            _ => {}
        }
        Ok(())
    }

    fn see_host(&mut self, value: &'b [u8], at: usize) -> Result<(), Refusal> {
        if self.host.is_some() {
            return Err(Refusal::new(&rule::HOST_REPEATED, at));
        }
        if !is_host_and_port(value) {
            return Err(Refusal::new(&rule::HOST, at));
        }
        self.host = Some(value);
        Ok(())
    }

    fn see_rarer(&mut self, name: &[u8], value: &'b [u8], at: usize) -> Result<(), Refusal> {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        if is("connection") {
            for option in elements(value) {
                self.close |= option.eq_ignore_ascii_case(b"close");
                self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if is("content-length") {
            if self.length.is_some() {
                return Err(Refusal::new(&rule::CONTENT_LENGTH_REPEATED, at));
            }
            self.length = Some(parse_length(value).ok_or(Refusal::new(&rule::CONTENT_LENGTH, at))?);
        } else if is("transfer-encoding") {
            self.see_coding(value, at)?;
        } else if is("expect") {
            self.expectation = Some((value.eq_ignore_ascii_case(b"100-continue"), at));
        } else if is("range")
            || is("if-match")
            || is("if-range")
            || is("if-none-match")
            || is("if-modified-since")
            || is("if-unmodified-since")
        {
            self.conditional = true;
        }
        Ok(())
    }

    fn see_coding(&mut self, value: &[u8], at: usize) -> Result<(), Refusal> {
        let refuse = |rule| Err(Refusal::new(rule, at));
        let mut any = false;
        for coding in elements(value) {
            any = true;
            let unknown = match self.coding {
                Coding::None => None,
                Coding::Other { at } => Some(at),
                // Chunked is there already, and must be last.
                Coding::Chunked { .. } => return refuse(&rule::CODING_LAST),
            };
            self.coding = if coding.eq_ignore_ascii_case(b"chunked") {
                Coding::Chunked { unknown, at }
            } else {
                Coding::Other { at: unknown.unwrap_or(at) }
            };
        }
        if any { Ok(()) } else { refuse(&rule::CODING_LAST) }
    }

    /// Judges the head as a whole; `end` is where it ends.
    pub(super) fn judge(self, line: &RequestLine<'b>, end: usize) -> Result<Meaning<'b>, Refusal> {
        if self.host.is_none() && line.version != Version::Http10 {
            return Err(Refusal::new(&rule::HOST_MISSING, end - 2));
        }
        let host = match line.target {
            Target::Absolute { authority, .. } | Target::Authority(authority) => authority,
            Target::Origin(_) | Target::Asterisk => self.host.unwrap_or_default(),
        };
        let body = match (self.coding, self.length) {
            (Coding::None, None | Some(0)) => Framing::None,
            (Coding::None, Some(length)) => Framing::Length(length),
            (Coding::Chunked { at, .. } | Coding::Other { at }, Some(_)) => {
                return Err(Refusal::new(&rule::LENGTH_AND_CODING, at));
            }
            (Coding::Chunked { at, .. } | Coding::Other { at }, None) if line.version == Version::Http10 => {
                return Err(Refusal::new(&rule::CODING_VERSION, at));
            }
            (Coding::Other { at }, None) => return Err(Refusal::new(&rule::CODING_LAST, at)),
            (Coding::Chunked { unknown: Some(at), .. }, None) => {
                return Err(Refusal::new(&rule::CODING_UNKNOWN, at));
            }
            (Coding::Chunked { .. }, None) => Framing::Chunked,
        };
        let persistent = !self.close && (line.version != Version::Http10 || self.keep_alive);
        let expects_continue = match self.expectation {
            // RFC 9110 §10.1.1: from an HTTP/1.0 client it is ignored.
            None => false,
            Some(_) if line.version == Version::Http10 => false,
            Some((true, _)) => body != Framing::None,
            Some((false, at)) => return Err(Refusal::new(&rule::EXPECT, at)),
        };
        Ok(Meaning { host, body, persistent, expects_continue, conditional: self.conditional })
    }
}

/// The elements of a comma-separated list that are not empty (RFC 9110 §5.6.1.2).
pub(crate) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&octet| octet == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// `1*DIGIT`, below 2^63, so that no sum of lengths overflows.
pub(super) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length = value
        .iter()
        .try_fold(0u64, |length, digit| length.checked_mul(10)?.checked_add(u64::from(digit - b'0')))?;
    (length < 1 << 63).then_some(length)
}
