//! Finds the parts of a message. It never fails: any octets have a structure (RFC 2046 §5.1).
//!
//! Octets come in pieces of any size and are looked at once; what is kept is the header at hand and at most
//! one unfinished line. Rules for what is broken:
//!
//! - Lines end in CRLF or LF. A header ends at the first line that is neither a field nor a continuation.
//! - A boundary counts wherever its line is found, also in a header, and closes what is open inside: a part
//!   whose own end is missing ends there. Behind the closing boundary only outer ones count.
//! - A multipart without one part is content. So is one without a boundary, or one that is too deep.
//! - A message inside a message is looked into unless it is encoded, which RFC 2046 §5.2.1 forbids.
//! - The first field of a name counts.

use memchr::memchr_iter;

use super::header::{self, Line, fields, line_end};
use super::parameter;
use super::structure::{
    DEPTH_MAX, Encoding, FIELDS_MAX, FieldName, FieldPlace, Kind, PARTS_MAX, Parameterized, Part, Span,
    Structure,
};

/// Longest header of one part; what is beyond counts as body.
pub const HEADER_OCTETS_MAX: usize = 256 * 1024;
/// Longest line that can be a boundary's.
const BOUNDARY_LINE_OCTETS_MAX: usize = 1000;
/// Longest line that may travel (RFC 5322 §2.1.1).
const LINE_OCTETS_MAX: u64 = 998;

/// The structure of a whole message.
#[must_use]
pub fn structure(message: &[u8]) -> Structure {
    let mut scanner = Scanner::default();
    scanner.push(message);
    scanner.finish()
}

/// A part whose end was not seen.
#[derive(Debug)]
struct Open {
    part: usize,
    /// What parts it from its neighbours inside; `None` when it has no parts, or no more.
    boundary: Option<Vec<u8>>,
    /// Line ends before its body.
    lines_before: u64,
}

/// Takes a message piece by piece.
#[derive(Debug)]
pub struct Scanner {
    structure: Structure,
    open: Vec<Open>,
    /// Whether the last open part's header is being read.
    in_header: bool,
    /// That header so far.
    header: Vec<u8>,
    /// Octets taken.
    at: u64,
    /// An unfinished line that may yet matter.
    carry: Vec<u8>,
    /// Octets of the line at hand that were taken before its end was seen.
    line_octets: u64,
    /// Whether the last octet was a CR.
    after_cr: bool,
    /// Line ends so far.
    lines: u64,
    /// Octets of the last line end.
    end_octets: u64,
    /// Whether the last line held nothing else.
    last_empty: bool,
    /// What was compared or read anew, in octets: shows that the work is linear.
    #[cfg(test)]
    looked_at: u64,
}

impl Default for Scanner {
    fn default() -> Self {
        let mut scanner = Self {
            structure: Structure::default(),
            open: Vec::new(),
            in_header: false,
            header: Vec::new(),
            at: 0,
            carry: Vec::new(),
            line_octets: 0,
            after_cr: false,
            lines: 0,
            end_octets: 0,
            last_empty: false,
            #[cfg(test)]
            looked_at: 0,
        };
        scanner.begin_part(None);
        scanner
    }
}

impl Scanner {
    /// Takes the next octets.
    pub fn push(&mut self, octets: &[u8]) {
        let mut rest = octets;
        if !self.carry.is_empty() {
            let end = line_end(rest, 0);
            self.carry.extend_from_slice(&rest[..end]);
            rest = &rest[end..];
            if self.in_header && !self.carry.ends_with(b"\n") && self.carry.len() < HEADER_OCTETS_MAX {
                return;
            }
            let carry = std::mem::take(&mut self.carry);
            let taken = self.feed(&carry, false);
            self.carry.extend_from_slice(&carry[taken..]);
            if !self.carry.is_empty() {
                return;
            }
        }
        let taken = self.feed(rest, false);
        self.carry.extend_from_slice(&rest[taken..]);
    }

    /// The structure of what was taken.
    #[must_use]
    pub fn finish(mut self) -> Structure {
        let carry = std::mem::take(&mut self.carry);
        self.feed(&carry, true);
        while self.in_header {
            self.end_header();
        }
        let unfinished = u64::from(self.line_octets > 0);
        while let Some(open) = self.open.pop() {
            let part = &mut self.structure.parts[open.part];
            part.body.end = self.at;
            part.lines =
                if part.body.octets() == 0 { 0 } else { self.lines - open.lines_before + unfinished };
            self.settle(open.part);
        }
        self.structure
    }

    /// Takes lines; how many octets were taken. What is left is one unfinished line, unless this is the end.
    fn feed(&mut self, octets: &[u8], end: bool) -> usize {
        let mut at = 0;
        while at < octets.len() {
            let rest = &octets[at..];
            at += if self.in_header {
                match self.feed_header(rest, end) {
                    Some(taken) => taken,
                    None => break,
                }
            } else {
                match self.feed_body(rest, end) {
                    0 => break,
                    taken => taken,
                }
            };
        }
        at
    }

    /// Takes one line of a header; `None` when its end is not there yet.
    fn feed_header(&mut self, rest: &[u8], end: bool) -> Option<usize> {
        let line = &rest[..line_end(rest, 0)];
        let whole = line.ends_with(b"\n");
        if self.header.len() + line.len() > HEADER_OCTETS_MAX {
            self.structure.cut = true;
            self.end_header();
            return Some(0);
        }
        if !whole && !end {
            return None;
        }
        if self.is_boundary(line) {
            return Some(line.len());
        }
        let first = self.header.is_empty() && self.is_message();
        match header::line(line, first) {
            Line::Field(_) | Line::Mbox | Line::Continuation => self.take_header_line(line),
            Line::Empty => {
                self.take_header_line(line);
                self.end_header();
            }
            Line::Body => {
                self.end_header();
                return Some(0);
            }
        }
        Some(line.len())
    }

    fn take_header_line(&mut self, line: &[u8]) {
        self.header.extend_from_slice(line);
        self.structure.demands.eight_bit_header |= !line.is_ascii();
        self.take_line(line);
    }

    /// Takes as much of a body as is certain to be in the part at hand, or a boundary.
    fn feed_body(&mut self, rest: &[u8], end: bool) -> usize {
        let bounded = self.open.iter().any(|open| open.boundary.is_some());
        if bounded && self.line_octets == 0 && may_be_boundary(rest) {
            let line = &rest[..line_end(rest, 0)];
            let whole = line.ends_with(b"\n");
            if !whole && !end && line.len() <= BOUNDARY_LINE_OCTETS_MAX {
                return 0;
            }
            if self.is_boundary(line) {
                return line.len();
            }
            self.take_body(line);
            return line.len();
        }
        // Up to the next line that may be one.
        let stop = if bounded {
            let next = |at: &usize| may_be_boundary(&rest[*at + 1..]) && *at + 1 < rest.len();
            memchr_iter(b'\n', rest).find(next).map_or(rest.len(), |at| at + 1)
        } else {
            rest.len()
        };
        self.take_body(&rest[..stop]);
        stop
    }

    fn take_body(&mut self, octets: &[u8]) {
        self.structure.demands.eight_bit_body |= !octets.is_ascii();
        let mut start = 0;
        for at in memchr_iter(b'\n', octets) {
            self.take_line(&octets[start..=at]);
            start = at + 1;
        }
        if start < octets.len() {
            self.take_line(&octets[start..]);
        }
    }

    /// Counts a line, or the part of it that is there.
    fn take_line(&mut self, line: &[u8]) {
        self.at += line.len() as u64;
        self.line_octets += line.len() as u64;
        let ended = line.ends_with(b"\n");
        // A piece may end between CR and LF.
        let end_octets = match line {
            [.., b'\r', b'\n'] => 2,
            [b'\n'] if self.after_cr => 2,
            [.., b'\n' | b'\r'] => 1,
            _ => 0,
        };
        self.after_cr = line.last().map_or(self.after_cr, |last| *last == b'\r');
        self.structure.demands.long_line |= self.line_octets - end_octets > LINE_OCTETS_MAX;
        if ended {
            self.lines += 1;
            self.end_octets = end_octets;
            self.last_empty = self.line_octets == end_octets;
            self.line_octets = 0;
        }
    }

    /// Whether the header at hand is that of a message.
    fn is_message(&self) -> bool {
        let part = self.open.last().map(|open| &self.structure.parts[open.part]);
        let parent = part.and_then(|part| part.parent);
        parent.is_none_or(|parent| self.structure.parts[parent as usize].kind == Kind::Message)
    }

    fn begin_part(&mut self, parent: Option<usize>) {
        let part = self.structure.parts.len();
        self.structure.parts.push(Part {
            parent: parent.and_then(|parent| u32::try_from(parent).ok()),
            header: Span { start: self.at, end: self.at },
            ..Part::default()
        });
        self.open.push(Open { part, boundary: None, lines_before: 0 });
        self.header.clear();
        self.in_header = true;
    }

    /// Reads the header of the last open part and decides what its body is.
    fn end_header(&mut self) {
        self.in_header = false;
        let header = std::mem::take(&mut self.header);
        #[cfg(test)]
        {
            self.looked_at += header.len() as u64;
        }
        let Some(open) = self.open.last_mut() else { return };
        open.lines_before = self.lines;
        let index = open.part;
        let depth = self.open.len();
        let parent = self.structure.parts[index].parent;
        let in_digest = parent.is_some_and(|parent| {
            self.structure.parts[parent as usize].media_type.value == "multipart/digest"
        });
        let part = &mut self.structure.parts[index];
        part.header.end = self.at;
        part.body = Span { start: self.at, end: self.at };
        self.structure.cut |= read_fields(part, &header);
        if part.media_type.value.is_empty() {
            part.media_type = if in_digest {
                Parameterized { value: "message/rfc822".into(), parameters: Vec::new() }
            } else {
                let charset = ("charset".into(), "us-ascii".into());
                Parameterized { value: "text/plain".into(), parameters: vec![charset] }
            };
        }
        let boundary = part.media_type.parameter("boundary").map(str::trim_ascii_end);
        let boundary = boundary.filter(|text| !text.is_empty()).map(|text| text.as_bytes().to_vec());
        let multipart = part.main_type() == "multipart" && boundary.is_some();
        let message = matches!(part.media_type.value.as_str(), "message/rfc822" | "message/global")
            && part.encoding.is_identity();
        if (multipart || message) && depth >= DEPTH_MAX || message && self.structure.parts.len() >= PARTS_MAX
        {
            self.structure.cut = true;
        } else if multipart {
            self.structure.parts[index].kind = Kind::Multipart;
            self.open.last_mut().into_iter().for_each(|open| open.boundary = boundary.clone());
        } else if message {
            self.structure.parts[index].kind = Kind::Message;
            self.begin_part(Some(index));
        }
    }

    /// Does what a boundary asks for, if `line` is one.
    fn is_boundary(&mut self, line: &[u8]) -> bool {
        let Some(text) = line.strip_prefix(b"--") else { return false };
        let text = text.trim_ascii_end();
        if text.is_empty() || line.len() > BOUNDARY_LINE_OCTETS_MAX {
            return false;
        }
        #[cfg(test)]
        {
            self.looked_at += (self.open.len() + text.len()) as u64;
        }
        let matches = |open: &Open| {
            let boundary = open.boundary.as_deref()?;
            let behind = text.strip_prefix(boundary)?;
            (behind.is_empty() || behind == b"--").then_some(behind == b"--")
        };
        let found = self.open.iter().enumerate().rev().find_map(|(at, open)| Some((at, matches(open)?)));
        let Some((level, closing)) = found else { return false };
        self.close_above(level);
        self.structure.demands.long_line |= line.len() as u64 > LINE_OCTETS_MAX;
        self.take_line(line);
        let multipart = self.open[level].part;
        if closing {
            self.open[level].boundary = None;
        } else if self.structure.parts.len() >= PARTS_MAX {
            self.structure.cut = true;
        } else {
            self.begin_part(Some(multipart));
        }
        true
    }

    /// Closes the parts inside that of `level`, before a boundary that begins here.
    fn close_above(&mut self, level: usize) {
        // A header that says message/rfc822 begins another, which is empty.
        while self.in_header {
            self.end_header();
        }
        // A header that took that line end for its own keeps it, and so does what is round it.
        let mut inner_end = 0;
        while self.open.len() > level + 1 {
            let Some(open) = self.open.pop() else { return };
            let part = &mut self.structure.parts[open.part];
            let seen = self.lines - open.lines_before;
            // The line end before the boundary belongs to that (RFC 2046 §5.1.1).
            part.body.end = self.at.saturating_sub(self.end_octets).max(part.body.start).max(inner_end);
            inner_end = part.body.end;
            part.lines = if part.body.octets() == 0 { 0 } else { seen - u64::from(self.last_empty) };
            self.settle(open.part);
        }
    }

    /// A multipart in which no part was found is content.
    fn settle(&mut self, index: usize) {
        let has_child =
            self.structure.parts.get(index + 1).is_some_and(|next| next.parent == Some(index as u32));
        let part = &mut self.structure.parts[index];
        if part.kind == Kind::Multipart && !has_child {
            part.kind = Kind::Leaf;
        }
    }
}

fn may_be_boundary(rest: &[u8]) -> bool {
    matches!(rest, [b'-', b'-', ..] | [b'-'] | [])
}

/// Notes what the fields of a header say; whether there were too many.
fn read_fields(part: &mut Part, header: &[u8]) -> bool {
    let mut encoding = None;
    for field in fields(header) {
        let Some(name) = FieldName::of(field.name) else { continue };
        if part.fields.len() >= FIELDS_MAX {
            return true;
        }
        let start = part.header.start + field.value_at as u64;
        part.fields.push(FieldPlace { name, value: Span { start, end: start + field.value.len() as u64 } });
        match name {
            FieldName::ContentType if part.media_type.value.is_empty() => {
                let read = parameter::parse(field.value);
                // RFC 2045 §5.2: what is not understood counts as plain text.
                part.media_type = if is_media_type(&read.value) {
                    read
                } else {
                    Parameterized { value: "text/plain".into(), parameters: Vec::new() }
                };
            }
            FieldName::ContentDisposition if part.disposition.is_none() => {
                part.disposition = Some(parameter::parse(field.value));
            }
            FieldName::ContentTransferEncoding if encoding.is_none() => {
                encoding = Some(Encoding::of(&parameter::parse(field.value).value));
            }
            _ => {}
        }
    }
    part.encoding = encoding.unwrap_or_default();
    false
}

fn is_media_type(value: &str) -> bool {
    let token = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|octet| octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&octet))
    };
    value.split_once('/').is_some_and(|(main, sub)| token(main) && token(sub))
}

#[cfg(test)]
mod tests;
