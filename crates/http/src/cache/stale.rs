//! When a response that is no longer fresh may be used all the same (RFC 9111 §4.2.4, RFC 5861).
//!
//! The origin's prohibitions come first: `must-revalidate`, `proxy-revalidate`, `s-maxage` and `no-cache` hold
//! against `stale-while-revalidate` of the same response, against the client and against the operator. For
//! CDNs that use `s-maxage` with `stale-while-revalidate` RFC 9213 has the way out: in a targeted field
//! `max-age` needs no `s-`.

use std::time::Duration;

use super::freshness::{Freshness, Terms};
use super::policy::Policy;
use super::request::Request;
use super::stored::Stored;
use doorway_base::Instant;

/// Who lets a stale response be used at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// The client, by `max-stale`: nothing else has to be done.
    Client,
    /// The origin, while it is validated (RFC 5861 §3).
    Revalidating,
}

/// Whether a stale response may be used at once.
#[must_use]
pub fn while_revalidating(
    terms: &Terms,
    freshness: &Freshness,
    request: &Request,
    policy: &Policy,
) -> Option<Leave> {
    if terms.never_stale {
        return None;
    }
    let overdue = freshness.overdue();
    if policy.obeys_clients && request.control.max_stale.is_some_and(|most| overdue <= most) {
        return Some(Leave::Client);
    }
    // RFC 9111 §5.2.1.1: who names an age wants nothing stale.
    let wants_fresh = policy.obeys_clients && request.control.max_age.is_some();
    (overdue < terms.stale_while_revalidate && !wants_fresh).then_some(Leave::Revalidating)
}

/// Whether a failure of the origin is answered with a stored response (RFC 5861 §4).
#[must_use]
#[doc(alias = "stale-if-error")]
pub fn if_error(stored: &Stored, request: &Request, now: Instant, policy: &Policy) -> bool {
    let terms = &stored.terms;
    if terms.never_stale {
        return false;
    }
    let asked = request.control.stale_if_error.filter(|_| policy.obeys_clients);
    let most = terms.stale_if_error.max(asked).unwrap_or_default().max(policy.grace);
    let freshness = stored.freshness(now, policy);
    // What is still fresh was to be validated for the client's sake, and is better than an error.
    freshness.is_fresh() || (most > Duration::ZERO && freshness.overdue() < most)
}

/// Whether a status is a failure of the origin in the sense of RFC 5861 §4.
#[must_use]
pub const fn is_error(status: u16) -> bool {
    matches!(status, 500 | 502 | 503 | 504)
}
