//! A small internet in one process, for measuring what a resolver does with names it has not seen.
//!
//! ```text
//! internet PORT DELAY_MS      answers at every address of 10.53.0.0/16 that is local
//! ```
//!
//! Who asks at 10.53.0.x asks a root server, at 10.53.1.x the server of a top-level domain, and anywhere
//! else the server of a name like `d7.com`. Every such zone exists; a name has an address unless it
//! begins with `none`. Each answer leaves DELAY_MS after its query came.

use std::collections::VecDeque;
use std::io;
use std::mem::zeroed;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// What is waiting to be sent.
struct Reply {
    at: Instant,
    octets: Vec<u8>,
    to: libc::sockaddr_in,
    from: Ipv4Addr,
}

#[repr(C, align(8))]
struct Control([u8; 64]);

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1).map(|word| word.parse::<u64>());
    let (Some(Ok(port)), Some(Ok(delay))) = (arguments.next(), arguments.next()) else {
        eprintln!("internet PORT DELAY_MS");
        std::process::exit(2)
    };
    let delay = Duration::from_millis(delay);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port as u16))?;
    let fd = socket.as_raw_fd();
    let (on, size) = (1_i32, 8 << 20_i32);
    // SAFETY: each option is an int that lives through its call.
    unsafe {
        let int = |value: &i32| std::ptr::from_ref(value).cast::<libc::c_void>();
        libc::setsockopt(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, int(&on), 4);
        libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, int(&size), 4);
        libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, int(&size), 4);
    }
    let mut waiting: VecDeque<Reply> = VecDeque::new();
    let mut room = [0; 4096];
    loop {
        let now = Instant::now();
        while waiting.front().is_some_and(|reply| reply.at <= now) {
            if let Some(reply) = waiting.pop_front() {
                send(fd, &reply);
            }
        }
        let rest = waiting.front().map(|reply| reply.at.saturating_duration_since(now));
        let patience = rest.map_or(-1, |rest| rest.as_micros().div_ceil(1000) as i32);
        let mut polled = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one structure, which lives through the call.
        if unsafe { libc::poll(&raw mut polled, 1, patience) } <= 0 {
            continue;
        }
        while let Some((count, to, from)) = receive(fd, &mut room) {
            if let Some(octets) = answer(&room[..count], from.octets()) {
                let reply = Reply { at: Instant::now() + delay, octets, to, from };
                if delay.is_zero() { send(fd, &reply) } else { waiting.push_back(reply) }
            }
        }
    }
}

fn receive(fd: i32, room: &mut [u8]) -> Option<(usize, libc::sockaddr_in, Ipv4Addr)> {
    let mut control = Control([0; 64]);
    let mut slice = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
    // SAFETY: all-zero is a valid value of these plain C structures; every pointer leads to a local or to
    // `room`; the kernel writes a well-formed list of control messages, which the macros walk.
    unsafe {
        let mut name: libc::sockaddr_in = zeroed();
        let mut head: libc::msghdr = zeroed();
        head.msg_name = (&raw mut name).cast();
        head.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
        head.msg_iov = &raw mut slice;
        head.msg_iovlen = 1;
        head.msg_control = control.0.as_mut_ptr().cast();
        head.msg_controllen = control.0.len() as _;
        let count = libc::recvmsg(fd, &raw mut head, libc::MSG_DONTWAIT);
        if count < 0 {
            return None;
        }
        let mut message = libc::CMSG_FIRSTHDR(&raw const head);
        while !message.is_null() {
            if (*message).cmsg_level == libc::IPPROTO_IP && (*message).cmsg_type == libc::IP_PKTINFO {
                let info: libc::in_pktinfo = std::ptr::read_unaligned(libc::CMSG_DATA(message).cast());
                return Some((count as usize, name, Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr))));
            }
            message = libc::CMSG_NXTHDR(&raw const head, message);
        }
        None
    }
}

fn send(fd: i32, reply: &Reply) {
    let mut control = Control([0; 64]);
    let mut slice =
        libc::iovec { iov_base: reply.octets.as_ptr().cast_mut().cast(), iov_len: reply.octets.len() };
    // SAFETY: as in `receive`; the control buffer has room for the one message written into it.
    unsafe {
        let mut head: libc::msghdr = zeroed();
        head.msg_name = (&raw const reply.to).cast_mut().cast();
        head.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
        head.msg_iov = &raw mut slice;
        head.msg_iovlen = 1;
        head.msg_control = control.0.as_mut_ptr().cast();
        head.msg_controllen = libc::CMSG_SPACE(size_of::<libc::in_pktinfo>() as u32) as _;
        let first = libc::CMSG_FIRSTHDR(&raw const head);
        (*first).cmsg_level = libc::IPPROTO_IP;
        (*first).cmsg_type = libc::IP_PKTINFO;
        (*first).cmsg_len = libc::CMSG_LEN(size_of::<libc::in_pktinfo>() as u32) as _;
        let mut info: libc::in_pktinfo = zeroed();
        info.ipi_spec_dst.s_addr = u32::from(reply.from).to_be();
        std::ptr::write_unaligned(libc::CMSG_DATA(first).cast(), info);
        libc::sendmsg(fd, &raw const head, 0);
    }
}

/// An answer under construction.
struct Message {
    octets: Vec<u8>,
    counts: [u16; 3],
}

impl Message {
    fn record(&mut self, section: usize, owner: &[&[u8]], kind: u16, ttl: u32, data: &[u8]) {
        name(&mut self.octets, owner);
        self.octets.extend(kind.to_be_bytes());
        self.octets.extend([0, 1]);
        self.octets.extend(ttl.to_be_bytes());
        self.octets.extend((data.len() as u16).to_be_bytes());
        self.octets.extend_from_slice(data);
        self.counts[section] += 1;
    }
}

fn name(out: &mut Vec<u8>, labels: &[&[u8]]) {
    for label in labels {
        out.push(label.len() as u8);
        out.extend_from_slice(label);
    }
    out.push(0);
}

fn hash(labels: &[&[u8]]) -> u32 {
    labels
        .concat()
        .iter()
        .fold(0x811c_9dc5, |hash: u32, octet| (hash ^ u32::from(*octet)).wrapping_mul(0x0100_0193))
}

/// The address of server `number` of a zone.
fn server(zone: &[&[u8]], number: u32) -> [u8; 4] {
    let hash = hash(zone).wrapping_add(number * 7);
    match zone.len() {
        1 => [10, 53, 1, 1 + (hash % 200) as u8],
        _ => [10, 53, 2 + (hash >> 8) as u8 % 8, 1 + (hash % 250) as u8],
    }
}

fn answer(query: &[u8], asked: [u8; 4]) -> Option<Vec<u8>> {
    let head = query.first_chunk::<12>()?;
    if head[2] & 0xf8 != 0 || head[4..6] != [0, 1] {
        return None;
    }
    // Resolvers send letters in random case; the question goes back as it came.
    let lowered = query.to_ascii_lowercase();
    let mut labels: Vec<&[u8]> = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*lowered.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(lowered.get(at..at + length)?);
        at += length;
    }
    let kind = u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]);
    at += 4;
    let edns = head[11] != 0;
    let mut message = Message { octets: query.get(..at)?.to_vec(), counts: [0; 3] };
    let (mut authoritative, mut rcode) = (true, 0);
    let level = usize::from(asked[2]).min(2);
    let zone_labels = labels.len().saturating_sub(level);
    let zone = &labels[zone_labels..];
    let own = labels.len() == level;
    if level == 0 && labels.is_empty() {
        for letter in *b"abcdefghijklm" {
            let mut target = Vec::new();
            name(&mut target, &[&[letter], b"root-servers", b"net"]);
            message.record(0, &[], 2, 518_400, &target);
        }
        for letter in *b"abcdefghijklm" {
            let owner: [&[u8]; 3] = [&[letter], b"root-servers", b"net"];
            message.record(2, &owner, 1, 518_400, &[10, 53, 0, letter - b'a' + 1]);
        }
    } else if level < 2 && !own && labels.get(zone_labels - 1) != Some(&&b"nic"[..]) {
        // A referral to the next zone down.
        authoritative = false;
        let child = &labels[zone_labels - 1..];
        for number in 0..2 {
            let host: &[u8] = if number == 0 { b"ns1" } else { b"ns2" };
            let mut owner = vec![host];
            if child.len() == 1 {
                owner.push(b"nic");
            }
            owner.extend_from_slice(child);
            let mut target = Vec::new();
            name(&mut target, &owner);
            message.record(1, child, 2, 172_800, &target);
        }
        for number in 0..2 {
            let host: &[u8] = if number == 0 { b"ns1" } else { b"ns2" };
            let mut owner = vec![host];
            if child.len() == 1 {
                owner.push(b"nic");
            }
            owner.extend_from_slice(child);
            message.record(2, &owner, 1, 172_800, &server(child, number));
        }
    } else if kind == 1 && !own && !labels[0].starts_with(b"none") {
        let address = match labels[0] {
            [letter] if zone[0] == b"root-servers" => [10, 53, 0, letter - b'a' + 1],
            b"ns1" => server(zone, 0),
            b"ns2" => server(zone, 1),
            _ => (0x0a80_0000 | hash(&labels) & 0x007f_ffff).to_be_bytes(),
        };
        message.record(0, &labels, 1, 3600, &address);
    } else {
        rcode = if !own && labels[0].starts_with(b"none") { 3 } else { 0 };
        let mut data = Vec::new();
        name(&mut data, &[b"ns1"]);
        name(&mut data, &[b"hostmaster"]);
        data.extend([0, 0, 0, 1, 0, 0, 14, 16, 0, 0, 3, 132, 0, 9, 58, 128, 0, 0, 1, 44]);
        message.record(1, zone, 6, 300, &data);
    }
    if edns {
        message.octets.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        message.counts[2] += 1;
    }
    message.octets[2] = 0x80 | head[2] & 1 | if authoritative { 4 } else { 0 };
    message.octets[3] = rcode;
    for (place, count) in message.octets[6..12].chunks_exact_mut(2).zip(message.counts) {
        place.copy_from_slice(&count.to_be_bytes());
    }
    Some(message.octets)
}
