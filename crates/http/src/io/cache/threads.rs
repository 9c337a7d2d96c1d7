//! A few threads that read from the disk, so that no worker waits for it; or none, in a simulated world.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::lock;

/// Most reads that wait. A client has one under way at a time.
const JOBS_MAX: usize = 65_536;

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closing: bool,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

/// The threads. They end when this is dropped.
pub(super) struct Threads {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Threads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Threads").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

impl Threads {
    /// With `count` 0 the caller does its job itself.
    pub(super) fn new(name: &str, count: usize) -> io::Result<Self> {
        let queue = Arc::<Queue>::default();
        let mut threads = Vec::new();
        for _ in 0..count {
            let queue = Arc::clone(&queue);
            let work = move || {
                while let Some(job) = queue.next() {
                    job();
                }
            };
            threads.push(std::thread::Builder::new().name(name.to_owned()).spawn(work)?);
        }
        Ok(Self { queue, threads })
    }

    /// Does `job`. When too many wait, the answer never comes: its receiver fails.
    pub(super) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (promise, answer) = oneshot::channel();
        let job = move || _ = promise.send(job());
        if self.threads.is_empty() {
            job();
            return answer;
        }
        let mut waiting = lock(&self.queue.waiting);
        if waiting.jobs.len() < JOBS_MAX {
            waiting.jobs.push_back(Box::new(job));
        }
        drop(waiting);
        self.queue.filled.notify_one();
        answer
    }
}

impl Queue {
    fn next(&self) -> Option<Job> {
        let mut waiting = lock(&self.waiting);
        loop {
            if waiting.closing {
                return None;
            }
            if let Some(job) = waiting.jobs.pop_front() {
                return Some(job);
            }
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        lock(&self.queue.waiting).closing = true;
        self.queue.filled.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
