//! What is served: sites by the host of a request, and the routes of each by its path.

use std::collections::HashMap;
use std::sync::Arc;

use doorway_net::web::{Fetch, Handler};

use super::authenticator::Authenticator;
use super::cache::Cache;
use super::cached::Cached;
use super::folder::Folder;
use super::gate::Gate;
use super::proxy::{Proxies, Reverse, Upstream};
use crate::Status;
use crate::auth::Demand;
use crate::cache::Policy;
use crate::config::{Config, ProxyConfig, RouteConfig, RouteDoes, SiteConfig};
use crate::cors::Cors;
use crate::error::Error;
use crate::media_type::media_type;
use crate::own_fields::OwnFields;
use crate::pattern::Pattern;
use crate::wire::Method;
use crate::wire::method::Methods;
use crate::wire::path::canonical;
use crate::wire::response::ResponseWriter;

/// Longest page for errors, in octets.
const PAGE_OCTETS_MAX: u64 = 1024 * 1024;

/// Parts of the program that sites need: those that a route can mount, by name, and who checks logins.
#[derive(Clone, Default)]
pub struct Handlers {
    named: Vec<(&'static str, Arc<dyn Handler>)>,
    login: Option<(Arc<Authenticator>, Arc<dyn Handler>)>,
    proxies: Option<Arc<Proxies>>,
    caching: Option<Arc<Caching>>,
}

/// Puts the cache of a name in front of whom a route asks: the cache, the policy by which it is fresh, and the
/// handler that fills it; `None` when there is no cache of that name.
pub type Caching =
    dyn Fn(&str, Arc<dyn Fetch>) -> Option<(Arc<Cache>, Policy, Arc<dyn Handler>)> + Send + Sync;

impl Handlers {
    /// Adds a part.
    #[must_use]
    pub fn with(mut self, name: &'static str, handler: Arc<dyn Handler>) -> Self {
        self.named.push((name, handler));
        self
    }

    /// Adds who checks logins, and the page with the form for them.
    #[must_use]
    pub fn with_login(mut self, authenticator: Arc<Authenticator>, page: Arc<dyn Handler>) -> Self {
        self.login = Some((authenticator, page));
        self
    }

    /// Adds the upstreams that routes hand requests on to.
    #[must_use]
    pub fn with_proxies(mut self, proxies: Arc<Proxies>) -> Self {
        self.proxies = Some(proxies);
        self
    }

    /// Adds the caches that keep what they bring.
    #[must_use]
    pub fn with_caching(mut self, caching: Arc<Caching>) -> Self {
        self.caching = Some(caching);
        self
    }

    /// Whose servers a route asks.
    fn upstream(&self, config: &ProxyConfig) -> Result<&Arc<Upstream>, Error> {
        let unknown =
            || Error::Upstream { name: config.to.join(", "), why: "there is none of this name".to_owned() };
        self.proxies.as_ref().and_then(|proxies| proxies.find(&config.to)).ok_or_else(unknown)
    }

    /// Who hands requests on as a route says.
    fn proxy(&self, config: &ProxyConfig) -> Result<Does, Error> {
        let unknown = |why: &str| Error::Upstream { name: config.to.join(", "), why: why.to_owned() };
        let upstream = self.upstream(config)?;
        let name = self.proxies.as_ref().map(|proxies| Arc::clone(proxies.name()));
        let reverse = Reverse::new(Arc::clone(upstream), name.unwrap_or_default(), config.buffers);
        let reverse = Arc::new(reverse);
        let Some(name) = &config.cache else { return Ok(Does::Handler(reverse)) };
        let cached = self.caching.as_ref().and_then(|caching| caching(name, reverse));
        let none = || unknown(&format!("there is no cache called `{name}`"));
        let (cache, policy, handler) = cached.ok_or_else(none)?;
        Ok(Does::Cached(Arc::new(Cached { cache, policy, handler })))
    }

    /// The gate for users and ways as the config has them; `None` where everybody is let in.
    fn gate(&self, realm: &str, users: &[String], ways: &[String]) -> Result<Option<Arc<Gate>>, Error> {
        if users.is_empty() {
            return Ok(None);
        }
        let (authenticator, _) = self.login.as_ref().ok_or(Error::NoLogin)?;
        let demand = Demand::read(realm, users, ways).map_err(Error::Demand)?;
        Ok(Some(Arc::new(Gate::new(demand, Arc::clone(authenticator)))))
    }

    fn find(&self, name: &str) -> Option<&Arc<dyn Handler>> {
        self.named.iter().find(|(known, _)| *known == name).map(|(_, handler)| handler)
    }
}

impl std::fmt::Debug for Handlers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.named.iter().map(|(name, _)| name)).finish()
    }
}

/// Everything that a server serves.
#[derive(Debug, Clone)]
pub struct Sites {
    /// The first one is for every host that no other has.
    sites: Vec<Site>,
    // Looked up, never iterated. Hosts in lower case; the part behind `*.` of those that begin with it.
    hosts: HashMap<Box<[u8]>, u16>,
    below: HashMap<Box<[u8]>, u16>,
}

impl Default for Sites {
    /// The built-in page for every host.
    fn default() -> Self {
        let site = Site { number: 0, name: "".into(), routes: vec![Arc::new(Route::page())], pages: None };
        Self { sites: vec![site], hosts: HashMap::new(), below: HashMap::new() }
    }
}

/// What is served under some hosts.
#[derive(Debug, Clone)]
pub(super) struct Site {
    /// Its place among the sites.
    pub(super) number: u16,
    /// Its first host; empty for that of every other host.
    pub(super) name: Arc<str>,
    /// The heaviest pattern first; the last fits every path.
    routes: Vec<Arc<Route>>,
    /// The folder that has its pages for errors.
    pages: Option<Arc<Folder>>,
}

/// How some paths of a site are answered.
pub(super) struct Route {
    pattern: Pattern,
    pub(super) does: Does,
    /// What it can be asked for; `None` for whatever a handler makes of it.
    pub(super) methods: Option<Methods>,
    /// Longest request body in octets, where that is less than the server's.
    pub(super) body_octets_max: Option<u64>,
    pub(super) fields: OwnFields,
    pub(super) cors: Option<Cors>,
    /// What it demands of those who come.
    pub(super) gate: Option<Arc<Gate>>,
    /// Whom it hands requests on to.
    asks: Option<Arc<Upstream>>,
}

/// What answers on a route.
#[derive(Clone)]
pub(super) enum Does {
    /// The built-in page.
    Page,
    /// A folder.
    Files(Arc<Folder>),
    /// Another place.
    Redirect { to: String, status: u16 },
    /// A text.
    Respond { text: Arc<str>, status: u16 },
    /// A part of the program.
    Handler(Arc<dyn Handler>),
    /// A part of the program whose responses are kept.
    Cached(Arc<Cached>),
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let does = match &self.does {
            Does::Page => "page",
            Does::Files(_) => "files",
            Does::Redirect { .. } => "redirect",
            Does::Respond { .. } => "respond",
            Does::Handler(_) => "handler",
            Does::Cached(_) => "cached handler",
        };
        f.debug_struct("Route").field("pattern", &self.pattern).field("does", &does).finish_non_exhaustive()
    }
}

impl Sites {
    /// The sites of the configuration.
    ///
    /// # Errors
    /// [`Error::Root`] when a folder cannot be opened, [`Error::Mount`] when a route mounts what is not
    /// among `handlers`, [`Error::Upstream`] when one hands requests on to whom they do not know,
    /// [`Error::Pattern`] when a path cannot be read.
    pub fn open(config: &Config, handlers: &Handlers) -> Result<Self, Error> {
        let plain = SiteConfig::plain(config.root.clone());
        let others = config.sites.iter().find(|site| site.hosts.is_empty());
        let mut sites = vec![Site::open(0, others.unwrap_or(&plain), handlers)?];
        let (mut hosts, mut below) = (HashMap::new(), HashMap::new());
        for config in config.sites.iter().filter(|site| !site.hosts.is_empty()) {
            let number = u16::try_from(sites.len()).unwrap_or(u16::MAX);
            sites.push(Site::open(number, config, handlers)?);
            for host in &config.hosts {
                match host.strip_prefix("*.") {
                    Some(rest) => below.insert(rest.as_bytes().into(), number),
                    None => hosts.insert(host.as_bytes().into(), number),
                };
            }
        }
        Ok(Self { sites, hosts, below })
    }

    /// Gives all paths that are `prefix`, or begin with it and a slash, to a handler, on the site of every
    /// other host. The longest prefix decides; `/` takes every path, and `*` too.
    ///
    /// # Panics
    /// When `prefix` begins with no slash.
    #[must_use]
    pub fn mount(mut self, prefix: &str, handler: Arc<dyn Handler>) -> Self {
        let pattern = Pattern::parse(prefix).expect("a prefix begins with a slash");
        self.sites[0].add(Route { pattern, does: Does::Handler(handler), methods: None, ..Route::page() });
        self
    }

    /// As [`Sites::mount`], for a handler whose responses are kept in `cache`: what is there in memory and
    /// fresh by `policy` is sent without asking the handler, which itself fills the cache.
    ///
    /// # Panics
    /// When `prefix` begins with no slash.
    #[must_use]
    pub fn mount_cached(
        mut self,
        prefix: &str,
        handler: Arc<dyn Handler>,
        cache: Arc<Cache>,
        policy: Policy,
    ) -> Self {
        let pattern = Pattern::parse(prefix).expect("a prefix begins with a slash");
        let does = Does::Cached(Arc::new(Cached { cache, policy, handler }));
        self.sites[0].add(Route { pattern, does, methods: None, ..Route::page() });
        self
    }

    /// The site for a host without port.
    #[inline]
    pub(super) fn find(&self, host: &[u8]) -> &Site {
        if self.sites.len() == 1 { &self.sites[0] } else { self.look_up(host) }
    }

    fn look_up(&self, host: &[u8]) -> &Site {
        const HOST_OCTETS_MAX: usize = 254;
        let mut lower = [0; HOST_OCTETS_MAX];
        let Some(lower) = lower.get_mut(..host.len()) else { return &self.sites[0] };
        lower.copy_from_slice(host);
        lower.make_ascii_lowercase();
        let name: &[u8] = lower.strip_suffix(b".").unwrap_or(lower);
        let mut number = self.hosts.get(name);
        let mut rest = name;
        while number.is_none()
            && let Some(dot) = rest.iter().position(|&octet| octet == b'.')
        {
            rest = &rest[dot + 1..];
            number = self.below.get(rest);
        }
        number.and_then(|number| self.sites.get(usize::from(*number))).unwrap_or(&self.sites[0])
    }

    /// The upstream that a request is handed on to.
    pub(super) fn upstream_of(&self, host: &str, path: &str) -> Option<Arc<Upstream>> {
        let site = self.find(host.as_bytes());
        let path = canonical(path.as_bytes()).ok()?;
        site.route(site.route_of(&path)).asks.clone()
    }

    /// Who answers from a cache.
    pub(super) fn cached_at(&self, host: &str, path: &str) -> Option<Arc<dyn Handler>> {
        let site = self.find(host.as_bytes());
        let path = canonical(path.as_bytes()).ok()?;
        match &site.route(site.route_of(&path)).does {
            Does::Cached(cached) => Some(Arc::clone(&cached.handler)),
            _ => None,
        }
    }

    /// Names of the sites, in the order of their numbers.
    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.sites.iter().map(|site| &site.name)
    }

    /// Every folder that is served.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Arc<Folder>> {
        self.sites.iter().flat_map(|site| &site.routes).filter_map(|route| match &route.does {
            Does::Files(folder) => Some(folder),
            _ => None,
        })
    }

    /// The same sites, with each folder opened anew whose path leads to another one by now; `None` when
    /// there is none.
    pub(super) fn reopen(&self) -> Result<Option<Self>, Error> {
        let mut new = self.clone();
        let mut moved = false;
        for route in new.sites.iter_mut().flat_map(|site| &mut site.routes) {
            let Does::Files(folder) = &route.does else { continue };
            if let Some(folder) = folder.reopen()? {
                *route = Arc::new(route.with(Does::Files(Arc::new(folder))));
                moved = true;
            }
        }
        Ok(moved.then_some(new))
    }
}

impl Site {
    fn open(number: u16, config: &SiteConfig, handlers: &Handlers) -> Result<Self, Error> {
        let name = config.hosts.first().map(String::as_str).unwrap_or_default().into();
        let own = match &config.root {
            Some(path) => Does::Files(Arc::new(Folder::open(path, config)?)),
            // A site of its own without a folder has its routes alone.
            None if config.hosts.is_empty() && config.routes.is_empty() => Does::Page,
            None => Does::Respond { text: "".into(), status: 404 },
        };
        let pages = match &own {
            Does::Files(folder) if !config.errors.is_empty() => Some(Arc::clone(folder)),
            _ => None,
        };
        let mut site = Self { number, name, routes: Vec::with_capacity(config.routes.len() + 1), pages };
        for route in &config.routes {
            site.add(Route::open(route, config, &own, handlers)?);
        }
        let fields = OwnFields::read(&config.fields);
        let gate = handlers.gate(&config.realm, &config.auth, &config.login)?;
        let methods = Some(own.methods(gate.is_some()));
        if !site.routes.iter().any(|route| route.pattern == Pattern::root()) {
            site.add(Route { does: own, methods, fields, gate, ..Route::page() });
        }
        let by_form = |route: &Arc<Route>| route.gate.as_ref().is_some_and(|gate| gate.demand().ways.form);
        if let Some((authenticator, page)) = &handlers.login
            && site.routes.iter().any(by_form)
        {
            let path = &authenticator.config().path;
            let pattern = Pattern::parse(path).ok_or_else(|| Error::Pattern { path: path.clone() })?;
            site.add(Route {
                pattern,
                does: Does::Handler(Arc::clone(page)),
                methods: None,
                ..Route::page()
            });
        }
        Ok(site)
    }

    fn add(&mut self, route: Route) {
        self.routes.retain(|other| other.pattern != route.pattern);
        self.routes.push(Arc::new(route));
        // The sort is stable: of two that weigh the same the first decides.
        self.routes.sort_by_key(|route| std::cmp::Reverse(route.pattern.weight()));
    }

    /// The place of the route of a path in canonical form, or of `*`.
    pub(super) fn route_of(&self, path: &str) -> u16 {
        let place = self.routes.iter().position(|route| route.pattern.fits(path));
        u16::try_from(place.unwrap_or(self.routes.len() - 1)).unwrap_or(u16::MAX)
    }

    /// The page for a status, with its media type, where the site has one.
    pub(super) fn error_page(&self, status: Status) -> Option<(&'static str, Vec<u8>)> {
        let folder = self.pages.as_ref()?;
        let name = folder.error_page(status.code())?;
        let page = folder.root.read(name, PAGE_OCTETS_MAX);
        page.map(|octets| (media_type(name), octets))
            .inspect_err(|error| tracing::warn!(name, %error, "a page for errors could not be read"))
            .ok()
    }

    /// The route at a place.
    #[inline]
    pub(super) fn route(&self, place: u16) -> &Arc<Route> {
        &self.routes[usize::from(place)]
    }
}

impl Does {
    /// What it can be asked for; `gated` says whether those who ask are known, without which nothing is stored.
    fn methods(&self, gated: bool) -> Methods {
        let reading = Methods::NONE.with(Method::Get).with(Method::Head).with(Method::Options);
        match self {
            Self::Page => reading,
            Self::Files(folder) if folder.write.is_some() && gated => {
                reading.with(Method::Put).with(Method::Delete)
            }
            Self::Files(_) => reading,
            Self::Redirect { .. } | Self::Respond { .. } => {
                reading.with(Method::Post).with(Method::Put).with(Method::Delete).with(Method::Patch)
            }
            Self::Handler(_) | Self::Cached(_) => Methods::NONE,
        }
    }
}

impl Route {
    /// The built-in page at every path.
    pub(super) fn page() -> Self {
        Self {
            pattern: Pattern::root(),
            does: Does::Page,
            methods: Some(Does::Page.methods(false)),
            body_octets_max: None,
            fields: OwnFields::default(),
            cors: None,
            gate: None,
            asks: None,
        }
    }

    fn open(config: &RouteConfig, site: &SiteConfig, own: &Does, handlers: &Handlers) -> Result<Self, Error> {
        let pattern =
            Pattern::parse(&config.path).ok_or_else(|| Error::Pattern { path: config.path.clone() })?;
        let does = match &config.does {
            RouteDoes::Site => own.clone(),
            RouteDoes::Root(path) => Does::Files(Arc::new(Folder::open(path, site)?.below(pattern.base()))),
            RouteDoes::Redirect { to, status } => Does::Redirect { to: to.clone(), status: *status },
            RouteDoes::Respond { text, status } => {
                Does::Respond { text: text.as_str().into(), status: *status }
            }
            RouteDoes::Proxy(proxy) => handlers.proxy(proxy)?,
            RouteDoes::Mount(name) => match handlers.find(name) {
                Some(handler) => Does::Handler(Arc::clone(handler)),
                None => {
                    let known = handlers.named.iter().map(|(name, _)| *name).collect();
                    return Err(Error::Mount { name: name.clone(), known });
                }
            },
        };
        let mut fields = OwnFields::read(&site.fields);
        fields.extend(&config.fields);
        let body_octets_max = config.body_octets_max;
        let gate = handlers.gate(
            config.realm.as_ref().unwrap_or(&site.realm),
            config.auth.as_ref().unwrap_or(&site.auth),
            config.login.as_ref().unwrap_or(&site.login),
        )?;
        let wanted = Methods::named(config.methods.iter().map(String::as_str));
        let methods = match &does {
            Does::Handler(_) | Does::Cached(_) => wanted.map(|wanted| wanted.with(Method::Options)),
            does => {
                let takes = does.methods(gate.is_some());
                Some(wanted.map_or(takes, |wanted| takes.both(wanted.with(Method::Options))))
            }
        };
        Ok(Self {
            pattern,
            does,
            methods,
            body_octets_max,
            fields,
            cors: config.cors.as_ref().map(Cors::new),
            gate,
            asks: match &config.does {
                RouteDoes::Proxy(proxy) => handlers.upstream(proxy).ok().cloned(),
                _ => None,
            },
        })
    }

    fn with(&self, does: Does) -> Self {
        Self {
            pattern: self.pattern.clone(),
            does,
            methods: self.methods,
            body_octets_max: self.body_octets_max,
            fields: self.fields.clone(),
            cors: self.cors.clone(),
            gate: self.gate.clone(),
            asks: self.asks.clone(),
        }
    }

    /// Where a request for `path` is sent by a redirect to `to`: a final asterisk of `to` is what follows
    /// the route's pattern.
    pub(super) fn location(&self, to: &str, path: &str, query: Option<&[u8]>) -> String {
        let mut location = match to.strip_suffix('*') {
            Some(before) => {
                let rest = self.pattern.rest(path).unwrap_or(path);
                // Never two slashes in a row: behind a path alone they would name another host.
                let rest = if before.ends_with('/') { rest.trim_start_matches('/') } else { rest };
                format!("{before}{rest}")
            }
            None => to.to_owned(),
        };
        if let Some(query) = query {
            location.push(if location.contains('?') { '&' } else { '?' });
            location.push_str(&String::from_utf8_lossy(query));
        }
        location
    }

    /// Adds the fields that the config gives the route, and those of its cross-origin rules.
    pub(super) fn write_fields(&self, writer: &mut ResponseWriter<'_>, origin: Option<&[u8]>) {
        self.fields.write(writer);
        if let Some(cors) = &self.cors {
            cors.write(writer, origin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorway_net::BoxFuture;
    use doorway_net::web::{Request, Response};

    struct Named(u16);

    impl Handler for Named {
        fn handle(&self, _: Request) -> BoxFuture<'_, Response> {
            Box::pin(async { Response { status: self.0, ..Response::default() } })
        }
    }

    fn named(sites: &Sites, host: &str, path: &str) -> Option<*const ()> {
        let site = sites.find(host.as_bytes());
        match &site.route(site.route_of(path)).does {
            Does::Handler(handler) => Some(Arc::as_ptr(handler).cast::<()>()),
            _ => None,
        }
    }

    #[test]
    fn the_longest_prefix_of_whole_segments_decides() {
        let sites = Sites::default().mount("/a", Arc::new(Named(1))).mount("/a/b/", Arc::new(Named(2)));
        let (a, b) = (named(&sites, "", "/a"), named(&sites, "", "/a/b"));
        assert_ne!(a, b);
        for (path, expected) in
            [("/a/", a), ("/a/x", a), ("/a/bc", a), ("/a/b/c", b), ("/ab", None), ("/", None), ("*", None)]
        {
            assert_eq!(named(&sites, "", path), expected, "{path}");
        }
        let all = sites.mount("/", Arc::new(Named(3)));
        assert!(named(&all, "", "/ab").is_some() && named(&all, "", "*").is_some());
    }

    #[test]
    fn a_site_is_found_by_its_name_then_by_the_nearest_one_above() {
        let site = |hosts: &[&str]| SiteConfig {
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            ..SiteConfig::plain(None)
        };
        let config = Config {
            sites: vec![
                site(&["www.example.org", "example.org"]),
                site(&["*.example.org"]),
                site(&["*.b.example.org"]),
            ],
            ..Config::default()
        };
        let sites = Sites::open(&config, &Handlers::default()).unwrap();
        for (host, number) in [
            ("www.example.org", 1),
            ("EXAMPLE.org", 1),
            ("example.org.", 1),
            ("a.example.org", 2),
            ("x.a.example.org", 2),
            ("x.b.example.org", 3),
            ("b.example.org", 2),
            ("example.com", 0),
            ("", 0),
            ("org", 0),
        ] {
            assert_eq!(sites.find(host.as_bytes()).number, number, "{host}");
        }
        assert_eq!(sites.find(&[b'a'; 300]).number, 0);
    }

    #[test]
    fn a_redirect_keeps_what_follows_its_path_and_the_query() {
        let route = |path: &str| Route { pattern: Pattern::parse(path).unwrap(), ..Route::page() };
        let check = |path, to, asked, query: Option<&str>, expected| {
            assert_eq!(route(path).location(to, asked, query.map(str::as_bytes)), expected);
        };
        check("/old", "/new/*", "/old/a/b", None, "/new/a/b");
        check("/old", "/new*", "/old/a", Some("x=1"), "/new/a?x=1");
        check("/old", "https://example.org/*", "/old", None, "https://example.org/");
        check("/", "https://example.org*", "/a", Some("x"), "https://example.org/a?x");
        check("/old", "/new?y=2", "/old/a", Some("x=1"), "/new?y=2&x=1");
        check("/old", "/*", "/old//evil.example", None, "/evil.example");
    }
}
