//! Time as a value. Reading the clock is `net`'s business; here it is only compared and printed.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment on a world's monotonic clock: nanoseconds since that world began.
///
/// The same type serves real and virtual time, so an engine can be tested with
/// `Instant::ZERO + Duration::from_secs(1800)` and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The moment the world began.
    pub const ZERO: Self = Self(0);
    /// Later than every moment a world can reach (584 years on).
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment `nanos` nanoseconds after the world began.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the world began.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time since `earlier`; zero when `earlier` is in fact later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    /// Saturates at [`Instant::NEVER`].
    fn add(self, span: Duration) -> Self {
        Self(u64::try_from(span.as_nanos()).map_or(u64::MAX, |nanos| self.0.saturating_add(nanos)))
    }
}

impl Sub for Instant {
    type Output = Duration;
    /// Saturates at zero.
    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

/// Wall-clock time: nanoseconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// For dates that people and peers read (HTTP `Date`, certificate validity). Intervals are measured
/// with [`Instant`], because a wall clock can be set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixTime(u64);

/// A moment split into the fields of the Gregorian calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Year, such as 2026.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59.
    pub second: u8,
    /// Day of the week, 0 = Sunday.
    pub weekday: u8,
}

impl UnixTime {
    /// The moment `seconds` seconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// The moment `nanos` nanoseconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Whole seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds since 1970 for a calendar date and time in UTC; `None` before 1970 or for a field out
    /// of its range.
    #[must_use]
    pub fn from_civil(year: i64, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> Option<Self> {
        if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || day == 0 {
            return None;
        }
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let month_days = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        if day > month_days[usize::from(month) - 1] || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        // Days from a civil date, counted in years that begin in March so that the leap day is last.
        let shifted_year = if month <= 2 { year - 1 } else { year };
        let era = shifted_year / 400;
        let year_of_era = shifted_year - era * 400;
        let shifted_month = (i64::from(month) + 9) % 12;
        let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        let seconds = days * 86_400 + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        u64::try_from(seconds).ok().map(Self::from_secs)
    }

    /// The calendar fields of this moment, in UTC.
    #[must_use]
    pub fn civil(self) -> Civil {
        let seconds = self.as_secs() as i64;
        let (days, of_day) = (seconds / 86_400, seconds % 86_400);
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let day_of_era = shifted % 146_097;
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        Civil {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month: month as u8,
            day: (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u8,
            hour: (of_day / 3600) as u8,
            minute: (of_day / 60 % 60) as u8,
            second: (of_day % 60) as u8,
            weekday: ((days + 4) % 7) as u8,
        }
    }
}

impl Add<Duration> for UnixTime {
    type Output = Self;
    /// Saturates at the far end (year 2554).
    fn add(self, span: Duration) -> Self {
        Self(u64::try_from(span.as_nanos()).map_or(u64::MAX, |nanos| self.0.saturating_add(nanos)))
    }
}

impl Sub for UnixTime {
    type Output = Duration;
    /// Saturates at zero.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for UnixTime {
    /// RFC 3339 in UTC, to the second: `2026-11-22T17:40:05Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil { year, month, day, hour, minute, second, .. } = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar_dates_survive_the_way_there_and_back() {
        for (seconds, text, weekday) in [
            (0, "1970-01-01T00:00:00Z", 4),
            (951_782_400, "2000-02-29T00:00:00Z", 2),
            (784_111_777, "1994-11-06T08:49:37Z", 0),
            (1_795_369_205, "2026-11-22T17:40:05Z", 0),
            (4_102_444_799, "2099-12-31T23:59:59Z", 4),
        ] {
            let moment = UnixTime::from_secs(seconds);
            assert_eq!(moment.to_string(), text);
            let c = moment.civil();
            assert_eq!(c.weekday, weekday, "{text}");
            assert_eq!(
                UnixTime::from_civil(c.year, c.month, c.day, c.hour, c.minute, c.second),
                Some(moment)
            );
        }
    }

    #[test]
    fn dates_that_do_not_exist_are_refused() {
        assert_eq!(UnixTime::from_civil(2026, 2, 29, 0, 0, 0), None);
        assert_eq!(UnixTime::from_civil(2026, 13, 1, 0, 0, 0), None);
        assert_eq!(UnixTime::from_civil(1969, 12, 31, 23, 59, 59), None);
        assert_eq!(UnixTime::from_civil(2026, 1, 1, 24, 0, 0), None);
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(Instant::NEVER + Duration::from_secs(1), Instant::NEVER);
        assert_eq!(Instant::ZERO - Instant::from_nanos(5), Duration::ZERO);
        assert_eq!(Instant::from_nanos(7).since(Instant::from_nanos(5)), Duration::from_nanos(2));
    }
}
