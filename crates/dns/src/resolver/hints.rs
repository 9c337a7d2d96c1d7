//! The root servers a resolver begins with: RFC 9609, the IANA root hints.

use core::net::IpAddr;

use crate::wire::Name;

// `a` to `m`, each with its IPv4 and its IPv6 address.
const ROOTS: [(&str, &str); 13] = [
    ("198.41.0.4", "2001:503:ba3e::2:30"),
    ("170.247.170.2", "2801:1b8:10::b"),
    ("192.33.4.12", "2001:500:2::c"),
    ("199.7.91.13", "2001:500:2d::d"),
    ("192.203.230.10", "2001:500:a8::e"),
    ("192.5.5.241", "2001:500:2f::f"),
    ("192.112.36.4", "2001:500:12::d0d"),
    ("198.97.190.53", "2001:500:1::53"),
    ("192.36.148.17", "2001:7fe::53"),
    ("192.58.128.30", "2001:503:c27::2:30"),
    ("193.0.14.129", "2001:7fd::1"),
    ("199.7.83.42", "2001:500:9f::42"),
    ("202.12.27.33", "2001:dc3::35"),
];

/// The 13 root server identities with their addresses.
#[must_use]
pub fn built_in() -> Vec<(Name, Vec<IpAddr>)> {
    let mut hints = Vec::with_capacity(ROOTS.len());
    for (letter, (four, six)) in (b'a'..).zip(ROOTS) {
        let name = Name::from_labels([&[letter][..], b"root-servers", b"net"]);
        let addresses = [four, six].iter().filter_map(|address| address.parse().ok()).collect();
        hints.extend(name.map(|name| (name, addresses)));
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_thirteen_roots_with_two_addresses_each() {
        let hints = built_in();
        assert_eq!(hints.len(), 13);
        assert!(hints.iter().all(|(_, addresses)| addresses.len() == 2));
        assert_eq!(hints[12].0.to_string(), "m.root-servers.net.");
    }
}
