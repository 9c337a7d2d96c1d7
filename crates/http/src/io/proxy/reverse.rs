//! The handler of a route that hands requests on: fields put right, one of the servers asked, its response
//! handed back as it comes (RFC 9110 §7.6).

use std::io;
use std::sync::Arc;

use doorway_net::BoxFuture;
use doorway_net::web::{Fetch, Fields, Handler, Request, Response, Taking};

use super::super::client::Answer;
use super::body::Content;
use super::response::{Handed, UNASKED, failed, handed, joined, told};
use super::servers::Busy;
use super::tunnel::TunnelLimits;
use super::upstream::{Asked, Upstream, answering};
use crate::Status;
use crate::proxy::balance::{Balance, hash};
use crate::proxy::forwarding::{self, Client, Forwards, Hop};
use crate::wire::{Method, Target};

/// Fields of a request that are not sent back by TRACE (RFC 9110 §9.3.8).
const SECRET_FIELDS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// Hands requests on to an upstream.
#[derive(Debug)]
pub struct Reverse {
    upstream: Arc<Upstream>,
    /// Our name in Via.
    name: Arc<str>,
    /// Whether short content is collected before a server is asked.
    buffers: bool,
}

impl Reverse {
    /// A handler that calls itself `name` in Via; with `buffers` short content is collected before a server is
    /// asked.
    #[must_use]
    pub const fn new(upstream: Arc<Upstream>, name: Arc<str>, buffers: bool) -> Self {
        Self { upstream, name, buffers }
    }

    /// Whose servers are asked.
    #[must_use]
    pub const fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    async fn hand_on(&self, mut request: Request) -> io::Result<Response> {
        let method = Method::parse(request.method.as_bytes());
        let Some((path, query)) = resource(method, &request.target) else {
            return Ok(told(Status::NOT_IMPLEMENTED, "tunnels are for a forward proxy"));
        };
        match forwarding::forwards(method, &request.fields) {
            Forwards::Unlimited => {}
            Forwards::Over => return Ok(answer_here(method, &request)),
            Forwards::Left(left) => {
                request.fields.retain(|name, _| !name.eq_ignore_ascii_case("max-forwards"));
                request.fields.add("Max-Forwards", left.to_string());
            }
        }
        let authority = match request.port {
            Some(port) => format!("{}:{port}", request.host),
            None => request.host.clone(),
        };
        let config = self.upstream.config();
        let trusted = config.trusted.iter().any(|network| network.contains(request.remote.ip()));
        let client = Client {
            address: request.remote.ip(),
            secure: request.secure,
            host: &authority,
            user: request.user.as_deref(),
            trusted,
        };
        let hop = Hop { name: &self.name, version: request.version, client: Some(client) };
        let Ok(fields) = forwarding::request_fields(&request.fields, &hop) else {
            return Ok(told(Status::LOOP_DETECTED, "the request came by this proxy before"));
        };
        let length = request.fields.first("content-length").and_then(|length| length.parse().ok());
        let asks_other = forwarding::upgrade_asked(&request.fields).filter(|_| request.version == "1.1");
        let upgrade = asks_other.map(str::to_owned);
        let body = if self.buffers { Content::collect(request.body).await? } else { request.body };
        let asked = Asked {
            hash: match config.balance {
                Balance::Url => hash(request.target.as_bytes()),
                _ => hash(request.remote.ip().to_canonical().to_string().as_bytes()),
            },
            method: request.method,
            host: (request.host, request.port),
            path,
            query,
            fields,
            content: Content::new(body),
            length,
            upgrade,
            informational: request.informational,
        };
        let (answer, busy) = self.upstream.ask(&asked).await?;
        Ok(self.hand_back(method, answer, busy, asked.upgrade.is_some()))
    }

    /// The response as the client gets it.
    fn hand_back(&self, method: Method, answer: Answer, busy: Busy, upgrades: bool) -> Response {
        let world = self.upstream.world();
        let limits = TunnelLimits { idle: self.upstream.config().tunnel_timeout, octets: None };
        let Handed { mut response, tunnel } = handed(answer, method, &self.name);
        match tunnel {
            Some(tunnel) if upgrades => joined(response, world, tunnel, limits, move |_| drop(busy)),
            Some(_) => told(Status::BAD_GATEWAY, UNASKED),
            None => {
                response.body = answering(response.body, busy);
                response
            }
        }
    }
}

impl Fetch for Reverse {
    fn fetch(&self, request: Request) -> BoxFuture<'_, io::Result<Response>> {
        Box::pin(self.hand_on(request))
    }
}

impl Handler for Reverse {
    fn taking(&self, _: &str, _: &str) -> Taking {
        Taking::Stream
    }

    fn is_intermediary(&self) -> bool {
        true
    }

    fn handle(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            let summary = format!("{} {}", request.method, request.target);
            self.hand_on(request).await.unwrap_or_else(|error| {
                let upstream = &self.upstream.config().name;
                tracing::warn!(upstream, request = summary, %error, "no server answered");
                failed(&error)
            })
        })
    }
}

/// Path and query of a target as they came; `None` for a tunnel.
fn resource(method: Method, target: &str) -> Option<(String, Option<String>)> {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    match Target::parse(method, target.as_bytes())? {
        Target::Authority(_) => None,
        Target::Asterisk => Some(("*".to_owned(), None)),
        Target::Origin(resource) | Target::Absolute { resource, .. } => {
            let path = match resource.path {
                // RFC 9112 §3.2.4: of the server as a whole.
                b"" if method == Method::Options && resource.query.is_none() => "*".to_owned(),
                b"" => "/".to_owned(),
                path => text(path),
            };
            Some((path, resource.query.map(text)))
        }
    }
}

/// Answers a request whose Max-Forwards is over (RFC 9110 §7.6.2).
fn answer_here(method: Method, request: &Request) -> Response {
    if method == Method::Options {
        let fields = Fields::new();
        return Response { status: Status::NO_CONTENT.code(), fields, ..Response::default() };
    }
    let mut message =
        format!("{} {} HTTP/{}\r\n", request.method, request.target, request.version).into_bytes();
    for (name, value) in request.fields.iter() {
        if !SECRET_FIELDS.iter().any(|secret| name.eq_ignore_ascii_case(secret)) {
            [name.as_bytes(), b": ", value, b"\r\n"].iter().for_each(|part| message.extend_from_slice(part));
        }
    }
    message.extend_from_slice(b"\r\n");
    Response::new(Status::OK.code(), "message/http", message)
}
