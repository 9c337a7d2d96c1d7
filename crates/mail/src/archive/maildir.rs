//! Maildir++: a folder is a directory with `cur`, `new` and `tmp`; those below INBOX are beside these, their
//! names beginning with a dot that also parts the levels. Flags are letters behind `:2,` in a file's name.

use std::fmt::Write as _;

use doorway_base::UnixTime;

use super::utf7;
use crate::id::MessageId;
use crate::mailbox::{Flags, FolderName, SystemFlag};

/// The file in a folder that says which keyword each small letter stands for, as Dovecot writes it.
pub const KEYWORDS_FILE: &str = "dovecot-keywords";
/// Keywords that a folder has letters for.
pub const LETTERS_MAX: usize = 26;

const LETTERS: [(SystemFlag, char); 5] = [
    (SystemFlag::Draft, 'D'),
    (SystemFlag::Flagged, 'F'),
    (SystemFlag::Answered, 'R'),
    (SystemFlag::Seen, 'S'),
    (SystemFlag::Deleted, 'T'),
];

/// The directory of a folder below that of INBOX, which itself has the empty name.
#[must_use]
pub fn directory(name: &FolderName) -> String {
    if name.is_inbox() {
        return String::new();
    }
    let levels = name.as_str().split('/').map(|level| utf7::encode(level, |c| c == '.'));
    levels.fold(String::new(), |directory, level| directory + "." + &level)
}

/// The folder of a directory; `None` when its name is not one of Maildir++.
#[must_use]
pub fn folder(directory: &str) -> Option<FolderName> {
    let levels: Option<Vec<String>> = directory.strip_prefix('.')?.split('.').map(utf7::decode).collect();
    FolderName::parse(&levels?.join("/")).ok()
}

/// The keywords of a folder, each with its letter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keywords(Vec<String>);

impl Keywords {
    /// The letter of a keyword, which gets one if there is one left.
    pub fn letter(&mut self, keyword: &str) -> Option<char> {
        let at = self.0.iter().position(|known| known.eq_ignore_ascii_case(keyword)).or_else(|| {
            (self.0.len() < LETTERS_MAX).then(|| {
                self.0.push(keyword.to_owned());
                self.0.len() - 1
            })
        })?;
        Some(char::from(b'a' + at as u8))
    }

    /// What the file says: a number and a keyword a line.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.0.iter().enumerate().fold(String::new(), |mut text, (at, keyword)| {
            // Writing to memory does not fail.
            let _ = writeln!(text, "{at} {keyword}");
            text
        })
    }

    /// Reads the file; lines that are none are passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut keywords = vec![String::new(); LETTERS_MAX];
        for (number, keyword) in text.lines().filter_map(|line| line.split_once(' ')) {
            if let Some(place) = number.parse().ok().and_then(|number: usize| keywords.get_mut(number)) {
                keyword.clone_into(place);
            }
        }
        Self(keywords)
    }
}

/// The name of a message's file in `cur`. `octets` are those of the file.
#[must_use]
pub fn file_name(id: MessageId, at: UnixTime, octets: u64, flags: &Flags, keywords: &mut Keywords) -> String {
    let mut name = format!("{}.{id}.doorway,S={octets}:2,", at.as_secs());
    name.extend(LETTERS.iter().filter(|(flag, _)| flags.has(*flag)).map(|(_, letter)| *letter));
    let mut letters: Vec<char> = flags.keywords().iter().filter_map(|word| keywords.letter(word)).collect();
    letters.sort_unstable();
    name.extend(letters);
    name
}

/// The flags that a file's name tells.
#[must_use]
pub fn flags(file_name: &str, keywords: &Keywords) -> Flags {
    let letters = file_name.rsplit_once(":2,").map_or("", |(_, letters)| letters);
    let mut flags = Flags::NONE;
    for letter in letters.chars() {
        if let Some((flag, _)) = LETTERS.iter().find(|(_, known)| *known == letter) {
            flags = flags.with(*flag);
        } else if letter.is_ascii_lowercase()
            && let Some(keyword) = keywords.0.get(letter as usize - 'a' as usize)
        {
            // A keyword that is none is not taken over.
            let _ = flags.add_keyword(keyword);
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_have_directories_and_back() {
        for (name, made) in [
            ("INBOX", ""),
            ("Work", ".Work"),
            ("Work/2026", ".Work.2026"),
            ("INBOX/v1.2", ".INBOX.v1&AC4-2"),
            ("Entwürfe", ".Entw&APw-rfe"),
        ] {
            let name = FolderName::parse(name).expect("a name");
            assert_eq!(directory(&name), made);
            if !name.is_inbox() {
                assert_eq!(folder(made), Some(name));
            }
        }
        for directory in ["cur", "", ".", "..", ".a..b", ".&"] {
            assert_eq!(folder(directory), None, "{directory}");
        }
    }

    #[test]
    fn flags_are_letters_and_back() {
        let mut all = SystemFlag::ALL.into_iter().fold(Flags::NONE, Flags::with);
        all.add_keyword("$Forwarded").expect("an atom");
        all.add_keyword("work").expect("an atom");
        let mut keywords = Keywords::default();
        let name = file_name(MessageId(1), UnixTime::from_secs(9), 77, &all, &mut keywords);
        assert_eq!(name, "9.0000000000001.doorway,S=77:2,DFRSTab");
        assert_eq!(keywords.to_text(), "0 $Forwarded\n1 work\n");
        assert_eq!(flags(&name, &Keywords::parse(&keywords.to_text())), all);
        assert_eq!(flags("1.x.host:2,", &keywords), Flags::NONE);
        assert_eq!(flags("1.x.host", &keywords), Flags::NONE);
        assert_eq!(flags("1.x.host:2,Sz?", &keywords), Flags::NONE.with(SystemFlag::Seen));
    }
}
