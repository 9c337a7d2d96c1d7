//! DHCP as a part of the program: the interfaces that the config names as they are now, the server on them, and
//! files for machines that boot.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorway_base::config::Listen;
use doorway_dhcp::config::{Config as DhcpConfig, NamesFor, Site, SiteInterface};
use doorway_dhcp::io::tftp::Tftp;
use doorway_dhcp::tftp;
use doorway_http::config::ForwardConfig;
use doorway_net::World;
use doorway_net::interface::Interface;

use crate::config::Config;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::lease_names;

/// How often the interfaces are looked at: one may come, go, or get another address.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Whether this machine hands packets on.
const FORWARDS: &str = "/proc/sys/net/ipv4/ip_forward";
/// Where it sends packets.
const ROUTES: &str = "/proc/net/route";

/// What the config says about DHCP, and what it means on this machine now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) config: DhcpConfig,
    pub(crate) site: Site,
    /// Interfaces that the config names and that are not there, or have no address.
    pub(crate) absent: Vec<String>,
}

impl Settings {
    /// Reads the table, and looks at the interfaces that it names.
    pub(crate) fn read(world: &World, config: &Config) -> Self {
        let (dhcp, _) = DhcpConfig::read(config.section("dhcp"));
        let there = if dhcp.interfaces.is_empty() { Vec::new() } else { world.interfaces().unwrap_or_default() };
        let dns = config.section("dns").listen("listen");
        let forward = ForwardConfig::read(config.section("http.forward"));
        let forwards = std::fs::read_to_string(FORWARDS).is_ok_and(|text| text.trim() == "1");
        let routes = std::fs::read_to_string(ROUTES).unwrap_or_default();
        let (mut interfaces, mut absent) = (Vec::new(), Vec::new());
        for name in &dhcp.interfaces {
            let address = there.iter().find(|interface| interface.name == *name).and_then(first_address);
            let Some((address, prefix)) = address else {
                absent.push(name.clone());
                continue;
            };
            let router = if forwards { Some(address) } else { gateway(&routes, name) };
            let has_dns = answers_at(dns, address).any(|port| port == doorway_dns::io::PORT);
            let port = answers_at(&forward.listen, address).next();
            let proxy_auto_config = port
                .filter(|_| forward.pac.is_some())
                .map(|port| format!("http://{address}:{port}/wpad.dat"));
            let name = name.clone();
            interfaces.push(SiteInterface { name, address, prefix, router, has_dns, proxy_auto_config });
        }
        let domain = config.section("dns").text("local_domain").to_owned();
        let site = Site { interfaces, domain, reserved: Vec::new() };
        Self { config: dhcp, site, absent }
    }

    /// The zones that names of leases go into.
    pub(crate) fn zones(&self, dns: &doorway_dns::Config) -> Vec<doorway_dns::wire::Name> {
        if self.config.names == NamesFor::Off || self.site.interfaces.is_empty() {
            return Vec::new();
        }
        let draft = self.config.draft(&self.site);
        let domains = draft.subnets.iter().filter_map(|subnet| Some(subnet.names.as_ref()?.domain.clone()));
        let subnets = self.config.subnets_at(&self.site);
        let reverse = subnets.iter().filter(|subnet| subnet.reverse);
        let reverse = reverse.map(|subnet| (subnet.network.address, subnet.network.prefix));
        lease_names::zones(dns, domains, reverse)
    }
}

/// The ports at which a service that listens so answers at `address`.
fn answers_at(listen: &[Listen], address: Ipv4Addr) -> impl Iterator<Item = u16> {
    let at = move |own: IpAddr| own.is_unspecified() || own == IpAddr::V4(address);
    listen.iter().filter(move |listen| listen.address.is_none_or(at)).map(|listen| listen.port)
}

fn first_address(interface: &Interface) -> Option<(Ipv4Addr, u8)> {
    interface.v4().next()
}

/// The router of the default route over an interface, in the table that Linux shows.
fn gateway(routes: &str, interface: &str) -> Option<Ipv4Addr> {
    let lines = routes.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut found = lines.filter_map(|words| match words[..] {
        [name, "00000000", gateway, ..] if name == interface => u32::from_str_radix(gateway, 16).ok(),
        _ => None,
    });
    found.find(|gateway| *gateway != 0).map(|gateway| Ipv4Addr::from(gateway.to_le_bytes()))
}
