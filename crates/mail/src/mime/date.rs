//! Dates of header fields (RFC 5322 §3.3): one form is written, whatever can be understood is read,
//! obsolete zones and missing parts included (RFC 5322 §4.3).

use doorway_base::UnixTime;

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Longest date that is read, in octets; the rest is not looked at.
const DATE_OCTETS_MAX: usize = 256;

/// A moment, and the zone in which it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// The moment.
    pub at: UnixTime,
    /// East of Greenwich, in minutes.
    pub zone_minutes: i16,
}

/// Writes a moment in UTC: `Mon, 23 Nov 2026 05:59:00 +0000`.
#[must_use]
pub fn write(at: UnixTime) -> String {
    let c = at.civil();
    let (weekday, month) = (WEEKDAYS[usize::from(c.weekday)], MONTHS[usize::from(c.month - 1)]);
    format!(
        "{weekday}, {:02} {month} {:04} {:02}:{:02}:{:02} +0000",
        c.day, c.year, c.hour, c.minute, c.second
    )
}

/// Reads a date. The weekday is not looked at, seconds and zone may be missing, month and day may stand
/// either way round, comments are skipped, two digits of a year mean 1950 to 2049. `None` when no date
/// from 1970 on can be made of it.
#[must_use]
pub fn parse(value: &[u8]) -> Option<Date> {
    let words = words(&value[..value.len().min(DATE_OCTETS_MAX)]);
    let (mut day, mut month, mut year, mut clock, mut zone) = (None, None, None, None, None);
    for word in &words {
        let word = word.as_str();
        if word.contains(':') {
            clock = clock.or_else(|| parse_clock(word));
        } else if let Ok(number) = word.parse::<i64>()
            && !word.starts_with(['+', '-'])
        {
            match (day, year) {
                (None, _) if word.len() <= 2 => day = u8::try_from(number).ok(),
                (_, None) => year = Some(full_year(number, word.len())),
                _ => {}
            }
        } else if let Some(found) = month_of(word).filter(|_| month.is_none()) {
            month = Some(found);
        } else if clock.is_some() {
            zone = zone.or_else(|| zone_of(word));
        }
    }
    let (hour, minute, second) = clock.unwrap_or((0, 0, 0));
    // A leap second counts as the one before it.
    let local = UnixTime::from_civil(year?, month?, day?, hour, minute, second.min(59))?;
    let zone_minutes = zone.unwrap_or(0);
    let seconds = local.as_secs().checked_add_signed(-60 * i64::from(zone_minutes))?;
    Some(Date { at: UnixTime::from_secs(seconds), zone_minutes })
}

/// The words of a date, parted at blanks, commas and hyphens within `23-Nov-2026`, without comments.
fn words(value: &[u8]) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut depth = 0_u32;
    for octet in value {
        match octet {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            // The parts of a time may stand apart (RFC 5322 §4.3).
            b':' => {
                while words.len() > 1 && words.last().is_some_and(String::is_empty) {
                    words.pop();
                }
                words.last_mut().into_iter().for_each(|word| word.push(':'));
            }
            b' ' | b'\t' | b'\r' | b'\n' | b',' if words.last().is_some_and(|word| word.ends_with(':')) => {}
            b' ' | b'\t' | b'\r' | b'\n' | b',' => words.push(String::new()),
            b'-' if words.last().is_some_and(|word| !word.is_empty()) => words.push(String::new()),
            _ => words.last_mut().into_iter().for_each(|word| word.push(char::from(*octet))),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn parse_clock(word: &str) -> Option<(u8, u8, u8)> {
    let mut fields = word.split(':').map(str::parse::<u8>);
    let (hour, minute) = (fields.next()?.ok()?, fields.next()?.ok()?);
    let second = fields.next().transpose().ok()?.unwrap_or(0);
    (hour < 24 && minute < 60 && second <= 60).then_some((hour, minute, second))
}

/// RFC 5322 §4.3.
fn full_year(year: i64, digits: usize) -> i64 {
    match digits {
        0..=2 if year < 50 => 2000 + year,
        0..=3 => 1900 + year,
        _ => year,
    }
}

fn month_of(word: &str) -> Option<u8> {
    let start = word.get(..3)?;
    let at = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(start))?;
    u8::try_from(at + 1).ok()
}

/// `+hhmm`, `-hhmm`, or a name; names that are not known count as UTC (RFC 5322 §4.3).
fn zone_of(word: &str) -> Option<i16> {
    let hours = |hours: i16| Some(60 * hours);
    if let Some(digits) = word.strip_prefix(['+', '-']) {
        let number: i16 = digits.parse().ok().filter(|_| digits.len() == 4)?;
        let minutes = number / 100 * 60 + number % 100;
        return (minutes < 24 * 60).then_some(if word.starts_with('-') { -minutes } else { minutes });
    }
    match word.to_ascii_uppercase().as_str() {
        "EDT" => hours(-4),
        "EST" | "CDT" => hours(-5),
        "CST" | "MDT" => hours(-6),
        "MST" | "PDT" => hours(-7),
        "PST" => hours(-8),
        _ => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &str) {
        let read = parse(text.as_bytes()).map(|date| format!("{} {}", date.at, date.zone_minutes));
        assert_eq!(read.as_deref().unwrap_or("none"), expected, "{text}");
    }

    #[test]
    fn dates_are_read_as_they_come() {
        check("Mon, 23 Nov 2026 05:59:00 +0000", "2026-11-23T05:59:00Z 0");
        check("Mon, 23 Nov 2026 05:59:00 +0130", "2026-11-23T04:29:00Z 90");
        check("Mon, 23 Nov 2026 05:59:00 -0800 (PST)", "2026-11-23T13:59:00Z -480");
        check("23 Nov 26 5:59 EST", "2026-11-23T10:59:00Z -300");
        check("Fri, 21 Nov 97 09(comment):   55  :  06 -0600", "1997-11-21T15:55:06Z -360");
        check("Thu, 13 Feb 1969 23:32:54 -0330", "none");
        check("Thu,\r\n 13 Feb 1997 23:32 (a (nested) one) +0000", "1997-02-13T23:32:00Z 0");
        check("Sat Nov  6 08:49:37 1994", "1994-11-06T08:49:37Z 0");
        check("6-Nov-1994 08:49:37 GMT", "1994-11-06T08:49:37Z 0");
        check("6 November 1994 08:49:60 Z", "1994-11-06T08:49:59Z 0");
        check("6 Nov 1994", "1994-11-06T00:00:00Z 0");
        check("31 Feb 2026 00:00:00 +0000", "none");
        check("1 Jan 1970 00:30:00 +0100", "none");
        check("yesterday", "none");
        check("", "none");
    }

    #[test]
    fn the_zone_is_written_as_utc() {
        assert_eq!(write(UnixTime::from_secs(1_795_413_540)), "Mon, 23 Nov 2026 05:59:00 +0000");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(seconds in 0_u64..18_000_000_000) {
            let at = UnixTime::from_secs(seconds);
            prop_assert_eq!(parse(write(at).as_bytes()), Some(Date { at, zone_minutes: 0 }));
        }

        #[test]
        fn any_octets_are_a_date_or_none(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&octets);
        }
    }
}
