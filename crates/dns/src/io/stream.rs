//! Queries over TCP: RFC 1035 §4.2.2, RFC 7766, RFC 9210.
//!
//! Each message has its length in two octets before it. A client may send many without waiting; all
//! that came with one read are answered with one write, in order. Answers come out of a table in
//! memory, so none ever has to wait for another.

use std::future::poll_fn;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use doorway_base::trace::Direction;
use doorway_base::{Verdict, Writer};
use doorway_net::limits::TcpLimits;
use doorway_net::proxy_protocol::ProxySources;
use doorway_net::tcp::{Connection, TcpOptions, TcpService, Watching};
use tokio::io::AsyncWriteExt;

use super::{PORT, PROTOCOL, SERVICE};
use crate::authority::{Authority, Carrier};
use crate::summary;
use crate::wire::message::MESSAGE_OCTETS_MAX;

/// Connections open at once.
pub const CONNECTIONS_MAX: u64 = 4096;
/// Connections open at once from one address.
pub const CONNECTIONS_PER_ADDRESS_MAX: u32 = 150;
/// Silence after which a connection is closed: RFC 7766 §6.2.3.
pub const IDLE_MAX: Duration = Duration::from_secs(10);
/// How long a client may leave its answers lying.
pub const WRITE_STALL_MAX: Duration = Duration::from_secs(5);
/// Octets of answers gathered before they are written; one more answer may go over it.
pub const GATHERED_OCTETS_MAX: usize = 64 * 1024;
/// Octets of buffer that an idle connection keeps.
const KEPT_OCTETS_MAX: usize = 512;

/// The doors' set-up: the program's bounds, or DNS's own where those are tighter.
#[must_use]
pub fn options(limits: &TcpLimits, proxies: &ProxySources) -> TcpOptions {
    let mut options = TcpOptions::new(SERVICE, PROTOCOL, PORT);
    options.proxies = proxies.clone();
    options.limits = TcpLimits {
        connections: tighter(limits.connections, CONNECTIONS_MAX),
        connections_per_address: tighter(limits.connections_per_address, CONNECTIONS_PER_ADDRESS_MAX),
        first_octet: limits.first_octet.min(IDLE_MAX),
        idle: limits.idle.min(IDLE_MAX),
        write_stall: limits.write_stall.min(WRITE_STALL_MAX),
        ..limits.clone()
    };
    options
}

/// The smaller of two bounds, of which the first may be absent (0).
fn tighter<T: Ord + Default>(bound: T, own: T) -> T {
    if bound == T::default() { own } else { bound.min(own) }
}

/// What serves every connection.
#[derive(Debug)]
pub struct Streams {
    // Held for the queries of one read, never across a wait.
    engine: Mutex<Engine>,
}

#[derive(Debug)]
struct Engine {
    authority: Authority,
    room: Vec<u8>,
}

/// Whether the client keeps to the framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Kept,
    Broken,
}

impl Streams {
    /// Connections answered by `authority`.
    #[must_use]
    pub fn new(authority: Authority) -> Self {
        Self { engine: Mutex::new(Engine { authority, room: vec![0; MESSAGE_OCTETS_MAX] }) }
    }

    // Answers whole messages at the front of `octets` until there are no more or enough answers are
    // gathered. Returns how many octets were used.
    fn answer(&self, octets: &[u8], gathered: &mut Vec<u8>, watching: &Watching) -> (usize, Framing) {
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        let Engine { authority, room } = &mut *engine;
        authority.take_up();
        let (mut used, mut queries) = (0, 0);
        let mut framing = Framing::Kept;
        while gathered.len() < GATHERED_OCTETS_MAX {
            let Some((&length, rest)) = octets[used..].split_first_chunk::<2>() else { break };
            let length = usize::from(u16::from_be_bytes(length));
            let Some(query) = rest.get(..length) else { break };
            // The trace has octets as they pass, so with the length before them.
            let framed = &octets[used..used + 2 + length];
            used += framed.len();
            queries += 1;
            let cause = watching.record(Direction::In, framed, None, || summary(query));
            let mut reply = Writer::new(room);
            if authority.respond(query, Carrier::Stream, &mut reply) != Verdict::Reply {
                // What is silence over UDP ends a connection: nothing sensible can follow.
                framing = Framing::Broken;
                break;
            }
            let reply = reply.written();
            let start = gathered.len();
            gathered.extend((reply.len() as u16).to_be_bytes());
            gathered.extend_from_slice(reply);
            watching.record(Direction::Out, &gathered[start..], cause, || summary(reply));
        }
        watching.pulse().count_requests(queries);
        (used, framing)
    }
}

impl TcpService for Streams {
    async fn serve(&self, connection: Connection) {
        let (mut stream, _, watching) = connection.into_parts();
        // What was read and is not answered yet: the start of a message, or more queries than fit one
        // write. At most one read and one message.
        let mut waiting = Vec::new();
        let mut gathered = Vec::new();
        loop {
            let read = poll_fn(|cx| {
                let draining = watching.is_draining() && waiting.is_empty();
                let take = |octets: &[u8]| {
                    if octets.is_empty() {
                        return None;
                    }
                    if !waiting.is_empty() {
                        waiting.extend_from_slice(octets);
                        return Some((0, Framing::Kept));
                    }
                    let (used, framing) = self.answer(octets, &mut gathered, &watching);
                    waiting.extend_from_slice(&octets[used..]);
                    Some((used, framing))
                };
                match stream.poll_read_with(cx, take) {
                    // What has come already is answered; then the door may close.
                    Poll::Pending if draining => Poll::Ready(Ok(None)),
                    outcome => outcome,
                }
            });
            let Ok(Some((mut used, mut framing))) = read.await else { return };
            loop {
                if used == 0 {
                    (used, framing) = self.answer(&waiting, &mut gathered, &watching);
                    waiting.drain(..used);
                }
                if write(&mut stream, &mut gathered).await.is_err() || framing == Framing::Broken {
                    return;
                }
                if used == 0 || waiting.is_empty() {
                    break;
                }
                used = 0;
            }
            if waiting.is_empty() {
                watching.pulse().end_message();
                waiting.shrink_to(KEPT_OCTETS_MAX);
            } else {
                watching.pulse().begin_message(watching.tick());
            }
        }
    }
}

async fn write(stream: &mut doorway_net::Stream, gathered: &mut Vec<u8>) -> io::Result<()> {
    if !gathered.is_empty() {
        stream.write_all(gathered).await?;
        stream.flush().await?;
        gathered.clear();
        gathered.shrink_to(KEPT_OCTETS_MAX);
    }
    Ok(())
}
