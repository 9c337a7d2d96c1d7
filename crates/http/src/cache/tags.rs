//! The words by which responses can be purged together: those of Surrogate-Key, which blanks separate, and of
//! Cache-Tag, which commas do. Both are customs, not standards; letter case counts in both.

use doorway_net::web::Fields;

/// Most tags of one response.
pub const TAGS_MAX: usize = 256;
/// Longest tag, in octets.
pub const TAG_OCTETS_MAX: usize = 1024;

/// The field whose tags blanks separate.
pub const SURROGATE_KEY: &str = "surrogate-key";
/// The field whose tags commas separate.
pub const CACHE_TAG: &str = "cache-tag";

/// The response has more tags, or longer ones, than the cache would find again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

/// The tags of a response, each once.
///
/// # Errors
/// [`TooMany`], because a response that a purge cannot reach must not be kept.
pub fn tags(fields: &Fields) -> Result<Vec<&str>, TooMany> {
    let mut tags = Vec::new();
    for (name, value) in fields.iter() {
        let separator: fn(char) -> bool = if name.eq_ignore_ascii_case(SURROGATE_KEY) {
            |c| c == ' ' || c == '\t'
        } else if name.eq_ignore_ascii_case(CACHE_TAG) {
            |c| c == ','
        } else {
            continue;
        };
        let value = str::from_utf8(value).map_err(|_| TooMany)?;
        for tag in value.split(separator).map(|tag| tag.trim_matches([' ', '\t'])) {
            if tag.is_empty() || tags.contains(&tag) {
                continue;
            }
            if tags.len() == TAGS_MAX || tag.len() > TAG_OCTETS_MAX {
                return Err(TooMany);
            }
            tags.push(tag);
        }
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[(&str, &str)], expected: &[&str]) {
        let mut fields = Fields::new();
        lines.iter().for_each(|(name, value)| fields.add(*name, *value));
        assert_eq!(tags(&fields).as_deref(), Ok(expected));
    }

    #[test]
    fn tags_are_words_of_two_fields_each_once() {
        check(&[("Content-Type", "a b")], &[]);
        check(&[("Surrogate-Key", " a  b\ta ")], &["a", "b"]);
        check(&[("cache-tag", "one tag, b,,B"), ("surrogate-key", "b c")], &["one tag", "b", "B", "c"]);
    }

    #[test]
    fn more_tags_than_can_be_found_again_are_refused() {
        let many = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        let fields = |value: String| {
            let mut fields = Fields::new();
            fields.add("surrogate-key", value);
            fields
        };
        assert_eq!(tags(&fields(many(TAGS_MAX))).map(|tags| tags.len()), Ok(TAGS_MAX));
        assert_eq!(tags(&fields(many(TAGS_MAX + 1))), Err(TooMany));
        assert_eq!(tags(&fields("x".repeat(TAG_OCTETS_MAX + 1))), Err(TooMany));
    }
}
