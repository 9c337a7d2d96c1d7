//! A content that arrives: written by one, read along by any number, kept as a whole or not at all.

use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use doorway_net::web::Bytes;

use super::object::{Content, Object};
use super::{Cache, lock};
use crate::cache::{Key, Stored};

/// Most octets that a reader who follows takes at a time.
const PIECE_OCTETS_MAX: usize = 64 * 1024;

/// Why a response is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Its content is too long for the cache.
    TooLong,
    /// Its host has all that it may have.
    HostFull,
    /// It carries too many tags, or too long ones.
    Tags,
    /// A purge forbade it while it arrived.
    Purged,
    /// Its content ended before its announced length, or went beyond it.
    Length,
}

/// What has arrived of a content.
#[derive(Debug, Default)]
pub(super) struct Fill(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    filled: BytesMut,
    end: End,
    readers: Vec<Waker>,
}

#[derive(Debug, Default)]
enum End {
    #[default]
    Open,
    Whole(Bytes),
    Broken,
}

impl Fill {
    /// The octets from `at` on that are here, at most up to `until`; `None` at the end.
    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        at: u64,
        until: u64,
    ) -> Poll<Option<io::Result<Bytes>>> {
        let mut state = lock(&self.0);
        let (at, until) = (at as usize, usize::try_from(until).unwrap_or(usize::MAX));
        if let End::Whole(content) = &state.end {
            let until = until.min(content.len());
            return Poll::Ready((at < until).then(|| Ok(content.slice(at..until))));
        }
        if let End::Broken = state.end {
            return Poll::Ready(Some(Err(broken_off())));
        }
        if at >= until {
            return Poll::Ready(None);
        }
        if at < state.filled.len() {
            let until = until.min(state.filled.len()).min(at + PIECE_OCTETS_MAX);
            return Poll::Ready(Some(Ok(Bytes::copy_from_slice(&state.filled[at..until]))));
        }
        if !state.readers.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.readers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.0);
        change(&mut state);
        let readers = std::mem::take(&mut state.readers);
        drop(state);
        readers.into_iter().for_each(Waker::wake);
    }
}

fn broken_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the origin broke off")
}

/// The writing side. Dropped before [`Filling::finish`], the response is not kept, and who reads along gets
/// an error instead of an end.
#[derive(Debug)]
#[must_use = "dropping it breaks the content off"]
pub struct Filling {
    cache: Arc<Cache>,
    object: Arc<Object>,
    fill: Arc<Fill>,
    octets: u64,
    over: bool,
}

impl Filling {
    pub(super) fn begin(
        cache: &Arc<Cache>,
        key: &Key,
        stored: Stored,
        octets: Option<u64>,
        _purges: u64,
    ) -> Result<Self, Refused> {
        if octets.unwrap_or(0) > cache.object_octets_max() {
            return Err(Refused::TooLong);
        }
        let fill = Arc::new(Fill::default());
        let content = Content::Filling(Arc::clone(&fill));
        let object = Arc::new(Object::new(cache.next_number(), key.clone(), stored, octets, content));
        cache.insert(&object);
        Ok(Self { cache: Arc::clone(cache), object, fill, octets: 0, over: false })
    }

    /// The response that is being filled: to be read from the start, by this request too.
    #[must_use]
    pub const fn object(&self) -> &Arc<Object> {
        &self.object
    }

    /// Adds octets. Waits while those who read along are too far behind, where the content is not kept.
    ///
    /// # Errors
    /// [`Refused`] when the content turns out not to be kept and nobody reads it: there is no use going on.
    pub async fn push(&mut self, piece: Bytes) -> Result<(), Refused> {
        self.octets += piece.len() as u64;
        let over = self.object.octets().is_some_and(|octets| self.octets > octets);
        if over || self.octets > self.cache.object_octets_max() {
            return Err(if over { Refused::Length } else { Refused::TooLong });
        }
        self.fill.change(|state| state.filled.extend_from_slice(&piece));
        Ok(())
    }

    /// The content is here as a whole, and is kept from now on.
    ///
    /// # Errors
    /// [`Refused::Length`] when it is shorter than was announced; those who read along get an error then.
    pub fn finish(mut self) -> Result<Arc<Object>, Refused> {
        if self.object.octets().is_some_and(|octets| self.octets != octets) {
            return Err(Refused::Length);
        }
        self.over = true;
        let mut content = Bytes::new();
        self.fill.change(|state| {
            content = std::mem::take(&mut state.filled).freeze();
            state.end = End::Whole(content.clone());
        });
        let whole = Arc::new(self.object.with_content(Some(content.len() as u64), Content::Memory(content)));
        self.cache.replace(&self.object, &whole);
        Ok(whole)
    }

    pub(super) fn finish_with(mut self, content: Bytes) -> Result<Arc<Object>, Refused> {
        self.octets = content.len() as u64;
        self.fill.change(|state| state.filled = content.into());
        self.finish()
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        if !self.over {
            self.cache.remove(&self.object);
            self.fill.change(|state| state.end = End::Broken);
        }
    }
}
