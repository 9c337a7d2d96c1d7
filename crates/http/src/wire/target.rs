//! The four forms of a request target (RFC 9112 §3.2) and `Host` (RFC 9110 §7.2).
//!
//! Nothing is decoded here: [`path`](super::path) does that, once, where a file is looked for.

use core::net::Ipv6Addr;

use super::Method;
use super::scan;

/// What a request is for, borrowed from its octets as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'b> {
    /// `/path?query`: the usual form.
    Origin(Resource<'b>),
    /// `http://host/path?query`: the form that proxies get, and every server must take.
    Absolute {
        /// `http`, `https` or another one with an authority, in any case of letters; only a proxy has to do with
        /// others than the first two.
        scheme: &'b [u8],
        /// Host and port; it overrules `Host`.
        authority: &'b [u8],
        /// What is asked for at that host.
        resource: Resource<'b>,
    },
    /// `host:port`, for CONNECT alone.
    Authority(&'b [u8]),
    /// `*`, for OPTIONS alone: the server as a whole.
    Asterisk,
}

/// Path and query of a target, still percent-coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource<'b> {
    /// Begins with `/`, unless it is empty, which an absolute form's may be and means `/`.
    pub path: &'b [u8],
    /// What follows the first `?`, without it.
    pub query: Option<&'b [u8]>,
}

impl<'b> Resource<'b> {
    fn split(octets: &'b [u8]) -> Self {
        match octets.iter().position(|&octet| octet == b'?') {
            Some(mark) => Self { path: &octets[..mark], query: Some(&octets[mark + 1..]) },
            None => Self { path: octets, query: None },
        }
    }
}

impl<'b> Target<'b> {
    /// Reads a target whose octets are all allowed in one; `None` when it has none of the four forms,
    /// or one that its method does not take.
    pub(crate) fn parse(method: Method, octets: &'b [u8]) -> Option<Self> {
        if method == Method::Connect {
            return (is_host_and_port(octets) && octets.contains(&b':')).then_some(Self::Authority(octets));
        }
        match octets {
            [b'/', ..] => Some(Self::Origin(Resource::split(octets))),
            b"*" if method == Method::Options => Some(Self::Asterisk),
            _ => Self::absolute(octets),
        }
    }

    fn absolute(octets: &'b [u8]) -> Option<Self> {
        let colon = octets.iter().position(|&octet| octet == b':')?;
        let (scheme, rest) = (&octets[..colon], octets[colon..].strip_prefix(b"://")?);
        let (first, others) = scheme.split_first()?;
        let fits = |octet: &u8| octet.is_ascii_alphanumeric() || b"+-.".contains(octet);
        if !first.is_ascii_alphabetic() || !others.iter().all(fits) {
            return None;
        }
        let end = rest.iter().position(|octet| b"/?".contains(octet)).unwrap_or(rest.len());
        let (authority, resource) = rest.split_at(end);
        is_host_and_port(authority).then(|| Self::Absolute {
            scheme,
            authority,
            resource: Resource::split(resource),
        })
    }

    /// Whether it is of a scheme that this server speaks itself.
    #[must_use]
    pub fn is_http(&self) -> bool {
        match self {
            Self::Absolute { scheme, .. } => {
                scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https")
            }
            Self::Origin(_) | Self::Authority(_) | Self::Asterisk => true,
        }
    }

    /// Path and query; `None` for a target that names no resource.
    #[must_use]
    pub const fn resource(&self) -> Option<Resource<'b>> {
        match *self {
            Self::Origin(resource) | Self::Absolute { resource, .. } => Some(resource),
            Self::Authority(_) | Self::Asterisk => None,
        }
    }
}

/// Whether `octets` are `uri-host [ ":" port ]` with a host that is not empty (RFC 9110 §4.2.1).
pub(crate) fn is_host_and_port(octets: &[u8]) -> bool {
    let after_host = match octets {
        [b'[', literal @ ..] => {
            let Some(end) = literal.iter().position(|&octet| octet == b']') else { return false };
            let address = core::str::from_utf8(&literal[..end]).ok();
            if address.and_then(|text| text.parse::<Ipv6Addr>().ok()).is_none() {
                return false;
            }
            &literal[end + 1..]
        }
        _ => {
            let end = octets.iter().position(|&octet| !scan::is_host(octet)).unwrap_or(octets.len());
            if end == 0 {
                return false;
            }
            &octets[end..]
        }
    };
    match after_host {
        [] => true,
        // RFC 3986 §3.2.3: the port may be empty.
        [b':', port @ ..] => {
            port.iter().all(u8::is_ascii_digit)
                && (port.is_empty()
                    || core::str::from_utf8(port).is_ok_and(|digits| digits.parse::<u16>().is_ok()))
        }
        _ => false,
    }
}
