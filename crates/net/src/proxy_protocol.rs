//! The PROXY protocol, versions 1 and 2: a load balancer names the client it speaks for.
//!
//! Only listed sources may send the header, and they must: a missing or malformed one from them ends
//! the connection. From everyone else it is payload like any other.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use doorway_base::config::Cidr;
use doorway_base::{Malformed, Reader};
use tokio::io::AsyncReadExt;

use crate::pulse::Ends;
use crate::stream::Stream;

const SIGNATURE_V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Longest version 1 line, with its CRLF.
const LINE_OCTETS_MAX: usize = 107;
/// Longest version 2 header that is read: addresses and a bounded amount of TLVs.
const HEADER_OCTETS_MAX: usize = 16 + 4096;

/// The networks whose connections begin with a PROXY header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxySources(pub Vec<Cidr>);

impl ProxySources {
    /// Whether `address` lies in a listed network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address.to_canonical()))
    }
}

/// What the octets read so far amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// A whole header of so many octets; `None` when the proxy speaks for itself.
    Header(Option<Ends>, usize),
    /// More octets are needed.
    Partial,
}

/// Reads a header at the start of `octets`.
///
/// # Errors
/// [`Malformed`] when they cannot be the start of one.
pub fn parse(octets: &[u8]) -> Result<Parsed, Malformed> {
    if octets.starts_with(SIGNATURE_V2) {
        parse_v2(octets)
    } else if octets.starts_with(b"PROXY ") {
        parse_v1(octets)
    } else if SIGNATURE_V2.starts_with(octets) || b"PROXY ".starts_with(octets) {
        Ok(Parsed::Partial)
    } else {
        Err(Malformed::new("PROXY signature", 0))
    }
}

fn parse_v1(octets: &[u8]) -> Result<Parsed, Malformed> {
    let Some(end) = octets.iter().take(LINE_OCTETS_MAX).position(|octet| *octet == b'\n') else {
        return if octets.len() < LINE_OCTETS_MAX {
            Ok(Parsed::Partial)
        } else {
            Err(Malformed::new("CRLF within 107 octets", LINE_OCTETS_MAX))
        };
    };
    let wrong = |what| Malformed::new(what, end);
    let line = octets[..end].strip_suffix(b"\r").ok_or(wrong("CR before LF"))?;
    let line = std::str::from_utf8(line).map_err(|_| wrong("ASCII line"))?;
    let mut words = line.split(' ').skip(1);
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        return Ok(Parsed::Header(None, end + 1));
    }
    let mut address = |what| {
        let ip: IpAddr = words.next().and_then(|word| word.parse().ok()).ok_or(wrong(what))?;
        if ip.is_ipv4() == (family == "TCP4") && matches!(family, "TCP4" | "TCP6") {
            Ok(ip)
        } else {
            Err(wrong("address of the named family"))
        }
    };
    let (source, destination) = (address("source address")?, address("destination address")?);
    let mut port = |what| words.next().and_then(|word| word.parse().ok()).ok_or(wrong(what));
    let (source_port, destination_port) = (port("source port")?, port("destination port")?);
    if words.next().is_some() {
        return Err(wrong("end of line after the ports"));
    }
    let ends = Ends {
        local: SocketAddr::new(destination, destination_port),
        remote: SocketAddr::new(source, source_port),
    };
    Ok(Parsed::Header(Some(ends), end + 1))
}

fn parse_v2(octets: &[u8]) -> Result<Parsed, Malformed> {
    let mut reader = Reader::at(octets, SIGNATURE_V2.len());
    let Ok(fixed) = reader.array::<4>("version, family and length") else { return Ok(Parsed::Partial) };
    let (version_command, family) = (fixed[0], fixed[1]);
    let length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    if version_command >> 4 != 2 {
        return Err(Malformed::new("version 2", 12));
    }
    if 16 + length > HEADER_OCTETS_MAX {
        return Err(Malformed::new("at most 4096 octets after the fixed part", 14));
    }
    if reader.remaining() < length {
        return Ok(Parsed::Partial);
    }
    let whole = 16 + length;
    match (version_command & 0x0f, family) {
        (0, _) => Ok(Parsed::Header(None, whole)), // LOCAL: the proxy itself
        (1, 0x11) => {
            let mut body = Reader::new(reader.take(length, "addresses")?);
            let source = Ipv4Addr::from(body.array::<4>("source address")?);
            let destination = Ipv4Addr::from(body.array::<4>("destination address")?);
            let (source_port, port) = (body.u16("source port")?, body.u16("destination port")?);
            let ends = Ends {
                local: SocketAddr::new(destination.into(), port),
                remote: SocketAddr::new(source.into(), source_port),
            };
            Ok(Parsed::Header(Some(ends), whole))
        }
        (1, 0x21) => {
            let mut body = Reader::new(reader.take(length, "addresses")?);
            let source = Ipv6Addr::from(body.array::<16>("source address")?);
            let destination = Ipv6Addr::from(body.array::<16>("destination address")?);
            let (source_port, port) = (body.u16("source port")?, body.u16("destination port")?);
            let ends = Ends {
                local: SocketAddr::new(destination.into(), port),
                remote: SocketAddr::new(source.into(), source_port),
            };
            Ok(Parsed::Header(Some(ends), whole))
        }
        (1, 0x00) => Ok(Parsed::Header(None, whole)),
        (1, _) => Err(Malformed::new("TCP over IPv4 or IPv6", 13)),
        _ => Err(Malformed::new("command LOCAL or PROXY", 12)),
    }
}

/// Reads the header off a connection and leaves what follows it unread.
///
/// # Errors
/// `InvalidData` for a missing or malformed header, else as the connection gives them.
pub(crate) async fn read(stream: &mut Stream) -> io::Result<Option<Ends>> {
    let mut octets = Vec::with_capacity(256);
    loop {
        match parse(&octets) {
            Ok(Parsed::Header(ends, length)) => {
                stream.unread(&octets[length..]);
                return Ok(ends);
            }
            Ok(Parsed::Partial) => {
                if stream.read_buf(&mut octets).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Err(malformed) => return Err(io::Error::new(io::ErrorKind::InvalidData, malformed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut octets = SIGNATURE_V2.to_vec();
        octets.extend([0x20 | command, family]);
        octets.extend((body.len() as u16).to_be_bytes());
        octets.extend(body);
        octets
    }

    fn ends(local: &str, remote: &str) -> Ends {
        Ends { local: local.parse().unwrap(), remote: remote.parse().unwrap() }
    }

    #[test]
    fn both_versions_name_the_client() {
        let v4 = [10, 0, 0, 1, 10, 0, 0, 2, 0x30, 0x39, 0, 80, 9, 9];
        let mut v6 = [0u8; 36];
        v6[15] = 1;
        v6[31] = 2;
        v6[33] = 7;
        v6[35] = 8;
        for (octets, wanted) in [
            (
                b"PROXY TCP4 10.0.0.1 10.0.0.2 12345 80\r\n".to_vec(),
                Some(ends("10.0.0.2:80", "10.0.0.1:12345")),
            ),
            (b"PROXY TCP6 ::1 ::2 7 8\r\n".to_vec(), Some(ends("[::2]:8", "[::1]:7"))),
            (b"PROXY UNKNOWN whatever\r\n".to_vec(), None),
            (v2(1, 0x11, &v4), Some(ends("10.0.0.2:80", "10.0.0.1:12345"))),
            (v2(1, 0x21, &v6), Some(ends("[::2]:8", "[::1]:7"))),
            (v2(0, 0, &[]), None),
        ] {
            assert_eq!(parse(&octets), Ok(Parsed::Header(wanted, octets.len())));
            for length in 0..octets.len() {
                assert_eq!(parse(&octets[..length]), Ok(Parsed::Partial), "{length} of {octets:?}");
            }
            let mut longer = octets.clone();
            longer.extend(b"GET / HTTP/1.1\r\n");
            assert_eq!(parse(&longer), Ok(Parsed::Header(wanted, octets.len())));
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for octets in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXY TCP4 10.0.0.1 10.0.0.2 12345\r\n",
            b"PROXY TCP4 ::1 ::2 1 2\r\n",
            b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2 3\r\n",
            b"PROXY TCP4 10.0.0.1 10.0.0.2 1 99999\r\n",
            b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\n",
            &[b"PROXY ".as_slice(), &[b'x'; 120]].concat(),
            &v2(1, 0x12, &[0; 12]),
            &v2(2, 0x11, &[0; 12]),
            &v2(1, 0x11, &[0; 11]),
        ] {
            assert!(parse(octets).is_err(), "{octets:?}");
        }
    }

    #[test]
    fn only_listed_networks_may_speak_for_others() {
        let sources = ProxySources(["10.1.0.0/16", "2001:db8::/32"].map(|text| text.parse().unwrap()).into());
        for (address, listed) in [
            ("10.1.255.1", true),
            ("10.2.0.1", false),
            ("::ffff:10.1.0.1", true),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(sources.contains(address.parse().unwrap()), listed, "{address}");
        }
        let all = ProxySources(vec!["0.0.0.0/0".parse().unwrap()]);
        assert!(all.contains("1.2.3.4".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn any_octets_are_parsed_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..300), v1: bool) {
            let mut all = if v1 { b"PROXY ".to_vec() } else { SIGNATURE_V2.to_vec() };
            all.extend(octets);
            let _ = parse(&all);
        }
    }
}
