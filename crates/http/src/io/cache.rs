//! Responses of other servers, kept in memory: found, filled while they are read, refreshed, forgotten.
//!
//! | file | what it does |
//! | --- | --- |
//! | `conduct.rs` | [`Conductor`]: requests answered from a cache and an origin |
//! | `object.rs` | [`Object`]: a response that is kept; [`Reading`]: its content on the way to a client |
//! | `heads.rs` | [`Heads`]: the head of a response that is kept, ready to be sent |
//! | `fill.rs` | [`Filling`]: a content that arrives, and is read along |
//! | `turn.rs` | [`Turn`]: who asks the origin, and who waits for what that brings |
//!
//! What may be kept and used again is decided in [`crate::cache`], which is pure. Here octets are kept.

mod conduct;
mod fill;
mod heads;
mod object;
mod turn;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use doorway_net::World;

pub use conduct::{Conductor, REVALIDATIONS_MAX};
pub use fill::{Filling, Refused};
pub use object::{Object, Reading};
pub use turn::{Lead, NOT_KEPT, Outcome, Turn, WAITERS_MAX, Wait};

use crate::cache::{Key, Purge, PurgeWhat, Stored};
use crate::config::CacheConfig;
use crate::error::Error;

/// Most responses that are kept for one target.
pub const VARIANTS_MAX: usize = 64;

/// A cache of responses. No lock in it is held while anything is waited for.
#[derive(Debug)]
pub struct Cache {
    world: World,
    config: CacheConfig,
    hash: RandomState,
    turns: turn::Turns,
    numbers: AtomicU64,
    purges: AtomicU64,
    // Looked up, never iterated but by a purge.
    objects: Mutex<HashMap<Key, Vec<Arc<Object>>>>,
}

/// The responses that are kept for one target, newest first.
#[derive(Debug, Default)]
pub enum Variants {
    /// None.
    #[default]
    None,
    /// One.
    One(Arc<Object>),
    /// Several, which differ in what selects them, or of which the newest still arrives.
    Many(Vec<Arc<Object>>),
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

/// What a purge found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    /// How many responses it was about.
    pub objects: u64,
}

impl Cache {
    /// Opens a cache; what lies in `folder` from before is taken up, where the config gives it a disk.
    ///
    /// # Errors
    /// [`Error::Root`] when the folder cannot be used.
    pub fn open(world: &World, config: &CacheConfig, folder: Option<&Path>) -> Result<Arc<Self>, Error> {
        let _ = folder;
        Ok(Arc::new(Self {
            world: world.clone(),
            config: config.clone(),
            hash: RandomState::new(),
            turns: turn::Turns::default(),
            numbers: AtomicU64::new(1),
            purges: AtomicU64::new(0),
            objects: Mutex::default(),
        }))
    }

    /// What the operator says about it.
    #[must_use]
    pub const fn config(&self) -> &CacheConfig {
        &self.config
    }

    /// What is kept for `url` and can be had without waiting; whether there is more on disk,
    /// [`Cache::load`] says.
    #[must_use]
    pub fn find(&self, url: &str) -> Variants {
        match lock(&self.objects).get(url).map(Vec::as_slice) {
            None | Some([]) => Variants::None,
            Some([object]) => Variants::One(Arc::clone(object)),
            Some(objects) => Variants::Many(objects.to_vec()),
        }
    }

    /// Everything that is kept for `key`, in memory and on disk.
    pub async fn load(&self, key: &Key) -> Variants {
        self.find(key.as_str())
    }

    /// Who asks the origin for `key`, as a request with these selecting fields would; none when it is not
    /// known what selects.
    pub fn take_turn(self: &Arc<Self>, key: &Key, selecting: &[(String, Option<String>)]) -> Turn {
        let number = self.hash.hash_one((key, selecting));
        self.turns.take(self, key, number)
    }

    /// Requests to origins for which others may wait.
    #[must_use]
    pub fn turns_under_way(&self) -> usize {
        self.turns.len()
    }

    /// Gives a response other fields and times, as a 304 does; its content stays.
    pub fn refresh(&self, object: &Arc<Object>, stored: Stored) -> Arc<Object> {
        let fresh = Arc::new(object.with_stored(stored));
        self.replace(object, &fresh);
        fresh
    }

    /// Forgets one response; who reads it goes on.
    pub fn remove(&self, object: &Arc<Object>) {
        let mut objects = lock(&self.objects);
        if let Some(variants) = objects.get_mut(object.key()) {
            variants.retain(|other| other.number() != object.number());
        }
    }

    /// Forgets everything about a target, as after an unsafe request (RFC 9111 §4.4). Returns how many
    /// responses there were.
    pub fn invalidate(&self, key: &Key) -> usize {
        self.purges.fetch_add(1, Relaxed);
        lock(&self.objects).remove(key).map_or(0, |variants| variants.len())
    }

    /// Forgets what an operator wants to be forgotten, and comes back when no restart can bring it back.
    ///
    /// # Errors
    /// [`Error::Root`] when that could not be written down; it is forgotten until the restart all the same.
    pub async fn purge(&self, purge: &Purge) -> Result<Purged, Error> {
        self.purges.fetch_add(1, Relaxed);
        let mut objects = lock(&self.objects);
        let mut count = 0;
        let is_meant = |key: &Key, object: &Object| match &purge.what {
            PurgeWhat::Url(url) => key == url,
            PurgeWhat::Prefix(prefix) => key.as_str().starts_with(prefix.as_str()),
            PurgeWhat::Host(_) | PurgeWhat::Tag(_) => {
                let _ = object;
                false
            }
        };
        for (key, variants) in objects.iter_mut() {
            variants.retain(|object| {
                let meant = is_meant(key, object);
                count += u64::from(meant);
                if meant && purge.soft {
                    object.set_must_validate();
                }
                !meant || purge.soft
            });
        }
        Ok(Purged { objects: count })
    }

    fn purges_so_far(&self) -> u64 {
        self.purges.load(Relaxed)
    }

    fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Relaxed)
    }

    fn object_octets_max(&self) -> u64 {
        self.config.object_octets_max.min(self.config.memory_octets_max / 8)
    }

    /// Takes up a response that begins to arrive.
    fn insert(&self, object: &Arc<Object>) {
        let mut objects = lock(&self.objects);
        let variants = objects.entry(object.key().clone()).or_default();
        variants.insert(0, Arc::clone(object));
        variants.truncate(VARIANTS_MAX);
    }

    /// Puts `new` in the place of `old`, if that is still there, and drops what it supersedes.
    fn replace(&self, old: &Arc<Object>, new: &Arc<Object>) {
        let mut objects = lock(&self.objects);
        let Some(variants) = objects.get_mut(old.key()) else { return };
        if let Some(place) = variants.iter_mut().find(|other| other.number() == old.number()) {
            *place = Arc::clone(new);
            variants.retain(|other| {
                other.number() == new.number()
                    || other.is_filling()
                    || other.stored().selecting != new.stored().selecting
            });
        }
    }
}

// What a panic may leave behind under a lock is whole: values are moved in and out, never half built there.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
