//! The head of a response as a client reads it: status line and fields, by the grammar of RFC 9112 §4
//! and §5, and how its body is delimited (§6.3).
//!
//! As strict as the parser of requests: what two readers could take differently is refused, since what a
//! proxy passes on is read a second time.

use super::framing::{elements, parse_length};
use super::head::{FieldSpans, Fields, HeadLimits, Version, parse_fields, parse_version};
use super::rule::{self, Refusal};
use super::{Method, scan};
use crate::Status;

/// How a response's body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseFraming {
    /// There is no body, whatever the fields say.
    None,
    /// So many octets.
    Length(u64),
    /// In chunks (RFC 9112 §7.1).
    Chunked,
    /// It ends with the connection.
    Close,
    /// Another protocol follows: 101, or 2xx to CONNECT.
    Tunnel,
}

/// A whole response head that keeps every rule.
#[derive(Debug, Clone, Copy)]
pub struct ResponseHead<'b> {
    /// The head as it came, from the status line to the empty line, both included.
    pub octets: &'b [u8],
    /// By which version.
    pub version: Version,
    /// What came of the request.
    pub status: Status,
    /// The status in words; nothing depends on it, and it may be empty.
    pub reason: &'b [u8],
    /// Every field.
    pub fields: Fields<'b>,
    /// How the body is delimited.
    pub body: ResponseFraming,
    /// Whether the connection can carry another request afterwards (RFC 9112 §9.3).
    pub persistent: bool,
}

/// Reads the head of the response to a request of `method` at the start of `octets`, and says how long it
/// is; `None` when it is not whole.
///
/// # Errors
/// [`Refusal`] for the first rule that is broken, in the order of the octets; the rules about the body's
/// length come after the last of them. Its status is of no use here: a proxy answers 502.
pub fn parse_response<'b>(
    octets: &'b [u8],
    method: Method,
    limits: &HeadLimits,
    spans: &'b mut FieldSpans,
) -> Result<Option<(ResponseHead<'b>, usize)>, Refusal> {
    let whole_max = limits.head_octets.min(super::head::HEAD_OCTETS_MAX);
    let cut = &octets[..octets.len().min(whole_max)];
    let parsed = parse_cut(cut, method, limits, spans)?;
    if parsed.is_none() && octets.len() >= whole_max {
        return Err(Refusal::new(&rule::HEAD_LENGTH, whole_max));
    }
    Ok(parsed)
}

fn parse_cut<'b>(
    octets: &'b [u8],
    method: Method,
    limits: &HeadLimits,
    spans: &'b mut FieldSpans,
) -> Result<Option<(ResponseHead<'b>, usize)>, Refusal> {
    let Some(line) = StatusLine::parse(octets)? else { return Ok(None) };
    let mut known = Known::default();
    let fields = parse_fields(octets, line.end, limits, spans, |name, value, at| known.see(name, value, at))?;
    let Some((count, at)) = fields else { return Ok(None) };
    let (spans, length) = (&*spans, at + 2);
    let (body, persistent) = known.judge(method, &line)?;
    let head = ResponseHead {
        octets: &octets[..length],
        version: line.version,
        status: line.status,
        reason: line.reason,
        fields: Fields::new(octets, spans, count),
        body,
        persistent,
    };
    Ok(Some((head, length)))
}

struct StatusLine<'b> {
    version: Version,
    status: Status,
    reason: &'b [u8],
    /// Offset of the octet after its CRLF.
    end: usize,
}

impl<'b> StatusLine<'b> {
    /// Reads the line at the start of `octets`; `None` when it is not whole.
    fn parse(octets: &'b [u8]) -> Result<Option<Self>, Refusal> {
        let refuse = |at| Err(Refusal::new(&rule::STATUS_LINE, at));
        let Some(version) = parse_version(octets, 0)? else { return Ok(None) };
        let mut at = b"HTTP/1.1".len();
        let mut code = 0;
        for wanted in *b" 000 " {
            let Some(&octet) = octets.get(at) else { return Ok(None) };
            match (wanted, octet) {
                (b' ', b' ') => {}
                (b'0', b'0'..=b'9') => code = code * 10 + u16::from(octet - b'0'),
                // RFC 9112 §4: the last space belongs to the line, but many leave it out with the reason.
                (b' ', b'\r') if code >= 100 => break,
                _ => return refuse(at),
            }
            at += 1;
        }
        if code < 100 {
            return refuse(b"HTTP/1.1 ".len());
        }
        let end = scan::value_end(octets, at);
        match octets.get(end..).unwrap_or_default() {
            [b'\r', b'\n', ..] => {}
            [] | [b'\r'] => return Ok(None),
            [b'\r', ..] => return Err(Refusal::new(&rule::BARE_CR, end)),
            [b'\n', ..] => return Err(Refusal::new(&rule::BARE_LF, end)),
            _ => return refuse(end),
        }
        Ok(Some(Self { version, status: Status::new(code), reason: &octets[at..end], end: end + 2 }))
    }
}

/// The fields that delimit the body.
#[derive(Debug, Default)]
struct Known {
    length: Option<u64>,
    /// Whether the last transfer coding is chunked and no other is, and where it stands.
    coding: Option<(bool, usize)>,
    close: bool,
    keep_alive: bool,
}

impl Known {
    fn see(&mut self, name: &[u8], value: &[u8], at: usize) -> Result<(), Refusal> {
        if name.eq_ignore_ascii_case(b"content-length") {
            // RFC 9110 §8.6: the same length said twice is one length.
            for element in value.split(|&octet| octet == b',').map(<[u8]>::trim_ascii) {
                let length = parse_length(element).ok_or(Refusal::new(&rule::CONTENT_LENGTH, at))?;
                if *self.length.get_or_insert(length) != length {
                    return Err(Refusal::new(&rule::CONTENT_LENGTH_REPEATED, at));
                }
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            for coding in elements(value) {
                if matches!(self.coding, Some((true, _))) {
                    return Err(Refusal::new(&rule::CODING_LAST, at));
                }
                let chunked = coding.eq_ignore_ascii_case(b"chunked") && self.coding.is_none();
                self.coding = Some((chunked, at));
            }
        } else if name.eq_ignore_ascii_case(b"connection") {
            for option in elements(value) {
                self.close |= option.eq_ignore_ascii_case(b"close");
                self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        }
        Ok(())
    }

    fn judge(&self, method: Method, line: &StatusLine<'_>) -> Result<(ResponseFraming, bool), Refusal> {
        let persistent = !self.close && (line.version != Version::Http10 || self.keep_alive);
        let tunnel = method == Method::Connect && (200..300).contains(&line.status.code());
        if tunnel || line.status == Status::SWITCHING_PROTOCOLS {
            return Ok((ResponseFraming::Tunnel, false));
        }
        let body = match (self.coding, self.length) {
            (Some((_, at)), Some(_)) => return Err(Refusal::new(&rule::LENGTH_AND_CODING, at)),
            (Some((_, at)), None) if line.version == Version::Http10 => {
                return Err(Refusal::new(&rule::CODING_VERSION, at));
            }
            (Some((false, at)), None) => return Err(Refusal::new(&rule::CODING_UNKNOWN, at)),
            _ if method == Method::Head || line.status.is_bodiless() => ResponseFraming::None,
            (Some((true, _)), None) => ResponseFraming::Chunked,
            (None, Some(0)) => ResponseFraming::None,
            (None, Some(length)) => ResponseFraming::Length(length),
            (None, None) => ResponseFraming::Close,
        };
        Ok((body, persistent && body != ResponseFraming::Close))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(octets: &[u8], method: Method) -> Result<Option<(u16, ResponseFraming, bool, usize)>, Refusal> {
        let mut spans = FieldSpans::default();
        let parsed = parse_response(octets, method, &HeadLimits::default(), &mut spans)?;
        Ok(parsed.map(|(head, used)| (head.status.code(), head.body, head.persistent, used)))
    }

    #[track_caller]
    fn check(text: &str, expected: (u16, ResponseFraming, bool)) {
        let (status, body, persistent) = expected;
        let whole = Ok(Some((status, body, persistent, text.len())));
        assert_eq!(parse(text.as_bytes(), Method::Get), whole, "{text:?}");
        for end in 0..text.len() {
            assert_eq!(parse(&text.as_bytes()[..end], Method::Get), Ok(None), "{text:?} up to {end}");
        }
    }

    #[track_caller]
    fn refused(text: &str, rule: &'static rule::Rule, at: usize) {
        assert_eq!(parse(text.as_bytes(), Method::Get), Err(Refusal::new(rule, at)), "{text:?}");
    }

    #[test]
    fn a_body_is_delimited_as_the_standard_says() {
        use ResponseFraming::{Chunked, Close, Length, None, Tunnel};
        check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", (200, Length(5), true));
        check("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nContent-Length: 5\r\n\r\n", (200, Length(5), true));
        check("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", (200, None, true));
        check("HTTP/1.1 200 \r\n\r\n", (200, Close, false));
        check("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", (200, Close, false));
        check(
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n",
            (200, Length(1), true),
        );
        check("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", (200, Length(1), false));
        check("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n", (404, Chunked, true));
        check(
            "HTTP/1.1 200 好\r\nconnection: x, Close\r\nTransfer-Encoding: chunked\r\n\r\n",
            (200, Chunked, false),
        );
        check("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", (304, None, true));
        check("HTTP/1.1 100 Continue\r\n\r\n", (100, None, true));
        check("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", (101, Tunnel, false));
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(parse(head, Method::Head), Ok(Some((200, None, true, head.len()))));
        assert_eq!(parse(head, Method::Connect), Ok(Some((200, Tunnel, false, head.len()))));
    }

    #[test]
    fn a_response_that_two_readers_could_take_differently_is_refused() {
        refused("HTTP/2.0 200 OK\r\n\r\n", &rule::VERSION_MAJOR, 5);
        refused("http/1.1 200 OK\r\n\r\n", &rule::VERSION, 0);
        refused("HTTP/1.1  200 OK\r\n\r\n", &rule::STATUS_LINE, 9);
        refused("HTTP/1.1 20 OK\r\n\r\n", &rule::STATUS_LINE, 11);
        refused("HTTP/1.1 099 OK\r\n\r\n", &rule::STATUS_LINE, 9);
        refused("HTTP/1.1 2000 OK\r\n\r\n", &rule::STATUS_LINE, 12);
        refused("HTTP/1.1 200 O\0K\r\n\r\n", &rule::STATUS_LINE, 14);
        refused("HTTP/1.1 200 OK\n\r\n", &rule::BARE_LF, 15);
        refused("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", &rule::OBS_FOLD, 23);
        refused("HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n", &rule::CONTENT_LENGTH_REPEATED, 33);
        refused("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", &rule::CONTENT_LENGTH, 33);
        let both = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
        refused(both, &rule::LENGTH_AND_CODING, 55);
        refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", &rule::CODING_UNKNOWN, 36);
        refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", &rule::CODING_LAST, 36);
        refused("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &rule::CODING_VERSION, 36);
    }
}
