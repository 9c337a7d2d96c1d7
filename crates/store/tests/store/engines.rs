//! The engines, each put through the conformance suite.

use std::ops::Deref;

use doorway_store::{
    Answer, BackupTarget, Batch, BoxFuture, Config, Embedded, Error, Key, Manifest, MemoryStore, Options,
    Page, Range, Receipt, Result, Row, ScanOptions, Store, Watch,
};

use crate::conformance;
use crate::folder::Folder;

/// An embedded store in a folder of its own.
pub(crate) struct Fresh {
    store: Option<Embedded>,
    folder: Folder,
    config: Config,
}

impl Fresh {
    pub(crate) fn new(config: Config) -> Self {
        let folder = Folder::new();
        let store = Some(open(&folder, &config).unwrap());
        Self { store, folder, config }
    }

    /// Closes the store and opens it again.
    pub(crate) fn reopen(&mut self) {
        self.store = None;
        self.store = Some(open(&self.folder, &self.config).unwrap());
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }
}

pub(crate) fn open(folder: &Folder, config: &Config) -> Result<Embedded> {
    Embedded::open(Options { config: config.clone(), ..Options::new(folder.path()) })
}

impl Deref for Fresh {
    type Target = Embedded;

    fn deref(&self) -> &Embedded {
        self.store.as_ref().expect("open between reopenings")
    }
}

/// Lets the database take over after every commit, so that reads come from it and not from memory.
struct Flushed(Fresh);

impl Store for Flushed {
    fn get(&self, keys: &[Key]) -> Answer<Vec<Option<Row>>> {
        self.0.get(keys)
    }

    fn scan(&self, range: Range, options: ScanOptions) -> Answer<Page> {
        self.0.scan(range, options)
    }

    fn commit(&self, batch: Batch) -> Answer<Receipt> {
        let result = self.0.commit(batch).wait();
        self.0.flush().wait().unwrap();
        Answer::ready(result)
    }

    fn watch(&self, prefix: Key) -> Watch {
        self.0.watch(prefix)
    }

    fn backup(&self, target: BackupTarget) -> BoxFuture<'_, Result<Manifest>> {
        self.0.backup(target)
    }
}

impl Store for Fresh {
    fn get(&self, keys: &[Key]) -> Answer<Vec<Option<Row>>> {
        Embedded::get(self, keys)
    }

    fn scan(&self, range: Range, options: ScanOptions) -> Answer<Page> {
        Embedded::scan(self, range, options)
    }

    fn commit(&self, batch: Batch) -> Answer<Receipt> {
        Embedded::commit(self, batch)
    }

    fn watch(&self, prefix: Key) -> Watch {
        Embedded::watch(self, prefix)
    }

    fn backup(&self, target: BackupTarget) -> BoxFuture<'_, Result<Manifest>> {
        Embedded::backup(self, target)
    }
}

#[test]
fn the_store_in_memory_conforms() {
    conformance::check(MemoryStore::new);
}

#[test]
fn the_embedded_store_conforms() {
    conformance::check(|| Fresh::new(Config::default()));
}

#[test]
fn the_embedded_store_conforms_when_the_database_has_taken_over() {
    conformance::check(|| Flushed(Fresh::new(Config::default())));
}

#[test]
fn a_second_process_hears_who_holds_the_folder() {
    let store = Fresh::new(Config::default());
    match open(store.folder(), &Config::default()) {
        Err(Error::Locked { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("expected to be locked out, got {:?}", other.err()),
    }
}

#[test]
fn rows_survive_reopening_from_the_log_and_from_the_database() {
    let mut store = Fresh::new(Config::default());
    store.commit(Batch::new().put("in the database", "1").put("gone", "1")).wait().unwrap();
    store.flush().wait().unwrap();
    let receipt = store.commit(Batch::new().put("in the log", "2").delete("gone")).wait().unwrap();
    for _ in 0..3 {
        store.reopen();
        let page = store.scan(Range::all(), ScanOptions::default()).wait().unwrap();
        let rows: Vec<_> = page.rows.iter().map(|(key, row)| (key.to_string(), row.value.clone())).collect();
        assert_eq!(rows, [("in the database".to_owned(), "1".into()), ("in the log".to_owned(), "2".into())]);
    }
    let next = store.commit(Batch::new().put("next", "3")).wait().unwrap();
    assert_eq!(next.seq, receipt.seq + 1, "numbers go on where they were");
}

#[test]
fn a_full_queue_refuses_at_once() {
    let store = Fresh::new(Config { queue_max: 0, ..Config::default() });
    match store.commit(Batch::new().put("a", "1")).wait() {
        Err(Error::Limit(limit)) => assert_eq!(limit.key, "store.queue_max"),
        other => panic!("expected a refusal, got {other:?}"),
    }
    assert_eq!(store.metrics().refused, 1);
}

#[test]
fn only_batches_that_ask_for_the_disk_cause_a_sync() {
    let store = Fresh::new(Config::default());
    for number in 0..50u64 {
        let batch = Batch::new().durability(doorway_store::Durability::Process);
        store.commit(batch.put(Key::from("n").join_number(number), "1")).wait().unwrap();
    }
    assert_eq!(store.metrics().syncs, 0);
    store.commit(Batch::new().put("a", "1")).wait().unwrap();
    assert_eq!(store.metrics().syncs, 1);
    assert_eq!(store.metrics().commits, 51);
}

#[test]
fn the_bench_measures_the_disk_and_the_store_and_leaves_nothing() {
    let folder = Folder::new();
    // A clock that only moves when it is read: the bench ends whatever the machine does.
    let ticks = std::sync::atomic::AtomicU64::new(0);
    let clock = move || {
        let tick = ticks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        doorway_base::Instant::from_nanos(tick * 100_000)
    };
    let options = doorway_store::BenchOptions {
        time: std::time::Duration::from_millis(15),
        writers: 8,
        ..doorway_store::BenchOptions::new(std::sync::Arc::new(clock))
    };
    let report = doorway_store::bench(folder.path(), &options).unwrap();
    assert_eq!(report.store.len(), 6);
    for measured in &report.store {
        assert!(measured.rows > 0 && measured.p50 <= measured.p99, "{measured:?}");
        assert_eq!(measured.syncs > 0, measured.name.contains("Disk"), "{}", measured.name);
    }
    assert!((report.ratio(&report.one_sync_per_row) - 1.0).abs() < 1e-9);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn who_conflicts_reads_what_it_conflicts_with() {
    let store = Fresh::new(Config::default());
    for round in 0..200 {
        let key = Key::from(format!("row/{round}").as_str());
        // All of these are given in before any is on disk, so most share a group.
        let answers: Vec<_> =
            (0..8).map(|_| store.commit(Batch::new().absent(key.clone()).put(key.clone(), "1"))).collect();
        // The last of them is told of a conflict, if any is.
        for answer in answers.into_iter().rev() {
            match answer.wait() {
                Ok(_) | Err(Error::Conflict(_)) => {}
                Err(error) => panic!("{error}"),
            }
            assert!(store.get(std::slice::from_ref(&key)).wait().unwrap()[0].is_some(), "round {round}");
        }
    }
}
