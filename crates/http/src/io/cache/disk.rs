//! The tier on disk: a queue in front of one writer, threads that read, and what to do when the disk fails.
//!
//! | file | what it does |
//! | --- | --- |
//! | `files.rs` | the files, and how long a segment stays |
//! | `content.rs` | contents read back, and checked |
//! | `writer.rs` | what is written, and the oldest segment let go |
//! | `restore.rs` | what is taken up after a restart |
//!
//! Nobody waits for a write but an operator for a purge. What finds the queue full stays in memory alone.

mod content;
mod files;
mod restore;
mod writer;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use doorway_base::{Disk, Instant};
use doorway_net::web::Bytes;
use tokio::sync::oneshot;

pub(super) use content::{DiskContent, DiskPiece};
pub(super) use files::Files;
pub(super) use writer::Job;
use writer::Writer;

use super::index::Place;
use super::lock;
use super::threads::Threads;
use super::tiers::Tiers;
use crate::cache::record::{Header, ObjectHead};

/// Octets of a segment file.
pub const SEGMENT_OCTETS: u64 = 64 * 1024 * 1024;
/// Octets that wait to be written, at most.
const QUEUE_OCTETS_MAX: u64 = 64 * 1024 * 1024;
/// Jobs that wait, at most; orders to forget and ends of contents are never refused.
const QUEUE_JOBS_MAX: usize = 16_384;
/// How long nothing is written after a write failed.
const PAUSE: Duration = Duration::from_secs(30);
/// Threads that read.
const READERS: usize = 2;

/// Where a cache keeps its files, and with what means.
#[derive(Clone)]
pub struct Site {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The folder; it is made where there is none.
    pub folder: PathBuf,
    /// Whether threads read and write. Without, whoever asks waits: for a simulated disk.
    pub threads: bool,
    /// Length at which a segment is full, at most [`SEGMENT_OCTETS`].
    pub segment_octets: u64,
}

/// What the tier tells about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DiskCounts {
    /// Octets in segments.
    pub octets: u64,
    /// Segments.
    pub segments: u64,
    /// Records written.
    pub written: u64,
    /// What was not written because the queue was full, or the disk had failed.
    pub refused: u64,
    /// Writes that failed.
    pub failed: u64,
    /// Reads that failed, or did not give what was written.
    pub damaged: u64,
    /// Why nothing is written now, if so.
    pub alarm: Option<String>,
}

/// The tier.
#[derive(Debug)]
pub(super) struct DiskTier {
    files: Arc<Files>,
    readers: Threads,
    queue: Mutex<Queue>,
    filled: Condvar,
    writer: Mutex<Writer>,
    threads: bool,
    /// On the monotonic clock: nothing is written until then.
    paused_until: AtomicU64,
    alarm: Mutex<Option<String>>,
    octets: AtomicU64,
    segments: AtomicU64,
    written: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    damaged: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Job>,
    octets: u64,
    closing: bool,
}

/// What was read of a response.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) header: Header,
    pub(super) head: ObjectHead,
    pub(super) disk: DiskContent,
    /// The content, where it was short enough to be read as well.
    pub(super) content: Option<Bytes>,
}

impl DiskTier {
    /// Opens the files and takes up what is there. Blocks for as long as that takes.
    pub(super) fn open(tiers: &Tiers, site: &Site, files: Arc<Files>) -> io::Result<(Self, u64)> {
        let found = restore::restore(tiers, &files)?;
        let segment_octets = site.segment_octets.min(SEGMENT_OCTETS);
        let octets_max = tiers.config().disk_octets_max;
        let writer = Writer::new(Arc::clone(&files), segment_octets, octets_max, tiers.run(), found.full);
        let (octets, segments) = (writer.octets(), writer.segments() as u64);
        let tier = Self {
            files,
            readers: Threads::new("cache-read", if site.threads { READERS } else { 0 })?,
            queue: Mutex::default(),
            filled: Condvar::new(),
            writer: Mutex::new(writer),
            threads: site.threads,
            paused_until: AtomicU64::new(0),
            alarm: Mutex::default(),
            octets: AtomicU64::new(octets),
            segments: AtomicU64::new(segments),
            written: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
        };
        Ok((tier, found.purges))
    }

    /// The files of a cache at `site`, and the key of its short names.
    pub(super) fn files(site: &Site) -> io::Result<(Arc<Files>, [u8; 16])> {
        let files = Files::open(Arc::clone(&site.disk), &site.folder)?;
        let key = restore::key(&files)?;
        Ok((files, key))
    }

    /// Starts the thread that writes.
    pub(super) fn start(tiers: &Arc<Tiers>) -> io::Result<Option<JoinHandle<()>>> {
        let Some(tier) = tiers.disk().filter(|tier| tier.threads) else { return Ok(None) };
        let _ = tier;
        let tiers = Arc::clone(tiers);
        let work = move || {
            let Some(tier) = tiers.disk() else { return };
            while let Some((job, is_last)) = tier.next() {
                tier.work(&tiers, job, is_last);
            }
            lock(&tier.writer).seal();
        };
        std::thread::Builder::new().name("cache-write".to_owned()).spawn(work).map(Some)
    }

    /// Lets the thread end after what waits.
    pub(super) fn close(&self) {
        lock(&self.queue).closing = true;
        self.filled.notify_all();
        if !self.threads {
            lock(&self.writer).seal();
        }
    }

    /// Leaves a job for the writer; false when it is not going to be done.
    pub(super) fn leave(&self, tiers: &Tiers, job: Job) -> bool {
        let may_be_refused = matches!(job, Job::Keep(_) | Job::Piece { .. } | Job::Fields(_));
        if may_be_refused && tiers.now() < Instant::from_nanos(self.paused_until.load(Relaxed)) {
            self.refused.fetch_add(1, Relaxed);
            return false;
        }
        if !self.threads {
            self.work(tiers, job, true);
            return true;
        }
        let mut queue = lock(&self.queue);
        let full = queue.octets + job.octets() > QUEUE_OCTETS_MAX || queue.jobs.len() >= QUEUE_JOBS_MAX;
        if queue.closing || may_be_refused && full {
            drop(queue);
            self.refused.fetch_add(1, Relaxed);
            return false;
        }
        queue.octets += job.octets();
        queue.jobs.push_back(job);
        drop(queue);
        self.filled.notify_one();
        true
    }

    fn next(&self) -> Option<(Job, bool)> {
        let mut queue = lock(&self.queue);
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                queue.octets -= job.octets();
                let is_last = queue.jobs.is_empty();
                return Some((job, is_last));
            }
            if queue.closing {
                return None;
            }
            queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn work(&self, tiers: &Tiers, job: Job, is_last: bool) {
        let is_content = !matches!(job, Job::Order(..) | Job::Evict | Job::Flush(_));
        let mut writer = lock(&self.writer);
        let done = writer.run(tiers, job, is_last);
        self.octets.store(writer.octets(), Relaxed);
        self.segments.store(writer.segments() as u64, Relaxed);
        drop(writer);
        match done {
            Ok(()) if is_content => {
                self.written.fetch_add(1, Relaxed);
                if lock(&self.alarm).take().is_some() {
                    tracing::info!(cache = tiers.config().name, "the disk of the cache takes contents again");
                }
            }
            Ok(()) => {}
            Err(error) => self.fail(tiers, &error),
        }
    }

    // Memory goes on alone, and after a while the disk is tried again.
    fn fail(&self, tiers: &Tiers, error: &io::Error) {
        self.failed.fetch_add(1, Relaxed);
        self.paused_until.store((tiers.now() + PAUSE).as_nanos(), Relaxed);
        let before = lock(&self.alarm).replace(error.to_string());
        if before.is_none() {
            let cache = &tiers.config().name;
            tracing::warn!(cache, %error, "the disk of the cache takes nothing; contents stay in memory alone");
        }
    }

    /// Reads the response at `place`, with its content where that has at most `octets_max` octets.
    pub(super) fn read(&self, place: Place, octets_max: u64) -> oneshot::Receiver<io::Result<Loaded>> {
        let files = Arc::clone(&self.files);
        self.readers.run(move || {
            let segment = files.segment(place.segment).ok_or(io::ErrorKind::NotFound)?;
            let at = u64::from(place.at);
            let (header, head) = content::read_head(&segment, at, place.head_octets)?;
            let disk =
                DiskContent::of(&files, &segment, at, &header, &head).ok_or(io::ErrorKind::NotFound)?;
            let content = (disk.octets() <= octets_max).then(|| disk.read_whole()).transpose()?;
            Ok(Loaded { header, head, disk, content })
        })
    }

    /// Does a read of a content beside the workers.
    pub(super) fn read_content(
        &self,
        read: impl FnOnce() -> io::Result<Bytes> + Send + 'static,
    ) -> oneshot::Receiver<io::Result<Bytes>> {
        self.readers.run(read)
    }

    /// Counts a read that failed.
    pub(super) fn count_damaged(&self) {
        self.damaged.fetch_add(1, Relaxed);
    }

    pub(super) fn counts(&self) -> DiskCounts {
        DiskCounts {
            octets: self.octets.load(Relaxed),
            segments: self.segments.load(Relaxed),
            written: self.written.load(Relaxed),
            refused: self.refused.load(Relaxed),
            failed: self.failed.load(Relaxed),
            damaged: self.damaged.load(Relaxed),
            alarm: lock(&self.alarm).clone(),
        }
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("octets", &self.octets()).finish_non_exhaustive()
    }
}
