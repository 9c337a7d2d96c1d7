//! Answers that the resolver brings: made into a ready message, then into what each client gets.

use std::time::Duration;

use doorway_base::{Malformed, Reader, Writer};

use super::ready::{self, Message, Turn};
use crate::authority::PLAIN_UDP_OCTETS_MAX;
use crate::authority::query::{Query, QueryEdns};
use crate::resolver::Answer;
use crate::wire::compress::Compressor;
use crate::wire::edns::{DO, OPT_OCTETS};
use crate::wire::message::MESSAGE_OCTETS_MAX;
use crate::wire::{Flags, HEADER_OCTETS, Header, Question, Rcode, Record, Type, rdata};

/// The EDNS option of an extended error: RFC 8914.
const EXTENDED_ERROR: u16 = 15;
/// Octets of all extended errors of one answer at most.
const EXTENDED_ERRORS_OCTETS_MAX: usize = 256;

/// A query that the resolver answers: what its answer is made with.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Header and question as they came.
    pub head: Box<[u8]>,
    /// What they say.
    pub query: Query,
    /// The question.
    pub question: Box<Question>,
    /// The options that the answer's OPT record carries, such as a cookie.
    pub options: Vec<u8>,
}

impl Wanted {
    /// Takes what `octets` ask, which `query` was read from.
    ///
    /// # Errors
    /// None when `query` was read from `octets`.
    pub fn new(octets: &[u8], query: Query, options: Vec<u8>) -> Result<Self, Malformed> {
        let question = Box::new(Question::read(&mut Reader::at(octets, HEADER_OCTETS))?);
        let head = octets[..HEADER_OCTETS + query.question_octets].into();
        Ok(Self { head, query, question, options })
    }
}

/// Makes a ready message of what the resolver found for `question`.
///
/// What does not fit a message is left out, whole sets at a time, with TC.
#[must_use]
pub fn message(question: &Question, answer: &Answer, room: &mut [u8]) -> Message {
    let mut writer = Writer::new(room);
    let mut counts = [1, 0, 0, 0];
    let mut flags = Flags::QR | Flags::RA | (answer.rcode.0 & 15);
    if answer.authoritative {
        flags |= Flags::AA;
    }
    Header::default().write(&mut writer);
    let mut compressor = Compressor::default();
    compressor.write(question.name.lowered().as_octets(), &mut writer);
    writer.put_u16(question.kind.0);
    writer.put_u16(question.class.0);
    let (mut ttls, mut records) = (Vec::new(), Vec::new());
    let sections = [&answer.answers, &answer.authorities, &answer.additionals];
    for (section, list) in sections.into_iter().enumerate() {
        for record in list {
            let start = writer.position();
            let (ttl_at, turn) = put(record, question, &mut writer, &mut compressor);
            // What is written now may yet need an OPT record behind it.
            if writer.overflowed() || writer.position() + OPT_OCTETS > MESSAGE_OCTETS_MAX {
                writer.rewind(start);
                flags |= Flags::TC;
                break;
            }
            ttls.extend(u16::try_from(ttl_at));
            counts[section + 1] += 1;
            if section == 0 && turn {
                records.push((start, writer.position()));
            }
        }
    }
    let octets = writer.written_mut();
    octets[2..4].copy_from_slice(&flags.to_be_bytes());
    for (place, count) in octets[4..HEADER_OCTETS].chunks_exact_mut(2).zip(counts) {
        place.copy_from_slice(&u16::to_be_bytes(count));
    }
    Message { octets: (&*octets).into(), ttls: ttls.into(), turn: turn(&records) }
}

// Writes one record; returns where its TTL stands, and whether it is one of an address set that was
// asked for.
fn put(
    record: &Record,
    question: &Question,
    writer: &mut Writer<'_>,
    compressor: &mut Compressor,
) -> (usize, bool) {
    compressor.write(record.name.lowered().as_octets(), writer);
    writer.put_u16(record.kind.0);
    writer.put_u16(record.class.0);
    let ttl_at = writer.position();
    writer.put_u32(record.ttl);
    rdata::write(record.kind, &record.rdata, writer, compressor);
    (ttl_at, record.kind == question.kind && matches!(record.kind, Type::A | Type::AAAA))
}

// The address records that stand side by side and are equally long: all but the first name their owner
// with a pointer, so the first one may be longer and then nothing is rotated.
fn turn(records: &[(usize, usize)]) -> Option<Turn> {
    let &(start, end) = records.first()?;
    let stride = end - start;
    let even =
        records.iter().enumerate().all(|(n, record)| *record == (start + n * stride, end + n * stride));
    let turn = Turn { start: start as u16, stride: stride as u16, count: records.len() as u16 };
    (even && records.len() > 1 && start + records.len() * stride <= usize::from(u16::MAX)).then_some(turn)
}

/// Writes the answer that one client gets: `message`, `age` old, with its own question, flags and OPT
/// record. `octets_max` is what carrier and client take; `turn` says which address comes first.
pub fn write(
    message: &Message,
    (age, turn): (Duration, usize),
    wanted: &Wanted,
    extended_errors: &[(u16, String)],
    (octets_max, udp_octets_max): (usize, u16),
    reply: &mut Writer<'_>,
) {
    let mut options = wanted.options.clone();
    for (code, text) in extended_errors {
        add_extended_error(&mut options, *code, text);
    }
    let opt_octets = wanted.query.edns.map_or(0, |_| OPT_OCTETS + options.len());
    ready::copy(message, age, turn, &wanted.query, &wanted.head, octets_max - opt_octets, reply);
    if let Some(edns) = wanted.query.edns {
        put_opt(edns, Rcode::NOERROR, udp_octets_max, &options, reply);
    }
}

/// Adds the option of an extended error, if there is room for it.
pub(super) fn add_extended_error(options: &mut Vec<u8>, code: u16, text: &str) {
    let text = &text.as_bytes()[..text.floor_char_boundary(EXTENDED_ERRORS_OCTETS_MAX / 2)];
    if options.len() + 6 + text.len() <= EXTENDED_ERRORS_OCTETS_MAX {
        options.extend(EXTENDED_ERROR.to_be_bytes());
        options.extend((text.len() as u16 + 2).to_be_bytes());
        options.extend(code.to_be_bytes());
        options.extend_from_slice(text);
    }
}

/// The longest answer that a client takes over UDP, when we send at most `udp_octets_max`.
#[must_use]
pub fn octets_max(edns: Option<QueryEdns>, udp_octets_max: usize) -> usize {
    edns.map_or(PLAIN_UDP_OCTETS_MAX, |edns| {
        usize::from(edns.udp_octets_max).clamp(PLAIN_UDP_OCTETS_MAX, udp_octets_max)
    })
}

/// Writes the OPT record that answers `edns` behind a whole response, and counts it.
#[inline]
pub fn put_opt(edns: QueryEdns, rcode: Rcode, udp_octets_max: u16, options: &[u8], reply: &mut Writer<'_>) {
    let octets_max = udp_octets_max.to_be_bytes();
    let flags = (edns.flags & DO).to_be_bytes();
    let length = (options.len() as u16).to_be_bytes();
    let rcode_high = (rcode.0 >> 4) as u8;
    reply.put(&[
        0,
        0,
        41,
        octets_max[0],
        octets_max[1],
        rcode_high,
        0,
        flags[0],
        flags[1],
        length[0],
        length[1],
    ]);
    reply.put(options);
    if let Some([_, _, _, _, _, _, _, _, _, _, high, low]) = reply.written_mut().first_chunk_mut() {
        let count = u16::from_be_bytes([*high, *low]).wrapping_add(1);
        [*high, *low] = count.to_be_bytes();
    }
}
