//! The same octets, read by this crate and by `dhcproto`: what server, client and relay agent write, and what
//! `dhcproto` writes.
//!
//! Where the two differ, `where_the_two_differ_the_standard_is_on_our_side` has it. `dhcproto` does not look into
//! `file` and `sname` for options, so its reader of single options is given these fields here.

mod talk;

use core::net::Ipv4Addr;
use std::collections::BTreeMap;

use dhcproto::v4::borrowed::DhcpOptionIterator;
use dhcproto::v4::relay::{RelayAgentInformation, RelayInfo};
use dhcproto::v4::{self, DhcpOption, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable, Name};
use doorway_base::Writer;
use doorway_dhcp::wire::{HardwareAddress, Head, Message, MessageType, MessageWriter, code, routes, search};
use proptest::prelude::*;

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
