//! The embedded engine: a commit log in front of an SQLite database.
//!
//! A commit is durable once its record is in the log; the rows then live in memory until the database
//! takes them over, many at a time and in key order. Readers lay the newest rows over the database's.
//! So a small write costs its share of one sync and some octets at the end of a file, wherever its key
//! belongs, and the database does its sorting and page writing in its own thread.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;

use doorway_base::{Disk, Instant, Limit};

use crate::answer::{Answer, BoxFuture, Promise};
use crate::batch::{Batch, Changes, Receipt, Row};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::io::backup;
use crate::io::blobs::{BlobOptions, LocalBlobs};
use crate::io::disk::OsDisk;
use crate::io::flusher::{self, FlushDesk, Work};
use crate::io::folder::{FolderLock, Layout, cannot};
use crate::io::log::{Log, Slot};
use crate::io::metrics::{Counters, Metrics, count};
use crate::io::reader::{self, ReadQueue};
use crate::io::sqlite::{self, Role};
use crate::io::tables::Tables;
use crate::io::verify::{VerifyReport, verify_parts};
use crate::io::writer::{CommitQueue, Job, Writer};
use crate::key::{Key, Range};
use crate::lock::{lock, read};
use crate::store::{BackupTarget, GET_KEYS_MAX, Manifest, Page, ScanOptions, Store};
use crate::watch::{Watch, Watches};

/// A monotonic clock, given by whoever may read one.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// How to open a store.
#[derive(Clone)]
pub struct Options {
    /// The data folder. Made if missing.
    pub folder: PathBuf,
    /// Bounds and sizes.
    pub config: Config,
    /// The disk of the commit log and of blobs. The database file is always on the system's.
    pub disk: Arc<dyn Disk>,
    /// Measures syncs for [`Metrics`]; without it they are only counted.
    pub clock: Option<Clock>,
}

impl Options {
    /// The defaults, on the system's disk.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), config: Config::default(), disk: Arc::new(OsDisk), clock: None }
    }
}

/// What the engine's threads share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) layout: Layout,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Option<Clock>,
    pub(crate) tables: RwLock<Tables>,
    pub(crate) commits: CommitQueue,
    pub(crate) reads: ReadQueue,
    pub(crate) desk: FlushDesk,
    pub(crate) watches: Watches,
    pub(crate) counters: Counters,
    failure: Mutex<Option<Arc<str>>>,
}

impl Shared {
    /// Refuses all writes from now on.
    pub(crate) fn fail(&self, why: &str) {
        lock(&self.failure).get_or_insert_with(|| why.into());
        self.commits.stir();
    }

    /// Why writes are refused, if they are.
    pub(crate) fn failed(&self) -> Option<Error> {
        lock(&self.failure).clone().map(Error::Failed)
    }

    /// The error for a disk without room.
    pub(crate) fn full(&self) -> Error {
        let free = self.disk.free_octets(&self.layout.folder).unwrap_or(0);
        Error::Full { free, min_free: self.config.min_free }
    }

    pub(crate) fn flushed(&self, slots: Vec<Slot>) {
        self.commits.recycle(slots);
    }

    pub(crate) fn wake_writer(&self) {
        self.commits.stir();
    }
}

/// The embedded engine. Dropping it finishes what waits and closes the files.
pub struct Embedded {
    pub(crate) shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
    /// Held by whoever must not have blobs moved meanwhile: backup, collection, compaction.
    maintenance: Arc<Mutex<()>>,
    _lock: FolderLock,
}

impl Embedded {
    /// Opens the store in a folder, or makes one, and brings back everything that was acknowledged.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Newer`], [`Error::OldSqlite`], [`Error::Damaged`], or
    /// [`Error::Local`] when the folder cannot be used.
    pub fn open(options: Options) -> Result<Self> {
        let Options { folder, config, disk, clock } = options;
        let layout = Layout::new(folder);
        let lock = FolderLock::take(&layout)?;
        disk.create_folder(&layout.folder).map_err(|e| cannot("make", &layout.folder, &e))?;
        let database = sqlite::open(&layout.database(), Role::Writer, config.wal_octets_max)?;
        let (log, replayed) = Log::open(Arc::clone(&disk), layout.log(), sqlite::seq(&database)?)?;
        let reader = || sqlite::open(&layout.database(), Role::Reader, config.wal_octets_max);
        let for_writer = reader()?;
        let for_readers = (0..config.readers.max(1)).map(|_| reader()).collect::<Result<Vec<_>>>()?;

        let frozen = Arc::new(replayed.changes);
        let work = (!frozen.is_empty()).then(|| Work {
            changes: Arc::clone(&frozen),
            seq: replayed.seq,
            slots: replayed.slots,
            promises: Vec::new(),
        });
        let tables = Tables { frozen: work.is_some().then_some(frozen), ..Tables::default() };
        let shared = Arc::new(Shared {
            commits: CommitQueue::new(config.queue_max),
            reads: ReadQueue::new(config.read_queue_max),
            config,
            layout,
            disk,
            clock,
            tables: RwLock::new(tables),
            desk: FlushDesk::default(),
            watches: Watches::default(),
            counters: Counters::default(),
            failure: Mutex::new(None),
        });
        if let Some(work) = work {
            shared.desk.leave(work);
        }
        let writer = Writer {
            shared: Arc::clone(&shared),
            log,
            connection: for_writer,
            seq: replayed.seq,
            record: Vec::new(),
            flushes: Vec::new(),
        };
        let mut store =
            Self { shared, writer: None, others: Vec::new(), maintenance: Arc::default(), _lock: lock };
        store.writer = Some(spawn("store-commit", move || writer.run())?);
        let shared = Arc::clone(&store.shared);
        store.others.push(spawn("store-flush", move || flusher::run(&shared, database))?);
        for connection in for_readers {
            let shared = Arc::clone(&store.shared);
            store.others.push(spawn("store-read", move || reader::run(&shared, &connection))?);
        }
        Ok(store)
    }

    /// Lets the database take over everything committed so far, and gives the number of the last commit.
    pub fn flush(&self) -> Answer<u64> {
        let (promise, answer) = Answer::promised();
        match self.shared.failed() {
            Some(error) => promise.keep(Err(error)),
            None => self.shared.commits.flush(promise),
        }
        answer
    }

    /// The blobs beside these rows, read by `threads` threads.
    ///
    /// # Errors
    /// [`Error::Local`] when their folders cannot be used.
    pub fn blobs(self: &Arc<Self>, threads: usize) -> Result<LocalBlobs> {
        let shared = &self.shared;
        let options = BlobOptions {
            min_free: shared.config.min_free,
            ..BlobOptions::new(&shared.layout.folder, Arc::clone(&shared.disk), threads)
        };
        LocalBlobs::beside(options, Arc::clone(self) as Arc<dyn Store>, Arc::clone(&self.maintenance))
    }

    /// Reads everything, in a thread of its own, and compares it with what it should be, while the
    /// store goes on working. Damage is not an error but in the report.
    ///
    /// # Errors
    /// As [`Embedded::flush`], or [`Error::Local`] when the database cannot be opened once more.
    pub async fn verify(&self) -> Result<VerifyReport> {
        self.flush().await?;
        let (shared, maintenance) = (Arc::clone(&self.shared), Arc::clone(&self.maintenance));
        let (promise, answer) = Answer::promised();
        let run = move || {
            let _unmoved = lock(&maintenance);
            let opened = sqlite::open(&shared.layout.database(), Role::Reader, 0);
            promise.keep(opened.map(|database| {
                let mut report = VerifyReport::default();
                verify_parts(
                    &database,
                    &Changes::new(),
                    Arc::clone(&shared.disk),
                    &shared.layout,
                    &mut report,
                );
                report
            }));
        };
        drop(spawn("store-verify", run)?);
        answer.await
    }

    /// Why writes are refused until a restart, if they are.
    #[must_use]
    pub fn failure(&self) -> Option<Error> {
        self.shared.failed()
    }

    /// What the store has done so far.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.shared.counters.snapshot(self.shared.commits.depth())
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|error| Error::local("cannot start a thread of the store", error))
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // In this order: the writer may still leave work on the flusher's desk.
        self.shared.commits.close();
        if let Some(writer) = self.writer.take() {
            // A panic there was reported when it happened; here the others still have to end.
            let _ = writer.join();
        }
        self.shared.desk.close();
        self.shared.reads.close();
        for thread in self.others.drain(..) {
            let _ = thread.join();
        }
        self.shared.watches.close();
    }
}

impl Store for Embedded {
    fn get(&self, keys: &[Key]) -> Answer<Vec<Option<Row>>> {
        if keys.len() > GET_KEYS_MAX {
            return Answer::ready(Err(Limit::built_in("store.get_keys_max", GET_KEYS_MAX as u64).into()));
        }
        let newest: Option<Vec<_>> = {
            let tables = read(&self.shared.tables);
            keys.iter().map(|key| tables.find(key).map(crate::batch::Change::row)).collect()
        };
        match newest {
            Some(rows) => Answer::ready(Ok(rows)),
            None => self.shared.reads.get(keys.to_vec()),
        }
    }

    fn scan(&self, range: Range, options: ScanOptions) -> Answer<Page> {
        if range.is_empty() {
            return Answer::ready(Ok(Page::default()));
        }
        self.shared.reads.scan(range, options)
    }

    fn commit(&self, batch: Batch) -> Answer<Receipt> {
        if let Err(error) = batch.validate() {
            return Answer::ready(Err(error));
        }
        let (promise, answer): (Promise<Receipt>, _) = Answer::promised();
        if let Err(Error::Limit(_)) = self.shared.commits.push(Job { batch, promise }) {
            count(&self.shared.counters.refused, 1);
        }
        answer
    }

    fn watch(&self, prefix: Key) -> Watch {
        self.shared.watches.watch(prefix)
    }

    fn backup(&self, target: BackupTarget) -> BoxFuture<'_, Result<Manifest>> {
        Box::pin(async move {
            self.flush().await?;
            backup::spawn(Arc::clone(&self.shared), Arc::clone(&self.maintenance), target)?.await
        })
    }
}
