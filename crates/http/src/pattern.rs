//! Which paths a route or a rule of the config is about: a prefix of whole segments, or a pattern.
//!
//! Paths are compared in the form that [`canonical`](crate::wire::path::canonical) gives them, so that no
//! other way to write a path leads past a rule.

use crate::wire::path::canonical;

/// A prefix or a pattern, as the operator writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// In canonical form; a prefix without its last slash.
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The path, and all that is below it.
    Prefix,
    /// All that is below the path, but not the path itself.
    Below,
    /// `*` stands for anything but a slash, `**` for anything.
    Wild,
}

impl Pattern {
    /// Reads what the operator wrote; `None` unless it begins with a slash and is well-formed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if !text.starts_with('/') {
            return None;
        }
        let (text, below) = match text.strip_suffix("/*") {
            Some(before) if !before.contains('*') => (before, true),
            _ => (text, false),
        };
        // An asterisk is an ordinary character of paths and comes through unchanged.
        let text = canonical(text.as_bytes()).ok()?.into_owned();
        let kind = match (below, text.contains('*')) {
            (true, _) => Kind::Below,
            (false, true) => Kind::Wild,
            (false, false) => Kind::Prefix,
        };
        let text = if kind == Kind::Wild { text } else { text.trim_end_matches('/').to_owned() };
        Some(Self { text, kind })
    }

    /// The prefix of every path.
    #[must_use]
    pub const fn root() -> Self {
        Self { text: String::new(), kind: Kind::Prefix }
    }

    /// Whether it is about `path`, which is in canonical form.
    #[must_use]
    pub fn fits(&self, path: &str) -> bool {
        self.rest(path).is_some()
    }

    /// What of `path` follows the pattern: below a prefix the rest with its slash, or nothing; else all
    /// of it. `None` when the pattern is not about the path.
    #[must_use]
    pub fn rest<'p>(&self, path: &'p str) -> Option<&'p str> {
        match self.kind {
            Kind::Wild => wild(self.text.as_bytes(), path.as_bytes()).then_some(path),
            Kind::Prefix => {
                path.strip_prefix(&self.text).filter(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Kind::Below => path.strip_prefix(&self.text).filter(|rest| rest.starts_with('/')),
        }
    }

    /// What is cut off a path to get its rest.
    #[must_use]
    pub fn base(&self) -> &str {
        if self.kind == Kind::Wild { "" } else { &self.text }
    }

    /// How much of a path it pins down: of several that fit, the greatest decides.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.text.bytes().filter(|octet| *octet != b'*').count()
    }
}

/// Whether `path` has the form of `pattern`. Goes back to the last asterisk alone, and the last pair of
/// them, so that no path makes it slow.
fn wild(pattern: &[u8], path: &[u8]) -> bool {
    let (mut at, mut place) = (0, 0);
    // Where the pattern goes on behind the asterisks seen last, and which octets they stand for so far.
    let mut single: Option<(usize, usize)> = None;
    let mut double: Option<(usize, usize)> = None;
    loop {
        if pattern[at..].starts_with(b"**") {
            at += 2;
            double = Some((at, place));
            single = None;
            continue;
        }
        match (pattern.get(at), path.get(place)) {
            (Some(b'*'), _) => {
                at += 1;
                single = Some((at, place));
                continue;
            }
            (Some(wanted), Some(octet)) if wanted == octet => {
                at += 1;
                place += 1;
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        match (&mut single, &mut double) {
            (Some((behind, until)), _) if path.get(*until).is_some_and(|octet| *octet != b'/') => {
                *until += 1;
                (at, place) = (*behind, *until);
            }
            (_, Some((behind, until))) if *until < path.len() => {
                *until += 1;
                (at, place) = (*behind, *until);
                single = None;
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(pattern: &str, path: &str, rest: Option<&str>) {
        assert_eq!(Pattern::parse(pattern).unwrap().rest(path), rest, "{pattern} {path}");
    }

    #[test]
    fn a_prefix_is_about_whole_segments() {
        check("/api", "/api", Some(""));
        check("/api", "/api/x", Some("/x"));
        check("/api/", "/api", Some(""));
        check("/api", "/apis", None);
        check("/", "/", Some("/"));
        check("/", "/x/y", Some("/x/y"));
        check("/api/*", "/api/x/y", Some("/x/y"));
        check("/api/*", "/api/", Some("/"));
        check("/api/*", "/api", None);
        check("/%61pi", "/api/x", Some("/x"));
        check("/a b", "/a%20b", Some(""));
        check("/百", "/%E7%99%BE", Some(""));
    }

    #[test]
    fn an_asterisk_stands_for_part_of_a_segment_and_two_for_anything() {
        let yes = |pattern, path| check(pattern, path, Some(path));
        yes("/*.css", "/a.css");
        yes("/**.css", "/a/b/c.css");
        yes("/**.css", "/.css");
        yes("/*/feed.xml", "/news/feed.xml");
        yes("/a*b*c", "/axxbxxbxc");
        yes("/**/x/*.js", "/a/x/b/x/c.js");
        yes("/a/**", "/a/b/c");
        yes("/*", "/a/b");
        check("/*.css", "/a/b.css", None);
        check("/*/feed.xml", "/a/b/feed.xml", None);
        check("/a*b*c", "/axxbxx/c", None);
        check("/**.css", "/a.cs", None);
        check("/a/**", "/a", None);
    }

    #[test]
    fn what_begins_with_no_slash_or_is_miscoded_is_no_pattern() {
        for text in ["", "api", "*", "/%zz", "/../x"] {
            assert_eq!(Pattern::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_longer_pattern_weighs_more() {
        let weight = |text| Pattern::parse(text).unwrap().weight();
        assert!(weight("/a/b") > weight("/a"));
        assert!(weight("/a/**.css") > weight("/a"));
        assert!(weight("/") < weight("/a"));
    }

    /// The same without a thought to speed.
    fn plain(pattern: &[u8], path: &[u8]) -> bool {
        match pattern {
            [] => path.is_empty(),
            [b'*', b'*', rest @ ..] => (0..=path.len()).any(|n| plain(rest, &path[n..])),
            [b'*', rest @ ..] => (0..=path.len())
                .take_while(|n| *n == 0 || path[n - 1] != b'/')
                .any(|n| plain(rest, &path[n..])),
            [octet, rest @ ..] => path.first() == Some(octet) && plain(rest, &path[1..]),
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_trying_everything(pattern in "/[a/*]{0,8}", path in "/[a/b]{0,10}") {
            let (pattern, path): (String, String) = (pattern, path);
            // Three in a row mean no more than two.
            prop_assume!(!pattern.contains("***"));
            prop_assert_eq!(wild(pattern.as_bytes(), path.as_bytes()), plain(pattern.as_bytes(), path.as_bytes()));
        }
    }
}
