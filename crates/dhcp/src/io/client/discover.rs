//! Looking for every server that offers addresses on a link. Nothing is taken.

use core::net::{Ipv4Addr, SocketAddrV4};
use std::io;
use std::time::Duration;

use doorway_base::trace::Direction;
use doorway_net::World;
use doorway_net::link::{LinkContent, LinkMessage, LinkOptions, LinkSocket, Mac};

use crate::client::discovery::Found;
use crate::client::{Discovery, Settings};
use crate::io::flows::{Flows, Way};
use crate::wire::{CLIENT_PORT, SERVER_PORT};

/// When the question is put again, since a datagram may get lost.
const AGAIN: Duration = Duration::from_secs(1);

/// Asks on the link of `interface` and collects offers for as long as `wait`: who offers, in the order of their
/// answers.
///
/// # Errors
/// As [`World::link`], and those of sending.
pub async fn discover(
    world: &World,
    interface: &str,
    settings: Settings,
    wait: Duration,
) -> io::Result<Vec<Found>> {
    let options = LinkOptions { udp_ports: vec![CLIENT_PORT], ..LinkOptions::default() };
    let socket = world.link(interface, &options)?;
    let flows = Flows::new(world);
    let mut discovery = Discovery::new(settings, &mut world.random());
    let until = world.now() + wait;
    let mut again = world.now();
    loop {
        let now = world.now();
        if now >= until {
            return Ok(discovery.found().to_vec());
        }
        if now >= again {
            ask(&socket, &flows, &discovery)?;
            again = now + AGAIN;
        }
        let received = world.timeout(again.min(until) - now, socket.receive()).await;
        let Some(LinkMessage { source_mac, content, .. }) = received.transpose()? else { continue };
        if let LinkContent::Udp { source, destination, octets } = content {
            let way = Way { direction: Direction::In, local: destination, remote: source, serving: false };
            flows.record(way, &octets, None);
            discovery.take(&octets, Some(source_mac.0));
        }
    }
}

fn ask(socket: &LinkSocket, flows: &Flows, discovery: &Discovery) -> io::Result<()> {
    let octets = discovery.message();
    let source = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT);
    let destination = SocketAddrV4::new(Ipv4Addr::BROADCAST, SERVER_PORT);
    let way = Way { direction: Direction::Out, local: source, remote: destination, serving: false };
    flows.record(way, &octets, None);
    socket.send(&LinkMessage {
        source_mac: socket.mac(),
        destination_mac: Mac::BROADCAST,
        content: LinkContent::Udp { source, destination, octets },
    })
}
