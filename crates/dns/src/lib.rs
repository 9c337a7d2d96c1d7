//! DNS: RFC 1034, RFC 1035 and what came after.
//!
//! | folder or file | what it holds |
//! | --- | --- |
//! | [`wire`] | octets to types and back: names, records, compression, EDNS |
//! | [`zone`] | zone files read into snapshots that answers are copied out of |
//! | [`authority`] | the authoritative server as a pure engine |
//! | [`summary`] | one line about a message, for the trace |
//!
//! Everything outside `io/` is pure: octets and time come in as values. Deliberately absent so far:
//! the resolver and its cache, DNSSEC, zone transfers, NOTIFY and UPDATE.

#![forbid(unsafe_code)]

pub mod authority;
mod summary;
pub mod wire;
pub mod zone;

pub use summary::summary;
