//! Blobs on a local disk: segments for most, files of their own for large ones, rows for where they lie.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use doorway_base::{Disk, DiskFile, Limit, UnixTime};

use crate::answer::{Answer, BoxFuture};
use crate::batch::Durability;
use crate::blob::{
    BODY_OCTETS_MIN, BlobId, BlobWriter, Blobs, Collected, Location, READ_OCTETS_MAX, Stored, place_key,
};
use crate::error::{Error, Result};
use crate::io::collect;
use crate::io::folder::cannot;
use crate::io::rows::row;
use crate::io::segments::{SEGMENT_OCTETS, SegmentFiles, Segments};
use crate::io::workers::Workers;
use crate::lock::lock;
use crate::pin::Pins;
use crate::store::Store;

/// Octets that all unfinished blobs together keep in memory; one beyond it goes to its file at once.
const BUFFERED_OCTETS_MAX: u64 = 64 * 1024 * 1024;
/// Blob jobs that may wait for a thread.
const QUEUE_MAX: u64 = 8192;

/// How to open the blobs of a folder.
#[derive(Clone)]
pub struct BlobOptions {
    /// The folder that holds `segments` and `bodies`. Made if missing.
    pub folder: PathBuf,
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// Octets of the disk that are left alone; with less room a put ends in [`Error::Full`].
    pub min_free: u64,
    /// Threads that read. With 0 everything happens in the caller's thread, for simulated nodes.
    pub threads: usize,
    /// Length at which a segment is full. Default 64 MiB.
    pub segment_octets: u64,
}

impl BlobOptions {
    /// The defaults on `disk`, with `threads` threads.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, disk: Arc<dyn Disk>, threads: usize) -> Self {
        Self { folder: folder.into(), disk, min_free: 256 << 20, threads, segment_octets: SEGMENT_OCTETS }
    }
}

/// Content that waits to be written.
struct Waiting {
    id: BlobId,
    content: Bytes,
    sync: bool,
    promise: crate::answer::Promise<Location>,
}

/// What the threads share.
pub(crate) struct Shelf {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) disk: Arc<dyn Disk>,
    folder: PathBuf,
    pub(crate) bodies: PathBuf,
    min_free: u64,
    pub(crate) segments: Mutex<Segments>,
    pub(crate) files: Arc<SegmentFiles>,
    pub(crate) pins: Arc<Pins>,
    waiting: Mutex<Vec<Waiting>>,
    buffered: AtomicU64,
    next_body: AtomicU64,
}

/// Blobs on a local disk.
pub struct LocalBlobs {
    shelf: Arc<Shelf>,
    /// One thread: what waits for it becomes one group with one sync.
    appender: Arc<Workers>,
    readers: Arc<Workers>,
    /// Held while content is moved, removed or copied away.
    maintenance: Arc<Mutex<()>>,
}

impl LocalBlobs {
    /// Opens the blobs of a folder, whose rows are in `store`.
    ///
    /// # Errors
    /// [`Error::Local`] when the folder cannot be used.
    pub fn open(options: BlobOptions, store: Arc<dyn Store>) -> Result<Self> {
        Self::beside(options, store, Arc::default())
    }

    /// The same, beside a store whose backup must not meet content on the move.
    pub(crate) fn beside(
        options: BlobOptions,
        store: Arc<dyn Store>,
        maintenance: Arc<Mutex<()>>,
    ) -> Result<Self> {
        let BlobOptions { folder, disk, min_free, threads, segment_octets } = options;
        let segments = Segments::open(Arc::clone(&disk), &folder.join("segments"), segment_octets)?;
        let bodies = folder.join("bodies");
        let local = |error: io::Error| cannot("open", &bodies, &error);
        disk.create_folder(&bodies).map_err(local)?;
        for path in disk.list(&bodies).map_err(local)? {
            // Content that was still coming when the process ended.
            if path.extension().is_some_and(|extension| extension == "part") {
                disk.remove(&path).map_err(local)?;
            }
        }
        let shelf = Shelf {
            store,
            disk,
            folder,
            bodies,
            min_free,
            files: segments.files(),
            segments: Mutex::new(segments),
            pins: Arc::default(),
            waiting: Mutex::default(),
            buffered: AtomicU64::new(0),
            next_body: AtomicU64::new(1),
        };
        let limit = Limit::built_in("store.blob_queue_max", QUEUE_MAX);
        Ok(Self {
            shelf: Arc::new(shelf),
            appender: Arc::new(Workers::new("store-blob", threads.min(1), limit)?),
            readers: Arc::new(Workers::new("store-blob-read", threads, limit)?),
            maintenance,
        })
    }
}

impl Shelf {
    pub(crate) fn body_path(&self, id: &BlobId) -> PathBuf {
        self.bodies.join(id.to_string())
    }

    fn room(&self) -> Result<()> {
        match self.disk.free_octets(&self.folder) {
            Ok(free) if free < self.min_free => Err(Error::Full { free, min_free: self.min_free }),
            _ => Ok(()),
        }
    }

    /// Where the rows say a blob lies, or where it was put that has no row yet.
    pub(crate) async fn location(&self, id: &BlobId) -> Result<Option<Location>> {
        let Some(row) = row(&*self.store, &place_key(id)).await? else {
            // Put, and not referred to yet: whoever put it may read it.
            return Ok(self.pins.location(id));
        };
        let location = Location::decode(&row.value)
            .map_err(|error| Error::damaged(format!("place of blob {id}: {error}")))?;
        Ok(Some(location))
    }

    /// The same, or where content lies that was put and that nobody has linked yet.
    async fn location_or_held(&self, id: &BlobId) -> Result<Option<Location>> {
        let held = self.pins.location(id);
        Ok(self.location(id).await?.or(held))
    }

    /// Writes everything that waits, as one group.
    fn append_waiting(&self) {
        let mut segments = lock(&self.segments);
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        if waiting.is_empty() {
            return;
        }
        let room = self.room();
        let sync = waiting.iter().any(|waiting| waiting.sync);
        let mut group: Vec<(BlobId, Bytes)> = Vec::new();
        for Waiting { id, content, .. } in &waiting {
            // The same content may have come twice at the same time.
            if self.pins.location(id).is_none() && !group.iter().any(|(other, _)| other == id) {
                group.push((*id, content.clone()));
            }
        }
        let done = room.and_then(|()| segments.append(&group, sync)).and_then(|places| {
            for ((id, _), place) in group.iter().zip(places) {
                self.pins.place(id, place);
            }
            // What was found in place may have been written without a sync.
            if sync { segments.sync() } else { Ok(()) }
        });
        drop(segments);
        for Waiting { id, promise, .. } in waiting {
            promise.keep(match &done {
                Ok(()) => self.pins.location(&id).ok_or(Error::NoSuchBlob),
                Err(error) => Err(error.clone()),
            });
        }
    }

    fn begin_body(&self) -> Result<(PathBuf, Arc<dyn DiskFile>)> {
        self.room()?;
        let number = self.next_body.fetch_add(1, Ordering::Relaxed);
        let path = self.bodies.join(format!("{number}.part"));
        let file = self.disk.open(&path, true).map_err(|error| self.refuse(&path, &error))?;
        Ok((path, file.into()))
    }

    fn refuse(&self, path: &Path, error: &io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full {
                free: self.disk.free_octets(&self.folder).unwrap_or(0),
                min_free: self.min_free,
            },
            _ => cannot("write to", path, error),
        }
    }

    fn finish_body(&self, id: &BlobId, path: &Path, file: &dyn DiskFile, sync: bool) -> Result<()> {
        let finish = || -> io::Result<()> {
            if sync {
                file.sync_data()?;
            }
            self.disk.rename(path, &self.body_path(id))?;
            if sync { self.disk.sync_folder(&self.bodies) } else { Ok(()) }
        };
        finish().map_err(|error| self.refuse(path, &error))
    }

    fn read(&self, id: &BlobId, location: Location, offset: u64, octets: u64) -> Result<Bytes> {
        let start = offset.min(location.octets());
        let end = start.saturating_add(octets.min(READ_OCTETS_MAX)).min(location.octets());
        let local = |error: io::Error| Error::damaged(format!("blob {id} cannot be read: {error}"));
        match location {
            Location::Segment { segment, offset, .. } => {
                self.files.read(segment, offset, start..end).map_err(local)
            }
            Location::Body { .. } => {
                let mut content = vec![0; (end - start) as usize];
                let file = self.disk.open(&self.body_path(id), false).map_err(local)?;
                file.read_exact_at(&mut content, start).map_err(local)?;
                Ok(content.into())
            }
        }
    }
}

/// Finds content that is there already, or writes it.
async fn keep(
    shelf: Arc<Shelf>,
    appender: Arc<Workers>,
    content: Bytes,
    durability: Durability,
) -> Result<Stored> {
    let id = BlobId::of(&content);
    let octets = content.len() as u64;
    // Held before looking, so that it cannot go away in between without the link noticing.
    let pin = shelf.pins.pin(id);
    let sync = durability == Durability::Disk;
    if let Some(location) = shelf.location(&id).await? {
        if sync {
            let shelf = Arc::clone(&shelf);
            appender.run(move || lock(&shelf.segments).sync()).await?;
        }
        return Ok(Stored { id, octets, location, known: true, pin });
    }
    let (promise, answer) = Answer::promised();
    lock(&shelf.waiting).push(Waiting { id, content, sync, promise });
    let appending = Arc::clone(&shelf);
    appender
        .run(move || {
            appending.append_waiting();
            Ok(())
        })
        .await?;
    let location = answer.await?;
    Ok(Stored { id, octets, location, known: false, pin })
}

impl Blobs for LocalBlobs {
    fn put(&self, content: Bytes, durability: Durability) -> BoxFuture<'_, Result<Stored>> {
        if content.len() as u64 >= BODY_OCTETS_MIN {
            let mut writer = self.writer(durability);
            return Box::pin(async move {
                writer.write(content).await?;
                writer.finish().await
            });
        }
        Box::pin(keep(Arc::clone(&self.shelf), Arc::clone(&self.appender), content, durability))
    }

    fn writer(&self, durability: Durability) -> Box<dyn BlobWriter> {
        Box::new(LocalWriter {
            shelf: Arc::clone(&self.shelf),
            appender: Arc::clone(&self.appender),
            workers: Arc::clone(&self.readers),
            durability,
            pieces: Vec::new(),
            hasher: blake3::Hasher::new(),
            octets: 0,
            body: None,
        })
    }

    fn octets(&self, id: BlobId) -> BoxFuture<'_, Result<Option<u64>>> {
        Box::pin(async move { Ok(self.shelf.location_or_held(&id).await?.map(Location::octets)) })
    }

    fn read(&self, id: BlobId, offset: u64, octets: u64) -> BoxFuture<'_, Result<Bytes>> {
        Box::pin(async move {
            let mut location = self.shelf.location_or_held(&id).await?.ok_or(Error::NoSuchBlob)?;
            loop {
                let shelf = Arc::clone(&self.shelf);
                let read = self.readers.run(move || shelf.read(&id, location, offset, octets)).await;
                if read.is_ok() {
                    return read;
                }
                // It may have been moved between looking and reading.
                let now = self.shelf.location_or_held(&id).await?.ok_or(Error::NoSuchBlob)?;
                if now == location {
                    return read;
                }
                location = now;
            }
        })
    }

    fn collect(&self, now: UnixTime) -> BoxFuture<'_, Result<Collected>> {
        Box::pin(async move {
            let (shelf, maintenance) = (Arc::clone(&self.shelf), Arc::clone(&self.maintenance));
            self.readers
                .run(move || {
                    let _alone = lock(&maintenance);
                    collect::collect(&shelf, now)
                })
                .await
        })
    }
}

/// Content that is still coming.
struct LocalWriter {
    shelf: Arc<Shelf>,
    appender: Arc<Workers>,
    workers: Arc<Workers>,
    durability: Durability,
    /// What came so far, unless it has a file.
    pieces: Vec<Bytes>,
    hasher: blake3::Hasher,
    octets: u64,
    body: Option<(PathBuf, Arc<dyn DiskFile>)>,
}

impl LocalWriter {
    fn forget_pieces(&mut self) -> Bytes {
        let pieces = std::mem::take(&mut self.pieces);
        let content = pieces.concat();
        self.shelf.buffered.fetch_sub(content.len() as u64, Ordering::Relaxed);
        content.into()
    }

    /// Writes a piece to the body's file.
    async fn spill(&mut self, piece: Bytes, offset: u64) -> Result<()> {
        let shelf = Arc::clone(&self.shelf);
        let body = match &self.body {
            Some(body) => body.clone(),
            None => {
                let shelf = Arc::clone(&shelf);
                self.workers.run(move || shelf.begin_body()).await?
            }
        };
        self.body = Some(body.clone());
        let (path, file) = body;
        let write = move || file.write_all_at(&piece, offset).map_err(|error| shelf.refuse(&path, &error));
        self.workers.run(write).await
    }
}

impl BlobWriter for LocalWriter {
    fn write(&mut self, piece: Bytes) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.hasher.update(&piece);
            let before = self.octets;
            self.octets += piece.len() as u64;
            if self.body.is_some() {
                return self.spill(piece, before).await;
            }
            let buffered =
                self.shelf.buffered.fetch_add(piece.len() as u64, Ordering::Relaxed) + piece.len() as u64;
            self.pieces.push(piece);
            if self.octets >= BODY_OCTETS_MIN || buffered > BUFFERED_OCTETS_MAX {
                let content = self.forget_pieces();
                return self.spill(content, 0).await;
            }
            Ok(())
        })
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Result<Stored>> {
        Box::pin(async move {
            let Some((path, file)) = self.body.clone() else {
                let content = self.forget_pieces();
                return keep(Arc::clone(&self.shelf), Arc::clone(&self.appender), content, self.durability)
                    .await;
            };
            let id = BlobId(*self.hasher.finalize().as_bytes());
            let (octets, sync) = (self.octets, self.durability == Durability::Disk);
            let shelf = Arc::clone(&self.shelf);
            let pin = shelf.pins.pin(id);
            if let Some(location) = shelf.location(&id).await? {
                return Ok(Stored { id, octets, location, known: true, pin });
            }
            let location = Location::Body { octets };
            shelf.pins.place(&id, location);
            let finishing = Arc::clone(&shelf);
            self.workers.run(move || finishing.finish_body(&id, &path, &*file, sync)).await?;
            self.body = None;
            Ok(Stored { id, octets, location, known: false, pin })
        })
    }
}

impl Drop for LocalWriter {
    fn drop(&mut self) {
        self.forget_pieces();
        if let Some((path, _)) = self.body.take() {
            // What cannot be removed now is removed at the next start.
            let _ = self.shelf.disk.remove(&path);
        }
    }
}
