//! Who listens where on this machine, from `/proc/net` and `/proc/*/fd`.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::fs;

use doorway_base::trace::Transport;

/// A socket that somebody listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listening {
    /// Address and port it is bound to.
    pub(super) local: SocketAddr,
    /// Its number in the kernel, by which its owner is found.
    pub(super) inode: u64,
}

impl Listening {
    /// Whether binding `wanted` would fail because of this socket. `[::]` is taken to cover IPv4 too.
    pub(super) fn is_in_the_way_of(&self, wanted: SocketAddr) -> bool {
        if self.local.port() != wanted.port() || wanted.port() == 0 {
            return false;
        }
        let (held, wanted) = (self.local.ip().to_canonical(), wanted.ip().to_canonical());
        let covers = |wide: IpAddr, narrow: IpAddr| {
            wide.is_unspecified() && (wide.is_ipv4() == narrow.is_ipv4() || wide.is_ipv6())
        };
        // A wanted [::] is bound for IPv6 alone, since a bare port binds 0.0.0.0 beside it.
        held == wanted || covers(held, wanted) || covers(wanted, held) && wanted.is_ipv4() == held.is_ipv4()
    }
}

/// A process as people know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    /// Process number.
    pub(super) pid: u32,
    /// Name of its program.
    pub(super) name: String,
}

/// Every socket of `transport` that waits for peers. Empty where `/proc` is not there.
pub(super) fn listening(transport: Transport) -> Vec<Listening> {
    let read = |name: &str| fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
    match transport {
        Transport::Tcp => parse(&read("tcp"), "0A").chain(parse(&read("tcp6"), "0A")).collect(),
        // An unconnected UDP socket is in state 07.
        Transport::Udp => parse(&read("udp"), "07").chain(parse(&read("udp6"), "07")).collect(),
    }
}

/// The sockets in `state` of one of the kernel's tables; lines that do not parse are passed over.
fn parse<'a>(table: &'a str, state: &'a str) -> impl Iterator<Item = Listening> + 'a {
    table.lines().skip(1).filter_map(move |line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if *fields.get(3)? != state {
            return None;
        }
        let (address, port) = fields.get(1)?.split_once(':')?;
        let local = SocketAddr::new(parse_address(address)?, u16::from_str_radix(port, 16).ok()?);
        Some(Listening { local, inode: fields.get(9)?.parse().ok()? })
    })
}

/// An address as the kernel prints it: hexadecimal, each 32-bit word in the machine's own order.
fn parse_address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(text.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match text.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut octets = [0; 16];
            for (index, chunk) in octets.chunks_mut(4).enumerate() {
                chunk.copy_from_slice(&word(index * 8)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from(octets)))
        }
        _ => None,
    }
}

/// The process that holds the socket `inode`; `None` when it is another user's and we may not look.
pub(super) fn owner(inode: u64) -> Option<Process> {
    let wanted = format!("socket:[{inode}]");
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(descriptors) = fs::read_dir(entry.path().join("fd")) else { continue };
        let mut targets = descriptors.flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
        if targets.any(|target| target.as_os_str() == wanted.as_str()) {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            return Some(Process { pid, name: name.trim().to_owned() });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernels_tables_are_read_line_by_line() {
        let v4 = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                  0: 0100007F:14B4 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0\n   \
                  1: 0100007F:14B4 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0\n\
                  a line that is cut sho";
        let v6 = "  sl\n   0: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A \
                  00000000:00000000 00:00000000 00000000 0 0 4713";
        assert_eq!(
            parse(v4, "0A").chain(parse(v6, "0A")).collect::<Vec<_>>(),
            [
                Listening { local: socket("127.0.0.1:5300"), inode: 4711 },
                Listening { local: socket("[::1]:80"), inode: 4713 },
            ]
        );
    }

    #[test]
    fn sockets_are_in_each_others_way_when_their_addresses_overlap() {
        for (held, wanted, blocks) in [
            ("127.0.0.1:53", "127.0.0.1:53", true),
            ("127.0.0.1:53", "127.0.0.1:54", false),
            ("127.0.0.2:53", "127.0.0.1:53", false),
            ("0.0.0.0:53", "127.0.0.1:53", true),
            ("127.0.0.1:53", "0.0.0.0:53", true),
            ("[::]:53", "127.0.0.1:53", true),
            ("[::]:53", "[::1]:53", true),
            ("0.0.0.0:53", "[::1]:53", false),
            ("127.0.0.1:53", "[::]:53", false),
            ("0.0.0.0:0", "0.0.0.0:0", false),
        ] {
            let listening = Listening { local: socket(held), inode: 0 };
            assert_eq!(listening.is_in_the_way_of(socket(wanted)), blocks, "{held} {wanted}");
        }
    }
}
