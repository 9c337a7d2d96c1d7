//! Descriptors that a task waits for until they can be read.
#![allow(unsafe_code, reason = "the runtime takes a descriptor on the promise that it stays open")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A descriptor that does not block. It is registered with the runtime of the task that waits first, so it
/// may be opened where there is none.
pub(crate) struct Readable {
    ready: OnceLock<AsyncFd<Arc<OwnedFd>>>,
    descriptor: Arc<OwnedFd>,
}

impl Readable {
    pub(crate) fn new(descriptor: OwnedFd) -> Self {
        Self { ready: OnceLock::new(), descriptor: Arc::new(descriptor) }
    }

    /// Does `read` once it need not wait, or once the descriptor has an error to tell; it is done again when it
    /// says `WouldBlock`.
    pub(crate) async fn read<T>(&self, mut read: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        let interest = Interest::READABLE | Interest::ERROR;
        let readiness = match self.ready.get() {
            Some(readiness) => readiness,
            None => {
                let descriptor = Arc::clone(&self.descriptor);
                // SAFETY: the descriptor is owned by what is registered, which neither closes nor replaces it.
                let registered = unsafe { AsyncFd::register_with_interest(descriptor, interest) }?;
                self.ready.get_or_init(|| registered)
            }
        };
        loop {
            let mut guard = readiness.ready(interest).await?;
            if let Ok(done) = guard.try_io(|_| read()) {
                return done;
            }
        }
    }
}

impl AsFd for Readable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl AsRawFd for Readable {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.descriptor.as_raw_fd()
    }
}
