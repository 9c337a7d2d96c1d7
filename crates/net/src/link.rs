//! Sockets on a link itself: for messages to and from who has no address, and for ARP.
//!
//! A socket is bound to the number of its interface, so it stays when the interface goes down, comes up
//! again, or is renamed. Opening one takes the rights of root or CAP_NET_RAW; using it takes none. The
//! kernel filters ([`crate::LinkOptions`](LinkOptions)): other traffic of the link costs nothing.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};

use core::net::SocketAddr;
use doorway_base::trace::Transport;

use crate::door::{Closing, Door};
use crate::error::Error;
use crate::filter::{program, takes};
pub use crate::frame::{ArpOperation, LinkContent, LinkMessage, Mac};
use crate::lock;
use crate::sys::packet::OsLink;
use crate::world::World;

/// Ports that one link socket listens for at the most.
pub const PORTS_MAX: usize = 8;

/// What a link socket takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkOptions {
    /// UDP over IPv4 to these ports; at most [`PORTS_MAX`].
    pub udp_ports: Vec<u16>,
    /// ARP.
    pub arp: bool,
    /// Of UDP only what is for every host: with the destination 255.255.255.255, or to every card. The rest
    /// comes to a UDP socket of the address.
    pub broadcast_only: bool,
}

impl LinkOptions {
    /// Whether a socket with these options takes `frame`.
    #[must_use]
    pub fn takes(&self, frame: &[u8]) -> bool {
        takes(&program(self), frame)
    }
}

/// The virtual side of [`LinkSocket`]: frames to and from a simulated link.
pub trait VirtualLink: Send + Sync {
    /// The interface's card.
    fn mac(&self) -> Mac;
    /// Sends one frame.
    ///
    /// # Errors
    /// `NetworkDown` while the interface is down.
    fn send(&self, frame: &[u8]) -> io::Result<()>;
    /// The next frame that the socket's options take.
    ///
    /// # Errors
    /// `NetworkDown` once when the interface goes down; `NotConnected` when the host was stopped.
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<io::Result<Vec<u8>>>;
}

/// A socket on the link of one interface. One task receives; sending is for everybody.
pub struct LinkSocket {
    interface: String,
    mac: Mac,
    ground: LinkGround,
    malformed: AtomicU64,
}

/// What a link socket stands on.
pub(crate) enum LinkGround {
    Os(OsLink),
    Virtual(Arc<dyn VirtualLink>),
}

impl std::fmt::Debug for LinkSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkSocket").field("interface", &self.interface).finish_non_exhaustive()
    }
}

impl LinkSocket {
    pub(crate) fn os(interface: &str, mac: Mac, link: OsLink) -> Self {
        Self { interface: interface.to_owned(), mac, ground: LinkGround::Os(link), malformed: 0.into() }
    }

    /// A socket on a simulated link; for the simulator alone.
    #[must_use]
    pub fn virtual_link(interface: &str, link: Arc<dyn VirtualLink>) -> Self {
        let mac = link.mac();
        let ground = LinkGround::Virtual(link);
        Self { interface: interface.to_owned(), mac, ground, malformed: 0.into() }
    }

    /// What the interface was called when the socket was opened.
    #[must_use]
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// The interface's card, as it was when the socket was opened.
    #[must_use]
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// Frames that were no message: cut, changed on the way, or of a kind that nobody expects.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.malformed.load(Relaxed)
    }

    /// Sends one message, without waiting.
    ///
    /// # Errors
    /// As the operating system gives them: `NetworkDown` while the interface is down, `WouldBlock` when it has
    /// no room.
    pub fn send(&self, message: &LinkMessage) -> io::Result<()> {
        let mut frame = Vec::with_capacity(FRAME_OCTETS);
        message.write(&mut frame);
        match &self.ground {
            LinkGround::Os(link) => link.send(&frame),
            LinkGround::Virtual(link) => link.send(&frame),
        }
    }

    /// Waits for one message. What is no message is counted and passed over.
    ///
    /// # Errors
    /// `NetworkDown` once when the interface goes down, after which waiting goes on as before; `NotFound` when it
    /// is gone for good; others as the operating system gives them.
    pub async fn receive(&self) -> io::Result<LinkMessage> {
        loop {
            let message = match &self.ground {
                LinkGround::Os(link) => link.receive(|frame, whole| self.read(frame, whole)).await?,
                LinkGround::Virtual(link) => {
                    let frame = poll_fn(|cx| link.poll_receive(cx)).await?;
                    self.read(&frame, true)
                }
            };
            if let Some(message) = message {
                return Ok(message);
            }
        }
    }

    /// A message that is there already.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; as [`LinkSocket::receive`] otherwise.
    pub fn try_receive(&self) -> io::Result<LinkMessage> {
        loop {
            let message = match &self.ground {
                LinkGround::Os(link) => link.receive_now(|frame, whole| self.read(frame, whole))?,
                LinkGround::Virtual(link) => {
                    let mut cx = Context::from_waker(Waker::noop());
                    match link.poll_receive(&mut cx) {
                        Poll::Ready(frame) => self.read(&frame?, true),
                        Poll::Pending => return Err(io::ErrorKind::WouldBlock.into()),
                    }
                }
            };
            if let Some(message) = message {
                return Ok(message);
            }
        }
    }

    fn read(&self, frame: &[u8], checksummed: bool) -> Option<LinkMessage> {
        let message = LinkMessage::parse(frame, checksummed).ok();
        self.malformed.fetch_add(u64::from(message.is_none()), Relaxed);
        message
    }
}

/// Room that a frame with a message of DHCP fits into.
const FRAME_OCTETS: usize = 640;

/// A link socket as a door: it stands in the list of doors, counts, and can be closed from outside.
#[derive(Debug)]
pub struct LinkDoor {
    socket: Arc<LinkSocket>,
    door: Arc<Door>,
    closing: Closing,
}

/// Opens a door of `service` on the link of `interface`, for what is sent to `local`: its broadcast address
/// and the port.
///
/// # Errors
/// [`Error::Local`] when there is no such interface or this process may not listen on it.
pub fn serve(
    world: &World,
    interface: &str,
    options: &LinkOptions,
    service: &'static str,
    local: SocketAddr,
) -> Result<LinkDoor, Error> {
    let socket = world
        .link(interface, options)
        .map_err(|error| Error::local("listen on the link of an interface", named(interface, &error)))?;
    let door = Door::new(world, service, Transport::Udp, false, Some(local));
    let closing = Closing::of(&door);
    world.doors().add(Arc::clone(&door));
    Ok(LinkDoor { socket: Arc::new(socket), door, closing })
}

fn named(interface: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{interface}: {error}"))
}

impl LinkDoor {
    /// Waits for one UDP datagram; `None` once the door is closed.
    ///
    /// # Errors
    /// As [`LinkSocket::receive`].
    pub async fn receive(&self) -> Option<io::Result<LinkMessage>> {
        let mut receiving = pin!(self.socket.receive());
        let received = poll_fn(|cx| {
            if self.closing.poll_closed(cx) {
                return Poll::Ready(None);
            }
            receiving.as_mut().poll(cx).map(Some)
        });
        received
            .await
            .map(|received| received.inspect(|message| self.door.count_datagrams(count(message), (0, 0))))
    }

    /// A message that is there already; `None` when there is none.
    ///
    /// # Errors
    /// As [`LinkSocket::receive`].
    pub fn try_receive(&self) -> io::Result<Option<LinkMessage>> {
        match self.socket.try_receive() {
            Ok(message) => {
                self.door.count_datagrams(count(&message), (0, 0));
                Ok(Some(message))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends one message, without waiting.
    ///
    /// # Errors
    /// As [`LinkSocket::send`].
    pub fn send(&self, message: &LinkMessage) -> io::Result<()> {
        self.socket.send(message)?;
        self.door.count_datagrams((0, 0), count(message));
        Ok(())
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Arc<LinkSocket> {
        &self.socket
    }

    /// Counters.
    #[must_use]
    pub fn door(&self) -> &Arc<Door> {
        &self.door
    }

    /// Closes the door.
    pub fn close(&self) {
        self.door.close();
    }
}

/// Datagrams and octets of a message, for the counters of a door.
fn count(message: &LinkMessage) -> (u64, u64) {
    match &message.content {
        LinkContent::Udp { octets, .. } => (1, octets.len() as u64),
        LinkContent::Arp { .. } => (0, 0),
    }
}

impl Drop for LinkDoor {
    fn drop(&mut self) {
        // Nobody receives any more.
        self.door.close();
        lock(&self.door.acceptors).clear();
    }
}
