//! DHCP: addresses for a site, with what a host needs to use them, and names that follow leases.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `wire` | octets and types: messages, options, option 82, names |
//! | `client` | an address for one interface: the states of a client, pure |
//! | `relay` | messages between links: the relay agent, pure |
//! | `config` | what the operator says: [`config::SECTION`] |
//! | `plan` | what a server is to do: interfaces, subnets, classes, options, reservations |
//! | `lease` | [`Lease`], and the row that it is in the store |
//! | `lease_file` | leases and reservations in the files of ISC dhcpd, dnsmasq and Kea |
//! | `reserved` | reservations that were made by command |
//! | `server` | the server's engine |
//! | `name` | [`NameChange`]: what a lease that begins or ends means for DNS |
//! | `io/names` | [`io::Names`]: who makes such changes, in one transaction with the lease |
//! | `tftp` | files for machines that boot |
//!
//! Deliberately absent: DHCPv6 and router advertisements.

#![forbid(unsafe_code)]

pub mod client;
pub mod config;
pub mod io;
pub mod lease;
pub mod lease_file;
pub mod name;
pub mod plan;
pub mod relay;
pub mod reserved;
pub mod server;
pub mod tftp;
pub mod wire;

pub use lease::{ClientKey, Lease, LeaseState};
pub use name::{Identity, NameChange};
pub use plan::{Draft, Plan};
