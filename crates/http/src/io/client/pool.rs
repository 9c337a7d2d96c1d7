//! Connections that wait for their next request, or take several at a time, by whom they lead to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use doorway_base::Instant;

use super::h2::Shared;
use super::link::Link;
use super::{Peer, Settings};

/// Peers of which it is remembered what they speak.
const PEERS_MAX: usize = 1024;

/// What is known of a peer that may speak HTTP/2.
#[derive(Default)]
pub(super) struct Known {
    /// Whether it turned out to speak HTTP/1.
    pub(super) http1: bool,
    /// The connection that its requests share.
    pub(super) shared: Option<Arc<Shared>>,
    /// Whoever connects holds this, and the others wait for what comes of it.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
}

/// The connections, those used last at the end of each list.
#[derive(Default)]
pub(super) struct Pool {
    idle: BTreeMap<Peer, Vec<(Instant, Link)>>,
    count: usize,
    known: BTreeMap<Peer, Known>,
}

impl Pool {
    /// What is known of a peer. When there are too many, those are forgotten that have no connection.
    pub(super) fn known(&mut self, peer: &Peer) -> &mut Known {
        if self.known.len() >= PEERS_MAX && !self.known.contains_key(peer) {
            self.known.retain(|_, known| known.shared.as_ref().is_some_and(|shared| shared.is_open()));
            if self.known.len() >= PEERS_MAX {
                self.known.pop_first();
            }
        }
        self.known.entry(peer.clone()).or_default()
    }

    /// A connection to `peer` that has not ended, the one used last first.
    pub(super) fn take(&mut self, peer: &Peer, now: Instant, idle: Duration) -> Option<Link> {
        let list = self.idle.get_mut(peer)?;
        let mut found = None;
        while let Some((since, mut link)) = list.pop() {
            self.count -= 1;
            if now - since < idle && link.is_quiet() {
                found = Some(link);
                break;
            }
        }
        if list.is_empty() {
            self.idle.remove(peer);
        }
        found
    }

    /// Keeps a connection, and lets those go whose time is over or which are too many.
    pub(super) fn put(&mut self, peer: Peer, link: Link, now: Instant, settings: &Settings) {
        let mut count = 0;
        self.idle.retain(|_, list| {
            list.retain(|(since, _)| now - *since < settings.idle);
            count += list.len();
            !list.is_empty()
        });
        self.count = count;
        let list = self.idle.entry(peer).or_default();
        if self.count < settings.idle_max && list.len() < settings.idle_per_origin_max {
            list.push((now, link));
            self.count += 1;
        }
    }
}
