//! What of a judged response goes into the cache, for how long, and what is kept from clients.
//!
//! RFC 2181 §5.4.1 (trust), RFC 2308 §5 (denials), rebinding protection.

use std::sync::Arc;
use std::time::Duration;

use doorway_base::Instant;

use super::Resolver;
use super::delegation::address_of;
use super::job::Origin;
use super::judge::{Judged, Link, Meaning};
use super::query::Sent;
use crate::cache::{Denial, RrSet, Trust, Value, set};
use crate::wire::{Name, Rcode, Type};

impl Resolver {
    // Private addresses under public names would let a web page reach into the network it is read in.
    pub(super) fn guard_against_rebinding(&self, origin: Origin, zone: &Name, judged: &mut Judged) -> bool {
        let configured = matches!(origin, Origin::Forward(_) | Origin::Stub(_)) && !zone.is_root();
        if !self.config.rebinding_protection || configured {
            return false;
        }
        let mut blocked = false;
        judged.answer.retain_mut(|link| {
            let kind = link.set.kind();
            let private = |row: &[u8]| {
                address_of(kind, row).is_some_and(|address| {
                    self.config.private_addresses.iter().any(|net| net.contains(address))
                })
            };
            if !matches!(kind, Type::A | Type::AAAA) || !link.set.data().any(private) {
                return true;
            }
            let owner = link.set.name();
            if self.config.rebinding_allowed.iter().any(|allowed| owner.is_within(allowed)) {
                return true;
            }
            blocked = true;
            let mut rows = Vec::new();
            link.set.data().filter(|row| !private(row)).for_each(|row| set::push(&mut rows, row));
            link.set = Arc::new(RrSet::new(&owner, kind, &rows, &[]));
            !rows.is_empty()
        });
        blocked
    }

    // TTLs as the cache bounds them; of a denial the SOA's MINIMUM (RFC 2308 §5).
    pub(super) fn clamp(&self, judged: &mut Judged) {
        let limits = self.cache.limits();
        let negative = matches!(judged.meaning, Meaning::NoData | Meaning::NoName);
        let bounded = |ttl: u32| {
            let ttl = if ttl > i32::MAX as u32 { 0 } else { ttl };
            let most = limits.ttl_max.as_secs().min(u64::from(u32::MAX)) as u32;
            ttl.max(limits.ttl_min.as_secs() as u32).min(most)
        };
        for link in judged.answer.iter_mut().chain(&mut judged.authority).chain(&mut judged.additional) {
            link.ttl = bounded(link.ttl);
        }
        if negative && let Some(ttl) = negative_ttl(judged) {
            let most = limits.negative_ttl_max.as_secs() as u32;
            let least = limits.negative_ttl_min.as_secs() as u32;
            let ttl = ttl.max(least).min(most);
            judged.authority.iter_mut().for_each(|link| link.ttl = ttl);
        }
    }

    pub(super) fn store(&self, now: Instant, sent: &Sent, zone: &Name, origin: Origin, judged: &mut Judged) {
        let (cache, ghost) = (&self.cache, self.config.ghost_protection);
        let ended = now + self.jobs.at(sent.job).map_or(Duration::ZERO, |job| job.leeway);
        let referral = matches!(judged.meaning, Meaning::Referral(_));
        let data = if judged.authoritative { Trust::AuthoritativeAnswer } else { Trust::Answer };
        // A cut lives no longer than the one it was learnt through, or a zone that its parent dropped
        // would live on in cuts of its own making.
        let end = cache.find_set(ended, zone.as_octets(), Type::NS, Trust::Glue).filter(|_| ghost);
        let lasting = |link: &Link| match &end {
            Some((_, above)) if link.set.kind() == Type::NS => link.ttl.min(above.ttl(now)),
            _ => link.ttl,
        };
        // One that has ended meanwhile is not called back to life by its own servers.
        let delegated = matches!(origin, Origin::Cache | Origin::Referral);
        let over = ghost && delegated && end.is_none();
        let revives = |link: &Link| over && link.set.kind() == Type::NS && link.set.name() == *zone;
        for link in judged.answer.iter().filter(|link| !revives(link)) {
            cache.store_set(now, ended, &link.set, lasting(link), data, ghost);
        }
        for link in judged.authority.iter_mut().filter(|link| !revives(link)) {
            let trust = match link.set.kind() {
                Type::NS if referral => Trust::Referral,
                Type::DS if referral => Trust::AuthoritativeAuthority,
                Type::NS if judged.authoritative => Trust::AuthoritativeAuthority,
                Type::NS => Trust::Glue,
                _ => continue,
            };
            cache.store_set(now, ended, &link.set, lasting(link), trust, ghost);
            self.say_no_more_than_kept(now, link);
        }
        let trust = if referral { Trust::Glue } else { Trust::Additional };
        for link in &mut judged.additional {
            cache.store_set(now, ended, &link.set, link.ttl, trust, ghost);
            self.say_no_more_than_kept(now, link);
        }
        let (rcode, kind) = match judged.meaning {
            Meaning::NoData => (Rcode::NOERROR, Some(sent.kind)),
            Meaning::NoName if !sent.minimised => (Rcode::NXDOMAIN, None),
            _ => return,
        };
        // RFC 2308 §5: without a SOA nobody knows how long.
        if let Some(ttl) = negative_ttl(judged) {
            let authority = judged.authority.iter().map(|link| Arc::clone(&link.set)).collect();
            cache.store_denial(now, &judged.end, kind, &Arc::new(Denial { rcode, authority }), ttl);
        }
    }

    // A client is told the time that the cache keeps to.
    fn say_no_more_than_kept(&self, now: Instant, link: &mut Link) {
        if self.config.minimal_responses {
            return;
        }
        let kept = self.cache.find_beside_set(now, link.set.owner(), link.set.kind());
        if let Some(hit) = kept.filter(|hit| matches!(&hit.value, Value::Set(set) if *set == link.set)) {
            link.ttl = link.ttl.min(hit.ttl(now));
        }
    }
}

fn negative_ttl(judged: &Judged) -> Option<u32> {
    let soa = judged.authority.iter().find(|link| link.set.kind() == Type::SOA)?;
    let minimum = soa.set.data().next()?.last_chunk::<4>()?;
    Some(soa.ttl.min(u32::from_be_bytes(*minimum)))
}
