//! What a host is called on its link: a hardware type and an address of up to 16 octets. RFC 2131 §2, RFC 1700.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// Most octets of a hardware address: the length of `chaddr` in RFC 2131 §2.
pub const HARDWARE_OCTETS_MAX: usize = 16;
/// The hardware type of Ethernet, and of all that looks like it.
pub const ETHERNET: u8 = 1;

/// `htype`, `hlen` and `chaddr` of a message.
#[derive(Clone, Copy, Default)]
pub struct HardwareAddress {
    kind: u8,
    length: u8,
    octets: [u8; HARDWARE_OCTETS_MAX],
}

impl HardwareAddress {
    /// The address `octets` of hardware type `kind`; what is beyond 16 octets is left out.
    #[must_use]
    pub fn new(kind: u8, octets: &[u8]) -> Self {
        let octets = &octets[..octets.len().min(HARDWARE_OCTETS_MAX)];
        let mut all = [0; HARDWARE_OCTETS_MAX];
        all[..octets.len()].copy_from_slice(octets);
        Self { kind, length: octets.len() as u8, octets: all }
    }

    /// An Ethernet address.
    #[must_use]
    pub fn ethernet(mac: [u8; 6]) -> Self {
        Self::new(ETHERNET, &mac)
    }

    /// The hardware type: `htype`.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        self.kind
    }

    /// The address: the first `hlen` octets of `chaddr`.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets[..usize::from(self.length)]
    }

    /// The Ethernet address, if it is one.
    #[must_use]
    pub fn mac(&self) -> Option<[u8; 6]> {
        self.octets().try_into().ok().filter(|_| self.kind == ETHERNET)
    }

    /// All 16 octets of `chaddr`, with zeros behind the address.
    #[must_use]
    pub const fn padded(&self) -> &[u8; HARDWARE_OCTETS_MAX] {
        &self.octets
    }
}

impl PartialEq for HardwareAddress {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.octets() == other.octets()
    }
}

impl Eq for HardwareAddress {}

impl Hash for HardwareAddress {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.hash(state);
        self.octets().hash(state);
    }
}

impl fmt::Display for HardwareAddress {
    /// `02:00:00:00:00:01`; `-` for one without octets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, self.octets())
    }
}

impl fmt::Debug for HardwareAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{self}", self.kind)
    }
}

impl FromStr for HardwareAddress {
    type Err = NotHardware;

    /// Octets in hexadecimal with `:` or `-` between them, which are taken for Ethernet.
    fn from_str(text: &str) -> Result<Self, NotHardware> {
        let octets = read_hex(text).ok_or(NotHardware)?;
        if octets.is_empty() || octets.len() > HARDWARE_OCTETS_MAX {
            return Err(NotHardware);
        }
        Ok(Self::new(ETHERNET, &octets))
    }
}

/// A text that is no hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotHardware;

impl fmt::Display for NotHardware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a hardware address is octets in hexadecimal, as in 02:00:00:00:00:01")
    }
}

impl std::error::Error for NotHardware {}

/// Writes octets as `02:00:a1`; `-` for none.
pub(crate) fn write_hex(f: &mut impl fmt::Write, octets: &[u8]) -> fmt::Result {
    if octets.is_empty() {
        return f.write_char('-');
    }
    for (index, octet) in octets.iter().enumerate() {
        let between = if index == 0 { "" } else { ":" };
        write!(f, "{between}{octet:02x}")?;
    }
    Ok(())
}

/// Octets as `02:00:a1`; `-` for none.
#[must_use]
pub fn hex(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 3);
    // Writing into a string cannot fail.
    let _ = write_hex(&mut text, octets);
    text
}

/// Reads `02:00:a1`, `02-00-a1` or `0200a1`; a single digit between colons stands for one octet. `None` for
/// anything else.
#[must_use]
pub fn read_hex(text: &str) -> Option<Vec<u8>> {
    let digits = |part: &str| {
        let plain = (1..=2).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_hexdigit());
        if plain { u8::from_str_radix(part, 16).ok() } else { None }
    };
    if text.is_empty() || text == "-" {
        return Some(Vec::new());
    }
    if text.contains([':', '-']) {
        return text.split([':', '-']).map(digits).collect();
    }
    if text.len() == 1 {
        return digits(text).map(|octet| vec![octet]);
    }
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| digits(&text[at..at + 2])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses_are_written_as_they_are_read() {
        for (text, octets) in [
            ("02:00:00:00:00:01", &[2, 0, 0, 0, 0, 1][..]),
            ("02-00-00-00-00-01", &[2, 0, 0, 0, 0, 1]),
            ("2:0:0:0:0:1", &[2, 0, 0, 0, 0, 1]),
            ("a1b2", &[0xa1, 0xb2]),
        ] {
            let address: HardwareAddress = text.parse().expect(text);
            assert_eq!(address.octets(), octets);
            assert_eq!(address.to_string().parse(), Ok(address));
        }
        for text in ["", "02:00:", "02:0g", "002:1", "+1:02", "1:2:3:4:5:6:7:8:9:a:b:c:d:e:f:0:1", "abc"] {
            assert_eq!(text.parse::<HardwareAddress>(), Err(NotHardware), "{text}");
        }
        assert_eq!(HardwareAddress::new(1, &[9; 40]).octets().len(), HARDWARE_OCTETS_MAX);
    }
}
