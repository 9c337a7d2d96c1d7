//! What is due, sorted by destination: which messages wait for which host, how many connections may work
//! on them, and which destinations are left alone for a while. All of it in memory and bounded; what does
//! not fit stays in the store.
//!
//! A destination that does not answer costs one connection attempt and then nothing: its items are handed
//! back to be put off, and no other destination waits for it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use doorway_base::Instant;

use super::item::Item;
use crate::id::MessageId;
use crate::reply::Reply;

/// How long a destination is left alone after it could not be reached once; twice as long after each
/// further time.
const BLOCK_MIN: Duration = Duration::from_secs(30);
/// The longest of these times.
const BLOCK_MAX: Duration = Duration::from_secs(15 * 60);

/// What finds no room may come back after this time.
const TURNED_AWAY_MIN: Duration = Duration::from_secs(5);
/// What finds no room comes back at this pace, in items a second, so that it is not turned away again and
/// again.
const TURNED_AWAY_RATE: u64 = 500;

/// The recipients of one message at one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The message.
    pub id: MessageId,
    /// Its recipients there; at least one.
    pub items: Vec<Item>,
}

/// Names a destination: a domain, or a route that several domains share.
pub type Destination = Arc<str>;

/// How much is done at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections to one destination.
    pub connections_per_destination: usize,
    /// Connections in all.
    pub connections: usize,
    /// Items in memory.
    pub items: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections_per_destination: 20, connections: 500, items: 40_000 }
    }
}

/// Why a destination is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The host that was tried last; empty when there was none.
    pub host: String,
    /// What it said, or what happened instead.
    pub reply: Reply,
    /// Until when.
    pub until: Instant,
}

/// What became of a job that was offered.
#[derive(Debug, PartialEq, Eq)]
pub enum Offer {
    /// It waits for a connection that exists.
    Taken,
    /// It waits, and another connection may be opened for it: [`Dispatch::connection_closed`] has to be
    /// called once that is over.
    Connect,
    /// There is no room; it may be offered again after this time.
    Full(Job, Duration),
    /// The destination is left alone.
    Blocked(Job, Trouble),
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    items: usize,
    connections: usize,
    /// Connections that have nothing to do.
    idle: usize,
    failures: u32,
    /// Items that were not taken in since one last was.
    turned_away: u64,
    trouble: Option<Trouble>,
    /// It stands in the line for a connection.
    in_line: bool,
}

/// What is due.
#[derive(Debug)]
pub struct Dispatch {
    bounds: Bounds,
    destinations: BTreeMap<Destination, Waiting>,
    /// Items in memory: waiting, or in the hands of a connection.
    held: BTreeSet<(MessageId, u32)>,
    connections: usize,
    /// Destinations that want a connection and could not have one because of the bound on all of them.
    line: VecDeque<Destination>,
}

impl Dispatch {
    /// Nothing is due.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            destinations: BTreeMap::new(),
            held: BTreeSet::new(),
            connections: 0,
            line: VecDeque::new(),
        }
    }

    /// How many more items fit.
    #[must_use]
    pub fn room(&self) -> usize {
        self.bounds.items.saturating_sub(self.held.len())
    }

    /// Items in memory.
    #[must_use]
    pub fn items(&self) -> usize {
        self.held.len()
    }

    /// Connections that are open or being opened.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections
    }

    /// Whether an item is in memory: waiting or being sent.
    #[must_use]
    pub fn holds(&self, id: MessageId, number: u32) -> bool {
        self.held.contains(&(id, number))
    }

    /// Offers a job. One destination may have as many items here as there is room left for others.
    pub fn offer(&mut self, now: Instant, destination: &Destination, job: Job) -> Offer {
        let room = self.room();
        let waiting = self.destinations.entry(Arc::clone(destination)).or_default();
        if let Some(trouble) = waiting.trouble.clone() {
            if now < trouble.until {
                return Offer::Blocked(job, trouble);
            }
            waiting.trouble = None;
        }
        if job.items.len() > room || waiting.items + job.items.len() > room {
            waiting.turned_away += job.items.len() as u64;
            let wait = TURNED_AWAY_MIN + Duration::from_secs(waiting.turned_away / TURNED_AWAY_RATE);
            self.tidy(destination);
            return Offer::Full(job, wait);
        }
        waiting.turned_away = 0;
        waiting.items += job.items.len();
        for item in &job.items {
            self.held.insert((item.id, item.number));
        }
        waiting.jobs.push_back(job);
        self.wish(destination)
    }

    /// Whether a destination with jobs is to have one more connection.
    fn wish(&mut self, destination: &Destination) -> Offer {
        let Some(waiting) = self.destinations.get_mut(destination) else { return Offer::Taken };
        let enough = waiting.idle >= waiting.jobs.len();
        if enough || waiting.connections >= self.bounds.connections_per_destination {
            return Offer::Taken;
        }
        if self.connections >= self.bounds.connections {
            if !waiting.in_line {
                waiting.in_line = true;
                self.line.push_back(Arc::clone(destination));
            }
            return Offer::Taken;
        }
        waiting.connections += 1;
        self.connections += 1;
        Offer::Connect
    }

    /// Counts items as in memory while somebody else decides about them; [`Dispatch::settled`] ends that.
    pub fn hold(&mut self, job: &Job) {
        self.held.extend(job.items.iter().map(|item| (item.id, item.number)));
    }

    /// Whether connections work on a destination.
    #[must_use]
    pub fn is_connected(&self, destination: &Destination) -> bool {
        self.destinations.get(destination).is_some_and(|waiting| waiting.connections > 0)
    }

    /// The next job of a destination, for a connection that is free.
    pub fn take(&mut self, destination: &Destination) -> Option<Job> {
        let waiting = self.destinations.get_mut(destination)?;
        let job = waiting.jobs.pop_front()?;
        waiting.items -= job.items.len();
        Some(job)
    }

    /// A connection has nothing to do, or has again.
    pub fn idle(&mut self, destination: &Destination, idle: bool) {
        if let Some(waiting) = self.destinations.get_mut(destination) {
            waiting.idle = if idle { waiting.idle + 1 } else { waiting.idle.saturating_sub(1) };
        }
    }

    /// The destination answers.
    pub fn reached(&mut self, destination: &Destination) {
        if let Some(waiting) = self.destinations.get_mut(destination) {
            waiting.failures = 0;
        }
    }

    /// Somebody wants the destination to be tried now, however it was the last time.
    pub fn unblock(&mut self, destination: &Destination) {
        if let Some(waiting) = self.destinations.get_mut(destination) {
            waiting.trouble = None;
        }
    }

    /// The destination cannot be reached, or wants to be left alone: what waits for it comes back, to be
    /// put off.
    pub fn block(
        &mut self,
        now: Instant,
        destination: &Destination,
        host: &str,
        reply: &Reply,
    ) -> (Vec<Job>, Trouble) {
        let waiting = self.destinations.entry(Arc::clone(destination)).or_default();
        let span = BLOCK_MIN.saturating_mul(1 << waiting.failures.min(10)).min(BLOCK_MAX);
        // Connections that fail at the same time are one failure.
        if waiting.trouble.as_ref().is_none_or(|trouble| trouble.until <= now) {
            waiting.failures += 1;
        }
        let until = waiting.trouble.as_ref().map_or(Instant::ZERO, |trouble| trouble.until).max(now + span);
        let trouble = Trouble { host: host.to_owned(), reply: reply.clone(), until };
        waiting.trouble = Some(trouble.clone());
        waiting.items = 0;
        (waiting.jobs.drain(..).collect(), trouble)
    }

    /// A connection is over. Another destination may open one in its place.
    pub fn connection_closed(&mut self, destination: &Destination) -> Option<Destination> {
        self.connections = self.connections.saturating_sub(1);
        if let Some(waiting) = self.destinations.get_mut(destination) {
            waiting.connections = waiting.connections.saturating_sub(1);
        }
        let mut next = None;
        // Its own jobs may have come while it was closing.
        if self.wish(destination) == Offer::Connect {
            next = Some(Arc::clone(destination));
        }
        while next.is_none() && self.connections < self.bounds.connections {
            let Some(first) = self.line.pop_front() else { break };
            if let Some(waiting) = self.destinations.get_mut(&first) {
                waiting.in_line = false;
            }
            if self.wish(&first) == Offer::Connect {
                next = Some(first);
            }
        }
        self.tidy(destination);
        next
    }

    /// What became of these items is in the store: they are no more held here.
    pub fn settled(&mut self, items: impl IntoIterator<Item = (MessageId, u32)>) {
        for place in items {
            self.held.remove(&place);
        }
    }

    /// Takes the waiting items of a message out, for whoever changes them in the store. `false` when some
    /// are being sent right now; nothing is taken then.
    pub fn withdraw(&mut self, id: MessageId) -> bool {
        let held = self.held.range((id, 0)..=(id, u32::MAX)).count();
        if held == 0 {
            return true;
        }
        let of = |job: &Job| if job.id == id { job.items.len() } else { 0 };
        let waiting: usize = self.destinations.values().flat_map(|waiting| &waiting.jobs).map(of).sum();
        if waiting != held {
            return false;
        }
        for waiting in self.destinations.values_mut() {
            waiting.items -= waiting.jobs.iter().map(of).sum::<usize>();
            waiting.jobs.retain(|job| job.id != id);
        }
        self.held.retain(|(held, _)| *held != id);
        true
    }

    /// Forgets destinations that nobody waits for and whose trouble is over.
    pub fn sweep(&mut self, now: Instant) {
        self.destinations.retain(|_, waiting| {
            let troubled = waiting.trouble.as_ref().is_some_and(|trouble| now < trouble.until + BLOCK_MAX);
            waiting.connections > 0 || !waiting.jobs.is_empty() || troubled || waiting.in_line
        });
    }

    fn tidy(&mut self, destination: &Destination) {
        let is_done = |waiting: &Waiting| {
            waiting.connections == 0
                && waiting.jobs.is_empty()
                && waiting.trouble.is_none()
                && waiting.failures == 0
                && !waiting.in_line
        };
        if self.destinations.get(destination).is_some_and(is_done) {
            self.destinations.remove(destination);
        }
    }
}

#[cfg(test)]
mod tests;
