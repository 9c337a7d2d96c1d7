//! How many messages one hardware address may send in a second. The table has one size; who falls upon
//! another's place takes it over.

use doorway_base::Instant;

/// Places of the table: a power of two.
const PLACES: usize = 1 << 15;

/// What was counted.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    tag: u32,
    second: u32,
    count: u32,
}

/// Counts messages by a keyed hash of who sent them.
#[derive(Debug)]
pub(crate) struct Rate {
    places: Box<[Place]>,
}

impl Rate {
    pub(crate) fn new() -> Self {
        Self { places: vec![Place::default(); PLACES].into() }
    }

    /// Whether one more message of the sender with this hash is let through; at most `limit` are in one second,
    /// and 0 stands for any number.
    pub(crate) fn admits(&mut self, now: Instant, hash: u64, limit: u32) -> bool {
        if limit == 0 {
            return true;
        }
        let second = (now.as_nanos() / 1_000_000_000) as u32;
        let tag = (hash >> 32) as u32;
        let place = &mut self.places[hash as usize % PLACES];
        if place.tag != tag || place.second != second {
            *place = Place { tag, second, count: 0 };
        }
        place.count = place.count.saturating_add(1);
        place.count <= limit
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_sender_that_sends_too_much_waits_for_the_next_second() {
        let mut rate = Rate::new();
        let admitted = |rate: &mut Rate, now| (0..30).filter(|_| rate.admits(now, 7 << 40, 10)).count();
        assert_eq!(admitted(&mut rate, Instant::ZERO), 10);
        assert!(rate.admits(Instant::ZERO, 8 << 40 | 1, 10));
        assert_eq!(admitted(&mut rate, Instant::ZERO + Duration::from_secs(1)), 10);
        assert!((0..100).all(|_| rate.admits(Instant::ZERO, 5, 0)));
    }
}
