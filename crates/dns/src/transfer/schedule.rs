//! When a secondary asks its primary, and until when it answers: RFC 1034 §4.3.5, RFC 1035 §3.3.13,
//! RFC 1996 §3.11.
//!
//! Time comes in as an argument. REFRESH, RETRY and EXPIRE are the zone's own, within bounds that keep
//! a slip of the pen from flooding a primary or from keeping a dead zone for years.

use std::time::Duration;

use doorway_base::{Instant, Random};

/// REFRESH at least and at most.
pub const REFRESH: [Duration; 2] = [Duration::from_secs(20), Duration::from_secs(7 * 86_400)];
/// RETRY at least and at most.
pub const RETRY: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(86_400)];
/// EXPIRE at least and at most. RFC 1912 §2.2 asks for two to four weeks.
pub const EXPIRE: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(8 * 7 * 86_400)];
/// The wait after the first failure while there is no zone yet; it doubles from one to the next.
pub const FIRST_RETRY: Duration = Duration::from_secs(2);
/// The longest wait while there is no zone yet.
pub const FIRST_RETRY_MAX: Duration = Duration::from_secs(3600);

/// The times of one zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Times {
    refresh: Duration,
    retry: Duration,
    expire: Duration,
}

/// When to ask, and when to give up answering.
#[derive(Debug, Clone)]
pub struct Schedule {
    times: Option<Times>,
    next: Instant,
    expires: Instant,
    failures: u32,
    // A NOTIFY came while a transfer was under way: ask once more when it is over (RFC 1996 §4.4).
    again: bool,
}

impl Schedule {
    /// A secondary that has no zone: it asks at once.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self { times: None, next: now, expires: now, failures: 0, again: false }
    }

    /// A secondary that kept its zone over a restart; the primary was heard `age` ago. It asks at once.
    #[must_use]
    pub fn resumed(now: Instant, soa: [u32; 5], age: Duration) -> Self {
        let times = times(soa);
        let expires = now + times.expire.saturating_sub(age);
        Self { times: Some(times), next: now, expires, failures: 0, again: false }
    }

    /// The primary was heard: the zone whose SOA numbers these are is the newest.
    pub fn heard(&mut self, now: Instant, soa: [u32; 5], random: &mut Random) {
        let times = times(soa);
        // A tenth early at most, so that many zones of one primary do not ask at one moment.
        let early = times.refresh.mul_f64(0.1 * random.fraction());
        self.next = if std::mem::take(&mut self.again) { now } else { now + (times.refresh - early) };
        self.expires = now + times.expire;
        self.times = Some(times);
        self.failures = 0;
    }

    /// No primary could be asked, or none gave a zone.
    pub fn failed(&mut self, now: Instant, random: &mut Random) {
        let wait = match self.times {
            Some(times) => times.retry,
            None => FIRST_RETRY_MAX.min(FIRST_RETRY * 2_u32.saturating_pow(self.failures)),
        };
        self.failures = self.failures.saturating_add(1);
        self.again = false;
        self.next = now + wait.mul_f64(1.0 - 0.1 * random.fraction());
    }

    /// A NOTIFY came: ask at once, or once more when the transfer under way is over.
    pub fn notified(&mut self, now: Instant, under_way: bool) {
        if under_way {
            self.again = true;
        } else {
            self.next = now;
        }
    }

    /// When to ask next.
    #[must_use]
    pub const fn next(&self) -> Instant {
        self.next
    }

    /// When the zone stops being answered, unless the primary is heard before.
    #[must_use]
    pub const fn expires(&self) -> Instant {
        self.expires
    }

    /// Whether the zone is too old to be answered; the answer is then SERVFAIL.
    #[must_use]
    pub fn is_expired(&self, now: Instant) -> bool {
        self.times.is_none() || now >= self.expires
    }
}

fn times([_, refresh, retry, expire, _]: [u32; 5]) -> Times {
    let within = |seconds: u32, [least, most]: [Duration; 2]| {
        Duration::from_secs(u64::from(seconds)).clamp(least, most)
    };
    let (refresh, retry) = (within(refresh, REFRESH), within(retry, RETRY));
    // RFC 1912 §2.2: a zone that expires before it is asked for twice is never there.
    let expire = within(expire, EXPIRE).max(refresh + retry);
    Times { refresh, retry, expire }
}
