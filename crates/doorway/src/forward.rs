//! The forward proxy as a part of the program: its doors, and what it is made of.

use core::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use doorway_http as http;
use doorway_http::config::ForwardConfig;
use doorway_http::io::proxy::{Forward, ForwardCounts, Outbound};
use doorway_http::{Caching, Server, Sites};
use doorway_net::World;
use doorway_net::limits::TcpLimits;
use doorway_net::proxy_protocol::ProxySources;
use doorway_net::resolve::Resolve;
use doorway_net::tcp::{TcpDoor, TcpOptions};
use doorway_net::web::{Fetch, Handler};

use crate::failure::Failure;
use crate::logins::Logins;

/// What the forward proxy asks of the rest of the program.
pub(crate) struct Surroundings<'s> {
    pub(crate) world: &'s World,
    pub(crate) names: Arc<dyn Resolve>,
    pub(crate) logins: &'s Logins,
    /// Our name in Via.
    pub(crate) name: Arc<str>,
    pub(crate) caching: Option<Arc<Caching>>,
}

/// The forward proxy that serves, if there is one.
#[derive(Default)]
pub(crate) struct ForwardPart {
    counts: Arc<ForwardCounts>,
    serving: Mutex<Serving>,
}

#[derive(Default)]
struct Serving {
    /// By which settings it serves.
    settings: Option<Settings>,
    server: Option<Arc<Server>>,
    doors: Vec<TcpDoor>,
}

/// What the config says about it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) forward: ForwardConfig,
    /// Of the web server, bounds of messages and the like.
    pub(crate) web: http::Config,
    pub(crate) limits: TcpLimits,
    pub(crate) proxies: ProxySources,
}

impl ForwardPart {
    fn serving(&self) -> MutexGuard<'_, Serving> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it has done since the start.
    pub(crate) const fn counts(&self) -> &Arc<ForwardCounts> {
        &self.counts
    }

    /// Serves by these settings from now on; a door is opened by `open`. Returns whether anything changed.
    pub(crate) fn set(
        &self,
        around: &Surroundings<'_>,
        mut new: Settings,
        open: impl FnOnce(&TcpOptions, &Arc<Server>) -> Result<Vec<TcpDoor>, Failure>,
    ) -> Result<bool, Failure> {
        new.web = of_messages(&new.web, new.forward.cache.as_deref());
        let mut serving = self.serving();
        if serving.settings.as_ref() == Some(&new) {
            return Ok(false);
        }
        if new.forward.listen.is_empty() {
            serving.doors.iter().for_each(TcpDoor::close);
            let served = !serving.doors.is_empty();
            *serving = Serving { settings: Some(new), ..Serving::default() };
            return Ok(served);
        }
        let sites = Sites::default().mount("/", self.handler(around, &new.forward)?);
        let same_doors = |old: &Settings| {
            old.forward.listen == new.forward.listen
                && old.web.head_timeout == new.web.head_timeout
                && (&old.limits, &old.proxies) == (&new.limits, &new.proxies)
        };
        match &serving.server {
            Some(server) if serving.settings.as_ref().is_some_and(same_doors) => {
                server.replace(&new.web, sites)
            }
            _ => {
                let server = Arc::new(Server::new(around.world, &new.web, sites));
                server.start_access_log();
                let mut options = TcpOptions { service: "proxy", ..server.tcp_options(false) };
                let TcpLimits { idle, first_octet, .. } = options.limits;
                options.limits = TcpLimits { idle, first_octet, ..new.limits.clone() };
                options.proxies = new.proxies.clone();
                let doors = open(&options, &server)?;
                let old = std::mem::replace(&mut serving.doors, doors);
                old.iter().for_each(TcpDoor::close);
                serving.server = Some(server);
            }
        }
        serving.settings = Some(new);
        Ok(true)
    }

    fn handler(
        &self,
        around: &Surroundings<'_>,
        config: &ForwardConfig,
    ) -> Result<Arc<dyn Handler>, Failure> {
        let told = |error: http::Error| Failure::new(error.to_string());
        let outbound = Outbound::open(
            around.world,
            &around.names,
            Arc::clone(&around.name),
            config,
            Arc::clone(&self.counts),
        );
        let outbound = Arc::new(outbound.map_err(told)?);
        let cached = match &config.cache {
            None => None,
            Some(name) => {
                let origin = Arc::clone(&outbound) as Arc<dyn Fetch>;
                let found = around.caching.as_ref().and_then(|caching| caching(name, origin));
                let none = || Failure::new(format!("there is no cache called `{name}`"));
                Some(found.map(|(_, _, handler)| handler).ok_or_else(none)?)
            }
        };
        let authenticator = Some(&around.logins.authenticator);
        let forward = Forward::new(config, outbound, authenticator, cached);
        Ok(Arc::new(forward.map_err(told)?))
    }

    /// Its doors, for the table that `up` prints.
    pub(crate) fn locals(&self) -> Vec<SocketAddr> {
        self.serving().doors.iter().filter_map(TcpDoor::local).collect()
    }

    /// Whether every door takes newcomers.
    pub(crate) fn is_ready(&self) -> bool {
        self.serving().doors.iter().all(|door| !door.door().is_closing())
    }
}

/// The settings of the web server that are the proxy's too: bounds of messages, the log, its cache, and nothing
/// to serve.
fn of_messages(web: &http::Config, cache: Option<&str>) -> http::Config {
    http::Config {
        listen: Vec::new(),
        listen_tls: Vec::new(),
        root: None,
        sites: Vec::new(),
        upstreams: Vec::new(),
        caches: web.caches.iter().filter(|own| Some(own.name.as_str()) == cache).cloned().collect(),
        cache_octets_max: 0,
        trace: false,
        ..web.clone()
    }
}
