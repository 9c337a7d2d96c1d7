//! The loops that take messages in batches: one for each socket of an address, one for each link.

use core::net::{SocketAddr, SocketAddrV4};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use doorway_net::batch::{BatchSocket, DATAGRAMS_MAX};
use doorway_net::link::{LinkContent, LinkMessage};

use super::SERVICE;
use super::counters::count;
use super::desk::Desk;
use super::served::{Card, Served};
use super::turn::{Turn, Way};

/// After an error of receiving, the next attempt waits this long: it may be one that stays.
const PAUSE: Duration = Duration::from_millis(10);
/// How often it is tried to listen on a link again that was lost.
const AGAIN: Duration = Duration::from_secs(10);

/// Begins to serve an interface.
pub(super) fn run(desk: &Arc<Desk>, served: &Arc<Served>, sockets: Vec<BatchSocket>) {
    for (worker, socket) in sockets.into_iter().enumerate() {
        let (desk, served) = (Arc::clone(desk), Arc::clone(served));
        let world = desk.world.clone();
        world.spawn_on(worker, SERVICE, unicast(desk, served, socket));
    }
    if served.card().is_some() {
        let (desk, served) = (Arc::clone(desk), Arc::clone(served));
        let world = desk.world.clone();
        world.spawn_on(served.place.load(Relaxed), SERVICE, link(desk, served));
    }
}

/// Takes what is sent to an address of ours: renewals, and what relay agents pass on.
async fn unicast(desk: Arc<Desk>, served: Arc<Served>, socket: BatchSocket) {
    let mut receiver = match socket.start() {
        Ok(receiver) => receiver,
        Err(error) => {
            tracing::error!(%error, interface = served.name, "a socket could not be started");
            return;
        }
    };
    let SocketAddr::V4(local) = receiver.local() else { return };
    served.lend(receiver.sender());
    let sender = Some(receiver.sender());
    let way = Way { served: Arc::clone(&served), sender, port: local.port() };
    while let Some(received) = receiver.receive().await {
        let count = match received {
            Ok(count) => count,
            Err(error) => {
                tracing::debug!(%error, interface = served.name, "receiving failed");
                desk.world.sleep(PAUSE).await;
                continue;
            }
        };
        let Some(place) = desk.place().await else { return };
        let (mut turn, mut locked) = (Turn::default(), desk.lock());
        for index in 0..count {
            let Some(datagram) = receiver.datagram(index) else { continue };
            let SocketAddr::V4(remote) = datagram.remote else { continue };
            desk.take(&mut turn, &mut locked, (remote, local), datagram.octets, &way);
        }
        desk.act(turn, locked, place);
    }
}

/// Takes what is sent to everybody on a link, and opens the link again when it was lost.
async fn link(desk: Arc<Desk>, served: Arc<Served>) {
    while let Some(card) = served.card() {
        desk.probes.listen_on(&card.arp, &desk.stop);
        if !listen(&desk, &served, &card).await {
            return;
        }
        drop(card);
        served.set_card(None);
        count(&desk.counters.links_lost, 1);
        tracing::error!(interface = served.name, "the interface is gone: clients on its link are not heard");
        let mut told = false;
        loop {
            if desk.stop.or(desk.world.sleep(AGAIN)).await.is_none() {
                return;
            }
            match Card::open(&desk.world, &served.name) {
                Ok(card) => {
                    tracing::info!(interface = served.name, "the interface is back");
                    served.set_card(Some(Arc::new(card)));
                    break;
                }
                Err(error) if !told => {
                    told = true;
                    tracing::warn!(%error, interface = served.name, "the interface is not back yet");
                }
                Err(_) => {}
            }
        }
    }
}

/// Listens until the door is closed, which gives false, or the interface is gone.
async fn listen(desk: &Arc<Desk>, served: &Arc<Served>, card: &Card) -> bool {
    while let Some(received) = card.door.receive().await {
        let outcome = match received {
            Ok(first) => {
                let Some(place) = desk.place().await else { return false };
                let (mut turn, mut locked) = (Turn::default(), desk.lock());
                let outcome = take(served, card, first, |source, destination, octets, way| {
                    desk.take(&mut turn, &mut locked, (source, destination), octets, way);
                });
                desk.act(turn, locked, place);
                outcome
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return true,
            Err(error) => {
                tracing::warn!(%error, interface = served.name, "nothing is heard from the link");
                desk.world.sleep(PAUSE).await;
            }
        }
    }
    false
}

/// Shows a first message, and those that wait behind it, to `show`.
fn take(
    served: &Arc<Served>,
    card: &Card,
    first: LinkMessage,
    mut show: impl FnMut(SocketAddrV4, SocketAddrV4, &[u8], &Way),
) -> io::Result<()> {
    let mut next = Some(first);
    let mut count = 0;
    while let Some(LinkMessage { content, .. }) = next {
        if let LinkContent::Udp { source, destination, octets } = content
            && !is_for_sockets(served, destination)
        {
            let port = destination.port();
            let way = Way { served: Arc::clone(served), sender: None, port };
            show(source, destination, &octets, &way);
        }
        count += 1;
        next = if count < DATAGRAMS_MAX { card.door.try_receive()? } else { None };
    }
    Ok(())
}

/// A frame for all cards may hold a datagram for our address alone, which comes to the socket of the address
/// as well.
fn is_for_sockets(served: &Served, destination: SocketAddrV4) -> bool {
    *destination.ip() == served.address
}
