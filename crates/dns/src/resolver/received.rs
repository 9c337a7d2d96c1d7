//! A response read into sets of records: RFC 1035 §4, RFC 2181 §5, RFC 6891.
//!
//! One pass, no record on its own. What of it may be believed is decided in `judge.rs`.

use doorway_base::{Malformed, Reader};

use crate::cache::set;
use crate::wire::edns::Edns;
use crate::wire::message::RawRecord;
use crate::wire::{Class, Flags, Header, Name, Question, Rcode, Type, rdata};

/// Sets before a record that are looked through for its own, and records of a set for its double; so a
/// message of many thousand records costs no more than its length.
const LOOK_BACK: usize = 64;
const COOKIE: u16 = 10;

/// The section a set stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Answer,
    Authority,
    Additional,
}

/// One set of a response.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) section: Section,
    pub(super) owner: Name,
    pub(super) kind: Type,
    /// The lowest of its records: RFC 2181 §5.2.
    pub(super) ttl: u32,
    /// Rows of RDATA.
    pub(super) data: Vec<u8>,
    /// Rows of RRSIG RDATA over it.
    pub(super) signatures: Vec<u8>,
}

impl Part {
    /// The RDATA of each record.
    pub(super) fn rows(&self) -> set::Rows<'_> {
        set::Rows::new(&self.data)
    }

    /// The name that each record's RDATA is, as in NS and CNAME.
    pub(super) fn names(&self) -> impl Iterator<Item = Name> {
        self.rows().filter_map(|row| Name::from_wire(row).ok())
    }
}

/// A response.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) flags: Flags,
    pub(super) rcode: Rcode,
    pub(super) edns: bool,
    /// The COOKIE option: RFC 7873 §4.
    pub(super) cookie: Option<Vec<u8>>,
    pub(super) parts: Vec<Part>,
}

impl Received {
    /// Reads a message.
    ///
    /// # Errors
    /// Octets that are no message.
    pub(super) fn read(octets: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(octets);
        let header = Header::read(&mut reader)?;
        let mut received = Self {
            flags: header.flags,
            rcode: header.flags.rcode(),
            edns: false,
            cookie: None,
            parts: Vec::with_capacity(8),
        };
        let mut asked = Type(0);
        for _ in 0..header.counts[0] {
            asked = Question::read(&mut reader)?.kind;
        }
        let sections = [Section::Answer, Section::Authority, Section::Additional];
        for (section, count) in sections.into_iter().zip(&header.counts[1..]) {
            for _ in 0..*count {
                received.record(section, asked, &mut reader)?;
            }
        }
        if received.parts.iter().any(|part| part.data.is_empty()) {
            received.bring_signatures_home();
        }
        // Signatures over nothing are of no use.
        received.parts.retain(|part| !part.data.is_empty());
        Ok(received)
    }

    // Signatures are at times in another section than what they sign.
    fn bring_signatures_home(&mut self) {
        for index in 0..self.parts.len() {
            let Some(astray) = self.parts.get(index).filter(|part| part.data.is_empty()) else { continue };
            let (owner, kind, signatures) = (astray.owner.clone(), astray.kind, astray.signatures.clone());
            let home = |part: &&mut Part| part.kind == kind && !part.data.is_empty() && part.owner == owner;
            if let Some(part) = self.parts.iter_mut().take(LOOK_BACK).find(home) {
                part.signatures.extend(signatures);
            }
        }
    }

    fn record(&mut self, section: Section, asked: Type, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let raw = RawRecord::read(reader)?;
        if raw.kind == Type::OPT {
            if section == Section::Additional && !self.edns && raw.name.is_root() {
                let edns = Edns::from_fields(raw.class.0, raw.ttl, raw.rdata)?;
                self.edns = true;
                self.rcode = edns.rcode(self.flags.rcode());
                self.cookie =
                    edns.options().find(|(code, _)| *code == COOKIE).map(|(_, value)| value.to_vec());
            }
            return Ok(());
        }
        if raw.class != Class::IN {
            return Ok(());
        }
        let covered = raw.rdata.first_chunk::<2>().map_or(0, |covered| u16::from_be_bytes(*covered));
        let wanted = section == Section::Answer && matches!(asked, Type::RRSIG | Type::ANY);
        let signature = raw.kind == Type::RRSIG && !wanted;
        let kind = if signature { Type(covered) } else { raw.kind };
        let start = self.parts.len().saturating_sub(LOOK_BACK);
        let same = |part: &&mut Part| part.section == section && part.kind == kind && part.owner == raw.name;
        let part = match self.parts[start..].iter_mut().rev().find(same) {
            Some(part) => part,
            None => {
                let (data, signatures) = (Vec::new(), Vec::new());
                let owner = raw.name.clone();
                self.parts.push(Part { section, owner, kind, ttl: raw.ttl, data, signatures });
                let last = self.parts.len() - 1;
                &mut self.parts[last]
            }
        };
        let rows = if signature { &mut part.signatures } else { &mut part.data };
        let length_at = rows.len();
        rows.extend([0, 0]);
        let mut inside = Reader::at(reader.whole(), reader.position() - raw.rdata.len());
        rdata::read(raw.kind, &mut inside, raw.rdata.len(), rows)?;
        let length = rows.len() - length_at - 2;
        // Names made whole may take an RDATA over what its length field can say.
        let length =
            u16::try_from(length).map_err(|_| reader.malformed("an RDATA of at most 65535 octets"))?;
        rows[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
        if !signature {
            let row = &rows[length_at..];
            // RFC 2181 §5: a set has no record twice.
            if set::Rows::new(&rows[..length_at]).take(LOOK_BACK).any(|before| before == &row[2..]) {
                rows.truncate(length_at);
            }
            part.ttl = part.ttl.min(raw.ttl);
        }
        Ok(())
    }

    /// The sets of one section.
    pub(super) fn section(&self, section: Section) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| part.section == section)
    }
}
