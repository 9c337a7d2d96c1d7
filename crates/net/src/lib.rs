//! Doors: the one place where Doorway meets the operating system's network.
//!
//! A service is written once, against [`World`], and runs over real sockets or inside a simulation.
//!
//! # A TCP service
//!
//! A [`tcp::TcpService`] is one async function a connection. The shell round it accepts, counts,
//! refuses, agrees on TLS, ends what is too slow and drains:
//!
//! ```no_run
//! use std::sync::Arc;
//! use doorway_net::os::Runtime;
//! use doorway_net::tcp::{self, Connection, TcpOptions, TcpService};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! struct UpperCase;
//!
//! impl TcpService for UpperCase {
//!     async fn serve(&self, mut connection: Connection) {
//!         let mut line = [0; 1024];
//!         while let Ok(count @ 1..) = connection.stream.read(&mut line).await {
//!             line[..count].make_ascii_uppercase();
//!             if connection.stream.write_all(&line[..count]).await.is_err() {
//!                 return;
//!             }
//!         }
//!     }
//! }
//!
//! # fn main() -> Result<(), doorway_net::Error> {
//! let runtime = Runtime::start("gate", 0, doorway_base::Trace::off())?;
//! let address = "127.0.0.1:8888".parse().expect("a literal address");
//! let door = tcp::serve(runtime.world(), address, &TcpOptions::new("echo", "echo", 0), &Arc::new(UpperCase))?;
//! println!("listening on {:?}", door.local());
//! # Ok(())
//! # }
//! ```
//!
//! # A UDP service
//!
//! One datagram in, at most one out: a [`doorway_base::Responder`] behind [`udp::serve`], in batches
//! and without allocation. An answer that must wait for something: a [`udp::UdpService`] behind
//! [`udp::serve_each`]. The examples `echo_tcp`, `echo_udp` and `ping_udp` show all of it, as short
//! connections (closed after the data) and long ones (that wait for more).
//!
//! # Files
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`world`](World) | what a service is given: network, clock, seed, trace, doors |
//! | [`ground`] | the traits a world stands on |
//! | [`os`] | the world over the operating system |
//! | [`tcp`], [`udp`], [`batch`] | the service shells |
//! | [`limits`], [`pulse`] | who is let in, and who must go |
//! | [`door`] | the registry of open doors; draining |
//! | [`interface`] | the network interfaces of this host, and changes to them (`netlink`) |
//! | [`link`] | sockets on a link itself: UDP to and from who has no address, ARP |
//! | [`echo`], [`pinger`] | ICMP echo: to one host, and to many at once |
//! | [`tls`] | certificates by name, reloaded while serving; the local authority |
//! | [`proxy_protocol`], [`systemd`], [`privileges`], [`signals`] | what surrounds a daemon |
//! | [`memory`], [`entropy`] | huge pages for large tables; octets nobody can guess |
//! | [`resolve`], [`web`] | the plugs between parts that do not know each other |

pub mod batch;
pub mod door;
pub mod echo;
pub mod entropy;
mod error;
mod fields;
mod filter;
mod frame;
pub mod ground;
mod informational;
pub mod interface;
pub mod limits;
pub mod link;
mod listener;
pub mod memory;
mod netlink;
pub mod os;
pub mod pinger;
pub mod privileges;
pub mod proxy_protocol;
pub mod pulse;
pub mod resolve;
pub mod signals;
mod stream;
mod sys;
pub mod systemd;
mod task;
pub mod tcp;
pub mod tls;
pub mod udp;
pub mod web;
mod world;

pub use error::Error;
pub use ground::BoxFuture;
pub use listener::Listener;
pub use resolve::{Resolve, ResolveError};
pub use stream::{READ_OCTETS, Stream};
pub use task::Task;
pub use tcp::{Connection, TcpService};
pub use world::World;

use std::sync::{Mutex, MutexGuard, PoisonError};

// No lock here is held over code that can leave its data half changed, so a panic elsewhere while it
// was held does not spoil it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
