//! The plugs between whoever speaks HTTP and whoever has something to say over it: the console, the
//! control socket, a tracker and DNS over HTTPS are [`Handler`]s; whoever needs the web as a client
//! is given a [`Fetch`]. Neither side knows the HTTP engine.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

pub use bytes::Bytes;

use crate::ground::BoxFuture;

/// Field lines of a message, in order. Names are compared without regard to case (RFC 9110 §5.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// No fields.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a field line after the others.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// The value of the first line with this name.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Every line, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// A body that arrives or leaves in pieces.
pub trait BodyStream: Send {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// When the sender breaks off.
    fn poll_piece(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>>;
}

/// The content of a message.
#[derive(Default)]
pub enum Body {
    /// None.
    #[default]
    Empty,
    /// All of it.
    Whole(Bytes),
    /// Piece by piece, of a length not known before.
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

impl Body {
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
    /// Path of the target with its percent coding, beginning with `/` (or `*`).
    pub path: String,
    /// What follows the `?`, if there is one.
    pub query: Option<String>,
    /// The host asked for, from the target or the Host field, without a port.
    pub host: String,
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
}

/// A response as a handler gives it: framing fields are added by whoever speaks HTTP.
#[derive(Debug, Default)]
pub struct Response {
    /// The status code, 200 to 599.
    pub status: u16,
    /// Field lines; no `Content-Length`, `Transfer-Encoding`, `Connection` or `Date`.
    pub fields: Fields,
    /// Content.
    pub body: Body,
}

impl Response {
    /// A response with a whole body of the given media type.
    #[must_use]
    pub fn new(status: u16, media_type: &str, body: impl Into<Bytes>) -> Self {
        let mut fields = Fields::new();
        fields.add("Content-Type", media_type);
        Self { status, fields, body: Body::Whole(body.into()) }
    }

    /// A response whose body follows piece by piece.
    #[must_use]
    pub fn stream(status: u16, media_type: &str, body: impl BodyStream + 'static) -> Self {
        let mut fields = Fields::new();
        fields.add("Content-Type", media_type);
        Self { status, fields, body: Body::Stream(Box::pin(body)) }
    }

    /// The same with one more field line.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.add(name, value);
        self
    }
}

/// Answers requests that an HTTP server hands over.
pub trait Handler: Send + Sync {
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
