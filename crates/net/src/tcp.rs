//! The TCP service shell: accepts, limits, agrees on TLS, watches, drains. A service sees only
//! connections that passed all of that.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use doorway_base::trace::{Direction, Event, EventId, Flow, Step, Transport};

use crate::door::{Door, tick_of};
use crate::error::Error;
use crate::ground::{BoxFuture, ListenOptions};
use crate::limits::{Refused, TcpLimits};
use crate::listener::{Listener, NO_ADDRESS};
use crate::lock;
use crate::proxy_protocol::{self, ProxySources};
use crate::pulse::{Ends, Pulse};
use crate::stream::{Stream, Watch};
use crate::task::message;
use crate::tls::TlsAcceptor;
use crate::world::World;

/// What serves connections.
pub trait TcpService: Send + Sync + 'static {
    /// One connection, from the first octet to the end; when it returns, the connection closes.
    fn serve(&self, connection: Connection) -> impl Future<Output = ()> + Send;
}

/// How a door is set up.
#[derive(Debug, Clone)]
pub struct TcpOptions {
    /// Name of the service in tables, metrics and logs.
    pub service: &'static str,
    /// Name of the protocol in the trace.
    pub protocol: &'static str,
    /// The port the standard gives the protocol; 0 when there is none.
    pub canonical_port: u16,
    /// Whether its messages are shown to the trace. Off for the door through which the trace itself
    /// is read, which would follow its own tail.
    pub traced: bool,
    /// Socket options.
    pub listen: ListenOptions,
    /// What is let in.
    pub limits: TcpLimits,
    /// TLS from the first octet.
    pub tls: Option<Arc<TlsAcceptor>>,
    /// Peers that must name the client in a PROXY header; everyone else must not.
    pub proxies: ProxySources,
}

impl TcpOptions {
    /// The usual set-up for `service`.
    #[must_use]
    pub fn new(service: &'static str, protocol: &'static str, canonical_port: u16) -> Self {
        Self {
            service,
            protocol,
            canonical_port,
            traced: true,
            listen: ListenOptions::default(),
            limits: TcpLimits::default(),
            tls: None,
            proxies: ProxySources::default(),
        }
    }
}

/// A connection that was let in.
#[derive(Debug)]
pub struct Connection {
    /// Its octets.
    pub stream: Stream,
    /// The world it came from.
    pub world: World,
    watch: Watching,
}

/// The trace and the counters of one connection, apart from its octets. Dropping it closes the flow
/// in the trace.
#[derive(Debug)]
pub struct Watching {
    world: World,
    pulse: Arc<Pulse>,
    door: Arc<Door>,
    protocol: &'static str,
    canonical_port: u16,
    traced: bool,
}

impl Connection {
    /// The client's address; behind a listed proxy, the one the proxy names.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.watch.pulse.ends().remote
    }

    /// The address the client connected to.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.watch.pulse.ends().local
    }

    /// Whether the service should finish: answer what is under way, then close.
    ///
    /// The task is woken when this becomes true, so a `poll` function need only look.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.watch.is_draining()
    }

    /// Resolves when the service should finish.
    pub fn drained(&self) -> impl Future<Output = ()> + use<> {
        let door = Arc::clone(&self.watch.door);
        // The door wakes the whole task, so no waker need be kept here.
        poll_fn(move |_| if door.is_closing() { Poll::Ready(()) } else { Poll::Pending })
    }

    /// The trace and the counters, apart from the octets.
    #[must_use]
    pub fn watching(&self) -> &Watching {
        &self.watch
    }

    /// Splits off the stream, for code that wants to own it.
    #[must_use]
    pub fn into_parts(self) -> (Stream, World, Watching) {
        (self.stream, self.world, self.watch)
    }
}

impl Watching {
    /// Whether the connection's octets are encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.door.tls
    }

    /// Whether the client is on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.pulse.ends().are_one_machine()
    }

    /// Whether the service should finish.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.door.is_closing()
    }

    /// The connection's counters.
    #[must_use]
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Whether anybody reads the trace. One relaxed load.
    #[inline]
    #[must_use]
    pub fn is_traced(&self) -> bool {
        self.traced && self.world.trace().is_on()
    }

    /// Seconds of the door's clock, as [`Pulse::begin_message`] wants them.
    #[must_use]
    pub fn tick(&self) -> u32 {
        self.door.tick.load(Relaxed)
    }

    /// Records one message; `summary` is only called when somebody reads.
    #[inline]
    pub fn record(
        &self,
        direction: Direction,
        octets: &[u8],
        cause: Option<EventId>,
        summary: impl FnOnce() -> String,
    ) -> Option<EventId> {
        if !self.is_traced() {
            return None;
        }
        self.world.trace().record(|| self.event(direction, Step::Message, octets, cause, summary()))
    }

    fn step(&self, direction: Direction, step: Step) {
        if self.is_traced() {
            self.world.trace().record(|| self.event(direction, step, &[], None, String::new()));
        }
    }

    fn event(
        &self,
        direction: Direction,
        step: Step,
        octets: &[u8],
        cause: Option<EventId>,
        summary: String,
    ) -> Event {
        let Ends { local, remote } = self.pulse.ends();
        Event {
            id: EventId::default(),
            at: self.world.now(),
            node: Arc::clone(self.world.node()),
            flow: Flow {
                id: self.pulse.flow,
                transport: Transport::Tcp,
                local,
                remote,
                canonical_port: self.canonical_port,
                serving: true,
            },
            direction,
            step,
            protocol: self.protocol,
            summary,
            octets: octets.into(),
            cause,
            note: None,
        }
    }
}

/// A door that was opened.
#[derive(Debug, Clone)]
pub struct TcpDoor {
    door: Arc<Door>,
}

impl TcpDoor {
    /// The bound address, with the port that was given when 0 was asked; `None` for a Unix socket.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        self.door.local
    }

    /// Closes the door for newcomers and asks those inside to finish. Other doors are not touched.
    pub fn close(&self) {
        self.door.close();
    }

    /// Counters and connections.
    #[must_use]
    pub fn door(&self) -> &Arc<Door> {
        &self.door
    }
}

/// Opens a door at `address` and serves everyone who comes in. Returns once the address is bound.
///
/// # Errors
/// [`Error::Bind`] when the address cannot be bound.
pub fn serve<S: TcpService>(
    world: &World,
    address: SocketAddr,
    options: &TcpOptions,
    service: &Arc<S>,
) -> Result<TcpDoor, Error> {
    let bind_with = |at, listen: &ListenOptions| {
        world.listen(at, listen).map_err(|source| Error::Bind { transport: Transport::Tcp, address, source })
    };
    let bind = |at| bind_with(at, &options.listen);
    let wanted = if options.listen.share { world.workers() } else { 1 };
    let listeners = world.doors().listeners(address);
    if listeners.len() == wanted {
        return Ok(open(world, listeners, options, service));
    }
    if options.listen.share && !world.doors().has_open(Transport::Tcp, address) {
        // Two programs of one user could share the address without a word: ask for it alone first.
        drop(bind_with(address, &ListenOptions { share: false, ..options.listen.clone() })?);
    }
    let first = bind(address)?;
    // With port 0 the first socket chooses; the others follow.
    let local = first.local().unwrap_or(address);
    let mut listeners = vec![first];
    for _ in 1..wanted {
        listeners.push(bind(local)?);
    }
    Ok(open(world, listeners, options, service))
}

/// Opens a door on listeners that are bound already: a Unix socket, or sockets handed over by the
/// service manager. Each goes to one worker.
pub fn open<S: TcpService>(
    world: &World,
    listeners: Vec<Listener>,
    options: &TcpOptions,
    service: &Arc<S>,
) -> TcpDoor {
    let local = listeners.first().and_then(Listener::local);
    let tls = options.tls.is_some();
    let door = Door::new(world, options.service, Transport::Tcp, tls, local);
    world.doors().add(Arc::clone(&door));
    if let Ok(kept) = listeners.iter().map(Listener::try_clone).collect() {
        *lock(&door.listeners) = kept;
    }
    for (worker, listener) in listeners.into_iter().enumerate() {
        let shell = Shell {
            world: world.clone(),
            door: Arc::clone(&door),
            options: options.clone(),
            service: Arc::clone(service),
            worker: worker % door.inside.len(),
        };
        let ends = Ends { local: local.unwrap_or(NO_ADDRESS), remote: NO_ADDRESS };
        let pulse = Arc::new(Pulse::new(0, ends, door.since, 1, false));
        lock(&door.acceptors).push(Arc::clone(&pulse));
        world.spawn_tied(Some(worker), options.service, pulse, Box::pin(shell.accept(listener)));
    }
    TcpDoor { door }
}

/// After the process ran out of descriptors, accepting pauses this long.
const DESCRIPTORS_PAUSE: Duration = Duration::from_millis(100);

struct Shell<S> {
    world: World,
    door: Arc<Door>,
    options: TcpOptions,
    service: Arc<S>,
    worker: usize,
}

impl<S: TcpService> Shell<S> {
    async fn accept(self, listener: Listener) {
        let acceptor = match listener.start() {
            Ok(acceptor) => acceptor,
            Err(error) => {
                tracing::error!(service = self.options.service, %error, "the listener could not be started");
                return;
            }
        };
        let shell = Arc::new(self);
        let mut reserve = reserve_descriptor();
        loop {
            match acceptor.accept().await {
                // Whatever goes wrong with one newcomer, the door stays open for the next.
                Ok((stream, remote)) => {
                    let let_in = AssertUnwindSafe(|| shell.let_in(stream, remote));
                    if let Err(panic) = catch_unwind(let_in) {
                        shell.world.doors().count_panic(shell.options.service, &message(&*panic));
                    }
                }
                Err(error) if out_of_descriptors(&error) => {
                    shell.door.count_refused(Refused::Descriptors);
                    // The reserve lets one waiting client in, to be told by a close instead of silence.
                    drop(reserve.take());
                    drop(now_or_never(acceptor.accept()).await);
                    shell.world.sleep(DESCRIPTORS_PAUSE).await;
                    reserve = reserve_descriptor();
                }
                // The client went away between its SYN and our accept: the next one may be fine.
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(service = shell.options.service, %error, "accepting failed");
                    shell.world.sleep(DESCRIPTORS_PAUSE).await;
                }
            }
        }
    }

    fn let_in(self: &Arc<Self>, stream: Stream, remote: SocketAddr) {
        let now = self.world.now();
        let limits = &self.options.limits;
        let proxied = self.options.proxies.contains(remote.ip());
        // A proxy and a Unix socket have no client's address to count; the proxy will name it.
        let from = Some(remote.ip()).filter(|_| !proxied && remote != NO_ADDRESS);
        if let Err(reason) = self.door.admission.enter(now, from, limits) {
            self.door.count_refused(reason);
            return; // dropping the stream closes it
        }
        self.door.count_accepted();
        // A door at one address need not ask the kernel which one the client has reached.
        let bound = self.door.local.filter(|local| !local.ip().is_unspecified());
        let local = bound.or_else(|| stream.local()).unwrap_or(NO_ADDRESS);
        let handshake = self.options.tls.is_some() || proxied;
        let tick = tick_of(now);
        self.door.tick.store(tick, Relaxed);
        let ends = Ends { local, remote };
        let pulse = Arc::new(Pulse::new(self.world.trace().next_flow(), ends, now, tick, handshake));
        let watch = Watch { pulse: Arc::clone(&pulse), tick: Arc::clone(&self.door.tick) };
        let stream = stream.watched(watch);
        let mut inside = lock(&self.door.inside[self.worker]);
        let place = inside.add(Arc::clone(&pulse));
        let sweep = !std::mem::replace(&mut inside.sweeping, true);
        drop(inside);
        if sweep {
            self.world.spawn(self.options.service, sweep_loop(Arc::clone(self)));
        }
        let mut stay = Stay { shell: Arc::clone(self), place, from };
        let shell = Arc::clone(self);
        let watched = Arc::clone(&pulse);
        let task: BoxFuture<'static, ()> = Box::pin(async move {
            if let Some(connection) = shell.agree(stream, pulse, handshake, &mut stay).await {
                shell.service.serve(connection).await;
            }
            drop(stay);
        });
        self.world.spawn_tied(None, self.options.service, watched, task);
    }

    /// PROXY protocol and TLS, when this door has them.
    async fn agree(
        &self,
        mut stream: Stream,
        pulse: Arc<Pulse>,
        handshake: bool,
        stay: &mut Stay<S>,
    ) -> Option<Connection> {
        if handshake {
            // Boxed, so that a plain connection's task does not carry the room for it.
            stream = Box::pin(self.handshake(stream, &pulse, stay)).await?;
        }
        pulse.opened();
        let watch = Watching {
            world: self.world.clone(),
            pulse,
            door: Arc::clone(&self.door),
            protocol: self.options.protocol,
            canonical_port: self.options.canonical_port,
            traced: self.options.traced,
        };
        watch.step(Direction::In, Step::Open);
        Some(Connection { stream, world: self.world.clone(), watch })
    }

    async fn handshake(&self, mut stream: Stream, pulse: &Pulse, stay: &mut Stay<S>) -> Option<Stream> {
        if self.options.proxies.contains(pulse.ends().remote.ip()) {
            match proxy_protocol::read(&mut stream).await {
                Ok(Some(ends)) => {
                    let from = ends.remote.ip();
                    if let Err(reason) = self.door.admission.enter_from(from, &self.options.limits) {
                        self.door.count_refused(reason);
                        return None;
                    }
                    stay.from = Some(from);
                    pulse.proxied(ends);
                }
                Ok(None) => {} // the proxy speaks for itself (a health check)
                Err(error) => {
                    self.door.count_refused(Refused::Proxy);
                    tracing::debug!(service = self.options.service, %error, "no valid PROXY header");
                    return None;
                }
            }
        }
        let Some(tls) = &self.options.tls else { return Some(stream) };
        match tls.accept(stream).await {
            Ok(stream) => Some(stream),
            Err(error) => {
                self.door.count_refused(Refused::Tls);
                tracing::debug!(service = self.options.service, %error, "the TLS handshake failed");
                None
            }
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.step(Direction::Out, Step::Close);
    }
}

/// A connection's place in the door's list, given back whatever way its task ends.
struct Stay<S: TcpService> {
    shell: Arc<Shell<S>>,
    place: usize,
    /// The address it is counted for.
    from: Option<IpAddr>,
}

impl<S: TcpService> Drop for Stay<S> {
    fn drop(&mut self) {
        let pulse = lock(&self.shell.door.inside[self.shell.worker]).remove(self.place);
        self.shell.door.count_octets(pulse.as_deref());
        self.shell.door.admission.leave(self.from, &self.shell.options.limits);
    }
}

/// Once a second, ends every connection of one worker that broke a limit; stops with the last one.
async fn sweep_loop<S: TcpService>(shell: Arc<Shell<S>>) {
    loop {
        shell.world.sleep(Duration::from_secs(1)).await;
        let tick = tick_of(shell.world.now());
        shell.door.tick.store(tick, Relaxed);
        let mut inside = lock(&shell.door.inside[shell.worker]);
        if inside.pulses.is_empty() {
            inside.sweeping = false;
            return;
        }
        let limits = &shell.options.limits;
        let broken: Vec<_> = inside
            .iter()
            .filter(|pulse| !pulse.was_ended())
            .filter_map(|pulse| Some((Arc::clone(pulse), pulse.judge(tick, limits)?)))
            .collect();
        drop(inside);
        for (pulse, reason) in broken {
            shell.door.count_ended(reason);
            pulse.end();
        }
    }
}

fn out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// A descriptor that is given up when none is left.
fn reserve_descriptor() -> Option<std::fs::File> {
    std::fs::File::open("/dev/null").ok()
}

/// The future's result when it has one at once.
async fn now_or_never<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
