//! Where a redirect leads, and what becomes of the request on the way (RFC 9110 §15.4).

use crate::url::Url;

/// Redirects that are followed for one request unless the caller says otherwise.
pub const REDIRECTS_MAX: u32 = 20;

/// The request that a redirect asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// Where to.
    pub url: Url,
    /// By which method.
    pub method: String,
    /// Whether the content goes along; if not, neither do the fields that tell of it.
    pub keeps_content: bool,
    /// Whether fields that prove who asks go along: only to the same origin.
    pub keeps_credentials: bool,
}

/// What a response with this status and Location to a request of `method` for `url` asks for; `None` when it
/// is no redirect, or leads to what is no `http` or `https` URL.
#[must_use]
pub fn redirect(url: &Url, method: &str, status: u16, location: Option<&str>) -> Option<Redirect> {
    let changes = match status {
        // RFC 9110 §15.4.2 note: everybody makes a GET of a POST here.
        301 | 302 => method == "POST",
        303 => !matches!(method, "GET" | "HEAD"),
        307 | 308 => false,
        _ => return None,
    };
    let mut next = url.join(location?).ok()?;
    if !matches!(next.scheme.as_str(), "http" | "https") {
        return None;
    }
    // RFC 9110 §10.2.2: what was asked for with a fragment is, at the new place, the same fragment.
    next.fragment = next.fragment.or_else(|| url.fragment.clone());
    Some(Redirect {
        keeps_credentials: next.is_same_origin(url),
        url: next,
        method: if changes { "GET".to_owned() } else { method.to_owned() },
        keeps_content: !changes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_says_where_and_how() {
        let url = Url::parse("http://a/b/c?d#e").unwrap();
        let check = |method: &str, status, location: &str, expected: Option<(&str, &str, bool, bool)>| {
            let found = redirect(&url, method, status, Some(location));
            let found = found.map(|r| (r.url.to_string(), r.method, r.keeps_content, r.keeps_credentials));
            let expected = expected
                .map(|(url, method, content, keys)| (url.to_owned(), method.to_owned(), content, keys));
            assert_eq!(found, expected, "{method} {status} {location}");
        };
        check("GET", 301, "f", Some(("http://a/b/f#e", "GET", true, true)));
        check("POST", 302, "/f#g", Some(("http://a/f#g", "GET", false, true)));
        check("PUT", 302, "/f", Some(("http://a/f#e", "PUT", true, true)));
        check("POST", 303, "//b/", Some(("http://b/#e", "GET", false, false)));
        check("HEAD", 303, "/f", Some(("http://a/f#e", "HEAD", true, true)));
        check("POST", 307, "https://a/", Some(("https://a/#e", "POST", true, false)));
        check("POST", 308, "http://a:81/", Some(("http://a:81/#e", "POST", true, false)));
        check("GET", 304, "/f", None);
        check("GET", 301, "file:///etc/passwd", None);
        check("GET", 301, "http://", None);
        assert_eq!(redirect(&url, "GET", 301, None), None);
    }
}
