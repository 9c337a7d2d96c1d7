//! A few threads for what blocks or takes long, with a bounded queue; or none, for simulated nodes.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use doorway_base::Limit;

use crate::answer::Answer;
use crate::error::{Error, Result};
use crate::lock::lock;

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closing: bool,
}

struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

/// Threads that do what they are given, in order of arrival.
pub(crate) struct Workers {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
    limit: Limit,
}

impl Workers {
    /// With `threads` 0 the caller does its job itself: a run is then nothing but its inputs.
    pub(crate) fn new(name: &str, threads: usize, limit: Limit) -> Result<Self> {
        let queue = Arc::new(Queue { waiting: Mutex::default(), filled: Condvar::new() });
        let mut workers = Self { queue, threads: Vec::new(), limit };
        for _ in 0..threads {
            let queue = Arc::clone(&workers.queue);
            let thread = std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || {
                    while let Some(job) = queue.next() {
                        job();
                    }
                })
                .map_err(|error| Error::local("cannot start a thread of the store", error))?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// Does `job` on one of the threads. [`Error::Limit`] when too many wait.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Answer<T> {
        if self.threads.is_empty() {
            return Answer::ready(job());
        }
        let (promise, answer) = Answer::promised();
        let mut waiting = lock(&self.queue.waiting);
        if waiting.jobs.len() as u64 >= self.limit.limit {
            drop(waiting);
            promise.keep(Err(self.limit.into()));
            return answer;
        }
        waiting.jobs.push_back(Box::new(move || promise.keep(job())));
        drop(waiting);
        self.queue.filled.notify_one();
        answer
    }
}

impl Queue {
    fn next(&self) -> Option<Job> {
        let mut waiting = lock(&self.waiting);
        loop {
            if let Some(job) = waiting.jobs.pop_front() {
                return Some(job);
            }
            if waiting.closing {
                return None;
            }
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        lock(&self.queue.waiting).closing = true;
        self.queue.filled.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
