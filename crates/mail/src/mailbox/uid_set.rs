//! Sets of UIDs as ranges (RFC 9051 §2.3.1.1): what was expunged, copied, asked for.

use std::fmt;

use doorway_base::{Malformed, Reader};

/// A message's unique identifier in its folder, from 1 up; strictly ascending and never given twice.
pub type Uid = u32;

/// UIDs, each once, in ascending order, kept as ranges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UidSet {
    /// First and last of each range: ascending, and with a gap between two of them.
    ranges: Vec<(Uid, Uid)>,
}

impl UidSet {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One range, both ends in it; empty when `last` is below `first`.
    #[must_use]
    pub fn range(first: Uid, last: Uid) -> Self {
        Self { ranges: if first <= last { vec![(first, last)] } else { Vec::new() } }
    }

    /// Adds a UID, in any order.
    pub fn insert(&mut self, uid: Uid) {
        // The usual case: each one is above those before.
        match self.ranges.last_mut() {
            None => return self.ranges.push((uid, uid)),
            Some((_, last)) if last.checked_add(1) == Some(uid) => return *last = uid,
            Some((_, last)) if *last < uid => return self.ranges.push((uid, uid)),
            Some(_) => {}
        }
        let at = self.ranges.partition_point(|(_, last)| *last < uid);
        let Some((first, _)) = self.ranges.get(at).copied() else { return };
        if first <= uid {
            return;
        }
        let joins_left = at > 0 && self.ranges[at - 1].1 + 1 == uid;
        let joins_right = uid + 1 == first;
        match (joins_left, joins_right) {
            (true, true) => {
                self.ranges[at - 1].1 = self.ranges[at].1;
                self.ranges.remove(at);
            }
            (true, false) => self.ranges[at - 1].1 = uid,
            (false, true) => self.ranges[at].0 = uid,
            (false, false) => self.ranges.insert(at, (uid, uid)),
        }
    }

    /// True when `uid` is in it.
    #[must_use]
    pub fn contains(&self, uid: Uid) -> bool {
        let at = self.ranges.partition_point(|(_, last)| *last < uid);
        self.ranges.get(at).is_some_and(|(first, _)| *first <= uid)
    }

    /// How many UIDs are in it.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|(first, last)| u64::from(last - first) + 1).sum()
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Its ranges, ascending.
    #[must_use]
    pub fn ranges(&self) -> &[(Uid, Uid)] {
        &self.ranges
    }

    /// Each UID, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Uid> + '_ {
        self.ranges.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// The stored form: first and last of each range, four octets each, big-endian.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(8 * self.ranges.len());
        for (first, last) in &self.ranges {
            row.extend_from_slice(&first.to_be_bytes());
            row.extend_from_slice(&last.to_be_bytes());
        }
        row
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`Malformed`] when ranges are cut short or not ascending.
    pub fn decode(row: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(row);
        let mut set = Self::default();
        while !reader.is_empty() {
            let at = row.len() - reader.rest().len();
            let (first, last) = (reader.u32("first UID")?, reader.u32("last UID")?);
            let before = set.ranges.last().map_or(0, |(_, last)| *last);
            if first <= before || last < first {
                return Err(Malformed::new("ascending UIDs", at));
            }
            set.ranges.push((first, last));
        }
        Ok(set)
    }
}

impl FromIterator<Uid> for UidSet {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> Self {
        let mut set = Self::default();
        uids.into_iter().for_each(|uid| set.insert(uid));
        set
    }
}

impl fmt::Display for UidSet {
    /// As IMAP writes it: `1:3,5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, last)) in self.ranges.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}:{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_set_is_written_as_imap_has_it() {
        let set: UidSet = [1, 2, 3, 5, 9, 10].into_iter().collect();
        assert_eq!(set.to_string(), "1:3,5,9:10");
        assert_eq!(UidSet::range(4, 3), UidSet::new());
        for row in [&[0, 0, 0][..], &[0, 0, 0, 2, 0, 0, 0, 1], &[0; 8], &[0, 0, 0, 1, 0, 0, 0, 1].repeat(2)] {
            assert!(UidSet::decode(row).is_err(), "{row:?}");
        }
    }

    proptest! {
        #[test]
        fn a_set_of_ranges_is_the_set_of_its_uids(uids in proptest::collection::vec(1..60u32, 0..60)) {
            let set: UidSet = uids.iter().copied().collect();
            let model: BTreeSet<Uid> = uids.into_iter().collect();
            prop_assert!(set.iter().eq(model.iter().copied()));
            prop_assert_eq!(set.len(), model.len() as u64);
            prop_assert!((0..70).all(|uid| set.contains(uid) == model.contains(&uid)));
            prop_assert!(set.ranges.windows(2).all(|two| two[0].1 + 1 < two[1].0));
            prop_assert_eq!(UidSet::decode(&set.encode()), Ok(set));
        }
    }
}
