//! Random octets from the operating system: for keys, passwords and identifiers that must not be guessed.

use doorway_base::Random;
use doorway_base::random::SEED_OCTETS;

/// Fills `octets` from the kernel's generator (`getrandom`).
///
/// # Panics
/// When the kernel has no entropy to give, which a running Linux does not refuse: going on with
/// predictable secrets would be worse.
pub fn fill(octets: &mut [u8]) {
    let mut at = 0;
    while at < octets.len() {
        match rustix::rand::getrandom(&mut octets[at..], rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => at += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("the kernel gives no random octets: {error}"),
        }
    }
}

/// A generator whose draws nobody can guess.
#[must_use]
pub fn random() -> Random {
    let mut seed = [0; SEED_OCTETS];
    fill(&mut seed);
    Random::from_seed(seed)
}

/// A 64-bit seed that nobody can guess.
#[must_use]
pub fn seed() -> u64 {
    let mut octets = [0; 8];
    fill(&mut octets);
    u64::from_le_bytes(octets)
}
