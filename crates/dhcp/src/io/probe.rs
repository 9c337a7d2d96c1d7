//! Asking whether somebody uses an address before it is offered: ARP on our links (RFC 5227 §2.1.1, as a
//! server asks), ICMP echo behind relay agents (RFC 2131 §2.2).
//!
//! Who waits for an answer waits alone: questions about other addresses go on beside it. Not here: which
//! addresses are asked for, and what follows from the answer.

use core::net::Ipv4Addr;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorway_net::World;
use doorway_net::link::{LinkContent, LinkMessage, LinkOptions, LinkSocket};
use doorway_net::pinger::Pinger;
use tokio::sync::Notify;

use crate::io::stop::Stop;
use crate::server::Means;

/// Questions that wait for an answer at the most; what comes beyond is taken as unanswered at once.
pub(crate) const PROBES_MAX: usize = 4096;
/// Between two attempts to receive after one that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Asks, and hears the answers.
pub(crate) struct Probes {
    world: World,
    service: &'static str,
    pinger: Option<Pinger>,
    waiting: Mutex<BTreeMap<Ipv4Addr, Arc<Notify>>>,
    sequence: AtomicU16,
    /// Questions asked.
    pub(crate) asked: AtomicU64,
    /// Addresses that somebody answered for.
    pub(crate) in_use: AtomicU64,
    /// Questions that could not be asked: too many at once, or no socket to ask with.
    pub(crate) skipped: AtomicU64,
}

/// The ARP socket of one interface.
pub(crate) struct ArpSocket(Arc<LinkSocket>);

impl ArpSocket {
    /// Opens it; asking takes no rights afterwards.
    ///
    /// # Errors
    /// As [`World::link`].
    pub(crate) fn open(world: &World, interface: &str) -> std::io::Result<Self> {
        let options = LinkOptions { arp: true, ..LinkOptions::default() };
        Ok(Self(Arc::new(world.link(interface, &options)?)))
    }
}

impl Probes {
    /// With a socket for echoes, if this process may have one. It answers nothing before
    /// [`Probes::listen`] is called.
    pub(crate) fn new(world: &World, service: &'static str) -> Self {
        let pinger = world.pinger();
        if let Err(error) = &pinger {
            tracing::warn!(%error, "addresses behind relay agents are offered without a probe: no ICMP socket");
        }
        Self {
            world: world.clone(),
            service,
            pinger: pinger.ok(),
            waiting: Mutex::default(),
            sequence: AtomicU16::new(0),
            asked: AtomicU64::new(0),
            in_use: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
        }
    }

    /// Hears the answers to echoes until `stop`.
    pub(crate) fn listen(self: &Arc<Self>, stop: &Arc<Stop>) {
        if self.pinger.is_some() {
            let (probes, stop) = (Arc::clone(self), Arc::clone(stop));
            self.world.spawn_background(self.service, async move {
                let Some(pinger) = &probes.pinger else { return };
                while let Some(received) = stop.or(pinger.receive()).await {
                    match received {
                        Ok((from, _)) => probes.heard(from),
                        Err(_) => probes.world.sleep(PAUSE).await,
                    }
                }
            });
        }
    }

    /// Hears ARP on one interface until `stop`.
    pub(crate) fn listen_on(self: &Arc<Self>, arp: &ArpSocket, stop: &Arc<Stop>) {
        let (probes, stop, socket) = (Arc::clone(self), Arc::clone(stop), Arc::clone(&arp.0));
        self.world.spawn_background(self.service, async move {
            while let Some(received) = stop.or(socket.receive()).await {
                match received.map(|message| message.content) {
                    Ok(LinkContent::Arp { sender_ip, .. }) => probes.heard(sender_ip),
                    Ok(LinkContent::Udp { .. }) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
                    Err(_) => probes.world.sleep(PAUSE).await,
                }
            }
        });
    }

    /// Whether somebody uses `address`, as far as an answer comes within `wait`.
    pub(crate) async fn ask(
        &self,
        arp: Option<&ArpSocket>,
        address: Ipv4Addr,
        means: Means,
        wait: Duration,
    ) -> bool {
        let Some(heard) = self.expect(address) else {
            self.skipped.fetch_add(1, Relaxed);
            return false;
        };
        let sent = match (means, arp, &self.pinger) {
            (Means::Arp, Some(ArpSocket(socket)), _) => {
                socket.send(&LinkMessage::arp_probe(socket.mac(), address)).is_ok()
            }
            (Means::Icmp, _, Some(pinger)) => {
                pinger.send(address, self.sequence.fetch_add(1, Relaxed)).is_ok()
            }
            _ => false,
        };
        let (count, in_use) = match sent {
            true => (&self.asked, self.world.timeout(wait, heard.notified()).await.is_some()),
            false => (&self.skipped, false),
        };
        count.fetch_add(1, Relaxed);
        self.in_use.fetch_add(u64::from(in_use), Relaxed);
        self.waiting().remove(&address);
        in_use
    }

    /// A place to be told at; `None` when there are too many, or somebody asks already.
    fn expect(&self, address: Ipv4Addr) -> Option<Arc<Notify>> {
        let mut waiting = self.waiting();
        if waiting.len() >= PROBES_MAX || waiting.contains_key(&address) {
            return None;
        }
        let heard = Arc::new(Notify::new());
        waiting.insert(address, Arc::clone(&heard));
        Some(heard)
    }

    fn heard(&self, from: Ipv4Addr) {
        if let Some(asked) = self.waiting().get(&from) {
            asked.notify_one();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<Ipv4Addr, Arc<Notify>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
