//! MIME: what is in a message. Reading never fails; any octets have a structure (RFC 5322, RFC 2045 to
//! RFC 2049, RFC 2231).

pub mod address_list;
pub mod base64;
pub mod charset;
pub mod date;
pub mod header;
pub mod parameter;
pub mod quoted_printable;
pub mod scanner;
pub mod structure;
pub mod word;

pub use scanner::{Scanner, structure};
pub use structure::{Demands, Structure};
