//! DHCP against real servers, clients and relay agents, each in a network namespace of its own. Without the right
//! to make namespaces a test says that it is left out.

mod client;
mod peers;
mod relay;
pub(crate) mod support;
