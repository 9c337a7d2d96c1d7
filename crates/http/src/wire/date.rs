//! HTTP dates (RFC 9110 §5.6.7): all three forms are read, IMF-fixdate alone is written.

use doorway_base::UnixTime;

/// Octets of an IMF-fixdate.
pub const DATE_OCTETS: usize = 29;

const WEEKDAYS: [&[u8; 3]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];
const WEEKDAYS_LONG: [&[u8]; 7] =
    [b"Sunday", b"Monday", b"Tuesday", b"Wednesday", b"Thursday", b"Friday", b"Saturday"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Writes a moment as IMF-fixdate, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
#[must_use]
pub fn write_date(time: UnixTime) -> [u8; DATE_OCTETS] {
    let civil = time.civil();
    let mut date = *b"Day, 00 Mon 0000 00:00:00 GMT";
    let mut two = |at: usize, value: u8| {
        date[at] = b'0' + value / 10;
        date[at + 1] = b'0' + value % 10;
    };
    // A UnixTime ends in 2554, so the year has four digits.
    let year = civil.year as u16;
    two(5, civil.day);
    two(12, (year / 100) as u8);
    two(14, (year % 100) as u8);
    two(17, civil.hour);
    two(20, civil.minute);
    two(23, civil.second);
    date[..3].copy_from_slice(WEEKDAYS[usize::from(civil.weekday)]);
    date[8..11].copy_from_slice(MONTHS[usize::from(civil.month - 1)]);
    date
}

/// Writes a moment to the second as in `1994-11-06T08:49:37Z` (RFC 3339 §5.6), for programs that read JSON.
#[must_use]
pub fn write_rfc3339(time: UnixTime) -> String {
    let civil = time.civil();
    let (year, month, day) = (civil.year, civil.month, civil.day);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", civil.hour, civil.minute, civil.second)
}

/// Reads a date in any of the three forms; `None` when it has none of them or does not exist.
///
/// `now` decides the century of a two-digit year: a date that seems more than 50 years ahead lies in
/// the past. The weekday's name is checked to be one, not to be the right one.
#[must_use]
pub fn parse_date(text: &[u8], now: UnixTime) -> Option<UnixTime> {
    if text.len() == DATE_OCTETS { parse_imf_fixdate(text) } else { None }
        .or_else(|| parse_rfc850(text, now))
        .or_else(|| parse_asctime(text))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn parse_imf_fixdate(text: &[u8]) -> Option<UnixTime> {
    let (weekday, rest) = text.split_first_chunk::<3>()?;
    WEEKDAYS.contains(&weekday).then_some(())?;
    let rest = rest.strip_prefix(b", ")?;
    let (day, rest) = number::<2>(rest)?;
    let (month, rest) = month(rest.strip_prefix(b" ")?)?;
    let (year, rest) = number::<4>(rest.strip_prefix(b" ")?)?;
    let (time, rest) = time_of_day(rest.strip_prefix(b" ")?)?;
    (rest == b" GMT").then(|| civil(year, month, day, time))?
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn parse_rfc850(text: &[u8], now: UnixTime) -> Option<UnixTime> {
    let comma = text.iter().position(|&octet| octet == b',')?;
    WEEKDAYS_LONG.contains(&&text[..comma]).then_some(())?;
    let rest = text[comma..].strip_prefix(b", ")?;
    let (day, rest) = number::<2>(rest)?;
    let (month, rest) = month(rest.strip_prefix(b"-")?)?;
    let (year, rest) = number::<2>(rest.strip_prefix(b"-")?)?;
    let (time, rest) = time_of_day(rest.strip_prefix(b" ")?)?;
    (rest == b" GMT").then_some(())?;
    let this_year = u32::try_from(now.civil().year).ok()?;
    let in_this_century = this_year / 100 * 100 + year;
    let year = if in_this_century > this_year + 50 { in_this_century - 100 } else { in_this_century };
    civil(year, month, day, time)
}

/// `Sun Nov  6 08:49:37 1994`
fn parse_asctime(text: &[u8]) -> Option<UnixTime> {
    let (weekday, rest) = text.split_first_chunk::<3>()?;
    WEEKDAYS.contains(&weekday).then_some(())?;
    let (month, rest) = month(rest.strip_prefix(b" ")?)?;
    let rest = rest.strip_prefix(b" ")?;
    let (day, rest) = match rest.strip_prefix(b" ") {
        Some(rest) => number::<1>(rest)?,
        None => number::<2>(rest)?,
    };
    let (time, rest) = time_of_day(rest.strip_prefix(b" ")?)?;
    let (year, rest) = number::<4>(rest.strip_prefix(b" ")?)?;
    rest.is_empty().then(|| civil(year, month, day, time))?
}

fn number<const DIGITS: usize>(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<DIGITS>()?;
    let value = digits
        .iter()
        .try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u32::from(digit - b'0')))?;
    Some((value, rest))
}

fn month(text: &[u8]) -> Option<(u32, &[u8])> {
    let (name, rest) = text.split_first_chunk::<3>()?;
    let place = MONTHS.iter().position(|month| *month == name)?;
    Some((place as u32 + 1, rest))
}

fn time_of_day(text: &[u8]) -> Option<([u32; 3], &[u8])> {
    let (hour, rest) = number::<2>(text)?;
    let (minute, rest) = number::<2>(rest.strip_prefix(b":")?)?;
    let (second, rest) = number::<2>(rest.strip_prefix(b":")?)?;
    Some(([hour, minute, second], rest))
}

fn civil(year: u32, month: u32, day: u32, [hour, minute, second]: [u32; 3]) -> Option<UnixTime> {
    // RFC 9110 §5.6.7 allows a leap second, which UnixTime does not count.
    let second = if second == 60 { 59 } else { second };
    UnixTime::from_civil(i64::from(year), month as u8, day as u8, hour as u8, minute as u8, second as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: UnixTime = UnixTime::from_secs(1_795_369_205);

    #[test]
    fn the_three_forms_of_one_moment_are_the_same() {
        for text in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(parse_date(text.as_bytes(), NOW), Some(UnixTime::from_secs(784_111_777)), "{text}");
        }
        assert_eq!(&write_date(UnixTime::from_secs(784_111_777)), b"Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn dates_at_the_edges_are_read() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400)),
            ("Sat, 31 Dec 2016 23:59:60 GMT", Some(1_483_228_799)),
            ("Friday, 31-Dec-76 23:59:59 GMT", Some(3_376_684_799)),
            ("Saturday, 31-Dec-77 23:59:59 GMT", Some(252_460_799)),
            ("Wed Nov 16 08:49:37 1994", Some(784_975_777)),
        ] {
            assert_eq!(parse_date(text.as_bytes(), NOW), seconds.map(UnixTime::from_secs), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "0",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            "Xyz, 06 Nov 1994 08:49:37 GMT",
            "Sun Nov 6 08:49:37 1994",
            "Sun, 06 Nov 1969 08:49:37 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse_date(text.as_bytes(), NOW), None, "{text}");
        }
        let whole = b"Sunday, 06-Nov-94 08:49:37 GMT";
        for length in 0..whole.len() {
            assert_eq!(parse_date(&whole[..length], NOW), None);
        }
    }

    proptest! {
        #[test]
        fn a_written_date_is_read_as_the_same_second(seconds in 0u64..18_000_000_000) {
            let time = UnixTime::from_secs(seconds);
            prop_assert_eq!(parse_date(&write_date(time), NOW), Some(time));
        }
    }
}
