//! What a server has done so far, for metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::server::DropReason;

/// Counters since the start. Messages by type are the engine's business.
#[derive(Debug, Default)]
pub struct Counters {
    /// Messages that came in.
    pub messages_in: AtomicU64,
    /// Messages that left.
    pub messages_out: AtomicU64,
    /// Replies that the system did not take: no way to the client, no room, an interface that is down.
    pub unsent: AtomicU64,
    drops: [AtomicU64; DropReason::ALL.len()],
    /// Changes of leases that were written.
    pub settled: AtomicU64,
    /// Changes that were taken back because they could not be written.
    pub unsettled: AtomicU64,
    /// Changes that found too many others waiting for their names.
    pub names_refused: AtomicU64,
    /// Leases that were written without their name, because the name server could not take it.
    pub names_failed: AtomicU64,
    /// Messages that brought our own code down; nothing was sent.
    pub panics: AtomicU64,
    /// Times that a link could not be listened on any more.
    pub links_lost: AtomicU64,
    /// Other servers found on our links.
    pub rogues: AtomicU64,
    /// Subnets with many addresses that were found in use by others, each once an hour.
    pub alarms: AtomicU64,
    pub(super) degraded: AtomicBool,
}

impl Counters {
    pub(super) fn count_drop(&self, reason: DropReason) {
        if let Some(place) = DropReason::ALL.iter().position(|known| *known == reason) {
            self.drops[place].fetch_add(1, Relaxed);
        }
    }

    /// Messages that got no answer, by reason.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> {
        DropReason::ALL.into_iter().zip(self.drops.iter().map(|count| count.load(Relaxed)))
    }

    /// Whether leases cannot be written at the moment: clients keep what they have, and nobody gets more.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.degraded.load(Relaxed)
    }
}

pub(super) fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Relaxed);
}
