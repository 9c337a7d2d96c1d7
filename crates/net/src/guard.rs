//! The two wrappers round a task: [`Caught`] turns a panic into a count, [`Guarded`] ties a
//! connection's task to its [`Pulse`] so that it can be woken for a drain or ended from outside.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::pulse::Pulse;
use crate::world::World;

/// A task whose panic is logged and counted, and ends nothing else.
pub(crate) struct Caught<F> {
    world: World,
    service: &'static str,
    // Boxed so that the wrapper is `Unpin` and no projection is needed.
    task: Pin<Box<F>>,
}

impl<F: Future<Output = ()>> Caught<F> {
    pub(crate) fn new(world: World, service: &'static str, task: F) -> Self {
        Self { world, service, task: Box::pin(task) }
    }
}

impl<F: Future<Output = ()>> Future for Caught<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        catch_unwind(AssertUnwindSafe(|| this.task.as_mut().poll(cx))).unwrap_or_else(|panic| {
            this.world.doors().count_panic(this.service, &message(&*panic));
            Poll::Ready(())
        })
    }
}

/// What a panic said.
pub(crate) fn message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// A connection's task. It ends when its pulse says so, whatever it waits for.
pub(crate) struct Guarded<F> {
    pulse: Arc<Pulse>,
    task: F,
}

impl<F: Future<Output = ()>> Guarded<F> {
    pub(crate) fn new(pulse: Arc<Pulse>, task: F) -> Self {
        Self { pulse, task }
    }
}

impl<F: Future<Output = ()> + Unpin> Future for Guarded<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.pulse.remember(cx.waker());
        if this.pulse.was_ended() {
            return Poll::Ready(());
        }
        Pin::new(&mut this.task).poll(cx)
    }
}
