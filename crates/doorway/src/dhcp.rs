//! DHCP as a part of the program: the interfaces that the config names as they are now, the server on them, and
//! files for machines that boot.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorway_base::config::Listen;
use doorway_base::trace::Transport;
use doorway_dhcp::Plan;
use doorway_dhcp::config::{Config as DhcpConfig, NamesFor, RogueCheck, Site, SiteInterface};
use doorway_dhcp::io::tftp::Tftp;
use doorway_dhcp::io::{self, DhcpServer, Names};
use doorway_dhcp::server::DropReason;
use doorway_dhcp::tftp;
use doorway_dhcp::wire::MessageType;
use doorway_http::config::ForwardConfig;
use doorway_net::World;
use doorway_net::interface::Interface;
use doorway_net::udp::UdpDoor;
use doorway_store::{Durability, Store, wait};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use crate::config::Config;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::first_run::OpenDoor;
use crate::lease_names::{self, LeaseNames};
use crate::leasing;

/// How often the interfaces are looked at: one may come, go, or get another address.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Whether this machine hands packets on.
const FORWARDS: &str = "/proc/sys/net/ipv4/ip_forward";
/// Where it sends packets.
const ROUTES: &str = "/proc/net/route";

/// What the config says about DHCP, and what it means on this machine now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) config: DhcpConfig,
    pub(crate) site: Site,
    /// Interfaces that the config names and that are not there, or have no address.
    pub(crate) absent: Vec<String>,
}

impl Settings {
    /// Reads the table, and looks at the interfaces that it names.
    pub(crate) fn read(world: &World, config: &Config) -> Self {
        let (dhcp, _) = DhcpConfig::read(config.section("dhcp"));
        let there =
            if dhcp.interfaces.is_empty() { Vec::new() } else { world.interfaces().unwrap_or_default() };
        let dns = config.section("dns").listen("listen");
        let forward = ForwardConfig::read(config.section("http.forward"));
        let forwards = std::fs::read_to_string(FORWARDS).is_ok_and(|text| text.trim() == "1");
        let routes = std::fs::read_to_string(ROUTES).unwrap_or_default();
        let (mut interfaces, mut absent) = (Vec::new(), Vec::new());
        for name in &dhcp.interfaces {
            let address = there.iter().find(|interface| interface.name == *name).and_then(first_address);
            let Some((address, prefix)) = address else {
                absent.push(name.clone());
                continue;
            };
            let router = if forwards { Some(address) } else { gateway(&routes, name) };
            let has_dns = answers_at(dns, address).any(|port| port == doorway_dns::io::PORT);
            let port = answers_at(&forward.listen, address).next();
            let proxy_auto_config = port
                .filter(|_| forward.pac.is_some())
                .map(|port| format!("http://{address}:{port}/wpad.dat"));
            let name = name.clone();
            interfaces.push(SiteInterface { name, address, prefix, router, has_dns, proxy_auto_config });
        }
        let domain = config.section("dns").text("local_domain").to_owned();
        let site = Site { interfaces, domain, reserved: Vec::new() };
        Self { config: dhcp, site, absent }
    }

    /// The zones that names of leases go into.
    pub(crate) fn zones(&self, dns: &doorway_dns::Config) -> Vec<doorway_dns::wire::Name> {
        if self.config.names == NamesFor::Off || self.site.interfaces.is_empty() {
            return Vec::new();
        }
        let draft = self.config.draft(&self.site);
        let domains = draft.subnets.iter().filter_map(|subnet| Some(subnet.names.as_ref()?.domain.clone()));
        let subnets = self.config.subnets_at(&self.site);
        let reverse = subnets.iter().filter(|subnet| subnet.reverse);
        let reverse = reverse.map(|subnet| (subnet.network.address, subnet.network.prefix));
        lease_names::zones(dns, domains, reverse)
    }
}

/// The ports at which a service that listens so answers at `address`.
fn answers_at(listen: &[Listen], address: Ipv4Addr) -> impl Iterator<Item = u16> {
    let at = move |own: IpAddr| own.is_unspecified() || own == IpAddr::V4(address);
    listen.iter().filter(move |listen| listen.address.is_none_or(at)).map(|listen| listen.port)
}

/// DHCP, as far as the config asks for it.
pub(crate) struct DhcpPart {
    world: World,
    store: Arc<dyn Store>,
    names: Arc<LeaseNames>,
    serving: Mutex<Serving>,
    /// Held by whoever changes how it serves, for as long as that takes.
    changing: Mutex<()>,
}

#[derive(Default)]
struct Serving {
    /// The config in force; the interfaces may have changed since.
    config: Option<Config>,
    settings: Option<Settings>,
    server: Option<Arc<DhcpServer>>,
    tftp: Option<Arc<Tftp>>,
}

impl DhcpPart {
    /// Serves nothing yet.
    pub(crate) fn new(world: &World, store: Arc<dyn Store>, names: Arc<LeaseNames>) -> Arc<Self> {
        let part = Arc::new(Self {
            world: world.clone(),
            store,
            names,
            serving: Mutex::default(),
            changing: Mutex::default(),
        });
        let weak = Arc::downgrade(&part);
        let clock = world.clone();
        world.spawn_background("dhcp", async move {
            loop {
                clock.sleep(LOOK_EVERY).await;
                let Some(part) = weak.upgrade() else { return };
                if let Err(failure) = part.renewed().await {
                    tracing::error!("DHCP goes on as before: {}", failure.what);
                }
            }
        });
        part
    }

    fn serving(&self) -> MutexGuard<'_, Serving> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the names of leases go.
    pub(crate) const fn names(&self) -> &Arc<LeaseNames> {
        &self.names
    }

    /// Serves by `config` from now on. Returns whether anything changed.
    ///
    /// Blocks until leases are read: not for a worker.
    pub(crate) fn set(&self, config: &Config) -> Result<bool, Failure> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut settings = Settings::read(&self.world, config);
        if !settings.config.interfaces.is_empty() {
            settings.site.reserved = wait(leasing::reservations(&*self.store))?;
        }
        let (before, server) = {
            let mut serving = self.serving();
            serving.config = Some(config.clone());
            (serving.settings.clone(), serving.server.clone())
        };
        if before.as_ref() == Some(&settings) {
            return Ok(false);
        }
        for name in &settings.absent {
            if before.as_ref().is_none_or(|before| !before.absent.contains(name)) {
                tracing::warn!(
                    interface = name,
                    "there is no such interface with an IPv4 address: DHCP waits for it"
                );
            }
        }
        if settings.site.interfaces.is_empty() {
            let served = server.is_some();
            self.stop(server);
            self.serving().settings = Some(settings);
            return Ok(served);
        }
        // Before anybody is given an address whose name would belong there.
        self.names.serve_too(|dns| settings.zones(dns));
        let plan = Plan::new(settings.config.draft(&settings.site))
            .map_err(|fault| Failure::new(format!("DHCP cannot be served: {fault}")).exit(Exit::Wrong))?;
        let plan = Arc::new(plan);
        let rogue_check = match settings.config.rogue_check {
            RogueCheck::Off => io::server::RogueCheck::Off,
            RogueCheck::Warn => io::server::RogueCheck::Warn,
            RogueCheck::Refuse => io::server::RogueCheck::Refuse,
        };
        let same_kind = |before: &Settings| {
            let kind =
                |settings: &Settings| (settings.config.durability, settings.config.names == NamesFor::Off);
            kind(before) == kind(&settings)
        };
        let told = |error: io::server::StartError| {
            Failure::new(error.to_string())
                .fix("serving DHCP takes root, or CAP_NET_RAW and CAP_NET_BIND_SERVICE")
        };
        let server = match server.filter(|_| before.as_ref().is_some_and(same_kind)) {
            Some(server) => {
                let again = Arc::clone(&server);
                self.on_worker(async move { again.reload(plan, rogue_check) })?.map_err(told)?;
                server
            }
            None => {
                let old = self.serving().server.take();
                self.stop(old);
                let names = (settings.config.names != NamesFor::Off)
                    .then(|| Arc::clone(&self.names) as Arc<dyn Names>);
                let set_up = io::server::Settings {
                    durability: durability(&settings),
                    rogue_check,
                    ..io::server::Settings::new(plan)
                };
                let (world, store) = (self.world.clone(), Arc::clone(&self.store));
                let started =
                    self.on_worker(async move { DhcpServer::start(&world, store, names, set_up).await })?;
                Arc::new(started.map_err(told)?)
            }
        };
        let tftp = self.tftp(&settings)?;
        let mut serving = self.serving();
        serving.server = Some(server);
        let old = std::mem::replace(&mut serving.tftp, tftp);
        if let Some(old) = old.filter(|old| serving.tftp.as_ref().is_none_or(|new| !Arc::ptr_eq(old, new))) {
            old.close();
        }
        serving.settings = Some(settings);
        Ok(true)
    }

    /// Looks at the interfaces and the reservations again. Returns whether DHCP is served.
    pub(crate) async fn renewed(self: &Arc<Self>) -> Result<bool, Failure> {
        let (send, receive) = oneshot::channel();
        let part = Arc::clone(self);
        // A thread of its own: it waits for a worker, which may be the one that asks.
        std::thread::spawn(move || send.send(part.renew()));
        receive.await.unwrap_or_else(|_| Err(Failure::new("DHCP broke off; the log tells why")))
    }

    fn renew(&self) -> Result<bool, Failure> {
        let config = self.serving().config.clone();
        match config {
            Some(config) if !config.section("dhcp").texts("interfaces").is_empty() => {
                self.set(&config)?;
                Ok(self.serving().server.is_some())
            }
            _ => Ok(false),
        }
    }

    /// Files for machines that boot, at every address that is served.
    fn tftp(&self, settings: &Settings) -> Result<Option<Arc<Tftp>>, Failure> {
        let Some(folder) = &settings.config.tftp else { return Ok(None) };
        let addresses: Vec<SocketAddr> = settings
            .site
            .interfaces
            .iter()
            .map(|interface| SocketAddr::new(IpAddr::V4(interface.address), tftp::PORT))
            .collect();
        let serving = self.serving();
        let same =
            serving.settings.as_ref().is_some_and(|before| before.config.tftp.as_ref() == Some(folder));
        let open = |tftp: &Arc<Tftp>| tftp.doors().iter().filter_map(|door| door.local()).collect::<Vec<_>>();
        if let Some(tftp) = serving.tftp.as_ref().filter(|tftp| same && open(tftp) == addresses) {
            return Ok(Some(Arc::clone(tftp)));
        }
        // The new doors are at the addresses of the old ones.
        if let Some(old) = &serving.tftp {
            old.close();
        }
        drop(serving);
        let started = Tftp::start(&self.world, &addresses, folder);
        started.map(|tftp| Some(Arc::new(tftp))).map_err(|error| Failure::new(error.to_string()))
    }

    /// Runs what needs the sockets of a worker, and waits for it.
    fn on_worker<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Failure> {
        let (done, outcome) = std::sync::mpsc::channel();
        self.world.spawn_on(0, "dhcp", async move {
            // Whoever asked may have gone.
            let _ = done.send(work.await);
        });
        outcome.recv().map_err(|_| Failure::new("DHCP broke off while it started"))
    }

    fn stop(&self, server: Option<Arc<DhcpServer>>) {
        let Some(server) = server else { return };
        let mut serving = self.serving();
        serving.server = None;
        if let Some(tftp) = serving.tftp.take() {
            tftp.close();
        }
        drop(serving);
        match self.on_worker(async move { server.stop().await }) {
            Ok(true) => {}
            _ => tracing::warn!("DHCP ended while changes were still being written"),
        }
    }

    /// Takes no more messages and writes what is under way.
    pub(crate) fn close(&self) {
        let server = self.serving().server.clone();
        self.stop(server);
    }

    /// The server, if one runs.
    pub(crate) fn server(&self) -> Option<Arc<DhcpServer>> {
        self.serving().server.clone()
    }

    /// What is open, for the table that `up` prints.
    pub(crate) fn doors(&self) -> Vec<OpenDoor> {
        let serving = self.serving();
        let served = serving.server.iter().flat_map(|server| server.addresses());
        let files = serving.tftp.iter().flat_map(|tftp| tftp.doors()).filter_map(UdpDoor::local);
        let named = serving.settings.iter().flat_map(|settings| &settings.site.interfaces);
        let named: Vec<_> = named.map(|known| (IpAddr::V4(known.address), &known.name)).collect();
        let interface = |local: SocketAddr| {
            named.iter().find(|(address, _)| *address == local.ip()).map(|(_, name)| (*name).clone())
        };
        let door = |key, local, interface| OpenDoor {
            table: "dhcp",
            key,
            transport: Transport::Udp,
            local,
            interface,
        };
        let served = served.map(|local| door("interfaces", local, interface(local)));
        served.chain(files.map(|local| door("tftp", local, None))).collect()
    }

    /// TFTP, if it is served.
    pub(crate) fn files(&self) -> Option<Arc<Tftp>> {
        self.serving().tftp.clone()
    }

    fn running(&self) -> Result<Arc<DhcpServer>, Failure> {
        self.server().ok_or_else(|| {
            Failure::new("DHCP is not served here")
                .fix("name interfaces in `dhcp.interfaces`")
                .exit(Exit::Wrong)
        })
    }

    /// Ends a lease.
    pub(crate) async fn release(&self, address: Ipv4Addr) -> Result<Value, Failure> {
        let server = self.running()?;
        if server.change(|engine, now| engine.take_back(now, address)).await {
            return Ok(json!({ "address": address.to_string() }));
        }
        Err(Failure::new(format!("nobody has {address}"))
            .fix("`doorway dhcp leases` shows who has what")
            .exit(Exit::Wrong))
    }

    /// Lets addresses be given again that were found in use.
    pub(crate) async fn clear_declined(&self, address: Option<Ipv4Addr>) -> Result<Value, Failure> {
        let server = self.running()?;
        let declined = server.with(|engine, _| engine.declined());
        let wanted =
            declined.into_iter().filter(|declined| address.is_none_or(|address| address == *declined));
        let mut cleared = 0;
        for address in wanted {
            cleared += u64::from(server.change(|engine, _| engine.clear_declined(address)).await);
        }
        match address {
            Some(address) if cleared == 0 => {
                Err(Failure::new(format!("{address} was not found in use")).exit(Exit::Wrong))
            }
            _ => Ok(json!({ "cleared": cleared })),
        }
    }

    /// What is offered.
    pub(crate) fn offers(&self) -> Result<Value, Failure> {
        let (offers, now) = self.running()?.with(|engine, now| (engine.offers(), now.mono));
        let shown: Vec<Value> = offers
            .iter()
            .map(|offer| {
                json!({
                    "address": offer.address.to_string(),
                    "mac": offer.hardware.to_string(),
                    "seconds_left": (offer.until - now).as_secs(),
                    "probed": offer.is_probed,
                })
            })
            .collect();
        Ok(json!({ "offers": shown }))
    }

    /// Pools and counters.
    pub(crate) fn stats(&self) -> Result<Value, Failure> {
        let stats = self.running()?.with(|engine, _| engine.stats());
        let subnets: Vec<Value> = stats
            .subnets
            .iter()
            .map(|(network, counts)| {
                json!({
                    "network": network.to_string(),
                    "addresses": counts.pool,
                    "free": counts.available,
                    "leased": counts.bound,
                    "offered": counts.offered,
                    "declined": counts.declined,
                    "released": counts.released,
                    "expired": counts.expired,
                })
            })
            .collect();
        let counted = MessageType::ALL.iter().zip(stats.received.iter().zip(&stats.sent));
        let messages: Map<String, Value> = counted
            .map(|(kind, (received, sent))| (kind.name().to_owned(), json!(received + sent)))
            .collect();
        let drops = DropReason::ALL.iter().zip(&stats.dropped);
        let drops: Map<String, Value> =
            drops.map(|(reason, count)| (reason.name().to_owned(), json!(count))).collect();
        Ok(json!({
            "degraded": stats.degraded,
            "subnets": subnets,
            "messages": messages,
            "drops": drops,
            "probes": stats.probes,
            "conflicts": stats.conflicts,
        }))
    }
}

fn durability(settings: &Settings) -> Durability {
    settings.config.durability
}

fn first_address(interface: &Interface) -> Option<(Ipv4Addr, u8)> {
    interface.v4().next()
}

/// The router of the default route over an interface, in the table that Linux shows.
pub(crate) fn gateway(routes: &str, interface: &str) -> Option<Ipv4Addr> {
    let lines = routes.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut found = lines.filter_map(|words| match words[..] {
        [name, "00000000", gateway, ..] if name == interface => u32::from_str_radix(gateway, 16).ok(),
        _ => None,
    });
    found.find(|gateway| *gateway != 0).map(|gateway| Ipv4Addr::from(gateway.to_le_bytes()))
}
