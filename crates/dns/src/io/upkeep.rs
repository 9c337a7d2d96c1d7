//! The zones of the config that move, and the way of a message to them: it leaves the reader thread, and
//! its answer comes back to the socket or the connection that it came from.

use core::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use doorway_base::config::Secret;
use doorway_net::World;
use doorway_net::udp::UdpReplier;
use tokio::sync::mpsc;

use super::SERVICE;
use super::journal::Journal;
use super::primary::Reply;
use super::stream::Late;
use super::transfers::{Remote, Role, Settings, Transfers};
use crate::authority::{Carrier, Published};
use crate::config::zones::{Peer, ZoneConfig};
use crate::config::{Config, KeyConfig};
use crate::error::Error;
use crate::wire::Name;
use crate::wire::rdata::from_base64;
use crate::wire::tsig::{Key, SECRET_OCTETS_MAX};
use crate::zone::Zone;

/// Messages that wait for an answer here at once, those over UDP and those over streams together.
pub const WAITING_MAX: usize = 1000;

/// Starts what moves the zones of `config`; `None` when none moves. `files` are the zones as their files
/// have them.
///
/// # Errors
/// A key that cannot be read, or a zone that the store kept and that cannot be used.
pub fn start(
    world: &World,
    config: &Config,
    journal: Option<&Journal>,
    published: &Published,
    files: &[Arc<Zone>],
) -> Result<Option<Upkeep>, Error> {
    let moving: Vec<(Name, Option<&ZoneConfig>)> = config.moving().collect();
    if moving.is_empty() {
        return Ok(None);
    }
    let keys: Vec<Arc<Key>> = config.keys.iter().map(key).collect::<Result<_, _>>()?;
    let mut settings = Vec::new();
    for (apex, zone) in &moving {
        settings.push(match zone {
            Some(zone) => settings_of(zone, &keys)?,
            None => Settings { made: true, ..Settings::primary(apex) },
        });
    }
    let started = Transfers::start(world, published, journal.cloned(), keys, settings, files);
    let transfers = doorway_store::wait(started)
        .map_err(|(apex, error)| Error::Kept { zone: apex.to_string(), error })?;
    Ok(Some(Upkeep { transfers, waiting: Arc::default(), world: world.clone() }))
}

fn key(config: &KeyConfig) -> Result<Arc<Key>, Error> {
    let wrong = |why: String| Error::Key { name: config.name.to_string(), why };
    let text = match &config.secret {
        Secret::Literal(text) => text.clone(),
        Secret::File(path) => std::fs::read_to_string(path)
            .map_err(|error| wrong(format!("{} cannot be read: {error}", path.display())))?,
        Secret::Env(name) => {
            std::env::var(name).map_err(|_| wrong(format!("the environment variable {name} is not set")))?
        }
    };
    let secret = from_base64(text.trim()).filter(|secret| secret.len() <= SECRET_OCTETS_MAX);
    let secret = secret.ok_or_else(|| wrong("expected a secret in base64".to_owned()))?;
    Ok(Arc::new(Key::new(&config.name, config.algorithm, &secret)))
}

fn settings_of(zone: &ZoneConfig, keys: &[Arc<Key>]) -> Result<Settings, Error> {
    let apex: Name = zone.name.parse().map_err(|fault| Error::Name { name: zone.name.clone(), fault })?;
    let remote = |peer: &Peer| {
        let named = |name: &Name| keys.iter().find(|key| key.name() == name).map(Arc::clone);
        Remote { address: peer.address, key: peer.key.as_deref().and_then(named) }
    };
    let moves = &zone.moves;
    let role = match moves.from.as_slice() {
        [] => Role::Primary,
        from => Role::Secondary(from.iter().map(remote).collect()),
    };
    Ok(Settings {
        role,
        notify: moves.notify.iter().map(remote).collect(),
        xfr: moves.xfr.clone(),
        update: moves.update.clone(),
        serial: moves.serial,
        ..Settings::primary(&apex)
    })
}

/// The zones that move, and those who wait for an answer about them. Clones are the same.
#[derive(Debug, Clone)]
pub struct Upkeep {
    transfers: Transfers,
    waiting: Arc<AtomicUsize>,
    world: World,
}

// One of the places that WAITING_MAX bounds.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Upkeep {
    /// What moves the zones.
    #[must_use]
    pub const fn transfers(&self) -> &Transfers {
        &self.transfers
    }

    fn place(&self) -> Option<Place> {
        let place = Place(Arc::clone(&self.waiting));
        (place.0.fetch_add(1, Relaxed) < WAITING_MAX).then_some(place)
    }

    /// Answers a datagram from the socket it came to; false when too many wait already.
    #[must_use]
    pub fn datagram(
        &self,
        message: &[u8],
        replier: UdpReplier,
        remote: SocketAddr,
        local: SocketAddr,
        flow: u64,
    ) -> bool {
        let Some(place) = self.place() else { return false };
        let (transfers, message) = (self.transfers.clone(), message.to_vec());
        self.world.spawn_background(SERVICE, async move {
            if let Reply::One(answer) = transfers.answer(&message, remote, Carrier::Datagram).await {
                replier.reply(remote, local, flow, &answer);
            }
            drop(place);
        });
        true
    }

    /// Answers a message of a connection, with many messages where it asks for a zone; the last one is
    /// marked, and may be empty. False when too many wait already.
    #[must_use]
    pub fn stream(&self, message: &[u8], remote: SocketAddr, connection: mpsc::Sender<Late>) -> bool {
        let Some(place) = self.place() else { return false };
        let (transfers, message, world) = (self.transfers.clone(), message.to_vec(), self.world.clone());
        self.world.spawn_background(SERVICE, async move {
            let reply = transfers.answer(&message, remote, Carrier::Stream).await;
            let last = match reply {
                Reply::Silence => Late::last(Vec::new()),
                Reply::One(answer) => Late::last(answer),
                Reply::Many(mut sending) => loop {
                    match sending.next_message(world.wall()) {
                        Ok(Some(message)) => {
                            if connection.send(Late { message, more: true }).await.is_err() {
                                return;
                            }
                        }
                        Ok(None) => break Late::last(Vec::new()),
                        Err(error) => {
                            // Without its end, no client takes the transfer for whole.
                            tracing::error!(%remote, %error, "a transfer is broken off");
                            break Late::last(Vec::new());
                        }
                    }
                },
            };
            // A connection that is gone has no need of it.
            let _ = connection.send(last).await;
            drop(place);
        });
        true
    }
}
