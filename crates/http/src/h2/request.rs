//! A decoded field block read as a request head, or as trailers (RFC 9113 §8.2, §8.3).
//!
//! The fields are put together as the text that HTTP/1 would have had (request line, `host`, field lines),
//! so that all that stands behind a head is the same for both versions. The rules are those of HTTP/1, and
//! those that HTTP/2 adds.

use super::hpack::{Decoder, Strings};
use super::rule::{self, Rule};
use crate::wire::head::{Assembled, FIELDS_MAX, HEAD_OCTETS_MAX};
use crate::wire::rule as http;
use crate::wire::{FieldSpans, Framing, HeadLimits, Refusal, RequestHead, scan};

/// Room in which field blocks are decoded. A worker has one and lends it to each connection.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    strings: Strings,
    text: Vec<u8>,
    cookie: Vec<u8>,
    pseudo: Pseudo,
    spans: FieldSpans,
}

/// Why a head is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It breaks a rule of HTTP/2: the stream is reset, or the connection ended.
    Rule(&'static Rule),
    /// It is answered with the status of a rule of HTTP.
    Refusal(Refusal),
}

impl From<&'static Rule> for Fault {
    fn from(rule: &'static Rule) -> Self {
        Self::Rule(rule)
    }
}

/// Pseudo-header fields of a request.
#[derive(Debug, Clone, Default)]
struct Pseudo {
    method: Option<Vec<u8>>,
    scheme: Option<Vec<u8>>,
    authority: Option<Vec<u8>>,
    path: Option<Vec<u8>>,
    spare: Vec<Vec<u8>>,
}

impl Pseudo {
    /// Forgets the values and keeps their room.
    fn clear(&mut self) {
        let Self { method, scheme, authority, path, spare } = self;
        spare.extend([method, scheme, authority, path].into_iter().filter_map(Option::take));
    }

    fn see(&mut self, name: &[u8], value: &[u8]) -> Result<(), &'static Rule> {
        let place = match name {
            b":method" => &mut self.method,
            b":scheme" => &mut self.scheme,
            b":authority" => &mut self.authority,
            b":path" => &mut self.path,
            _ => return Err(&rule::PSEUDO_UNKNOWN),
        };
        if place.is_some() {
            return Err(&rule::PSEUDO_REPEATED);
        }
        let mut room = self.spare.pop().unwrap_or_default();
        room.clear();
        room.extend_from_slice(value);
        *place = Some(room);
        Ok(())
    }
}

/// Puts a head together, field by field, up to the first fault.
struct Builder<'s> {
    text: &'s mut Vec<u8>,
    cookie: &'s mut Vec<u8>,
    pseudo: &'s mut Pseudo,
    spans: &'s mut FieldSpans,
    limits: &'s HeadLimits,
    fields: usize,
    /// Where the method and the target end, once the request line is there.
    line: Option<(usize, usize)>,
    /// Whether `host` came by itself as well.
    fault: Option<Fault>,
}

impl Builder<'_> {
    fn field(&mut self, name: &[u8], value: &[u8]) {
        if self.fault.is_none() {
            self.fault = self.take(name, value).err();
        }
    }

    fn take(&mut self, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        if name.first() == Some(&b':') {
            if self.line.is_some() {
                return Err(Fault::Rule(&rule::PSEUDO_LATE));
            }
            return Ok(self.pseudo.see(name, value)?);
        }
        if self.line.is_none() {
            self.begin()?;
        }
        check(name, value)?;
        match name {
            // RFC 9113 §8.2.3: one field again, for whoever knows no other.
            b"cookie" => {
                if self.text.len() + self.cookie.len() + value.len() > self.limits.head_octets {
                    return Err(refusal(&http::HEAD_LENGTH));
                }
                if !self.cookie.is_empty() {
                    self.cookie.extend_from_slice(b"; ");
                }
                self.cookie.extend_from_slice(value);
                return Ok(());
            }
            b"host" if self.pseudo.authority.is_some() => {
                let authority = self.pseudo.authority.as_deref().unwrap_or_default();
                if !value.eq_ignore_ascii_case(authority) {
                    return Err(Fault::Rule(&rule::AUTHORITY));
                }
                return Ok(());
            }
            _ => {}
        }
        self.add(name, value)
    }

    /// Writes the request line, and the host that goes with it.
    fn begin(&mut self) -> Result<(), Fault> {
        let Pseudo { method, scheme, authority, path, .. } = &*self.pseudo;
        let Some(method) = method else { return Err(Fault::Rule(&rule::PSEUDO_MISSING)) };
        if method.is_empty() || scan::token_end(method, 0) < method.len() {
            return Err(Fault::Rule(&rule::METHOD));
        }
        let target = match (&method[..], scheme, path, authority) {
            (b"CONNECT", None, None, Some(authority)) => authority,
            (b"CONNECT", ..) => return Err(Fault::Rule(&rule::PSEUDO_MISSING)),
            (_, Some(scheme), Some(path), _) => {
                if !is_scheme(scheme) {
                    return Err(Fault::Rule(&rule::SCHEME));
                }
                let is_path = path.first() == Some(&b'/') || (path == b"*" && method == b"OPTIONS");
                if !is_path || scan::target_end(path, 0) < path.len() {
                    return Err(Fault::Rule(&rule::PATH));
                }
                path
            }
            _ => return Err(Fault::Rule(&rule::PSEUDO_MISSING)),
        };
        if method.len() + target.len() > self.limits.request_line_octets {
            return Err(refusal(&http::TARGET_LENGTH));
        }
        self.text.extend_from_slice(method);
        let method_end = self.text.len();
        self.text.push(b' ');
        self.text.extend_from_slice(target);
        self.line = Some((method_end, self.text.len()));
        self.text.extend_from_slice(b" HTTP/2.0\r\n");
        if let Some(authority) = self.pseudo.authority.take() {
            let added = self.add(b"host", &authority);
            self.pseudo.authority = Some(authority);
            return added;
        }
        Ok(())
    }

    fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        let octets = name.len() + value.len() + b": \r\n".len();
        if octets > self.limits.field_octets {
            return Err(refusal(&http::FIELD_LENGTH));
        }
        if self.fields == self.limits.fields.min(FIELDS_MAX) {
            return Err(refusal(&http::FIELDS_COUNT));
        }
        // The empty line must fit as well.
        if self.text.len() + octets + 2 > self.limits.head_octets.min(HEAD_OCTETS_MAX) {
            return Err(refusal(&http::HEAD_LENGTH));
        }
        let start = self.text.len();
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(b": ");
        self.text.extend_from_slice(value);
        self.spans.set(self.fields, start, start + name.len(), self.text.len());
        self.fields += 1;
        self.text.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn finish(&mut self) -> Result<(usize, usize), Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.line.is_none() {
            self.begin()?;
        }
        if !self.cookie.is_empty() {
            let cookie = std::mem::take(self.cookie);
            let added = self.add(b"cookie", &cookie);
            *self.cookie = cookie;
            added?;
        }
        self.text.extend_from_slice(b"\r\n");
        self.line.ok_or(Fault::Rule(&rule::PSEUDO_MISSING))
    }
}

/// Decodes a whole block and reads it as a request. `ended` says whether no content follows.
///
/// # Errors
/// [`Fault`]; with a rule of HPACK the connection cannot go on. For everything else the block was decoded
/// to its end, and the next can follow.
pub fn read<'s>(
    decoder: &mut Decoder,
    block: &[u8],
    ended: bool,
    limits: &HeadLimits,
    scratch: &'s mut Scratch,
) -> Result<RequestHead<'s>, Fault> {
    let Scratch { strings, text, cookie, pseudo, spans } = scratch;
    text.clear();
    cookie.clear();
    pseudo.clear();
    let mut builder = Builder { text, cookie, pseudo, spans, limits, fields: 0, line: None, fault: None };
    decoder.decode(block, strings, |name, value| builder.field(name, value))?;
    let (method_end, target_end) = builder.finish()?;
    let fields = builder.fields;
    let assembled = Assembled { octets: text, method_end, target_end, spans, fields };
    let mut head = assembled.read().map_err(of_http)?;
    match (head.body, ended) {
        (Framing::Length(_), true) => return Err(Fault::Rule(&rule::CONTENT_LENGTH)),
        (Framing::None, false) if head.fields.first(b"content-length").is_none() => {
            // Of a length that nobody told, which is what chunks are for in HTTP/1.
            head.body = Framing::Chunked;
            head.expects_continue = head.fields.first(b"expect").is_some();
        }
        _ => {}
    }
    Ok(head)
}

/// Reads a head again that [`read`] put together; `body` and `expects_continue` are as they were.
#[must_use]
pub fn again<'s>(
    octets: &'s [u8],
    body: Framing,
    expects_continue: bool,
    spans: &'s mut FieldSpans,
) -> Option<RequestHead<'s>> {
    let line_end = octets.iter().position(|&octet| octet == b'\r')?;
    let mut spaces = (0..line_end).filter(|&at| octets[at] == b' ');
    let (method_end, target_end) = (spaces.next()?, spaces.next()?);
    let (mut fields, mut start) = (0, line_end + 2);
    while start + 2 < octets.len() {
        let line = &octets[start..];
        let end = line.iter().position(|&octet| octet == b'\r')?;
        let colon = line.iter().position(|&octet| octet == b':')?;
        spans.set(fields, start, start + colon, start + end);
        fields += 1;
        start += end + 2;
    }
    let head = Assembled { octets, method_end, target_end, spans, fields }.read().ok()?;
    Some(RequestHead { body, expects_continue, ..head })
}

/// Decodes a block and throws it away: the next one builds on it.
///
/// # Errors
/// The rule of HPACK that is broken.
pub fn skip(decoder: &mut Decoder, block: &[u8], scratch: &mut Scratch) -> Result<(), &'static Rule> {
    decoder.decode(block, &mut scratch.strings, |_, _| {})
}

/// Decodes a block of trailers, which nobody here reads.
///
/// # Errors
/// The rule that is broken, of HPACK or of fields.
pub fn trailers(decoder: &mut Decoder, block: &[u8], scratch: &mut Scratch) -> Result<(), &'static Rule> {
    let mut fault = None;
    decoder.decode(block, &mut scratch.strings, |name, value| {
        let checked = if name.first() == Some(&b':') { Err(&rule::PSEUDO_LATE) } else { check(name, value) };
        if let (None, Err(rule)) = (fault, checked) {
            fault = Some(rule);
        }
    })?;
    fault.map_or(Ok(()), Err)
}

/// What both requests and trailers, and both sides, must keep (RFC 9113 §8.2.1, §8.2.2).
pub(super) fn check(name: &[u8], value: &[u8]) -> Result<(), &'static Rule> {
    let lower = !name.iter().any(u8::is_ascii_uppercase);
    if name.is_empty() || !lower || scan::token_end(name, 0) < name.len() {
        return Err(&rule::FIELD_NAME);
    }
    let space = |octet: Option<&u8>| matches!(octet, Some(b' ' | b'\t'));
    if scan::value_end(value, 0) < value.len() || space(value.first()) || space(value.last()) {
        return Err(&rule::FIELD_VALUE);
    }
    match name {
        b"connection" | b"proxy-connection" | b"keep-alive" | b"transfer-encoding" | b"upgrade" => {
            Err(&rule::FIELD_CONNECTION)
        }
        b"te" if !value.eq_ignore_ascii_case(b"trailers") => Err(&rule::FIELD_CONNECTION),
        _ => Ok(()),
    }
}

fn is_scheme(scheme: &[u8]) -> bool {
    scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(octet))
}

const fn refusal(rule: &'static http::Rule) -> Fault {
    Fault::Refusal(Refusal::new(rule, 0))
}

/// What a head that HTTP/1 would answer with 400 is in HTTP/2: malformed (RFC 9113 §8.1.1).
fn of_http(refusal: Refusal) -> Fault {
    let rules = [
        (&http::HOST, &rule::AUTHORITY),
        (&http::HOST_REPEATED, &rule::AUTHORITY),
        (&http::HOST_MISSING, &rule::AUTHORITY),
        (&http::TARGET_FORM, &rule::PATH),
        (&http::CONTENT_LENGTH, &rule::CONTENT_LENGTH),
        (&http::CONTENT_LENGTH_REPEATED, &rule::CONTENT_LENGTH),
    ];
    match rules.iter().find(|(of_http, _)| *of_http == refusal.rule) {
        Some((_, rule)) => Fault::Rule(rule),
        None => Fault::Refusal(refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h2::hpack::{Encoder, Keep};

    /// A block of the fields that stand in `text`, one a line, name and value separated by a blank.
    fn block(text: &str) -> Vec<u8> {
        let mut block = Vec::new();
        for line in text.lines() {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            Encoder::new().field(&mut block, name.as_bytes(), value.as_bytes(), Keep::No);
        }
        block
    }

    fn read_text(text: &str, ended: bool) -> Result<String, &'static str> {
        let mut scratch = Scratch::default();
        let limits = HeadLimits { fields: 12, ..HeadLimits::default() };
        match read(&mut Decoder::new(), &block(text), ended, &limits, &mut scratch) {
            Ok(head) => {
                let fields = head.fields.iter().count();
                let mut spans = FieldSpans::default();
                let again = again(head.octets, head.body, head.expects_continue, &mut spans).unwrap();
                assert_eq!(format!("{again:?}"), format!("{head:?}"));
                let text = String::from_utf8_lossy(head.octets);
                Ok(format!("{text}{:?} {fields} {}", head.body, head.expects_continue))
            }
            Err(Fault::Rule(rule)) => Err(rule.code),
            Err(Fault::Refusal(refusal)) => Err(refusal.rule.code),
        }
    }

    #[track_caller]
    fn check(more: &str, expected: &str) {
        let text = format!(":method GET\n:scheme https\n:path /\n:authority a\n{more}");
        assert_eq!(read_text(&text, true), Err(expected), "{more:?}");
    }

    #[track_caller]
    fn check_whole(text: &str, expected: Result<&str, &str>) {
        assert_eq!(read_text(text, true).as_deref(), expected.as_ref().copied());
    }

    #[test]
    fn fields_become_the_head_that_http_1_would_have() {
        check_whole(
            ":method GET\n:path /x?y\n:authority a:1\n:scheme https\naccept */*\ncookie a=1\nx-y\ncookie b=2\nhost A:1",
            Ok(
                "GET /x?y HTTP/2.0\r\nhost: a:1\r\naccept: */*\r\nx-y: \r\ncookie: a=1; b=2\r\n\r\nNone 4 false",
            ),
        );
        check_whole(
            ":method OPTIONS\n:scheme http\n:path *\nhost a",
            Ok("OPTIONS * HTTP/2.0\r\nhost: a\r\n\r\nNone 1 false"),
        );
        check_whole(
            ":method CONNECT\n:authority a:443",
            Ok("CONNECT a:443 HTTP/2.0\r\nhost: a:443\r\n\r\nNone 1 false"),
        );
    }

    #[test]
    fn content_without_a_length_is_of_unknown_length() {
        let post = ":method POST\n:scheme https\n:path /\n:authority a\nexpect 100-continue";
        assert!(read_text(post, false).unwrap().ends_with("Chunked 2 true"));
        assert!(read_text(post, true).unwrap().ends_with("None 2 false"));
        let long = format!("{post}\ncontent-length 5");
        assert!(read_text(&long, false).unwrap().ends_with("Length(5) 3 true"));
        assert_eq!(read_text(&long, true), Err("content_length"));
    }

    #[test]
    fn each_malformed_head_names_its_rule() {
        check("Accept x", "field_name");
        check("a:b x", "field_name");
        check("a\u{0}b x", "field_name");
        check(" x", "field_name");
        check("a b\rc", "field_value");
        check("a \u{0}", "field_value");
        check("a  x", "field_value");
        check("a x\t", "field_value");
        for name in ["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"] {
            check(&format!("{name} x"), "field_connection");
        }
        check("te gzip", "field_connection");
        check(":status 200", "pseudo_unknown");
        check(":protocol websocket", "pseudo_unknown");
        check(":path /", "pseudo_repeated");
        check("a b\n:path /", "pseudo_late");
        check("host b", "authority");
        check("content-length x", "content_length");
        check("content-length 0\ncontent-length 0", "content_length");
        check("expect x", "expect");
        check(&"a b\n".repeat(12), "fields_count");
        check(&format!("a {}", "x".repeat(16_384)), "field_length");
        check(&format!("a {0}\nb {0}\nc {0}\nd {0}", "x".repeat(16_379)), "head_length");
        check(&format!("cookie {0}\ncookie {0}\ncookie {0}\ncookie {0}", "x".repeat(16_379)), "head_length");
    }

    #[test]
    fn each_wrong_set_of_pseudo_fields_names_its_rule() {
        let a = ":authority a\n";
        check_whole(&format!("{a}:scheme https\n:path /"), Err("pseudo_missing"));
        check_whole(&format!("{a}:method GET\n:path /"), Err("pseudo_missing"));
        check_whole(&format!("{a}:method GET\n:scheme https"), Err("pseudo_missing"));
        check_whole(":method CONNECT\n:scheme https\n:path /\n:authority a:1", Err("pseudo_missing"));
        check_whole(":method CONNECT\n:authority a", Err("path"));
        check_whole(":method GET\n:scheme https\n:path /", Err("authority"));
        check_whole(":method GET\n:scheme https\n:path /\n:authority u@a", Err("authority"));
        check_whole(&format!("{a}:method GE T\n:scheme https\n:path /"), Err("method"));
        check_whole(&format!("{a}:method\n:scheme https\n:path /"), Err("method"));
        check_whole(&format!("{a}:method GET\n:scheme 1\n:path /"), Err("scheme"));
        for path in ["", "x", "*", "/ x", "http://a/", "/\u{e9}"] {
            check_whole(&format!("{a}:method GET\n:scheme https\n:path {path}"), Err("path"));
        }
        let long = "/".repeat(16_385);
        let text = format!("{a}:method GET\n:scheme https\n:path {long}");
        check_whole(&text, Err("request_target_length"));
    }

    #[test]
    fn trailers_have_no_pseudo_fields() {
        let check = |text: &str| {
            let mut scratch = Scratch::default();
            trailers(&mut Decoder::new(), &block(text), &mut scratch).map_err(|rule| rule.code)
        };
        assert_eq!(check("x-sum 1"), Ok(()));
        assert_eq!(check(":path /"), Err("pseudo_late"));
        assert_eq!(check("X 1"), Err("field_name"));
    }
}
