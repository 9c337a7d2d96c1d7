//! Requests that another site made the browser send: told by where they come from, and by a token that only our
//! own pages know.
//!
//! Both are asked of whatever changes something. Browsers send Origin or Sec-Fetch-Site; programs send neither,
//! and nobody can forge a request through them. The token is made of the session's secret, so it needs no room
//! and is the same after a restart.

use doorway_store::SessionSecret;

/// Whether a method changes nothing (RFC 9110 §9.2.1), so that no page can do harm by it.
#[must_use]
pub fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
}

/// Whether a request came from our own pages, or from no page at all, as far as its fields tell. `host` is the
/// host that it is for, with its port.
#[must_use]
pub fn is_same_origin(sec_fetch_site: Option<&[u8]>, origin: Option<&[u8]>, host: &[u8]) -> bool {
    match (sec_fetch_site, origin) {
        // Typed, or from a bookmark: no page had a say.
        (Some(b"same-origin" | b"none"), _) | (None, None) => true,
        (Some(_), _) => false,
        (None, Some(origin)) => {
            let rest = origin.strip_prefix(b"https://").or_else(|| origin.strip_prefix(b"http://"));
            rest.is_some_and(|rest| rest.eq_ignore_ascii_case(host))
        }
    }
}

/// The token for the forms of a session: 32 hexadecimal digits.
#[must_use]
pub fn token(secret: &SessionSecret) -> String {
    let hash = blake3::derive_key("doorway csrf token 1", secret.text().as_bytes());
    hash[..16].iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Whether a form brought the token of its session.
#[must_use]
pub fn is_token_of(secret: &SessionSecret, given: &str) -> bool {
    // Hashes are compared, so how long it takes tells nothing about the token.
    blake3::hash(given.as_bytes()) == blake3::hash(token(secret).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_and_programs_may_change_things() {
        let check = |site: &str, origin: &str, expected| {
            let some = |text: &str| (!text.is_empty()).then(|| text.as_bytes().to_vec());
            let (site_field, origin_field) = (some(site), some(origin));
            let found = is_same_origin(site_field.as_deref(), origin_field.as_deref(), b"shop.test:8443");
            assert_eq!(found, expected, "{site:?} {origin:?}");
        };
        check("", "", true);
        check("same-origin", "https://shop.test:8443", true);
        check("none", "", true);
        check("same-site", "https://www.shop.test", false);
        check("cross-site", "https://evil.test", false);
        check("cross-site", "", false);
        check("", "https://shop.test:8443", true);
        check("", "http://SHOP.test:8443", true);
        check("", "https://shop.test", false);
        check("", "https://evil.test", false);
        check("", "null", false);
        check("", "https://shop.test:8443.evil.test", false);
    }

    #[test]
    fn a_token_holds_for_its_session_alone() {
        let one = SessionSecret::parse("00112233445566778899aabbccddeeff").unwrap();
        let other = SessionSecret::parse("00112233445566778899aabbccddeefe").unwrap();
        assert_eq!(token(&one).len(), 32);
        assert!(is_token_of(&one, &token(&one)));
        assert!(!is_token_of(&other, &token(&one)));
        assert!(!is_token_of(&one, "") && !token(&one).contains("00112233"));
    }
}
