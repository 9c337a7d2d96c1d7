//! The client over a world: names resolved, connections opened side by side, kept and used again; one
//! request after the other, several ahead on one connection, redirects and cookies.
//!
//! | file | what it does |
//! | --- | --- |
//! | `connect.rs` | Happy Eyeballs: the first address that answers (RFC 8305) |
//! | `link.rs` | one connection: requests out, responses in |
//! | `pool.rs` | connections that wait for their next request |
//! | `journey.rs` | a request with its redirects and cookies |

mod connect;
mod journey;
mod link;
mod pool;

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use doorway_base::Instant;
use doorway_net::resolve::{Resolve, ResolveError};
use doorway_net::tls::TlsDialler;
use doorway_net::web::{Body, BodyStream, Bytes, Fetch, Fields, Request, Response};
use doorway_net::{BoxFuture, World};

use crate::client::request::Unwritable;
use crate::url::{Url, UrlFault};
use crate::wire::{HeadLimits, Method, Refusal};
pub use journey::{Hop, Journey};
use link::{Link, Outgoing};
use pool::{Origin, Pool};

/// Bounds of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long resolving, connecting and the TLS handshake may take together. Default 10 s.
    pub connect_timeout: Duration,
    /// How long a response's head, and each piece of its body, may be waited for. Default 60 s.
    pub response_timeout: Duration,
    /// How long a connection without a request is kept. Default 30 s; zero keeps none.
    pub idle: Duration,
    /// Connections kept for one origin at most. Default 6.
    pub idle_per_origin_max: usize,
    /// Connections kept at most. Default 256.
    pub idle_max: usize,
    /// Bounds of a response's head.
    pub head: HeadLimits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(60),
            idle: Duration::from_secs(30),
            idle_per_origin_max: 6,
            idle_max: 256,
            head: HeadLimits::default(),
        }
    }
}

/// What is asked for.
#[derive(Debug)]
pub struct Ask {
    /// The method, such as `GET`.
    pub method: String,
    /// An `http` or `https` URL.
    pub url: Url,
    /// Fields besides those that the client writes itself: Host, Connection and those about length.
    pub fields: Fields,
    /// Content.
    pub body: Body,
    /// Whether to speak HTTP/1.0, for those who learn or test.
    pub http10: bool,
}

impl Ask {
    /// A request without fields and content.
    #[must_use]
    pub fn new(method: &str, url: Url) -> Self {
        Self { method: method.to_owned(), url, fields: Fields::new(), body: Body::Empty, http10: false }
    }
}

/// How long each part of a request took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// Finding the addresses of the name; zero when the connection was there already.
    pub resolve: Duration,
    /// Opening the connection: one round trip.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// From the request's first octet to the response's.
    pub wait: Duration,
    /// Whether a connection was used that was there already.
    pub reused: bool,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// Status, fields and body; the body arrives while it is read.
    pub response: Response,
    /// Who answered.
    pub remote: std::net::SocketAddr,
    /// The version of the response: `HTTP/1.1`.
    pub version: &'static str,
    /// How long it took up to the response's head.
    pub timing: Timing,
}

/// Why there is no response.
#[derive(Debug)]
pub enum ClientError {
    /// The request cannot be written.
    Request(Unwritable),
    /// The URL's scheme is neither `http` nor `https`.
    Scheme(String),
    /// The host has no address.
    Resolve(String, ResolveError),
    /// No address could be connected to, or the TLS handshake failed.
    Connect(String, io::Error),
    /// Nothing was said for too long.
    Timeout(&'static str),
    /// The connection broke off before the response's head was whole.
    Lost(io::Error),
    /// The response breaks a rule.
    Broken(Refusal),
    /// A redirect leads nowhere.
    Location(UrlFault),
    /// More redirects than are followed.
    Redirects(u32),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(why) => write!(f, "the request cannot be sent: {why}"),
            Self::Scheme(scheme) => write!(f, "`{scheme}` is neither http nor https"),
            Self::Resolve(host, why) => write!(f, "cannot find `{host}`: {why}"),
            Self::Connect(host, why) => write!(f, "cannot connect to {host}: {why}"),
            Self::Timeout(what) => write!(f, "{what} took too long"),
            Self::Lost(why) => {
                write!(f, "the server ended the connection before its response was whole: {why}")
            }
            Self::Broken(refusal) => {
                let rule = refusal.rule;
                write!(
                    f,
                    "the response breaks a rule at octet {}: {} ({})",
                    refusal.at_octet, rule.text, rule.section
                )
            }
            Self::Location(fault) => write!(f, "the redirect leads nowhere: {fault}"),
            Self::Redirects(count) => write!(f, "more than {count} redirects"),
        }
    }
}

impl std::error::Error for ClientError {}

impl From<ClientError> for io::Error {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Lost(error) | ClientError::Connect(_, error) => error,
            ClientError::Timeout(_) => io::Error::new(io::ErrorKind::TimedOut, error),
            ClientError::Broken(_) => io::Error::new(io::ErrorKind::InvalidData, error),
            other => io::Error::other(other),
        }
    }
}

/// A client. Clones are the same.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    world: World,
    resolver: Arc<dyn Resolve>,
    tls: Option<Arc<TlsDialler>>,
    pool: Mutex<Pool>,
    settings: Settings,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

impl Client {
    /// A client in `world` that finds hosts through `resolver`; without `tls` it speaks `http` alone.
    #[must_use]
    pub fn new(
        world: &World,
        resolver: Arc<dyn Resolve>,
        tls: Option<Arc<TlsDialler>>,
        settings: Settings,
    ) -> Self {
        let pool = Mutex::new(Pool::default());
        Self(Arc::new(Inner { world: world.clone(), resolver, tls, pool, settings }))
    }

    /// Sends one request; returns when the response's head is there. Redirects are not followed.
    ///
    /// A request without content by an idempotent method is sent once more when a kept connection turns out
    /// to have ended (RFC 9110 §9.2.2, RFC 9112 §9.3.1).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn send(&self, ask: Ask) -> Result<Answer, ClientError> {
        let origin = Origin::of(&ask.url)?;
        let method = Method::parse(ask.method.as_bytes());
        let mut outgoing = Outgoing::new(ask, !self.0.settings.idle.is_zero())?;
        if let Some(link) = self.pooled(&origin) {
            let timing = Timing { reused: true, ..Timing::default() };
            match self.over(link, method, &mut outgoing, timing, &origin).await {
                Err(ClientError::Lost(_)) if outgoing.is_repeatable(method) => {}
                done => return done,
            }
        }
        let (link, timing) = self.connect(&origin).await?;
        self.over(link, method, &mut outgoing, timing, &origin).await
    }

    /// Sends several requests without content to one origin on one connection, all before the first response
    /// is read (RFC 9112 §9.3.2); at most [`PIPELINED_MAX`](crate::client::connection::PIPELINED_MAX) are
    /// ahead. Bodies are read whole, up to `octets_max` each.
    ///
    /// # Errors
    /// [`ClientError`] for the first that got no whole response. Nothing is sent again.
    pub async fn pipeline(&self, asks: Vec<Ask>, octets_max: usize) -> Result<Vec<Answer>, ClientError> {
        let Some(first) = asks.first() else { return Ok(Vec::new()) };
        let origin = Origin::of(&first.url)?;
        let (link, timing) = match self.pooled(&origin) {
            Some(link) => (link, Timing { reused: true, ..Timing::default() }),
            None => self.connect(&origin).await?,
        };
        link.pipeline(&self.0, &origin, asks, octets_max, timing).await
    }

    async fn over(
        &self,
        mut link: Link,
        method: Method,
        outgoing: &mut Outgoing,
        mut timing: Timing,
        origin: &Origin,
    ) -> Result<Answer, ClientError> {
        let began = self.0.world.now();
        let limit = self.0.settings.response_timeout;
        let sent = link.send(&self.0, method, outgoing).await;
        // A server that refuses a long body may answer and end the connection before it is all there.
        let head = match self.0.world.timeout(limit, link.head(&self.0)).await {
            Some(Ok(head)) => head,
            Some(Err(error)) => return Err(sent.err().unwrap_or(error)),
            None => return Err(ClientError::Timeout("the response")),
        };
        timing.wait = self.0.world.now() - began;
        let remote = link.remote();
        let mut response = Response { status: head.status, fields: head.fields, ..Response::default() };
        if head.tunnel {
            // Whoever asked for another protocol speaks it on this stream.
            let (ahead, stream) = link.into_parts();
            response.body = Body::Empty;
            response.upgrade = Some(Box::new(move |_, _| Box::pin(async move { drop((ahead, stream)) })));
        } else if head.empty {
            self.done(link, origin);
        } else {
            let stream =
                Received { client: self.clone(), origin: origin.clone(), link: Some(link), timer: None };
            response.body = Body::Stream(Box::pin(stream));
        }
        Ok(Answer { response, remote, version: head.version, timing })
    }

    async fn connect(&self, origin: &Origin) -> Result<(Link, Timing), ClientError> {
        let connecting = connect::connect(&self.0, origin);
        match self.0.world.timeout(self.0.settings.connect_timeout, connecting).await {
            Some(connected) => connected,
            None => Err(ClientError::Timeout("connecting")),
        }
    }

    fn pooled(&self, origin: &Origin) -> Option<Link> {
        let now = self.0.world.now();
        self.0.pool.lock().unwrap_or_else(PoisonError::into_inner).take(origin, now, self.0.settings.idle)
    }

    /// Keeps a connection whose response is whole, if another request may follow.
    fn done(&self, link: Link, origin: &Origin) {
        if link.persists() {
            let now = self.0.world.now();
            let mut pool = self.0.pool.lock().unwrap_or_else(PoisonError::into_inner);
            pool.put(origin.clone(), link, now, &self.0.settings);
        }
    }
}

/// The body of a response while it arrives.
struct Received {
    client: Client,
    origin: Origin,
    link: Option<Link>,
    timer: Option<(Instant, BoxFuture<'static, ()>)>,
}

impl BodyStream for Received {
    fn poll_piece(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let this = &mut *self;
        let Some(link) = &mut this.link else { return Poll::Ready(None) };
        match link.poll_data(cx, &this.client.0) {
            Poll::Ready(Ok(Some(piece))) => {
                this.timer = None;
                Poll::Ready(Some(Ok(piece)))
            }
            Poll::Ready(Ok(None)) => {
                if let Some(link) = this.link.take() {
                    this.client.done(link, &this.origin);
                }
                Poll::Ready(None)
            }
            Poll::Ready(Err(error)) => {
                this.link = None;
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Pending => {
                let world = &this.client.0.world;
                let until = world.now() + this.client.0.settings.response_timeout;
                let (_, timer) = this.timer.get_or_insert_with(|| (until, world.sleep_until(until)));
                std::task::ready!(timer.as_mut().poll(cx));
                this.link = None;
                Poll::Ready(Some(Err(ClientError::Timeout("the body").into())))
            }
        }
    }
}

impl Fetch for Client {
    fn fetch(&self, request: Request) -> BoxFuture<'_, io::Result<Response>> {
        Box::pin(async move {
            let scheme = if request.secure { "https" } else { "http" };
            let query = request.query.as_ref().map_or(String::new(), |query| format!("?{query}"));
            let url = format!("{scheme}://{}{}{query}", request.host, request.path);
            let url = Url::parse(&url).map_err(|fault| io::Error::new(io::ErrorKind::InvalidInput, fault))?;
            let ask = Ask { fields: request.fields, body: request.body, ..Ask::new(&request.method, url) };
            Ok(self.send(ask).await?.response)
        })
    }
}
