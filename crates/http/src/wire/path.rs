//! From the path of a target to the name of a file: percent-decoding once, then dot segments
//! (RFC 3986 §2.1, §5.2.4).
//!
//! The order matters: `%2e%2e` is `..` and is resolved like it, while `%252e` decodes to the harmless
//! name `%2e`. A slash that was coded (`%2f`) is data and no file name can hold it, so such a path
//! names nothing. The result never leads above its root; that the file system agrees, in spite of
//! symbolic links, is the business of `io::files`.

use std::borrow::Cow;

use super::rule::{self, Refusal};

/// A path below a root: segments joined by single slashes, with none in front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePath {
    /// `""` for the root itself, else such as `html/login.html`. UTF-8, no NUL, no empty segment, no
    /// `.` and no `..`.
    pub name: String,
    /// Whether the path ended in a slash, so that it asks for a folder.
    pub folder: bool,
}

/// Why a path names no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoFile {
    /// The octets break a rule: 400.
    Refused(Refusal),
    /// It is well-formed but leads above the root or to a name that cannot be: 404.
    Outside,
}

impl FilePath {
    /// Decodes and resolves `path`, which begins with `/` or is empty.
    ///
    /// # Errors
    /// [`NoFile::Refused`] for a bad triplet, `%00` or a result that is not UTF-8, with the offset in
    /// `path`; [`NoFile::Outside`] for `..` above the root, `%2f` and backslashes.
    pub fn resolve(path: &[u8]) -> Result<Self, NoFile> {
        let mut name = Vec::with_capacity(path.len());
        let mut outside = false;
        let mut folder = true;
        let mut at = 0;
        for segment in path.split(|&octet| octet == b'/') {
            let start = name.len();
            decode(segment, at, &mut name)?;
            at += segment.len() + 1;
            let decoded = &name[start..];
            outside |= decoded.iter().any(|octet| matches!(octet, b'/' | b'\\'));
            folder = matches!(decoded, b"" | b"." | b"..");
            if decoded == b".." {
                name.truncate(start);
                outside |= !remove_last(&mut name);
            } else if folder {
                name.truncate(start);
            } else {
                name.push(b'/');
            }
        }
        if outside {
            return Err(NoFile::Outside);
        }
        name.pop();
        match String::from_utf8(name) {
            Ok(name) => Ok(Self { name, folder }),
            Err(_) => Err(NoFile::Refused(Refusal::new(&rule::PERCENT_UTF8, 0))),
        }
    }

    /// The path as a target again, with a slash in front and, for a folder, behind. It never begins
    /// with two slashes, so as a Location it stays on this host.
    #[must_use]
    pub fn to_target(&self) -> String {
        let mut target = String::with_capacity(self.name.len() + 2);
        target.push('/');
        for octet in self.name.bytes() {
            push(&mut target, octet, b'/');
        }
        if self.folder && !self.name.is_empty() {
            target.push('/');
        }
        target
    }

    /// The name of what is called `name` in this folder.
    #[must_use]
    pub fn join(&self, name: &str) -> String {
        if self.name.is_empty() { name.to_owned() } else { format!("{}/{name}", self.name) }
    }

    /// The folder that it is in, and its name there.
    #[must_use]
    pub fn split(&self) -> (&str, &str) {
        self.name.rsplit_once('/').unwrap_or(("", &self.name))
    }

    /// Whether a segment begins with a dot, and is not `.well-known` in first place (RFC 8615).
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.name
            .split('/')
            .enumerate()
            .any(|(place, segment)| segment.starts_with('.') && !(place == 0 && segment == ".well-known"))
    }
}

/// A path without `.` and `..`, its coding left as it is (RFC 3986 §5.2.4). What leads above the root stays
/// at the root.
#[must_use]
pub fn remove_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut folder = false;
    for segment in path.split('/').skip(usize::from(path.starts_with('/'))) {
        folder = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    let end = if folder && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/"))
}

/// The one way to write `path`, for whoever compares paths (RFC 3986 §6.2.2): dot segments resolved,
/// slashes not repeated, a triplet wherever an octet needs one and nowhere else. An encoded slash stays
/// one, so that it is data and no slash.
///
/// # Errors
/// [`NoFile::Refused`] for a bad triplet and for `%00`, with its offset; [`NoFile::Outside`] for `..` above
/// the root.
pub fn canonical(path: &[u8]) -> Result<Cow<'_, str>, NoFile> {
    if let Ok(text) = core::str::from_utf8(path)
        && text.starts_with('/')
        && !text.contains("//")
        && !text.contains("/.")
        && text.bytes().all(|octet| octet == b'/' || is_plain(octet))
    {
        return Ok(Cow::Borrowed(text));
    }
    let mut name = String::with_capacity(path.len() + 1);
    let mut decoded = Vec::new();
    let mut at = 0;
    let mut folder = true;
    for segment in path.split(|&octet| octet == b'/') {
        decoded.clear();
        decode(segment, at, &mut decoded)?;
        at += segment.len() + 1;
        folder = matches!(decoded.as_slice(), b"" | b"." | b"..");
        if decoded == b".." {
            let Some(slash) = name.rfind('/') else { return Err(NoFile::Outside) };
            name.truncate(slash);
        } else if !folder {
            name.push('/');
            for octet in &decoded {
                push(&mut name, *octet, b'-');
            }
        }
    }
    if folder {
        name.push('/');
    }
    Ok(Cow::Owned(name))
}

/// Whether an octet stands for itself in a segment (RFC 3986 §3.3, `pchar`).
fn is_plain(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&octet)
}

/// Appends an octet as itself when it is `also` or may stand in a segment, else as a triplet.
fn push(text: &mut String, octet: u8, also: u8) {
    if octet == also || is_plain(octet) {
        text.push(char::from(octet));
    } else {
        push_triplet(text, octet);
    }
}

fn push_triplet(text: &mut String, octet: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    text.push('%');
    text.push(char::from(DIGITS[usize::from(octet >> 4)]));
    text.push(char::from(DIGITS[usize::from(octet & 15)]));
}

/// Takes the last segment away; false when there is none.
fn remove_last(name: &mut Vec<u8>) -> bool {
    if name.pop().is_none() {
        return false;
    }
    let start = name.iter().rposition(|&octet| octet == b'/').map_or(0, |slash| slash + 1);
    name.truncate(start);
    true
}

/// Appends `segment` to `decoded`, with its triplets turned into octets. `at` is its place in the
/// path.
fn decode(segment: &[u8], at: usize, decoded: &mut Vec<u8>) -> Result<(), NoFile> {
    let mut rest = segment;
    while let Some((&octet, after)) = rest.split_first() {
        let place = at + segment.len() - rest.len();
        let refuse = |rule| Err(NoFile::Refused(Refusal::new(rule, place)));
        rest = after;
        if octet != b'%' {
            decoded.push(octet);
            continue;
        }
        let digits = after.first_chunk::<2>().and_then(|&[high, low]| {
            let digit = |octet: u8| (octet as char).to_digit(16);
            Some((digit(high)? << 4 | digit(low)?) as u8)
        });
        match digits {
            None => return refuse(&rule::PERCENT_TRIPLET),
            Some(0) => return refuse(&rule::PERCENT_NUL),
            Some(octet) => decoded.push(octet),
        }
        rest = &after[2..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_way_to_write_a_path_has_one_canonical_form() {
        for (path, expected) in [
            ("/", "/"),
            ("", "/"),
            ("/a/b", "/a/b"),
            ("/%61/b", "/a/b"),
            ("//a///b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/x/../a/b", "/a/b"),
            ("/x/%2e%2E/a/b", "/a/b"),
            ("/a/b/.", "/a/b/"),
            ("/a/b/c/..", "/a/b/"),
            ("/a%2fb", "/a%2Fb"),
            ("/a+b", "/a+b"),
            ("/a%2bb", "/a+b"),
            ("/%e7%99%be", "/%E7%99%BE"),
            ("/%7Ea", "/~a"),
            ("/a%5cb", "/a%5Cb"),
            ("/.a", "/.a"),
        ] {
            assert_eq!(canonical(path.as_bytes()).as_deref(), Ok(expected), "{path}");
        }
        assert_eq!(canonical(b"/.."), Err(NoFile::Outside));
        assert_eq!(canonical(b"/a/../../b"), Err(NoFile::Outside));
        let refusal = Refusal::new(&rule::PERCENT_TRIPLET, 3);
        assert_eq!(canonical(b"/a/%zz"), Err(NoFile::Refused(refusal)));
    }

    #[track_caller]
    fn check(path: &str, expected: Option<(&str, bool)>) {
        let found = FilePath::resolve(path.as_bytes());
        let expected = expected.map(|(name, folder)| FilePath { name: name.into(), folder });
        assert_eq!(found.ok(), expected, "{path}");
    }

    #[test]
    fn a_path_is_decoded_once_and_its_dot_segments_are_resolved_after_that() {
        check("/", Some(("", true)));
        check("", Some(("", true)));
        check("/html/login.html", Some(("html/login.html", false)));
        check("/html/", Some(("html", true)));
        check("//html//login.html", Some(("html/login.html", false)));
        check("/a/./b/../c", Some(("a/c", false)));
        check("/a/b/..", Some(("a", true)));
        check("/a/%2e%2E/b", Some(("b", false)));
        check("/%7Euser/%e7%99%be%E5%BA%A6", Some(("~user/百度", false)));
        check("/a%20b+c", Some(("a b+c", false)));
        check("/%252e%252e/x", Some(("%2e%2e/x", false)));
        check("/a/..", Some(("", true)));
        check("/...", Some(("...", false)));
    }

    #[test]
    fn a_path_never_leads_above_its_root() {
        for path in [
            "/..",
            "/../etc/passwd",
            "/a/../../etc/passwd",
            "/%2e%2e/etc/passwd",
            "/.%2e/x",
            "/a/%2e%2e/%2e%2e/x",
            "/..%2fetc%2fpasswd",
            "/a%2fb",
            "/..%5cwindows",
            "/a\\b",
            "/../a",
        ] {
            assert_eq!(FilePath::resolve(path.as_bytes()), Err(NoFile::Outside), "{path}");
        }
    }

    #[test]
    fn what_is_not_coded_right_is_refused_where_it_stands() {
        for (path, rule, at_octet) in [
            ("/a%0", &rule::PERCENT_TRIPLET, 2),
            ("/a/%", &rule::PERCENT_TRIPLET, 3),
            ("/%zz", &rule::PERCENT_TRIPLET, 1),
            ("/%u0041", &rule::PERCENT_TRIPLET, 1),
            ("/ab/c%00.html", &rule::PERCENT_NUL, 5),
            ("/%ff", &rule::PERCENT_UTF8, 0),
            ("/%c0%ae%c0%ae/", &rule::PERCENT_UTF8, 0),
        ] {
            let refusal = Refusal::new(rule, at_octet);
            assert_eq!(FilePath::resolve(path.as_bytes()), Err(NoFile::Refused(refusal)), "{path}");
        }
    }

    #[test]
    fn hidden_names_are_seen_wherever_they_stand() {
        for (path, hidden) in [
            ("/.git/config", true),
            ("/a/.htpasswd", true),
            ("/.well-known/security.txt", false),
            ("/a/.well-known/x", true),
            ("/.well-known/.x", true),
            ("/a.b", false),
        ] {
            assert_eq!(FilePath::resolve(path.as_bytes()).unwrap().is_hidden(), hidden, "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_canonical_path_stays_as_it_is_and_means_the_same_file(path in "/[a-c./%25EF0-9é ]{0,24}") {
            let path: String = path;
            if let Ok(once) = canonical(path.as_bytes()) {
                let twice = canonical(once.as_bytes()).map(Cow::into_owned);
                prop_assert_eq!(twice.as_deref(), Ok(&*once));
                prop_assert_eq!(FilePath::resolve(path.as_bytes()).ok(), FilePath::resolve(once.as_bytes()).ok());
            }
        }

        #[test]
        fn a_resolved_path_is_clean_and_survives_the_way_there_and_back(path in "/[a-c./%25EF0-9é ]{0,24}") {
            let path: String = path;
            if let Ok(resolved) = FilePath::resolve(path.as_bytes()) {
                for segment in resolved.name.split('/') {
                    prop_assert!(segment != "." && segment != "..");
                    prop_assert!(!segment.is_empty() || resolved.name.is_empty());
                }
                let target = resolved.to_target();
                prop_assert!(!target.starts_with("//"));
                prop_assert_eq!(FilePath::resolve(target.as_bytes()), Ok(resolved));
            }
        }
    }
}
