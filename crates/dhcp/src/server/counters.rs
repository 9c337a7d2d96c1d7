//! What the server counted, for metrics and commands.

use std::collections::VecDeque;
use std::time::Duration;

use doorway_base::Instant;

use super::table::SubnetCounts;
use super::verdict::DropReason;
use crate::plan::Network;
use crate::wire::MessageType;

/// How long a declined address counts towards an alarm.
const DECLINE_WINDOW: Duration = Duration::from_secs(3600);
/// Declined addresses that never raise an alarm.
const DECLINES_QUIET: usize = 2;
/// The part of a pool that raises an alarm when it is declined: one in twenty.
const DECLINES_PART: u32 = 20;
/// Most alarms that wait to be taken.
const ALARMS_MAX: usize = 64;

/// Counts since the start, and how things stand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Messages in, by type; in the order of [`MessageType::ALL`].
    pub received: [u64; 8],
    /// Messages out, by type. An ACK counts when it was decided, before it is written down.
    pub sent: [u64; 8],
    /// Messages without an answer, by reason; in the order of [`DropReason::ALL`].
    pub dropped: [u64; DropReason::ALL.len()],
    /// Leases that ended because their time was over.
    pub expired: u64,
    /// Changes that could not be written and were taken back.
    pub failed: u64,
    /// Probes asked for, and those that found somebody.
    pub probes: u64,
    /// Addresses that a probe found in use.
    pub conflicts: u64,
    /// Addresses offered without a probe since too many were under way.
    pub probes_skipped: u64,
    /// Options left out of replies for want of room.
    pub options_left_out: u64,
    /// Each subnet, by address.
    pub subnets: Vec<(Network, SubnetCounts)>,
    /// Records in memory: leases in force and remembered ones.
    pub records: usize,
    /// Changes that are being written.
    pub open: usize,
    /// Whether leases cannot be written at the moment.
    pub degraded: bool,
}

impl Stats {
    /// Counts a message in or out.
    pub(super) fn count(counts: &mut [u64; 8], kind: MessageType) {
        counts[kind as usize - 1] += 1;
    }

    /// Counts a message without an answer.
    pub(super) fn drop(&mut self, reason: DropReason) {
        self.dropped[reason as usize] += 1;
    }
}

/// Something an operator should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alarm {
    /// Many addresses of a subnet were found in use by others within an hour.
    Declines {
        /// The subnet.
        network: Network,
        /// How many.
        declined: usize,
    },
}

/// Addresses of one subnet that were declined of late.
#[derive(Debug, Default)]
pub(super) struct Declines {
    when: VecDeque<Instant>,
    /// Until when nothing more is said.
    quiet_until: Instant,
}

impl Declines {
    /// Counts one more; returns how many there were within an hour when that is a reason for an alarm, which is
    /// raised once an hour.
    pub(super) fn count(&mut self, now: Instant, pool: u32) -> Option<usize> {
        while self.when.front().is_some_and(|&when| when + DECLINE_WINDOW <= now) {
            self.when.pop_front();
        }
        let enough = (pool / DECLINES_PART) as usize;
        // More than raise the alarm need not be kept.
        if self.when.len() <= enough + DECLINES_QUIET {
            self.when.push_back(now);
        }
        let many = self.when.len() > enough && self.when.len() > DECLINES_QUIET;
        if !many || now < self.quiet_until {
            return None;
        }
        self.quiet_until = now + DECLINE_WINDOW;
        Some(self.when.len())
    }
}

/// Alarms that nobody took yet; beyond some, the oldest are forgotten.
pub(super) fn raise(alarms: &mut VecDeque<Alarm>, alarm: Alarm) {
    if alarms.len() == ALARMS_MAX {
        alarms.pop_front();
    }
    alarms.push_back(alarm);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_twentieth_of_a_pool_within_an_hour_raises_one_alarm() {
        let at = |minutes: u64| Instant::ZERO + Duration::from_secs(60 * minutes);
        let mut small = Declines::default();
        assert_eq!(
            (1..=4).map(|minute| small.count(at(minute), 10)).collect::<Vec<_>>(),
            [None, None, Some(3), None]
        );
        assert_eq!(
            (100..=102).map(|minute| small.count(at(minute), 10)).collect::<Vec<_>>(),
            [None, None, Some(3)]
        );
        let mut large = Declines::default();
        assert_eq!((0..59).filter_map(|minute| large.count(at(minute), 1000)).collect::<Vec<_>>(), [51]);
        let mut slow = Declines::default();
        assert!((0..100).all(|hour| slow.count(at(61 * hour), 10).is_none()));
    }
}
