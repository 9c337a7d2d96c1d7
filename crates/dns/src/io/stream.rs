//! Queries over TCP: RFC 1035 §4.2.2, RFC 7766, RFC 9210.
//!
//! Each message has its length in two octets before it. A client may send many without waiting; all
//! that came with one read and can be answered at once are answered with one write. What has to be
//! looked up follows when it is there, so no answer waits for another (RFC 7766 §7).

use core::net::SocketAddr;
use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use doorway_base::Writer;
use doorway_base::trace::Direction;
use doorway_net::World;
use doorway_net::limits::TcpLimits;
use doorway_net::proxy_protocol::ProxySources;
use doorway_net::tcp::{Connection, TcpOptions, TcpService, Watching};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::recursion::Asker;
use super::{PORT, PROTOCOL, Parts, SERVICE};
use crate::authority::Carrier;
use crate::front::{self, Decision, Front};
use crate::summary;
use crate::wire::Rcode;
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

/// Queries of one connection that wait for the resolver at most; then it is not read from.
pub const WAITING_MAX: usize = 100;

/// An answer that comes later: one message of it.
#[derive(Debug)]
pub struct Late {
    /// The message; none when it is empty.
    pub message: Vec<u8>,
    /// Whether more messages of the answer follow.
    pub more: bool,
}

impl Late {
    /// The last message of an answer, or the only one.
    #[must_use]
    pub const fn last(message: Vec<u8>) -> Self {
        Self { message, more: false }
    }
}

/// What serves every connection.
#[derive(Debug)]
pub struct Streams {
    engines: Vec<Mutex<Engine>>,
    next: AtomicUsize,
    parts: Parts,
}

// Held for the queries of one read, never across a wait.
#[derive(Debug)]
struct Engine {
    front: Front,
    room: Vec<u8>,
}

/// Whether the client keeps to the framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Kept,
    Broken,
}

/// One connection's own state.
struct Client<'c> {
    engine: &'c Mutex<Engine>,
    parts: &'c Parts,
    watching: &'c Watching,
    world: &'c World,
    remote: SocketAddr,
    transport: &'static str,
    // Answers that came later; the sender is given to whoever makes them.
    late: mpsc::Sender<Late>,
    under_way: usize,
    gathered: Vec<u8>,
}

impl Streams {
    /// Connections answered by `fronts`, of which there is one for each worker, so that they seldom wait
    /// for one another.
    #[must_use]
    pub fn new(fronts: Vec<Front>, parts: Parts) -> Self {
        let engine = |front| Mutex::new(Engine { front, room: vec![0; MESSAGE_OCTETS_MAX] });
        Self { engines: fronts.into_iter().map(engine).collect(), next: AtomicUsize::new(0), parts }
    }

    fn engine(&self) -> &Mutex<Engine> {
        &self.engines[self.next.fetch_add(1, Ordering::Relaxed) % self.engines.len()]
    }
}

impl Client<'_> {
    // Answers whole messages at the front of `octets` until there are no more or enough answers are
    // gathered. Returns how many octets were used.
    fn answer(&mut self, octets: &[u8]) -> (usize, Framing) {
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        let Engine { front, room } = &mut *engine;
        front.take_up();
        let now = self.world.now();
        let asked =
            front::Client { address: self.remote.ip(), carrier: Carrier::Stream, wall: self.world.wall() };
        let (mut used, mut queries) = (0, 0);
        let mut framing = Framing::Kept;
        while self.gathered.len() < GATHERED_OCTETS_MAX && self.under_way < WAITING_MAX {
            let Some((&length, rest)) = octets[used..].split_first_chunk::<2>() else { break };
            let length = usize::from(u16::from_be_bytes(length));
            let Some(query) = rest.get(..length) else { break };
            // The trace has octets as they pass, so with the length before them.
            let framed = &octets[used..used + 2 + length];
            used += framed.len();
            queries += 1;
            let cause = self.watching.record(Direction::In, framed, None, || summary(query));
            let mut reply = Writer::new(room);
            match front.decide(now, asked, query, &mut reply) {
                Decision::Reply => {}
                Decision::Drop(_) => {
                    // What is silence over UDP ends a connection: nothing sensible can follow.
                    framing = Framing::Broken;
                    break;
                }
                Decision::Resolve(wanted) => {
                    let connection = self.late.clone();
                    let asker =
                        Asker::Stream { wanted, connection, remote: self.remote, transport: self.transport };
                    match self.parts.ask(asker) {
                        Ok(()) => {
                            self.under_way += 1;
                            continue;
                        }
                        Err(Asker::Stream { wanted, .. }) => front.fail(&wanted, Rcode::SERVFAIL, &mut reply),
                        Err(_) => continue,
                    }
                }
                Decision::Upkeep => {
                    if let Some(upkeep) = self.parts.upkeep()
                        && upkeep.stream(query, self.remote, self.late.clone())
                    {
                        self.under_way += 1;
                        continue;
                    }
                    front.decline(query, Carrier::Stream, &mut reply);
                }
            }
            self.parts.refresh(front);
            let reply = reply.written();
            self.parts.note(asked.wall, self.remote, self.transport, query, reply, front);
            let start = self.gathered.len();
            self.gathered.extend((reply.len() as u16).to_be_bytes());
            self.gathered.extend_from_slice(reply);
            self.watching.record(Direction::Out, &self.gathered[start..], cause, || summary(reply));
        }
        self.watching.pulse().count_requests(queries);
        (used, framing)
    }

    fn late(&mut self, late: &Late) {
        let Late { message: answer, more } = late;
        if !more {
            self.under_way = self.under_way.saturating_sub(1);
        }
        if answer.is_empty() {
            return;
        }
        let start = self.gathered.len();
        self.gathered.extend((answer.len() as u16).to_be_bytes());
        self.gathered.extend_from_slice(answer);
        self.watching.record(Direction::Out, &self.gathered[start..], None, || summary(answer));
    }
}

// What a connection waited for.
enum Came {
    // Octets, of which so many are used already.
    Octets(usize, Framing),
    Late(Late),
    End,
}

impl TcpService for Streams {
    async fn serve(&self, connection: Connection) {
        let remote = connection.remote();
        let (mut stream, world, watching) = connection.into_parts();
        let (late, mut answers) = mpsc::channel(WAITING_MAX);
        let mut client = Client {
            engine: self.engine(),
            parts: &self.parts,
            watching: &watching,
            world: &world,
            remote,
            transport: if stream.is_tls() { "tls" } else { "tcp" },
            late,
            under_way: 0,
            gathered: Vec::new(),
        };
        // What was read and is not answered yet: the start of a message, or more queries than fit one
        // write or may wait. At most one read and one message.
        let mut waiting: Vec<u8> = Vec::new();
        loop {
            let came = poll_fn(|cx| {
                if let Poll::Ready(Some(answer)) = answers.poll_recv(cx) {
                    return Poll::Ready(Came::Late(answer));
                }
                if client.under_way >= WAITING_MAX {
                    // The client waits for us; its next queries can.
                    return Poll::Pending;
                }
                let draining = watching.is_draining() && waiting.is_empty() && client.under_way == 0;
                let take = |octets: &[u8]| {
                    if octets.is_empty() {
                        return None;
                    }
                    if !waiting.is_empty() {
                        waiting.extend_from_slice(octets);
                        return Some((0, Framing::Kept));
                    }
                    let (used, framing) = client.answer(octets);
                    waiting.extend_from_slice(&octets[used..]);
                    Some((used, framing))
                };
                match stream.poll_read_with(cx, take) {
                    // What has come already is answered; then the door may close.
                    Poll::Pending if draining => Poll::Ready(Came::End),
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Ok(Some((used, framing)))) => Poll::Ready(Came::Octets(used, framing)),
                    Poll::Ready(_) => Poll::Ready(Came::End),
                }
            });
            let (mut used, mut framing) = match came.await {
                Came::Octets(used, framing) => (used, framing),
                Came::Late(answer) => {
                    client.late(&answer);
                    while let Ok(answer) = answers.try_recv() {
                        client.late(&answer);
                    }
                    (0, Framing::Kept)
                }
                // A client that has said all it wanted may still wait for answers.
                Came::End if client.under_way > 0 && !watching.is_draining() => {
                    while client.under_way > 0 {
                        let Some(answer) = answers.recv().await else { return };
                        client.late(&answer);
                        if write(&mut stream, &mut client.gathered).await.is_err() {
                            return;
                        }
                    }
                    return;
                }
                Came::End => return,
            };
            loop {
                if used == 0 {
                    (used, framing) = client.answer(&waiting);
                    waiting.drain(..used);
                }
                if write(&mut stream, &mut client.gathered).await.is_err() || framing == Framing::Broken {
                    return;
                }
                if used == 0 || waiting.is_empty() {
                    break;
                }
                used = 0;
            }
            if waiting.is_empty() && client.under_way == 0 {
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
