//! Octets and the types they stand for, nothing else. RFC 2131 §2, RFC 2132, RFC 3396.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `message` | [`Message`]: a message as it arrived, checked, without a copy |
//! | `reply` | [`MessageWriter`]: a message as it leaves, with long options and overload |
//! | `option` | the options we know, by number and name, and how their values are written as text |
//! | `hardware` | [`HardwareAddress`]: a type and up to 16 octets |
//! | `agent` | [`Agent`]: what a relay agent says of the client, option 82 |
//! | `fqdn` | [`ClientFqdn`]: the name a client wants, option 81 |
//! | `routes` | classless static routes, option 121 |
//! | `search` | names in DNS form: the search list, option 119 |
//! | `summary` | one line for the trace |
//!
//! Not here: what a message means, which is the engines' business, and DHCPv6.

pub mod agent;
pub mod fqdn;
pub mod hardware;
pub mod message;
pub mod option;
pub mod reply;
pub mod routes;
pub mod search;
pub mod summary;
#[cfg(test)]
mod tests;

pub use agent::Agent;
pub use fqdn::ClientFqdn;
pub use hardware::HardwareAddress;
pub use message::{Message, MessageType};
pub use option::{OPTIONS, OptionKind, Shape, code};
pub use reply::{Head, MessageWriter};
pub use routes::Route;
pub use summary::summary;

/// The port that servers and relay agents listen on: RFC 2131 §4.1.
pub const SERVER_PORT: u16 = 67;
/// The port that clients listen on: RFC 2131 §4.1.
pub const CLIENT_PORT: u16 = 68;
/// The port of a server that adds boot files and gives no addresses: PXE 2.1 §2.2.
pub const PROXY_PORT: u16 = 4011;
