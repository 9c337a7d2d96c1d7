//! Answers that were not there when their query was read: sent one by one, or gathered and sent together.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::{Shown, UdpOptions, UdpSocket, flow_of, show_reply};
use crate::door::Door;
use crate::sys::mmsg::{BATCH, Outgoing, send_all, send_from};
use crate::world::World;

/// Answers a query after its responder said [`Verdict::Later`](doorway_base::Verdict::Later), from the socket
/// that the query came to. Clones are the same socket; any thread may use them.
#[derive(Clone)]
pub struct UdpReplier(Arc<LateAnswers>);

struct LateAnswers {
    world: World,
    door: Arc<Door>,
    options: UdpOptions,
    socket: UdpSocket,
}

impl fmt::Debug for UdpReplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UdpReplier").field(&self.0.socket).finish()
    }
}

impl UdpReplier {
    pub(super) fn new(world: &World, door: &Arc<Door>, options: &UdpOptions, socket: UdpSocket) -> Self {
        let (world, door, options) = (world.clone(), Arc::clone(door), options.clone());
        Self(Arc::new(LateAnswers { world, door, options, socket }))
    }

    /// Sends `octets` to `remote`, from the address `local` that the query was sent to; `flow` is that of
    /// its [`Datagram`](doorway_base::Datagram). Never waits: what the kernel has no room for is lost, as a
    /// datagram may be.
    pub fn reply(&self, remote: SocketAddr, local: SocketAddr, flow: u64, octets: &[u8]) {
        let sent = match &self.0.socket {
            UdpSocket::Os(socket) => send_from(socket.as_fd(), octets, remote, self.source(local)),
            UdpSocket::Virtual(socket) => socket.send(octets, remote),
        };
        if let Err(error) = sent {
            tracing::debug!(service = self.0.options.service, %error, "a late answer was not sent");
            return;
        }
        self.0.door.count_datagrams((0, 0), (1, octets.len() as u64));
        self.show(remote, local, flow, octets);
    }

    fn send_together(&self, socket: BorrowedFd<'_>, replies: &[Reply], octets: &[u8]) {
        let outgoing = replies.iter().map(|reply| Outgoing {
            octets: &octets[reply.octets.clone()],
            to: reply.remote,
            source: self.source(reply.local),
        });
        let sent = send_all(socket, outgoing);
        self.0.door.count_datagrams((0, 0), (sent.datagrams, sent.octets));
        for Reply { remote, local, flow, octets: place, .. } in replies {
            self.show(*remote, *local, *flow, &octets[place.clone()]);
        }
    }

    fn source(&self, local: SocketAddr) -> Option<SocketAddr> {
        self.0.options.listen.packet_info.then_some(local)
    }

    fn show(&self, remote: SocketAddr, local: SocketAddr, flow: u64, octets: &[u8]) {
        let LateAnswers { world, options, .. } = &*self.0;
        if flow != 0 && world.trace().is_on() {
            let flow = flow_of(options, flow, remote, local);
            show_reply(world, options, world.now(), octets, Shown { flow, event: None });
        }
    }
}

/// Late answers that wait to leave together: one call of the system for those of one socket, and one wake-up of
/// a client that waits for many.
#[derive(Debug, Default)]
pub struct Replies {
    octets: Vec<u8>,
    replies: Vec<Reply>,
}

#[derive(Debug)]
struct Reply {
    replier: UdpReplier,
    remote: SocketAddr,
    local: SocketAddr,
    flow: u64,
    octets: Range<usize>,
}

impl Replies {
    /// Answers that wait at the most; whoever adds one more has them sent at once.
    pub const MAX: usize = BATCH;

    /// Adds what [`UdpReplier::reply`] would send.
    pub fn push(
        &mut self,
        replier: &UdpReplier,
        remote: SocketAddr,
        local: SocketAddr,
        flow: u64,
        octets: &[u8],
    ) {
        if self.replies.len() >= Self::MAX {
            self.send();
        }
        let start = self.octets.len();
        self.octets.extend_from_slice(octets);
        let octets = start..self.octets.len();
        self.replies.push(Reply { replier: replier.clone(), remote, local, flow, octets });
    }

    /// Whether none waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.replies.is_empty()
    }

    /// Sends them all, those of one socket in the order in which they came. Never waits: what the kernel has no
    /// room for is lost, as a datagram may be.
    pub fn send(&mut self) {
        self.replies.sort_by_key(|reply| Arc::as_ptr(&reply.replier.0).addr());
        for group in self.replies.chunk_by(|one, next| Arc::ptr_eq(&one.replier.0, &next.replier.0)) {
            match group {
                [Reply { replier, .. }, _, ..] if let UdpSocket::Os(socket) = &replier.0.socket => {
                    replier.send_together(socket.as_fd(), group, &self.octets);
                }
                _ => {
                    for Reply { replier, remote, local, flow, octets } in group {
                        replier.reply(*remote, *local, *flow, &self.octets[octets.clone()]);
                    }
                }
            }
        }
        self.replies.clear();
        self.octets.clear();
    }
}
