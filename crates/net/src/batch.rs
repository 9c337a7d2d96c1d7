//! UDP doors whose datagrams a task takes in batches, and answers in batches once it has done what an answer
//! has to wait for.
//!
//! [`crate::udp::serve`] is for answers that are there at once. The trace is the service's own business here,
//! since it alone knows which messages belong together.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::{Poll, ready};

use doorway_base::Datagram;
use tokio::io::Interest;

use crate::door::{Closing, Door};
use crate::error::Error;
use crate::ground::VirtualUdp;
use crate::sys::mmsg::{self, Batch, Moved, Outgoing, send_all};
use crate::udp::{self, UdpDoor, UdpOptions, UdpSocket};
use crate::world::World;

/// Datagrams that come in one batch at the most.
pub const DATAGRAMS_MAX: usize = mmsg::BATCH;

/// One socket of a door, not yet registered with a runtime.
#[derive(Debug)]
pub struct BatchSocket {
    socket: UdpSocket,
    door: Arc<Door>,
    closing: Closing,
    local: SocketAddr,
    receive_octets_max: usize,
}

/// Opens a UDP door at `address` with a socket for each worker; the kernel spreads senders over them.
/// [`UdpOptions::summary`] and [`UdpOptions::send_octets_max`] have no meaning here.
///
/// # Errors
/// [`Error::Bind`] when the address cannot be bound.
pub fn serve(
    world: &World,
    address: SocketAddr,
    options: &UdpOptions,
) -> Result<(UdpDoor, Vec<BatchSocket>), Error> {
    let (door, sockets, local) = udp::open(world, address, options)?;
    let socket = |socket| BatchSocket {
        socket,
        closing: Closing::of(&door),
        door: Arc::clone(&door),
        local,
        receive_octets_max: options.receive_octets_max,
    };
    let sockets = sockets.into_iter().map(socket).collect();
    world.doors().add(Arc::clone(&door));
    Ok((UdpDoor::new(door), sockets))
}

impl BatchSocket {
    /// Makes the socket usable from the task that calls.
    ///
    /// # Errors
    /// As the operating system gives them.
    #[allow(clippy::disallowed_types, reason = "the boundary to the operating system's sockets")]
    pub fn start(self) -> io::Result<BatchReceiver> {
        let Self { socket, door, closing, local, receive_octets_max } = self;
        let (ground, inbox) = match socket {
            UdpSocket::Os(socket) => {
                socket.set_nonblocking(true)?;
                let ground = Ground::Os(tokio::net::UdpSocket::from_std(socket)?);
                (ground, Inbox::Os { batch: Batch::new(local, false, receive_octets_max, 0), count: 0 })
            }
            UdpSocket::Virtual(socket) => (Ground::Virtual(socket), Inbox::Virtual(None)),
        };
        let sender = BatchSender { ground: Arc::new(ground), door };
        Ok(BatchReceiver { inbox, sender, closing, local, receive_octets_max })
    }
}

/// A socket that one task receives from.
pub struct BatchReceiver {
    inbox: Inbox,
    sender: BatchSender,
    closing: Closing,
    local: SocketAddr,
    receive_octets_max: usize,
}

/// The last batch.
enum Inbox {
    Os { batch: Batch, count: usize },
    Virtual(Option<(Vec<u8>, SocketAddr)>),
}

#[allow(clippy::disallowed_types, reason = "the boundary to the operating system's sockets")]
enum Ground {
    Os(tokio::net::UdpSocket),
    Virtual(Arc<dyn VirtualUdp>),
}

impl std::fmt::Debug for BatchReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchReceiver").field("local", &self.local).finish_non_exhaustive()
    }
}

impl BatchReceiver {
    /// Waits for datagrams and says how many came; they are there until the next call. `None` once the door
    /// is closed.
    ///
    /// # Errors
    /// As the operating system gives them. An error may stay for a while: wait a little before the next call.
    pub async fn receive(&mut self) -> Option<io::Result<usize>> {
        let Self { inbox, sender, closing, receive_octets_max, .. } = self;
        let received = poll_fn(|cx| {
            if closing.poll_closed(cx) {
                return Poll::Ready(None);
            }
            match (&mut *inbox, &*sender.ground) {
                (Inbox::Os { batch, count }, Ground::Os(socket)) => loop {
                    if let Err(error) = ready!(socket.poll_recv_ready(cx)) {
                        return Poll::Ready(Some(Err(error)));
                    }
                    let mut failed = None;
                    *count = 0;
                    // What the runtime takes as: nothing is there until the system says so again.
                    let drained = || Err(io::ErrorKind::WouldBlock.into());
                    let _: io::Result<()> = socket.try_io(Interest::READABLE, || {
                        match batch.receive(socket.as_fd()) {
                            Ok(datagrams) => *count = datagrams,
                            Err(error) => failed = Some(error),
                        }
                        if *count == DATAGRAMS_MAX || failed.is_some() { Ok(()) } else { drained() }
                    });
                    if let Some(error) = failed {
                        return Poll::Ready(Some(Err(error)));
                    }
                    if *count > 0 {
                        return Poll::Ready(Some(Ok(*count)));
                    }
                },
                (Inbox::Virtual(datagram), Ground::Virtual(socket)) => {
                    match ready!(socket.poll_receive(cx)) {
                        Ok((octets, remote, _)) => {
                            *datagram = (octets.len() <= *receive_octets_max).then_some((octets, remote));
                            Poll::Ready(Some(Ok(1)))
                        }
                        Err(error) => Poll::Ready(Some(Err(error))),
                    }
                }
                _ => unreachable!("an inbox is made for the ground that it is used with"),
            }
        })
        .await;
        if let Some(Ok(count)) = received {
            let octets = (0..count).map(|index| self.octets(index) as u64).sum();
            self.sender.door.count_datagrams((count as u64, octets), (0, 0));
        }
        received
    }

    fn octets(&self, index: usize) -> usize {
        match &self.inbox {
            Inbox::Os { batch, .. } => batch.received(index).len(),
            Inbox::Virtual(datagram) => datagram.as_ref().map_or(0, |(octets, _)| octets.len()),
        }
    }

    /// Datagram `index` of the last batch; `None` for one that was too long, or that nobody can answer.
    #[must_use]
    pub fn datagram(&self, index: usize) -> Option<Datagram<'_>> {
        let datagram = match &self.inbox {
            Inbox::Os { batch, count } if index < *count => batch.datagram(index, 0),
            Inbox::Virtual(Some((octets, remote))) if index == 0 => {
                Some(Datagram { remote: *remote, local: self.local, octets, flow: 0 })
            }
            _ => None,
        };
        datagram.filter(|datagram| datagram.remote.port() != 0)
    }

    /// The same socket, for sending.
    #[must_use]
    pub fn sender(&self) -> BatchSender {
        self.sender.clone()
    }

    /// The bound address.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }
}

/// Sends from a socket of a door, whoever receives from it. Clones send from the same one.
#[derive(Clone)]
pub struct BatchSender {
    ground: Arc<Ground>,
    door: Arc<Door>,
}

impl std::fmt::Debug for BatchSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchSender").field("local", &self.door.local).finish_non_exhaustive()
    }
}

impl BatchSender {
    /// Whether both send from one socket.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.ground, &other.ground)
    }

    /// Sends all of `outbox` without waiting, and empties it. What the system refuses (no route, no room) is
    /// lost, as a datagram may be. Returns how many it took.
    pub fn send(&self, outbox: &mut Outbox) -> usize {
        let moved = match &*self.ground {
            Ground::Os(socket) => {
                let datagrams = outbox.iter().map(|(octets, to)| Outgoing { octets, to, source: None });
                send_all(socket.as_fd(), datagrams)
            }
            Ground::Virtual(socket) => {
                let mut moved = Moved::default();
                for (octets, to) in outbox.iter() {
                    if socket.send(octets, to).is_ok() {
                        moved.datagrams += 1;
                        moved.octets += octets.len() as u64;
                    }
                }
                moved
            }
        };
        outbox.clear();
        self.door.count_datagrams((0, 0), (moved.datagrams, moved.octets));
        moved.datagrams as usize
    }
}

/// Datagrams that wait to be sent, one behind the other in one buffer.
#[derive(Debug, Default)]
pub struct Outbox {
    octets: Vec<u8>,
    /// Where each one ends, and whom it is for.
    datagrams: Vec<(usize, SocketAddr)>,
}

impl Outbox {
    /// Adds a datagram.
    pub fn push(&mut self, to: SocketAddr, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
        self.datagrams.push((self.octets.len(), to));
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Those that wait, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], SocketAddr)> {
        let mut start = 0;
        self.datagrams
            .iter()
            .map(move |&(end, to)| (&self.octets[core::mem::replace(&mut start, end)..end], to))
    }

    /// Forgets them all and keeps the room.
    pub fn clear(&mut self) {
        self.octets.clear();
        self.datagrams.clear();
    }
}
