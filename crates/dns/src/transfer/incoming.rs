//! A transfer received: messages in, a zone or changes out. RFC 5936 §2.2 and §3, RFC 1995 §4.
//!
//! Nothing of a transfer is used before its last record has come, and every record is held against the
//! zone: a transfer that breaks a rule anywhere changes nothing.

use std::fmt;

use doorway_base::Malformed;

use crate::wire::{Class, Flags, Message, Name, Opcode, Question, Rcode, Record, Type};
use crate::zone::change::{self, is_after, is_same, record_octets, serial};
use crate::zone::{Change, Draft, HashKey, Unfit, Zone};

use super::history;

/// Messages of one transfer at most.
pub const MESSAGES_MAX: u64 = 100_000_000;

/// What a transfer brought.
#[derive(Debug)]
pub enum Brought {
    /// We have the newest version already.
    Current,
    /// The whole zone.
    Zone(Box<Zone>),
    /// What changed, oldest first; never empty.
    Changes(Vec<Change>),
}

/// Why a transfer was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A message cannot be read.
    Malformed(Malformed),
    /// A message that is no part of the answer.
    Stray(&'static str),
    /// The primary refuses.
    Refused(Rcode),
    /// A record stands where it must not.
    Order(&'static str),
    /// A record that does not belong into the zone.
    Outside(Box<Record>),
    /// More changes than are taken in one piece.
    TooMuch,
    /// The zone that came cannot be served, or the changes do not fit ours.
    Unfit(Unfit),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::Stray(why) | Self::Order(why) => f.write_str(why),
            Self::Refused(rcode) => write!(f, "the primary answers {rcode}"),
            Self::Outside(record) => write!(f, "a record that does not belong into the zone: {record}"),
            Self::TooMuch => f.write_str("more than 64 MiB of changes; the whole zone is asked for instead"),
            Self::Unfit(unfit) => unfit.fmt(f),
        }
    }
}

impl std::error::Error for Fault {}

#[derive(Debug)]
enum State {
    // Nothing came yet.
    Opening,
    // The newest SOA record came; what follows shows whether this is a zone or changes.
    Opened { newest: Record },
    // Records of the whole zone, up to the second SOA record.
    Whole { newest: Record, draft: Box<Draft> },
    // Records of changes.
    Steps { newest: Record, changes: Vec<Change>, change: Box<Change>, adding: bool },
    // The last record came.
    Over(Brought),
    // Something was wrong; nothing more is read.
    Failed,
}

/// A transfer under way.
#[derive(Debug)]
pub struct Incoming {
    question: Question,
    id: u16,
    have: Option<Record>,
    secret: HashKey,
    state: State,
    octets: usize,
    messages: u64,
}

impl Incoming {
    /// A transfer of the zone `apex` in answer to [`query`](Self::query) `id`: IXFR when we have the
    /// version whose SOA record is `have`, else AXFR.
    #[must_use]
    pub fn new(apex: &Name, id: u16, have: Option<Record>, secret: HashKey) -> Self {
        let kind = if have.is_some() { Type::IXFR } else { Type::AXFR };
        let question = Question { name: apex.clone(), kind, class: Class::IN };
        Self { question, id, have, secret, state: State::Opening, octets: 0, messages: 0 }
    }

    /// The query to send.
    #[must_use]
    pub fn query(&self) -> Vec<u8> {
        super::outgoing::query(self.id, self.question.clone(), self.have.clone())
    }

    /// Takes the next message, its signature taken off; true when it was the last.
    ///
    /// # Errors
    /// [`Fault`]; the transfer is then over.
    pub fn message(&mut self, octets: &[u8]) -> Result<bool, Fault> {
        let outcome = self.read(octets);
        if outcome.is_err() {
            self.state = State::Failed;
        }
        outcome
    }

    /// What came, after the last message.
    #[must_use]
    pub fn brought(self) -> Option<Brought> {
        match self.state {
            State::Over(brought) => Some(brought),
            _ => None,
        }
    }

    fn read(&mut self, octets: &[u8]) -> Result<bool, Fault> {
        let message = Message::read(octets).map_err(Fault::Malformed)?;
        let flags = message.flags;
        if message.id != self.id || !flags.has(Flags::QR) || flags.opcode() != Opcode::QUERY {
            return Err(Fault::Stray("expected the answer to our query"));
        }
        if message.rcode() != Rcode::NOERROR {
            return Err(Fault::Refused(message.rcode()));
        }
        if flags.has(Flags::TC) {
            return Err(Fault::Stray("expected whole messages, not cut ones"));
        }
        self.messages += 1;
        // RFC 5936 §2.2.1: the first message repeats the question, others may.
        let first = self.messages == 1;
        let same = match message.questions.as_slice() {
            [] => !first,
            [question] => *question == self.question,
            _ => false,
        };
        if !same || self.messages > MESSAGES_MAX {
            return Err(Fault::Stray("expected our question in the answer"));
        }
        if message.answers.is_empty() {
            return Err(Fault::Stray("expected records in every message"));
        }
        for record in message.answers {
            if matches!(self.state, State::Over(_)) {
                return Err(Fault::Order("expected nothing behind the last SOA record"));
            }
            self.record(record)?;
        }
        Ok(matches!(self.state, State::Over(_)))
    }

    fn record(&mut self, record: Record) -> Result<(), Fault> {
        let is_soa = record.kind == Type::SOA;
        let apex = &self.question.name;
        let belongs = record.class == Class::IN && !record.kind.is_meta() && record.name.is_within(apex);
        if !belongs || (is_soa && record.name != *apex) {
            return Err(Fault::Outside(Box::new(record)));
        }
        self.state = match (std::mem::replace(&mut self.state, State::Failed), is_soa) {
            (State::Opening, true) => match &self.have {
                Some(have) if !is_after(serial(&record), serial(have)) => State::Over(Brought::Current),
                _ => State::Opened { newest: record },
            },
            (State::Opening, false) => {
                return Err(Fault::Order("expected the SOA record first"));
            }
            (State::Opened { newest }, true) => match &self.have {
                Some(have) if serial(&record) == serial(have) => {
                    let change = Change {
                        old_soa: record,
                        removed: Vec::new(),
                        new_soa: newest.clone(),
                        added: Vec::new(),
                    };
                    State::Steps { newest, changes: Vec::new(), change: Box::new(change), adding: false }
                }
                _ => return Err(Fault::Order("expected records between the SOA records")),
            },
            (State::Opened { newest }, false) => {
                let mut draft = Box::new(Draft::new(apex, self.secret));
                add(&mut draft, &newest)?;
                add(&mut draft, &record)?;
                State::Whole { newest, draft }
            }
            (State::Whole { newest, draft }, true) => {
                if !is_same(&newest, &record) {
                    return Err(Fault::Order("expected the SOA record at the end that stood at the start"));
                }
                let zone = Zone::of_draft(&draft).map_err(Fault::Unfit)?;
                State::Over(Brought::Zone(Box::new(zone)))
            }
            (State::Whole { newest, mut draft }, false) => {
                add(&mut draft, &record)?;
                State::Whole { newest, draft }
            }
            (State::Steps { newest, changes, change, adding }, is_soa) => {
                self.octets += record_octets(&record);
                if self.octets > history::OCTETS_MAX {
                    return Err(Fault::TooMuch);
                }
                step(newest, changes, change, adding, record, is_soa)?
            }
            (State::Over(_) | State::Failed, _) => return Err(Fault::Order("expected nothing more")),
        };
        Ok(())
    }
}

fn step(
    newest: Record,
    mut changes: Vec<Change>,
    mut change: Box<Change>,
    adding: bool,
    record: Record,
    is_soa: bool,
) -> Result<State, Fault> {
    match (adding, is_soa) {
        (false, false) => change.removed.push(record),
        (true, false) => change.added.push(record),
        (false, true) => {
            if !is_after(serial(&record), change.from()) {
                return Err(Fault::Order("expected serials that grow from change to change"));
            }
            change.new_soa = record;
            return Ok(State::Steps { newest, changes, change, adding: true });
        }
        (true, true) => {
            let reached = serial(&change.new_soa);
            if serial(&record) != reached {
                return Err(Fault::Order("expected each change to begin where the one before ends"));
            }
            changes.push(*change);
            if reached == serial(&newest) {
                return Ok(State::Over(Brought::Changes(changes)));
            }
            let new_soa = newest.clone();
            change = Box::new(Change { old_soa: record, removed: Vec::new(), new_soa, added: Vec::new() });
            return Ok(State::Steps { newest, changes, change, adding: false });
        }
    }
    Ok(State::Steps { newest, changes, change, adding })
}

fn add(draft: &mut Draft, record: &Record) -> Result<(), Fault> {
    let added = draft
        .node(&record.name)
        .is_some_and(|node| draft.add(node, record.kind, record.ttl, &record.rdata, 0));
    if added { Ok(()) } else { Err(Fault::Unfit(Unfit::Outside(Box::new(record.name.clone())))) }
}

/// The serial in an answer to a query for the SOA record of `apex`, which is how a secondary looks
/// whether there is anything new.
///
/// # Errors
/// [`Fault`].
pub fn soa_of_answer(octets: &[u8], id: u16, apex: &Name) -> Result<Record, Fault> {
    let message = Message::read(octets).map_err(Fault::Malformed)?;
    if message.id != id || !message.flags.has(Flags::QR) {
        return Err(Fault::Stray("expected the answer to our query"));
    }
    if message.rcode() != Rcode::NOERROR {
        return Err(Fault::Refused(message.rcode()));
    }
    let soa = message.answers.into_iter().find(|record| record.kind == Type::SOA && record.name == *apex);
    soa.filter(|soa| message.flags.has(Flags::AA) && change::numbers(soa).is_some())
        .ok_or(Fault::Stray("expected the SOA record of the zone, with authority"))
}
