//! What was found about credentials a moment ago, so that a request does not wait for what is known.
//!
//! A table belongs to one worker and is asked without a lock. Credentials stand in it as a keyed hash only. Any
//! change of a user empties it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use doorway_base::Instant;
use doorway_store::Role;

/// Most verdicts that one worker remembers.
pub const VERDICTS_MAX: usize = 4096;
/// How long somebody who was let in is remembered.
const REMEMBERED: Duration = Duration::from_secs(5 * 60);
/// How long a refusal is: until the request that was held back for it has been answered.
const REFUSED: Duration = Duration::from_secs(1);

/// A user, as far as places ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The user's name.
    pub name: Arc<str>,
    /// What the user may do.
    pub roles: Vec<Role>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// They are who they say.
    Person(Person),
    /// They are not, or may not log in.
    Denied,
    /// They have guessed too often; they may try again after so many seconds.
    Limited(u64),
    /// It could not be found out for now.
    Unavailable,
}

/// Names credentials in the table, and tells nothing about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag([u8; 16]);

/// The verdicts of one worker.
#[derive(Debug)]
pub struct Verdicts {
    key: [u8; 32],
    verdicts: BTreeMap<Tag, (Verdict, Instant)>,
    /// Which state of the user list they are about.
    generation: u64,
}

impl Verdicts {
    /// An empty table; `key` is random and of this process only.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self { key, verdicts: BTreeMap::new(), generation: 0 }
    }

    /// The tag of what was shown: parts that belong together, the first of which says what it is.
    #[must_use]
    pub fn tag(&self, parts: &[&[u8]]) -> Tag {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in parts {
            hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
        }
        let mut tag = [0; 16];
        tag.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Tag(tag)
    }

    /// What is known; `generation` counts the changes of the user list.
    pub fn find(&mut self, tag: &Tag, generation: u64, now: Instant) -> Option<&Verdict> {
        if self.generation != generation {
            self.generation = generation;
            self.verdicts.clear();
        }
        self.verdicts.get(tag).filter(|(_, until)| now < *until).map(|(verdict, _)| verdict)
    }

    /// Remembers what was found while the user list was at `generation`.
    pub fn remember(&mut self, tag: Tag, verdict: Verdict, generation: u64, now: Instant) {
        if self.generation != generation {
            self.generation = generation;
            self.verdicts.clear();
        }
        if self.verdicts.len() >= VERDICTS_MAX {
            self.verdicts.retain(|_, (_, until)| now < *until);
        }
        if self.verdicts.len() >= VERDICTS_MAX {
            // Tags are random, so this forgets anybody.
            self.verdicts.pop_first();
        }
        let span = if matches!(verdict, Verdict::Person(_)) { REMEMBERED } else { REFUSED };
        self.verdicts.insert(tag, (verdict, now + span));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_known_until_time_passes_or_the_users_change() {
        let mut verdicts = Verdicts::new([7; 32]);
        let person = Verdict::Person(Person { name: "ann".into(), roles: Vec::new() });
        let (good, bad) = (verdicts.tag(&[b"basic", b"ann", b"x"]), verdicts.tag(&[b"basic", b"ann", b"y"]));
        assert_ne!(good, verdicts.tag(&[b"basic", b"annx", b""]));
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        verdicts.remember(good, person.clone(), 3, at(0));
        verdicts.remember(bad, Verdict::Denied, 3, at(0));
        assert_eq!(verdicts.find(&good, 3, at(299)), Some(&person));
        assert_eq!(verdicts.find(&bad, 3, at(0)), Some(&Verdict::Denied));
        assert_eq!(verdicts.find(&bad, 3, at(1)), None);
        assert_eq!(verdicts.find(&good, 3, at(300)), None);
        assert_eq!(verdicts.find(&good, 4, at(0)), None);
        for number in 0..2 * VERDICTS_MAX as u64 {
            let tag = verdicts.tag(&[&number.to_be_bytes()]);
            verdicts.remember(tag, person.clone(), 4, at(0));
        }
        assert!(verdicts.verdicts.len() <= VERDICTS_MAX);
    }
}
