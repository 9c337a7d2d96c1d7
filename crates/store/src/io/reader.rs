//! The threads that read the database, so that no caller waits for a disk in its own thread.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use doorway_base::Limit;
use rusqlite::Connection;

use crate::answer::{Answer, Promise};
use crate::batch::Row;
use crate::error::{Error, Result};
use crate::io::embedded::Shared;
use crate::io::sqlite;
use crate::io::tables::Overlaid;
use crate::key::{Key, Range};
use crate::lock::{lock, read};
use crate::store::{Page, ScanOptions};

#[derive(Debug)]
enum Job {
    Get { keys: Vec<Key>, promise: Promise<Vec<Option<Row>>> },
    Scan { range: Range, options: ScanOptions, promise: Promise<Page> },
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closing: bool,
}

/// Reads that wait for a thread.
#[derive(Debug)]
pub(crate) struct ReadQueue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    max: usize,
}

impl ReadQueue {
    pub(crate) fn new(max: usize) -> Self {
        Self { waiting: Mutex::default(), filled: Condvar::new(), max }
    }

    pub(crate) fn get(&self, keys: Vec<Key>) -> Answer<Vec<Option<Row>>> {
        let (promise, answer) = Answer::promised();
        self.push(Job::Get { keys, promise });
        answer
    }

    pub(crate) fn scan(&self, range: Range, options: ScanOptions) -> Answer<Page> {
        let (promise, answer) = Answer::promised();
        self.push(Job::Scan { range, options, promise });
        answer
    }

    fn push(&self, job: Job) {
        let mut waiting = lock(&self.waiting);
        let refusal = if waiting.closing {
            Error::Closed
        } else if waiting.jobs.len() >= self.max {
            Limit::new("store.read_queue_max", self.max as u64).into()
        } else {
            waiting.jobs.push_back(job);
            self.filled.notify_one();
            return;
        };
        drop(waiting);
        match job {
            Job::Get { promise, .. } => promise.keep(Err(refusal)),
            Job::Scan { promise, .. } => promise.keep(Err(refusal)),
        }
    }

    fn next(&self) -> Option<Job> {
        let mut waiting = lock(&self.waiting);
        loop {
            if let Some(job) = waiting.jobs.pop_front() {
                return Some(job);
            }
            if waiting.closing {
                return None;
            }
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets the threads finish what waits and end.
    pub(crate) fn close(&self) {
        lock(&self.waiting).closing = true;
        self.filled.notify_all();
    }
}

/// Reads until the queue is closed.
pub(crate) fn run(shared: &Arc<Shared>, connection: &Connection) {
    while let Some(job) = shared.reads.next() {
        match job {
            Job::Get { keys, promise } => promise.keep(rows(shared, connection, &keys)),
            Job::Scan { range, options, promise } => promise.keep(scan(shared, connection, &range, options)),
        }
    }
}

/// A read transaction: everything in it sees the database as it was at one moment.
struct Snapshot<'a>(&'a Connection);

impl<'a> Snapshot<'a> {
    /// Call it while holding the tables: then what they have and what the database has fit together,
    /// because the flusher lets go of its table only after the database has it, and under their lock.
    fn begin(connection: &'a Connection) -> Result<Self> {
        let snapshot = Self(connection);
        connection
            .prepare_cached("BEGIN")
            .and_then(|mut begin| begin.execute([]))
            .map_err(|error| sqlite::translate("cannot begin to read", &error))?;
        // BEGIN alone reads nothing; the first row read fixes the moment.
        sqlite::seq(connection)?;
        Ok(snapshot)
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        // Nothing was written, so nothing can be lost if this fails.
        let _ = self.0.prepare_cached("ROLLBACK").and_then(|mut end| end.execute([]));
    }
}

fn rows(shared: &Shared, connection: &Connection, keys: &[Key]) -> Result<Vec<Option<Row>>> {
    let tables = read(&shared.tables);
    let _snapshot = Snapshot::begin(connection)?;
    let newest: Vec<_> = keys.iter().map(|key| tables.find(key).cloned()).collect();
    drop(tables);
    let found = keys.iter().zip(newest).map(|(key, change)| match change {
        Some(change) => Ok(change.row()),
        None => sqlite::row(connection, key),
    });
    found.collect()
}

fn scan(shared: &Shared, connection: &Connection, range: &Range, options: ScanOptions) -> Result<Page> {
    let tables = read(&shared.tables);
    let _snapshot = Snapshot::begin(connection)?;
    let newer = tables.part(range, options);
    drop(tables);
    let mut overlaid = Overlaid::new(newer, options);
    sqlite::rows(connection, range, options.reverse, |key, row| overlaid.older(key, row))?;
    Ok(overlaid.finish())
}
