//! The client over a world: names resolved, connections opened side by side, kept and used again; one
//! request after the other, several ahead on one connection, redirects and cookies.
//!
//! | file | what it does |
//! | --- | --- |
//! | `ask.rs` | [`Ask`] and [`Answer`]: what is asked for, of whom, and what came back |
//! | `connect.rs` | Happy Eyeballs: the first address that answers (RFC 8305) |
//! | `link.rs` | one HTTP/1 connection: requests out, responses in |
//! | `h2.rs` | one HTTP/2 connection that many requests share |
//! | `outgoing.rs` | a request on its way out, for either version |
//! | `pool.rs` | connections that wait for their next request |
//! | `journey.rs` | a request with its redirects and cookies |
//!
//! HTTP/2 is spoken where the TLS handshake says so, or without TLS where it is known beforehand
//! ([`Settings::prior_knowledge`]). A request goes to its own origin unless [`Ask::peer`] says otherwise, which
//! is what proxies do.

mod ask;
mod connect;
mod h2;
mod journey;
mod link;
mod outgoing;
mod pool;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use doorway_base::Instant;
use doorway_net::resolve::{Resolve, ResolveError};
use doorway_net::tls::TlsDialler;
use doorway_net::web::{Body, BodyStream, Bytes, Fetch, Request, Response};
use doorway_net::{BoxFuture, Stream, World};

use crate::client::request::Unwritable;
use crate::h2::{ErrorCode, Violation};
use crate::proxy::destination::Destinations;
use crate::url::{Url, UrlFault};
use crate::wire::{HeadLimits, Refusal};
pub use ask::{Answer, Ask, Peer, Place, Timing, Tunnel};
use connect::Connected;
use h2::{Exchanging, Shared};
pub use journey::{Content, Hop, Journey};
use link::{Head, Link};
use outgoing::Outgoing;
use pool::Pool;

/// How often a request is sent that no server looks at: on a connection that was opened for it.
const FRESH_MAX: u32 = 3;
/// The same in all. Where a connection ends after a few of the requests that share it, the others move on
/// together, several times over.
const ATTEMPTS_MAX: u32 = 64;

/// Bounds of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long resolving, connecting and the TLS handshake may take together. Default 10 s.
    pub connect_timeout: Duration,
    /// How long a response's head may be waited for, from the last octet of the request on. Default 60 s.
    pub response_timeout: Duration,
    /// How long each piece of a response's body may be waited for. Default 60 s.
    pub body_timeout: Duration,
    /// How long a connection without a request is kept. Default 30 s; zero keeps none.
    pub idle: Duration,
    /// Connections kept for one origin at most. Default 6.
    pub idle_per_origin_max: usize,
    /// Connections kept at most. Default 256.
    pub idle_max: usize,
    /// Bounds of a response's head.
    pub head: HeadLimits,
    /// Which addresses may be connected to; `None` for all. Judged when it is done, whatever name led there.
    pub destinations: Option<Destinations>,
    /// Whether servers are known to speak HTTP/2 without TLS too (RFC 9113 §3.3). Default no. Over TLS the
    /// handshake tells, if the dialler offers `h2`.
    pub prior_knowledge: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(60),
            idle: Duration::from_secs(30),
            idle_per_origin_max: 6,
            idle_max: 256,
            head: HeadLimits::default(),
            destinations: None,
            prior_knowledge: false,
        }
    }
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
    /// The host has no address that may be connected to ([`Settings::destinations`]).
    Forbidden(String),
    /// No address could be connected to, or the TLS handshake failed.
    Connect(String, io::Error),
    /// Nothing was said for too long.
    Timeout(&'static str),
    /// The connection broke off before the response's head was whole.
    Lost(io::Error),
    /// The response breaks a rule.
    Broken(Refusal),
    /// The content that is sent cannot be read, or the one that comes cannot be written.
    Content(io::Error),
    /// The server said of itself that it did not look at the request, each time that it was sent.
    Unseen,
    /// The server gave the request up.
    Reset(ErrorCode),
    /// The server breaks a rule of HTTP/2.
    Violated(Violation),
    /// Requests can be sent ahead by HTTP/1 alone, and the server speaks HTTP/2.
    Pipelining,
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
            Self::Forbidden(host) => write!(f, "`{host}` has no address that may be connected to"),
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
            Self::Content(why) => write!(f, "the content cannot be read or written: {why}"),
            Self::Unseen => f.write_str("the server does not take the request"),
            Self::Reset(error) => write!(f, "the server gave the request up: {error}"),
            Self::Violated(violation) => write!(f, "the server breaks a rule: {violation}"),
            Self::Pipelining => f.write_str("requests are sent ahead by HTTP/1 alone, and this is HTTP/2"),
            Self::Location(fault) => write!(f, "the redirect leads nowhere: {fault}"),
            Self::Redirects(count) => write!(f, "more than {count} redirects"),
        }
    }
}

impl std::error::Error for ClientError {}

impl From<ClientError> for io::Error {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Lost(error) | ClientError::Connect(_, error) | ClientError::Content(error) => error,
            ClientError::Timeout(_) => io::Error::new(io::ErrorKind::TimedOut, error),
            ClientError::Forbidden(_) => io::Error::new(io::ErrorKind::PermissionDenied, error),
            ClientError::Broken(_) | ClientError::Violated(_) => {
                io::Error::new(io::ErrorKind::InvalidData, error)
            }
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
        let peer = self.peer(&ask)?;
        let mut outgoing = Outgoing::new(ask, !self.0.settings.idle.is_zero())?;
        let mut opened = 0;
        for _ in 0..ATTEMPTS_MAX {
            let upgrades = outgoing.upgrade.is_some();
            let (carrier, timing) = self.carrier(&peer, outgoing.last, upgrades).await?;
            let fresh = !timing.reused;
            opened += u32::from(fresh);
            match self.over(carrier, &mut outgoing, timing, &peer).await {
                Err(ClientError::Unseen) if outgoing.is_whole() && opened < FRESH_MAX => {}
                Err(ClientError::Lost(_)) if !fresh && outgoing.is_repeatable() => {}
                done => return done,
            }
        }
        Err(ClientError::Unseen)
    }

    /// Opens a connection for whatever is spoken on it, and tells to whom.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn dial(&self, peer: &Peer) -> Result<(Tunnel, SocketAddr), ClientError> {
        let Connected { stream, remote, .. } = self.connect(peer, true).await?;
        Ok((Tunnel { ahead: Vec::new(), stream }, remote))
    }

    /// Whom a request goes to.
    fn peer(&self, ask: &Ask) -> Result<Peer, ClientError> {
        let mut peer = match &ask.peer {
            Some(peer) => peer.clone(),
            None => Peer::of(&ask.url)?,
        };
        peer.prior_knowledge |= self.0.settings.prior_knowledge && peer.tls_name.is_none();
        Ok(peer)
    }

    /// A connection for a request: a kept one, one that is shared, or a new one; and always a new one for a
    /// request that is the last on it. What `upgrades` goes by HTTP/1.
    async fn carrier(
        &self,
        peer: &Peer,
        last: bool,
        upgrades: bool,
    ) -> Result<(Carrier, Timing), ClientError> {
        let reused = Timing { reused: true, ..Timing::default() };
        if let Some(link) = self.pooled(peer) {
            return Ok((Carrier::Http1(Box::new(link)), reused));
        }
        let prior = peer.prior_knowledge;
        if !(peer.tls_name.is_some() || prior) || last || upgrades {
            let Connected { stream, remote, timing } = self.connect(peer, upgrades).await?;
            return Ok((self.carry(stream, remote, prior && !upgrades), timing));
        }
        let known = {
            let mut pool = self.pool();
            let known = pool.known(peer);
            (!known.http1).then(|| Arc::clone(&known.turn))
        };
        let turn = match &known {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        let shared = self.pool().known(peer).shared.clone().filter(|shared| shared.is_open());
        if let Some(shared) = shared {
            return Ok((Carrier::Http2(shared), reused));
        }
        let Connected { stream, remote, timing } = self.connect(peer, upgrades).await?;
        let carrier = self.carry(stream, remote, prior);
        let mut pool = self.pool();
        let known = pool.known(peer);
        match &carrier {
            Carrier::Http1(_) => (known.http1, known.shared) = (true, None),
            Carrier::Http2(shared) => (known.http1, known.shared) = (false, Some(Arc::clone(shared))),
        }
        drop((pool, turn));
        Ok((carrier, timing))
    }

    fn carry(&self, stream: Stream, remote: SocketAddr, prior: bool) -> Carrier {
        if prior || stream.alpn() == Some(b"h2") {
            Carrier::Http2(Shared::start(&self.0, stream, remote))
        } else {
            Carrier::Http1(Box::new(Link::new(&self.0, stream, remote)))
        }
    }

    /// Sends several requests without content to one origin on one connection, all before the first response
    /// is read (RFC 9112 §9.3.2); at most [`PIPELINED_MAX`](crate::client::connection::PIPELINED_MAX) are
    /// ahead. Bodies are read whole, up to `octets_max` each.
    ///
    /// # Errors
    /// [`ClientError`] for the first that got no whole response. Nothing is sent again.
    pub async fn pipeline(&self, asks: Vec<Ask>, octets_max: usize) -> Result<Vec<Answer>, ClientError> {
        let Some(first) = asks.first() else { return Ok(Vec::new()) };
        let peer = self.peer(first)?;
        let (link, timing) = match self.pooled(&peer) {
            Some(link) => (link, Timing { reused: true, ..Timing::default() }),
            None => {
                let Connected { stream, remote, timing } = self.connect(&peer, false).await?;
                if stream.alpn() == Some(b"h2") {
                    return Err(ClientError::Pipelining);
                }
                (Link::new(&self.0, stream, remote), timing)
            }
        };
        link.pipeline(&self.0, &peer, asks, octets_max, timing).await
    }

    async fn over(
        &self,
        carrier: Carrier,
        outgoing: &mut Outgoing,
        mut timing: Timing,
        peer: &Peer,
    ) -> Result<Answer, ClientError> {
        let began = self.0.world.now();
        let mut under_way = match carrier {
            Carrier::Http1(mut link) => {
                link.begin(&self.0, outgoing)?;
                UnderWay::Http1(link)
            }
            Carrier::Http2(shared) => {
                let limit = self.0.settings.response_timeout;
                let asked = poll_fn(|cx| shared.poll_ask(cx, &self.0, outgoing));
                let asked = self.0.world.timeout(limit, asked).await;
                UnderWay::Http2(asked.ok_or(ClientError::Timeout("the server's permission to ask"))??)
            }
        };
        let head = self.head(&mut under_way).await?;
        timing.wait = self.0.world.now() - began;
        let remote = under_way.remote();
        let mut response = Response { status: head.status, fields: head.fields, ..Response::default() };
        let mut tunnel = None;
        match under_way {
            UnderWay::Http1(link) if head.tunnel => {
                let (ahead, stream) = link.into_parts();
                tunnel = Some(Tunnel { ahead, stream });
            }
            UnderWay::Http1(link) if head.empty => self.done(*link, peer),
            UnderWay::Http2(_) if head.empty => {}
            under_way => {
                let (client, peer) = (self.clone(), peer.clone());
                let under_way = Some(under_way);
                let stream = Received { client, peer, under_way, left: head.octets, timer: None };
                response.body = Body::Stream(Box::pin(stream));
            }
        }
        Ok(Answer { response, remote, version: head.version, timing, tunnel })
    }

    /// Waits for a response's head, for as long as the request moves and the time of the settings after that.
    async fn head(&self, under_way: &mut UnderWay) -> Result<Head, ClientError> {
        let Inner { world, settings, .. } = &*self.0;
        let mut moved = None;
        let mut timer = world.sleep(settings.response_timeout);
        poll_fn(|cx| {
            if let Poll::Ready(head) = under_way.poll_head(cx, &self.0) {
                return Poll::Ready(head);
            }
            if moved.replace(under_way.sent()) != Some(under_way.sent()) {
                timer = world.sleep(settings.response_timeout);
            }
            timer.as_mut().poll(cx).map(|()| Err(ClientError::Timeout("the response")))
        })
        .await
    }

    async fn connect(&self, peer: &Peer, http1: bool) -> Result<Connected, ClientError> {
        let connecting = connect::connect(&self.0, peer, http1);
        match self.0.world.timeout(self.0.settings.connect_timeout, connecting).await {
            Some(connected) => connected,
            None => Err(ClientError::Timeout("connecting")),
        }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.0.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pooled(&self, peer: &Peer) -> Option<Link> {
        let now = self.0.world.now();
        self.pool().take(peer, now, self.0.settings.idle)
    }

    /// Keeps a connection whose response is whole, if another request may follow.
    fn done(&self, link: Link, peer: &Peer) {
        if link.persists() {
            let now = self.0.world.now();
            self.pool().put(peer.clone(), link, now, &self.0.settings);
        }
    }
}

/// What a request goes out on.
enum Carrier {
    Http1(Box<Link>),
    Http2(Arc<Shared>),
}

/// A request that went out, and its response.
enum UnderWay {
    Http1(Box<Link>),
    Http2(Exchanging),
}

impl UnderWay {
    fn poll_head(&mut self, cx: &mut Context<'_>, inner: &Inner) -> Poll<Result<Head, ClientError>> {
        match self {
            Self::Http1(link) => link.poll_head(cx, inner),
            Self::Http2(exchanging) => exchanging.poll_head(cx),
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>, inner: &Inner) -> Poll<Result<Option<Bytes>, ClientError>> {
        match self {
            Self::Http1(link) => link.poll_data(cx, inner),
            Self::Http2(exchanging) => exchanging.poll_data(cx),
        }
    }

    /// Octets that are out: whether they grow tells whether the request moves.
    fn sent(&self) -> u64 {
        match self {
            Self::Http1(link) => link.sent(),
            Self::Http2(exchanging) => exchanging.sent(),
        }
    }

    /// Whether nothing of the response is still to come, as far as that is known.
    fn is_whole(&self) -> bool {
        matches!(self, Self::Http1(link) if link.is_whole())
    }

    fn remote(&self) -> SocketAddr {
        match self {
            Self::Http1(link) => link.remote(),
            Self::Http2(exchanging) => exchanging.remote(),
        }
    }
}

/// The body of a response while it arrives. To drop it ends the connection, or over HTTP/2 the stream.
struct Received {
    client: Client,
    peer: Peer,
    under_way: Option<UnderWay>,
    /// Octets still to come, where the head said how many.
    left: Option<u64>,
    timer: Option<(Instant, BoxFuture<'static, ()>)>,
}

impl Received {
    /// Gives the connection back, for its next request.
    fn let_go(&mut self) {
        if let Some(UnderWay::Http1(link)) = self.under_way.take() {
            self.client.done(*link, &self.peer);
        }
    }
}

impl BodyStream for Received {
    fn poll_piece(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let this = &mut *self;
        let Some(under_way) = &mut this.under_way else { return Poll::Ready(None) };
        match under_way.poll_data(cx, &this.client.0) {
            Poll::Ready(Ok(Some(piece))) => {
                this.timer = None;
                this.left = this.left.map(|left| left.saturating_sub(piece.len() as u64));
                // Who knows the length does not ask for more than that.
                if under_way.is_whole() {
                    this.let_go();
                }
                Poll::Ready(Some(Ok(piece)))
            }
            Poll::Ready(Ok(None)) => {
                this.let_go();
                Poll::Ready(None)
            }
            Poll::Ready(Err(error)) => {
                this.under_way = None;
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Pending => {
                let world = &this.client.0.world;
                let until = world.now() + this.client.0.settings.body_timeout;
                let (_, timer) = this.timer.get_or_insert_with(|| (until, world.sleep_until(until)));
                std::task::ready!(timer.as_mut().poll(cx));
                this.under_way = None;
                Poll::Ready(Some(Err(ClientError::Timeout("the body").into())))
            }
        }
    }

    fn octets(&self) -> Option<u64> {
        self.left
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
