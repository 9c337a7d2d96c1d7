//! How often passwords may be guessed: so many a minute for each user and address.
//!
//! An attempt counts when it begins, so that many at once do not get past the bound, and a right password
//! forgets those before it. An IPv6 client is its /64, because it has that many addresses.

use core::net::{IpAddr, Ipv6Addr};
use std::collections::BTreeMap;
use std::time::Duration;

use doorway_base::Instant;

/// The span in which attempts are counted.
pub const GUESS_WINDOW: Duration = Duration::from_secs(60);
/// Most users and addresses that are counted at once.
pub const GUESSERS_MAX: usize = 10_000;

/// A user's name as it was tried, and where from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guesser {
    name: String,
    network: IpAddr,
}

impl Guesser {
    /// A guesser; names that differ only in their letters' case are one.
    #[must_use]
    pub fn new(name: &str, address: IpAddr) -> Self {
        let network = match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            v4 => v4,
        };
        // A name that is too long is nobody's, and all of those count as one.
        let name = if name.len() <= crate::user::USER_NAME_OCTETS_MAX { name } else { "" };
        Self { name: name.to_ascii_lowercase(), network }
    }
}

/// Counts attempts.
#[derive(Debug)]
pub struct Guessing {
    attempts_max: usize,
    attempts: BTreeMap<Guesser, Vec<Instant>>,
}

impl Guessing {
    /// Allows so many attempts in a [`GUESS_WINDOW`].
    #[must_use]
    pub const fn new(attempts_max: usize) -> Self {
        Self { attempts_max, attempts: BTreeMap::new() }
    }

    /// Counts an attempt that begins.
    ///
    /// # Errors
    /// How long to wait, when there were too many; then it does not count.
    pub fn begin(&mut self, now: Instant, guesser: &Guesser) -> Result<(), Duration> {
        let recent = |at: &Instant| now - *at < GUESS_WINDOW;
        if let Some(attempts) = self.attempts.get_mut(guesser) {
            attempts.retain(recent);
            if attempts.len() >= self.attempts_max {
                let first = attempts.first().map_or(Duration::ZERO, |first| now - *first);
                return Err(GUESS_WINDOW.saturating_sub(first));
            }
            attempts.push(now);
            return Ok(());
        }
        if self.attempts.len() >= GUESSERS_MAX {
            self.attempts.retain(|_, attempts| attempts.last().is_some_and(recent));
        }
        if self.attempts.len() >= GUESSERS_MAX {
            // A flood of names: nobody is let in uncounted.
            return Err(GUESS_WINDOW);
        }
        self.attempts.insert(guesser.clone(), vec![now]);
        Ok(())
    }

    /// Says that the password was right.
    pub fn succeeded(&mut self, guesser: &Guesser) {
        self.attempts.remove(guesser);
    }

    /// Says that an attempt was none: nobody could check it.
    pub fn unchecked(&mut self, guesser: &Guesser) {
        if let Some(attempts) = self.attempts.get_mut(guesser) {
            attempts.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_guess_within_a_minute_waits() {
        let mut guessing = Guessing::new(5);
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        let guesser = |name, address: &str| Guesser::new(name, address.parse().unwrap());
        let ann = guesser("ann", "192.0.2.1");
        for second in 0..5 {
            assert_eq!(guessing.begin(at(second), &ann), Ok(()));
        }
        assert_eq!(guessing.begin(at(5), &ann), Err(Duration::from_secs(55)));
        assert_eq!(guessing.begin(at(5), &guesser("ANN", "::ffff:192.0.2.1")), Err(Duration::from_secs(55)));
        assert_eq!(guessing.begin(at(5), &guesser("bob", "192.0.2.1")), Ok(()));
        assert_eq!(guessing.begin(at(5), &guesser("ann", "192.0.2.2")), Ok(()));
        assert_eq!(guessing.begin(at(60), &ann), Ok(()), "the first has passed");
        assert!(guessing.begin(at(60), &ann).is_err());
        guessing.succeeded(&ann);
        assert_eq!(guessing.begin(at(60), &ann), Ok(()));
        for host in 0..5 {
            assert_eq!(guessing.begin(at(70), &guesser("ann", &format!("2001:db8::{host}"))), Ok(()));
        }
        assert!(guessing.begin(at(70), &guesser("ann", "2001:db8::9")).is_err(), "a /64 is one client");
        assert_eq!(guessing.begin(at(70), &guesser("ann", "2001:db8:0:1::9")), Ok(()));
    }

    #[test]
    fn a_flood_of_names_takes_no_more_memory() {
        let mut guessing = Guessing::new(5);
        for number in 0..2 * GUESSERS_MAX {
            let name = format!("u{number}");
            let counted = guessing.begin(Instant::ZERO, &Guesser::new(&name, "192.0.2.1".parse().unwrap()));
            assert_eq!(counted.is_ok(), number < GUESSERS_MAX);
        }
        let later = Instant::ZERO + GUESS_WINDOW;
        assert_eq!(guessing.begin(later, &Guesser::new("ann", "192.0.2.1".parse().unwrap())), Ok(()));
        assert_eq!(guessing.attempts.len(), 1);
    }
}
