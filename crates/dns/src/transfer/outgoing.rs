//! A transfer sent: AXFR (RFC 5936 §2.2) and IXFR (RFC 1995 §4), message by message.
//!
//! The zone is the version that was served when the transfer began, whatever happens to it meanwhile.
//! Messages are made one at a time, as the connection takes them, so a transfer holds one of them.

use std::collections::VecDeque;
use std::sync::Arc;

use doorway_base::{Malformed, Reader, Writer};

use crate::wire::message::{MESSAGE_OCTETS_MAX, RawRecord};
use crate::wire::{Class, Compressor, Edns, Flags, Header, Opcode, Question, Rcode, Record, Type};
use crate::zone::records::Place;
use crate::zone::{Change, Zone, change};

use super::history::History;

/// Octets after which a message is full enough. Pointers reach 16 KiB, so longer messages are no
/// shorter in all; a record that is longer alone still goes.
pub const MESSAGE_OCTETS_ENOUGH: usize = 16 * 1024;

/// A request for a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its id.
    pub id: u16,
    /// Its flags.
    pub flags: Flags,
    /// The zone, AXFR or IXFR, the class.
    pub question: Question,
    /// The serial that the client has; in IXFR only.
    pub serial: Option<u32>,
    /// The OPT record.
    pub edns: Option<Edns>,
}

impl Request {
    /// Reads a query with one question of type AXFR or IXFR; `None` for any other message.
    ///
    /// # Errors
    /// A query for a transfer that is malformed; the answer is FORMERR.
    pub fn read(octets: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut reader = Reader::new(octets);
        let header = Header::read(&mut reader)?;
        if header.flags.has(Flags::QR) || header.flags.opcode() != Opcode::QUERY || header.counts[0] != 1 {
            return Ok(None);
        }
        let question = Question::read(&mut reader)?;
        if !matches!(question.kind, Type::AXFR | Type::IXFR) {
            return Ok(None);
        }
        let incremental = question.kind == Type::IXFR;
        if header.counts[1] != 0 || header.counts[2] != u16::from(incremental) {
            return Err(reader.malformed("the SOA record of the client, in IXFR only"));
        }
        let mut serial = None;
        if incremental {
            let soa = Record::read(&mut reader)?;
            if soa.kind != Type::SOA || soa.name != question.name {
                return Err(reader.malformed("the SOA record of the client"));
            }
            serial = Some(change::serial(&soa));
        }
        let mut edns = None;
        for _ in 0..header.counts[3] {
            let record = RawRecord::read(&mut reader)?;
            if record.kind == Type::OPT {
                edns = Some(Edns::from_fields(record.class.0, record.ttl, record.rdata)?);
            }
        }
        reader.finish("the end of the query")?;
        Ok(Some(Self { id: header.id, flags: header.flags, question, serial, edns }))
    }

    /// An answer without records.
    #[must_use]
    pub fn refusal(&self, rcode: Rcode) -> Vec<u8> {
        let mut room = vec![0; 512];
        let mut writer = Writer::new(&mut room);
        begin(self, rcode, true, &mut writer, &mut Compressor::default());
        finish(self, 0, true, &mut writer);
        let length = writer.position();
        room.truncate(length);
        room
    }
}

// Header and question; the counts are filled in at the end.
fn begin(request: &Request, rcode: Rcode, first: bool, writer: &mut Writer<'_>, names: &mut Compressor) {
    let mut flags = request.flags.response(rcode);
    if rcode == Rcode::NOERROR {
        flags.0 |= Flags::AA;
    }
    Header { id: request.id, flags, counts: [u16::from(first), 0, 0, 0] }.write(writer);
    if first {
        names.write(request.question.name.as_octets(), writer);
        writer.put_u16(request.question.kind.0);
        writer.put_u16(request.question.class.0);
    }
}

fn finish(request: &Request, answers: u16, first: bool, writer: &mut Writer<'_>) {
    writer.patch_u16(6, answers);
    if first && request.edns.is_some() {
        Edns { udp_octets_max: 1232, ..Edns::default() }.write(writer);
        writer.patch_u16(10, 1);
    }
}

/// Where the next records come from.
#[derive(Debug)]
enum Rest {
    // The zone's records after the SOA record, from a place on.
    Zone(Place),
    // Changes, from one on.
    Changes(VecDeque<Arc<Change>>),
    // The SOA record that ends the transfer.
    Closing,
    Nothing,
}

/// A transfer under way.
#[derive(Debug)]
pub struct Outgoing {
    request: Request,
    zone: Arc<Zone>,
    rest: Rest,
    // Records of the one name or the one change that is being sent.
    waiting: VecDeque<Record>,
    first: bool,
}

/// A record that no message can hold beside its signature; the transfer cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooLong(pub Box<Record>);

impl Outgoing {
    /// The transfer that `request` asks for. IXFR gets what changed since the client's serial when
    /// `history` knows it, the SOA record alone when nothing did, and else the whole zone.
    #[must_use]
    pub fn new(request: Request, zone: Arc<Zone>, history: &History) -> Self {
        let rest = match request.serial {
            // RFC 1995 §2: also to a client that is ahead of us.
            Some(serial) if !change::is_after(zone.serial(), serial) => Rest::Nothing,
            Some(serial) => match history.since(serial) {
                Some(changes) if changes.last().is_some_and(|last| last.to() == zone.serial()) => {
                    Rest::Changes(changes.into())
                }
                _ => Rest::Zone(Place::default()),
            },
            None => Rest::Zone(Place::default()),
        };
        let waiting = VecDeque::from([zone.soa()]);
        Self { request, zone, rest, waiting, first: true }
    }

    /// Whether the client gets the whole zone.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        matches!(self.rest, Rest::Zone(_))
    }

    /// The request that is answered.
    #[must_use]
    pub const fn request(&self) -> &Request {
        &self.request
    }

    fn refill(&mut self) {
        while self.waiting.is_empty() {
            match &mut self.rest {
                Rest::Zone(place) => match self.zone.step(place) {
                    Some(node) => {
                        let records = node.records().into_iter();
                        self.waiting.extend(records.filter(|record| record.kind != Type::SOA));
                    }
                    None => self.rest = Rest::Closing,
                },
                Rest::Changes(changes) => match changes.pop_front() {
                    Some(change) => self.waiting.extend(change.records().cloned()),
                    None => self.rest = Rest::Closing,
                },
                Rest::Closing => {
                    self.waiting.push_back(self.zone.soa());
                    self.rest = Rest::Nothing;
                }
                Rest::Nothing => return,
            }
        }
    }

    /// The next message, which leaves `reserve_octets` for a signature; `None` when all is sent.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn next_message(&mut self, reserve_octets: usize) -> Result<Option<Vec<u8>>, TooLong> {
        self.refill();
        if self.waiting.is_empty() {
            return Ok(None);
        }
        let mut room = vec![0; MESSAGE_OCTETS_MAX.saturating_sub(reserve_octets)];
        let mut writer = Writer::new(&mut room);
        let mut names = Compressor::default();
        begin(&self.request, Rcode::NOERROR, self.first, &mut writer, &mut names);
        let mut answers = 0;
        while writer.position() < MESSAGE_OCTETS_ENOUGH {
            self.refill();
            let Some(record) = self.waiting.pop_front() else { break };
            let before = writer.position();
            record.write(&mut writer, &mut names);
            if writer.overflowed() {
                writer.rewind(before);
                if answers == 0 {
                    return Err(TooLong(Box::new(record)));
                }
                self.waiting.push_front(record);
                break;
            }
            answers += 1;
        }
        finish(&self.request, answers, self.first, &mut writer);
        self.first = false;
        let length = writer.position();
        room.truncate(length);
        Ok(Some(room))
    }

    /// The whole answer in one datagram of at most `octets_max`, signature included; what does not fit is
    /// told by the SOA record alone (RFC 1995 §2), and the client asks again over TCP.
    #[must_use]
    pub fn datagram(mut self, octets_max: usize, reserve_octets: usize) -> Vec<u8> {
        let soa = self.zone.soa();
        let whole = self.is_whole();
        let message = self.next_message(reserve_octets).ok().flatten().unwrap_or_default();
        let all = matches!(self.next_message(reserve_octets), Ok(None));
        if all && !whole && message.len() + reserve_octets <= octets_max {
            return message;
        }
        self.rest = Rest::Nothing;
        self.waiting = VecDeque::from([soa]);
        self.first = true;
        self.next_message(reserve_octets).ok().flatten().unwrap_or_default()
    }
}

/// The query for a transfer: AXFR, or IXFR from the version whose SOA record is `have`.
#[must_use]
pub fn query(id: u16, question: Question, have: Option<Record>) -> Vec<u8> {
    let message = crate::wire::Message {
        id,
        questions: vec![question],
        authorities: have.into_iter().collect(),
        ..crate::wire::Message::default()
    };
    message.to_octets().unwrap_or_default()
}

/// The question for the records of `kind` at the apex of a zone.
#[must_use]
pub fn question(apex: &crate::wire::Name, kind: Type) -> Question {
    Question { name: apex.clone(), kind, class: Class::IN }
}
