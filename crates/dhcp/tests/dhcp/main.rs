//! DHCP over a world.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod agents;
mod allocation;
mod oracle;
mod server;
mod support;
mod tftp;
mod trouble;
