//! Plugs the protocols into the program: the one file that knows them all.
//!
//! Each part is started from its table of the config, can be asked for its doors and counters, and is
//! started anew when a reload changes its table. The new one opens its doors before the old one
//! closes them, and parts whose tables are the same are not touched, nor are their connections.

use core::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use doorway_base::config::Listen;
use doorway_base::trace::Transport;
use doorway_dns::io as dns;
use doorway_http as http;
use doorway_http::cache::{Policy, Targets};
use doorway_http::config::ForwardConfig;
use doorway_http::io::cache::{Caches, Conductor};
use doorway_http::io::proxy::Proxies;
use doorway_net::limits::TcpLimits;
use doorway_net::proxy_protocol::ProxySources;
use doorway_net::resolve::Resolve;
use doorway_net::tcp::{self, TcpDoor, TcpOptions};
use doorway_net::tls::local_ca::LocalCa;
use doorway_net::tls::{Certificates, TlsAcceptor};
use doorway_net::web::Handler;
use doorway_net::{Listener, World};
use doorway_store::{Blobs, Embedded, Store};

use crate::agents::Agents;
use crate::config::{self, Config};
use crate::dhcp::{self, DhcpPart};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::first_run::OpenDoor;
use crate::forward::{ForwardPart, Settings, Surroundings};
use crate::lease_names::LeaseNames;
use crate::limits;
use crate::logins::Logins;
use crate::mail::{self, MailPart};
use crate::metrics::{self, Measured, Metrics, Page};
use crate::names::Names;
use crate::storage;

/// The folder that is served when there is no config and it exists.
const PUBLIC_FOLDER: &str = "public";
/// What the resolver knew at the last stop, in the data folder.
const CACHE_FILE: &str = "dns-cache";
/// What the caches of the web server keep, in the data folder.
const WEB_CACHE_FOLDER: &str = "cache";
/// The folder of keys and certificates in the data folder.
const TLS_FOLDER: &str = "tls";

/// Everything that serves.
pub(crate) struct Services {
    world: World,
    data: PathBuf,
    store: Arc<Embedded>,
    logins: Logins,
    names: Arc<Names>,
    forward: ForwardPart,
    mail: MailPart,
    agents: Agents,
    dhcp: Arc<DhcpPart>,
    tls: Arc<TlsAcceptor>,
    tls_dns: Arc<TlsAcceptor>,
    /// Held for a moment only, because whoever asks for counters waits for it on a worker.
    parts: Mutex<Parts>,
    /// Held by whoever changes the parts, for as long as that takes.
    changing: Mutex<()>,
}

/// The doors of the web server, each with the config key that asked for it.
type HttpDoors = Vec<(&'static str, TcpDoor)>;

/// The parts as the config in force has them.
struct Parts {
    config: Config,
    dns_config: doorway_dns::config::Config,
    dns: Arc<dns::Server>,
    http_config: http::Config,
    common: Common,
    http: Arc<http::Server>,
    proxies: Arc<Proxies>,
    caches: Caches,
    http_doors: HttpDoors,
    /// What the doors of the metrics were opened with.
    metrics_config: (Vec<Listen>, TcpLimits),
    metrics_doors: Vec<TcpDoor>,
}

/// What `[limits]` and the like say to every TCP door.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Common {
    limits: TcpLimits,
    proxies: ProxySources,
}

impl Services {
    /// Starts every part; when one cannot start, none does.
    pub(crate) fn start(
        world: &World,
        config: &Config,
        data: &Path,
        store: Arc<Embedded>,
        logins: Logins,
        zones: dns::ReadAhead,
    ) -> Result<Arc<Self>, Failure> {
        let certificates = certificates(world, config, data)?;
        let acceptor =
            |protocols: &[&str]| TlsAcceptor::new(certificates.clone(), protocols).map_err(net_failure);
        let protocols = http::Server::protocols(&http_config(config));
        let (tls, tls_dns) = (Arc::new(acceptor(protocols)?), Arc::new(acceptor(&["dot"])?));
        let common = common(config);
        let dns_config = dns_config(world, config)?;
        let surroundings =
            dns::Surroundings { tls: Some(Arc::clone(&tls_dns)), cache: None, journal: journal(&store) };
        let dns = dns::Server::start_with(world, &dns_config, &surroundings, Some(zones));
        let dns = Arc::new(dns.map_err(dns_failure)?);
        let http_config = http_config(config);
        let names = Arc::new(Names::open(world, &dns));
        let proxies = proxies(world, &names, &http_config, None)?;
        let caches = caches(world, data, &http_config, None)?;
        let handlers = handlers(world, &logins, &proxies, &caches);
        let (http, http_doors) = start_http(world, &http_config, &common, &tls, &handlers)?;
        let metrics_config = (Vec::new(), common.limits.clone());
        let rows: Arc<dyn Store> = Arc::clone(&store) as _;
        let lease_names = LeaseNames::new(&dns, &dns_config, Arc::clone(&rows));
        let dhcp = DhcpPart::new(world, rows, Arc::new(lease_names));
        let parts = Parts {
            config: config.clone(),
            dns_config,
            dns,
            http_config,
            common,
            http,
            proxies,
            caches,
            http_doors,
            metrics_config,
            metrics_doors: Vec::new(),
        };
        let mail = MailPart::new(mail_surroundings(world, &store, &names, &logins, &tls)?);
        let services = Arc::new(Self {
            world: world.clone(),
            data: data.to_owned(),
            store,
            logins,
            names,
            forward: ForwardPart::default(),
            mail,
            agents: Agents::default(),
            dhcp,
            tls,
            tls_dns,
            parts: Mutex::new(parts),
            changing: Mutex::default(),
        });
        services.take_cache_back();
        services.reload_forward(config)?;
        services.reload_mail(config)?;
        services.reload_dhcp(config)?;
        services.reload_relay(config)?;
        services.reload_clients(config)?;
        services.reload_metrics(config)?;
        Ok(services)
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name server that serves now.
    pub(crate) fn name_server(&self) -> Arc<dns::Server> {
        Arc::clone(&self.parts().dns)
    }

    /// The web server that serves now, and whom it hands requests on to.
    pub(crate) fn web_server(&self) -> (Arc<http::Server>, Arc<Proxies>) {
        let parts = self.parts();
        (Arc::clone(&parts.http), Arc::clone(&parts.proxies))
    }

    /// Its caches.
    pub(crate) fn caches(&self) -> Caches {
        self.parts().caches.clone()
    }

    /// Takes to disk what the caches have not written yet.
    pub(crate) fn close_caches(&self) {
        self.caches().close();
    }

    /// Takes the last lines of the access log to their file.
    pub(crate) fn keep_access_log(&self) {
        let http = Arc::clone(&self.parts().http);
        http.flush_access_log();
    }

    /// Keeps what the resolver remembers for the next start, when the config wants that.
    pub(crate) fn keep_cache(&self) {
        let parts = self.parts();
        let persist = parts.dns_config.resolver.as_ref().is_some_and(|resolver| resolver.persist);
        let Some(recursion) = parts.dns.recursion().filter(|_| persist) else { return };
        let mut octets = self.world.wall().as_secs().to_be_bytes().to_vec();
        octets.extend(recursion.cache().snapshot(self.world.now()));
        let path = self.data.join(CACHE_FILE);
        let beside = path.with_extension("new");
        let written = std::fs::write(&beside, octets).and_then(|()| std::fs::rename(&beside, &path));
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "the cache of the resolver could not be kept");
        }
    }

    // Takes back what was kept. A file that is damaged or of another version is no more than lost time.
    fn take_cache_back(&self) {
        let parts = self.parts();
        let persist = parts.dns_config.resolver.as_ref().is_some_and(|resolver| resolver.persist);
        let Some(recursion) = parts.dns.recursion().filter(|_| persist) else { return };
        let Ok(octets) = std::fs::read(self.data.join(CACHE_FILE)) else { return };
        let Some((seconds, snapshot)) = octets.split_first_chunk::<8>() else { return };
        let away = self.world.wall().as_secs().saturating_sub(u64::from_be_bytes(*seconds));
        let away = std::time::Duration::from_secs(away);
        match recursion.cache().restore(self.world.now(), snapshot, away) {
            Ok(entries) => tracing::info!(entries, "the resolver remembers what it knew"),
            Err(error) => tracing::warn!(%error, "the kept cache of the resolver is damaged in part"),
        }
    }

    /// Mounts `control` on the control socket.
    pub(crate) fn open_control(&self, listener: std::os::unix::net::UnixListener, control: Arc<dyn Handler>) {
        let server = handler_server(&self.world, control);
        let mut options = TcpOptions::new("control", "http", 0);
        // Following the trace may be silent for hours.
        options.limits.idle = std::time::Duration::ZERO;
        options.traced = false;
        tcp::open(&self.world, vec![Listener::Unix(listener)], &options, &server);
    }

    fn reload_forward(&self, config: &Config) -> Result<Option<String>, Failure> {
        let Common { limits, proxies } = common(config);
        let forward = ForwardConfig::read(config.section("http.forward"));
        let listen = forward.listen.clone();
        let settings = Settings { forward, web: http_config(config), limits, proxies };
        let name = Arc::clone(self.parts().proxies.name());
        let around = Surroundings {
            world: &self.world,
            names: Arc::clone(&self.names) as Arc<dyn Resolve>,
            logins: &self.logins,
            name,
            caching: Some(caching(&self.world, &self.caches(), Targets::Clients)),
        };
        let changed = self.forward.set(&around, settings, |options, server| {
            let addresses = listen.iter().flat_map(|listen| self.world.addresses(listen));
            open_all(addresses, |address| tcp::serve(&self.world, address, options, server))
        });
        Ok(changed?.then(|| "http.forward: serves by the new table".to_owned()))
    }

    fn reload_mail(&self, config: &Config) -> Result<Option<String>, Failure> {
        let Common { limits, proxies } = common(config);
        let changed = self.mail.set(mail::Settings::read(config, limits, proxies))?;
        Ok(changed.then(|| "mail: serves by the new tables".to_owned()))
    }

    fn reload_relay(&self, config: &Config) -> Result<Option<String>, Failure> {
        let changed = self.agents.set_relay(&self.world, config)?;
        Ok(changed.then(|| "dhcp.relay: relays by the new table".to_owned()))
    }

    fn reload_clients(&self, config: &Config) -> Result<Option<String>, Failure> {
        let changed = self.agents.set_clients(&self.world, config, &self.data);
        Ok(changed.then(|| "dhcp.client: holds addresses by the new table".to_owned()))
    }

    /// The DHCP relay agent and clients.
    pub(crate) const fn agents(&self) -> &Agents {
        &self.agents
    }

    fn reload_dhcp(&self, config: &Config) -> Result<Option<String>, Failure> {
        let changed = self.dhcp.set(config)?;
        Ok(changed.then(|| "dhcp: serves by the new table".to_owned()))
    }

    /// DHCP.
    pub(crate) const fn dhcp(&self) -> &Arc<DhcpPart> {
        &self.dhcp
    }

    /// Mail.
    pub(crate) const fn mail(&self) -> &MailPart {
        &self.mail
    }

    fn reload_metrics(self: &Arc<Self>, config: &Config) -> Result<Option<String>, Failure> {
        let new = (config.section("metrics").listen("listen").to_vec(), common(config).limits);
        if self.parts().metrics_config == new {
            return Ok(None);
        }
        let measured: Vec<Arc<dyn Measured>> = vec![
            Arc::new(DnsPart(Arc::clone(self))),
            Arc::new(HttpPart(Arc::clone(self))),
            Arc::new(MailMeasured(Arc::clone(self))),
            Arc::new(DhcpMeasured(Arc::clone(self))),
            Arc::new(RelayMeasured(Arc::clone(self))),
            self.store.clone(),
        ];
        let metrics = Arc::new(Metrics::new(self.world.clone(), measured));
        let server = handler_server(&self.world, metrics);
        let mut options = TcpOptions::new("metrics", "http", 0);
        options.limits = new.1.clone();
        let addresses = new.0.iter().flat_map(|listen| self.world.addresses(listen));
        let doors = open_all(addresses, |address| tcp::serve(&self.world, address, &options, &server))?;
        let mut parts = self.parts();
        parts.metrics_config = new;
        let old = std::mem::replace(&mut parts.metrics_doors, doors);
        drop(parts);
        old.iter().for_each(TcpDoor::close);
        Ok(Some("metrics: listens anew".to_owned()))
    }

    /// Every door that was opened, for the table that `up` prints.
    pub(crate) fn doors(&self) -> Vec<OpenDoor> {
        let parts = self.parts();
        let mut doors = Vec::new();
        let mut add = |table, key, transport, local: Option<SocketAddr>| {
            doors.extend(local.map(|local| OpenDoor { table, key, transport, local, interface: None }));
        };
        for (udp, tcp) in parts.dns.udp().iter().zip(parts.dns.tcp()) {
            add("dns", "listen", Transport::Udp, udp.local());
            add("dns", "listen", Transport::Tcp, tcp.local());
        }
        for door in parts.dns.tls() {
            add("dns", "listen_tls", Transport::Tcp, door.local());
        }
        for (key, door) in &parts.http_doors {
            add("http", key, Transport::Tcp, door.local());
        }
        for local in self.forward.locals() {
            add("http.forward", "listen", Transport::Tcp, Some(local));
        }
        for (key, local) in self.mail.locals() {
            add("mail.listen", key, Transport::Tcp, Some(local));
        }
        for door in &parts.metrics_doors {
            add("metrics", "listen", Transport::Tcp, door.local());
        }
        doors.extend(self.dhcp.doors());
        doors.extend(self.agents.doors(&self.world));
        doors
    }

    /// Puts `config` in force. Returns what changed, one line each. A part that cannot take the new
    /// config keeps the old one while the others change, and the first such failure is told.
    ///
    /// Blocks while files are read: not for a worker.
    pub(crate) fn reload(self: &Arc<Self>, config: &Config) -> Result<Vec<String>, Failure> {
        let _changing = self.changing();
        let mut changed = Vec::new();
        let mut failed = None;
        for part in [
            self.reload_certificates(config),
            self.reload_dns(config),
            self.reload_http(config),
            self.reload_forward(config),
            self.reload_mail(config),
            self.reload_dhcp(config),
            self.reload_relay(config),
            self.reload_clients(config),
            self.reload_metrics(config),
        ] {
            match part {
                Ok(told) => changed.extend(told),
                Err(failure) => _ = failed.get_or_insert(failure),
            }
        }
        let Some(failure) = failed else { return Ok(changed) };
        for line in changed {
            tracing::info!("changed all the same: {line}");
        }
        Err(failure)
    }

    /// Makes the local authority's certificate anew when it is due, and serves what there is now.
    pub(crate) fn renew_certificates(&self) -> Result<(), Failure> {
        let _changing = self.changing();
        let config = self.parts().config.clone();
        self.reload_certificates(&config).map(drop)
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reload_certificates(&self, config: &Config) -> Result<Option<String>, Failure> {
        let certificates = certificates(&self.world, config, &self.data)?;
        self.tls_dns.replace(certificates.clone());
        let changed = self.tls.replace(certificates);
        self.parts().config = config.clone();
        Ok(changed.then(|| "tls: other certificates for new connections".to_owned()))
    }

    /// Serves the folders to which their paths lead now, which may be others with the same config.
    pub(crate) fn reopen_folders(&self) -> Result<Option<String>, Failure> {
        let http = Arc::clone(&self.parts().http);
        let moved = http.reopen_folders().map_err(|error| Failure::new(error.to_string()))?;
        Ok(moved.then(|| "http: serves the folders that are there now".to_owned()))
    }

    fn reload_dns(&self, config: &Config) -> Result<Option<String>, Failure> {
        let _zones = self.dhcp.names().changing();
        let new = dns_config(&self.world, config)?;
        let (old, server) = {
            let parts = self.parts();
            (parts.dns_config.clone(), Arc::clone(&parts.dns))
        };
        let same_doors = doorway_dns::config::Config {
            zones: old.zones.clone(),
            hosts: old.hosts.clone(),
            keys: old.keys.clone(),
            lease_zones: old.lease_zones.clone(),
            ..new.clone()
        } == old;
        if same_doors {
            // The files may have changed even where the config has not.
            let before: Vec<_> = zone_serials(&server);
            let reloaded = server.reload(&new);
            self.dhcp.names().renew(&server, &new);
            self.parts().dns_config = new;
            if let Some(error) = reloaded.refused.into_iter().next() {
                return Err(
                    dns_failure(error).fix("the zone is served as it was; mend the file and reload again")
                );
            }
            let after = zone_serials(&server);
            return Ok((before != after).then(|| format!("dns: {} zones read", reloaded.zones)));
        }
        // What the cache holds stays good, unless its bounds are others.
        let same_cache = new.resolver.as_ref().map(|r| &r.cache) == old.resolver.as_ref().map(|r| &r.cache);
        let old_server = server;
        let cache =
            old_server.recursion().filter(|_| same_cache).map(|recursion| Arc::clone(recursion.cache()));
        let surroundings =
            dns::Surroundings { tls: Some(Arc::clone(&self.tls_dns)), cache, journal: journal(&self.store) };
        // Whoever changes a zone meanwhile is told to try again.
        old_server.hold(true);
        let server = dns::Server::start(&self.world, &new, &surroundings).map_err(|error| {
            old_server.hold(false);
            dns_failure(error)
        })?;
        let server = Arc::new(server);
        self.names.renew(&server);
        self.dhcp.names().renew(&server, &new);
        let mut parts = self.parts();
        parts.dns_config = new;
        let old = std::mem::replace(&mut parts.dns, server);
        drop(parts);
        old.close();
        Ok(Some("dns: started anew".to_owned()))
    }

    fn reload_http(&self, config: &Config) -> Result<Option<String>, Failure> {
        let (new, new_common) = (http_config(config), common(config));
        let (old, old_common, server, old_proxies) = {
            let parts = self.parts();
            let (http, proxies) = (Arc::clone(&parts.http), Arc::clone(&parts.proxies));
            (parts.http_config.clone(), parts.common.clone(), http, proxies)
        };
        // Whoever moves the log away asks for a reload.
        server.reopen_access_log();
        if new == old && new_common == old_common {
            return Ok(None);
        }
        let same_doors = new.listen == old.listen
            && new.listen_tls == old.listen_tls
            && new.head_timeout == old.head_timeout
            && new_common == old_common;
        let proxies = proxies(&self.world, &self.names, &new, Some(&old_proxies))?;
        let caches = caches(&self.world, &self.data, &new, Some(&self.caches()))?;
        let handlers = handlers(&self.world, &self.logins, &proxies, &caches);
        if same_doors {
            server.replace(&new, sites(&new, &handlers)?);
            let mut parts = self.parts();
            (parts.http_config, parts.proxies, parts.caches) = (new, proxies, caches);
            return Ok(Some("http: serves by the new table, connections kept".to_owned()));
        }
        let (http, doors) = start_http(&self.world, &new, &new_common, &self.tls, &handlers)?;
        let mut parts = self.parts();
        (parts.http_config, parts.proxies, parts.caches) = (new, proxies, caches);
        parts.common = new_common;
        parts.http = http;
        let old = std::mem::replace(&mut parts.http_doors, doors);
        drop(parts);
        old.iter().for_each(|(_, door)| door.close());
        Ok(Some("http: started anew".to_owned()))
    }
}

/// What mail works with. It reads content with as many threads as there are workers.
fn mail_surroundings(
    world: &World,
    store: &Arc<Embedded>,
    names: &Arc<Names>,
    logins: &Logins,
    tls: &Arc<TlsAcceptor>,
) -> Result<mail::Surroundings, Failure> {
    let blobs = store.blobs(world.workers().max(1));
    let blobs = blobs.map_err(|error| storage::failure("cannot open the store's content", error))?;
    let (store, blobs): (Arc<dyn Store>, Arc<dyn Blobs>) = (Arc::clone(store) as _, Arc::new(blobs));
    Ok(mail::Surroundings {
        world: world.clone(),
        ids: mail::ids(&store, &blobs)?,
        store,
        blobs,
        names: Arc::clone(names) as Arc<dyn Resolve>,
        gate: Arc::clone(&logins.gate),
        tls: Arc::clone(tls),
    })
}

/// Opens a door at each address, or none.
fn open_all(
    addresses: impl Iterator<Item = SocketAddr>,
    open: impl Fn(SocketAddr) -> Result<TcpDoor, doorway_net::Error>,
) -> Result<Vec<TcpDoor>, Failure> {
    let mut doors: Vec<TcpDoor> = Vec::new();
    for address in addresses {
        match open(address) {
            Ok(door) => doors.push(door),
            Err(error) => {
                doors.iter().for_each(TcpDoor::close);
                return Err(net_failure(error));
            }
        }
    }
    Ok(doors)
}

fn zone_serials(dns: &dns::Server) -> Vec<(String, u32, usize)> {
    let zones = dns.zones();
    zones.list().iter().map(|zone| (zone.apex().to_string(), zone.serial(), zone.records())).collect()
}

/// An HTTP server that hands every request to `handler`.
fn handler_server(world: &World, handler: Arc<dyn Handler>) -> Arc<http::Server> {
    let config = http::Config { cache_octets_max: 0, ..http::Config::default() };
    Arc::new(http::Server::new(world, &config, http::Sites::default().mount("/", handler)))
}

/// Whom the routes of the config hand requests on to.
fn proxies(
    world: &World,
    names: &Arc<Names>,
    config: &http::Config,
    before: Option<&Proxies>,
) -> Result<Arc<Proxies>, Failure> {
    let names = Arc::clone(names) as Arc<dyn Resolve>;
    let opened = Proxies::open(world, &names, config, before);
    opened.map(Arc::new).map_err(|error| Failure::new(error.to_string()))
}

/// The caches of the config; those of `before` that are the same keep what they hold.
fn caches(
    world: &World,
    data: &Path,
    config: &http::Config,
    before: Option<&Caches>,
) -> Result<Caches, Failure> {
    let opened = Caches::open(world, &config.caches, &data.join(WEB_CACHE_FOLDER), before);
    opened.map_err(|error| Failure::new(error.to_string()))
}

/// What routes of the web server can name.
fn handlers(world: &World, logins: &Logins, proxies: &Arc<Proxies>, caches: &Caches) -> http::Handlers {
    let caching = caching(world, caches, Targets::Origin);
    logins.handlers().with_proxies(Arc::clone(proxies)).with_caching(caching)
}

/// Puts caches in front of whom somebody asks.
fn caching(world: &World, caches: &Caches, targets: Targets) -> Arc<http::Caching> {
    let (world, caches) = (world.clone(), caches.clone());
    Arc::new(move |name, origin| {
        let cache = caches.find(name)?;
        let policy = Policy::of(cache.config(), targets);
        let conductor = Conductor::new(&world, Arc::clone(cache), policy.clone(), origin);
        Some((Arc::clone(cache), policy, Arc::new(conductor) as Arc<dyn Handler>))
    })
}

fn sites(config: &http::Config, handlers: &http::Handlers) -> Result<http::Sites, Failure> {
    http::Sites::open(config, handlers).map_err(|error| {
        Failure::new(error.to_string()).fix("run `doorway check`, which says where it stands")
    })
}

fn start_http(
    world: &World,
    config: &http::Config,
    common: &Common,
    tls: &Arc<TlsAcceptor>,
    handlers: &http::Handlers,
) -> Result<(Arc<http::Server>, HttpDoors), Failure> {
    let server = Arc::new(http::Server::new(world, config, sites(config, handlers)?));
    server.start_access_log();
    let mut doors = HttpDoors::new();
    for (key, listen, tls) in
        [("listen", &config.listen, None), ("listen_tls", &config.listen_tls, Some(Arc::clone(tls)))]
    {
        let mut options = server.tcp_options(tls.is_some());
        let TcpLimits { idle, first_octet, .. } = options.limits;
        options.limits = TcpLimits { idle, first_octet, ..common.limits.clone() };
        options.proxies = common.proxies.clone();
        options.tls = tls;
        for address in listen.iter().flat_map(|listen| world.addresses(listen)) {
            match tcp::serve(world, address, &options, &server) {
                Ok(door) => doors.push((key, door)),
                Err(error) => {
                    doors.iter().for_each(|(_, door)| door.close());
                    return Err(net_failure(error));
                }
            }
        }
    }
    Ok((server, doors))
}

fn http_config(config: &Config) -> http::Config {
    let mut read = http::Config::read(config.section("http"));
    let public = Path::new(PUBLIC_FOLDER);
    if config.source.is_none() && read.root.is_none() && public.is_dir() {
        read.root = Some(public.to_owned());
    }
    read
}

// Where changes of zones are kept.
fn journal(store: &Arc<Embedded>) -> Option<dns::journal::Journal> {
    Some(dns::journal::Journal::new(Arc::clone(store) as Arc<dyn Store>))
}

fn dns_config(world: &World, config: &Config) -> Result<doorway_dns::config::Config, Failure> {
    let Common { limits, proxies } = common(config);
    let read = config::dns(config).map_err(|wrong| {
        Failure::new(format!("`{}` cannot be `{}`", wrong.key, wrong.value)).fix(wrong.fix).exit(Exit::Wrong)
    })?;
    let lease_zones = dhcp::Settings::read(world, config).zones(&read);
    Ok(doorway_dns::config::Config { limits, proxies, lease_zones, ..read })
}

fn common(config: &Config) -> Common {
    let values = config.section("limits");
    Common { limits: limits::tcp(values), proxies: limits::proxies(values) }
}

/// The configured certificates, and the local authority's for every other name.
fn certificates(world: &World, config: &Config, data: &Path) -> Result<Certificates, Failure> {
    let values = config.section("tls");
    let names: Vec<String> = values.texts("names").into_iter().map(str::to_owned).collect();
    let zones: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut certificates = Certificates::default();
    for own in values.tables("certificate") {
        let names: Vec<String> = own.texts("names").into_iter().map(str::to_owned).collect();
        certificates.add_files(&names, own.path("chain"), own.path("key")).map_err(net_failure)?;
    }
    for site in http_config(config).sites {
        if let Some((chain, key)) = &site.certificate {
            certificates.add_files(&site.hosts, chain, key).map_err(net_failure)?;
        }
    }
    let authority = LocalCa::open(&data.join(TLS_FOLDER), &zones, world.wall()).map_err(net_failure)?;
    let mut leaf_names = names.clone();
    leaf_names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
    let Common { limits, proxies } = common(config);
    let hostname = mail::Settings::read(config, limits, proxies).hostname;
    if authority.may_vouch_for(&hostname) && !leaf_names.contains(&hostname) {
        leaf_names.push(hostname);
    }
    for name in leaf_names.iter().filter(|name| !authority.may_vouch_for(name)) {
        tracing::warn!(
            "the local authority was made before `{name}` stood in `tls.names` and may not vouch for it, so the \
             certificate leaves that name out; to make a new authority, move {} away and restart",
            authority.root_path().display()
        );
    }
    authority.leaf(&mut certificates, &leaf_names, world.wall()).map_err(net_failure)?;
    Ok(certificates)
}

fn net_failure(error: doorway_net::Error) -> Failure {
    Failure::new(error.to_string()).fix(error.advice())
}

fn dns_failure(error: doorway_dns::Error) -> Failure {
    match error {
        doorway_dns::Error::Net(error) => net_failure(error),
        error => Failure::new(error.to_string()),
    }
}

/// The name server, as far as metrics are concerned.
struct DnsPart(Arc<Services>);

impl Measured for DnsPart {
    fn measure(&self, page: &mut Page) {
        let dns = Arc::clone(&self.0.parts().dns);
        metrics::dns::measure(&dns, page);
    }

    fn ready(&self) -> Option<(&'static str, bool)> {
        let dns = Arc::clone(&self.0.parts().dns);
        Some(("dns", dns.udp().iter().all(|door| !door.door().is_closing())))
    }
}

/// Mail, as far as metrics are concerned.
struct MailMeasured(Arc<Services>);

impl Measured for MailMeasured {
    fn measure(&self, page: &mut Page) {
        if let Some(mail) = self.0.mail.serving() {
            metrics::mail::measure(&mail, page);
        }
    }

    fn ready(&self) -> Option<(&'static str, bool)> {
        Some(("mail", self.0.mail.serving()?.is_ready()))
    }
}

/// DHCP, as far as metrics are concerned.
struct DhcpMeasured(Arc<Services>);

impl Measured for DhcpMeasured {
    fn measure(&self, page: &mut Page) {
        if let Some(server) = self.0.dhcp.server() {
            metrics::dhcp::measure(&server, page);
        }
        if let Some(files) = self.0.dhcp.files() {
            metrics::dhcp::measure_files(files.counters(), page);
        }
    }

    fn ready(&self) -> Option<(&'static str, bool)> {
        Some(("dhcp", !self.0.dhcp.server()?.counters().is_degraded()))
    }
}

/// The DHCP relay agent, as far as metrics are concerned.
struct RelayMeasured(Arc<Services>);

impl Measured for RelayMeasured {
    fn measure(&self, page: &mut Page) {
        if let Some(counts) = self.0.agents.relay_counts() {
            metrics::relay::measure(&counts, page);
        }
    }
}

/// The web server, as far as metrics are concerned.
struct HttpPart(Arc<Services>);

impl Measured for HttpPart {
    fn measure(&self, page: &mut Page) {
        let (http, proxies) = self.0.web_server();
        metrics::http::measure(&http, &self.0.logins, page);
        metrics::proxy::measure(&proxies, page);
        metrics::proxy::measure_forward(self.0.forward.counts(), page);
        metrics::cache::measure(&self.0.caches(), page);
    }

    fn ready(&self) -> Option<(&'static str, bool)> {
        let parts = self.0.parts();
        let open = parts.http_doors.iter().all(|(_, door)| !door.door().is_closing());
        Some(("http", open && self.0.forward.is_ready()))
    }
}
