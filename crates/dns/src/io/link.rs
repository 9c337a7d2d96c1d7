//! Connections to other servers, over TCP and TLS: RFC 7766, RFC 7858.
//!
//! One connection to a server carries all queries that go there, without waiting for one another, and
//! stays open for a while. When it ends, whatever waited on it hears so.

use core::net::SocketAddr;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use doorway_net::tls::TlsDialler;
use doorway_net::{Stream, World};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use crate::resolver::{QueryId, SendFailure, Transport};

/// Silence after which a connection that nobody waits on is closed.
const IDLE: Duration = Duration::from_secs(10);
/// Time for connecting, the TLS handshake included.
const CONNECT: Duration = Duration::from_secs(5);
/// Queries that wait to be sent on one connection at most.
pub const QUEUE_MAX: usize = 256;

/// A query to be sent on a link, or one whose answer nobody wants any more.
#[derive(Debug)]
pub enum Job {
    /// Send these octets.
    Send(QueryId, Vec<u8>),
    /// Expect nothing more.
    Forget(QueryId),
}

/// What happened on a link.
#[derive(Debug)]
pub enum Event<'a> {
    /// An answer came.
    Answer(QueryId, &'a [u8]),
    /// There will be none.
    Failure(QueryId, SendFailure),
    /// Octets went out, for the trace.
    Sent(&'a [u8]),
}

/// Opens the connection and serves `jobs` until nobody needs it; `tell` hears what happens.
pub async fn run(
    world: World,
    to: SocketAddr,
    transport: Transport,
    tls: Option<Arc<TlsDialler>>,
    mut jobs: mpsc::Receiver<Job>,
    tell: impl Fn(Event<'_>),
) {
    let connecting = async {
        match (&transport, &tls) {
            (Transport::Tls { name }, Some(tls)) => tls.connect(&world, to, name.as_deref()).await,
            (Transport::Tls { .. }, None) => Err(io::ErrorKind::Unsupported.into()),
            _ => world.connect(to).await,
        }
    };
    let mut waiting = Waiting::default();
    let why = match world.timeout(CONNECT, connecting).await {
        Some(Ok(stream)) => serve(&world, stream, &mut jobs, &mut waiting, &tell).await,
        Some(Err(error)) if error.kind() == io::ErrorKind::InvalidData => SendFailure::Tls,
        Some(Err(_)) => SendFailure::Refused,
        None => SendFailure::TimedOut,
    };
    jobs.close();
    while let Some(job) = jobs.recv().await {
        match job {
            Job::Send(query, _) => waiting.0.push((0, query)),
            Job::Forget(query) => waiting.forget(query),
        }
    }
    for (_, query) in waiting.0 {
        tell(Event::Failure(query, why));
    }
}

/// The queries that were sent, with their ids.
#[derive(Default)]
struct Waiting(Vec<(u16, QueryId)>);

impl Waiting {
    fn forget(&mut self, query: QueryId) {
        self.0.retain(|(_, waiting)| *waiting != query);
    }

    fn id(octets: &[u8]) -> u16 {
        octets.first_chunk::<2>().map_or(0, |two| u16::from_be_bytes(*two))
    }
}

enum Next {
    Job(Option<Job>),
    Read(io::Result<usize>),
    Idle,
}

async fn serve(
    world: &World,
    mut stream: Stream,
    jobs: &mut mpsc::Receiver<Job>,
    waiting: &mut Waiting,
    tell: &impl Fn(Event<'_>),
) -> SendFailure {
    let mut received: Vec<u8> = Vec::new();
    loop {
        let mut idle = world.sleep(IDLE);
        let next = poll_fn(|cx| {
            if let Poll::Ready(job) = jobs.poll_recv(cx) {
                return Poll::Ready(Next::Job(job));
            }
            let take = |octets: &[u8]| {
                received.extend_from_slice(octets);
                octets.len()
            };
            if let Poll::Ready(read) = stream.poll_read_with(cx, take) {
                return Poll::Ready(Next::Read(read));
            }
            idle.as_mut().poll(cx).map(|()| Next::Idle)
        })
        .await;
        match next {
            Next::Job(Some(Job::Send(query, octets))) => {
                let mut framed = Vec::with_capacity(octets.len() + 2);
                framed.extend((octets.len() as u16).to_be_bytes());
                framed.extend_from_slice(&octets);
                waiting.0.push((Waiting::id(&octets), query));
                tell(Event::Sent(&framed));
                let written = async {
                    stream.write_all(&framed).await?;
                    stream.flush().await
                };
                if written.await.is_err() {
                    return SendFailure::Refused;
                }
            }
            Next::Job(Some(Job::Forget(query))) => waiting.forget(query),
            Next::Job(None) | Next::Read(Ok(0) | Err(_)) => return SendFailure::Refused,
            Next::Read(Ok(_)) => answers(&mut received, waiting, tell),
            Next::Idle if waiting.0.is_empty() => return SendFailure::TimedOut,
            Next::Idle => {}
        }
    }
}

// Takes the whole messages off the front of what was received.
fn answers(received: &mut Vec<u8>, waiting: &mut Waiting, tell: &impl Fn(Event<'_>)) {
    let mut used = 0;
    while let Some((&length, rest)) = received[used..].split_first_chunk::<2>() {
        let Some(message) = rest.get(..usize::from(u16::from_be_bytes(length))) else { break };
        let id = Waiting::id(message);
        if let Some(at) = waiting.0.iter().position(|(waiting, _)| *waiting == id) {
            let (_, query) = waiting.0.swap_remove(at);
            tell(Event::Answer(query, message));
        }
        used += 2 + message.len();
    }
    received.drain(..used);
}
