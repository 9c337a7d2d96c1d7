//! The plugs between whoever speaks HTTP and whoever has something to say over it: the console, the
//! control socket, a tracker and DNS over HTTPS are [`Handler`]s; whoever needs the web as a client
//! is given a [`Fetch`]. Neither side knows the HTTP engine.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

pub use bytes::Bytes;

pub use crate::fields::Fields;
pub use crate::informational::Informational;

use crate::ground::BoxFuture;
use crate::stream::Stream;

/// A body that arrives or leaves in pieces.
pub trait BodyStream: Send {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// When the sender breaks off.
    fn poll_piece(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>>;

    /// How many octets all pieces that are still to come have together, where that is known. Whoever sends the
    /// body may announce it; a sender that then has more or fewer is cut off.
    fn octets(&self) -> Option<u64> {
        None
    }
}

/// The content of a message.
#[derive(Default)]
pub enum Body {
    /// None.
    #[default]
    Empty,
    /// All of it.
    Whole(Bytes),
    /// Piece by piece; its length may be known before ([`BodyStream::octets`]).
    Stream(Pin<Box<dyn BodyStream>>),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Whole(octets) => write!(f, "Whole({} octets)", octets.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// Content of which nothing but its length is told.
struct Announced(Option<u64>);

impl BodyStream for Announced {
    fn poll_piece(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        Poll::Ready(self.0.is_none_or(|octets| octets > 0).then(|| Err(io::ErrorKind::UnexpectedEof.into())))
    }

    fn octets(&self) -> Option<u64> {
        self.0
    }
}

impl Body {
    /// Content that is not sent, in answer to HEAD and with 304: the head says how long it would be, if that is
    /// known (RFC 9110 §8.6). To read it is an error.
    #[must_use]
    pub fn announced(octets: Option<u64>) -> Self {
        Self::Stream(Box::pin(Announced(octets)))
    }

    /// How many octets it has, where that is known.
    #[must_use]
    pub fn octets(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Whole(octets) => Some(octets.len() as u64),
            Self::Stream(stream) => stream.octets(),
        }
    }

    /// Reads the whole body, up to `octets_max`.
    ///
    /// # Errors
    /// `InvalidData` when it is longer, else as the sender gives them.
    pub async fn read(self, octets_max: usize) -> io::Result<Bytes> {
        let too_long =
            || io::Error::new(io::ErrorKind::InvalidData, format!("a body of over {octets_max} octets"));
        match self {
            Self::Empty => Ok(Bytes::new()),
            Self::Whole(octets) if octets.len() > octets_max => Err(too_long()),
            Self::Whole(octets) => Ok(octets),
            Self::Stream(mut stream) => {
                let mut all = Vec::new();
                while let Some(piece) = std::future::poll_fn(|cx| stream.as_mut().poll_piece(cx)).await {
                    let piece = piece?;
                    if all.len() + piece.len() > octets_max {
                        return Err(too_long());
                    }
                    all.extend_from_slice(&piece);
                }
                Ok(all.into())
            }
        }
    }
}

/// A request as a handler sees it: its framing is checked and taken off.
#[derive(Debug)]
pub struct Request {
    /// The method, such as `GET`.
    pub method: String,
    /// The target as it came, in whichever form (RFC 9112 §3.2): what a proxy hands on, since it must change
    /// neither path nor query (RFC 9110 §7.7).
    pub target: String,
    /// By which version it came, as Via tells it: `1.0`, `1.1` or `2` (RFC 9110 §7.6.3).
    pub version: &'static str,
    /// Path of the target in its one canonical form, beginning with `/`; or `*`; or for CONNECT `host:port`.
    pub path: String,
    /// What follows the `?`, if there is one.
    pub query: Option<String>,
    /// The host asked for, from the target or the Host field, without a port.
    pub host: String,
    /// The port that stands behind it, if one does.
    pub port: Option<u16>,
    /// Field lines.
    pub fields: Fields,
    /// Content.
    pub body: Body,
    /// The client; for a Unix socket `0.0.0.0:0`.
    pub remote: SocketAddr,
    /// Whether it came over TLS.
    pub secure: bool,
    /// The system's user number of a client on a Unix socket, as the kernel vouches for it.
    pub unix_user: Option<u32>,
    /// Who the client is, where the way to the handler asks for a login; the handler need not ask again.
    pub user: Option<Arc<str>>,
    /// Tells the client something before the response; `None` where the client would not understand it.
    pub informational: Option<Informational>,
}

impl Request {
    /// A request for a target in origin form (RFC 9112 §3.2.1), by HTTP/1.1 and from nowhere; without host,
    /// fields and content.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            version: "1.1",
            path: path.to_owned(),
            query,
            host: String::new(),
            port: None,
            fields: Fields::new(),
            body: Body::Empty,
            remote: SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
            secure: false,
            unix_user: None,
            user: None,
            informational: None,
        }
    }
}

/// A response as a handler gives it: framing fields are added by whoever speaks HTTP.
#[derive(Default)]
pub struct Response {
    /// The status code, 200 to 599.
    pub status: u16,
    /// Field lines. Those that frame the message (`Content-Length`, `Transfer-Encoding`, `Connection`) are the
    /// server's; so is `Date`, unless the handler hands on that of another server.
    pub fields: Fields,
    /// Content.
    pub body: Body,
    /// With status 101, or 200 to CONNECT: who speaks on the connection from here on (RFC 9110 §7.8). The
    /// response then has no content.
    pub upgrade: Option<Upgrade>,
}

/// Takes a connection over: first the octets that the client sent ahead, then the rest. The future ends with
/// the conversation.
pub type Upgrade = Box<dyn FnOnce(Vec<u8>, Stream) -> BoxFuture<'static, ()> + Send>;

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, fields, body, upgrade } = self;
        let mut shown = f.debug_struct("Response");
        shown.field("status", status).field("fields", fields).field("body", body);
        shown.field("upgrade", &upgrade.is_some()).finish()
    }
}

impl Response {
    /// A response with a whole body of the given media type.
    #[must_use]
    pub fn new(status: u16, media_type: &str, body: impl Into<Bytes>) -> Self {
        let mut fields = Fields::new();
        fields.add("Content-Type", media_type);
        Self { status, fields, body: Body::Whole(body.into()), upgrade: None }
    }

    /// A response whose body follows piece by piece.
    #[must_use]
    pub fn stream(status: u16, media_type: &str, body: impl BodyStream + 'static) -> Self {
        let mut fields = Fields::new();
        fields.add("Content-Type", media_type);
        Self { status, fields, body: Body::Stream(Box::pin(body)), upgrade: None }
    }

    /// The same with one more field line.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.add(name, value);
        self
    }
}

/// Longest request body that is collected for a handler that does not say otherwise, in octets.
pub const COLLECTED_OCTETS_MAX: usize = 4 * 1024 * 1024;

/// How a handler wants the body of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taking {
    /// As [`Body::Whole`], of so many octets at most: 413.
    Whole {
        /// Most octets that are collected.
        octets_max: usize,
    },
    /// As [`Body::Stream`], within the server's own limit: 100 is sent (RFC 9110 §10.1.1) and the body read
    /// when the handler first asks for a piece. A body that the handler does not read to its end is thrown
    /// away, or the connection closed.
    Stream,
}

/// Answers requests that an HTTP server hands over.
pub trait Handler: Send + Sync {
    /// How the body of a request for `path` is wanted.
    fn taking(&self, method: &str, path: &str) -> Taking {
        let _ = (method, path);
        Taking::Whole { octets_max: COLLECTED_OCTETS_MAX }
    }

    /// Whether it stands for other servers (RFC 9110 §3.7), so that it is given requests by methods and for schemes
    /// that this server does not know.
    fn is_intermediary(&self) -> bool {
        false
    }

    /// Answers one request. The future is dropped when the client goes away.
    fn handle(&self, request: Request) -> BoxFuture<'_, Response>;
}

/// Asks other servers.
pub trait Fetch: Send + Sync {
    /// Sends one request and returns the response once its head is there.
    ///
    /// # Errors
    /// As the network gives them.
    fn fetch(&self, request: Request) -> BoxFuture<'_, io::Result<Response>>;
}
