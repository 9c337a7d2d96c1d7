//! The config and what is known of the site, as the draft of a plan: what is not written is filled in from this
//! machine's own addresses and services.

use core::net::Ipv4Addr;
use std::time::Duration;

use super::{Config, NamesFor, SettingsConfig, SubnetConfig};
use crate::plan::{
    Boot, Class, Draft, InterfacePlan, LeaseTimes, Limits, NamesPlan, OptionSet, Reservation, Subnet,
};
use crate::wire::option::code;
use crate::wire::{Route, routes, search};

/// An interface that is served, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteInterface {
    /// Its name.
    pub name: String,
    /// This machine's address there.
    pub address: Ipv4Addr,
    /// Bits of its network.
    pub prefix: u8,
    /// The router that hosts there are to use, as far as this machine knows.
    pub router: Option<Ipv4Addr>,
    /// Whether this machine's name server answers at the address on port 53.
    pub has_dns: bool,
    /// Where browsers there find how to reach the web (option 252), when this machine has a proxy for them.
    pub proxy_auto_config: Option<String>,
}

/// What is known of the site beside the config.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Site {
    /// The interfaces that the config names.
    pub interfaces: Vec<SiteInterface>,
    /// The local domain, without a final dot; empty for none.
    pub domain: String,
    /// Reservations that were made by command, beside those of the config.
    pub reserved: Vec<Reservation>,
}

impl Config {
    /// The subnets: those of the config, and one for each interface that has none among them.
    #[must_use]
    pub fn subnets_at(&self, site: &Site) -> Vec<SubnetConfig> {
        let mut subnets = self.subnets.clone();
        for interface in &site.interfaces {
            if !subnets.iter().any(|subnet| subnet.network.contains(interface.address)) {
                subnets.push(SubnetConfig::of_interface(interface.address, interface.prefix));
            }
        }
        subnets
    }

    /// What the server is to do at `site`.
    #[must_use]
    pub fn draft(&self, site: &Site) -> Draft {
        let interfaces = site.interfaces.iter().map(|interface| InterfacePlan {
            name: interface.name.clone(),
            address: interface.address,
            prefix: interface.prefix,
        });
        Draft {
            interfaces: interfaces.collect(),
            subnets: self.subnets_at(site).iter().map(|subnet| self.subnet(subnet, site)).collect(),
            classes: self.classes.iter().map(|class| self.class(class)).collect(),
            options: options(&self.settings),
            boot: self.boot(&self.settings, None),
            authoritative: self.authoritative,
            limits: Limits {
                packets_per_second: self.rate.unwrap_or(u32::MAX),
                leases_per_port: self.leases_per_port.map_or(0, |count| count as u32),
                offer_hold: self.offer_hold,
                decline_hold: self.decline_hold,
                probe_wait: self.probe_wait,
                leases: self.leases_max,
                ..Limits::default()
            },
        }
    }

    fn subnet(&self, config: &SubnetConfig, site: &Site) -> Subnet {
        let here = site.interfaces.iter().find(|interface| config.network.contains(interface.address));
        let own = filled_in(&config.settings, &self.settings, here, site);
        let mut reservations: Vec<Reservation> = config
            .reservations
            .iter()
            .map(|known| Reservation {
                client: known.client.clone(),
                address: Some(known.address),
                host_name: known.hostname.as_deref().map(Into::into),
                options: options(&known.settings),
                boot: self.boot(&known.settings, here.map(|here| here.address)),
            })
            .collect();
        // One that was made by command gives way to the config.
        reservations.extend(
            site.reserved
                .iter()
                .filter(|known| {
                    known.address.is_some_and(|address| config.network.is_host(address))
                        && !config
                            .reservations
                            .iter()
                            .any(|other| Some(other.address) == known.address || other.client == known.client)
                })
                .cloned(),
        );
        let domain = own.domain.clone().or_else(|| self.settings.domain.clone());
        let names = domain.filter(|_| self.names != NamesFor::Off).map(|domain| NamesPlan {
            domain,
            nameless: self.names == NamesFor::All,
            override_client: true,
        });
        Subnet {
            pools: config.ranges(),
            lease: self.times(config.lease),
            options: options(&own),
            boot: self.boot(&own, here.map(|here| here.address)),
            reservations,
            relays: config.relays.clone(),
            trusts_switches: config.trusts_switches,
            probe: self.probe,
            names,
            mode: config.mode,
            ..Subnet::new(config.network)
        }
    }

    fn class(&self, config: &super::ClassConfig) -> Class {
        Class {
            options: options(&config.settings),
            boot: self.boot(&config.settings, None),
            lease: config.lease.map(|lease| self.times(Some(lease))),
            refuse: config.refuse,
            ..Class::new(config.name.clone(), config.when.clone())
        }
    }

    fn times(&self, lease: Option<Duration>) -> LeaseTimes {
        let seconds = |span: Duration| u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
        let default = seconds(lease.unwrap_or(self.lease));
        let permille = |part: f64| (part * 1000.0).round() as u32;
        LeaseTimes {
            default,
            // Who configures a shorter lease than the shortest to be asked for wants just that.
            min: seconds(self.lease_min).min(default),
            max: seconds(self.lease_max).max(default),
            renewal_permille: permille(self.t1),
            rebinding_permille: permille(self.t2),
        }
    }

    // A file that is no URL comes from this machine, when it has TFTP and nothing else is said.
    fn boot(&self, settings: &SettingsConfig, own: Option<Ipv4Addr>) -> Boot {
        let by_tftp = settings.boot_file.as_ref().or(self.settings.boot_file.as_ref());
        let by_tftp = by_tftp.is_some_and(|file| !file.contains("://")) && self.tftp.is_some();
        let above = self.settings.next_server;
        let server = settings.next_server.or_else(|| own.filter(|_| by_tftp && above.is_none()));
        Boot {
            server,
            server_name: server.map(|server| server.to_string()),
            file: settings.boot_file.clone(),
        }
    }
}

/// What a subnet says, with what this machine can say in its place where neither it nor the server says anything.
fn filled_in(
    own: &SettingsConfig,
    above: &SettingsConfig,
    here: Option<&SiteInterface>,
    site: &Site,
) -> SettingsConfig {
    let mut filled = own.clone();
    if filled.routers.is_none() && above.routers.is_none() {
        filled.routers = here.and_then(|here| here.router).map(|router| vec![router]);
    }
    if filled.dns.is_none() && above.dns.is_none() {
        filled.dns = here.filter(|here| here.has_dns).map(|here| vec![here.address]);
    }
    if filled.domain.is_none() && above.domain.is_none() && !site.domain.is_empty() {
        filled.domain = Some(site.domain.clone());
    }
    let domain = filled.domain.as_ref().or(above.domain.as_ref());
    if filled.search.is_none() && above.search.is_none() {
        filled.search = domain.map(|domain| vec![domain.clone()]);
    }
    // The route to the routers stands in both options.
    if filled.routes.is_none() && filled.routers.is_some() {
        filled.routes.clone_from(&above.routes);
    }
    if filled.routers.is_none() && filled.routes.is_some() {
        filled.routers.clone_from(&above.routers);
    }
    let says =
        |settings: &SettingsConfig| settings.options.iter().any(|(code, _)| *code == code::PROXY_AUTO_CONFIG);
    if let Some(url) =
        here.and_then(|here| here.proxy_auto_config.as_ref()).filter(|_| !says(own) && !says(above))
    {
        filled.options.push((code::PROXY_AUTO_CONFIG, Some(url.clone().into_bytes())));
    }
    filled
}

fn options(settings: &SettingsConfig) -> OptionSet {
    let mut options = OptionSet::default();
    for (code, addresses) in [
        (code::ROUTERS, &settings.routers),
        (code::NAME_SERVERS, &settings.dns),
        (code::NTP_SERVERS, &settings.ntp),
    ] {
        if let Some(addresses) = addresses.as_ref().filter(|addresses| !addresses.is_empty()) {
            options = options.with_addresses(code, addresses);
        }
    }
    if let Some(domain) = &settings.domain {
        options = options.with(code::DOMAIN_NAME, domain.as_bytes());
    }
    if let Some(names) = settings.search.as_ref().filter(|names| !names.is_empty()) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if let Ok(value) = search::write(&names) {
            options = options.with(code::DOMAIN_SEARCH, value);
        }
    }
    if let Some(written) = settings.routes.as_ref().filter(|routes| !routes.is_empty()) {
        let mut all: Vec<Route> = written
            .iter()
            .map(|&(destination, prefix, gateway)| Route { destination, prefix, gateway })
            .collect();
        if let Some(gateway) = settings.routers.as_ref().and_then(|routers| routers.first().copied()) {
            all.push(Route { destination: Ipv4Addr::UNSPECIFIED, prefix: 0, gateway });
        }
        let value = routes::write(&all);
        options =
            options.with(code::CLASSLESS_ROUTES, value.clone()).with(code::PRIVATE_CLASSLESS_ROUTES, value);
    }
    for (code, value) in &settings.options {
        if let Some(value) = value {
            options = options.with(*code, value.clone());
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Match, Plan};

    fn site() -> Site {
        Site {
            interfaces: vec![SiteInterface {
                name: "lan0".to_owned(),
                address: Ipv4Addr::new(192, 168, 1, 1),
                prefix: 24,
                router: Some(Ipv4Addr::new(192, 168, 1, 1)),
                has_dns: true,
                proxy_auto_config: Some("http://192.168.1.1:3128/wpad.dat".to_owned()),
            }],
            domain: "home.arpa".to_owned(),
            reserved: Vec::new(),
        }
    }

    #[test]
    fn an_interface_alone_makes_a_plan_of_this_machines_own_services() {
        let draft = Config::default().draft(&site());
        let subnet = &draft.subnets[0];
        assert_eq!((subnet.network.to_string(), subnet.pools.len()), ("192.168.1.0/24".to_owned(), 1));
        let address = [192, 168, 1, 1];
        assert_eq!(subnet.options.value(code::ROUTERS), Some(&address[..]));
        assert_eq!(subnet.options.value(code::NAME_SERVERS), Some(&address[..]));
        assert_eq!(subnet.options.value(code::DOMAIN_NAME), Some(&b"home.arpa"[..]));
        assert_eq!(subnet.options.value(code::DOMAIN_SEARCH), Some(&b"\x04home\x04arpa\0"[..]));
        assert!(subnet.options.value(code::PROXY_AUTO_CONFIG).is_some());
        assert_eq!(subnet.names.as_ref().map(|names| names.domain.as_str()), Some("home.arpa"));
        Plan::new(draft).unwrap();
    }

    #[test]
    fn what_is_written_counts_before_what_is_known() {
        let mut config = Config::default();
        config.settings.domain = Some("lab.test".to_owned());
        config.settings.dns = Some(vec![Ipv4Addr::new(10, 0, 0, 9)]);
        config.settings.routes = Some(vec![(Ipv4Addr::new(10, 9, 0, 0), 16, Ipv4Addr::new(10, 0, 0, 2))]);
        config.settings.options = vec![(code::PROXY_AUTO_CONFIG, None)];
        let draft = config.draft(&site());
        let options = draft.options.clone().overlaid(&draft.subnets[0].options);
        assert_eq!(options.value(code::NAME_SERVERS), Some(&[10, 0, 0, 9][..]));
        assert_eq!(options.value(code::DOMAIN_NAME), Some(&b"lab.test"[..]));
        assert_eq!(options.value(code::PROXY_AUTO_CONFIG), None);
        let routes = [16, 10, 9, 10, 0, 0, 2, 0, 192, 168, 1, 1];
        assert_eq!(options.value(code::CLASSLESS_ROUTES), Some(&routes[..]), "with the way to the router");
        assert_eq!(draft.subnets[0].names.as_ref().map(|names| names.domain.as_str()), Some("lab.test"));
    }

    #[test]
    fn a_reservation_made_by_command_gives_way_to_the_config() {
        let client = |last| Match::Hardware(crate::wire::HardwareAddress::ethernet([2, 0, 0, 0, 0, last]));
        let address = |last| Ipv4Addr::new(192, 168, 1, last);
        let reserved = [(1, 10), (2, 11), (3, 12)];
        let reserved = reserved.map(|(mac, last)| Reservation::new(client(mac), address(last)));
        let mut config = Config::default();
        let mut subnet = SubnetConfig::of_interface(address(1), 24);
        for (mac, last) in [(9, 10), (2, 20)] {
            subnet.reservations.push(super::super::subnet::ReservationConfig {
                client: client(mac),
                address: address(last),
                hostname: None,
                settings: SettingsConfig::default(),
            });
        }
        config.subnets.push(subnet);
        let draft = config.draft(&Site { reserved: reserved.to_vec(), ..site() });
        let found: Vec<_> = draft.subnets[0].reservations.iter().map(|known| known.address).collect();
        assert_eq!(found, [Some(address(10)), Some(address(20)), Some(address(12))]);
        Plan::new(draft).unwrap();
    }
}
