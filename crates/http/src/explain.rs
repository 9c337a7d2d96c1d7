//! A message taken apart octet by octet: which rule of the grammar each stretch of octets matches, up to the
//! first that breaks one (RFC 9112 §2 to §7, Appendix A).
//!
//! The verdict is the parsers' own: what is explained here as whole is what the server takes. Not here: how
//! it is shown.

use crate::connection::Limits;
use crate::wire::chunked::{Chunked, Piece};
use crate::wire::{
    FieldSpans, Framing, Method, Parsed, Refusal, ResponseFraming, parse_request, parse_response,
};

/// A stretch of octets that matches one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Offset of its first octet in all that was given.
    pub start: usize,
    /// Offset behind its last octet.
    pub end: usize,
    /// The rule's name in the ABNF.
    pub rule: &'static str,
    /// Where the standard has it.
    pub section: &'static str,
}

/// How the octets end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With a whole message.
    Whole,
    /// Within one that keeps the rules so far.
    Partial,
    /// At an octet that breaks a rule; its offset is counted from the first octet of all.
    Broken(Refusal),
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// Every octet up to the end, or to the broken one, in order and without gaps.
    pub stretches: Vec<Stretch>,
    /// How it ends.
    pub ending: Ending,
    /// Whole messages.
    pub messages: usize,
}

/// Takes apart the messages that stand one behind the other in `octets`: requests, or responses if the
/// octets begin with `HTTP/`.
#[must_use]
pub fn explain(octets: &[u8]) -> Explained {
    let mut walk = Walk { octets, at: 0, stretches: Vec::new() };
    let mut messages = 0;
    let is_response = octets.starts_with(b"HTTP/");
    let ending = loop {
        let found = if is_response { walk.response() } else { walk.request() };
        match found {
            Ending::Whole => messages += 1,
            other => break other,
        }
        if walk.at >= octets.len() {
            break Ending::Whole;
        }
    };
    let end = match ending {
        Ending::Broken(refusal) => refusal.at_octet.min(octets.len()),
        Ending::Whole | Ending::Partial => octets.len(),
    };
    let mut stretches = walk.stretches;
    stretches.retain(|stretch| stretch.start < end);
    if let Some(last) = stretches.last_mut() {
        last.end = last.end.min(end);
    }
    Explained { stretches, ending, messages }
}

struct Walk<'b> {
    octets: &'b [u8],
    at: usize,
    stretches: Vec<Stretch>,
}

/// The rules that stretches are named after, with their sections.
type Rule = (&'static str, &'static str);

const CRLF: Rule = ("CRLF", "RFC 5234 B.1");
const SP: Rule = ("SP", "RFC 5234 B.1");
const METHOD: Rule = ("method = token", "RFC 9110 §9.1");
const SCHEME: Rule = ("scheme", "RFC 3986 §3.1");
const AUTHORITY: Rule = ("authority", "RFC 3986 §3.2");
const PATH: Rule = ("absolute-path", "RFC 9110 §4.1");
const QUERY: Rule = ("query", "RFC 3986 §3.4");
const ASTERISK: Rule = ("asterisk-form", "RFC 9112 §3.2.4");
const AUTHORITY_FORM: Rule = ("authority-form", "RFC 9112 §3.2.3");
const NAME: Rule = ("HTTP-name", "RFC 9112 §2.3");
const VERSION: Rule = ("DIGIT \".\" DIGIT", "RFC 9112 §2.3");
const STATUS: Rule = ("status-code = 3DIGIT", "RFC 9112 §4");
const REASON: Rule = ("reason-phrase", "RFC 9112 §4");
const FIELD_NAME: Rule = ("field-name = token", "RFC 9110 §5.1");
const FIELD_VALUE: Rule = ("field-value", "RFC 9110 §5.5");
const OWS: Rule = ("OWS", "RFC 9110 §5.6.3");
const BODY: Rule = ("message-body = *OCTET", "RFC 9112 §6");
const CHUNK_SIZE: Rule = ("chunk-size = 1*HEXDIG", "RFC 9112 §7.1");
const LAST_CHUNK: Rule = ("last-chunk = 1*(\"0\")", "RFC 9112 §7.1");
const CHUNK_EXT: Rule = ("chunk-ext", "RFC 9112 §7.1.1");
const CHUNK_DATA: Rule = ("chunk-data = 1*OCTET", "RFC 9112 §7.1");
const TUNNEL: Rule = ("another protocol", "RFC 9110 §7.8");

impl<'b> Walk<'b> {
    fn request(&mut self) -> Ending {
        let start = self.at;
        let mut spans = FieldSpans::default();
        let limits = Limits::default();
        let parsed = parse_request(&self.octets[start..], &limits.head, &mut spans);
        let framing = match &parsed {
            Ok(Parsed::Head(head, _)) => Some(head.body),
            _ => None,
        };
        if self.rest().starts_with(b"\r\n") {
            self.take(2, CRLF);
        }
        let method = self.word();
        self.take(method, METHOD);
        self.space();
        self.target();
        self.space();
        self.version();
        self.line_end();
        self.fields();
        match (parsed, framing) {
            (Err(refusal), _) => Ending::Broken(shifted(refusal, start)),
            (_, Some(Framing::None)) => Ending::Whole,
            (_, Some(Framing::Length(octets))) => self.length(octets),
            (_, Some(Framing::Chunked)) => self.chunked(),
            (Ok(_), None) => Ending::Partial,
        }
    }

    fn response(&mut self) -> Ending {
        let start = self.at;
        let mut spans = FieldSpans::default();
        let limits = Limits::default();
        let parsed = parse_response(&self.octets[start..], Method::Get, &limits.head, &mut spans);
        let framing = match &parsed {
            Ok(Some((head, _))) => Some(head.body),
            _ => None,
        };
        self.version();
        self.space();
        let status = self.count(|octet| octet.is_ascii_digit());
        self.take(status, STATUS);
        self.space();
        let reason = self.count(|octet| !matches!(octet, b'\r' | b'\n'));
        self.take(reason, REASON);
        self.line_end();
        self.fields();
        match (parsed, framing) {
            (Err(refusal), _) => Ending::Broken(shifted(refusal, start)),
            (_, Some(ResponseFraming::None)) => Ending::Whole,
            (_, Some(ResponseFraming::Length(octets))) => self.length(octets),
            (_, Some(ResponseFraming::Chunked)) => self.chunked(),
            (_, Some(ResponseFraming::Close)) => {
                self.take(self.rest().len(), BODY);
                Ending::Whole
            }
            (_, Some(ResponseFraming::Tunnel)) => {
                self.take(self.rest().len(), TUNNEL);
                Ending::Whole
            }
            (Ok(_), None) => Ending::Partial,
        }
    }

    fn target(&mut self) {
        let whole = self.word();
        let target = &self.rest()[..whole];
        match target {
            b"*" => self.take(1, ASTERISK),
            [b'/', ..] => self.path_and_query(whole),
            _ => match target.windows(3).position(|three| three == b"://") {
                Some(colon) => {
                    self.take(colon, SCHEME);
                    self.take(3, ("\"://\"", "RFC 3986 §3"));
                    let left = whole - colon - 3;
                    let authority = &self.rest()[..left];
                    let end = authority.iter().position(|octet| matches!(octet, b'/' | b'?')).unwrap_or(left);
                    self.take(end, AUTHORITY);
                    self.path_and_query(left - end);
                }
                None => self.take(whole, AUTHORITY_FORM),
            },
        }
    }

    fn path_and_query(&mut self, octets: usize) {
        let target = &self.rest()[..octets];
        let mark = target.iter().position(|&octet| octet == b'?').unwrap_or(octets);
        self.take(mark, PATH);
        if mark < octets {
            self.take(1, ("\"?\"", "RFC 9112 §3.2.1"));
            self.take(octets - mark - 1, QUERY);
        }
    }

    fn version(&mut self) {
        let name = self.count(|octet| octet.is_ascii_alphabetic());
        self.take(name, NAME);
        if self.rest().first() == Some(&b'/') {
            self.take(1, ("\"/\"", "RFC 9112 §2.3"));
        }
        let version = self.count(|octet| octet.is_ascii_digit() || octet == b'.');
        self.take(version, VERSION);
    }

    fn fields(&mut self) {
        loop {
            let line = self.rest();
            if line.is_empty() || line.starts_with(b"\r") || line.starts_with(b"\n") {
                return self.line_end();
            }
            let name = self.count(|octet| !matches!(octet, b':' | b'\r' | b'\n'));
            self.take(name, FIELD_NAME);
            if self.rest().first() == Some(&b':') {
                self.take(1, ("\":\"", "RFC 9112 §5"));
            }
            let before = self.count(|octet| matches!(octet, b' ' | b'\t'));
            self.take(before, OWS);
            let line = self.count(|octet| !matches!(octet, b'\r' | b'\n'));
            let after = self.rest()[..line].iter().rev().take_while(|o| matches!(o, b' ' | b'\t')).count();
            self.take(line - after, FIELD_VALUE);
            self.take(after, OWS);
            self.line_end();
        }
    }

    fn length(&mut self, octets: u64) -> Ending {
        let here = self.rest().len() as u64;
        self.take(octets.min(here) as usize, BODY);
        if here < octets { Ending::Partial } else { Ending::Whole }
    }

    fn chunked(&mut self) -> Ending {
        let start = self.at;
        let ending = self.decode(start);
        // What the decoder read, by the names of its parts.
        let end = match ending {
            Ending::Whole => self.at,
            Ending::Partial => self.octets.len(),
            Ending::Broken(refusal) => refusal.at_octet,
        };
        let after = self.at;
        self.at = start;
        while self.at < end {
            let digits = self.count(|octet| octet.is_ascii_hexdigit());
            let text = std::str::from_utf8(&self.rest()[..digits]).unwrap_or_default();
            let size = u64::from_str_radix(text, 16).unwrap_or(u64::MAX);
            self.take(digits, if size == 0 { LAST_CHUNK } else { CHUNK_SIZE });
            let extension = self.count(|octet| !matches!(octet, b'\r' | b'\n'));
            self.take(extension, CHUNK_EXT);
            self.line_end();
            if size == 0 {
                self.fields();
                break;
            }
            let here = size.min(end.saturating_sub(self.at) as u64) as usize;
            self.take(here, CHUNK_DATA);
            self.line_end();
        }
        self.at = after;
        ending
    }

    /// Finds the end of a chunked body by the server's own decoder.
    fn decode(&mut self, start: usize) -> Ending {
        let mut chunked = Chunked::default();
        loop {
            match chunked.decode(self.rest()) {
                Ok((used, piece)) => {
                    self.at += used;
                    match piece {
                        Piece::Data(_) => {}
                        Piece::More => return Ending::Partial,
                        Piece::End => return Ending::Whole,
                    }
                }
                Err(refusal) => return Ending::Broken(shifted(refusal, start)),
            }
        }
    }

    fn rest(&self) -> &'b [u8] {
        &self.octets[self.at.min(self.octets.len())..]
    }

    fn count(&self, wanted: impl Fn(u8) -> bool) -> usize {
        self.rest().iter().take_while(|octet| wanted(**octet)).count()
    }

    fn word(&self) -> usize {
        self.count(|octet| !matches!(octet, b' ' | b'\r' | b'\n'))
    }

    fn take(&mut self, octets: usize, (rule, section): Rule) {
        if octets > 0 {
            let start = self.at;
            self.at += octets;
            self.stretches.push(Stretch { start, end: self.at, rule, section });
        }
    }

    fn space(&mut self) {
        if self.rest().first() == Some(&b' ') {
            self.take(1, SP);
        }
    }

    fn line_end(&mut self) {
        let octets = match self.rest() {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => 0,
        };
        self.take(octets, CRLF);
    }
}

const fn shifted(refusal: Refusal, by: usize) -> Refusal {
    Refusal::new(refusal.rule, refusal.at_octet + by)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rule;
    use proptest::prelude::*;

    /// The rules' names with the octets that match them.
    fn told(text: &str) -> (Vec<(&str, &'static str)>, Ending) {
        let found = explain(text.as_bytes());
        let named = found.stretches.iter().map(|s| (&text[s.start..s.end], s.rule)).collect();
        (named, found.ending)
    }

    #[test]
    fn each_octet_of_a_request_has_its_rule() {
        let (named, ending) = told("GET /a?b HTTP/1.1\r\nHost:  x \r\n\r\n");
        let expected = [
            ("GET", "method = token"),
            (" ", "SP"),
            ("/a", "absolute-path"),
            ("?", "\"?\""),
            ("b", "query"),
            (" ", "SP"),
            ("HTTP", "HTTP-name"),
            ("/", "\"/\""),
            ("1.1", "DIGIT \".\" DIGIT"),
            ("\r\n", "CRLF"),
            ("Host", "field-name = token"),
            (":", "\":\""),
            ("  ", "OWS"),
            ("x", "field-value"),
            (" ", "OWS"),
            ("\r\n", "CRLF"),
            ("\r\n", "CRLF"),
        ];
        assert_eq!((named, ending), (expected.to_vec(), Ending::Whole));
    }

    #[test]
    fn bodies_and_several_messages_are_taken_apart() {
        let (named, ending) = told(
            "POST http://h:1/p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n\
             OPTIONS * HTTP/1.0\r\nContent-Length: 2\r\n\r\nok",
        );
        assert_eq!(ending, Ending::Whole);
        for part in [
            ("http", "scheme"),
            ("h:1", "authority"),
            ("3", "chunk-size = 1*HEXDIG"),
            (";x=y", "chunk-ext"),
            ("abc", "chunk-data = 1*OCTET"),
            ("0", "last-chunk = 1*(\"0\")"),
            ("T", "field-name = token"),
            ("*", "asterisk-form"),
            ("ok", "message-body = *OCTET"),
        ] {
            assert!(named.contains(&part), "{part:?} in {named:?}");
        }
        let (named, _) = told("HTTP/1.1 200 All good\r\nContent-Length: 1\r\n\r\nx");
        assert!(
            named.contains(&("200", "status-code = 3DIGIT"))
                && named.contains(&("All good", "reason-phrase"))
        );
    }

    #[test]
    fn what_breaks_a_rule_ends_it_at_its_octet() {
        let broken = |text: &str, rule: &'static rule::Rule, at| {
            let (named, ending) = told(text);
            assert_eq!(ending, Ending::Broken(Refusal::new(rule, at)), "{text:?}");
            assert_eq!(named.iter().map(|(octets, _)| octets.len()).sum::<usize>(), at, "{text:?}");
        };
        broken("GET / HTTP/1.1\r\nHost : x\r\n\r\n", &rule::SPACE_BEFORE_COLON, 20);
        broken("GET /\x07 HTTP/1.1\r\n\r\n", &rule::TARGET, 5);
        broken(
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
            &rule::CHUNK_END,
            61,
        );
        assert_eq!(told("GET / HTTP/1.1\r\nHo").1, Ending::Partial);
    }

    proptest! {
        #[test]
        fn the_stretches_lie_side_by_side_whatever_the_octets(
            text in "(GET|POST|HTTP/1.1) ?(/|\\*|200|a:1|http://b/c\\?d)? ?(HTTP/1.1|x)?(\r\n|\n| )?(Host: a\r\n|T\
                     ransfer-Encoding: chunked\r\n|Content-Length: 3\r\n|: \r\n)*(\r\n|x)?[0-9a-f;\r\nx]{0,20}",
        ) {
            let found = explain(text.as_bytes());
            let mut at = 0;
            for stretch in &found.stretches {
                prop_assert_eq!(stretch.start, at);
                prop_assert!(stretch.end > stretch.start);
                at = stretch.end;
            }
            prop_assert!(at <= text.len());
            if found.ending == Ending::Whole {
                prop_assert_eq!(at, text.len());
            }
        }
    }
}
