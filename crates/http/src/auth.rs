//! Who may have what: credentials of a request, what a place demands, and what is remembered of both
//! (RFC 9110 §11).
//!
//! | file | what it holds |
//! | --- | --- |
//! | `credentials.rs` | [`Credentials`]: the Authorization field, Basic (RFC 7617) and Bearer (RFC 6750) |
//! | `demand.rs` | [`Demand`]: the realm, the users and the ways to log in that a place asks for |
//! | `verdicts.rs` | [`Verdicts`]: what was found about credentials a moment ago |
//!
//! Passwords are checked in the store, off the worker; [`io`](crate::io) brings the two together.
//!
//! Deliberately absent: Digest (RFC 7616). It needs a hash that is as good as the password itself, and the user
//! list keeps argon2id, from which none can be made. What Digest was for, TLS does.

mod credentials;
mod demand;
mod verdicts;

pub use credentials::{CREDENTIALS_OCTETS_MAX, Credentials};
pub use demand::{Demand, Ways, Who, WrongDemand};
pub use verdicts::{Person, Tag, VERDICTS_MAX, Verdict, Verdicts};
