//! What is to happen when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use doorway_base::Instant;

/// What a moment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A query is given up.
    Query(u64),
    /// A client that could have old data gets it.
    Stale(u64),
    /// A job is given up.
    Wall(u64),
}

/// Moments in order. One whose job or query is gone is passed over when it comes.
#[derive(Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Instant, Timer)>>);

impl Timers {
    pub(super) fn add(&mut self, at: Instant, timer: Timer) {
        self.0.push(Reverse((at, timer)));
    }

    /// The next moment.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes off the first timer that is due.
    pub(super) fn due(&mut self, now: Instant) -> Option<Timer> {
        self.0.peek().filter(|Reverse((at, _))| *at <= now)?;
        self.0.pop().map(|Reverse((_, timer))| timer)
    }

    /// The first timer, due or not, to see whether it still means anything.
    pub(super) fn first(&self) -> Option<Timer> {
        self.0.peek().map(|Reverse((_, timer))| *timer)
    }

    /// Takes off the first timer.
    pub(super) fn drop_first(&mut self) {
        self.0.pop();
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Keeps only timers that still mean something.
    pub(super) fn retain(&mut self, keep: impl Fn(&Timer) -> bool) {
        self.0.retain(|Reverse((_, timer))| keep(timer));
    }
}
