//! The list of network interfaces (`getifaddrs(3)`, `netdevice(7)`).
#![allow(unsafe_code, reason = "getifaddrs gives a linked list of raw pointers")]

use std::ffi::CStr;
use std::io;
use std::mem::zeroed;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketType, socket};

use crate::frame::Mac;
use crate::interface::{Interface, InterfaceAddress};

/// Every interface, in the kernel's order.
pub(crate) fn list() -> io::Result<Vec<Interface>> {
    let asking = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut first: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: it writes one pointer, to a list that is given back below.
    if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut at = first;
    while !at.is_null() {
        // SAFETY: an entry of the list, which lives until it is freed; its name is a C string.
        let (entry, name) = unsafe { (&*at, CStr::from_ptr((*at).ifa_name).to_string_lossy()) };
        at = entry.ifa_next;
        let place = interfaces.iter().position(|known| known.name == name).unwrap_or_else(|| {
            interfaces.push(Interface {
                name: name.to_string(),
                index: 0,
                mac: None,
                mtu: mtu(&asking, &name).unwrap_or(0),
                up: entry.ifa_flags & libc::IFF_UP as u32 != 0,
                addresses: Vec::new(),
            });
            interfaces.len() - 1
        });
        let interface = &mut interfaces[place];
        let broadcasts = entry.ifa_flags & libc::IFF_BROADCAST as u32 != 0;
        match family(entry.ifa_addr) {
            libc::AF_PACKET => {
                // SAFETY: the family says that it is this structure.
                let card = unsafe { std::ptr::read_unaligned(entry.ifa_addr.cast::<libc::sockaddr_ll>()) };
                interface.index = card.sll_ifindex as u32;
                interface.mac = mac(&card);
            }
            libc::AF_INET => {
                let prefix = v4(entry.ifa_netmask).map_or(32, |mask| u32::from(mask).leading_ones() as u8);
                if let Some(address) = v4(entry.ifa_addr) {
                    let broadcast = if broadcasts { v4(entry.ifa_ifu) } else { None };
                    interface.addresses.push(InterfaceAddress { address: address.into(), prefix, broadcast });
                }
            }
            libc::AF_INET6 => {
                let prefix = v6(entry.ifa_netmask).map_or(128, |mask| u128::from(mask).leading_ones() as u8);
                if let Some(address) = v6(entry.ifa_addr) {
                    let address = IpAddr::V6(address);
                    interface.addresses.push(InterfaceAddress { address, prefix, broadcast: None });
                }
            }
            _ => {}
        }
    }
    // SAFETY: the list that `getifaddrs` made; nothing points into it any more.
    unsafe { libc::freeifaddrs(first) };
    Ok(interfaces)
}

fn family(address: *const libc::sockaddr) -> i32 {
    if address.is_null() {
        return libc::AF_UNSPEC;
    }
    // SAFETY: every address begins with its family.
    i32::from(unsafe { (*address).sa_family })
}

/// A card on a link that has Ethernet's frames; the loopback link has them too.
fn mac(card: &libc::sockaddr_ll) -> Option<Mac> {
    let ethernet = matches!(card.sll_hatype, libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK);
    let octets = card.sll_addr.first_chunk::<6>()?;
    (ethernet && card.sll_halen == 6).then_some(Mac(*octets))
}

fn v4(address: *const libc::sockaddr) -> Option<Ipv4Addr> {
    (family(address) == libc::AF_INET).then(|| {
        // SAFETY: the family says that it is this structure.
        let address = unsafe { std::ptr::read_unaligned(address.cast::<libc::sockaddr_in>()) };
        Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr))
    })
}

fn v6(address: *const libc::sockaddr) -> Option<Ipv6Addr> {
    (family(address) == libc::AF_INET6).then(|| {
        // SAFETY: the family says that it is this structure.
        let address = unsafe { std::ptr::read_unaligned(address.cast::<libc::sockaddr_in6>()) };
        Ipv6Addr::from(address.sin6_addr.s6_addr)
    })
}

/// Longest IP packet of an interface, in octets.
fn mtu(socket: &OwnedFd, name: &str) -> io::Result<u32> {
    // SAFETY: all-zero is a valid value of this plain C structure.
    let mut request: libc::ifreq = unsafe { zeroed() };
    // The last place stays zero and ends the name.
    let room = request.ifr_name.len() - 1;
    for (place, octet) in request.ifr_name[..room].iter_mut().zip(name.bytes()) {
        *place = octet as _;
    }
    // SAFETY: the kernel reads the name and writes the answer within this structure.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFMTU as _, &raw mut request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: this request answers with an `int`.
    Ok(unsafe { request.ifr_ifru.ifru_mtu } as u32)
}
