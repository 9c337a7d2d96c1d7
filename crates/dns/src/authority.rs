//! The authoritative server as a pure engine: RFC 1034 §4.3.2, RFC 2308, RFC 4592, RFC 6891, RFC 8482,
//! RFC 9471.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`query`] | what a message asks: the fast way for usual ones, the whole way for all |
//! | [`compose`] | the answer: copied, moved into place, cut to size |
//! | `denial.rs` | the proofs of what does not exist |
//! | [`counters`] | what was asked and answered |
//!
//! Nothing here allocates while a usual query is answered. Not here: recursion (RA stays 0), zone
//! transfers, NOTIFY and UPDATE, signatures.

pub mod compose;
pub mod counters;
mod denial;
pub mod query;

use core::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use doorway_base::{Datagram, Instant, Responder, Verdict, Writer};

use crate::wire::edns::{DO, OPT_OCTETS};
use crate::wire::message::MESSAGE_OCTETS_MAX;
use crate::wire::options::code;
use crate::wire::{Class, Flags, HEADER_OCTETS, Header, Rcode, Type};
use crate::zone::{Key, Zone, Zones};
use compose::{Answer, Elsewhere, Rotation};
use counters::Counters;
use query::{Query, QueryEdns, Unanswerable};

/// Octets of a UDP response at most when the query has no OPT record: RFC 1035 §4.2.1.
pub const PLAIN_UDP_OCTETS_MAX: usize = 512;

/// Octets of the server's name for itself at most.
pub const IDENTIFIER_OCTETS_MAX: usize = 100;

// The option of an extended error of code 20, without text.
const NOT_AUTHORITATIVE: [u8; 6] = [0, 15, 0, 2, 0, 20];

/// The zones that all workers serve, and the place where new ones are published.
///
/// Clones are the same place. A worker sees new zones with its next batch of queries; no query is held
/// up or lost.
#[derive(Debug, Clone)]
pub struct Published(Arc<ArcSwap<Zones>>);

impl Published {
    /// Publishes the first zones.
    #[must_use]
    pub fn new(zones: Zones) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(zones)))
    }

    /// Puts `zones` in the place of those before.
    pub fn publish(&self, zones: Zones) {
        self.0.store(Arc::new(zones));
    }

    /// Puts `zone` in the place of the one of its name, or beside the others, whoever publishes meanwhile.
    /// One more than a server may have is left out.
    pub fn publish_zone(&self, zone: &Arc<Zone>) {
        self.0.rcu(|zones| match zones.with(Arc::clone(zone)) {
            Ok(zones) => Arc::new(zones),
            Err(_) => Arc::clone(zones),
        });
    }

    /// The zones served now.
    #[must_use]
    pub fn current(&self) -> Arc<Zones> {
        self.0.load_full()
    }
}

/// Datagrams of one batch that are looked up ahead.
const AHEAD_MAX: usize = 64;

/// What carries a query and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// A datagram: answers are cut to what the client takes.
    Datagram,
    /// A stream: answers have up to 65535 octets.
    Stream,
}

/// One worker's engine: shared zones, own scratch space.
#[derive(Debug)]
pub struct Authority {
    published: Published,
    zones: Arc<Zones>,
    counters: Arc<Counters>,
    key: Key,
    rotation: Rotation,
    udp_octets_max: usize,
    elsewhere: Elsewhere,
    identifier: Option<Box<[u8]>>,
    // The zone and the hash of each query of the batch at hand.
    ahead: [Option<(u32, u64)>; AHEAD_MAX],
    look_ahead: bool,
    option: Option<[u8; 28]>,
}

impl Authority {
    /// An engine over `published` whose UDP responses have at most `udp_octets_max` octets (never
    /// below 512).
    #[must_use]
    pub fn new(published: Published, counters: Arc<Counters>, udp_octets_max: u16) -> Self {
        Self {
            zones: published.current(),
            published,
            counters,
            key: Key::default(),
            rotation: Rotation::default(),
            udp_octets_max: usize::from(udp_octets_max).max(PLAIN_UDP_OCTETS_MAX),
            elsewhere: Elsewhere::No,
            identifier: None,
            ahead: [None; AHEAD_MAX],
            look_ahead: true,
            option: None,
        }
    }

    /// Takes up zones published since. For a worker, once a batch.
    pub fn take_up(&mut self) {
        let current = self.published.0.load();
        if !Arc::ptr_eq(&current, &self.zones) {
            self.zones = Arc::clone(&current);
        }
    }

    /// Where the memory lies that the answer to `query`, number `index` of a batch, will be read from: with
    /// `step` 0 in the table of names, with `step` 1 among the nodes.
    #[inline]
    pub fn ahead(&mut self, step: usize, index: usize, query: &[u8]) -> Option<*const u8> {
        let place = self.ahead.get_mut(index)?;
        if step > 0 {
            let (zone, hash) = place.take()?;
            return self.zones.list().get(zone as usize)?.node_near(hash);
        }
        *place = None;
        // Where the first query of a batch is none of ours, most of the others are not.
        if index > 0 && !self.look_ahead {
            return None;
        }
        self.key.set(self.zones.secret(), query.get(HEADER_OCTETS..)?)?;
        let zone = self.zones.place(&self.key);
        self.look_ahead = zone.is_some() || index > 0;
        let (zone, hash) = (zone?, self.key.hash(0));
        self.ahead[index] = Some((zone, hash));
        Some(self.zones.list().get(zone as usize)?.slot_of(hash))
    }

    /// Answers one message at the start of `reply`'s buffer.
    pub fn respond(&mut self, octets: &[u8], carrier: Carrier, reply: &mut Writer<'_>) -> Verdict {
        let query = self.read(octets);
        self.reply_to(query, octets, carrier, reply)
    }

    /// Reads what a message asks; [`key`](Self::key) then holds the name.
    ///
    /// # Errors
    /// What is sent instead of an answer.
    #[inline]
    pub fn read(&mut self, octets: &[u8]) -> Result<Query, Unanswerable> {
        let secret = self.zones.secret();
        match query::usual(octets, secret, &mut self.key) {
            Some(query) => Ok(query),
            None => query::any(octets, secret, &mut self.key),
        }
    }

    /// The name of the query read last. Answering it may change the key.
    #[must_use]
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// What this worker counts.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What the last answer was about, as a hash: its name, or with NXDOMAIN its zone, or its code when it
    /// was an error. For the count of equal answers.
    #[must_use]
    pub fn subject(&self, rcode: Rcode) -> u64 {
        match rcode {
            Rcode::NOERROR => self.key.hash(0),
            Rcode::NXDOMAIN => self
                .zones
                .find(&self.key, 0)
                .map_or(0, |zone| self.key.hash(self.key.labels().saturating_sub(zone.apex().label_count()))),
            other => u64::from(other.0),
        }
    }

    /// Whether the last answer ends where other servers go on.
    #[must_use]
    pub const fn elsewhere(&self) -> Elsewhere {
        self.elsewhere
    }

    /// The same as [`respond`](Self::respond) without the fast way of reading, for tests that compare.
    pub fn respond_in_full(&mut self, octets: &[u8], carrier: Carrier, reply: &mut Writer<'_>) -> Verdict {
        let query = query::any(octets, self.zones.secret(), &mut self.key);
        self.reply_to(query, octets, carrier, reply)
    }

    /// Answers what [`read`](Self::read) made of `octets`.
    pub fn reply_to(
        &mut self,
        query: Result<Query, Unanswerable>,
        octets: &[u8],
        carrier: Carrier,
        reply: &mut Writer<'_>,
    ) -> Verdict {
        self.elsewhere = Elsewhere::No;
        let query = match query {
            Ok(query) => query,
            Err(Unanswerable::Silence(why)) => {
                self.counters.dropped.add();
                return Verdict::Drop(why);
            }
            Err(Unanswerable::Header { id, flags, rcode, edns }) => {
                self.counters.answered(carrier, rcode);
                let counts = [0, 0, 0, u16::from(edns.is_some())];
                Header { id, flags: flags.response(rcode), counts }.write(reply);
                if let Some(edns) = edns {
                    // RFC 6891 §6.1.3: the version counts before everything else.
                    self.put_opt(edns, octets, rcode, reply);
                }
                return whole(reply);
            }
        };
        let octets_max = match (carrier, &query.edns) {
            (Carrier::Stream, _) => MESSAGE_OCTETS_MAX,
            (Carrier::Datagram, None) => PLAIN_UDP_OCTETS_MAX,
            (Carrier::Datagram, Some(edns)) => {
                usize::from(edns.udp_octets_max).clamp(PLAIN_UDP_OCTETS_MAX, self.udp_octets_max)
            }
        };
        let opt_octets = match &query.edns {
            Some(edns) => {
                OPT_OCTETS
                    + self.identifier(edns, octets).map_or(0, |identifier| 4 + identifier.len())
                    + self.option.map_or(0, |option| option.len())
            }
            None => 0,
        };
        let question_end = HEADER_OCTETS + query.question_octets;
        reply.put(&octets[..question_end]);
        let mut answer = Answer::new(reply, octets_max - opt_octets);
        let rcode = if query.edns.as_ref().is_some_and(|edns| edns.version != 0) {
            Rcode::BADVERS
        } else {
            answer.compose(&self.zones, &mut self.key, &mut self.rotation, &query, carrier)
        };
        let (mut flags, mut counts) = (query.flags.response(rcode), answer.counts());
        flags.0 |= answer.flags();
        self.elsewhere = answer.elsewhere();
        if let Some(edns) = query.edns {
            counts[2] += 1;
            self.put_opt(edns, octets, rcode, reply);
        }
        if let Some(head) = reply.written_mut().first_chunk_mut::<HEADER_OCTETS>() {
            head[2..4].copy_from_slice(&flags.0.to_be_bytes());
            for (place, count) in head[6..].chunks_exact_mut(2).zip(counts) {
                place.copy_from_slice(&count.to_be_bytes());
            }
        }
        self.counters.answered(carrier, rcode);
        if flags.has(Flags::TC) {
            self.counters.truncated.add();
        }
        whole(reply)
    }
}

impl Authority {
    /// The same engine with a name for itself, which it tells those who ask for it (NSID: RFC 5001); at
    /// most [`IDENTIFIER_OCTETS_MAX`] octets of it.
    #[must_use]
    pub fn with_identifier(mut self, identifier: &[u8]) -> Self {
        let octets = identifier.len().min(IDENTIFIER_OCTETS_MAX);
        self.identifier = Some(identifier[..octets].into()).filter(|_| octets > 0);
        self
    }

    /// An EDNS option, code and length before its value, for the answers from here on that carry OPT: a
    /// cookie.
    #[inline]
    pub fn set_option(&mut self, option: Option<[u8; 28]>) {
        self.option = option;
    }

    // The server's name for itself, when it has one and the query asks for it.
    fn identifier(&self, edns: &QueryEdns, message: &[u8]) -> Option<&[u8]> {
        let identifier = self.identifier.as_deref()?;
        edns.option(message, code::NSID).map(|_| identifier)
    }

    // The OPT record of an answer: version 0, of the flags only DO, and of the options those that are
    // due.
    fn put_opt(&self, edns: QueryEdns, message: &[u8], rcode: Rcode, reply: &mut Writer<'_>) {
        reply.put_u8(0);
        reply.put_u16(Type::OPT.0);
        reply.put_u16(self.udp_octets_max as u16);
        reply.put(&[(rcode.0 >> 4) as u8, 0]);
        reply.put_u16(edns.flags & DO);
        let length_at = reply.position();
        reply.put_u16(0);
        if edns.version == 0 {
            if let Some(identifier) = self.identifier(&edns, message) {
                reply.put_u16(code::NSID);
                reply.put_u16(identifier.len() as u16);
                reply.put(identifier);
            }
            if let Some(option) = &self.option {
                reply.put(option);
            }
            if self.elsewhere == Elsewhere::Refused {
                // RFC 8914 §4.21: not our name, which is no reason to ask again.
                reply.put(&NOT_AUTHORITATIVE);
            }
        }
        reply.patch_u16(length_at, (reply.position() - length_at - 2) as u16);
    }
}

// A buffer too small for the smallest answer is our own shell's mistake; the peer hears nothing.
fn whole(reply: &Writer<'_>) -> Verdict {
    if reply.overflowed() { Verdict::Drop("the buffer for the answer is too small") } else { Verdict::Reply }
}

impl Responder for Authority {
    const AHEAD_STEPS: usize = 2;

    fn ahead(&mut self, step: usize, index: usize, query: &[u8]) -> Option<*const u8> {
        Self::ahead(self, step, index, query)
    }

    fn answer(&mut self, _now: Instant, query: Datagram<'_>, reply: &mut Writer<'_>) -> Verdict {
        // Answers to these would go to many, or to nobody, or round in circles.
        if query.remote.port() == 0 || !is_one_host(query.remote.ip()) {
            self.counters.dropped.add();
            return Verdict::Drop("a source that cannot be answered");
        }
        self.respond(query.octets, Carrier::Datagram, reply)
    }

    fn refresh(&mut self, _now: Instant) {
        self.take_up();
    }
}

/// Whether an answer to `address` goes to one host.
pub(crate) fn is_one_host(address: IpAddr) -> bool {
    !address.is_multicast() && !address.is_unspecified() && address != IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// Whether QTYPE asks for something other than the records of a name; the answer is then this code.
const fn not_a_lookup(kind: Type, carrier: Carrier) -> Option<Rcode> {
    match (kind, carrier) {
        (Type::ANY, _) => None,
        // RFC 5936 §4.2: there is no transfer of a zone in one datagram.
        (Type::AXFR, Carrier::Datagram) => Some(Rcode::NOTIMP),
        // RFC 5936 §4: nobody is allowed to transfer a zone.
        (Type::AXFR | Type::IXFR, _) => Some(Rcode::REFUSED),
        (Type::MAILA | Type::MAILB, _) => Some(Rcode::NOTIMP),
        _ if kind.is_meta() => Some(Rcode::FORMERR),
        _ => None,
    }
}

/// Whether a question can be looked up at all, and if not, the code that says so.
const fn refusal(class: Class, kind: Type, carrier: Carrier) -> Option<Rcode> {
    match class {
        Class::IN => not_a_lookup(kind, carrier),
        _ => Some(Rcode::REFUSED),
    }
}

#[cfg(test)]
mod tests;
