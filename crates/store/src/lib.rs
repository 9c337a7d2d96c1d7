//! Doorway's one store.
#![forbid(unsafe_code)]

mod answer;
mod batch;
mod blob;
mod claim;
mod config;
mod error;
mod fields;
mod io;
mod key;
mod lock;
mod log;
mod login;
mod memory;
mod password;
mod pin;
mod segment;
mod store;
mod user;
mod watch;

pub use answer::{Answer, BoxFuture, Promise, wait};
pub use batch::{BATCH_OCTETS_MAX, BATCH_STEPS_MAX, Batch, Durability, IdSlot, Receipt, Row};
pub use blob::{
    BODY_OCTETS_MIN, BlobId, BlobWriter, Blobs, COLLECT_AFTER, Collected, READ_OCTETS_MAX, Stored,
};
pub use claim::{CLAIM_NAME_OCTETS_MAX, Claim};
pub use config::Config;
pub use error::{Conflict, Error, Result};
pub use io::bench::{BenchOptions, BenchReport, Measurement, bench};
pub use io::blobs::{BlobOptions, LocalBlobs};
pub use io::disk::OsDisk;
pub use io::embedded::{Clock, Embedded, Options};
pub use io::metrics::Metrics;
pub use io::rows::{row, rows};
pub use io::users::{APP_PASSWORDS_MAX, Entropy, UserChange, UserError, UserOptions, Users};
pub use key::{KEY_OCTETS_MAX, Key, Range, VALUE_OCTETS_MAX};
pub use login::{Login, LoginError};
pub use memory::MemoryStore;
pub use password::{AppPassword, PASSWORD_MIN, PASSWORD_OCTETS_MAX, Preset};
pub use store::*;
pub use user::{Role, USER_NAME_OCTETS_MAX, User, UserState, user_name};
pub use watch::{WATCHES_MAX, Watch};
