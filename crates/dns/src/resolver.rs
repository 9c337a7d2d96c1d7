//! The resolver as a pure engine: RFC 1034 §5.3.3, RFC 2181, RFC 2308, RFC 5452, RFC 8767, RFC 9156.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`event`] | what goes in and what comes out |
//! | [`config`] | every choice and every bound |
//! | [`hints`] | the root servers to begin with |
//!
//! Not here: sockets, source ports and connections (`io/`), and validation.

pub mod config;
pub mod event;
pub mod hints;

pub use config::Config;
pub use event::{Answer, Ask, Input, Output, QueryId, Send, SendFailure, Step, Transport};
