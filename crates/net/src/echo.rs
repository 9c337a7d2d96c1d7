//! ICMP echo without privileges: RFC 792, RFC 4443 §4.
//!
//! Linux gives such sockets to the groups that `net.ipv4.ping_group_range` names; the kernel puts in the
//! identifier and the checksum, and hands back only the answers to this socket. Blocking, because a
//! command that pings does nothing else. Not here: raw sockets, and other messages of ICMP.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the boundary to the operating system's sockets"
)]

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

/// Octets before the data of an echo message.
const HEAD_OCTETS: usize = 8;
/// Octets of data that are sent, as `ping` sends them.
pub const DATA_OCTETS: usize = 56;
/// Room for one answer.
const ROOM_OCTETS: usize = 2048;

/// A socket that echoes come back to from one host.
#[derive(Debug)]
pub struct Echo {
    socket: Socket,
    v6: bool,
}

/// An echo that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// The number it was sent with.
    pub sequence: u16,
    /// Octets of the message.
    pub octets: usize,
}

impl Echo {
    /// Opens a socket towards `to`.
    ///
    /// # Errors
    /// `PermissionDenied` where this user may not, and those of the network.
    pub fn open(to: IpAddr) -> io::Result<Self> {
        let (domain, protocol) = match to {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let socket = Socket::new(domain, Type::DGRAM, Some(protocol))?;
        socket.connect(&SocketAddr::new(to, 0).into())?;
        Ok(Self { socket, v6: to.is_ipv6() })
    }

    /// Sends an echo request.
    ///
    /// # Errors
    /// As the operating system gives them.
    pub fn send(&self, sequence: u16) -> io::Result<()> {
        self.socket.send(&request(self.v6, sequence)).map(drop)
    }

    /// Waits `span` for an answer; `None` when the time is over.
    ///
    /// # Errors
    /// As the operating system gives them: an ICMP error about an echo shows here.
    pub fn receive(&self, span: Duration) -> io::Result<Option<Reply>> {
        // A time of zero would be no limit at all.
        self.socket.set_read_timeout(Some(span.max(Duration::from_millis(1))))?;
        let mut room = [0; ROOM_OCTETS];
        match (&self.socket).read(&mut room) {
            Ok(length) => Ok(reply(self.v6, &room[..length])),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn request(v6: bool, sequence: u16) -> Vec<u8> {
    let kind = if v6 { 128 } else { 8 };
    let [high, low] = sequence.to_be_bytes();
    let mut message = vec![kind, 0, 0, 0, 0, 0, high, low];
    message.extend((0..DATA_OCTETS).map(|octet| octet as u8));
    message
}

fn reply(v6: bool, message: &[u8]) -> Option<Reply> {
    let kind = if v6 { 129 } else { 0 };
    match message.first_chunk::<HEAD_OCTETS>()? {
        [first, 0, _, _, _, _, high, low] if *first == kind => {
            Some(Reply { sequence: u16::from_be_bytes([*high, *low]), octets: message.len() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_from_other_messages() {
        for v6 in [false, true] {
            let mut message = request(v6, 515);
            assert_eq!(message.len(), HEAD_OCTETS + DATA_OCTETS);
            assert_eq!(reply(v6, &message), None, "a request is no answer");
            message[0] = if v6 { 129 } else { 0 };
            assert_eq!(reply(v6, &message), Some(Reply { sequence: 515, octets: 64 }));
            for length in 0..HEAD_OCTETS {
                assert_eq!(reply(v6, &message[..length]), None);
            }
        }
    }
}
