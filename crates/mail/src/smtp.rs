//! SMTP and LMTP, the parts that only decide: octets and facts in, octets and decisions out
//! (RFC 5321, RFC 2033).
//!
//! | file | what it holds |
//! | --- | --- |
//! | `client` | [`Client`]: one connection to a server, from its greeting to QUIT |
//! | `failure` | [`Failure`]: why a connection to a server is of no more use |
//! | `extension` | [`Capabilities`]: what a server offers in its reply to EHLO |
//! | `answer` | replies of a server, read from octets |
//! | `xtext` | values of ENVID and ORCPT (RFC 3461 §4) |
//! | `data` | the end of the content, dots, and line ends, both ways |
//!
//! Bodies do not flow through here: the engines say when content comes or goes, the shells in `io/`
//! carry it through `data`.

pub mod answer;
pub mod client;
pub mod data;
pub mod extension;
pub mod failure;
pub mod xtext;

pub use client::{Client, Credentials, Security, Settings};
pub use extension::Capabilities;
pub use failure::{Cause, Failure, Stage};

/// Longest message that anybody announces, in octets, where no limit is set.
pub const OCTETS_MAX: u64 = 1 << 40;

/// Which of the two sisters is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// SMTP: one reply for a message (RFC 5321).
    #[default]
    Smtp,
    /// LMTP: one reply for each recipient of a message (RFC 2033).
    Lmtp,
}
