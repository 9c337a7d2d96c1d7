//! The thread that commits: it takes what waits, as one group, writes one record to the log, syncs once
//! when any of the group asked for it, and answers them all.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use doorway_base::Limit;
use rusqlite::Connection;

use crate::answer::Promise;
use crate::batch::{Batch, Changes, Durability, Receipt, apply};
use crate::error::{Error, Result};
use crate::io::embedded::Shared;
use crate::io::flusher::Work;
use crate::io::log::{Log, Slot};
use crate::io::metrics::count;
use crate::io::sqlite;
use crate::key::Key;
use crate::lock::{lock, read, write};
use crate::log;

/// Octets of batches after which a group takes no more.
const GROUP_OCTETS_MAX: usize = 8 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) batch: Batch,
    pub(crate) promise: Promise<Receipt>,
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// Who wants everything in the database.
    flushes: Vec<Promise<u64>>,
    /// Log files that are free again.
    recycled: Vec<Slot>,
    /// Something other than a job has happened.
    stirred: bool,
    /// The writer sleeps and must be woken.
    asleep: bool,
    closing: bool,
}

/// Batches that wait for the log.
#[derive(Debug)]
pub(crate) struct CommitQueue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    max: usize,
}

/// What the writer takes from the queue at once.
struct Taken {
    jobs: Vec<Job>,
    flushes: Vec<Promise<u64>>,
    recycled: Vec<Slot>,
    closing: bool,
}

impl CommitQueue {
    pub(crate) fn new(max: usize) -> Self {
        Self { waiting: Mutex::default(), filled: Condvar::new(), max }
    }

    /// Batches that wait now.
    pub(crate) fn depth(&self) -> usize {
        lock(&self.waiting).jobs.len()
    }

    /// Adds a batch.
    ///
    /// # Errors
    /// What the batch was answered with, when it could not be added.
    pub(crate) fn push(&self, job: Job) -> Result<()> {
        let mut waiting = lock(&self.waiting);
        let refusal = if waiting.closing {
            Error::Closed
        } else if waiting.jobs.len() >= self.max {
            Limit::new("store.queue_max", self.max as u64).into()
        } else {
            waiting.jobs.push_back(job);
            self.wake(waiting);
            return Ok(());
        };
        drop(waiting);
        job.promise.keep(Err(refusal.clone()));
        Err(refusal)
    }

    /// Asks for everything committed so far to be in the database.
    pub(crate) fn flush(&self, promise: Promise<u64>) {
        let mut waiting = lock(&self.waiting);
        waiting.flushes.push(promise);
        self.wake(waiting);
    }

    /// Gives log files back.
    pub(crate) fn recycle(&self, slots: Vec<Slot>) {
        let mut waiting = lock(&self.waiting);
        waiting.recycled.extend(slots);
        waiting.stirred = true;
        self.wake(waiting);
    }

    /// Makes the writer look round.
    pub(crate) fn stir(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.stirred = true;
        self.wake(waiting);
    }

    /// Ends the writer after what waits.
    pub(crate) fn close(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.closing = true;
        self.wake(waiting);
    }

    fn wake(&self, mut waiting: std::sync::MutexGuard<'_, Waiting>) {
        // One wake-up per sleep: the others of a burst find the writer on its way.
        let asleep = std::mem::take(&mut waiting.asleep);
        drop(waiting);
        if asleep {
            self.filled.notify_one();
        }
    }

    /// Waits until something is there. With `jobs_max` 0 the batches stay where they are.
    fn take(&self, jobs_max: usize) -> Taken {
        let mut waiting = lock(&self.waiting);
        while (jobs_max == 0 || waiting.jobs.is_empty())
            && waiting.flushes.is_empty()
            && !waiting.stirred
            && !waiting.closing
        {
            waiting.asleep = true;
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.asleep = false;
        waiting.stirred = false;
        let mut octets = 0;
        let mut count = 0;
        for job in waiting.jobs.iter().take(jobs_max) {
            if octets > GROUP_OCTETS_MAX {
                break;
            }
            octets += job.batch.octets();
            count += 1;
        }
        Taken {
            jobs: waiting.jobs.drain(..count).collect(),
            flushes: std::mem::take(&mut waiting.flushes),
            recycled: std::mem::take(&mut waiting.recycled),
            closing: waiting.closing && waiting.jobs.is_empty(),
        }
    }
}

/// The committing thread's own things.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) log: Log,
    /// Reads what conditional batches look at.
    pub(crate) connection: Connection,
    /// Number of the last commit.
    pub(crate) seq: u64,
    pub(crate) record: Vec<u8>,
    pub(crate) flushes: Vec<Promise<u64>>,
}

/// Batches that are written together.
#[derive(Default)]
struct Group {
    changes: Changes,
    answers: Vec<(Promise<Receipt>, Receipt)>,
    /// Told once the group can be read: whoever conflicts with it reads again, and has to see it.
    refused: Vec<(Promise<Receipt>, Error)>,
    batches: Vec<Batch>,
    sync: bool,
}

impl Writer {
    /// Commits until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        loop {
            let room = self.make_room();
            let taken = self.shared.commits.take(if room { self.shared.config.group_max } else { 0 });
            for slot in taken.recycled {
                self.log.recycle(slot);
            }
            self.flushes.extend(taken.flushes);
            if !taken.jobs.is_empty() {
                self.commit(taken.jobs);
            }
            if taken.closing || (!room && self.shared.commits.is_closing()) {
                break;
            }
        }
        // What was only promised to survive the process gets the disk's promise too when there is time.
        if self.shared.failed().is_none()
            && let Err(error) = self.log.sync()
        {
            self.shared.fail(&format!("fdatasync of the commit log: {error}"));
        }
    }

    /// Goes on in another log file when this one is full enough; false when commits have to wait for
    /// the database.
    fn make_room(&mut self) -> bool {
        let config = &self.shared.config;
        let full_enough = self.log.octets() >= config.flush_octets;
        let much_too_full = self.log.octets() >= config.log_octets_max;
        if self.shared.failed().is_some() {
            self.flushes.clear();
            return true; // batches are taken in order to be refused
        }
        if !full_enough && self.flushes.is_empty() {
            return true;
        }
        if read(&self.shared.tables).frozen.is_some() {
            // While the database has no room, commits are taken in order to be refused.
            return !much_too_full || self.shared.desk.stuck().is_some();
        }
        if read(&self.shared.tables).active.is_empty() {
            for promise in self.flushes.drain(..) {
                promise.keep(Ok(self.seq));
            }
            if !full_enough {
                return true;
            }
        }
        match self.log.rotate(self.seq) {
            Ok(slot) => {
                let changes = {
                    let mut tables = write(&self.shared.tables);
                    let changes = Arc::new(std::mem::take(&mut tables.active));
                    tables.frozen = Some(Arc::clone(&changes));
                    changes
                };
                let promises = std::mem::take(&mut self.flushes);
                self.shared.desk.leave(Work { changes, seq: self.seq, slots: vec![slot], promises });
            }
            Err(Error::Failed(why)) => self.shared.fail(&why),
            // Most likely the disk is full: the present file goes on until it may not.
            Err(error) => {
                for promise in self.flushes.drain(..) {
                    promise.keep(Err(error.clone()));
                }
            }
        }
        true
    }

    fn commit(&mut self, jobs: Vec<Job>) {
        if let Some(error) = self.shared.failed() {
            refuse(jobs.into_iter().map(|job| job.promise), &error);
            return;
        }
        let room = self.room();
        let mut group = Group::default();
        for job in jobs {
            let refusal = if job.batch.only_deletes() { None } else { room.as_ref().err() };
            match refusal {
                Some(error) => job.promise.keep(Err(error.clone())),
                None => self.join(job, &mut group),
            }
        }
        let refused = std::mem::take(&mut group.refused);
        if !group.answers.is_empty() {
            self.write(group);
        }
        for (promise, error) in refused {
            promise.keep(Err(error));
        }
    }

    /// Whether there is room for new rows. Removing some is tried even when there is none.
    fn room(&self) -> Result<()> {
        let config = &self.shared.config;
        if self.log.octets() >= config.log_octets_max
            && let Some(error) = self.shared.desk.stuck()
        {
            return Err(error);
        }
        match self.shared.disk.free_octets(&self.shared.layout.folder) {
            Ok(free) if free < config.min_free => Err(Error::Full { free, min_free: config.min_free }),
            _ => Ok(()),
        }
    }

    /// Does a batch on top of the group so far, or answers why not.
    fn join(&self, job: Job, group: &mut Group) {
        let Job { batch, promise } = job;
        let next = self.seq + group.answers.len() as u64 + 1;
        let tables = read(&self.shared.tables);
        let done = apply(&batch, next, |key| {
            match group.changes.get(key).or_else(|| tables.find(key)) {
                Some(change) => Ok(change.row()),
                // Nobody but this thread changes rows, so the database cannot be newer than the tables.
                None => sqlite::row(&self.connection, key),
            }
        });
        drop(tables);
        match done {
            Ok((receipt, changes)) => {
                group.sync |= batch.durability == Durability::Disk;
                group.changes.extend(changes);
                group.answers.push((promise, receipt));
                group.batches.push(batch);
            }
            Err(error) => {
                if matches!(error, Error::Conflict(_)) {
                    count(&self.shared.counters.conflicts, 1);
                }
                group.refused.push((promise, error));
            }
        }
    }

    fn write(&mut self, group: Group) {
        let Group { changes, answers, batches, sync, .. } = group;
        let (first, last) = (self.seq + 1, self.seq + answers.len() as u64);
        log::encode(&mut self.record, self.log.epoch(), first, last, &changes);
        let promises =
            |answers: Vec<(Promise<Receipt>, Receipt)>| answers.into_iter().map(|(promise, _)| promise);
        if let Err(error) = self.log.append(&self.record) {
            let error = match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => self.shared.full(),
                _ => Error::local("cannot write to the commit log", error),
            };
            refuse(promises(answers), &error);
            return;
        }
        if sync && let Err(error) = self.sync() {
            self.shared.fail(&format!("fdatasync of the commit log: {error}"));
            let error = self.shared.failed().unwrap_or(Error::Closed);
            refuse(promises(answers), &error);
            return;
        }
        self.seq = last;
        let counters = &self.shared.counters;
        count(&counters.groups, 1);
        count(&counters.commits, answers.len() as u64);
        count(&counters.log_octets, self.record.len() as u64);
        counters.group_max.fetch_max(answers.len() as u64, std::sync::atomic::Ordering::Relaxed);
        let keys: Vec<Key> =
            if self.shared.watches.is_empty() { Vec::new() } else { changes.keys().cloned().collect() };
        write(&self.shared.tables).active.extend(changes);
        self.shared.watches.tell(keys.iter(), last);
        // Blobs that the group speaks of are held until its rows can be seen.
        drop(batches);
        for (promise, receipt) in answers {
            promise.keep(Ok(receipt));
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let clock = self.shared.clock.clone();
        let before = clock.as_ref().map(|now| now());
        let synced = self.log.sync();
        count(&self.shared.counters.syncs, 1);
        if let (Some(now), Some(before)) = (clock, before) {
            let nanos = now().since(before).as_nanos();
            count(&self.shared.counters.sync_nanos, u64::try_from(nanos).unwrap_or(u64::MAX));
        }
        synced
    }
}

impl CommitQueue {
    fn is_closing(&self) -> bool {
        lock(&self.waiting).closing
    }
}

fn refuse(promises: impl Iterator<Item = Promise<Receipt>>, error: &Error) {
    for promise in promises {
        promise.keep(Err(error.clone()));
    }
}
