//! No address ever has two owners, whatever clients, relay agents, the store and the operator do, in any order.
//!
//! Clients of a model believe what they are told: an address that was acknowledged is theirs until they give it
//! back or its time is over by their own clock. `DOORWAY_DHCP_EVENTS` sets how much happens, `SEED` from where.

use core::net::Ipv4Addr;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use doorway_base::{Instant, Random, UnixTime, Writer};

use super::super::{Now, RowChange, Server, Settlement, SubnetCounts, Ticket, Verdict};
use super::support::{Ask, OWN, address, read};
use crate::lease::{ClientKey, Lease, LeaseState};
use crate::name::NameChange;
use crate::plan::{Draft, InterfacePlan, LeaseTimes, Limits, Match, NamesPlan, Plan};
use crate::plan::{Probe, Reservation, Subnet};
use crate::wire::{Agent, HardwareAddress, MessageType, agent, code};

/// What happens when nobody says how much.
const EVENTS: u64 = 50_000;
/// Events of one world; then everything is compared and another one begins.
const EVENTS_OF_A_WORLD: u64 = 5000;

/// A machine: who it says it is, and the link it is on.
#[derive(Debug, Clone)]
struct Machine {
    mac: u16,
    id: Option<Vec<u8>>,
    link: u8,
    circuit: Option<Vec<u8>>,
}

impl Machine {
    /// Two machines with one key on one link are one client.
    fn key(&self) -> Vec<u8> {
        let [high, low] = self.mac.to_be_bytes();
        let hardware = HardwareAddress::ethernet([2, 0, 0, 0, high, low]);
        self.id.clone().unwrap_or_else(|| ClientKey::of_hardware(&hardware).octets().to_vec())
    }

    fn ask(&self, kind: MessageType) -> Ask {
        let ask = Ask::new(kind, self.mac).maybe(code::CLIENT_ID, self.id.as_deref());
        match (self.link, &self.circuit) {
            (0, _) => ask,
            (link, None) => ask.by(address(link, 1)),
            (link, Some(circuit)) => {
                let here = address(link, 0).octets();
                let value = agent::write(&[(agent::CIRCUIT_ID, circuit), (agent::LINK_SELECTION, &here)]);
                // One agent for all links says which one it means.
                ask.by(Ipv4Addr::new(10, 9, 0, 1)).with(code::AGENT, &value)
            }
        }
    }
}

/// What a client believes of an address.
#[derive(Debug, Clone, PartialEq)]
struct Belief {
    client: Vec<u8>,
    until: Instant,
}

/// A change that is being written, and the ACK that waits for it.
#[derive(Debug)]
struct Pending {
    settlement: Settlement,
    ack: Option<(Machine, Vec<u8>, Instant)>,
    by_operator: bool,
}

#[derive(Debug)]
struct World {
    random: Random,
    now: Now,
    server: Server,
    plans: Vec<Arc<Plan>>,
    machines: Vec<Machine>,
    beliefs: BTreeMap<Ipv4Addr, Belief>,
    /// What is durable.
    rows: BTreeMap<Ipv4Addr, Lease>,
    pending: Vec<Pending>,
    probes: Vec<(Ticket, Machine)>,
    acks: u64,
}

/// The plan of one config: pools begin at `first`, on links 0 to `links`.
fn plan(first: u8, links: u8, reserved: Option<u8>) -> Arc<Plan> {
    let subnets = (0..links).map(|link| {
        let mut subnet = Subnet::new(format!("10.0.{link}.0/24").parse().expect("a network"));
        let last = first + 11;
        subnet.pools = vec![
            format!("10.0.{link}.{first}-10.0.{link}.{last}").parse().expect("a pool"),
            format!("10.0.{link}.100-10.0.{link}.103").parse().expect("a pool"),
        ];
        subnet.lease = LeaseTimes { default: 90, min: 20, max: 300, ..LeaseTimes::default() };
        subnet.relays = vec!["10.0.0.0/8".parse().expect("a network")];
        subnet.probe = if link == 1 { Probe::Icmp } else { Probe::Off };
        let names = NamesPlan { domain: "lan".into(), nameless: false, override_client: true };
        subnet.names = (link != 2).then_some(names);
        if let Some(reserved) = reserved {
            let mac = HardwareAddress::ethernet([2, 0, 0, 0, 0, reserved]);
            subnet.reservations = vec![
                Reservation::new(Match::Hardware(mac), address(link, first + 2)),
                Reservation::new(Match::ClientId([0, 9].into()), address(link, 200)),
                Reservation::new(Match::CircuitId((*b"r1").into()), address(link, first + 4)),
            ];
        }
        subnet
    });
    let limits = Limits {
        packets_per_second: 0,
        leases_per_port: if reserved.is_some() { 6 } else { 0 },
        decline_hold: Duration::from_secs(120),
        ..Limits::default()
    };
    let eth0 = InterfacePlan { name: "eth0".into(), address: OWN, prefix: 24 };
    let draft = Draft {
        interfaces: vec![eth0],
        subnets: subnets.collect(),
        authoritative: reserved.is_some(),
        limits,
        ..Draft::default()
    };
    Arc::new(Plan::new(draft).expect("a plan"))
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let plans = vec![plan(10, 3, None), plan(14, 3, Some(3)), plan(6, 3, Some(5)), plan(10, 2, None)];
        let machines = (0..90).map(|_| {
            let link = random.below(3) as u8;
            let circuit = (link != 0 && random.chance(0.6)).then(|| vec![b'r', b'0' + random.below(4) as u8]);
            // Some share a MAC, some an identifier, some both.
            let id = random.chance(0.4).then(|| vec![0, random.below(20) as u8]);
            Machine { mac: random.below(36) as u16, id, link, circuit }
        });
        let machines = machines.collect();
        let first = plans[random.below(3) as usize].clone();
        let mono = Instant::ZERO + Duration::from_millis(random.below(5000));
        let wall = UnixTime::from_secs(1_800_000_000) + Duration::from_millis(random.below(5000));
        let server = Server::new(first, random.fork());
        Self {
            random,
            now: Now { mono, wall },
            server,
            plans,
            machines,
            beliefs: BTreeMap::new(),
            rows: BTreeMap::new(),
            pending: Vec::new(),
            probes: Vec::new(),
            acks: 0,
        }
    }

    fn any_address(&mut self, link: u8) -> Ipv4Addr {
        let last = match self.random.below(8) {
            0 => 100 + self.random.below(5) as u8,
            1 => 200,
            _ => 5 + self.random.below(22) as u8,
        };
        address(link, last)
    }

    /// What a machine may think of as its own: what it has, or something else.
    fn own_address(&mut self, machine: &Machine) -> Ipv4Addr {
        let key = machine.key();
        let own =
            self.beliefs.iter().find(|(has, belief)| belief.client == key && link_of(**has) == machine.link);
        match own.map(|(&has, _)| has) {
            Some(own) if self.random.chance(0.95) => own,
            _ => self.any_address(machine.link),
        }
    }

    fn step(&mut self) {
        match self.random.below(1000) {
            0..200 => self.discover(),
            200..480 => self.request(),
            480..520 => self.release(),
            520..535 => self.decline(),
            535..765 => self.settle(),
            765..815 => self.probed(),
            815..900 => self.pass(),
            900..980 => self.expire(),
            980..984 => self.take_back(),
            984..990 => self.clear_declined(),
            990..994 => self.replan(),
            994..997 => self.restart(),
            _ => self.server.degraded(self.random.chance(0.2)),
        }
    }

    fn machine(&mut self) -> Machine {
        let index = self.random.below(self.machines.len() as u64) as usize;
        self.machines[index].clone()
    }

    fn discover(&mut self) {
        let machine = self.machine();
        let mut ask = machine.ask(MessageType::Discover);
        if self.random.chance(0.3) {
            ask = ask.wants(self.any_address(machine.link));
        }
        let (verdict, octets) = ask.to(&mut self.server, self.now);
        self.verdict(machine, verdict, octets);
    }

    fn request(&mut self) {
        let machine = self.machine();
        let ask = machine.ask(MessageType::Request);
        let seconds = 20 + self.random.below(300) as u32;
        let ask = ask.with(code::LEASE_SECONDS, &seconds.to_be_bytes());
        let ask = match self.random.below(8) {
            0 => ask.with(code::HOST_NAME, b"host"),
            1 => ask.with(code::HOST_NAME, b"other"),
            _ => ask,
        };
        let ask = match self.random.below(10) {
            0..5 => {
                let key = ClientKey::new(&machine.key());
                let subnet = self.server.plan().subnet_of(address(machine.link, 1));
                let offered = subnet.and_then(|subnet| self.server.table.offer_to(subnet as u32, &key));
                let offered = offered.map(|offer| Ipv4Addr::from_bits(offer.address));
                let other = self.any_address(machine.link);
                let wanted = offered.filter(|_| self.random.chance(0.9)).unwrap_or(other);
                ask.wants(wanted).of(if self.random.chance(0.95) { OWN } else { address(0, 2) })
            }
            5..7 => ask.wants(self.own_address(&machine)),
            7..9 if machine.link == 0 => ask.has(self.own_address(&machine)).unicast(),
            _ => ask.has(self.own_address(&machine)),
        };
        let (verdict, octets) = ask.to(&mut self.server, self.now);
        self.verdict(machine, verdict, octets);
    }

    fn release(&mut self) {
        let machine = self.machine();
        let own = self.own_address(&machine);
        let ask = machine.ask(MessageType::Release).has(own).of(OWN);
        self.end(machine, own, &ask);
    }

    fn decline(&mut self) {
        let machine = self.machine();
        let own = self.own_address(&machine);
        let ask = machine.ask(MessageType::Decline).wants(own).of(OWN);
        self.end(machine, own, &ask);
    }

    fn end(&mut self, machine: Machine, own: Ipv4Addr, ask: &Ask) {
        let key = machine.key();
        self.beliefs.retain(|has, belief| *has != own || belief.client != key);
        let (verdict, octets) = ask.to(&mut self.server, self.now);
        self.verdict(machine, verdict, octets);
    }

    fn verdict(&mut self, machine: Machine, verdict: Verdict, octets: Vec<u8>) {
        match verdict {
            Verdict::Drop(_) => {}
            Verdict::Reply(_) => self.told(&machine, &octets, self.now.mono),
            Verdict::Settle(settlement, reply) => {
                // Who selects another address has given up the one it had.
                for row in &settlement.rows[..settlement.rows.len() - 1] {
                    if let RowChange::Put(left) = row {
                        self.beliefs.remove(&left.address);
                    }
                }
                let ack = reply.map(|_| (machine, octets, self.now.mono));
                self.begin(settlement, ack, false);
            }
            Verdict::Probe { ticket, .. } => self.probes.push((ticket, machine)),
        }
    }

    /// Names are made before the rows are written.
    fn begin(
        &mut self,
        mut settlement: Settlement,
        ack: Option<(Machine, Vec<u8>, Instant)>,
        by_operator: bool,
    ) {
        for name in &settlement.names {
            if let NameChange::Bound { host, domain, address: std::net::IpAddr::V4(address), .. } = name {
                let name = format!("{host}.{domain}");
                settlement.rows.iter_mut().for_each(|row| row.name(*address, Some(&name)));
                self.server.named(*address, Some(&name));
            }
        }
        self.pending.push(Pending { settlement, ack, by_operator });
    }

    /// A client hears an answer to what it sent at `sent`.
    fn told(&mut self, machine: &Machine, octets: &[u8], sent: Instant) {
        let reply = read(octets);
        let address = reply.yiaddr();
        if reply.kind() != Some(MessageType::Ack) || address.is_unspecified() {
            return;
        }
        let client = machine.key();
        let seconds = reply.lease_seconds().expect("how long the lease lasts");
        if let Some(belief) = self.beliefs.get(&address) {
            let is_free = belief.client == client || belief.until <= self.now.mono;
            assert!(is_free, "{address} is acknowledged to {client:?} while {belief:?}, now {:?}", self.now);
        }
        self.acks += 1;
        // The client has one address on a link.
        self.beliefs.retain(|has, belief| belief.client != client || link_of(*has) != link_of(address));
        let until = sent + Duration::from_secs(seconds.into());
        self.beliefs.insert(address, Belief { client, until });
    }

    fn settle(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let index = self.random.below(self.pending.len() as u64) as usize;
        let durable = self.random.chance(0.9);
        self.settle_one(index, durable);
    }

    fn settle_one(&mut self, index: usize, durable: bool) {
        let pending = self.pending.swap_remove(index);
        if durable {
            self.write(&pending);
        }
        self.server.settled(self.now, pending.settlement.ticket, durable);
        if let (true, Some((machine, octets, sent))) = (durable, pending.ack) {
            self.told(&machine, &octets, sent);
        }
    }

    fn write(&mut self, pending: &Pending) {
        for row in &pending.settlement.rows {
            match row {
                RowChange::Put(lease) => {
                    let (key, row) = (lease.key(), lease.row());
                    let lease = Lease::from_row(&key, &row).expect("a row");
                    if pending.by_operator {
                        self.beliefs.remove(&lease.address);
                    }
                    self.rows.insert(lease.address, lease);
                }
                RowChange::Delete(address) => drop(self.rows.remove(address)),
            }
        }
    }

    fn probed(&mut self) {
        if self.probes.is_empty() {
            return;
        }
        let index = self.random.below(self.probes.len() as u64) as usize;
        let (ticket, machine) = self.probes.swap_remove(index);
        let in_use = self.random.chance(0.1);
        let mut buffer = [0; 1500];
        let mut reply = Writer::new(&mut buffer);
        let verdict = self.server.probed(self.now, ticket, in_use, &mut reply);
        let octets = reply.written().to_vec();
        self.verdict(machine, verdict, octets);
    }

    fn pass(&mut self) {
        let millis = match self.random.below(60) {
            0 => self.random.below(200_000),
            1..8 => self.random.below(20_000),
            _ => self.random.below(1500),
        };
        let passed = Duration::from_millis(millis);
        self.now = Now { mono: self.now.mono + passed, wall: self.now.wall + passed };
        self.turn_back(0.002);
    }

    /// The wall clock is set back. Set forward, rows are over that clients believe in: no server can know.
    fn turn_back(&mut self, chance: f64) {
        if self.random.chance(chance) {
            let back = Duration::from_secs(self.random.below(86_400));
            self.now.wall = UnixTime::from_nanos(self.now.wall.as_nanos() - back.as_nanos() as u64);
        }
    }

    fn expire(&mut self) {
        let max = self.random.below(12) as usize;
        for settlement in self.server.expire(self.now, max) {
            self.begin(settlement, None, false);
        }
    }

    fn take_back(&mut self) {
        let address = self.any_address(0);
        if let Some(settlement) = self.server.take_back(self.now, address) {
            self.begin(settlement, None, true);
        }
    }

    fn clear_declined(&mut self) {
        let declined = self.server.declined();
        if let Some(&address) = declined.first()
            && let Some(settlement) = self.server.clear_declined(address)
        {
            self.begin(settlement, None, false);
        }
    }

    fn replan(&mut self) {
        let index = self.random.below(self.plans.len() as u64) as usize;
        self.server.replan(self.plans[index].clone());
        self.check();
    }

    /// The process ends; what was being written is written or is not, and nobody is told.
    fn restart(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            if self.random.chance(0.5) {
                self.write(&pending);
            }
        }
        self.probes.clear();
        self.turn_back(0.2);
        self.server = Server::new(self.server.plan().clone(), self.random.fork());
        let mut leases: Vec<Lease> = self.rows.values().cloned().collect();
        while !leases.is_empty() {
            let index = self.random.below(leases.len() as u64) as usize;
            let lease = leases.swap_remove(index);
            assert!(self.server.restore(self.now, &lease), "{lease:?} is taken");
            assert!(!self.server.restore(self.now, &lease), "{lease:?} is there already");
        }
        self.check();
    }

    /// Everything that is counted agrees with the records and offers, and with what is written.
    fn check(&self) {
        let (server, plan) = (&self.server, self.server.plan());
        let records: BTreeMap<Ipv4Addr, Lease> =
            server.leases().map(|lease| (lease.address, lease)).collect();
        assert_eq!(records.len(), server.leases().count(), "one record for each address");
        assert_eq!(server.stats().open, self.pending.len(), "changes that are being written");
        let mut ports: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
        for record in server.table.iter() {
            assert_eq!(server.table.record(record.address), Some(record));
            let value = Agent::parse(record.agent()).ok();
            if !record.state.is_remembered() && record.subnet != super::super::record::NO_SUBNET {
                let port = server.table.port(record.subnet, record.relay, value.as_ref());
                ports.entry(port).or_default().0 += 1;
            }
        }
        for offer in server.table.offers().iter().filter(|offer| offer.port != 0) {
            ports.entry(offer.port).or_default().1 += 1;
        }
        for (&port, &counts) in &ports {
            let counted = server.table.port_use(port);
            assert_eq!((counted.leases, counted.offers), counts, "a port");
        }
        assert_eq!(server.table.ports_in_use(), ports.len(), "ports");
        for (index, subnet) in plan.subnets().iter().enumerate() {
            let of = |state| {
                let here = records.values().filter(|lease| subnet.network.contains(lease.address));
                here.filter(|lease| lease.state == state).count() as u32
            };
            let offers = server.table.offers().iter().map(|offer| Ipv4Addr::from_bits(offer.address));
            let offers: Vec<Ipv4Addr> = offers.filter(|offer| subnet.network.contains(*offer)).collect();
            let pooled = subnet.pools.iter().flat_map(|pool| pool.first.to_bits()..=pool.last.to_bits());
            let pooled: Vec<Ipv4Addr> = pooled.map(Ipv4Addr::from_bits).collect();
            let available = pooled.iter().filter(|address| {
                let is_free = records.get(address).is_none_or(|lease| lease.state.is_remembered());
                is_free && !offers.contains(address) && !server.table.is_kept(address.to_bits())
            });
            let counts = SubnetCounts {
                pool: pooled.len() as u32,
                available: available.count() as u32,
                bound: of(LeaseState::Bound),
                released: of(LeaseState::Released),
                expired: of(LeaseState::Expired),
                declined: of(LeaseState::Declined),
                offered: offers.len() as u32,
            };
            assert_eq!(server.table.counts(index), counts, "{}", subnet.network);
        }
        // What a client believes stands in the records and in the rows, in its name.
        for (address, belief) in self.beliefs.iter().filter(|(_, belief)| belief.until > self.now.mono) {
            let holders = [self.rows.get(address), records.get(address)];
            let is_open = server.table.record(address.to_bits()).is_some_and(|record| record.is_open);
            for holder in holders.into_iter().flatten().filter(|_| !is_open) {
                assert_eq!(holder.client.octets(), belief.client, "{address}: {holder:?}");
            }
            assert!(records.contains_key(address), "{address} is known");
        }
    }
}

fn link_of(address: Ipv4Addr) -> u8 {
    address.octets()[2]
}

#[test]
fn no_address_ever_has_two_owners() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let events = number("DOORWAY_DHCP_EVENTS").unwrap_or(EVENTS);
    let begin = number("SEED");
    let worlds = if begin.is_some() { 1 } else { events.div_ceil(EVENTS_OF_A_WORLD) };
    let mut acks = 0;
    for seed in (begin.unwrap_or(1)..).take(worlds as usize) {
        let told = SeedOnPanic(seed);
        let mut world = World::new(seed);
        for step in 0..EVENTS_OF_A_WORLD {
            world.step();
            if step % 100 == 0 {
                world.check();
            }
        }
        while !world.pending.is_empty() {
            world.settle_one(0, true);
        }
        world.check();
        acks += world.acks;
        drop(told);
    }
    // The worlds were lively enough to mean something.
    assert!(acks > worlds * EVENTS_OF_A_WORLD / 40, "{acks} leases in {worlds} worlds");
}

/// Says which world it was.
struct SeedOnPanic(u64);

impl Drop for SeedOnPanic {
    #[allow(clippy::print_stderr, reason = "how a failure is seen again")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("SEED={}", self.0);
        }
    }
}
