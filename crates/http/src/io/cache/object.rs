//! A response that is kept, and its content on the way to a client.

use std::fmt;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use doorway_net::web::{BodyStream, Bytes};
use tokio::sync::oneshot;

use super::disk::DiskContent;
use super::fill::{Fill, Follower, Step};
use super::heads::Heads;
use super::hosts::Host;
use super::tiers::Tiers;
use crate::cache::{Key, Stored};

/// What a response takes in memory beside its content, in octets: its fields and its ready-made heads, roughly.
const HEAD_OCTETS: u64 = 2048;

/// A response that is kept, or is about to be.
pub struct Object {
    id: Id,
    key: Key,
    stored: Stored,
    host: Arc<Host>,
    tags: Option<Box<[u64]>>,
    octets: Option<u64>,
    content: Content,
    must_validate: AtomicBool,
    heads: OnceLock<Heads>,
    tiers: Arc<Tiers>,
}

/// By what the cache knows a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id {
    /// Of the content: the same after its fields were refreshed; no two are equal.
    pub(super) number: u64,
    /// Of the target.
    pub(super) name: u64,
    /// Of what selects it.
    pub(super) variant: u64,
    /// Orders to forget up to this number are not about it.
    pub(super) purges: u64,
}

/// Where a content is.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// Here, as a whole.
    Memory(Bytes),
    /// On its way from the origin.
    Filling(Arc<Fill>),
    /// On disk alone.
    Disk(Arc<DiskContent>),
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("key", &self.key).field("octets", &self.octets).finish_non_exhaustive()
    }
}

/// What an object is made of besides its content.
pub(super) struct Parts {
    pub(super) id: Id,
    pub(super) key: Key,
    pub(super) stored: Stored,
    pub(super) host: Arc<Host>,
    pub(super) tags: Option<Box<[u64]>>,
    pub(super) must_validate: bool,
}

impl Object {
    pub(super) fn new(tiers: &Arc<Tiers>, parts: Parts, octets: Option<u64>, content: Content) -> Self {
        let Parts { id, key, stored, host, tags, must_validate } = parts;
        let (tiers, must_validate) = (Arc::clone(tiers), AtomicBool::new(must_validate));
        Self { id, key, stored, host, tags, octets, content, must_validate, heads: OnceLock::new(), tiers }
    }

    /// The same response with its content elsewhere.
    pub(super) fn with_content(&self, octets: u64, content: Content) -> Self {
        Self::new(&self.tiers, self.parts(), Some(octets), content)
    }

    /// The same content with other fields.
    pub(super) fn with_stored(&self, id: Id, stored: Stored) -> Self {
        let parts = Parts { id, stored, must_validate: false, ..self.parts() };
        Self::new(&self.tiers, parts, self.octets, self.content.clone())
    }

    fn parts(&self) -> Parts {
        Parts {
            id: self.id,
            key: self.key.clone(),
            stored: self.stored.clone(),
            host: Arc::clone(&self.host),
            tags: self.tags.clone(),
            must_validate: self.must_validate(),
        }
    }

    pub(super) const fn id(&self) -> &Id {
        &self.id
    }

    pub(super) const fn content(&self) -> &Content {
        &self.content
    }

    pub(super) fn tags(&self) -> &[u64] {
        self.tags.as_deref().unwrap_or_default()
    }

    /// What it takes in memory; nothing while it arrives, for then its filling answers for that.
    pub(super) fn weight(&self) -> u64 {
        match &self.content {
            Content::Memory(content) => HEAD_OCTETS + content.len() as u64,
            Content::Filling(_) => 0,
            Content::Disk(content) => HEAD_OCTETS + content.weight(),
        }
    }

    /// What it answers.
    #[must_use]
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// Its host, which counts how requests were answered.
    #[must_use]
    pub const fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// Its status, fields and times.
    #[must_use]
    pub const fn stored(&self) -> &Stored {
        &self.stored
    }

    /// The length of its content; `None` while it arrives without saying how much it will be.
    #[must_use]
    pub const fn octets(&self) -> Option<u64> {
        self.octets
    }

    /// Whether the origin has to be asked before it is used, however fresh it is: an operator said so, or
    /// its age is not known since the clock was set back. When the origin cannot be reached it serves as a
    /// stale response does.
    #[must_use]
    pub fn must_validate(&self) -> bool {
        self.must_validate.load(Relaxed)
    }

    pub(super) fn set_must_validate(&self) {
        self.must_validate.store(true, Relaxed);
    }

    /// The whole content, where it is in memory.
    #[must_use]
    pub const fn in_memory(&self) -> Option<&Bytes> {
        match &self.content {
            Content::Memory(content) => Some(content),
            Content::Filling(_) | Content::Disk(_) => None,
        }
    }

    /// Its head as it is sent, made when it is first wanted, and its whole content; `None` while that is not in
    /// memory.
    pub(in crate::io) fn ready(&self) -> Option<(&Heads, &Bytes)> {
        let content = self.in_memory()?;
        Some((self.heads.get_or_init(|| Heads::new(&self.stored, content.len() as u64)), content))
    }

    /// Whether its content still arrives.
    #[must_use]
    pub const fn is_filling(&self) -> bool {
        matches!(self.content, Content::Filling(_))
    }

    /// Its content, or of it the octets from the first of `span` up to but not including the second.
    ///
    /// While it arrives, and will not be kept after all, a reading that begins late finds the beginning gone:
    /// its first piece is an error.
    #[must_use]
    pub fn read(&self, span: Option<(u64, u64)>) -> Reading {
        let until = match (span, self.octets) {
            (Some((_, until)), Some(octets)) => Some(until.min(octets)),
            (Some((_, until)), None) => Some(until),
            (None, octets) => octets,
        };
        let at = span.map_or(0, |(at, _)| at);
        let source = match &self.content {
            Content::Memory(content) => Source::Memory(content.clone()),
            Content::Filling(fill) => Source::Filling(Fill::follow(fill, at)),
            Content::Disk(content) => Source::Disk(Arc::clone(content)),
        };
        Reading { tiers: Arc::clone(&self.tiers), source, at, until, reading: None }
    }
}

/// A content on its way to a client.
#[derive(Debug)]
pub struct Reading {
    tiers: Arc<Tiers>,
    source: Source,
    at: u64,
    /// Where it ends; `None` with the content.
    until: Option<u64>,
    reading: Option<oneshot::Receiver<io::Result<Bytes>>>,
}

#[derive(Debug)]
enum Source {
    Memory(Bytes),
    Filling(Follower),
    Disk(Arc<DiskContent>),
}

impl Reading {
    // Asks the disk beside the workers.
    fn ask_disk(&mut self, read: impl FnOnce() -> io::Result<Bytes> + Send + 'static) {
        self.reading = self.tiers.disk().map(|disk| disk.read_content(read));
    }

    fn poll_disk(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let read = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        let read = read.unwrap_or_else(|_| Err(io::Error::other("too many reads of the cache wait")));
        if read.is_err() {
            self.tiers.count_damaged();
        }
        Poll::Ready(Some(read))
    }
}

impl BodyStream for Reading {
    fn poll_piece(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let this = &mut *self;
        let left = this.until.map_or(u64::MAX, |until| until.saturating_sub(this.at));
        if left == 0 {
            return Poll::Ready(None);
        }
        let polled = loop {
            if this.reading.is_some() {
                break ready!(this.poll_disk(cx));
            }
            match &mut this.source {
                Source::Memory(content) => {
                    let begin = this.at.min(content.len() as u64) as usize;
                    break (begin < content.len()).then(|| Ok(content.slice(begin..)));
                }
                Source::Disk(content) => {
                    let (content, at, until) = (Arc::clone(content), this.at, this.at.saturating_add(left));
                    this.ask_disk(move || content.read(at, until));
                }
                Source::Filling(follower) => match ready!(follower.poll_step(cx, this.at)) {
                    Step::Octets(octets) => break Some(Ok(octets)),
                    Step::OnDisk(piece, at) => this.ask_disk(move || piece.read(at)),
                    Step::End => break None,
                    Step::Broken => {
                        let error = io::Error::new(io::ErrorKind::UnexpectedEof, "the origin broke off");
                        break Some(Err(error));
                    }
                },
            }
        };
        Poll::Ready(polled.map(|piece| {
            let mut piece = piece?;
            piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            this.at += piece.len() as u64;
            if let Source::Filling(follower) = &this.source {
                follower.advance(this.at);
            }
            Ok(piece)
        }))
    }

    fn octets(&self) -> Option<u64> {
        self.until.map(|until| until.saturating_sub(self.at))
    }
}
