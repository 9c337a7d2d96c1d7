//! The RRset cache under the resolver: RFC 1034 §5.3.2, RFC 2181 §5.4, RFC 2308, RFC 8767, RFC 9520.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`set`] | an RRset in the form it is kept in |
//! | [`entry`] | what an entry says, how far it is trusted, when it ends |
//! | [`shard`] | one part of the table: found by hash, bounded in octets, S3-FIFO |
//! | [`persist`] | the whole cache as octets, and back with aged TTLs |
//!
//! All workers share one [`Cache`]. Each lookup takes the lock of one shard for as long as it takes to
//! find one entry and to count up a reference. Not here: ready-made answers, which stand before this
//! and ask [`Cache::epoch`] whether anything was flushed.

pub mod entry;
pub mod persist;
pub mod set;
pub mod shard;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorway_base::{Instant, Random};

pub use entry::{Beside, Denial, Entry, Hit, Trust, Value};
pub use set::RrSet;

use crate::wire::{Name, Type};
use crate::zone::HashKey;
use entry::Sort;
use shard::Shard;

/// Locks of the table.
pub const SHARDS: usize = 64;
/// Failures in a row that are counted for one question; the wait doubles with each.
const FAILURES_MAX: u32 = 16;

/// The bounds of a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Octets of all entries together, their bookkeeping included.
    pub octets_max: usize,
    /// The shortest time that anything is kept.
    pub ttl_min: Duration,
    /// The longest.
    pub ttl_max: Duration,
    /// The longest time that "no" is kept (RFC 2308 §5).
    pub negative_ttl_max: Duration,
    /// The shortest time that "no" is kept.
    pub negative_ttl_min: Duration,
    /// How long a first failure is remembered (RFC 9520 §3.2).
    pub failure_ttl_min: Duration,
    /// How long a failure is remembered at most.
    pub failure_ttl_max: Duration,
    /// How long an entry stays after its end, for use when nothing else can be had (RFC 8767 §5).
    pub stale_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            octets_max: 64 << 20,
            ttl_min: Duration::ZERO,
            ttl_max: Duration::from_secs(86_400),
            negative_ttl_max: Duration::from_secs(3600),
            negative_ttl_min: Duration::ZERO,
            failure_ttl_min: Duration::from_secs(1),
            failure_ttl_max: Duration::from_secs(300),
            stale_max: Duration::from_secs(3 * 86_400),
        }
    }
}

/// Which entries are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this name.
    pub name: Option<Name>,
    /// Only this name and what is below it.
    pub subtree: Option<Name>,
    /// Only this type.
    pub kind: Option<Type>,
}

impl Filter {
    fn takes(&self, entry: &Entry) -> bool {
        self.kind.is_none_or(|kind| kind == entry.kind())
            && self.name.as_ref().is_none_or(|name| entry.name().eq_ignore_ascii_case(name.as_octets()))
            && self
                .subtree
                .as_ref()
                .is_none_or(|top| Name::from_wire(entry.name()).is_ok_and(|name| name.is_within(top)))
    }

    fn takes_all(&self) -> bool {
        *self == Self::default()
    }
}

/// What a cache holds and did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Entries, those past their end included.
    pub entries: u64,
    /// Octets of all entries.
    pub octets: u64,
    /// The bound of `octets`.
    pub octets_max: u64,
    /// Lookups that found a live entry.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Entries stored.
    pub stored: u64,
    /// Entries given up for room.
    pub evicted: u64,
}

/// One entry, as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The owner.
    pub name: Name,
    /// The type; 0 for a name that does not exist.
    pub kind: Type,
    /// What is known.
    pub value: Value,
    /// How far it is trusted.
    pub trust: Trust,
    /// Time left; `None` past its end.
    pub remaining: Option<Duration>,
}

/// RRsets, denials and failures, each with its end. Shared by all workers.
#[derive(Debug)]
pub struct Cache {
    limits: Limits,
    secret: HashKey,
    shards: Box<[Mutex<Shard>]>,
    epoch: AtomicU64,
    dnames: AtomicBool,
}

impl Cache {
    /// An empty cache; `random` gives the secret of its hash.
    #[must_use]
    pub fn new(limits: Limits, random: &mut Random) -> Self {
        let room = limits.octets_max / SHARDS;
        let shards = (0..SHARDS).map(|_| Mutex::new(Shard::new(room))).collect();
        Self {
            limits,
            secret: HashKey::new(random),
            shards,
            epoch: AtomicU64::new(0),
            dnames: AtomicBool::new(false),
        }
    }

    /// The bounds in force.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Counts up with each flush; what was made of entries before it must not be used after it.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether a DNAME was ever stored; until then nobody need look for one.
    #[must_use]
    pub fn has_dnames(&self) -> bool {
        self.dnames.load(Ordering::Relaxed)
    }

    fn name_hash(&self, name: &[u8]) -> u64 {
        self.secret.of_name(name, 0)
    }

    // A panic under a shard's lock leaves it usable: each change is whole before the lock is given up.
    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        self.shards[(hash >> 58) as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known about a name and a type: the set, that there is none, or that the name does not
    /// exist. Only live entries.
    #[must_use]
    pub fn find(&self, now: Instant, name: &Name, kind: Type) -> Option<Hit> {
        self.look(now, name, kind, false)
    }

    /// The same, entries past their end included while they are kept (RFC 8767).
    #[must_use]
    pub fn find_stale(&self, now: Instant, name: &Name, kind: Type) -> Option<Hit> {
        self.look(now, name, kind, true)
    }

    fn look(&self, now: Instant, name: &Name, kind: Type, stale: bool) -> Option<Hit> {
        let hash = self.name_hash(name.as_octets());
        let mut shard = self.shard(hash);
        let of_type = shard.find(now, hash, name.as_octets(), Sort::Data, kind);
        let live = |hit: &Hit| hit.is_live(now);
        if let Some(hit) = of_type.as_ref().filter(|hit| live(hit)) {
            shard.count_hit(true);
            return Some(hit.clone());
        }
        let of_name = shard.find(now, hash, name.as_octets(), Sort::Data, Type(0));
        let found = of_name.filter(|hit| stale || live(hit)).or(of_type.filter(|_| stale));
        shard.count_hit(found.is_some());
        found
    }

    /// A set of records and nothing else: live, trusted at least as far as `trust`.
    #[must_use]
    pub fn find_set(&self, now: Instant, name: &[u8], kind: Type, trust: Trust) -> Option<(Arc<RrSet>, Hit)> {
        let hash = self.name_hash(name);
        let hit = self.shard(hash).find(now, hash, name, Sort::Data, kind)?;
        match &hit.value {
            Value::Set(set) if hit.is_live(now) && hit.trust >= trust => Some((Arc::clone(set), hit)),
            _ => None,
        }
    }

    /// Addresses of a server: what it is known to have, or else the glue that led to its zone.
    #[must_use]
    pub fn find_address(&self, now: Instant, name: &[u8], kind: Type) -> Option<Arc<RrSet>> {
        let hash = self.name_hash(name);
        let mut shard = self.shard(hash);
        let mut live = |sort| {
            let hit = shard.find(now, hash, name, sort, kind).filter(|hit| hit.is_live(now))?;
            if let Value::Set(set) = hit.value { Some(set) } else { None }
        };
        live(Sort::Data).or_else(|| live(Sort::Glue))
    }

    /// The glue of a server, whatever its own zone says.
    #[must_use]
    pub fn find_glue(&self, now: Instant, name: &[u8], kind: Type) -> Option<Arc<RrSet>> {
        let hash = self.name_hash(name);
        let hit = self.shard(hash).find(now, hash, name, Sort::Glue, kind)?;
        match hit.value {
            Value::Set(set) if hit.is_live(now) => Some(set),
            _ => None,
        }
    }

    /// A set as it may stand beside an answer: data or glue.
    #[must_use]
    pub fn find_beside_set(&self, now: Instant, name: &[u8], kind: Type) -> Option<Hit> {
        let hash = self.name_hash(name);
        let mut shard = self.shard(hash);
        let sorts = [Sort::Data, Sort::Glue];
        let found = sorts.map(|sort| {
            shard.find(now, hash, name, sort, kind).filter(|hit| matches!(hit.value, Value::Set(_)))
        });
        let live = found.iter().flatten().find(|hit| hit.is_live(now));
        live.or(found.iter().flatten().next()).cloned()
    }

    /// What stood beside an answer, entries past their end included.
    #[must_use]
    pub fn find_beside(&self, now: Instant, name: &Name, kind: Type) -> Option<Arc<Beside>> {
        let hash = self.name_hash(name.as_octets());
        let hit = self.shard(hash).find(now, hash, name.as_octets(), Sort::Beside, kind)?;
        if let Value::Beside(beside) = hit.value { Some(beside) } else { None }
    }

    /// Remembers what stood beside an answer.
    pub fn store_beside(&self, now: Instant, name: &Name, kind: Type, beside: Beside) {
        let hash = self.name_hash(name.as_octets());
        let expires = now + self.limits.ttl_max;
        let value = Value::Beside(Arc::new(beside));
        let entry = Entry::new(name.as_octets(), kind, value, Trust::Glue, now, expires);
        self.shard(hash).store(hash, Sort::Beside, entry, expires + self.limits.stale_max);
    }

    /// Until when a question is known to fail, if it is.
    #[must_use]
    pub fn find_failure(&self, now: Instant, name: &Name, kind: Type) -> Option<Hit> {
        let hash = self.name_hash(name.as_octets());
        let hit = self.shard(hash).find(now, hash, name.as_octets(), Sort::Failure, kind);
        hit.filter(|hit| hit.expires > now)
    }

    /// Keeps a set for `ttl` seconds, unless a better one is there.
    ///
    /// What ends before `ended` counts as gone: `now`, or later for one that renews what is about to end.
    /// With `ghost` off, the servers of a zone may prolong their own delegation for ever; it exists to
    /// show just that.
    pub fn store_set(
        &self,
        now: Instant,
        ended: Instant,
        set: &Arc<RrSet>,
        ttl: u32,
        trust: Trust,
        ghost: bool,
    ) {
        let life = self.life(ttl, self.limits.ttl_min, self.limits.ttl_max);
        let hash = self.name_hash(set.owner());
        let mut shard = self.shard(hash);
        let mut expires = now + life;
        let glue = trust == Trust::Glue && matches!(set.kind(), Type::A | Type::AAAA);
        let sort = if glue { Sort::Glue } else { Sort::Data };
        if let Some(before) = shard.find(now, hash, set.owner(), sort, set.kind())
            && before.expires > ended
        {
            // RFC 2181 §5.4.1: what is less trusted does not replace what is more. What merely stands
            // beside an answer lives no longer for being said again.
            let same = || matches!(&before.value, Value::Set(known) if **known == **set);
            if before.trust > trust || before.trust == trust && trust < Trust::Answer && same() {
                return;
            }
            // A delegation ends when the parent said it would.
            if ghost && set.kind() == Type::NS && trust > Trust::Referral && before.expires < expires {
                expires = before.expires;
            }
        }
        if trust >= Trust::Answer {
            shard.remove(hash, set.owner(), Sort::Data, Type(0));
        }
        if set.kind() == Type::DNAME {
            self.dnames.store(true, Ordering::Relaxed);
        }
        // RFC 1035 §3.2.1: zero is for the question under way, and of no use to later ones.
        let kept = if life.is_zero() { Duration::ZERO } else { self.limits.stale_max };
        let entry = Entry::new(set.owner(), set.kind(), Value::Set(Arc::clone(set)), trust, now, expires);
        shard.store(hash, sort, entry, expires + kept);
    }

    /// Keeps a denial for `ttl` seconds: of one type, or with `None` of the whole name.
    pub fn store_denial(
        &self,
        now: Instant,
        name: &Name,
        kind: Option<Type>,
        denial: &Arc<Denial>,
        ttl: u32,
    ) {
        let longest = self.limits.negative_ttl_max.min(self.limits.ttl_max);
        let life = self.life(ttl, self.limits.negative_ttl_min.max(self.limits.ttl_min), longest);
        let hash = self.name_hash(name.as_octets());
        let value = Value::Denial(Arc::clone(denial));
        let expires = now + life;
        let entry = Entry::new(
            name.as_octets(),
            kind.unwrap_or(Type(0)),
            value,
            Trust::AuthoritativeAnswer,
            now,
            expires,
        );
        self.shard(hash).store(hash, Sort::Data, entry, expires + self.limits.stale_max);
    }

    /// Remembers that a question fails; each failure in a row is remembered twice as long.
    pub fn store_failure(&self, now: Instant, name: &Name, kind: Type, why: Option<(u16, String)>) {
        let hash = self.name_hash(name.as_octets());
        let mut shard = self.shard(hash);
        let before = shard.find(now, hash, name.as_octets(), Sort::Failure, kind);
        let count = match before.map(|hit| hit.value) {
            Some(Value::Failure { count, .. }) => (count + 1).min(FAILURES_MAX),
            _ => 1,
        };
        let span = self.limits.failure_ttl_min * (1 << (count - 1));
        let expires = now + span.min(self.limits.failure_ttl_max);
        let value = Value::Failure { count, why };
        let entry = Entry::new(name.as_octets(), kind, value, Trust::AuthoritativeAnswer, now, expires);
        // The count outlives the entry by its own span, or no failure would ever be the second in a row.
        shard.store(hash, Sort::Failure, entry, expires + span.min(self.limits.failure_ttl_max));
    }

    /// Forgets that a question fails: it was answered.
    pub fn clear_failure(&self, name: &Name, kind: Type) {
        let hash = self.name_hash(name.as_octets());
        self.shard(hash).remove(hash, name.as_octets(), Sort::Failure, kind);
    }

    fn life(&self, ttl: u32, min: Duration, max: Duration) -> Duration {
        // RFC 2181 §8: with the highest bit set it is zero.
        let ttl = if ttl > i32::MAX as u32 { 0 } else { ttl };
        Duration::from_secs(u64::from(ttl)).max(min).min(max)
    }

    /// Drops what `filter` takes; returns how many entries those were.
    pub fn flush(&self, filter: &Filter) -> usize {
        let mut dropped = 0;
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            dropped +=
                if filter.takes_all() { shard.clear() } else { shard.retain(|entry| !filter.takes(entry)) };
        }
        self.epoch.fetch_add(1, Ordering::Release);
        dropped
    }

    /// What `filter` takes, at most `count` entries, in no particular order.
    #[must_use]
    pub fn show(&self, now: Instant, filter: &Filter, count: usize) -> Vec<Shown> {
        let mut shown = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for entry in shard.entries().filter(|entry| filter.takes(entry)).take(count - shown.len()) {
                shown.push(Shown {
                    name: Name::from_wire(entry.name()).unwrap_or_default(),
                    kind: entry.kind(),
                    value: entry.value().clone(),
                    trust: entry.trust(),
                    remaining: (entry.expires() > now).then(|| entry.expires() - now),
                });
            }
        }
        shown
    }

    /// Figures of the whole cache.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = Stats { octets_max: self.limits.octets_max as u64, ..Stats::default() };
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).add_to(&mut stats);
        }
        stats
    }
}

#[cfg(test)]
mod tests;
