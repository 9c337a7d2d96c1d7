//! One message that waits for its answer, and when it is sent again: RFC 2131 §4.1, §4.4.5.

use core::time::Duration;

use doorway_base::{Instant, Random};

/// The first wait for an answer, which doubles each time.
const WAIT_FIRST: Duration = Duration::from_secs(4);
/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(64);
/// Each wait is shorter or longer by up to this.
const WAIT_SPREAD_MILLIS: u64 = 1000;
/// Between two requests to extend a lease there is at least this.
const EXTENSION_WAIT_MIN: Duration = Duration::from_secs(60);

/// An exchange under way.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub(super) xid: u32,
    /// When the client began to ask, for `secs`.
    pub(super) began: Instant,
    /// How often the message was sent.
    pub(super) sent: u32,
    /// When it was sent for the first time: an answer may be to that one.
    pub(super) first_sent: Instant,
    /// When it is sent again.
    pub(super) next: Instant,
    /// `secs` of what was sent last.
    said_secs: u16,
    /// Whether all that follows says the same.
    keeps_secs: bool,
}

impl Exchange {
    pub(super) fn new(now: Instant, random: &mut Random) -> Self {
        let xid = (random.next_u64() >> 32) as u32;
        Self { xid, began: now, sent: 0, first_sent: now, next: now, said_secs: 0, keeps_secs: false }
    }

    /// The next message of the same exchange: the server knows it by the same number (RFC 2131 §4.4.1), and relay
    /// agents pass it on to the same servers, since it has the same `secs` (§3.1).
    pub(super) fn followed(self) -> Self {
        Self { sent: 0, keeps_secs: true, ..self }
    }

    /// `secs`: how long the client has been asking.
    pub(super) fn secs(&self, now: Instant) -> u16 {
        if self.keeps_secs {
            return self.said_secs;
        }
        u16::try_from(now.since(self.began).as_secs()).unwrap_or(u16::MAX)
    }

    /// The message goes out now: 4, 8, 16, 32 and then 64 s later once more, each a second more or less.
    pub(super) fn send_backing_off(&mut self, now: Instant, random: &mut Random) {
        let wait = WAIT_FIRST.saturating_mul(1 << self.sent.min(8)).min(WAIT_MAX);
        let spread = Duration::from_millis(random.below(2 * WAIT_SPREAD_MILLIS + 1));
        self.sent_now(now, wait - Duration::from_millis(WAIT_SPREAD_MILLIS) + spread);
    }

    /// The message goes out now: once more after half of what is left until `end`, at the least a minute.
    pub(super) fn send_until(&mut self, now: Instant, end: Instant) {
        self.sent_now(now, (end.since(now) / 2).max(EXTENSION_WAIT_MIN));
    }

    fn sent_now(&mut self, now: Instant, wait: Duration) {
        if self.sent == 0 {
            self.first_sent = now;
        }
        self.said_secs = self.secs(now);
        self.sent = self.sent.saturating_add(1);
        self.next = now + wait;
    }
}
