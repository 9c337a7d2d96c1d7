//! Cookies (RFC 6265bis): how a server reads and sets them, and the jar in which a client keeps them.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `pairs.rs` | [`pairs`]: the Cookie field, as a server reads it |
//! | `set.rs` | [`SetCookie`]: the Set-Cookie field, as a server writes it |
//! | `received.rs` | [`Received`]: the Set-Cookie field, as a client reads it |
//! | `date.rs` | [`cookie_date`]: the lenient dates of Expires |
//! | `domain.rs` | hosts, Domain, public suffixes, default paths |
//! | `jar.rs` | [`Jar`]: which cookies are kept, and which are sent |
//! | `netscape.rs` | the jar as the text file that curl and others read and write |
//!
//! Servers are strict in what they write, clients forgiving in what they read: the draft describes both, and
//! they are not the same grammar. Deliberately absent: cookies set by scripts, and partitioned cookies, which
//! are a browser's business.

mod date;
mod domain;
mod jar;
mod netscape;
mod pairs;
mod received;
mod set;
#[cfg(test)]
mod tests;

pub use date::cookie_date;
pub use domain::{default_path, is_public_suffix, path_matches};
pub use jar::{COOKIES_MAX, COOKIES_PER_DOMAIN_MAX, Crossing, Jar, Kept, LIFETIME_MAX, Place, Unkept};
pub use netscape::BadLine;
pub use pairs::{PAIRS_MAX, pairs, value};
pub use received::{ATTRIBUTE_OCTETS_MAX, COOKIE_OCTETS_MAX, Received};
pub use set::{CookieError, SameSite, SetCookie};
