//! Batches of datagrams: one `recvmmsg` and one `sendmmsg` for up to [`BATCH`] of them.
#![allow(unsafe_code, reason = "recvmmsg and sendmmsg work on arrays of raw pointers")]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};

use doorway_base::{Datagram, Writer};

/// Datagrams moved by one system call at the most.
pub(crate) const BATCH: usize = 64;
/// Room for the control message that carries the destination address.
const CONTROL_OCTETS: usize = 64;
/// Added to each buffer so that the first octets of neighbours fall into different cache sets.
const STAGGER_OCTETS: usize = 192;

/// The arrays of one worker. They are boxed, so their addresses stay when the batch moves.
pub(crate) struct Batch {
    receive_stride: usize,
    send_stride: usize,
    receive_octets: Box<[u8]>,
    send_octets: Box<[u8]>,
    names: Box<[libc::sockaddr_storage; BATCH]>,
    controls: Box<[Control; BATCH]>,
    receive_slices: Box<[libc::iovec; BATCH]>,
    send_slices: Box<[libc::iovec; BATCH]>,
    receive_heads: Box<[libc::mmsghdr; BATCH]>,
    send_heads: Box<[libc::mmsghdr; BATCH]>,
    /// Where datagrams arrive when the socket is bound to one address.
    local: SocketAddr,
    packet_info: bool,
    received: usize,
    to_send: usize,
}

// `cmsghdr` wants the alignment of a machine word.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_OCTETS]);

// SAFETY: the raw pointers point only into boxes that the batch owns, and only its owner uses them.
unsafe impl Send for Batch {}

/// What was moved, for the door's counters.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) datagrams: u64,
    pub(crate) octets: u64,
}

impl Batch {
    /// Buffers for datagrams of up to the given sizes; longer ones arrive cut and are then dropped.
    pub(crate) fn new(
        local: SocketAddr,
        packet_info: bool,
        receive_octets_max: usize,
        send_octets_max: usize,
    ) -> Self {
        let stride = |octets_max: usize| octets_max.next_multiple_of(64) + STAGGER_OCTETS;
        let (receive_stride, send_stride) = (stride(receive_octets_max), stride(send_octets_max));
        // SAFETY: all-zero is a valid value of these plain C structures.
        let (name, slice, head): (libc::sockaddr_storage, libc::iovec, libc::mmsghdr) =
            unsafe { (zeroed(), zeroed(), zeroed()) };
        let mut batch = Self {
            receive_stride,
            send_stride,
            receive_octets: vec![0; receive_stride * BATCH].into_boxed_slice(),
            send_octets: vec![0; send_stride * BATCH].into_boxed_slice(),
            names: Box::new([name; BATCH]),
            controls: Box::new([Control([0; CONTROL_OCTETS]); BATCH]),
            receive_slices: Box::new([slice; BATCH]),
            send_slices: Box::new([slice; BATCH]),
            receive_heads: Box::new([head; BATCH]),
            send_heads: Box::new([head; BATCH]),
            local,
            packet_info,
            received: 0,
            to_send: 0,
        };
        for index in 0..BATCH {
            batch.receive_slices[index] = libc::iovec {
                iov_base: batch.receive_octets[index * receive_stride..].as_mut_ptr().cast(),
                iov_len: receive_octets_max,
            };
            batch.receive_heads[index].msg_hdr.msg_iov = &mut batch.receive_slices[index];
            batch.receive_heads[index].msg_hdr.msg_iovlen = 1;
            batch.receive_heads[index].msg_hdr.msg_name = (&raw mut batch.names[index]).cast();
            batch.receive_heads[index].msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
        }
        batch
    }

    /// Waits for the first datagram, then takes what else is there. Returns how many; 0 when the
    /// socket's receive time-out passed or a signal came.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        // The kernel overwrote these for the datagrams of the last batch only.
        for head in &mut self.receive_heads[..self.received] {
            head.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
        }
        if self.packet_info {
            for (head, control) in self.receive_heads.iter_mut().zip(self.controls.iter_mut()) {
                head.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
                head.msg_hdr.msg_controllen = CONTROL_OCTETS as _;
            }
        }
        self.received = 0;
        self.to_send = 0;
        // SAFETY: every head points to a name, a slice and a buffer that this batch owns; their
        // lengths were set above and in `new`.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.receive_heads.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_WAITFORONE,
                std::ptr::null_mut(),
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::TimedOut => Ok(0),
                _ => Err(error),
            };
        }
        self.received = count as usize;
        Ok(self.received)
    }

    /// The octets of datagram `index` of the batch, as far as there was room for them.
    pub(crate) fn received(&self, index: usize) -> &[u8] {
        let from = index * self.receive_stride;
        let octets_max = self.receive_stride - STAGGER_OCTETS;
        &self.receive_octets[from..from + (self.receive_heads[index].msg_len as usize).min(octets_max)]
    }

    /// Datagram `index` of the batch, which is of `flow`; `None` when it was cut or cannot be answered.
    pub(crate) fn datagram(&self, index: usize, flow: u64) -> Option<Datagram<'_>> {
        let head = &self.receive_heads[index];
        let cut = head.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        let remote = address(&self.names[index]).filter(|remote| remote.port() != 0 && !cut)?;
        let local = if self.packet_info { self.destination(index) } else { self.local };
        let from = index * self.receive_stride;
        let octets = &self.receive_octets[from..from + head.msg_len as usize];
        Some(Datagram { remote, local, octets, flow })
    }

    /// Shows datagram `index` of the batch, which is of `flow`, to `answer` with room for a reply; queues
    /// the reply when `answer` returns true. Returns the octets of the datagram and of the reply.
    pub(crate) fn answer(
        &mut self,
        index: usize,
        flow: u64,
        answer: impl FnOnce(Datagram<'_>, &mut Writer<'_>) -> bool,
    ) -> (usize, usize) {
        let octets = self.receive_heads[index].msg_len as usize;
        let Some(Datagram { remote, local, .. }) = self.datagram(index, flow) else {
            return (octets, 0);
        };
        let from = index * self.receive_stride;
        let query = Datagram { remote, local, octets: &self.receive_octets[from..from + octets], flow };
        let to = self.to_send * self.send_stride;
        let room = &mut self.send_octets[to..to + self.send_stride - STAGGER_OCTETS];
        let mut reply = Writer::new(room);
        if !answer(query, &mut reply) || reply.position() == 0 {
            return (octets, 0);
        }
        let reply_octets = reply.position();
        let place = self.to_send;
        self.send_slices[place] =
            libc::iovec { iov_base: self.send_octets[to..].as_mut_ptr().cast(), iov_len: reply_octets };
        if self.packet_info {
            self.forget_interface(index);
        }
        let received = &self.receive_heads[index].msg_hdr;
        let head = &mut self.send_heads[place].msg_hdr;
        head.msg_iov = &mut self.send_slices[place];
        head.msg_iovlen = 1;
        head.msg_name = received.msg_name;
        head.msg_namelen = received.msg_namelen;
        // The control message that named the destination also names the reply's source.
        head.msg_control = received.msg_control;
        head.msg_controllen = received.msg_controllen;
        self.to_send += 1;
        (octets, reply_octets)
    }

    /// Sends what was queued. A reply that the kernel refuses (no route, full buffer) is skipped.
    pub(crate) fn send(&mut self, socket: BorrowedFd<'_>) -> Moved {
        let mut moved = Moved::default();
        let mut at = 0;
        while at < self.to_send {
            // SAFETY: heads `at..to_send` were filled in by `answer` and point into this batch.
            let count = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    self.send_heads[at..].as_mut_ptr(),
                    (self.to_send - at) as u32,
                    0,
                )
            };
            match count {
                1.. => {
                    let sent = &self.send_heads[at..at + count as usize];
                    moved.datagrams += count as u64;
                    moved.octets += sent.iter().map(|head| u64::from(head.msg_len)).sum::<u64>();
                    at += count as usize;
                }
                _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                _ => at += 1,
            }
        }
        self.to_send = 0;
        moved
    }

    /// Takes the interface out of the control message of datagram `index`: a reply leaves by the routing
    /// table, which on a host with several ways may not be the way that the query came. A link-local
    /// address means nothing without its interface and keeps it.
    fn forget_interface(&mut self, index: usize) {
        let head = &self.receive_heads[index].msg_hdr;
        // SAFETY: as in `destination`; each structure is read and written whole, without regard to
        // alignment, within a control message that is as long as its type says.
        unsafe {
            let mut control = libc::CMSG_FIRSTHDR(head);
            while !control.is_null() {
                let data = libc::CMSG_DATA(control);
                match ((*control).cmsg_level, (*control).cmsg_type) {
                    (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                        let mut info: libc::in_pktinfo = std::ptr::read_unaligned(data.cast());
                        info.ipi_ifindex = 0;
                        std::ptr::write_unaligned(data.cast(), info);
                    }
                    (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                        let mut info: libc::in6_pktinfo = std::ptr::read_unaligned(data.cast());
                        if !Ipv6Addr::from(info.ipi6_addr.s6_addr).is_unicast_link_local() {
                            info.ipi6_ifindex = 0;
                            std::ptr::write_unaligned(data.cast(), info);
                        }
                    }
                    _ => {}
                }
                control = libc::CMSG_NXTHDR(head, control);
            }
        }
    }

    /// Where datagram `index` was sent to, from its control message.
    fn destination(&self, index: usize) -> SocketAddr {
        let head = &self.receive_heads[index].msg_hdr;
        // SAFETY: the kernel wrote a well-formed list of control messages of `msg_controllen` octets
        // into the buffer that `head` points to; the macros stay within it.
        unsafe {
            let mut control = libc::CMSG_FIRSTHDR(head);
            while !control.is_null() {
                match ((*control).cmsg_level, (*control).cmsg_type) {
                    (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                        let info: libc::in_pktinfo =
                            std::ptr::read_unaligned(libc::CMSG_DATA(control).cast());
                        let ip = Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr));
                        return SocketAddr::new(ip.into(), self.local.port());
                    }
                    (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                        let info: libc::in6_pktinfo =
                            std::ptr::read_unaligned(libc::CMSG_DATA(control).cast());
                        let ip = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                        return SocketAddr::new(ip.into(), self.local.port());
                    }
                    _ => control = libc::CMSG_NXTHDR(head, control),
                }
            }
        }
        self.local
    }
}

/// A datagram that is to leave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub(crate) octets: &'a [u8],
    pub(crate) to: SocketAddr,
    /// The address that it leaves from, where the system is not to choose.
    pub(crate) source: Option<SocketAddr>,
}

/// Sends datagrams without waiting. One that the kernel refuses is skipped.
pub(crate) fn send_all<'a>(
    socket: BorrowedFd<'_>,
    mut datagrams: impl ExactSizeIterator<Item = Outgoing<'a>>,
) -> Moved {
    let mut moved = Moved::default();
    while datagrams.len() > 0 {
        let count = datagrams.len().min(BATCH);
        let mut parts: Vec<(socket2::SockAddr, Control, u32, libc::iovec)> = Vec::with_capacity(count);
        parts.extend(datagrams.by_ref().take(count).map(|datagram| {
            let (control, length) = datagram.source.map_or((Control([0; CONTROL_OCTETS]), 0), leaving_from);
            (datagram.to.into(), control, length, slice_of(datagram.octets))
        }));
        let mut heads: Vec<libc::mmsghdr> = Vec::with_capacity(count);
        for (name, control, length, slice) in &mut parts {
            heads.push(libc::mmsghdr { msg_hdr: head(name, (control, *length), slice), msg_len: 0 });
        }
        let mut at = 0;
        while at < heads.len() {
            let left = &mut heads[at..];
            // SAFETY: every pointer in the heads leads into `parts` or the datagrams' octets, which live on and
            // which the kernel only reads.
            let count = unsafe {
                let flags = libc::MSG_DONTWAIT;
                libc::sendmmsg(socket.as_raw_fd(), left.as_mut_ptr(), left.len() as u32, flags)
            };
            match count {
                1.. => {
                    let sent = &heads[at..at + count as usize];
                    moved.datagrams += count as u64;
                    moved.octets += sent.iter().map(|head| u64::from(head.msg_len)).sum::<u64>();
                    at += count as usize;
                }
                _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                _ => at += 1,
            }
        }
    }
    moved
}

/// Sends one datagram to `remote` without waiting, from the address `source` when one is given.
///
/// # Errors
/// As the kernel gives them: `WouldBlock` when the send buffer is full.
pub(crate) fn send_from(
    socket: BorrowedFd<'_>,
    octets: &[u8],
    remote: SocketAddr,
    source: Option<SocketAddr>,
) -> io::Result<()> {
    let name = socket2::SockAddr::from(remote);
    let (mut control, length) = source.map_or((Control([0; CONTROL_OCTETS]), 0), leaving_from);
    let mut slice = slice_of(octets);
    let head = head(&name, (&mut control, length), &mut slice);
    // SAFETY: every pointer in `head` leads to a local of this function or to `octets`, which the kernel
    // only reads.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const head, libc::MSG_DONTWAIT) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn slice_of(octets: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() }
}

/// The head of a datagram; it points to what it is made of.
fn head(name: &socket2::SockAddr, control: (&mut Control, u32), slice: &mut libc::iovec) -> libc::msghdr {
    // SAFETY: all-zero is a valid value of this plain C structure.
    let mut head: libc::msghdr = unsafe { zeroed() };
    head.msg_name = name.as_ptr().cast_mut().cast();
    head.msg_namelen = name.len();
    head.msg_iov = slice;
    head.msg_iovlen = 1;
    if control.1 > 0 {
        head.msg_control = control.0.0.as_mut_ptr().cast();
        head.msg_controllen = control.1 as _;
    }
    head
}

/// The control message that names the address which a datagram leaves from, and its length.
fn leaving_from(source: SocketAddr) -> (Control, u32) {
    let mut control = Control([0; CONTROL_OCTETS]);
    // SAFETY: the buffer is aligned and has room for one control message with either structure, which all-zero
    // is a valid value of; the macros stay within it.
    let length = unsafe {
        let mut head: libc::msghdr = zeroed();
        head.msg_control = control.0.as_mut_ptr().cast();
        head.msg_controllen = CONTROL_OCTETS as _;
        let first = libc::CMSG_FIRSTHDR(&raw const head);
        match source {
            SocketAddr::V4(v4) => {
                let mut info: libc::in_pktinfo = zeroed();
                info.ipi_spec_dst.s_addr = u32::from(*v4.ip()).to_be();
                put_control(first, libc::IPPROTO_IP, libc::IP_PKTINFO, info)
            }
            SocketAddr::V6(v6) => {
                let mut info: libc::in6_pktinfo = zeroed();
                info.ipi6_addr.s6_addr = v6.ip().octets();
                info.ipi6_ifindex = v6.scope_id();
                put_control(first, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info)
            }
        }
    };
    (control, length)
}

/// Fills in the control message at `first` and returns the octets that it takes.
///
/// # Safety
/// `first` leads to room for a control message that holds a `T`.
unsafe fn put_control<T>(first: *mut libc::cmsghdr, level: i32, kind: i32, value: T) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        (*first).cmsg_level = level;
        (*first).cmsg_type = kind;
        (*first).cmsg_len = libc::CMSG_LEN(size_of::<T>() as u32) as _;
        std::ptr::write_unaligned(libc::CMSG_DATA(first).cast(), value);
        libc::CMSG_SPACE(size_of::<T>() as u32)
    }
}

fn address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that a `sockaddr_in` was written; the storage is larger.
            let v4 = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above, with a `sockaddr_in6`.
            let v6 = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(match ip.to_ipv4_mapped() {
                Some(v4) => SocketAddr::new(IpAddr::V4(v4), port),
                None => SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into(),
            })
        }
        _ => None,
    }
}
