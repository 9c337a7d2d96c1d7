//! MIME: what is in a message. Reading never fails; any octets have a structure (RFC 5322, RFC 2045 to
//! RFC 2049, RFC 2231).

pub mod date;
pub mod structure;

pub use structure::Structure;
