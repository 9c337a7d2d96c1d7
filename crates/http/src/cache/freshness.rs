//! How long a response may be used without asking (RFC 9111 §4.2.1, §4.2.2).

use std::time::Duration;

use doorway_base::{Instant, UnixTime};

use super::control::{DELTA_MAX, ResponseControl};
use super::lines::FieldLines;
use super::policy::{Policy, Targets};
use super::stored::Stored;
use crate::wire::date::parse_date;

/// The longest lifetime that is guessed.
pub const HEURISTIC_MAX: Duration = Duration::from_secs(24 * 3600);

/// What a response's fields say about its use, so that they need not be read for each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Which targeted fields were looked at.
    pub targets: Targets,
    /// The lifetime that the origin gave it, from `s-maxage`, `max-age` or Expires, in this order.
    pub explicit: Option<Duration>,
    /// From its last change to its Date, where a lifetime may be guessed from it.
    pub unchanged: Option<Duration>,
    /// Whether it must be validated for each request (`no-cache`).
    pub no_cache: bool,
    /// Whether it may never be used stale, whoever allows it (RFC 9111 §4.2.4).
    pub never_stale: bool,
    /// Whether it does not change while it is fresh (RFC 8246).
    pub immutable: bool,
    /// How long after its end it may be used while it is validated (RFC 5861 §3).
    pub stale_while_revalidate: Duration,
    /// How long after its end it may be used when the origin fails (RFC 5861 §4).
    pub stale_if_error: Option<Duration>,
    /// Its Date, or when it came.
    pub date: UnixTime,
    /// Its Last-Modified.
    pub modified: Option<UnixTime>,
}

/// Whether a lifetime may be guessed for a response with this status (RFC 9110 §15.1).
#[must_use]
pub const fn is_heuristically_cacheable(status: u16) -> bool {
    matches!(status, 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// Reads a date in any case of letters (RFC 9111 §4.2).
pub(super) fn read_date(value: &[u8], now: UnixTime) -> Option<UnixTime> {
    parse_date(value, now).or_else(|| {
        let mut value = value.to_ascii_lowercase();
        let mut before = b' ';
        for octet in &mut value {
            if !before.is_ascii_alphabetic() {
                octet.make_ascii_uppercase();
            }
            before = *octet;
        }
        if let Some(zone) = value.last_chunk_mut::<3>() {
            zone.make_ascii_uppercase();
        }
        parse_date(&value, now)
    })
}

/// The Date of a message; `received` when it has none that can be read (RFC 9110 §6.6.1).
pub(super) fn date(fields: &impl FieldLines, received: UnixTime) -> UnixTime {
    fields.value("date").and_then(|value| read_date(value, received)).unwrap_or(received)
}

/// The one date in the field with this name; `None` for none, several different ones and what is no date.
pub(super) fn single_date(fields: &impl FieldLines, name: &'static str, now: UnixTime) -> Option<UnixTime> {
    let mut dates = fields.values(name).map(|value| read_date(value, now));
    let first = dates.next()??;
    dates.all(|date| date == Some(first)).then_some(first)
}

impl Terms {
    /// Reads what the fields of a response say, that came at `received` on the wall clock.
    #[must_use]
    pub fn of(status: u16, fields: &impl FieldLines, received: UnixTime, targets: Targets) -> Self {
        Self::read(status, fields, received, targets, &ResponseControl::read(fields, targets.names()))
    }

    /// The same when its directives are read already.
    pub(super) fn read(
        status: u16,
        fields: &impl FieldLines,
        received: UnixTime,
        targets: Targets,
        control: &ResponseControl,
    ) -> Self {
        let date = date(fields, received);
        let expires = || {
            // What cannot be read lies in the past; of several the earliest counts (RFC 9111 §5.3).
            let dates = fields.values("expires").map(|value| read_date(value, received).unwrap_or_default());
            dates.min().filter(|_| !control.targeted).map(|expires| (expires - date).min(DELTA_MAX))
        };
        let explicit = control.s_maxage.or(control.max_age).or_else(expires);
        let modified = single_date(fields, "last-modified", received);
        let may_be_guessed = explicit.is_none() && (is_heuristically_cacheable(status) || control.public);
        Self {
            targets,
            explicit,
            unchanged: modified.filter(|_| may_be_guessed).map(|modified| date - modified),
            no_cache: control.no_cache,
            never_stale: control.forbids_stale(),
            immutable: control.immutable,
            stale_while_revalidate: control.stale_while_revalidate.unwrap_or_default(),
            stale_if_error: control.stale_if_error,
            date,
            modified,
        }
    }

    /// For how long it is fresh, from its Date on (`freshness_lifetime` in RFC 9111 §4.2.1).
    #[must_use]
    pub fn lifetime(&self, policy: &Policy) -> Duration {
        self.explicit.unwrap_or_else(|| {
            let unchanged_seconds = self.unchanged.unwrap_or_default().as_secs();
            let permille = u64::from(policy.heuristic_permille);
            Duration::from_secs(unchanged_seconds.saturating_mul(permille) / 1000).min(HEURISTIC_MAX)
        })
    }
}

/// How a stored response stands at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// Its age.
    pub age: Duration,
    /// How long it is fresh in all.
    pub lifetime: Duration,
}

impl Freshness {
    /// Whether it is fresh (RFC 9111 §4.2).
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.lifetime > self.age
    }

    /// For how long it is still fresh, in whole seconds; below 0 when it has been stale for so long.
    #[must_use]
    pub fn ttl_seconds(&self) -> i64 {
        // Neither is longer than 2^32 seconds.
        self.lifetime.as_secs() as i64 - self.age.as_secs() as i64
    }

    /// For how long it has been stale.
    #[must_use]
    pub fn overdue(&self) -> Duration {
        self.age.saturating_sub(self.lifetime)
    }
}

impl Stored {
    /// How it stands at `now`.
    #[must_use]
    pub fn freshness(&self, now: Instant, policy: &Policy) -> Freshness {
        Freshness { age: self.age(now), lifetime: self.terms.lifetime(policy) }
    }
}
