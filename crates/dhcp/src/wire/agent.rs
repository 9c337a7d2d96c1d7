//! What a relay agent says of a client: option 82 and its sub-options. RFC 3046, RFC 3527, RFC 5107.

use core::net::Ipv4Addr;
use std::borrow::Cow;

use doorway_base::Malformed;

/// Sub-option 1: the circuit that the client is on, RFC 3046 §3.1.
pub const CIRCUIT_ID: u8 = 1;
/// Sub-option 2: the client's end of the circuit, RFC 3046 §3.2.
pub const REMOTE_ID: u8 = 2;
/// Sub-option 5: an address of the link that the client is on, RFC 3527.
pub const LINK_SELECTION: u8 = 5;
/// Sub-option 6: who the client is to the provider, RFC 3993.
pub const SUBSCRIBER_ID: u8 = 6;
/// Sub-option 11: what the server is to give for its own address, RFC 5107.
pub const SERVER_ID_OVERRIDE: u8 = 11;

/// The value of option 82, whose sub-options lie within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent<'a>(Cow<'a, [u8]>);

impl<'a> Agent<'a> {
    /// Takes the value of option 82.
    ///
    /// # Errors
    /// [`Malformed`] when a sub-option runs over the end.
    pub fn parse(value: impl Into<Cow<'a, [u8]>>) -> Result<Self, Malformed> {
        let value = value.into();
        let mut at = 0;
        while at < value.len() {
            let Some(&length) = value.get(at + 1) else {
                return Err(Malformed::new("length of a sub-option", at));
            };
            let next = at + 2 + usize::from(length);
            if next > value.len() {
                return Err(Malformed::new("a sub-option within option 82", at));
            }
            at = next;
        }
        Ok(Self(value))
    }

    /// The whole value, as it is to be sent back.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// Number and value of each sub-option.
    pub fn suboptions(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (&[number, length], behind) = rest.split_first_chunk::<2>()?;
            let (value, next) = behind.split_at_checked(usize::from(length))?;
            rest = next;
            Some((number, value))
        })
    }

    /// The value of the first sub-option of this number.
    #[must_use]
    pub fn suboption(&self, number: u8) -> Option<&[u8]> {
        self.suboptions().find(|&(found, _)| found == number).map(|(_, value)| value)
    }

    /// The circuit that the client is on.
    #[must_use]
    pub fn circuit_id(&self) -> Option<&[u8]> {
        self.suboption(CIRCUIT_ID)
    }

    /// The client's end of the circuit.
    #[must_use]
    pub fn remote_id(&self) -> Option<&[u8]> {
        self.suboption(REMOTE_ID)
    }

    /// An address of the link that the client is on, if it is not the one of `giaddr`.
    #[must_use]
    pub fn link_selection(&self) -> Option<Ipv4Addr> {
        self.address(LINK_SELECTION)
    }

    /// What the server is to give for its own address, so that renewals come by the relay agent too.
    #[must_use]
    pub fn server_id_override(&self) -> Option<Ipv4Addr> {
        self.address(SERVER_ID_OVERRIDE)
    }

    fn address(&self, number: u8) -> Option<Ipv4Addr> {
        Some(Ipv4Addr::from(<[u8; 4]>::try_from(self.suboption(number)?).ok()?))
    }
}

/// The value of option 82 with these sub-options; one of more than 255 octets is left out.
#[must_use]
pub fn write(suboptions: &[(u8, &[u8])]) -> Vec<u8> {
    let mut value = Vec::new();
    for &(number, octets) in suboptions {
        if let Ok(length) = u8::try_from(octets.len()) {
            value.extend_from_slice(&[number, length]);
            value.extend_from_slice(octets);
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suboptions_are_found_and_cut_ones_refused() {
        let value = write(&[(1, b"r1"), (2, &[2, 0, 0, 0, 0, 1]), (5, &[10, 0, 0, 1]), (11, &[10, 0, 0, 2])]);
        let agent = Agent::parse(&value).expect("an option 82");
        assert_eq!(agent.circuit_id(), Some(&b"r1"[..]));
        assert_eq!(agent.remote_id(), Some(&[2, 0, 0, 0, 0, 1][..]));
        assert_eq!(agent.link_selection(), Some(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!(agent.server_id_override(), Some(Ipv4Addr::new(10, 0, 0, 2)));
        assert_eq!(agent.octets(), value);
        let whole = [0, 4, 12, 18, 24];
        for length in 0..value.len() {
            assert_eq!(Agent::parse(&value[..length]).is_ok(), whole.contains(&length), "{length}");
        }
    }
}
