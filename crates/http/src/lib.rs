//! HTTP/1.
#![forbid(unsafe_code)]
pub mod status;
pub mod wire;
pub use status::Status;
