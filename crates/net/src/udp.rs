//! The UDP service shells: batched worker threads for a [`Responder`], a task for a [`UdpService`],
//! and a socket for clients.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use doorway_base::trace::{Direction, Event, EventId, Flow, Note, Step, Transport};
use doorway_base::{Datagram, Instant, Responder, Verdict, Writer};
use rustix::net::{RecvFlags, recvfrom};
use tokio::io::Interest;

use crate::door::Door;
use crate::error::Error;
use crate::ground::{ListenOptions, VirtualUdp};
use crate::lock;
use crate::pulse::{Ends, Pulse};
#[cfg(doc)]
use crate::stream::READ_OCTETS;
use crate::stream::with_read_buffer;
use crate::sys::mmsg::{BATCH, Batch, Moved};
use crate::sys::prefetch::prefetch;
use crate::task::message;
use crate::world::World;

mod late;

pub use late::{Replies, UdpReplier};

/// How a UDP door is set up.
#[derive(Debug, Clone)]
pub struct UdpOptions {
    /// Name of the service in tables, metrics and logs.
    pub service: &'static str,
    /// Name of the protocol in the trace.
    pub protocol: &'static str,
    /// The port the standard gives the protocol; 0 when there is none.
    pub canonical_port: u16,
    /// Socket options. [`ListenOptions::packet_info`] is set by itself for a wildcard address.
    pub listen: ListenOptions,
    /// Longest datagram that is taken, in octets; longer ones are dropped.
    pub receive_octets_max: usize,
    /// Longest reply, in octets.
    pub send_octets_max: usize,
    /// Worker threads; 0 takes one for each of the world's workers.
    pub threads: usize,
    /// One line about a datagram, for the trace.
    pub summary: fn(&[u8]) -> String,
}

impl UdpOptions {
    /// The usual set-up for `service`: datagrams up to 4 096 octets both ways.
    #[must_use]
    pub fn new(service: &'static str, protocol: &'static str, canonical_port: u16) -> Self {
        Self {
            service,
            protocol,
            canonical_port,
            listen: ListenOptions { receive_octets: Some(4 << 20), ..ListenOptions::default() },
            receive_octets_max: 4096,
            send_octets_max: 4096,
            threads: 0,
            summary: |octets| format!("{} octets", octets.len()),
        }
    }
}

/// A bound UDP socket: the operating system's, not yet registered with a runtime, or a virtual one.
#[allow(clippy::disallowed_types, reason = "the boundary to the operating system's sockets")]
pub enum UdpSocket {
    /// A socket of the operating system.
    Os(std::net::UdpSocket),
    /// A socket of a simulated network.
    Virtual(Arc<dyn VirtualUdp>),
}

impl std::fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("UdpSocket").field(&self.local().ok()).finish()
    }
}

impl UdpSocket {
    /// The bound address.
    ///
    /// # Errors
    /// As the operating system gives them.
    pub fn local(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Os(socket) => socket.local_addr(),
            Self::Virtual(socket) => Ok(socket.local()),
        }
    }

    /// The same socket once more: both receive from one queue.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Os(socket) => Self::Os(socket.try_clone()?),
            Self::Virtual(socket) => Self::Virtual(Arc::clone(socket)),
        })
    }

    /// Makes the socket usable from the task that calls.
    ///
    /// # Errors
    /// As the operating system gives them.
    #[allow(clippy::disallowed_types, reason = "the boundary to the operating system's sockets")]
    pub fn start(self) -> io::Result<UdpClient> {
        Ok(UdpClient(match self {
            Self::Os(socket) => {
                socket.set_nonblocking(true)?;
                Started::Os(tokio::net::UdpSocket::from_std(socket)?)
            }
            Self::Virtual(socket) => Started::Virtual(socket),
        }))
    }
}

/// A UDP socket that a task uses.
pub struct UdpClient(Started);

#[allow(clippy::disallowed_types, reason = "the boundary to the operating system's sockets")]
enum Started {
    Os(tokio::net::UdpSocket),
    Virtual(Arc<dyn VirtualUdp>),
}

impl std::fmt::Debug for UdpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("UdpClient").field(&self.local().ok()).finish()
    }
}

impl UdpClient {
    /// The bound address.
    ///
    /// # Errors
    /// As the operating system gives them.
    pub fn local(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            Started::Os(socket) => socket.local_addr(),
            Started::Virtual(socket) => Ok(socket.local()),
        }
    }

    /// Has to do with this peer alone from here on. Over the operating system, receiving then tells
    /// when nobody listens there.
    ///
    /// # Errors
    /// As the operating system gives them, such as that there is no way to it.
    pub async fn connect(&self, to: SocketAddr) -> io::Result<()> {
        match &self.0 {
            Started::Os(socket) => socket.connect(to).await,
            Started::Virtual(_) => Ok(()),
        }
    }

    /// Sends one datagram. UDP may lose it; that is no error.
    ///
    /// # Errors
    /// As the operating system gives them: an earlier datagram's ICMP error may show here.
    pub async fn send(&self, octets: &[u8], to: SocketAddr) -> io::Result<()> {
        match &self.0 {
            Started::Os(socket) => socket.send_to(octets, to).await.map(drop),
            Started::Virtual(socket) => socket.send(octets, to),
        }
    }

    /// Sends one datagram without waiting.
    ///
    /// # Errors
    /// As the operating system gives them: `WouldBlock` when it has no room.
    pub fn send_now(&self, octets: &[u8], to: SocketAddr) -> io::Result<()> {
        match &self.0 {
            // Past the runtime, which does not know yet that a new socket can be written to.
            Started::Os(socket) => socket2::SockRef::from(socket).send_to(octets, &to.into()).map(drop),
            Started::Virtual(socket) => socket.send(octets, to),
        }
    }

    /// Waits for one datagram and shows it, with its sender, to `use_octets`. Until then no buffer is
    /// held: all sockets of a worker share one. What is longer than [`READ_OCTETS`] is cut off.
    ///
    /// `use_octets` says whether more is waited for. If not, the system is not asked whether there is more:
    /// what lies there already is shown once something new arrives.
    ///
    /// # Errors
    /// As the operating system gives them.
    pub async fn receive_with(
        &self,
        mut use_octets: impl FnMut(&[u8], SocketAddr) -> bool,
    ) -> io::Result<()> {
        match &self.0 {
            Started::Os(socket) => loop {
                socket.readable().await?;
                let mut shown = false;
                let received = with_read_buffer(|buffer| {
                    socket.try_io(Interest::READABLE, || {
                        let (count, _, from) = recvfrom(socket, &mut buffer[..], RecvFlags::empty())?;
                        let from = from.and_then(|from| SocketAddr::try_from(from).ok());
                        shown = true;
                        match from.is_none_or(|from| use_octets(&buffer[..count], from)) {
                            true => Ok(()),
                            // What the runtime takes as: nothing is there until the system says so again.
                            false => Err(io::ErrorKind::WouldBlock.into()),
                        }
                    })
                });
                match received {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock && !shown => {}
                    Err(error) if !shown => return Err(error),
                    _ => return Ok(()),
                }
            },
            Started::Virtual(socket) => {
                let (received, from, _) = poll_fn(|cx| socket.poll_receive(cx)).await?;
                use_octets(&received, from);
                Ok(())
            }
        }
    }

    /// Waits for one datagram; what does not fit into `octets` is cut off. Returns its length and
    /// sender, who is not to be trusted further than any return address.
    ///
    /// # Errors
    /// As the operating system gives them.
    pub async fn receive(&self, octets: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match &self.0 {
            Started::Os(socket) => socket.recv_from(octets).await,
            Started::Virtual(socket) => {
                let (received, from, _) = poll_fn(|cx| socket.poll_receive(cx)).await?;
                let count = received.len().min(octets.len());
                octets[..count].copy_from_slice(&received[..count]);
                Ok((count, from))
            }
        }
    }
}

/// A UDP door that was opened.
#[derive(Debug, Clone)]
pub struct UdpDoor {
    door: Arc<Door>,
}

impl UdpDoor {
    pub(crate) fn new(door: Arc<Door>) -> Self {
        Self { door }
    }

    /// The bound address, with the port that was given when 0 was asked.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        self.door.local
    }

    /// Stops answering; the socket closes within [`STOP_STEP`].
    pub fn close(&self) {
        self.door.close();
    }

    /// Counters.
    #[must_use]
    pub fn door(&self) -> &Arc<Door> {
        &self.door
    }
}

/// How often a worker thread that gets no datagrams looks whether it must stop.
pub const STOP_STEP: Duration = Duration::from_millis(250);

/// After an error of receiving, the next attempt waits this long: it may be one that stays.
const RECEIVE_PAUSE: Duration = Duration::from_millis(10);

/// Opens a UDP door at `address`: every datagram goes to a [`Responder`] that `make` builds, one for
/// each worker. Returns once the address is bound.
///
/// `make` is given the worker's number and a [`UdpReplier`], for queries that the responder hands on
/// with [`Verdict::Later`].
///
/// Over the operating system each worker is a thread with its own socket, which receives, answers in
/// place and sends in batches; over a simulated network it is a task.
///
/// # Errors
/// [`Error::Bind`] when the address cannot be bound.
pub fn serve<R: Responder + 'static>(
    world: &World,
    address: SocketAddr,
    options: &UdpOptions,
    make: impl Fn(usize, &UdpReplier) -> R,
) -> Result<UdpDoor, Error> {
    let mut options = options.clone();
    options.listen.packet_info |= address.ip().is_unspecified();
    let (door, sockets, local) = open(world, address, &options)?;
    world.doors().add(Arc::clone(&door));
    for (index, socket) in sockets.into_iter().enumerate() {
        let kept =
            socket.try_clone().map_err(|error| Error::local("keep a socket for late answers", error))?;
        let replier = UdpReplier::new(world, &door, &options, kept);
        let shell = Shell {
            world: world.clone(),
            door: Arc::clone(&door),
            options: options.clone(),
            responder: make(index, &replier),
            local,
        };
        match socket {
            UdpSocket::Os(socket) => {
                // One that was handed over may come in another mode, in which a thread would never rest.
                socket
                    .set_nonblocking(false)
                    .and_then(|()| socket.set_read_timeout(Some(STOP_STEP)))
                    .map_err(|error| Error::local("set a receive time-out", error))?;
                std::thread::Builder::new()
                    .name(format!("{}-udp-{index}", options.service))
                    .spawn(move || shell.run(&socket))
                    .map_err(|error| Error::local("start a worker thread", error))?;
            }
            UdpSocket::Virtual(socket) => {
                let ends = Ends { local, remote: local };
                let pulse = Arc::new(Pulse::new(0, ends, door.since, 1, false));
                lock(&door.acceptors).push(Arc::clone(&pulse));
                let task = Box::pin(shell.run_virtual(socket));
                world.spawn_tied(Some(index), options.service, pulse, task);
            }
        }
    }
    Ok(UdpDoor { door })
}

/// The sockets of a door at `address`, one for each worker, or those of the door whose place it takes. The
/// door is not in the list yet.
pub(crate) fn open(
    world: &World,
    address: SocketAddr,
    options: &UdpOptions,
) -> Result<(Arc<Door>, Vec<UdpSocket>, SocketAddr), Error> {
    let threads = if options.threads == 0 { world.workers() } else { options.threads };
    let listen = ListenOptions { share: true, ..options.listen.clone() };
    let bind_with = |at, listen: &ListenOptions| {
        world.udp(at, listen).map_err(|source| Error::Bind { transport: Transport::Udp, address, source })
    };
    let bind = |at| bind_with(at, &listen);
    let mut sockets = world.doors().udp_sockets(address);
    let is_os = !matches!(sockets.first(), Some(UdpSocket::Virtual(_)));
    if sockets.len() == if is_os { threads } else { 1 } {
        sockets.iter().for_each(|socket| set_receive_octets(socket, &listen));
    } else {
        if !world.doors().has_open(Transport::Udp, address) {
            // As for TCP: nobody else may have it. A reload shares it with the door it replaces.
            drop(bind_with(address, &ListenOptions { share: false, ..listen.clone() })?);
        }
        sockets = vec![bind(address)?];
    }
    let local = sockets[0].local().map_err(|error| Error::local("read the bound address", error))?;
    if matches!(sockets[0], UdpSocket::Os(_)) {
        while sockets.len() < threads {
            sockets.push(bind(local)?);
        }
    }
    let door = Door::new(world, options.service, Transport::Udp, false, Some(local));
    if let Ok(kept) = sockets.iter().map(UdpSocket::try_clone).collect() {
        *lock(&door.sockets) = kept;
    }
    Ok((door, sockets, local))
}

/// A socket that is taken over was set up by the config before.
fn set_receive_octets(socket: &UdpSocket, listen: &ListenOptions) {
    if let (UdpSocket::Os(socket), Some(octets)) = (socket, listen.receive_octets) {
        // The kernel caps it at its own maximum and that is no error.
        let _ = socket2::SockRef::from(socket).set_recv_buffer_size(octets);
    }
}

#[allow(clippy::disallowed_methods, reason = "a thread of its own, over the operating system alone")]
fn pause() {
    std::thread::sleep(RECEIVE_PAUSE);
}

struct Shell<R> {
    world: World,
    door: Arc<Door>,
    options: UdpOptions,
    responder: R,
    local: SocketAddr,
}

impl<R: Responder> Shell<R> {
    #[allow(clippy::disallowed_types, reason = "the boundary to the operating system's sockets")]
    fn run(mut self, socket: &std::net::UdpSocket) {
        let mut batch = Batch::new(
            self.local,
            self.options.listen.packet_info,
            self.options.receive_octets_max,
            self.options.send_octets_max,
        );
        while !self.door.is_closing() {
            let count = match batch.receive(socket.as_fd()) {
                Ok(count) => count,
                // Says nothing about the next query, but may stay for a while (no memory, no network).
                Err(error) => {
                    tracing::debug!(service = self.options.service, %error, "receiving failed");
                    pause();
                    continue;
                }
            };
            if count == 0 {
                continue;
            }
            let now = self.world.now();
            self.refresh(now);
            let mut received = Moved { datagrams: count as u64, octets: 0 };
            if count > 1 {
                self.look_ahead(&batch, count.min(BATCH));
            }
            for index in 0..count.min(BATCH) {
                let flow = flow_id(&self.world);
                let (octets, _) = batch
                    .answer(index, flow, |query, reply| self.decide(now, query, reply) == Verdict::Reply);
                received.octets += octets as u64;
            }
            let sent = batch.send(socket.as_fd());
            self.door.count_datagrams((received.datagrams, received.octets), (sent.datagrams, sent.octets));
        }
    }

    async fn run_virtual(mut self, socket: Arc<dyn VirtualUdp>) {
        let mut room = vec![0; self.options.send_octets_max];
        loop {
            let Ok((octets, remote, local)) = poll_fn(|cx| socket.poll_receive(cx)).await else { return };
            let now = self.world.now();
            self.refresh(now);
            let received = (1, octets.len() as u64);
            let mut sent = (0, 0);
            if octets.len() <= self.options.receive_octets_max && remote.port() != 0 {
                let mut reply = Writer::new(&mut room);
                let query = Datagram { remote, local, octets: &octets, flow: flow_id(&self.world) };
                if self.decide(now, query, &mut reply) == Verdict::Reply
                    && socket.send(reply.written(), remote).is_ok()
                {
                    sent = (1, reply.position() as u64);
                }
            }
            self.door.count_datagrams(received, sent);
        }
    }

    /// Has the memory that a batch will need fetched while there is other work.
    fn look_ahead(&mut self, batch: &Batch, count: usize) {
        let responder = &mut self.responder;
        let steps = AssertUnwindSafe(|| {
            for step in 0..R::AHEAD_STEPS {
                for index in 0..count {
                    if let Some(place) = responder.ahead(step, index, batch.received(index)) {
                        prefetch(place);
                    }
                }
            }
        });
        if let Err(panic) = catch_unwind(steps) {
            self.world.doors().count_panic(self.options.service, &message(&*panic));
        }
    }

    fn refresh(&mut self, now: Instant) {
        let responder = &mut self.responder;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| responder.refresh(now))) {
            self.world.doors().count_panic(self.options.service, &message(&*panic));
        }
    }

    /// Asks the responder and shows both messages to the trace. A panic costs this datagram only.
    fn decide(&mut self, now: Instant, query: Datagram<'_>, reply: &mut Writer<'_>) -> Verdict {
        let Self { world, options, responder, .. } = self;
        // The trace is within too: it has the service say in a line what came.
        let decided = AssertUnwindSafe(|| {
            let verdict = responder.answer(now, query, reply);
            if query.flow != 0 {
                let dropped = match verdict {
                    Verdict::Reply | Verdict::Later => None,
                    Verdict::Drop(why) => Some(why),
                };
                let shown = show_query(world, options, now, query, dropped);
                if verdict == Verdict::Reply {
                    show_reply(world, options, now, reply.written(), shown);
                }
            }
            verdict
        });
        catch_unwind(decided).unwrap_or_else(|panic| {
            world.doors().count_panic(options.service, &message(&*panic));
            Verdict::Drop("panic")
        })
    }
}

/// A new flow while somebody follows the trace, else 0.
fn flow_id(world: &World) -> u64 {
    if world.trace().is_on() { world.trace().next_flow() } else { 0 }
}

fn flow_of(options: &UdpOptions, id: u64, remote: SocketAddr, local: SocketAddr) -> Flow {
    let canonical_port = options.canonical_port;
    Flow { id, transport: Transport::Udp, local, remote, canonical_port, serving: true }
}

/// A datagram that came in, and why it gets no answer if it gets none.
#[cold]
fn show_query(
    world: &World,
    options: &UdpOptions,
    at: Instant,
    query: Datagram<'_>,
    dropped: Option<&'static str>,
) -> Shown {
    let flow = flow_of(options, query.flow, query.remote, query.local);
    let note = dropped.map(|why| Note { code: "udp.drop", text: why.into() });
    let make = || Event { note, ..event(world, options, at, flow, Direction::In, query.octets) };
    Shown { flow, event: world.trace().record(make) }
}

/// The answer to it.
#[cold]
fn show_reply(world: &World, options: &UdpOptions, at: Instant, octets: &[u8], query: Shown) {
    let make =
        || Event { cause: query.event, ..event(world, options, at, query.flow, Direction::Out, octets) };
    world.trace().record(make);
}

/// A query as it stands in the trace.
#[derive(Clone, Copy)]
struct Shown {
    flow: Flow,
    event: Option<EventId>,
}

fn event(
    world: &World,
    options: &UdpOptions,
    at: Instant,
    flow: Flow,
    direction: Direction,
    octets: &[u8],
) -> Event {
    Event {
        id: EventId::default(),
        at,
        node: Arc::clone(world.node()),
        flow,
        direction,
        step: Step::Message,
        protocol: options.protocol,
        summary: (options.summary)(octets),
        octets: octets.into(),
        cause: None,
        note: None,
    }
}

/// What serves datagrams when an answer may have to wait for something.
pub trait UdpService: Send + Sync + 'static {
    /// One datagram; the answer, if any, goes back to its sender.
    fn datagram(
        &self,
        world: &World,
        remote: SocketAddr,
        octets: &[u8],
    ) -> impl Future<Output = Option<Vec<u8>>> + Send;
}

/// Opens a UDP door at `address` whose datagrams are served one after the other by an async
/// function. For a service that must be fast, see [`serve`].
///
/// At a wildcard address the system chooses the address that an answer leaves from; one that has to be
/// the one asked takes [`serve`] too, or a door for each address.
///
/// # Errors
/// [`Error::Bind`] when the address cannot be bound.
pub fn serve_each<S: UdpService>(
    world: &World,
    address: SocketAddr,
    options: &UdpOptions,
    service: &Arc<S>,
) -> Result<UdpDoor, Error> {
    let mut listen = options.listen.clone();
    listen.share = false;
    let socket = world.udp(address, &listen).map_err(|source| Error::Bind {
        transport: Transport::Udp,
        address,
        source,
    })?;
    let local = socket.local().map_err(|error| Error::local("read the bound address", error))?;
    let door = Door::new(world, options.service, Transport::Udp, false, Some(local));
    world.doors().add(Arc::clone(&door));
    let ends = Ends { local, remote: local };
    let pulse = Arc::new(Pulse::new(0, ends, door.since, 1, false));
    lock(&door.acceptors).push(Arc::clone(&pulse));
    let each = Each {
        world: world.clone(),
        door: Arc::clone(&door),
        options: options.clone(),
        service: Arc::clone(service),
        local,
    };
    world.spawn_tied(Some(0), options.service, pulse, Box::pin(each.run(socket)));
    Ok(UdpDoor { door })
}

struct Each<S> {
    world: World,
    door: Arc<Door>,
    options: UdpOptions,
    service: Arc<S>,
    local: SocketAddr,
}

impl<S: UdpService> Each<S> {
    async fn run(self, socket: UdpSocket) {
        let Self { world, door, options, .. } = &self;
        let socket = match socket.start() {
            Ok(socket) => socket,
            Err(error) => {
                tracing::error!(service = options.service, %error, "the socket could not be started");
                return;
            }
        };
        // One octet more shows a datagram that is too long.
        let mut room = vec![0; options.receive_octets_max + 1];
        loop {
            let (count, remote) = match socket.receive(&mut room).await {
                Ok(received) => received,
                Err(error) => {
                    tracing::debug!(service = options.service, %error, "receiving failed");
                    world.sleep(RECEIVE_PAUSE).await;
                    continue;
                }
            };
            let mut sent = (0, 0);
            if count <= options.receive_octets_max && remote.port() != 0 {
                let answer = self.answer(remote, &room[..count]).await;
                if let Some(answer) = answer
                    && socket.send(&answer, remote).await.is_ok()
                {
                    sent = (1, answer.len() as u64);
                }
            }
            door.count_datagrams((1, count as u64), sent);
        }
    }

    /// Asks the service and shows both messages to the trace. A panic costs this datagram only.
    async fn answer(&self, remote: SocketAddr, octets: &[u8]) -> Option<Vec<u8>> {
        let Self { world, options, .. } = self;
        let mut asked = std::pin::pin!(async {
            let query = Datagram { remote, local: self.local, octets, flow: flow_id(world) };
            let now = world.now();
            let shown = (query.flow != 0).then(|| show_query(world, options, now, query, None));
            let answer = self.service.datagram(world, remote, octets).await;
            if let (Some(shown), Some(answer)) = (shown, &answer) {
                show_reply(world, options, world.now(), answer, shown);
            }
            answer
        });
        poll_fn(|cx| {
            catch_unwind(AssertUnwindSafe(|| asked.as_mut().poll(cx))).unwrap_or_else(|panic| {
                world.doors().count_panic(options.service, &message(&*panic));
                Poll::Ready(None)
            })
        })
        .await
    }
}
