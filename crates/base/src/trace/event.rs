//! One event of the trace.

use core::net::SocketAddr;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::Instant;

/// Names an event within its trace; later events point to it as their cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventId(pub u64);

/// What carries the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A connection: RFC 9293.
    Tcp,
    /// A datagram: RFC 768.
    Udp,
}

impl Transport {
    /// `tcp` or `udp`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Which way the message goes, seen from the node that records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the remote address to this node.
    In,
    /// From this node to the remote address.
    Out,
}

/// What happened on the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The connection was established; `In` when the remote side opened it.
    Open,
    /// Octets passed.
    Message,
    /// The connection ended; `In` when the remote side ended it.
    Close,
}

/// The two ends that a message travels between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Number of the connection in this trace; for datagrams, of the exchange.
    pub id: u64,
    /// TCP or UDP.
    pub transport: Transport,
    /// This node's address and port.
    pub local: SocketAddr,
    /// The other side's address and port.
    pub remote: SocketAddr,
    /// The port the standard gives this service (53, 80), shown in captures when asked for, so that
    /// a dissector recognises a service that runs on a high port. Zero when there is none.
    pub canonical_port: u16,
    /// Whether this node is the one that serves, so that `canonical_port` belongs to `local`.
    pub serving: bool,
}

/// Why a node decided as it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// A stable word for programs: `dns.referral`, `http.cache.hit`.
    pub code: &'static str,
    /// The same for people.
    pub text: Cow<'static, str>,
}

/// One message, or the opening or closing of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number; filled in when it is recorded.
    pub id: EventId,
    /// When.
    pub at: Instant,
    /// The node that saw it.
    pub node: Arc<str>,
    /// Between whom.
    pub flow: Flow,
    /// Which way.
    pub direction: Direction,
    /// Opening, message or closing.
    pub step: Step,
    /// Short name of the protocol: `dns`, `http`.
    pub protocol: &'static str,
    /// One line for people: `GET /index.html`, `home.arpa SOA? id 4711`.
    pub summary: String,
    /// The message's octets, before encryption; empty for opening and closing.
    pub octets: Arc<[u8]>,
    /// The event that made this one happen.
    pub cause: Option<EventId>,
    /// The decision behind it.
    pub note: Option<Note>,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = match self.direction {
            Direction::In => "<-",
            Direction::Out => "->",
        };
        let step = match self.step {
            Step::Open => "open ",
            Step::Message => "",
            Step::Close => "close ",
        };
        write!(
            f,
            "{:>12.6} {} {:<5} {} {arrow} {}  {}",
            self.at.as_nanos() as f64 / 1e9,
            self.node,
            self.protocol,
            self.flow.local,
            self.flow.remote,
            format!("{step}{}", self.summary).trim_end()
        )?;
        if self.step == Step::Message {
            write!(f, "  [{} octets]", self.octets.len())?;
        }
        match &self.note {
            Some(note) => write!(f, "  ({}: {})", note.code, note.text),
            None => Ok(()),
        }
    }
}
