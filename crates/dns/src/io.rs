//! The name server over a world: doors, zone files, reload.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`exchange`] | one query and its answer, for commands |
//! | [`include`] | the files that a zone file includes |
//! | [`journal`] | zones and their changes in the store |
//! | [`lease_names`] | names of hosts that have leases |
//! | [`load`] | zone files from disk, and the built-in zone |
//! | [`datagram`] | queries over UDP |
//! | [`stream`] | queries over TCP and TLS: RFC 7766, RFC 7858 |
//! | [`recursion`] | a resolver on each worker |
//! | [`names`] | addresses for the rest of the program |
//! | [`query_log`] | a line for each query |
//! | [`upstream`] | its sockets: random ports |
//! | [`link`] | its connections, over TCP and TLS |
//! | [`transfers`] | the zones that move or are changed by message |
//! | [`primary`] | what is asked about them: AXFR, IXFR, UPDATE, NOTIFY |
//! | [`secondary`] | zones taken in from elsewhere |
//! | `notifier.rs` | secondaries told of changes |
//! | [`upkeep`] | the way of a message to those zones, and back |

pub mod datagram;
pub mod exchange;
pub mod include;
pub mod journal;
pub mod lease_names;
pub mod link;
pub mod load;
pub mod names;
mod notifier;
pub mod primary;
pub mod query_log;
pub mod recursion;
pub mod secondary;
pub mod stream;
pub mod transfers;
pub mod upkeep;
pub mod upstream;

use core::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use doorway_base::UnixTime;
use doorway_net::World;
use doorway_net::tcp::{self, TcpDoor};
use doorway_net::tls::{TlsAcceptor, TlsDialler};
use doorway_net::udp::{self, UdpDoor, UdpOptions, UdpReplier};

use crate::authority::counters::Counters;
use crate::authority::{Authority, Published};
use crate::cache::Cache;
use crate::config::resolver::TLS_PORT;
use crate::config::{self, Config, HostConfig, KeyConfig, ZoneConfig};
use crate::error::Error;
use crate::front::cookie::Baker;
use crate::front::ready::Ready;
use crate::front::{self, Front};
use crate::resolver::Transport;
use crate::summary;
use crate::wire::Name;
use crate::zone::{HashKey, Zone, Zones};
use datagram::Datagrams;
use journal::Journal;
use load::Loaded;
pub use load::ReadAhead;
use names::Names;
use query_log::{QueryLog, Source};
use recursion::{Asker, Recursion};
use stream::Streams;
use upkeep::Upkeep;

/// Name of the service in tables, metrics and logs.
pub const SERVICE: &str = "dns";
/// Name of the protocol in the trace.
pub const PROTOCOL: &str = "dns";
/// The port that RFC 1035 §4.2 gives to DNS.
pub const PORT: u16 = 53;

/// A name server that is serving. Dropping it does not close its doors; [`Server::close`] does.
#[derive(Debug)]
pub struct Server {
    published: Published,
    world: World,
    journal: Option<Journal>,
    // The zones and keys that the upkeep was set up with.
    set_up: Mutex<SetUp>,
    counters: Mutex<Vec<Arc<Counters>>>,
    parts: Parts,
    udp: Vec<UdpDoor>,
    tcp: Vec<TcpDoor>,
    tls: Vec<TcpDoor>,
}

/// What a front hands a query to when it has no answer at once. Clones are the same parts.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    recursion: Option<Recursion>,
    log: Option<QueryLog>,
    // Changed by a reload.
    upkeep: Arc<ArcSwapOption<Upkeep>>,
}

impl Parts {
    /// What moves and changes zones, when any zone does.
    #[must_use]
    pub fn upkeep(&self) -> Option<Arc<Upkeep>> {
        self.upkeep.load_full()
    }

    /// Gives a question to the resolver.
    ///
    /// # Errors
    /// Gives it back when there is no resolver, or it has too much to do.
    pub fn ask(&self, asker: Asker) -> Result<(), Asker> {
        match &self.recursion {
            Some(recursion) => recursion.ask(asker),
            None => Err(asker),
        }
    }

    /// Puts the last answer of `front` into the query log, when there is one.
    #[inline]
    pub fn note(
        &self,
        at: UnixTime,
        client: SocketAddr,
        transport: &'static str,
        query: &[u8],
        reply: &[u8],
        front: &Front,
    ) {
        if let Some(log) = &self.log {
            let source = if front.was_cached() { Source::Cache } else { Source::Zone };
            log.note(at, client, transport, query, reply, source);
        }
    }

    /// Has the last answer of `front` looked up again, if its time is nearly over.
    #[inline]
    pub fn refresh(&self, front: &mut Front) {
        if let Some(wanted) = front.take_refresh() {
            // With much to do, it is looked up when its time is over.
            let _ = self.ask(Asker::Refresh(wanted));
        }
    }
}

/// What a reload did.
#[derive(Debug, Default)]
pub struct Reloaded {
    /// Zones whose file was read and is served now.
    pub zones: usize,
    /// Zones that were refused; the version before goes on being served where there was one.
    pub refused: Vec<Error>,
}

/// What a server is given beside its config.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Certificates for `listen_tls`; without them nothing listens there.
    pub tls: Option<Arc<TlsAcceptor>>,
    /// The cache of the server before, to go on with.
    pub cache: Option<Arc<Cache>>,
    /// Where changes of zones are kept; without it there are none.
    pub journal: Option<Journal>,
}

impl Server {
    /// Reads every zone and opens every door. Warnings about zones are logged.
    ///
    /// # Errors
    /// The first zone that is refused, or the first address that cannot be bound; then no door stays
    /// open.
    pub fn start(world: &World, config: &Config, surroundings: &Surroundings) -> Result<Self, Error> {
        Self::start_with(world, config, surroundings, None)
    }

    /// The same, with zones that were read already.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_with(
        world: &World,
        config: &Config,
        surroundings: &Surroundings,
        ahead: Option<ReadAhead>,
    ) -> Result<Self, Error> {
        let secret = ahead.as_ref().map_or_else(|| HashKey::new(&mut world.random()), ReadAhead::secret);
        let Loaded { zones, refused } = load::load(config, secret, ahead, None);
        if let Some(error) = refused.into_iter().next() {
            return Err(error);
        }
        let zones = Zones::new(secret, zones).map_err(|name| Error::Twice { zone: name.to_string() })?;
        let files: Vec<Arc<Zone>> = zones.list().to_vec();
        let published = Published::new(zones);
        let upkeep = upkeep::start(world, config, surroundings.journal.as_ref(), &published, &files)?;
        let upkeep = Arc::new(ArcSwapOption::from_pointee(upkeep));
        let log = config.query_log.as_deref().map(|path| QueryLog::open(world, path)).transpose()?;
        let recursion = match &config.resolver {
            Some(settings) => Some(resolver(world, config, settings, surroundings, &published, log.clone())?),
            None => None,
        };
        let mut server = Self {
            published,
            counters: Mutex::default(),
            parts: Parts { recursion, log, upkeep },
            journal: surroundings.journal.clone(),
            world: world.clone(),
            set_up: Mutex::new(SetUp::of(config)),
            udp: Vec::new(),
            tcp: Vec::new(),
            tls: Vec::new(),
        };
        match server.open(world, config, surroundings) {
            Ok(()) => Ok(server),
            Err(error) => {
                server.close();
                Err(error)
            }
        }
    }

    fn open(&mut self, world: &World, config: &Config, surroundings: &Surroundings) -> Result<(), Error> {
        let mut random = world.random();
        let settings = Arc::new(front::Settings {
            recursion: config.resolver.as_ref().map(|resolver| resolver.allow.clone()),
            ready: match &self.parts.recursion {
                Some(recursion) => Arc::clone(recursion.ready()),
                None => Arc::new(Ready::new(0)),
            },
            cache: self.parts.recursion.as_ref().map(|recursion| Arc::clone(recursion.cache())),
            flooded: self.parts.recursion.as_ref().map(Recursion::flooded).cloned().unwrap_or_default(),
            prefetch: config.resolver.as_ref().is_some_and(|resolver| resolver.engine.prefetch),
            rate: config.rate,
            rate_exempt: config.rate_exempt.clone(),
            cookies: config.cookies.then(|| {
                let mut secret = [0; 16];
                random.fill(&mut secret);
                Baker::new(secret)
            }),
            udp_octets_max: config.udp_octets_max,
        });
        let front = |secret| Front::new(self.engine(config), Arc::clone(&settings), secret);
        let fronts = (0..world.workers().max(1)).map(|_| front(random.next_u64())).collect();
        let streams = Arc::new(Streams::new(fronts, self.parts.clone()));
        let mut udp_options = UdpOptions::new(SERVICE, PROTOCOL, PORT);
        udp_options.listen.receive_octets = Some(config.receive_buffer_octets);
        udp_options.send_octets_max = usize::from(config.udp_octets_max);
        udp_options.threads = config.threads;
        udp_options.summary = summary;
        let (mut udp_doors, mut tcp_doors, mut tls_doors) = (Vec::new(), Vec::new(), Vec::new());
        let mut open = || -> Result<(), Error> {
            for address in config.listen.iter().flat_map(|listen| world.addresses(listen)) {
                let options = stream::options(&config.limits, &config.proxies);
                let door = tcp::serve(world, address, &options, &streams)?;
                // With port 0 the system chose one; UDP takes the same, as clients expect. The other way
                // round, a connection that happens to have this port as its own would be in the way.
                let address = door.local().unwrap_or(address);
                tcp_doors.push(door);
                let secret = random.next_u64();
                let make = |worker: usize, replier: &UdpReplier| {
                    Datagrams::new(world, front(secret ^ worker as u64), self.parts.clone(), replier)
                };
                udp_doors.push(udp::serve(world, address, &udp_options, make)?);
            }
            if let Some(tls) = &surroundings.tls {
                for address in config.listen_tls.iter().flat_map(|listen| world.addresses(listen)) {
                    let mut options = stream::options(&config.limits, &config.proxies);
                    options.canonical_port = TLS_PORT;
                    options.tls = Some(Arc::clone(tls));
                    tls_doors.push(tcp::serve(world, address, &options, &streams)?);
                }
            }
            Ok(())
        };
        let opened = open();
        (self.udp, self.tcp, self.tls) = (udp_doors, tcp_doors, tls_doors);
        opened
    }

    fn engine(&self, config: &Config) -> Authority {
        let counters = Arc::new(Counters::default());
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&counters));
        let engine = Authority::new(self.published.clone(), counters, config.udp_octets_max);
        match &config.nsid {
            Some(name) => engine.with_identifier(name.as_bytes()),
            None => engine,
        }
    }

    /// Reads every zone again and puts what was read in the place of what is served, without losing a
    /// query. Doors stay as they are.
    ///
    /// A zone that was changed by message keeps its changes, unless its file has a newer serial.
    ///
    /// Blocks while files are read, about a second for each million records: not for a worker.
    pub fn reload(&self, config: &Config) -> Reloaded {
        let before = self.published.current();
        let Loaded { zones: files, mut refused } = load::load(config, before.secret(), None, Some(&before));
        let count = files.len();
        let moving: Vec<Name> = config.moving().map(|(apex, _)| apex).collect();
        // What moves stays as it is until it is known what the journal has of it.
        let mut zones: Vec<Arc<Zone>> =
            files.iter().filter(|zone| !moving.contains(zone.apex())).cloned().collect();
        zones.extend(moving.iter().filter_map(|apex| before.named(apex).cloned()));
        match Zones::new(before.secret(), zones) {
            Ok(zones) => self.published.publish(zones),
            Err(name) => {
                refused.push(Error::Twice { zone: name.to_string() });
                return Reloaded { zones: 0, refused };
            }
        }
        if let Err(error) = self.reload_moving(config, &files) {
            refused.push(error);
        }
        Reloaded { zones: count, refused }
    }

    fn reload_moving(&self, config: &Config, files: &[Arc<Zone>]) -> Result<(), Error> {
        let old = self.parts.upkeep();
        let mut set_up = self.set_up.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = SetUp::of(config);
        if let Some(upkeep) = old.as_ref().filter(|_| *set_up == wanted) {
            for file in files.iter().filter(|file| upkeep.transfers().is_moving(file.apex())) {
                if let Err(error) = doorway_store::wait(upkeep.transfers().take_file(file)) {
                    return Err(Error::NotTaken { zone: file.apex().to_string(), error });
                }
            }
            return Ok(());
        }
        self.hold(true);
        match upkeep::start(&self.world, config, self.journal.as_ref(), &self.published, files) {
            Ok(upkeep) => {
                self.parts.upkeep.store(upkeep.map(Arc::new));
                *set_up = wanted;
                Ok(())
            }
            Err(error) => {
                self.hold(false);
                Err(error)
            }
        }
    }

    /// Lets no zone be changed, or lets it again: for the time in which another server takes them over.
    pub fn hold(&self, held: bool) {
        if let Some(upkeep) = self.parts.upkeep() {
            doorway_store::wait(upkeep.transfers().hold(held));
        }
    }

    /// What moves and changes zones, when any zone does.
    #[must_use]
    pub fn upkeep(&self) -> Option<Arc<Upkeep>> {
        self.parts.upkeep()
    }

    /// The zones served now.
    #[must_use]
    pub fn zones(&self) -> Arc<Zones> {
        self.published.current()
    }

    /// The counters of every worker.
    #[must_use]
    pub fn counters(&self) -> Vec<Arc<Counters>> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The UDP doors, in the order of the addresses in the config.
    #[must_use]
    pub fn udp(&self) -> &[UdpDoor] {
        &self.udp
    }

    /// The TCP doors, likewise.
    #[must_use]
    pub fn tcp(&self) -> &[TcpDoor] {
        &self.tcp
    }

    /// The TLS doors, likewise.
    #[must_use]
    pub fn tls(&self) -> &[TcpDoor] {
        &self.tls
    }

    /// Addresses for other parts of the program.
    #[must_use]
    pub fn names(&self) -> Names {
        Names::new(&self.world, self.parts.recursion.clone(), &self.published)
    }

    /// The query log, when there is one.
    #[must_use]
    pub fn query_log(&self) -> Option<&QueryLog> {
        self.parts.log.as_ref()
    }

    /// The resolver, unless it is off.
    #[must_use]
    pub fn recursion(&self) -> Option<&Recursion> {
        self.parts.recursion.as_ref()
    }

    /// Closes every door for newcomers and asks those inside to finish.
    pub fn close(&self) {
        self.udp.iter().for_each(UdpDoor::close);
        self.tcp.iter().chain(&self.tls).for_each(TcpDoor::close);
    }
}

/// What the zones that move were set up with.
#[derive(Debug, PartialEq, Eq)]
struct SetUp {
    zones: Vec<ZoneConfig>,
    keys: Vec<KeyConfig>,
    // Built-in zones are made of these.
    lease_zones: Vec<Name>,
    hosts: Vec<HostConfig>,
}

impl SetUp {
    fn of(config: &Config) -> Self {
        let Config { zones, keys, lease_zones, hosts, .. } = config.clone();
        Self { zones, keys, lease_zones, hosts }
    }
}

fn resolver(
    world: &World,
    config: &Config,
    settings: &config::Resolver,
    surroundings: &Surroundings,
    published: &Published,
    log: Option<QueryLog>,
) -> Result<Recursion, Error> {
    let ready = Arc::new(Ready::new(settings.cache.octets_max / 2));
    let mut engine = settings.engine.clone();
    if let Some(path) = &settings.root_hints {
        engine.root_hints = load::root_hints(path)?;
    }
    if settings.ipv6_auto {
        engine.ipv6 = has_ipv6(world);
    }
    let wants_tls = engine.forward_zones.iter().flat_map(|zone| &zone.servers);
    let wants_tls = wants_tls.map(|server| &server.transport).any(|t| matches!(t, Transport::Tls { .. }));
    let tls = match wants_tls {
        true => Some(Arc::new(TlsDialler::new(settings.tls_roots.as_deref(), &["dot"])?)),
        false => None,
    };
    let cache = match &surroundings.cache {
        Some(cache) => Arc::clone(cache),
        None => Arc::new(Cache::new(settings.cache.clone(), &mut world.random())),
    };
    let settings = recursion::Settings {
        resolver: Arc::new(engine),
        udp_octets_max: config.udp_octets_max,
        ports: settings.ports,
        per_client: settings.per_client,
        in_all: settings.in_all,
    };
    let found = recursion::Found { cache, ready };
    Ok(Recursion::start(world, settings, found, published.clone(), tls, log))
}

// Whether this machine has an IPv6 address that reaches further than itself: without one, a socket
// cannot be connected to an address of the Internet.
fn has_ipv6(world: &World) -> bool {
    world.reaches(SocketAddr::new(
        core::net::Ipv6Addr::new(0x2001, 0x500, 0x9f, 0, 0, 0, 0, 0x42).into(),
        PORT,
    ))
}
