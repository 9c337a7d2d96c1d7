//! One stream, and the table of those that are open (RFC 9113 §5.1).

use doorway_base::Instant;

use super::flow::{ReceiveWindow, SendWindow};
use super::priority::Priority;

/// Streams that ended lately and are remembered, so that what still comes for them is judged rightly.
const ENDED_MAX: usize = 32;

/// The states of a stream that is in the table. Idle and closed streams are not in it; reserved ones do
/// not occur without push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Both sides may send.
    Open,
    /// This side has ended: nothing more is sent, what comes is thrown away.
    HalfClosedLocal,
    /// The peer has ended: nothing more comes but what is about the stream itself.
    HalfClosedRemote,
}

/// A stream that is in use.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Its number.
    pub id: u32,
    /// Where it stands.
    pub state: State,
    /// Room for DATA to the peer.
    pub send: SendWindow,
    /// Room for DATA from the peer.
    pub receive: ReceiveWindow,
    /// What content-length said.
    pub length: Option<u64>,
    /// Octets of content that came.
    pub received: u64,
    /// Its place among the others.
    pub priority: Priority,
    /// Grows each time it has sent, for the round robin.
    pub turn: u32,
    /// Whether there is content that waits to be sent.
    pub pending: bool,
    /// When the peer must have moved [`BODY_WINDOW_OCTETS`](crate::connection::BODY_WINDOW_OCTETS) of content.
    pub until: Instant,
    /// Octets of content that the peer has moved towards that.
    pub moved: usize,
}

impl Stream {
    /// A stream that its first HEADERS open.
    #[must_use]
    pub fn new(id: u32, state: State, send_octets: u32, receive_octets: u32) -> Self {
        Self {
            id,
            state,
            send: SendWindow::new(send_octets),
            receive: ReceiveWindow::new(receive_octets),
            length: None,
            received: 0,
            priority: Priority::default(),
            turn: 0,
            pending: false,
            until: Instant::NEVER,
            moved: 0,
        }
    }
}

/// How a stream came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Both sides have ended it.
    Closed,
    /// The peer reset it.
    ByPeer,
    /// This side reset it; the peer may not know yet.
    ByUs,
}

/// The streams in use, and what is remembered of others.
#[derive(Debug, Default)]
pub struct Streams {
    // In the order of their numbers.
    open: Vec<Stream>,
    ended: [Option<(u32, Ended)>; ENDED_MAX],
    next_ended: usize,
}

impl Streams {
    /// How many are in use.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is in use.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn place(&self, id: u32) -> Option<usize> {
        match self.open.last() {
            // Most often it is the newest that somebody speaks of.
            Some(last) if last.id == id => Some(self.open.len() - 1),
            _ => self.open.binary_search_by_key(&id, |stream| stream.id).ok(),
        }
    }

    /// The stream with this number, if it is in use.
    #[inline]
    pub fn find(&mut self, id: u32) -> Option<&mut Stream> {
        let place = self.place(id)?;
        Some(&mut self.open[place])
    }

    /// How the stream with this number ended, if that was lately.
    #[must_use]
    pub fn ended(&self, id: u32) -> Option<Ended> {
        self.ended.iter().flatten().find(|(ended, _)| *ended == id).map(|(_, how)| *how)
    }

    /// Adds a stream; its number is above those of all others.
    pub fn add(&mut self, stream: Stream) {
        debug_assert!(self.open.last().is_none_or(|last| last.id < stream.id));
        self.open.push(stream);
    }

    /// Takes a stream out that has ended; `None` when it is not in use.
    pub fn remove(&mut self, id: u32, how: Ended) -> Option<Stream> {
        let stream = self.open.remove(self.place(id)?);
        self.note(id, how);
        if self.open.is_empty() && self.open.capacity() > 4 {
            // A connection that waits shall be small.
            self.open = Vec::new();
        }
        Some(stream)
    }

    /// Remembers how a stream ended that was never in use.
    pub const fn note(&mut self, id: u32, how: Ended) {
        self.ended[self.next_ended % ENDED_MAX] = Some((id, how));
        self.next_ended = (self.next_ended + 1) % ENDED_MAX;
    }

    /// Each stream in use, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Stream> {
        self.open.iter()
    }

    /// Each stream in use, in the order of their numbers.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.open.iter_mut()
    }
}
