//! HTTP/2, pure: frames, HPACK, flow control, streams, and the engines of both sides
//! (RFC 9113, RFC 7541, RFC 9218).
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`rule`] | every rule a peer can break: its name, its error code, and how far the harm goes |
//! | [`frame`] | frames: octets to types and back |
//! | [`hpack`] | field blocks: static and dynamic table, Huffman code, integers |
//! | [`settings`] | SETTINGS, received and sent |
//! | [`flow`] | windows, both directions |
//! | [`priority`] | urgency and the incremental flag |
//! | [`stream`] | one stream's state, and the table of those that are open |
//! | [`flood`] | how often a peer may do what costs it nothing |
//! | [`gathered`] | a field block whose frames are gathered |
//! | [`request`] | a decoded field block read as a request head, or as trailers |
//! | [`connection`] | the server's engine |
//! | [`client`] | the client's engine |
//!
//! Bodies do not pass through the engine beyond their framing. Server push is absent, as it is from
//! browsers; so is extended CONNECT (RFC 8441).

pub mod client;
pub mod connection;
pub mod flood;
pub mod flow;
pub mod frame;
pub mod gathered;
pub mod hpack;
pub mod priority;
pub mod request;
pub mod rule;
pub mod settings;
pub mod stream;

pub use client::{Client, Reply};
pub use connection::{Connection, Event, Limits};
pub use rule::{ErrorCode, Rule, Scope, Violation};

/// What a client sends before its first frame (RFC 9113 §3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
