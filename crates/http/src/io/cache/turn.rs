//! Who asks the origin: of all requests that wait for the same response, one. The others get what it brings
//! while it still arrives; if it fails, the next one asks, and after a second failure nobody does.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use doorway_base::Instant;
use doorway_net::web::Bytes;

use super::fill::Filling;
use super::{Cache, Object, Refused, lock};
use crate::cache::{Key, Stored};

/// How long it is remembered that a response could not be kept: until then each request asks for itself.
pub const NOT_KEPT: Duration = Duration::from_secs(120);
/// Most requests that wait for one response; further ones ask for themselves.
pub const WAITERS_MAX: usize = 16_384;
/// Targets of which it is remembered that their responses could not be kept.
const MARKS_MAX: usize = 65_536;
/// After so many failures in a row nobody who waits tries again.
const FAILURES_MAX: u32 = 2;

/// What a request for a response that is not here does now.
#[derive(Debug)]
pub enum Turn {
    /// It asks the origin, and others wait for it.
    Lead(Lead),
    /// It waits for one that asks already.
    Wait(Wait),
    /// It asks the origin for itself: the last response could not be kept, or too many wait.
    Alone,
}

/// What became of the request that was waited for.
#[derive(Debug)]
pub enum Outcome {
    /// It brought a response, the content of which may still be arriving.
    Object(Arc<Object>),
    /// Its response is for nobody else: ask the origin for yourself.
    NotKept,
    /// It failed, or its client went away, and it is now the turn of this one.
    Lead(Lead),
    /// Two in a row failed: do without the origin.
    Failed,
}

/// Requests that are under way or waited for.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    // Looked up, never iterated.
    queues: HashMap<u64, Arc<Queue>>,
    marks: HashMap<u64, Instant>,
    /// Marks in the order in which they were set.
    marked: VecDeque<u64>,
}

/// Those who wait for one response.
#[derive(Debug, Default)]
struct Queue(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    settled: Option<Settled>,
    /// Whether the first of those who wait is to lead.
    vacant: bool,
    failures: u32,
    waiting: BTreeMap<u64, Option<Waker>>,
    next: u64,
}

#[derive(Debug, Clone)]
enum Settled {
    Object(Arc<Object>),
    NotKept,
    Failed,
}

impl Turns {
    /// A turn for the response that `number` stands for.
    pub(super) fn take(&self, cache: &Arc<Cache>, key: &Key, number: u64) -> Turn {
        let mut table = lock(&self.0);
        if let Some(until) = table.marks.get(&number).copied() {
            if cache.tiers.now() < until {
                return Turn::Alone;
            }
            table.marks.remove(&number);
        }
        if let Some(queue) = table.queues.get(&number) {
            let mut waiting = lock(&queue.0);
            if waiting.waiting.len() >= WAITERS_MAX {
                return Turn::Alone;
            }
            let place = waiting.next;
            waiting.next += 1;
            waiting.waiting.insert(place, None);
            drop(waiting);
            let party =
                Party { cache: Arc::clone(cache), key: key.clone(), number, queue: Arc::clone(queue) };
            return Turn::Wait(Wait { party, place, over: false });
        }
        let queue = Arc::new(Queue::default());
        table.queues.insert(number, Arc::clone(&queue));
        drop(table);
        let party = Party { cache: Arc::clone(cache), key: key.clone(), number, queue };
        Turn::Lead(Lead::new(party))
    }

    /// Requests under way for which others may wait.
    pub(super) fn len(&self) -> usize {
        lock(&self.0).queues.len()
    }

    /// Ends the waiting of all in the same way.
    fn settle(&self, party: &Party, settled: Settled, marked_until: Option<Instant>) {
        let mut table = lock(&self.0);
        table.queues.remove(&party.number);
        if let Some(until) = marked_until {
            table.mark(party.number, until);
        }
        drop(table);
        wake_all(party.queue.settle(settled));
    }

    /// Hands the lead to the first of those who wait, after so many failures more.
    fn hand_on(&self, party: &Party, failures: u32) {
        let mut table = lock(&self.0);
        let mut waiting = lock(&party.queue.0);
        waiting.failures += failures;
        if waiting.waiting.is_empty() || waiting.failures >= FAILURES_MAX {
            table.queues.remove(&party.number);
            drop((waiting, table));
            wake_all(party.queue.settle(Settled::Failed));
            return;
        }
        drop(table);
        waiting.vacant = true;
        let first = waiting.wake_first();
        drop(waiting);
        wake_all(first);
    }

    /// Takes one who waits no longer out of the queue.
    fn leave(&self, party: &Party, place: u64) {
        let mut table = lock(&self.0);
        let mut waiting = lock(&party.queue.0);
        waiting.waiting.remove(&place);
        let mut wake = None;
        if waiting.vacant {
            if waiting.waiting.is_empty() {
                table.queues.remove(&party.number);
            }
            wake = waiting.wake_first();
        }
        drop((waiting, table));
        wake_all(wake);
    }
}

impl Table {
    fn mark(&mut self, number: u64, until: Instant) {
        if self.marks.insert(number, until).is_none() {
            self.marked.push_back(number);
        }
        while self.marked.len() > MARKS_MAX
            && let Some(oldest) = self.marked.pop_front()
        {
            self.marks.remove(&oldest);
        }
    }
}

impl Queue {
    fn settle(&self, settled: Settled) -> Vec<Waker> {
        let mut waiting = lock(&self.0);
        waiting.settled = Some(settled);
        waiting.waiting.values_mut().filter_map(Option::take).collect()
    }
}

impl Waiting {
    fn wake_first(&mut self) -> Option<Waker> {
        self.waiting.first_entry().and_then(|mut first| first.get_mut().take())
    }
}

fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}

#[derive(Debug, Clone)]
struct Party {
    cache: Arc<Cache>,
    key: Key,
    number: u64,
    queue: Arc<Queue>,
}

/// The duty to ask the origin for all who wait. Dropped without a word, as when its client goes away, it
/// falls to the next one.
#[derive(Debug)]
#[must_use = "others wait for what it brings"]
pub struct Lead {
    party: Party,
    /// How many purges there had been when the origin was asked.
    purges: u64,
    over: bool,
}

impl Lead {
    fn new(party: Party) -> Self {
        let purges = party.cache.tiers.orders_so_far();
        Self { party, purges, over: false }
    }

    /// The head came, and the response may be kept: whoever waits reads the content along from here on.
    /// `octets` is its length, where that is known.
    ///
    /// # Errors
    /// [`Refused`] when it will not be kept after all, which those who wait are told as
    /// [`Outcome::NotKept`].
    pub fn begin(mut self, stored: Stored, octets: Option<u64>) -> Result<Filling, Refused> {
        let begun = Filling::begin(&self.party.cache.tiers, &self.party.key, stored, octets, self.purges);
        match &begun {
            Ok(filling) => self.settle(Settled::Object(Arc::clone(filling.object()))),
            Err(refused) => self.set_not_kept(refused.lasts()),
        }
        begun
    }

    /// The same for a response that is here as a whole.
    ///
    /// # Errors
    /// As for [`Lead::begin`].
    pub fn keep(mut self, stored: Stored, content: Bytes) -> Result<Arc<Object>, Refused> {
        let octets = content.len() as u64;
        let begun =
            Filling::begin(&self.party.cache.tiers, &self.party.key, stored, Some(octets), self.purges);
        match begun.and_then(|filling| filling.finish_with(content)) {
            Ok(object) => {
                self.settle(Settled::Object(Arc::clone(&object)));
                Ok(object)
            }
            Err(refused) => {
                self.set_not_kept(refused.lasts());
                Err(refused)
            }
        }
    }

    /// What the origin confirmed: those who wait get it ([`Cache::refresh`] gives it).
    pub fn confirmed(mut self, object: &Arc<Object>) {
        self.settle(Settled::Object(Arc::clone(object)));
    }

    /// The response is for this request alone: everybody asks for themselves for [`NOT_KEPT`].
    pub fn not_kept(mut self) {
        self.set_not_kept(true);
    }

    /// The origin gave no answer: the next one tries.
    pub fn failed(mut self) {
        self.over = true;
        self.party.cache.turns.hand_on(&self.party, 1);
    }

    /// The response is for this request alone, which says nothing about those of others: the next one tries.
    pub fn handed_on(self) {}

    fn set_not_kept(&mut self, lasts: bool) {
        self.over = true;
        let until = lasts.then(|| self.party.cache.tiers.now() + NOT_KEPT);
        self.party.cache.turns.settle(&self.party, Settled::NotKept, until);
    }

    fn settle(&mut self, settled: Settled) {
        self.over = true;
        self.party.cache.turns.settle(&self.party, settled, None);
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if !self.over {
            self.party.cache.turns.hand_on(&self.party, 0);
        }
    }
}

/// Waiting for what another request brings.
#[derive(Debug)]
#[must_use = "nobody waits unless it is awaited"]
pub struct Wait {
    party: Party,
    place: u64,
    over: bool,
}

impl Future for Wait {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let place = self.place;
        let queue = Arc::clone(&self.party.queue);
        let mut waiting = lock(&queue.0);
        let outcome = match &waiting.settled {
            Some(Settled::Object(object)) => Outcome::Object(Arc::clone(object)),
            Some(Settled::NotKept) => Outcome::NotKept,
            Some(Settled::Failed) => Outcome::Failed,
            None if waiting.vacant && waiting.waiting.first_key_value().is_some_and(|(p, _)| *p == place) => {
                waiting.vacant = false;
                Outcome::Lead(Lead::new(self.party.clone()))
            }
            None => {
                waiting.waiting.insert(place, Some(cx.waker().clone()));
                return Poll::Pending;
            }
        };
        waiting.waiting.remove(&place);
        drop(waiting);
        self.over = true;
        Poll::Ready(outcome)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if !self.over {
            self.party.cache.turns.leave(&self.party, self.place);
        }
    }
}
