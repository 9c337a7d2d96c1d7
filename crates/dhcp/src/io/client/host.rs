//! What a lease makes of the host: an address that ends with it, routes, the longest packet, name servers.

use core::net::Ipv4Addr;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use doorway_base::Instant;
use doorway_net::World;
use doorway_net::interface::{InterfaceAddress, InterfaceChange, Route};

use crate::client::Binding;
use crate::wire::routes::mask;
use crate::wire::{code, search};

/// Name servers that a resolver reads (`resolv.conf(5)`).
const NAME_SERVERS_MAX: usize = 3;
/// Shortest packet that a link may be set to, in octets: RFC 2132 §5.1.
const MTU_MIN: u16 = 68;
/// Routes that are taken from one lease.
const ROUTES_MAX: usize = 64;

/// How leases are put to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apply {
    /// The metric of routes.
    pub metric: u32,
    /// Where the name servers are written to, if anywhere.
    pub resolv_conf: Option<PathBuf>,
}

/// What was done to an interface.
#[derive(Debug)]
pub(super) struct Host {
    apply: Apply,
    address: Option<InterfaceAddress>,
    routes: Vec<Route>,
    /// What stood in the file before.
    resolv_conf_before: Option<Option<Vec<u8>>>,
}

impl Host {
    pub(super) fn new(apply: Apply) -> Self {
        Self { apply, address: None, routes: Vec::new(), resolv_conf_before: None }
    }

    /// Puts a lease to use, in place of the one before.
    pub(super) fn bind(&mut self, world: &World, interface: &str, binding: &Binding) -> io::Result<()> {
        let now = world.now();
        let address = interface_address(binding);
        if self.address.is_some_and(|old| (old.address, old.prefix) != (address.address, address.prefix)) {
            self.unbind(world, interface);
        }
        let life = life(binding, now);
        world.assign(interface, &InterfaceChange::AddAddress { address, life })?;
        self.address = Some(address);
        if let Some(octets) = mtu(binding) {
            world.assign(interface, &InterfaceChange::SetMtu(octets))?;
        }
        let routes = routes(binding, self.apply.metric);
        for gone in self.routes.iter().filter(|route| !routes.contains(route)) {
            world.assign(interface, &InterfaceChange::RemoveRoute(*gone))?;
        }
        self.routes.clear();
        for route in routes {
            world.assign(interface, &InterfaceChange::AddRoute(route))?;
            self.routes.push(route);
        }
        self.write_resolv_conf(interface, binding)
    }

    /// Takes over what another run of this program has done with a lease.
    pub(super) fn adopt(&mut self, binding: &Binding) {
        self.address = Some(interface_address(binding));
        self.routes = routes(binding, self.apply.metric);
    }

    /// Takes back what was done; what is gone already is no matter.
    pub(super) fn unbind(&mut self, world: &World, interface: &str) {
        let routes = self.routes.drain(..).rev().map(InterfaceChange::RemoveRoute);
        let address = self.address.take().map(InterfaceChange::RemoveAddress);
        for change in routes.chain(address) {
            if let Err(error) = world.assign(interface, &change) {
                tracing::warn!(interface, %error, "what a lease had brought could not be taken back");
            }
        }
        if let (Some(before), Some(path)) = (self.resolv_conf_before.take(), &self.apply.resolv_conf) {
            let done = match before {
                Some(octets) => fs::write(path, octets),
                None => fs::remove_file(path),
            };
            if let Err(error) = done {
                tracing::warn!(path = %path.display(), %error, "the name servers of before could not be written back");
            }
        }
    }

    fn write_resolv_conf(&mut self, interface: &str, binding: &Binding) -> io::Result<()> {
        let Some(path) = &self.apply.resolv_conf else { return Ok(()) };
        let servers = binding.name_servers();
        if servers.is_empty() {
            return Ok(());
        }
        if self.resolv_conf_before.is_none() {
            self.resolv_conf_before = Some(match fs::read(path) {
                Ok(octets) => Some(octets),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            });
        }
        fs::write(path, resolv_conf(interface, &servers, &domains(binding)))
    }
}

/// The address with its network.
pub(super) fn interface_address(binding: &Binding) -> InterfaceAddress {
    let prefix = binding.prefix();
    let told = binding.message().and_then(|message| message.address_option(code::BROADCAST_ADDRESS));
    let last = Ipv4Addr::from_bits(binding.address.to_bits() | !mask(prefix));
    InterfaceAddress {
        address: binding.address.into(),
        prefix,
        broadcast: (prefix < 31).then(|| told.unwrap_or(last)),
    }
}

/// How long the lease still is, rounded up, so that the system does not take the address before we do.
fn life(binding: &Binding, now: Instant) -> Option<Duration> {
    binding.lease?;
    Some(Duration::from_secs((binding.ends_at().since(now)).as_secs() + 1))
}

/// The longest packet of the link: option 26, unless it makes no sense.
fn mtu(binding: &Binding) -> Option<u32> {
    let message = binding.message()?;
    let octets = u16::from_be_bytes(message.whole(code::INTERFACE_MTU)?.try_into().ok()?);
    (octets >= MTU_MIN).then_some(octets.into())
}

/// The routes of a lease. A router outside the network gets a route of its own first.
fn routes(binding: &Binding, metric: u32) -> Vec<Route> {
    let prefix = mask(binding.prefix());
    let source = Some(binding.address);
    let mut routes = Vec::new();
    for told in binding.routes().into_iter().take(ROUTES_MAX) {
        let router = Some(told.gateway).filter(|router| !router.is_unspecified());
        if let Some(router) =
            router.filter(|router| (router.to_bits() ^ binding.address.to_bits()) & prefix != 0)
        {
            routes.push(Route { destination: router, prefix: 32, router: None, source, metric });
        }
        routes.push(Route { destination: told.destination, prefix: told.prefix, router, source, metric });
    }
    routes
}

/// The search list: option 119, else the domain of option 15.
fn domains(binding: &Binding) -> Vec<String> {
    let Some(message) = binding.message() else { return Vec::new() };
    let list = message.option(code::DOMAIN_SEARCH).and_then(|value| search::read(&value).ok());
    if let Some(names) = list.filter(|names| !names.is_empty()) {
        return names.into_iter().filter(|name| is_name(name)).collect();
    }
    let domain = message.option(code::DOMAIN_NAME).map(|value| String::from_utf8_lossy(&value).into_owned());
    domain
        .map(|name| name.trim_end_matches('\0').to_owned())
        .filter(|name| is_name(name))
        .into_iter()
        .collect()
}

/// Whether it may stand in a file of lines and words.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 253
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-._".contains(&octet))
}

fn resolv_conf(interface: &str, servers: &[Ipv4Addr], domains: &[String]) -> String {
    let mut text = format!("# By Doorway, from the lease of {interface}.\n");
    if !domains.is_empty() {
        text.push_str(&format!("search {}\n", domains.join(" ")));
    }
    for server in servers.iter().take(NAME_SERVERS_MAX) {
        text.push_str(&format!("nameserver {server}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use doorway_base::Writer;

    use super::*;
    use crate::wire::message::BOOTREPLY;
    use crate::wire::{HardwareAddress, Head, Message, MessageType, MessageWriter};

    fn binding(options: &[(u8, &[u8])]) -> Binding {
        let mut octets = vec![0; 900];
        let mut out = Writer::new(&mut octets);
        let mut head = Head::new(BOOTREPLY, HardwareAddress::ethernet([2, 0, 0, 0, 0, 1]), 7);
        head.yiaddr = Ipv4Addr::new(10, 0, 0, 7);
        let mut message = MessageWriter::new(&mut out, &head);
        message.option(code::MESSAGE_TYPE, &[MessageType::Ack as u8]);
        message.option(code::SERVER_ID, &[10, 0, 0, 1]);
        message.option(code::LEASE_SECONDS, &[0, 0, 0, 100]);
        options.iter().for_each(|(number, value)| message.option(*number, value));
        message.finish(300);
        Binding::read(&Message::parse(out.written()).unwrap(), None, Instant::ZERO).unwrap()
    }

    #[test]
    fn a_router_outside_the_network_is_made_reachable_first() {
        let mask24: (u8, &[u8]) = (code::SUBNET_MASK, &[255, 255, 255, 0]);
        let inside = binding(&[mask24, (code::ROUTERS, &[10, 0, 0, 1])]);
        assert_eq!(routes(&inside, 5).len(), 1);
        let alone = binding(&[(code::SUBNET_MASK, &[255; 4]), (code::ROUTERS, &[172, 16, 0, 1])]);
        let routes = routes(&alone, 5);
        assert_eq!(
            (routes[0].destination, routes[0].prefix, routes[0].router),
            (Ipv4Addr::new(172, 16, 0, 1), 32, None)
        );
        assert_eq!((routes[1].prefix, routes[1].router), (0, Some(Ipv4Addr::new(172, 16, 0, 1))));
        assert_eq!(interface_address(&alone).broadcast, None);
        assert_eq!(interface_address(&inside).broadcast, Some(Ipv4Addr::new(10, 0, 0, 255)));
        let told = binding(&[mask24, (code::BROADCAST_ADDRESS, &[10, 0, 0, 0])]);
        assert_eq!(interface_address(&told).broadcast, Some(Ipv4Addr::new(10, 0, 0, 0)));
    }

    #[test]
    fn nothing_of_a_server_gets_into_the_resolvers_file_but_names_and_addresses() {
        for (options, expected) in [
            (&[(code::DOMAIN_NAME, &b"home.arpa\0"[..])][..], vec!["home.arpa"]),
            (&[(code::DOMAIN_NAME, b"a\nnameserver 6.6.6.6")], vec![]),
            (&[(code::DOMAIN_NAME, b"x y")], vec![]),
            (&[(code::DOMAIN_SEARCH, b"\x01a\0\x01b\0"), (code::DOMAIN_NAME, b"c")], vec!["a", "b"]),
            (&[(code::DOMAIN_SEARCH, b"\xc0\x00"), (code::DOMAIN_NAME, b"c")], vec!["c"]),
        ] {
            assert_eq!(domains(&binding(options)), expected);
        }
        let servers: Vec<Ipv4Addr> = (1..=5).map(|last| Ipv4Addr::new(10, 0, 0, last)).collect();
        let text = resolv_conf("eth0", &servers, &["a".to_owned(), "b".to_owned()]);
        assert_eq!(
            text.lines().skip(1).collect::<Vec<_>>().join("|"),
            "search a b|nameserver 10.0.0.1|nameserver 10.0.0.2|nameserver 10.0.0.3"
        );
    }

    #[test]
    fn the_longest_packet_is_believed_within_reason() {
        assert_eq!(mtu(&binding(&[(code::INTERFACE_MTU, &[5, 0x78])])), Some(1400));
        assert_eq!(mtu(&binding(&[(code::INTERFACE_MTU, &[0, 67])])), None);
        assert_eq!(mtu(&binding(&[(code::INTERFACE_MTU, &[5])])), None);
        assert_eq!(
            life(&binding(&[]), Instant::ZERO + Duration::from_millis(40_500)),
            Some(Duration::from_secs(60))
        );
    }
}
