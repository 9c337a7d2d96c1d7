//! Range requests: which octets of a representation are asked for (RFC 9110 §14).

use doorway_base::UnixTime;

use crate::wire::Fields;
use crate::wire::date::parse_date;

/// Most parts of one response, once overlapping ones are joined; who asks for more gets the whole.
pub const PARTS_MAX: usize = 16;
/// Most ranges of one request that are read; of a longer list none is.
const RANGES_MAX: usize = 128;

/// Octets `first` to `end`, the latter not included; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first octet, counted from 0.
    pub first: u64,
    /// The octet behind the last.
    pub end: u64,
}

impl Span {
    /// How many octets it has.
    #[must_use]
    pub const fn octets(&self) -> u64 {
        self.end - self.first
    }

    /// The value of Content-Range for this part of so many octets (RFC 9110 §14.4).
    #[must_use]
    pub fn content_range(&self, octets: u64) -> String {
        format!("bytes {}-{}/{octets}", self.first, self.end - 1)
    }
}

/// What is asked for of a representation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ranges {
    /// All of it: there is no range, or none that is understood.
    Whole,
    /// These parts, one at least.
    Parts(Vec<Span>),
    /// Nothing that is there: 416.
    Unsatisfiable,
}

/// Reads the value of Range for a representation of so many octets. What is not well-formed, is of
/// another unit than octets, or is a long list is as if it were not there (RFC 9110 §14.2).
#[must_use]
#[doc(alias = "Range")]
pub fn parse(value: &[u8], octets: u64) -> Ranges {
    let Some(list) = value.split_at_checked(6).filter(|(unit, _)| unit.eq_ignore_ascii_case(b"bytes="))
    else {
        return Ranges::Whole;
    };
    let mut parts = Vec::new();
    let mut members = 0;
    for member in list.1.split(|&octet| octet == b',').map(<[u8]>::trim_ascii) {
        if member.is_empty() {
            continue; // RFC 9110 §5.6.1.2
        }
        members += 1;
        let Some(span) = span(member, octets) else { return Ranges::Whole };
        parts.extend(span.filter(|span| span.first < span.end));
        if members > RANGES_MAX {
            return Ranges::Whole;
        }
    }
    if members == 0 {
        return Ranges::Whole;
    }
    let parts = join(parts);
    match parts.len() {
        0 => Ranges::Unsatisfiable,
        count if count > PARTS_MAX => Ranges::Whole,
        _ => Ranges::Parts(parts),
    }
}

/// One range; the outer `None` for what is none, the inner one for what begins behind the end.
fn span(member: &[u8], octets: u64) -> Option<Option<Span>> {
    let dash = member.iter().position(|&octet| octet == b'-')?;
    let (first, last) = (&member[..dash], &member[dash + 1..]);
    if first.is_empty() {
        let suffix = number(last)?;
        return Some(Some(Span { first: octets.saturating_sub(suffix), end: octets }));
    }
    let first = number(first)?;
    let end = if last.is_empty() {
        octets
    } else {
        let last = number(last)?;
        if last < first {
            return None;
        }
        last.saturating_add(1).min(octets)
    };
    Some((first < octets).then_some(Span { first, end }))
}

/// Digits as a number; one that is too large is as large as can be.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, digit| {
        digit.is_ascii_digit().then(|| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    })
}

/// Joins parts that overlap or touch. Where none does the order stays that of the request, which may know
/// what it needs first.
fn join(parts: Vec<Span>) -> Vec<Span> {
    let mut sorted = parts.clone();
    sorted.sort_by_key(|span| span.first);
    let mut joined: Vec<Span> = Vec::with_capacity(sorted.len());
    for span in sorted {
        match joined.last_mut() {
            Some(before) if span.first <= before.end => before.end = before.end.max(span.end),
            _ => joined.push(span),
        }
    }
    if joined.len() == parts.len() { parts } else { joined }
}

/// Whether If-Range, if there is one, lets a range be sent of a representation with this strong entity tag
/// and this time of change (RFC 9110 §13.1.5). A date counts only if it is exactly that of the change and
/// lies so long back that a second change could not have the same.
#[must_use]
#[doc(alias = "If-Range")]
pub fn if_range(fields: &Fields<'_>, etag: &[u8], modified: UnixTime, now: UnixTime) -> bool {
    if_range_lines(fields.all(b"if-range"), Some(etag), Some(modified), now)
}

/// The same for lines from anywhere, and for a representation without one of the two. `now` is when it was
/// known to be as it is.
#[must_use]
pub fn if_range_lines<'f>(
    mut lines: impl Iterator<Item = &'f [u8]>,
    etag: Option<&[u8]>,
    modified: Option<UnixTime>,
    now: UnixTime,
) -> bool {
    let Some(value) = lines.next() else { return true };
    if lines.next().is_some() {
        return false;
    }
    if value.starts_with(b"\"") || value.starts_with(b"W/") {
        return Some(value) == etag && !value.starts_with(b"W/");
    }
    let Some(modified) = modified else { return false };
    let settled = modified.as_secs() < now.as_secs();
    settled && parse_date(value, now).is_some_and(|date| date.as_secs() == modified.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(value: &str, octets: u64, expected: &[(u64, u64)]) {
        let expected: Vec<_> = expected.iter().map(|&(first, end)| Span { first, end }).collect();
        assert_eq!(parse(value.as_bytes(), octets), Ranges::Parts(expected), "{value}");
    }

    #[test]
    fn a_range_is_cut_at_the_end_of_what_is_there() {
        check("bytes=0-0", 10, &[(0, 1)]);
        check("bytes=2-4", 10, &[(2, 5)]);
        check("bytes=5-", 10, &[(5, 10)]);
        check("bytes=5-500", 10, &[(5, 10)]);
        check("bytes=-3", 10, &[(7, 10)]);
        check("bytes=-30", 10, &[(0, 10)]);
        check("BYTES=9-9", 10, &[(9, 10)]);
        check("bytes=0-99999999999999999999999", 10, &[(0, 10)]);
        check("bytes= 1-2 , 8-8", 10, &[(1, 3), (8, 9)]);
        check("bytes=8-8,1-2", 10, &[(8, 9), (1, 3)]);
        check("bytes=20-30,1-2", 10, &[(1, 3)]);
    }

    #[test]
    fn parts_that_overlap_or_touch_are_joined() {
        check("bytes=0-4,3-6", 10, &[(0, 7)]);
        check("bytes=5-6,0-4", 10, &[(0, 7)]);
        check("bytes=0-,0-,0-", 10, &[(0, 10)]);
        check("bytes=8-8,0-1,1-2", 10, &[(0, 3), (8, 9)]);
    }

    #[test]
    fn what_is_no_range_of_octets_is_passed_over_and_what_is_not_there_told() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=4-2",
            "bytes=1",
            "lines=1-2",
            "bytes =1-2",
            "bytes=1-2;x",
            "bytes=1-2 3-4",
            "bytes=--1",
            "bytes=+1-2",
            "bytes=1-2,x",
        ] {
            assert_eq!(parse(value.as_bytes(), 10), Ranges::Whole, "{value}");
        }
        for (value, octets) in
            [("bytes=10-", 10), ("bytes=10-11,12-", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-5", 0)]
        {
            assert_eq!(parse(value.as_bytes(), octets), Ranges::Unsatisfiable, "{value}");
        }
        let many =
            |count: u64| (0..count).map(|n| format!("{}-{}", 4 * n, 4 * n)).collect::<Vec<_>>().join(",");
        assert!(
            matches!(parse(format!("bytes={}", many(16)).as_bytes(), 1000), Ranges::Parts(parts) if parts.len() == 16)
        );
        assert_eq!(parse(format!("bytes={}", many(17)).as_bytes(), 1000), Ranges::Whole);
        let same = "0-0,".repeat(RANGES_MAX + 1);
        assert_eq!(parse(format!("bytes={same}").as_bytes(), 1000), Ranges::Whole);
    }

    proptest! {
        #[test]
        fn the_parts_are_the_octets_that_plain_slicing_gives(
            ranges in proptest::collection::vec((0usize..40, 0usize..40), 1..6),
            octets in 1usize..32,
        ) {
            let list: Vec<String> =
                ranges.iter().map(|(first, more)| format!("{first}-{}", first + more)).collect();
            let mut wanted = vec![false; octets];
            for (first, more) in &ranges {
                for octet in wanted.iter_mut().take(first + more + 1).skip(*first) {
                    *octet = true;
                }
            }
            let mut sent = vec![0; octets];
            match parse(format!("bytes={}", list.join(",")).as_bytes(), octets as u64) {
                Ranges::Parts(parts) => for part in parts {
                    prop_assert!(part.first < part.end);
                    for octet in &mut sent[part.first as usize..part.end as usize] {
                        *octet += 1;
                    }
                },
                Ranges::Unsatisfiable => {}
                Ranges::Whole => prop_assert!(false, "each of these lists is well-formed"),
            }
            for (sent, wanted) in sent.iter().zip(&wanted) {
                prop_assert_eq!(*sent, u8::from(*wanted));
            }
        }

        #[test]
        fn no_octets_make_it_panic(value in proptest::collection::vec(any::<u8>(), 0..40), octets: u64) {
            let _ = parse(&value, octets);
            let mut prefixed = b"bytes=".to_vec();
            prefixed.extend(value);
            if let Ranges::Parts(parts) = parse(&prefixed, octets) {
                prop_assert!(parts.iter().all(|part| part.first < part.end && part.end <= octets));
            }
        }
    }
}
