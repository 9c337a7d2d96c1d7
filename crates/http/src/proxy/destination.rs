//! Which addresses a forward proxy connects to: those of the public internet, and others that are listed.
//!
//! The address itself is judged at the moment it is connected to, whatever name led there, so that no answer of a
//! name server can make a proxy reach into its own network (server-side request forgery, DNS rebinding).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use doorway_base::config::Cidr;

/// What may be connected to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Destinations {
    /// Networks that are no part of the public internet and may be connected to all the same.
    pub private: Vec<Cidr>,
}

impl Destinations {
    /// Whether an address may be connected to.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        is_public(address) || self.private.iter().any(|network| network.contains(address))
    }
}

/// Whether an address belongs to a host of the public internet, by the IANA special-purpose registries (RFC 6890).
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    match address.octets() {
        // "This network", private, loopback, link-local, multicast, reserved, broadcast.
        [0 | 10 | 127 | 224..=255, ..] | [169, 254, ..] | [192, 168, ..] => false,
        [172, second, ..] => !(16..32).contains(&second),
        // Shared with a provider (RFC 6598).
        [100, second, ..] => !(64..128).contains(&second),
        // IETF protocols, documentation, 6to4 relays.
        [192, 0, 0 | 2, _] | [192, 88, 99, _] => false,
        // Benchmarks (RFC 2544), documentation.
        [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => false,
        _ => true,
    }
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // NAT64 leads to the IPv4 address at its end (RFC 6052).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        // IETF protocols with Teredo, documentation, 6to4.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // All that is given out for hosts of the internet.
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_of_the_internet_are_public() {
        let public = "1.1.1.1 8.8.8.8 100.63.0.1 100.128.0.1 172.15.0.1 172.32.0.1 192.0.1.1 198.20.0.1 \
                      2606:4700::1111 2001:4860:4860::8888 64:ff9b::808:808 ::ffff:8.8.8.8";
        let private = "0.0.0.0 10.1.2.3 127.0.0.1 127.255.255.255 169.254.169.254 172.16.0.1 172.31.255.255 \
                       192.168.0.1 100.64.0.1 192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 \
                       240.0.0.1 255.255.255.255 :: ::1 fe80::1 fc00::1 fd12::1 ff02::1 2001:db8::1 2001::1 2002:7f00:1::1 \
                       64:ff9b::7f00:1 64:ff9b:1::1 ::ffff:127.0.0.1 ::7f00:1 100::1 3fff::1";
        for (addresses, expected) in [(public, true), (private, false)] {
            for address in addresses.split_whitespace() {
                assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
            }
        }
    }

    #[test]
    fn what_is_listed_may_be_reached() {
        let destinations =
            Destinations { private: vec!["192.168.1.0/24".parse().unwrap(), "::1".parse().unwrap()] };
        for (address, expected) in [
            ("192.168.1.7", true),
            ("::ffff:192.168.1.7", true),
            ("192.168.2.7", false),
            ("::1", true),
            ("127.0.0.1", false),
        ] {
            assert_eq!(destinations.permits(address.parse().unwrap()), expected, "{address}");
        }
    }
}
