//! Plugs the protocols into the program: the one file that knows them all.
//!
//! Each part is started from its table of the config, can be asked for its doors and counters, and is
//! started anew when a reload changes its table. The new one opens its doors before the old one
//! closes them, and parts whose tables are the same are not touched, nor are their connections.

use core::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use doorway_base::config::Listen;
use doorway_base::trace::Transport;
use doorway_dns::authority::counters::Counters;
use doorway_dns::io as dns;
use doorway_dns::io::recursion::{LATENCIES, Recursion};
use doorway_dns::io::transfers::Tally;
use doorway_http as http;
use doorway_net::limits::TcpLimits;
use doorway_net::proxy_protocol::ProxySources;
use doorway_net::tcp::{self, TcpDoor, TcpOptions};
use doorway_net::tls::local_ca::LocalCa;
use doorway_net::tls::{Certificates, TlsAcceptor};
use doorway_net::web::Handler;
use doorway_net::{Listener, World};
use doorway_store::{Embedded, Store};

use crate::config::{self, Config};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::first_run::OpenDoor;
use crate::limits;
use crate::logins::Logins;
use crate::metrics::{Measured, Metrics, Page};

/// The folder that is served when there is no config and it exists.
const PUBLIC_FOLDER: &str = "public";
/// What the resolver knew at the last stop, in the data folder.
const CACHE_FILE: &str = "dns-cache";
/// The folder of keys and certificates in the data folder.
const TLS_FOLDER: &str = "tls";

/// Everything that serves.
pub(crate) struct Services {
    world: World,
    data: PathBuf,
    store: Arc<Embedded>,
    logins: Logins,
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
        let dns_config = dns_config(config)?;
        let surroundings =
            dns::Surroundings { tls: Some(Arc::clone(&tls_dns)), cache: None, journal: journal(&store) };
        let dns = dns::Server::start_with(world, &dns_config, &surroundings, Some(zones));
        let dns = Arc::new(dns.map_err(dns_failure)?);
        let http_config = http_config(config);
        let (http, http_doors) = start_http(world, &http_config, &common, &tls, &logins)?;
        let metrics_config = (Vec::new(), common.limits.clone());
        let parts = Parts {
            config: config.clone(),
            dns_config,
            dns,
            http_config,
            common,
            http,
            http_doors,
            metrics_config,
            metrics_doors: Vec::new(),
        };
        let services = Arc::new(Self {
            world: world.clone(),
            data: data.to_owned(),
            store,
            logins,
            tls,
            tls_dns,
            parts: Mutex::new(parts),
            changing: Mutex::default(),
        });
        services.take_cache_back();
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

    fn reload_metrics(self: &Arc<Self>, config: &Config) -> Result<Option<String>, Failure> {
        let new = (config.section("metrics").listen("listen").to_vec(), common(config).limits);
        if self.parts().metrics_config == new {
            return Ok(None);
        }
        let measured: Vec<Arc<dyn Measured>> = vec![
            Arc::new(DnsPart(Arc::clone(self))),
            Arc::new(HttpPart(Arc::clone(self))),
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
            doors.extend(local.map(|local| OpenDoor { table, key, transport, local }));
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
        for door in &parts.metrics_doors {
            add("metrics", "listen", Transport::Tcp, door.local());
        }
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
        let new = dns_config(config)?;
        let (old, server) = {
            let parts = self.parts();
            (parts.dns_config.clone(), Arc::clone(&parts.dns))
        };
        let same_doors = doorway_dns::config::Config {
            zones: old.zones.clone(),
            hosts: old.hosts.clone(),
            keys: old.keys.clone(),
            ..new.clone()
        } == old;
        if same_doors {
            // The files may have changed even where the config has not.
            let before: Vec<_> = zone_serials(&server);
            let reloaded = server.reload(&new);
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
        let mut parts = self.parts();
        parts.dns_config = new;
        let old = std::mem::replace(&mut parts.dns, server);
        drop(parts);
        old.close();
        Ok(Some("dns: started anew".to_owned()))
    }

    fn reload_http(&self, config: &Config) -> Result<Option<String>, Failure> {
        let (new, new_common) = (http_config(config), common(config));
        let (old, old_common, server) = {
            let parts = self.parts();
            (parts.http_config.clone(), parts.common.clone(), Arc::clone(&parts.http))
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
        if same_doors {
            server.replace(&new, sites(&new, &self.logins)?);
            self.parts().http_config = new;
            return Ok(Some("http: serves by the new table, connections kept".to_owned()));
        }
        let (http, doors) = start_http(&self.world, &new, &new_common, &self.tls, &self.logins)?;
        let mut parts = self.parts();
        parts.http_config = new;
        parts.common = new_common;
        parts.http = http;
        let old = std::mem::replace(&mut parts.http_doors, doors);
        drop(parts);
        old.iter().for_each(|(_, door)| door.close());
        Ok(Some("http: started anew".to_owned()))
    }
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

fn sites(config: &http::Config, logins: &Logins) -> Result<http::Sites, Failure> {
    http::Sites::open(config, &logins.handlers()).map_err(|error| {
        Failure::new(error.to_string()).fix("run `doorway check`, which says where it stands")
    })
}

fn start_http(
    world: &World,
    config: &http::Config,
    common: &Common,
    tls: &Arc<TlsAcceptor>,
    logins: &Logins,
) -> Result<(Arc<http::Server>, HttpDoors), Failure> {
    let server = Arc::new(http::Server::new(world, config, sites(config, logins)?));
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

fn dns_config(config: &Config) -> Result<doorway_dns::config::Config, Failure> {
    let Common { limits, proxies } = common(config);
    let read = config::dns(config).map_err(|wrong| {
        Failure::new(format!("`{}` cannot be `{}`", wrong.key, wrong.value)).fix(wrong.fix).exit(Exit::Wrong)
    })?;
    Ok(doorway_dns::config::Config { limits, proxies, ..read })
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

/// What the name server counts.
struct DnsPart(Arc<Services>);

impl Measured for DnsPart {
    fn measure(&self, page: &mut Page) {
        use doorway_dns::authority::Carrier;
        let counters = self.0.parts().dns.counters();
        for (transport, carrier) in [("udp", Carrier::Datagram), ("tcp", Carrier::Stream)] {
            let answers = counters.iter().map(|worker| worker.answers(carrier)).sum();
            page.counter("doorway_dns_answers", "Answers sent.", &[("transport", transport)], answers);
        }
        let mut rcodes: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
        for (rcode, count) in counters.iter().flat_map(|worker| worker.by_rcode().collect::<Vec<_>>()) {
            *rcodes.entry(rcode.to_string()).or_default() += count;
        }
        for (rcode, count) in rcodes {
            page.counter("doorway_dns_rcodes", "Answers by response code.", &[("rcode", &rcode)], count);
        }
        let dropped = counters.iter().map(|worker| worker.dropped.value()).sum();
        page.counter("doorway_dns_dropped", "Messages without an answer.", &[], dropped);
        let sum = |count: fn(&Counters) -> u64| counters.iter().map(|worker| count(worker)).sum();
        let truncated = sum(|worker| worker.truncated.value());
        page.counter("doorway_dns_truncated", "Answers cut short over UDP.", &[], truncated);
        let cached = sum(|worker| worker.cached.value());
        page.counter("doorway_dns_cached", "Answers that were ready-made.", &[], cached);
        let limited = sum(|worker| worker.limited.value());
        page.counter("doorway_dns_limited", "Equal answers held back or cut.", &[], limited);
        let flooded = sum(|worker| worker.flooded.value());
        page.counter("doorway_dns_flooded", "Questions refused for a flood below their zone.", &[], flooded);
        let dns = Arc::clone(&self.0.parts().dns);
        for zone in dns.zones().list() {
            let name = zone.apex().to_string();
            let labels = [("zone", name.as_str())];
            page.gauge("doorway_dns_zone_serial", "SERIAL of each zone.", &labels, f64::from(zone.serial()));
            let records = zone.records() as f64;
            page.gauge("doorway_dns_zone_records", "Records of each zone.", &labels, records);
        }
        if let Some(log) = dns.query_log() {
            let left_out = log.left_out();
            page.counter("doorway_dns_query_log_left_out", "Queries not in the log.", &[], left_out);
        }
        if let Some(upkeep) = dns.upkeep() {
            transfers(page, upkeep.transfers().tally());
        }
        if let Some(recursion) = dns.recursion() {
            resolver(page, recursion);
        }
    }

    fn ready(&self) -> Option<(&'static str, bool)> {
        let dns = Arc::clone(&self.0.parts().dns);
        Some(("dns", dns.udp().iter().all(|door| !door.door().is_closing())))
    }
}

fn transfers(page: &mut Page, tally: &Tally) {
    const HELP: &str = "What was done to zones by message.";
    for (what, count) in [
        ("transfer_sent", &tally.sent),
        ("transfer_refused", &tally.refused),
        ("transfer_received", &tally.received),
        ("transfer_failed", &tally.failed),
        ("update", &tally.updates),
        ("update_refused", &tally.updates_refused),
        ("notify", &tally.notified),
        ("bad_signature", &tally.bad_signatures),
    ] {
        page.counter("doorway_dns_upkeep", HELP, &[("what", what)], count.load(Ordering::Relaxed));
    }
}

fn resolver(page: &mut Page, recursion: &Recursion) {
    let counts = recursion.counts();
    let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let under_way = f64::from(counts.under_way.load(Ordering::Relaxed));
    page.gauge("doorway_dns_resolver_under_way", "Questions under way.", &[], under_way);
    for (name, help, count) in [
        ("doorway_dns_resolver_questions", "Questions that had no ready answer.", &counts.questions),
        ("doorway_dns_resolver_refused", "Questions over a bound.", &counts.refused),
        ("doorway_dns_resolver_unexpected", "Messages nobody had asked for.", &counts.unexpected),
        ("doorway_dns_resolver_stale", "Answers with old data.", &counts.stale),
        ("doorway_dns_resolver_failed", "Answers that were SERVFAIL.", &counts.failed),
    ] {
        page.counter(name, help, &[], load(count));
    }
    for (transport, count) in ["udp", "tcp", "tls"].iter().zip(&counts.upstream) {
        let labels = [("transport", *transport)];
        page.counter("doorway_dns_upstream", "Queries to other servers.", &labels, load(count));
    }
    let latencies: Vec<u64> = counts.latencies.iter().map(load).collect();
    let sum = std::time::Duration::from_micros(load(&counts.micros));
    let help = "Time until an answer that had to be looked up.";
    page.histogram("doorway_dns_resolver_seconds", help, &LATENCIES, &latencies, sum);
    let stats = recursion.cache().stats();
    for (what, count) in
        [("hit", stats.hits), ("miss", stats.misses), ("stored", stats.stored), ("evicted", stats.evicted)]
    {
        page.counter("doorway_dns_cache", "Record sets looked up and kept.", &[("what", what)], count);
    }
    let (ready, ready_octets) = recursion.ready().usage();
    for (of, entries, octets) in
        [("records", stats.entries, stats.octets), ("answers", ready as u64, ready_octets as u64)]
    {
        let labels = [("of", of)];
        page.gauge("doorway_dns_cache_entries", "What the cache holds.", &labels, entries as f64);
        page.gauge("doorway_dns_cache_octets", "Memory of the cache.", &labels, octets as f64);
    }
}

/// What the web server counts.
struct HttpPart(Arc<Services>);

impl Measured for HttpPart {
    fn measure(&self, page: &mut Page) {
        let counts = Arc::clone(&self.0.parts().http).counts();
        page.counter("doorway_http_requests", "Requests with a right head.", &[], counts.requests);
        for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"].iter().zip(counts.responses) {
            page.counter("doorway_http_responses", "Responses by class.", &[("class", class)], count);
        }
        for (site, counts) in counts.by_site() {
            let site = if site.is_empty() { "*" } else { site };
            for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"].iter().zip(counts) {
                let labels = [("site", site), ("class", *class)];
                page.counter("doorway_http_site_responses", "Responses by site and class.", &labels, *count);
            }
        }
        for (protocol, count) in ["1.0", "1.1", "2"].iter().zip(counts.protocols) {
            page.counter("doorway_http_protocols", "Responses by version.", &[("version", protocol)], count);
        }
        let help = "Lines of the access log that were lost.";
        page.counter("doorway_http_log_dropped", help, &[], counts.lines_dropped);
        page.counter("doorway_http_hot", "Responses that were ready-made.", &[], counts.hot);
        for (rule, count) in counts.refusals() {
            page.counter("doorway_http_refused", "Requests that broke a rule.", &[("rule", rule)], count);
        }
        let connections = counts.h2_connections;
        page.counter("doorway_http2_connections", "Connections that spoke HTTP/2.", &[], connections);
        page.counter("doorway_http2_resets", "Streams that clients gave up.", &[], counts.h2_resets);
        for (rule, count) in counts.violations() {
            let help = "Rules of HTTP/2 that were broken.";
            page.counter("doorway_http2_violations", help, &[("rule", rule)], count);
        }
        let logins = &self.0.logins;
        let tally = logins.authenticator.tally();
        for (outcome, count) in [
            ("granted", &tally.granted),
            ("denied", &tally.denied),
            ("limited", &tally.limited),
            ("unavailable", &tally.unavailable),
            ("cleartext", &tally.cleartext),
            ("cross_site", &tally.cross_site),
        ] {
            let count = count.load(Ordering::Relaxed);
            page.counter(
                "doorway_http_logins",
                "Logins, and why others were none.",
                &[("outcome", outcome)],
                count,
            );
        }
        let sessions = logins.sessions.count();
        page.gauge("doorway_http_sessions", "Sessions that are kept.", &[], sessions as f64);
    }

    fn ready(&self) -> Option<(&'static str, bool)> {
        let parts = self.0.parts();
        Some(("http", parts.http_doors.iter().all(|(_, door)| !door.door().is_closing())))
    }
}
