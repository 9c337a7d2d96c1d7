//! A generator that is nothing but its seed, so that equal seeds give equal runs.
//!
//! Who sees some of its draws cannot tell the others, as ids and ports of DNS queries need it
//! (RFC 5452 §9). Keys and passwords come from the operating system all the same, through `net`.

use std::fmt;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Octets of a whole seed.
pub const SEED_OCTETS: usize = 32;

/// Deterministic pseudo-random numbers: the stream cipher ChaCha with twelve rounds.
#[derive(Clone)]
pub struct Random(ChaCha12Rng);

impl fmt::Debug for Random {
    /// What will be drawn does not print itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

impl Random {
    /// A generator whose whole future is `seed`. For tests and simulations: a number of 64 bits can be
    /// guessed by whoever tries for long.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha12Rng::seed_from_u64(seed))
    }

    /// A generator whose whole future is this seed.
    #[must_use]
    pub fn from_seed(seed: [u8; SEED_OCTETS]) -> Self {
        Self(ChaCha12Rng::from_seed(seed))
    }

    /// A generator of its own for one part, so that its draws do not shift another part's.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        let mut seed = [0; SEED_OCTETS];
        self.fill(&mut seed);
        Self::from_seed(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `0..bound`. Returns 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Lemire's multiply-shift; its bias over 64 bits is far below what any use here can see.
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `0.0..1.0`.
    pub fn fraction(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with the given probability (0.0 never, 1.0 always).
    pub fn chance(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// Fills `octets` with draws.
    pub fn fill(&mut self, octets: &mut [u8]) {
        self.0.fill_bytes(octets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_draw_equal_numbers() {
        let (mut a, mut b, mut c) = (Random::new(7), Random::new(7), Random::new(8));
        let draws = |r: &mut Random| (0..64).map(|_| r.next_u64()).collect::<Vec<_>>();
        let first = draws(&mut a);
        assert_eq!(first, draws(&mut b));
        assert_ne!(first, draws(&mut c));
    }

    #[test]
    fn draws_stay_below_their_bound_and_reach_every_value() {
        let mut random = Random::new(1);
        let mut seen = [false; 10];
        for _ in 0..1000 {
            seen[random.below(10) as usize] = true;
            assert!((0.0..1.0).contains(&random.fraction()));
        }
        assert_eq!(seen, [true; 10]);
        assert_eq!(random.below(0), 0);
    }
}
