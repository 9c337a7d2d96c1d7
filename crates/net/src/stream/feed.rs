//! Content of files on its way into a socket without passing through the program: from the file into a pipe, which
//! then holds its pages and no copy, and from the pipe into the socket (splice(2)).
//!
//! `sendfile` does the same with a pipe of 64 KiB, sends each of its fillings by itself, and so wakes the reader more
//! often. This is for readers on the same machine: others, for whom the pages are cut into packets, gain nothing, and
//! are slow, so that many pipes would wait for them.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::sockopt::set_socket_send_buffer_size;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice};

/// Octets that a pipe takes at once, as far as the system grants it.
const PIPE_OCTETS: usize = 1024 * 1024;
/// A pipe that takes less is not worth its calls: the system gives such ones to a user who has many.
const PIPE_OCTETS_MIN: usize = 128 * 1024;
/// Empty pipes that a worker keeps for the next content.
const SPARE_PIPES_MAX: usize = 16;
/// What the socket may hold: there is no way on which more could be, and what waits longer is no longer in the
/// processor's cache when it is read. (The system doubles it.)
const LOCAL_SEND_OCTETS: usize = 64 * 1024;

thread_local! {
    static SPARE_PIPES: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
struct Pipe {
    out: OwnedFd,
    into: OwnedFd,
    octets: usize,
}

impl Pipe {
    fn take() -> io::Result<Self> {
        if let Some(pipe) = SPARE_PIPES.with_borrow_mut(Vec::pop) {
            return Ok(pipe);
        }
        let (out, into) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let octets = fcntl_setpipe_size(&into, PIPE_OCTETS).or_else(|_| fcntl_getpipe_size(&into))?;
        if octets < PIPE_OCTETS_MIN {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(Self { out, into, octets })
    }

    /// Keeps it for others; only when it is empty.
    fn give_back(self) {
        SPARE_PIPES.with_borrow_mut(|spare| {
            if spare.len() < SPARE_PIPES_MAX {
                spare.push(self);
            }
        });
    }
}

/// What one connection has on the way from a file to its socket.
#[derive(Debug)]
pub(super) struct Feed {
    /// A pipe that holds something.
    pipe: Option<Pipe>,
    /// Octets in it, and where they begin in the file.
    held: usize,
    at: u64,
}

impl Feed {
    /// For the socket of a connection whose peer is on this machine.
    pub(super) fn new(socket: &impl AsFd) -> Self {
        // Without it things go on, only slower.
        let _ = set_socket_send_buffer_size(socket, LOCAL_SEND_OCTETS);
        Self { pipe: None, held: 0, at: 0 }
    }

    /// Sends up to `octets` octets of `file`, from `at` on. After an error of `WouldBlock` the next call has to be
    /// about the same file; it begins where this one ended, or what is held is dropped.
    ///
    /// # Errors
    /// `WouldBlock` when the socket has no room; `Unsupported` when nothing can be sent in this way, of this file or
    /// now; else as the disk and the connection give them.
    pub(super) fn send(
        &mut self,
        socket: &impl AsFd,
        file: &File,
        at: u64,
        octets: usize,
    ) -> io::Result<usize> {
        let pipe = match self.pipe.take() {
            Some(pipe) if self.held > 0 && self.at == at => pipe,
            _ => match self.fill(file, at, octets)? {
                Some(pipe) => pipe,
                None => return Ok(0),
            },
        };
        let (count, flags) = (self.held.min(octets), SpliceFlags::NONBLOCK | SpliceFlags::MOVE);
        let sent = splice(&pipe.out, None, socket, None, count, flags);
        let count = *sent.as_ref().unwrap_or(&0);
        (self.held, self.at) = (self.held - count, at + count as u64);
        if self.held > 0 {
            self.pipe = Some(pipe);
        } else {
            pipe.give_back();
        }
        Ok(sent?)
    }

    // A pipe with the octets from `at` on; `None` at the end of the file.
    fn fill(&mut self, file: &File, at: u64, octets: usize) -> io::Result<Option<Pipe>> {
        let pipe = Pipe::take()?;
        let (mut from, room) = (at, pipe.octets.min(octets));
        let filled = splice(file, Some(&mut from), &pipe.into, None, room, SpliceFlags::MOVE);
        match filled {
            Ok(0) => {
                pipe.give_back();
                Ok(None)
            }
            Ok(count) => {
                (self.held, self.at) = (count, at);
                Ok(Some(pipe))
            }
            // A file system that knows no splice; an empty pipe never has to be waited for.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::AGAIN) => {
                Err(io::ErrorKind::Unsupported.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}
