//! Changes of interfaces, told to the kernel by rtnetlink (`rtnetlink(7)`): addresses with their life, routes,
//! the longest packet, up.
//!
//! Five messages of fixed form: shorter to write down than to hand to a library. Not here: reading what there
//! is ([`crate::ground::Network::interfaces`]), and following changes that others make.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, recv, sendto, socket};

use crate::interface::{InterfaceAddress, InterfaceChange, Route};

/// Octets of a message's header: length, type, flags, sequence, port.
const HEADER_OCTETS: usize = 16;
/// Where an acknowledgement has its error, behind its own header.
const ERROR_OCTETS: usize = HEADER_OCTETS + 4;
/// A life without end (`ifa_cacheinfo`).
const FOR_EVER: u32 = u32::MAX;
/// Who made a route: DHCP (`RTPROT_DHCP`).
const PROTOCOL_DHCP: u8 = 16;

/// Tells the kernel to change interface number `index`, and waits for its answer, which comes at once.
pub(crate) fn assign(index: u32, change: &InterfaceChange) -> io::Result<()> {
    let kernel = socket(AddressFamily::NETLINK, SocketType::DGRAM, None)?; // NETLINK_ROUTE is 0
    sendto(&kernel, &message(index, change), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0; 1024];
    let (count, _) = recv(&kernel, &mut answer, RecvFlags::empty())?;
    match errno(&answer[..count]) {
        Some(0) => Ok(()),
        // What was to be removed is not there: as it should be.
        Some(libc::EADDRNOTAVAIL) if matches!(change, InterfaceChange::RemoveAddress(_)) => Ok(()),
        Some(libc::ESRCH) if matches!(change, InterfaceChange::RemoveRoute(_)) => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(errno)),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer is none")),
    }
}

/// The error that an acknowledgement tells; 0 for none.
fn errno(answer: &[u8]) -> Option<i32> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let error = i32::from_ne_bytes(answer.get(HEADER_OCTETS..ERROR_OCTETS)?.try_into().ok()?);
    (i32::from(kind) == libc::NLMSG_ERROR).then(|| error.saturating_neg())
}

/// One request, with its header.
fn message(index: u32, change: &InterfaceChange) -> Vec<u8> {
    let replace = libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
    let (kind, flags, body) = match change {
        InterfaceChange::AddAddress { address, life } => {
            (libc::RTM_NEWADDR, replace, address_body(index, address, Some(*life)))
        }
        InterfaceChange::RemoveAddress(address) => (libc::RTM_DELADDR, 0, address_body(index, address, None)),
        InterfaceChange::AddRoute(route) => (libc::RTM_NEWROUTE, replace, route_body(index, route)),
        InterfaceChange::RemoveRoute(route) => (libc::RTM_DELROUTE, 0, route_body(index, route)),
        InterfaceChange::SetUp => (libc::RTM_NEWLINK, 0, link_body(index, libc::IFF_UP as u32, None)),
        InterfaceChange::SetMtu(octets) => (libc::RTM_NEWLINK, 0, link_body(index, 0, Some(*octets))),
    };
    let mut message = Vec::with_capacity(HEADER_OCTETS + body.len());
    message.extend(((HEADER_OCTETS + body.len()) as u32).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(((libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags) as u16).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// `ifaddrmsg` with its attributes; without a life for who is to lose it.
fn address_body(index: u32, own: &InterfaceAddress, life: Option<Option<Duration>>) -> Vec<u8> {
    let (family, octets) = match own.address {
        IpAddr::V4(address) => (libc::AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6, address.octets().to_vec()),
    };
    let mut body = vec![family as u8, own.prefix, 0, libc::RT_SCOPE_UNIVERSE];
    body.extend(index.to_ne_bytes());
    attribute(&mut body, libc::IFA_LOCAL, &octets);
    attribute(&mut body, libc::IFA_ADDRESS, &octets);
    if let Some(broadcast) = own.broadcast {
        attribute(&mut body, libc::IFA_BROADCAST, &broadcast.octets());
    }
    if let Some(life) = life {
        let seconds = life.map_or(FOR_EVER, |life| u32::try_from(life.as_secs()).unwrap_or(FOR_EVER));
        // Preferred for as long as it is valid; the kernel fills in when it began.
        let mut times = [0; 16];
        times[..4].copy_from_slice(&seconds.to_ne_bytes());
        times[4..8].copy_from_slice(&seconds.to_ne_bytes());
        attribute(&mut body, libc::IFA_CACHEINFO, &times);
    }
    body
}

/// `rtmsg` with its attributes.
fn route_body(index: u32, route: &Route) -> Vec<u8> {
    let scope = if route.router.is_some() { libc::RT_SCOPE_UNIVERSE } else { libc::RT_SCOPE_LINK };
    let mut body = vec![libc::AF_INET as u8, route.prefix, 0, 0];
    body.extend([libc::RT_TABLE_MAIN, PROTOCOL_DHCP, scope, libc::RTN_UNICAST]);
    body.extend([0; 4]);
    if route.prefix > 0 {
        attribute(&mut body, libc::RTA_DST, &route.destination.octets());
    }
    for (kind, address) in [(libc::RTA_GATEWAY, route.router), (libc::RTA_PREFSRC, route.source)] {
        if let Some(octets) = address.as_ref().map(Ipv4Addr::octets) {
            attribute(&mut body, kind, &octets);
        }
    }
    attribute(&mut body, libc::RTA_OIF, &index.to_ne_bytes());
    attribute(&mut body, libc::RTA_PRIORITY, &route.metric.to_ne_bytes());
    body
}

/// `ifinfomsg` with its attributes.
fn link_body(index: u32, flags: u32, mtu: Option<u32>) -> Vec<u8> {
    let mut body = vec![libc::AF_UNSPEC as u8, 0, 0, 0];
    // Which flags, and which of them are to change.
    for word in [index, flags, flags] {
        body.extend(word.to_ne_bytes());
    }
    if let Some(octets) = mtu {
        attribute(&mut body, libc::IFLA_MTU, &octets.to_ne_bytes());
    }
    body
}

/// Appends an attribute, filled up to a multiple of four octets.
fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend(((4 + value.len()) as u16).to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_their_length_and_attributes_fill_whole_words() {
        let address = InterfaceAddress {
            address: "10.0.0.7".parse().unwrap(),
            prefix: 24,
            broadcast: Some(Ipv4Addr::new(10, 0, 0, 255)),
        };
        let route = Route {
            destination: Ipv4Addr::UNSPECIFIED,
            prefix: 0,
            router: Some(Ipv4Addr::new(10, 0, 0, 1)),
            source: None,
            metric: 100,
        };
        for (change, octets) in [
            (
                InterfaceChange::AddAddress { address, life: Some(Duration::from_secs(20)) },
                16 + 8 + 3 * 8 + 20,
            ),
            (InterfaceChange::RemoveAddress(address), 16 + 8 + 3 * 8),
            (InterfaceChange::AddRoute(route), 16 + 12 + 3 * 8),
            (InterfaceChange::RemoveRoute(Route { prefix: 8, ..route }), 16 + 12 + 4 * 8),
            (InterfaceChange::SetMtu(1400), 16 + 16 + 8),
            (InterfaceChange::SetUp, 16 + 16),
        ] {
            let message = message(3, &change);
            assert_eq!(message.len(), octets, "{change:?}");
            assert_eq!(message[..4], (octets as u32).to_ne_bytes(), "{change:?}");
        }
    }

    #[test]
    fn an_answer_tells_its_error_and_no_part_of_it_does() {
        let mut answer = vec![0; 36];
        answer[4..6].copy_from_slice(&(libc::NLMSG_ERROR as u16).to_ne_bytes());
        assert_eq!(errno(&answer), Some(0));
        answer[16..20].copy_from_slice(&(-libc::EPERM).to_ne_bytes());
        assert_eq!(errno(&answer), Some(libc::EPERM));
        for length in 0..20 {
            assert_eq!(errno(&answer[..length]), None);
        }
        answer[4] = 0;
        assert_eq!(errno(&answer), None);
    }
}
