//! What a node's [`World`](doorway_net::World) stands on: the network, clock and executor of one host.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use doorway_base::{Instant, UnixTime};
use doorway_net::ground::{
    Clock, Executor, ListenOptions, Network, VirtualListener, VirtualStream, VirtualUdp,
};
use doorway_net::interface::{Interface, InterfaceAddress, InterfaceChange};
use doorway_net::link::{LinkOptions, LinkSocket};
use doorway_net::pinger::Pinger;
use doorway_net::udp::UdpSocket;
use doorway_net::{BoxFuture, Listener, Stream, Task};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::core::{Core, EndpointId, Event, NodeId, Packet, Payload, Place, UdpState, lock};
use crate::executor::Executor as Tasks;
use crate::segment::{INTERFACE, INTERFACE_INDEX, MTU, SimLink, SimPinger, known, mac};
use crate::tcp::TcpListenerState;

/// The ground of one host.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) node: NodeId,
    pub(crate) core: Arc<Mutex<Core>>,
    pub(crate) tasks: Arc<Tasks>,
}

impl Clock for Ground {
    fn now(&self) -> Instant {
        lock(&self.core).now
    }

    fn wall(&self) -> UnixTime {
        let core = lock(&self.core);
        core.wall_at_zero + core.now.since(Instant::ZERO)
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        Box::pin(Sleep { at, core: Arc::clone(&self.core), event: None })
    }
}

struct Sleep {
    at: Instant,
    core: Arc<Mutex<Core>>,
    event: Option<(Instant, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let mut core = lock(&this.core);
        if core.now >= this.at {
            return Poll::Ready(());
        }
        if let Some(event) = this.event.take() {
            core.cancel(event);
        }
        this.event = Some(core.schedule(this.at, Event::Wake(cx.waker().clone())));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(event) = self.event.take() {
            lock(&self.core).cancel(event);
        }
    }
}

impl Executor for Ground {
    fn workers(&self) -> usize {
        1
    }

    fn spawn(&self, task: Task) {
        self.tasks.spawn(self.node, Box::pin(task));
    }

    fn spawn_on(&self, _: usize, task: Task) {
        self.spawn(task);
    }

    fn spawn_background(&self, task: Task) {
        self.spawn(task);
    }
}

impl Network for Ground {
    fn listen(&self, address: SocketAddr, options: &ListenOptions) -> io::Result<Listener> {
        let mut core = lock(&self.core);
        let node = self.node;
        let local =
            core.bindable(node, address, |core, local| core.listeners.contains_key(&(node, local)))?;
        let socket = core.new_socket();
        let state = TcpListenerState {
            socket,
            waiting: Default::default(),
            half_open: 0,
            backlog: options.backlog.max(1) as usize,
            acceptor: None,
        };
        core.listeners.insert((node, local), state);
        drop(core);
        Ok(Listener::Virtual(Arc::new(SimListener { place: (node, local), socket, ground: self.clone() })))
    }

    fn connect(&self, remote: SocketAddr) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(async move {
            let id = lock(&self.core).tcp_connect(self.node, remote)?;
            // Owns the endpoint from here on, so a dropped attempt is withdrawn.
            let stream = self.stream(id)?;
            poll_fn(|cx| lock(&self.core).tcp_poll_connect(id, cx)).await?;
            Ok(Stream::virtual_stream(Box::new(stream)))
        })
    }

    fn connect_unix<'n>(&'n self, _: &'n Path) -> BoxFuture<'n, io::Result<Stream>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn udp(&self, address: SocketAddr, _: &ListenOptions) -> io::Result<UdpSocket> {
        let mut core = lock(&self.core);
        let node = self.node;
        let local = core.bindable(node, address, |core, local| core.udp.contains_key(&(node, local)))?;
        let socket = core.new_socket();
        core.udp.insert((node, local), UdpState { socket, ..UdpState::default() });
        drop(core);
        Ok(UdpSocket::Virtual(Arc::new(SimUdp { place: (node, local), socket, ground: self.clone() })))
    }

    fn reaches(&self, remote: SocketAddr) -> bool {
        let core = lock(&self.core);
        let Some(host) = core.hosts.get(&self.node) else { return false };
        let like = |own: &InterfaceAddress| own.address.is_ipv4() == remote.is_ipv4();
        host.addresses.iter().any(like) || remote.ip().is_loopback()
    }

    fn interfaces(&self) -> io::Result<Vec<Interface>> {
        let core = lock(&self.core);
        let host = core.hosts.get(&self.node).filter(|host| host.up).ok_or(io::ErrorKind::NotConnected)?;
        Ok(vec![Interface {
            name: INTERFACE.to_owned(),
            index: INTERFACE_INDEX,
            mac: Some(mac(self.node)),
            mtu: MTU,
            up: host.plugged,
            addresses: host.addresses.clone(),
        }])
    }

    fn link(&self, interface: &str, options: &LinkOptions) -> io::Result<LinkSocket> {
        known(interface)?;
        let id = lock(&self.core).open_link(self.node, options.clone())?;
        let link = SimLink { node: self.node, id, core: Arc::clone(&self.core) };
        Ok(LinkSocket::virtual_link(interface, Arc::new(link)))
    }

    fn pinger(&self) -> io::Result<Pinger> {
        let id = lock(&self.core).open_pinger(self.node)?;
        let pinger = SimPinger { node: self.node, id, core: Arc::clone(&self.core) };
        Ok(Pinger::virtual_pinger(Arc::new(pinger)))
    }

    fn assign(&self, interface: &str, change: &InterfaceChange) -> io::Result<()> {
        known(interface)?;
        lock(&self.core).assign(self.node, change);
        Ok(())
    }
}

impl Ground {
    fn stream(&self, id: EndpointId) -> io::Result<SimStream> {
        let core = lock(&self.core);
        let endpoint = core.endpoints.get(&id).ok_or(io::ErrorKind::NotConnected)?;
        let (local, remote) = (endpoint.place.1, endpoint.remote);
        drop(core);
        Ok(SimStream { id, local, remote, ground: self.clone() })
    }
}

struct SimListener {
    place: Place,
    socket: u64,
    ground: Ground,
}

impl VirtualListener for SimListener {
    fn local(&self) -> SocketAddr {
        self.place.1
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, SocketAddr)>> {
        let mut core = lock(&self.ground.core);
        let Some(state) = core.listeners.get_mut(&self.place) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let Some(id) = state.waiting.pop_front() else {
            state.acceptor = Some(cx.waker().clone());
            return Poll::Pending;
        };
        drop(core);
        Poll::Ready(self.ground.stream(id).map(|stream| {
            let remote = stream.remote;
            (Stream::virtual_stream(Box::new(stream)), remote)
        }))
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        let mut core = lock(&self.ground.core);
        if core.listeners.get(&self.place).is_none_or(|state| state.socket != self.socket) {
            return;
        }
        let waiting = core.listeners.remove(&self.place).map(|state| state.waiting);
        for id in waiting.into_iter().flatten() {
            core.tcp_leave(id);
        }
    }
}

struct SimStream {
    id: EndpointId,
    local: SocketAddr,
    remote: SocketAddr,
    ground: Ground,
}

impl VirtualStream for SimStream {
    fn local(&self) -> SocketAddr {
        self.local
    }

    fn remote(&self) -> SocketAddr {
        self.remote
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let octets =
            std::task::ready!(lock(&self.ground.core).tcp_poll_read(self.id, buffer.remaining(), cx))?;
        buffer.put_slice(&octets);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        lock(&self.ground.core).tcp_poll_write(self.id, octets, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.ground.core).tcp_finish(self.id);
        Poll::Ready(Ok(()))
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        lock(&self.ground.core).tcp_leave(self.id);
    }
}

struct SimUdp {
    place: Place,
    socket: u64,
    ground: Ground,
}

impl VirtualUdp for SimUdp {
    fn local(&self) -> SocketAddr {
        self.place.1
    }

    fn send(&self, octets: &[u8], to: SocketAddr) -> io::Result<()> {
        let mut core = lock(&self.ground.core);
        if !core.udp.contains_key(&self.place) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let (node, local) = self.place;
        let source = core.source(node, local, to.ip());
        let packet = Packet { source, destination: to, payload: Payload::Udp(octets.to_vec()) };
        core.send(node, packet);
        Ok(())
    }

    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Vec<u8>, SocketAddr, SocketAddr)>> {
        let mut core = lock(&self.ground.core);
        let Some(state) = core.udp.get_mut(&self.place) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        match state.waiting.pop_front() {
            Some(datagram) => Poll::Ready(Ok(datagram)),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for SimUdp {
    fn drop(&mut self) {
        let mut core = lock(&self.ground.core);
        if core.udp.get(&self.place).is_some_and(|state| state.socket == self.socket) {
            core.udp.remove(&self.place);
        }
    }
}
