//! When a message that could not be delivered is tried again, when its sender hears of it, and when it is
//! given up (RFC 5321 §4.5.4.1).

use std::time::Duration;

use doorway_base::{Instant, Random, UnixTime};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// How long to wait after each try; the last one goes on.
const WAITS: [Duration; 7] = [
    MINUTE,
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(30 * 60),
    HOUR,
    Duration::from_secs(2 * 3600),
    Duration::from_secs(4 * 3600),
];
/// Every wait is longer or shorter by up to this part of it, so that what failed together does not come
/// back together.
const JITTER: f64 = 0.2;
/// No item waits longer: whatever seems to was queued by a clock that was ahead.
pub const WAIT_MAX: Duration = Duration::from_secs(5 * 3600);
/// Fewer tries than this do not make a message undeliverable, however old it seems: the clock may have
/// jumped, or we were not running.
const TRIES_MIN: u32 = 6;

/// The bounds that an operator sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// The sender is told of the delay after this time.
    pub delay_notice: Duration,
    /// No more tries after this time.
    pub give_up: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { delay_notice: 4 * HOUR, give_up: 5 * 24 * HOUR }
    }
}

impl Schedule {
    /// How long to wait after `tries` tries, at least one.
    #[must_use]
    pub fn wait(&self, tries: u32, random: &mut Random) -> Duration {
        let index = (tries.max(1) as usize - 1).min(WAITS.len() - 1);
        WAITS[index].mul_f64(1.0 - JITTER + 2.0 * JITTER * random.fraction())
    }

    /// Whether a message that came at `at` and was tried `tries` times is to be given up.
    #[must_use]
    pub fn gives_up(&self, at: UnixTime, tries: u32, now: UnixTime) -> bool {
        now - at >= self.give_up && tries >= TRIES_MIN
    }

    /// Whether it is time to tell the sender that it takes long.
    #[must_use]
    pub fn tells_delay(&self, at: UnixTime, now: UnixTime) -> bool {
        now - at >= self.delay_notice
    }
}

/// The wall clock as the queue follows it: steadily. A clock that is set does not make everything due, or
/// nothing for a year; the difference is made up for while time passes, at twice the pace or at half.
#[derive(Debug, Clone, Copy)]
pub struct SteadyClock {
    wall: UnixTime,
    seen: Instant,
}

impl SteadyClock {
    /// Begins with the wall clock as it is.
    #[must_use]
    pub fn new(wall: UnixTime, now: Instant) -> Self {
        Self { wall, seen: now }
    }

    /// The time, given what the wall clock says. It never goes back.
    pub fn time(&mut self, wall: UnixTime, now: Instant) -> UnixTime {
        let passed = now - self.seen;
        let expected = self.wall + passed;
        self.wall =
            if wall >= expected { wall.min(expected + passed) } else { wall.max(self.wall + passed / 2) };
        self.seen = now;
        self.wall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_four_hours_and_stay_within_their_jitter() {
        let schedule = Schedule::default();
        let mut random = Random::new(1);
        for (tries, minutes) in [
            (0, 1.0),
            (1, 1.0),
            (2, 5.0),
            (3, 15.0),
            (4, 30.0),
            (5, 60.0),
            (6, 120.0),
            (7, 240.0),
            (40, 240.0),
        ] {
            let mut seen = Vec::new();
            for _ in 0..200 {
                let wait = schedule.wait(tries, &mut random);
                assert!((minutes * 48.0..=minutes * 72.0).contains(&wait.as_secs_f64()), "{tries} {wait:?}");
                assert!(wait < WAIT_MAX);
                seen.push(wait);
            }
            seen.dedup();
            assert!(seen.len() > 190, "they differ");
        }
    }

    #[test]
    fn age_alone_does_not_give_a_message_up() {
        let schedule = Schedule::default();
        let at = UnixTime::from_secs(1_000_000);
        let days = |days: u64| at + Duration::from_secs(days * 86_400);
        assert!(!schedule.gives_up(at, 30, days(4)));
        assert!(schedule.gives_up(at, 30, days(5)));
        assert!(!schedule.gives_up(at, 1, days(365)), "a clock that jumped");
        assert!(!schedule.gives_up(at, 30, UnixTime::from_secs(5)), "a clock set back");
        assert!(schedule.tells_delay(at, at + Duration::from_secs(4 * 3600)));
        assert!(!schedule.tells_delay(at, at + Duration::from_secs(3600)));
    }

    #[test]
    fn a_clock_that_is_set_is_followed_slowly() {
        let start = UnixTime::from_secs(1_000_000);
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        let mut clock = SteadyClock::new(start, at(0));
        assert_eq!(clock.time(start + Duration::from_secs(10), at(10)).as_secs(), 1_000_010);
        // A year ahead: twice the pace.
        let ahead = start + Duration::from_secs(365 * 86_400);
        assert_eq!(clock.time(ahead, at(20)).as_secs(), 1_000_030);
        // Set back: half the pace, never backwards.
        assert_eq!(clock.time(UnixTime::from_secs(5), at(30)).as_secs(), 1_000_035);
        assert_eq!(clock.time(UnixTime::from_secs(5), at(30)).as_secs(), 1_000_035);
        // In step again.
        assert_eq!(clock.time(UnixTime::from_secs(1_000_050), at(40)).as_secs(), 1_000_050);
    }
}
