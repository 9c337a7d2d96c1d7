//! What tells this client from all others: the client identifier of RFC 4361, made of a DUID and a number for
//! the interface. Not here: where the DUID is kept.

use crate::wire::HardwareAddress;

/// A client identifier that holds a DUID: RFC 4361 §6.1.
const DUID_IDENTIFIER: u8 = 255;
/// A DUID that is a UUID: RFC 6355 §4.
const DUID_UUID: u16 = 4;
/// Fewest and most octets of a DUID, with its type: RFC 8415 §11.1.
const DUID_OCTETS: core::ops::RangeInclusive<usize> = 3..=130;

/// A DHCP unique identifier: one for each host, the same for DHCPv6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duid(Vec<u8>);

impl Duid {
    /// A new one: a UUID made of these octets, which nobody else draws (RFC 9562 §5.4).
    #[must_use]
    pub fn new(mut random: [u8; 16]) -> Self {
        random[6] = random[6] & 0x0f | 0x40;
        random[8] = random[8] & 0x3f | 0x80;
        let mut octets = DUID_UUID.to_be_bytes().to_vec();
        octets.extend(random);
        Self(octets)
    }

    /// One that was kept; `None` when its length is none of a DUID.
    #[must_use]
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        DUID_OCTETS.contains(&octets.len()).then(|| Self(octets.to_vec()))
    }

    /// Type and value.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// Option 61 for an interface of the host. Its number is what its hardware address ends with, so that it is
    /// the same after each start.
    #[must_use]
    pub fn client_id(&self, hardware: &HardwareAddress) -> Vec<u8> {
        let mut identifier = vec![DUID_IDENTIFIER];
        let octets = hardware.octets();
        let end = &octets[octets.len().saturating_sub(4)..];
        identifier.extend(core::iter::repeat_n(0, 4 - end.len()));
        identifier.extend(end);
        identifier.extend(&self.0);
        identifier
    }
}

/// Option 61 as clients without a DUID have it: hardware type and address (RFC 2132 §9.14).
#[must_use]
pub fn hardware_client_id(hardware: &HardwareAddress) -> Vec<u8> {
    let mut identifier = vec![hardware.kind()];
    identifier.extend(hardware.octets());
    identifier
}
