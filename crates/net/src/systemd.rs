//! The service manager's side: sockets it opened for us (`LISTEN_FDS`) and telling it how we are
//! (`sd_notify`).
#![allow(clippy::disallowed_types, reason = "the boundary to the operating system's sockets")]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use socket2::{Socket, Type};

/// First descriptor that a service manager passes.
const FIRST_DESCRIPTOR: RawFd = 3;
/// Descriptors taken over at the most.
const DESCRIPTORS_MAX: usize = 64;

/// Sockets that the service manager opened and handed over.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<Socket>,
}

impl Inherited {
    /// Takes the sockets that `LISTEN_PID` and `LISTEN_FDS` announce, if they are meant for us.
    ///
    /// Call it once, first thing in `main`: it takes over descriptors by number.
    #[must_use]
    #[allow(unsafe_code, reason = "descriptors arrive as bare numbers")]
    pub fn from_environment() -> Self {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
        if number("LISTEN_PID") != Some(std::process::id() as usize) {
            return Self::default();
        }
        let count = number("LISTEN_FDS").unwrap_or(0).min(DESCRIPTORS_MAX);
        let is_open = |index: &usize| {
            std::path::Path::new(&format!("/proc/self/fd/{}", FIRST_DESCRIPTOR + *index as RawFd)).exists()
        };
        let sockets = (0..count)
            .filter(is_open)
            .map(|index| {
                // SAFETY: the service manager's contract says that these descriptors are open and
                // ours alone, and this function is called once.
                let descriptor = unsafe { OwnedFd::from_raw_fd(FIRST_DESCRIPTOR + index as RawFd) };
                let _ = rustix::io::fcntl_setfd(&descriptor, rustix::io::FdFlags::CLOEXEC);
                Socket::from(descriptor)
            })
            .collect();
        Self { sockets }
    }

    /// How many were handed over.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Whether none was handed over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// The socket bound to `address`, if it was handed over: a duplicate, so that several workers can
    /// share the one queue of connections.
    pub(crate) fn take(&mut self, address: SocketAddr, kind: Type) -> Option<Socket> {
        self.sockets
            .iter()
            .find(|socket| {
                socket.r#type().ok() == Some(kind)
                    && socket.local_addr().ok().and_then(|local| local.as_socket()) == Some(address)
            })
            .and_then(|socket| socket.try_clone().ok())
    }
}

/// How long the service manager waits for a sign of life, if it watches this process at all.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    number("WATCHDOG_USEC").filter(|micros| ours && *micros > 0).map(Duration::from_micros)
}

/// Tells the service manager something, such as `READY=1`, when there is one.
///
/// # Errors
/// When `NOTIFY_SOCKET` is set but does not take the message.
pub fn notify(state: &str) -> io::Result<()> {
    let Ok(path) = std::env::var("NOTIFY_SOCKET") else { return Ok(()) };
    let socket = UnixDatagram::unbound()?;
    match path.strip_prefix('@') {
        Some(name) => {
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            socket.send_to_addr(state.as_bytes(), &address)?;
        }
        None => {
            socket.send_to(state.as_bytes(), &path)?;
        }
    }
    Ok(())
}
