//! The server's engine: which client has which address. Pure: octets and time in, replies and changes out.
//! RFC 2131 §4, RFC 3046, RFC 4702.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `verdict` | [`Arrival`], [`Verdict`], [`Settlement`]: what goes in and what comes out |
//!
//! Not here: sockets, probes, the store, zones. The shell in `io/` has them.

mod verdict;

pub use verdict::{Arrival, Destination, DropReason, Means, Now, RowChange, Settlement, Ticket, Verdict};
