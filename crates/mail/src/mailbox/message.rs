//! What is kept of a message in a folder, and its flags (RFC 9051 §2.3.2).

use doorway_base::{Malformed, Reader, UnixTime};

use crate::id::MessageId;

/// Most keywords of one message.
pub const KEYWORDS_MAX: usize = 64;
/// Longest keyword, in octets.
pub const KEYWORD_OCTETS_MAX: usize = 64;

/// The flags that every message may have. `\Recent` is not among them: it is a session's (RFC 3501).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SystemFlag {
    /// `\Seen`: it was read.
    Seen,
    /// `\Answered`
    Answered,
    /// `\Flagged`: it needs attention.
    Flagged,
    /// `\Deleted`: the next expunge removes it.
    Deleted,
    /// `\Draft`: it is not finished.
    Draft,
}

impl SystemFlag {
    /// Every one, in the order of their bits.
    pub const ALL: [Self; 5] = [Self::Seen, Self::Answered, Self::Flagged, Self::Deleted, Self::Draft];

    /// The flag without its backslash.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seen => "Seen",
            Self::Answered => "Answered",
            Self::Flagged => "Flagged",
            Self::Deleted => "Deleted",
            Self::Draft => "Draft",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Seen => 1,
            Self::Answered => 2,
            Self::Flagged => 4,
            Self::Deleted => 8,
            Self::Draft => 16,
        }
    }
}

/// The flags and keywords of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flags {
    system: u8,
    /// Sorted, each once.
    keywords: Vec<String>,
}

impl Flags {
    /// None.
    pub const NONE: Self = Self { system: 0, keywords: Vec::new() };

    /// Whether a flag is set.
    #[must_use]
    pub const fn has(&self, flag: SystemFlag) -> bool {
        self.system & flag.bit() != 0
    }

    /// Sets a flag.
    #[must_use]
    pub const fn with(mut self, flag: SystemFlag) -> Self {
        self.system |= flag.bit();
        self
    }

    /// The flags that are set.
    pub fn system(&self) -> impl Iterator<Item = SystemFlag> + '_ {
        SystemFlag::ALL.into_iter().filter(|flag| self.has(*flag))
    }

    /// The keywords, sorted.
    #[must_use]
    pub fn keywords(&self) -> &[String] {
        &self.keywords
    }

    /// Adds a keyword; letters of any case are one keyword, in the case that came first (RFC 9051 §2.3.2).
    ///
    /// # Errors
    /// [`Malformed`] when it is no atom, or too long, or there are [`KEYWORDS_MAX`] already.
    pub fn add_keyword(&mut self, keyword: &str) -> Result<(), Malformed> {
        if keyword.is_empty() || keyword.len() > KEYWORD_OCTETS_MAX {
            return Err(Malformed::new("a keyword of 1 to 64 octets", keyword.len()));
        }
        let special = |octet: u8| !octet.is_ascii_graphic() || b"(){%*\"\\]".contains(&octet);
        if let Some(at) = keyword.bytes().position(special) {
            return Err(Malformed::new("a character of an atom", at));
        }
        if self.keywords.iter().any(|known| known.eq_ignore_ascii_case(keyword)) {
            return Ok(());
        }
        if self.keywords.len() >= KEYWORDS_MAX {
            return Err(Malformed::new("at most 64 keywords", 0));
        }
        let at = self.keywords.partition_point(|known| known.as_str() < keyword);
        self.keywords.insert(at, keyword.to_owned());
        Ok(())
    }

    /// These and those of `other`; keywords beyond [`KEYWORDS_MAX`] are left out.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        self.system |= other.system;
        for keyword in &other.keywords {
            // What another message has is valid; only their number can be too large.
            let _ = self.add_keyword(keyword);
        }
        self
    }

    /// These without those of `other`.
    #[must_use]
    pub fn without(mut self, other: &Self) -> Self {
        self.system &= !other.system;
        self.keywords.retain(|known| !other.keywords.iter().any(|gone| gone.eq_ignore_ascii_case(known)));
        self
    }
}

/// The form of the record; one that is higher may have more behind what is known.
const FORM: u8 = 1;

/// What is kept of a message in a folder. Octets behind those known are passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRecord {
    /// The name of its body, which its copies share; IMAP's EMAILID (RFC 8474).
    pub id: MessageId,
    /// The internal date: when it came.
    pub at: UnixTime,
    /// Length of the body, in octets.
    pub octets: u64,
    /// Its flags.
    pub flags: Flags,
}

impl MessageRecord {
    /// The stored form: form (1), body (8), date in nanoseconds (8), length (8), flags (1), keywords (1),
    /// and each keyword behind its length (1).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let keywords = &self.flags.keywords;
        let mut row =
            Vec::with_capacity(27 + keywords.iter().map(|keyword| 1 + keyword.len()).sum::<usize>());
        row.push(FORM);
        row.extend_from_slice(&self.id.0.to_be_bytes());
        row.extend_from_slice(&self.at.as_nanos().to_be_bytes());
        row.extend_from_slice(&self.octets.to_be_bytes());
        row.push(self.flags.system);
        // Both lengths are bounded by the constants above.
        row.push(keywords.len() as u8);
        for keyword in keywords {
            row.push(keyword.len() as u8);
            row.extend_from_slice(keyword.as_bytes());
        }
        row
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`Malformed`] when it is cut short or a keyword is none.
    pub fn decode(row: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(row);
        if reader.u8("form of the record")? < FORM {
            return Err(Malformed::new("a known form of the record", 0));
        }
        let id = MessageId(reader.u64("name of the body")?);
        let at = UnixTime::from_nanos(reader.u64("internal date")?);
        let octets = reader.u64("length")?;
        let mut flags = Flags { system: reader.u8("flags")?, keywords: Vec::new() };
        for _ in 0..reader.u8("number of keywords")? {
            let length = reader.u8("length of a keyword")?;
            let keyword = reader.take(usize::from(length), "keyword")?;
            let keyword = core::str::from_utf8(keyword).map_err(|_| Malformed::new("a keyword", 27))?;
            flags.add_keyword(keyword)?;
        }
        Ok(Self { id, at, octets, flags })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keywords_are_atoms_and_known_in_any_case() {
        let mut flags = Flags::NONE.with(SystemFlag::Seen).with(SystemFlag::Draft);
        for keyword in ["$Forwarded", "work", "WORK", "$forwarded"] {
            flags.add_keyword(keyword).expect("an atom");
        }
        assert_eq!(flags.keywords(), ["$Forwarded", "work"]);
        for keyword in ["", "a b", "a(", "\\Seen", "é", "a\r", &"a".repeat(65)] {
            assert!(flags.add_keyword(keyword).is_err(), "{keyword:?}");
        }
        let mut gone = Flags::NONE.with(SystemFlag::Draft);
        gone.add_keyword("Work").expect("an atom");
        let left = flags.clone().without(&gone);
        assert_eq!(left.system().collect::<Vec<_>>(), [SystemFlag::Seen]);
        assert_eq!(left.keywords(), ["$Forwarded"]);
        assert_eq!(left.union(&flags), flags);
        for number in 0..KEYWORDS_MAX {
            let _ = flags.add_keyword(&format!("k{number}"));
        }
        assert!(flags.add_keyword("more").is_err());
    }

    proptest! {
        #[test]
        fn a_record_reads_back_and_no_prefix_of_it_does(
            id: u64, at: u64, octets: u64, system in 0..32u8,
            keywords in proptest::collection::vec("[a-z$]{1,64}", 0..4),
        ) {
            let mut flags = Flags { system, keywords: Vec::new() };
            for keyword in &keywords {
                flags.add_keyword(keyword).expect("an atom");
            }
            let record = MessageRecord { id: MessageId(id), at: UnixTime::from_nanos(at), octets, flags };
            let mut row = record.encode();
            for length in 0..row.len() {
                prop_assert!(MessageRecord::decode(&row[..length]).is_err());
            }
            row.push(7);
            prop_assert_eq!(MessageRecord::decode(&row), Ok(record));
        }

        #[test]
        fn any_octets_are_read_or_refused(row in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = MessageRecord::decode(&row);
        }
    }
}
