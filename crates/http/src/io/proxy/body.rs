//! Content on its way through the proxy: lent to one try after the other as long as nobody read of it,
//! collected where a server is not to wait for a slow client, and counted.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use doorway_net::web::{Body, BodyStream, Bytes};

use super::servers::Busy;

/// Content that is collected before a server is asked, in octets.
pub(super) const COLLECTED_OCTETS_MAX: usize = 1024 * 1024;

type Stream = Pin<Box<dyn BodyStream>>;

/// A request's content, to be lent to each try.
pub(super) struct Content {
    kept: Kept,
}

enum Kept {
    /// None, or all of it.
    Whole(Bytes),
    /// A stream, while it is here and nothing was read of it.
    Stream(Arc<Mutex<Option<Stream>>>),
}

impl Content {
    pub(super) fn new(body: Body) -> Self {
        let kept = match body {
            Body::Empty => Kept::Whole(Bytes::new()),
            Body::Whole(octets) => Kept::Whole(octets),
            Body::Stream(stream) => Kept::Stream(Arc::new(Mutex::new(Some(stream)))),
        };
        Self { kept }
    }

    /// Reads up to [`COLLECTED_OCTETS_MAX`] of a stream; what is longer follows behind that.
    pub(super) async fn collect(body: Body) -> io::Result<Body> {
        let Body::Stream(mut stream) = body else { return Ok(body) };
        let mut start = Vec::new();
        while start.len() < COLLECTED_OCTETS_MAX {
            match std::future::poll_fn(|cx| stream.as_mut().poll_piece(cx)).await {
                Some(piece) => start.extend_from_slice(&piece?),
                None => return Ok(Body::Whole(start.into())),
            }
        }
        Ok(Body::Stream(Box::pin(Joined { start: start.into(), rest: stream })))
    }

    /// Whether it can be sent from its beginning.
    pub(super) fn is_whole(&self) -> bool {
        match &self.kept {
            Kept::Whole(_) => true,
            Kept::Stream(stream) => lock(stream).is_some(),
        }
    }

    /// The content for one try.
    pub(super) fn lend(&self) -> Body {
        match &self.kept {
            Kept::Whole(octets) if octets.is_empty() => Body::Empty,
            Kept::Whole(octets) => Body::Whole(octets.clone()),
            Kept::Stream(slot) => match lock(slot).take() {
                Some(stream) => {
                    let lent = Lent { stream: Some(stream), untouched: true, slot: Arc::clone(slot) };
                    Body::Stream(Box::pin(lent))
                }
                None => Body::Empty,
            },
        }
    }
}

fn lock(slot: &Mutex<Option<Stream>>) -> std::sync::MutexGuard<'_, Option<Stream>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stream that comes back when it is dropped before anything was read of it.
struct Lent {
    stream: Option<Stream>,
    untouched: bool,
    slot: Arc<Mutex<Option<Stream>>>,
}

impl BodyStream for Lent {
    fn poll_piece(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
        let piece = std::task::ready!(stream.as_mut().poll_piece(cx));
        self.untouched = false;
        Poll::Ready(piece)
    }

    fn octets(&self) -> Option<u64> {
        self.stream.as_ref()?.octets()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.untouched {
            *lock(&self.slot) = self.stream.take();
        }
    }
}

/// Octets in front of a stream.
struct Joined {
    start: Bytes,
    rest: Stream,
}

impl BodyStream for Joined {
    fn poll_piece(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.start.is_empty() {
            return self.rest.as_mut().poll_piece(cx);
        }
        Poll::Ready(Some(Ok(std::mem::take(&mut self.start))))
    }

    fn octets(&self) -> Option<u64> {
        self.rest.octets().map(|octets| octets + self.start.len() as u64)
    }
}

/// A response's content; its server is busy with it until the end.
pub(super) struct Answering {
    pub(super) body: Stream,
    pub(super) busy: Busy,
}

impl BodyStream for Answering {
    fn poll_piece(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let piece = std::task::ready!(self.body.as_mut().poll_piece(cx));
        match &piece {
            Some(Ok(octets)) => self.busy.received(octets.len()),
            Some(Err(error)) => self.busy.broke_off(error),
            None => {}
        }
        Poll::Ready(piece)
    }

    fn octets(&self) -> Option<u64> {
        self.body.octets()
    }
}
