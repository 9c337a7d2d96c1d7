//! A shared cache: what may be kept, for how long, and what a request may be answered with (RFC 9111).
//!
//! | file | what it holds |
//! | --- | --- |
//! | `admission.rs` | [`admission`]: what stays in memory when there is no room for all |
//! | `catalogue.rs` | [`catalogue`]: the list of what a segment file holds |
//! | `key.rs` | [`Key`]: what names everything kept for one target |
//! | `names.rs` | [`Names`]: short names, by which the index finds things |
//! | `purge.rs` | [`Purge`]: what an operator wants to be forgotten |
//! | `purges.rs` | [`purges`]: such orders, as they are carried out |
//! | `record.rs` | [`record`]: a response as it lies on disk |
//! | `stored.rs` | [`Stored`]: a response that is kept, without its content |
//! | `tags.rs` | [`mod@tags`]: words by which responses are purged together |
//!
//! Pure: requests, responses, time and policy come in as values. Not here: octets of contents, memory and
//! disk, waiting for the origin; those are `io::cache`.

pub mod admission;
pub mod catalogue;
mod key;
mod names;
mod purge;
pub mod purges;
pub mod record;
mod stored;
pub mod tags;

pub use key::{Key, host};
pub use names::Names;
pub use purge::{Purge, PurgeWhat};
pub use stored::{Moment, Stored};
