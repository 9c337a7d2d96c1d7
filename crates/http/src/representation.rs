//! What is said about a file that is sent, and what of it is sent: all, some parts, or nothing because the
//! client has it already (RFC 9110 §8, §13.2.2, §14).

use std::sync::Arc;

use doorway_base::UnixTime;

use crate::Status;
use crate::coding::Coding;
use crate::conditional::{Precondition, Validators, evaluate};
use crate::files::Facts;
use crate::range::{Ranges, Span, if_range, parse};
use crate::wire::date::write_date;
use crate::wire::response::ResponseWriter;
use crate::wire::{Method, RequestHead};

/// What is said about a file: its fields, ready to be compared and written.
#[derive(Debug, Clone)]
pub struct Representation {
    /// Facts of the file that its content is or is made from.
    pub facts: Facts,
    /// Its strong entity tag, with quotes.
    pub etag: String,
    /// Its media type.
    pub media_type: &'static str,
    /// How it is coded.
    pub coding: Option<Coding>,
    /// How long its content is; `None` when that shows only once it is made.
    pub octets: Option<u64>,
    /// Whether another client may get another coding (RFC 9110 §12.5.5).
    pub varies: bool,
    /// The value of Cache-Control.
    pub cache_control: Option<Arc<str>>,
}

/// What of a representation is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selected {
    /// All of it.
    Whole,
    /// One part: 206.
    Part(Span),
    /// Several parts as `multipart/byteranges`: 206.
    Parts(Vec<Span>),
    /// No such part: 416.
    Unsatisfiable,
    /// Nothing, the client has it: 304.
    NotModified,
    /// Nothing, the client asked for another one: 412.
    Failed,
}

impl Selected {
    /// What a Range field selects.
    #[must_use]
    pub fn of(ranges: Ranges) -> Self {
        match ranges {
            Ranges::Whole => Self::Whole,
            Ranges::Unsatisfiable => Self::Unsatisfiable,
            Ranges::Parts(parts) => match parts.as_slice() {
                [part] => Self::Part(*part),
                _ => Self::Parts(parts),
            },
        }
    }

    /// The status that says so.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Whole => Status::OK,
            Self::Part(_) | Self::Parts(_) => Status::PARTIAL_CONTENT,
            Self::Unsatisfiable => Status::RANGE_NOT_SATISFIABLE,
            Self::NotModified => Status::NOT_MODIFIED,
            Self::Failed => Status::PRECONDITION_FAILED,
        }
    }
}

impl Representation {
    /// What is said about the file `name` with these facts, sent as it is.
    #[must_use]
    pub fn new(name: &str, facts: Facts) -> Self {
        Self {
            facts,
            etag: facts.etag(),
            media_type: crate::media_type::media_type(name),
            coding: None,
            octets: Some(facts.octets),
            varies: false,
            cache_control: None,
        }
    }

    /// The same content in a coding, made from the file with `facts`; `octets` is its length as far as that
    /// is known.
    #[must_use]
    pub fn coded(&self, coding: Coding, facts: Facts, octets: Option<u64>) -> Self {
        let etag = facts.etag();
        let tag = etag.trim_end_matches('"');
        Self {
            facts,
            etag: format!("{tag}-{}\"", coding.name()),
            coding: Some(coding),
            octets,
            ..self.clone()
        }
    }

    /// Decides what of it answers a request, in the order of RFC 9110 §13.2.2.
    #[must_use]
    pub fn select(&self, head: &RequestHead<'_>, now: UnixTime) -> Selected {
        if !head.conditional {
            return Selected::Whole;
        }
        match self.precondition(head, now) {
            Precondition::Holds => {}
            Precondition::NotModified => return Selected::NotModified,
            Precondition::Failed => return Selected::Failed,
        }
        let mut ranges = head.fields.all(b"range");
        let (Some(range), None, Some(octets), Method::Get) =
            (ranges.next(), ranges.next(), self.octets, head.method)
        else {
            return Selected::Whole;
        };
        if !if_range(&head.fields, self.etag.as_bytes(), self.facts.modified, now) {
            return Selected::Whole;
        }
        Selected::of(parse(range, octets))
    }

    /// Evaluates the preconditions of a request for it.
    #[must_use]
    pub fn precondition(&self, head: &RequestHead<'_>, now: UnixTime) -> Precondition {
        let validators = Validators { etag: Some(self.etag.as_bytes()), modified: Some(self.facts.modified) };
        evaluate(head.method, &head.fields, &validators, now)
    }

    /// Begins the content of several parts, when it is those that were selected; `number` is as for
    /// [`Multipart::new`].
    pub fn begin_parts(
        &self,
        writer: &mut ResponseWriter<'_>,
        selected: &Selected,
        number: u64,
    ) -> Option<Multipart> {
        let Selected::Parts(parts) = selected else { return None };
        let multipart = Multipart::new(self, parts, number);
        multipart.write_fields(writer, parts);
        Some(multipart)
    }

    /// Adds the fields of a response with it: those of the content for 200 and 206, the length where it
    /// has one, and those that go with 304 too (RFC 9110 §15.4.5). A multipart response names its own
    /// type.
    pub fn write_fields(&self, writer: &mut ResponseWriter<'_>, selected: &Selected, now: UnixTime) {
        // RFC 9110 §8.8.2.1: never later than Date.
        let modified = self.facts.modified.min(now);
        match selected {
            Selected::Whole => {
                writer.field("Content-Type", self.media_type.as_bytes());
                if let Some(octets) = self.octets {
                    writer.number("Content-Length", octets).field("Accept-Ranges", b"bytes");
                }
            }
            Selected::Part(span) => {
                let octets = self.octets.unwrap_or(span.end);
                writer.field("Content-Type", self.media_type.as_bytes());
                writer.number("Content-Length", span.octets());
                writer.field("Content-Range", span.content_range(octets).as_bytes());
            }
            Selected::Unsatisfiable => {
                let octets = self.octets.unwrap_or(0);
                writer.number("Content-Length", 0);
                writer.field("Content-Range", format!("bytes */{octets}").as_bytes());
            }
            Selected::Failed => drop(writer.number("Content-Length", 0)),
            Selected::Parts(_) | Selected::NotModified => {}
        }
        if let (Selected::Whole | Selected::Part(_) | Selected::Parts(_), Some(coding)) =
            (selected, self.coding)
        {
            writer.field("Content-Encoding", coding.name().as_bytes());
        }
        writer.field("ETag", self.etag.as_bytes()).field("Last-Modified", &write_date(modified));
        if self.varies {
            writer.field("Vary", b"Accept-Encoding");
        }
        if let Some(control) = &self.cache_control {
            writer.field("Cache-Control", control.as_bytes());
        }
    }
}

/// The heads and the end of a `multipart/byteranges` content (RFC 9110 §14.6).
#[derive(Debug)]
pub struct Multipart {
    boundary: String,
    /// What stands before each part, its head included.
    pub heads: Vec<String>,
    /// What stands behind the last one.
    pub end: String,
}

impl Multipart {
    /// For these parts of `representation`, set apart by a boundary made from `number`, which nobody
    /// should be able to foretell.
    #[must_use]
    pub fn new(representation: &Representation, parts: &[Span], number: u64) -> Self {
        Self::of(representation.media_type, representation.octets.unwrap_or(0), parts, number)
    }

    /// The same for parts of any content of this type and with so many octets.
    #[must_use]
    pub fn of(media_type: &str, octets: u64, parts: &[Span], number: u64) -> Self {
        let boundary = format!("doorway-{number:016x}");
        let head = |span: &Span| {
            let range = span.content_range(octets);
            format!("\r\n--{boundary}\r\nContent-Type: {media_type}\r\nContent-Range: {range}\r\n\r\n")
        };
        Self { heads: parts.iter().map(head).collect(), end: format!("\r\n--{boundary}--\r\n"), boundary }
    }

    /// The type of all parts together.
    #[must_use]
    pub fn media_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    /// How long all parts with their heads are.
    #[must_use]
    pub fn octets(&self, parts: &[Span]) -> u64 {
        let heads: usize = self.heads.iter().map(String::len).sum();
        let octets: u64 = parts.iter().map(Span::octets).sum();
        octets + (heads + self.end.len()) as u64
    }

    /// Adds the fields that say what the content is and how long.
    pub fn write_fields(&self, writer: &mut ResponseWriter<'_>, parts: &[Span]) {
        writer.field("Content-Type", self.media_type().as_bytes());
        writer.number("Content-Length", self.octets(parts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::response::Form;
    use crate::wire::{FieldSpans, HeadLimits, Parsed, parse_request};

    const FACTS: Facts =
        Facts { inode: (1, 0xabc), octets: 1024, modified: UnixTime::from_secs(784_111_777) };
    const AT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const OTHER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    #[track_caller]
    fn check(method: &str, fields: &str, expected: &Selected) {
        let octets = format!("{method} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut spans = FieldSpans::default();
        let parsed = parse_request(octets.as_bytes(), &HeadLimits::default(), &mut spans).unwrap();
        let Parsed::Head(head, _) = parsed else { panic!("{fields:?} is not whole") };
        let now = UnixTime::from_secs(1_795_369_205);
        assert_eq!(Representation::new("a.txt", FACTS).select(&head, now), *expected, "{fields:?}");
    }

    #[test]
    fn a_range_is_sent_only_when_every_condition_holds() {
        let part = Selected::Part(Span { first: 0, end: 10 });
        let etag = FACTS.etag();
        let range = "Range: bytes=0-9\r\n";
        check("GET", range, &part);
        check("HEAD", range, &Selected::Whole);
        check("GET", &format!("{range}{range}"), &Selected::Whole);
        check("GET", &format!("{range}If-Range: {etag}\r\n"), &part);
        check("GET", &format!("{range}If-Range: W/{etag}\r\n"), &Selected::Whole);
        check("GET", &format!("{range}If-Range: \"x\"\r\n"), &Selected::Whole);
        check("GET", &format!("{range}If-Range: {AT}\r\n"), &part);
        check("GET", &format!("{range}If-Range: {OTHER}\r\n"), &Selected::Whole);
        check("GET", &format!("{range}If-Range: soon\r\n"), &Selected::Whole);
        check("GET", &format!("{range}If-None-Match: {etag}\r\n"), &Selected::NotModified);
        check("GET", &format!("{range}If-Match: \"x\"\r\n"), &Selected::Failed);
        check("GET", &format!("{range}If-Match: {etag}\r\n"), &part);
        check("GET", &format!("If-Range: {etag}\r\n"), &Selected::Whole);
        check("GET", "Range: bytes=5000-\r\n", &Selected::Unsatisfiable);
        check("GET", "Range: bytes=5000-\r\nIf-Range: \"x\"\r\n", &Selected::Whole);
        let two = vec![Span { first: 0, end: 1 }, Span { first: 5, end: 6 }];
        check("GET", "Range: bytes=0-0,5-5\r\n", &Selected::Parts(two));
    }

    fn fields(representation: &Representation, selected: &Selected, now: u64) -> String {
        let mut out = Vec::new();
        let mut writer = ResponseWriter::begin(&mut out, Form::Http1, selected.status());
        representation.write_fields(&mut writer, selected, UnixTime::from_secs(now));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_file_from_the_future_is_dated_now() {
        assert_eq!(
            fields(&Representation::new("a.html", FACTS), &Selected::NotModified, 0),
            "HTTP/1.1 304 Not Modified\r\nETag: \"abc-400-ae1b981bc490a00\"\r\n\
             Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
        );
    }

    #[test]
    fn each_coding_has_a_tag_of_its_own_and_says_that_there_are_others() {
        let plain = Representation { varies: true, ..Representation::new("a.txt", FACTS) };
        let coded = plain.coded(Coding::Zstd, FACTS, None);
        assert_ne!(plain.etag, coded.etag);
        let fields = fields(&coded, &Selected::Whole, 1_795_369_205);
        for field in ["Content-Encoding: zstd\r\n", "Vary: Accept-Encoding\r\n", "-zstd\"\r\n"] {
            assert!(fields.contains(field), "{fields}");
        }
        assert!(!fields.contains("Content-Length") && !fields.contains("Accept-Ranges"), "{fields}");
    }

    #[test]
    fn several_parts_are_as_long_as_their_head_says() {
        let representation = Representation::new("a.txt", FACTS);
        let parts = [Span { first: 0, end: 3 }, Span { first: 1000, end: 1024 }];
        let multipart = Multipart::new(&representation, &parts, 7);
        let mut out = Vec::new();
        multipart
            .write_fields(&mut ResponseWriter::begin(&mut out, Form::Http1, Status::PARTIAL_CONTENT), &parts);
        let mut content = String::new();
        for (head, part) in multipart.heads.iter().zip(&parts) {
            content.push_str(head);
            content.push_str(&"x".repeat(part.octets() as usize));
        }
        content.push_str(&multipart.end);
        let fields = String::from_utf8(out).unwrap();
        assert!(fields.ends_with(&format!("Content-Length: {}\r\n", content.len())), "{fields}");
        assert!(content.contains("Content-Range: bytes 1000-1023/1024\r\n"), "{content}");
    }
}
