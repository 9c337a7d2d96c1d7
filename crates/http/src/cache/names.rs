//! Short names by which the index finds things: 64 bits of a keyed hash (SipHash), so that nobody outside can
//! choose targets that meet in one place. What is found by its short name is compared in full before it is
//! used.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

/// Makes short names. Equal keys give equal names, also after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names {
    key: [u8; 16],
}

impl Names {
    /// With a key that nobody else knows.
    #[must_use]
    pub const fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// Of a text: a URL, a host or a tag.
    #[must_use]
    pub fn of(&self, text: &str) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write(text.as_bytes());
        hasher.finish()
    }

    /// Of what selects a response among those of its target.
    #[must_use]
    pub fn variant(&self, selecting: &[(String, Option<String>)]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        for (name, value) in selecting {
            for text in [Some(name), value.as_ref()] {
                hasher.write_u64(text.map_or(u64::MAX, |text| text.len() as u64));
                hasher.write(text.map_or(b"", |text| text.as_bytes()));
            }
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_where_what_they_stand_for_does() {
        let names = Names::new([7; 16]);
        assert_eq!(names.of("a"), Names::new([7; 16]).of("a"));
        assert_ne!(names.of("a"), Names::new([8; 16]).of("a"));
        assert_ne!(names.of("a"), names.of("b"));
        let field = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        let all = [
            vec![],
            vec![field("a", None)],
            vec![field("a", Some(""))],
            vec![field("a", Some("b"))],
            vec![field("ab", Some(""))],
            vec![field("a", None), field("b", None)],
        ];
        for (at, one) in all.iter().enumerate() {
            for (beside, other) in all.iter().enumerate() {
                assert_eq!(names.variant(one) == names.variant(other), at == beside, "{one:?} {other:?}");
            }
        }
    }
}
