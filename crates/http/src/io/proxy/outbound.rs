//! What a forward proxy fetches: from the server that the client names, whose address is judged when it is
//! connected to, or through a parent proxy.

use std::io;
use std::sync::Arc;

use doorway_base::config::Secret;
use doorway_net::resolve::Resolve;
use doorway_net::tls::TlsDialler;
use doorway_net::web::{Fetch, Request, Response};
use doorway_net::{BoxFuture, World};

use super::super::client::{Ask, Client, ClientError, Peer, Settings, Tunnel};
use super::forward::ForwardCounts;
use super::response::{Handed, UNASKED, handed, joined, told};
use super::tunnel::TunnelLimits;
use crate::Status;
use crate::client::request::basic;
use crate::config::{ForwardConfig, ParentConfig};
use crate::error::Error;
use crate::proxy::access::{Denied, Domain};
use crate::proxy::forwarding::{self, Hop};
use crate::proxy::profile::{Profile, lifetime};
use crate::url::{Url, default_port};
use crate::wire::{Method, Target};

/// Fields about how long a response may be kept, in place of which comes what is known of it.
const LIFETIME_FIELDS: [&str; 3] = ["cache-control", "expires", "pragma"];

/// Fetches whatever a client names.
#[derive(Debug)]
pub struct Outbound {
    world: World,
    /// Our name in Via.
    name: Arc<str>,
    client: Client,
    parents: Vec<Parent>,
    /// For parents, which the operator chose: every address is good.
    to_parents: Client,
    profiles: Vec<Profile>,
    limits: TunnelLimits,
    counts: Arc<ForwardCounts>,
}

/// A proxy that is asked in turn.
#[derive(Debug)]
struct Parent {
    domains: Vec<Domain>,
    peer: Peer,
    /// The value of Proxy-Authorization, if it wants one.
    login: Option<String>,
}

impl Outbound {
    /// Fetches as the config says; calls itself `name` in Via.
    ///
    /// # Errors
    /// [`Error::Upstream`] when a parent's address or password cannot be read.
    pub fn open(
        world: &World,
        resolver: &Arc<dyn Resolve>,
        name: Arc<str>,
        config: &ForwardConfig,
        counts: Arc<ForwardCounts>,
    ) -> Result<Self, Error> {
        let parents = config.parents.iter().map(Parent::open).collect::<Result<_, _>>()?;
        let tls = TlsDialler::new(None, &["h2", "http/1.1"]).map(Arc::new);
        let tls =
            tls.map_err(|error| Error::Upstream { name: "https".to_owned(), why: error.to_string() })?;
        let settings = Settings {
            connect_timeout: config.connect_timeout,
            response_timeout: config.response_timeout,
            body_timeout: config.response_timeout,
            ..Settings::default()
        };
        let guarded = Settings { destinations: Some(config.destinations.clone()), ..settings.clone() };
        let client = |settings| Client::new(world, Arc::clone(resolver), Some(Arc::clone(&tls)), settings);
        Ok(Self {
            world: world.clone(),
            name,
            client: client(guarded),
            parents,
            to_parents: client(settings),
            profiles: config.profiles.clone(),
            limits: TunnelLimits { idle: config.tunnel_timeout, octets: config.tunnel_octets_max },
            counts,
        })
    }

    /// What the proxy has done.
    pub(super) const fn counts(&self) -> &Arc<ForwardCounts> {
        &self.counts
    }

    pub(super) const fn world(&self) -> &World {
        &self.world
    }

    pub(super) const fn limits(&self) -> TunnelLimits {
        self.limits
    }

    fn parent(&self, host: &str) -> Option<&Parent> {
        self.parents.iter().find(|parent| parent.domains.iter().any(|domain| domain.has(host)))
    }

    /// Opens a tunnel to a host and a port.
    pub(super) async fn tunnel(&self, host: &str, port: u16) -> Result<Tunnel, ClientError> {
        let url = |scheme: &str| Url {
            scheme: scheme.to_owned(),
            user: None,
            host: host.to_owned(),
            port: Some(port),
            path: "/".to_owned(),
            query: None,
            fragment: None,
        };
        let Some(parent) = self.parent(host) else {
            let peer = Peer { tls_name: None, ..Peer::of(&url("http"))? };
            return self.client.dial(&peer).await.map(|(tunnel, _)| tunnel);
        };
        let mut ask = Ask { peer: Some(parent.peer.clone()), ..Ask::new("CONNECT", url("http")) };
        if let Some(login) = &parent.login {
            ask.fields.add("Proxy-Authorization", login.as_str());
        }
        let answer = self.to_parents.send(ask).await?;
        answer.tunnel.ok_or_else(|| {
            let why = format!("{} answers {}", parent.peer.place, answer.response.status);
            ClientError::Connect(host.to_owned(), io::Error::new(io::ErrorKind::ConnectionRefused, why))
        })
    }

    async fn hand_on(&self, request: Request) -> io::Result<Response> {
        let method = Method::parse(request.method.as_bytes());
        let target = request.target.clone();
        let Some((url, path)) = url(method, &target, &request.host, request.port) else {
            return Ok(told(Status::BAD_REQUEST, "a proxy is asked for a whole URL"));
        };
        let hop = Hop { name: &self.name, version: request.version, client: None };
        let Ok(mut fields) = forwarding::request_fields(&request.fields, &hop) else {
            return Ok(told(Status::LOOP_DETECTED, "the request came by this proxy before"));
        };
        let known = lifetime(&self.profiles, path).filter(|_| fields.first("authorization").is_none());
        let asks_other = forwarding::upgrade_asked(&request.fields).filter(|_| request.version == "1.1");
        let upgrade = asks_other.map(str::to_owned);
        let upgrades = upgrade.is_some();
        let length = request.fields.first("content-length").and_then(|length| length.parse().ok());
        let parent = self.parent(&request.host);
        if let Some(login) = parent.and_then(|parent| parent.login.as_deref()) {
            fields.add("Proxy-Authorization", login);
        }
        let ask = Ask {
            fields,
            body: request.body,
            length,
            peer: parent.map(|parent| parent.peer.clone()),
            absolute: parent.is_some(),
            asks_first: false,
            upgrade,
            informational: request.informational,
            ..Ask::new(&request.method, url)
        };
        let client = if parent.is_some() { &self.to_parents } else { &self.client };
        let answer = match client.send(ask).await {
            // A refusal and no failure: nothing that is kept is used instead.
            Err(ClientError::Forbidden(_)) => return Ok(self.counts.deny(Denied::Private)),
            answer => answer?,
        };
        let Handed { mut response, tunnel } = handed(answer, method, &self.name);
        if let Some(known) = known.filter(|_| matches!(response.status, 200 | 206 | 304)) {
            let about = |name: &str| LIFETIME_FIELDS.iter().any(|known| name.eq_ignore_ascii_case(known));
            response.fields.retain(|name, _| !about(name));
            response.fields.add("Cache-Control", known.cache_control());
        }
        match tunnel {
            Some(tunnel) if upgrades => Ok(joined(response, &self.world, tunnel, self.limits, drop)),
            Some(_) => Ok(told(Status::BAD_GATEWAY, UNASKED)),
            None => Ok(response),
        }
    }
}

impl Fetch for Outbound {
    fn fetch(&self, request: Request) -> BoxFuture<'_, io::Result<Response>> {
        Box::pin(self.hand_on(request))
    }
}

impl Parent {
    fn open(config: &ParentConfig) -> Result<Self, Error> {
        let wrong = |why: String| Error::Upstream { name: config.address.clone(), why };
        let url = Url::parse(&config.address).map_err(|fault| wrong(fault.to_string()))?;
        let peer = Peer::of(&url).map_err(|error| wrong(error.to_string()))?;
        let login = config.user.as_ref().map(|(user, secret)| {
            let password = reveal(secret).map_err(|error| wrong(format!("its password: {error}")))?;
            Ok(basic(user, &password))
        });
        Ok(Self { domains: config.domains.clone(), peer, login: login.transpose()? })
    }
}

/// What a secret is.
fn reveal(secret: &Secret) -> io::Result<String> {
    match secret {
        Secret::Literal(text) => Ok(text.clone()),
        Secret::File(path) => Ok(std::fs::read_to_string(path)?.trim_end_matches(['\n', '\r']).to_owned()),
        Secret::Env(name) => std::env::var(name).map_err(io::Error::other),
    }
}

/// The URL of a target in absolute form, its path and query as they came, and the path alone.
fn url<'t>(method: Method, target: &'t str, host: &str, port: Option<u16>) -> Option<(Url, &'t str)> {
    let Some(Target::Absolute { scheme, resource, .. }) = Target::parse(method, target.as_bytes()) else {
        return None;
    };
    let scheme = str::from_utf8(scheme).ok()?.to_ascii_lowercase();
    let path = match str::from_utf8(resource.path).ok()? {
        // RFC 9112 §3.2.4: of the server as a whole.
        "" if method == Method::Options && resource.query.is_none() => "*",
        "" => "/",
        path => path,
    };
    let query = resource.query.map(|query| String::from_utf8_lossy(query).into_owned());
    let port = port.filter(|port| default_port(&scheme) != Some(*port));
    let url =
        Url { scheme, user: None, host: host.to_owned(), port, path: path.to_owned(), query, fragment: None };
    Some((url, path))
}

/// The place that a target in absolute form or for a tunnel names: its scheme, if it is no tunnel, and its port.
pub(super) fn place(method: Method, target: &str, port: Option<u16>) -> Option<(Option<String>, u16)> {
    match Target::parse(method, target.as_bytes())? {
        Target::Authority(_) => Some((None, port?)),
        Target::Absolute { scheme, .. } => {
            let scheme = str::from_utf8(scheme).ok()?.to_ascii_lowercase();
            let port = port.or_else(|| default_port(&scheme))?;
            Some((Some(scheme), port))
        }
        Target::Origin(_) | Target::Asterisk => None,
    }
}
