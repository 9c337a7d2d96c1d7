//! Reads what is due from the store, a page at a time and only as much as there is room for.
//!
//! Rows are read while other tasks send and remove items, so a page may tell of an item that is being sent,
//! or of one that was removed meanwhile. The first are known ([`Dispatch::holds`]); the second are noted
//! for as long as a page is read ([`super::State::settled_meanwhile`]).
//!
//! [`Dispatch::holds`]: crate::queue::Dispatch::holds

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use doorway_base::UnixTime;
use doorway_store::{Batch, Durability, Key, Range, Result, ScanOptions};

use super::{Inner, Outcome, decode, destination_of};
use crate::queue::dispatch::{Destination, Job, Offer};
use crate::queue::item::{self, DUE, FRESH, Item, LATER};
use crate::queue::schedule::WAIT_MAX;
use crate::queue::verdict::Verdict;

/// Most rows that are read at a time.
const PAGE_ROWS: usize = 500;
/// The feeder looks at the clock at least this often.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// It looks no more often than this: while its clock is slowed down, time to wait never quite runs out.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// How long it waits when the store cannot be read.
const STORE_WAIT: Duration = Duration::from_secs(5);
/// How often old history and destinations that nobody asks for are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// Reads for ever.
pub(super) async fn run(inner: Arc<Inner>) {
    let mut sweep_at = inner.world.now();
    loop {
        if inner.world.now() >= sweep_at {
            sweep_at = inner.world.now() + SWEEP_EVERY;
            inner.state().dispatch.sweep(inner.world.now());
            if let Err(error) = inner.history.sweep(inner.time()).await {
                tracing::warn!(%error, "old history of messages could not be removed");
            }
        }
        let pause = match inner.feed().await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::warn!(%error, "the queue cannot be read");
                STORE_WAIT
            }
        };
        let _ = inner.world.timeout(pause, inner.feeder.notified()).await;
    }
}

/// Which rows a page is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// Items that were never tried.
    Fresh,
    /// Items that are due again.
    Due,
    /// Items that are due so far ahead that the clock must have been wrong.
    Ahead,
}

impl Inner {
    /// Fills what is in memory; how long there is nothing to do.
    async fn feed(self: &Arc<Self>) -> Result<Duration> {
        for source in [Source::Fresh, Source::Due, Source::Ahead] {
            while self.feed_page(source).await? {}
        }
        let now = self.time();
        let from = self.state().due_from.clone();
        let range = Range { start: from, ..Range::prefix(&Key::from(DUE)) };
        let next =
            self.bodies.store().scan(range, ScanOptions { limit: 1, ..ScanOptions::default() }).await?;
        let due = next.rows.first().and_then(|(key, _)| due_of(key));
        Ok(due.map_or(PAUSE_MAX, |due| (due - now).clamp(PAUSE_MIN, PAUSE_MAX)))
    }

    /// Reads one page; whether there may be more of it.
    async fn feed_page(self: &Arc<Self>, source: Source) -> Result<bool> {
        let now = self.time();
        let soon = Key::from(DUE).join_number((now + Duration::from_secs(1)).as_secs());
        let range = {
            let mut state = self.state();
            state.starved = state.dispatch.room() < PAGE_ROWS;
            if state.closing || state.starved {
                return Ok(false);
            }
            let (start, end) = match source {
                Source::Fresh => (state.fresh_from.take(), Range::prefix(&Key::from(FRESH)).end),
                Source::Due => (Some(std::mem::replace(&mut state.due_from, soon.clone())), Some(soon)),
                Source::Ahead => (state.ahead_from.take(), Range::prefix(&Key::from(DUE)).end),
            };
            let Some(start) = start else { return Ok(false) };
            let ahead = Key::from(DUE).join_number((now + WAIT_MAX).as_secs());
            let start = if source == Source::Ahead { start.max(ahead) } else { start };
            state.reading_from = (source == Source::Fresh).then(|| start.clone());
            state.settled_meanwhile = Some(BTreeSet::new());
            Range { start, end }
        };
        let read = self.read_page(source, &range).await;
        let mut turned_away = Vec::new();
        let more = {
            let mut state = self.state();
            let settled = state.settled_meanwhile.take().unwrap_or_default();
            state.reading_from = None;
            let (items, rest) = match read {
                Ok(read) => read,
                Err(error) => {
                    state.read_again(source, range.start);
                    return Err(error);
                }
            };
            let wanted = |item: &Item| {
                !state.dispatch.holds(item.id, item.number)
                    && !settled.contains(&(item.id, item.number))
                    && !state.changing.contains(&item.id)
            };
            let items: Vec<Item> = items.into_iter().filter(wanted).collect();
            let more = rest.is_some();
            if let Some(rest) = rest {
                state.read_again(source, rest.start);
            }
            drop(state);
            for (destination, job) in
                jobs(items, |item| destination_of(&self.options, &item.recipient.address))
            {
                turned_away.extend(self.offer(&destination, job));
            }
            more
        };
        for outcome in turned_away {
            self.tell(outcome).await;
        }
        Ok(more)
    }

    /// The items of a page, and where the next one begins. Items of rows that cannot be read are left out.
    async fn read_page(&self, source: Source, range: &Range) -> Result<(Vec<Item>, Option<Range>)> {
        let store = self.bodies.store();
        let options = ScanOptions { limit: PAGE_ROWS, ..ScanOptions::default() };
        let page = store.scan(range.clone(), options).await?;
        let rest = page.rest(range, options);
        let mut items = Vec::with_capacity(page.rows.len());
        let mut take = |decoded: Result<Item>| match decoded {
            Ok(item) => items.push(item),
            Err(error) => tracing::error!(%error, "a queued message cannot be read"),
        };
        if source == Source::Fresh {
            page.rows.iter().for_each(|(key, row)| take(decode(key, row)));
            return Ok((items, rest));
        }
        let places: Vec<_> = page.rows.iter().filter_map(|(key, _)| item::place_of(key)).collect();
        let keys: Vec<Key> = places.iter().map(|(id, number)| item::item_key(LATER, *id, *number)).collect();
        let mut stale = Batch::new().durability(Durability::Process);
        let mut stale_rows = 0;
        for ((due, _), (key, row)) in page.rows.iter().zip(keys.iter().zip(store.get(&keys).await?)) {
            match row.map(|row| decode(key, &row)) {
                // A row of the index that its item does not know is left over from something else.
                Some(Ok(item)) if item.due_key().as_ref() == Some(due) => items.push(item),
                Some(Err(error)) => tracing::error!(%error, "a queued message cannot be read"),
                _ => {
                    stale = stale.delete(due.clone());
                    stale_rows += 1;
                }
            }
        }
        if stale_rows > 0 {
            store.commit(stale).await?;
        }
        Ok((items, rest))
    }

    /// Offers a job that was read from the store. What is not taken is held until it is put off.
    pub(super) fn offer(self: &Arc<Self>, destination: &Destination, job: Job) -> Option<Outcome> {
        let now = self.world.now();
        let mut state = self.state();
        let (job, verdict, host) = match state.dispatch.offer(now, destination, job) {
            Offer::Taken => {
                state.wake(destination);
                return None;
            }
            Offer::Connect => {
                drop(state);
                self.open_connection(destination);
                return None;
            }
            Offer::Full(job, wait) => (job, Verdict::NoRoom(wait), String::new()),
            Offer::Blocked(job, trouble) => {
                (job, Verdict::LeftAlone(trouble.reply, trouble.until - now), trouble.host)
            }
        };
        state.dispatch.hold(&job);
        Some(Outcome { host, ..Outcome::ours(job.items, &verdict) })
    }
}

impl super::State {
    /// Has a source read again from `key` on, at the latest.
    fn read_again(&mut self, source: Source, key: Key) {
        let earlier = |from: Option<Key>| Some(from.map_or(key.clone(), |from| from.min(key.clone())));
        match source {
            Source::Fresh => self.fresh_from = earlier(self.fresh_from.take()),
            Source::Due => self.due_from = self.due_from.clone().min(key),
            Source::Ahead => self.ahead_from = earlier(self.ahead_from.take()),
        }
    }
}

/// Items in the order of the store, as jobs: neighbours of one message for one destination together.
pub(super) fn jobs(items: Vec<Item>, destination: impl Fn(&Item) -> Destination) -> Vec<(Destination, Job)> {
    let mut jobs: Vec<(Destination, Job)> = Vec::new();
    // Where the jobs of the message at hand begin: its recipients may be for several destinations.
    let mut start = 0;
    for item in items {
        let to = destination(&item);
        if jobs.last().is_none_or(|(_, job)| job.id != item.id) {
            start = jobs.len();
        }
        match jobs[start..].iter_mut().find(|(known, _)| *known == to) {
            Some((_, job)) => job.items.push(item),
            None => jobs.push((to, Job { id: item.id, items: vec![item] })),
        }
    }
    jobs
}

/// The time in a key of the index.
fn due_of(key: &Key) -> Option<UnixTime> {
    let (time, _) = key.after(&Key::from(DUE))?.split_first_chunk::<8>()?;
    Some(UnixTime::from_secs(u64::from_be_bytes(*time)))
}
