//! Conditional requests: whether the method is to be done at all (RFC 9110 §13).
//!
//! The order of §13.2.2 is kept: If-Match, else If-Unmodified-Since; then If-None-Match, else
//! If-Modified-Since. If-Range belongs to ranges and is not judged here.

use doorway_base::UnixTime;

use crate::wire::date::parse_date;
use crate::wire::{Fields, Method};

/// What is known of the representation that is there now.
#[derive(Debug, Clone, Copy)]
pub struct Validators<'a> {
    /// Its entity tag with quotes, and with `W/` in front when it is weak; `None` when the server
    /// gives none.
    pub etag: Option<&'a [u8]>,
    /// When it was last changed.
    pub modified: Option<UnixTime>,
}

/// Whether to do what the method says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// Do it.
    Holds,
    /// Answer 304: the client's copy is good.
    NotModified,
    /// Answer 412 and change nothing.
    Failed,
}

/// Evaluates the preconditions of a request for something that exists. `now` is for dates with a
/// two-digit year.
#[must_use]
#[doc(alias = "If-None-Match")]
#[doc(alias = "If-Modified-Since")]
pub fn evaluate(
    method: Method,
    fields: &Fields<'_>,
    validators: &Validators<'_>,
    now: UnixTime,
) -> Precondition {
    evaluate_lines(method, fields.iter(), Some(validators), now)
}

/// The same for fields from anywhere, and for something that may not exist: `None`.
#[must_use]
pub fn evaluate_lines<'f>(
    method: Method,
    lines: impl Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
    validators: Option<&Validators<'_>>,
    now: UnixTime,
) -> Precondition {
    let all = |name: &'static [u8]| {
        lines.clone().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let modified_after = |name| {
        // A date that cannot be read, or one of several, is as if it were not there (§13.1.3).
        let mut values = all(name);
        let (date, None) = (parse_date(values.next()?, now)?, values.next()) else { return None };
        Some(validators?.modified?.as_secs() > date.as_secs())
    };
    if all(b"if-match").next().is_some() {
        if !any_match(all(b"if-match"), validators, Comparison::Strong) {
            return Precondition::Failed;
        }
    } else if modified_after(b"if-unmodified-since") == Some(true) {
        return Precondition::Failed;
    }
    let safe = matches!(method, Method::Get | Method::Head);
    if all(b"if-none-match").next().is_some() {
        if any_match(all(b"if-none-match"), validators, Comparison::Weak) {
            return if safe { Precondition::NotModified } else { Precondition::Failed };
        }
    } else if safe && modified_after(b"if-modified-since") == Some(false) {
        return Precondition::NotModified;
    }
    Precondition::Holds
}

/// How two entity tags are compared (RFC 9110 §8.8.3.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// Neither may be weak.
    Strong,
    /// Only what stands between the quotes counts.
    Weak,
}

/// Whether one of the listed tags is that of what is there; `*` is that of anything.
fn any_match<'f>(
    mut values: impl Iterator<Item = &'f [u8]>,
    validators: Option<&Validators<'_>>,
    comparison: Comparison,
) -> bool {
    let Some(validators) = validators else { return false };
    values.any(|value| {
        value == b"*"
            || entity_tags(value)
                .any(|listed| validators.etag.is_some_and(|etag| same(listed, etag, comparison)))
    })
}

fn same(a: &[u8], b: &[u8], comparison: Comparison) -> bool {
    match comparison {
        Comparison::Strong => a == b && !a.starts_with(b"W/"),
        Comparison::Weak => opaque(a) == opaque(b),
    }
}

fn opaque(etag: &[u8]) -> &[u8] {
    etag.strip_prefix(b"W/").unwrap_or(etag)
}

/// The entity tags of a list; it ends at the first thing that is none. Commas may stand within tags.
fn entity_tags(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = value;
    std::iter::from_fn(move || {
        while let [b' ' | b'\t' | b',', after @ ..] = rest {
            rest = after;
        }
        let weak = if rest.starts_with(b"W/") { 2 } else { 0 };
        let within = rest[weak..].strip_prefix(b"\"")?;
        let length = weak + 1 + within.iter().position(|&octet| octet == b'"')? + 1;
        let (etag, after) = rest.split_at(length);
        rest = after;
        Some(etag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{FieldSpans, HeadLimits, Parsed, parse_request};

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sunday, 06-Nov-94 08:49:38 GMT";

    #[track_caller]
    fn check(method: Method, fields: &str, expected: Precondition) {
        let octets = format!("GET / HTTP/1.0\r\n{fields}\r\n");
        let mut spans = FieldSpans::default();
        let parsed = parse_request(octets.as_bytes(), &HeadLimits::default(), &mut spans).unwrap();
        let Parsed::Head(head, _) = parsed else { panic!("{fields:?} is not whole") };
        assert!(head.conditional || fields.is_empty());
        // Half a second past AT, as a file system tells it.
        let modified = Some(UnixTime::from_nanos(784_111_777_500_000_000));
        let validators = Validators { etag: Some(b"\"a,1\""), modified };
        let now = UnixTime::from_secs(1_795_369_205);
        assert_eq!(evaluate(method, &head.fields, &validators, now), expected, "{fields:?}");
    }

    #[test]
    fn preconditions_are_evaluated_in_the_order_of_the_standard() {
        use Method::{Get, Head, Put};
        use Precondition::{Failed, Holds, NotModified};
        check(Get, "", Holds);
        check(Get, "If-None-Match: \"a,1\"\r\n", NotModified);
        check(Head, "If-None-Match: W/\"a,1\"\r\n", NotModified);
        check(Put, "If-None-Match: \"a,1\"\r\n", Failed);
        check(Put, "If-None-Match: *\r\n", Failed);
        check(Get, "If-None-Match: \"b\", W/\"c\" ,\"a,1\"\r\n", NotModified);
        check(Get, "If-None-Match: \"b\"\r\nIf-None-Match: \"a,1\"\r\n", NotModified);
        check(Get, "If-None-Match: \"a\", \"1\"\r\n", Holds);
        check(Get, "If-None-Match: a,1\r\n", Holds);
        check(Get, "If-None-Match: \"a,1\r\n", Holds);
        // If-None-Match overrules If-Modified-Since, both ways.
        check(Get, &format!("If-None-Match: \"b\"\r\nIf-Modified-Since: {AT}\r\n"), Holds);
        check(Get, &format!("If-Modified-Since: {BEFORE}\r\nIf-None-Match: \"a,1\"\r\n"), NotModified);
        check(Get, &format!("If-Modified-Since: {AT}\r\n"), NotModified);
        check(Get, &format!("If-Modified-Since: {AFTER}\r\n"), NotModified);
        check(Get, &format!("If-Modified-Since: {BEFORE}\r\n"), Holds);
        check(Put, &format!("If-Modified-Since: {AT}\r\n"), Holds);
        check(Get, "If-Modified-Since: yesterday\r\n", Holds);
        check(Get, &format!("If-Modified-Since: {AT}\r\nIf-Modified-Since: {AT}\r\n"), Holds);
        check(Get, "If-Match: \"a,1\"\r\n", Holds);
        check(Get, "If-Match: *\r\n", Holds);
        check(Get, "If-Match: W/\"a,1\"\r\n", Failed);
        check(Put, "If-Match: \"b\"\r\n", Failed);
        check(Get, "If-Match: \"a,1\"\r\nIf-None-Match: \"a,1\"\r\n", NotModified);
        // If-Match overrules If-Unmodified-Since.
        check(Get, &format!("If-Match: \"a,1\"\r\nIf-Unmodified-Since: {BEFORE}\r\n"), Holds);
        check(Get, &format!("If-Unmodified-Since: {BEFORE}\r\n"), Failed);
        check(Get, &format!("If-Unmodified-Since: {AT}\r\n"), Holds);
    }

    /// RFC 9110 §13.2.2, word for word, for a tag and a date that match or do not.
    fn steps(
        method: Method,
        [if_match, unmodified, none_match, modified]: [Option<bool>; 4],
    ) -> Precondition {
        let reads = matches!(method, Method::Get | Method::Head);
        // 1 and 2
        match (if_match, unmodified) {
            (Some(false), _) | (None, Some(false)) => return Precondition::Failed,
            _ => {}
        }
        // 3
        match (none_match, reads) {
            (Some(true), true) => return Precondition::NotModified,
            (Some(true), false) => return Precondition::Failed,
            (Some(false), _) => return Precondition::Holds,
            (None, _) => {}
        }
        // 4
        match (modified, reads) {
            (Some(false), true) => Precondition::NotModified,
            _ => Precondition::Holds,
        }
    }

    #[test]
    fn every_combination_of_conditions_is_judged_as_the_steps_of_the_standard_say() {
        let choices = [None, Some(true), Some(false)];
        for number in 0..81usize {
            let chosen = [0, 1, 2, 3].map(|place| choices[number / 3usize.pow(place) % 3]);
            let tag = |matches: bool| if matches { "\"a,1\"" } else { "\"b\"" };
            let mut fields = String::new();
            let mut add = |name: &str, value: &str| fields.push_str(&format!("{name}: {value}\r\n"));
            // In an order that is not that of the steps.
            if let Some(since) = chosen[3] {
                add("If-Modified-Since", if since { BEFORE } else { AT });
            }
            if let Some(matches) = chosen[2] {
                add("If-None-Match", tag(matches));
            }
            if let Some(holds) = chosen[1] {
                add("If-Unmodified-Since", if holds { AT } else { BEFORE });
            }
            if let Some(matches) = chosen[0] {
                add("If-Match", tag(matches));
            }
            for method in [Method::Get, Method::Head, Method::Put, Method::Delete, Method::Post] {
                check(method, &fields, steps(method, chosen));
            }
        }
    }
}
