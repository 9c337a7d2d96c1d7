//! A task: a future that belongs to a service of a node.
//!
//! A panic in it is logged and counted, and ends nothing else. One that serves a connection is tied to
//! its [`Pulse`], through which it can be woken for a drain or ended from outside.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::ground::BoxFuture;
use crate::pulse::Pulse;
use crate::world::World;

/// A future to be run to its end by an [`Executor`](crate::ground::Executor).
pub struct Task {
    world: World,
    service: &'static str,
    pulse: Option<Arc<Pulse>>,
    future: BoxFuture<'static, ()>,
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("service", &self.service).finish_non_exhaustive()
    }
}

impl Task {
    pub(crate) fn new(world: World, service: &'static str, future: BoxFuture<'static, ()>) -> Self {
        Self { world, service, pulse: None, future }
    }

    /// Ends when the pulse says so, whatever the future waits for.
    pub(crate) fn tied_to(mut self, pulse: Arc<Pulse>) -> Self {
        self.pulse = Some(pulse);
        self
    }
}

impl Future for Task {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if let Some(pulse) = &this.pulse {
            pulse.remember(cx.waker());
            if pulse.was_ended() {
                return Poll::Ready(());
            }
        }
        catch_unwind(AssertUnwindSafe(|| this.future.as_mut().poll(cx))).unwrap_or_else(|panic| {
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
