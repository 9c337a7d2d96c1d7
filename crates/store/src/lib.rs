//! Doorway's one store.
#![forbid(unsafe_code)]

mod answer;
mod batch;
mod blob;
mod claim;
mod config;
mod error;
mod io;
mod key;
mod lock;
mod log;
mod memory;
mod pin;
mod store;
mod watch;

pub use answer::{Answer, BoxFuture, Promise, wait};
pub use batch::{BATCH_OCTETS_MAX, BATCH_STEPS_MAX, Batch, Durability, IdSlot, Receipt, Row};
pub use blob::BlobId;
pub use claim::{CLAIM_NAME_OCTETS_MAX, Claim};
pub use config::Config;
pub use error::{Conflict, Error, Result};
pub use io::bench::{BenchOptions, BenchReport, Measurement, bench};
pub use io::disk::OsDisk;
pub use io::embedded::{Clock, Embedded, Options};
pub use io::metrics::Metrics;
pub use key::{KEY_OCTETS_MAX, Key, Range, VALUE_OCTETS_MAX};
pub use memory::MemoryStore;
pub use store::*;
pub use watch::{WATCHES_MAX, Watch};
