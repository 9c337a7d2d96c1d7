//! Responses of other servers, kept in memory and on disk: found, filled while they are read, refreshed,
//! forgotten.
//!
//! | file | what it does |
//! | --- | --- |
//! | `conduct.rs` | [`Conductor`]: requests answered from a cache and an origin |
//! | `object.rs` | [`Object`]: a response that is kept; [`Reading`]: its content on the way to a client |
//! | `heads.rs` | [`Heads`](heads::Heads): the head of a response that is kept, ready to be sent |
//! | `fill.rs` | [`Filling`]: a content that arrives, and is read along |
//! | `turn.rs` | [`Turn`]: who asks the origin, and who waits for what that brings |
//! | `tiers.rs`, `tiers/` | memory and disk together: how a response comes in, moves and leaves |
//! | `index.rs` | where everything is |
//! | `memory.rs` | what is in memory, and what has to go |
//! | `disk.rs`, `disk/` | what is on disk |
//! | `hosts.rs` | [`Host`]: bounds and counters host by host |
//! | `caches.rs` | [`Caches`]: all caches of a server, by their names |
//! | `purge_method.rs` | the method PURGE |
//! | `threads.rs` | threads that read from the disk |
//!
//! What may be kept and used again is decided in [`crate::cache`], which is pure. Here octets are kept.
//!
//! Locks are held for a moment and never while anything is waited for. Where two are held at once, it is in
//! this order: queues of the memory, a part of the index, orders to forget.

mod caches;
mod conduct;
mod disk;
mod fill;
mod heads;
mod hosts;
mod index;
mod memory;
mod object;
mod purge_method;
mod threads;
mod tiers;
mod turn;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use doorway_net::World;
use doorway_store::OsDisk;
use tokio::sync::oneshot;

pub use caches::Caches;
pub use conduct::{Conductor, REVALIDATIONS_MAX};
pub use disk::{DiskCounts, SEGMENT_OCTETS, Site};
pub use fill::{Filling, Refused};
pub use hosts::{Host, HostCounts, VERDICTS, Verdict};
pub use object::{Object, Reading};
pub use turn::{Lead, NOT_KEPT, Outcome, Turn, WAITERS_MAX, Wait};

use self::disk::{DiskTier, Job};
use self::index::Index;
use self::tiers::Tiers;
use crate::cache::purges::Target;
use crate::cache::slices::head_key;
use crate::cache::{Key, Purge, PurgeWhat, Stored, host};
use crate::config::CacheConfig;
use crate::error::Error;

/// Most responses that are kept for one target.
pub const VARIANTS_MAX: usize = 64;

/// A cache of responses.
#[derive(Debug)]
pub struct Cache {
    tiers: Arc<Tiers>,
    turns: turn::Turns,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// The responses that are kept for one target, newest first.
#[derive(Debug, Clone, Default)]
pub enum Variants {
    /// None.
    #[default]
    None,
    /// One.
    One(Arc<Object>),
    /// Several, which differ in what selects them, or of which the newest still arrives.
    Many(Vec<Arc<Object>>),
}

impl Variants {
    fn add(&mut self, object: &Arc<Object>) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(Arc::clone(object)),
            Self::One(first) => Self::Many(vec![first, Arc::clone(object)]),
            Self::Many(mut objects) => {
                objects.push(Arc::clone(object));
                Self::Many(objects)
            }
        };
    }
}

impl std::ops::Deref for Variants {
    type Target = [Arc<Object>];

    fn deref(&self) -> &[Arc<Object>] {
        match self {
            Self::None => &[],
            Self::One(object) => std::slice::from_ref(object),
            Self::Many(objects) => objects,
        }
    }
}

/// What a look at everything found to be purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Responses that were forgotten.
    pub forgotten: u64,
    /// Responses that have to be validated before they are used.
    pub to_validate: u64,
}

/// What a cache holds and has done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CacheCounts {
    /// Responses that are kept.
    pub objects: u64,
    /// Those of them that are in memory.
    pub objects_in_memory: u64,
    /// Octets of memory for contents.
    pub memory_octets: u64,
    /// Responses that left the memory because there was no room.
    pub evicted: u64,
    /// Requests to origins under way, for which others may wait.
    pub turns: usize,
    /// What is on disk, where there is one.
    pub disk: Option<DiskCounts>,
    /// The hosts of all.
    pub hosts: Vec<HostCounts>,
}

impl CacheCounts {
    /// All hosts together.
    #[must_use]
    pub fn together(&self) -> HostCounts {
        let mut sum = HostCounts::default();
        self.hosts.iter().for_each(|host| sum.add(host));
        sum
    }
}

impl Cache {
    /// Opens a cache, with its files in `folder` if the config gives it a disk; what lies there from before is
    /// taken up. Blocks while that is read: about a second for a million responses.
    ///
    /// # Errors
    /// [`Error::Cache`] when the folder cannot be used.
    pub fn open(world: &World, config: &CacheConfig, folder: Option<&Path>) -> Result<Arc<Self>, Error> {
        let site = folder.map(|folder| Site {
            disk: Arc::new(OsDisk),
            folder: folder.to_owned(),
            threads: true,
            segment_octets: SEGMENT_OCTETS,
        });
        Self::open_at(world, config, site)
    }

    /// The same at another site, such as a simulated disk.
    ///
    /// # Errors
    /// [`Error::Cache`] when the folder cannot be used.
    pub fn open_at(world: &World, config: &CacheConfig, site: Option<Site>) -> Result<Arc<Self>, Error> {
        let site = site.filter(|_| config.disk_octets_max > 0);
        let Some(site) = site else {
            let mut key = [0; 16];
            world.random().fill(&mut key);
            let tiers = Arc::new(Tiers::new(world, config, key));
            return Ok(Arc::new(Self { tiers, turns: turn::Turns::default(), writer: Mutex::default() }));
        };
        let failed = |source| Error::Cache { path: site.folder.clone(), source };
        let (files, key) = DiskTier::files(&site).map_err(failed)?;
        let tiers = Arc::new(Tiers::new(world, config, key));
        let (disk, orders) = DiskTier::open(&tiers, &site, files).map_err(failed)?;
        tiers.set_disk(disk, orders);
        let writer = Mutex::new(DiskTier::start(&tiers).map_err(failed)?);
        Ok(Arc::new(Self { tiers, turns: turn::Turns::default(), writer }))
    }

    /// What the operator says about it.
    #[must_use]
    pub fn config(&self) -> &CacheConfig {
        self.tiers.config()
    }

    /// What is kept for `url` and can be had without waiting. What is on disk alone is not among it:
    /// [`Cache::load`] has that too.
    #[must_use]
    pub fn find(&self, url: &str) -> Variants {
        self.tiers.find(url).0
    }

    /// Everything that is kept for `key`, in memory and on disk.
    pub async fn load(&self, key: &Key) -> Variants {
        self.tiers.load(key).await
    }

    /// Who asks the origin for `key`, as a request with these selecting fields would; none when it is not
    /// known what selects.
    pub fn take_turn(self: &Arc<Self>, key: &Key, selecting: &[(String, Option<String>)]) -> Turn {
        let names = self.tiers.names();
        let number = names.of(key.as_str()) ^ names.variant(selecting).rotate_left(1);
        self.turns.take(self, key, number)
    }

    /// Gives a response other fields and times, as a 304 does; its content stays.
    pub fn refresh(&self, object: &Arc<Object>, stored: Stored) -> Arc<Object> {
        self.tiers.refresh(object, stored)
    }

    /// Forgets one response; who reads it goes on.
    pub fn remove(&self, object: &Arc<Object>) {
        self.tiers.drop_unfinished(object);
    }

    /// Forgets everything about a target, as after an unsafe request (RFC 9111 §4.4), also what is on its way
    /// now. Returns how many responses there were.
    pub fn invalidate(&self, key: &Key) -> usize {
        let mut count = 0;
        // What is said about its slices goes too, without which nobody finds them.
        for key in [key, &head_key(key)] {
            let name = self.tiers.names().of(key.as_str());
            let order = self.tiers.give_order(false, Target::Url(name));
            let gone = self.tiers.index.change(name, |entries| entries.take(|_| true));
            count += gone.len();
            let on_disk = gone.iter().any(|entry| entry.place.is_some());
            self.tiers.bury(gone.into_iter().map(|entry| (name, entry)), false);
            if on_disk {
                self.tiers.leave(Job::Order(order, None));
            }
        }
        count
    }

    /// Forgets what an operator wants to be forgotten. It is in force at once; this comes back when no restart
    /// can bring anything back. [`Cache::sweep`] gives its memory back, and counts.
    ///
    /// # Errors
    /// [`Error::Cache`] when it could not be written down: it is in force until the next start.
    pub async fn purge(&self, purge: &Purge) -> Result<(), Error> {
        let names = self.tiers.names();
        let target = match &purge.what {
            PurgeWhat::Url(key) => Target::Url(names.of(key.as_str())),
            PurgeWhat::Prefix(prefix) => {
                Target::Prefix(self.tiers.host(host(prefix)).short(), prefix.clone())
            }
            PurgeWhat::Host(host) => Target::Host(self.tiers.host(host).short()),
            PurgeWhat::Tag(tag) => Target::Tag(names.of(tag)),
        };
        let order = self.tiers.give_order(purge.soft, target);
        if let PurgeWhat::Url(key) = &purge.what {
            self.purge_url(names.of(key.as_str()), purge.soft);
            let slices = names.of(head_key(key).as_str());
            let order = self.tiers.give_order(purge.soft, Target::Url(slices));
            self.purge_url(slices, purge.soft);
            self.tiers.leave(Job::Order(order, None));
        }
        let Some(_) = self.tiers.disk() else { return Ok(()) };
        let (promise, durable) = oneshot::channel();
        self.tiers.leave(Job::Order(order, Some(promise)));
        let durable = durable.await.unwrap_or_else(|_| Err(std::io::ErrorKind::BrokenPipe.into()));
        durable.map_err(|source| Error::Cache { path: self.config().name.clone().into(), source })
    }

    fn purge_url(&self, name: u64, soft: bool) {
        let gone = self.tiers.index.change(name, |entries| {
            entries.take(|entry| {
                entry.must_validate |= soft;
                if let Some(object) = entry.object.as_ref().filter(|_| soft) {
                    object.set_must_validate();
                }
                !soft
            })
        });
        self.tiers.bury(gone.into_iter().map(|entry| (name, entry)), false);
    }

    /// Looks at everything that is kept, and lets go what purges are about. They are in force without this;
    /// it gives memory back, a part of the index at a time.
    pub async fn sweep(&self) -> Swept {
        let mut swept = Swept::default();
        for part in 0..Index::parts() {
            let (forgotten, to_validate) = self.tiers.sweep(part);
            swept.forgotten += forgotten;
            swept.to_validate += to_validate;
            if forgotten + to_validate > 0 {
                tokio::task::yield_now().await;
            }
        }
        swept
    }

    /// The same beside the workers, for whoever does not wait for it.
    pub fn sweep_beside(self: &Arc<Self>) {
        let cache = Arc::clone(self);
        self.tiers.world.spawn_background("http", async move { _ = cache.sweep().await });
    }

    /// The host with this name, which counts how requests were answered.
    #[must_use]
    pub fn host(&self, name: &str) -> Arc<Host> {
        self.tiers.host(name)
    }

    /// What it holds and has done.
    #[must_use]
    pub fn counts(&self) -> CacheCounts {
        let memory = self.tiers.memory();
        CacheCounts {
            objects: self.tiers.index.len(),
            objects_in_memory: memory.residents(),
            memory_octets: memory.octets(),
            evicted: memory.evicted(),
            turns: self.turns.len(),
            disk: self.tiers.disk().map(DiskTier::counts),
            hosts: self.tiers.hosts.counts(),
        }
    }

    /// Waits until everything that is to be written now is written.
    pub async fn flush(&self) {
        let (promise, written) = oneshot::channel();
        if self.tiers.leave(Job::Flush(promise)) {
            let _ = written.await;
        }
    }

    /// Writes what waits, and ends. Blocks: not for a worker.
    pub fn close(&self) {
        if let Some(disk) = self.tiers.disk() {
            disk.close();
        }
        if let Some(writer) = lock(&self.writer).take() {
            let _ = writer.join();
        }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.close();
        // Objects hold what holds the index.
        for part in 0..Index::parts() {
            drop(self.tiers.index.sweep(part, |_, _| true));
        }
    }
}

// What a panic may leave behind under a lock is whole: values are moved in and out, never half built there.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
