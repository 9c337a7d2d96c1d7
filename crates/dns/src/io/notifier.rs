//! NOTIFY sent: one task and one socket of each address family for all zones.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, Weak};
use std::task::Poll;
use std::time::Duration;

use doorway_base::Instant;
use doorway_base::trace::{Direction, Transport};
use doorway_net::ground::ListenOptions;
use doorway_net::udp::UdpClient;

use super::PORT;
use super::transfers::{Inner, Moving, lock};
use crate::transfer::notify::{self, Telling};
use crate::wire::tsig::Chain;
use crate::wire::{Message, Name, Type};
use crate::zone::{Zone, Zones};

/// How long the task sleeps at most: after that it sees that its server is gone.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// Octets of an answer that are read.
const ANSWER_OCTETS_MAX: usize = 4096;

/// Which zones have changed since their secondaries were told.
#[derive(Debug, Default)]
pub(super) struct Notifier {
    changed: Mutex<BTreeSet<Name>>,
    bell: std::sync::Arc<tokio::sync::Notify>,
}

impl Notifier {
    pub(super) fn changed(&self, apex: &Name) {
        lock(&self.changed).insert(apex.clone());
        self.bell.notify_one();
    }
}

/// Tells secondaries until the server is gone.
pub(super) async fn run(inner: Weak<Inner>) {
    let Some(held) = inner.upgrade() else { return };
    let world = held.world.clone();
    let bell = std::sync::Arc::clone(&held.notifier.bell);
    drop(held);
    let open = |any: IpAddr| {
        let socket = world.udp(SocketAddr::new(any, 0), &ListenOptions::default()).ok()?;
        socket.start().ok()
    };
    let sockets = [open(Ipv4Addr::UNSPECIFIED.into()), open(Ipv6Addr::UNSPECIFIED.into())];
    let mut telling: BTreeMap<Name, Telling> = BTreeMap::new();
    loop {
        let Some(held) = inner.upgrade() else { return };
        let now = world.now();
        held.begin(&mut telling, now);
        held.send_due(&mut telling, &sockets, now).await;
        let next = telling.values().filter_map(Telling::next).min();
        drop(held);
        let pause = next.map_or(SLEEP_MAX, |next| next.since(world.now()).min(SLEEP_MAX));
        let heard = world.timeout(pause, first(&sockets, &bell)).await.flatten();
        let Some(held) = inner.upgrade() else { return };
        if let Some((remote, octets)) = heard {
            held.answered(&mut telling, remote, &octets);
        }
    }
}

// The first answer, or nothing when the bell rings.
async fn first(
    sockets: &[Option<UdpClient>; 2],
    bell: &tokio::sync::Notify,
) -> Option<(SocketAddr, Vec<u8>)> {
    let [four, six] = sockets;
    let (mut rung, mut four, mut six) = (pin!(bell.notified()), pin!(receive(four)), pin!(receive(six)));
    poll_fn(|cx| {
        if rung.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(heard) = four.as_mut().poll(cx) {
            return Poll::Ready(Some(heard));
        }
        six.as_mut().poll(cx).map(Some)
    })
    .await
}

async fn receive(socket: &Option<UdpClient>) -> (SocketAddr, Vec<u8>) {
    let Some(socket) = socket else { return std::future::pending().await };
    let mut room = vec![0; ANSWER_OCTETS_MAX];
    loop {
        // An error is that of a datagram sent before, which nobody took.
        if let Ok((count, remote)) = socket.receive(&mut room).await {
            room.truncate(count);
            return (remote, room);
        }
    }
}

impl Inner {
    fn begin(&self, telling: &mut BTreeMap<Name, Telling>, now: Instant) {
        let changed = std::mem::take(&mut *lock(&self.notifier.changed));
        let zones = self.published.current();
        for apex in changed {
            let (Some(moving), Some(zone)) = (self.zones.get(&apex), zones.named(&apex)) else { continue };
            let targets = targets(moving, zone, &zones);
            let mut random = lock(&self.random);
            telling.entry(apex).or_default().begin(now, &targets, &mut random);
        }
    }

    async fn send_due(
        &self,
        telling: &mut BTreeMap<Name, Telling>,
        sockets: &[Option<UdpClient>; 2],
        now: Instant,
    ) {
        let zones = self.published.current();
        for (apex, telling) in &mut *telling {
            let (Some(moving), Some(zone)) = (self.zones.get(apex), zones.named(apex)) else { continue };
            for (remote, id) in telling.due(now) {
                let mut request = notify::request(id, &zone.soa());
                let key = moving.settings.notify.iter().find(|target| target.address == remote);
                if let Some(key) = key.and_then(|target| target.key.as_ref()) {
                    let _answered_by_anybody = Chain::request(key, &mut request, self.world.wall());
                }
                let socket = &sockets[usize::from(remote.is_ipv6())];
                let local = socket.as_ref().and_then(|socket| socket.local().ok());
                self.record(self.flow(Transport::Udp, local, remote), Direction::Out, &request);
                if let Some(socket) = socket
                    && let Err(error) = socket.send(&request, remote).await
                {
                    tracing::debug!(zone = %apex, %remote, %error, "NOTIFY could not be sent");
                }
            }
        }
        telling.retain(|_, telling| telling.next().is_some());
    }

    fn answered(&self, telling: &mut BTreeMap<Name, Telling>, remote: SocketAddr, octets: &[u8]) {
        self.record(self.flow(Transport::Udp, None, remote), Direction::In, octets);
        let Ok(message) = Message::read(octets) else { return };
        for (apex, telling) in telling {
            if telling.answered(remote, &message) {
                tracing::debug!(zone = %apex, %remote, rcode = %message.rcode(), "NOTIFY answered");
            }
        }
    }
}

// RFC 1996 §2.3 and §3.1: the name servers of the zone but its primary, as far as their addresses are in a
// zone of ours, and whoever is configured.
fn targets(moving: &Moving, zone: &Zone, zones: &Zones) -> Vec<SocketAddr> {
    let mut targets: Vec<SocketAddr> = moving.settings.notify.iter().map(|remote| remote.address).collect();
    if !moving.settings.notify_servers {
        return targets;
    }
    let primary = Name::read(&mut doorway_base::Reader::new(&zone.soa().rdata)).unwrap_or_default();
    let apex = zone.node_of(zone.apex(), zones.secret()).map(|node| node.records()).unwrap_or_default();
    for server in apex.iter().filter(|record| record.kind == Type::NS) {
        let Ok(name) = Name::from_wire(&server.rdata) else { continue };
        if name == primary {
            continue;
        }
        let mut key = crate::zone::Key::default();
        if key.set(zones.secret(), name.as_octets()).is_none() {
            continue;
        }
        let Some(home) = zones.find(&key, 0) else { continue };
        let records = home.node_of(&name, zones.secret()).map(|node| node.records()).unwrap_or_default();
        for record in records {
            let address = match (record.kind, record.rdata.as_slice()) {
                (Type::A, &[a, b, c, d]) => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
                (Type::AAAA, octets) => match <[u8; 16]>::try_from(octets) {
                    Ok(octets) => IpAddr::V6(Ipv6Addr::from(octets)),
                    Err(_) => continue,
                },
                _ => continue,
            };
            targets.push(SocketAddr::new(address, PORT));
        }
    }
    targets
}
