//! How old a response is (RFC 9111 §4.2.3).
//!
//! The age grows with the monotonic clock alone. The wall clock is looked at once, when a response comes, to be
//! compared with its Date; a step of it later on changes no age.

use std::time::Duration;

use doorway_base::{Instant, UnixTime};

use super::control::{DELTA_MAX, seconds};
use super::lines::{FieldLines, members};
use super::stored::{Moment, Stored};

/// The age that a response says it had when it was sent. Of a list the first member counts; what is no number
/// of seconds is passed over (RFC 9111 §5.1).
#[doc(alias = "Age")]
fn age_value(fields: &impl FieldLines) -> Duration {
    let first = fields.value("age").and_then(|value| members(value).next());
    first.and_then(seconds).unwrap_or_default()
}

/// The age of a response at the moment its head came, `corrected_initial_age` in RFC 9111 §4.2.3.
#[must_use]
pub fn initial_age(
    fields: &impl FieldLines,
    date: UnixTime,
    requested: Moment,
    received: Moment,
) -> Duration {
    let apparent_age = received.wall - date;
    let corrected_age_value = age_value(fields) + received.now.since(requested.now);
    apparent_age.max(corrected_age_value).min(DELTA_MAX)
}

impl Stored {
    /// Its age (`current_age` in RFC 9111 §4.2.3).
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        (self.initial_age + now.since(self.received.now)).min(DELTA_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorway_net::web::Fields;

    /// The age of a response dated `date_seconds_ago`, that took `delay_seconds`, with these lines of Age.
    #[track_caller]
    fn check(lines: &[&str], date_seconds_ago: i64, delay_seconds: u64, age_seconds: u64) {
        let mut fields = Fields::new();
        lines.iter().for_each(|line| fields.add("Age", *line));
        let wall = UnixTime::from_secs(1_795_369_205);
        let requested = Moment { now: Instant::from_nanos(5_000_000_000), wall };
        let received = Moment { now: requested.now + Duration::from_secs(delay_seconds), wall };
        let date = UnixTime::from_secs(wall.as_secs().wrapping_add_signed(-date_seconds_ago));
        let age = initial_age(&fields, date, requested, received);
        assert_eq!(age, Duration::from_secs(age_seconds), "{lines:?}");
    }

    #[test]
    fn a_response_is_as_old_as_its_date_or_its_age_and_way_say() {
        check(&[], 0, 0, 0);
        check(&[], 100, 0, 100);
        check(&["30"], 0, 0, 30);
        check(&["30"], 100, 5, 100);
        check(&["98"], 100, 5, 103);
        // A date ahead of ours makes nothing younger.
        check(&[], -100, 2, 2);
    }

    #[test]
    fn of_several_ages_the_first_counts_and_what_is_no_age_is_passed_over() {
        check(&["30, 60"], 0, 0, 30);
        check(&["30", "60"], 0, 0, 30);
        check(&["x, 60"], 0, 0, 0);
        for value in ["", "-30", "30.5", "+30", "30 s", "0x1e", "\"30\"", "30;x"] {
            check(&[value], 0, 0, 0);
        }
        check(&["99999999999999999999"], 0, 0, 1 << 31);
        check(&["0030"], 0, 0, 30);
    }
}
