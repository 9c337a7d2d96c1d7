//! The structure of a message: its parts, where they lie, and what their header fields say of them. It is
//! made once, at arrival, and kept beside the message, so that showing a folder or one part of a message
//! reads no body (RFC 2045; RFC 9051 §7.5.2 for what IMAP tells of it).
//!
//! The scanner that makes it is `mime/scanner.rs`.

use doorway_base::{Malformed, Reader};

/// Most parts of a message; what follows belongs to the last one.
pub const PARTS_MAX: usize = 1000;
/// Most parts inside one another.
pub const DEPTH_MAX: usize = 100;

/// Most fields of one part whose places are noted.
pub const FIELDS_MAX: usize = 100;
/// Longest record; the last parts of a message that would need a longer one are left out of it.
pub const RECORD_OCTETS_MAX: usize = 32 * 1024;

/// Octets from `start` up to, not including, `end`, counted from the start of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First octet.
    pub start: u64,
    /// First octet beyond.
    pub end: u64,
}

impl Span {
    /// How many octets.
    #[must_use]
    pub const fn octets(self) -> u64 {
        self.end - self.start
    }

    /// These octets of `message`; none where it is shorter.
    #[must_use]
    pub fn of(self, message: &[u8]) -> &[u8] {
        let end = self.end.min(message.len() as u64) as usize;
        message.get(self.start as usize..end).unwrap_or_default()
    }
}

/// What a message asks of the way it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Demands {
    /// Header fields hold octets above 127, those of parts included.
    pub eight_bit_header: bool,
    /// Bodies do.
    pub eight_bit_body: bool,
    /// Some line has more than 998 octets (RFC 5322 §2.1.1).
    pub long_line: bool,
}

/// How the octets of a part were made fit to travel (RFC 2045 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// As they are; ASCII is promised.
    #[default]
    SevenBit,
    /// As they are, in lines.
    EightBit,
    /// As they are.
    Binary,
    /// RFC 2045 §6.7.
    QuotedPrintable,
    /// RFC 2045 §6.8.
    Base64,
    /// A name that is not known: the octets mean nothing to us (RFC 2045 §6.4).
    Unknown,
}

/// A header field that is looked for often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldName {
    /// `Date`
    Date,
    /// `Subject`
    Subject,
    /// `From`
    From,
    /// `Sender`
    Sender,
    /// `Reply-To`
    ReplyTo,
    /// `To`
    To,
    /// `Cc`
    Cc,
    /// `Bcc`
    Bcc,
    /// `In-Reply-To`
    InReplyTo,
    /// `Message-ID`
    MessageId,
    /// `References`
    References,
    /// `Content-Type`
    ContentType,
    /// `Content-Transfer-Encoding`
    ContentTransferEncoding,
    /// `Content-ID`
    ContentId,
    /// `Content-Description`
    ContentDescription,
    /// `Content-Disposition`
    ContentDisposition,
    /// `Content-Language`
    ContentLanguage,
    /// `Content-Location`
    ContentLocation,
    /// `Content-MD5`
    ContentMd5,
}

/// Every name that is noted, in the order of [`FieldName`].
const FIELD_NAMES: [(FieldName, &str); 19] = [
    (FieldName::Date, "Date"),
    (FieldName::Subject, "Subject"),
    (FieldName::From, "From"),
    (FieldName::Sender, "Sender"),
    (FieldName::ReplyTo, "Reply-To"),
    (FieldName::To, "To"),
    (FieldName::Cc, "Cc"),
    (FieldName::Bcc, "Bcc"),
    (FieldName::InReplyTo, "In-Reply-To"),
    (FieldName::MessageId, "Message-ID"),
    (FieldName::References, "References"),
    (FieldName::ContentType, "Content-Type"),
    (FieldName::ContentTransferEncoding, "Content-Transfer-Encoding"),
    (FieldName::ContentId, "Content-ID"),
    (FieldName::ContentDescription, "Content-Description"),
    (FieldName::ContentDisposition, "Content-Disposition"),
    (FieldName::ContentLanguage, "Content-Language"),
    (FieldName::ContentLocation, "Content-Location"),
    (FieldName::ContentMd5, "Content-MD5"),
];

impl FieldName {
    /// The name that `text` is, letter case aside.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        FIELD_NAMES.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)).map(|(known, _)| *known)
    }
}

/// Where the value of a field lies: behind its colon, up to the end of its last line, without that end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldPlace {
    /// Which field.
    pub name: FieldName,
    /// Its value, folded as it is.
    pub value: Span,
}

/// A value with parameters, such as that of Content-Type.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parameterized {
    /// What is before the first semicolon, in lower case: `text/plain`, `attachment`.
    pub value: String,
    /// Names in lower case, values decoded (RFC 2231), in their order. The first of two alike counts.
    pub parameters: Vec<(String, String)>,
}

impl Parameterized {
    /// The value of a parameter, named in lower case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What holds the octets of a part together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Its body is content.
    #[default]
    Leaf,
    /// Its body is parts between boundaries.
    Multipart,
    /// Its body is a message, which is its one child.
    Message,
}

/// One part: the message itself, a part of a multipart, or the message in a message/rfc822.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part {
    /// The part it is in; `None` for the message itself.
    pub parent: Option<u32>,
    /// What holds its body together.
    pub kind: Kind,
    /// Its header, with the empty line behind it.
    pub header: Span,
    /// Its body, without the line end that belongs to the boundary behind it.
    pub body: Span,
    /// Lines of its body, an unfinished one included.
    pub lines: u64,
    /// Type and subtype with parameters; what holds without the field when there is none (RFC 2045 §5.2).
    pub media_type: Parameterized,
    /// Content-Disposition (RFC 2183).
    pub disposition: Option<Parameterized>,
    /// Content-Transfer-Encoding.
    pub encoding: Encoding,
    /// Fields that are looked for often, in their order.
    pub fields: Vec<FieldPlace>,
}

impl Part {
    /// The type before the slash: `text`.
    #[must_use]
    pub fn main_type(&self) -> &str {
        self.media_type.value.split_once('/').map_or(self.media_type.value.as_str(), |(main, _)| main)
    }

    /// The type behind the slash: `plain`.
    #[must_use]
    pub fn subtype(&self) -> &str {
        self.media_type.value.split_once('/').map_or("", |(_, sub)| sub)
    }

    /// Where the first field of this name lies.
    #[must_use]
    pub fn field(&self, name: FieldName) -> Option<Span> {
        self.fields.iter().find(|place| place.name == name).map(|place| place.value)
    }

    /// The name of the file it holds, from Content-Disposition or else Content-Type.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        let disposition = self.disposition.as_ref().and_then(|d| d.parameter("filename"));
        disposition.or_else(|| self.media_type.parameter("name"))
    }
}

/// The parts of a message in the order in which they begin; the first is the message itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Structure {
    /// At least one.
    pub parts: Vec<Part>,
    /// What the message asks of its way.
    pub demands: Demands,
    /// Whether [`PARTS_MAX`], [`DEPTH_MAX`] or another bound left something out.
    pub cut: bool,
}

impl Encoding {
    /// Reads the value of Content-Transfer-Encoding, in lower case.
    #[must_use]
    pub fn of(value: &str) -> Self {
        match value {
            "" | "7bit" => Self::SevenBit,
            "8bit" => Self::EightBit,
            "binary" => Self::Binary,
            "quoted-printable" => Self::QuotedPrintable,
            "base64" => Self::Base64,
            _ => Self::Unknown,
        }
    }

    /// Whether the octets are content as they are.
    #[must_use]
    pub fn is_identity(self) -> bool {
        matches!(self, Self::SevenBit | Self::EightBit | Self::Binary)
    }
}

impl Structure {
    /// The parts directly inside part `index`.
    pub fn children(&self, index: u32) -> impl Iterator<Item = u32> + '_ {
        (0_u32..).zip(&self.parts).filter(move |(_, part)| part.parent == Some(index)).map(|(at, _)| at)
    }

    /// The record, of at most [`RECORD_OCTETS_MAX`] octets.
    #[must_use]
    pub fn to_octets(&self) -> Vec<u8> {
        let demands = u8::from(self.demands.eight_bit_header)
            | u8::from(self.demands.eight_bit_body) << 1
            | u8::from(self.demands.long_line) << 2;
        let mut record = vec![FORM, demands, u8::from(self.cut)];
        for part in &self.parts {
            let start = record.len();
            part.write(&mut record);
            if record.len() > RECORD_OCTETS_MAX {
                record.truncate(start);
                record[2] = 1;
                break;
            }
        }
        record
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`Malformed`] with the octet that is not as it should be.
    pub fn from_octets(record: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(record);
        if reader.u8("form of the record")? != FORM {
            return Err(Malformed::new("a known form of the record", 0));
        }
        let flags = reader.u8("demands")?;
        let demands = Demands {
            eight_bit_header: flags & 1 != 0,
            eight_bit_body: flags & 2 != 0,
            long_line: flags & 4 != 0,
        };
        let cut = reader.u8("whether it is cut")? != 0;
        let mut parts: Vec<Part> = Vec::new();
        while !reader.is_empty() {
            let at = reader.position();
            let part = Part::read(&mut reader)?;
            if part.parent.is_some_and(|parent| parent as usize >= parts.len()) {
                return Err(Malformed::new("a part that was named before", at));
            }
            parts.push(part);
        }
        Ok(Self { parts, demands, cut })
    }
}

/// The first octet of a record.
const FORM: u8 = 1;

const KINDS: [Kind; 3] = [Kind::Leaf, Kind::Multipart, Kind::Message];
const ENCODINGS: [Encoding; 6] = [
    Encoding::SevenBit,
    Encoding::EightBit,
    Encoding::Binary,
    Encoding::QuotedPrintable,
    Encoding::Base64,
    Encoding::Unknown,
];

impl Part {
    fn write(&self, record: &mut Vec<u8>) {
        put_number(record, self.parent.map_or(0, |parent| u64::from(parent) + 1));
        record.extend([self.kind as u8, self.encoding as u8]);
        put_number(record, self.header.start);
        put_number(record, self.header.octets());
        put_number(record, self.body.start - self.header.end);
        put_number(record, self.body.octets());
        put_number(record, self.lines);
        self.media_type.write(record);
        record.push(u8::from(self.disposition.is_some()));
        self.disposition.iter().for_each(|disposition| disposition.write(record));
        put_number(record, self.fields.len() as u64);
        for field in &self.fields {
            record.push(field.name as u8);
            put_number(record, field.value.start - self.header.start);
            put_number(record, field.value.octets());
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let parent = take_number(reader)?.checked_sub(1).and_then(|parent| u32::try_from(parent).ok());
        let kind = known(&KINDS, reader)?;
        let encoding = known(&ENCODINGS, reader)?;
        let start = take_number(reader)?;
        let header = take_span(reader, start)?;
        let gap = take_number(reader)?;
        let body = take_span(reader, header.end.saturating_add(gap))?;
        let lines = take_number(reader)?;
        let media_type = Parameterized::read(reader)?;
        let has_disposition = reader.u8("whether there is a disposition")? != 0;
        let disposition = has_disposition.then(|| Parameterized::read(reader)).transpose()?;
        let mut fields = Vec::new();
        for _ in 0..take_number(reader)? {
            let (name, _) = known(&FIELD_NAMES, reader)?;
            let offset = take_number(reader)?;
            fields.push(FieldPlace { name, value: take_span(reader, header.start.saturating_add(offset))? });
        }
        Ok(Self { parent, kind, header, body, lines, media_type, disposition, encoding, fields })
    }
}

impl Parameterized {
    fn write(&self, record: &mut Vec<u8>) {
        put_text(record, &self.value);
        put_number(record, self.parameters.len() as u64);
        for (name, value) in &self.parameters {
            put_text(record, name);
            put_text(record, value);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let value = take_text(reader)?;
        let mut parameters = Vec::new();
        for _ in 0..take_number(reader)? {
            parameters.push((take_text(reader)?, take_text(reader)?));
        }
        Ok(Self { value, parameters })
    }
}

fn known<T: Copy>(table: &[T], reader: &mut Reader<'_>) -> Result<T, Malformed> {
    let at = reader.position();
    let index = reader.u8("one of a table")?;
    table.get(usize::from(index)).copied().ok_or(Malformed::new("one of a table", at))
}

/// Seven bits an octet, the lowest first, the top bit set on all but the last.
fn put_number(record: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        record.push(number as u8 | 0x80);
        number >>= 7;
    }
    record.push(number as u8);
}

fn take_number(reader: &mut Reader<'_>) -> Result<u64, Malformed> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let octet = reader.u8("a number")?;
        number |= u64::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(reader.malformed("a number below 2^63"))
}

fn take_span(reader: &mut Reader<'_>, start: u64) -> Result<Span, Malformed> {
    let octets = take_number(reader)?;
    Ok(Span { start, end: start.saturating_add(octets) })
}

fn put_text(record: &mut Vec<u8>, text: &str) {
    put_number(record, text.len() as u64);
    record.extend_from_slice(text.as_bytes());
}

fn take_text(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    let octets = take_number(reader)?;
    let at = reader.position();
    let text = reader.take(usize::try_from(octets).unwrap_or(usize::MAX), "a text")?;
    String::from_utf8(text.to_vec()).map_err(|_| Malformed::new("text in UTF-8", at))
}
