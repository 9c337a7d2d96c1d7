//! The thread that lets the database take over what the log has, so that the log's files are free again.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use crate::answer::Promise;
use crate::batch::Changes;
use crate::error::Error;
use crate::io::embedded::Shared;
use crate::io::log::Slot;
use crate::io::metrics::count;
use crate::io::sqlite;
use crate::lock::{lock, write};

/// How long the flusher waits for room before it tries again.
const FULL_WAIT: Duration = Duration::from_millis(500);

/// What the database is to take over.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) changes: Arc<Changes>,
    /// Number of the last commit in it.
    pub(crate) seq: u64,
    /// Log files that are free once it is done.
    pub(crate) slots: Vec<Slot>,
    /// Who waits for it.
    pub(crate) promises: Vec<Promise<u64>>,
}

#[derive(Debug, Default)]
struct Desk {
    work: Option<Work>,
    /// Why the last try did not succeed.
    stuck: Option<Error>,
    closing: bool,
}

/// Where the log's thread leaves work for the flusher.
#[derive(Debug, Default)]
pub(crate) struct FlushDesk {
    desk: Mutex<Desk>,
    changed: Condvar,
}

impl FlushDesk {
    /// Leaves work; there must be none.
    pub(crate) fn leave(&self, work: Work) {
        let mut desk = lock(&self.desk);
        debug_assert!(desk.work.is_none(), "one table is frozen at a time");
        desk.work = Some(work);
        self.changed.notify_all();
    }

    /// Why the flusher does not get on, if so.
    pub(crate) fn stuck(&self) -> Option<Error> {
        lock(&self.desk).stuck.clone()
    }

    /// Ends the flusher after the work it has.
    pub(crate) fn close(&self) {
        lock(&self.desk).closing = true;
        self.changed.notify_all();
    }

    fn take(&self) -> Option<Work> {
        let mut desk = lock(&self.desk);
        loop {
            if let Some(work) = desk.work.take() {
                return Some(work);
            }
            if desk.closing {
                return None;
            }
            desk = self.changed.wait(desk).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Notes that there was no room, and waits a little; true when the store is closing.
    fn wait_for_room(&self, error: Error) -> bool {
        let mut desk = lock(&self.desk);
        desk.stuck = Some(error);
        let (desk, _) = self.changed.wait_timeout(desk, FULL_WAIT).unwrap_or_else(PoisonError::into_inner);
        desk.closing
    }
}

/// Takes over what is left on the desk until the store closes.
pub(crate) fn run(shared: &Arc<Shared>, mut connection: Connection) {
    while let Some(work) = shared.desk.take() {
        loop {
            match sqlite::take_over(&mut connection, &work.changes, work.seq) {
                Ok(()) => break,
                Err(error) if sqlite::is_fatal(&error) => {
                    shared.fail(&format!("the database cannot take over the commit log: {error}"));
                    return;
                }
                Err(error) => {
                    let error = if sqlite::is_full(&error) {
                        shared.full()
                    } else {
                        sqlite::translate("the database cannot take over the commit log", &error)
                    };
                    shared.wake_writer();
                    // What was not taken over is in the log and comes back with the next start.
                    if shared.desk.wait_for_room(error) {
                        return;
                    }
                }
            }
        }
        count(&shared.counters.flushes, 1);
        count(&shared.counters.flushed_rows, work.changes.len() as u64);
        lock(&shared.desk.desk).stuck = None;
        write(&shared.tables).frozen = None;
        shared.flushed(work.slots);
        for promise in work.promises {
            promise.keep(Ok(work.seq));
        }
        if let Err(error) = sqlite::checkpoint(&connection)
            && sqlite::is_fatal(&error)
        {
            shared.fail(&format!("checkpoint of the database: {error}"));
            return;
        }
    }
}
