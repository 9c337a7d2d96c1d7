//! Responses that are on disk alone, brought into memory for whoever asks for them.

use std::collections::btree_map;
use std::io;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::super::disk::Loaded;
use super::super::index::{Entry, Place};
use super::super::object::{Content, Id, Object, Parts};
use super::super::{Variants, lock};
use super::Tiers;
use crate::cache::record::{Header, ObjectHead, PIECE_OCTETS};
use crate::cache::{Key, Moment, Stored};

/// How often a request looks for what others bring from disk before it goes without.
const LOADS_MAX: usize = 4;

impl Tiers {
    /// Everything that is kept for `key`; what is on disk alone comes into memory first.
    pub(in crate::io::cache) async fn load(self: &Arc<Self>, key: &Key) -> Variants {
        let name = self.names.of(key.as_str());
        let place =
            |entry: &Entry| entry.place.filter(|_| entry.object.is_none()).map(|at| (entry.number, at));
        for _ in 0..LOADS_MAX {
            let (found, on_disk) = self.find(key.as_str());
            let Some(disk) = self.disk().filter(|_| on_disk) else { return found };
            let places =
                self.index.look(name, |entries| entries.iter().filter_map(place).collect::<Vec<_>>());
            for (number, place) in places.unwrap_or_default() {
                let loading = match Loading::begin(self, number) {
                    Ok(loading) => loading,
                    Err(other) => {
                        // It comes to its end, or is given up, which ends the waiting just as well.
                        let _ = other.await;
                        continue;
                    }
                };
                match disk.read(place, PIECE_OCTETS as u64).await {
                    Ok(Ok(loaded)) => self.take_in(key, name, number, place, loaded),
                    Ok(Err(error)) => self.lose(name, number, place, &error),
                    // Too many reads wait; this request goes without.
                    Err(_) => {}
                }
                drop(loading);
            }
        }
        self.find(key.as_str()).0
    }

    // Something was read from disk: it comes into memory, unless it is meanwhile gone, or another's.
    fn take_in(self: &Arc<Self>, key: &Key, name: u64, number: u64, place: Place, loaded: Loaded) {
        let Loaded { header, head, disk, content } = loaded;
        if head.url != key.as_str() {
            return;
        }
        let mut weight = 0;
        self.index.look(name, |entries| {
            let entry = entries.iter_mut().find(|entry| entry.number == number)?;
            if entry.object.is_some() || entry.place != Some(place) {
                return None;
            }
            let (stored, is_dated) = self.stored_now(&header, &head);
            entry.must_validate |= !is_dated;
            let parts = Parts {
                id: Id { number, name, variant: entry.variant, purges: entry.purges },
                key: key.clone(),
                stored,
                host: Arc::clone(&entry.host),
                tags: entry.tags.clone(),
                must_validate: entry.must_validate || head.must_validate,
            };
            let content = content.map_or_else(|| Content::Disk(Arc::new(disk)), Content::Memory);
            let object = Arc::new(Object::new(self, parts, Some(head.octets), content));
            weight = object.weight();
            entry.object = Some(object);
            entry.frequency = 0;
            Some(())
        });
        if weight > 0 {
            self.admit(name, number, weight);
        }
    }

    // Something on disk cannot be read, or is not what was written.
    fn lose(&self, name: u64, number: u64, place: Place, error: &io::Error) {
        let is_it = |entry: &mut Entry| entry.number == number && entry.place == Some(place);
        let lost = self.index.change(name, |entries| entries.take(is_it));
        // A segment that went meanwhile is no damage.
        if !lost.is_empty() && error.kind() != io::ErrorKind::NotFound {
            self.count_damaged();
            tracing::warn!(cache = self.config.name, %error, "a response on disk cannot be used");
        }
        self.bury(lost.into_iter().map(|entry| (name, entry)), false);
    }

    // The times of a response on the clocks of this run; false when its age is not known.
    fn stored_now(&self, header: &Header, head: &ObjectHead) -> (Stored, bool) {
        let stored = head.stored.clone();
        if header.mark.run == self.run {
            return (stored, true);
        }
        let now = Moment { now: self.world.now(), wall: self.world.wall() };
        let is_dated = now.wall >= stored.received.wall;
        (stored.carried_over(now), is_dated)
    }
}

/// A response that is being read from disk: once for all who want it.
struct Loading<'t> {
    tiers: &'t Tiers,
    number: u64,
}

impl<'t> Loading<'t> {
    /// The right to read it, or what to wait for while another does.
    fn begin(tiers: &'t Tiers, number: u64) -> Result<Self, oneshot::Receiver<()>> {
        match lock(&tiers.loading).entry(number) {
            btree_map::Entry::Occupied(mut waiting) => {
                let (promise, over) = oneshot::channel();
                waiting.get_mut().push(promise);
                Err(over)
            }
            btree_map::Entry::Vacant(none) => {
                none.insert(Vec::new());
                Ok(Self { tiers, number })
            }
        }
    }
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        // Whoever waits is woken by that nobody can promise anything any more.
        let waiting = lock(&self.tiers.loading).remove(&self.number);
        drop(waiting);
    }
}
