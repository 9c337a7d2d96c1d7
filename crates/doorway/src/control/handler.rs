//! The answering side, mounted on the control socket by whoever speaks HTTP.

use core::net::SocketAddr;
use std::sync::Arc;

use doorway_base::config::units;
use doorway_base::trace::{Filter, Transport, pcapng};
use doorway_dhcp::io::ClientHandle;
use doorway_http::io::cache::Caches;
use doorway_http::io::proxy::Proxies;
use doorway_mail::io::Office;
use doorway_net::door::{Door, SocketRow};
use doorway_net::web::{Handler, Request, Response};
use doorway_net::{BoxFuture, World};
use doorway_store::{Embedded, Sessions, Store, Users};
use serde_json::{Value, json};

use super::query::Query;
use super::socket::SOCKET_NAME;
use super::stream::{Encoding, TraceStream};
use crate::accounts::{self, Accounts};
use crate::bindings::Bindings;
use crate::caches::Caching;
use crate::dhcp::DhcpPart;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::leasing::Leasing;
use crate::mail;
use crate::name_server;
use crate::post::{self, Postal};
use crate::storage;
use crate::upkeep::Upkeep;
use crate::upstreams::Upstreams;
use crate::visitors::Visitors;

/// What the handler asks the program for.
pub(crate) trait Program: Send + Sync {
    /// The config file in force, if there is one, and the data folder.
    fn files(&self) -> (Option<String>, String);

    /// Reads the config again. The answer tells in `changed` what is in force now, and in
    /// `after_restart` what has to wait for one.
    fn reload(&self) -> BoxFuture<'_, Result<Value, Failure>>;

    /// The web server that serves now, and whom it hands requests on to.
    fn web_server(&self) -> Option<(Arc<doorway_http::Server>, Arc<Proxies>)> {
        None
    }

    /// Its caches.
    fn caches(&self) -> Caches {
        Caches::default()
    }

    /// What takes and keeps mail now, if there is mail.
    fn office(&self) -> Option<Arc<Office>> {
        None
    }

    /// The DHCP clients that run.
    fn clients(&self) -> Vec<ClientHandle> {
        Vec::new()
    }

    /// DHCP, as far as it is served.
    fn dhcp(&self) -> Option<Arc<DhcpPart>> {
        None
    }

    /// The name server that serves now, if there is one.
    fn name_server(&self) -> Option<Arc<doorway_dns::Server>> {
        None
    }
}

/// Answers the requests of the control socket.
pub(crate) struct Control {
    world: World,
    program: Arc<dyn Program>,
    users: Arc<Users>,
    store: Arc<Embedded>,
    sessions: Arc<Sessions>,
}

impl Control {
    /// A handler that tells about `world`.
    pub(crate) fn new(
        world: World,
        program: Arc<dyn Program>,
        users: Arc<Users>,
        store: Arc<Embedded>,
        sessions: Arc<Sessions>,
    ) -> Self {
        Self { world, program, users, store, sessions }
    }

    async fn answer(&self, request: Request) -> Result<Response, Refusal> {
        // The socket's mode says the same; this holds when somebody mounts the handler elsewhere.
        // Asked anew each time, because the process gives up root after this handler was made.
        let owner = rustix::process::geteuid().as_raw();
        if request.unix_user.is_none_or(|user| user != 0 && user != owner) {
            return Err(Refusal(
                403,
                Failure::new("only the owner of the data folder and root may ask this"),
            ));
        }
        let query = Query::parse(request.query.as_deref().unwrap_or_default());
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/v1/status") => Ok(document(&self.status())),
            ("GET", "/v1/sockets") => Ok(document(&self.sockets())),
            ("GET", "/v1/trace") => self.trace(&query),
            ("POST", "/v1/reload") => self
                .program
                .reload()
                .await
                .map(|told| document(&told))
                .map_err(|failure| Refusal(422, failure)),
            _ => self.work(request, &query).await,
        }
    }

    /// What a command would do on the store itself if no server ran.
    async fn work(&self, request: Request, query: &Query) -> Result<Response, Refusal> {
        let Request { method, path, body, .. } = request;
        let too_long = |error| Refusal(413, Failure::new("the body cannot be read").why(error));
        let most = if method == "POST" && path == post::SEND {
            post::BODY_OCTETS_MAX
        } else {
            accounts::BODY_OCTETS_MAX
        };
        let body = body.read(most).await.map_err(too_long)?;
        let done = if let Some(request) = Accounts::from_http(&method, &path, &body) {
            match request {
                Ok(request) => self.account(&request).await,
                Err(failure) => Err(failure),
            }
        } else if let Some(request) = Visitors::from_http(&method, &path) {
            request.run(&self.sessions, self.world.wall()).await
        } else if let Some(request) = Upstreams::from_http(&method, &path, query.value("url")) {
            match self.program.web_server() {
                Some((server, proxies)) => request.run(&server, &proxies).await,
                None => Err(Failure::new("there is no web server")),
            }
        } else if let Some(request) = Caching::from_http(&method, &path, query.value("url"), &body) {
            match (request, self.program.web_server()) {
                (Ok(request), Some((server, _))) => {
                    request.run(self.world.now(), &server, &self.program.caches()).await
                }
                (Ok(_), None) => Err(Failure::new("there is no web server")),
                (Err(failure), _) => Err(failure),
            }
        } else if let Some(request) = Postal::from_http(&method, &path, query, &body) {
            match (request, self.program.office()) {
                (Ok(request), Some(office)) => request.run(&office, self.world.wall()).await,
                (Ok(_), None) => Err(Failure::new("there is no mail").fix("name domains in `mail.domains`")),
                (Err(failure), _) => Err(failure),
            }
        } else if let Some(request) = Bindings::from_http(&method, &path, query) {
            request.run(&self.world, &self.program.clients()).await
        } else if let Some(request) = Leasing::from_http(&method, &path, query) {
            let store: Arc<dyn Store> = Arc::clone(&self.store) as _;
            match request {
                Ok(request) => request.run(&store, self.program.dhcp().as_ref(), self.world.wall()).await,
                Err(failure) => Err(failure),
            }
        } else if let Some(request) = Upkeep::from_http(&method, &path, &body) {
            match request {
                Ok(request) => request.run(&self.store).await,
                Err(failure) => Err(failure),
            }
        } else if let Some(request) = name_server::Request::from_http(
            &method,
            &path,
            |name| query.value(name).map(str::to_owned),
            &body,
        ) {
            match (request, self.program.name_server()) {
                (Ok(request), Some(server)) => request.run(&self.world, server).await,
                (Ok(_), None) => Err(Failure::new("there is no name server")),
                (Err(failure), _) => Err(failure),
            }
        } else {
            return Err(Refusal(404, Failure::new(format!("the control socket has no {method} {path}"))));
        };
        let refused =
            |failure: Failure| Refusal(if failure.exit == Exit::Wrong { 422 } else { 503 }, failure);
        done.map(|told| document(&told)).map_err(refused)
    }

    /// Carries out a request about users, and ends the sessions that end with it.
    async fn account(&self, request: &Accounts) -> Result<Value, Failure> {
        let wall = self.world.wall();
        let gone = request.removes(&self.users).await?;
        let told = request.run(&self.users, wall).await?;
        if let (Some(user), Some(office)) = (gone, self.program.office()) {
            mail::remove_account(office.mailboxes(), &user, wall).await?;
        }
        if let Some(user) = request.logs_out() {
            let revoked = self.sessions.revoke_user(&user, wall).await;
            revoked.map_err(|error| storage::failure("cannot end the sessions of the user", error))?;
        }
        Ok(told)
    }

    fn status(&self) -> Value {
        let now = self.world.now();
        let (config, data) = self.program.files();
        let doors = self.world.doors().list();
        let door = |door: &Arc<Door>| {
            let counts = door.counts();
            json!({
                "service": door.service,
                "transport": carrier(door.transport, door.local),
                "tls": door.tls,
                "local": local(door.local),
                "state": if door.is_closing() { "draining" } else { "open" },
                "open": counts.open,
                "served": counts.accepted + counts.datagrams_in,
                "refused": counts.refused.iter().map(|(_, count)| count).sum::<u64>(),
                "octets_in": counts.octets_in,
                "octets_out": counts.octets_out,
                "age_seconds": now.since(door.since).as_secs_f64(),
            })
        };
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "state": if doors.iter().all(|door| door.is_closing()) { "draining" } else { "running" },
            "uptime_seconds": now.as_nanos() / 1_000_000_000,
            "config": config,
            "data": data,
            "doors": doors.iter().map(door).collect::<Vec<_>>(),
            "panics": self.world.doors().panics(),
        })
    }

    fn sockets(&self) -> Value {
        let row = |row: SocketRow| {
            json!({
                "service": row.service,
                "transport": carrier(row.transport, row.local),
                "tls": row.tls,
                "local": local(row.local),
                "remote": row.remote.map(|remote| remote.to_string()),
                "state": row.state,
                "octets_in": row.octets_in,
                "octets_out": row.octets_out,
                "requests": row.requests,
                "age_seconds": row.age.as_secs_f64(),
            })
        };
        let rows = self.world.doors().sockets(self.world.now());
        json!({ "sockets": rows.into_iter().map(row).collect::<Vec<_>>() })
    }

    fn trace(&self, query: &Query) -> Result<Response, Refusal> {
        let wrong = |what: String| Refusal(400, Failure::new(what));
        let filter: Filter = query.value("filter").unwrap_or_default().parse().map_err(wrong)?;
        let length = query.value("for").map(units::duration).transpose().map_err(wrong)?;
        let count = query.value("count").map(str::parse).transpose();
        let count = count.map_err(|_| wrong("`count` is a number".to_owned()))?;
        let epoch = self.world.wall().as_nanos().saturating_sub(self.world.now().as_nanos());
        let (media_type, encoding) = match query.value("format").unwrap_or("text") {
            "text" => ("text/plain; charset=utf-8", Encoding::Text),
            "json" => ("application/x-ndjson", Encoding::Json(epoch)),
            "pcapng" => {
                let canonical_ports = query.value("canonical_ports") == Some("1");
                let options = pcapng::Options { canonical_ports, ..pcapng::Options::default() };
                ("application/x-pcapng", Encoding::pcapng(options, epoch))
            }
            other => return Err(wrong(format!("`{other}` is no format; there are text, json and pcapng"))),
        };
        let body = TraceStream::follow(&self.world, filter, encoding, count, length);
        Ok(Response::stream(200, media_type, body))
    }
}

impl Handler for Control {
    fn handle(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move { self.answer(request).await.unwrap_or_else(Refusal::response) })
    }
}

/// A failure and the status that tells it.
struct Refusal(u16, Failure);

impl Refusal {
    fn response(self) -> Response {
        let Self(status, Failure { what, why, fix, .. }) = self;
        let told = json!({ "what": what, "why": why, "fix": fix });
        Response::new(status, "application/json", told.to_string())
    }
}

fn document(value: &Value) -> Response {
    Response::new(200, "application/json", value.to_string())
}

fn carrier(transport: Transport, local: Option<SocketAddr>) -> &'static str {
    if local.is_some() { transport.name() } else { "unix" }
}

fn local(local: Option<SocketAddr>) -> String {
    local.map_or_else(|| SOCKET_NAME.to_owned(), |local| local.to_string())
}
