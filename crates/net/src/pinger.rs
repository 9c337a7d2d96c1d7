//! ICMP echo (RFC 792) to many hosts at once, for who asks whether an address is in use.
//!
//! Not here: waiting, and counting who has not answered.

use core::net::{Ipv4Addr, SocketAddrV4};
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustix::net::{RecvFlags, SendFlags, recvfrom, sendto};
use socket2::{Domain, Protocol};

use crate::echo::{open, reply, request};
use crate::sys::readable::Readable;

/// Room for one answer; longer ones are cut.
const ROOM_OCTETS: usize = 256;

/// The virtual side of [`Pinger`].
pub trait VirtualPinger: Send + Sync {
    /// Sends an echo request.
    ///
    /// # Errors
    /// When the host has no way to the address.
    fn send(&self, to: Ipv4Addr, sequence: u16) -> io::Result<()>;
    /// Who answered, and which number.
    ///
    /// # Errors
    /// When the host was stopped.
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Ipv4Addr, u16)>>;
}

/// A socket that echoes leave from to any IPv4 host. One task receives.
pub struct Pinger(Ground);

enum Ground {
    Os(OsPinger),
    Virtual(Arc<dyn VirtualPinger>),
}

/// The operating system's.
struct OsPinger {
    socket: Readable,
    // The identifier of our echoes, where the kernel does not see to it.
    raw: Option<u16>,
}

impl std::fmt::Debug for Pinger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pinger")
    }
}

impl Pinger {
    pub(crate) fn os() -> io::Result<Self> {
        let (socket, raw) = open(Domain::IPV4, Protocol::ICMPV4)?;
        socket.set_nonblocking(true)?;
        Ok(Self(Ground::Os(OsPinger { socket: Readable::new(socket.into()), raw })))
    }

    /// A pinger of a simulated host; for the simulator alone.
    #[must_use]
    pub fn virtual_pinger(pinger: Arc<dyn VirtualPinger>) -> Self {
        Self(Ground::Virtual(pinger))
    }

    /// Sends an echo request, without waiting.
    ///
    /// # Errors
    /// As the operating system gives them, such as that there is no way to the host.
    pub fn send(&self, to: Ipv4Addr, sequence: u16) -> io::Result<()> {
        match &self.0 {
            Ground::Os(pinger) => {
                let message = request(false, pinger.raw, sequence);
                sendto(&pinger.socket, &message, SendFlags::DONTWAIT, &SocketAddrV4::new(to, 0))?;
                Ok(())
            }
            Ground::Virtual(pinger) => pinger.send(to, sequence),
        }
    }

    /// Waits for an answer: who sent it, and the number of the request.
    ///
    /// # Errors
    /// As the operating system gives them.
    pub async fn receive(&self) -> io::Result<(Ipv4Addr, u16)> {
        match &self.0 {
            Ground::Os(pinger) => loop {
                if let Some(answer) = pinger.socket.read(|| pinger.receive_now()).await? {
                    return Ok(answer);
                }
            },
            Ground::Virtual(pinger) => poll_fn(|cx| pinger.poll_receive(cx)).await,
        }
    }
}

impl OsPinger {
    /// One message; `None` for one that is no answer to us.
    fn receive_now(&self) -> io::Result<Option<(Ipv4Addr, u16)>> {
        let mut room = [0; ROOM_OCTETS];
        let (count, _, from) = recvfrom(&self.socket, &mut room[..], RecvFlags::empty())?;
        let from = from.and_then(|from| SocketAddrV4::try_from(from).ok()).map(|from| *from.ip());
        Ok(from.zip(reply(false, self.raw, &room[..count]).map(|reply| reply.sequence)))
    }
}
