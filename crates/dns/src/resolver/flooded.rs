//! Zones below which somebody asks for random names, as all threads of a server see them.
//!
//! A resolver [marks](Flooded::mark) a zone for a moment when it has had its share of names that do not
//! exist; whoever reads queries then need not hand over what would be refused anyway. Two zones that meet
//! in one place take it from each other, which only costs work.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;

use doorway_base::Instant;

use crate::zone::Key;

/// The extended error of who is refused for it: No Reachable Authority (RFC 8914 §4.23).
pub const EXTENDED_ERROR: (u16, &str) = (22, "too many names of its zone do not exist");
/// Zones marked at once.
const ZONES: usize = 256;
/// How long a mark holds. Names that a zone earns meanwhile are asked about when it is over.
const MARKED: Duration = Duration::from_millis(50);
/// Zones with fewer labels are never marked.
pub(super) const LABELS_MIN: usize = 2;
/// The low bits of a place: the millisecond in which the mark ends, counted round.
const TIME_BITS: u32 = 24;

/// The marks. Zones are known by the keyed hash of their names ([`Key::hash`]).
#[derive(Debug)]
pub struct Flooded {
    /// When the last mark ends, in nanoseconds: one look when there is no flood.
    until: AtomicU64,
    places: [AtomicU64; ZONES],
}

impl Default for Flooded {
    fn default() -> Self {
        Self { until: AtomicU64::new(0), places: [const { AtomicU64::new(0) }; ZONES] }
    }
}

impl Flooded {
    /// Says that names of the zone with this hash are not to be asked about for a moment.
    pub fn mark(&self, now: Instant, zone: u64) {
        let until = now + MARKED;
        let ends = millis(until);
        self.places[zone as usize % ZONES].store(zone & !mask() | ends, Relaxed);
        self.until.fetch_max(until.as_nanos(), Relaxed);
    }

    /// Whether any zone above the name is marked.
    #[inline]
    #[must_use]
    pub fn covers(&self, now: Instant, name: &Key) -> bool {
        now.as_nanos() < self.until.load(Relaxed) && self.look(now, name)
    }

    #[cold]
    fn look(&self, now: Instant, name: &Key) -> bool {
        (1..name.labels().saturating_sub(LABELS_MIN - 1)).any(|label| {
            let zone = name.hash(label);
            let place = self.places[zone as usize % ZONES].load(Relaxed);
            let left = place.wrapping_sub(millis(now)) & mask();
            place & !mask() == zone & !mask() && left > 0 && left <= MARKED.as_millis() as u64
        })
    }
}

const fn mask() -> u64 {
    (1 << TIME_BITS) - 1
}

fn millis(at: Instant) -> u64 {
    (at.as_nanos() / 1_000_000) & mask()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Name;
    use crate::zone::HashKey;
    use doorway_base::Random;

    #[test]
    fn names_below_a_marked_zone_are_covered_for_a_moment() {
        let secret = HashKey::new(&mut Random::new(1));
        let key = |name: &str| {
            let mut key = Key::default();
            key.set(secret, name.parse::<Name>().unwrap().as_octets()).unwrap();
            key
        };
        let at = |millis: u64| Instant::from_nanos(millis * 1_000_000);
        let flooded = Flooded::default();
        let zone = key("example.test");
        // Close to where the counted milliseconds begin anew.
        for start in [5, (1 << TIME_BITS) - 10] {
            flooded.mark(at(start), zone.hash(0));
            for (name, covered) in [
                ("a.example.test", true),
                ("A.B.Example.TEST", true),
                ("example.test", false),
                ("other.test", false),
                ("test", false),
                (".", false),
            ] {
                assert_eq!(flooded.covers(at(start), &key(name)), covered, "{name}");
                assert_eq!(flooded.covers(at(start + 49), &key(name)), covered, "{name}");
                assert!(!flooded.covers(at(start + 50), &key(name)), "{name}");
            }
        }
    }
}
