//! The dates of Expires (RFC 6265bis §5.1.1): anything in which a time, a day, a month and a year can be found,
//! in any order and with anything between them.

use doorway_base::UnixTime;

const MONTHS: [&[u8; 3]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
/// The earliest year that is one; the calendar of all dates begins about there.
const YEAR_MIN: u32 = 1601;

/// Reads a date; `None` when a part is missing, out of its bounds, or the day does not exist.
///
/// A date before 1970 comes out as 1970, one beyond what a [`UnixTime`] holds as the last that it does: a
/// cookie is over in the one case, and capped in the other.
#[must_use]
pub fn cookie_date(text: &[u8]) -> Option<UnixTime> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(|&octet| is_delimiter(octet)).filter(|token| !token.is_empty()) {
        if time.is_none()
            && let Some(found) = time_of_day(token)
        {
            time = Some(found);
        } else if day.is_none()
            && let Some(found) = number(token, 1, 2)
        {
            day = Some(found);
        } else if month.is_none()
            && let Some(found) = month_number(token)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some(found) = number(token, 2, 4)
        {
            year = Some(found);
        }
    }
    let ([hour, minute, second], day, month, year) = (time?, day?, month?, year?);
    let year = match year {
        0..=69 => year + 2000,
        70..=99 => year + 1900,
        _ => year,
    };
    if !(1..=31).contains(&day) || year < YEAR_MIN || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let moment = |year: u32| {
        let civil = [month, day, hour, minute, second].map(|number| number as u8);
        UnixTime::from_civil(i64::from(year), civil[0], civil[1], civil[2], civil[3], civil[4])
    };
    // Every 400 years the calendar is the same, so a day exists in 1604 when it does in 2004.
    let existed = year < 1970;
    let moment = moment(if existed { year + 400 } else { year })?;
    Some(if existed { UnixTime::from_secs(0) } else { moment })
}

const fn is_delimiter(octet: u8) -> bool {
    matches!(octet, b'\t' | 0x20..=0x2f | 0x3b..=0x40 | 0x5b..=0x60 | 0x7b..=0x7e)
}

/// `min` to `max` digits at the start, and no further digit behind them.
fn number(token: &[u8], min: usize, max: usize) -> Option<u32> {
    let digits = token.iter().take_while(|octet| octet.is_ascii_digit()).count();
    let value = || token[..digits].iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    (min..=max).contains(&digits).then(value)
}

/// `h:m:s` with one or two digits each; what follows is no digit.
fn time_of_day(token: &[u8]) -> Option<[u32; 3]> {
    let mut parts = token.splitn(3, |&octet| octet == b':');
    let whole = |part: &[u8]| number(part, 1, 2).filter(|_| part.iter().all(u8::is_ascii_digit));
    Some([whole(parts.next()?)?, whole(parts.next()?)?, number(parts.next()?, 1, 2)?])
}

fn month_number(token: &[u8]) -> Option<u32> {
    let name = token.first_chunk::<3>()?.to_ascii_lowercase();
    MONTHS.iter().position(|month| month[..] == name[..]).map(|place| place as u32 + 1)
}
