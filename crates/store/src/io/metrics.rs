//! What a store has done, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts since the store was opened, and a few states of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Metrics {
    /// Batches done.
    pub commits: u64,
    /// Batches refused because a check did not hold.
    pub conflicts: u64,
    /// Batches refused because the queue was full.
    pub refused: u64,
    /// Groups written to the log. `commits / groups` is the mean size of a group.
    pub groups: u64,
    /// Largest group so far, in batches.
    pub group_max: u64,
    /// Syncs of the log.
    pub syncs: u64,
    /// Time spent in them; zero without a clock ([`crate::Options::clock`]).
    pub sync_time: Duration,
    /// Octets written to the log.
    pub log_octets: u64,
    /// Times the database took over what the log had.
    pub flushes: u64,
    /// Rows it took over.
    pub flushed_rows: u64,
    /// Batches waiting now.
    pub queue_depth: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) groups: AtomicU64,
    pub(crate) group_max: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) sync_nanos: AtomicU64,
    pub(crate) log_octets: AtomicU64,
    pub(crate) flushes: AtomicU64,
    pub(crate) flushed_rows: AtomicU64,
}

/// Adds to a counter; counters order nothing.
pub(crate) fn count(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

impl Counters {
    pub(crate) fn snapshot(&self, queue_depth: usize) -> Metrics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Metrics {
            commits: read(&self.commits),
            conflicts: read(&self.conflicts),
            refused: read(&self.refused),
            groups: read(&self.groups),
            group_max: read(&self.group_max),
            syncs: read(&self.syncs),
            sync_time: Duration::from_nanos(read(&self.sync_nanos)),
            log_octets: read(&self.log_octets),
            flushes: read(&self.flushes),
            flushed_rows: read(&self.flushed_rows),
            queue_depth: queue_depth as u64,
        }
    }
}
