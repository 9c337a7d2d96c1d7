//! This host's part in other people's DHCP: the relay agent, and the clients of its own interfaces, as parts of
//! the program.

use core::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorway_base::trace::Transport;
use doorway_dhcp::config::{ClientConfig, RelayConfig};
use doorway_dhcp::io::{ClientAgent, ClientEvent, ClientHandle, Kept, RelayAgent};
use doorway_dhcp::relay::Counts;
use doorway_net::World;
use doorway_net::interface::Interface;

use crate::bindings;
use crate::config::Config;
use crate::failure::Failure;
use crate::first_run::OpenDoor;

/// Name of the service of clients.
const SERVICE: &str = "dhcp-client";
/// How long an interface that is not there, or cannot be listened on, is left alone.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Clients that begin with the program wait for up to this, so that not all hosts of a site ask at once.
const START_SPREAD: Duration = Duration::from_secs(1);
/// How long the program waits at its end for clients to give their addresses back.
const END_WAIT: Duration = Duration::from_secs(2);

/// The relay agent and the clients that run.
#[derive(Default)]
pub(crate) struct Agents {
    relay: Mutex<Relaying>,
    clients: Mutex<Holding>,
}

#[derive(Default)]
struct Relaying {
    config: RelayConfig,
    agent: Option<RelayAgent>,
}

#[derive(Default)]
struct Holding {
    config: Option<ClientConfig>,
    held: Vec<Arc<Held>>,
}

/// The client of one interface, for as long as the config names it.
struct Held {
    interface: String,
    ended: AtomicBool,
    handle: Mutex<Option<ClientHandle>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Agents {
    /// Relays by the table `dhcp.relay` from now on. Returns whether anything changed.
    pub(crate) fn set_relay(&self, world: &World, config: &Config) -> Result<bool, Failure> {
        let (new, _) = RelayConfig::read(config.section("dhcp.relay"));
        let mut relaying = lock(&self.relay);
        if relaying.config == new {
            return Ok(false);
        }
        let agent = if new.interfaces.is_empty() {
            None
        } else {
            let told = |error: doorway_net::Error| {
                let fix = error.advice();
                Failure::new(error.to_string()).fix(fix)
            };
            Some(RelayAgent::start(world, &new).map_err(told)?)
        };
        let old = std::mem::replace(&mut *relaying, Relaying { config: new, agent });
        if let Some(old) = old.agent {
            old.close();
        }
        Ok(true)
    }

    /// Has clients by the table `dhcp.client` from now on. Returns whether anything changed.
    pub(crate) fn set_clients(&self, world: &World, config: &Config, data: &Path) -> bool {
        let new = ClientConfig::read(config.section("dhcp.client"));
        let mut holding = lock(&self.clients);
        if holding.config.as_ref() == Some(&new) {
            return false;
        }
        let same = |old: &ClientConfig| {
            ClientConfig { interfaces: Vec::new(), ..old.clone() }
                == ClientConfig { interfaces: Vec::new(), ..new.clone() }
        };
        let keeps = holding.config.as_ref().is_some_and(same);
        let changed = holding.config.is_some() || !new.interfaces.is_empty();
        let stays = |held: &Arc<Held>| keeps && new.interfaces.contains(&held.interface);
        let (mut held, gone): (Vec<_>, Vec<_>) = holding.held.drain(..).partition(stays);
        gone.iter().for_each(|gone| gone.end());
        for interface in &new.interfaces {
            if held.iter().any(|held| held.interface == *interface) {
                continue;
            }
            let one = Arc::new(Held {
                interface: interface.clone(),
                ended: AtomicBool::new(false),
                handle: Mutex::new(None),
            });
            let task = Arc::clone(&one).hold(world.clone(), new.clone(), data.to_owned());
            world.spawn_background(SERVICE, task);
            held.push(one);
        }
        *holding = Holding { config: Some(new), held };
        changed
    }

    /// The clients that run now.
    pub(crate) fn clients(&self) -> Vec<ClientHandle> {
        lock(&self.clients).held.iter().filter_map(|held| lock(&held.handle).clone()).collect()
    }

    /// What the relay agent has done, if there is one.
    pub(crate) fn relay_counts(&self) -> Option<Counts> {
        lock(&self.relay).agent.as_ref().map(RelayAgent::counts)
    }

    /// What the relay agent has open, for the table that `up` prints.
    pub(crate) fn doors(&self, world: &World) -> Vec<OpenDoor> {
        let known = world.interfaces().unwrap_or_default();
        let relaying = lock(&self.relay);
        let has = |interface: &Interface, ip: IpAddr| interface.v4().any(|(own, _)| IpAddr::V4(own) == ip);
        let locals = relaying.agent.iter().flat_map(RelayAgent::locals);
        let door = |local: SocketAddr| OpenDoor {
            table: "dhcp.relay",
            key: "interfaces",
            transport: Transport::Udp,
            local,
            interface: known
                .iter()
                .find(|interface| has(interface, local.ip()))
                .map(|interface| interface.name.clone()),
        };
        locals.map(door).collect()
    }

    /// Ends all of them, and waits until clients have given back what they are to give back.
    pub(crate) async fn close(&self, world: &World) {
        if let Some(agent) = &lock(&self.relay).agent {
            agent.close();
        }
        let clients = self.clients();
        lock(&self.clients).held.iter().for_each(|held| held.end());
        for client in clients {
            let _ = world.timeout(END_WAIT, client.wait_for(|_| false)).await;
        }
    }
}

impl Held {
    fn end(&self) {
        self.ended.store(true, SeqCst);
        if let Some(handle) = &*lock(&self.handle) {
            handle.end();
        }
    }

    /// Holds an address for the interface; one that is not there yet may come.
    async fn hold(self: Arc<Self>, world: World, config: ClientConfig, data: PathBuf) {
        let interface = self.interface.as_str();
        let mut told = String::new();
        while !self.ended.load(SeqCst) {
            match self.open(&world, &config, &data) {
                // Ended meanwhile, by who found no handle to tell it by.
                Ok(_) if self.ended.load(SeqCst) => break,
                Ok(agent) => {
                    told.clear();
                    agent.run(|event| log(interface, event)).await;
                    *lock(&self.handle) = None;
                }
                Err(failure) if failure.to_string() == told => {}
                Err(failure) => {
                    told = failure.to_string();
                    tracing::warn!(interface, "no address is asked for: {told}");
                }
            }
            if !self.ended.load(SeqCst) {
                world.sleep(LOOK_EVERY).await;
            }
        }
    }

    fn open(&self, world: &World, config: &ClientConfig, data: &Path) -> Result<ClientAgent, Failure> {
        let hardware = bindings::hardware(world, &self.interface)?;
        let mut options = bindings::client_options(config, Kept::within(data), hardware)?;
        options.settings.start_spread = START_SPREAD;
        let opened = ClientAgent::open(world, &self.interface, options);
        let (agent, handle) =
            opened.map_err(|error| bindings::refused(&self.interface, &error, config.apply))?;
        *lock(&self.handle) = Some(handle);
        Ok(agent)
    }
}

fn log(interface: &str, event: &ClientEvent) {
    match event {
        ClientEvent::Bound(_) => tracing::info!(interface, "{event}"),
        ClientEvent::Entered(_) | ClientEvent::Informed(_) => tracing::debug!(interface, "{event}"),
        _ => tracing::warn!(interface, "{event}"),
    }
}
