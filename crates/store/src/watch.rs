//! Hints that something below a prefix has changed.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Poll, Waker};

use crate::key::Key;
use crate::lock::lock;

/// Most watches at once; one beyond it is woken by every commit instead of only by its own prefix.
pub const WATCHES_MAX: usize = 4096;

#[derive(Debug, Default)]
struct Slot {
    /// Sequence number of the last commit that touched the prefix.
    seq: u64,
    /// Sequence number last given to the watcher.
    seen: u64,
    closed: bool,
    waker: Option<Waker>,
}

/// A watch on a prefix. Dropping it ends it.
#[derive(Debug)]
pub struct Watch {
    slot: Arc<Mutex<Slot>>,
}

impl Watch {
    /// Waits until something below the prefix has changed since the last call, and gives the sequence
    /// number of the newest such commit; `None` when the store has closed.
    pub fn changed(&mut self) -> impl Future<Output = Option<u64>> + Send + '_ {
        poll_fn(|context| {
            let mut slot = lock(&self.slot);
            if slot.seq > slot.seen {
                slot.seen = slot.seq;
                return Poll::Ready(Some(slot.seq));
            }
            if slot.closed {
                return Poll::Ready(None);
            }
            slot.waker = Some(context.waker().clone());
            Poll::Pending
        })
    }

    /// The same without waiting: `None` when nothing has changed since the last call.
    pub fn poll_changed(&mut self) -> Option<u64> {
        let mut slot = lock(&self.slot);
        let fresh = slot.seq > slot.seen;
        slot.seen = slot.seq;
        fresh.then_some(slot.seq)
    }
}

/// The watches of one store.
#[derive(Debug, Default)]
pub(crate) struct Watches(Mutex<BTreeMap<Key, Vec<Weak<Mutex<Slot>>>>>);

impl Watches {
    /// Begins a watch.
    pub(crate) fn watch(&self, prefix: Key) -> Watch {
        let slot = Arc::new(Mutex::new(Slot::default()));
        let mut by_prefix = lock(&self.0);
        by_prefix.retain(|_, slots| {
            slots.retain(|slot| slot.strong_count() > 0);
            !slots.is_empty()
        });
        // Beyond the bound the empty prefix serves: more hints than needed, never fewer.
        let prefix = if by_prefix.len() < WATCHES_MAX { prefix } else { Key::default() };
        by_prefix.entry(prefix).or_default().push(Arc::downgrade(&slot));
        Watch { slot }
    }

    /// True when nobody watches.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }

    /// Tells the watchers of `keys` that commit `seq` has changed them. Call it when the change can be seen.
    pub(crate) fn tell<'a>(&self, keys: impl Iterator<Item = &'a Key>, seq: u64) {
        let by_prefix = lock(&self.0);
        if by_prefix.is_empty() {
            return;
        }
        let mut lengths: Vec<usize> = by_prefix.keys().map(Key::octets).collect();
        lengths.sort_unstable();
        lengths.dedup();
        for key in keys {
            for length in lengths.iter().take_while(|length| **length <= key.octets()) {
                let prefix = Key::from(&key.as_octets()[..*length]);
                for slot in by_prefix.get(&prefix).into_iter().flatten().filter_map(Weak::upgrade) {
                    let waker = {
                        let mut slot = lock(&slot);
                        slot.seq = slot.seq.max(seq);
                        slot.waker.take()
                    };
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                }
            }
        }
    }

    /// Ends every watch.
    pub(crate) fn close(&self) {
        for slot in lock(&self.0).values().flatten().filter_map(Weak::upgrade) {
            let waker = {
                let mut slot = lock(&slot);
                slot.closed = true;
                slot.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}
