//! What a lease that begins or ends means for DNS: RFC 4702, RFC 4703.
//!
//! Not here: zones and records, which are the name server's.

use core::net::IpAddr;

/// What tells a client from others, of the kinds that a DHCID record knows: RFC 4701 §3.3.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    /// The hardware type, one octet, and the hardware address behind it: of a client that says no more.
    Hardware(Vec<u8>),
    /// The content of the client identifier option (61) as it came.
    ClientIdentifier(Vec<u8>),
    /// A DUID: out of a client identifier of type 255 (RFC 4361 §6.1), or from DHCPv6.
    Duid(Vec<u8>),
}

impl Identity {
    /// The identity in the content of option 61, type octet and all.
    #[must_use]
    pub fn of_client_identifier(octets: &[u8]) -> Self {
        match octets {
            // Type 255, four octets of IAID, the DUID.
            [255, _, _, _, _, duid @ ..] if !duid.is_empty() => Self::Duid(duid.to_vec()),
            _ => Self::ClientIdentifier(octets.to_vec()),
        }
    }

    /// The identifier type code of its DHCID record, and the octets that are hashed.
    #[must_use]
    pub fn parts(&self) -> (u16, &[u8]) {
        match self {
            Self::Hardware(octets) => (0, octets),
            Self::ClientIdentifier(octets) => (1, octets),
            Self::Duid(octets) => (2, octets),
        }
    }
}

/// A lease that begins, goes on under another name, or ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameChange {
    /// The address belongs to the client from now on.
    Bound {
        /// What the host calls itself, as it said it or as its reservation says; it may be anything.
        host: String,
        /// The domain that it is to have its name in, without a final dot.
        domain: String,
        /// The address.
        address: IpAddr,
        /// Whose it is.
        client: Identity,
        /// How long the lease is, in seconds.
        seconds: u32,
        /// The full name that this lease had until now, which is given up for the new one.
        before: Option<String>,
    },
    /// The lease was released, has expired, or was taken back.
    Ended {
        /// The full name that it had.
        name: String,
        /// The domain that this name is in.
        domain: String,
        /// The address.
        address: IpAddr,
        /// Whose it was, as it was said when the lease began.
        client: Identity,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_identifier_of_type_255_holds_a_duid() {
        let identity = Identity::of_client_identifier(&[255, 0, 0, 0, 1, 0, 2, 9]);
        assert_eq!(identity.parts(), (2, &[0, 2, 9][..]));
        for plain in [&[1, 2, 0, 0, 0, 0, 1][..], &[255, 0, 0, 0, 1], &[0]] {
            assert_eq!(Identity::of_client_identifier(plain).parts(), (1, plain));
        }
    }
}
