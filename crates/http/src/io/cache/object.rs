//! A response that is kept, and its content on the way to a client.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use doorway_net::web::{BodyStream, Bytes};

use super::fill::Fill;
use super::heads::Heads;
use crate::cache::{Key, Stored};

/// A response that is kept, or is about to be.
pub struct Object {
    /// Of its content: the same after its fields were refreshed.
    number: u64,
    key: Key,
    stored: Stored,
    octets: Option<u64>,
    content: Content,
    must_validate: AtomicBool,
    heads: OnceLock<Heads>,
}

/// Where a content is.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// Here, as a whole.
    Memory(Bytes),
    /// On its way from the origin.
    Filling(Arc<Fill>),
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("key", &self.key).field("octets", &self.octets).finish_non_exhaustive()
    }
}

impl Object {
    pub(super) fn new(number: u64, key: Key, stored: Stored, octets: Option<u64>, content: Content) -> Self {
        let (must_validate, heads) = Default::default();
        Self { number, key, stored, octets, content, must_validate, heads }
    }

    /// The same response with its content elsewhere.
    pub(super) fn with_content(&self, octets: Option<u64>, content: Content) -> Self {
        let object = Self::new(self.number, self.key.clone(), self.stored.clone(), octets, content);
        object.must_validate.store(self.must_validate(), Relaxed);
        object
    }

    /// The same content with other fields.
    pub(super) fn with_stored(&self, stored: Stored) -> Self {
        Self::new(self.number, self.key.clone(), stored, self.octets, self.content.clone())
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// What it answers.
    #[must_use]
    pub const fn key(&self) -> &Key {
        &self.key
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
            Content::Filling(_) => None,
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
    #[must_use]
    pub fn read(&self, span: Option<(u64, u64)>) -> Reading {
        let (at, until) = span.unwrap_or((0, self.octets.unwrap_or(u64::MAX)));
        Reading {
            content: self.content.clone(),
            at,
            until,
            is_long_known: span.is_some() || self.octets.is_some(),
        }
    }
}

/// A content on its way to a client.
#[derive(Debug)]
pub struct Reading {
    content: Content,
    at: u64,
    until: u64,
    is_long_known: bool,
}

impl BodyStream for Reading {
    fn poll_piece(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let polled = match &self.content {
            Content::Memory(content) => {
                let until = self.until.min(content.len() as u64);
                Poll::Ready((self.at < until).then(|| Ok(content.slice(self.at as usize..until as usize))))
            }
            Content::Filling(fill) => fill.poll_read(cx, self.at, self.until),
        };
        if let Poll::Ready(Some(Ok(piece))) = &polled {
            self.at += piece.len() as u64;
        }
        polled
    }

    fn octets(&self) -> Option<u64> {
        self.is_long_known.then(|| self.until.saturating_sub(self.at))
    }
}
