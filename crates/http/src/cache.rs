//! A shared cache: what may be kept, for how long, and what a request may be answered with (RFC 9111).
//!
//! | file | what it holds |
//! | --- | --- |
//! | `key.rs` | [`Key`]: what names everything kept for one target |
//! | `purge.rs` | [`Purge`]: what an operator wants to be forgotten |
//! | `stored.rs` | [`Stored`]: a response that is kept, without its content |
//!
//! Pure: requests, responses, time and policy come in as values. Not here: octets of contents, memory and
//! disk, waiting for the origin; those are `io::cache`.

mod key;
mod purge;
mod stored;

pub use key::Key;
pub use purge::{Purge, PurgeWhat};
pub use stored::{Moment, Stored};
