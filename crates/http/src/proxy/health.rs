//! Whether a server is well, by checks that ask it every so often.
//!
//! One check that goes wrong says little: it takes some in a row to change the verdict. What requests themselves
//! tell of a server is in [`breaker`](super::breaker).

use std::time::Duration;

use doorway_base::Instant;

/// When the verdict changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Good checks in a row after which a server that was down is up.
    pub rise: u32,
    /// Bad checks in a row after which a server that was up is down.
    pub fall: u32,
}

/// What checks have found of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    up: bool,
    /// Checks in a row that spoke against the verdict.
    against: u32,
    /// When it came up after it was down; its share grows from there.
    since: Option<Instant>,
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// A server that nobody has checked: it is taken for well.
    #[must_use]
    pub const fn new() -> Self {
        Self { up: true, against: 0, since: None }
    }

    /// Whether it may be asked.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.up
    }

    /// Notes what a check found. Returns whether the verdict changed.
    pub fn checked(&mut self, now: Instant, good: bool, thresholds: Thresholds) -> bool {
        if good == self.up {
            self.against = 0;
            return false;
        }
        self.against += 1;
        if self.against < if self.up { thresholds.fall } else { thresholds.rise } {
            return false;
        }
        *self = Self { up: good, against: 0, since: good.then_some(now) };
        true
    }

    /// Its share in thousandths of its whole one: for as long as `slow_start` after it came up, it grows from a
    /// tenth.
    #[must_use]
    pub fn share(&self, now: Instant, slow_start: Duration) -> u32 {
        const WHOLE: u32 = 1000;
        match self.since {
            _ if !self.up => 0,
            Some(since) if now - since < slow_start => {
                let part = (now - since).as_secs_f64() / slow_start.as_secs_f64();
                ((part * f64::from(WHOLE)) as u32).clamp(WHOLE / 10, WHOLE)
            }
            _ => WHOLE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLDS: Thresholds = Thresholds { rise: 2, fall: 3 };

    fn after(health: &mut Health, checks: &str) -> String {
        let now = Instant::ZERO;
        let one = |check| {
            health.checked(now, check == '+', THRESHOLDS);
            if health.is_up() { 'u' } else { 'd' }
        };
        checks.chars().map(one).collect()
    }

    #[test]
    fn the_verdict_changes_after_some_checks_in_a_row() {
        let mut health = Health::new();
        assert_eq!(after(&mut health, "--+---"), "uuuuud");
        assert_eq!(after(&mut health, "+-+-++"), "dddddu");
    }

    #[test]
    fn a_server_that_comes_back_gets_its_work_slowly() {
        let mut health = Health::new();
        let slow = Duration::from_secs(100);
        assert_eq!(health.share(Instant::ZERO, slow), 1000, "one that was never down has all of it");
        after(&mut health, "---");
        assert_eq!(health.share(Instant::ZERO, slow), 0);
        after(&mut health, "++");
        for (seconds, share) in [(0, 100), (5, 100), (50, 500), (100, 1000), (1000, 1000)] {
            assert_eq!(health.share(Instant::ZERO + Duration::from_secs(seconds), slow), share);
        }
        assert_eq!(health.share(Instant::ZERO, Duration::ZERO), 1000);
    }
}
