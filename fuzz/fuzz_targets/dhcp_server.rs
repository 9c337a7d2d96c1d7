//! Whatever comes to a server, from its own link or by a relay agent: no address has two owners, and what it says
//! is an answer to what was asked.
#![no_main]
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use doorway_base::{Instant, Random, UnixTime, Writer};
use doorway_dhcp::lease::{Lease, LeaseState};
use doorway_dhcp::plan::{
    Class, InterfacePlan, LeaseTimes, Limits, Match, NamesPlan, OptionSet, Pool, Probe,
};
use doorway_dhcp::plan::{Reservation, Subnet};
use doorway_dhcp::server::{Arrival, Now, RowChange, Server, Settlement, Ticket, Verdict};
use doorway_dhcp::wire::{HardwareAddress, Head, Message, MessageType, MessageWriter, agent, code};
use doorway_dhcp::{ClientKey, Draft, NameChange, Plan};

const OWN: Ipv4Addr = address(0, 1);
/// What holds every answer: an Ethernet frame without the headers of IP and UDP.
const REPLY_OCTETS_MAX: usize = 1472;

const fn address(link: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, link, host)
}

fn plan() -> Arc<Plan> {
    let subnets = [0, 1].map(|link| {
        let mut subnet = Subnet::new(format!("10.0.{link}.0/24").parse().unwrap());
        subnet.pools = vec![
            Pool::new(address(link, 10), address(link, 13), None),
            Pool::new(address(link, 20), address(link, 21), Some("phones".into())),
        ];
        subnet.lease = LeaseTimes { default: 90, min: 20, max: 300, ..LeaseTimes::default() };
        subnet.relays = vec!["10.0.0.0/16".parse().unwrap()];
        subnet.probe = if link == 0 { Probe::Off } else { Probe::Icmp };
        subnet.options = OptionSet::default()
            .with_addresses(code::ROUTERS, &[OWN])
            .with(code::VENDOR_INFORMATION, vec![7; 300])
            .with(code::DOMAIN_NAME, vec![b'd'; 200]);
        subnet.names = Some(NamesPlan { domain: "lan".into(), nameless: false, override_client: link == 0 });
        subnet.reservations = vec![
            Reservation::new(
                Match::Hardware(HardwareAddress::ethernet([2, 0, 0, 0, 0, 3])),
                address(link, 12),
            ),
            Reservation::new(Match::CircuitId((*b"r1").into()), address(link, 30)),
        ];
        subnet
    });
    let draft = Draft {
        interfaces: vec![InterfacePlan { name: "eth0".into(), address: OWN, prefix: 24 }],
        subnets: subnets.into(),
        classes: vec![Class::new("phones", "vendor-class starts 'p'".parse().unwrap())],
        authoritative: true,
        limits: Limits {
            packets_per_second: 0,
            leases_per_port: 3,
            decline_hold: Duration::from_secs(60),
            ..Limits::default()
        },
        ..Draft::default()
    };
    Arc::new(Plan::new(draft).unwrap())
}

/// What is being written, with the request, when that came, and the answer that waits.
struct Pending {
    settlement: Settlement,
    request: Vec<u8>,
    came: Instant,
    answer: Vec<u8>,
}

/// A server with its store, and what its clients believe.
struct World {
    now: Now,
    server: Server,
    rows: BTreeMap<Ipv4Addr, Lease>,
    /// Who was told of which address, and until when it is theirs.
    owners: BTreeMap<Ipv4Addr, (ClientKey, Instant)>,
    pending: Vec<Pending>,
    probes: Vec<(Ticket, Vec<u8>)>,
}

impl World {
    fn new() -> Self {
        let now = Now { mono: Instant::ZERO, wall: UnixTime::from_secs(1_800_000_000) };
        let server = Server::new(plan(), Random::new(1));
        let (rows, owners) = (BTreeMap::new(), BTreeMap::new());
        Self { now, server, rows, owners, pending: Vec::new(), probes: Vec::new() }
    }

    fn pass(&mut self, time: Duration) {
        self.now = Now { mono: self.now.mono + time, wall: self.now.wall + time };
    }

    fn arrives(&mut self, octets: &[u8], source: SocketAddrV4, destination: SocketAddrV4) {
        let mut room = [0; REPLY_OCTETS_MAX];
        let mut out = Writer::new(&mut room);
        let arrival = Arrival { octets, interface: 0, source, destination };
        let verdict = self.server.handle(self.now, &arrival, &mut out);
        self.decided(octets, verdict, out.written());
    }

    fn decided(&mut self, request: &[u8], verdict: Verdict, answer: &[u8]) {
        match verdict {
            Verdict::Drop(_) => {}
            Verdict::Reply(_) => self.hears(request, self.now.mono, answer),
            Verdict::Probe { ticket, .. } => self.probes.push((ticket, request.to_vec())),
            Verdict::Settle(settlement, destination) => {
                let answer = if destination.is_some() { answer.to_vec() } else { Vec::new() };
                self.begin(settlement, request, answer);
            }
        }
    }

    /// Names are made before the rows are written.
    fn begin(&mut self, mut settlement: Settlement, request: &[u8], answer: Vec<u8>) {
        for name in &settlement.names {
            if let NameChange::Bound { address: IpAddr::V4(address), .. } = name {
                settlement.rows.iter_mut().for_each(|row| row.name(*address, Some("host.lan")));
                self.server.named(*address, Some("host.lan"));
            }
        }
        self.pending.push(Pending { settlement, request: request.to_vec(), came: self.now.mono, answer });
    }

    fn settles(&mut self, durable: bool) {
        let Some(Pending { settlement, request, came, answer }) = self.pending.pop() else { return };
        for row in settlement.rows.iter().filter(|_| durable) {
            match row {
                RowChange::Put(lease) => {
                    assert_eq!(Lease::from_row(&lease.key(), &lease.row()).as_ref(), Ok(lease));
                    if lease.state != LeaseState::Bound {
                        self.owners.remove(&lease.address);
                    }
                    self.rows.insert(lease.address, lease.clone());
                }
                RowChange::Delete(address) => drop(self.rows.remove(address)),
            }
        }
        self.server.settled(self.now, settlement.ticket, durable);
        if durable && !answer.is_empty() {
            self.hears(&request, came, &answer);
        }
    }

    /// A client gets an answer to its request of the moment `asked`.
    fn hears(&mut self, request: &[u8], asked: Instant, answer: &[u8]) {
        assert!((300..=REPLY_OCTETS_MAX).contains(&answer.len()), "{} octets", answer.len());
        let request = Message::parse(request).expect("what is answered is a message");
        let answer = Message::parse(answer).expect("an answer is a message");
        assert_eq!(answer.op(), 2);
        assert_eq!(
            (answer.xid(), answer.hardware(), answer.giaddr()),
            (request.xid(), request.hardware(), request.giaddr())
        );
        let kind = answer.kind().expect("a type");
        assert!(matches!(kind, MessageType::Offer | MessageType::Ack | MessageType::Nak));
        assert!(answer.server_id().is_some() || request.agent().is_some(), "a server");
        let given = answer.yiaddr();
        if given.is_unspecified() {
            assert!(answer.lease_seconds().is_none());
            return;
        }
        let subnet = &self.server.plan().subnets()[self.server.plan().subnet_of(given).expect("a subnet")];
        let reserved = subnet.reservations.iter().any(|known| known.address == Some(given));
        assert!(reserved || subnet.pool_of(given).is_some(), "{given} is given out");
        let client = request.client_id().map(|id| ClientKey::new(&id));
        let client = client.unwrap_or_else(|| ClientKey::of_hardware(&request.hardware()));
        let seconds = answer.lease_seconds().expect("a time");
        if kind == MessageType::Ack {
            if let Some((owner, until)) = self.owners.get(&given) {
                assert!(*owner == client || *until <= self.now.mono, "{given} is {owner}'s, not {client}'s");
            }
            let until = asked + Duration::from_secs(seconds.into());
            self.owners.insert(given, (client, until));
        }
    }

    fn probed(&mut self, in_use: bool) {
        let Some((ticket, request)) = self.probes.pop() else { return };
        let mut room = [0; REPLY_OCTETS_MAX];
        let mut out = Writer::new(&mut room);
        let verdict = self.server.probed(self.now, ticket, in_use, &mut out);
        self.decided(&request, verdict, out.written());
    }

    /// The process ends and begins again; what was being written was not.
    fn restarts(&mut self) {
        self.pending.clear();
        self.probes.clear();
        self.server = Server::new(Arc::clone(self.server.plan()), Random::new(2));
        assert!(self.rows.values().all(|lease| self.server.restore(self.now, lease)));
    }

    fn holds(&self) {
        let offers = self.server.offers();
        for (index, offer) in offers.iter().enumerate() {
            assert!(offers[..index].iter().all(|other| other.address != offer.address), "offered once");
        }
        let leases: BTreeMap<_, _> = self.server.leases().map(|lease| (lease.address, lease)).collect();
        let stats = self.server.stats();
        assert_eq!(leases.len(), stats.records);
        for (network, counts) in stats.subnets {
            assert!(counts.available <= counts.pool, "{network}: {counts:?}");
        }
    }
}

/// A request as a client or its relay agent puts it together, `rest` for its last options.
fn request(what: u8, who: u8, number: u8, link: u8, rest: &[u8]) -> Vec<u8> {
    let hardware = HardwareAddress::ethernet([2, 0, 0, 0, 0, who & 7]);
    let mut head = Head::new(1, hardware, u32::from_be_bytes([what, who, number, link]));
    if who & 0x40 != 0 {
        head.ciaddr = address(link, number);
    }
    if link != 0 {
        head.giaddr = address(link, 1);
    }
    let mut room = [0; REPLY_OCTETS_MAX];
    let mut out = Writer::new(&mut room);
    let mut writer = MessageWriter::new(&mut out, &head);
    writer.option(code::MESSAGE_TYPE, &[what & 7]);
    if who & 0x20 != 0 {
        writer.option(code::REQUESTED_ADDRESS, &address(link, number).octets());
    }
    if who & 0x10 != 0 {
        writer.option(code::SERVER_ID, &OWN.octets());
    }
    if who & 8 != 0 {
        let here = address(link, 0).octets();
        let value =
            agent::write(&[(agent::CIRCUIT_ID, &rest[..rest.len().min(2)]), (agent::LINK_SELECTION, &here)]);
        writer.option(code::AGENT, &value);
    }
    writer.finish(0);
    let mut octets = out.written().to_vec();
    octets.pop();
    octets.extend_from_slice(rest);
    octets.push(code::END);
    octets
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let mut world = World::new();
    let mut rest = octets;
    while let Some((&[what, who, number, length], after)) = rest.split_first_chunk::<4>() {
        let (tail, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        world.pass(Duration::from_secs(u64::from(who >> 7) * u64::from(number)));
        let client = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
        let everybody = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
        let near = SocketAddrV4::new(address(0, number), 68);
        let relay = SocketAddrV4::new(address(1, 1), 67);
        let own = SocketAddrV4::new(OWN, 67);
        match what >> 4 {
            0..=3 => world.arrives(&request(what, who, number, 0, tail), client, everybody),
            4..=5 => world.arrives(&request(what, who, number, 0, tail), near, own),
            6..=8 => world.arrives(&request(what, who, number, 1, tail), relay, own),
            9 => world.arrives(&request(what, who, number, 1, tail), near, own),
            10 => world.arrives(tail, client, everybody),
            11 => world.arrives(&request(what, who, number, 0, tail), near, SocketAddrV4::new(OWN, 4011)),
            12 => world.probed(number & 7 == 0),
            13 => {
                for ended in world.server.expire(world.now, 8) {
                    world.begin(ended, &[], Vec::new());
                }
            }
            14 if number == 0 => world.restarts(),
            14 if number < 4 => world.server.degraded(number == 1),
            _ => world.settles(number & 7 != 0),
        }
        world.holds();
    }
});
