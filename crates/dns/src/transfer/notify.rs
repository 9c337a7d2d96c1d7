//! NOTIFY: a primary tells its secondaries that a zone has changed. RFC 1996.
//!
//! Not here: who the secondaries are, sockets, and signatures.

use core::net::SocketAddr;
use std::time::Duration;

use doorway_base::{Instant, Malformed, Random};

use crate::wire::{Class, Flags, Message, Name, Opcode, Question, Record, Type};
use crate::zone::change;

/// How often one secondary is told at most: RFC 1996 §3.6.
pub const TRIES_MAX: u32 = 6;
/// The wait for the first answer; it doubles from try to try, to about a minute.
pub const WAIT: Duration = Duration::from_secs(2);
/// Secondaries of one zone that are told at most.
pub const TARGETS_MAX: usize = 64;

/// A NOTIFY that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The zone.
    pub apex: Name,
    /// The serial it has at the sender; a hint that may be absent.
    pub serial: Option<u32>,
}

impl Notice {
    /// Reads a NOTIFY; `None` for any other message, responses among them.
    ///
    /// # Errors
    /// A NOTIFY that is malformed or has no question for a SOA record; the answer is FORMERR.
    pub fn read(message: &Message) -> Result<Option<Self>, Malformed> {
        if message.flags.opcode() != Opcode::NOTIFY || message.flags.has(Flags::QR) {
            return Ok(None);
        }
        let [question] = message.questions.as_slice() else {
            return Err(Malformed::new("one question", 12));
        };
        if question.kind != Type::SOA || question.class != Class::IN {
            return Err(Malformed::new("a question for the SOA record of a zone", 12));
        }
        let soa = message.answers.iter().find(|record| record.kind == Type::SOA);
        let soa = soa.filter(|record| record.name == question.name);
        Ok(Some(Self { apex: question.name.clone(), serial: soa.map(change::serial) }))
    }
}

/// A NOTIFY to be sent.
#[must_use]
pub fn request(id: u16, soa: &Record) -> Vec<u8> {
    let question = Question { name: soa.name.clone(), kind: Type::SOA, class: Class::IN };
    let message = Message {
        id,
        flags: Flags(u16::from(Opcode::NOTIFY.0) << 11 | Flags::AA),
        questions: vec![question],
        answers: vec![soa.clone()],
        ..Message::default()
    };
    message.to_octets().unwrap_or_default()
}

/// One secondary that has not answered yet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    remote: SocketAddr,
    id: u16,
    tries: u32,
    next: Instant,
}

/// The secondaries of one zone that are being told of a change.
#[derive(Debug, Clone, Default)]
pub struct Telling {
    targets: Vec<Target>,
}

impl Telling {
    /// Begins to tell `remotes`; who is being told of an earlier change is told of this one instead.
    /// Those over [`TARGETS_MAX`] are left out.
    pub fn begin(&mut self, now: Instant, remotes: &[SocketAddr], random: &mut Random) {
        self.targets.clear();
        for &remote in remotes {
            if self.targets.len() < TARGETS_MAX && !self.targets.iter().any(|target| target.remote == remote)
            {
                let id = random.next_u64() as u16;
                self.targets.push(Target { remote, id, tries: 0, next: now });
            }
        }
    }

    /// Whom to send to now, and under which id. A secondary that was told [`TRIES_MAX`] times and is
    /// silent is given up: it will ask of itself.
    pub fn due(&mut self, now: Instant) -> Vec<(SocketAddr, u16)> {
        let mut due = Vec::new();
        self.targets.retain_mut(|target| {
            if now < target.next {
                return true;
            }
            if target.tries == TRIES_MAX {
                return false;
            }
            target.next = now + WAIT * 2_u32.pow(target.tries);
            target.tries += 1;
            due.push((target.remote, target.id));
            true
        });
        due
    }

    /// An answer came, whatever it says: telling again would change nothing. True when it was awaited.
    pub fn answered(&mut self, remote: SocketAddr, message: &Message) -> bool {
        let before = self.targets.len();
        let is_answer = message.flags.has(Flags::QR) && message.flags.opcode() == Opcode::NOTIFY;
        self.targets.retain(|target| {
            !(is_answer && target.remote == remote && target.id == message.id && target.tries > 0)
        });
        self.targets.len() < before
    }

    /// When [`due`](Self::due) has something to say; `None` when nobody is left to tell.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.targets.iter().map(|target| target.next).min()
    }
}
