//! From the root down, server by server, as `+trace` shows it: RFC 1034 §5.3.3 without a cache.
//!
//! It keeps whom to ask next and sees to it that each step goes down. Not here: messages and sockets.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::wire::{Message, Name, Rcode, Record, Type};

/// Zones on the way at most.
pub const STEPS_MAX: usize = 128;

/// A server that may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name.
    pub name: Name,
    /// The addresses that came with the delegation, or none.
    pub addresses: Vec<IpAddr>,
}

/// What an answer means for the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The zone below, now [`Delegations::zone`], is served by these, in the order of the answer.
    Down(Vec<Server>),
    /// This is the answer, whatever it says.
    Answer,
    /// The server knows no more than where we are already; another may.
    Lame,
}

/// The way down to one name.
#[derive(Debug, Clone)]
pub struct Delegations {
    name: Name,
    zone: Name,
    steps: usize,
}

impl Delegations {
    /// A way from the root to `name`.
    #[must_use]
    pub const fn new(name: Name) -> Self {
        Self { name, zone: Name::root(), steps: 0 }
    }

    /// The zone reached so far.
    #[must_use]
    pub const fn zone(&self) -> &Name {
        &self.zone
    }

    /// The servers of the root in an answer to `. NS`.
    #[must_use]
    pub fn roots(message: &Message) -> Vec<Server> {
        servers(message, &message.answers, &Name::root())
    }

    /// Reads the answer of a server of the zone reached so far.
    #[must_use]
    pub fn step(&mut self, message: &Message) -> Step {
        let deeper = |record: &&Record| {
            record.kind == Type::NS
                && self.name.is_within(&record.name)
                && record.name.label_count() > self.zone.label_count()
                && record.name.is_within(&self.zone)
        };
        let referral = message.rcode() == Rcode::NOERROR && message.answers.is_empty();
        let Some(cut) = message.authorities.iter().find(deeper).filter(|_| referral) else {
            let upward = message.authorities.iter().any(|record| record.kind == Type::NS);
            let lame = matches!(message.rcode(), Rcode::SERVFAIL | Rcode::REFUSED) || (referral && upward);
            return if lame { Step::Lame } else { Step::Answer };
        };
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Step::Answer;
        }
        self.zone = cut.name.clone();
        Step::Down(servers(message, &message.authorities, &cut.name))
    }
}

fn servers(message: &Message, among: &[Record], zone: &Name) -> Vec<Server> {
    let named = among.iter().filter(|record| record.kind == Type::NS && record.name == *zone);
    let server = |record: &Record| {
        let name = Name::from_wire(&record.rdata).ok()?;
        let glue = message.additionals.iter().filter(|glue| glue.name == name).filter_map(address);
        let addresses = glue.collect();
        Some(Server { name, addresses })
    };
    named.filter_map(server).collect()
}

/// The address in an A or AAAA record.
#[must_use]
pub fn address(record: &Record) -> Option<IpAddr> {
    match record.kind {
        Type::A => <[u8; 4]>::try_from(record.rdata.as_slice()).ok().map(|four| Ipv4Addr::from(four).into()),
        Type::AAAA => {
            <[u8; 16]>::try_from(record.rdata.as_slice()).ok().map(|six| Ipv6Addr::from(six).into())
        }
        _ => None,
    }
}
