//! The client's decisions: what a request looks like on the wire, what comes back on a connection, and where
//! a redirect leads.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`request`] | the request head, written |
//! | [`connection`] | one HTTP/1 connection: which response belongs to which request, where bodies end |
//! | [`redirect`] | what a 3xx response makes of the next request |
//!
//! Connections themselves, names and waiting are in `io::client`.

pub mod connection;
pub mod redirect;
pub mod request;

pub use connection::{Connection, Decision};
