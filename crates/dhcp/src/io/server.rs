//! The server over a world: doors on the interfaces of the plan, the engine, the store.
//!
//! | file | what it holds |
//! | --- | --- |
//! | here | [`DhcpServer`]: start, reload, stop |
//! | `served` | the doors of one interface |
//! | `doors` | the loops that take messages in batches |
//! | `desk` | from the engine's decisions to the store, the links and the clients |
//! | `turn` | what one batch led to |
//! | `naming` | changes that mean something for DNS, gathered |
//! | `upkeep` | leases whose time is over; whether writing works again |
//! | `counters` | [`Counters`] |
//!
//! A DHCPACK leaves when the row of its lease is written (RFC 2131 §4.3.2: the lease is a promise). While one
//! batch is being written the next is read.

mod counters;
mod desk;
mod doors;
mod naming;
mod served;
mod turn;
mod upkeep;

use core::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use doorway_net::World;
use doorway_store::{Durability, Store};

pub use counters::Counters;
pub use naming::WAITING_MAX as NAMES_WAITING_MAX;

use self::desk::Desk;
use self::naming::Naming;
use self::served::Served;
use self::turn::{Then, Turn};
use crate::client::discovery::Found;
use crate::io::leases::{self, Restored};
use crate::io::names::Names;
use crate::io::rogue;
use crate::plan::{InterfacePlan, Mode, Plan};
use crate::server::{Now, Server, Settlement};
use crate::wire::SERVER_PORT;

/// Name of the service and of the protocol.
const SERVICE: &str = "dhcp";
/// Batches that are being written at one time; further messages wait in the sockets.
const BATCHES_UNDER_WAY_MAX: usize = 64;
/// How long a server that is stopped waits for what it is writing.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// What is done about other servers on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RogueCheck {
    /// Nobody looks for them.
    Off,
    /// They are reported.
    #[default]
    Warn,
    /// The interface is not served.
    Refuse,
}

/// How a server is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What it is to do.
    pub plan: Arc<Plan>,
    /// What a lease survives that a client was told of.
    pub durability: Durability,
    /// What is done about other servers.
    pub rogue_check: RogueCheck,
    /// The port that it listens on at its addresses: 67, but for tests.
    pub port: u16,
}

impl Settings {
    /// The usual set-up for a plan.
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        Self { plan, durability: Durability::Process, rogue_check: RogueCheck::Warn, port: SERVER_PORT }
    }
}

/// Why a server cannot be started.
#[derive(Debug)]
pub enum StartError {
    /// The leases could not be read.
    Store(doorway_store::Error),
    /// An interface could not be opened.
    Interface {
        /// Its name.
        name: String,
        /// What the system said.
        source: doorway_net::Error,
    },
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => write!(f, "the leases cannot be read: {error}"),
            Self::Interface { name, source } => write!(f, "DHCP cannot be served on {name}: {source}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Interface { source, .. } => Some(source),
        }
    }
}

/// A server that runs. Dropping it does not stop it; [`DhcpServer::stop`] does.
pub struct DhcpServer {
    desk: Arc<Desk>,
    served: Mutex<Vec<Arc<Served>>>,
    restored: Restored,
    port: u16,
}

impl std::fmt::Debug for DhcpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DhcpServer").field("addresses", &self.addresses()).finish_non_exhaustive()
    }
}

impl DhcpServer {
    /// Opens the doors, which takes the rights to listen on links and on ports below 1024, then reads the leases
    /// and begins to serve. With [`RogueCheck::Refuse`] it looks for other servers first, and stays away from
    /// the links that have one; with [`RogueCheck::Warn`] it looks while it serves.
    ///
    /// # Errors
    /// [`StartError`], when an interface cannot be opened or the leases cannot be read.
    pub async fn start(
        world: &World,
        store: Arc<dyn Store>,
        names: Option<Arc<dyn Names>>,
        settings: Settings,
    ) -> Result<Self, StartError> {
        let Settings { plan, durability, rogue_check, port } = settings;
        let boots = boots(&plan);
        let mut opened = Vec::new();
        for (place, interface) in plan.interfaces().iter().enumerate() {
            match Served::open(world, (place, interface), port, boots) {
                Ok((served, sockets)) => opened.push((Arc::new(served), sockets)),
                Err(source) => {
                    opened.iter().for_each(|(served, _)| served.close());
                    return Err(StartError::Interface { name: interface.name.clone(), source });
                }
            }
        }
        let mut engine = Server::new(Arc::clone(&plan), world.random());
        let now = Now { mono: world.now(), wall: world.wall() };
        let restored = leases::restore(&*store, now.wall, |lease| engine.restore(now, lease)).await;
        let restored = restored.map_err(|error| {
            opened.iter().for_each(|(served, _)| served.close());
            StartError::Store(error)
        })?;
        let desk = Desk::new(world, engine, store, durability, names.map(Naming::new));
        desk.probes.listen(&desk.stop);
        upkeep::start(&desk);
        let server = Self { desk, served: Mutex::default(), restored, port };
        for (served, sockets) in opened {
            if rogue_check == RogueCheck::Refuse && !server.look_on(&served).await.is_empty() {
                tracing::error!(
                    interface = served.name,
                    "another DHCP server answers there: it is not served"
                );
                served.close();
                continue;
            }
            doors::run(&server.desk, &served, sockets);
            server.served().push(served);
        }
        if rogue_check == RogueCheck::Warn {
            server.look_beside();
        }
        Ok(server)
    }

    fn served(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Served>>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bound addresses.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.served().iter().flat_map(|served| served.addresses().collect::<Vec<_>>()).collect()
    }

    /// What was found in the store at the start.
    #[must_use]
    pub fn restored(&self) -> Restored {
        self.restored
    }

    /// What the server has done so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.desk.counters
    }

    /// Questions whether an address is in use: how many were asked, had an answer, and were left out because of
    /// too many others or for want of a socket.
    #[must_use]
    pub fn probes(&self) -> (u64, u64, u64) {
        let probes = &self.desk.probes;
        (probes.asked.load(Relaxed), probes.in_use.load(Relaxed), probes.skipped.load(Relaxed))
    }

    /// Shows the engine and the time to `look`, which must not take long: no message is answered meanwhile.
    pub fn with<T>(&self, look: impl FnOnce(&mut Server, Now) -> T) -> T {
        let mut locked = self.desk.lock();
        let now = locked.now;
        look(&mut locked.engine, now)
    }

    /// Makes a change that a command asks for, and waits until it is written. False when `change` had none to
    /// make, or when it could not be written.
    pub async fn change(&self, change: impl FnOnce(&mut Server, Now) -> Option<Settlement>) -> bool {
        let Some(place) = self.desk.place().await else { return false };
        let (settled, outcome) = tokio::sync::oneshot::channel();
        {
            let mut locked = self.desk.lock();
            let now = locked.now;
            let Some(settlement) = change(&mut locked.engine, now) else { return false };
            let mut turn = Turn::default();
            self.desk.note_change(&mut turn, settlement, Then { reply: None, tell: Some(settled) });
            self.desk.act(turn, locked, place);
        }
        outcome.await.unwrap_or(false)
    }

    /// Goes on by another plan. Leases stay; interfaces that it does not name any more are closed, new ones
    /// opened.
    ///
    /// # Errors
    /// [`StartError::Interface`] when a new interface cannot be opened; everything then stays as it was.
    pub fn reload(&self, plan: Arc<Plan>, rogue_check: RogueCheck) -> Result<(), StartError> {
        let boots = boots(&plan);
        let mut all = self.served();
        let is_known = |interface: &InterfacePlan| all.iter().find(|served| served.is(interface)).cloned();
        let mut opened = Vec::new();
        for (place, interface) in plan.interfaces().iter().enumerate() {
            if is_known(interface).is_none() {
                match Served::open(&self.desk.world, (place, interface), self.port, boots) {
                    Ok((served, sockets)) => opened.push((Arc::new(served), sockets)),
                    Err(source) => {
                        opened.iter().for_each(|(served, _)| served.close());
                        return Err(StartError::Interface { name: interface.name.clone(), source });
                    }
                }
            }
        }
        let mut kept = Vec::new();
        {
            let mut locked = self.desk.lock();
            for served in all.drain(..) {
                match plan.interfaces().iter().position(|interface| served.is(interface)) {
                    Some(place) => {
                        served.place.store(place, Relaxed);
                        kept.push(served);
                    }
                    None => served.close(),
                }
            }
            locked.engine.replan(Arc::clone(&plan));
        }
        for (served, sockets) in opened {
            doors::run(&self.desk, &served, sockets);
            kept.push(served);
        }
        *all = kept;
        drop(all);
        if rogue_check != RogueCheck::Off {
            self.look_beside();
        }
        Ok(())
    }

    /// Looks for other servers on every link that is served; takes about two seconds. Gives the interface that
    /// each was found on.
    pub async fn look_for_others(&self) -> Vec<(String, Found)> {
        let all = self.served().clone();
        let mut others = Vec::new();
        for served in all {
            others.extend(self.look_on(&served).await.into_iter().map(|found| (served.name.clone(), found)));
        }
        others
    }

    async fn look_on(&self, served: &Served) -> Vec<Found> {
        look_on(&self.desk, served).await
    }

    fn look_beside(&self) {
        for served in self.served().iter() {
            let (desk, served) = (Arc::clone(&self.desk), Arc::clone(served));
            self.desk.world.spawn_background(SERVICE, async move {
                let stop = Arc::clone(&desk.stop);
                stop.or(look_on(&desk, &served)).await;
            });
        }
    }

    /// Takes no more messages, writes what is under way, sends what waits for it, and ends. Returns false when
    /// that took too long.
    pub async fn stop(&self) -> bool {
        for served in self.served().drain(..) {
            served.close();
        }
        self.desk.stop.tell();
        let all = BATCHES_UNDER_WAY_MAX as u32;
        let quiet = async { self.desk.under_way.acquire_many(all).await.is_ok_and(|_| true) };
        self.desk.world.timeout(STOP_WAIT, quiet).await.unwrap_or(false)
    }
}

async fn look_on(desk: &Desk, served: &Served) -> Vec<Found> {
    if served.card().is_none() {
        return Vec::new();
    }
    match rogue::look(&desk.world, &served.name, &[served.address]).await {
        Ok(found) => {
            counters::count(&desk.counters.rogues, found.len());
            for rogue in &found {
                let (server, offers) = (rogue.offer.server, rogue.offer.address);
                tracing::warn!(interface = served.name, %server, %offers, "another DHCP server answers on this link");
            }
            found
        }
        Err(error) => {
            tracing::warn!(interface = served.name, %error, "nobody could look for other DHCP servers");
            Vec::new()
        }
    }
}

/// Whether a subnet leaves addresses to another server, so that clients ask at the port of boot servers too.
fn boots(plan: &Plan) -> bool {
    plan.subnets().iter().any(|subnet| subnet.mode == Mode::Proxy)
}
