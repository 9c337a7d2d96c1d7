//! Doorway's one store: ordered keys and values, blobs, users and sessions.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `store` | [`Store`], what everybody asks for; `batch` is the meaning of a change, `key` its names |
//! | `io/embedded` | [`Embedded`]: commit log (`log`, `io/log`, `io/writer`) before SQLite (`io/sqlite`, `io/flusher`), read by `io/reader` |
//! | `memory` | [`MemoryStore`], the same in memory, for simulated nodes |
//! | `blob` | [`Blobs`]: content by its hash; `segment`, `io/segments`, `io/blobs` keep it, `io/collect` removes it |
//! | `watch`, `claim` | hints of changes, and who of several nodes does a thing |
//! | `user`, `password`, `login` | who may log in; `io/users` is the list itself, [`Users`] |
//! | `guessing`, `io/gate` | [`LoginGate`]: how every protocol lets people in, with guessing bounded |
//! | `session` | when a session ends; `io/sessions` is the table itself, [`Sessions`] |
//! | `io/verify`, `io/backup` | [`verify`], [`Store::backup`], [`restore`]; `manifest` and `tar` are their files |
//! | `io/remains` | [`Remains`]: what can be read of a damaged store |
//! | `io/bench` | [`bench`]: what the disk can do, and how much of it reaches the callers |
//! | `answer` | [`Answer`]: awaited in any runtime, or waited for without one |
//!
//! Nothing here reads a clock or a random source: time is an argument, entropy a closure. Deliberately
//! absent: every protocol, and what may be lost (caches, metrics, query logs).

#![forbid(unsafe_code)]

mod answer;
mod batch;
mod blob;
mod claim;
mod config;
mod error;
mod fields;
mod guessing;
mod io;
mod key;
mod lock;
mod log;
mod login;
mod manifest;
mod memory;
mod password;
mod pin;
mod scram;
mod segment;
mod session;
mod store;
mod tar;
mod user;
mod watch;

pub use answer::{Answer, BoxFuture, Promise};
pub use batch::{BATCH_OCTETS_MAX, BATCH_STEPS_MAX, Batch, Durability, IdSlot, Receipt, Row};
pub use blob::{
    BODY_OCTETS_MIN, BlobId, BlobWriter, Blobs, COLLECT_AFTER, Collected, READ_OCTETS_MAX, Stored,
};
pub use claim::{CLAIM_NAME_OCTETS_MAX, Claim};
pub use config::{AUTH_SECTION, AuthConfig, Config, SECTION};
pub use error::{Conflict, Error, Result};
pub use guessing::{GUESS_WINDOW, GUESSERS_MAX, Guesser, Guessing};
pub use io::backup::restore;
pub use io::bench::{BenchOptions, BenchReport, Measurement, bench};
pub use io::blobs::{BlobOptions, LocalBlobs};
pub use io::disk::OsDisk;
pub use io::embedded::{Clock, Embedded, Options};
pub use io::gate::{Attempt, LoginGate, LoginRefused};
pub use io::metrics::Metrics;
pub use io::remains::Remains;
pub use io::rows::{row, rows};
pub use io::sessions::Sessions;
pub use io::users::{APP_PASSWORDS_MAX, Entropy, UserChange, UserError, UserOptions, Users};
pub use io::verify::{DAMAGE_LISTED_MAX, VerifyReport, verify};
pub use io::wait::wait;
pub use key::{KEY_OCTETS_MAX, Key, Range, VALUE_OCTETS_MAX};
pub use login::{Login, LoginError};
pub use memory::MemoryStore;
pub use password::{AppPassword, PASSWORD_MIN, PASSWORD_OCTETS_MAX, Preset};
pub use scram::{
    SCRAM_ITERATIONS, SCRAM_ITERATIONS_MIN, SCRAM_SALT_OCTETS, ScramKeys, ScramVerifier, scram_proof,
};
pub use session::{SESSION_VALUE_OCTETS_MAX, SessionId, SessionOptions, SessionSecret, SessionState};
pub use store::*;
pub use user::{Role, USER_NAME_OCTETS_MAX, User, UserState, user_name};
pub use watch::{WATCHES_MAX, Watch};
