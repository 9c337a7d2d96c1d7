//! Forms as browsers send them: `application/x-www-form-urlencoded` (WHATWG URL §5) and
//! `multipart/form-data` (RFC 7578, RFC 2046 §5.1).
//!
//! | file | what it holds |
//! | --- | --- |
//! | `rule.rs` | every rule that a form can break, with its name and its status |
//! | `urlencoded.rs` | [`Urlencoded`]: names and values with percent coding; [`encode`] writes them |
//! | `multipart.rs` | [`Multipart`]: parts between boundaries |
//! | `disposition.rs` | Content-Disposition of a part: its name and the name of its file |
//!
//! Both parsers take octets as they come and give the same parts however those are cut. They hold at most one
//! head and one piece of a boundary back. Files are not collected here: their octets go out as they come, and
//! `io` writes them to disk.

mod disposition;
mod multipart;
pub mod rule;
#[cfg(test)]
mod tests;
mod urlencoded;

pub use disposition::file_name;
pub use multipart::{Multipart, Part, PartHead};
pub use urlencoded::{Urlencoded, encode};

use crate::wire::rule::Refusal;

/// Bounds of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormLimits {
    /// Most fields and files: 413. Default 1000.
    pub parts: usize,
    /// Most octets of a field's value that is no file, and of a name: 413. Default 64 KiB.
    pub field_octets: usize,
}

impl Default for FormLimits {
    fn default() -> Self {
        Self { parts: 1000, field_octets: 64 * 1024 }
    }
}

/// How a form is written in the body, as its Content-Type says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-www-form-urlencoded`
    Urlencoded,
    /// `multipart/form-data` with this boundary.
    Multipart(String),
}

impl Encoding {
    /// Reads a Content-Type.
    ///
    /// # Errors
    /// [`rule::MEDIA_TYPE`] for anything else than a form, [`rule::BOUNDARY`] for a multipart form without a
    /// right boundary.
    pub fn of(content_type: &str) -> Result<Self, Refusal> {
        let (media_type, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        let media_type = media_type.trim();
        if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Ok(Self::Urlencoded);
        }
        if !media_type.eq_ignore_ascii_case("multipart/form-data") {
            return Err(Refusal::new(&rule::MEDIA_TYPE, 0));
        }
        let mut boundaries = disposition::parameters(parameters.as_bytes())
            .filter(|(name, _)| name.eq_ignore_ascii_case(b"boundary"))
            .map(|(_, value)| value);
        let boundary = boundaries.next().filter(|_| boundaries.next().is_none());
        boundary
            .and_then(|boundary| String::from_utf8(boundary).ok())
            .filter(|boundary| is_boundary(boundary))
            .map(Self::Multipart)
            .ok_or(Refusal::new(&rule::BOUNDARY, 0))
    }
}

/// `boundary` of RFC 2046 §5.1.1: 1 to 70 characters, and no space at the end.
fn is_boundary(boundary: &str) -> bool {
    let is_bchar = |octet: u8| octet.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&octet);
    (1..=70).contains(&boundary.len()) && boundary.bytes().all(is_bchar) && !boundary.ends_with(' ')
}
