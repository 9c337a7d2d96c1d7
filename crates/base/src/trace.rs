//! The message trace: every message in or out of an `io/` folder passes here once.
//!
//! Diagrams, the console, transcripts and packet captures only read it. When nobody reads, a message
//! costs one relaxed load. There is no I/O here: events go to a bounded ring and to bounded
//! subscriptions, and whoever writes a file or a socket drains those.

mod event;
mod filter;
mod hash;
pub mod pcapng;

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use event::{Direction, Event, EventId, Flow, Note, Step, Transport};
pub use filter::Filter;
pub use hash::TraceHash;

/// Events kept in the ring of a recording trace, unless told otherwise.
pub const RING_EVENTS: usize = 100_000;
/// Octets of payload kept in the ring; the oldest events go first.
pub const RING_OCTETS: usize = 64 * 1024 * 1024;
/// Octets of payload that wait for one subscriber at the most.
pub const WAITING_OCTETS_MAX: usize = 16 * 1024 * 1024;

/// A handle on one process's trace. Clones are the same trace.
#[derive(Clone)]
pub struct Trace(Arc<Shared>);

struct Shared {
    on: AtomicBool,
    next_id: AtomicU64,
    next_flow: AtomicU64,
    kept: Mutex<Kept>,
}

struct Kept {
    recording: bool,
    events_max: usize,
    octets_max: usize,
    octets: usize,
    ring: VecDeque<Arc<Event>>,
    hash: TraceHash,
    subscribers: Vec<Arc<Queue>>,
}

struct Queue {
    filter: Filter,
    events_max: usize,
    waiting: Mutex<Waiting>,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Arc<Event>>,
    octets: usize,
    lost: u64,
}

impl Default for Trace {
    fn default() -> Self {
        Self::off()
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("on", &self.is_on()).finish_non_exhaustive()
    }
}

impl Trace {
    /// A trace that keeps nothing until somebody subscribes.
    #[must_use]
    pub fn off() -> Self {
        Self::with(false, 0, 0)
    }

    /// A trace that records from the start, bounded by [`RING_EVENTS`] and [`RING_OCTETS`].
    #[must_use]
    pub fn recording() -> Self {
        Self::with(true, RING_EVENTS, RING_OCTETS)
    }

    fn with(recording: bool, events_max: usize, octets_max: usize) -> Self {
        Self(Arc::new(Shared {
            on: AtomicBool::new(recording),
            next_id: AtomicU64::new(1),
            next_flow: AtomicU64::new(1),
            kept: Mutex::new(Kept {
                recording,
                events_max,
                octets_max,
                octets: 0,
                ring: VecDeque::new(),
                hash: TraceHash::default(),
                subscribers: Vec::new(),
            }),
        }))
    }

    /// Whether anybody reads. One relaxed load.
    #[inline]
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.on.load(Ordering::Relaxed)
    }

    /// A number for a new flow (a connection, or a pair of datagram addresses), unique in this trace.
    #[must_use]
    pub fn next_flow(&self) -> u64 {
        self.0.next_flow.fetch_add(1, Ordering::Relaxed)
    }

    /// Records what `make` describes; when the trace is off, `make` is not even called.
    ///
    /// The event's own `id` is filled in here. Returns it, for use as a later event's cause.
    #[inline]
    pub fn record(&self, make: impl FnOnce() -> Event) -> Option<EventId> {
        if self.is_on() { Some(self.keep(make())) } else { None }
    }

    #[cold]
    fn keep(&self, mut event: Event) -> EventId {
        let id = EventId(self.0.next_id.fetch_add(1, Ordering::Relaxed));
        event.id = id;
        let event = Arc::new(event);
        let mut kept = self.kept();
        for queue in &kept.subscribers {
            queue.push(&event);
        }
        if kept.recording {
            kept.hash.add(&event);
            kept.octets += event.octets.len();
            kept.ring.push_back(event);
            while kept.ring.len() > kept.events_max || kept.octets > kept.octets_max {
                let Some(oldest) = kept.ring.pop_front() else { break };
                kept.octets -= oldest.octets.len();
            }
        }
        id
    }

    /// What the ring holds, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<Arc<Event>> {
        self.kept().ring.iter().cloned().collect()
    }

    /// The hash over every event recorded so far, also those that have left the ring.
    ///
    /// Equal seeds give equal hashes: that is how a simulation shows that it is deterministic.
    #[must_use]
    pub fn hash(&self) -> TraceHash {
        self.kept().hash
    }

    /// Follows the trace from now on.
    ///
    /// At most `events_max` events of [`WAITING_OCTETS_MAX`] in all wait; later ones are dropped and counted. `wake` is called after
    /// each event that was queued and must not block. The trace stays on while a subscription lives.
    #[must_use]
    pub fn subscribe(
        &self,
        filter: Filter,
        events_max: usize,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Subscription {
        let queue = Arc::new(Queue { filter, events_max, waiting: Mutex::default(), wake: Box::new(wake) });
        self.kept().subscribers.push(Arc::clone(&queue));
        self.0.on.store(true, Ordering::Relaxed);
        Subscription { queue, trace: self.clone() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.0.kept)
    }
}

// A panic while the lock is held leaves at worst one event half counted; the trace goes on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    fn push(&self, event: &Arc<Event>) {
        if !self.filter.matches(event) {
            return;
        }
        let mut waiting = lock(&self.waiting);
        let octets = waiting.octets + event.octets.len();
        if waiting.events.len() >= self.events_max || octets > WAITING_OCTETS_MAX {
            waiting.lost += 1;
            return;
        }
        waiting.octets = octets;
        waiting.events.push_back(Arc::clone(event));
        drop(waiting);
        (self.wake)();
    }
}

/// A bounded queue of the events that match a filter. Dropping it ends it.
pub struct Subscription {
    queue: Arc<Queue>,
    trace: Trace,
}

impl Subscription {
    /// Everything that waits, oldest first, and how many events were lost since the last call.
    #[must_use]
    pub fn drain(&self) -> (Vec<Arc<Event>>, u64) {
        let mut waiting = lock(&self.queue.waiting);
        let lost = std::mem::take(&mut waiting.lost);
        waiting.octets = 0;
        (waiting.events.drain(..).collect(), lost)
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("filter", &self.queue.filter).finish_non_exhaustive()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut kept = self.trace.kept();
        kept.subscribers.retain(|queue| !Arc::ptr_eq(queue, &self.queue));
        if !kept.recording && kept.subscribers.is_empty() {
            self.trace.0.on.store(false, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
