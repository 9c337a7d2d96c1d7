//! A circuit breaker: a server that fails several times in a short while is left alone for a while, and then
//! tried with one request (Nygard, "Release It!", *Circuit Breaker*).

use std::collections::VecDeque;
use std::time::Duration;

use doorway_base::Instant;

/// Time in which failures are counted together.
pub const WINDOW: Duration = Duration::from_secs(10);
/// How long a server is left alone the first time; twice as long each time after that, while no request succeeds.
pub const OPEN_FIRST: Duration = Duration::from_secs(1);
/// How long at most.
pub const OPEN_MAX: Duration = Duration::from_secs(30);
/// How long the one request of a trial may take before there may be another.
const TRIAL: Duration = Duration::from_secs(60);

/// The breaker of one server.
#[derive(Debug, Clone, Default)]
pub struct Breaker {
    state: State,
    /// How long it was open last.
    open_for: Duration,
}

#[derive(Debug, Clone)]
enum State {
    /// Requests pass; when the last failures were, at most as many as open it.
    Closed(VecDeque<Instant>),
    /// None passes until then.
    Open(Instant),
    /// One is under way that will tell, since then.
    HalfOpen(Instant),
}

impl Default for State {
    fn default() -> Self {
        Self::Closed(VecDeque::new())
    }
}

impl Breaker {
    /// Whether a request may go to the server now.
    #[must_use]
    pub fn lets_through(&self, now: Instant) -> bool {
        match self.state {
            State::Closed(_) => true,
            State::Open(until) => now >= until,
            State::HalfOpen(since) => now - since >= TRIAL,
        }
    }

    /// The state's name.
    #[must_use]
    pub fn name(&self, now: Instant) -> &'static str {
        match self.state {
            State::Closed(_) => "closed",
            State::Open(until) if now < until => "open",
            State::Open(_) | State::HalfOpen(_) => "half-open",
        }
    }

    /// Notes that a request goes to the server.
    pub fn began(&mut self, now: Instant) {
        if !matches!(self.state, State::Closed(_)) {
            self.state = State::HalfOpen(now);
        }
    }

    /// Notes that a response came.
    pub fn succeeded(&mut self) {
        match &mut self.state {
            State::Closed(failures) => failures.clear(),
            State::Open(_) | State::HalfOpen(_) => *self = Self::default(),
        }
    }

    /// Notes that a request came to nothing. `failures_max` in a [`WINDOW`] open the breaker, 0 never; returns
    /// whether this one did.
    pub fn failed(&mut self, now: Instant, failures_max: u32) -> bool {
        if let State::Closed(failures) = &mut self.state {
            if failures_max == 0 {
                return false;
            }
            while failures.front().is_some_and(|first| now - *first >= WINDOW) {
                failures.pop_front();
            }
            failures.push_back(now);
            if failures.len() < failures_max as usize {
                return false;
            }
        }
        self.open_for = (self.open_for * 2).clamp(OPEN_FIRST, OPEN_MAX);
        self.state = State::Open(now + self.open_for);
        true
    }

    /// Notes that a request ended without telling anything about the server.
    pub fn abandoned(&mut self, now: Instant) {
        if let State::HalfOpen(_) = self.state {
            self.state = State::Open(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Instant {
        Instant::ZERO + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn it_opens_after_failures_in_a_short_while() {
        let mut breaker = Breaker::default();
        for seconds in [0.0, 6.0, 11.0, 17.0] {
            assert!(!breaker.failed(at(seconds), 3), "never three in ten seconds");
        }
        breaker.succeeded();
        assert!(!breaker.failed(at(18.0), 3) && !breaker.failed(at(18.0), 3) && breaker.failed(at(18.0), 3));
        assert!(!breaker.lets_through(at(18.9)));
        assert_eq!(breaker.name(at(18.9)), "open");
        assert!(breaker.lets_through(at(19.0)));
    }

    #[test]
    fn one_request_tells_whether_it_closes() {
        let mut breaker = Breaker::default();
        assert!(breaker.failed(at(0.0), 1));
        breaker.began(at(1.0));
        assert!(!breaker.lets_through(at(1.0)), "one at a time");
        assert_eq!(breaker.name(at(1.0)), "half-open");
        assert!(breaker.failed(at(1.5), 1));
        assert!(!breaker.lets_through(at(3.4)) && breaker.lets_through(at(3.5)), "twice as long");
        breaker.began(at(4.0));
        breaker.abandoned(at(4.5));
        assert!(breaker.lets_through(at(4.5)), "nothing was learnt, so another may try");
        breaker.began(at(5.0));
        breaker.succeeded();
        assert_eq!(breaker.name(at(5.0)), "closed");
        assert!(breaker.failed(at(6.0), 1) && breaker.lets_through(at(7.0)), "it begins anew with a second");
    }

    #[test]
    fn it_never_stays_open_for_long_and_may_be_switched_off() {
        let mut breaker = Breaker::default();
        let mut now = at(0.0);
        for _ in 0..20 {
            breaker.failed(now, 1);
            now = now + OPEN_MAX;
            assert!(breaker.lets_through(now));
            breaker.began(now);
        }
        let mut off = Breaker::default();
        assert!((0..1000).all(|_| !off.failed(at(0.0), 0)) && off.lets_through(at(0.0)));
    }
}
