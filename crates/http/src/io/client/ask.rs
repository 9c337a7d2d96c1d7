//! What is asked for and what came back: a request with where it goes and how, and the answer to it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use doorway_net::Stream;
use doorway_net::web::{Body, Fields, Informational, Response};

use super::ClientError;
use crate::url::Url;

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
    /// How many octets a [`Body::Stream`] has, when that is known; else it goes in chunks.
    pub length: Option<u64>,
    /// Whether to speak HTTP/1.0, for those who learn or test.
    pub http10: bool,
    /// Whom to connect to, where that is somebody else than the URL says.
    pub peer: Option<Peer>,
    /// Whether the request line has the whole URL, as proxies want it (RFC 9112 §3.2.2).
    pub absolute: bool,
    /// Whether the server is asked before long content is sent (RFC 9110 §10.1.1); else only where `fields`
    /// have Expect.
    pub asks_first: bool,
    /// The protocol that is asked for in place of HTTP (RFC 9110 §7.8).
    pub upgrade: Option<String>,
    /// Who hears of informational responses other than 100 and 101.
    pub informational: Option<Informational>,
}

impl Ask {
    /// A request without fields and content.
    #[must_use]
    pub fn new(method: &str, url: Url) -> Self {
        Self {
            method: method.to_owned(),
            url,
            fields: Fields::new(),
            body: Body::Empty,
            length: None,
            http10: false,
            peer: None,
            absolute: false,
            asks_first: true,
            upgrade: None,
            informational: None,
        }
    }
}

/// Whom a connection leads to. Connections to equal peers can be used for each other's requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    /// Where it is.
    pub place: Place,
    /// The name that its certificate must be good for; without one there is no TLS.
    pub tls_name: Option<String>,
    /// Whether it is known to speak HTTP/2 without TLS (RFC 9113 §3.3).
    pub prior_knowledge: bool,
}

/// Where somebody listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// At the addresses of a host, an IPv6 one in its brackets; and the port.
    Host(String, u16),
    /// At this address, which was found before.
    Address(SocketAddr),
    /// At a Unix socket.
    Unix(PathBuf),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host(host, port) => write!(f, "{host}:{port}"),
            Self::Address(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Peer {
    /// The origin server of a URL (RFC 6454 §4).
    ///
    /// # Errors
    /// [`ClientError::Scheme`].
    pub fn of(url: &Url) -> Result<Self, ClientError> {
        let secure = match url.scheme.as_str() {
            "http" => false,
            "https" => true,
            other => return Err(ClientError::Scheme(other.to_owned())),
        };
        let place = Place::Host(url.host.clone(), url.port_or_default().unwrap_or_default());
        Ok(Self { place, tls_name: secure.then(|| url.host.clone()), prior_knowledge: false })
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
    /// Who answered; for a Unix socket `0.0.0.0:0`.
    pub remote: SocketAddr,
    /// The version of the response: `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`.
    pub version: &'static str,
    /// How long it took up to the response's head.
    pub timing: Timing,
    /// The connection, when it is no longer HTTP: after 101, or 2xx to CONNECT.
    pub tunnel: Option<Tunnel>,
}

/// One end of a tunnel.
#[derive(Debug)]
pub struct Tunnel {
    /// Octets that were read already; they come first.
    pub ahead: Vec<u8>,
    /// The rest.
    pub stream: Stream,
}
