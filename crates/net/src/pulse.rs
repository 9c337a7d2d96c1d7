//! The pulse of one connection: who it is, when it last moved, how much passed, whether it must end.
//!
//! The connection's task writes it with plain relaxed stores (it has one writer); the sweeper, the
//! console and `doorway sockets` read it. No timer is armed per request: a sweep once a second finds
//! every connection that broke a limit.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};
use std::task::Waker;

use doorway_base::Instant;

use crate::limits::TcpLimits;
use crate::lock;

/// Why a connection was ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The TLS or PROXY handshake took too long.
    Handshake,
    /// Nothing arrived after the connection was opened.
    FirstOctet,
    /// Nothing moved for the idle time.
    Idle,
    /// The peer stopped reading.
    WriteStall,
    /// A message arrived slower than the minimum rate.
    Slow,
    /// The door was closed and the drain's deadline passed.
    Drain,
}

impl Ended {
    /// Every reason, in the order of their counters.
    pub const ALL: [Self; 6] =
        [Self::Handshake, Self::FirstOctet, Self::Idle, Self::WriteStall, Self::Slow, Self::Drain];

    /// The word in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::FirstOctet => "first_octet",
            Self::Idle => "idle",
            Self::WriteStall => "write_stall",
            Self::Slow => "slow",
            Self::Drain => "drain",
        }
    }
}

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// TLS or PROXY protocol is being agreed.
    Handshake,
    /// The service speaks.
    Open,
    /// The service was asked to finish.
    Draining,
}

/// The two addresses of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
}

impl Ends {
    /// Whether both are on one machine, as far as their addresses tell.
    #[must_use]
    pub fn are_one_machine(&self) -> bool {
        let (remote, local) = (self.remote.ip().to_canonical(), self.local.ip().to_canonical());
        remote.is_loopback() || remote == local && !remote.is_unspecified()
    }
}

/// One connection as others see it.
#[derive(Debug)]
pub struct Pulse {
    /// Number of the flow in the trace.
    pub flow: u64,
    accepted: Ends,
    proxied: OnceLock<Ends>,
    /// When it was accepted.
    pub since: Instant,
    octets_in: AtomicU64,
    octets_out: AtomicU64,
    requests: AtomicU64,
    /// Ticks are whole seconds of the door's clock; 0 means never.
    opened_tick: u32,
    moved_tick: AtomicU32,
    stalled_tick: AtomicU32,
    message_tick: AtomicU32,
    message_octets: AtomicU64,
    handshake: AtomicBool,
    draining: AtomicBool,
    ended: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Pulse {
    pub(crate) fn new(flow: u64, accepted: Ends, since: Instant, tick: u32, handshake: bool) -> Self {
        Self {
            flow,
            accepted,
            proxied: OnceLock::new(),
            since,
            octets_in: AtomicU64::new(0),
            octets_out: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            opened_tick: tick,
            moved_tick: AtomicU32::new(tick),
            stalled_tick: AtomicU32::new(0),
            message_tick: AtomicU32::new(0),
            message_octets: AtomicU64::new(0),
            handshake: AtomicBool::new(handshake),
            draining: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            waker: Mutex::new(None),
        }
    }

    /// This end and the other end; behind a listed proxy the ones the proxy names.
    #[must_use]
    pub fn ends(&self) -> Ends {
        self.proxied.get().copied().unwrap_or(self.accepted)
    }

    /// Takes over the addresses that a listed proxy named. Only the first call counts.
    pub(crate) fn proxied(&self, ends: Ends) {
        let _ = self.proxied.set(ends);
    }

    /// Octets received, before decryption.
    #[must_use]
    pub fn octets_in(&self) -> u64 {
        self.octets_in.load(Relaxed)
    }

    /// Octets sent, after encryption.
    #[must_use]
    pub fn octets_out(&self) -> u64 {
        self.octets_out.load(Relaxed)
    }

    /// Requests (or queries, or commands) the service counted.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Where the connection stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        // A drain does not end a handshake: its limit holds on.
        match (self.handshake.load(Relaxed), self.draining.load(Relaxed)) {
            (true, _) => Phase::Handshake,
            (false, true) => Phase::Draining,
            (false, false) => Phase::Open,
        }
    }

    /// Adds to the count of requests.
    pub fn count_requests(&self, count: u64) {
        add(&self.requests, count);
    }

    /// Says that a message has begun and is not whole: from now on it must keep the minimum rate.
    pub fn begin_message(&self, tick: u32) {
        if self.message_tick.load(Relaxed) == 0 {
            self.message_octets.store(self.octets_in(), Relaxed);
            self.message_tick.store(tick, Relaxed);
        }
    }

    /// Says that no message is under way.
    pub fn end_message(&self) {
        self.message_tick.store(0, Relaxed);
    }

    pub(crate) fn received(&self, octets: usize, tick: u32) {
        add(&self.octets_in, octets as u64);
        self.moved_tick.store(tick, Relaxed);
    }

    pub(crate) fn sent(&self, octets: usize, tick: u32) {
        add(&self.octets_out, octets as u64);
        self.moved_tick.store(tick, Relaxed);
        if self.stalled_tick.load(Relaxed) != 0 {
            self.stalled_tick.store(0, Relaxed);
        }
    }

    pub(crate) fn stalled(&self, tick: u32) {
        if self.stalled_tick.load(Relaxed) == 0 {
            self.stalled_tick.store(tick, Relaxed);
        }
    }

    pub(crate) fn opened(&self) {
        self.handshake.store(false, Relaxed);
    }

    pub(crate) fn remember(&self, waker: &Waker) {
        let mut kept = lock(&self.waker);
        if !kept.as_ref().is_some_and(|old| old.will_wake(waker)) {
            *kept = Some(waker.clone());
        }
    }

    /// Asks the service to finish, and wakes its task so that it hears of it.
    pub fn drain(&self) {
        self.draining.store(true, Relaxed);
        self.wake();
    }

    /// Ends the connection at once.
    pub fn end(&self) {
        self.ended.store(true, Relaxed);
        self.wake();
    }

    pub(crate) fn was_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    fn wake(&self) {
        let waker = lock(&self.waker).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The limit this connection has broken at `tick`, if any.
    pub(crate) fn judge(&self, tick: u32, limits: &TcpLimits) -> Option<Ended> {
        let passed = |from: u32, limit: std::time::Duration| {
            from != 0 && !limit.is_zero() && u64::from(tick.saturating_sub(from)) > limit.as_secs()
        };
        if self.phase() == Phase::Handshake {
            return passed(self.opened_tick, limits.handshake).then_some(Ended::Handshake);
        }
        if self.octets_in() == 0 && passed(self.opened_tick, limits.first_octet) {
            return Some(Ended::FirstOctet);
        }
        if passed(self.stalled_tick.load(Relaxed), limits.write_stall) {
            return Some(Ended::WriteStall);
        }
        if passed(self.moved_tick.load(Relaxed), limits.idle) {
            return Some(Ended::Idle);
        }
        let began = self.message_tick.load(Relaxed);
        if passed(began, limits.progress_grace) {
            let seconds = u64::from(tick.saturating_sub(began));
            let arrived = self.octets_in().saturating_sub(self.message_octets.load(Relaxed));
            if arrived < seconds.saturating_mul(limits.progress_octets_per_second) {
                return Some(Ended::Slow);
            }
        }
        None
    }
}

// One writer: a load and a store are enough and cost less than an atomic addition.
fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(count), Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn pulse(handshake: bool) -> Pulse {
        let address = "127.0.0.1:1".parse().unwrap();
        Pulse::new(1, Ends { local: address, remote: address }, Instant::ZERO, 1, handshake)
    }

    fn limits() -> TcpLimits {
        TcpLimits {
            handshake: Duration::from_secs(10),
            first_octet: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            write_stall: Duration::from_secs(30),
            progress_grace: Duration::from_secs(20),
            progress_octets_per_second: 256,
            ..TcpLimits::default()
        }
    }

    #[test]
    fn each_silence_breaks_its_own_limit() {
        let handshake = pulse(true);
        assert_eq!(handshake.judge(11, &limits()), None);
        assert_eq!(handshake.judge(12, &limits()), Some(Ended::Handshake));

        // A door that closes for a reload asks everybody to finish, and some never would.
        let unfinished = pulse(true);
        unfinished.received(10, 12);
        unfinished.drain();
        assert_eq!(unfinished.judge(12, &limits()), Some(Ended::Handshake));

        let silent = pulse(false);
        assert_eq!(silent.judge(31, &limits()), None);
        assert_eq!(silent.judge(32, &limits()), Some(Ended::FirstOctet));

        let idle = pulse(false);
        idle.received(10, 5);
        assert_eq!(idle.judge(65, &limits()), None);
        assert_eq!(idle.judge(66, &limits()), Some(Ended::Idle));

        let stalled = pulse(false);
        stalled.received(10, 5);
        stalled.stalled(6);
        stalled.received(10, 36);
        assert_eq!(stalled.judge(37, &limits()), Some(Ended::WriteStall));
        stalled.sent(1, 37);
        assert_eq!(stalled.judge(37, &limits()), None);
    }

    #[test]
    fn a_message_must_keep_the_minimum_rate_but_only_while_it_lasts() {
        let slow = pulse(false);
        slow.begin_message(2);
        for tick in 3..30 {
            slow.received(100, tick);
        }
        assert_eq!(slow.judge(22, &limits()), None, "within the grace");
        assert_eq!(slow.judge(30, &limits()), Some(Ended::Slow));
        slow.end_message();
        assert_eq!(slow.judge(30, &limits()), None);

        let fast = pulse(false);
        fast.begin_message(2);
        fast.received(100_000, 30);
        assert_eq!(fast.judge(30, &limits()), None);
    }
}
