//! Whom to ask: the deepest zone cut known, its servers, their addresses: RFC 1034 §5.3.3 step 2.

use core::net::{IpAddr, SocketAddr};

use doorway_base::Instant;

use super::Resolver;
use super::config::{Mode, Upstream};
use super::job::{Cut, Lookup, NamedServer, Origin};
use super::judge::Judged;
use crate::cache::{RrSet, Trust};
use crate::wire::{Name, Type};

/// Where the first servers come from.
#[derive(Debug)]
pub(super) enum Start {
    /// These are to be asked.
    At(Cut),
    /// The servers of this zone are to be asked first who they are (RFC 9609).
    Prime(Name),
    /// There is nobody to ask.
    Nowhere,
}

/// The address that an A or AAAA RDATA is.
pub(super) fn address_of(kind: Type, rdata: &[u8]) -> Option<IpAddr> {
    match kind {
        Type::A => <[u8; 4]>::try_from(rdata).ok().map(IpAddr::from),
        Type::AAAA => <[u8; 16]>::try_from(rdata).ok().map(IpAddr::from),
        _ => None,
    }
}

impl Resolver {
    /// Whether a configured zone takes a name away from the special ones.
    pub(super) fn is_configured_below(&self, name: &Name, special: &Name) -> bool {
        let config = &self.config;
        let zones = config.forward_zones.iter().map(|zone| &zone.zone);
        let zones = zones.chain(config.stub_zones.iter().map(|zone| &zone.zone));
        let mut zones = zones.chain(&config.special_names_except);
        zones.any(|zone| name.is_within(zone) && (zone.is_within(special)))
    }

    /// Finds the servers to begin with for what a job asks now.
    pub(super) fn start(&self, now: Instant, id: u64) -> Start {
        let Some(job) = self.jobs.at(id) else { return Start::Nowhere };
        // DS is the parent's: RFC 4035 §3.1.4.1.
        let parent = if job.kind == Type::DS { job.current.parent() } else { None };
        let name = parent.as_ref().unwrap_or(&job.current);
        if !job.iterate
            && let Some(cut) = self.forward(now, name)
        {
            return Start::At(cut);
        }
        let mut below: Option<Name> = None;
        if job.went_up
            && let Some(cut) = &job.cut
        {
            below = cut.zone.parent();
        }
        let cached = self.cached_cut(now + job.leeway, below.as_ref().unwrap_or(name));
        let stub = if job.iterate { None } else { self.stub(now, name) };
        match (cached, stub) {
            (Some(cut), Some(stub)) if cut.zone != stub.zone && cut.zone.is_within(&stub.zone) => {
                Start::At(cut)
            }
            (cached, Some(stub)) => {
                let Origin::Stub(index) = stub.origin else { return Start::At(stub) };
                let prime = self.config.stub_zones.get(index).is_some_and(|zone| zone.prime);
                let priming = job.current == stub.zone && job.kind == Type::NS;
                match cached {
                    Some(cut) if prime && cut.zone == stub.zone => Start::At(cut),
                    _ if prime && !priming && !job.primed => Start::Prime(stub.zone),
                    _ => Start::At(stub),
                }
            }
            (Some(cut), None) => Start::At(cut),
            (None, None) if self.config.mode == Mode::Recursive => self.hints(Origin::Chain),
            (None, None) => {
                let priming = job.current.is_root() && job.kind == Type::NS;
                if self.config.prime_root && !priming && !job.primed {
                    Start::Prime(Name::root())
                } else {
                    self.hints(Origin::Hints)
                }
            }
        }
    }

    fn hints(&self, origin: Origin) -> Start {
        let mut cut = Cut::new(Name::root(), origin);
        for (name, addresses) in &self.config.root_hints {
            let found = !addresses.is_empty();
            cut.servers.push(NamedServer { name: name.clone(), lookup: Lookup::Done, found });
            addresses.iter().for_each(|&address| cut.add(self.upstream_at(address)));
        }
        if cut.targets.is_empty() { Start::Nowhere } else { Start::At(cut) }
    }

    pub(super) fn upstream_at(&self, address: IpAddr) -> Upstream {
        Upstream::udp(SocketAddr::new(address, self.config.server_port))
    }

    fn forward(&self, now: Instant, name: &Name) -> Option<Cut> {
        let zones = self.config.forward_zones.iter().enumerate();
        let (index, zone) = zones
            .filter(|(_, zone)| name.is_within(&zone.zone))
            .max_by_key(|(_, zone)| zone.zone.label_count())?;
        // A stub zone below it is a hole in it.
        let hole = |stub: &super::config::StubZone| {
            name.is_within(&stub.zone) && stub.zone.label_count() > zone.zone.label_count()
        };
        if self.config.stub_zones.iter().any(hole) || zone.servers.is_empty() && zone.server_names.is_empty()
        {
            return None;
        }
        let mut cut = Cut::new(zone.zone.clone(), Origin::Forward(index));
        zone.servers.iter().for_each(|server| cut.add(server.clone()));
        zone.server_names.iter().for_each(|name| self.add_server(now, name.clone(), &mut cut));
        Some(cut)
    }

    fn stub(&self, now: Instant, name: &Name) -> Option<Cut> {
        let zones = self.config.stub_zones.iter().enumerate();
        let (index, zone) = zones
            .filter(|(_, zone)| name.is_within(&zone.zone))
            .max_by_key(|(_, zone)| zone.zone.label_count())?;
        if zone.servers.is_empty() && zone.server_names.is_empty() {
            return None;
        }
        let mut cut = Cut::new(zone.zone.clone(), Origin::Stub(index));
        zone.servers.iter().for_each(|server| cut.add(server.clone()));
        zone.server_names.iter().for_each(|name| self.add_server(now, name.clone(), &mut cut));
        Some(cut)
    }

    // The deepest cut at or above `name` whose servers can be asked.
    pub(super) fn cached_cut(&self, now: Instant, name: &Name) -> Option<Cut> {
        let mut zone = name.clone();
        loop {
            if let Some((set, _)) = self.cache.find_set(now, zone.as_octets(), Type::NS, Trust::Glue) {
                let mut cut = Cut::new(zone.clone(), Origin::Cache);
                self.add_servers_of(now, &set, &mut cut);
                if !cut.is_useless() {
                    return Some(cut);
                }
            }
            zone = zone.parent()?;
        }
    }

    fn add_servers_of(&self, now: Instant, set: &RrSet, cut: &mut Cut) {
        let names = set.data().filter_map(|row| Name::from_wire(row).ok());
        for name in names.take(usize::from(self.config.servers_per_delegation)) {
            self.add_server(now, name, cut);
        }
    }

    // A server by name, with the addresses that the cache has.
    fn add_server(&self, now: Instant, name: Name, cut: &mut Cut) {
        let mut found = false;
        for (kind, wanted) in [(Type::A, self.config.ipv4), (Type::AAAA, self.config.ipv6)] {
            if !wanted {
                continue;
            }
            if let Some(set) = self.cache.find_address(now, name.as_octets(), kind) {
                for address in set.data().filter_map(|row| address_of(kind, row)) {
                    cut.add(self.upstream_at(address));
                    found = true;
                }
            }
        }
        let lookup = if found { Lookup::Done } else { Lookup::Unasked };
        cut.servers.push(NamedServer { name, lookup, found });
    }

    /// The cut that a referral leads to, with the glue that came along.
    pub(super) fn referred(&self, now: Instant, zone: &Name, judged: &Judged) -> Cut {
        let mut cut = Cut::new(zone.clone(), Origin::Referral);
        for link in judged.authority.iter().filter(|link| link.set.kind() == Type::NS) {
            self.add_servers_of(now, &link.set, &mut cut);
        }
        for link in &judged.additional {
            let kind = link.set.kind();
            let wanted = if kind == Type::A { self.config.ipv4 } else { self.config.ipv6 };
            let owner = link.set.name();
            let Some(server) = cut.servers.iter_mut().find(|server| server.name == owner) else { continue };
            if !wanted {
                continue;
            }
            (server.found, server.lookup) = (true, Lookup::Done);
            for address in link.set.data().filter_map(|row| address_of(kind, row)) {
                let upstream = Upstream::udp(SocketAddr::new(address, self.config.server_port));
                cut.add(upstream);
            }
        }
        cut
    }
}
