//! Storing and removing files, decided: what PUT and DELETE do and with which status
//! (RFC 9110 §9.3.4, §9.3.5, §13).
//!
//! Pure: what is there comes in as facts. Writing, syncing and renaming are in `io`.

use doorway_base::UnixTime;

use crate::Status;
use crate::conditional::{Precondition, Validators, evaluate_lines};
use crate::files::{Facts, Found};
use crate::wire::Method;
use crate::wire::path::FilePath;

/// The rules of a folder that takes files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Octets that all files may have together.
    pub quota: Option<u64>,
    /// Whether a file that is there is changed only by who says which version of it he means: 428.
    pub needs_condition: bool,
}

/// What to do for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Store the body: 201 where nothing was, 204 where it replaces a file.
    Store {
        /// The file that is replaced.
        replaces: Option<Facts>,
    },
    /// Remove the file or the empty folder: 204.
    Remove {
        /// Whether it is a folder.
        folder: bool,
    },
    /// Do nothing and answer with this status.
    Refuse(Status),
}

/// What a request to change something says, besides its path.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'r> {
    /// PUT or DELETE.
    pub method: Method,
    /// Its fields: names and values.
    pub fields: &'r [(&'r str, &'r str)],
    /// When it is judged.
    pub now: UnixTime,
}

impl Asked<'_> {
    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }
}

/// Decides what a request does to `path`, where it finds `found`.
#[must_use]
pub fn decide(path: &FilePath, found: Found, asked: &Asked<'_>, rules: Rules) -> Change {
    let refuse = Change::Refuse;
    let put = asked.method == Method::Put;
    // RFC 9110 §14.5: part of a file cannot be put, and must not be taken for the whole.
    if put && asked.has("content-range") {
        return refuse(Status::BAD_REQUEST);
    }
    // What is coded would be stored as what it is not.
    if put && asked.has("content-encoding") {
        return refuse(Status::UNSUPPORTED_MEDIA_TYPE);
    }
    let existing = match found {
        Found::Forbidden => return refuse(Status::FORBIDDEN),
        Found::File(facts) if !path.folder => Some(facts),
        Found::File(_) => return refuse(Status::NOT_FOUND),
        Found::Folder | Found::Missing => None,
    };
    let folder = found == Found::Folder;
    if put && (path.folder || folder) {
        return refuse(if folder { Status::CONFLICT } else { Status::METHOD_NOT_ALLOWED });
    }
    let exists = existing.is_some() || folder;
    if let Some(status) = condition(existing, exists, asked, rules) {
        return refuse(status);
    }
    match (put, exists) {
        (true, _) => Change::Store { replaces: existing },
        (false, false) => refuse(Status::NOT_FOUND),
        // The served folder itself stays.
        (false, true) if path.name.is_empty() => refuse(Status::CONFLICT),
        (false, true) => Change::Remove { folder },
    }
}

fn condition(existing: Option<Facts>, exists: bool, asked: &Asked<'_>, rules: Rules) -> Option<Status> {
    let names = ["if-match", "if-unmodified-since", "if-none-match"];
    if !names.iter().any(|name| asked.has(name)) {
        return (exists && rules.needs_condition).then_some(Status::PRECONDITION_REQUIRED);
    }
    let etag = existing.map(|facts| facts.etag());
    let validators = exists.then(|| Validators {
        etag: etag.as_deref().map(str::as_bytes),
        modified: existing.map(|facts| facts.modified),
    });
    let lines = asked.fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    match evaluate_lines(asked.method, lines, validators.as_ref(), asked.now) {
        Precondition::Holds => None,
        Precondition::NotModified | Precondition::Failed => Some(Status::PRECONDITION_FAILED),
    }
}

/// Whether so many octets more fit in, when a file of `replaced` octets goes.
#[must_use]
pub fn fits(rules: Rules, used: u64, replaced: u64, octets: u64) -> bool {
    rules.quota.is_none_or(|quota| used.saturating_sub(replaced).saturating_add(octets) <= quota)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts =
        Facts { inode: (1, 0xabc), octets: 1024, modified: UnixTime::from_secs(784_111_777) };
    const FREE: Rules = Rules { quota: None, needs_condition: false };
    const STRICT: Rules = Rules { quota: None, needs_condition: true };

    #[track_caller]
    fn check(method: Method, path: &str, found: Found, field: (&str, &str), rules: Rules, expected: Change) {
        let fields = if field.0.is_empty() { vec![] } else { vec![field] };
        let asked = Asked { method, fields: &fields, now: UnixTime::from_secs(1_795_369_205) };
        let path = FilePath::resolve(path.as_bytes()).unwrap();
        assert_eq!(decide(&path, found, &asked, rules), expected, "{method:?} {path:?} {found:?} {field:?}");
    }

    #[test]
    fn what_is_there_decides_what_is_done() {
        use Change::{Refuse, Remove, Store};
        use Method::{Delete, Put};
        let file = Found::File(FACTS);
        let none = ("", "");
        for (method, path, found, expected) in [
            (Put, "/a", Found::Missing, Store { replaces: None }),
            (Put, "/a", file, Store { replaces: Some(FACTS) }),
            (Put, "/a", Found::Folder, Refuse(Status::CONFLICT)),
            (Put, "/a/", Found::Folder, Refuse(Status::CONFLICT)),
            (Put, "/a/", Found::Missing, Refuse(Status::METHOD_NOT_ALLOWED)),
            (Put, "/a/", file, Refuse(Status::NOT_FOUND)),
            (Put, "/a", Found::Forbidden, Refuse(Status::FORBIDDEN)),
            (Delete, "/a", file, Remove { folder: false }),
            (Delete, "/a", Found::Folder, Remove { folder: true }),
            (Delete, "/a/", Found::Folder, Remove { folder: true }),
            (Delete, "/", Found::Folder, Refuse(Status::CONFLICT)),
            (Delete, "/a", Found::Missing, Refuse(Status::NOT_FOUND)),
        ] {
            check(method, path, found, none, FREE, expected);
        }
        check(Put, "/a", file, ("Content-Range", "bytes 0-1/2"), FREE, Refuse(Status::BAD_REQUEST));
        check(Put, "/a", file, ("Content-Encoding", "gzip"), FREE, Refuse(Status::UNSUPPORTED_MEDIA_TYPE));
    }

    #[test]
    fn nobody_replaces_a_version_that_he_has_not_seen() {
        use Change::{Refuse, Remove, Store};
        use Method::{Delete, Put};
        let etag = FACTS.etag();
        let file = Found::File(FACTS);
        let failed = Refuse(Status::PRECONDITION_FAILED);
        let missing = Refuse(Status::PRECONDITION_REQUIRED);
        let replaced = Store { replaces: Some(FACTS) };
        check(Put, "/a", file, ("If-Match", &etag), STRICT, replaced);
        check(Put, "/a", file, ("If-Match", "\"x\""), FREE, failed);
        check(Put, "/a", Found::Missing, ("If-Match", "*"), FREE, failed);
        check(Put, "/a", Found::Missing, ("If-None-Match", "*"), STRICT, Store { replaces: None });
        check(Put, "/a", file, ("If-None-Match", "*"), FREE, failed);
        check(Put, "/a", file, ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:36 GMT"), FREE, failed);
        check(Put, "/a", file, ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"), STRICT, replaced);
        check(Put, "/a", file, ("", ""), STRICT, missing);
        check(Put, "/a", Found::Missing, ("", ""), STRICT, Store { replaces: None });
        check(Delete, "/a", file, ("", ""), STRICT, missing);
        check(Delete, "/a", file, ("If-Match", &etag), STRICT, Remove { folder: false });
        check(Delete, "/a", file, ("If-Match", "\"x\""), FREE, failed);
        check(Delete, "/a", Found::Missing, ("If-Match", "*"), FREE, failed);
    }

    #[test]
    fn a_file_counts_against_the_quota_once() {
        let rules = Rules { quota: Some(100), needs_condition: false };
        assert!(fits(rules, 90, 0, 10) && !fits(rules, 90, 0, 11));
        assert!(fits(rules, 90, 50, 60) && !fits(rules, 90, 50, 61));
        assert!(fits(FREE, u64::MAX, 0, u64::MAX));
    }
}
