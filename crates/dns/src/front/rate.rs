//! Response rate limiting: a server that is asked by somebody who forges a victim's address sends the
//! victim little.
//!
//! Answers are counted for each network of clients (/24, /56) and each thing answered: a name that
//! exists counts by itself, what does not exist counts by its zone, errors count together. Beyond the
//! rate, one answer in `slip` goes out cut (TC), so that a client that is real asks again over TCP, and
//! the others not at all.

use core::net::IpAddr;
use std::time::Duration;

use doorway_base::Instant;

/// Places of the table; a power of two. Two accounts that meet in one place share it.
const ACCOUNTS: usize = 1 << 16;
/// Seconds of the rate that an account may have saved up.
const SAVED_SECONDS: u32 = 1;

/// How answers are limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Equal answers to one network in a second; 0 does not limit.
    pub per_second: u32,
    /// One answer in so many beyond the rate is sent cut; 0 sends none.
    pub slip: u32,
}

/// What may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// The answer.
    Whole,
    /// A cut answer: the client may ask over TCP.
    Cut,
    /// Nothing.
    Nothing,
}

/// The accounts of one worker.
#[derive(Debug)]
pub struct Accounts {
    rate: Rate,
    secret: u64,
    places: Vec<Account>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Account {
    tag: u32,
    // In answers; below zero it is what was refused since.
    balance: i32,
    // Milliseconds since the world began, wrapping.
    at: u32,
}

impl Accounts {
    /// Empty accounts; `secret` keeps clients from choosing whom they share a place with.
    #[must_use]
    pub fn new(rate: Rate, secret: u64) -> Self {
        let places = if rate.per_second == 0 { 0 } else { ACCOUNTS };
        Self { rate, secret, places: vec![Account::default(); places] }
    }

    /// Counts one answer of the kind `subject` (a hash) to `client`.
    pub fn count(&mut self, now: Instant, client: IpAddr, subject: u64) -> Allowed {
        if self.places.is_empty() {
            return Allowed::Whole;
        }
        let network = match client.to_canonical() {
            IpAddr::V4(v4) => u64::from(u32::from(v4) >> 8),
            IpAddr::V6(v6) => (u128::from(v6) >> 72) as u64 | 1 << 63,
        };
        let mixed = (network ^ self.secret).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ subject;
        let hash = mixed.wrapping_mul(0xd6e8_feb8_6659_fd93);
        let hash = hash ^ (hash >> 32);
        let per_second = i64::from(self.rate.per_second);
        let most = per_second * i64::from(SAVED_SECONDS);
        let millis = (now.as_nanos() / Duration::from_millis(1).as_nanos() as u64) as u32;
        let account = &mut self.places[hash as usize % ACCOUNTS];
        let tag = (hash >> 32) as u32 | 1;
        if account.tag != tag {
            *account = Account { tag, balance: most as i32, at: millis };
        }
        let elapsed = i64::from(millis.wrapping_sub(account.at));
        let earned = elapsed * per_second / 1000;
        if earned > 0 {
            // The part of an answer that was earned beside whole ones is not lost.
            account.at = account.at.wrapping_add((earned * 1000 / per_second) as u32);
            account.balance = (i64::from(account.balance.max(0)) + earned).min(most) as i32;
        }
        account.balance = account.balance.saturating_sub(1);
        if account.balance >= 0 {
            return Allowed::Whole;
        }
        match self.rate.slip {
            0 => Allowed::Nothing,
            slip if account.balance.unsigned_abs().is_multiple_of(slip) => Allowed::Cut,
            _ => Allowed::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn equal_answers_to_one_network_are_held_to_the_rate() {
        let mut accounts = Accounts::new(Rate { per_second: 20, slip: 2 }, 7);
        let client = |last: u8| IpAddr::from([203, 0, 113, last]);
        let count = |accounts: &mut Accounts, millis, subject| {
            (0..100).fold([0; 3], |mut sums, n| {
                sums[accounts.count(at(millis), client(n), subject) as usize] += 1;
                sums
            })
        };
        assert_eq!(count(&mut accounts, 0, 1), [20, 40, 40]);
        // Something else has its own account, and another second its own rate.
        assert_eq!(count(&mut accounts, 0, 2), [20, 40, 40]);
        assert_eq!(count(&mut accounts, 1000, 1), [20, 40, 40]);
        assert_eq!(count(&mut accounts, 1500, 1), [10, 45, 45]);
        assert_eq!(accounts.count(at(1500), IpAddr::from([203, 0, 114, 1]), 1), Allowed::Whole);
    }

    #[test]
    fn a_rate_of_nothing_limits_nothing() {
        let mut accounts = Accounts::new(Rate { per_second: 0, slip: 2 }, 7);
        let client = IpAddr::from([203, 0, 113, 1]);
        assert!((0..1000).all(|_| accounts.count(at(0), client, 1) == Allowed::Whole));
    }
}
