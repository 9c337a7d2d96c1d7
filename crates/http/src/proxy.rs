//! What a proxy decides: whom a request goes to, what becomes of its fields, and when another server is asked
//! (RFC 9110 §7.6).
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`forwarding`] | fields of a message that is handed on: what stays, what goes, what is added |
//! | [`address`] | [`ServerAddress`]: a server of an upstream as the config writes it |
//! | [`balance`] | [`Balance`]: which of several servers is asked |
//! | [`health`] | whether checks find a server well |
//! | [`breaker`] | a server that fails is left alone for a while |
//! | [`retry`] | whether a request may be sent once more |
//! | [`access`] | who may use a forward proxy for what |
//! | [`destination`] | which addresses it connects to |
//! | [`pac`] | the file by which browsers are told to use it |
//! | [`profile`] | what is known of the files of package archives |
//!
//! Pure. Connections, timers and bodies are in `io::proxy`. Not here: trailers, which are checked and left out.

pub mod access;
pub mod address;
pub mod balance;
pub mod breaker;
pub mod destination;
pub mod forwarding;
pub mod health;
pub mod pac;
pub mod profile;
pub mod retry;

pub use address::ServerAddress;
pub use balance::{Balance, Balancer};
