//! Whole messages: RFC 1035 §4, RFC 6891.
//!
//! This is the general form, with owned names and records, for tools, tests and everything that is
//! not on the path of every query; an authority answers without building one.

use std::fmt;

use doorway_base::{Malformed, Reader, Writer};

use super::code::{Class, Rcode};
use super::compress::Compressor;
use super::edns::Edns;
use super::header::{Flags, Header};
use super::name::Name;
use super::rdata;
use super::rtype::Type;

/// Octets of a message at most, over any transport.
pub const MESSAGE_OCTETS_MAX: usize = u16::MAX as usize;

/// What is asked: QNAME, QTYPE and QCLASS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The name asked about.
    pub name: Name,
    /// The type asked for.
    pub kind: Type,
    /// The class, in practice IN.
    pub class: Class,
}

impl Question {
    /// Reads one entry of the question section.
    ///
    /// # Errors
    /// A malformed name, or the end of the message.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let name = Name::read(reader)?;
        let kind = Type(reader.u16("a QTYPE")?);
        let class = Class(reader.u16("a QCLASS")?);
        Ok(Self { name, kind, class })
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, self.class, self.kind)
    }
}

/// A resource record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The owner.
    pub name: Name,
    /// The type.
    pub kind: Type,
    /// The class.
    pub class: Class,
    /// How long it may be kept, in seconds.
    pub ttl: u32,
    /// The data in wire form, names whole.
    pub rdata: Vec<u8>,
}

/// What stands before the RDATA of a record, and the RDATA as it came.
#[derive(Debug, Clone)]
pub struct RawRecord<'a> {
    /// The owner.
    pub name: Name,
    /// The type.
    pub kind: Type,
    /// The class; in OPT the payload size.
    pub class: Class,
    /// The time to live; in OPT the extended code, version and flags.
    pub ttl: u32,
    /// The RDATA, possibly with compression pointers.
    pub rdata: &'a [u8],
}

impl<'a> RawRecord<'a> {
    /// Reads one record without looking into its RDATA. Allocates nothing.
    ///
    /// # Errors
    /// A malformed owner, or the end of the message.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let name = Name::read(reader)?;
        let kind = Type(reader.u16("a record's type")?);
        let class = Class(reader.u16("a record's class")?);
        let ttl = reader.u32("a record's TTL")?;
        let length = reader.u16("a record's RDLENGTH")?;
        let rdata = reader.take(usize::from(length), "the octets of an RDATA")?;
        Ok(Self { name, kind, class, ttl, rdata })
    }
}

impl Record {
    /// Reads one record, its RDATA checked and its names made whole.
    ///
    /// # Errors
    /// Malformed octets, or the end of the message.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let raw = RawRecord::read(reader)?;
        let mut inside = Reader::at(reader.whole(), reader.position() - raw.rdata.len());
        let mut octets = Vec::with_capacity(raw.rdata.len());
        if raw.class == Class::IN {
            rdata::read(raw.kind, &mut inside, raw.rdata.len(), &mut octets)?;
        } else {
            // UPDATE gives other classes a meaning of their own, with empty RDATA (RFC 2136 §2.4).
            octets.extend_from_slice(raw.rdata);
        }
        Ok(Self { name: raw.name, kind: raw.kind, class: raw.class, ttl: raw.ttl, rdata: octets })
    }

    /// Writes the record with compression.
    pub fn write(&self, writer: &mut Writer<'_>, compressor: &mut Compressor) {
        compressor.write(self.name.as_octets(), writer);
        writer.put_u16(self.kind.0);
        writer.put_u16(self.class.0);
        writer.put_u32(self.ttl);
        if self.class == Class::IN {
            rdata::write(self.kind, &self.rdata, writer, compressor);
        } else {
            // As it was read: its form is unknown.
            writer.put_u16(self.rdata.len() as u16);
            writer.put(&self.rdata);
        }
    }
}

impl fmt::Display for Record {
    /// One line of a zone file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {} ", self.name, self.ttl, self.class, self.kind)?;
        if self.class != Class::IN && self.rdata.is_empty() {
            // RFC 2136 §2.4: a condition or a deletion, which has no data.
            return Ok(());
        }
        write!(f, "{}", rdata::display(self.kind, &self.rdata))
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Chosen by the client, copied by the server.
    pub id: u16,
    /// Flags, opcode, and the low four bits of the response code.
    pub flags: Flags,
    /// The question section; one entry in a query.
    pub questions: Vec<Question>,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authorities: Vec<Record>,
    /// The additional section, without OPT.
    pub additionals: Vec<Record>,
    /// The OPT record.
    pub edns: Option<Edns>,
}

impl Message {
    /// Reads a whole message.
    ///
    /// # Errors
    /// The first octet that breaks a rule: a count that is not met, more than one OPT or one that is
    /// not in the additional section at the root, octets after the last record.
    pub fn read(octets: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(octets);
        let header = Header::read(&mut reader)?;
        let mut message = Self { id: header.id, flags: header.flags, ..Self::default() };
        for _ in 0..header.counts[0] {
            message.questions.push(Question::read(&mut reader)?);
        }
        for _ in 0..header.counts[1] {
            message.answers.push(Record::read(&mut reader)?);
        }
        for _ in 0..header.counts[2] {
            message.authorities.push(Record::read(&mut reader)?);
        }
        for _ in 0..header.counts[3] {
            let before = reader;
            let raw = RawRecord::read(&mut reader)?;
            if raw.kind != Type::OPT {
                reader = before;
                message.additionals.push(Record::read(&mut reader)?);
            } else if message.edns.is_some() || !raw.name.is_root() {
                return Err(before.malformed("one OPT record, at the root"));
            } else {
                message.edns = Some(Edns::from_fields(raw.class.0, raw.ttl, raw.rdata)?);
            }
        }
        reader.finish("the end of the message")?;
        Ok(message)
    }

    /// Writes the message at the start of `writer`'s buffer, with compression.
    ///
    /// Whether all of it fitted is for the caller to see from [`Writer::overflowed`].
    pub fn write(&self, writer: &mut Writer<'_>) {
        let additionals = self.additionals.len() + usize::from(self.edns.is_some());
        let lengths = [self.questions.len(), self.answers.len(), self.authorities.len(), additionals];
        Header { id: self.id, flags: self.flags, counts: lengths.map(|n| n as u16) }.write(writer);
        let mut compressor = Compressor::default();
        for question in &self.questions {
            compressor.write(question.name.as_octets(), writer);
            writer.put_u16(question.kind.0);
            writer.put_u16(question.class.0);
        }
        for record in self.answers.iter().chain(&self.authorities).chain(&self.additionals) {
            record.write(writer, &mut compressor);
        }
        if let Some(edns) = &self.edns {
            edns.write(writer);
        }
    }

    /// The message's octets, with compression; `None` when they are more than a message can have.
    #[must_use]
    pub fn to_octets(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; MESSAGE_OCTETS_MAX];
        let mut writer = Writer::new(&mut buffer);
        self.write(&mut writer);
        let (length, whole) = (writer.position(), !writer.overflowed());
        buffer.truncate(length);
        buffer.shrink_to_fit();
        whole.then_some(buffer)
    }

    /// The whole response code, with the bits that OPT adds.
    #[must_use]
    pub fn rcode(&self) -> Rcode {
        let low = self.flags.rcode();
        self.edns.as_ref().map_or(low, |edns| edns.rcode(low))
    }
}
