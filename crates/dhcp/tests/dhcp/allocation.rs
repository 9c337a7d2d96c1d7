//! How often the server's engine asks for memory while it answers, and how much of it a lease takes.

use core::net::{Ipv4Addr, SocketAddrV4};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use doorway_base::{Instant, Random, UnixTime, Writer};
use doorway_dhcp::plan::{Draft, InterfacePlan, Limits, OptionSet, Plan, Pool, Probe, Subnet};
use doorway_dhcp::server::{Arrival, Now, Server, Verdict};
use doorway_dhcp::wire::{HardwareAddress, Head, Message, MessageType, MessageWriter, agent, code};
use doorway_dhcp::{ClientKey, Lease, LeaseState};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    /// Octets that are in use.
    static OCTETS: Cell<isize> = const { Cell::new(0) };
}

#[allow(unsafe_code, reason = "a global allocator is unsafe by nature; this one only counts and passes on")]
// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is ending has no counter left, and no test to count for.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        let _ = OCTETS.try_with(|octets| octets.set(octets.get() + layout.size() as isize));
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let _ = OCTETS.try_with(|octets| octets.set(octets.get() - layout.size() as isize));
        // SAFETY: `pointer` came from `System.alloc` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const FIRST: u32 = 0x0a00_0100;
const CLIENTS: u32 = 500;

fn now(seconds: u64) -> Now {
    let passed = Duration::from_secs(seconds);
    Now { mono: Instant::ZERO + passed, wall: UnixTime::from_secs(1_800_000_000) + passed }
}

fn server() -> Server {
    let mut subnet = Subnet::new("10.0.0.0/8".parse().unwrap());
    subnet.pools = vec![Pool::new(FIRST.into(), Ipv4Addr::new(10, 255, 255, 254), None)];
    subnet.probe = Probe::Off;
    subnet.relays = vec!["10.0.0.0/8".parse().unwrap()];
    subnet.options = OptionSet::default()
        .with_addresses(code::ROUTERS, &[OWN])
        .with_addresses(code::NAME_SERVERS, &[OWN])
        .with(code::DOMAIN_NAME, *b"home.arpa");
    let draft = Draft {
        interfaces: vec![InterfacePlan { name: "eth0".into(), address: OWN, prefix: 8 }],
        subnets: vec![subnet],
        authoritative: true,
        limits: Limits { packets_per_second: 0, ..Limits::default() },
        ..Draft::default()
    };
    Server::new(Arc::new(Plan::new(draft).unwrap()), Random::new(1))
}

/// A client's message, with what goes beyond the usual behind it.
fn ask(kind: MessageType, number: u32, ciaddr: Ipv4Addr, options: &[(u8, &[u8])]) -> Vec<u8> {
    let [_, b, c, d] = number.to_be_bytes();
    let mut head = Head::new(1, HardwareAddress::ethernet([2, 0, 0, b, c, d]), number);
    head.ciaddr = ciaddr;
    if options.iter().any(|(code, _)| *code == code::AGENT) {
        head.giaddr = OWN;
    }
    let mut room = [0; 1472];
    let mut out = Writer::new(&mut room);
    let mut writer = MessageWriter::new(&mut out, &head);
    writer.option(code::MESSAGE_TYPE, &[kind as u8]);
    writer.option(code::PARAMETERS, &[1, 3, 6, 15, 28, 51, 58, 59]);
    for (code, value) in options {
        writer.option(*code, value);
    }
    writer.finish(300);
    out.written().to_vec()
}

/// Has a message answered and what it means written. Its address, and how often memory was asked for.
fn answer(server: &mut Server, now: Now, octets: &[u8]) -> (Ipv4Addr, usize) {
    let to = if octets[12..16] == [0; 4] { Ipv4Addr::BROADCAST } else { OWN };
    let arrival = Arrival {
        octets,
        interface: 0,
        source: SocketAddrV4::new(OWN, 68),
        destination: SocketAddrV4::new(to, 67),
    };
    let mut room = [0; 1472];
    let mut out = Writer::new(&mut room);
    let before = ALLOCATIONS.get();
    match server.handle(now, &arrival, &mut out) {
        Verdict::Reply(_) => {}
        Verdict::Settle(settlement, Some(_)) => server.settled(now, settlement.ticket, true),
        verdict => panic!("{verdict:?}"),
    }
    let allocations = ALLOCATIONS.get() - before;
    (Message::parse(out.written()).unwrap().yiaddr(), allocations)
}

/// How often memory is asked for: at most for one message, and for a hundred of them on the whole.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    most: usize,
    of_hundred: usize,
}

impl Spent {
    fn of(allocations: &[usize]) -> Self {
        let all: usize = allocations.iter().sum();
        let most = allocations.iter().copied().max().unwrap_or_default();
        Self { most, of_hundred: (all * 100).div_ceil(allocations.len()) }
    }
}

/// Checks what DISCOVER, the REQUEST behind it and a renewal cost, of clients that say so much, when the server has
/// had as many clients before.
#[allow(clippy::print_stdout, reason = "figures that documentation quotes")]
fn check(options: &[(u8, &[u8])], allowed: [Spent; 3]) {
    let mut server = server();
    let mut spent = [Spent::default(); 3];
    for round in 0..4 {
        // Each round begins when all leases of the one before are over.
        let begin = round * 30_000;
        while server.next_timeout().is_some_and(|due| due <= now(begin).mono) {
            server.expire(now(begin), 64);
        }
        let (mut discovers, mut selects, mut given) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..CLIENTS {
            let unset = Ipv4Addr::UNSPECIFIED;
            let discover = ask(MessageType::Discover, number, unset, options);
            let (offered, allocations) = answer(&mut server, now(begin), &discover);
            discovers.push(allocations);
            let wants = [(code::REQUESTED_ADDRESS, &offered.octets()[..]), (code::SERVER_ID, &OWN.octets())];
            let select = ask(MessageType::Request, number, unset, &[&wants, options].concat());
            let (address, allocations) = answer(&mut server, now(begin), &select);
            assert_eq!(address, offered);
            selects.push(allocations);
            given.push(address);
        }
        let renew = |(number, &address): (u32, &Ipv4Addr)| {
            let renewal = ask(MessageType::Request, number, address, options);
            let (again, allocations) = answer(&mut server, now(begin + 7200), &renewal);
            assert_eq!(again, address);
            allocations
        };
        let renewals: Vec<usize> = (0..).zip(&given).map(renew).collect();
        spent = [&discovers, &selects, &renewals].map(|allocations| Spent::of(allocations));
    }
    println!("DISCOVER, REQUEST, renewal: {spent:?}");
    for (spent, allowed) in spent.into_iter().zip(allowed) {
        assert!(
            spent.most <= allowed.most && spent.of_hundred <= allowed.of_hundred,
            "{spent:?}, {allowed:?}"
        );
    }
}

const NONE: Spent = Spent { most: 0, of_hundred: 0 };
const ONE: Spent = Spent { most: 1, of_hundred: 100 };

#[test]
fn an_offer_takes_no_memory_and_an_acknowledgement_its_change_alone() {
    // Beside the change, the tables grow now and then.
    check(&[], [NONE, Spent { most: 4, of_hundred: 120 }, ONE]);
}

#[test]
fn clients_that_say_more_take_memory_for_what_is_kept_of_it() {
    let circuit = agent::write(&[(agent::CIRCUIT_ID, b"lan1/7")]);
    let more = [(code::HOST_NAME, &b"laptop"[..]), (code::CLIENT_ID, &[0, 1, 2, 3]), (code::AGENT, &circuit)];
    check(&more, [NONE, Spent { most: 6, of_hundred: 405 }, Spent { most: 4, of_hundred: 400 }]);
}

fn lease(number: u32, says_more: bool) -> Lease {
    let [a, b, c, d] = number.to_be_bytes();
    let hardware = HardwareAddress::ethernet([2, 0, a, b, c, d]);
    Lease {
        address: Ipv4Addr::from_bits(FIRST + number),
        client: ClientKey::of_hardware(&hardware),
        hardware,
        state: LeaseState::Bound,
        began: now(0).wall,
        ends: Some(now(u64::from(number % 14_400)).wall),
        seconds: 14_400,
        host: says_more.then(|| format!("host-{number}").into()),
        name: says_more.then(|| format!("host-{number}.home.arpa").into()),
        relay: Ipv4Addr::UNSPECIFIED,
        agent: None,
    }
}

#[test]
#[allow(clippy::print_stdout, reason = "figures that documentation quotes")]
fn a_lease_takes_less_than_two_hundred_octets_of_memory() {
    // The list of leases has just doubled behind 65 536 of them: that is the worst number of them.
    for (count, says_more, octets_max) in [(66_000, false, 200), (500_000, false, 120), (500_000, true, 160)]
    {
        let mut server = server();
        let before = OCTETS.get();
        for number in 0..count {
            assert!(server.restore(now(0), &lease(number, says_more)));
        }
        let octets = (OCTETS.get() - before) / count as isize;
        println!("{count} leases, with names {says_more}: {octets} octets each");
        assert!(octets <= octets_max, "{count} leases, with names {says_more}: {octets} octets each");
    }
}
