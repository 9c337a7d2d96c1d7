//! Servers that do the same work: a request goes to one of them, and to another if that comes to nothing.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use doorway_net::World;
use doorway_net::resolve::Resolve;
use doorway_net::tls::TlsDialler;
use doorway_net::web::{Body, Fields, Informational};

use super::super::client::{Answer, Ask, Client, ClientError, Settings};
use super::body::{Answering, Content};
use super::checks;
use super::servers::{Busy, ServerRow, Servers};
use crate::config::UpstreamConfig;
use crate::error::Error;
use crate::proxy::address::ServerAddress;
use crate::proxy::retry::{Failed, Policy, Reached};
use crate::url::Url;
use crate::wire::Method;

/// Servers that do the same work.
pub struct Upstream {
    world: World,
    config: UpstreamConfig,
    client: Client,
    servers: Arc<Servers>,
    /// Connections that were opened.
    opened: AtomicU64,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A request for whichever server there is.
pub(super) struct Asked {
    pub(super) method: String,
    /// Host and port that the client asked for; empty when it named none.
    pub(super) host: (String, Option<u16>),
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) fields: Fields,
    pub(super) content: Content,
    /// How long streamed content is, if that is known.
    pub(super) length: Option<u64>,
    pub(super) upgrade: Option<String>,
    pub(super) informational: Option<Informational>,
    /// What stands for the client or the URL where those decide about the server.
    pub(super) hash: u64,
}

/// Why a request got no response.
#[derive(Debug)]
pub(super) enum Failure {
    /// No server can be asked now.
    NoServer,
    /// The last one that was asked did not answer.
    Server { server: String, error: ClientError },
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoServer => {
                Self::new(io::ErrorKind::AddrNotAvailable, "no server of the upstream can be asked now")
            }
            Failure::Server { server, error } => {
                let kind = match &error {
                    ClientError::Timeout(_) => io::ErrorKind::TimedOut,
                    // The client's own content, not the server.
                    ClientError::Content(error) => error.kind(),
                    _ => io::ErrorKind::ConnectionReset,
                };
                Self::new(kind, format!("{server}: {error}"))
            }
        }
    }
}

/// What came of asking one server for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The server's address.
    pub server: String,
    /// The status, or why there is none.
    pub outcome: Result<u16, String>,
    /// Time that opening the connection took, with the look-up of the name and TLS; zero for one that was there.
    pub connect: Duration,
    /// Time from the request to the response's head.
    pub wait: Duration,
}

impl Upstream {
    /// Sets an upstream up and begins to check its servers.
    ///
    /// # Errors
    /// [`Error::Upstream`] when an address or the file of authorities cannot be read.
    pub fn open(
        world: &World,
        resolver: &Arc<dyn Resolve>,
        config: &UpstreamConfig,
    ) -> Result<Arc<Self>, Error> {
        let wrong = |why: String| Error::Upstream { name: config.name.clone(), why };
        let servers = Arc::new(Servers::new(world, config).map_err(wrong)?);
        let secure = servers.all().iter().any(|server| server.address.secure);
        let tls = secure.then(|| TlsDialler::new(config.tls_ca.as_deref(), &["h2", "http/1.1"])).transpose();
        let tls = tls.map_err(|error| wrong(error.to_string()))?.map(Arc::new);
        let settings = Settings {
            connect_timeout: config.connect_timeout,
            response_timeout: config.response_timeout,
            body_timeout: config.body_timeout,
            idle: if config.idle_max == 0 { Duration::ZERO } else { config.idle_timeout },
            idle_per_origin_max: config.idle_max,
            idle_max: config.idle_max.saturating_mul(config.servers.len()),
            ..Settings::default()
        };
        let client = Client::new(world, Arc::clone(resolver), tls, settings);
        let upstream = Arc::new(Self {
            world: world.clone(),
            config: config.clone(),
            client,
            servers,
            opened: AtomicU64::new(0),
        });
        if let Some(health) = &config.health {
            checks::start(world, &upstream, health);
        }
        Ok(upstream)
    }

    /// What the operator says about it.
    #[must_use]
    pub const fn config(&self) -> &UpstreamConfig {
        &self.config
    }

    /// What is known of its servers, in the order of the config.
    #[must_use]
    pub fn rows(&self) -> Vec<ServerRow> {
        self.servers.rows()
    }

    /// Connections that were opened to its servers so far.
    #[must_use]
    pub fn connections_opened(&self) -> u64 {
        self.opened.load(Relaxed)
    }

    pub(super) const fn world(&self) -> &World {
        &self.world
    }

    pub(super) const fn servers(&self) -> &Arc<Servers> {
        &self.servers
    }

    /// Asks every server for a path, one after the other, for whoever wants to know what they say.
    pub async fn probe(&self, host: Option<&str>, path: &str) -> Vec<Tried> {
        let mut told = Vec::new();
        for place in 0..self.servers.all().len() {
            let limit = self.config.connect_timeout + self.config.response_timeout;
            let answer = self.world.timeout(limit, self.look(place, host, path)).await;
            let server = self.servers.all()[place].address.name.clone();
            told.push(match answer {
                Some(Ok(answer)) => {
                    let timing = answer.timing;
                    let connect = timing.resolve + timing.connect + timing.tls;
                    Tried { server, outcome: Ok(answer.response.status), connect, wait: timing.wait }
                }
                Some(Err(error)) => {
                    let outcome = Err(error.to_string());
                    Tried { server, outcome, connect: Duration::ZERO, wait: Duration::ZERO }
                }
                None => {
                    let outcome = Err("it took too long".to_owned());
                    Tried { server, outcome, connect: Duration::ZERO, wait: Duration::ZERO }
                }
            });
        }
        told
    }

    /// Asks the server at `place` for a path.
    pub(super) async fn look(
        &self,
        place: usize,
        host: Option<&str>,
        path: &str,
    ) -> Result<Answer, ClientError> {
        let server = &self.servers.all()[place];
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (path, None),
        };
        let host = host.map_or_else(|| server.address.authority(), |host| (host.to_owned(), None));
        let url = url(&server.address, host, path, query);
        self.client.send(Ask { peer: Some(server.peer.clone()), ..Ask::new("GET", url) }).await
    }

    /// Sends a request to one server after the other, until one answers or no further may be tried. The server
    /// is busy until what comes with the answer is dropped.
    pub(super) async fn ask(&self, asked: &Asked) -> Result<(Answer, Busy), Failure> {
        let policy = Policy { retries: self.config.retries, within: self.config.retry_within };
        let began = self.world.now();
        let mut tried = Vec::new();
        let mut failure = Failure::NoServer;
        while let Some(mut busy) = self.servers.choose(asked.hash, &tried) {
            tried.push(busy.place());
            let error = match self.client.send(self.request(asked, &busy)).await {
                Ok(answer) => {
                    self.opened.fetch_add(u64::from(!answer.timing.reused), Relaxed);
                    busy.answered(answer.response.status, answer.timing.wait);
                    return Ok((answer, busy));
                }
                Err(error) => error,
            };
            let server = busy.server().address.name.clone();
            if is_of_server(&error) {
                busy.failed(&error.to_string());
            }
            let failed = Failed {
                method: Method::parse(asked.method.as_bytes()),
                whole: asked.content.is_whole(),
                reached: reached(&error),
                tries: u32::try_from(tried.len()).unwrap_or(u32::MAX),
                took: self.world.now() - began,
            };
            let again = is_of_server(&error) && policy.again(&failed);
            tracing::debug!(upstream = self.config.name, server, %error, again, "a request came to nothing");
            failure = Failure::Server { server, error };
            if !again {
                break;
            }
        }
        Err(failure)
    }

    fn request(&self, asked: &Asked, busy: &Busy) -> Ask {
        let server = busy.server();
        let host = if self.config.keeps_host && !asked.host.0.is_empty() {
            asked.host.clone()
        } else {
            server.address.authority()
        };
        let url = url(&server.address, host, &asked.path, asked.query.clone());
        Ask {
            fields: asked.fields.clone(),
            body: asked.content.lend(),
            length: asked.length,
            peer: Some(server.peer.clone()),
            asks_first: false,
            upgrade: asked.upgrade.clone(),
            informational: asked.informational.clone(),
            ..Ask::new(&asked.method, url)
        }
    }
}

/// A URL at a server. Path and query stay as they are (RFC 9110 §7.7).
fn url(
    server: &ServerAddress,
    (host, port): (String, Option<u16>),
    path: &str,
    query: Option<String>,
) -> Url {
    let scheme = if server.secure { "https" } else { "http" }.to_owned();
    Url { scheme, user: None, host, port, path: path.to_owned(), query, fragment: None }
}

/// Whether an error tells something about the server.
const fn is_of_server(error: &ClientError) -> bool {
    !matches!(error, ClientError::Request(_) | ClientError::Content(_) | ClientError::Scheme(_))
}

const fn reached(error: &ClientError) -> Reached {
    match error {
        ClientError::Resolve(..) | ClientError::Connect(..) | ClientError::Unseen => Reached::Nobody,
        ClientError::Timeout(what) if matches!(what.as_bytes(), b"connecting") => Reached::Nobody,
        ClientError::Timeout(_) => Reached::Waiting,
        _ => Reached::Perhaps,
    }
}

/// A response's content, with the server that is busy with it.
pub(super) fn answering(body: Body, busy: Busy) -> Body {
    match body {
        Body::Stream(body) => Body::Stream(Box::pin(Answering { body, busy })),
        body => body,
    }
}
