//! One query to one server and its answer, for commands: over UDP, TCP or TLS.
//!
//! An answer counts when it comes from the server that was asked and has the ID of the query; over UDP
//! anything else is passed by. Not here: whom to ask, and how often (the command), and the resolver's
//! own sockets (`upstream.rs`, `link.rs`).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::io;
use std::time::Duration;

use doorway_net::ground::ListenOptions;
use doorway_net::{Stream, World};

use doorway_net::tls::TlsDialler;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::wire::message::MESSAGE_OCTETS_MAX;
use crate::wire::{Flags, HEADER_OCTETS};

/// Sends `query` as a datagram and waits `span` for the answer.
///
/// # Errors
/// Those of the network; `TimedOut` when no answer came.
pub async fn datagram(world: &World, to: SocketAddr, query: &[u8], span: Duration) -> io::Result<Vec<u8>> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let options = ListenOptions { share: false, ..ListenOptions::default() };
    let client = world.udp(SocketAddr::new(any, 0), &options)?.start()?;
    let answered = async {
        client.send(query, to).await?;
        let mut room = vec![0; MESSAGE_OCTETS_MAX];
        loop {
            let (length, from) = client.receive(&mut room).await?;
            if from == to && is_answer(query, &room[..length]) {
                room.truncate(length);
                return Ok(room);
            }
        }
    };
    world.timeout(span, answered).await.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
}

fn is_answer(query: &[u8], octets: &[u8]) -> bool {
    octets.len() >= HEADER_OCTETS
        && octets.first_chunk::<2>() == query.first_chunk::<2>()
        && u16::from_be_bytes([octets[2], octets[3]]) & Flags::QR != 0
}

/// A connection to a server, over which queries and answers go with their lengths before them
/// (RFC 7766 §8).
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
}

impl Connection {
    /// Connects within `span`. With a dialler the connection has TLS, and with a name besides the
    /// certificate has to be good for that.
    ///
    /// # Errors
    /// Those of the network and of TLS; `TimedOut` when the time was over.
    pub async fn open(
        world: &World,
        to: SocketAddr,
        tls: Option<(&TlsDialler, Option<&str>)>,
        span: Duration,
    ) -> io::Result<Self> {
        let opened = async {
            match tls {
                Some((dialler, name)) => dialler.connect(world, to, name).await,
                None => world.connect(to).await,
            }
        };
        let stream = world.timeout(span, opened).await;
        stream.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into())).map(|stream| Self { stream })
    }

    /// Sends a message.
    ///
    /// # Errors
    /// Those of the connection; `InvalidInput` for a message that is too long.
    pub async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let length = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(message);
        self.stream.write_all(&framed).await?;
        self.stream.flush().await
    }

    /// The next message, which has to come within `span`.
    ///
    /// # Errors
    /// Those of the connection; `UnexpectedEof` when the server closed it, `TimedOut` when the time was
    /// over.
    pub async fn receive(&mut self, world: &World, span: Duration) -> io::Result<Vec<u8>> {
        let stream = &mut self.stream;
        let whole = async {
            let length = stream.read_u16().await?;
            let mut message = vec![0; usize::from(length)];
            stream.read_exact(&mut message).await?;
            Ok(message)
        };
        world.timeout(span, whole).await.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
    }
}
