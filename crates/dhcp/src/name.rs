//! What a lease that begins or ends means for DNS: RFC 4702, RFC 4703.
//!
//! Not here: zones and records, which are the name server's.

use core::net::IpAddr;

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
        /// What tells the client from others, for its DHCID record: the client identifier or DUID, or the
        /// hardware type and address (RFC 4701 §3.5).
        client: Vec<u8>,
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
        /// What tells the client from others, as it was when the lease began.
        client: Vec<u8>,
    },
}
