//! Writes a trace as a packet capture that any dissector opens (draft-ietf-opsawg-pcapng).
//!
//! The trace holds messages, not packets, so link, network and transport headers are made here: a
//! TCP connection gets its handshake, segments with true sequence numbers and its end; checksums are
//! valid. TLS flows show the plaintext, as this node saw it.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::collections::BTreeMap;

use super::event::{Direction, Event, Flow, Step, Transport};

/// Largest TCP payload in one synthesised segment, in octets: an Ethernet MTU less its headers.
const SEGMENT_OCTETS_MAX: usize = 1440;
/// Largest UDP payload in one synthesised datagram: what IPv4's total length leaves.
const DATAGRAM_OCTETS_MAX: usize = 65_507;
/// Connections remembered at the most; past it the oldest is forgotten and starts anew if it speaks.
const CONNECTIONS_MAX: usize = 65_536;

const FIN: u8 = 1;
const SYN: u8 = 2;
const PSH: u8 = 8;
const ACK: u8 = 16;

/// How addresses and notes are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Replace a service's port by the one its standard gives it, so dissectors recognise it.
    pub canonical_ports: bool,
    /// Put each event's decision note into the packet's comment.
    pub comments: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { canonical_ports: false, comments: true }
    }
}

/// Turns events into pcapng octets, one call an event; the caller writes them where it likes.
#[derive(Debug)]
pub struct PcapngWriter {
    options: Options,
    /// Wall-clock time of the world's start in nanoseconds, so that packets carry real dates.
    epoch_nanos: u64,
    connections: BTreeMap<u64, Connection>,
    identification: u16,
}

#[derive(Debug, Clone, Copy)]
struct Connection {
    sent: u32,
    received: u32,
}

impl PcapngWriter {
    /// A writer whose packets are dated `epoch_nanos` (Unix time of the world's start) plus the event's time.
    #[must_use]
    pub fn new(options: Options, epoch_nanos: u64) -> Self {
        Self { options, epoch_nanos, connections: BTreeMap::new(), identification: 0 }
    }

    /// Section header and interface blocks: the file's first octets.
    #[must_use]
    pub fn header(&self, application: &str) -> Vec<u8> {
        let mut file = Vec::new();
        let mut section = Vec::new();
        section.extend(0x1a2b_3c4d_u32.to_le_bytes());
        section.extend(1u16.to_le_bytes());
        section.extend(0u16.to_le_bytes());
        section.extend(u64::MAX.to_le_bytes());
        option(&mut section, 4, application.as_bytes());
        option(&mut section, 0, &[]);
        block(&mut file, 0x0a0d_0d0a, &section);
        let mut interface = Vec::new();
        interface.extend(1u16.to_le_bytes()); // LINKTYPE_ETHERNET
        interface.extend(0u16.to_le_bytes());
        interface.extend(0u32.to_le_bytes());
        option(&mut interface, 2, b"doorway");
        option(&mut interface, 9, &[9]); // time in nanoseconds
        option(&mut interface, 0, &[]);
        block(&mut file, 1, &interface);
        file
    }

    /// The packets of one event, as enhanced packet blocks.
    #[must_use]
    pub fn event(&mut self, event: &Event) -> Vec<u8> {
        let mut file = Vec::new();
        match event.flow.transport {
            Transport::Udp => {
                let payload = &event.octets[..event.octets.len().min(DATAGRAM_OCTETS_MAX)];
                let packet = self.udp(&event.flow, event.direction, payload);
                self.packet(&mut file, event, &packet, true);
            }
            Transport::Tcp => self.tcp(&mut file, event),
        }
        file
    }

    fn tcp(&mut self, file: &mut Vec<u8>, event: &Event) {
        let flow = &event.flow;
        if event.step == Step::Open || !self.connections.contains_key(&flow.id) {
            // The side that does not serve opens the connection.
            let opener = if flow.serving { Direction::In } else { Direction::Out };
            self.open(file, event, opener);
        }
        match event.step {
            Step::Open => {}
            Step::Message => {
                for (index, payload) in event.octets.chunks(SEGMENT_OCTETS_MAX).enumerate() {
                    let packet = self.segment(flow, event.direction, ACK | PSH, payload);
                    self.packet(file, event, &packet, index == 0);
                }
            }
            Step::Close => {
                for (direction, flags) in [
                    (event.direction, FIN | ACK),
                    (other(event.direction), FIN | ACK),
                    (event.direction, ACK),
                ] {
                    let packet = self.segment(flow, direction, flags, &[]);
                    self.packet(file, event, &packet, false);
                }
                self.connections.remove(&flow.id);
            }
        }
    }

    fn open(&mut self, file: &mut Vec<u8>, event: &Event, opener: Direction) {
        if self.connections.len() >= CONNECTIONS_MAX {
            self.connections.pop_first();
        }
        self.connections.insert(event.flow.id, Connection { sent: 1_000, received: 2_000 });
        for (direction, flags) in [(opener, SYN), (other(opener), SYN | ACK), (opener, ACK)] {
            let packet = self.segment(&event.flow, direction, flags, &[]);
            self.packet(file, event, &packet, false);
        }
    }

    fn segment(&mut self, flow: &Flow, direction: Direction, flags: u8, payload: &[u8]) -> Vec<u8> {
        let at = self.connections.entry(flow.id).or_insert(Connection { sent: 1_000, received: 2_000 });
        let advance = payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        let (sequence, acknowledged) = match direction {
            Direction::Out => (at.sent, at.received),
            Direction::In => (at.received, at.sent),
        };
        match direction {
            Direction::Out => at.sent = at.sent.wrapping_add(advance),
            Direction::In => at.received = at.received.wrapping_add(advance),
        }
        let (source, destination) = self.ends(flow, direction);
        let mut header = Vec::with_capacity(24 + payload.len());
        header.extend(source.port().to_be_bytes());
        header.extend(destination.port().to_be_bytes());
        header.extend(sequence.to_be_bytes());
        header.extend(if flags & ACK == 0 { 0 } else { acknowledged }.to_be_bytes());
        let options: &[u8] = if flags & SYN == 0 { &[] } else { &[2, 4, 0x05, 0xa0] }; // MSS 1440
        header.push(((5 + options.len() / 4) << 4) as u8);
        header.push(flags);
        header.extend(65_535u16.to_be_bytes());
        header.extend([0; 4]);
        header.extend(options);
        header.extend(payload);
        let sum = transport_checksum(source.ip(), destination.ip(), 6, &header);
        header[16..18].copy_from_slice(&sum.to_be_bytes());
        self.frame(source.ip(), destination.ip(), 6, &header)
    }

    fn udp(&mut self, flow: &Flow, direction: Direction, payload: &[u8]) -> Vec<u8> {
        let (source, destination) = self.ends(flow, direction);
        let mut datagram = Vec::with_capacity(8 + payload.len());
        datagram.extend(source.port().to_be_bytes());
        datagram.extend(destination.port().to_be_bytes());
        datagram.extend((8 + payload.len() as u16).to_be_bytes());
        datagram.extend([0; 2]);
        datagram.extend(payload);
        let sum = match transport_checksum(source.ip(), destination.ip(), 17, &datagram) {
            0 => 0xffff, // RFC 768: zero means "no checksum"
            sum => sum,
        };
        datagram[6..8].copy_from_slice(&sum.to_be_bytes());
        self.frame(source.ip(), destination.ip(), 17, &datagram)
    }

    fn ends(&self, flow: &Flow, direction: Direction) -> (SocketAddr, SocketAddr) {
        let (mut local, mut remote) = (flow.local, flow.remote);
        if self.options.canonical_ports && flow.canonical_port != 0 {
            if flow.serving { &mut local } else { &mut remote }.set_port(flow.canonical_port);
        }
        // A capture has no mixed packets: IPv4 over a dual-stack socket is shown as IPv4.
        local.set_ip(local.ip().to_canonical());
        remote.set_ip(remote.ip().to_canonical());
        match direction {
            Direction::Out => (local, remote),
            Direction::In => (remote, local),
        }
    }

    fn frame(&mut self, source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::with_capacity(54 + payload.len());
        frame.extend(hardware_address(destination));
        frame.extend(hardware_address(source));
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                frame.extend(0x0800u16.to_be_bytes());
                let start = frame.len();
                frame.extend([0x45, 0]);
                frame.extend((20 + payload.len() as u16).to_be_bytes());
                self.identification = self.identification.wrapping_add(1);
                frame.extend(self.identification.to_be_bytes());
                frame.extend([0x40, 0, 64, protocol, 0, 0]);
                frame.extend(source.octets());
                frame.extend(destination.octets());
                let sum = fold(add_words(0, &frame[start..]));
                frame[start + 10..start + 12].copy_from_slice(&sum.to_be_bytes());
            }
            (source, destination) => {
                frame.extend(0x86ddu16.to_be_bytes());
                frame.extend([0x60, 0, 0, 0]);
                frame.extend((payload.len() as u16).to_be_bytes());
                frame.extend([protocol, 64]);
                frame.extend(as_v6(source).octets());
                frame.extend(as_v6(destination).octets());
            }
        }
        frame.extend(payload);
        frame
    }

    fn packet(&self, file: &mut Vec<u8>, event: &Event, frame: &[u8], first: bool) {
        let nanos = self.epoch_nanos.wrapping_add(event.at.as_nanos());
        let mut body = Vec::with_capacity(frame.len() + 32);
        body.extend(0u32.to_le_bytes());
        body.extend(((nanos >> 32) as u32).to_le_bytes());
        body.extend((nanos as u32).to_le_bytes());
        body.extend((frame.len() as u32).to_le_bytes());
        body.extend((frame.len() as u32).to_le_bytes());
        body.extend(frame);
        pad(&mut body);
        if let (Some(note), true, true) = (&event.note, first, self.options.comments) {
            option(&mut body, 1, format!("{}: {}", note.code, note.text).as_bytes());
            option(&mut body, 0, &[]);
        }
        block(file, 6, &body);
    }
}

fn other(direction: Direction) -> Direction {
    match direction {
        Direction::In => Direction::Out,
        Direction::Out => Direction::In,
    }
}

/// A locally administered address made from the last four octets of the IP address.
fn hardware_address(address: IpAddr) -> [u8; 6] {
    let tail = match address {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(v6) => {
            let [.., a, b, c, d] = v6.octets();
            [a, b, c, d]
        }
    };
    [0x02, 0, tail[0], tail[1], tail[2], tail[3]]
}

fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

fn add_words(mut sum: u64, octets: &[u8]) -> u64 {
    for pair in octets.chunks(2) {
        sum += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    sum
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn transport_checksum(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> u16 {
    let mut sum = u64::from(protocol) + payload.len() as u64;
    for address in [source, destination] {
        sum = match (address, source, destination) {
            (IpAddr::V4(v4), IpAddr::V4(_), IpAddr::V4(_)) => add_words(sum, &v4.octets()),
            (address, ..) => add_words(sum, &as_v6(address).octets()),
        };
    }
    fold(add_words(sum, payload))
}

fn pad(octets: &mut Vec<u8>) {
    octets.resize(octets.len().next_multiple_of(4), 0);
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    body.extend(value);
    pad(body);
}

fn block(file: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let length = (body.len() + 12) as u32;
    file.extend(kind.to_le_bytes());
    file.extend(length.to_le_bytes());
    file.extend(body);
    file.extend(length.to_le_bytes());
}
