//! Frames of a link, as octets: Ethernet II with IPv4 and UDP (RFC 894, RFC 791, RFC 768), or with ARP
//! (RFC 826).
//!
//! For what has to be said before there is an address. Pure: [`crate::link`] moves frames. Not here: IPv6,
//! fragments, VLAN tags, and any link without Ethernet's addresses.

use core::net::{Ipv4Addr, SocketAddrV4};
use std::fmt;

use doorway_base::{Malformed, Reader};

/// Octets of the Ethernet header.
pub(crate) const ETHERNET_OCTETS: usize = 14;
/// Octets of an IPv4 header without options.
const IPV4_OCTETS: usize = 20;
/// Octets of the UDP header.
const UDP_OCTETS: usize = 8;
/// The kind of Ethernet payload that is IPv4.
pub(crate) const KIND_IPV4: u16 = 0x0800;
/// The kind of Ethernet payload that is ARP.
pub(crate) const KIND_ARP: u16 = 0x0806;
/// The number of UDP among the protocols of IPv4.
pub(crate) const PROTOCOL_UDP: u8 = 17;
/// How many hops a datagram may take that never leaves its link.
const TTL: u8 = 64;
/// "Don't fragment", in the flags of the IPv4 header.
const DONT_FRAGMENT: u16 = 0x4000;
/// "More fragments" and the offset: set in fragments only.
const FRAGMENT: u16 = 0x3fff;
/// Ethernet and IPv4, as ARP names them, with the octets of their addresses.
const ARP_ETHERNET_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// The address of a network card: EUI-48.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Every card of the link.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// No address: what an ARP request does not know yet.
    pub const ZERO: Self = Self([0; 6]);

    /// Whether it stands for several cards.
    #[must_use]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Made of these octets, in the range that everybody may use without asking.
    #[must_use]
    pub const fn local(octets: [u8; 6]) -> Self {
        let [first, rest @ ..] = octets;
        let [b, c, d, e, f] = rest;
        Self([first & !1 | 2, b, c, d, e, f])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A message between two cards of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkMessage {
    /// The card that sent it.
    pub source_mac: Mac,
    /// The card, or all cards, that it is for.
    pub destination_mac: Mac,
    /// What it says.
    pub content: LinkContent,
}

/// What a message on a link says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkContent {
    /// A whole UDP datagram.
    Udp {
        /// The sender; `0.0.0.0` for who has no address yet.
        source: SocketAddrV4,
        /// The receiver.
        destination: SocketAddrV4,
        /// The payload.
        octets: Vec<u8>,
    },
    /// A question about an address of the link, or the answer.
    Arp {
        /// Question or answer.
        operation: ArpOperation,
        /// The sender's card.
        sender_mac: Mac,
        /// The sender's address; `0.0.0.0` in a probe (RFC 5227 §2.1.1).
        sender_ip: Ipv4Addr,
        /// The card that is asked for, or answered to.
        target_mac: Mac,
        /// The address that is asked for, or that of whom is answered to.
        target_ip: Ipv4Addr,
    },
}

/// What an ARP message does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArpOperation {
    /// Asks who has the target address.
    Request,
    /// Says that the sender has the sender's address.
    Reply,
}

impl LinkMessage {
    /// The question whether anybody on the link has `address`, by a card that claims no address itself:
    /// RFC 5227 §2.1.1.
    #[must_use]
    pub const fn arp_probe(source_mac: Mac, address: Ipv4Addr) -> Self {
        Self {
            source_mac,
            destination_mac: Mac::BROADCAST,
            content: LinkContent::Arp {
                operation: ArpOperation::Request,
                sender_mac: source_mac,
                sender_ip: Ipv4Addr::UNSPECIFIED,
                target_mac: Mac::ZERO,
                target_ip: address,
            },
        }
    }

    /// Appends the frame, with its checksums. A payload that no datagram can hold is cut to what one can.
    pub fn write(&self, frame: &mut Vec<u8>) {
        frame.extend(self.destination_mac.0);
        frame.extend(self.source_mac.0);
        match &self.content {
            LinkContent::Udp { source, destination, octets } => {
                frame.extend(KIND_IPV4.to_be_bytes());
                let octets_max = usize::from(u16::MAX) - IPV4_OCTETS - UDP_OCTETS;
                write_udp(frame, *source, *destination, &octets[..octets.len().min(octets_max)]);
            }
            LinkContent::Arp { operation, sender_mac, sender_ip, target_mac, target_ip } => {
                frame.extend(KIND_ARP.to_be_bytes());
                frame.extend(ARP_ETHERNET_IPV4);
                let operation: u16 = match operation {
                    ArpOperation::Request => 1,
                    ArpOperation::Reply => 2,
                };
                frame.extend(operation.to_be_bytes());
                frame.extend(sender_mac.0);
                frame.extend(sender_ip.octets());
                frame.extend(target_mac.0);
                frame.extend(target_ip.octets());
            }
        }
    }

    /// Reads a frame. What follows the datagram is padding. Unless `checksummed`, the checksum of UDP is
    /// not looked at: one that is sent within a machine is left to a card that never sees it.
    ///
    /// # Errors
    /// [`Malformed`] for what is neither ARP about IPv4 nor a whole datagram of UDP, and for a wrong checksum.
    pub fn parse(frame: &[u8], checksummed: bool) -> Result<Self, Malformed> {
        let mut r = Reader::new(frame);
        let destination_mac = Mac(r.array("the receiver's card")?);
        let source_mac = Mac(r.array("the sender's card")?);
        let content = match r.u16("the kind of the payload")? {
            KIND_IPV4 => parse_udp(r.rest(), checksummed)?,
            KIND_ARP => parse_arp(&mut r)?,
            _ => return Err(r.malformed("IPv4 or ARP")),
        };
        Ok(Self { source_mac, destination_mac, content })
    }
}

/// Appends an IPv4 packet that holds one UDP datagram.
fn write_udp(frame: &mut Vec<u8>, source: SocketAddrV4, destination: SocketAddrV4, octets: &[u8]) {
    let udp_octets = (UDP_OCTETS + octets.len()) as u16;
    let at = frame.len();
    frame.extend([0x45, 0]);
    frame.extend((IPV4_OCTETS as u16 + udp_octets).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(DONT_FRAGMENT.to_be_bytes());
    frame.extend([TTL, PROTOCOL_UDP, 0, 0]);
    frame.extend(source.ip().octets());
    frame.extend(destination.ip().octets());
    let sum = checksum(0, &frame[at..]);
    frame[at + 10..at + 12].copy_from_slice(&sum.to_be_bytes());

    let at = frame.len();
    frame.extend(source.port().to_be_bytes());
    frame.extend(destination.port().to_be_bytes());
    frame.extend(udp_octets.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(octets);
    let sum = match checksum(pseudo_sum(*source.ip(), *destination.ip(), udp_octets), &frame[at..]) {
        0 => 0xffff, // 0 means that there is none: RFC 768
        sum => sum,
    };
    frame[at + 6..at + 8].copy_from_slice(&sum.to_be_bytes());
}

fn parse_udp(packet: &[u8], checksummed: bool) -> Result<LinkContent, Malformed> {
    let mut r = Reader::new(packet);
    let first = r.u8("the version of IP")?;
    let header_octets = usize::from(first & 15) * 4;
    if first >> 4 != 4 || header_octets < IPV4_OCTETS {
        return Err(Malformed::new("an IPv4 header", 0));
    }
    r.u8("the type of service")?;
    let packet_octets = usize::from(r.u16("the length of the packet")?);
    r.u16("the identification")?;
    if r.u16("the flags")? & FRAGMENT != 0 {
        return Err(Malformed::new("a packet that is no fragment", 6));
    }
    r.u8("the hops left")?;
    if r.u8("the protocol")? != PROTOCOL_UDP {
        return Err(Malformed::new("UDP", 9));
    }
    r.u16("the checksum of the header")?;
    let source = Ipv4Addr::from(r.array::<4>("the sender")?);
    let destination = Ipv4Addr::from(r.array::<4>("the receiver")?);
    let packet = packet.get(..packet_octets).ok_or(Malformed::new("a packet as long as it says", 2))?;
    let header = packet.get(..header_octets).ok_or(Malformed::new("the whole header", packet.len()))?;
    if checksum(0, header) != 0 {
        return Err(Malformed::new("a header with its checksum", 10));
    }
    let mut r = Reader::at(packet, header_octets);
    let source = SocketAddrV4::new(source, r.u16("the sender's port")?);
    let destination = SocketAddrV4::new(destination, r.u16("the receiver's port")?);
    let udp_octets = r.u16("the length of the datagram")?;
    let sum = r.u16("the checksum of the datagram")?;
    let octets = usize::from(udp_octets).checked_sub(UDP_OCTETS).and_then(|octets| r.rest().get(..octets));
    let octets = octets.ok_or(Malformed::new("a datagram as long as it says", header_octets + 4))?;
    if checksummed && sum != 0 {
        let datagram = &packet[header_octets..header_octets + usize::from(udp_octets)];
        if checksum(pseudo_sum(*source.ip(), *destination.ip(), udp_octets), datagram) != 0 {
            return Err(Malformed::new("a datagram with its checksum", header_octets + 6));
        }
    }
    Ok(LinkContent::Udp { source, destination, octets: octets.to_vec() })
}

fn parse_arp(r: &mut Reader<'_>) -> Result<LinkContent, Malformed> {
    if r.array("the kinds of addresses")? != ARP_ETHERNET_IPV4 {
        return Err(r.malformed("ARP about IPv4 over Ethernet"));
    }
    let operation = match r.u16("the operation")? {
        1 => ArpOperation::Request,
        2 => ArpOperation::Reply,
        _ => return Err(r.malformed("a request or a reply")),
    };
    Ok(LinkContent::Arp {
        operation,
        sender_mac: Mac(r.array("the sender's card")?),
        sender_ip: Ipv4Addr::from(r.array::<4>("the sender's address")?),
        target_mac: Mac(r.array("the target's card")?),
        target_ip: Ipv4Addr::from(r.array::<4>("the target's address")?),
    })
}

/// The sum over what the checksum of UDP covers beside the datagram: RFC 768.
fn pseudo_sum(source: Ipv4Addr, destination: Ipv4Addr, udp_octets: u16) -> u32 {
    let halves = |address: Ipv4Addr| {
        let address = u32::from(address);
        (address >> 16) + (address & 0xffff)
    };
    halves(source) + halves(destination) + u32::from(PROTOCOL_UDP) + u32::from(udp_octets)
}

/// The Internet checksum (RFC 1071) over `octets`, added to `sum`. Over octets that hold their checksum
/// it is 0.
pub(crate) fn checksum(sum: u32, octets: &[u8]) -> u16 {
    let (pairs, rest) = octets.as_chunks::<2>();
    let mut sum = u64::from(sum) + pairs.iter().map(|pair| u64::from(u16::from_be_bytes(*pair))).sum::<u64>();
    sum += rest.first().map_or(0, |last| u64::from(*last) << 8);
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn udp(octets: Vec<u8>) -> LinkMessage {
        LinkMessage {
            source_mac: Mac([2, 0, 0, 0, 0, 1]),
            destination_mac: Mac::BROADCAST,
            content: LinkContent::Udp {
                source: "0.0.0.0:68".parse().unwrap(),
                destination: "255.255.255.255:67".parse().unwrap(),
                octets,
            },
        }
    }

    fn check(message: &LinkMessage) {
        let mut frame = Vec::new();
        message.write(&mut frame);
        assert_eq!(LinkMessage::parse(&frame, true).as_ref(), Ok(message));
        for length in 0..frame.len() {
            assert!(LinkMessage::parse(&frame[..length], true).is_err(), "{length} octets of {message:?}");
        }
        frame.extend([0; 18]);
        assert_eq!(LinkMessage::parse(&frame, true).as_ref(), Ok(message), "padding is no part of it");
    }

    #[test]
    fn a_frame_reads_back_as_it_was_written() {
        check(&udp(Vec::new()));
        check(&udp(b"odd".to_vec()));
        check(&udp((0..=255).cycle().take(1400).collect()));
        check(&LinkMessage::arp_probe(Mac([2, 0, 0, 0, 0, 7]), Ipv4Addr::new(10, 0, 0, 9)));
        check(&LinkMessage {
            source_mac: Mac([2, 0, 0, 0, 0, 2]),
            destination_mac: Mac([2, 0, 0, 0, 0, 1]),
            content: LinkContent::Arp {
                operation: ArpOperation::Reply,
                sender_mac: Mac([2, 0, 0, 0, 0, 2]),
                sender_ip: Ipv4Addr::new(10, 0, 0, 2),
                target_mac: Mac([2, 0, 0, 0, 0, 1]),
                target_ip: Ipv4Addr::UNSPECIFIED,
            },
        });
    }

    #[test]
    fn a_datagram_has_the_octets_that_the_standards_say() {
        let mut frame = Vec::new();
        udp(vec![0xab]).write(&mut frame);
        // Sums worked out by hand: that of the header is 0x79d1 before it is turned over, and that of the
        // datagram 0xffff + 0xffff + 17 + 9 + 68 + 67 + 9 + 0xab00, folded.
        let wanted = [
            [0xff; 6].as_slice(),
            &[2, 0, 0, 0, 0, 1, 8, 0],
            &[0x45, 0, 0, 29, 0, 0, 0x40, 0, 64, 17, 0x3a, 0xd1],
            &[0, 0, 0, 0, 255, 255, 255, 255],
            &[0, 68, 0, 67, 0, 9, 0x54, 0x55, 0xab],
        ];
        assert_eq!(frame, wanted.concat());
    }

    #[test]
    fn what_was_changed_on_the_way_is_refused() {
        let mut whole = Vec::new();
        udp(b"payload".to_vec()).write(&mut whole);
        for at in ETHERNET_OCTETS..whole.len() {
            let mut frame = whole.clone();
            frame[at] ^= 0x10;
            assert!(LinkMessage::parse(&frame, true).is_err(), "octet {at}");
        }
        let last = whole.len() - 1;
        whole[last] ^= 0x10;
        assert!(LinkMessage::parse(&whole, false).is_ok(), "nobody has made a checksum yet");
    }

    #[test]
    fn a_local_card_is_nobody_elses_and_no_group() {
        assert_eq!(Mac::local([0xff; 6]).to_string(), "fe:ff:ff:ff:ff:ff");
        assert_eq!(Mac::local([0; 6]).to_string(), "02:00:00:00:00:00");
        assert!(Mac::BROADCAST.is_group() && !Mac::local([0xff; 6]).is_group());
    }

    proptest! {
        #[test]
        fn no_octets_bring_the_parser_down(
            octets in prop::collection::vec(any::<u8>(), 0..120),
            kind in prop::sample::select(vec![KIND_IPV4, KIND_ARP, 0x86dd]),
            checksummed: bool,
        ) {
            let mut frame = octets;
            if frame.len() > 23 {
                frame[12..14].copy_from_slice(&kind.to_be_bytes());
                frame[14] = 0x40 | frame[14] & 15;
                frame[23] = PROTOCOL_UDP;
            }
            let _ = LinkMessage::parse(&frame, checksummed);
        }
    }
}
