//! Folders (IMAP's mailboxes, RFC 9051 §5.1): their names, and what is kept of each.

use std::fmt;
use std::str::FromStr;

use doorway_base::{Malformed, Reader};

/// Longest name of a folder, in octets.
pub const FOLDER_NAME_OCTETS_MAX: usize = 255;
/// Most levels of a name.
pub const FOLDER_DEPTH_MAX: usize = 20;
/// The folder that mail arrives in.
pub const INBOX: &str = "INBOX";

/// A folder's name: UTF-8, levels parted by `/`. `INBOX` is the same in any case of letters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderName(String);

impl FolderName {
    /// Reads a name.
    ///
    /// # Errors
    /// [`Malformed`] for a name that is empty, too long or too deep, has an empty level, or a control
    /// character.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.is_empty() || text.len() > FOLDER_NAME_OCTETS_MAX {
            return Err(Malformed::new("a folder's name of 1 to 255 octets", text.len()));
        }
        if let Some((at, _)) = text.char_indices().find(|(_, c)| c.is_control()) {
            return Err(Malformed::new("a printable character", at));
        }
        let mut at = 0;
        for (depth, level) in text.split('/').enumerate() {
            // `.` and `..` would be surprises wherever folders are exported to.
            if level.is_empty() || level == "." || level == ".." || depth >= FOLDER_DEPTH_MAX {
                return Err(Malformed::new("a level of a folder's name", at));
            }
            at += level.len() + 1;
        }
        let first = text.split('/').next().unwrap_or_default();
        Ok(Self(match first.eq_ignore_ascii_case(INBOX) {
            true => format!("{INBOX}{}", &text[INBOX.len()..]),
            false => text.to_owned(),
        }))
    }

    /// `INBOX`.
    #[must_use]
    pub fn inbox() -> Self {
        Self(INBOX.to_owned())
    }

    /// True for `INBOX` itself.
    #[must_use]
    pub fn is_inbox(&self) -> bool {
        self.0 == INBOX
    }

    /// The name as it is kept.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder one level up; `None` at the top.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// What follows when this folder lies below `other`.
    #[must_use]
    pub fn below(&self, other: &Self) -> Option<&str> {
        self.0.strip_prefix(&other.0)?.strip_prefix('/')
    }
}

impl fmt::Display for FolderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for FolderName {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::parse(text)
    }
}

/// Numbers a folder within its account, from 1 (always INBOX) up. It stays over a change of name and is never
/// given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderId(pub u64);

impl FolderId {
    /// INBOX.
    pub const INBOX: Self = Self(1);
}

/// What a folder is for (RFC 6154 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpecialUse {
    /// `\Archive`: messages that are kept.
    Archive,
    /// `\Drafts`: messages that are being written.
    Drafts,
    /// `\Junk`: unwanted mail.
    Junk,
    /// `\Sent`: what was sent.
    Sent,
    /// `\Trash`: what is to be deleted.
    Trash,
}

impl SpecialUse {
    /// Every use.
    pub const ALL: [Self; 5] = [Self::Archive, Self::Drafts, Self::Junk, Self::Sent, Self::Trash];

    /// The attribute without its backslash.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Archive => "Archive",
            Self::Drafts => "Drafts",
            Self::Junk => "Junk",
            Self::Sent => "Sent",
            Self::Trash => "Trash",
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Archive => 1,
            Self::Drafts => 2,
            Self::Junk => 3,
            Self::Sent => 4,
            Self::Trash => 5,
        }
    }
}

/// The form of the records here; one that is higher may have more behind what is known.
const FORM: u8 = 1;

fn form(reader: &mut Reader<'_>) -> Result<(), Malformed> {
    if reader.u8("form of the record")? < FORM {
        return Err(Malformed::new("a known form of the record", 0));
    }
    Ok(())
}

/// What is kept of an account beside its folders. Octets behind those known are passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountRecord {
    /// The number of the newest folder.
    pub folder_last: FolderId,
    /// The highest UIDVALIDITY that was given; that of the next folder is higher.
    pub uid_validity_last: u32,
}

impl AccountRecord {
    /// The stored form: form (1), folder (8), UIDVALIDITY (4).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut row = vec![FORM];
        row.extend_from_slice(&self.folder_last.0.to_be_bytes());
        row.extend_from_slice(&self.uid_validity_last.to_be_bytes());
        row
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`Malformed`] when it is cut short.
    pub fn decode(row: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(row);
        form(&mut reader)?;
        let folder_last = FolderId(reader.u64("last folder")?);
        Ok(Self { folder_last, uid_validity_last: reader.u32("last UIDVALIDITY")? })
    }
}

/// What is kept of a folder. Octets behind those known are passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FolderRecord {
    /// Its number.
    pub id: FolderId,
    /// UIDVALIDITY (RFC 9051 §2.3.1.1): a folder of the same name that is made later has a higher one.
    pub uid_validity: u32,
    /// What it is for, if it has a use.
    pub special_use: Option<SpecialUse>,
}

impl FolderRecord {
    /// The stored form: form (1), number (8), UIDVALIDITY (4), use (1).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut row = vec![FORM];
        row.extend_from_slice(&self.id.0.to_be_bytes());
        row.extend_from_slice(&self.uid_validity.to_be_bytes());
        row.push(self.special_use.map_or(0, SpecialUse::code));
        row
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`Malformed`] when it is cut short or has an unknown use.
    pub fn decode(row: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(row);
        form(&mut reader)?;
        let id = FolderId(reader.u64("folder")?);
        let uid_validity = reader.u32("UIDVALIDITY")?;
        let code = reader.u8("special use")?;
        let special_use = SpecialUse::ALL.into_iter().find(|special| special.code() == code);
        if code != 0 && special_use.is_none() {
            return Err(Malformed::new("a known special use", 13));
        }
        Ok(Self { id, uid_validity, special_use })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_levels_and_inbox_has_one_spelling() {
        for (text, name) in [
            ("INBOX", "INBOX"),
            ("inbox", "INBOX"),
            ("iNbOx/Work", "INBOX/Work"),
            ("Inboxes", "Inboxes"),
            ("Archive/2026/收件", "Archive/2026/收件"),
            ("a b & c", "a b & c"),
        ] {
            assert_eq!(FolderName::parse(text).map(|name| name.0).as_deref(), Ok(name), "{text}");
        }
        let (deep, long) = (["a"; 21].join("/"), "a".repeat(256));
        for text in ["", "/", "a/", "/a", "a//b", ".", "a/../b", "a\nb", "a\0", &deep, &long] {
            assert!(FolderName::parse(text).is_err(), "{text:?}");
        }
        let name = FolderName::parse("a/b/c").expect("a name");
        assert_eq!(name.parent().map(|parent| parent.0).as_deref(), Some("a/b"));
        assert_eq!(name.below(&FolderName("a".into())), Some("b/c"));
        assert_eq!(name.below(&FolderName("a/b/".into())), None);
    }

    #[test]
    fn records_read_back_and_their_prefixes_are_refused() {
        let account = AccountRecord { folder_last: FolderId(9), uid_validity_last: 1_790_000_000 };
        let row = account.encode();
        assert_eq!(AccountRecord::decode(&row), Ok(account));
        assert!((0..row.len()).all(|length| AccountRecord::decode(&row[..length]).is_err()));
        for special_use in SpecialUse::ALL.into_iter().map(Some).chain([None]) {
            let folder = FolderRecord { id: FolderId(3), uid_validity: 77, special_use };
            let mut row = folder.encode();
            assert!((0..row.len()).all(|length| FolderRecord::decode(&row[..length]).is_err()));
            row.extend_from_slice(b"from a newer program");
            assert_eq!(FolderRecord::decode(&row), Ok(folder));
        }
        assert!(FolderRecord::decode(&[1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 99]).is_err());
    }
}
