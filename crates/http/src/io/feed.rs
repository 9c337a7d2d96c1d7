//! A request body on its way to a handler: one piece at a time, and only when it is asked for, so that a
//! slow handler slows its client down instead of filling memory.
//!
//! [`Feed`] is the connection's end, [`FedBody`] the handler's. Both may live in different tasks.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use doorway_net::web::{BodyStream, Bytes};

/// The connection's end. When it is dropped before the body's end, the handler hears of an error.
pub(super) struct Feed(Arc<Mutex<Shared>>);

/// The handler's end.
pub(super) struct FedBody(Arc<Mutex<Shared>>);

#[derive(Default)]
struct Shared {
    piece: Option<Bytes>,
    end: Option<io::Result<()>>,
    /// The handler waits for a piece.
    asked: bool,
    /// The handler let go of the body.
    gone: bool,
    reader: Option<Waker>,
    feeder: Option<Waker>,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Feed {
    /// Both ends of a body.
    pub(super) fn pair() -> (Self, FedBody) {
        let shared = Arc::new(Mutex::new(Shared::default()));
        (Self(Arc::clone(&shared)), FedBody(shared))
    }

    /// Whether the handler waits for a piece; if not, the task is woken when it does.
    pub(super) fn is_asked(&self, cx: &Context<'_>) -> bool {
        let mut shared = lock(&self.0);
        shared.feeder = Some(cx.waker().clone());
        shared.asked
    }

    /// Whether nobody will ask again.
    pub(super) fn is_gone(&self) -> bool {
        lock(&self.0).gone
    }

    /// Hands over a piece that was asked for.
    pub(super) fn give(&self, piece: Bytes) {
        self.change(|shared| shared.piece = Some(piece));
    }

    /// Says that the body is over, behind the last piece, or that it broke off.
    pub(super) fn end(&self, how: io::Result<()>) {
        self.change(|shared| {
            shared.end.get_or_insert(how);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Shared)) {
        let mut shared = lock(&self.0);
        change(&mut shared);
        shared.asked = false;
        let reader = shared.reader.take();
        drop(shared);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.end(Err(io::ErrorKind::ConnectionAborted.into()));
    }
}

impl BodyStream for FedBody {
    fn poll_piece(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let mut shared = lock(&self.0);
        if let Some(piece) = shared.piece.take() {
            return Poll::Ready(Some(Ok(piece)));
        }
        match &mut shared.end {
            Some(Ok(())) => return Poll::Ready(None),
            Some(Err(error)) => {
                let kind = error.kind();
                return Poll::Ready(Some(Err(std::mem::replace(error, kind.into()))));
            }
            None => {}
        }
        shared.reader = Some(cx.waker().clone());
        // Once for each piece: both ends may be polled by the same task, which would wake itself for ever.
        let feeder = if shared.asked { None } else { shared.feeder.take() };
        shared.asked = true;
        drop(shared);
        if let Some(feeder) = feeder {
            feeder.wake();
        }
        Poll::Pending
    }
}

impl Drop for FedBody {
    fn drop(&mut self) {
        let mut shared = lock(&self.0);
        shared.gone = true;
        shared.asked = false;
        let feeder = shared.feeder.take();
        drop(shared);
        if let Some(feeder) = feeder {
            feeder.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(body: &mut FedBody) -> Poll<Option<io::Result<Bytes>>> {
        Pin::new(body).poll_piece(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_piece_is_given_when_it_is_asked_for_and_the_end_comes_behind_the_last() {
        let (feed, mut body) = Feed::pair();
        let cx = Context::from_waker(Waker::noop());
        assert!(!feed.is_asked(&cx));
        assert!(poll(&mut body).is_pending() && feed.is_asked(&cx));
        feed.give(Bytes::from_static(b"one"));
        assert!(!feed.is_asked(&cx));
        feed.end(Ok(()));
        assert!(matches!(poll(&mut body), Poll::Ready(Some(Ok(piece))) if piece == "one"));
        assert!(matches!(poll(&mut body), Poll::Ready(None)));
        drop(feed);
        assert!(matches!(poll(&mut body), Poll::Ready(None)), "the end was told already");
    }

    #[test]
    fn each_end_hears_that_the_other_is_gone() {
        let (feed, mut body) = Feed::pair();
        drop(feed);
        let gone = poll(&mut body);
        assert!(
            matches!(gone, Poll::Ready(Some(Err(error))) if error.kind() == io::ErrorKind::ConnectionAborted)
        );
        let (feed, body) = Feed::pair();
        drop(body);
        assert!(feed.is_gone());
    }
}
