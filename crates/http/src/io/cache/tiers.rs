//! Memory and disk together, and the index over both: how a response comes in, moves between them and leaves.
//!
//! | file | what it does |
//! | --- | --- |
//! | `loading.rs` | what is on disk alone comes into memory |
//! | `placing.rs` | where responses lie on disk |

mod loading;
mod placing;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};

use doorway_base::Instant;
use doorway_net::World;
use tokio::sync::oneshot;

use super::disk::{DiskTier, Job};
use super::fill::Refused;
use super::hosts::{Host, Hosts};
use super::index::{Entry, Index};
use super::lock;
use super::memory::Memory;
use super::object::{Id, Object, Parts};
use super::{VARIANTS_MAX, Variants};
use crate::cache::admission::{FREQUENCY_MAX, Item};
use crate::cache::purges::{Order, Purges, Sentence, Subject, Target};
use crate::cache::tags::tags;
use crate::cache::{Key, Names, Stored};
use crate::config::CacheConfig;

/// Orders to forget that are told apart; older ones forget more than they say.
const ORDERS_MAX: usize = 65_536;
/// No content takes more than this part of the memory.
const MEMORY_PART: u64 = 8;
/// No content takes more than this part of the disk.
const DISK_PART: u64 = 4;

/// Everything that is kept.
pub(super) struct Tiers {
    pub(super) world: World,
    config: CacheConfig,
    names: Names,
    pub(super) index: Index,
    pub(super) hosts: Hosts,
    memory: Memory,
    disk: OnceLock<DiskTier>,
    orders: Mutex<Purges>,
    /// The number of the last order.
    last_order: AtomicU64,
    /// The number of the last order that responses have to be asked about when they are looked at.
    last_lazy: AtomicU64,
    next_number: AtomicU64,
    /// Who waits for what is being read from disk.
    loading: Mutex<BTreeMap<u64, Vec<oneshot::Sender<()>>>>,
    /// Which run of the program this is: moments on the monotonic clock of another one mean nothing.
    run: u64,
}

impl std::fmt::Debug for Tiers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tiers").field("name", &self.config.name).finish_non_exhaustive()
    }
}

impl Tiers {
    pub(super) fn new(world: &World, config: &CacheConfig, key: [u8; 16]) -> Self {
        let names = Names::new(key);
        Self {
            world: world.clone(),
            config: config.clone(),
            names,
            index: Index::new(),
            hosts: Hosts::new(names.of("*")),
            memory: Memory::new(config.memory_octets_max),
            disk: OnceLock::new(),
            orders: Mutex::new(Purges::new(ORDERS_MAX)),
            last_order: AtomicU64::new(0),
            last_lazy: AtomicU64::new(0),
            next_number: AtomicU64::new(1),
            loading: Mutex::default(),
            run: world.random().next_u64(),
        }
    }

    /// Puts the disk behind the memory. `orders` is the number of the last order of runs before.
    pub(super) fn set_disk(&self, disk: DiskTier, orders: u64) {
        self.last_order.store(orders, Relaxed);
        self.last_lazy.store(orders, Relaxed);
        let _ = self.disk.set(disk);
    }

    pub(super) const fn config(&self) -> &CacheConfig {
        &self.config
    }

    pub(super) const fn names(&self) -> &Names {
        &self.names
    }

    pub(super) const fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(super) fn disk(&self) -> Option<&DiskTier> {
        self.disk.get()
    }

    pub(super) const fn run(&self) -> u64 {
        self.run
    }

    pub(super) fn now(&self) -> Instant {
        self.world.now()
    }

    pub(super) fn orders_so_far(&self) -> u64 {
        self.last_order.load(Relaxed)
    }

    pub(super) fn count_damaged(&self) {
        if let Some(disk) = self.disk() {
            disk.count_damaged();
        }
    }

    /// The host with this name.
    pub(super) fn host(&self, name: &str) -> Arc<Host> {
        self.hosts.find(name, |name| self.names.of(name))
    }

    /// Leaves a job for the disk; false when there is none, or it takes no more.
    pub(super) fn leave(&self, job: Job) -> bool {
        self.disk().is_some_and(|disk| disk.leave(self, job))
    }

    /// Longest content that is kept in memory, in octets.
    fn memory_object_octets_max(&self) -> u64 {
        self.config.object_octets_max.min(self.config.memory_octets_max / MEMORY_PART)
    }

    fn object_octets_max(&self) -> u64 {
        let disk = self.disk().map_or(0, |_| self.config.disk_octets_max / DISK_PART);
        self.memory_object_octets_max().max(self.config.object_octets_max.min(disk))
    }

    /// Whether a content of so many octets gathers in memory; `None` when it is too long for the cache.
    pub(super) fn way_for(&self, octets: Option<u64>) -> Option<bool> {
        let octets = octets.unwrap_or(0);
        (octets <= self.object_octets_max()).then(|| octets <= self.memory_object_octets_max())
    }

    /// Whether a host may have so many octets more.
    pub(super) fn check_host(&self, host: &Host, octets: u64) -> Result<(), Refused> {
        let max = self.config.host_octets_max;
        let fits = max == 0 || host.octets.load(Relaxed).saturating_add(octets) <= max;
        if fits { Ok(()) } else { Err(Refused::HostFull) }
    }

    /// Whether a content may grow to so many octets.
    pub(super) fn check_growing(&self, object: &Object, octets: u64) -> Result<(), Refused> {
        if object.octets().is_some() {
            return Ok(());
        }
        self.way_for(Some(octets)).ok_or(Refused::TooLong)?;
        self.check_host(object.host(), octets)
    }

    /// Takes memory for a content that arrives; false when there is none.
    pub(super) fn reserve(&self, octets: u64) -> bool {
        let mut gone = Vec::new();
        let reserved = self.memory.reserve(&self.index, octets, &mut gone);
        self.bury(gone, true);
        reserved
    }

    pub(super) fn release(&self, octets: u64) {
        self.memory.release(octets);
    }

    /// What the index is to know about a response that the origin was asked for when there had been so many
    /// orders.
    pub(super) fn describe(&self, key: &Key, stored: Stored, orders: u64) -> Result<Parts, Refused> {
        let tags = tags(&stored.fields).map_err(|_| Refused::Tags)?;
        let tags: Box<[u64]> = tags.into_iter().map(|tag| self.names.of(tag)).collect();
        let number = self.next_number.fetch_add(1, Relaxed);
        let variant = self.names.variant(&stored.selecting);
        let id = Id { number, name: self.names.of(key.as_str()), variant, purges: orders };
        let tags = (!tags.is_empty()).then_some(tags);
        Ok(Parts { id, key: key.clone(), stored, host: self.host(key.host()), tags, must_validate: false })
    }

    // What the orders since then say about it.
    fn judge(&self, since: u64, object: &Object) -> Sentence {
        if since >= self.orders_so_far() {
            return Sentence::Keep;
        }
        let Id { name, variant, .. } = *object.id();
        let (host, url) = (object.host().short(), Some(object.key().as_str()));
        lock(&self.orders).judge(&Subject { since, name, variant, host, tags: object.tags(), url })
    }

    /// Whether there are as many responses as there may be.
    pub(super) fn is_crowded(&self) -> bool {
        self.index.len() >= self.config.objects_max
    }

    /// Takes up a response that begins to arrive.
    pub(super) fn begin(&self, object: &Arc<Object>) {
        while self.is_crowded() {
            let mut gone = Vec::new();
            let evicted = self.memory.evict_one(&self.index, &mut gone);
            let freed = !gone.is_empty();
            self.bury(gone, true);
            if !freed {
                self.leave(Job::Evict);
            }
            if !evicted || !freed {
                break;
            }
        }
        let Id { number, name, variant, purges } = *object.id();
        let entry = Entry {
            number,
            variant,
            purges,
            host: Arc::clone(object.host()),
            tags: (!object.tags().is_empty()).then(|| object.tags().into()),
            octets: object.octets().unwrap_or(0),
            object: Some(Arc::clone(object)),
            place: None,
            frequency: 0,
            asked: false,
            must_validate: false,
        };
        entry.host.objects.fetch_add(1, Relaxed);
        entry.host.octets.fetch_add(entry.octets, Relaxed);
        let too_many = self.index.change(name, |entries| {
            entries.add_first(entry);
            let last = entries.list().last().filter(|_| entries.list().len() > VARIANTS_MAX);
            let last = last.map(|entry| entry.number);
            entries.take(|entry| Some(entry.number) == last)
        });
        self.bury(too_many.into_iter().map(|entry| (name, entry)), true);
    }

    /// Keeps `whole` in the place of `old`, which was arriving, and forgets what it supersedes.
    pub(super) fn keep(
        &self,
        old: &Object,
        whole: Arc<Object>,
        reserved: u64,
    ) -> Result<Arc<Object>, Refused> {
        let Id { number, name, variant, purges } = *old.id();
        self.release(reserved);
        let sentence = self.judge(purges, &whole);
        if sentence == Sentence::Forget {
            self.drop_unfinished(old);
            return Err(Refused::Purged);
        }
        if sentence == Sentence::Validate {
            whole.set_must_validate();
        }
        let (octets, weight) = (whole.octets().unwrap_or(0), whole.weight());
        let superseded = self.index.change(name, |entries| {
            let entry = entries.numbered(number)?;
            entry.host.octets.fetch_add(octets.wrapping_sub(entry.octets), Relaxed);
            entry.octets = octets;
            entry.must_validate = whole.must_validate();
            entry.object = Some(Arc::clone(&whole));
            // Only those before it: another one that began later is to be the one that stays.
            Some(entries.take(|other| other.variant == variant && other.number < number))
        });
        let Some(superseded) = superseded else { return Err(Refused::Purged) };
        if weight > 0 {
            self.admit(name, number, weight);
        }
        // A record that follows takes their place on disk too.
        let written = !whole.is_filling() && self.leave(Job::Keep(Arc::clone(&whole)));
        let durable = !written && !whole.is_filling();
        self.bury(superseded.into_iter().map(|entry| (name, entry)), durable);
        Ok(whole)
    }

    fn admit(&self, name: u64, number: u64, weight: u64) {
        let mut gone = Vec::new();
        // There is room for it afterwards; until then there may be a little too much.
        self.memory.take(weight);
        self.memory.admit(&self.index, Item { name, number, weight }, &mut gone);
        self.bury(gone, true);
    }

    /// Forgets a response that arrives, or that could not be written.
    pub(super) fn drop_unfinished(&self, object: &Object) {
        let Id { number, name, .. } = *object.id();
        let dropped = self.index.change(name, |entries| entries.take(|entry| entry.number == number));
        self.bury(dropped.into_iter().map(|entry| (name, entry)), true);
    }

    /// Gives back what entries took that left the index. `lasting` says that no restart may bring them back,
    /// which nothing else sees to.
    pub(super) fn bury(&self, entries: impl IntoIterator<Item = (u64, Entry)>, lasting: bool) {
        for (name, entry) in entries {
            entry.host.objects.fetch_sub(1, Relaxed);
            entry.host.octets.fetch_sub(entry.octets, Relaxed);
            if let Some(object) = &entry.object
                && object.weight() > 0
            {
                self.memory.leave(object.weight());
            }
            if lasting && entry.place.is_some() {
                let id = Id { number: entry.number, name, variant: entry.variant, purges: entry.purges };
                self.leave(Job::Order(self.order_about(&id), None));
            }
        }
    }

    /// An order to forget one response and no other. It is for the next start: nobody has to be asked now.
    pub(super) fn order_about(&self, id: &Id) -> Order {
        let _orders = lock(&self.orders);
        let number = self.last_order.fetch_add(1, Relaxed) + 1;
        id.order(number)
    }

    /// Puts an order in force. Returns it for the log.
    pub(super) fn give_order(&self, soft: bool, target: Target) -> Order {
        let mut orders = lock(&self.orders);
        let number = self.last_order.load(Relaxed) + 1;
        let lazy = !matches!(target, Target::Url(_) | Target::Variant(..));
        let order = Order { number, soft, target };
        orders.add(&order);
        self.last_order.store(number, Relaxed);
        if lazy {
            self.last_lazy.store(number, Relaxed);
        }
        order
    }

    /// What is kept for `url` and is in memory, newest first; true when there is more on disk.
    pub(super) fn find(&self, url: &str) -> (Variants, bool) {
        let name = self.names.of(url);
        let lazy = self.last_lazy.load(Relaxed);
        let mut forget = false;
        let mut on_disk = false;
        let found = self.index.look(name, |entries| {
            let mut found = Variants::None;
            for entry in entries {
                let Some(object) = &entry.object else {
                    on_disk = true;
                    continue;
                };
                if object.key().as_str() != url {
                    continue;
                }
                if entry.purges < lazy {
                    match self.judge(entry.purges, object) {
                        Sentence::Forget => {
                            forget = true;
                            continue;
                        }
                        Sentence::Validate => {
                            object.set_must_validate();
                            entry.must_validate = true;
                        }
                        Sentence::Keep | Sentence::NeedsUrl => {}
                    }
                    entry.purges = lazy;
                }
                entry.asked = true;
                entry.frequency = FREQUENCY_MAX.min(entry.frequency + 1);
                found.add(object);
            }
            found
        });
        if forget {
            self.forget_purged(name);
        }
        (found.unwrap_or_default(), on_disk)
    }

    fn forget_purged(&self, name: u64) {
        let purged = self.index.change(name, |entries| {
            entries.take(|entry| {
                let object = entry.object.as_ref();
                object.is_some_and(|object| self.judge(entry.purges, object) == Sentence::Forget)
            })
        });
        self.bury(purged.into_iter().map(|entry| (name, entry)), false);
    }

    /// Gives a response other fields and times.
    pub(super) fn refresh(&self, object: &Object, stored: Stored) -> Arc<Object> {
        let old = *object.id();
        let last = self.orders_so_far();
        let sentence = self.judge(old.purges, object);
        let id = Id { variant: self.names.variant(&stored.selecting), purges: last, ..old };
        let fresh = Arc::new(object.with_stored(id, stored));
        if sentence == Sentence::Forget {
            return fresh;
        }
        if sentence == Sentence::Validate && object.id().purges < last && !object.must_validate() {
            // The order came after the origin had been asked.
            fresh.set_must_validate();
        }
        let is_placed = self.index.change(old.name, |entries| {
            let entry = entries.numbered(old.number)?;
            if object.is_filling() || entry.object.as_ref().is_none_or(|known| known.is_filling()) {
                return None;
            }
            // It may have come into memory, or left it, since it was found.
            let content = entry.object.as_ref().map(|known| known.content().clone());
            let fresh = match content {
                Some(content) => Arc::new(fresh.with_content(entry.octets, content)),
                None => Arc::clone(&fresh),
            };
            entry.variant = id.variant;
            entry.purges = last;
            entry.must_validate = fresh.must_validate();
            entry.object = Some(Arc::clone(&fresh));
            Some((entry.place.is_some(), fresh))
        });
        let Some((is_placed, fresh)) = is_placed else { return fresh };
        if is_placed {
            self.leave(Job::Fields(Arc::clone(&fresh)));
        }
        fresh
    }

    /// Looks at everything in one part of the index, carries out the orders it has not heard of, and returns
    /// how many were forgotten and how many have to be validated.
    pub(super) fn sweep(&self, part: usize) -> (u64, u64) {
        let last = self.last_lazy.load(Relaxed);
        let mut validate = 0;
        let mut orders = None;
        let gone = self.index.sweep(part, |name, entry| {
            if entry.purges >= last {
                return false;
            }
            // Within the lock of the part, as everywhere.
            let orders = orders.get_or_insert_with(|| lock(&self.orders));
            let sentence = orders.judge(&Subject {
                since: entry.purges,
                name,
                variant: entry.variant,
                host: entry.host.short(),
                tags: entry.tags.as_deref().unwrap_or_default(),
                url: entry.object.as_ref().map(|object| object.key().as_str()),
            });
            match sentence {
                Sentence::Forget => return true,
                Sentence::Validate => {
                    validate += 1;
                    entry.must_validate = true;
                    if let Some(object) = &entry.object {
                        object.set_must_validate();
                    }
                }
                Sentence::Keep => {}
                Sentence::NeedsUrl => return false,
            }
            entry.purges = last;
            false
        });
        drop(orders);
        let forgotten = gone.len() as u64;
        self.bury(gone, false);
        (forgotten, validate)
    }
}
