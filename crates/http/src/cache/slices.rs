//! Long contents in slices: who asks for octets far on in something that is not here gets them without waiting
//! for all that is before them, and they are kept (RFC 9111 §3.3, §3.4).
//!
//! Under a key of its own lies what is said about the whole, without content: how long it is, its strong entity
//! tag, for how long it is fresh. It carries a random number, which is part of the keys of its slices. So slices
//! never outlive what is said about them, are never mixed with those of other content, and a purge or a change
//! need only reach that one thing.

use doorway_net::web::Fields;

use super::key::Key;
use super::lines::FieldLines;
use crate::range::Span;

/// Octets of a slice; the last one of a content may be shorter.
pub const SLICE_OCTETS: u64 = 1024 * 1024;

/// The field in which number and length are kept; it is never sent.
const FIELD: &str = "Doorway-Slices";

/// A content that is kept in slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sliced {
    /// Tells its slices from those of any other content.
    pub number: u64,
    /// How long the whole is.
    pub octets: u64,
}

/// A part of one slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlicePart {
    /// Which slice, counted from 0.
    pub index: u64,
    /// The octets that are wanted, counted from the start of the slice.
    pub within: Span,
}

/// The key of what is said about a content in slices. No target's own key has a `#` in it.
#[must_use]
pub fn head_key(key: &Key) -> Key {
    Key::new(&format!("{key}#"))
}

impl Sliced {
    /// The key of a slice.
    #[must_use]
    pub fn key(&self, of: &Key, index: u64) -> Key {
        Key::new(&format!("{of}#{:016x}-{index}", self.number))
    }

    /// The octets of a slice.
    #[must_use]
    pub fn span(&self, index: u64) -> Span {
        let first = index * SLICE_OCTETS;
        Span { first, end: (first + SLICE_OCTETS).min(self.octets) }
    }

    /// The parts of slices that `span` is made of, in their order.
    pub fn parts(&self, span: Span) -> impl Iterator<Item = SlicePart> + use<> {
        let sliced = *self;
        let slices = span.first / SLICE_OCTETS..span.end.div_ceil(SLICE_OCTETS);
        slices.map(move |index| {
            let slice = sliced.span(index);
            let (first, end) = (span.first.max(slice.first), span.end.min(slice.end));
            SlicePart { index, within: Span { first: first - slice.first, end: end - slice.first } }
        })
    }

    /// Adds it to the fields that are said about the whole.
    pub fn write(&self, fields: &mut Fields) {
        fields.add(FIELD, format!("{:016x} {}", self.number, self.octets));
    }

    /// Reads it from there.
    #[must_use]
    pub fn read(fields: &Fields) -> Option<Self> {
        let (number, octets) = fields.first(FIELD)?.split_once(' ')?;
        Some(Self { number: u64::from_str_radix(number, 16).ok()?, octets: octets.parse().ok()? })
    }
}

/// Whether a field is ours alone.
#[must_use]
pub fn is_internal(name: &str) -> bool {
    name.eq_ignore_ascii_case(FIELD)
}

/// The octets that a 206 brings, and how long the whole is; `None` for several parts and for what does not say
/// (RFC 9110 §14.4).
#[must_use]
#[doc(alias = "Content-Range")]
pub fn content_range(fields: &Fields) -> Option<(Span, u64)> {
    let value = str::from_utf8(fields.value("content-range")?).ok()?;
    let (range, octets) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let digits =
        |text: &str| text.bytes().all(|octet| octet.is_ascii_digit()).then(|| text.parse::<u64>().ok());
    let (first, last, octets) = (digits(first)??, digits(last)??, digits(octets)??);
    let span = Span { first, end: last.checked_add(1)? };
    (span.first < span.end && span.end <= octets).then_some((span, octets))
}

/// The strong entity tag, without which no parts of two responses belong together (RFC 9110 §15.3.7.3).
#[must_use]
pub fn strong_tag(fields: &Fields) -> Option<&[u8]> {
    fields.value("etag").filter(|tag| tag.starts_with(b"\""))
}

/// The slice in which a request's range begins; `None` for one that counts from the end, for several, and for
/// what is no range.
#[must_use]
pub fn first_slice(range: &[u8]) -> Option<u64> {
    let range = str::from_utf8(range).ok()?;
    let (first, _) = range.strip_prefix("bytes=").filter(|range| !range.contains(','))?.split_once('-')?;
    first.trim().parse::<u64>().ok().map(|first| first / SLICE_OCTETS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_content_range_is_one_span_of_a_known_whole() {
        let check = |value: &str, expected: Option<(u64, u64, u64)>| {
            let mut fields = Fields::new();
            fields.add("Content-Range", value);
            let found = content_range(&fields).map(|(span, octets)| (span.first, span.end, octets));
            assert_eq!(found, expected, "{value}");
        };
        check("bytes 0-9/10", Some((0, 10, 10)));
        check("bytes 5-6/10", Some((5, 7, 10)));
        for value in [
            "bytes 5-4/10",
            "bytes 0-10/10",
            "bytes 0-9/*",
            "bytes */10",
            "lines 0-9/10",
            "bytes 0-9",
            "",
            "bytes +1-2/9",
        ] {
            check(value, None);
        }
        check("bytes 0-18446744073709551615/18446744073709551615", None);
    }

    #[test]
    fn a_range_begins_in_a_slice_unless_it_counts_from_the_end() {
        for (range, expected) in [
            ("bytes=0-1", Some(0)),
            ("bytes=1048575-", Some(0)),
            ("bytes=1048576-", Some(1)),
            ("bytes=-5", None),
            ("bytes=0-1,5-6", None),
            ("lines=0-1", None),
            ("", None),
        ] {
            assert_eq!(first_slice(range.as_bytes()), expected, "{range}");
        }
    }

    #[test]
    fn only_strong_tags_join_parts() {
        for (tag, expected) in [("\"a\"", true), ("W/\"a\"", false), ("a", false)] {
            let mut fields = Fields::new();
            fields.add("ETag", tag);
            assert_eq!(strong_tag(&fields).is_some(), expected, "{tag}");
        }
    }

    proptest! {
        #[test]
        fn the_parts_are_the_span_and_nothing_else(octets in 1u64..10_000_000, a in any::<u64>(), b in any::<u64>()) {
            let sliced = Sliced { number: 7, octets };
            let (a, b) = (a % octets, b % octets);
            let span = Span { first: a.min(b), end: a.max(b) + 1 };
            let mut at = span.first;
            for part in sliced.parts(span) {
                let slice = sliced.span(part.index);
                prop_assert_eq!(slice.first + part.within.first, at);
                prop_assert!(part.within.first < part.within.end && part.within.end <= slice.octets());
                at += part.within.octets();
            }
            prop_assert_eq!(at, span.end);
            let mut fields = Fields::new();
            sliced.write(&mut fields);
            prop_assert_eq!(Sliced::read(&fields), Some(sliced));
        }
    }
}
