//! Every octet of a message with the name of its field and what it says: `dig +annotate`.
//!
//! | file | what it holds |
//! | --- | --- |
//! | here | a message walked from its first octet to its last |
//! | [`fields`] | what the standards call the parts of an RDATA |
//!
//! The octets of all [`Line::Octets`] put together are the message, whatever it is: what breaks a rule is
//! shown up to there, and the rest as it came.

pub mod fields;

use doorway_base::{Malformed, Reader};

use crate::wire::rtype::Field;
use crate::wire::{Class, EdnsOption, Flags, Header, Name, Opcode, Type, edns, rdata};

/// A line of the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// The beginning of a section or of a record in it.
    Heading {
        /// 0 for a section, 1 for an entry of it.
        depth: u8,
        /// Its name.
        text: String,
    },
    /// Some octets that are one field.
    Octets {
        /// Where they begin in the message.
        at: usize,
        /// How many there are.
        length: usize,
        /// The field.
        field: String,
        /// What it says.
        value: String,
    },
    /// Some bits of the field before.
    Bits {
        /// The sixteen bits, those of others as dots: `.000 0... .... ....`.
        bits: String,
        /// The field.
        field: &'static str,
        /// What it says.
        value: String,
    },
}

/// The whole of a message, line by line.
#[must_use]
pub fn annotate(message: &[u8]) -> Vec<Line> {
    let mut picture = Picture { reader: Reader::new(message), lines: Vec::new() };
    if let Err(malformed) = picture.message() {
        let shown = picture.lines.iter().rev().find_map(|line| match line {
            Line::Octets { at, length, .. } => Some(at + length),
            _ => None,
        });
        let at = shown.unwrap_or(0);
        picture.lines.push(Line::Heading { depth: 0, text: "Not understood".to_owned() });
        let value = format!("expected {} at octet {}", malformed.what, malformed.at_octet);
        picture.put(at, message.len() - at, "rest", value);
    }
    picture.lines
}

struct Picture<'a> {
    reader: Reader<'a>,
    lines: Vec<Line>,
}

impl<'a> Picture<'a> {
    fn put(&mut self, at: usize, length: usize, field: impl Into<String>, value: impl Into<String>) {
        if length > 0 {
            self.lines.push(Line::Octets { at, length, field: field.into(), value: value.into() });
        }
    }

    fn heading(&mut self, depth: u8, text: impl Into<String>) {
        self.lines.push(Line::Heading { depth, text: text.into() });
    }

    fn u16(&mut self, field: &'static str) -> Result<u16, Malformed> {
        let at = self.reader.position();
        let value = self.reader.u16(field)?;
        self.put(at, 2, field, value.to_string());
        Ok(value)
    }

    fn message(&mut self) -> Result<(), Malformed> {
        let Header { flags, counts, id } = Header::read(&mut self.reader)?;
        self.heading(0, "Header");
        self.put(0, 2, "ID", format!("{id}: the answer repeats that of the query"));
        self.flags(flags);
        for (index, field) in ["QDCOUNT", "ANCOUNT", "NSCOUNT", "ARCOUNT"].into_iter().enumerate() {
            self.put(4 + 2 * index, 2, field, counts[index].to_string());
        }
        for number in 0..counts[0] {
            self.section(number, "Question");
            self.name("QNAME")?;
            let at = self.reader.position();
            let kind = Type(self.reader.u16("a QTYPE")?);
            self.put(at, 2, "QTYPE", format!("{} = {kind}", kind.0));
            let at = self.reader.position();
            let class = Class(self.reader.u16("a QCLASS")?);
            self.put(at, 2, "QCLASS", format!("{} = {class}", class.0));
        }
        for (title, count) in [("Answer", counts[1]), ("Authority", counts[2]), ("Additional", counts[3])] {
            for number in 0..count {
                self.section(number, title);
                self.record()?;
            }
        }
        self.reader.finish("the end of the message")
    }

    fn section(&mut self, number: u16, title: &str) {
        if number == 0 {
            self.heading(0, title);
        }
    }

    fn flags(&mut self, flags: Flags) {
        self.put(2, 2, "flags", format!("0x{:04x}", flags.0));
        let response = flags.has(Flags::QR);
        // In a query some bits mean something else, or nothing.
        let said = |flag: u16, in_query: &'static str, yes: &'static str, no: &'static str| {
            let word = match (flags.has(flag), response) {
                (false, _) => no,
                (true, false) => in_query,
                (true, true) => yes,
            };
            word.to_owned()
        };
        let nothing = "means nothing in a query";
        for (mask, field, value) in [
            (Flags::QR, "QR", said(Flags::QR, "", "response", "query")),
            (Flags::OPCODE, "OPCODE", opcode(flags.opcode())),
            (Flags::AA, "AA", said(Flags::AA, nothing, "from an authority for the name", "no authority")),
            (Flags::TC, "TC", said(Flags::TC, "cut short", "cut short", "whole")),
            (Flags::RD, "RD", said(Flags::RD, "recursion desired", "recursion desired", "not desired")),
            (Flags::RA, "RA", said(Flags::RA, nothing, "recursion available", "not available")),
            (0x40, "Z", said(0x40, "set, though kept for later", "set, though kept for later", "always 0")),
            (
                Flags::AD,
                "AD",
                said(Flags::AD, "tell whether authenticated", "authenticated", "not authenticated"),
            ),
            (Flags::CD, "CD", said(Flags::CD, "do not validate", "not validated", "as the server wants")),
            (0x000f, "RCODE", format!("{} = {}", flags.rcode().0, flags.rcode())),
        ] {
            self.lines.push(Line::Bits { bits: bits(flags.0, mask), field, value });
        }
    }

    // A name, label by label; a pointer is followed for what it stands for, and not shown again.
    fn name(&mut self, field: &str) -> Result<Name, Malformed> {
        let whole = self.reader.whole();
        let mut at = self.reader.position();
        let name = Name::read(&mut self.reader)?;
        let end = self.reader.position();
        let mut first = true;
        while at < end {
            let title = if std::mem::take(&mut first) { field } else { "" };
            let octet = whole[at];
            if octet >= 0xc0 {
                let to = usize::from(u16::from_be_bytes([octet & 0x3f, whole[at + 1]]));
                let rest = Name::read(&mut Reader::at(whole, to))?;
                self.put(at, 2, title, format!("-> octet {to}: {rest}"));
                at += 2;
            } else if octet == 0 {
                self.put(at, 1, title, "root, the end of the name");
                at += 1;
            } else {
                let length = 1 + usize::from(octet);
                let label = Name::from_labels([&whole[at + 1..at + length]]).unwrap_or_default().to_string();
                self.put(at, length, title, format!("\"{}\"", label.trim_end_matches('.')));
                at += length;
            }
        }
        Ok(name)
    }

    fn record(&mut self) -> Result<(), Malformed> {
        let mut ahead = self.reader;
        let owner = Name::read(&mut ahead)?;
        let kind = Type(ahead.u16("a record's type")?);
        let heading = if kind == Type::OPT { "OPT: EDNS".to_owned() } else { format!("{kind} of {owner}") };
        self.heading(1, heading);
        self.name("NAME")?;
        let at = self.reader.position();
        self.reader.u16("a record's type")?;
        self.put(at, 2, "TYPE", format!("{} = {kind}", kind.0));
        if kind == Type::OPT {
            return self.opt();
        }
        let at = self.reader.position();
        let class = Class(self.reader.u16("a record's class")?);
        self.put(at, 2, "CLASS", format!("{} = {class}", class.0));
        let at = self.reader.position();
        let ttl = self.reader.u32("a record's TTL")?;
        self.put(at, 4, "TTL", format!("{ttl} seconds"));
        let length = usize::from(self.length()?);
        self.rdata(kind, class, length)
    }

    fn length(&mut self) -> Result<u16, Malformed> {
        let at = self.reader.position();
        let length = self.reader.u16("a record's RDLENGTH")?;
        self.put(at, 2, "RDLENGTH", format!("{length} octets"));
        Ok(length)
    }

    fn rdata(&mut self, kind: Type, class: Class, length: usize) -> Result<(), Malformed> {
        let start = self.reader.position();
        let mut after = self.reader;
        after.take(length, "the octets of an RDATA")?;
        if class != Class::IN && kind != Type::TXT {
            self.put(start, length, "RDATA", "as it came");
            self.reader = after;
            return Ok(());
        }
        let mut plain = Vec::new();
        let mut inside = self.reader;
        rdata::read(kind, &mut inside, length, &mut plain)?;
        let mut parts: Vec<(Field, &[u8])> = Vec::new();
        rdata::for_each_field(kind, &plain, |field, octets| parts.push((field, octets)));
        for (index, (field, octets)) in parts.into_iter().enumerate() {
            let title = fields::name(kind, index);
            if matches!(field, Field::CompressibleName | Field::PlainName | Field::ExactName) {
                self.name(title)?;
                continue;
            }
            let at = self.reader.position();
            self.reader.take(octets.len(), "the octets of an RDATA")?;
            self.put(at, octets.len(), title, fields::value(field, octets));
        }
        Ok(())
    }

    fn opt(&mut self) -> Result<(), Malformed> {
        let at = self.reader.position();
        let payload = self.reader.u16("a UDP payload size")?;
        self.put(at, 2, "UDP payload size", format!("{payload} octets, in the place of CLASS"));
        let rcode = self.reader.u8("an extended RCODE")?;
        let flags = self.reader.whole().get(3).map_or(0, |octet| u16::from(octet & 15));
        let all = crate::wire::Rcode(u16::from(rcode) << 4 | flags);
        self.put(at + 2, 1, "EXTENDED-RCODE", format!("{rcode}, so the whole code is {} = {all}", all.0));
        let version = self.reader.u8("an EDNS version")?;
        self.put(at + 3, 1, "VERSION", version.to_string());
        let flags = self.reader.u16("EDNS flags")?;
        let signatures = if flags & edns::DO == 0 { "no signatures wanted" } else { "DO: signatures wanted" };
        self.put(at + 4, 2, "flags", format!("0x{flags:04x}, {signatures}"));
        let length = usize::from(self.length()?);
        let mut after = self.reader;
        after.take(length, "the octets of an RDATA")?;
        while self.reader.position() < after.position() {
            let at = self.reader.position();
            let code = self.reader.u16("the code of an EDNS option")?;
            self.put(at, 2, "OPTION-CODE", format!("{code} = {}", fields::option_name(code)));
            let length = self.u16("OPTION-LENGTH")?;
            let value_at = self.reader.position();
            let value = self.reader.take(usize::from(length), "the value of an EDNS option")?;
            let said = EdnsOption::read(code, value)
                .map_or_else(|malformed| format!("expected {}", malformed.what), |option| option.to_string());
            self.put(value_at, value.len(), "OPTION-DATA", said);
        }
        Ok(())
    }
}

fn opcode(opcode: Opcode) -> String {
    format!("{} = {opcode}", opcode.0)
}

// `.000 0... .... ....`
fn bits(flags: u16, mask: u16) -> String {
    let mut text = String::with_capacity(19);
    for bit in (0..16).rev() {
        if bit % 4 == 3 && bit != 15 {
            text.push(' ');
        }
        text.push(match (mask >> bit & 1, flags >> bit & 1) {
            (0, _) => '.',
            (_, 0) => '0',
            _ => '1',
        });
    }
    text
}
