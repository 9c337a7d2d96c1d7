//! The words all Doorway protocols share.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`octets`] | [`Reader`] and [`Writer`], bounded cursors over octets on a wire |
//! | [`malformed`] | [`Malformed`]: what was expected, and at which octet it was missing |
//! | [`limit`] | [`Limit`]: a bound that an operator can change, with its config key |
//! | [`time`] | [`Instant`] and [`UnixTime`] as plain values; the clock itself is elsewhere |
//! | [`random`] | [`Random`], a generator that is nothing but its seed |
//! | [`config`] | declaring config keys once; written values become typed ones |
//! | [`disk`] | what a store asks of a disk, so that a simulated one can take its place |
//! | [`shape`] | the two engine shapes, [`Session`] and [`Responder`] |
//! | [`trace`] | every message in or out, cheap enough to stay compiled in |
//!
//! Deliberately absent: sockets, files, tasks, the clock, a random source, and any one protocol.
//! What only one protocol needs belongs in that protocol's crate.

#![forbid(unsafe_code)]

pub mod config;
pub mod disk;
pub mod limit;
pub mod malformed;
pub mod octets;
pub mod random;
pub mod shape;
pub mod time;
pub mod trace;

pub use disk::{Disk, DiskFile};
pub use limit::Limit;
pub use malformed::Malformed;
pub use octets::{Reader, Writer};
pub use random::Random;
pub use shape::{Datagram, Responder, Session, Verdict};
pub use time::{Instant, UnixTime};
pub use trace::Trace;
