//! Looking for other servers on a link: who would offer something to a client that nobody knows. Nothing is
//! taken; they forget their offers by themselves.

use core::net::Ipv4Addr;
use std::time::Duration;

use doorway_net::World;
use doorway_net::link::Mac;

use crate::client::Settings;
use crate::client::discovery::Found;
use crate::io::discover;
use crate::wire::HardwareAddress;

/// How long answers are waited for: servers that probe an address first take up to three seconds.
pub const WAIT: Duration = Duration::from_secs(5);

/// Asks on the link of `interface`, as a client with a hardware address that nobody has, and returns who
/// offered something, but for the servers `own`.
///
/// # Errors
/// As [`World::link`], and those of sending.
pub async fn look(world: &World, interface: &str, own: &[Ipv4Addr]) -> std::io::Result<Vec<Found>> {
    let mut octets = [0; 6];
    world.random().fill(&mut octets);
    let hardware = HardwareAddress::ethernet(Mac::local(octets).0);
    // An answer to that card alone would not reach this one.
    let settings = Settings { broadcast: true, ..Settings::new(hardware) };
    let mut found = discover(world, interface, settings, WAIT).await?;
    found.retain(|found| !own.contains(&found.offer.server));
    Ok(found)
}
