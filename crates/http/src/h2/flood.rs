//! How often a peer may do what costs it nothing and us something (RFC 9113 §10.5).
//!
//! Each kind of cheap frame has an allowance for ten seconds. What comes in step with useful work
//! (WINDOW_UPDATE for DATA that was sent, a priority for a request) is given back, so that a busy
//! connection is never taken for a hostile one.

use std::time::Duration;

use doorway_base::Instant;

use super::rule::{self, Rule};

/// The time that an allowance is for.
pub const PERIOD: Duration = Duration::from_secs(10);

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cheap {
    /// A stream that ended in a reset before its response was out: the peer's, or ours because it broke a
    /// rule (CVE-2023-44487, CVE-2025-8671).
    Reset,
    /// SETTINGS that must be acknowledged.
    Settings,
    /// PING that must be answered.
    Ping,
    /// WINDOW_UPDATE.
    Window,
    /// PRIORITY and PRIORITY_UPDATE.
    Priority,
    /// DATA without content that does not end its stream.
    EmptyData,
    /// Frames that change nothing: of unknown types, or about streams that are long over.
    Idle,
}

/// Each kind in the order of its declaration, with its allowance in a [`PERIOD`] and the rule that is broken
/// beyond it.
const ALLOWANCES: [(Cheap, u32, &Rule); 7] = [
    (Cheap::Reset, 100, &rule::FLOOD_RESET),
    (Cheap::Settings, 100, &rule::FLOOD_SETTINGS),
    (Cheap::Ping, 1000, &rule::FLOOD_PING),
    (Cheap::Window, 2000, &rule::FLOOD_WINDOW),
    (Cheap::Priority, 1000, &rule::FLOOD_PRIORITY),
    (Cheap::EmptyData, 100, &rule::FLOOD_DATA),
    (Cheap::Idle, 1000, &rule::FLOOD_UNKNOWN),
];

/// What a peer has done in the period at hand.
#[derive(Debug, Clone, Default)]
pub struct Floods {
    since: Instant,
    counts: [u32; ALLOWANCES.len()],
}

impl Floods {
    /// Counts one; the rule that is broken when it was one too many.
    ///
    /// # Errors
    /// That rule.
    #[inline]
    pub fn count(&mut self, cheap: Cheap, now: Instant) -> Result<(), &'static Rule> {
        if now - self.since >= PERIOD {
            *self = Self { since: now, counts: [0; ALLOWANCES.len()] };
        }
        let (_, allowance, rule) = ALLOWANCES[cheap as usize];
        let count = &mut self.counts[cheap as usize];
        *count += 1;
        if *count > allowance { Err(rule) } else { Ok(()) }
    }

    /// Gives some back, for useful work that was done.
    #[inline]
    pub const fn give_back(&mut self, cheap: Cheap, count: u32) {
        let counts = &mut self.counts[cheap as usize];
        *counts = counts.saturating_sub(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_allowance_which_comes_back_with_time_and_with_work() {
        for (cheap, allowance, rule) in ALLOWANCES {
            let (mut floods, start) = (Floods::default(), Instant::ZERO + PERIOD);
            for _ in 0..allowance {
                assert_eq!(floods.count(cheap, start), Ok(()), "{cheap:?}");
            }
            floods.give_back(cheap, 1);
            assert_eq!(floods.count(cheap, start), Ok(()), "{cheap:?}");
            assert_eq!(floods.count(cheap, start), Err(rule), "{cheap:?}");
            assert_eq!(floods.count(cheap, start + PERIOD), Ok(()), "{cheap:?}");
            assert_eq!(ALLOWANCES[cheap as usize].0, cheap);
        }
    }
}
