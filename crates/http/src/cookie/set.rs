//! The Set-Cookie field, as a server writes it (RFC 6265bis §4.1).

use std::fmt;
use std::time::Duration;

use super::domain::begins_with;
use super::received::COOKIE_OCTETS_MAX;
use crate::wire::scan;

/// Whether a cookie goes along with requests that another site caused (RFC 6265bis §5.6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SameSite {
    /// Never.
    Strict,
    /// Only when the person goes from there to here by a safe method.
    Lax,
    /// Always; then the cookie must be Secure.
    None,
}

impl SameSite {
    /// The word in the field.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// A cookie that is to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetCookie<'a> {
    /// A token; `__Host-` and `__Secure-` in front of it promise attributes, and are held to that.
    pub name: &'a str,
    /// Letters, digits and punctuation other than `"`, `,`, `;` and `\`.
    pub value: &'a str,
    /// The host and those below it that get it; `None` for this host alone.
    pub domain: Option<&'a str>,
    /// The path below which it is sent; `None` for the folder of the request.
    pub path: Option<&'a str>,
    /// How long it lasts: zero removes it, `None` keeps it until the browser closes.
    pub max_age: Option<Duration>,
    /// Sent over TLS alone.
    pub secure: bool,
    /// Hidden from scripts.
    pub http_only: bool,
    /// What happens to it when other sites send people or requests here.
    pub same_site: Option<SameSite>,
}

/// Why a cookie cannot be set: a browser would drop it or read something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookieError {
    /// The name is no token.
    Name,
    /// The value has octets that may not stand there.
    Value,
    /// Domain is no host name.
    Domain,
    /// Path does not begin with a slash, or has octets that may not stand there.
    Path,
    /// Name and value are longer than [`COOKIE_OCTETS_MAX`] together.
    Length,
    /// `__Secure-` without Secure.
    SecurePrefix,
    /// `__Host-` without Secure, with Domain, or with another Path than `/`.
    HostPrefix,
    /// SameSite=None without Secure.
    SameSiteNone,
}

impl fmt::Display for CookieError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "a cookie's name is a token",
            Self::Value => "a cookie's value has no control characters, spaces, quotes, commas, semicolons or backslashes",
            Self::Domain => "Domain is a host name",
            Self::Path => "Path begins with a slash and has no control characters or semicolons",
            Self::Length => "name and value have at most 4096 octets together",
            Self::SecurePrefix => "a __Secure- cookie is Secure",
            Self::HostPrefix => "a __Host- cookie is Secure, has Path=/ and no Domain",
            Self::SameSiteNone => "a cookie with SameSite=None is Secure",
        })
    }
}

impl std::error::Error for CookieError {}

impl<'a> SetCookie<'a> {
    /// A cookie for this host alone and all of its paths, hidden from scripts, SameSite=Lax, until the browser
    /// closes.
    #[must_use]
    pub const fn new(name: &'a str, value: &'a str) -> Self {
        Self {
            name,
            value,
            domain: None,
            path: Some("/"),
            max_age: None,
            secure: false,
            http_only: true,
            same_site: Some(SameSite::Lax),
        }
    }

    /// The field's value.
    ///
    /// # Errors
    /// [`CookieError`] for what a browser would not keep as it is meant.
    pub fn write(&self) -> Result<String, CookieError> {
        self.check()?;
        let mut field = format!("{}={}", self.name, self.value);
        if let Some(domain) = self.domain {
            field.push_str("; Domain=");
            field.push_str(domain);
        }
        if let Some(path) = self.path {
            field.push_str("; Path=");
            field.push_str(path);
        }
        if let Some(max_age) = self.max_age {
            field.push_str("; Max-Age=");
            field.push_str(&max_age.as_secs().to_string());
        }
        if self.secure {
            field.push_str("; Secure");
        }
        if self.http_only {
            field.push_str("; HttpOnly");
        }
        if let Some(same_site) = self.same_site {
            field.push_str("; SameSite=");
            field.push_str(same_site.name());
        }
        Ok(field)
    }

    fn check(&self) -> Result<(), CookieError> {
        let holds = |condition: bool, otherwise| if condition { Ok(()) } else { Err(otherwise) };
        let token = scan::token_end(self.name.as_bytes(), 0) == self.name.len();
        holds(token && !self.name.is_empty(), CookieError::Name)?;
        holds(self.value.bytes().all(is_cookie_octet), CookieError::Value)?;
        holds(self.domain.is_none_or(is_host), CookieError::Domain)?;
        let is_path = |path: &str| {
            path.starts_with('/') && path.bytes().all(|octet| (b' '..0x7f).contains(&octet) && octet != b';')
        };
        holds(self.path.is_none_or(is_path), CookieError::Path)?;
        holds(self.name.len() + self.value.len() <= COOKIE_OCTETS_MAX, CookieError::Length)?;
        let same_site_none = self.same_site == Some(SameSite::None);
        holds(self.secure || !same_site_none, CookieError::SameSiteNone)?;
        let name = self.name.as_bytes();
        holds(self.secure || !begins_with(name, b"__Secure-"), CookieError::SecurePrefix)?;
        let host = self.secure && self.domain.is_none() && self.path == Some("/");
        holds(host || !begins_with(name, b"__Host-"), CookieError::HostPrefix)
    }
}

/// `cookie-octet` of RFC 6265bis §4.1.1.
fn is_cookie_octet(octet: u8) -> bool {
    matches!(octet, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

fn is_host(domain: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|o| o.is_ascii_alphanumeric() || b"-_".contains(&o))
    };
    domain.split('.').all(label)
}
