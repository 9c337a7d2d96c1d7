//! What a request is answered with: something stored, at once or once it is validated, or what the origin
//! says (RFC 9111 §4).

use std::time::Duration;

use doorway_base::Instant;

use super::lines::FieldLines;
use super::policy::Policy;
use super::request::Request;
use super::stale::{Leave, while_revalidating};
use super::status::Forward;
use super::stored::Stored;
use super::vary;

/// Something stored that might answer.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'s> {
    /// What is stored.
    pub stored: &'s Stored,
    /// Whether a purge marked it as stale, however young it is.
    pub marked_stale: bool,
}

/// What to do with a request. `variant` is the place of what is stored among the candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Answer from what is stored, which is fresh.
    Hit {
        /// Which one.
        variant: usize,
        /// Its age.
        age: Duration,
        /// For how many seconds it is still fresh.
        ttl_seconds: i64,
    },
    /// Answer from what is stored although it is stale.
    Stale {
        /// Which one.
        variant: usize,
        /// Its age.
        age: Duration,
        /// 0, or below it by the seconds that it has been stale for.
        ttl_seconds: i64,
        /// Whether it is to be validated meanwhile.
        revalidate: bool,
    },
    /// Ask the origin whether what is stored is still good (RFC 9111 §4.3.1), and answer from it if so.
    Validate {
        /// Which one.
        variant: usize,
        /// Why.
        forward: Forward,
    },
    /// Ask the origin, and store what it says if that is allowed.
    Miss(Forward),
    /// Hand the request to the origin as it is, and the answer to the client.
    Bypass(Forward),
    /// Answer 504: the client wanted nothing but what is stored (RFC 9111 §5.2.1.7).
    GatewayTimeout,
}

/// Decides about a request, with what is stored for its target. Where what is stored is fresh and no more than
/// one line of a field matters, nothing is allocated.
#[must_use]
pub fn decide<'s>(
    request: &Request,
    fields: &impl FieldLines,
    candidates: impl Iterator<Item = Candidate<'s>>,
    now: Instant,
    policy: &Policy,
) -> Verdict {
    if !request.reads() {
        return Verdict::Bypass(Forward::Method);
    }
    let only_if_cached = request.control.only_if_cached;
    let mut found: Option<(usize, Candidate<'_>)> = None;
    let mut reason = Forward::UriMiss;
    for (place, candidate) in candidates.enumerate() {
        reason = Forward::VaryMiss;
        // RFC 9111 §4 and §4.1: of several that suit the most recent is used, one that says what it varies by
        // before one that forgot to.
        let newer = found.is_none_or(|(_, before)| recency(candidate) > recency(before));
        if newer && vary::selects(&candidate.stored.selecting, fields) {
            found = Some((place, candidate));
        }
    }
    let verdict = match found {
        Some((variant, candidate)) => judge(request, variant, candidate, now, policy),
        None => Verdict::Miss(reason),
    };
    match verdict {
        Verdict::Miss(_) | Verdict::Validate { .. } if only_if_cached => Verdict::GatewayTimeout,
        // If-Match and If-Unmodified-Since are for the origin (RFC 9111 §4.3.2).
        Verdict::Hit { .. } | Verdict::Stale { .. } if request.guarded && only_if_cached => {
            Verdict::GatewayTimeout
        }
        Verdict::Hit { .. } if request.guarded => Verdict::Bypass(Forward::Request),
        Verdict::Stale { .. } if request.guarded => Verdict::Bypass(Forward::Stale),
        Verdict::Miss(forward) | Verdict::Validate { forward, .. } if request.guarded => {
            Verdict::Bypass(forward)
        }
        verdict => verdict,
    }
}

fn recency(candidate: Candidate<'_>) -> impl PartialOrd {
    let stored = candidate.stored;
    (!stored.selecting.is_empty(), stored.terms.date, stored.received.now)
}

/// Decides about a request that selects this variant.
fn judge(
    request: &Request,
    variant: usize,
    candidate: Candidate<'_>,
    now: Instant,
    policy: &Policy,
) -> Verdict {
    let Candidate { stored, marked_stale } = candidate;
    let terms = &stored.terms;
    let freshness = stored.freshness(now, policy);
    let fresh = freshness.is_fresh() && !marked_stale;
    let age = freshness.age;
    if policy.obeys_clients && refuses(request, terms.immutable && fresh, &freshness) {
        // RFC 9211 §2.2: the request is the reason only where nothing else is.
        let forward = if fresh { Forward::Request } else { Forward::Stale };
        return Verdict::Validate { variant, forward };
    }
    if terms.no_cache {
        return Verdict::Validate { variant, forward: Forward::Stale };
    }
    if fresh {
        return Verdict::Hit { variant, age, ttl_seconds: freshness.ttl_seconds() };
    }
    let revalidate = match while_revalidating(terms, &freshness, request, policy) {
        None => return Verdict::Validate { variant, forward: Forward::Stale },
        Some(Leave::Client) => false,
        Some(Leave::Revalidating) => true,
    };
    Verdict::Stale { variant, age, ttl_seconds: freshness.ttl_seconds().min(0), revalidate }
}

/// Whether the client's directives rule out a stored response that the origin's do not.
fn refuses(request: &Request, immutable: bool, freshness: &super::freshness::Freshness) -> bool {
    let control = &request.control;
    // A reload of what does not change needs no asking; one by force does (RFC 8246 §2).
    let too_old = control.max_age.is_some_and(|most| (most.is_zero() || freshness.age > most) && !immutable);
    let too_near_its_end =
        control.min_fresh.is_some_and(|least| freshness.lifetime.saturating_sub(freshness.age) < least);
    control.no_cache || too_old || too_near_its_end
}
