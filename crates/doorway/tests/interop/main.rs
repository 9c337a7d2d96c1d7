//! The real program against real clients from Debian packages, over loopback.
//!
//! Each test starts a server of its own ([`server`]) on ports that the system chooses. A client that
//! is not installed fails the test with the package to install; `cargo xtask test` installs them all.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_types, reason = "clients stand outside of the program, on the system's sockets")]
#![allow(clippy::disallowed_methods, reason = "the real program is measured with the real clock")]

mod caching;
#[path = "../../../mail/tests/mail/corpus.rs"]
mod corpus;
mod curl;
mod dhcp;
mod dialogue;
mod difference_reasons;
mod differences;
mod dns;
mod fetch;
mod files;
mod first_start;
mod floods;
mod folder;
mod h2;
mod logins;
mod looking;
mod mail;
mod mime;
#[path = "../../../mail/tests/mail/mime_differences.rs"]
mod mime_differences;
#[path = "../../../mail/tests/mail/mime_reasons.rs"]
mod mime_reasons;
mod octets;
mod openssl;
mod programs;
mod proxy;
mod proxy_protocol;
mod python;
mod questions;
#[path = "../../../http/tests/http/refusal_table.rs"]
mod refusal_table;
mod reload;
mod server;
mod service_manager;
mod start;
mod stop;
mod tshark;
mod wget;
