//! Who may ask for what: recursion is for the networks that are named, and for nobody else (RFC 5358).

use core::net::IpAddr;
use std::str::FromStr;

use doorway_base::config::Cidr;

/// The word that stands for loopback, link-local and private networks.
pub const PRIVATE: &str = "private";

/// What [`PRIVATE`] stands for: RFC 1918, RFC 3927, RFC 4193, RFC 4291, RFC 6598 and loopback.
const PRIVATE_NETWORKS: [&str; 9] = [
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "100.64.0.0/10",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];

/// A list of networks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    networks: Vec<Cidr>,
}

impl Access {
    /// The networks that `texts` name: each in CIDR form, an address, or [`PRIVATE`].
    ///
    /// # Errors
    /// The text that is none of these.
    pub fn read<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut networks = Vec::new();
        for text in texts {
            if text == PRIVATE {
                networks.extend(PRIVATE_NETWORKS.iter().filter_map(|network| Cidr::from_str(network).ok()));
            } else {
                networks.push(Cidr::from_str(text).map_err(|_| text)?);
            }
        }
        Ok(Self { networks })
    }

    /// Whether `address` is in one of the networks. An IPv4 address in IPv6 form counts as IPv4.
    #[inline]
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_is_what_no_stranger_comes_from() {
        let access = Access::read([PRIVATE, "203.0.113.7"]).unwrap();
        assert_eq!(access.networks.len(), PRIVATE_NETWORKS.len() + 1);
        for (address, allowed) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("192.168.3.4", true),
            ("::ffff:10.1.2.3", true),
            ("fe80::1", true),
            ("203.0.113.7", true),
            ("203.0.113.8", false),
            ("8.8.8.8", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(access.allows(address.parse().unwrap()), allowed, "{address}");
        }
        assert_eq!(Access::read(["privat"]), Err("privat"));
    }
}
