//! Informational responses (RFC 9110 §15.2) on their way from a handler to the client of its request: 103 with
//! links to fetch early (RFC 8297), 102 from another server. 100 and 101 are no business of a handler's.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::lock;
use crate::web::Fields;

/// Responses that may wait for the connection; more are left out, for nothing depends on them.
const WAITING_MAX: usize = 16;

/// Both ends of the way. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Informational(Arc<Mutex<Shared>>);

#[derive(Debug, Default)]
struct Shared {
    waiting: VecDeque<(u16, Fields)>,
    sender: Option<Waker>,
}

impl Informational {
    /// Sends a response of status 102 to 199 before the final one; others are left out.
    pub fn send(&self, status: u16, fields: Fields) {
        let mut shared = lock(&self.0);
        if !(102..200).contains(&status) || shared.waiting.len() >= WAITING_MAX {
            return;
        }
        shared.waiting.push_back((status, fields));
        let sender = shared.sender.take();
        drop(shared);
        if let Some(sender) = sender {
            sender.wake();
        }
    }

    /// The next one to be written, for whoever speaks with the client.
    pub fn poll_next(&self, cx: &Context<'_>) -> Poll<(u16, Fields)> {
        let mut shared = lock(&self.0);
        match shared.waiting.pop_front() {
            Some(next) => Poll::Ready(next),
            None => {
                shared.sender = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_comes_in_order_and_only_so_much_waits() {
        let way = Informational::default();
        let cx = Context::from_waker(Waker::noop());
        for status in [100, 101, 200, 103] {
            way.send(status, Fields::new());
        }
        way.clone().send(102, Fields::new());
        assert_eq!(way.poll_next(&cx), Poll::Ready((103, Fields::new())));
        assert_eq!(way.poll_next(&cx), Poll::Ready((102, Fields::new())));
        assert!(way.poll_next(&cx).is_pending());
        (0..100).for_each(|_| way.send(103, Fields::new()));
        let waiting = std::iter::from_fn(|| match way.poll_next(&cx) {
            Poll::Ready(next) => Some(next),
            Poll::Pending => None,
        });
        assert_eq!(waiting.count(), WAITING_MAX);
    }
}
