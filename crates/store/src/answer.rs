//! An answer that comes later: awaited in any runtime, or waited for by a thread without one.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::error::{Error, Result};
use crate::lock::lock;

/// A future that may be sent between threads, on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

#[derive(Debug)]
enum State<T> {
    Waiting(Option<Waker>),
    Done(Result<T>),
    Taken,
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    done: Condvar,
}

/// The result of a request to a store. Dropping it does not take the request back.
#[derive(Debug)]
#[must_use = "a request that nobody waits for may have failed"]
pub struct Answer<T>(Inner<T>);

#[derive(Debug)]
enum Inner<T> {
    Ready(Option<Result<T>>),
    Later(Arc<Shared<T>>),
}

// Nothing in it is ever pinned: the value moves out whole.
impl<T> Unpin for Answer<T> {}

impl<T> Answer<T> {
    /// An answer that is there already.
    pub fn ready(result: Result<T>) -> Self {
        Self(Inner::Ready(Some(result)))
    }

    /// An answer, and the promise that gives it.
    pub fn promised() -> (Promise<T>, Self) {
        let shared = Arc::new(Shared { state: Mutex::new(State::Waiting(None)), done: Condvar::new() });
        (Promise { shared: Some(Arc::clone(&shared)) }, Self(Inner::Later(shared)))
    }

    /// Blocks this thread until the answer is there. For the command line and for tests; a service
    /// awaits instead.
    ///
    /// # Errors
    /// The request's own.
    pub fn wait(self) -> Result<T> {
        match self.0 {
            Inner::Ready(result) => result.unwrap_or(Err(Error::Closed)),
            Inner::Later(shared) => {
                let mut state = lock(&shared.state);
                while let State::Waiting(_) = *state {
                    state = shared.done.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                state.take()
            }
        }
    }
}

impl<T> State<T> {
    fn take(&mut self) -> Result<T> {
        match std::mem::replace(self, Self::Taken) {
            Self::Done(result) => result,
            Self::Waiting(_) | Self::Taken => Err(Error::Closed),
        }
    }
}

impl<T> Future for Answer<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Inner::Ready(result) => Poll::Ready(result.take().unwrap_or(Err(Error::Closed))),
            Inner::Later(shared) => {
                let mut state = lock(&shared.state);
                if let State::Waiting(waker) = &mut *state {
                    match waker {
                        Some(waker) => waker.clone_from(context.waker()),
                        None => *waker = Some(context.waker().clone()),
                    }
                    return Poll::Pending;
                }
                Poll::Ready(state.take())
            }
        }
    }
}

/// The duty to give one answer. Dropped without giving it, the answer is [`Error::Closed`].
#[derive(Debug)]
pub struct Promise<T> {
    shared: Option<Arc<Shared<T>>>,
}

impl<T> Promise<T> {
    /// Gives the answer and wakes whoever waits for it.
    pub fn keep(mut self, result: Result<T>) {
        self.give(result);
    }

    fn give(&mut self, result: Result<T>) {
        let Some(shared) = self.shared.take() else { return };
        let before = std::mem::replace(&mut *lock(&shared.state), State::Done(result));
        match before {
            // A thread waits on the condition, a task left its waker: never both.
            State::Waiting(Some(waker)) => waker.wake(),
            _ => shared.done.notify_one(),
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.give(Err(Error::Closed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::wait::wait;

    #[test]
    fn an_answer_reaches_a_waiting_thread_and_a_waiting_task() {
        for as_task in [false, true] {
            let (promise, answer) = Answer::promised();
            let giver = std::thread::spawn(move || promise.keep(Ok(7)));
            assert_eq!(if as_task { wait(answer) } else { answer.wait() }, Ok(7));
            giver.join().unwrap();
        }
    }

    #[test]
    fn a_promise_that_is_dropped_answers_that_the_store_is_closed() {
        let (promise, answer) = Answer::<()>::promised();
        drop(promise);
        assert_eq!(wait(answer), Err(Error::Closed));
        assert_eq!(Answer::<u8>::ready(Ok(1)).wait(), Ok(1));
    }
}
