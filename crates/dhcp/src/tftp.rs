//! TFTP, as far as machines that boot need it: files are read, none is written. RFC 1350, with the options of
//! RFC 2347 (negotiation), RFC 2348 (block size), RFC 2349 (time-out, length) and RFC 7440 (window).
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`packet`] | octets and packets |
//! | [`transfer`] | one file on its way: which blocks are due, and when to send them again |
//!
//! Not here: sockets and files (`io/tftp.rs`), multicast (RFC 2090), and writing.

pub mod packet;
pub mod transfer;

pub use packet::{ErrorCode, Mode, Packet, Request};
pub use transfer::{Step, Transfer};

/// The port of TFTP.
pub const PORT: u16 = 69;
