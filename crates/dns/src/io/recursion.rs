//! The resolver over a world: each worker drives one [`Resolver`], with its own sockets.
//!
//! Questions come from the doors, from other parts of the program and from the cache (to be looked up
//! again before their time is over); a question always goes to the same worker, so that equal ones
//! meet. Answers go out the way their question came in.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::collections::HashMap;
use std::future::poll_fn;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use doorway_base::trace::{Direction, Event as TraceEvent, EventId, Flow, Step, Transport as Carried};
use doorway_base::{Instant, Writer};
use doorway_net::World;
use doorway_net::tls::TlsDialler;
use doorway_net::udp::{Replies, UdpReplier};
use siphasher::sip::SipHasher13;
use tokio::sync::{Notify, mpsc, oneshot};

use super::link::{self, Job};
use super::query_log::{QueryLog, Source};
use super::stream::Late;
use super::upstream::{Opened, Upstream};
use super::{PORT, PROTOCOL, SERVICE};
use crate::authority::{Carrier, Published};
use crate::cache::{Cache, Filter};
use crate::front::late::{self, Wanted};
use crate::front::ready::{Ready, Variant};
use crate::resolver::flooded::Flooded;
use crate::resolver::{self, Answer, Ask, Input, Output, QueryId, Resolver, SendFailure, Transport};
use crate::summary;
use crate::wire::message::MESSAGE_OCTETS_MAX;
use crate::wire::{Question, Rcode};
use crate::zone::{HashKey, Key};

/// Questions that wait to be taken up by one worker at most.
const QUEUE_MAX: usize = 4096;
/// Questions taken up at once.
const TAKE_MAX: usize = 64;
/// Places in which the questions of clients are counted; clients that meet in one share its bound.
const CLIENTS: usize = 1 << 14;

/// What a question's answer goes to.
#[derive(Debug)]
pub enum Asker {
    /// A client over UDP.
    Datagram {
        /// What it asked.
        wanted: Box<Wanted>,
        /// The socket that it asked.
        replier: UdpReplier,
        /// The client.
        remote: SocketAddr,
        /// The address that it asked.
        local: SocketAddr,
        /// Its flow in the trace.
        flow: u64,
    },
    /// A client over TCP or TLS: the whole answer goes to its connection.
    Stream {
        /// What it asked.
        wanted: Box<Wanted>,
        /// Its connection.
        connection: mpsc::Sender<Late>,
        /// The client.
        remote: SocketAddr,
        /// `tcp` or `tls`.
        transport: &'static str,
    },
    /// A part of the program.
    Call {
        /// What it asks.
        question: Box<Question>,
        /// Whether it wants signatures.
        dnssec: bool,
        /// Whether it wants to know how the answer was found.
        explain: bool,
        /// Where the answer goes.
        answer: oneshot::Sender<Answer>,
    },
    /// The ready-made answers, before the time of one is over.
    Refresh(Box<Wanted>),
}

/// What recursion is set up with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The engine's own settings.
    pub resolver: Arc<resolver::Config>,
    /// Octets of a UDP response at most.
    pub udp_octets_max: u16,
    /// Sockets of each family in all workers.
    pub ports: usize,
    /// Questions of one client under way at most.
    pub per_client: u32,
    /// Questions under way at most.
    pub in_all: u32,
}

/// What was found and is kept.
#[derive(Debug)]
pub struct Found {
    /// Records.
    pub cache: Arc<Cache>,
    /// Whole answers.
    pub ready: Arc<Ready>,
}

/// The resolvers of a server. Clones are the same.
#[derive(Debug, Clone)]
pub struct Recursion {
    shared: Arc<Shared>,
    workers: Vec<mpsc::Sender<Asker>>,
}

#[derive(Debug)]
struct Shared {
    world: World,
    settings: Settings,
    cache: Arc<Cache>,
    ready: Arc<Ready>,
    flooded: Arc<Flooded>,
    local: Published,
    tls: Option<Arc<TlsDialler>>,
    log: Option<QueryLog>,
    secret: HashKey,
    // Who does not know it cannot choose a worker, or whom to share a bound with.
    sharding: (u64, u64),
    clients: Box<[AtomicU32]>,
    counts: Counts,
}

/// What recursion counts.
#[derive(Debug, Default)]
pub struct Counts {
    /// Questions taken up.
    pub questions: AtomicU64,
    /// Questions under way.
    pub under_way: AtomicU32,
    /// Questions refused because there were too many, of one client or in all.
    pub refused: AtomicU64,
    /// Queries sent to other servers over UDP, TCP and TLS.
    pub upstream: [AtomicU64; 3],
    /// Messages from servers that nobody had asked.
    pub unexpected: AtomicU64,
    /// Answers with old data.
    pub stale: AtomicU64,
    /// Answers that were SERVFAIL.
    pub failed: AtomicU64,
    /// Answers by the time they took: up to each of [`LATENCIES`], and longer.
    pub latencies: [AtomicU64; LATENCIES.len() + 1],
    /// Microseconds of all answers together.
    pub micros: AtomicU64,
}

/// The bounds by which the time of answers is counted.
pub const LATENCIES: [Duration; 11] = [
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

struct Worker {
    shared: Arc<Shared>,
    state: Mutex<State>,
    wake: Notify,
    answered: Notify,
}

struct State {
    resolver: Resolver,
    waiting: HashMap<u64, Waiting>,
    next_token: u64,
    upstream: Upstream,
    links: HashMap<(SocketAddr, Transport), mpsc::Sender<Job>>,
    link_of: HashMap<QueryId, mpsc::Sender<Job>>,
    armed: Instant,
    replies: Replies,
    // Whether somebody sends them together; when the worker ends, each goes by itself.
    gathers: bool,
    room: Vec<u8>,
    key: Key,
}

struct Waiting {
    asker: Asker,
    client: Option<usize>,
    epoch: u64,
    since: Instant,
}

impl Asker {
    fn question(&self) -> &Question {
        match self {
            Self::Datagram { wanted, .. } | Self::Stream { wanted, .. } | Self::Refresh(wanted) => {
                &wanted.question
            }
            Self::Call { question, .. } => question,
        }
    }

    fn client(&self) -> Option<IpAddr> {
        match self {
            Self::Datagram { remote, .. } => Some(remote.ip()),
            Self::Stream { remote, .. } => Some(remote.ip()),
            Self::Call { .. } | Self::Refresh(_) => None,
        }
    }

    fn ask(&self, token: u64) -> Ask {
        let mut ask = Ask::new(token, self.question().clone());
        ask.client = self.client();
        ask.refresh = matches!(self, Self::Refresh(_));
        match self {
            Self::Datagram { wanted, .. } | Self::Stream { wanted, .. } | Self::Refresh(wanted) => {
                let variant = Variant::of(&wanted.query);
                ask.dnssec = variant.dnssec;
                ask.checking_disabled = variant.checking_disabled;
            }
            Self::Call { dnssec, explain, .. } => {
                ask.dnssec = *dnssec;
                ask.explain = *explain;
            }
        }
        ask
    }
}

impl Recursion {
    /// Starts a resolver on each worker of the world.
    #[must_use]
    pub fn start(
        world: &World,
        settings: Settings,
        found: Found,
        local: Published,
        tls: Option<Arc<TlsDialler>>,
        log: Option<QueryLog>,
    ) -> Self {
        let Found { cache, ready } = found;
        let secret = local.current().secret();
        let mut random = world.random();
        let shared = Arc::new(Shared {
            world: world.clone(),
            settings,
            cache,
            ready,
            flooded: Arc::default(),
            local,
            tls,
            log,
            secret,
            sharding: (random.next_u64(), random.next_u64()),
            clients: (0..CLIENTS).map(|_| AtomicU32::new(0)).collect(),
            counts: Counts::default(),
        });
        let workers = (0..world.workers().max(1))
            .map(|index| {
                let (sender, questions) = mpsc::channel(QUEUE_MAX);
                let worker = Arc::new(Worker::new(Arc::clone(&shared)));
                world.spawn_on(index, SERVICE, worker.run(questions));
                sender
            })
            .collect();
        Self { shared, workers }
    }

    /// The records it remembers.
    #[must_use]
    pub fn cache(&self) -> &Arc<Cache> {
        &self.shared.cache
    }

    /// The ready-made answers before it.
    #[must_use]
    pub fn ready(&self) -> &Arc<Ready> {
        &self.shared.ready
    }

    /// The zones that are left alone for a moment.
    #[must_use]
    pub fn flooded(&self) -> &Arc<Flooded> {
        &self.shared.flooded
    }

    /// Forgets what `filter` means; returns how many entries there were.
    pub fn flush(&self, filter: &Filter) -> usize {
        let flushed = self.shared.cache.flush(filter);
        // They hold records of many names: made anew from what is left.
        self.shared.ready.clear();
        flushed
    }

    /// What was counted.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// Takes a question up; any thread may call this, and it never waits.
    ///
    /// # Errors
    /// Gives the asker back when it, or all together, have too many questions under way.
    pub fn ask(&self, asker: Asker) -> Result<(), Asker> {
        let counts = &self.shared.counts;
        let client = asker.client().map(|client| self.shared.place_of(client));
        let over = counts.under_way.load(Ordering::Relaxed) >= self.shared.settings.in_all
            || client.is_some_and(|place| {
                self.shared.clients[place].load(Ordering::Relaxed) >= self.shared.settings.per_client
            });
        if over {
            counts.refused.fetch_add(1, Ordering::Relaxed);
            return Err(asker);
        }
        let worker = self.worker_of(asker.question());
        if let Some(place) = client {
            self.shared.clients[place].fetch_add(1, Ordering::Relaxed);
        }
        counts.under_way.fetch_add(1, Ordering::Relaxed);
        worker.try_send(asker).map_err(|refused| {
            self.shared.ended(client);
            counts.refused.fetch_add(1, Ordering::Relaxed);
            refused.into_inner()
        })
    }

    /// Resolves a question for a part of the program; `None` when there is too much to do.
    pub async fn resolve(&self, question: Question, dnssec: bool, explain: bool) -> Option<Answer> {
        let (answer, answered) = oneshot::channel();
        let question = Box::new(question);
        self.ask(Asker::Call { question, dnssec, explain, answer }).ok()?;
        answered.await.ok()
    }

    fn worker_of(&self, question: &Question) -> &mpsc::Sender<Asker> {
        let name = question.name.lowered();
        let hash = self.shared.hash((name.as_octets(), question.kind.0));
        &self.workers[hash as usize % self.workers.len()]
    }
}

impl Shared {
    fn hash(&self, value: impl Hash) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.sharding.0, self.sharding.1);
        value.hash(&mut hasher);
        hasher.finish()
    }

    fn place_of(&self, client: IpAddr) -> usize {
        self.hash(client) as usize % CLIENTS
    }

    fn ended(&self, client: Option<usize>) {
        self.counts.under_way.fetch_sub(1, Ordering::Relaxed);
        if let Some(place) = client {
            self.clients[place].fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn resolver(&self) -> Resolver {
        let config = Arc::clone(&self.settings.resolver);
        Resolver::new(config, Arc::clone(&self.cache), self.local.clone(), self.world.random())
            .telling(Arc::clone(&self.flooded))
    }

    // Every message from and to other servers passes the trace here.
    fn record(&self, direction: Direction, carried: Carried, from: Ends, octets: &[u8]) {
        let world = &self.world;
        if !world.trace().is_on() {
            return;
        }
        let flow = Flow {
            id: world.trace().next_flow(),
            transport: carried,
            local: from.local,
            remote: from.remote,
            canonical_port: PORT,
            serving: false,
        };
        let message = if carried == Carried::Udp { octets } else { octets.get(2..).unwrap_or_default() };
        world.trace().record(|| TraceEvent {
            id: EventId::default(),
            at: world.now(),
            node: Arc::clone(world.node()),
            flow,
            direction,
            step: Step::Message,
            protocol: PROTOCOL,
            summary: summary(message),
            octets: octets.into(),
            cause: None,
            note: None,
        });
    }
}

/// Both ends of a flow to another server.
#[derive(Clone, Copy)]
struct Ends {
    local: SocketAddr,
    remote: SocketAddr,
}

impl Ends {
    // A socket that is bound to no address has, for the trace, the one of its peer on this machine.
    fn new(local: Option<SocketAddr>, remote: SocketAddr) -> Self {
        let port = local.map_or(0, |local| local.port());
        let unspecified = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let address = local.map_or(unspecified, |local| local.ip());
        let address =
            if address.is_unspecified() && remote.ip().is_loopback() { remote.ip() } else { address };
        Self { local: SocketAddr::new(address, port), remote }
    }
}

impl Worker {
    fn new(shared: Arc<Shared>) -> Self {
        let workers = shared.world.workers().max(1);
        let state = State {
            resolver: shared.resolver(),
            waiting: HashMap::new(),
            next_token: 0,
            upstream: Upstream::new(shared.world.random(), shared.settings.ports / workers),
            links: HashMap::new(),
            link_of: HashMap::new(),
            armed: Instant::NEVER,
            replies: Replies::default(),
            gathers: true,
            room: vec![0; MESSAGE_OCTETS_MAX],
            key: Key::default(),
        };
        Self { shared, state: Mutex::new(state), wake: Notify::new(), answered: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Takes questions up, tells the engine when time has passed, and sends answers together: its turn comes after
    // all tasks that were due when the first answer was there. A client that waits for many, as another resolver
    // does, is woken once and not for each.
    async fn run(self: Arc<Self>, mut questions: mpsc::Receiver<Asker>) {
        let mut taken = Vec::with_capacity(TAKE_MAX);
        loop {
            let at = {
                let mut state = self.state();
                state.armed = state.resolver.next_timeout().unwrap_or(Instant::NEVER);
                state.armed
            };
            let world = &self.shared.world;
            let mut late = (at != Instant::NEVER).then(|| world.sleep_until(at));
            let mut woken = std::pin::pin!(self.wake.notified());
            let mut answered = std::pin::pin!(self.answered.notified());
            let open = poll_fn(|cx| {
                while answered.as_mut().poll(cx).is_ready() {
                    self.state().replies.send();
                    answered.set(self.answered.notified());
                }
                if let Poll::Ready(count) = questions.poll_recv_many(cx, &mut taken, TAKE_MAX) {
                    return Poll::Ready(count > 0);
                }
                if woken.as_mut().poll(cx).is_ready()
                    || late.as_mut().is_some_and(|late| late.as_mut().poll(cx).is_ready())
                {
                    return Poll::Ready(true);
                }
                Poll::Pending
            });
            if !open.await {
                let mut state = self.state();
                state.gathers = false;
                return state.replies.send();
            }
            for asker in taken.drain(..) {
                self.take_up(asker);
            }
            if world.now() >= at {
                self.drive(Input::Timeout);
            }
        }
    }

    fn take_up(self: &Arc<Self>, asker: Asker) {
        self.shared.counts.questions.fetch_add(1, Ordering::Relaxed);
        let ask = {
            let mut state = self.state();
            state.next_token += 1;
            let token = state.next_token;
            let ask = asker.ask(token);
            let client = asker.client().map(|client| self.shared.place_of(client));
            let epoch = self.shared.ready.epoch();
            let since = self.shared.world.now();
            state.waiting.insert(token, Waiting { asker, client, epoch, since });
            ask
        };
        self.drive(Input::Ask(ask));
    }

    // Hands the engine what happened and does what it decides.
    fn drive(self: &Arc<Self>, input: Input<'_>) {
        let mut guard = self.state();
        let state = &mut *guard;
        let now = self.shared.world.now();
        let mut failed = Vec::new();
        let guarded = self.shared.world.guarded(SERVICE, || {
            state.resolver.handle(now, input);
            while let Some(output) = state.resolver.poll_output() {
                match output {
                    Output::Send(send) => {
                        let query = send.query;
                        if let Err(why) = self.send(state, send) {
                            failed.push((query, why));
                        }
                    }
                    Output::Cancel(query) => state.forget(query),
                    Output::Answer(answer) => self.answer(state, now, answer),
                }
            }
        });
        if guarded.is_none() {
            // What it was doing is lost: those who wait hear so, and the rest goes on.
            state.resolver = self.shared.resolver();
            let mut tokens: Vec<u64> = state.waiting.keys().copied().collect();
            tokens.sort_unstable();
            for token in tokens {
                self.answer(state, now, failure(token));
            }
        }
        let sooner = state.resolver.next_timeout().is_some_and(|next| next < state.armed);
        drop(guard);
        if sooner {
            self.wake.notify_one();
        }
        for (query, why) in failed {
            self.drive(Input::Failure { query, why });
        }
    }

    fn send(self: &Arc<Self>, state: &mut State, send: resolver::Send) -> Result<(), SendFailure> {
        let shared = &self.shared;
        let carrier = match send.transport {
            Transport::Udp => 0,
            Transport::Tcp => 1,
            Transport::Tls { .. } => 2,
        };
        shared.counts.upstream[carrier].fetch_add(1, Ordering::Relaxed);
        if send.transport == Transport::Udp {
            let opened = state.upstream.send(&shared.world, &send).map_err(|error| {
                tracing::debug!(to = %send.to, %error, "a query was not sent");
                SendFailure::Local
            })?;
            if shared.world.trace().is_on() {
                let local = opened.as_ref().and_then(|opened| opened.client.local().ok());
                let ends = Ends::new(local.or_else(|| state.upstream.local_of(send.query)), send.to);
                shared.record(Direction::Out, Carried::Udp, ends, &send.octets);
            }
            if let Some(Opened { socket, client }) = opened {
                let worker = Arc::clone(self);
                shared.world.spawn(SERVICE, async move {
                    let local = client.local().ok();
                    loop {
                        let take = |octets: &[u8], from| worker.received(socket, local, from, octets);
                        // An error is an ICMP message about an earlier datagram: time-outs see to that.
                        let _ = client.receive_with(take).await;
                        if worker.state().upstream.is_over(socket) {
                            return;
                        }
                    }
                });
            }
            return Ok(());
        }
        let key = (send.to, send.transport.clone());
        let job = match state.links.get(&key) {
            Some(link) => match link.try_send(Job::Send(send.query, send.octets)) {
                Ok(()) => {
                    state.link_of.insert(send.query, link.clone());
                    return Ok(());
                }
                Err(mpsc::error::TrySendError::Full(_)) => return Err(SendFailure::Local),
                Err(mpsc::error::TrySendError::Closed(job)) => job,
            },
            None => Job::Send(send.query, send.octets),
        };
        let (link, jobs) = mpsc::channel(link::QUEUE_MAX);
        let _ = link.try_send(job);
        state.link_of.insert(send.query, link.clone());
        state.links.insert(key.clone(), link);
        let worker = Arc::clone(self);
        let (world, tls) = (shared.world.clone(), shared.tls.clone());
        shared.world.spawn(SERVICE, async move {
            let (to, transport) = key.clone();
            let tell = |event: link::Event<'_>| worker.told(to, event);
            link::run(world, to, transport, tls, jobs, tell).await;
            let mut state = worker.state();
            if state.links.get(&key).is_some_and(mpsc::Sender::is_closed) {
                state.links.remove(&key);
            }
        });
        Ok(())
    }

    // Takes what came to a socket; returns whether more is expected there.
    fn received(
        self: &Arc<Self>,
        socket: u32,
        local: Option<SocketAddr>,
        from: SocketAddr,
        octets: &[u8],
    ) -> bool {
        self.shared.record(Direction::In, Carried::Udp, Ends::new(local, from), octets);
        let query = self.state().upstream.query_of(socket, from, octets);
        match query {
            Some(query) => self.drive(Input::Response { query, from, octets }),
            None => _ = self.shared.counts.unexpected.fetch_add(1, Ordering::Relaxed),
        }
        self.state().upstream.is_expecting(socket)
    }

    fn told(self: &Arc<Self>, remote: SocketAddr, event: link::Event<'_>) {
        let ends = Ends::new(None, remote);
        match event {
            link::Event::Sent(octets) => self.shared.record(Direction::Out, Carried::Tcp, ends, octets),
            link::Event::Answer(query, octets) => {
                if self.shared.world.trace().is_on() {
                    let framed = [&(octets.len() as u16).to_be_bytes()[..], octets].concat();
                    self.shared.record(Direction::In, Carried::Tcp, ends, &framed);
                }
                self.state().link_of.remove(&query);
                self.drive(Input::Response { query, from: remote, octets });
            }
            link::Event::Failure(query, why) => {
                self.state().link_of.remove(&query);
                self.drive(Input::Failure { query, why });
            }
        }
    }

    fn answer(&self, state: &mut State, now: Instant, answer: Answer) {
        let Some(waiting) = state.waiting.remove(&answer.token) else { return };
        let Waiting { asker, client, epoch, since } = waiting;
        let shared = &self.shared;
        let took = now - since;
        let bucket = LATENCIES.iter().position(|bound| took <= *bound).unwrap_or(LATENCIES.len());
        shared.counts.latencies[bucket].fetch_add(1, Ordering::Relaxed);
        shared.counts.micros.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
        shared.ended(client);
        if answer.stale {
            shared.counts.stale.fetch_add(1, Ordering::Relaxed);
        }
        if answer.rcode == Rcode::SERVFAIL {
            shared.counts.failed.fetch_add(1, Ordering::Relaxed);
        }
        let question = asker.question();
        let variant = match &asker {
            Asker::Datagram { wanted, .. } | Asker::Stream { wanted, .. } | Asker::Refresh(wanted) => {
                Variant::of(&wanted.query)
            }
            Asker::Call { .. } => {
                if let Asker::Call { answer: to, .. } = asker {
                    // Whoever asked may be gone.
                    let _ = to.send(answer);
                }
                return;
            }
        };
        let message = late::message(question, &answer, &mut state.room);
        if let Some(span) = answer.cacheable_for.filter(|span| *span > Duration::ZERO)
            && state.key.set(shared.secret, question.name.as_octets()).is_some()
        {
            let what = (question.kind, variant);
            shared.ready.put(now, now + span, &state.key, what, message.clone(), epoch);
        }
        let (wanted, carrier) = match &asker {
            Asker::Datagram { wanted, .. } => (wanted, Carrier::Datagram),
            Asker::Stream { wanted, .. } => (wanted, Carrier::Stream),
            _ => return,
        };
        let udp_octets_max = shared.settings.udp_octets_max;
        let octets_max = match carrier {
            Carrier::Stream => MESSAGE_OCTETS_MAX,
            Carrier::Datagram => late::octets_max(wanted.query.edns, usize::from(udp_octets_max)),
        };
        let mut reply = Writer::new(&mut state.room);
        let errors = &answer.extended_error;
        late::write(&message, (Duration::ZERO, 0), wanted, errors, (octets_max, udp_octets_max), &mut reply);
        if let Some(log) = &shared.log {
            let (client, transport) = match &asker {
                Asker::Stream { remote, transport, .. } => (*remote, *transport),
                Asker::Datagram { remote, .. } => (*remote, "udp"),
                _ => return,
            };
            let at = shared.world.wall();
            log.note(at, client, transport, &wanted.head, reply.written(), Source::Resolver);
        }
        match &asker {
            Asker::Datagram { replier, remote, local, flow, .. } => {
                if state.replies.is_empty() {
                    self.answered.notify_one();
                }
                state.replies.push(replier, *remote, *local, *flow, reply.written());
                if !state.gathers {
                    state.replies.send();
                }
            }
            // A connection that is gone, or takes no more, has no need of it.
            Asker::Stream { connection, .. } => _ = connection.try_send(Late::last(reply.written().to_vec())),
            Asker::Call { .. } | Asker::Refresh(_) => {}
        }
    }
}

impl State {
    fn forget(&mut self, query: QueryId) {
        self.upstream.forget(query);
        if let Some(link) = self.link_of.remove(&query) {
            let _ = link.try_send(Job::Forget(query));
        }
    }
}

fn failure(token: u64) -> Answer {
    Answer {
        token,
        rcode: Rcode::SERVFAIL,
        answers: Vec::new(),
        authorities: Vec::new(),
        additionals: Vec::new(),
        extended_error: Vec::new(),
        stale: false,
        authoritative: false,
        cacheable_for: None,
        steps: Vec::new(),
    }
}
