//! The page that is served when there is no folder. It needs nothing from anywhere else.

use doorway_base::UnixTime;

use crate::files::Facts;
use crate::representation::Representation;

const PAGE: &str = include_str!("page.html");

/// The built-in page, if `path` is one of its paths.
#[must_use]
pub(crate) fn find(path: &str) -> Option<(Representation, &'static [u8])> {
    if !matches!(path, "/" | "/index.html") {
        return None;
    }
    // It changes with the program alone: its length and its sum stand in for inode and time.
    let sum = PAGE.bytes().fold(0u64, |sum, octet| sum.rotate_left(5) ^ u64::from(octet));
    let facts = Facts { inode: (0, sum), octets: PAGE.len() as u64, modified: UnixTime::from_secs(0) };
    Some((Representation::new("index.html", facts), PAGE.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_nobody_for_anything() {
        for tag in ["<script", "<link", "<img", "<iframe", "url(", "@import", "src="] {
            assert!(!PAGE.contains(tag), "{tag}");
        }
        assert!(PAGE.contains("prefers-color-scheme: dark"));
        assert_eq!(find("/index.html").unwrap().1, PAGE.as_bytes());
        assert!(find("/other.html").is_none());
    }
}
