//! The structure of a message: its parts, where they lie, and what their header fields say of them. It is
//! made once, at arrival, and kept beside the message, so that showing a folder or one part of a message
//! reads no body (RFC 2045; RFC 9051 §7.5.2 for what IMAP tells of it).
//!
//! The scanner that makes it is `mime/scanner.rs`.

/// Most parts of a message; what follows belongs to the last one.
pub const PARTS_MAX: usize = 1000;
/// Most parts inside one another.
pub const DEPTH_MAX: usize = 100;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

impl Structure {
    /// The parts directly inside part `index`.
    pub fn children(&self, index: u32) -> impl Iterator<Item = u32> + '_ {
        (0_u32..).zip(&self.parts).filter(move |(_, part)| part.parent == Some(index)).map(|(at, _)| at)
    }
}
