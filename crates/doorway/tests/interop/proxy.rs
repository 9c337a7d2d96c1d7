//! The proxies between real clients and real servers: other people's servers behind us, their proxies in front of
//! us, programs that fetch through us, and messages that two of them could count differently.

mod behind;
mod chromium;
mod forward;
mod in_front;
mod neighbour;
mod packages;
mod smuggling;
mod websocket;
