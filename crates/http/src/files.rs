//! Serving a folder, decided: which file a path means (RFC 9110 §8.8.3, §9.3.1).
//!
//! Pure: whether a name is a file or a folder, and its size and time, come in as facts. Opening,
//! reading and sending are in `io`; what is said about a file is in
//! [`representation`](crate::representation).

use std::fmt::Write as _;

use doorway_base::UnixTime;

use crate::wire::path::{FilePath, NoFile};
use crate::wire::rule::Refusal;

/// What a file system says about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// An ordinary file.
    File(Facts),
    /// A folder.
    Folder,
    /// Nothing, or nothing that is served: a socket, a device, a link that leads outside.
    Missing,
    /// Something that the server may not read.
    Forbidden,
}

/// What is known of a file, and what makes one version of it differ from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Facts {
    /// Number of its device and inode, so that a file put in place of another is another.
    pub inode: (u64, u64),
    /// Its length in octets.
    pub octets: u64,
    /// When its contents last changed.
    pub modified: UnixTime,
}

impl Facts {
    /// The strong entity tag: inode, length and time of change to the nanosecond.
    #[must_use]
    pub fn etag(&self) -> String {
        let mut etag = String::with_capacity(48);
        // Writing to a String cannot fail.
        let _ = write!(etag, "\"{:x}-{:x}-{:x}\"", self.inode.1, self.octets, self.modified.as_nanos());
        etag
    }
}

/// What a path asks of a folder, before any file was looked at.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// Look for this file.
    File(FilePath),
    /// There can be none: 404.
    Nothing,
    /// The path breaks a rule.
    Refused(Refusal),
}

/// Reads off a path what it asks of a folder.
#[must_use]
pub fn asked(path: &str) -> Asked {
    match FilePath::resolve(path.as_bytes()) {
        Ok(path) if path.is_hidden() => Asked::Nothing,
        Ok(path) => Asked::File(path),
        Err(NoFile::Outside) => Asked::Nothing,
        Err(NoFile::Refused(refusal)) => Asked::Refused(refusal),
    }
}

/// What to do once it is known what a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this file.
    Send(Facts),
    /// Look for an index in the folder.
    Index,
    /// Answer 301 with this Location: relative links in a folder need its trailing slash.
    Redirect(String),
    /// There is no such file: 404, or the file that stands for those that are not there.
    Nothing,
    /// The server may not read it: 403.
    Forbidden,
}

/// Decides what a path means that leads to `found`; `base` is what was cut off it before.
#[must_use]
pub fn step(base: &str, path: &FilePath, query: Option<&[u8]>, found: Found) -> Step {
    match found {
        Found::File(facts) if !path.folder => Step::Send(facts),
        Found::Folder if path.folder => Step::Index,
        Found::Folder => {
            let folder = FilePath { name: path.name.clone(), folder: true };
            let mut location = format!("{base}{}", folder.to_target());
            if let Some(query) = query {
                location.push('?');
                location.push_str(&String::from_utf8_lossy(query));
            }
            Step::Redirect(location)
        }
        Found::File(_) | Found::Missing => Step::Nothing,
        Found::Forbidden => Step::Forbidden,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts =
        Facts { inode: (1, 0xabc), octets: 1024, modified: UnixTime::from_secs(784_111_777) };

    fn path(name: &str, folder: bool) -> FilePath {
        FilePath { name: name.into(), folder }
    }

    #[test]
    fn a_folder_is_served_with_its_slash_and_a_file_without() {
        let check = |path: &FilePath, found, expected| assert_eq!(step("", path, None, found), expected);
        check(&path("a", false), Found::File(FACTS), Step::Send(FACTS));
        check(&path("a", true), Found::File(FACTS), Step::Nothing);
        check(&path("a", true), Found::Folder, Step::Index);
        check(&path("", true), Found::Folder, Step::Index);
        check(&path("a b", false), Found::Folder, Step::Redirect("/a%20b/".into()));
        check(&path("a", false), Found::Missing, Step::Nothing);
        check(&path("a", false), Found::Forbidden, Step::Forbidden);
        let folder = |base| step(base, &path("a", false), Some(b"x=1"), Found::Folder);
        assert_eq!(folder(""), Step::Redirect("/a/?x=1".into()));
        assert_eq!(folder("/img"), Step::Redirect("/img/a/?x=1".into()));
    }

    #[test]
    fn an_entity_tag_changes_with_each_of_the_facts() {
        assert_eq!(FACTS.etag(), "\"abc-400-ae1b981bc490a00\"");
        for other in [
            Facts { inode: (1, 2), ..FACTS },
            Facts { octets: 1025, ..FACTS },
            Facts { modified: UnixTime::from_nanos(FACTS.modified.as_nanos() + 1), ..FACTS },
        ] {
            assert_ne!(other.etag(), FACTS.etag());
        }
    }
}
