//! How the tasks of a service hear that it ends.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::Poll;

use tokio::sync::Notify;

/// Told once, heard by all.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    told: AtomicBool,
    tell: Notify,
}

impl Stop {
    /// Tells everybody, also those who ask later.
    pub(crate) fn tell(&self) {
        self.told.store(true, SeqCst);
        self.tell.notify_waiters();
    }

    /// What `future` gives; `None` when the end is told first.
    pub(crate) async fn or<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut told = pin!(self.tell.notified());
        // From here on a notification is not missed.
        told.as_mut().enable();
        if self.told.load(SeqCst) {
            return None;
        }
        let mut future = pin!(future);
        poll_fn(|cx| {
            if told.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            future.as_mut().poll(cx).map(Some)
        })
        .await
    }
}
