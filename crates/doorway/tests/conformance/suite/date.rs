//! Dates of HTTP, written (RFC 9110 §5.6.7).

use std::time::{SystemTime, UNIX_EPOCH};

/// The moment so many seconds from here, as IMF-fixdate.
pub fn date(seconds: i64) -> String {
    let here = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |span| span.as_secs());
    let moment = here.saturating_add_signed(seconds);
    let (days, of_day) = (moment / 86_400, moment % 86_400);
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(days % 7) as usize];
    let (mut year, mut day) = (1970, days);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while day >= if is_leap(year) { 366 } else { 365 } {
        day -= if is_leap(year) { 366 } else { 365 };
        year += 1;
    }
    let lengths = [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][month];
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{weekday}, {:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT", day + 1)
}

/// A text with each `{now}`, `{now+60}` and `{now-60}` replaced by a date.
pub fn with_dates(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{now") {
        let (offset, behind) = after.split_once('}').expect("{now has its }");
        out.push_str(before);
        out.push_str(&date(if offset.is_empty() { 0 } else { offset.parse().expect("seconds") }));
        rest = behind;
    }
    out.push_str(rest);
    out
}
