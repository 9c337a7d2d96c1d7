//! Hosts and paths of cookies (RFC 6265bis §5.1.2 to §5.1.4), and the public suffix list.

use core::net::{Ipv4Addr, Ipv6Addr};

/// The host in the one form in which hosts are compared: lower case, no dot at its end. Names outside of ASCII
/// come as A-labels.
pub(super) fn canonical(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Whether a host is an address and not a name; then nothing is above or below it.
pub(super) fn is_address(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    host.parse::<Ipv4Addr>().is_ok() || inner.unwrap_or(host).parse::<Ipv6Addr>().is_ok()
}

/// Whether `host` is `domain` or below it. Both are canonical.
pub(super) fn domain_matches(host: &str, domain: &str) -> bool {
    host == domain || (host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')) && !is_address(host))
}

/// Whether anybody can register names below `domain`, as below `com`, `co.uk` or `github.io`: a cookie for all of
/// them would reach strangers. `domain` is in lower case.
#[must_use]
pub fn is_public_suffix(domain: &str) -> bool {
    psl::suffix(domain.as_bytes()).is_some_and(|suffix| suffix.as_bytes() == domain.as_bytes())
}

/// The path of a cookie that says none: that of the request up to its last slash, without it.
#[must_use]
pub fn default_path(path: &str) -> &str {
    match path.rfind('/') {
        Some(slash) if slash > 0 && path.starts_with('/') => &path[..slash],
        _ => "/",
    }
}

/// Whether a request for `path` is at or below the cookie's.
#[must_use]
pub fn path_matches(path: &str, cookie_path: &str) -> bool {
    path.strip_prefix(cookie_path)
        .is_some_and(|rest| rest.is_empty() || cookie_path.ends_with('/') || rest.starts_with('/'))
}

/// Whether `octets` begin with `prefix`, in any case of letters.
pub(super) fn begins_with(octets: &[u8], prefix: &[u8]) -> bool {
    octets.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
