//! What stands at the door: every query is decided here, on the thread that read it.
//!
//! A name in one of our zones is answered by the [`Authority`]; any other, for a client who may have
//! recursion, from the [ready-made answers](ready); and only what neither of them knows is handed to a
//! resolver. Nothing here waits, and a usual query allocates nothing.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`access`] | for whom there is recursion |
//! | [`ready`] | whole responses, ready to be copied |
//! | [`late`] | what the resolver found, made into a response |
//! | [`rate`] | response rate limiting |
//! | [`cookie`] | server cookies: RFC 7873, RFC 9018 |
//!
//! Not here: sockets and the resolver itself.

pub mod access;
pub mod cookie;
pub mod late;
pub mod rate;
pub mod ready;
#[cfg(test)]
mod tests;

use core::net::IpAddr;
use std::sync::Arc;

use doorway_base::{Instant, Reader, UnixTime, Verdict, Writer};

use crate::authority::compose::Elsewhere;
use crate::authority::query::{Query, Unanswerable};
use crate::authority::{Authority, Carrier};
use crate::cache::Cache;
use crate::resolver::flooded::{self, Flooded};
use crate::transfer::is_signed;
use crate::wire::message::MESSAGE_OCTETS_MAX;
use crate::wire::{Class, Flags, HEADER_OCTETS, Opcode, Question, Rcode, Type};
use access::Access;
use cookie::{Baker, Cookie};
use late::Wanted;
use rate::{Accounts, Allowed, Rate};
use ready::{Hit, Ready};

/// The EDNS option of a cookie: RFC 7873 §4.
const COOKIE: u16 = 10;

/// What all fronts of a server share.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who may have recursion; nobody while there is no resolver.
    pub recursion: Option<Access>,
    /// Ready-made answers of the resolver.
    pub ready: Arc<Ready>,
    /// Records of the resolver: what is known is answered even while its zone is left alone.
    pub cache: Option<Arc<Cache>>,
    /// Zones that the resolver leaves alone for a moment.
    pub flooded: Arc<Flooded>,
    /// Whether they are looked up again before their time is over.
    pub prefetch: bool,
    /// Response rate limiting over UDP.
    pub rate: Rate,
    /// Who is not limited.
    pub rate_exempt: Access,
    /// The secret of server cookies; without it cookies are not answered.
    pub cookies: Option<Baker>,
    /// Octets of a UDP response at most.
    pub udp_octets_max: u16,
}

/// One worker's front.
#[derive(Debug)]
pub struct Front {
    authority: Authority,
    settings: Arc<Settings>,
    accounts: Accounts,
    refresh: Option<Box<Wanted>>,
    from_cache: bool,
    // The cookie that the query at hand is answered with.
    cookie: Option<CookieOption>,
}

/// A COOKIE option: its code, its length, the client's part and the server's.
type CookieOption = [u8; 4 + cookie::CLIENT_OCTETS + cookie::SERVER_OCTETS];

/// What is done with a query.
#[derive(Debug)]
pub enum Decision {
    /// The reply was written.
    Reply,
    /// Nothing is sent; the word says why.
    Drop(&'static str),
    /// The resolver answers later.
    Resolve(Box<Wanted>),
    /// The parts that keep zones up to date answer later: NOTIFY, UPDATE, and transfers.
    Upkeep,
}

/// Who asks, and by which way.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// The client's address.
    pub address: IpAddr,
    /// What carries the query.
    pub carrier: Carrier,
    /// Wall-clock time, for cookies.
    pub wall: UnixTime,
}

impl Front {
    /// A front before `authority`; `secret` is random.
    #[must_use]
    pub fn new(authority: Authority, settings: Arc<Settings>, secret: u64) -> Self {
        let accounts = Accounts::new(settings.rate, secret);
        Self { authority, settings, accounts, refresh: None, from_cache: false, cookie: None }
    }

    /// Takes up what was published since. For a worker, once a batch.
    pub fn take_up(&mut self) {
        self.authority.take_up();
    }

    /// Where the memory lies that the answer to a query of a batch will be read from.
    #[inline]
    pub fn ahead(&mut self, step: usize, index: usize, query: &[u8]) -> Option<*const u8> {
        self.authority.ahead(step, index, query)
    }

    /// Whether the last reply was a ready-made one.
    #[must_use]
    pub const fn was_cached(&self) -> bool {
        self.from_cache
    }

    /// The question of the last answer, when it should be looked up anew before its time is over.
    pub fn take_refresh(&mut self) -> Option<Box<Wanted>> {
        self.refresh.take()
    }

    /// Decides about one message; a reply is written at the start of `reply`'s buffer.
    #[inline]
    pub fn decide(
        &mut self,
        now: Instant,
        client: Client,
        octets: &[u8],
        reply: &mut Writer<'_>,
    ) -> Decision {
        self.from_cache = false;
        self.cookie = None;
        let query = self.authority.read(octets);
        let mut proven = false;
        if let Ok(query @ Query { edns: Some(edns), .. }) = query
            && let Some(baker) = &self.settings.cookies
            && let Some(option) = edns.option(octets, COOKIE)
        {
            let looked = baker.look(client.wall, client.address, option);
            proven = matches!(looked, Cookie::Good(_));
            match looked {
                Cookie::Malformed => {
                    let decision = self.refuse(octets, query, Rcode::FORMERR, reply);
                    if self.may_recurse(client, &query) {
                        allow_recursion(reply);
                    }
                    return self.limited(decision, Some(now), client, reply);
                }
                Cookie::Fresh(cookie) | Cookie::Good(cookie) => {
                    let mut option = [0; 28];
                    option[1] = COOKIE as u8;
                    option[3] = cookie.len() as u8;
                    option[4..].copy_from_slice(&cookie);
                    self.cookie = Some(option);
                }
            }
        }
        self.authority.set_option(self.cookie);
        // Who has shown where it is cannot have forged its address.
        let rate = if proven { None } else { Some(now) };
        let read = match query {
            Ok(query) if query.class == Class::IN => query,
            Err(Unanswerable::Header { flags, .. })
                if matches!(flags.opcode(), Opcode::NOTIFY | Opcode::UPDATE) =>
            {
                return Decision::Upkeep;
            }
            other => return self.authoritative(rate, client, other, octets, reply),
        };
        // More than an OPT record behind the question may be a signature.
        let additionals = octets.get(10..12).map_or(0, |two| u16::from_be_bytes([two[0], two[1]]));
        let more = additionals > u16::from(read.edns.is_some());
        if matches!(read.kind, Type::AXFR | Type::IXFR) || (more && is_signed(octets)) {
            return Decision::Upkeep;
        }
        if !self.may_recurse(client, &read) {
            return self.authoritative(rate, client, query, octets, reply);
        }
        // Answers of our own come first: what is served here is never looked up elsewhere.
        match self.authority.reply_to(query, octets, client.carrier, reply) {
            Verdict::Reply => {}
            Verdict::Drop(why) => return Decision::Drop(why),
            Verdict::Later => return Decision::Upkeep,
        }
        if self.authority.elsewhere() == Elsewhere::No || read.edns.is_some_and(|edns| edns.version != 0) {
            allow_recursion(reply);
            return self.limited(Decision::Reply, rate, client, reply);
        }
        self.authority.counters().withdrawn(client.carrier, rcode(reply));
        reply.rewind(0);
        let decision = self.recurse(now, client, read, octets, reply);
        self.limited(decision, rate, client, reply)
    }

    fn may_recurse(&self, client: Client, query: &Query) -> bool {
        query.flags.has(Flags::RD)
            && self.settings.recursion.as_ref().is_some_and(|access| access.allows(client.address))
    }

    // A query that gets what the zones have and nothing else.
    fn authoritative(
        &mut self,
        rate: Option<Instant>,
        client: Client,
        query: Result<Query, Unanswerable>,
        octets: &[u8],
        reply: &mut Writer<'_>,
    ) -> Decision {
        match self.authority.reply_to(query, octets, client.carrier, reply) {
            Verdict::Reply => self.limited(Decision::Reply, rate, client, reply),
            Verdict::Drop(why) => Decision::Drop(why),
            Verdict::Later => Decision::Upkeep,
        }
    }

    // RRL: what may go out of the answer that was written; `rate` is the time, unless the client has shown
    // where it is.
    #[inline]
    fn limited(
        &mut self,
        decision: Decision,
        rate: Option<Instant>,
        client: Client,
        reply: &mut Writer<'_>,
    ) -> Decision {
        let settings = &self.settings;
        let (Decision::Reply, Some(now)) = (&decision, rate) else { return decision };
        if settings.rate.per_second == 0
            || client.carrier == Carrier::Stream
            || settings.rate_exempt.allows(client.address)
        {
            return decision;
        }
        let subject = self.authority.subject(rcode(reply));
        match self.accounts.count(now, client.address, subject) {
            Allowed::Whole => decision,
            Allowed::Nothing => {
                self.authority.counters().limited.add();
                Decision::Drop("over the rate for equal answers")
            }
            Allowed::Cut => {
                self.authority.counters().limited.add();
                cut(reply);
                Decision::Reply
            }
        }
    }

    fn recurse(
        &mut self,
        now: Instant,
        client: Client,
        query: Query,
        octets: &[u8],
        reply: &mut Writer<'_>,
    ) -> Decision {
        let options = self.cookie;
        let options = options.as_ref().map_or(&[][..], |option| &option[..]);
        if query.kind.is_meta() && query.kind != Type::ANY {
            let decision = self.refuse(octets, query, Rcode::NOTIMP, reply);
            allow_recursion(reply);
            return decision;
        }
        let udp_octets_max = self.settings.udp_octets_max;
        let octets_max = match client.carrier {
            Carrier::Stream => MESSAGE_OCTETS_MAX,
            Carrier::Datagram => late::octets_max(query.edns, usize::from(udp_octets_max)),
        };
        let opt_octets = query.edns.map_or(0, |_| crate::wire::edns::OPT_OCTETS + options.len());
        if self.authority.elsewhere() == Elsewhere::Alias {
            // Following it has changed the key.
            let _ = self.authority.read(octets);
        }
        let key = self.authority.key();
        match self.settings.ready.write(now, key, &query, octets, octets_max - opt_octets, reply) {
            Hit::Written { refresh } => {
                self.from_cache = true;
                let counters = self.authority.counters();
                counters.cached.add();
                counters.answered(client.carrier, rcode(reply));
                if let Some(edns) = query.edns {
                    late::put_opt(edns, Rcode::NOERROR, udp_octets_max, options, reply);
                }
                if refresh && self.settings.prefetch {
                    self.refresh = Wanted::new(octets, query, Vec::new()).ok().map(Box::new);
                }
                Decision::Reply
            }
            Hit::None => match Wanted::new(octets, query, options.to_vec()) {
                Ok(wanted) if self.is_flooded(now, &wanted.question) => self.leave_alone(wanted, reply),
                Ok(wanted) => Decision::Resolve(Box::new(wanted)),
                Err(_) => Decision::Drop("a question that cannot be read again"),
            },
        }
    }

    // Whether the resolver would refuse it, because somebody asks for random names below its zone.
    fn is_flooded(&self, now: Instant, question: &Question) -> bool {
        let Settings { flooded, cache: Some(cache), .. } = &*self.settings else { return false };
        let known = || [question.kind, Type::CNAME].map(|kind| cache.find(now, &question.name, kind));
        flooded.covers(now, self.authority.key()) && known().iter().all(Option::is_none)
    }

    fn leave_alone(&self, mut wanted: Wanted, reply: &mut Writer<'_>) -> Decision {
        let (code, why) = flooded::EXTENDED_ERROR;
        late::add_extended_error(&mut wanted.options, code, why);
        self.authority.counters().flooded.add();
        self.fail(&wanted, Rcode::SERVFAIL, reply);
        Decision::Reply
    }

    /// Writes what the zones alone have to say to a message, for those that nobody here answers later.
    pub fn decline(&mut self, octets: &[u8], carrier: Carrier, reply: &mut Writer<'_>) {
        reply.rewind(0);
        let _ = self.authority.respond(octets, carrier, reply);
    }

    // An answer of a code alone.
    fn refuse(&self, octets: &[u8], query: Query, rcode: Rcode, reply: &mut Writer<'_>) -> Decision {
        let Ok(wanted) = Wanted::new(octets, query, Vec::new()) else {
            return Decision::Drop("a question that cannot be read again");
        };
        self.put_code(&wanted, rcode, reply);
        Decision::Reply
    }

    /// Writes an answer of a code alone, such as SERVFAIL when the resolver has too much to do.
    pub fn fail(&self, wanted: &Wanted, rcode: Rcode, reply: &mut Writer<'_>) {
        self.put_code(wanted, rcode, reply);
        allow_recursion(reply);
    }

    fn put_code(&self, wanted: &Wanted, rcode: Rcode, reply: &mut Writer<'_>) {
        reply.rewind(0);
        reply.put(&wanted.head);
        if let Some(head) = reply.written_mut().first_chunk_mut::<HEADER_OCTETS>() {
            let flags = wanted.query.flags.response(rcode).0;
            head[2..4].copy_from_slice(&flags.to_be_bytes());
            head[4..].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
        }
        if let Some(edns) = wanted.query.edns {
            late::put_opt(edns, rcode, self.settings.udp_octets_max, &wanted.options, reply);
        }
    }
}

fn rcode(reply: &Writer<'_>) -> Rcode {
    Flags(reply.written().get(2..4).map_or(0, |two| u16::from_be_bytes([two[0], two[1]]))).rcode()
}

// The client may have recursion, though this answer needed none.
fn allow_recursion(reply: &mut Writer<'_>) {
    if let Some(octet) = reply.written_mut().get_mut(3) {
        *octet |= Flags::RA as u8;
    }
}

// Cuts an answer to its question, with TC. One without a question is sent as it is.
fn cut(reply: &mut Writer<'_>) {
    let written = reply.written();
    let Ok(question) = Question::read(&mut Reader::at(written, HEADER_OCTETS)) else { return };
    reply.rewind(HEADER_OCTETS + question.name.as_octets().len() + 4);
    if let Some(head) = reply.written_mut().first_chunk_mut::<HEADER_OCTETS>() {
        head[2] |= (Flags::TC >> 8) as u8;
        head[6..].fill(0);
    }
}
