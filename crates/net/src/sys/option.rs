//! Socket options that no safe crate of ours offers.
#![allow(unsafe_code, reason = "socket2 lacks these options")]

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Has an IPv4 socket tell the address each datagram was sent to (`IP_PKTINFO`).
pub(crate) fn packet_info_v4(socket: &impl AsRawFd) -> io::Result<()> {
    set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)
}

/// The same for an IPv6 socket (`IPV6_RECVPKTINFO`, RFC 3542 §6.1).
pub(crate) fn packet_info_v6(socket: &impl AsRawFd) -> io::Result<()> {
    set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)
}

/// Has a listener wake only when the first octets of a connection are there (`TCP_DEFER_ACCEPT`).
pub(crate) fn defer_accept(socket: &impl AsRawFd, wait: Duration) -> io::Result<()> {
    let seconds = wait.as_secs().clamp(1, 3600) as libc::c_int;
    set(socket, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, seconds)
}

fn set(socket: &impl AsRawFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: these options take an int, and its address and size are passed.
    let code = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as u32,
        )
    };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
