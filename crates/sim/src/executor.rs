//! Runs the tasks of all nodes on one thread, in the order in which they were woken.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use doorway_net::BoxFuture;

use crate::core::{NodeId, lock};

/// Names a task for as long as the simulation lives.
type TaskId = u64;

/// Every task, and which of them want to run.
#[derive(Default)]
pub(crate) struct Executor {
    tasks: Mutex<Tasks>,
    ready: Arc<Mutex<VecDeque<TaskId>>>,
}

#[derive(Default)]
struct Tasks {
    next: TaskId,
    tasks: BTreeMap<TaskId, Task>,
}

struct Task {
    node: NodeId,
    future: Option<BoxFuture<'static, ()>>,
    waker: Waker,
}

struct TaskWaker {
    task: TaskId,
    ready: Arc<Mutex<VecDeque<TaskId>>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let mut ready = lock(&self.ready);
        if !ready.contains(&self.task) {
            ready.push_back(self.task);
        }
    }
}

impl Executor {
    pub(crate) fn spawn(&self, node: NodeId, future: BoxFuture<'static, ()>) {
        let mut tasks = lock(&self.tasks);
        let id = tasks.next;
        tasks.next += 1;
        let waker = Waker::from(Arc::new(TaskWaker { task: id, ready: Arc::clone(&self.ready) }));
        tasks.tasks.insert(id, Task { node, future: Some(future), waker });
        drop(tasks);
        lock(&self.ready).push_back(id);
    }

    /// Polls the task that was woken first; false when none wants to run.
    pub(crate) fn run_one(&self) -> bool {
        let Some(id) = lock(&self.ready).pop_front() else { return false };
        // The future is taken out while it runs, because it may spawn, wake or crash its own node.
        let taken = lock(&self.tasks)
            .tasks
            .get_mut(&id)
            .and_then(|task| Some((task.future.take()?, task.waker.clone())));
        let Some((mut future, waker)) = taken else { return true };
        let outcome = future.as_mut().poll(&mut Context::from_waker(&waker));
        let mut tasks = lock(&self.tasks);
        match (outcome, tasks.tasks.get_mut(&id)) {
            (Poll::Pending, Some(task)) => task.future = Some(future),
            (_, gone) => {
                if gone.is_some() {
                    tasks.tasks.remove(&id);
                }
                drop(tasks); // dropping a future may take the lock
                drop(future);
            }
        }
        true
    }

    /// Drops every task of a node, as a crash does.
    pub(crate) fn kill(&self, node: NodeId) {
        let mut tasks = lock(&self.tasks);
        let ids: Vec<_> =
            tasks.tasks.iter().filter(|(_, task)| task.node == node).map(|(id, _)| *id).collect();
        let killed: Vec<_> = ids.iter().filter_map(|id| tasks.tasks.remove(id)).collect();
        drop(tasks);
        drop(killed);
    }
}
