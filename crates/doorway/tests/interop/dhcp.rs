//! DHCP against real servers, clients and relay agents, each in a network namespace of its own. Without the right
//! to make namespaces a test says that it is left out.

mod client;
mod clients;
mod moving;
mod peers;
mod recording;
mod relay;
mod server;
pub(crate) mod support;
