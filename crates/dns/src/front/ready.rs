//! Ready-made answers of the resolver: a hit is a copy, a few patches, and no more.
//!
//! An entry is one whole response, keyed by name, type and the bits of the query that change it. What
//! differs from client to client is put in when it is copied out: the id, the letter case of the
//! question, RD and CD, the OPT record, and the age that every TTL has lost. Whose turn it is in an
//! address set moves on with each copy (RFC 1794).
//!
//! The entries are spread over shards, each behind its own lock, which is held for the copy alone.
//! Memory is bounded in octets. What to give up is found by a hand that goes round and spares what was
//! asked for since it last came by, so a scan of names that nobody asks for twice pushes out only
//! itself. Not here: the records themselves, which `cache` keeps with their ranks and times.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorway_base::{Instant, Writer};

use crate::authority::query::Query;
use crate::wire::{Flags, HEADER_OCTETS, Type};
use crate::zone::Key;

/// Parts of the cache, each with its own lock.
const SHARDS: usize = 64;
/// Octets that an entry costs beside its message, about.
const ENTRY_OCTETS: usize = 128;
/// An entry is asked for anew when this part of its life is left: one tenth.
const REFRESH_PART: u32 = 10;
/// And only when it was asked for this often.
const REFRESH_HITS: u32 = 2;

/// Ready-made answers, shared by all workers.
#[derive(Debug)]
pub struct Ready {
    shards: Vec<Mutex<Shard>>,
    octets_max: usize,
}

/// What a query's flags change in the records of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// The client wants signatures (DO).
    pub dnssec: bool,
    /// The client checks for itself (CD).
    pub checking_disabled: bool,
}

impl Variant {
    /// The variant that `query` asks for.
    #[must_use]
    pub fn of(query: &Query) -> Self {
        let dnssec = query.edns.is_some_and(|edns| edns.flags & crate::wire::edns::DO != 0);
        Self { dnssec, checking_disabled: query.flags.has(Flags::CD) }
    }

    const fn bits(self) -> u64 {
        self.dnssec as u64 | (self.checking_disabled as u64) << 1
    }
}

/// One response, ready to be copied.
#[derive(Debug, Clone)]
pub struct Message {
    /// The whole response without OPT record. Its question is in lower case.
    pub octets: Box<[u8]>,
    /// Where the TTLs stand.
    pub ttls: Box<[u16]>,
    /// The address set that is rotated, if there is one.
    pub turn: Option<Turn>,
}

/// Records of equal length, side by side, that take turns in coming first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Where the first one begins.
    pub start: u16,
    /// Octets of each.
    pub stride: u16,
    /// How many there are.
    pub count: u16,
}

/// What a lookup found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hit {
    /// Nothing that is still good.
    None,
    /// The answer was written.
    Written {
        /// The answer should be asked for anew before its time is over. Said once for each entry.
        refresh: bool,
    },
}

#[derive(Debug, Default)]
struct Shard {
    places: HashMap<u64, u32, BuildHasherDefault<Whole>>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    hand: usize,
    octets: usize,
    // Raised by a flush, so that an answer under way to the cache is not put into it afterwards.
    epoch: u64,
}

#[derive(Debug)]
struct Entry {
    key: u64,
    message: Message,
    kind: Type,
    variant: Variant,
    made: Instant,
    until: Instant,
    hits: u32,
    turn: u16,
    visited: bool,
    refreshing: bool,
}

/// The keys are hashes already.
#[derive(Debug, Default)]
struct Whole(u64);

impl Hasher for Whole {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        for &octet in octets {
            self.0 = self.0 << 8 | u64::from(octet);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

impl Entry {
    fn octets(&self) -> usize {
        ENTRY_OCTETS + self.message.octets.len() + 2 * self.message.ttls.len()
    }

    fn is(&self, key: &Key, kind: Type, variant: Variant) -> bool {
        let name = self.message.octets.get(HEADER_OCTETS..);
        self.kind == kind
            && self.variant == variant
            && name.is_some_and(|question| question.starts_with(key.suffix(0)))
    }
}

impl Ready {
    /// A cache of at most `octets_max` octets; with 0 it keeps nothing.
    #[must_use]
    pub fn new(octets_max: usize) -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), octets_max }
    }

    fn shard(&self, key: u64) -> MutexGuard<'_, Shard> {
        let shard = &self.shards[(key >> 32) as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the answer to `query`, whose name `key` holds, behind nothing: from the header to the last
    /// record, with the query's own question. The OPT record is left to the caller.
    ///
    /// `octets` is the query; an answer that is longer than `octets_max` is cut to its question, with TC.
    #[inline]
    pub fn write(
        &self,
        now: Instant,
        key: &Key,
        query: &Query,
        octets: &[u8],
        octets_max: usize,
        reply: &mut Writer<'_>,
    ) -> Hit {
        let variant = Variant::of(query);
        let hash = place(key, query.kind, variant);
        let mut shard = self.shard(hash);
        let Shard { places, entries, .. } = &mut *shard;
        let Some(entry) = places.get(&hash).and_then(|&place| entries.get_mut(place as usize)) else {
            return Hit::None;
        };
        if entry.until <= now || !entry.is(key, query.kind, variant) {
            return Hit::None;
        }
        entry.visited = true;
        entry.hits = entry.hits.saturating_add(1);
        entry.turn = entry.turn.wrapping_add(1);
        let age = now.since(entry.made);
        copy(&entry.message, age, usize::from(entry.turn), query, octets, octets_max, reply);
        let left = entry.until.since(now);
        let refresh = !entry.refreshing
            && entry.hits >= REFRESH_HITS
            && left * REFRESH_PART < entry.until.since(entry.made);
        entry.refreshing |= refresh;
        Hit::Written { refresh }
    }

    /// Which flush was the last: to be asked before an answer is looked for, and given to
    /// [`put`](Self::put) with it.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.shard(0).epoch
    }

    /// Keeps `message` as the answer for `key` until `until`, unless there was a flush since `epoch`.
    pub fn put(
        &self,
        now: Instant,
        until: Instant,
        key: &Key,
        (kind, variant): (Type, Variant),
        message: Message,
        epoch: u64,
    ) {
        let hash = place(key, kind, variant);
        let entry = Entry {
            key: hash,
            message,
            kind,
            variant,
            made: now,
            until,
            hits: 0,
            turn: 0,
            visited: false,
            refreshing: false,
        };
        let mut shard = self.shard(hash);
        let octets_max = self.octets_max / SHARDS;
        if shard.epoch != epoch || entry.octets() > octets_max || until <= now {
            return;
        }
        shard.remove(hash);
        shard.octets += entry.octets();
        let place = match shard.free.pop() {
            Some(place) => {
                shard.entries[place as usize] = entry;
                place
            }
            None => {
                shard.entries.push(entry);
                (shard.entries.len() - 1) as u32
            }
        };
        shard.places.insert(hash, place);
        while shard.octets > octets_max {
            shard.give_up_one(now, place);
        }
    }

    /// Forgets every answer. What is being looked for is not kept either.
    pub fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let epoch = shard.epoch + 1;
            *shard = Shard { epoch, ..Shard::default() };
        }
    }

    /// How many answers are kept, and in how many octets.
    #[must_use]
    pub fn usage(&self) -> (usize, usize) {
        let mut usage = (0, 0);
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            usage.0 += shard.places.len();
            usage.1 += shard.octets;
        }
        usage
    }
}

impl Shard {
    fn remove(&mut self, hash: u64) {
        if let Some(place) = self.places.remove(&hash) {
            let entry = &mut self.entries[place as usize];
            self.octets -= entry.octets();
            entry.message = Message { octets: Box::default(), ttls: Box::default(), turn: None };
            self.free.push(place);
        }
    }

    // The hand goes on until it finds an entry that was not visited, or whose time is over. `newest` is
    // spared: it had no chance yet.
    fn give_up_one(&mut self, now: Instant, newest: u32) {
        // Twice round clears every mark, so the loop ends.
        for _ in 0..=2 * self.entries.len() {
            self.hand = (self.hand + 1) % self.entries.len();
            let entry = &mut self.entries[self.hand];
            if entry.message.octets.is_empty() || self.hand == newest as usize {
                continue;
            }
            if entry.visited && entry.until > now {
                entry.visited = false;
                continue;
            }
            let key = entry.key;
            return self.remove(key);
        }
        let newest = self.entries[newest as usize].key;
        self.remove(newest);
    }
}

fn place(key: &Key, kind: Type, variant: Variant) -> u64 {
    let more = u64::from(kind.0) << 2 | variant.bits();
    (key.hash(0) ^ more.wrapping_mul(0x9e37_79b9_7f4a_7c15)).rotate_left(7)
}

/// Writes `message`, `age` old, as the answer to the query at the start of `octets`.
#[inline]
pub(super) fn copy(
    message: &Message,
    age: Duration,
    turn: usize,
    query: &Query,
    octets: &[u8],
    octets_max: usize,
    reply: &mut Writer<'_>,
) {
    let question_end = HEADER_OCTETS + query.question_octets;
    let asked = Flags::RD | Flags::CD;
    let mut flags = (query.flags.0 & asked) | (header_flags(&message.octets) & !asked);
    let fits = message.octets.len() <= octets_max;
    reply.put(&octets[..question_end]);
    if fits {
        let start = reply.position();
        reply.put(&message.octets[question_end.min(message.octets.len())..]);
        let written = reply.written_mut();
        let seconds = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
        if seconds > 0 {
            for &at in &message.ttls {
                if let Some(four) = written[usize::from(at)..].first_chunk_mut::<4>() {
                    *four = u32::from_be_bytes(*four).saturating_sub(seconds).to_be_bytes();
                }
            }
        }
        if let Some(Turn { start: from, stride, count }) = message.turn {
            let length = usize::from(stride) * usize::from(count);
            debug_assert!(usize::from(from) >= start, "records stand behind the question");
            if let Some(set) = written.get_mut(usize::from(from)..usize::from(from) + length) {
                set.rotate_left(turn % usize::from(count) * usize::from(stride));
            }
        }
    } else {
        flags |= Flags::TC;
    }
    if let Some(head) = reply.written_mut().first_chunk_mut::<HEADER_OCTETS>() {
        head[2..4].copy_from_slice(&flags.to_be_bytes());
        let counts: [u8; 8] = match message.octets.get(4..12).and_then(|eight| eight.first_chunk()) {
            Some(counts) if fits => *counts,
            _ => [0, 1, 0, 0, 0, 0, 0, 0],
        };
        head[4..].copy_from_slice(&counts);
    }
}

fn header_flags(octets: &[u8]) -> u16 {
    octets.get(2..4).and_then(|two| two.first_chunk::<2>()).map_or(0, |two| u16::from_be_bytes(*two))
}
