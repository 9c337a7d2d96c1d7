//! Keys and ranges of keys: octet strings in the order of their octets.
//!
//! By custom a key begins with the noun it belongs to and a slash (`dhcp.lease/`, `user/`), and numbers
//! in it are big-endian, so that their order is the order of the rows.

use std::fmt;

use bytes::Bytes;

/// Longest key, in octets.
pub const KEY_OCTETS_MAX: usize = 1024;
/// Longest value, in octets. What is longer is a blob.
pub const VALUE_OCTETS_MAX: usize = 64 * 1024;

/// The name of a row. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Key(Bytes);

impl Key {
    /// This key's octets.
    #[must_use]
    pub fn as_octets(&self) -> &[u8] {
        &self.0
    }

    /// Length in octets.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.0.len()
    }

    /// This key with `octets` after it.
    ///
    /// ```
    /// # use doorway_store::Key;
    /// assert_eq!(Key::from("user/").join(b"ann"), Key::from("user/ann"));
    /// ```
    #[must_use]
    pub fn join(&self, octets: impl AsRef<[u8]>) -> Self {
        let mut longer = Vec::with_capacity(self.0.len() + octets.as_ref().len());
        longer.extend_from_slice(&self.0);
        longer.extend_from_slice(octets.as_ref());
        Self(longer.into())
    }

    /// This key with a number after it, big-endian, so that rows come in the order of the number.
    #[must_use]
    pub fn join_number(&self, number: u64) -> Self {
        self.join(number.to_be_bytes())
    }

    /// What follows `prefix` in this key; `None` when it does not begin with it.
    #[must_use]
    pub fn after(&self, prefix: &Self) -> Option<&[u8]> {
        self.0.strip_prefix(prefix.as_octets())
    }

    /// The smallest key above this one.
    #[must_use]
    pub fn successor(&self) -> Self {
        self.join([0])
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<&[u8]> for Key {
    fn from(octets: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(octets))
    }
}

impl From<Vec<u8>> for Key {
    fn from(octets: Vec<u8>) -> Self {
        Self(octets.into())
    }
}

impl From<Bytes> for Key {
    fn from(octets: Bytes) -> Self {
        Self(octets)
    }
}

impl fmt::Display for Key {
    /// Printable octets as they are, others as `\x1f`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// Keys from a first one up to, not including, an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// First key in the range.
    pub start: Key,
    /// First key beyond it; `None` runs to the last key there is.
    pub end: Option<Key>,
}

impl Range {
    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self { start: Key::default(), end: None }
    }

    /// The keys that begin with `prefix`.
    #[must_use]
    pub fn prefix(prefix: &Key) -> Self {
        let mut end = prefix.as_octets().to_vec();
        // The first key beyond: the prefix with its last octet that can still grow made one larger.
        while let Some(last) = end.pop() {
            if let Some(larger) = last.checked_add(1) {
                end.push(larger);
                return Self { start: prefix.clone(), end: Some(end.into()) };
            }
        }
        Self { start: prefix.clone(), end: None }
    }

    /// The keys from `start` up to, not including, `end`.
    #[must_use]
    pub fn between(start: Key, end: Key) -> Self {
        Self { start, end: Some(end) }
    }

    /// True when `key` lies in the range.
    #[must_use]
    pub fn contains(&self, key: &Key) -> bool {
        *key >= self.start && self.end.as_ref().is_none_or(|end| key < end)
    }

    /// True when no key can lie in the range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_range_holds_exactly_the_keys_that_begin_so() {
        for prefix in [&b""[..], b"a", b"user/", b"a\xff", b"\xff\xff"] {
            let range = Range::prefix(&Key::from(prefix));
            for key in [
                &b""[..],
                b"a",
                b"a\xff",
                b"a\xff\xff",
                b"b",
                b"user",
                b"user/",
                b"user/z",
                b"user0",
                b"\xff\xff\x01",
            ] {
                assert_eq!(range.contains(&Key::from(key)), key.starts_with(prefix), "{prefix:?} {key:?}");
            }
        }
    }

    #[test]
    fn numbers_in_keys_sort_by_value() {
        let lease = Key::from("lease/");
        assert!(lease.join_number(9) < lease.join_number(10));
        assert!(lease.join_number(255) < lease.join_number(256));
        assert_eq!(lease.join_number(7).after(&lease), Some(&7u64.to_be_bytes()[..]));
    }

    #[test]
    fn nothing_lies_between_a_key_and_its_successor() {
        let key = Key::from("a");
        assert!(key < key.successor());
        assert!(key.successor() < Key::from("a\u{1}"));
    }
}
