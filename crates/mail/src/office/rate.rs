//! How much may come in an hour: a bucket for each user and each network, that fills as time passes.

use std::collections::BTreeMap;
use std::time::Duration;

use doorway_base::Instant;

/// Most buckets kept; a full one need not be.
const BUCKETS_MAX: usize = 10_000;
/// The span that a rate is told for.
const HOUR: Duration = Duration::from_secs(3600);

/// Buckets by name.
#[derive(Debug)]
pub struct Rates {
    per_hour: usize,
    buckets: BTreeMap<String, Bucket>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    taken: f64,
    at: Instant,
}

impl Bucket {
    fn at(self, now: Instant, per_hour: usize) -> Self {
        let given_back = now.since(self.at).as_secs_f64() / HOUR.as_secs_f64() * per_hour as f64;
        Self { taken: (self.taken - given_back).max(0.0), at: now }
    }
}

impl Rates {
    /// Lets so many through in an hour, and as many at once; 0 for no bound.
    #[must_use]
    pub const fn new(per_hour: usize) -> Self {
        Self { per_hour, buckets: BTreeMap::new() }
    }

    /// Takes one for `name`, and says whether it was there. In a flood of names, new ones are refused.
    pub fn take(&mut self, name: &str, now: Instant) -> bool {
        if self.per_hour == 0 {
            return true;
        }
        if !self.buckets.contains_key(name) {
            if self.buckets.len() >= BUCKETS_MAX {
                let per_hour = self.per_hour;
                self.buckets.retain(|_, bucket| bucket.at(now, per_hour).taken > 0.0);
            }
            if self.buckets.len() >= BUCKETS_MAX {
                return false;
            }
        }
        let bucket = self.buckets.entry(name.to_owned()).or_insert(Bucket { taken: 0.0, at: now });
        *bucket = bucket.at(now, self.per_hour);
        if bucket.taken + 1.0 > self.per_hour as f64 {
            return false;
        }
        bucket.taken += 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_fills_again_within_an_hour() {
        let mut rates = Rates::new(60);
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        for _ in 0..60 {
            assert!(rates.take("ann", at(0)));
        }
        assert!(!rates.take("ann", at(59)));
        assert!(rates.take("bob", at(59)));
        assert!(rates.take("ann", at(61)) && !rates.take("ann", at(61)));
        assert_eq!((0..100).filter(|_| rates.take("ann", at(8000))).count(), 60);
        assert!((0..1000).all(|_| Rates::new(0).take("ann", at(0))));
    }

    #[test]
    fn a_flood_of_names_is_bounded() {
        let mut rates = Rates::new(10);
        for number in 0..BUCKETS_MAX {
            assert!(rates.take(&number.to_string(), Instant::ZERO));
        }
        assert!(!rates.take("ann", Instant::ZERO));
        assert!(rates.take("ann", Instant::ZERO + HOUR));
        assert_eq!(rates.buckets.len(), 1);
    }
}
