//! The parts that touch the world.

mod client;
mod flows;
mod names;
mod relay;
pub mod tftp;

pub use client::{
    Apply, ClientAgent, ClientEvent, ClientHandle, ClientOptions, ClientStatus, Kept, discover,
};
pub use names::{CHANGES_MAX, Names, NamesError, Rows};
pub use relay::RelayAgent;
