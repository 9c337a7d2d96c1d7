//! From the path of a target to the name of a file: percent-decoding once, then dot segments
//! (RFC 3986 §2.1, §5.2.4).
//!
//! The order matters: `%2e%2e` is `..` and is resolved like it, while `%252e` decodes to the harmless
//! name `%2e`. A slash that was coded (`%2f`) is data and no file name can hold it, so such a path
//! names nothing. The result never leads above its root; that the file system agrees, in spite of
//! symbolic links, is the business of `io::files`.

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
            if octet.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=:@".contains(&octet) {
                target.push(char::from(octet));
            } else {
                push_triplet(&mut target, octet);
            }
        }
        if self.folder && !self.name.is_empty() {
            target.push('/');
        }
        target
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
