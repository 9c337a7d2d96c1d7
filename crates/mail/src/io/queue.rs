//! The queue over the store: messages for other servers go in with [`Queue::enqueue`], and connections work
//! them off. What is decided where:
//!
//! | file | what it does |
//! | --- | --- |
//! | `queue/feeder.rs` | reads what is due from the store |
//! | `queue/lane.rs` | one connection: finds a server, sends one message after the other |
//! | `queue/way.rs` | the servers of a destination: routes, MX records, addresses |
//! | `queue/clerk.rs` | writes down what tries came to, with the reports they call for |
//! | `queue/control.rs` | lists, holds, releases, drops, retries |
//!
//! A message that was just accepted goes to a connection without being read from the store again. The
//! decisions are in [`crate::queue`].

mod clerk;
mod control;
mod feeder;
mod lane;
mod way;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use doorway_base::{Random, UnixTime};
use doorway_net::{BoxFuture, Resolve, World};
use doorway_store::{Batch, Error, Key, Result, Row};
use tokio::sync::{Notify, mpsc};

use super::bodies::Bodies;
use super::history::History;
use super::smtp_client::SmtpClient;
use crate::address::Address;
use crate::id::MessageId;
use crate::queue::dispatch::{Bounds, Destination, Dispatch, Job, Offer};
use crate::queue::item::{self, Item, QueueEntry};
use crate::queue::route::{Ourselves, Routes};
use crate::queue::schedule::{Schedule, SteadyClock};
use crate::queue::verdict::{Next, Verdict};
use crate::smtp::{Security, client};

pub use control::{ChangeError, Filter};
pub use way::{Server, Way};

/// Name of the service in tables, metrics and logs.
pub const SERVICE: &str = "mail queue";
/// Outcomes that wait to be written down.
const OUTCOMES_MAX: usize = 1024;
/// How long [`Queue::close`] waits for what is being sent.
const CLOSE_WAIT: Duration = Duration::from_secs(20);

/// A report about a message (RFC 3464), to be delivered to whoever sent that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The message that it is about.
    pub about: MessageId,
    /// Whom it is for: the reverse-path of that message. Its own reverse-path is null.
    pub to: Address,
    /// When it was made.
    pub at: UnixTime,
    /// The whole message, lines ending in CRLF, without trace lines.
    pub content: Bytes,
    /// Whether it needs SMTPUTF8 to be sent on.
    pub smtputf8: bool,
}

/// What is to happen once a batch is committed: whom to wake, what to queue.
pub type Afterwards = Box<dyn FnOnce() + Send>;

/// Takes reports back from the queue: delivers them here or queues them.
pub trait Returns: Send + Sync + 'static {
    /// Adds the delivery of a report to the batch that removes what it reports on, so that neither is
    /// lost without the other. What comes with the batch is called after its commit, and dropped
    /// uncalled when that fails: the same report is handed over again then.
    ///
    /// # Errors
    /// The store's; the items stay queued.
    fn give_back(&self, batch: Batch, report: Report) -> BoxFuture<'_, Result<(Batch, Afterwards)>>;
}

/// How the queue works.
#[derive(Debug, Clone)]
pub struct QueueOptions {
    /// Our host name, in EHLO and in reports.
    pub hostname: String,
    /// Our names and addresses, where mail is never sent.
    pub ourselves: Ourselves,
    /// Where mail goes instead of asking DNS.
    pub routes: Routes<Way>,
    /// The port of other servers: 25, but in a laboratory.
    pub port: u16,
    /// How much connections to servers that DNS names must be protected.
    pub security: Security,
    /// Messages that go over one connection before a new one is made.
    pub messages_per_connection: u32,
    /// How much is done at once.
    pub bounds: Bounds,
    /// When to try again and when to stop.
    pub schedule: Schedule,
}

impl QueueOptions {
    /// The usual, for a host of this name.
    #[must_use]
    pub fn new(hostname: &str) -> Self {
        let hostname = hostname.to_ascii_lowercase();
        Self {
            ourselves: Ourselves { names: vec![hostname.clone()], addresses: Vec::new() },
            hostname,
            routes: Routes::default(),
            port: 25,
            security: Security::default(),
            messages_per_connection: client::MESSAGES_MAX,
            bounds: Bounds::default(),
            schedule: Schedule::default(),
        }
    }
}

/// What the queue did since it was opened, and holds now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Recipients that a server took.
    pub delivered: u64,
    /// Tries that came to nothing for a recipient, to be repeated.
    pub deferred: u64,
    /// Recipients that were given up.
    pub failed: u64,
    /// Items in memory.
    pub in_memory: u64,
    /// Connections that are open or being opened.
    pub connections: u64,
}

#[derive(Debug, Default)]
struct Counters {
    delivered: AtomicU64,
    deferred: AtomicU64,
    failed: AtomicU64,
}

impl Counters {
    fn count(&self, next: &Next) {
        let counter = match next {
            Next::Done => &self.delivered,
            Next::Later(_) => &self.deferred,
            Next::Failed => &self.failed,
        };
        counter.fetch_add(1, Relaxed);
    }
}

/// What came of a try, for the recipients of one message.
#[derive(Debug, Clone)]
struct Outcome {
    items: Vec<Item>,
    /// One for each item.
    verdicts: Vec<Verdict>,
    /// The server; empty when it was us.
    host: String,
    /// Whether it was the last server, whose mailbox holds the message now (LMTP).
    is_final: bool,
    /// Whether it reports what it does with the message.
    reports: bool,
}

impl Outcome {
    /// One verdict of ours for all.
    fn ours(items: Vec<Item>, verdict: &Verdict) -> Self {
        let verdicts = vec![verdict.clone(); items.len()];
        Self { items, verdicts, host: String::new(), is_final: false, reports: false }
    }

    /// In pieces that fit a batch.
    fn split(mut self) -> Vec<Self> {
        let mut pieces = Vec::new();
        while self.items.len() > clerk::ITEMS_MAX {
            let items = self.items.split_off(self.items.len() - clerk::ITEMS_MAX);
            let verdicts = self.verdicts.split_off(self.verdicts.len() - clerk::ITEMS_MAX);
            pieces.push(Self { items, verdicts, host: self.host.clone(), ..self });
        }
        pieces.push(self);
        pieces
    }
}

/// What the tasks of the queue share, under one lock that is never held while something is waited for.
struct State {
    dispatch: Dispatch,
    /// Wakes the connections of a destination that have nothing to do.
    wakes: BTreeMap<Destination, Arc<Notify>>,
    clock: SteadyClock,
    random: Random,
    /// Where fresh rows begin that were not read; `None` when all of them are in memory.
    fresh_from: Option<Key>,
    /// Where the page of fresh rows begins that is being read.
    reading_from: Option<Key>,
    /// Where the part of the index begins that was not read.
    due_from: Key,
    /// Where items begin that seem to be due far ahead; `None` once they were read.
    ahead_from: Option<Key>,
    /// Items that were settled since the page at hand began to be read.
    settled_meanwhile: Option<BTreeSet<(MessageId, u32)>>,
    /// Whether the feeder left rows unread because there was no room.
    starved: bool,
    /// Messages that somebody changes in the store.
    changing: BTreeSet<MessageId>,
    closing: bool,
    worker: usize,
}

impl State {
    fn wake(&self, destination: &Destination) {
        if let Some(wake) = self.wakes.get(destination) {
            wake.notify_one();
        }
    }
}

struct Inner {
    world: World,
    bodies: Bodies,
    client: SmtpClient,
    resolve: Arc<dyn Resolve>,
    options: QueueOptions,
    history: History,
    state: Mutex<State>,
    feeder: Notify,
    /// Told when something was settled or a connection ended.
    progress: Notify,
    outcomes: mpsc::Sender<Outcome>,
    /// Taken by the clerk.
    inbox: Mutex<Option<mpsc::Receiver<Outcome>>>,
    /// Outcomes that were told and not written down.
    untold: AtomicUsize,
    counters: Counters,
}

/// The queue of messages for other servers. Clones are the same.
#[derive(Clone)]
pub struct Queue {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl Queue {
    /// The queue in the store of `bodies`. Nothing is sent before [`Queue::start`].
    #[must_use]
    pub fn new(
        world: &World,
        bodies: Bodies,
        client: SmtpClient,
        resolve: Arc<dyn Resolve>,
        options: QueueOptions,
    ) -> Self {
        let (outcomes, inbox) = mpsc::channel(OUTCOMES_MAX);
        let state = State {
            dispatch: Dispatch::new(options.bounds),
            wakes: BTreeMap::new(),
            clock: SteadyClock::new(world.wall(), world.now()),
            random: world.random(),
            fresh_from: Some(Key::from(item::FRESH)),
            reading_from: None,
            due_from: Key::from(item::DUE),
            ahead_from: Some(Key::from(item::DUE)),
            settled_meanwhile: None,
            starved: false,
            changing: BTreeSet::new(),
            closing: false,
            worker: 0,
        };
        let inner = Inner {
            world: world.clone(),
            history: History::new(Arc::clone(bodies.store())),
            bodies,
            client,
            resolve,
            options,
            state: Mutex::new(state),
            feeder: Notify::new(),
            progress: Notify::new(),
            outcomes,
            inbox: Mutex::new(Some(inbox)),
            untold: AtomicUsize::new(0),
            counters: Counters::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Begins to send what is queued. Reports go to `returns`. A second call does nothing.
    pub fn start(&self, returns: Arc<dyn Returns>) {
        let inbox = self.inner.inbox.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(inbox) = inbox else { return };
        let world = &self.inner.world;
        world.spawn_background(SERVICE, clerk::run(Arc::clone(&self.inner), inbox, returns));
        world.spawn_background(SERVICE, feeder::run(Arc::clone(&self.inner)));
    }

    /// Adds a message to a batch: a row for each recipient. The batch must also keep its body, with one
    /// reference for each of these recipients.
    #[must_use]
    pub fn enqueue(&self, batch: Batch, entry: &QueueEntry) -> Batch {
        entry.items().iter().fold(batch, |batch, item| batch.put(item.key(), item.encode()))
    }

    /// Sends a message that was just committed, without reading it from the store again. Should it not fit
    /// into memory it is read when there is room.
    pub fn admitted(&self, entry: &QueueEntry) {
        let inner = &self.inner;
        let first = item::item_key(item::FRESH, entry.id, 0);
        {
            let mut state = inner.state();
            // The feeder reads from here on anyway, and may have read it already.
            let reading = state.fresh_from.iter().chain(&state.reading_from).any(|from| *from <= first);
            if reading || state.changing.contains(&entry.id) || state.closing {
                state.leave_to_feeder(first);
                drop(state);
                return inner.feeder.notify_one();
            }
        }
        let now = inner.world.now();
        let to = |item: &Item| destination_of(&inner.options, &item.recipient.address);
        for (destination, job) in feeder::jobs(entry.items(), to) {
            inner.admit(now, &destination, job, &first);
        }
    }

    /// Stops sending, after the messages that are on their way; waits a while for those.
    pub async fn close(&self) {
        self.inner.state().closing = true;
        self.inner.wake_all();
        let late = self.inner.world.now() + CLOSE_WAIT;
        while self.inner.world.now() < late {
            let progress = self.inner.progress.notified();
            let busy = self.inner.state().dispatch.connections() > 0 || self.inner.untold.load(Relaxed) > 0;
            if !busy {
                return;
            }
            let _ = self.inner.world.timeout(Duration::from_secs(1), progress).await;
        }
    }

    /// What it did and holds.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let state = self.inner.state();
        let counters = &self.inner.counters;
        Counts {
            delivered: counters.delivered.load(Relaxed),
            deferred: counters.deferred.load(Relaxed),
            failed: counters.failed.load(Relaxed),
            in_memory: state.dispatch.items() as u64,
            connections: state.dispatch.connections() as u64,
        }
    }

    /// What happened to messages.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.inner.history
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time, as the queue counts it.
    fn time(&self) -> UnixTime {
        let (wall, now) = (self.world.wall(), self.world.now());
        self.state().clock.time(wall, now)
    }

    /// Offers a job that is not read from the store; what is not taken will be.
    fn admit(self: &Arc<Self>, now: doorway_base::Instant, destination: &Destination, job: Job, row: &Key) {
        let mut state = self.state();
        match state.dispatch.offer(now, destination, job) {
            Offer::Taken => state.wake(destination),
            Offer::Connect => {
                drop(state);
                self.open_connection(destination);
            }
            Offer::Full(..) | Offer::Blocked(..) => {
                state.leave_to_feeder(row.clone());
                drop(state);
                self.feeder.notify_one();
            }
        }
    }

    fn open_connection(self: &Arc<Self>, destination: &Destination) {
        let worker = {
            let mut state = self.state();
            state.wakes.entry(Arc::clone(destination)).or_default();
            state.worker = state.worker.wrapping_add(1);
            state.worker
        };
        self.world.spawn_on(worker, SERVICE, lane::run(Arc::clone(self), Arc::clone(destination)));
    }

    fn connection_closed(self: &Arc<Self>, destination: &Destination) {
        let next = {
            let mut state = self.state();
            let next = state.dispatch.connection_closed(destination);
            if !state.dispatch.is_connected(destination) {
                state.wakes.remove(destination);
            }
            next
        };
        self.progress.notify_waiters();
        if let Some(next) = next {
            self.open_connection(&next);
        }
    }

    fn wake_of(&self, destination: &Destination) -> Arc<Notify> {
        Arc::clone(self.state().wakes.entry(Arc::clone(destination)).or_default())
    }

    fn wake_all(&self) {
        self.state().wakes.values().for_each(|wake| wake.notify_waiters());
        self.feeder.notify_one();
    }

    /// The next job; without one the connection counts as idle, if it is to stay.
    fn next_job(&self, destination: &Destination, was_idle: bool, stays: bool) -> Option<Job> {
        let mut state = self.state();
        if was_idle {
            state.dispatch.idle(destination, false);
        }
        let job = if state.closing { None } else { state.dispatch.take(destination) };
        if job.is_none() && stays {
            state.dispatch.idle(destination, true);
        }
        job
    }

    /// Hands an outcome to the clerk.
    async fn tell(&self, outcome: Outcome) {
        self.untold.fetch_add(1, Relaxed);
        if self.outcomes.send(outcome).await.is_err() {
            self.untold.fetch_sub(1, Relaxed);
        }
    }

    /// Items whose rows say what became of them. `later` when some of these are due again.
    fn settled(&self, places: impl Iterator<Item = (MessageId, u32)>, outcomes: usize, later: bool) {
        let mut state = self.state();
        let places: Vec<_> = places.collect();
        if let Some(settled) = &mut state.settled_meanwhile {
            settled.extend(&places);
        }
        state.dispatch.settled(places);
        let wanted = later || state.starved;
        drop(state);
        self.untold.fetch_sub(outcomes, Relaxed);
        if wanted {
            self.feeder.notify_one();
        }
        self.progress.notify_waiters();
    }
}

impl State {
    fn leave_to_feeder(&mut self, row: Key) {
        self.fresh_from = Some(self.fresh_from.take().map_or(row.clone(), |from| from.min(row)));
    }
}

/// The destination of an address: its route, or its domain.
fn destination_of(options: &QueueOptions, address: &Address) -> Destination {
    match options.routes.of(&address.domain) {
        Some(way) => format!("route {}", way.server).into(),
        None => address.domain.ascii().unwrap_or_else(|| address.domain.to_string()).into(),
    }
}

fn decode(key: &Key, row: &Row) -> Result<Item> {
    let damaged = |malformed| Error::Damaged(format!("the queue's row {key}: {malformed}").into());
    Item::decode(key, &row.value).map_err(damaged)
}
