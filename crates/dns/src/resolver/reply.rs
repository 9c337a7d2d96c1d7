//! What a client is told, put together from sets: RFC 1034 §4.3.2, RFC 2308, RFC 8767, RFC 8914.

use std::time::Duration;

use doorway_base::Instant;

use super::Resolver;
use super::event::{Answer, Output, Step};
use super::job::Waiter;
use super::judge::{Link, substituted};
use crate::cache::{Hit, Trust, Value};
use crate::wire::{Name, Rcode, Record, Type};

/// INFO-CODEs of RFC 8914 that a resolver without validation gives.
pub(super) mod extended_error {
    /// Stale Answer.
    pub(in super::super) const STALE: u16 = 3;
    /// Cached Error.
    pub(in super::super) const CACHED_ERROR: u16 = 13;
    /// Blocked.
    pub(in super::super) const BLOCKED: u16 = 15;
    /// Stale NXDOMAIN Answer.
    pub(in super::super) const STALE_NXDOMAIN: u16 = 19;
    /// Not Authoritative.
    pub(in super::super) const NOT_AUTHORITATIVE: u16 = 20;
    /// No Reachable Authority.
    pub(in super::super) const NO_REACHABLE_AUTHORITY: u16 = 22;
    /// Network Error.
    pub(in super::super) const NETWORK_ERROR: u16 = 23;
}

/// An answer before it is cut to what one client wants.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) rcode: Option<Rcode>,
    pub(super) answer: Vec<Link>,
    pub(super) authority: Vec<Link>,
    pub(super) additional: Vec<Link>,
    pub(super) extended_error: Vec<(u16, String)>,
    pub(super) stale: bool,
    pub(super) authoritative: bool,
    /// It says whom else to ask.
    pub(super) referral: bool,
    /// Something in it is about to end, or has ended.
    pub(super) ageing: bool,
}

impl Reply {
    pub(super) fn failure(why: Option<(u16, String)>) -> Self {
        Self { rcode: Some(Rcode::SERVFAIL), extended_error: why.into_iter().collect(), ..Self::default() }
    }
}

/// How far the cache could answer.
#[derive(Debug)]
pub(super) enum Known {
    /// To the end.
    Whole(Reply),
    /// The aliases, and the name they lead to.
    Part(Vec<Link>, Name),
}

impl Resolver {
    /// Follows aliases through the cache. With `stale`, entries past their end count too.
    pub(super) fn known(&self, now: Instant, name: &Name, kind: Type, stale: bool) -> Known {
        let mut reply = Reply::default();
        let mut current = name.clone();
        let find = |name: &Name, kind: Type| {
            if stale { self.cache.find_stale(now, name, kind) } else { self.cache.find(now, name, kind) }
        };
        for _ in 0..=self.config.aliases_max {
            // RFC 8482: what is there of "any" type cannot be known from sets.
            let hit = if kind == Type::ANY { None } else { find(&current, kind) };
            match hit {
                Some(hit) if matches!(hit.value, Value::Denial(_)) || hit.trust >= Trust::Answer => {
                    self.end_with(now, &hit, stale, &mut reply);
                    if !self.config.minimal_responses && !reply.answer.is_empty() {
                        self.add_beside(now, name, kind, stale, &mut reply);
                    }
                    return Known::Whole(reply);
                }
                _ => {}
            }
            if kind == Type::CNAME || kind == Type::ANY {
                break;
            }
            let Some(hit) = find(&current, Type::CNAME) else { break };
            let Value::Set(set) = &hit.value else { break };
            let target = set.data().next().and_then(|row| Name::from_wire(row).ok());
            let Some(target) = target.filter(|_| hit.trust >= Trust::Answer) else { break };
            let link = self.aged(now, &hit, stale, &mut reply);
            let seen = reply.answer.iter().any(|link| link.set.name() == target) || target == current;
            if let Some(dname) = self.known_dname(&current, &target, find)
                && let Some(dname) = self.aged(now, &dname, stale, &mut reply)
                && !reply.answer.iter().any(|link| link.set == dname.set)
            {
                reply.answer.push(dname);
            }
            reply.answer.extend(link);
            if seen {
                let why = (0, "an alias that leads back to itself".to_owned());
                return Known::Whole(Reply { answer: Vec::new(), ..Reply::failure(Some(why)) });
            }
            current = target;
        }
        Known::Part(reply.answer, current)
    }

    // The DNAME that an alias was made of; without it nobody could check the alias (RFC 6672 §5.3.1).
    fn known_dname(
        &self,
        alias: &Name,
        target: &Name,
        find: impl Fn(&Name, Type) -> Option<Hit>,
    ) -> Option<Hit> {
        if !self.cache.has_dnames() {
            return None;
        }
        let mut owner = alias.parent()?;
        loop {
            if let Some(hit) = find(&owner, Type::DNAME)
                && let Value::Set(set) = &hit.value
                && let Some(leads_to) = set.data().next().and_then(|row| Name::from_wire(row).ok())
                && substituted(alias, &owner, &leads_to).as_ref() == Some(target)
            {
                return Some(hit);
            }
            owner = owner.parent()?;
        }
    }

    /// The deepest delegation known, for a client that does its own walking.
    pub(super) fn best_referral(&self, now: Instant, name: &Name) -> Option<Reply> {
        let cut = self.cached_cut(now, name)?;
        let mut reply = Reply { rcode: Some(Rcode::NOERROR), referral: true, ..Reply::default() };
        for kind in [Type::NS, Type::DS] {
            let found = self.cache.find_set(now, cut.zone.as_octets(), kind, Trust::Glue);
            let link = found.and_then(|(_, hit)| self.aged(now, &hit, false, &mut reply));
            reply.authority.extend(link);
        }
        for server in &cut.servers {
            for kind in [Type::A, Type::AAAA] {
                let hit = self.cache.find_beside_set(now, server.name.as_octets(), kind);
                let hit = hit.filter(|hit| hit.is_live(now));
                let link = hit.and_then(|hit| self.aged(now, &hit, false, &mut reply));
                reply.additional.extend(link);
            }
        }
        Some(reply)
    }

    // A link with the time its entry has left.
    fn aged(&self, now: Instant, hit: &Hit, stale: bool, reply: &mut Reply) -> Option<Link> {
        let Value::Set(set) = &hit.value else { return None };
        Some(Link { set: std::sync::Arc::clone(set), ttl: self.age(now, hit, stale, reply) })
    }

    fn age(&self, now: Instant, hit: &Hit, stale: bool, reply: &mut Reply) -> u32 {
        let left = hit.expires - now;
        reply.ageing |= left * 10 <= hit.expires - hit.stored;
        if stale && !hit.is_live(now) {
            reply.stale = true;
            return self.config.stale_ttl.as_secs() as u32;
        }
        hit.ttl(now)
    }

    fn end_with(&self, now: Instant, hit: &Hit, stale: bool, reply: &mut Reply) {
        match &hit.value {
            Value::Set(_) => {
                let link = self.aged(now, hit, stale, reply);
                reply.answer.extend(link);
                reply.rcode = Some(Rcode::NOERROR);
            }
            Value::Denial(denial) => {
                let ttl = self.age(now, hit, stale, reply);
                let sets = denial.authority.iter();
                reply.authority.extend(sets.map(|set| Link { set: std::sync::Arc::clone(set), ttl }));
                reply.rcode = Some(denial.rcode);
            }
            Value::Beside(_) | Value::Failure { .. } => {}
        }
        if reply.stale {
            let nothing = reply.rcode == Some(Rcode::NXDOMAIN);
            let code = if nothing { extended_error::STALE_NXDOMAIN } else { extended_error::STALE };
            reply.extended_error.push((code, String::new()));
        }
    }

    // What stood beside the answer when it came, as far as it is still known.
    fn add_beside(&self, now: Instant, name: &Name, kind: Type, stale: bool, reply: &mut Reply) {
        let Some(beside) = self.cache.find_beside(now, name, kind) else { return };
        for (sets, additional) in [(&beside.authority, false), (&beside.additional, true)] {
            for (owner, kind) in sets {
                let Some(hit) = self.cache.find_beside_set(now, owner, *kind) else { continue };
                if !hit.is_live(now) && !stale {
                    continue;
                }
                let link = self.aged(now, &hit, stale, reply);
                if additional { &mut reply.additional } else { &mut reply.authority }.extend(link);
            }
        }
    }

    /// Sends a reply to a client.
    pub(super) fn answer(&mut self, waiter: &Waiter, reply: &Reply, steps: Vec<Step>) {
        let dnssec = waiter.dnssec;
        let mut shortest = u32::MAX;
        let mut section = |links: &[Link], all: bool, proofs: bool| {
            let mut records: Vec<Record> = Vec::new();
            for link in links.iter().filter(|_| all) {
                let proof = link.is_proof() || link.set.kind() == Type::DS;
                if proof && !proofs {
                    continue;
                }
                let owner = link.set.name();
                // The client's own letter case comes back to it.
                let owner = if owner == waiter.name { &waiter.name } else { &owner };
                link.set.records(owner, link.ttl, dnssec, &mut records);
                shortest = shortest.min(link.ttl);
            }
            records
        };
        let minimal = self.config.minimal_responses;
        let has_soa = reply.authority.iter().any(|link| link.set.kind() == Type::SOA);
        let answers = section(&reply.answer, true, true);
        // Proofs are no luxury: RFC 4035 §3.2.1.
        let proven = dnssec && reply.authority.iter().any(Link::is_proof);
        let full = !minimal || proven || reply.referral;
        let authorities = section(&reply.authority, full || has_soa, dnssec);
        let additionals = section(&reply.additional, full, false);
        let rcode = reply.rcode.unwrap_or(Rcode::SERVFAIL);
        let cacheable =
            matches!(rcode, Rcode::NOERROR | Rcode::NXDOMAIN) && shortest != u32::MAX && shortest > 0;
        self.outputs.push_back(Output::Answer(Answer {
            token: waiter.token,
            rcode,
            answers,
            authorities,
            additionals,
            extended_error: reply.extended_error.clone(),
            stale: reply.stale,
            authoritative: reply.authoritative,
            cacheable_for: cacheable.then(|| Duration::from_secs(u64::from(shortest))),
            steps: if waiter.explain { steps } else { Vec::new() },
        }));
    }
}
