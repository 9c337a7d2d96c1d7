//! DNS: RFC 1034, RFC 1035 and what came after.
//!
//! | folder or file | what it holds |
//! | --- | --- |
//! | [`wire`] | octets to types and back: names, records, compression, EDNS |
//! | [`zone`] | zone files read into snapshots that answers are copied out of |
//! | [`authority`] | the authoritative server as a pure engine |
//! | [`client`] | what `dig` and its like need: queries, printed answers, labelled octets |
//! | [`cache`] | RRsets, denials and failures with their ends, under the resolver |
//! | [`replay`] | resolutions replayed from scripts in virtual time |
//! | [`resolver`] | the resolver as a pure engine |
//! | [`transfer`] | how zones move: AXFR, IXFR, NOTIFY, the timers of a secondary |
//! | [`update`] | records changed by message |
//! | [`leases`] | names of hosts that have a lease |
//! | [`config`] | the `[dns]` table |
//! | [`io`] | UDP and TCP doors, zone files on disk, reload |
//! | [`error`] | what can go wrong that an operator must know |
//! | [`summary`] | one line about a message, for the trace |
//!
//! Everything outside `io/` is pure: octets and time come in as values. Deliberately absent so far:
//! validating and signing with DNSSEC.

#![forbid(unsafe_code)]

pub mod authority;
pub mod cache;
pub mod client;
pub mod config;
pub mod error;
pub mod front;
pub mod io;
pub mod leases;
pub mod replay;
pub mod resolver;
mod summary;
pub mod transfer;
pub mod update;
pub mod wire;
pub mod zone;

pub use config::Config;
pub use error::Error;
pub use io::Server;
pub use summary::summary;
