//! What client, relay agent and server say to each other, whole exchanges long.

use core::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use doorway_base::{Instant, Random, Session as _, UnixTime, Writer};
use doorway_dhcp::client::session::{Heard, Recipient};
use doorway_dhcp::client::{Check, Input, Output, Session, Settings};
use doorway_dhcp::plan::{
    Class, InterfacePlan, LeaseTimes, Limits, NamesPlan, OptionSet, Pool, Probe, Subnet,
};
use doorway_dhcp::relay::{self, Circuit, Origin, Relay, Rules};
use doorway_dhcp::server::{Arrival, Now, Server, Verdict};
use doorway_dhcp::wire::{HardwareAddress, Head, MessageType, MessageWriter, code, search};
use doorway_dhcp::{Draft, Plan};

use super::{MAC, OCTETS_MAX, check};

const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const AGENT: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);

/// A site whose clients are told much.
fn server() -> Server {
    let subnets = [0, 1].map(|link| {
        let address = |last| Ipv4Addr::new(10, link, 0, last);
        let mut subnet = Subnet::new(format!("10.{link}.0.0/24").parse().unwrap());
        subnet.pools = vec![Pool::new(address(10), address(200), None)];
        subnet.lease = LeaseTimes { default: 3600, ..LeaseTimes::default() };
        subnet.probe = Probe::Off;
        subnet.relays = vec!["10.1.0.0/24".parse().unwrap()];
        subnet.names = Some(NamesPlan { domain: "lan".into(), nameless: false, override_client: true });
        subnet.options = OptionSet::default()
            .with_addresses(code::ROUTERS, &[address(1)])
            .with_addresses(code::NAME_SERVERS, &[OWN, address(2)])
            .with(code::DOMAIN_NAME, *b"home.arpa")
            .with(code::DOMAIN_SEARCH, search::write(&["home.arpa", "lab.home.arpa"]).unwrap())
            .with(code::CLASSLESS_ROUTES, [8, 10, 10, 0, 0, 1, 0, 10, 0, 0, 1])
            .with(code::VENDOR_INFORMATION, vec![7; 300])
            .with(17, vec![b'r'; 120])
            .with(40, vec![b'n'; 40])
            .with(code::PROXY_AUTO_CONFIG, *b"http://10.0.0.1/wpad.dat");
        subnet
    });
    let mut boots = Class::new("pxe", "arch == 7".parse().unwrap());
    boots.boot.server = Some(OWN);
    boots.boot.file = Some("ipxe.efi".into());
    boots.boot.server_name = Some("boot.lan".into());
    let draft = Draft {
        interfaces: vec![InterfacePlan { name: "eth0".into(), address: OWN, prefix: 24 }],
        subnets: subnets.into(),
        classes: vec![boots],
        authoritative: true,
        limits: Limits { packets_per_second: 0, ..Limits::default() },
        ..Draft::default()
    };
    Server::new(Arc::new(Plan::new(draft).unwrap()), Random::new(1))
}

/// What the server says to octets, when its change is written.
fn served(
    server: &mut Server,
    mono: Instant,
    octets: &[u8],
    source: Ipv4Addr,
    to: Ipv4Addr,
) -> Option<Vec<u8>> {
    let now = Now { mono, wall: UnixTime::from_secs(1_800_000_000) + (mono - Instant::ZERO) };
    let mut room = [0; OCTETS_MAX];
    let mut out = Writer::new(&mut room);
    let arrival = Arrival {
        octets,
        interface: 0,
        source: SocketAddrV4::new(source, 68),
        destination: SocketAddrV4::new(to, 67),
    };
    let says = match server.handle(now, &arrival, &mut out) {
        Verdict::Reply(_) => true,
        Verdict::Settle(settlement, reply) => {
            server.settled(now, settlement.ticket, true);
            reply.is_some()
        }
        Verdict::Drop(_) | Verdict::Probe { .. } => false,
    };
    says.then(|| out.written().to_vec())
}

/// A client and a server who talk, directly or by a relay agent. All that is said is checked.
struct Talk {
    server: Server,
    session: Session,
    relay: Option<Relay>,
    now: Instant,
    /// Whether the server hears anything.
    heard: bool,
    seen: Vec<MessageType>,
}

impl Talk {
    fn new(settings: Settings, relay: Option<Rules>) -> Self {
        let circuit = Circuit {
            address: AGENT,
            prefix: 24,
            circuit_id: b"lan1".to_vec(),
            remote_id: b"here".to_vec(),
            trusted: false,
        };
        let relay = relay.map(|rules| Relay::new(rules, vec![circuit]));
        let session = Session::new(settings, Random::new(5));
        Self { server: server(), session, relay, now: Instant::ZERO, heard: true, seen: Vec::new() }
    }

    fn does(&mut self, input: Input<'_>) {
        self.session.handle(self.now, input);
        loop {
            let outputs: Vec<Output> = std::iter::from_fn(|| self.session.poll_output()).collect();
            if outputs.is_empty() {
                return;
            }
            for output in outputs {
                if let Output::Send { octets, to } = output
                    && let Some(answer) = self.said(&octets, to)
                {
                    self.session.handle(self.now, Input::Message { octets: &answer, neighbour: None });
                }
            }
        }
    }

    fn said(&mut self, octets: &[u8], to: Recipient) -> Option<Vec<u8>> {
        self.seen.push(check(octets));
        if !self.heard {
            return None;
        }
        let mut room = [0; OCTETS_MAX];
        let answer = match (&mut self.relay, to) {
            (Some(relay), Recipient::Broadcast { .. }) => {
                let mut out = Writer::new(&mut room);
                assert_eq!(relay.handle(Origin::Circuit(0), octets, &mut out), relay::Verdict::Servers);
                check(out.written());
                let relayed = out.written().to_vec();
                let answer = served(&mut self.server, self.now, &relayed, AGENT, OWN)?;
                check(&answer);
                let mut out = Writer::new(&mut room);
                let verdict = relay.handle(Origin::Unicast { source: OWN, local: AGENT }, &answer, &mut out);
                assert!(!matches!(verdict, relay::Verdict::Servers | relay::Verdict::Drop(_)), "{verdict:?}");
                out.written().to_vec()
            }
            (_, Recipient::Broadcast { from }) => {
                served(&mut self.server, self.now, octets, from, Ipv4Addr::BROADCAST)?
            }
            (_, Recipient::Server { from, .. }) => served(&mut self.server, self.now, octets, from, OWN)?,
        };
        self.seen.push(check(&answer));
        Some(answer)
    }

    /// Time passes until this moment, and every timer rings.
    fn until(&mut self, seconds: u64) {
        let end = Instant::ZERO + Duration::from_secs(seconds);
        while let Some(next) = self.session.next_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.does(Input::Timeout);
        }
        self.now = end;
    }
}

#[test]
fn dhcproto_reads_whatever_client_relay_agent_and_server_say_to_each_other() {
    let plain = Settings { check: Check::Off, ..Settings::new(HardwareAddress::ethernet(MAC)) };
    let wordy = Settings {
        client_id: [&[255, 0, 0, 0, 1], &[0, 4][..], &[9; 16]].concat(),
        host_name: Some("laptop.lan".into()),
        vendor_class: Some("a vendor".into()),
        parameters: vec![1, 3, 6, 12, 15, 28, 43, 119, 121, 252],
        address: Some(Ipv4Addr::new(10, 0, 0, 77)),
        lease: Some(Duration::from_secs(7200)),
        broadcast: true,
        ..plain.clone()
    };
    let named = Settings { host_name: Some("laptop".into()), ..plain.clone() };
    let rules = [
        None,
        Some(Rules::default()),
        Some(Rules { server_override: true, giaddr: Some(AGENT), ..Rules::default() }),
    ];
    let mut seen = Vec::new();
    for settings in [plain, wordy, named] {
        for rules in &rules {
            let mut talk = Talk::new(settings.clone(), rules.clone());
            talk.does(Input::Start(None));
            talk.until(10);
            assert!(talk.session.binding().is_some(), "{settings:?} {rules:?}");
            talk.does(Input::Renew);
            // Nobody answers any more until the lease is nearly over: RENEWING, then REBINDING.
            talk.heard = false;
            talk.until(3500);
            talk.heard = true;
            talk.until(3595);
            assert!(talk.session.binding().is_some(), "{settings:?} {rules:?}");
            talk.does(Input::Release);
            assert!(talk.session.binding().is_none());
            seen.append(&mut talk.seen);
        }
        // A neighbour has the address.
        let mut talk = Talk::new(Settings { check: Check::Quick, ..settings.clone() }, None);
        talk.does(Input::Start(None));
        talk.until(1);
        let taken = talk.server.leases().next().unwrap().address;
        talk.does(Input::Arp(Heard { sender: [9; 6], sender_address: taken, target_address: taken }));
        seen.append(&mut talk.seen);
        let mut talk = Talk::new(settings, None);
        talk.does(Input::Inform(Ipv4Addr::new(10, 0, 0, 99)));
        seen.append(&mut talk.seen);
    }
    for kind in MessageType::ALL.into_iter().filter(|kind| *kind != MessageType::Nak) {
        assert!(seen.contains(&kind), "{kind:?} was said");
    }
}

/// Numbers and values of options.
type Options<'a> = &'a [(u8, &'a [u8])];

#[test]
fn dhcproto_reads_what_the_server_says_to_unusual_requests() {
    let all: Vec<u8> = (1..=254).collect();
    let cases: [(&str, MessageType, Options<'_>, MessageType); 6] = [
        ("nothing asked for", MessageType::Discover, &[], MessageType::Offer),
        ("all options", MessageType::Discover, &[(55, &all)], MessageType::Offer),
        (
            "all options in a large answer",
            MessageType::Discover,
            &[(55, &all), (57, &[5, 220])],
            MessageType::Offer,
        ),
        (
            "boot by PXE",
            MessageType::Discover,
            &[
                (60, b"PXEClient:Arch:00007"),
                (93, &[0, 7]),
                (94, &[1, 3, 16]),
                (97, &[0; 17]),
                (55, &[66, 67, 43]),
            ],
            MessageType::Offer,
        ),
        (
            "a foreign address",
            MessageType::Request,
            &[(50, &[192, 0, 2, 1]), (61, &[0, 1])],
            MessageType::Nak,
        ),
        (
            "a name in ASCII",
            MessageType::Discover,
            &[(81, b"\x01\0\0laptop.lan."), (12, b"x")],
            MessageType::Offer,
        ),
    ];
    for (what, kind, options, answered) in cases {
        let head = Head::new(1, HardwareAddress::ethernet(MAC), 0x3903_f326);
        let mut room = [0; OCTETS_MAX];
        let mut out = Writer::new(&mut room);
        let mut writer = MessageWriter::new(&mut out, &head);
        writer.option(code::MESSAGE_TYPE, &[kind as u8]);
        for (code, value) in options {
            writer.option(*code, value);
        }
        assert_eq!(writer.finish(300), 0, "{what}");
        let octets = out.written().to_vec();
        let answer =
            served(&mut server(), Instant::ZERO, &octets, Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST);
        assert_eq!((check(&octets), check(&answer.expect(what))), (kind, answered), "{what}");
    }
}
