//! Packet sockets: frames of one interface, as they are on its link (`packet(7)`).
#![allow(unsafe_code, reason = "no safe crate of ours binds packet sockets or reads their control messages")]

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use rustix::net::SendFlags;

use crate::filter::Instruction;
use crate::sys::readable::Readable;

/// Longest frame that is taken; longer ones arrive cut and are refused as malformed.
const FRAME_OCTETS_MAX: usize = 2048;
/// Room for the one control message that the kernel adds.
const CONTROL_OCTETS: usize = 64;
/// The bits of a VLAN tag that name the VLAN; one that names none only carries a priority.
const VLAN_MASK: u16 = 0x0fff;

/// A packet socket.
pub(crate) struct OsLink {
    socket: Readable,
    index: u32,
}

// `cmsghdr` wants the alignment of a machine word.
#[repr(C, align(8))]
struct Control([u8; CONTROL_OCTETS]);

/// A frame as the kernel handed it over.
struct Frame {
    octets: usize,
    /// Its checksums are in it, rather than left to a card.
    checksummed: bool,
    /// It belongs to a VLAN of the interface, which is an interface of its own.
    tagged: bool,
}

impl OsLink {
    /// Opens a socket that takes frames of one kind of payload, or of all kinds, from the interface with the
    /// number `index`, as far as `filter` lets them pass.
    pub(crate) fn open(index: u32, kind: u16, filter: &[Instruction]) -> io::Result<Self> {
        let flags = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: no pointers. Without a protocol it gets nothing before it is bound.
        let descriptor = unsafe { libc::socket(libc::AF_PACKET, flags, 0) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given it to us alone.
        let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
        attach(&socket, filter)?;
        set(&socket, libc::SOL_PACKET, libc::PACKET_AUXDATA, &1)?;
        // Kernels before 4.20 lack it; then our own frames come back to a socket of all kinds.
        let _ = set(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &1);
        // SAFETY: all-zero is a valid value of this plain C structure.
        let mut name: libc::sockaddr_ll = unsafe { zeroed() };
        name.sll_family = libc::AF_PACKET as u16;
        name.sll_protocol = kind.to_be();
        name.sll_ifindex = index as i32;
        // SAFETY: the address and size of a local structure, which the kernel only reads.
        let bound = unsafe {
            let length = size_of::<libc::sockaddr_ll>() as u32;
            libc::bind(socket.as_raw_fd(), (&raw const name).cast(), length)
        };
        if bound < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { socket: Readable::new(socket), index })
    }

    /// Sends one frame.
    pub(crate) fn send(&self, frame: &[u8]) -> io::Result<()> {
        rustix::net::send(&self.socket, frame, SendFlags::DONTWAIT)?;
        Ok(())
    }

    /// Shows the next frame, and whether its checksums are in it, to `read`.
    pub(crate) async fn receive<T>(&self, mut read: impl FnMut(&[u8], bool) -> T) -> io::Result<T> {
        self.socket.read(|| self.receive_now(&mut read)).await
    }

    /// As [`OsLink::receive`], for a frame that is there already.
    pub(crate) fn receive_now<T>(&self, mut read: impl FnMut(&[u8], bool) -> T) -> io::Result<T> {
        let mut room = [0; FRAME_OCTETS_MAX];
        loop {
            let frame = receive(self.socket.as_raw_fd(), &mut room).map_err(|error| self.tell(error))?;
            if !frame.tagged {
                return Ok(read(&room[..frame.octets], frame.checksummed));
            }
        }
    }

    /// Tells an interface that is gone from one that is down.
    fn tell(&self, error: io::Error) -> io::Error {
        let down = matches!(error.raw_os_error(), Some(libc::ENETDOWN | libc::ENXIO));
        if down && rustix::net::netdevice::index_to_name(self.socket.as_fd(), self.index).is_err() {
            return io::Error::new(io::ErrorKind::NotFound, "the interface is gone");
        }
        error
    }
}

/// Gives the kernel the program that each frame must pass.
fn attach(socket: &OwnedFd, filter: &[Instruction]) -> io::Result<()> {
    let mut steps: Vec<libc::sock_filter> = filter
        .iter()
        .map(|step| libc::sock_filter {
            code: step.code,
            jt: step.if_true,
            jf: step.if_false,
            k: step.operand,
        })
        .collect();
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// Sets an option to a plain C value.
fn set<T>(socket: &OwnedFd, level: i32, option: i32, value: &T) -> io::Result<()> {
    // SAFETY: the address and size of a value, which the kernel only reads; what a filter's program points to
    // lives until its caller returns.
    let code = unsafe {
        let length = size_of::<T>() as u32;
        libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const *value).cast(), length)
    };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn receive(socket: RawFd, room: &mut [u8]) -> io::Result<Frame> {
    let mut control = Control([0; CONTROL_OCTETS]);
    let mut slice = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
    // SAFETY: all-zero is a valid value of this plain C structure.
    let mut head: libc::msghdr = unsafe { zeroed() };
    head.msg_iov = &raw mut slice;
    head.msg_iovlen = 1;
    head.msg_control = control.0.as_mut_ptr().cast();
    head.msg_controllen = CONTROL_OCTETS as _;
    // SAFETY: every pointer in `head` leads to a local of this function or to `room`, with its length.
    let count = unsafe { libc::recvmsg(socket, &raw mut head, libc::MSG_DONTWAIT) };
    if count < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut frame = Frame { octets: count as usize, checksummed: true, tagged: false };
    // SAFETY: the kernel wrote a well-formed list of control messages of `msg_controllen` octets into the
    // buffer; the macros stay within it, and a message of this type holds the structure whole.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(&raw const head);
        while !at.is_null() {
            if ((*at).cmsg_level, (*at).cmsg_type) == (libc::SOL_PACKET, libc::PACKET_AUXDATA) {
                let data: libc::tpacket_auxdata = std::ptr::read_unaligned(libc::CMSG_DATA(at).cast());
                frame.checksummed = data.tp_status & libc::TP_STATUS_CSUMNOTREADY == 0;
                frame.tagged =
                    data.tp_status & libc::TP_STATUS_VLAN_VALID != 0 && data.tp_vlan_tci & VLAN_MASK != 0;
            }
            at = libc::CMSG_NXTHDR(&raw const head, at);
        }
    }
    Ok(frame)
}
