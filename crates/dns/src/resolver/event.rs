//! What goes into a resolver and what comes out: values, no sockets.

use core::net::{IpAddr, SocketAddr};
use std::fmt;
use std::time::Duration;

use doorway_base::Instant;

use crate::wire::{Question, Rcode, Record};

/// A query under way to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u64);

/// What happened.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "an input is moved once, and a box would be an allocation")]
pub enum Input<'a> {
    /// A client asks.
    Ask(Ask),
    /// A message came for a query. Whether it is the answer is decided here: id, question and letter
    /// case are compared, and `from` with the address the query went to.
    Response {
        /// The query whose socket it came to.
        query: QueryId,
        /// Who sent it.
        from: SocketAddr,
        /// The message.
        octets: &'a [u8],
    },
    /// A query could not be sent, or its connection failed.
    Failure {
        /// The query.
        query: QueryId,
        /// What went wrong.
        why: SendFailure,
    },
    /// A client no longer waits.
    Cancel {
        /// The token it asked with.
        token: u64,
    },
    /// [`next_timeout`](super::Resolver::next_timeout) has come.
    Timeout,
}

/// Why a query did not go out, or will not come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendFailure {
    /// The peer, or the way to it, refused.
    Refused,
    /// Nothing came in the time that the shell allows. The engine has its own time-outs beside this.
    TimedOut,
    /// TLS was not agreed on, or the certificate is not the one wanted.
    Tls,
    /// Our own system has no socket, port or route for it.
    Local,
}

impl fmt::Display for SendFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused",
            Self::TimedOut => "timed out",
            Self::Tls => "no TLS",
            Self::Local => "could not be sent",
        })
    }
}

/// A client's question.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Comes back in the [`Answer`]; the caller's own choice.
    pub token: u64,
    /// What is asked.
    pub question: Question,
    /// The client wants signatures (DO).
    pub dnssec: bool,
    /// The client checks for itself (CD).
    pub checking_disabled: bool,
    /// Who asks.
    pub client: Option<IpAddr>,
    /// The answer is to tell how it was found.
    pub explain: bool,
    /// The cache is not to answer; what is found replaces what it holds.
    pub refresh: bool,
    /// Whether servers may be asked (RD); otherwise only the cache and the local zones are looked into.
    pub recursion: bool,
}

impl Ask {
    /// A plain recursive question.
    #[must_use]
    pub const fn new(token: u64, question: Question) -> Self {
        Self {
            token,
            question,
            dnssec: false,
            checking_disabled: false,
            client: None,
            explain: false,
            refresh: false,
            recursion: true,
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Output {
    /// Send a query. The socket takes a random port of its own for each query over UDP.
    Send(Send),
    /// Nothing is expected for this query any more, because it was answered or given up; its socket may
    /// be closed. Said once for every query that was sent.
    Cancel(QueryId),
    /// Answer a client.
    Answer(Answer),
}

/// What carries a query.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Transport {
    /// One datagram.
    #[default]
    Udp,
    /// A TCP connection, two octets of length before each message.
    Tcp,
    /// TLS on TCP: RFC 7858.
    Tls {
        /// The name the certificate must have; `None` takes any certificate (RFC 7858 §4.1).
        name: Option<Box<str>>,
    },
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls { .. } => "TLS",
        })
    }
}

/// A query to be sent.
#[derive(Debug, Clone)]
pub struct Send {
    /// Names it in what comes back.
    pub query: QueryId,
    /// The server.
    pub to: SocketAddr,
    /// What carries it.
    pub transport: Transport,
    /// The message, without the length that TCP puts before it.
    pub octets: Vec<u8>,
}

/// An answer to a client.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The token of the [`Ask`].
    pub token: u64,
    /// The response code.
    pub rcode: Rcode,
    /// The answer section: aliases in order, then the data.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authorities: Vec<Record>,
    /// The additional section, without OPT. Empty with `minimal_responses`.
    pub additionals: Vec<Record>,
    /// Extended errors: INFO-CODE and EXTRA-TEXT (RFC 8914).
    pub extended_error: Vec<(u16, String)>,
    /// The data is older than its TTL (RFC 8767).
    pub stale: bool,
    /// The data is a local zone's own (AA).
    pub authoritative: bool,
    /// How long this answer may be given again; `None` for not at all.
    pub cacheable_for: Option<Duration>,
    /// How it was found, when that was asked for.
    pub steps: Vec<Step>,
}

/// One step on the way to an answer.
#[derive(Debug, Clone)]
pub struct Step {
    /// When.
    pub at: Instant,
    /// How deep among lookups made for other lookups; 0 is the client's own question.
    pub depth: u8,
    /// What happened, as a sentence.
    pub what: String,
}
