//! The handler of the forward proxy: who may use it, what for, and the file that tells browsers to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use doorway_net::BoxFuture;
use doorway_net::web::{Body, Fetch, Handler, Request, Response, Taking};

use super::super::authenticator::Authenticator;
use super::super::client::ClientError;
use super::gate::Gate;
use super::outbound::{Outbound, place};
use super::response::{failed, joined, told};
use super::through::Through;
use super::tunnel::Relayed;
use crate::Status;
use crate::config::ForwardConfig;
use crate::error::Error;
use crate::proxy::access::{Access, Denied};
use crate::proxy::pac;
use crate::wire::Method;

/// The forward proxy.
pub struct Forward {
    access: Access,
    gate: Option<Gate>,
    pac: Option<Vec<String>>,
    outbound: Arc<Outbound>,
    /// Answers plain requests from a cache in front of `outbound`.
    cached: Option<Arc<dyn Handler>>,
    counts: Arc<ForwardCounts>,
}

/// What the proxy has done.
#[derive(Debug, Default)]
pub struct ForwardCounts {
    /// Plain requests.
    pub requests: AtomicU64,
    /// Tunnels.
    pub tunnels: AtomicU64,
    /// Tunnels that are open.
    pub tunnels_open: AtomicU64,
    /// Octets through tunnels, from clients.
    pub octets_there: AtomicU64,
    /// Octets through tunnels, to clients.
    pub octets_back: AtomicU64,
    /// Requests without a login that holds.
    pub logins: AtomicU64,
    /// Requests that came to nothing.
    pub failures: AtomicU64,
    denied: Mutex<BTreeMap<Denied, u64>>,
}

impl ForwardCounts {
    /// Requests that were refused, by reason.
    #[must_use]
    pub fn denied(&self) -> Vec<(&'static str, u64)> {
        let denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        Denied::ALL.iter().map(|why| (why.name(), denied.get(why).copied().unwrap_or_default())).collect()
    }

    pub(super) fn deny(&self, why: Denied) -> Response {
        *self.denied.lock().unwrap_or_else(PoisonError::into_inner).entry(why).or_default() += 1;
        told(Status::FORBIDDEN, &why.to_string())
    }
}

impl Forward {
    /// A proxy that asks for logins by `authenticator`.
    ///
    /// # Errors
    /// [`Error::Demand`] when it is not clear who has to log in, [`Error::NoLogin`] when somebody has to and there
    /// is no user list.
    pub fn new(
        config: &ForwardConfig,
        outbound: Arc<Outbound>,
        authenticator: Option<&Arc<Authenticator>>,
        cached: Option<Arc<dyn Handler>>,
    ) -> Result<Self, Error> {
        let counts = Arc::clone(outbound.counts());
        let gate = Gate::open(config, authenticator, outbound.world())?;
        Ok(Self { access: config.access.clone(), gate, pac: config.pac.clone(), outbound, cached, counts })
    }

    /// What it has done.
    #[must_use]
    pub const fn counts(&self) -> &Arc<ForwardCounts> {
        &self.counts
    }

    async fn answer(&self, mut request: Request) -> Response {
        if let Err(why) = self.access.client(request.remote.ip()) {
            return self.counts.deny(why);
        }
        let method = Method::parse(request.method.as_bytes());
        let Some((scheme, port)) = place(method, &request.target, request.port) else {
            return self.own(&request);
        };
        if let Some(gate) = &self.gate {
            let field = request.fields.all("Proxy-Authorization").next().map(<[u8]>::to_vec);
            match gate.pass(field, request.remote.ip(), request.secure).await {
                Ok(person) => request.user = person,
                Err(refusal) => {
                    self.counts.logins.fetch_add(1, Relaxed);
                    return refusal;
                }
            }
        }
        if let Some(other) = scheme.as_deref().filter(|scheme| !matches!(*scheme, "http" | "https")) {
            let why = format!("this proxy fetches http and https; it does not know how to fetch {other}");
            return told(Status::NOT_IMPLEMENTED, &why);
        }
        if let Err(why) = self.access.target(&request.host, port, scheme.is_none()) {
            return self.counts.deny(why);
        }
        match scheme {
            None => self.tunnel(request, port).await,
            Some(scheme) => {
                // A cache goes by what is asked for, not by how the client came here.
                request.secure = scheme == "https";
                self.plain(request).await
            }
        }
    }

    /// Answers a request for the proxy itself.
    fn own(&self, request: &Request) -> Response {
        match &self.pac {
            Some(direct) if pac::PATHS.contains(&request.path.as_str()) && !request.host.is_empty() => {
                let port = request.port.unwrap_or(if request.secure { 443 } else { 80 });
                let file = pac::write(&format!("{}:{port}", request.host), direct);
                Response::new(Status::OK.code(), pac::MEDIA_TYPE, file).with("Cache-Control", "max-age=3600")
            }
            _ => {
                let why =
                    "this is a proxy: set it as such in your program, which then asks it for whole URLs";
                told(Status::BAD_REQUEST, why)
            }
        }
    }

    async fn tunnel(&self, request: Request, port: u16) -> Response {
        let counts = Arc::clone(&self.counts);
        match self.outbound.tunnel(&request.host, port).await {
            Ok(tunnel) => {
                counts.tunnels.fetch_add(1, Relaxed);
                counts.tunnels_open.fetch_add(1, Relaxed);
                let done = move |Relayed { there, back, .. }| {
                    counts.tunnels_open.fetch_sub(1, Relaxed);
                    counts.octets_there.fetch_add(there, Relaxed);
                    counts.octets_back.fetch_add(back, Relaxed);
                };
                let mut response = Response { status: Status::OK.code(), ..Response::default() };
                let (world, limits) = (self.outbound.world(), self.outbound.limits());
                if request.version == "2" {
                    let through = Through::new(world, request.body, tunnel, limits, done);
                    response.body = Body::Stream(Box::pin(through));
                    return response;
                }
                joined(response, world, tunnel, limits, done)
            }
            Err(ClientError::Forbidden(_)) => self.counts.deny(Denied::Private),
            Err(error) => self.failed(&request.host, error.into()),
        }
    }

    async fn plain(&self, request: Request) -> Response {
        self.counts.requests.fetch_add(1, Relaxed);
        let host = request.host.clone();
        if let Some(cached) = &self.cached {
            return cached.handle(request).await;
        }
        match self.outbound.fetch(request).await {
            Ok(response) => response,
            Err(error) => self.failed(&host, error),
        }
    }

    fn failed(&self, host: &str, error: std::io::Error) -> Response {
        self.counts.failures.fetch_add(1, Relaxed);
        tracing::debug!(host, %error, "a server could not be asked");
        let Response { status, .. } = failed(&error);
        told(Status::new(status), &error.to_string())
    }
}

impl Handler for Forward {
    fn taking(&self, _: &str, _: &str) -> Taking {
        Taking::Stream
    }

    fn is_intermediary(&self) -> bool {
        true
    }

    fn handle(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(self.answer(request))
    }
}
