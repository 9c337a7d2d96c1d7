//! Variants: responses for one target, of which a request gets the one that its fields select
//! (RFC 9111 §4.1).
//!
//! The fields that Vary names are compared in a normal form, which differs from what came only where the
//! meaning does not: several lines are one list; for Accept and its kin blanks, letter case and `q=1` mean
//! nothing, nor does the order of codings. Every other field is compared octet by octet.

use std::borrow::Cow;

use super::lines::{FieldLines, members};

/// Most fields that Vary may name; a response with more of them is never used again.
pub const VARY_FIELDS_MAX: usize = 16;
/// Most members of a list that are brought into order; a longer one stays as it came.
const SORTED_MAX: usize = 16;

/// The request fields that `response` varies by, with the values that `request` has for them, as
/// [`Stored::selecting`](super::Stored) holds them; `None` when no other request can be known to be alike:
/// for `*`, and for more fields than [`VARY_FIELDS_MAX`].
#[must_use]
#[doc(alias = "Vary")]
pub fn selecting(
    response: &impl FieldLines,
    request: &impl FieldLines,
) -> Option<Vec<(String, Option<String>)>> {
    let names = response.values("vary").flat_map(members);
    let mut names: Vec<String> =
        names.map(|name| String::from_utf8_lossy(name).to_ascii_lowercase()).collect();
    names.sort();
    names.dedup();
    if names.len() > VARY_FIELDS_MAX || names.iter().any(|name| name == "*") {
        return None;
    }
    let value =
        |name: &String| normal(request, name).map(|value| String::from_utf8_lossy(&value).into_owned());
    Some(names.into_iter().map(|name| (name.clone(), value(&name))).collect())
}

/// Whether a request selects the variant that these fields and values belong to. It allocates only for fields
/// of several lines, and for lists whose members have to be rewritten.
#[must_use]
pub fn selects(selecting: &[(String, Option<String>)], request: &impl FieldLines) -> bool {
    selecting.iter().all(|(name, stored)| match (joined(request, name), stored) {
        (Some(value), Some(stored)) => match list(name).map(|order| same_list(&value, order, stored)) {
            Some(Some(same)) => same,
            _ => String::from_utf8_lossy(&normal_value(name, value)) == stored.as_str(),
        },
        (None, None) => true,
        _ => false,
    })
}

/// The normal form of a request's field; `None` when it has no such line.
fn normal<'r>(request: &'r impl FieldLines, name: &str) -> Option<Cow<'r, [u8]>> {
    joined(request, name).map(|value| normal_value(name, value))
}

fn normal_value<'r>(name: &str, value: Cow<'r, [u8]>) -> Cow<'r, [u8]> {
    match list(name) {
        Some(order) => Cow::Owned(normal_list(&value, order)),
        None => value,
    }
}

/// The value of a request's field, its lines made one; `None` when it has no such line.
fn joined<'r>(request: &'r impl FieldLines, name: &str) -> Option<Cow<'r, [u8]>> {
    let mut lines = request
        .lines()
        .filter(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| value);
    let first = lines.next()?;
    let mut value = Cow::Borrowed(first);
    for line in lines {
        value.to_mut().extend_from_slice(b", ");
        value.to_mut().extend_from_slice(line);
    }
    Some(value)
}

/// Whether the order of a list's members means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// It might.
    Kept,
    /// It does not.
    Sorted,
}

/// The fields that are lists of names with weights, in any case of letters.
fn list(name: &str) -> Option<Order> {
    match name {
        // RFC 9110 §12.5.3: the weight says what is preferred, not the place.
        "accept-encoding" => Some(Order::Sorted),
        "accept-language" | "accept-charset" => Some(Order::Kept),
        _ => None,
    }
}

/// Whether the normal form of a list is `stored`; `None` when it takes more than ordering its members to know.
fn same_list(value: &[u8], order: Order, stored: &str) -> Option<bool> {
    let mut list: [&[u8]; SORTED_MAX] = [b""; SORTED_MAX];
    let mut count = 0;
    for member in members(value) {
        let place = list.get_mut(count).filter(|_| is_normal(member))?;
        *place = member;
        count += 1;
    }
    let list = &mut list[..count];
    if order == Order::Sorted {
        list.sort_unstable();
        if list.windows(2).any(|pair| pair[0] == pair[1]) {
            return None;
        }
    }
    let stored = stored.split(", ").filter(|member| !member.is_empty()).map(str::as_bytes);
    Some(stored.eq(list.iter().copied()))
}

/// Whether a member of a list is in its normal form already, as those of most clients are.
fn is_normal(member: &[u8]) -> bool {
    let plain = |octet: &u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || b"-*.;=".contains(octet);
    let weight = member.iter().position(|&octet| octet == b';').map_or(&b""[..], |at| &member[at..]);
    let short = weight.is_empty() || (weight.starts_with(b";q=0.") && !weight.ends_with(b"0"));
    short && member.iter().all(plain)
}

/// A list in its normal form: lower case, without blanks, weights as short as can be.
fn normal_list(value: &[u8], order: Order) -> Vec<u8> {
    let mut list: Vec<Vec<u8>> = members(value).map(normal_member).collect();
    if order == Order::Sorted && list.len() <= SORTED_MAX {
        list.sort();
        list.dedup();
    }
    list.join(&b", "[..])
}

fn normal_member(member: &[u8]) -> Vec<u8> {
    let mut member: Vec<u8> =
        member.iter().filter(|octet| !b" \t".contains(octet)).map(u8::to_ascii_lowercase).collect();
    if let Some(at) = member.windows(3).position(|part| part == b";q=") {
        let weight = &member[at + 3..];
        let dots = weight.iter().filter(|octet| **octet == b'.').count();
        if dots == 1 && weight.iter().all(|octet| octet.is_ascii_digit() || *octet == b'.') {
            let zeros = weight.iter().rev().take_while(|&&octet| octet == b'0').count();
            member.truncate(member.len() - zeros);
            if member.ends_with(b".") {
                member.pop();
            }
        }
        if member.ends_with(b";q=1") && member.len() == at + 4 {
            member.truncate(at);
        }
    }
    member
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorway_net::web::Fields;
    use proptest::prelude::*;

    fn fields(lines: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::new();
        lines.iter().for_each(|(name, value)| fields.add(*name, *value));
        fields
    }

    /// Whether the second request gets what was stored for the first one.
    #[track_caller]
    fn check(vary: &[&str], first: &[(&str, &str)], second: &[(&str, &str)], expected: bool) {
        let vary: Vec<_> = vary.iter().map(|value| ("Vary", *value)).collect();
        let stored = selecting(&fields(&vary), &fields(first));
        let same = stored.is_some_and(|stored| selects(&stored, &fields(second)));
        assert_eq!(same, expected, "{vary:?} {first:?} {second:?}");
    }

    #[test]
    fn a_variant_is_for_requests_whose_named_fields_are_the_same() {
        check(&["Foo"], &[("Foo", "1")], &[("foo", "1"), ("Bar", "2")], true);
        check(&["Foo"], &[("Foo", "1")], &[("Foo", "2")], false);
        check(&["Foo"], &[("Foo", "1")], &[], false);
        check(&["Foo"], &[], &[("Foo", "1")], false);
        check(&["Foo"], &[], &[("Foo", "")], false);
        check(&["Foo"], &[], &[], true);
        check(&["foo, Bar"], &[("Foo", "1"), ("Bar", "2")], &[("Bar", "2"), ("Foo", "1")], true);
        check(&["foo", "Bar"], &[("Foo", "1"), ("Bar", "2")], &[("Foo", "1"), ("Bar", "3")], false);
        check(&[], &[("Foo", "1")], &[("Foo", "2")], true);
        check(&["Foo"], &[("Foo", "a"), ("Foo", "b")], &[("Foo", "a, b")], true);
        check(&["Foo"], &[("Foo", "a"), ("Foo", "b")], &[("Foo", "b, a")], false);
        check(&["Foo"], &[("Foo", "a,b")], &[("Foo", "a, b")], false);
        check(&["Foo"], &[("Foo", "a")], &[("Foo", "A")], false);
    }

    #[test]
    fn what_varies_by_anything_is_never_used_again() {
        check(&["*"], &[], &[], false);
        check(&["Foo, *"], &[], &[], false);
        check(&["Foo", " *"], &[], &[], false);
        let many: Vec<String> = (0..=VARY_FIELDS_MAX).map(|number| format!("f{number}")).collect();
        check(&[&many.join(",")], &[], &[], false);
        check(&[&many[1..].join(",")], &[], &[], true);
    }

    #[test]
    fn codings_and_languages_are_the_same_however_they_are_written() {
        let check = |name, one, other, expected| check(&[name], &[(name, one)], &[(name, other)], expected);
        check("Accept-Encoding", "gzip, br", "br,gzip", true);
        check("Accept-Encoding", "gzip, br", " GZIP ;q=1.0,  br;Q=1", true);
        check("Accept-Encoding", "gzip;q=0.50, br", "br, gzip;q=0.5", true);
        check("Accept-Encoding", "gzip, gzip", "gzip", true);
        check("Accept-Encoding", "gzip;q=0.5", "gzip", false);
        check("Accept-Encoding", "gzip;q=0", "gzip;q=0.000", true);
        check("Accept-Encoding", "gzip;q=0", "gzip", false);
        check("Accept-Encoding", "gzip;q=10", "gzip;q=1", false);
        check("Accept-Encoding", "gzip", "br", false);
        check("Accept-Encoding", "", "gzip", false);
        check("Accept-Language", "en-GB,de;q=0.8", "en-gb, de; q=0.8", true);
        check("Accept-Language", "en, de", "de, en", false);
    }

    #[test]
    fn members_in_normal_form_are_seen_to_be_so_and_others_are_not() {
        for (member, expected) in [
            ("br", true),
            ("gzip;q=0.5", true),
            ("*;q=0.01", true),
            ("gzip;q=1", false),
            ("gzip;q=0", false),
            ("gzip;q=0.50", false),
            ("gzip ;q=0.5", false),
            ("Gzip", false),
        ] {
            assert_eq!(is_normal(member.as_bytes()), expected, "{member}");
        }
    }

    proptest! {
        #[test]
        fn the_normal_form_of_a_normal_form_is_itself(value in "[a-cA-C ,;=.q01*-]{0,24}") {
            let value: String = value;
            for order in [Order::Kept, Order::Sorted] {
                let once = normal_list(value.as_bytes(), order);
                prop_assert_eq!(normal_list(&once, order), once.clone());
                let text = String::from_utf8(once).unwrap();
                prop_assert!(same_list(value.as_bytes(), order, &text) != Some(false), "{:?}", text);
            }
        }

        #[test]
        fn a_request_selects_what_was_stored_for_itself(value in "[a-zA-Z ,;=.0-9\"-]{0,24}") {
            let value: String = value;
            let request = fields(&[("Accept-Encoding", &value), ("Other", &value)]);
            let stored = selecting(&fields(&[("Vary", "other, accept-encoding")]), &request).unwrap();
            prop_assert!(selects(&stored, &request));
        }
    }
}
