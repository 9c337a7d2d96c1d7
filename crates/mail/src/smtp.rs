//! SMTP and LMTP, the parts that only decide: octets and facts in, octets and decisions out
//! (RFC 5321, RFC 2033).
//!
//! | file | what it holds |
//! | --- | --- |
//! | `session` | [`Session`]: one client at a door, from our greeting to the end |
//! | `conversation` | [`Conversation`]: octets into commands and content, replies into octets |
//! | `command` | commands, read from their lines |
//! | `line` | lines, cut out of octets |
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
pub mod command;
pub mod conversation;
pub mod data;
pub mod extension;
pub mod failure;
pub mod line;
pub mod session;
pub mod xtext;

pub use client::{Client, Credentials, Security, Settings};
pub use conversation::Conversation;
pub use extension::Capabilities;
pub use failure::{Cause, Failure, Stage};
pub use session::Session;

/// Which of the two sisters is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// SMTP: one reply for a message (RFC 5321).
    #[default]
    Smtp,
    /// LMTP: one reply for each recipient of a message (RFC 2033).
    Lmtp,
}
