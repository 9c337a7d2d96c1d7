//! A shared cache: what may be kept, for how long, and what a request may be answered with (RFC 9111).
//!
//! | file | what it holds |
//! | --- | --- |
//! | `admission.rs` | [`admission`]: what stays in memory when there is no room for all |
//! | `catalogue.rs` | [`catalogue`]: the list of what a segment file holds |
//! | `key.rs` | [`Key`]: what names everything kept for one target |
//! | `names.rs` | [`Names`]: short names, by which the index finds things |
//! | `purge.rs` | [`Purge`]: what an operator wants to be forgotten |
//! | `lines.rs` | [`FieldLines`]: fields wherever they are kept |
//! | `policy.rs` | [`Policy`]: what an operator decides |
//! | `control.rs`, `targeted.rs` | Cache-Control and its kin |
//! | `request.rs` | [`Request`]: what of a request matters |
//! | `stored.rs` | [`Stored`]: a response that is kept, without its content |
//! | `age.rs`, `freshness.rs`, `stale.rs` | how old, for how long, and how long after that |
//! | `vary.rs` | which of several variants a request selects |
//! | `reuse.rs` | [`decide`]: what a request is answered with |
//! | `storable.rs` | [`store`]: what may be kept, and what of it |
//! | `validation.rs` | what is asked about it, and what the answer changes |
//! | `selection.rs` | what of it answers a request with conditions or ranges |
//! | `slices.rs` | long contents in slices, for ranges far on |
//! | `invalidation.rs` | what a change makes useless |
//! | `status.rs` | [`CacheStatus`]: what is told about it |
//! | `purges.rs` | [`purges`]: such orders, as they are carried out |
//! | `record.rs` | [`record`]: a response as it lies on disk |
//! | `tags.rs` | [`mod@tags`]: words by which responses are purged together |
//!
//! Pure: requests, responses, time and policy come in as values. Not here: octets of contents, memory and
//! disk, waiting for the origin; those are `io::cache`.

pub mod admission;
pub mod age;
pub mod catalogue;
pub mod control;
pub mod freshness;
pub mod invalidation;
mod key;
mod lines;
mod names;
mod policy;
mod purge;
pub mod purges;
pub mod record;
mod request;
mod reuse;
pub mod selection;
pub mod slices;
pub mod stale;
mod status;
mod storable;
mod stored;
pub mod tags;
mod targeted;
pub mod validation;
pub mod vary;

pub use freshness::{Freshness, Terms};
pub use key::{Key, QueryPart, Target, host};
pub use lines::FieldLines;
pub use names::Names;
pub use policy::{Policy, Targets};
pub use purge::{Purge, PurgeWhat};
pub use request::Request;
pub use reuse::{Candidate, Verdict, decide};
pub use status::{CacheStatus, Forward};
pub use storable::{NotStored, Received, store};
pub use stored::{Moment, Stored};

#[cfg(test)]
mod tests;
