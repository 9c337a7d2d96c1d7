//! HTTP/1.
#![forbid(unsafe_code)]
pub mod conditional;
pub mod config;
pub mod connection;
pub mod files;
pub mod media_type;
pub mod status;
pub mod wire;
pub use status::Status;
