//! The cookie of a session, and what the config says about sessions and logins.
//!
//! Over TLS the cookie is `__Host-sid`: Secure, for this host and no other, and no page of an unencrypted
//! connection can put another in its place. Over an open connection it is `sid`. What a session is, when it ends
//! and where it is kept is the store's.

use std::time::Duration;

use doorway_base::config::{Key, Kind, Preset, Section, Values};
use doorway_store::{SessionOptions, SessionSecret};

use crate::cookie::{self, SetCookie};

/// `[http.sessions]`
pub const SESSIONS_SECTION: Section = Section {
    name: "http.sessions",
    help: "Sessions of people at a browser: carts, logins. They are kept over a restart.",
    keys: &[
        Key {
            name: "idle",
            kind: Kind::Duration { min: Duration::from_secs(60), max: Duration::from_secs(30 * 86_400) },
            default: Preset::Text("30m"),
            help: "A session ends this long after its last use.",
        },
        Key {
            name: "absolute",
            kind: Kind::Duration { min: Duration::from_secs(60), max: Duration::from_secs(400 * 86_400) },
            default: Preset::Text("12h"),
            help: "A session ends this long after its beginning, however much it is used.",
        },
        Key {
            name: "max",
            kind: Kind::Integer { min: 1, max: 10_000_000, unit: "sessions" },
            default: Preset::Integer(100_000),
            help: "Sessions at once; one more is refused.",
        },
    ],
};

/// `[http.login]`
pub const LOGIN_SECTION: Section = Section {
    name: "http.login",
    help: "How people and programs log in where a place demands it.",
    keys: &[
        Key {
            name: "path",
            kind: Kind::Text,
            default: Preset::Text("/login"),
            help: "Where the page with the form stands, on every site that has a form among its ways.",
        },
        Key {
            name: "cleartext",
            kind: Kind::Bool,
            default: Preset::Bool(false),
            help: "Take passwords over connections without TLS from other machines too, where everybody on the \
                   way can read them.",
        },
    ],
};

/// The bounds of sessions as the config has them.
#[must_use]
pub fn session_options(values: &Values) -> SessionOptions {
    SessionOptions {
        idle: values.duration("idle"),
        absolute: values.duration("absolute"),
        sessions_max: values.count("max"),
    }
}

/// What the operator says about logins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginConfig {
    /// Where the page with the form stands; begins with a slash and does not end with one.
    pub path: String,
    /// Whether passwords are taken over open connections from other machines.
    pub cleartext: bool,
}

impl Default for LoginConfig {
    fn default() -> Self {
        Self::read(&LOGIN_SECTION.defaults())
    }
}

impl LoginConfig {
    /// The values of the table.
    #[must_use]
    pub fn read(values: &Values) -> Self {
        let path = format!("/{}", values.text("path").trim_matches('/'));
        Self { path, cleartext: values.bool("cleartext") }
    }
}

/// The name of a session's cookie.
#[must_use]
pub const fn cookie_name(tls: bool) -> &'static str {
    if tls { "__Host-sid" } else { "sid" }
}

/// The secret that a client shows; `fields` are the values of its Cookie fields.
#[must_use]
pub fn shown<'f>(fields: impl IntoIterator<Item = &'f [u8]>, tls: bool) -> Option<SessionSecret> {
    let value = cookie::value(fields, cookie_name(tls))?;
    SessionSecret::parse(std::str::from_utf8(value).ok()?)
}

/// The Set-Cookie that gives a client its session, until the browser closes.
#[must_use]
pub fn set_cookie(secret: &SessionSecret, tls: bool) -> String {
    write(&secret.text(), tls, None)
}

/// The Set-Cookie that takes it away.
#[must_use]
pub fn clear_cookie(tls: bool) -> String {
    write("", tls, Some(Duration::ZERO))
}

fn write(value: &str, tls: bool, max_age: Option<Duration>) -> String {
    let cookie = SetCookie { secure: tls, max_age, ..SetCookie::new(cookie_name(tls), value) };
    cookie.write().expect("name, value and attributes are our own")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "00112233445566778899aabbccddeeff";

    #[test]
    fn the_cookie_is_bound_to_the_host_where_that_can_be() {
        let secret = SessionSecret::parse(SECRET).unwrap();
        let tls = set_cookie(&secret, true);
        assert_eq!(tls, format!("__Host-sid={SECRET}; Path=/; Secure; HttpOnly; SameSite=Lax"));
        assert_eq!(set_cookie(&secret, false), format!("sid={SECRET}; Path=/; HttpOnly; SameSite=Lax"));
        assert_eq!(clear_cookie(true), "__Host-sid=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn only_the_cookie_of_its_own_kind_of_connection_counts() {
        let field = format!("a=1; sid={SECRET}; b=2");
        let fields = [&b"x=y"[..], field.as_bytes()];
        assert_eq!(shown(fields, false), SessionSecret::parse(SECRET));
        assert_eq!(shown(fields, true), None, "an open connection could have set it");
        assert_eq!(shown([&b"sid=short"[..]], false), None);
    }

    #[test]
    fn the_defaults_are_those_of_the_store() {
        assert_eq!(session_options(&SESSIONS_SECTION.defaults()), SessionOptions::default());
        assert_eq!(LoginConfig::default().path, "/login");
    }
}
