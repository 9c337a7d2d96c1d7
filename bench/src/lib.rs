//! What the load generators and floor programs share: batches of datagrams, without any of Doorway's
//! own code, so that a fault there cannot hide in its measurement.

use std::io;
use std::mem::zeroed;
use std::os::fd::RawFd;

/// Datagrams moved by one system call at the most.
pub const BATCH: usize = 64;
/// Room for one datagram in octets.
pub const DATAGRAM_OCTETS: usize = 2048;
// A little more than a page apart, so that buffers do not fall into the same cache set.
const STRIDE: usize = DATAGRAM_OCTETS + 192;

/// Buffers and headers for one `recvmmsg` or `sendmmsg`.
pub struct Batch {
    octets: Vec<u8>,
    names: Vec<libc::sockaddr_storage>,
    slices: Vec<libc::iovec>,
    heads: Vec<libc::mmsghdr>,
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// Empty buffers.
    #[must_use]
    pub fn new() -> Self {
        // SAFETY: all-zero is a valid value of these plain C structures.
        let (name, slice, head): (libc::sockaddr_storage, libc::iovec, libc::mmsghdr) =
            unsafe { (zeroed(), zeroed(), zeroed()) };
        let mut batch = Self {
            octets: vec![0; STRIDE * BATCH],
            names: vec![name; BATCH],
            slices: vec![slice; BATCH],
            heads: vec![head; BATCH],
        };
        for index in 0..BATCH {
            batch.slices[index].iov_base = batch.octets[index * STRIDE..].as_mut_ptr().cast();
            batch.heads[index].msg_hdr.msg_iov = &mut batch.slices[index];
            batch.heads[index].msg_hdr.msg_iovlen = 1;
        }
        batch
    }

    /// Puts a datagram in place `index`, to be sent over a connected socket.
    pub fn put(&mut self, index: usize, octets: &[u8]) {
        let from = index * STRIDE;
        self.octets[from..from + octets.len()].copy_from_slice(octets);
        self.slices[index].iov_len = octets.len();
    }

    /// Overwrites the first two octets of a datagram: the id of a DNS message.
    pub fn stamp(&mut self, index: usize, id: u16) {
        self.octets[index * STRIDE..][..2].copy_from_slice(&id.to_be_bytes());
    }

    /// Datagram `index` of the last receive.
    #[must_use]
    pub fn get(&self, index: usize) -> &[u8] {
        &self.octets[index * STRIDE..][..self.heads[index].msg_len as usize]
    }

    /// Receives up to [`BATCH`] datagrams; with `wait`, blocks for the first. 0 when there was none.
    ///
    /// # Errors
    /// As the kernel gives them.
    pub fn receive(&mut self, socket: RawFd, wait: bool) -> io::Result<usize> {
        for index in 0..BATCH {
            self.slices[index].iov_len = DATAGRAM_OCTETS;
            self.heads[index].msg_hdr.msg_name = (&raw mut self.names[index]).cast();
            self.heads[index].msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
        }
        let flags = if wait { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        // SAFETY: the heads point to names, slices and octets that this batch owns.
        let count = unsafe {
            libc::recvmmsg(socket, self.heads.as_mut_ptr(), BATCH as u32, flags, std::ptr::null_mut())
        };
        match (count, io::Error::last_os_error()) {
            (0.., _) => Ok(count as usize),
            (_, error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(0)
            }
            (_, error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(0),
            (_, error) => Err(error),
        }
    }

    /// Sends the first `count` datagrams: back to where they came from with `reply`, else over a
    /// connected socket. Returns how many were taken.
    ///
    /// # Errors
    /// As the kernel gives them.
    pub fn send(&mut self, socket: RawFd, count: usize, reply: bool) -> io::Result<usize> {
        for index in 0..count {
            let head = &mut self.heads[index];
            if reply {
                self.slices[index].iov_len = head.msg_len as usize;
            } else {
                head.msg_hdr.msg_name = std::ptr::null_mut();
                head.msg_hdr.msg_namelen = 0;
            }
        }
        // SAFETY: as in `receive`.
        let sent = unsafe { libc::sendmmsg(socket, self.heads.as_mut_ptr(), count as u32, 0) };
        match (sent, io::Error::last_os_error()) {
            (0.., _) => Ok(sent as usize),
            (_, error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(0)
            }
            (_, error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(0),
            (_, error) => Err(error),
        }
    }
}
