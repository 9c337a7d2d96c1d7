//! Fields that keep a page of ours from being turned against those who look at it: for the login pages, the
//! console and whatever else is not somebody's own folder.

use doorway_net::web::Response;

/// What a page may load: itself and what comes from its own host. No scripts but from there, no frames round it,
/// forms go nowhere else.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// Half a year, as Strict-Transport-Security has it (RFC 6797 §6.1.1).
const TRANSPORT_SECONDS: u32 = 15_768_000;

/// Adds the fields to a page that is for one person alone. `public_tls` says that it went over TLS with a
/// certificate that everybody trusts: only then may a browser be told to insist on TLS, since it would shut
/// people out for half a year otherwise.
#[must_use]
pub fn own_page(response: Response, public_tls: bool) -> Response {
    let response = response
        .with("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        .with("X-Content-Type-Options", "nosniff")
        .with("Referrer-Policy", "same-origin")
        .with("Cache-Control", "no-store");
    if !public_tls {
        return response;
    }
    response.with("Strict-Transport-Security", &format!("max-age={TRANSPORT_SECONDS}"))
}

/// Text as it may stand in HTML, in an attribute's quotes too.
#[must_use]
pub fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out
}

/// A path and query of this host to go to after a login; `/` in the place of anything that could lead elsewhere.
#[must_use]
pub fn local_target(given: &str) -> &str {
    let is_plain = |octet: u8| (b'!'..0x7f).contains(&octet) && octet != b'\\';
    let local = given.starts_with('/') && !given.starts_with("//") && given.bytes().all(is_plain);
    if local { given } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_to_another_host() {
        for given in ["/", "/a?b=c&d=%2F", "/a//b", "/login?to=//evil.test"] {
            assert_eq!(local_target(given), given);
        }
        for given in
            ["", "a", "//evil.test", "/\\evil.test", "https://evil.test", "/\r\nX: y", "/\t/evil.test", "/é"]
        {
            assert_eq!(local_target(given), "/", "{given:?}");
        }
    }

    #[test]
    fn text_stays_text_in_a_page() {
        assert_eq!(
            escape_html("<a href=\"x\">'&'</a>"),
            "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;"
        );
    }

    #[test]
    fn only_a_public_certificate_is_insisted_on() {
        let fields = |public| {
            let page = own_page(Response::new(200, "text/html", ""), public);
            page.fields.first("Strict-Transport-Security").map(str::to_owned)
        };
        assert_eq!((fields(false), fields(true)), (None, Some("max-age=15768000".to_owned())));
    }
}
