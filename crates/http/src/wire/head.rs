//! The request head: request line and fields, by the grammar of RFC 9112 §3 and §5.
//!
//! One pass, no allocation: fields are spans into the octets that were received. The parse is a pure
//! function of those octets, and a refusal found in a prefix is the refusal of every longer message,
//! so it does not matter how the octets are cut into reads. What the fields *mean* for the connection
//! is in [`framing`](super::framing).

use super::framing::{Framing, Known};
use super::rule::{self, Refusal};
use super::{Method, Target, scan};

/// Most fields that one head can have, whatever the configuration says.
pub const FIELDS_MAX: usize = 128;
/// Most octets that one head can have, whatever the configuration says: spans are 16 bits wide.
pub const HEAD_OCTETS_MAX: usize = 65_535;
/// Longest method name that is read on to see whether the rest is well-formed.
const METHOD_OCTETS_MAX: usize = 64;

/// Bounds of a request head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Request line, in octets with its CRLF: longer ones get 414.
    pub request_line_octets: usize,
    /// One field line, in octets with its CRLF: 431.
    pub field_octets: usize,
    /// The whole head, in octets, at most [`HEAD_OCTETS_MAX`]: 431.
    pub head_octets: usize,
    /// Number of fields, at most [`FIELDS_MAX`]: 431.
    pub fields: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self {
            request_line_octets: 16 * 1024,
            field_octets: 16 * 1024,
            head_octets: HEAD_OCTETS_MAX,
            fields: FIELDS_MAX,
        }
    }
}

/// A version of HTTP/1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// HTTP/1.0: the connection closes after each response, unless agreed otherwise.
    Http10,
    /// HTTP/1.1; higher minor versions are answered as this one (RFC 9110 §2.5).
    Http11,
    /// HTTP/2 (RFC 9113).
    Http2,
}

/// Where a field's name and value stand in the head.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    name: u16,
    colon: u16,
    value: u16,
    value_end: u16,
}

/// Room for the spans of one head. A worker has one and lends it to each parse.
#[derive(Debug, Clone)]
pub struct FieldSpans([Span; FIELDS_MAX]);

impl Default for FieldSpans {
    fn default() -> Self {
        Self([Span::default(); FIELDS_MAX])
    }
}

/// The fields of a head, in the order in which they came.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'b> {
    octets: &'b [u8],
    spans: &'b [Span],
}

impl<'b> Fields<'b> {
    pub(super) fn new(octets: &'b [u8], spans: &'b FieldSpans, count: usize) -> Self {
        Self { octets, spans: &spans.0[..count] }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Name and value of each. Values carry no whitespace at their ends.
    pub fn iter(&self) -> impl Iterator<Item = (&'b [u8], &'b [u8])> + Clone + use<'b> {
        let octets = self.octets;
        self.spans.iter().map(move |span| span.of(octets))
    }

    /// Values of all fields with this name, in any case of letters.
    pub fn all<'n>(&self, name: &'n [u8]) -> impl Iterator<Item = &'b [u8]> + use<'b, 'n> {
        self.iter().filter(move |(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Value of the first field with this name, in any case of letters.
    #[must_use]
    pub fn first(&self, name: &[u8]) -> Option<&'b [u8]> {
        self.all(name).next()
    }
}

impl Span {
    fn of<'b>(&self, octets: &'b [u8]) -> (&'b [u8], &'b [u8]) {
        (
            &octets[usize::from(self.name)..usize::from(self.colon)],
            &octets[usize::from(self.value)..usize::from(self.value_end)],
        )
    }
}

/// A whole request head that keeps every rule.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'b> {
    /// The head as it came, from the request line to the empty line, both included.
    pub octets: &'b [u8],
    /// What to do.
    pub method: Method,
    /// The method's name as it came.
    pub method_name: &'b [u8],
    /// With what.
    pub target: Target<'b>,
    /// The target as it came.
    pub target_octets: &'b [u8],
    /// By which version.
    pub version: Version,
    /// Every field.
    pub fields: Fields<'b>,
    /// Host and port that the request is for: of the target if it names one, else of `Host`; empty
    /// when an HTTP/1.0 request names none.
    pub host: &'b [u8],
    /// How the body is delimited.
    pub body: Framing,
    /// Whether the client wants the connection to go on afterwards (RFC 9112 §9.3).
    pub persistent: bool,
    /// Whether the client waits for 100 before it sends the body (RFC 9110 §10.1.1).
    pub expects_continue: bool,
    /// Whether there is any field of RFC 9110 §13 or §14, so that most requests need not be searched.
    pub conditional: bool,
}

impl<'b> RequestHead<'b> {
    /// The host that the request is for, without a port.
    #[must_use]
    pub fn host_name(&self) -> &'b [u8] {
        let end = match self.host {
            [b'[', literal @ ..] => literal.iter().position(|&octet| octet == b']').map(|end| end + 2),
            host => host.iter().position(|&octet| octet == b':'),
        };
        &self.host[..end.unwrap_or(self.host.len())]
    }

    /// The port behind it, if there is one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        let port = self.host[self.host_name().len()..].strip_prefix(b":")?;
        core::str::from_utf8(port).ok()?.parse().ok()
    }
}

/// What a parse found.
#[derive(Debug)]
pub enum Parsed<'b> {
    /// The head is not whole yet, and what there is keeps the rules.
    Partial,
    /// A head, and how many octets it took, with an empty line before it if there was one.
    Head(RequestHead<'b>, usize),
}

/// Reads the head at the start of `octets`.
///
/// One CRLF before the request line is skipped (RFC 9112 §2.2).
///
/// # Errors
/// [`Refusal`] for the first rule that is broken, in the order of the octets; rules about the head as
/// a whole (a missing Host, a body of unclear length) come after the last of them.
pub fn parse_request<'b>(
    octets: &'b [u8],
    limits: &HeadLimits,
    spans: &'b mut FieldSpans,
) -> Result<Parsed<'b>, Refusal> {
    let start = match octets {
        [b'\r', b'\n', ..] => 2,
        [b'\r'] => return Ok(Parsed::Partial),
        [b'\r', ..] => return Err(Refusal::new(&rule::BARE_CR, 0)),
        _ => 0,
    };
    let shift = |refusal: Refusal| Refusal::new(refusal.rule, refusal.at_octet + start);
    let whole_max = limits.head_octets.min(HEAD_OCTETS_MAX);
    let message = &octets[start..];
    let cut = &message[..message.len().min(whole_max)];
    match parse_cut(cut, limits, spans) {
        Ok(Parsed::Head(head, length)) => Ok(Parsed::Head(head, start + length)),
        Ok(Parsed::Partial) if message.len() >= whole_max => {
            Err(shift(Refusal::new(&rule::HEAD_LENGTH, whole_max)))
        }
        Ok(Parsed::Partial) => Ok(Parsed::Partial),
        Err(refusal) => Err(shift(refusal)),
    }
}

/// As [`parse_request`], for octets that are not longer than a head may be.
fn parse_cut<'b>(
    octets: &'b [u8],
    limits: &HeadLimits,
    spans: &'b mut FieldSpans,
) -> Result<Parsed<'b>, Refusal> {
    let Some(line) = RequestLine::parse(octets, limits.request_line_octets)? else {
        return Ok(Parsed::Partial);
    };
    let mut known = Known::default();
    let fields = parse_fields(octets, line.end, limits, spans, |name, value, at| known.see(name, value, at))?;
    let Some((count, at)) = fields else { return Ok(Parsed::Partial) };
    let spans = &*spans;
    let length = at + 2;
    let meaning = known.judge(&line, length)?;
    let head = RequestHead {
        octets: &octets[..length],
        method: line.method,
        method_name: line.method_name,
        target: line.target,
        target_octets: line.target_octets,
        version: line.version,
        fields: Fields::new(octets, spans, count),
        host: meaning.host,
        body: meaning.body,
        persistent: meaning.persistent,
        expects_continue: meaning.expects_continue,
        conditional: meaning.conditional,
    };
    Ok(Parsed::Head(head, length))
}

/// Reads field lines from `start` on, which is behind the first line, up to the empty one; returns how many
/// there are and where the empty line begins, `None` when it is not there yet. Each is shown to `see` with
/// the offset of its value.
#[inline(always)]
pub(super) fn parse_fields<'b>(
    octets: &'b [u8],
    start: usize,
    limits: &HeadLimits,
    spans: &mut FieldSpans,
    mut see: impl FnMut(&'b [u8], &'b [u8], usize) -> Result<(), Refusal>,
) -> Result<Option<(usize, usize)>, Refusal> {
    if let Some(b' ' | b'\t') = octets.get(start) {
        return Err(Refusal::new(&rule::LEADING_SPACE, start));
    }
    let mut at = start;
    let mut count = 0;
    let fields_max = limits.fields.min(FIELDS_MAX);
    loop {
        match octets.get(at..).unwrap_or_default() {
            [b'\r', b'\n', ..] => return Ok(Some((count, at))),
            [] | [b'\r'] => return Ok(None),
            [b'\r', ..] => return Err(Refusal::new(&rule::BARE_CR, at)),
            [b'\n', ..] => return Err(Refusal::new(&rule::BARE_LF, at)),
            [b' ' | b'\t', ..] => return Err(Refusal::new(&rule::OBS_FOLD, at)),
            _ if count == fields_max => return Err(Refusal::new(&rule::FIELDS_COUNT, at)),
            _ => {}
        }
        let Some((span, next)) = parse_field(octets, at, limits.field_octets)? else { return Ok(None) };
        let (name, value) = span.of(octets);
        see(name, value, usize::from(span.value))?;
        spans.0[count] = span;
        count += 1;
        at = next;
    }
}

/// A head that did not come as text, put together as if it had: request line, field lines, empty line.
#[derive(Debug)]
pub(crate) struct Assembled<'b> {
    /// All of it, within [`HEAD_OCTETS_MAX`].
    pub(crate) octets: &'b [u8],
    /// Where the method ends, and the target begins after one space.
    pub(crate) method_end: usize,
    /// Where the target ends.
    pub(crate) target_end: usize,
    /// Where the fields stand, so many of them.
    pub(crate) spans: &'b FieldSpans,
    pub(crate) fields: usize,
}

impl<'b> Assembled<'b> {
    /// Reads it as a request of HTTP/2. Octets that may not stand where they do were refused before.
    pub(crate) fn read(&self) -> Result<RequestHead<'b>, Refusal> {
        let octets = self.octets;
        let method_name = &octets[..self.method_end];
        let method = Method::parse(method_name);
        let target_octets = &octets[self.method_end + 1..self.target_end];
        let target = Target::parse(method, target_octets)
            .ok_or(Refusal::new(&rule::TARGET_FORM, self.method_end + 1))?;
        let (version, end) = (Version::Http2, octets.len());
        let line = RequestLine { method, method_name, target, target_octets, version, end };
        let fields = Fields { octets, spans: &self.spans.0[..self.fields] };
        let mut known = Known::default();
        for span in fields.spans {
            let (name, value) = span.of(octets);
            known.see(name, value, usize::from(span.value))?;
        }
        let meaning = known.judge(&line, end)?;
        Ok(RequestHead {
            octets,
            method,
            method_name,
            target,
            target_octets,
            version,
            fields,
            host: meaning.host,
            body: meaning.body,
            persistent: true,
            expects_continue: meaning.expects_continue,
            conditional: meaning.conditional,
        })
    }
}

impl FieldSpans {
    /// Notes where the field number `place` stands: its name at `name`, a colon and a space behind it, and
    /// its value up to `end`.
    pub(crate) fn set(&mut self, place: usize, name: usize, colon: usize, end: usize) {
        // A head is at most HEAD_OCTETS_MAX octets long, so every offset in it fits.
        let short = |at: usize| at as u16;
        self.0[place] =
            Span { name: short(name), colon: short(colon), value: short(colon + 2), value_end: short(end) };
    }
}

/// The first line of a request.
pub(super) struct RequestLine<'b> {
    pub(super) method: Method,
    method_name: &'b [u8],
    pub(super) target: Target<'b>,
    target_octets: &'b [u8],
    pub(super) version: Version,
    /// Offset of the octet after its CRLF.
    end: usize,
}

impl<'b> RequestLine<'b> {
    /// Reads the line at the start of `octets`; `None` when it is not whole.
    fn parse(octets: &'b [u8], octets_max: usize) -> Result<Option<Self>, Refusal> {
        let whole = octets.len();
        let octets = &octets[..whole.min(octets_max)];
        // Where the octets end, either more must come or the line is longer than allowed.
        let short = || {
            if whole > octets_max { Err(Refusal::new(&rule::TARGET_LENGTH, octets_max)) } else { Ok(None) }
        };
        let method_end = scan::token_end(octets, 0);
        if method_end > METHOD_OCTETS_MAX {
            return Err(Refusal::new(&rule::METHOD_LENGTH, METHOD_OCTETS_MAX));
        }
        match octets.get(method_end) {
            None => return short(),
            Some(b' ') if method_end > 0 => {}
            Some(&octet) => return Err(misplaced(octet, method_end, &rule::METHOD)),
        }
        let target_start = method_end + 1;
        let target_end = scan::target_end(octets, target_start);
        match octets.get(target_end) {
            None => return short(),
            Some(b' ') if target_end > target_start => {}
            Some(b' ') => return Err(Refusal::new(&rule::REQUEST_LINE_SPACE, target_end)),
            Some(b'\r' | b'\n') => return Err(Refusal::new(&rule::VERSION, target_end)),
            Some(_) => return Err(Refusal::new(&rule::TARGET, target_end)),
        }
        let method = Method::parse(&octets[..method_end]);
        let target_octets = &octets[target_start..target_end];
        let target =
            Target::parse(method, target_octets).ok_or(Refusal::new(&rule::TARGET_FORM, target_start))?;
        let version_start = target_end + 1;
        let Some(version) = parse_version(octets, version_start)? else { return short() };
        let end = version_start + b"HTTP/1.1".len();
        match octets.get(end..).unwrap_or_default() {
            [b'\r', b'\n', ..] => {}
            [] | [b'\r'] => return short(),
            [b'\r', ..] => return Err(Refusal::new(&rule::BARE_CR, end)),
            [octet, ..] => return Err(misplaced(*octet, end, &rule::VERSION)),
        }
        let method_name = &octets[..method_end];
        Ok(Some(Self { method, method_name, target, target_octets, version, end: end + 2 }))
    }
}

/// Which rule an octet breaks that stands where the request line has no place for it.
fn misplaced(octet: u8, at: usize, otherwise: &'static rule::Rule) -> Refusal {
    let rule = match octet {
        b'\n' => &rule::BARE_LF,
        b' ' => &rule::REQUEST_LINE_SPACE,
        _ => otherwise,
    };
    Refusal::new(rule, at)
}

/// `HTTP/` DIGIT `.` DIGIT, in upper case; `None` when the octets end within it.
pub(super) fn parse_version(octets: &[u8], from: usize) -> Result<Option<Version>, Refusal> {
    let found = &octets[from..];
    if let Some(b"HTTP/1.1") = found.first_chunk::<8>() {
        return Ok(Some(Version::Http11));
    }
    for (place, (&octet, &wanted)) in found.iter().zip(b"HTTP/0.0").enumerate() {
        let fits = if wanted == b'0' { octet.is_ascii_digit() } else { octet == wanted };
        if !fits {
            return Err(if octet == b' ' && place == 0 {
                Refusal::new(&rule::REQUEST_LINE_SPACE, from)
            } else {
                Refusal::new(&rule::VERSION, from + place)
            });
        }
    }
    match found.first_chunk::<8>() {
        None => Ok(None),
        Some([.., b'1', b'.', b'0']) => Ok(Some(Version::Http10)),
        Some([.., b'1', b'.', _]) => Ok(Some(Version::Http11)),
        Some(_) => Err(Refusal::new(&rule::VERSION_MAJOR, from + b"HTTP/".len())),
    }
}

/// `field-name ":" OWS field-value OWS CRLF`; the span and the offset after it, `None` when it is not
/// whole.
fn parse_field(octets: &[u8], start: usize, octets_max: usize) -> Result<Option<(Span, usize)>, Refusal> {
    let line_max = start.saturating_add(octets_max);
    let whole = octets.len();
    let octets = &octets[..whole.min(line_max)];
    let short = || {
        if whole > line_max { Err(Refusal::new(&rule::FIELD_LENGTH, line_max)) } else { Ok(None) }
    };
    let colon = scan::token_end(octets, start);
    match octets.get(colon) {
        None => return short(),
        Some(b':') if colon > start => {}
        Some(b':') => return Err(Refusal::new(&rule::FIELD_NAME_EMPTY, colon)),
        Some(b' ' | b'\t') => return Err(Refusal::new(&rule::SPACE_BEFORE_COLON, colon)),
        Some(b'\n') => return Err(Refusal::new(&rule::BARE_LF, colon)),
        Some(_) => return Err(Refusal::new(&rule::FIELD_NAME, colon)),
    }
    let end = scan::value_end(octets, colon + 1);
    match octets.get(end..).unwrap_or_default() {
        [b'\r', b'\n', ..] => {}
        [] | [b'\r'] => return short(),
        [b'\r', ..] => return Err(Refusal::new(&rule::BARE_CR, end)),
        [b'\n', ..] => return Err(Refusal::new(&rule::BARE_LF, end)),
        _ => return Err(Refusal::new(&rule::FIELD_VALUE, end)),
    }
    let (mut value, mut value_end) = (colon + 1, end);
    while value < value_end && matches!(octets[value], b' ' | b'\t') {
        value += 1;
    }
    while value < value_end && matches!(octets[value_end - 1], b' ' | b'\t') {
        value_end -= 1;
    }
    // A head is at most HEAD_OCTETS_MAX octets long, so every offset in it fits.
    let short_offset = |at: usize| at as u16;
    let span = Span {
        name: short_offset(start),
        colon: short_offset(colon),
        value: short_offset(value),
        value_end: short_offset(value_end),
    };
    Ok(Some((span, end + 2)))
}
