//! The parts that touch the world.

mod client;
mod flows;
mod leases;
mod names;
mod probe;
mod relay;
pub mod rogue;
pub mod server;
mod stop;
pub mod tftp;

pub use client::{
    Apply, ClientAgent, ClientEvent, ClientHandle, ClientOptions, ClientStatus, Kept, discover,
};
pub use leases::{Restored, restore};
pub use names::{CHANGES_MAX, Names, NamesError, Rows};
pub use relay::RelayAgent;
pub use server::{DhcpServer, RogueCheck};
