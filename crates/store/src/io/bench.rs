//! Measures the store against its disk: how much of what the disk can do reaches the callers.
//!
//! The writers are tasks on one thread, as connections are in the services; each has one row in flight.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use doorway_base::{Disk, Random};

use crate::answer::Answer;
use crate::batch::{Batch, Durability, Receipt};
use crate::error::{Error, Result};
use crate::io::disk::OsDisk;
use crate::io::embedded::{Clock, Embedded, Options};
use crate::io::folder::cannot;
use crate::key::Key;
use crate::store::Store;

/// Octets of each row's key: a number of 16 octets.
const KEY_OCTETS: usize = 16;

/// What to measure with.
#[derive(Clone)]
pub struct BenchOptions {
    /// How long each measurement runs in all.
    pub time: Duration,
    /// Writers at once in the measurements with many. Default 64.
    pub writers: usize,
    /// Octets of each value. Default 200.
    pub value_octets: usize,
    /// Reads the time.
    pub clock: Clock,
}

impl BenchOptions {
    /// 64 writers of 200 octets, three seconds each.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { time: Duration::from_secs(3), writers: 64, value_octets: 200, clock }
    }
}

/// The outcome of one measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// What was measured.
    pub name: String,
    /// Rows that were acknowledged.
    pub rows: u64,
    /// How long it took.
    pub time: Duration,
    /// Syncs in that time.
    pub syncs: u64,
    /// Median time from asking to answer.
    pub p50: Duration,
    /// 99 of 100 answers came within this time.
    pub p99: Duration,
}

impl Measurement {
    /// Rows acknowledged per second.
    #[must_use]
    pub fn rows_per_second(&self) -> f64 {
        self.rows as f64 / self.time.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Syncs per second.
    #[must_use]
    pub fn syncs_per_second(&self) -> f64 {
        self.syncs as f64 / self.time.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// Every measurement, in the order they ran.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchReport {
    /// One file, one row, one sync: what a program without group commit reaches.
    pub one_sync_per_row: Measurement,
    /// One file, as many rows as there are writers, one sync: the most that the disk allows.
    pub raw_groups: Measurement,
    /// The store.
    pub store: Vec<Measurement>,
}

impl BenchReport {
    /// How many times as many rows per second as with one sync per row.
    #[must_use]
    pub fn ratio(&self, measurement: &Measurement) -> f64 {
        measurement.rows_per_second() / self.one_sync_per_row.rows_per_second()
    }
}

/// The order in which rows come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Each behind the last, as queues and logs are written.
    Ascending,
    /// Anywhere, as leases and sessions are.
    Random,
}

impl std::fmt::Display for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ascending => "ascending keys",
            Self::Random => "random keys",
        })
    }
}

/// Times that each measurement runs, in turn with the others: what else the machine does then falls on
/// all of them alike.
const ROUNDS: u32 = 3;

/// Runs every measurement in `folder`, which is emptied of what they wrote.
///
/// # Errors
/// [`Error::Local`] when the folder cannot be used, or the store's own errors.
pub fn bench(folder: &Path, options: &BenchOptions) -> Result<BenchReport> {
    std::fs::create_dir_all(folder).map_err(|e| cannot("make", folder, &e))?;
    let many = options.writers;
    let kinds = [
        (1, Durability::Disk, Order::Ascending),
        (many, Durability::Disk, Order::Ascending),
        (many, Durability::Disk, Order::Random),
        (1, Durability::Process, Order::Ascending),
        (many, Durability::Process, Order::Ascending),
        (many, Durability::Process, Order::Random),
    ];
    let options = BenchOptions { time: options.time / ROUNDS, ..options.clone() };
    let (mut one, mut groups, mut store) =
        (Run::default(), Run::default(), vec![Run::default(); kinds.len()]);
    for _ in 0..ROUNDS {
        one.add(raw(folder, &options, 1)?);
        groups.add(raw(folder, &options, many)?);
        for ((writers, durability, order), run) in kinds.iter().zip(&mut store) {
            run.add(commits(folder, &options, *writers, *durability, *order)?);
        }
    }
    let named = kinds.iter().zip(store).map(|((writers, durability, order), run)| {
        run.measurement(format!("store, {writers} writers, {durability:?}, {order}"))
    });
    Ok(BenchReport {
        one_sync_per_row: one.measurement("append and fdatasync, one row each".to_owned()),
        raw_groups: groups.measurement(format!("append and fdatasync, {many} rows each")),
        store: named.collect(),
    })
}

/// What one or several rounds of a measurement gave.
#[derive(Debug, Clone, Default)]
struct Run {
    rows: u64,
    time: Duration,
    syncs: u64,
    /// How long each answer took.
    spans: Vec<Duration>,
}

impl Run {
    fn add(&mut self, round: Self) {
        self.rows += round.rows;
        self.time += round.time;
        self.syncs += round.syncs;
        self.spans.extend(round.spans);
    }

    fn measurement(self, name: String) -> Measurement {
        let Self { rows, time, syncs, mut spans } = self;
        spans.sort_unstable();
        let at = |share: f64| spans.get((spans.len() as f64 * share) as usize).copied().unwrap_or_default();
        Measurement { name, rows, time, syncs, p50: at(0.50), p99: at(0.99) }
    }
}

fn raw(folder: &Path, options: &BenchOptions, group: usize) -> Result<Run> {
    let path = folder.join("bench.raw");
    let run = || -> std::io::Result<Run> {
        let file = OsDisk.open(&path, true)?;
        let rows = vec![0x5a; group * (KEY_OCTETS + options.value_octets)];
        let (mut at, mut syncs, mut spans) = (0, 0, Vec::new());
        let begin = (options.clock)();
        let time = loop {
            let before = (options.clock)();
            file.write_all_at(&rows, at)?;
            file.sync_data()?;
            let after = (options.clock)();
            at += rows.len() as u64;
            syncs += 1;
            spans.push(after.since(before));
            if after.since(begin) >= options.time {
                break after.since(begin);
            }
        };
        Ok(Run { rows: syncs * group as u64, time, syncs, spans })
    };
    let measured = run().map_err(|e| cannot("measure with", &path, &e));
    OsDisk.remove(&path).map_err(|e| cannot("remove", &path, &e))?;
    measured
}

fn commits(
    folder: &Path,
    options: &BenchOptions,
    writers: usize,
    durability: Durability,
    order: Order,
) -> Result<Run> {
    let folder = folder.join("bench.store");
    let remove = || match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(cannot("remove", &folder, &error)),
        _ => Ok(()),
    };
    remove()?;
    let store = Embedded::open(Options::new(&folder))?;
    let (spans, time) = drive(&store, options, writers, durability, order)?;
    let syncs = store.metrics().syncs;
    drop(store);
    remove()?;
    Ok(Run { rows: spans.len() as u64, time, syncs, spans })
}

/// The writers whose answer has come.
struct Ready {
    writers: Mutex<Vec<usize>>,
    thread: Thread,
}

struct Writer {
    index: usize,
    ready: Arc<Ready>,
}

impl Wake for Writer {
    fn wake(self: Arc<Self>) {
        let mut writers = crate::lock::lock(&self.ready.writers);
        let first = writers.is_empty();
        writers.push(self.index);
        drop(writers);
        if first {
            self.ready.thread.unpark();
        }
    }
}

/// Keeps one row of each writer in flight until the time is over, and gives how long each took.
fn drive(
    store: &Embedded,
    options: &BenchOptions,
    writers: usize,
    durability: Durability,
    order: Order,
) -> Result<(Vec<Duration>, Duration)> {
    let ready = Arc::new(Ready { writers: Mutex::default(), thread: std::thread::current() });
    let wakers: Vec<Waker> = (0..writers)
        .map(|index| Waker::from(Arc::new(Writer { index, ready: Arc::clone(&ready) })))
        .collect();
    let mut random = Random::new(1);
    let value = bytes::Bytes::from(vec![0x5a; options.value_octets]);
    let mut number = 0;
    let mut next = || -> Answer<Receipt> {
        number += 1;
        let mut key = [0; KEY_OCTETS];
        if order == Order::Random {
            key[..8].copy_from_slice(&random.next_u64().to_be_bytes());
        }
        key[8..].copy_from_slice(&u64::to_be_bytes(number));
        store.commit(Batch::new().durability(durability).put(Key::from(&key[..]), value.clone()))
    };
    let begin = (options.clock)();
    let mut flights: Vec<_> = (0..writers).map(|_| Some((next(), begin))).collect();
    let mut awake: Vec<usize> = (0..writers).collect();
    let mut spans = Vec::new();
    let mut time = Duration::ZERO;
    while flights.iter().any(Option::is_some) {
        let now = (options.clock)();
        for index in awake.drain(..) {
            let Some((answer, asked)) = &mut flights[index] else { continue };
            let mut context = Context::from_waker(&wakers[index]);
            while let Poll::Ready(receipt) = Pin::new(&mut *answer).poll(&mut context) {
                receipt?;
                spans.push(now.since(*asked));
                time = now.since(begin);
                if time >= options.time {
                    flights[index] = None;
                    break;
                }
                (*answer, *asked) = (next(), now);
            }
        }
        loop {
            std::mem::swap(&mut awake, &mut *crate::lock::lock(&ready.writers));
            if !awake.is_empty() || flights.iter().all(Option::is_none) {
                break;
            }
            std::thread::park();
        }
    }
    if spans.is_empty() { Err(Error::Closed) } else { Ok((spans, time)) }
}
