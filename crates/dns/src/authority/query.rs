//! What a message asks: RFC 1035 §4.1, RFC 6891 §6, RFC 9619.
//!
//! [`usual`] reads the query that nearly every message is, in one pass and without looking twice;
//! whatever it does not know it leaves to [`any`], which decides about every message. Where both have
//! an opinion it is the same one.

use doorway_base::Reader;

use crate::wire::edns::{OPT_OCTETS, check_options};
use crate::wire::message::RawRecord;
use crate::wire::options::code;
use crate::wire::{Class, Flags, HEADER_OCTETS, Header, Opcode, Question, Rcode, Type};
use crate::zone::{HashKey, Key};

/// Additional records of a query at most; OPT and TSIG are the ones in use.
pub const ADDITIONALS_MAX: u16 = 16;

/// A question that can be answered. Its name is in the key it was read with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// The header's flags.
    pub flags: Flags,
    /// Octets of the question section, which begins at octet 12.
    pub question_octets: usize,
    /// QTYPE.
    pub kind: Type,
    /// QCLASS.
    pub class: Class,
    /// The OPT record.
    pub edns: Option<QueryEdns>,
}

/// What an answer needs of the query's OPT record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryEdns {
    /// The largest response the client takes, in octets.
    pub udp_octets_max: u16,
    /// The version asked for.
    pub version: u8,
    /// The flags, DO among them.
    pub flags: u16,
    /// Where in the message its options begin.
    pub options_at: u16,
    /// Octets of the options.
    pub options_octets: u16,
}

impl QueryEdns {
    /// The options, in the message that this was read from.
    #[must_use]
    pub fn options<'m>(&self, message: &'m [u8]) -> &'m [u8] {
        let start = usize::from(self.options_at);
        message.get(start..start + usize::from(self.options_octets)).unwrap_or_default()
    }

    /// The value of the first option with this code.
    #[must_use]
    pub fn option<'m>(&self, message: &'m [u8], code: u16) -> Option<&'m [u8]> {
        let mut rest = self.options(message);
        loop {
            let (head, after) = rest.split_first_chunk::<4>()?;
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let (value, behind) = after.split_at_checked(length)?;
            if u16::from_be_bytes([head[0], head[1]]) == code {
                return Some(value);
            }
            rest = behind;
        }
    }
}

/// A message that gets no real answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswerable {
    /// Nothing is sent; the word says why.
    Silence(&'static str),
    /// A header alone is sent, and an OPT record when the message had one (RFC 6891 §6.1.1).
    Header {
        /// The query's id.
        id: u16,
        /// The query's flags.
        flags: Flags,
        /// What is wrong; NOERROR for a client that only wants a cookie (RFC 7873 §5.4).
        rcode: Rcode,
        /// The message's OPT record, when it could be read.
        edns: Option<QueryEdns>,
    },
}

/// Reads a standard query of class IN with one question and nothing else but at most one OPT record
/// of version 0; `None` for every other message.
#[inline]
pub fn usual(octets: &[u8], secret: HashKey, key: &mut Key) -> Option<Query> {
    let (head, rest) = octets.split_first_chunk::<HEADER_OCTETS>()?;
    let flags = Flags(u16::from_be_bytes([head[2], head[3]]));
    let additionals = head[11];
    if flags.0 & (Flags::QR | Flags::OPCODE) != 0 || head[4..11] != [0, 1, 0, 0, 0, 0, 0] || additionals > 1 {
        return None;
    }
    let name_octets = key.set(secret, rest)?;
    let (&[kind_high, kind_low, class_high, class_low], after) =
        rest[name_octets..].split_first_chunk::<4>()?;
    let (kind, class) = (Type(u16::from_be_bytes([kind_high, kind_low])), [class_high, class_low]);
    let edns = if additionals == 0 {
        if !after.is_empty() {
            return None;
        }
        None
    } else {
        let (opt, options) = after.split_first_chunk::<OPT_OCTETS>()?;
        let &[0, 0, 41, size_high, size_low, _, 0, flags_high, flags_low, length_high, length_low] = opt
        else {
            return None;
        };
        if usize::from(u16::from_be_bytes([length_high, length_low])) != options.len() {
            return None;
        }
        check_options(options).ok()?;
        Some(QueryEdns {
            udp_octets_max: u16::from_be_bytes([size_high, size_low]),
            version: 0,
            flags: u16::from_be_bytes([flags_high, flags_low]),
            options_at: (octets.len() - options.len()) as u16,
            options_octets: options.len() as u16,
        })
    };
    let usual = class == Class::IN.0.to_be_bytes();
    usual.then_some(Query { flags, question_octets: name_octets + 4, kind, class: Class::IN, edns })
}

/// Reads any message.
///
/// # Errors
/// Silence for what is too short or a response; a bare header with NOTIMP for another opcode and with
/// FORMERR for everything that is not one well-formed question.
#[cold]
pub fn any(octets: &[u8], secret: HashKey, key: &mut Key) -> Result<Query, Unanswerable> {
    let mut reader = Reader::new(octets);
    let Ok(header) = Header::read(&mut reader) else {
        return Err(Unanswerable::Silence("shorter than a header"));
    };
    if header.flags.has(Flags::QR) {
        return Err(Unanswerable::Silence("a response, not a query"));
    }
    let bare = |rcode| {
        let edns = opt(octets);
        let asks_for_cookie = header.counts[..3] == [0; 3]
            && edns.is_some_and(|edns| edns.option(octets, code::COOKIE).is_some());
        let rcode = if rcode == Rcode::FORMERR && asks_for_cookie { Rcode::NOERROR } else { rcode };
        Unanswerable::Header { id: header.id, flags: header.flags, rcode, edns }
    };
    if header.flags.opcode() != Opcode::QUERY {
        return Err(bare(Rcode::NOTIMP));
    }
    question(&mut reader, &header, secret, key).ok_or_else(|| bare(Rcode::FORMERR))
}

// The OPT record of a message that is not a usual question, when all of the message can be read and
// there is one.
fn opt(octets: &[u8]) -> Option<QueryEdns> {
    let mut reader = Reader::new(octets);
    let Header { counts: [questions, answers, authorities, additionals], .. } =
        Header::read(&mut reader).ok()?;
    // Nobody who means well sends more.
    if [questions, answers, authorities, additionals].iter().any(|&count| count > ADDITIONALS_MAX) {
        return None;
    }
    for _ in 0..questions {
        Question::read(&mut reader).ok()?;
    }
    for _ in 0..answers + authorities {
        RawRecord::read(&mut reader).ok()?;
    }
    let mut edns = None;
    for _ in 0..additionals {
        let record = RawRecord::read(&mut reader).ok()?;
        if record.kind == Type::OPT {
            edns = Some(read_opt(&record, &reader).filter(|_| edns.is_none())?);
        }
    }
    reader.finish("the end of the query").ok()?;
    edns
}

// What the OPT record that `reader` stands behind says.
fn read_opt(record: &RawRecord<'_>, reader: &Reader<'_>) -> Option<QueryEdns> {
    let [_, version, high, low] = record.ttl.to_be_bytes();
    // Options of a version that is not known may look otherwise.
    if !record.name.is_root() || version == 0 && check_options(record.rdata).is_err() {
        return None;
    }
    Some(QueryEdns {
        udp_octets_max: record.class.0,
        version,
        flags: u16::from_be_bytes([high, low]),
        options_at: (reader.position() - record.rdata.len()) as u16,
        options_octets: record.rdata.len() as u16,
    })
}

fn question(reader: &mut Reader<'_>, header: &Header, secret: HashKey, key: &mut Key) -> Option<Query> {
    let [questions, answers, authorities, additionals] = header.counts;
    if questions != 1 || answers != 0 || additionals > ADDITIONALS_MAX {
        return None;
    }
    // Nothing stands before the question that a pointer could mean.
    let name_octets = key.set(secret, reader.rest())?;
    reader.take(name_octets, "QNAME").ok()?;
    let kind = Type(reader.u16("QTYPE").ok()?);
    let class = Class(reader.u16("QCLASS").ok()?);
    // RFC 1995 §3: only IXFR brings a record, the SOA that the client has.
    if authorities != u16::from(authorities == 1 && kind == Type::IXFR) {
        return None;
    }
    for _ in 0..authorities {
        RawRecord::read(reader).ok()?;
    }
    let mut edns = None;
    for _ in 0..additionals {
        let record = RawRecord::read(reader).ok()?;
        if record.kind != Type::OPT {
            continue;
        }
        edns = Some(read_opt(&record, reader).filter(|_| edns.is_none())?);
    }
    reader.finish("the end of the query").ok()?;
    Some(Query { flags: header.flags, question_octets: name_octets + 4, kind, class, edns })
}
