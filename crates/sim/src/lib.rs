//! A whole network in one process and one thread: virtual hosts, links, clock and disks that run the
//! same services as the operating system does, deterministically.
//!
//! ```
//! use doorway_sim::{Link, Simulation};
//! use std::time::Duration;
//!
//! let mut sim = Simulation::new(42);
//! let server = sim.node("server", "10.0.0.1");
//! let client = sim.node("client", "10.0.0.2");
//! sim.link(server, client, Link { delay: Duration::from_millis(20), loss: 0.05, ..Link::default() });
//! let world = sim.world(client);
//! let waited = sim.run(client, async move {
//!     let before = world.now();
//!     world.sleep(Duration::from_secs(3600)).await; // an hour passes at once
//!     world.now() - before
//! });
//! assert_eq!(waited, Ok(Duration::from_secs(3600)));
//! ```
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`simulation`](Simulation) | the network's owner: nodes, links, faults, running |
//! | `executor.rs` | tasks of nodes, woken in a fixed order |
//! | `core.rs` | virtual time, the queue of events, delivery of packets |
//! | `segment.rs` | the LAN itself: frames, ARP, ICMP echo, addresses that come and go |
//! | `link.rs` | [`Link`]: delay, jitter, loss, rate, reordering, duplication |
//! | `tcp.rs` | virtual TCP: handshake, segments, retransmission, reset |
//! | `ground.rs` | the network, clock and executor a node's `World` stands on |
//! | [`disk`] | a disk that loses unsynced writes, tears sectors and fills up |
//!
//! Equal seeds give equal runs, to the octet: [`Simulation::trace`] has the hash that shows it. What
//! is not simulated: the time that computing takes, congestion control, routing through third hosts.

#![forbid(unsafe_code)]

mod core;
pub mod disk;
mod executor;
mod ground;
mod link;
mod segment;
mod simulation;
mod tcp;

pub use disk::SimDisk;
pub use link::Link;
pub use simulation::{Node, Simulation, Stuck};
