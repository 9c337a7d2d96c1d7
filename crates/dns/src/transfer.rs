//! How zones move between servers: AXFR (RFC 5936), IXFR (RFC 1995), NOTIFY (RFC 1996), and when a
//! secondary asks (RFC 1034 §4.3.5). All of it pure.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`outgoing`] | a zone, or what changed in it, sent message by message |
//! | [`incoming`] | the same read, checked and made into a zone or changes |
//! | [`history`] | the changes that IXFR is answered from |
//! | [`schedule`] | refresh, retry and expire of a secondary |
//! | [`notify`] | telling secondaries, and being told |
//! | [`grant`] | who may ask for a transfer |
//!
//! Not here: connections and time-outs (`io/`), and signatures (`wire/tsig.rs`).

pub mod grant;
pub mod history;
pub mod incoming;
pub mod notify;
pub mod outgoing;
pub mod schedule;

use doorway_base::Reader;

use crate::wire::{Flags, HEADER_OCTETS, Opcode, Question, Type, tsig};

/// Whether a message is not a plain query but one for what moves and changes zones: NOTIFY, UPDATE, AXFR,
/// IXFR, or anything with a signature.
#[must_use]
pub fn takes(message: &[u8]) -> bool {
    let Some(head) = message.first_chunk::<HEADER_OCTETS>() else { return false };
    let flags = Flags(u16::from_be_bytes([head[2], head[3]]));
    if flags.has(Flags::QR) {
        return false;
    }
    if matches!(flags.opcode(), Opcode::NOTIFY | Opcode::UPDATE) {
        return true;
    }
    let question = Question::read(&mut Reader::at(message, HEADER_OCTETS));
    let one = head[4..6] == [0, 1];
    let kind = question.ok().filter(|_| one).map(|question| question.kind);
    matches!(kind, Some(Type::AXFR | Type::IXFR)) || is_signed(message)
}

/// Whether a message has a signature at its end, right or wrong.
#[must_use]
pub fn is_signed(message: &[u8]) -> bool {
    let additionals = message.get(10..12).is_some_and(|count| count != [0, 0]);
    additionals && matches!(tsig::find(message), Ok(Some(_)))
}

#[cfg(test)]
mod tests;
