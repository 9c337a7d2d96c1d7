//! A response that is kept, without its content.

use std::time::Duration;

use doorway_base::{Instant, UnixTime};
use doorway_net::web::Fields;

use super::freshness::Terms;

/// One moment on both clocks: spans are measured on the monotonic one, which no step of the wall clock
/// reaches; dates of other machines are compared with the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// On the monotonic clock.
    pub now: Instant,
    /// On the wall clock.
    pub wall: UnixTime,
}

/// A response that is kept: everything that decides whether and how it may be used again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The status.
    pub status: u16,
    /// The fields to be forwarded and judged: none about the connection it came on (RFC 9111 §3.1), and no
    /// Age, which `initial_age` has. There is a Date.
    pub fields: Fields,
    /// When the request for it went out (`request_time` in RFC 9111 §4.2.3).
    pub requested: Moment,
    /// When its head came (`response_time` there).
    pub received: Moment,
    /// Its age at that moment (`corrected_initial_age` there).
    pub initial_age: Duration,
    /// The request fields that its Vary names, in lower case and order of the alphabet, each with the normal
    /// form of the value that the request for it had, if it had one (RFC 9111 §4.1).
    pub selecting: Vec<(String, Option<String>)>,
    /// What the fields say about its use, read once: [`Terms::of`].
    pub terms: Terms,
}

impl Stored {
    /// The same as it is at `moment` on other clocks, as after a restart: the time between lies in its age.
    #[must_use]
    pub fn carried_over(mut self, moment: Moment) -> Self {
        self.initial_age += moment.wall - self.received.wall;
        self.requested = moment;
        self.received = moment;
        self
    }
}
