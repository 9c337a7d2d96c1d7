//! A content that arrives: written by one, read along by any number, kept as a whole or not at all.
//!
//! As long as it is short it gathers in one stretch of memory. When it becomes too long for that, it goes to
//! the disk piece by piece; where there is none, or it does not keep up, the content is not kept, and those
//! who read along get it through a window that moves on with the slowest of them.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use doorway_net::web::Bytes;

use super::disk::{DiskPiece, Job};
use super::lock;
use super::object::{Content, Object, Parts};
use super::tiers::Tiers;
use crate::cache::record::PIECE_OCTETS;
use crate::cache::{Key, Stored};

/// Most octets that a reader who follows closely takes at a time.
const STEP_OCTETS_MAX: usize = 64 * 1024;
/// How far ahead of the slowest reader a content that is not kept may arrive, in pieces.
const WINDOW_PIECES: usize = 2;

/// Why a response is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Its content is too long for the cache.
    TooLong,
    /// There is no memory for it: other contents that arrive take all.
    NoRoom,
    /// Its host has all that it may have.
    HostFull,
    /// It carries too many tags, or too long ones.
    Tags,
    /// A purge forbade it while it arrived.
    Purged,
    /// Its content ended before its announced length, or went beyond it.
    Length,
    /// It will not be kept, and nobody reads it.
    Unwanted,
}

impl Refused {
    /// Whether the next response for the same target would most likely fare the same.
    pub(super) const fn lasts(self) -> bool {
        matches!(self, Self::TooLong | Self::Tags | Self::HostFull)
    }
}

/// What has arrived of a content.
#[derive(Debug, Default)]
pub(super) struct Fill(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What was before the tail, each of [`PIECE_OCTETS`].
    pieces: Vec<Piece>,
    tail: BytesMut,
    end: End,
    /// Whether pieces go away once all have read them.
    passing: bool,
    followers: BTreeMap<u64, Following>,
    next_follower: u64,
    /// The writing side, when it waits for the slowest reader.
    writer: Option<Waker>,
}

#[derive(Debug)]
struct Following {
    at: u64,
    waker: Option<Waker>,
}

#[derive(Debug)]
enum Piece {
    Memory(Bytes),
    Disk(DiskPiece),
    Gone,
}

#[derive(Debug, Default)]
enum End {
    #[default]
    Open,
    /// All of it, in one stretch.
    Whole(Bytes),
    /// All of it is in the pieces.
    Pieces,
    Broken,
}

/// What a reader gets next.
#[derive(Debug)]
pub(super) enum Step {
    Octets(Bytes),
    /// It lies on disk: in this piece, from here on.
    OnDisk(DiskPiece, u64),
    End,
    Broken,
}

/// One who reads along.
#[derive(Debug)]
pub(super) struct Follower {
    fill: Arc<Fill>,
    number: u64,
}

impl Follower {
    /// What there is from `at` on.
    pub(super) fn poll_step(&self, cx: &mut Context<'_>, at: u64) -> Poll<Step> {
        let mut state = lock(&self.fill.0);
        let step = state.step(at);
        if let (Poll::Pending, Some(following)) = (&step, state.followers.get_mut(&self.number)) {
            following.waker = Some(cx.waker().clone());
        }
        step
    }

    /// Notes that everything before `at` was taken.
    pub(super) fn advance(&self, at: u64) {
        let mut state = lock(&self.fill.0);
        if let Some(following) = state.followers.get_mut(&self.number) {
            following.at = at;
        }
        let writer = state.pass();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut state = lock(&self.fill.0);
        state.followers.remove(&self.number);
        let writer = state.pass();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
    }
}

impl State {
    fn step(&self, at: u64) -> Poll<Step> {
        if let End::Whole(content) = &self.end {
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            let rest = (at < content.len()).then(|| content.slice(at..));
            return Poll::Ready(rest.map_or(Step::End, Step::Octets));
        }
        let number = usize::try_from(at / PIECE_OCTETS as u64).unwrap_or(usize::MAX);
        let within = (at % PIECE_OCTETS as u64) as usize;
        match self.pieces.get(number) {
            Some(Piece::Gone) => Poll::Ready(Step::Broken),
            Some(Piece::Memory(piece)) if within < piece.len() => {
                Poll::Ready(Step::Octets(piece.slice(within..)))
            }
            Some(Piece::Disk(piece)) if within < piece.octets as usize => {
                Poll::Ready(Step::OnDisk(piece.clone(), within as u64))
            }
            // The last piece may be shorter.
            Some(_) => Poll::Ready(Step::End),
            None => {
                let within =
                    usize::try_from(at - (self.pieces.len() * PIECE_OCTETS) as u64).unwrap_or(usize::MAX);
                match self.end {
                    End::Broken => Poll::Ready(Step::Broken),
                    End::Open if within < self.tail.len() => {
                        let until = self.tail.len().min(within + STEP_OCTETS_MAX);
                        Poll::Ready(Step::Octets(Bytes::copy_from_slice(&self.tail[within..until])))
                    }
                    End::Open => Poll::Pending,
                    End::Whole(_) | End::Pieces => Poll::Ready(Step::End),
                }
            }
        }
    }

    // Lets pieces go that all have read; gives the writing side back when there is room again.
    fn pass(&mut self) -> Option<Waker> {
        if !self.passing {
            return None;
        }
        let slowest = self.followers.values().map(|following| following.at).min();
        let read = slowest.map_or(self.pieces.len(), |at| (at / PIECE_OCTETS as u64) as usize);
        for piece in self.pieces.iter_mut().take(read).rev() {
            if matches!(piece, Piece::Gone) {
                break;
            }
            *piece = Piece::Gone;
        }
        self.writer.take()
    }

    fn wake_followers(&mut self) -> Vec<Waker> {
        self.followers.values_mut().filter_map(|following| following.waker.take()).collect()
    }
}

impl Fill {
    /// Someone reads along from `at` on.
    pub(super) fn follow(fill: &Arc<Self>, at: u64) -> Follower {
        let mut state = lock(&fill.0);
        let number = state.next_follower;
        state.next_follower += 1;
        state.followers.insert(number, Following { at, waker: None });
        Follower { fill: Arc::clone(fill), number }
    }

    /// A piece was written to disk, or could not be.
    pub(super) fn written(&self, number: usize, piece: Option<DiskPiece>) {
        if let (Some(slot), Some(piece)) = (lock(&self.0).pieces.get_mut(number), piece) {
            *slot = Piece::Disk(piece);
        }
    }

    /// All pieces, when each of them is on disk.
    pub(super) fn pieces(&self) -> Option<Vec<DiskPiece>> {
        let on_disk = |piece: &Piece| if let Piece::Disk(piece) = piece { Some(piece.clone()) } else { None };
        lock(&self.0).pieces.iter().map(on_disk).collect()
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = lock(&self.0);
        let result = change(&mut state);
        let wakers = state.wake_followers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        result
    }
}

/// How a content is kept while it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// In one stretch of memory.
    Memory,
    /// On disk, in pieces.
    Disk,
    /// Not at all.
    Passing(Refused),
}

/// The writing side. Dropped before [`Filling::finish`], the response is not kept, and who reads along gets
/// an error instead of an end.
#[derive(Debug)]
#[must_use = "dropping it breaks the content off"]
pub struct Filling {
    tiers: Arc<Tiers>,
    object: Arc<Object>,
    fill: Arc<Fill>,
    octets: u64,
    /// Octets of memory that were taken for it.
    reserved: u64,
    way: Way,
    over: bool,
}

impl Filling {
    pub(super) fn begin(
        tiers: &Arc<Tiers>,
        key: &Key,
        stored: Stored,
        octets: Option<u64>,
        purges: u64,
    ) -> Result<Self, Refused> {
        let parts = tiers.describe(key, stored, purges)?;
        let way = tiers.way_for(octets).ok_or(Refused::TooLong)?;
        let way = if way { Way::Memory } else { Way::Disk };
        let reserved = if way == Way::Memory { octets.unwrap_or(0) } else { PIECE_OCTETS as u64 };
        tiers.check_host(&parts.host, octets.unwrap_or(0))?;
        if !tiers.reserve(reserved) {
            return Err(Refused::NoRoom);
        }
        Ok(Self::start(tiers, parts, octets, reserved, way))
    }

    fn start(tiers: &Arc<Tiers>, parts: Parts, octets: Option<u64>, reserved: u64, way: Way) -> Self {
        let fill = Arc::new(Fill::default());
        let content = Content::Filling(Arc::clone(&fill));
        let object = Arc::new(Object::new(tiers, parts, octets, content));
        if way == Way::Memory {
            let capacity = usize::try_from(reserved).unwrap_or(0);
            lock(&fill.0).tail = BytesMut::with_capacity(capacity);
        }
        tiers.begin(&object);
        Self { tiers: Arc::clone(tiers), object, fill, octets: 0, reserved, way, over: false }
    }

    /// The response that is being filled: to be read from the start, by this request too.
    #[must_use]
    pub const fn object(&self) -> &Arc<Object> {
        &self.object
    }

    /// Octets that have arrived.
    #[must_use]
    pub const fn octets(&self) -> u64 {
        self.octets
    }

    /// How many read along now.
    #[must_use]
    pub fn readers(&self) -> usize {
        lock(&self.fill.0).followers.len()
    }

    /// Adds octets. Waits while those who read along are too far behind, where the content is not kept.
    ///
    /// # Errors
    /// [`Refused`] when there is no use going on: the content is longer than was announced, or it turned out
    /// not to be kept and nobody reads it.
    pub async fn push(&mut self, piece: Bytes) -> Result<(), Refused> {
        self.octets += piece.len() as u64;
        if self.object.octets().is_some_and(|octets| self.octets > octets) {
            return Err(Refused::Length);
        }
        self.choose_way(piece.len() as u64);
        if self.way == Way::Memory {
            self.fill.change(|state| state.tail.extend_from_slice(&piece));
            return Ok(());
        }
        let mut piece = piece;
        while !piece.is_empty() {
            let full = self.fill.change(|state| {
                let room = PIECE_OCTETS - state.tail.len();
                state.tail.extend_from_slice(&piece.split_to(room.min(piece.len())));
                state.tail.len() == PIECE_OCTETS
            });
            if full {
                self.cut_piece();
            }
        }
        self.wait_for_readers().await
    }

    // Decides anew what becomes of the content, now that there are `more` octets.
    fn choose_way(&mut self, more: u64) {
        if let Way::Passing(_) = self.way {
            return;
        }
        if let Err(refused) = self.tiers.check_growing(&self.object, self.octets) {
            self.pass(refused);
            return;
        }
        if self.way == Way::Memory && self.octets > self.reserved {
            let fits = self.tiers.way_for(Some(self.octets)) == Some(true) && self.tiers.reserve(more);
            if fits {
                self.reserved += more;
            } else if self.tiers.disk().is_some() {
                self.leave_memory(Way::Disk);
            } else {
                self.pass(Refused::NoRoom);
            }
        }
    }

    // The content will not be kept: nobody finds it from here on.
    fn pass(&mut self, refused: Refused) {
        self.tiers.drop_unfinished(&self.object);
        self.leave_memory(Way::Passing(refused));
        lock(&self.fill.0).passing = true;
    }

    fn leave_memory(&mut self, way: Way) {
        self.way = way;
        loop {
            let tail_octets = lock(&self.fill.0).tail.len();
            if tail_octets < PIECE_OCTETS {
                break;
            }
            self.cut_piece();
        }
        // The piece that gathers stays in memory.
        let kept = self.reserved.min(PIECE_OCTETS as u64);
        self.tiers.release(self.reserved - kept);
        self.reserved = kept;
    }

    // Makes the first octets of the tail a piece; it goes to the disk if the content is kept there.
    fn cut_piece(&mut self) {
        let (number, content) = self.fill.change(|state| {
            let octets = state.tail.len().min(PIECE_OCTETS);
            let content = state.tail.split_to(octets).freeze();
            state.pieces.push(Piece::Memory(content.clone()));
            (state.pieces.len() - 1, content)
        });
        if self.way == Way::Disk {
            let fill = Arc::clone(&self.fill);
            let job = Job::Piece { fill, number, content, id: *self.object.id() };
            if !self.tiers.leave(job) {
                self.pass(Refused::NoRoom);
            }
        }
    }

    async fn wait_for_readers(&self) -> Result<(), Refused> {
        let Way::Passing(_) = self.way else { return Ok(()) };
        poll_fn(|cx| {
            let mut state = lock(&self.fill.0);
            if state.followers.is_empty() {
                return Poll::Ready(Err(Refused::Unwanted));
            }
            state.writer = None;
            let _ = state.pass();
            let waiting = state.pieces.iter().rev().take_while(|piece| !matches!(piece, Piece::Gone)).count();
            if waiting < WINDOW_PIECES {
                return Poll::Ready(Ok(()));
            }
            state.writer = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// The content is here as a whole, and is kept from now on, if it can be.
    ///
    /// # Errors
    /// [`Refused`] when it is not kept. Those who read along get it to its end all the same, unless it is
    /// shorter than was announced.
    pub fn finish(mut self) -> Result<Arc<Object>, Refused> {
        if self.object.octets().is_some_and(|octets| self.octets != octets) {
            return Err(Refused::Length);
        }
        self.over = true;
        if self.way == Way::Memory {
            let content = self.fill.change(|state| {
                let tail = std::mem::take(&mut state.tail);
                // What grew without knowing how far may hold much more than it needs.
                let spare = tail.capacity() - tail.len();
                let content =
                    if spare > tail.len() / 4 { Bytes::copy_from_slice(&tail) } else { tail.freeze() };
                state.end = End::Whole(content.clone());
                content
            });
            let reserved = std::mem::take(&mut self.reserved);
            let whole = Arc::new(self.object.with_content(self.octets, Content::Memory(content)));
            return self.tiers.keep(&self.object, whole, reserved);
        }
        if !lock(&self.fill.0).tail.is_empty() {
            self.cut_piece();
        }
        self.fill.change(|state| state.end = End::Pieces);
        if let Way::Passing(refused) = self.way {
            self.tiers.release(std::mem::take(&mut self.reserved));
            return Err(refused);
        }
        let content = Content::Filling(Arc::clone(&self.fill));
        let whole = Arc::new(self.object.with_content(self.octets, content));
        let reserved = std::mem::take(&mut self.reserved);
        let whole = self.tiers.keep(&self.object, whole, reserved)?;
        if self.tiers.leave(Job::Close { fill: Arc::clone(&self.fill), object: Arc::clone(&whole) }) {
            return Ok(whole);
        }
        self.tiers.drop_unfinished(&whole);
        Err(Refused::NoRoom)
    }

    /// All of it at once.
    pub(super) fn finish_with(mut self, content: Bytes) -> Result<Arc<Object>, Refused> {
        if self.way != Way::Memory {
            let mut rest = content;
            while !rest.is_empty() {
                let piece = rest.split_to(rest.len().min(PIECE_OCTETS));
                self.octets += piece.len() as u64;
                self.fill.change(|state| state.tail.extend_from_slice(&piece));
                self.cut_piece();
            }
            return self.finish();
        }
        self.octets = content.len() as u64;
        self.over = true;
        self.fill.change(|state| state.end = End::Whole(content.clone()));
        let reserved = std::mem::take(&mut self.reserved);
        let whole = Arc::new(self.object.with_content(self.octets, Content::Memory(content)));
        self.tiers.keep(&self.object, whole, reserved)
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        if !self.over {
            self.tiers.drop_unfinished(&self.object);
            self.tiers.release(std::mem::take(&mut self.reserved));
            self.fill.change(|state| state.end = End::Broken);
        }
    }
}
