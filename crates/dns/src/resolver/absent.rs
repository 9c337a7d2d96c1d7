//! Names that do not exist, counted for each zone: who asks for random names below one zone has its
//! servers, and this one, do work that helps nobody. Beyond a rate, names of such a zone that are not in
//! the cache are not asked about until the second is over.
//!
//! Root and top-level domains are not counted: mistyped names fall to them.

use std::sync::Arc;

use doorway_base::Instant;

use super::flooded::{Flooded, LABELS_MIN};

/// Zones counted at once; those that meet in one place take it from each other.
const ZONES: usize = 1024;

/// The accounts of all zones.
#[derive(Debug)]
pub(super) struct Absent {
    per_second: u32,
    places: Vec<Account>,
    flooded: Arc<Flooded>,
}

#[derive(Debug, Clone, Copy)]
struct Account {
    zone: u64,
    left: u32,
    at: Instant,
}

impl Absent {
    /// Accounts that allow so many absent names of one zone in a second; 0 counts nothing.
    pub(super) fn new(per_second: u32, flooded: Arc<Flooded>) -> Self {
        let account = Account { zone: 0, left: per_second, at: Instant::ZERO };
        Self { per_second, places: vec![account; if per_second == 0 { 0 } else { ZONES }], flooded }
    }

    fn account(&mut self, now: Instant, zone: u64) -> Option<&mut Account> {
        let per_second = self.per_second;
        let account = self.places.get_mut(zone as usize % ZONES)?;
        if account.zone != zone {
            *account = Account { zone, left: per_second, at: now };
        }
        let earned = (now - account.at).as_millis() * u128::from(per_second) / 1000;
        if earned > 0 {
            account.left = u128::from(account.left).saturating_add(earned).min(per_second.into()) as u32;
            account.at = now;
        }
        Some(account)
    }

    /// Counts a name of `zone`, a hash, that does not exist.
    pub(super) fn count(&mut self, now: Instant, zone: u64, labels: usize) {
        if let Some(account) = self.account(now, zone).filter(|_| labels >= LABELS_MIN) {
            account.left = account.left.saturating_sub(1);
        }
    }

    /// Whether the zone has had its share of them; then all threads are told.
    pub(super) fn is_over(&mut self, now: Instant, zone: u64) -> bool {
        let over = self.account(now, zone).is_some_and(|account| account.left == 0);
        if over {
            self.flooded.mark(now, zone);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_left_alone_after_too_many_names_and_asked_again_later() {
        let at = |millis: u64| Instant::from_nanos(millis * 1_000_000);
        let mut absent = Absent::new(100, Arc::default());
        for _ in 0..100 {
            assert!(!absent.is_over(at(0), 7));
            absent.count(at(0), 7, 2);
        }
        assert!(absent.is_over(at(0), 7) && !absent.is_over(at(0), 8));
        assert!(!absent.is_over(at(10), 7), "one more is earned after 10 ms");
        (0..1000).for_each(|_| absent.count(at(20), 9, 1));
        assert!(!absent.is_over(at(20), 9), "a top-level domain is not counted");
        let mut without = Absent::new(0, Arc::default());
        (0..1000).for_each(|_| without.count(at(0), 7, 2));
        assert!(!without.is_over(at(0), 7));
    }
}
