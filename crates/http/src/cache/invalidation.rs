//! What a change through the cache makes useless (RFC 9111 §4.4).

use doorway_net::web::Fields;

use super::key::{Key, QueryPart, Target};
use crate::url::Url;

/// Whether a method is known to change nothing (RFC 9110 §9.2.1, and the registry of methods).
#[must_use]
pub fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PROPFIND" | "REPORT" | "SEARCH" | "QUERY")
}

/// The keys whose content is of no use after a response with this status to a request with this method: that
/// of the target, and those that Location and Content-Location name at the same origin. Methods that nobody
/// knows count as changing something, errors as having changed nothing.
#[must_use]
pub fn invalidated(
    method: &str,
    target: &Target<'_>,
    status: u16,
    response: &Fields,
    query: &QueryPart,
) -> Vec<Key> {
    if is_safe(method) || !(200..400).contains(&status) {
        return Vec::new();
    }
    let mut keys = vec![target.key(query)];
    let Ok(base) = Url::parse(target.key(&QueryPart::default()).as_str()) else { return keys };
    let named = ["location", "content-location"].into_iter().filter_map(|name| response.first(name));
    for url in named.filter_map(|reference| base.join(reference).ok()) {
        if !url.is_same_origin(&base) {
            continue;
        }
        let host = url.authority();
        let other = Target {
            secure: url.scheme == "https",
            host: host.as_bytes(),
            path: url.path.as_bytes(),
            query: url.query.as_deref().map(str::as_bytes),
        };
        let key = other.key(query);
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &str, status: u16, fields: &[(&str, &str)], expected: &[&str]) {
        let target = Target { secure: false, host: b"a", path: b"/x/y", query: Some(b"q") };
        let mut response = Fields::new();
        fields.iter().for_each(|(name, value)| response.add(*name, *value));
        let keys = invalidated(method, &target, status, &response, &QueryPart::default());
        let keys: Vec<&str> = keys.iter().map(Key::as_str).collect();
        assert_eq!(keys, expected, "{method} {status} {fields:?}");
    }

    const TARGET: &str = "http://a/x/y?q";

    #[test]
    fn what_may_have_changed_its_target_invalidates_it() {
        for method in ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "get", "FOO", "MKCOL"] {
            check(method, 200, &[], &[TARGET]);
            check(method, 302, &[], &[TARGET]);
        }
        for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND"] {
            check(method, 200, &[], &[]);
        }
        for status in [400, 404, 500, 503] {
            check("POST", status, &[], &[]);
        }
    }

    #[test]
    fn places_that_the_response_names_are_invalidated_at_the_same_origin_alone() {
        check("POST", 201, &[("Location", "/z")], &[TARGET, "http://a/z"]);
        check("POST", 201, &[("Location", "z?1#f")], &[TARGET, "http://a/x/z?1"]);
        check("POST", 200, &[("Content-Location", "http://A:80/z")], &[TARGET, "http://a/z"]);
        check("POST", 200, &[("Content-Location", "?q"), ("Location", "y?q")], &[TARGET]);
        for other in ["http://b/z", "https://a/z", "http://a:81/z", "//b/z", "ftp://a/z", "http://[x/"] {
            check("POST", 201, &[("Location", other)], &[TARGET]);
        }
    }
}
