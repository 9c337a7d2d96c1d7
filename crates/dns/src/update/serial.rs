//! The serial number after a change: RFC 1982, RFC 1912 §2.2.

use doorway_base::UnixTime;

use crate::zone::change::is_after;

/// How a zone counts its versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SerialPolicy {
    /// One more than before.
    #[default]
    Increment,
    /// Seconds since 1970.
    UnixTime,
    /// Year, month, day and a number: 2026112200.
    Date,
}

impl SerialPolicy {
    /// The words for the config, each with its policy.
    pub const WORDS: [(&'static str, Self); 3] =
        [("increment", Self::Increment), ("unixtime", Self::UnixTime), ("date", Self::Date)];

    /// The serial that follows `serial`; always one that secondaries take for newer.
    #[must_use]
    pub fn next(self, serial: u32, now: UnixTime) -> u32 {
        let wanted = match self {
            Self::Increment => serial,
            Self::UnixTime => now.as_secs() as u32,
            Self::Date => {
                let date = now.civil();
                let days = date.year as u32 * 10_000 + u32::from(date.month) * 100 + u32::from(date.day);
                days.wrapping_mul(100)
            }
        };
        if is_after(wanted, serial) { wanted } else { serial.wrapping_add(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_gives_a_serial_that_comes_after() {
        let now = UnixTime::from_civil(2026, 11, 22, 21, 0, 0).unwrap();
        let seconds = now.as_secs() as u32;
        for (policy, serial, next) in [
            (SerialPolicy::Increment, 7, 8),
            (SerialPolicy::Increment, u32::MAX, 0),
            (SerialPolicy::UnixTime, 7, seconds),
            (SerialPolicy::UnixTime, seconds, seconds + 1),
            (SerialPolicy::UnixTime, seconds + 50, seconds + 51),
            (SerialPolicy::Date, 7, 2_026_112_200),
            (SerialPolicy::Date, 2_026_112_200, 2_026_112_201),
            (SerialPolicy::Date, 2_026_112_299, 2_026_112_300),
        ] {
            assert_eq!(policy.next(serial, now), next, "{policy:?} after {serial}");
            assert!(is_after(next, serial));
        }
    }
}
