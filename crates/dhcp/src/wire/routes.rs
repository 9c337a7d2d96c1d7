//! Classless static routes, option 121: a destination in as few octets as its prefix needs, and a router.
//! RFC 3442.

use core::net::Ipv4Addr;
use std::fmt;

use doorway_base::{Malformed, Reader};

/// One route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Where it leads, the bits beyond the prefix zero.
    pub destination: Ipv4Addr,
    /// Bits of the destination that count, 0 to 32.
    pub prefix: u8,
    /// The router; 0.0.0.0 when the destination is on the link.
    pub gateway: Ipv4Addr,
}

impl Route {
    /// Reads `10.0.0.0/8` and `192.0.2.1`; a destination without a prefix is one address.
    #[must_use]
    pub fn read(destination: &str, gateway: &str) -> Option<Self> {
        let (address, prefix) = match destination.split_once('/') {
            Some((address, prefix)) => (address, prefix.parse().ok()?),
            None if destination == "default" => ("0.0.0.0", 0),
            None => (destination, 32),
        };
        if prefix > 32 {
            return None;
        }
        let destination = Ipv4Addr::from_bits(address.parse::<Ipv4Addr>().ok()?.to_bits() & mask(prefix));
        Some(Self { destination, prefix, gateway: gateway.parse().ok()? })
    }
}

impl fmt::Display for Route {
    /// `10.0.0.0/8 192.0.2.1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {}", self.destination, self.prefix, self.gateway)
    }
}

/// The mask of a prefix of at most 32 bits.
#[must_use]
pub const fn mask(prefix: u8) -> u32 {
    if prefix == 0 { 0 } else { u32::MAX << (32 - prefix) }
}

/// Reads the value of option 121.
///
/// # Errors
/// [`Malformed`] for a prefix of more than 32 bits and for a route that is cut off.
pub fn read(value: &[u8]) -> Result<Vec<Route>, Malformed> {
    let mut reader = Reader::new(value);
    let mut routes = Vec::new();
    while !reader.is_empty() {
        let prefix = reader.u8("width of the mask")?;
        if prefix > 32 {
            return Err(reader.malformed("a mask of at most 32 bits"));
        }
        let significant = reader.take(usize::from(prefix.div_ceil(8)), "destination")?;
        let mut destination = [0; 4];
        destination[..significant.len()].copy_from_slice(significant);
        let destination = Ipv4Addr::from_bits(u32::from_be_bytes(destination) & mask(prefix));
        routes.push(Route { destination, prefix, gateway: Ipv4Addr::from(reader.array::<4>("router")?) });
    }
    Ok(routes)
}

/// The value of option 121 for these routes.
#[must_use]
pub fn write(routes: &[Route]) -> Vec<u8> {
    let mut value = Vec::with_capacity(routes.len() * 9);
    for route in routes {
        let prefix = route.prefix.min(32);
        value.push(prefix);
        value.extend_from_slice(&route.destination.octets()[..usize::from(prefix.div_ceil(8))]);
        value.extend_from_slice(&route.gateway.octets());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_have_the_octets_that_their_prefix_needs() {
        // The table of RFC 3442.
        for (destination, octets) in [
            ("0.0.0.0/0", &[0][..]),
            ("10.0.0.0/8", &[8, 10]),
            ("10.0.0.0/24", &[24, 10, 0, 0]),
            ("10.17.0.0/16", &[16, 10, 17]),
            ("10.27.129.0/24", &[24, 10, 27, 129]),
            ("10.229.0.128/25", &[25, 10, 229, 0, 128]),
            ("10.198.122.47/32", &[32, 10, 198, 122, 47]),
        ] {
            let route = Route::read(destination, "192.0.2.1").expect(destination);
            let value = write(&[route]);
            assert_eq!(value, [octets, &[192, 0, 2, 1]].concat());
            assert_eq!(read(&value), Ok(vec![route]));
            assert_eq!(route.to_string(), format!("{destination} 192.0.2.1"));
            for length in 1..value.len() {
                assert!(read(&value[..length]).is_err());
            }
        }
        assert!(read(&[33, 1, 2, 3, 4, 5, 1, 1, 1, 1]).is_err());
        assert_eq!(Route::read("10.0.0.0/33", "192.0.2.1"), None);
        assert_eq!(
            Route::read("10.1.2.3/8", "1.2.3.4").map(|route| route.destination.octets()),
            Some([10, 0, 0, 0])
        );
    }
}
