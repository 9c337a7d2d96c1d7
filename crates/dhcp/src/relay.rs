//! The relay agent: takes what clients broadcast to servers on other links, and what servers answer back.
//! RFC 1542 §4.1, RFC 2131 §4.1, RFC 3046; with link selection (RFC 3527) and the server's part played towards
//! clients (RFC 5107) when that is wanted.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `mark` | option 82 as we add it: made, found again in an answer, taken out |
//!
//! It keeps nothing between two messages: an answer finds its way back by what the server echoes and by
//! `giaddr`. Not here: sockets, and which of them belong to a circuit ([`crate::io::RelayAgent`]).

mod mark;
#[cfg(test)]
mod tests;

use core::net::{Ipv4Addr, SocketAddrV4};

use doorway_base::Writer;

use crate::wire::message::{BOOTREPLY, BOOTREQUEST, OPTIONS_AT};
use crate::wire::{CLIENT_PORT, Message, code};
use mark::Mark;

/// Most relay agents that a message may come through: RFC 1542 §4.1.1 leaves it to us, up to 16.
pub const HOPS_MAX: u8 = 16;
/// Longest message that is passed on, in octets: what an Ethernet frame holds behind IP and UDP.
pub const RELAYED_OCTETS_MAX: usize = 1472;
/// Shortest message that is passed on, in octets: RFC 1542 §2.1.
const RELAYED_OCTETS_MIN: usize = 300;
/// Most octets of a circuit or remote identifier.
pub const IDENTIFIER_OCTETS_MAX: usize = 100;

/// `hops` and `giaddr` in a message, in octets from its start.
const HOPS_AT: usize = 3;
const GIADDR_AT: usize = 24;

/// What becomes of an option 82 that is there already: a switch between us and the client put it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// Ours goes behind it, in one option.
    #[default]
    Append,
    /// Ours takes its place.
    Replace,
    /// It stays, and ours is not added.
    Keep,
    /// The message is dropped.
    Drop,
}

/// How the agent works, the same on all circuits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// A message that has come through so many relay agents goes no further; at most [`HOPS_MAX`].
    pub hops_max: u8,
    /// Whether option 82 is added at all.
    pub mark: bool,
    /// What becomes of an option 82 that is there already.
    pub existing: Existing,
    /// The address that servers answer to, instead of the circuit's own. The circuit's network is then told
    /// by link selection (RFC 3527).
    pub giaddr: Option<Ipv4Addr>,
    /// Clients take us for the server and renew through us: RFC 5107.
    pub server_override: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { hops_max: 10, mark: true, existing: Existing::Append, giaddr: None, server_override: false }
    }
}

/// A link with clients on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circuit {
    /// Our address on it.
    pub address: Ipv4Addr,
    /// The length of its network's prefix, in bits.
    pub prefix: u8,
    /// Agent circuit ID (RFC 3046 §3.1): usually the name of the interface.
    pub circuit_id: Vec<u8>,
    /// Agent remote ID (RFC 3046 §3.2); none when it is empty.
    pub remote_id: Vec<u8>,
    /// Whether switches and other relay agents on it may speak for clients. Else their messages are dropped.
    pub trusted: bool,
}

impl Circuit {
    fn holds(&self, address: Ipv4Addr) -> bool {
        let bits = u32::from(self.prefix.min(32));
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        (u32::from(self.address) ^ u32::from(address)) & mask == 0
    }
}

/// Where a message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was broadcast on the circuit of this number.
    Circuit(usize),
    /// It was sent to one of our addresses.
    Unicast {
        /// Who sent it.
        source: Ipv4Addr,
        /// Which address of ours it was sent to.
        local: Ipv4Addr,
    },
}

/// What to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// What was written goes to every server.
    Servers,
    /// What was written goes to all hosts of a circuit.
    Broadcast {
        /// The number of the circuit.
        circuit: usize,
    },
    /// What was written goes to one host of a circuit, which may not answer ARP yet.
    Host {
        /// The number of the circuit.
        circuit: usize,
        /// Address and port.
        to: SocketAddrV4,
        /// Its hardware address.
        hardware: [u8; 6],
    },
    /// Nothing leaves.
    Drop(DropReason),
}

/// Why a message goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// It is none.
    Malformed,
    /// It has come through too many relay agents.
    Hops,
    /// Its `giaddr` is ours, though we never sent it: it goes round, or somebody pretends to be us.
    Loop,
    /// It came with option 82 from where nobody may add one (RFC 3046 §2.1).
    Untrusted,
    /// It came from another relay agent on a circuit where there should be none.
    UntrustedRelay,
    /// It has an option 82, and the rules say that none may.
    Marked,
    /// An answer on the way to another relay agent.
    NotOurs,
    /// No circuit is known that it came from or goes to.
    NoCircuit,
    /// A message of a server where clients are, or of a client where servers are.
    WrongWay,
}

impl DropReason {
    /// Every reason, in the order of [`Counts::dropped`].
    pub const ALL: [Self; 9] = [
        Self::Malformed,
        Self::Hops,
        Self::Loop,
        Self::Untrusted,
        Self::UntrustedRelay,
        Self::Marked,
        Self::NotOurs,
        Self::NoCircuit,
        Self::WrongWay,
    ];

    /// A stable word, for counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Hops => "hops",
            Self::Loop => "loop",
            Self::Untrusted => "untrusted",
            Self::UntrustedRelay => "untrusted-relay",
            Self::Marked => "marked",
            Self::NotOurs => "not-ours",
            Self::NoCircuit => "no-circuit",
            Self::WrongWay => "wrong-way",
        }
    }
}

/// What the agent has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Messages of clients that went to servers.
    pub requests: u64,
    /// Messages of servers that went to clients.
    pub replies: u64,
    /// Messages of clients that went on without our option 82, because it would have made them too long.
    pub unmarked: u64,
    /// Messages that went no further, by reason, in the order of [`DropReason::ALL`].
    pub dropped: [u64; DropReason::ALL.len()],
}

/// The agent.
#[derive(Debug)]
pub struct Relay {
    rules: Rules,
    circuits: Vec<Circuit>,
    marks: Vec<Mark>,
    counts: Counts,
}

impl Relay {
    /// An agent for these circuits, which are known by their number from here on.
    #[must_use]
    pub fn new(rules: Rules, circuits: Vec<Circuit>) -> Self {
        let marks = circuits.iter().map(|circuit| Mark::new(&rules, circuit)).collect();
        Self { rules, circuits, marks, counts: Counts::default() }
    }

    /// What it has done so far.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Decides about a message and writes what goes on into `out`.
    pub fn handle(&mut self, origin: Origin, octets: &[u8], out: &mut Writer<'_>) -> Verdict {
        let verdict = self.decide(origin, octets, out);
        match verdict {
            Verdict::Servers => self.counts.requests += 1,
            Verdict::Broadcast { .. } | Verdict::Host { .. } => self.counts.replies += 1,
            Verdict::Drop(reason) => {
                self.counts.dropped[reason as usize] += 1;
                out.rewind(0);
            }
        }
        verdict
    }

    fn decide(&mut self, origin: Origin, octets: &[u8], out: &mut Writer<'_>) -> Verdict {
        if octets.len() > RELAYED_OCTETS_MAX {
            return Verdict::Drop(DropReason::Malformed);
        }
        let Ok(message) = Message::parse(octets) else { return Verdict::Drop(DropReason::Malformed) };
        let verdict = match (message.op(), origin) {
            (BOOTREPLY, Origin::Unicast { .. }) => self.reply(&message, out),
            (BOOTREQUEST, _) => self.request(origin, &message, out),
            _ => Err(DropReason::WrongWay),
        };
        match verdict {
            Ok(_) if out.overflowed() => Verdict::Drop(DropReason::Malformed),
            Ok(verdict) => verdict,
            Err(reason) => Verdict::Drop(reason),
        }
    }

    fn request(
        &mut self,
        origin: Origin,
        message: &Message<'_>,
        out: &mut Writer<'_>,
    ) -> Result<Verdict, DropReason> {
        let circuit = self.origin(origin).ok_or(DropReason::NoCircuit)?;
        let trusted = self.circuits[circuit].trusted;
        let giaddr = message.giaddr();
        if self.is_ours(giaddr) {
            return Err(DropReason::Loop);
        }
        if message.hops() >= self.rules.hops_max {
            return Err(DropReason::Hops);
        }
        let mark = if giaddr.is_unspecified() {
            let marked = message.has(code::AGENT);
            if marked && !trusted {
                return Err(DropReason::Untrusted);
            }
            self.mark_for(circuit, message, marked)?
        } else if trusted {
            // RFC 3046 §2.1.1: what another agent has passed on is passed on as it is.
            None
        } else {
            return Err(DropReason::UntrustedRelay);
        };
        out.put(&message.octets()[..OPTIONS_AT]);
        let head = out.written_mut();
        if let Some(hops) = head.get_mut(HOPS_AT) {
            *hops += 1;
        }
        if let (true, Some(field)) = (giaddr.is_unspecified(), head.get_mut(GIADDR_AT..GIADDR_AT + 4)) {
            let own = self.rules.giaddr.unwrap_or(self.circuits[circuit].address);
            field.copy_from_slice(&own.octets());
        }
        match &mark {
            Some(value) => {
                mark::copy_options(message, out, |number| number != code::AGENT);
                mark::put(out, value);
                // RFC 3046 §2.1: too long with it, it goes as it came.
                if out.position() >= RELAYED_OCTETS_MAX || out.overflowed() {
                    out.rewind(OPTIONS_AT);
                    mark::copy_options(message, out, |_| true);
                    self.counts.unmarked += 1;
                }
            }
            None => mark::copy_options(message, out, |_| true),
        }
        finish(out);
        Ok(Verdict::Servers)
    }

    /// The value of option 82 that a message of this circuit leaves with; `None` when it leaves with what it has.
    fn mark_for(
        &self,
        circuit: usize,
        message: &Message<'_>,
        marked: bool,
    ) -> Result<Option<Vec<u8>>, DropReason> {
        let own = self.marks[circuit].octets();
        match (marked, self.rules.existing) {
            _ if !self.rules.mark || message.is_bootp() => Ok(None),
            (false, _) | (true, Existing::Replace) => Ok(Some(own.to_vec())),
            (true, Existing::Keep) => Ok(None),
            (true, Existing::Drop) => Err(DropReason::Marked),
            (true, Existing::Append) => {
                let mut value = message.option(code::AGENT).unwrap_or_default().into_owned();
                value.extend(own);
                Ok(Some(value))
            }
        }
    }

    fn reply(&self, message: &Message<'_>, out: &mut Writer<'_>) -> Result<Verdict, DropReason> {
        if !self.is_ours(message.giaddr()) {
            return Err(DropReason::NotOurs);
        }
        let echoed = message.option(code::AGENT);
        let found = echoed.as_deref().and_then(|echoed| mark::find(&self.marks, echoed));
        let circuit = match found {
            Some((circuit, _)) => circuit,
            // A server that does not know option 82, or an option that is not ours: the address decides.
            None => self.only_circuit(message.giaddr()).ok_or(DropReason::NoCircuit)?,
        };
        out.put(&message.octets()[..OPTIONS_AT]);
        match (found, &echoed) {
            (Some((_, rest)), Some(echoed)) => {
                mark::copy_options(message, out, |number| number != code::AGENT);
                if rest > 0 {
                    mark::put(out, &echoed[..rest]);
                }
            }
            _ => mark::copy_options(message, out, |_| true),
        }
        finish(out);
        let address = match (message.yiaddr(), message.ciaddr()) {
            (yiaddr, _) if !yiaddr.is_unspecified() => Some(yiaddr),
            (_, ciaddr) if !ciaddr.is_unspecified() => Some(ciaddr),
            _ => None,
        };
        Ok(match (address, message.hardware().mac()) {
            (Some(address), Some(hardware)) if !message.broadcast() => {
                Verdict::Host { circuit, to: SocketAddrV4::new(address, CLIENT_PORT), hardware }
            }
            _ => Verdict::Broadcast { circuit },
        })
    }

    /// The circuit that a message came from.
    fn origin(&self, origin: Origin) -> Option<usize> {
        match origin {
            Origin::Circuit(circuit) => (circuit < self.circuits.len()).then_some(circuit),
            Origin::Unicast { source, local } => self
                .only_circuit(local)
                .or_else(|| self.circuits.iter().position(|circuit| circuit.holds(source))),
        }
    }

    fn is_ours(&self, address: Ipv4Addr) -> bool {
        !address.is_unspecified()
            && (self.rules.giaddr == Some(address)
                || self.circuits.iter().any(|circuit| circuit.address == address))
    }

    /// The circuit that has this address, if it is one alone.
    fn only_circuit(&self, address: Ipv4Addr) -> Option<usize> {
        let mut having = (0..self.circuits.len()).filter(|&index| self.circuits[index].address == address);
        match (having.next(), having.next()) {
            (Some(circuit), None) => Some(circuit),
            (None, _) if self.circuits.len() == 1 && self.is_ours(address) => Some(0),
            _ => None,
        }
    }
}

/// Ends the options and fills up to the length that the eldest of relay agents and clients want.
fn finish(out: &mut Writer<'_>) {
    out.put_u8(code::END);
    while out.position() < RELAYED_OCTETS_MIN && !out.overflowed() {
        out.put_u8(code::PAD);
    }
}
