//! `multipart/form-data` (RFC 7578): parts with a head each, between lines that hold the boundary
//! (RFC 2046 §5.1.1).

use super::disposition::Disposition;
use super::{FormLimits, rule};
use crate::wire::rule::Refusal;
use crate::wire::scan;

/// Most octets before the first boundary. No browser sends any.
const PREAMBLE_OCTETS_MAX: usize = 1024;
/// Most octets of a part's head.
const PART_HEAD_OCTETS_MAX: usize = 8 * 1024;
/// Most spaces and tabs behind a boundary.
const PADDING_OCTETS_MAX: usize = 256;

/// The head of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHead {
    /// The field's name.
    pub name: String,
    /// The file's name as the client gave it, for nothing but to be shown; `None` for a field.
    /// [`file_name`](super::file_name) makes one of it that may stand in a folder.
    pub file: Option<String>,
    /// Its Content-Type, if it has one.
    pub media_type: Option<String>,
}

/// What comes next in the body.
#[derive(Debug, PartialEq, Eq)]
pub enum Part<'b> {
    /// Nothing more can be said about these octets. What was not used must be shown again, in front of those that
    /// follow.
    More,
    /// A part begins.
    Head(PartHead),
    /// Octets of the part's content.
    Data(&'b [u8]),
    /// The part is over.
    End,
    /// The last boundary was there. What follows it means nothing.
    Over,
}

/// Reads a body as it comes. It refuses nothing later than a parser would that has the whole body.
#[derive(Debug)]
pub struct Multipart {
    /// CRLF, two hyphens and the boundary.
    delimiter: Vec<u8>,
    limits: FormLimits,
    state: State,
    seen: usize,
    parts: usize,
    /// Octets of the field at hand; a file's are not counted.
    field_octets: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first boundary; whether an octet was seen, so that the boundary needs a CRLF before it.
    Preamble {
        begun: bool,
    },
    /// Behind a boundary.
    Boundary,
    Head,
    /// At the empty line between head and content, whose CRLF may belong to a boundary already.
    Blank,
    Data,
    Epilogue,
}

impl Multipart {
    /// A parser at the start of a body with this boundary, as [`Encoding`](super::Encoding) gives it.
    #[must_use]
    pub fn new(boundary: &str, limits: FormLimits) -> Self {
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        let state = State::Preamble { begun: false };
        Self { delimiter, limits, state, seen: 0, parts: 0, field_octets: None }
    }

    /// Says what the octets at hand begin with, and how many of them are done with. `last` says that no more
    /// follow.
    ///
    /// # Errors
    /// [`Refusal`] for the first rule that is broken, with the offset in the body.
    pub fn next<'b>(&mut self, octets: &'b [u8], last: bool) -> Result<(usize, Part<'b>), Refusal> {
        let mut used = 0;
        loop {
            let state = self.state;
            let rest = &octets[used..];
            let (more, part) = match state {
                State::Preamble { begun } => self.preamble(rest, begun)?,
                State::Boundary => self.boundary(rest)?,
                State::Head => self.head(rest)?,
                State::Blank => self.blank(rest),
                State::Data => self.data(rest)?,
                State::Epilogue => (rest.len(), Some(Part::Over)),
            };
            used += more;
            self.seen += more;
            match part {
                // Nothing to tell, but the state has moved on.
                None if self.state != state || more > 0 => {}
                None if last => return Err(self.broken(&rule::END, octets.len() - used)),
                None => return Ok((used, Part::More)),
                Some(part) => return Ok((used, part)),
            }
        }
    }

    fn broken(&self, rule: &'static crate::wire::Rule, offset: usize) -> Refusal {
        Refusal::new(rule, self.seen + offset)
    }

    fn preamble<'b>(&mut self, octets: &'b [u8], begun: bool) -> Result<(usize, Option<Part<'b>>), Refusal> {
        // At the start of the body a boundary needs no CRLF before it.
        let start = &self.delimiter[2..];
        if !begun && octets.len() < start.len() && start.starts_with(octets) {
            return Ok((0, None));
        }
        if !begun && octets.starts_with(start) {
            self.state = State::Boundary;
            return Ok((start.len(), None));
        }
        let (found, whole) = find(octets, &self.delimiter);
        if self.seen + found > PREAMBLE_OCTETS_MAX {
            return Err(Refusal::new(&rule::PREAMBLE, PREAMBLE_OCTETS_MAX));
        }
        self.state = if whole { State::Boundary } else { State::Preamble { begun: begun || found > 0 } };
        Ok((found + if whole { self.delimiter.len() } else { 0 }, None))
    }

    fn boundary<'b>(&mut self, octets: &'b [u8]) -> Result<(usize, Option<Part<'b>>), Refusal> {
        if octets.starts_with(b"--") {
            self.state = State::Epilogue;
            return Ok((2, Some(Part::Over)));
        }
        let padding = octets.iter().take_while(|octet| b" \t".contains(octet)).count();
        match octets.get(padding..).unwrap_or_default() {
            _ if padding > PADDING_OCTETS_MAX => Err(self.broken(&rule::BOUNDARY_LINE, PADDING_OCTETS_MAX)),
            [] | [b'\r'] => Ok((0, None)),
            [b'-'] if padding == 0 => Ok((0, None)),
            [b'\r', b'\n', ..] if self.parts >= self.limits.parts => Err(self.broken(&rule::PARTS_COUNT, 0)),
            [b'\r', b'\n', ..] => {
                self.parts += 1;
                self.state = State::Head;
                Ok((padding + 2, None))
            }
            _ => Err(self.broken(&rule::BOUNDARY_LINE, padding)),
        }
    }

    fn head<'b>(&mut self, octets: &'b [u8]) -> Result<(usize, Option<Part<'b>>), Refusal> {
        let cut = &octets[..octets.len().min(PART_HEAD_OCTETS_MAX)];
        let mut at = 0;
        let (mut disposition, mut media_type) = (None, None);
        loop {
            match cut.get(at..).unwrap_or_default() {
                [b'\r', b'\n', ..] => break,
                [] | [b'\r'] => return self.short_head(octets),
                _ => {}
            }
            let colon = scan::token_end(cut, at);
            match cut.get(colon) {
                None => return self.short_head(octets),
                Some(b':') if colon > at => {}
                Some(_) => return Err(self.broken(&rule::PART_HEAD, colon)),
            }
            let end = scan::value_end(cut, colon + 1);
            match cut.get(end..).unwrap_or_default() {
                [b'\r', b'\n', ..] => {}
                [] | [b'\r'] => return self.short_head(octets),
                _ => return Err(self.broken(&rule::PART_HEAD, end)),
            }
            let (name, value) = (&cut[at..colon], cut[colon + 1..end].trim_ascii());
            if name.eq_ignore_ascii_case(b"Content-Disposition") {
                let read = Disposition::parse(value, self.seen + colon + 1)?;
                if disposition.replace(read).is_some() {
                    return Err(self.broken(&rule::DISPOSITION, at));
                }
            } else if name.eq_ignore_ascii_case(b"Content-Type") {
                media_type = Some(String::from_utf8_lossy(value).into_owned());
            } else if name.eq_ignore_ascii_case(b"Content-Transfer-Encoding") {
                let plain = [&b"7bit"[..], b"8bit", b"binary"];
                if !plain.iter().any(|plain| value.eq_ignore_ascii_case(plain)) {
                    return Err(self.broken(&rule::TRANSFER_ENCODING, colon + 1));
                }
            }
            at = end + 2;
        }
        let Disposition { name, file } = disposition.ok_or_else(|| self.broken(&rule::DISPOSITION, at))?;
        self.state = State::Blank;
        self.field_octets = file.is_none().then_some(0);
        Ok((at, Some(Part::Head(PartHead { name, file, media_type }))))
    }

    fn short_head<'b>(&self, octets: &[u8]) -> Result<(usize, Option<Part<'b>>), Refusal> {
        if octets.len() >= PART_HEAD_OCTETS_MAX {
            return Err(self.broken(&rule::PART_HEAD_LENGTH, PART_HEAD_OCTETS_MAX));
        }
        Ok((0, None))
    }

    // RFC 2046 §5.1: a part may end with its head, and then this CRLF is that of the boundary.
    fn blank<'b>(&mut self, octets: &'b [u8]) -> (usize, Option<Part<'b>>) {
        let undecided = octets.len() < self.delimiter.len() && self.delimiter.starts_with(octets);
        if undecided {
            return (0, None);
        }
        self.state = State::Data;
        (if octets.starts_with(&self.delimiter) { 0 } else { 2 }, None)
    }

    fn data<'b>(&mut self, octets: &'b [u8]) -> Result<(usize, Option<Part<'b>>), Refusal> {
        let (found, whole) = find(octets, &self.delimiter);
        if let Some(octets) = &mut self.field_octets {
            *octets += found;
            if *octets > self.limits.field_octets {
                let over = *octets - self.limits.field_octets;
                return Err(self.broken(&rule::FIELD_LENGTH, found - over));
            }
        }
        if found > 0 {
            return Ok((found, Some(Part::Data(&octets[..found]))));
        }
        if !whole {
            return Ok((0, None));
        }
        self.state = State::Boundary;
        Ok((self.delimiter.len(), Some(Part::End)))
    }
}

/// Where the delimiter begins, and whether it is whole; else where one might begin that is not whole yet.
fn find(octets: &[u8], delimiter: &[u8]) -> (usize, bool) {
    let mut from = 0;
    while let Some(place) = octets[from..].iter().position(|&octet| octet == b'\r') {
        let rest = &octets[from + place..];
        if rest.starts_with(delimiter) {
            return (from + place, true);
        }
        if delimiter.starts_with(rest) {
            return (from + place, false);
        }
        from += place + 1;
    }
    (octets.len(), false)
}
