//! The Set-Cookie field, as a client reads it (RFC 6265bis §5.6): forgiving, because servers write all kinds
//! of things there.

use std::time::Duration;

use doorway_base::UnixTime;

use super::date::cookie_date;
use super::set::SameSite;

/// Most octets of a cookie's name and value together.
pub const COOKIE_OCTETS_MAX: usize = 4096;
/// Most octets of an attribute's value; an attribute with a longer one is passed over.
pub const ATTRIBUTE_OCTETS_MAX: usize = 1024;

/// What a Set-Cookie field says, before anybody asked whether it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received<'f> {
    /// The name; empty when there is none.
    pub name: &'f [u8],
    /// The value, with its quotes if it has them.
    pub value: &'f [u8],
    /// Expires, if it is a date.
    pub expires: Option<UnixTime>,
    /// Max-Age, if it is a number; one that is not positive stands as zero.
    pub max_age: Option<Duration>,
    /// Domain in lower case without a leading dot; `None` when there is none or it is empty.
    pub domain: Option<Vec<u8>>,
    /// Path, if it is there and begins with a slash.
    pub path: Option<&'f [u8]>,
    /// Whether Secure is there.
    pub secure: bool,
    /// Whether HttpOnly is there.
    pub http_only: bool,
    /// SameSite, if it is a word that is known.
    pub same_site: Option<SameSite>,
}

impl<'f> Received<'f> {
    /// Reads a field; `None` for one that sets nothing: with control characters, longer than
    /// [`COOKIE_OCTETS_MAX`], or without name and value.
    #[must_use]
    pub fn parse(field: &'f [u8]) -> Option<Self> {
        if field.iter().any(|&octet| (octet < b' ' && octet != b'\t') || octet == 0x7f) {
            return None;
        }
        let mut pieces = field.split(|&octet| octet == b';');
        let pair = pieces.next().unwrap_or_default();
        let (name, value) = match split(pair) {
            (name, Some(value)) => (name, value),
            (value, None) => (&pair[..0], value),
        };
        let length = name.len() + value.len();
        if length == 0 || length > COOKIE_OCTETS_MAX {
            return None;
        }
        let mut cookie = Self {
            name,
            value,
            expires: None,
            max_age: None,
            domain: None,
            path: None,
            secure: false,
            http_only: false,
            same_site: None,
        };
        for piece in pieces {
            let (name, value) = split(piece);
            let value = value.unwrap_or_default();
            if value.len() <= ATTRIBUTE_OCTETS_MAX {
                cookie.attribute(name, value);
            }
        }
        Some(cookie)
    }

    // Of several with the same name the last one counts.
    fn attribute(&mut self, name: &[u8], value: &'f [u8]) {
        if name.eq_ignore_ascii_case(b"Expires") {
            self.expires = cookie_date(value).or(self.expires);
        } else if name.eq_ignore_ascii_case(b"Max-Age") {
            self.max_age = seconds(value).or(self.max_age);
        } else if name.eq_ignore_ascii_case(b"Domain") {
            let domain = value.strip_prefix(b".").unwrap_or(value);
            self.domain = (!domain.is_empty()).then(|| domain.to_ascii_lowercase());
        } else if name.eq_ignore_ascii_case(b"Path") {
            self.path = value.starts_with(b"/").then_some(value);
        } else if name.eq_ignore_ascii_case(b"Secure") {
            self.secure = true;
        } else if name.eq_ignore_ascii_case(b"HttpOnly") {
            self.http_only = true;
        } else if name.eq_ignore_ascii_case(b"SameSite") {
            let known = [SameSite::Strict, SameSite::Lax, SameSite::None];
            self.same_site =
                known.into_iter().find(|known| value.eq_ignore_ascii_case(known.name().as_bytes()));
        }
    }
}

/// What stands before and behind the first `=`, without whitespace around either.
fn split(piece: &[u8]) -> (&[u8], Option<&[u8]>) {
    match piece.iter().position(|&octet| octet == b'=') {
        Some(equals) => (piece[..equals].trim_ascii(), Some(piece[equals + 1..].trim_ascii())),
        None => (piece.trim_ascii(), None),
    }
}

/// `-`, or a digit, and digits behind it.
fn seconds(value: &[u8]) -> Option<Duration> {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    if value.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    if digits.len() < value.len() {
        return Some(Duration::ZERO);
    }
    let number = digits
        .iter()
        .fold(0u64, |number, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    Some(Duration::from_secs(number))
}
