//! The same octets, read by this crate and by `dhcproto`: what server, client and relay agent write, and what
//! `dhcproto` writes.
//!
//! Where the two differ, `where_the_two_differ_the_standard_is_on_our_side` has it. `dhcproto` does not look into
//! `file` and `sname` for options, so its reader of single options is given these fields here.

use core::net::{Ipv4Addr, SocketAddrV4};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dhcproto::v4::borrowed::DhcpOptionIterator;
use dhcproto::v4::relay::{RelayAgentInformation, RelayInfo};
use dhcproto::v4::{self, DhcpOption, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable, Name};
use doorway_base::{Instant, Random, Session as _, UnixTime, Writer};
use doorway_dhcp::client::session::{Heard, Recipient};
use doorway_dhcp::client::{Check, Input, Output, Session, Settings};
use doorway_dhcp::plan::{
    Class, InterfacePlan, LeaseTimes, Limits, NamesPlan, OptionSet, Pool, Probe, Subnet,
};
use doorway_dhcp::relay::{self, Circuit, Origin, Relay, Rules};
use doorway_dhcp::server::{Arrival, Now, Server, Verdict};
use doorway_dhcp::wire::{HardwareAddress, Head, Message, MessageType, MessageWriter, code, routes, search};
use doorway_dhcp::{Draft, Plan};
use proptest::prelude::*;

const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const AGENT: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];
const OCTETS_MAX: usize = 1472;

/// Every option, as `dhcproto` finds them in the fields that hold options.
fn theirs(octets: &[u8], overload: u8) -> BTreeMap<u8, Vec<u8>> {
    let fields = [
        (true, &octets[240..]),
        (overload & 1 != 0, &octets[108..236]),
        (overload & 2 != 0, &octets[44..108]),
    ];
    let mut found: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    for (_, field) in fields.into_iter().filter(|(used, _)| *used) {
        for option in DhcpOptionIterator::new(field) {
            found.entry(option.code().into()).or_default().extend_from_slice(option.data());
        }
    }
    found
}

/// Reads octets in both ways, and finds the same; what kind of message it is.
#[track_caller]
fn check(octets: &[u8]) -> MessageType {
    let ours = Message::parse(octets).unwrap();
    let read = v4::Message::decode(&mut Decoder::new(octets)).unwrap();
    assert_eq!((ours.op(), ours.htype()), (u8::from(read.opcode()), u8::from(read.htype())));
    assert_eq!((ours.hops(), ours.chaddr()), (read.hops(), read.chaddr()));
    assert_eq!((ours.xid(), ours.secs(), ours.flags()), (read.xid(), read.secs(), u16::from(read.flags())));
    assert_eq!((ours.ciaddr(), ours.yiaddr()), (read.ciaddr(), read.yiaddr()));
    assert_eq!((ours.siaddr(), ours.giaddr()), (read.siaddr(), read.giaddr()));
    let overload = ours.option(code::OVERLOAD).map_or(0, |which| which[0]);
    // A text comes with its NUL from there.
    let text = |field: Option<&[u8]>| field.map(|text| text.strip_suffix(&[0]).unwrap_or(text).to_vec());
    if overload & 1 == 0 {
        assert_eq!(ours.file(), text(read.fname()).unwrap_or_default());
    }
    if overload & 2 == 0 {
        assert_eq!(ours.sname(), text(read.sname()).unwrap_or_default());
    }
    let options: BTreeMap<u8, Vec<u8>> = ours.options().map(|(code, value)| (code, value.to_vec())).collect();
    assert_eq!(options, theirs(octets, overload));
    // In the options field each has a type there, so its value has the form that its standard says.
    for (number, option) in read.opts().iter().map(|(number, option)| (u8::from(*number), option)) {
        meaning(&ours, number, option);
    }
    let kind = ours.kind().unwrap();
    assert_eq!(read.opts().msg_type(), Some(v4::MessageType::from(kind as u8)));
    kind
}

/// Compares what an option means to both.
#[track_caller]
fn meaning(ours: &Message<'_>, number: u8, option: &DhcpOption) {
    let names = |names: &[Name]| -> Vec<String> {
        names.iter().map(|name| name.to_ascii().trim_end_matches('.').to_owned()).collect()
    };
    match option {
        DhcpOption::SubnetMask(address)
        | DhcpOption::BroadcastAddr(address)
        | DhcpOption::RequestedIpAddress(address)
        | DhcpOption::ServerIdentifier(address)
        | DhcpOption::SubnetSelection(address) => assert_eq!(ours.address_option(number), Some(*address)),
        DhcpOption::Router(addresses)
        | DhcpOption::DomainNameServer(addresses)
        | DhcpOption::NtpServers(addresses) => assert_eq!(ours.addresses_option(number), *addresses),
        DhcpOption::AddressLeaseTime(seconds) => assert_eq!(ours.lease_seconds(), Some(*seconds)),
        DhcpOption::Renewal(seconds) => assert_eq!(ours.renewal_seconds(), Some(*seconds)),
        DhcpOption::Rebinding(seconds) => assert_eq!(ours.rebinding_seconds(), Some(*seconds)),
        DhcpOption::MaxMessageSize(octets) => assert_eq!(ours.message_octets_max(), Some(*octets)),
        DhcpOption::Hostname(name) => assert_eq!(ours.host_name(), Some(&name[..])),
        DhcpOption::Message(reason) => assert_eq!(ours.reason().as_ref(), Some(reason)),
        DhcpOption::ClientSystemArchitecture(kind) => assert_eq!(ours.architecture(), Some(kind.0)),
        DhcpOption::ParameterRequestList(codes) => {
            let codes: Vec<u8> = codes.iter().map(|code| u8::from(*code)).collect();
            assert_eq!(ours.parameters().as_deref(), Some(&codes[..]));
        }
        DhcpOption::DomainSearch(list) => {
            assert_eq!(search::read(&ours.option(number).unwrap()), Ok(names(list)));
        }
        DhcpOption::ClasslessStaticRoute(list) => {
            let found = routes::read(&ours.option(number).unwrap()).unwrap();
            let found: Vec<_> =
                found.iter().map(|route| (route.destination, route.prefix, route.gateway)).collect();
            let list: Vec<_> =
                list.iter().map(|(net, gateway)| (net.addr(), net.prefix_len(), *gateway)).collect();
            assert_eq!(found, list);
        }
        DhcpOption::ClientFQDN(fqdn) => {
            let found = ours.fqdn().unwrap();
            assert_eq!(found.flags, u8::from(fqdn.flags()) & 0x0f);
            if fqdn.flags().e() {
                assert_eq!(vec![found.name], names(&[fqdn.domain().clone()]));
            }
        }
        DhcpOption::RelayAgentInformation(information) => {
            let agent = ours.agent().unwrap();
            for (_, info) in information.iter() {
                match info {
                    RelayInfo::AgentCircuitId(id) => assert_eq!(agent.circuit_id(), Some(&id[..])),
                    RelayInfo::AgentRemoteId(id) => assert_eq!(agent.remote_id(), Some(&id[..])),
                    RelayInfo::LinkSelection(address) => assert_eq!(agent.link_selection(), Some(*address)),
                    RelayInfo::ServerIdentifierOverride(address) => {
                        assert_eq!(agent.server_id_override(), Some(*address));
                    }
                    RelayInfo::SubscriberId(id) => assert_eq!(agent.suboption(6), Some(&id[..])),
                    other => assert!(agent.suboptions().count() > 0, "{other:?}"),
                }
            }
        }
        other => assert!(ours.has(number), "{other:?}"),
    }
}

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

#[test]
fn where_the_two_differ_the_standard_is_on_our_side() {
    let head = Head::new(1, HardwareAddress::ethernet(MAC), 7);
    let read = |options: &[u8], file: &[u8]| {
        let mut room = [0; OCTETS_MAX];
        let mut out = Writer::new(&mut room);
        MessageWriter::new(&mut out, &head).finish(0);
        let mut octets = [&out.written()[..240], options, &[code::END]].concat();
        octets[108..108 + file.len()].copy_from_slice(file);
        octets
    };
    let theirs = |octets: &[u8], number: u8| {
        let message = v4::Message::decode(&mut Decoder::new(octets)).unwrap();
        message.opts().get(OptionCode::from(number)).cloned()
    };
    // RFC 3396 §5: pieces are joined wherever they stand.
    let pieces = read(&[43, 1, 1, 12, 1, b'a', 43, 1, 2], &[]);
    assert_eq!(Message::parse(&pieces).unwrap().option(43).as_deref(), Some(&[1, 2][..]));
    assert_eq!(theirs(&pieces, 43), Some(DhcpOption::VendorExtensions(vec![2])));
    // RFC 2132 §9.3: option 52 makes `file` hold options.
    let overloaded = read(&[52, 1, 1], &[12, 1, b'a', code::END]);
    assert_eq!(Message::parse(&overloaded).unwrap().host_name(), Some("a"));
    assert_eq!(theirs(&overloaded, 12), None);
    // RFC 8925 §3.1: "IPv6-only preferred" is option 108.
    let without = read(&[108, 4, 0, 0, 7, 8], &[]);
    assert!(matches!(theirs(&without, 108), Some(DhcpOption::Unknown(_))));
    assert_eq!(u8::from(OptionCode::Ipv6OnlyPreferred), 106);
}

/// An option that `dhcproto` has a type for, or none.
fn option() -> impl Strategy<Value = DhcpOption> {
    let octets = |most| proptest::collection::vec(any::<u8>(), 1..most);
    let address = any::<u32>().prop_map(Ipv4Addr::from_bits);
    let addresses = proptest::collection::vec(address.clone(), 1..90);
    let name = "[a-z]{1,9}(\\.[a-z]{1,9}){0,3}\\.".prop_map(|name| name.parse::<Name>().unwrap());
    let route = (0u8..=32, any::<u32>(), any::<u32>()).prop_map(|(prefix, to, by)| {
        let to = Ipv4Addr::from_bits(to & routes::mask(prefix));
        (format!("{to}/{prefix}").parse().unwrap(), Ipv4Addr::from_bits(by))
    });
    let information =
        (octets(60), octets(60), any::<u32>(), any::<bool>()).prop_map(|(circuit, remote, bits, all)| {
            let mut information = RelayAgentInformation::default();
            information.insert(RelayInfo::AgentCircuitId(circuit));
            information.insert(RelayInfo::LinkSelection(bits.into()));
            if all {
                information.insert(RelayInfo::AgentRemoteId(remote.clone()));
                information.insert(RelayInfo::SubscriberId(remote));
                information.insert(RelayInfo::ServerIdentifierOverride((!bits).into()));
            }
            information
        });
    prop_oneof![
        address.clone().prop_map(DhcpOption::SubnetMask),
        address.clone().prop_map(DhcpOption::RequestedIpAddress),
        address.clone().prop_map(DhcpOption::ServerIdentifier),
        address.prop_map(DhcpOption::SubnetSelection),
        addresses.clone().prop_map(DhcpOption::Router),
        addresses.prop_map(DhcpOption::DomainNameServer),
        any::<u32>().prop_map(DhcpOption::AddressLeaseTime),
        any::<u32>().prop_map(DhcpOption::Renewal),
        any::<u16>().prop_map(DhcpOption::MaxMessageSize),
        "[a-z]{1,60}".prop_map(DhcpOption::Hostname),
        octets(400).prop_map(DhcpOption::VendorExtensions),
        octets(400).prop_map(DhcpOption::ClientIdentifier),
        octets(300).prop_map(DhcpOption::ClassIdentifier),
        octets(200).prop_map(|codes| DhcpOption::ParameterRequestList(
            codes.into_iter().map(OptionCode::from).collect()
        )),
        proptest::collection::vec(name.clone(), 1..12).prop_map(DhcpOption::DomainSearch),
        proptest::collection::vec(route, 1..40).prop_map(DhcpOption::ClasslessStaticRoute),
        (name, any::<bool>()).prop_map(|(name, server)| {
            let flags = v4::fqdn::FqdnFlags::default().set_e(true).set_s(server);
            DhcpOption::ClientFQDN(v4::fqdn::ClientFQDN::new(flags, name))
        }),
        information.prop_map(DhcpOption::RelayAgentInformation),
        (224u8..250, octets(255))
            .prop_map(|(code, value)| DhcpOption::Unknown(v4::UnknownOption::new(code.into(), value))),
    ]
}

proptest! {
    #[test]
    fn what_dhcproto_writes_means_the_same_here(
        kind in 1u8..=8,
        (xid, secs, flags) in (any::<u32>(), any::<u16>(), any::<u16>()),
        (ciaddr, giaddr) in (any::<u32>(), any::<u32>()),
        chaddr in proptest::collection::vec(any::<u8>(), 0..=16),
        file in "[a-z/]{0,127}",
        options in proptest::collection::vec(option(), 0..8),
    ) {
        let none = Ipv4Addr::UNSPECIFIED;
        let mut message = v4::Message::new_with_id(xid, ciaddr.into(), none, none, giaddr.into(), &chaddr);
        message.set_secs(secs).set_flags(flags.into()).set_fname_str(&file);
        for option in options {
            message.opts_mut().insert(option);
        }
        message.opts_mut().insert(DhcpOption::MessageType(v4::MessageType::from(kind)));
        let octets = message.to_vec().unwrap();
        if octets.len() > 1500 {
            // Longer than any message that is read.
            prop_assert!(Message::parse(&octets).is_err());
        } else {
            prop_assert_eq!(check(&octets) as u8, kind);
        }
    }
}
