//! What is known of the servers of an upstream, and the choice among them.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorway_base::Random;
use doorway_net::World;

use crate::config::UpstreamConfig;
use crate::proxy::address::{ServerAddress, ServerPlace};
use crate::proxy::balance::{Balancer, Candidate, hash};
use crate::proxy::breaker::Breaker;
use crate::proxy::health::{Health, Thresholds};

use super::super::client::{Peer, Place};

/// The servers of one upstream.
pub(super) struct Servers {
    world: World,
    addresses: Vec<Server>,
    connections_max: u32,
    failures_max: u32,
    slow_start: Duration,
    upstream: String,
    state: Mutex<State>,
}

/// A server that does not change.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) address: ServerAddress,
    pub(super) peer: Peer,
    identity: u64,
}

struct State {
    servers: Vec<Known>,
    balancer: Balancer,
    random: Random,
    candidates: Vec<Candidate>,
}

/// What is known of one server.
#[derive(Debug, Default)]
struct Known {
    health: Health,
    breaker: Breaker,
    active: u32,
    counts: ServerCounts,
    last_failure: String,
}

/// What a server has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerCounts {
    /// Requests that it was asked.
    pub requests: u64,
    /// Those that came to nothing.
    pub failures: u64,
    /// Those of its responses that said 500 or more.
    pub errors: u64,
    /// How often it was left alone for a while.
    pub opened: u64,
    /// Octets of content that it sent.
    pub octets: u64,
    /// Time from the request to the response's head, all responses together.
    pub waited: Duration,
    /// How many responses that were.
    pub responses: u64,
}

/// What can be told of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRow {
    /// Its address.
    pub name: String,
    /// Whether checks find it well.
    pub up: bool,
    /// The state of its breaker: `closed`, `open` or `half-open`.
    pub breaker: &'static str,
    /// Requests under way.
    pub active: u32,
    /// Its share against the others.
    pub weight: u32,
    /// Whether it is asked only when no other can be.
    pub backup: bool,
    /// What it has done.
    pub counts: ServerCounts,
    /// Why a request or a check came to nothing last; empty when none did.
    pub last_failure: String,
}

impl Servers {
    /// # Errors
    /// A text for the operator when an address cannot be read.
    pub(super) fn new(world: &World, config: &UpstreamConfig) -> Result<Self, String> {
        let mut addresses = Vec::new();
        for text in &config.servers {
            let address: ServerAddress = text.parse()?;
            let tls_name = address.secure.then(|| {
                config.tls_name.clone().unwrap_or_else(|| match &address.place {
                    ServerPlace::Host(host, _) => host.clone(),
                    ServerPlace::Unix(_) => "localhost".to_owned(),
                })
            });
            let place = match &address.place {
                ServerPlace::Host(host, port) => Place::Host(host.clone(), *port),
                ServerPlace::Unix(path) => Place::Unix(path.into()),
            };
            let peer = Peer { place, tls_name, prior_knowledge: address.prior_knowledge };
            let identity = hash(address.name.as_bytes());
            addresses.push(Server { address, peer, identity });
        }
        let state = State {
            servers: addresses.iter().map(|_| Known::default()).collect(),
            balancer: Balancer::new(config.balance),
            random: world.random(),
            candidates: Vec::new(),
        };
        Ok(Self {
            world: world.clone(),
            addresses,
            connections_max: config.connections_max,
            failures_max: config.failures_max,
            slow_start: config.slow_start,
            upstream: config.name.clone(),
            state: Mutex::new(state),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every server, in the order of the config.
    pub(super) fn all(&self) -> &[Server] {
        &self.addresses
    }

    /// Chooses a server that was not `tried`; those that stand in for others only when none of the others can be
    /// asked. It is busy until what is returned is dropped.
    pub(super) fn choose(self: &Arc<Self>, hash: u64, tried: &[usize]) -> Option<Busy> {
        let now = self.world.now();
        let mut guard = self.state();
        let State { servers, balancer, random, candidates } = &mut *guard;
        for backup in [false, true] {
            candidates.clear();
            for (place, (server, known)) in self.addresses.iter().zip(servers.iter()).enumerate() {
                let open = server.address.backup == backup
                    && !tried.contains(&place)
                    && known.active < self.connections_max
                    && known.breaker.lets_through(now);
                let share = if open { known.health.share(now, self.slow_start) } else { 0 };
                let share = share.saturating_mul(server.address.weight);
                candidates.push(Candidate { share, active: known.active, identity: server.identity });
            }
            if let Some(place) = balancer.choose(candidates, hash, random) {
                let known = &mut servers[place];
                known.active += 1;
                known.counts.requests += 1;
                known.breaker.began(now);
                return Some(Busy { servers: Arc::clone(self), place, told: false, octets: 0 });
            }
        }
        None
    }

    /// Notes what a check found.
    pub(super) fn checked(&self, place: usize, found: &Result<(), String>, when: Thresholds) {
        let now = self.world.now();
        let mut state = self.state();
        let known = &mut state.servers[place];
        if let Err(why) = found {
            known.last_failure.clone_from(why);
        }
        if !known.health.checked(now, found.is_ok(), when) {
            return;
        }
        let (upstream, server) = (&self.upstream, &self.addresses[place].address.name);
        match found {
            Ok(()) => tracing::info!(upstream, server, "a server is well again"),
            Err(why) => tracing::warn!(upstream, server, why, "a server is not well and gets no requests"),
        }
    }

    /// What can be told of each server.
    pub(super) fn rows(&self) -> Vec<ServerRow> {
        let now = self.world.now();
        let state = self.state();
        let row = |(server, known): (&Server, &Known)| ServerRow {
            name: server.address.name.clone(),
            up: known.health.is_up(),
            breaker: known.breaker.name(now),
            active: known.active,
            weight: server.address.weight,
            backup: server.address.backup,
            counts: known.counts,
            last_failure: known.last_failure.clone(),
        };
        self.addresses.iter().zip(&state.servers).map(row).collect()
    }
}

/// A server that has a request under way. To drop it without a word says that nothing was learnt.
pub(super) struct Busy {
    servers: Arc<Servers>,
    place: usize,
    told: bool,
    /// Octets that it sent and that are not counted yet.
    octets: u64,
}

impl Busy {
    pub(super) const fn place(&self) -> usize {
        self.place
    }

    pub(super) fn server(&self) -> &Server {
        &self.servers.addresses[self.place]
    }

    fn change(&mut self, change: impl FnOnce(&mut Known, &Servers)) {
        self.told = true;
        change(&mut self.servers.state().servers[self.place], &self.servers);
    }

    /// Notes that a response came.
    pub(super) fn answered(&mut self, status: u16, waited: Duration) {
        self.change(|known, _| {
            known.breaker.succeeded();
            known.counts.responses += 1;
            known.counts.waited += waited;
            known.counts.errors += u64::from(status >= 500);
        });
    }

    /// Notes that the request came to nothing, and why.
    pub(super) fn failed(&mut self, why: &str) {
        let now = self.servers.world.now();
        let name = self.server().address.name.clone();
        self.change(|known, servers| {
            known.counts.failures += 1;
            why.clone_into(&mut known.last_failure);
            if known.breaker.failed(now, servers.failures_max) {
                known.counts.opened += 1;
                let upstream = &servers.upstream;
                tracing::warn!(upstream, server = name, why, "a server fails and is left alone for a while");
            }
        });
    }

    /// Counts content that the server sent.
    pub(super) const fn received(&mut self, octets: usize) {
        self.octets += octets as u64;
    }

    /// Notes that a response broke off.
    pub(super) fn broke_off(&mut self, error: &io::Error) {
        self.failed(&format!("the response broke off: {error}"));
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let known = &mut self.servers.state().servers[self.place];
        known.active -= 1;
        known.counts.octets += self.octets;
        if !self.told {
            known.breaker.abandoned(self.servers.world.now());
        }
    }
}
