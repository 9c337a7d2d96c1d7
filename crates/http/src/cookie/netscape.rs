//! The jar as a text file: one cookie a line, seven columns with tabs between them, as Netscape's browser began
//! it and curl, wget and Python read and write it.
//!
//! The file has no place for SameSite and the time of creation; those are lost on the way.

use std::fmt;

use doorway_base::UnixTime;

use super::domain::is_public_suffix;
use super::jar::{Jar, Kept, LIFETIME_MAX};
use super::received::COOKIE_OCTETS_MAX;

const HEAD: &str = "# Netscape HTTP Cookie File\n";
const HTTP_ONLY: &str = "#HttpOnly_";

/// A line that holds no cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, counted from 1.
    pub line: usize,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} has no seven columns of a cookie with tabs between them", self.line)
    }
}

impl std::error::Error for BadLine {}

impl Jar {
    /// The jar as a file. Cookies that the file has no words for, because of a tab or octets that are not
    /// UTF-8, are left out.
    #[must_use]
    pub fn to_netscape(&self) -> String {
        let mut file = HEAD.to_owned();
        for cookie in self.iter() {
            let text =
                |octets| std::str::from_utf8(octets).ok().filter(|text| !text.contains(['\t', '\n', '\r']));
            let (Some(name), Some(value)) = (text(&cookie.name), text(&cookie.value)) else { continue };
            let Some(path) = text(cookie.path.as_bytes()) else { continue };
            let yes = |yes| if yes { "TRUE" } else { "FALSE" };
            file.push_str(if cookie.http_only { HTTP_ONLY } else { "" });
            file.push_str(if cookie.host_only { "" } else { "." });
            let expires = cookie.expires.map_or(0, UnixTime::as_secs);
            let (below, secure, domain) = (yes(!cookie.host_only), yes(cookie.secure), &cookie.domain);
            file.push_str(&format!("{domain}\t{below}\t{path}\t{secure}\t{expires}\t{name}\t{value}\n"));
        }
        file
    }

    /// Reads such a file into a jar of its own. Cookies that have ended, that are too long, or that are for
    /// all hosts below a public suffix are left out.
    ///
    /// # Errors
    /// [`BadLine`] for the first line that is neither a cookie nor a comment nor empty.
    pub fn from_netscape(text: &str, now: UnixTime) -> Result<Self, BadLine> {
        let mut jar = Self::new();
        for (number, line) in text.lines().enumerate() {
            let (http_only, line) = match line.strip_prefix(HTTP_ONLY) {
                Some(line) => (true, line),
                None => (false, line),
            };
            if line.trim().is_empty() || (line.starts_with('#') && !http_only) {
                continue;
            }
            let bad = BadLine { line: number + 1 };
            let columns: Vec<&str> = line.split('\t').collect();
            // A cookie with an empty value may have lost its last tab.
            let (columns, value): ([&str; 6], &str) = match columns.as_slice() {
                [a, b, c, d, e, f, value] => ([a, b, c, d, e, f], value),
                [a, b, c, d, e, f] => ([a, b, c, d, e, f], ""),
                _ => return Err(bad),
            };
            let [domain, below, path, secure, expires, name] = columns;
            let yes = |word: &str| match word {
                "TRUE" => Ok(true),
                "FALSE" => Ok(false),
                _ => Err(bad),
            };
            let bare = domain.strip_prefix('.').unwrap_or(domain);
            if bare.is_empty() || !path.starts_with('/') {
                return Err(bad);
            }
            let mut cookie = Kept::from_file(name, value, bare, path, now);
            (cookie.host_only, cookie.secure, cookie.http_only) = (!yes(below)?, yes(secure)?, http_only);
            let expires: u64 = expires.parse().map_err(|_| bad)?;
            let latest = now + LIFETIME_MAX;
            cookie.expires = (expires > 0).then(|| UnixTime::from_secs(expires.min(latest.as_secs())));
            let too_wide = !cookie.host_only && is_public_suffix(&cookie.domain);
            if !too_wide && (1..=COOKIE_OCTETS_MAX).contains(&(name.len() + value.len())) {
                // One that has ended removes what stood above it in the file.
                let _ = jar.put(now, cookie);
            }
        }
        Ok(jar)
    }
}
