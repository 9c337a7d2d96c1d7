//! ICMP echo: RFC 792, RFC 4443 §4.
//!
//! Linux gives sockets for it to the groups that `net.ipv4.ping_group_range` names; the kernel then puts in
//! the identifier and the checksum, and hands back only the answers to this socket. Whoever may not have
//! one but may open raw sockets, as root may, gets one of those: it hears all messages of ICMP, and its own
//! are told by their identifier. Blocking, because a command that pings does nothing else. Not here: other
//! messages of ICMP.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the boundary to the operating system's sockets"
)]

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::frame::checksum;

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
    // The identifier of our echoes, where the kernel does not see to it.
    raw: Option<u16>,
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
        let (socket, raw) = open(domain, protocol)?;
        socket.connect(&SocketAddr::new(to, 0).into())?;
        Ok(Self { socket, v6: to.is_ipv6(), raw })
    }

    /// Sends an echo request.
    ///
    /// # Errors
    /// As the operating system gives them.
    pub fn send(&self, sequence: u16) -> io::Result<()> {
        self.socket.send(&request(self.v6, self.raw, sequence)).map(drop)
    }

    /// Waits `span` for an answer; `None` when the time is over.
    ///
    /// # Errors
    /// As the operating system gives them: an ICMP error about an echo shows here.
    pub fn receive(&self, span: Duration) -> io::Result<Option<Reply>> {
        let until = Instant::now() + span;
        let mut room = [0; ROOM_OCTETS];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // A time of zero would be no limit at all.
            self.socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            match (&self.socket).read(&mut room) {
                Ok(length) => {
                    let reply = reply(self.v6, self.raw, &room[..length]);
                    if reply.is_some() || left.is_zero() {
                        return Ok(reply);
                    }
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// A socket for echoes, and their identifier where the kernel does not see to it.
pub(crate) fn open(domain: Domain, protocol: Protocol) -> io::Result<(Socket, Option<u16>)> {
    match Socket::new(domain, Type::DGRAM, Some(protocol)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            // What the first error said is what to mend, if this fails too.
            let socket = Socket::new(domain, Type::RAW, Some(protocol)).map_err(|_| error)?;
            Ok((socket, Some(std::process::id() as u16)))
        }
        socket => Ok((socket?, None)),
    }
}

pub(crate) fn request(v6: bool, raw: Option<u16>, sequence: u16) -> Vec<u8> {
    let kind = if v6 { 128 } else { 8 };
    let [id_high, id_low] = raw.unwrap_or(0).to_be_bytes();
    let [high, low] = sequence.to_be_bytes();
    let mut message = vec![kind, 0, 0, 0, id_high, id_low, high, low];
    message.extend((0..DATA_OCTETS).map(|octet| octet as u8));
    // That of ICMPv6 has addresses in it and is the kernel's business.
    if raw.is_some() && !v6 {
        let checksum = checksum(0, &message);
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
    }
    message
}

pub(crate) fn reply(v6: bool, raw: Option<u16>, message: &[u8]) -> Option<Reply> {
    let kind = if v6 { 129 } else { 0 };
    let message = match raw {
        // A raw IPv4 socket hands out the IP header too.
        Some(_) if !v6 => message.get(usize::from(*message.first()? & 15) * 4..)?,
        _ => message,
    };
    match message.first_chunk::<HEAD_OCTETS>()? {
        [first, 0, _, _, id_high, id_low, high, low]
            if *first == kind && raw.is_none_or(|own| own == u16::from_be_bytes([*id_high, *id_low])) =>
        {
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
            let mut message = request(v6, None, 515);
            assert_eq!(message.len(), HEAD_OCTETS + DATA_OCTETS);
            assert_eq!(reply(v6, None, &message), None, "a request is no answer");
            message[0] = if v6 { 129 } else { 0 };
            assert_eq!(reply(v6, None, &message), Some(Reply { sequence: 515, octets: 64 }));
            for length in 0..HEAD_OCTETS {
                assert_eq!(reply(v6, None, &message[..length]), None);
            }
        }
    }

    #[test]
    fn a_raw_socket_knows_its_own_echoes() {
        let mut message = request(false, Some(77), 3);
        assert_eq!(checksum(0, &message), 0, "a message with its checksum sums up to nothing");
        message[0] = 0;
        let mut packet = vec![0x45; 20];
        packet.extend(&message);
        assert_eq!(reply(false, Some(77), &packet), Some(Reply { sequence: 3, octets: 64 }));
        assert_eq!(reply(false, Some(78), &packet), None);
        assert_eq!(reply(false, Some(77), &packet[..24]), None);
        assert_eq!(reply(false, Some(77), &[]), None);
    }
}
